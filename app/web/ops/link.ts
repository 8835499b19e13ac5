/**
 * GET /l/<token>: the link in a notice to the owner. Programs open links to show previews, so opening it never signs
 * the visitor in. The page shows one button, and the button signs them in.
 */
import { type Request, type Response, Router } from 'express'
import { opsDb } from '../../db/kysely.ts'
import { findLink, findSession, type Link, signInByLink } from '../../tenants/sessions.ts'
import { addressCounter } from '../addresses.ts'
import { checkConnection, securityHeaders } from './access.ts'
import { abort } from './errors.ts'
import { html } from './html.ts'
import {
  LANGUAGE_COOKIE,
  LANGUAGES,
  type Language,
  languageOf,
  readCookie,
  translations,
} from './language.ts'
import { layoutTexts, plainLayout } from './layout.ts'
import { showError } from './router.ts'
import { rememberLanguage } from './sign_in.ts'
import { sessionCookie } from './sign_in_form.ts'

const HOUR_MS = 60 * 60 * 1000

/** A token has 256 random bits. After so many unknown ones a minute, an address is answered 429. */
const GUESSES_A_MINUTE = 30
const guesses = addressCounter({ windowMs: 60_000 })

const languageFor = (req: Request, link: Link | null): Language =>
  LANGUAGES.find(one => one === link?.language) ?? languageOf(req)

const targetOf = (link: Link | null): string =>
  link?.leadId ? `/ops/leads/${link.leadId}#latest` : '/ops/leads'

const showLink = (req: Request, res: Response, link: Link): void => {
  const language = languageFor(req, link)
  const texts = linkTexts[language]
  res.send(
    plainLayout(
      language,
      texts.title,
      html`<form class="card narrow" method="post">
        <h1><bdi>${link.account.business}</bdi></h1>
        <p>${texts.what}</p>
        <button class="main">${link.leadId ? texts.openPerson : texts.openList}</button>
        <p class="quiet">${texts.stays}</p>
      </form>`,
    ),
  )
}

/** The link is not valid. The visitor may sign in instead, and then sees the same page. */
const showEnded = (req: Request, res: Response, link: Link | null): void => {
  const language = languageFor(req, link)
  const why = link?.ended ?? (guesses.add(req.ip) > GUESSES_A_MINUTE ? 'slow' : 'unknown')
  const texts = linkTexts[language].ended[why]
  if (why === 'slow') res.set('Retry-After', '60')
  res.status({ old: 410, revoked: 410, unknown: 404, slow: 429 }[why]).send(
    plainLayout(
      language,
      texts.title,
      html`<div class="card narrow">
        <h1>${texts.title}</h1>
        <p>${texts.help}</p>
        <p><a class="button main" href="${targetOf(link)}">${linkTexts[language].signIn}</a></p>
      </div>`,
    ),
  )
}

/** Whether the visitor may open the page as they are: signed in as this tenant, or as the operator. */
const isSignedIn = async (req: Request, { account: { tenantId } }: Link): Promise<boolean> => {
  const { value: token } = sessionCookie(req)
  const session = token && (await findSession(opsDb, token))
  return session !== null && session !== '' && [null, tenantId].includes(session.account.tenantId)
}

export const links = Router()
links.use(securityHeaders, (_req, res, next) => {
  res.set('Referrer-Policy', 'no-referrer')
  next()
})
links.use(checkConnection)

links.get('/:token', async (req, res) => {
  const link = await findLink(opsDb, req.params.token)
  if (!link || link.ended !== null) return showEnded(req, res, link)
  if (await isSignedIn(req, link)) return res.redirect(303, targetOf(link))
  showLink(req, res, link)
})

links.post('/:token', async (req, res) => {
  // Otherwise another site could sign a visitor in to its own account and later read the texts that they enter there.
  if (req.get('sec-fetch-site') === 'cross-site') abort(403)
  const { token } = req.params
  const link = await findLink(opsDb, token)
  const isDone = link?.ended === null && (await isSignedIn(req, link))
  const signedIn = isDone ? null : await signInByLink(opsDb, token)
  if (signedIn) {
    const { name, options } = sessionCookie(req)
    const { token: value, hours } = signedIn.session
    res.cookie(name, value, { ...options, maxAge: hours * HOUR_MS })
    if (readCookie(req, LANGUAGE_COOKIE) === null) rememberLanguage(res, languageFor(req, link))
  }
  if (isDone || signedIn) return res.redirect(303, targetOf(link))
  // It may have ended a moment ago.
  showEnded(req, res, await findLink(opsDb, token))
})

links.use((req, res) => showEnded(req, res, null))
links.use(showError)

const linkTexts = translations(
  {
    title: 'Open the conversation',
    what: 'There is news for you. One tap opens it, without a password.',
    openPerson: 'Open the conversation',
    openList: 'Show who waits',
    stays:
      'This device stays signed in for 30 days. The link opens the conversations of your business, so please do not pass it on.',
    signIn: 'Sign in',
    ended: {
      old: {
        title: 'This link is no longer valid',
        help: 'A link is valid for seven days. Please use the link of a newer notice, or sign in with your password.',
      },
      revoked: {
        title: 'This link was cancelled',
        help: 'This happens when the password or the phone for notices changes, and when all devices are signed out. Please use the link of a newer notice, or sign in with your password.',
      },
      unknown: {
        title: 'We do not know this link',
        help: 'It may be old, or belong to another service, or a part of it is missing. Please use the link of a newer notice, or sign in with your password.',
      },
      slow: {
        title: layoutTexts.en.errors[429],
        help: 'Too many unknown links were opened from your network.',
      },
    },
  },
  {
    title: 'פתיחת השיחה',
    what: 'יש עדכון חדש. אפשר לפתוח אותו בלחיצה אחת, בלי סיסמה.',
    openPerson: 'פתיחת השיחה',
    openList: 'מי מחכה לתשובה',
    stays:
      'המכשיר הזה יישאר מחובר 30 יום. הקישור פותח את הפניות של העסק, ולכן אין להעביר אותו לאחרים.',
    signIn: 'כניסה',
    ended: {
      old: {
        title: 'הקישור הזה כבר לא בתוקף',
        help: 'קישור תקף שבעה ימים. אפשר לפתוח קישור מעדכון חדש יותר, או להיכנס עם סיסמה.',
      },
      revoked: {
        title: 'הקישור הזה בוטל',
        help: 'זה קורה כשמחליפים את הסיסמה או את הטלפון לעדכונים, וכשמנתקים את כל המכשירים. אפשר לפתוח קישור מעדכון חדש יותר, או להיכנס עם סיסמה.',
      },
      unknown: {
        title: 'הקישור הזה לא מוכר',
        help: 'ייתכן שהוא ישן, שהוא שייך לשירות אחר או שחסר בו חלק. אפשר לפתוח קישור מעדכון חדש יותר, או להיכנס עם סיסמה.',
      },
      slow: {
        title: layoutTexts.he.errors[429],
        help: 'נפתחו יותר מדי קישורים לא מוכרים מהרשת שלך.',
      },
    },
  },
)
