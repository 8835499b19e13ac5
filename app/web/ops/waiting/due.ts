import type { UpcomingMessage } from '../../../outreach/waiting.ts'
import { whyWaiting } from '../../../outreach/rules.ts'
import { html, type Html } from '../html.ts'
import { carefulForm, deedForm } from '../deed_form.ts'
import { telephone } from '../format.ts'
import { moment } from '../from_now.ts'
import type { Visit } from '../page.ts'
import { table } from '../table.ts'
import { waitingWords } from '../words/waiting.ts'

/** A message starts within half a second of its moment, and may take a while: only then is it late. */
const LATE_AFTER_MS = 60_000

/** A notice is due at once and worthless later: there is nothing to hurry or to stop. */
const deedsOf = (
  { tenantId, kind, id, missedCallId, phone }: UpcomingMessage,
  visit: Visit,
): Html | false => {
  const words = waitingWords[visit.language].due
  if (!missedCallId) return false
  const now = kind === 'initial' ? `send-now/${id}` : `remind-now/${id}`
  return html`${deedForm(visit, {
    path: `/ops/waiting/${tenantId}/${now}`,
    label: words.sendNow,
    about: phone,
  })}
  ${carefulForm(visit, {
    id: `cancel-${kind}-${id}`,
    open: words.cancel,
    warning: words.warning,
    path: `/ops/waiting/${tenantId}/cancel/${missedCallId}`,
    label: words.cancelNow,
    about: phone,
  })}`
}

/** What a person can do something about stands out. */
const whyOf = (due: UpcomingMessage, visit: Visit) => {
  const why = whyWaiting(due)
  const text = waitingWords[visit.language].due.whys[why]
  return ['not_yet', 'any_moment', 'shadow', 'quiet'].includes(why) ? text : html`<b>${text}</b>`
}

/** What is to be sent when, and why it has not been sent yet. */
export const dueSection = (due: UpcomingMessage[], visit: Visit): Html => {
  const { due: words, business } = waitingWords[visit.language]
  return html`<section id="due">
    <h2>${words.title}</h2>
    ${due.length === 0 && html`<p class="empty">${words.none}</p>`}
    ${
      due.length > 0 &&
      table(due, [
        [
          words.due,
          ({ dueAt, now, timezone }) =>
            html`${moment(dueAt, now, visit.language, timezone)}
            ${
              now.getTime() - dueAt.getTime() > LATE_AFTER_MS &&
              html`<br /><span class="badge warn">${words.overdue}</span>`
            }`,
        ],
        [
          words.to,
          ({ phone, name }) => html`${telephone(phone)}${name && html`<br /><bdi>${name}</bdi>`}`,
        ],
        visit.own === null && [business, ({ tenant }) => html`<bdi>${tenant}</bdi>`],
        [
          words.what,
          ({ kind, recordId }) =>
            recordId
              ? html`<a href="/ops/calls/${recordId}">${words.kinds[kind]}</a>`
              : words.kinds[kind],
        ],
        [words.why, one => whyOf(one, visit)],
        [words.deeds, one => deedsOf(one, visit)],
      ])
    }
  </section>`
}
