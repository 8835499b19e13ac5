/** The password with which a business signs in here itself. */
import { generatePassword, newPassword, setPassword } from '../../../tenants/credentials.ts'
import { showTenant, type TenantShown } from '../../../tenants/tenants.ts'
import { html, type Html } from '../html.ts'
import { text } from '../attempt.ts'
import { carefulForm } from '../deed_form.ts'
import { refused, secretInput } from '../fields.ts'
import { telephone } from '../format.ts'
import type { Visit } from '../page.ts'
import { tenantWords } from '../words/tenant.ts'
import { type About, form, pathOf, refusalOf, type Section } from './section.ts'

const wordsOf = ({ visit }: Pick<About, 'visit'>) => tenantWords[visit.language].password

/** What may be entered as the name. */
const names = (visit: Visit, { numbers: [first], tenantId }: TenantShown): Html => {
  const words = wordsOf({ visit })
  return html`${words.name}: <b>${first && telephone(first.phone)}</b> ${words.orId(tenantId)}`
}

export const password: Section = {
  show: about => {
    const { visit, shown } = about
    const words = wordsOf(about)
    return html`<section class="card">
      <h2>${words.title}</h2>
      <p class="quiet">${words.help}</p>
      <p>${shown.hasPassword ? words.has : words.hasNot}</p>
      <p>${names(visit, shown)}</p>
      ${refused(visit.language, about.refusal, 'set')}
      ${form(
        about,
        'password',
        'set',
        html`${secretInput({
            name: 'password',
            label: words.new,
            help: words.newHelp,
            refusal: refusalOf(about, 'set'),
          })}
          <p class="quiet">${words.ends}</p>
          <button class="main">${words.submit}</button>`,
      )}
      ${
        shown.hasPassword &&
        visit.own === null &&
        carefulForm(visit, {
          id: 'end',
          open: words.end,
          warning: words.endWarning,
          path: pathOf(shown.tenantId, 'password', 'end'),
          label: words.endSure,
        })
      }
    </section>`
  },
  deeds: {
    set: async ({ trx, visit, tenantId, form }) => {
      const words = wordsOf({ visit })
      const entered = text(form, 'password') ?? ''
      const made = entered === '' ? generatePassword() : null
      const wanted = newPassword.parse({ tenantId, password: made ?? entered })
      await setPassword(trx, visit.signIn, wanted)
      if (made === null) return { said: words.set }
      return {
        once: html`<section class="card">
          <h2>${words.made}</h2>
          <p>${names(visit, await showTenant(trx, tenantId))}</p>
          <p>${words.password}:</p>
          <pre>${made}</pre>
          <p><b>${words.once}</b></p>
          <p>${words.ends}</p>
          <p><a class="button" href="${pathOf(tenantId, 'password')}">${words.back}</a></p>
        </section>`,
      }
    },
    end: async ({ trx, visit, tenantId }) => {
      await setPassword(trx, visit.signIn, { tenantId, password: null })
      return { said: wordsOf({ visit }).ended }
    },
  },
}
