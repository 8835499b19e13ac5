import type { Callback } from '../../../outreach/waiting.ts'
import { html, type Html } from '../html.ts'
import { deedForm } from '../deed_form.ts'
import { telephone } from '../format.ts'
import { moment } from '../from_now.ts'
import type { Visit } from '../page.ts'
import { table } from '../table.ts'
import { whyOf } from '../why.ts'
import { waitingWords } from '../words/waiting.ts'

const LONGEST_TEXT = 200

/** What she wrote, or else what became of her call. */
const standOf = (one: Callback, visit: Visit) => {
  const words = waitingWords[visit.language].callBack
  if (one.wroteAt && one.wroteAt > one.calledAt)
    return one.text
      ? html`<b>${words.wrote}</b> <bdi>${one.text.slice(0, LONGEST_TEXT)}</bdi>`
      : html`<b>${words.wroteSomething}</b>`
  return whyOf(visit.language, { verdict: 'missed', reason: null, ...one })
}

/** Who waits for a call back: a number to tap, and a button for when it is done. */
export const callBackSection = (waiting: Callback[], now: Date, visit: Visit): Html => {
  const { callBack: words, business } = waitingWords[visit.language]
  return html`<section id="call-back">
    <h2>${words.title}</h2>
    <p class="quiet">${words.help}</p>
    ${waiting.length === 0 && html`<p class="empty">${words.none}</p>`}
    ${
      waiting.length > 0 &&
      table(waiting, [
        [
          words.who,
          ({ phone, name }) =>
            html`<a class="call" href="tel:${phone}">${telephone(phone)}</a>
              ${name && html`<br /><bdi>${name}</bdi>`}`,
        ],
        visit.own === null && [business, ({ tenant }) => html`<bdi>${tenant}</bdi>`],
        [
          words.called,
          one =>
            html`<a href="/ops/calls/${one.recordId}"
                >${moment(one.calledAt, now, visit.language, one.timezone)}</a
              ><br /><small>${words.times(one.calls)}</small>`,
        ],
        [words.how, one => standOf(one, visit)],
        [
          words.deed,
          one =>
            deedForm(visit, {
              path: `/ops/waiting/${one.tenantId}/called-back/${one.leadId}`,
              label: words.calledBack,
              about: one.phone,
            }),
        ],
      ])
    }
  </section>`
}
