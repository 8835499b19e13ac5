/** Signing in and out, and the choice of the language. */
import { type Request, Router, urlencoded } from 'express'
import { z } from 'zod'
import { authenticate, newSession, SESSION_MS } from './account.ts'
import { abort } from './errors.ts'
import { html } from './html.ts'
import { LANGUAGE_COOKIE, LANGUAGES, languageOf, translations } from './language.ts'
import { plainLayout } from './layout.ts'

/** The prefix `__Host-` prevents that a subdomain or a page over http sets the cookie. */
export const sessionCookie = (req: Request) => ({
  name: req.secure ? '__Host-ringback' : 'ringback',
  options: { httpOnly: true, sameSite: 'lax', secure: req.secure, path: '/' } as const,
})

/** A path that a form sent. Only pages of /ops are allowed, so that no link can lead to another site. */
export const safePath = (path: unknown): string =>
  typeof path === 'string' && /^\/ops(?:\/[\w\-/]*)?(?:\?[\w\-.+=&%]*)?$/.test(path) ? path : '/ops'

/**
 * @param back the page to show after signing in
 * @param wrongName the name that was entered with a wrong password
 */
export const signInForm = (req: Request, back: string, wrongName: string | null = null) => {
  const language = languageOf(req)
  const texts = signInTexts[language]
  return plainLayout(
    language,
    texts.title,
    html`<form class="card narrow" method="post" action="/ops/sign-in">
      <h1>Ringback</h1>
      ${wrongName !== null && html`<p role="alert">${texts.wrong}</p>`}
      <input type="hidden" name="back" value="${back}" />
      <label
        >${texts.name}
        <input
          name="name"
          value="${wrongName}"
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
      <button class="main">${texts.submit}</button>
    </form>`,
  )
}

const signInFields = z.object({
  name: z.string().catch(''),
  password: z.string().catch(''),
  back: z.string().optional().catch(undefined),
})

/** Before `requireSignIn`. */
export const signInPages = Router()

signInPages.post('/sign-in', urlencoded({ extended: false, limit: '20kb' }), async (req, res) => {
  // Otherwise another site could sign a visitor in to its own account and later read what they enter there.
  if (req.get('sec-fetch-site') === 'cross-site') abort(403)
  const { name, password, back } = signInFields.parse(req.body ?? {})
  const account = await authenticate(req.ip ?? '', name, password)
  if (!account) {
    res.status(401).send(signInForm(req, safePath(back), name.slice(0, 100)))
    return
  }
  const { name: cookie, options } = sessionCookie(req)
  res.cookie(cookie, newSession(account, new Date()), { ...options, maxAge: SESSION_MS })
  res.redirect(303, safePath(back))
})

const YEAR_MS = 365 * 24 * 60 * 60 * 1000
const languageFields = z.object({ language: z.enum(LANGUAGES), back: z.string().optional() })

/** After `requireSignIn`. */
export const sessionPages = Router()

sessionPages.post('/language', (req, res) => {
  const { data } = languageFields.safeParse(req.body)
  if (!data) return abort(400)
  res.cookie(LANGUAGE_COOKIE, data.language, { sameSite: 'lax', path: '/ops', maxAge: YEAR_MS })
  res.redirect(303, safePath(data.back))
})

sessionPages.post('/sign-out', (req, res) => {
  const { name, options } = sessionCookie(req)
  res.clearCookie(name, options)
  res.redirect(303, '/ops')
})

const signInTexts = translations(
  {
    title: 'Sign in',
    name: 'Name',
    nameHelp: 'operator, or the number your customers dial',
    password: 'Password',
    submit: 'Sign in',
    wrong: 'The name or the password is wrong.',
  },
  {
    title: 'כניסה',
    name: 'שם',
    nameHelp: 'operator, או המספר שהלקוחות מחייגים',
    password: 'סיסמה',
    submit: 'כניסה',
    wrong: 'השם או הסיסמה שגויים.',
  },
)
