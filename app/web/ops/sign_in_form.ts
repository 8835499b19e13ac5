/** The sign-in form, and what a browser keeps after it. */
import type { Request } from 'express'
import { config } from '../../config.ts'
import { html, type Html } from './html.ts'
import { type Language, languageOf, readCookie, translations } from './language.ts'
import { layoutTexts, plainLayout } from './layout.ts'

/** Over http a cookie that is `Secure` would be lost. */
const isSecure = (req: Request): boolean => req.secure || config().PUBLIC_URL.startsWith('https:')

/** The prefix `__Host-` prevents that a subdomain or a page over http sets the cookie. */
const cookie = (req: Request, name: string) => ({
  name: isSecure(req) ? `__Host-${name}` : name,
  value: readCookie(req, isSecure(req) ? `__Host-${name}` : name),
  options: { httpOnly: true, sameSite: 'lax', secure: isSecure(req), path: '/' } as const,
})

export const sessionCookie = (req: Request) => cookie(req, 'ringback')
export const deviceCookie = (req: Request) => cookie(req, 'ringback_device')
/** A secret that is shown once (page.ts). */
export const secretCookie = (req: Request) => cookie(req, 'ringback_once')

/** A path that a form sent. Only pages of /ops are allowed, so that no link can lead to another site. */
export const safePath = (path: unknown): string =>
  typeof path === 'string' && /^\/ops(?:\/[\w\-/]*)?(?:\?[\w\-.+=&%]*)?$/.test(path) ? path : '/ops'

/** Fields of a form. A repeated field, such as ticked boxes, has all its values. */
export type Form = Record<string, string | string[]>

/** A form that was sent without a valid session. It is shown again, as it was filled in, after the visitor signed in. */
export type KeptForm = {
  /** Where it was sent to. */
  path: string
  /** Without secrets. */
  fields: Form
}

/** Fields that are never shown again, so they are not kept either. */
export const SECRET_FIELDS = ['accessToken', 'password'] as const
export type SecretField = (typeof SECRET_FIELDS)[number]

/** The names of the kept fields begin with this, apart from those of the sign-in form. */
export const KEPT = 'kept.'

export type SignInNotice = 'wrong' | 'slow' | 'ended' | 'kept' | 'leadsOnly'

type SignInForm = {
  language?: Language
  notice?: SignInNotice | null
  /** The page to show after signing in. */
  back: string
  kept?: KeptForm | null
  /** What was entered. */
  name?: string
  remember?: boolean
}

const keptInputs = ({ fields }: KeptForm): Html[] =>
  Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map(one => html`<input type="hidden" name="${KEPT}${name}" value="${one}" />`),
  )

/** A page with the form. */
export const signInForm = (
  req: Request,
  { language = languageOf(req), notice, back, kept, name, remember }: SignInForm,
): string => {
  const texts = signInTexts[language]
  const other = language === 'he' ? 'en' : 'he'
  return plainLayout(
    language,
    texts.title,
    html`<form id="sign-in" class="card narrow" method="post" action="/ops/sign-in">
      <h1>Ringback</h1>
      ${
        notice === 'leadsOnly'
          ? html`<p>${texts.notices[notice]}</p>`
          : notice && html`<p role="alert">${texts.notices[notice]}</p>`
      }
      <input type="hidden" name="back" value="${back}" />
      ${kept && html`<input type="hidden" name="path" value="${kept.path}" />`}
      ${kept && keptInputs(kept)}
      <label
        >${texts.name}
        <input
          name="name"
          value="${name}"
          required
          autocomplete="username"
          autocapitalize="none"
          dir="ltr"
        />
        <small>${texts.nameHelp}</small></label
      >
      <label
        >${texts.password}
        <input name="password" type="password" required autocomplete="current-password" dir="ltr"
      /></label>
      <label class="tick"
        ><input type="checkbox" name="remember" value="yes" ${remember === true && html`checked`} />
        <span>${texts.remember}</span></label
      >
      <button class="main">${texts.submit}</button>
      <details id="forgot">
        <summary>${texts.forgot}</summary>
        <p>${texts.forgotHelp}</p>
        <p class="quiet">${texts.forgotOperator}</p>
      </details>
      ${notice === 'leadsOnly' && html`<p><a class="alone" href="/ops/leads">${texts.toPeople}</a></p>`}
    </form>`,
    html`<button
      class="link"
      form="sign-in"
      name="language"
      value="${other}"
      lang="${other}"
      formnovalidate
    >
      ${layoutTexts[language].otherLanguage}
    </button>`,
  )
}

const signInTexts = translations(
  {
    title: 'Sign in',
    notices: {
      wrong: 'The name or the password is wrong.',
      slow: 'Too many wrong passwords were entered from your network. Please check the password and try again in a moment.',
      ended: 'You are no longer signed in. Please sign in again.',
      kept: 'You are no longer signed in, so nothing was changed. Please sign in again: what you entered is kept.',
      leadsOnly:
        'This page needs your password. A link from a notice opens only the people and their calls.',
    } satisfies Record<SignInNotice, string>,
    name: 'Name',
    nameHelp: 'The number your customers dial. The operator enters: operator',
    password: 'Password',
    remember: 'Keep me signed in on this device for 30 days',
    submit: 'Sign in',
    toPeople: 'Back to the people who wait',
    forgot: 'I forgot my password',
    forgotHelp:
      'Ask the operator, who runs this service for you, for a new password. The operator cannot see the old one.',
    forgotOperator: 'The operator’s own password is the setting OPS_PASSWORD of the program.',
  },
  {
    title: 'כניסה',
    notices: {
      wrong: 'השם או הסיסמה שגויים.',
      slow: 'הוזנו יותר מדי סיסמאות שגויות מהרשת שלך. נא לבדוק את הסיסמה ולנסות שוב בעוד רגע.',
      ended: 'החיבור הסתיים. יש להיכנס שוב.',
      kept: 'החיבור הסתיים, ולכן דבר לא השתנה. יש להיכנס שוב: מה שהוזן נשמר.',
      leadsOnly: 'לדף הזה צריך סיסמה. קישור מעדכון פותח רק את הפניות ואת השיחות.',
    },
    name: 'שם',
    nameHelp: 'המספר שהלקוחות מחייגים. המפעיל מזין: operator',
    password: 'סיסמה',
    remember: 'השארת החיבור במכשיר הזה ל־30 יום',
    submit: 'כניסה',
    toPeople: 'חזרה לפניות הממתינות',
    forgot: 'שכחתי את הסיסמה',
    forgotHelp:
      'יש לבקש סיסמה חדשה מהמפעיל, שמנהל את השירות בשבילך. המפעיל לא יכול לראות את הישנה.',
    forgotOperator: 'הסיסמה של המפעיל עצמו היא ההגדרה OPS_PASSWORD של התוכנה.',
  },
)
