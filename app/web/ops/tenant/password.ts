/** The password with which a tenant signs in. */
import { generatePassword, passwordChange, setPassword } from '../../../tenants/credentials.ts'
import { signOutEverywhere } from '../../../tenants/sessions.ts'
import { showTenant, type TenantShown } from '../../../tenants/tenants.ts'
import type { Context } from '../access.ts'
import { copyable } from '../copy.ts'
import { telephone } from '../format.ts'
import { confirmForm, formAlert, formValue, secretInput } from '../forms.ts'
import { html, type Html } from '../html.ts'
import { translations } from '../language.ts'
import { failedForm, type Section, sectionForm, tenantPath } from './section.ts'

/** The names that the sign-in form accepts. */
const signInNames = ({ language }: Context, { numbers: [first], tenantId }: TenantShown): Html => {
  const texts = passwordTexts[language]
  return html`${texts.name}: <b>${first && telephone(first.phone)}</b> ${texts.orId(tenantId)}`
}

const newPassword = (context: Context, tenant: TenantShown, value: string): Html => {
  const texts = passwordTexts[context.language]
  return html`<section class="card">
    <h2>${texts.generated}</h2>
    <p>${signInNames(context, tenant)}</p>
    ${copyable(context.language, 'new-password', texts.password, value)}
    <p><b>${texts.once}</b></p>
    <p>${texts.signsOut}</p>
    <p><a class="button" href="${tenantPath(tenant.tenantId, 'password')}">${texts.back}</a></p>
  </section>`
}

export const password: Section = {
  once: ({ context, tenant }, _action, secret) => newPassword(context, tenant, secret),
  show: view => {
    const { context, tenant } = view
    const texts = passwordTexts[context.language]
    return html`<section class="card">
      <h2>${texts.title}</h2>
      <p class="quiet">${texts.help}</p>
      <p>${tenant.hasPassword ? texts.isSet : texts.isNotSet}</p>
      <p>${signInNames(context, tenant)}</p>
      ${formAlert(context.language, view.failed, 'set')}
      ${sectionForm(
        view,
        'password',
        'set',
        html`${secretInput({
            name: 'password',
            label: texts.new,
            help: texts.newHelp,
            failed: failedForm(view, 'set'),
          })}
          <p class="quiet">${texts.signsOut}</p>
          <button class="main">${texts.submit}</button>`,
      )}
      ${
        tenant.hasPassword &&
        context.tenantScope === null &&
        confirmForm(context, {
          id: 'end',
          open: texts.end,
          warning: texts.endMeans,
          path: tenantPath(tenant.tenantId, 'password', 'end'),
          label: texts.endYes,
        })
      }
      ${confirmForm(context, {
        id: 'sign-out',
        open: texts.signOut,
        warning: texts.signOutMeans,
        path: tenantPath(tenant.tenantId, 'password', 'sign-out'),
        label: texts.signOutYes,
      })}
    </section>`
  },
  actions: {
    set: async ({ trx, context, tenantId, form }) => {
      const texts = passwordTexts[context.language]
      const entered = formValue(form, 'password') ?? ''
      const generated = entered === '' ? generatePassword() : null
      const wanted = passwordChange.parse({ tenantId, password: generated ?? entered })
      await setPassword(trx, context.signIn, wanted)
      if (generated === null) return { flash: texts.saved }
      if (context.tenantScope === null) return { secret: generated }
      // The tenant that changed its own password is signed out now, so it sees no other page.
      return { page: newPassword(context, await showTenant(trx, tenantId), generated) }
    },
    end: async ({ trx, context, tenantId }) => {
      await setPassword(trx, context.signIn, { tenantId, password: null })
      return { flash: passwordTexts[context.language].ended }
    },
    'sign-out': async ({ trx, context, tenantId }) => {
      await signOutEverywhere(trx, context.signIn, tenantId)
      return { flash: passwordTexts[context.language].signedOut }
    },
  },
}

const passwordTexts = translations(
  {
    title: 'Sign-in of the business',
    help: 'With a password, the business can sign in here. It sees and changes only its own data.',
    isSet: 'A password is set.',
    isNotSet: 'No password is set, so the business cannot sign in.',
    name: 'Name to sign in with',
    orId: (id: string) => `or the id ${id}`,
    new: 'New password',
    newHelp: 'At least 12 characters. Leave it empty to get a generated password.',
    submit: 'Set password',
    signsOut: 'Anyone who is signed in as the business must sign in again.',
    generated: 'New password',
    password: 'Password',
    once: 'The password is shown only once. Copy it now.',
    saved: 'The new password is set.',
    end: 'Remove the password…',
    endMeans: 'The business cannot sign in until a new password is set.',
    endYes: 'Remove the password',
    signOut: 'Sign out on all devices…',
    signOutMeans:
      'Anyone who is signed in as the business must sign in again, and links that were sent to the owner no longer work. The password stays.',
    signOutYes: 'Sign out on all devices',
    signedOut: 'The business is signed out on all devices.',
    ended: 'The password was removed. The business cannot sign in.',
    back: 'Continue',
  },
  {
    title: 'כניסה של העסק',
    help: 'בעזרת סיסמה העסק יכול להיכנס לכאן. הוא רואה ומשנה רק את הנתונים שלו.',
    isSet: 'יש סיסמה.',
    isNotSet: 'אין סיסמה, ולכן העסק לא יכול להיכנס.',
    name: 'השם לכניסה',
    orId: id => `או המזהה ${id}`,
    new: 'סיסמה חדשה',
    newHelp: 'לפחות 12 תווים. אם השדה ריק, תיווצר סיסמה.',
    submit: 'קביעת סיסמה',
    signsOut: 'מי שמחובר בשם העסק יצטרך להיכנס שוב.',
    generated: 'סיסמה חדשה',
    password: 'סיסמה',
    once: 'הסיסמה מוצגת פעם אחת בלבד. יש להעתיק אותה עכשיו.',
    saved: 'הסיסמה החדשה נקבעה.',
    end: 'הסרת הסיסמה…',
    endMeans: 'העסק לא יוכל להיכנס עד שתיקבע סיסמה חדשה.',
    endYes: 'הסרת הסיסמה',
    signOut: 'יציאה בכל המכשירים…',
    signOutMeans:
      'מי שמחובר בשם העסק יצטרך להיכנס שוב, וקישורים שנשלחו לבעלי העסק לא יפעלו עוד. הסיסמה לא משתנה.',
    signOutYes: 'יציאה בכל המכשירים',
    signedOut: 'העסק מנותק בכל המכשירים.',
    ended: 'הסיסמה הוסרה. העסק לא יכול להיכנס.',
    back: 'המשך',
  },
)
