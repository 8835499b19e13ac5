/** The numbers that customers dial. */
import { addNumber, removeNumber, tenantNumber } from '../../../tenants/numbers.ts'
import { html, type Html } from '../html.ts'
import { text } from '../attempt.ts'
import { carefulForm, deedForm } from '../deed_form.ts'
import { input, refused, whyNot } from '../fields.ts'
import { telephone, when } from '../format.ts'
import type { Form } from '../page.ts'
import { spanText } from '../span_text.ts'
import { tenantWords } from '../words/tenant.ts'
import { type About, form, pathOf, refusalOf, type Section } from './section.ts'
import { unknownNumbers } from './unknown_numbers.ts'

const wordsOf = ({ visit }: Pick<About, 'visit'>) => tenantWords[visit.language].numbers

const listed = (about: About): Html => {
  const { visit, shown } = about
  const words = wordsOf(about)
  return html`<section class="card">
    <h2>${words.title}</h2>
    ${whyNot(about.refusal, 'remove')}
    <ul class="rows">
      ${shown.numbers.map(
        ({ phone, createdAt }) =>
          html`<li>
            <span
              ><strong>${telephone(phone)}</strong><br /><small
                >${words.since} ${when(createdAt, visit.language, shown.timezone)}</small
              ></span
            >
            ${
              visit.own === null &&
              carefulForm(visit, {
                id: `remove-${phone.replace(/\W/g, '')}`,
                open: words.remove,
                warning: words.warning,
                path: pathOf(shown.tenantId, 'numbers', 'remove'),
                label: words.sure,
                fields: { phone },
                about: phone,
              })
            }
          </li>`,
      )}
    </ul>
    ${visit.own !== null && html`<p class="quiet">${words.askOperator}</p>`}
  </section>`
}

const unmatched = ({ visit, shown }: About, numbers: { phone: string; calls: number }[]) => {
  const words = wordsOf({ visit })
  return (
    numbers.length > 0 &&
    html`<section class="card">
      <h2>${words.unknown}</h2>
      ${
        visit.own === null &&
        html`<p class="quiet">${words.unknownHelp(spanText(visit.language, shown.oldestCall))}</p>`
      }
      <ul class="rows">
        ${numbers.map(
          ({ phone, calls }) =>
            html`<li>
              <span><strong>${telephone(phone)}</strong> ${words.calls(calls)}</span>
              ${
                visit.own === null &&
                deedForm(visit, {
                  path: pathOf(shown.tenantId, 'numbers', 'add'),
                  label: words.addThis,
                  fields: { phone },
                  about: phone,
                })
              }
            </li>`,
        )}
      </ul>
    </section>`
  )
}

const add = (about: About): Html => {
  const words = wordsOf(about)
  return html`<section class="card">
    <h2>${words.add}</h2>
    ${refused(about.visit.language, about.refusal, 'add')}
    ${form(
      about,
      'numbers',
      'add',
      html`${input({
          name: 'phone',
          label: words.phone,
          help: words.phoneHelp,
          kind: 'tel',
          direction: 'ltr',
          refusal: refusalOf(about, 'add'),
        })} <button class="main">${words.submit}</button>`,
    )}
  </section>`
}

const numberIn = (tenantId: string, form: Form) =>
  tenantNumber.parse({ tenantId, phone: text(form, 'phone') ?? '' })

export const numbers: Section = {
  show: async about =>
    html`${listed(about)} ${unmatched(about, await unknownNumbers(about.trx, about.shown.tenantId))}
    ${about.visit.own === null && add(about)}`,
  deeds: {
    add: async ({ trx, visit, tenantId, form }) => {
      const words = wordsOf({ visit })
      const done = await addNumber(trx, visit.signIn, numberIn(tenantId, form))
      return { said: done.added ? words.judged(done.judgedAgain) : words.hadIt }
    },
    remove: async ({ trx, visit, tenantId, form }) => {
      await removeNumber(trx, visit.signIn, numberIn(tenantId, form))
      return { said: wordsOf({ visit }).removed }
    },
  },
}
