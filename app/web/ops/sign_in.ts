import { type Request, Router, urlencoded } from 'express'
import { z } from 'zod'
import { html } from './html.ts'
import { accountWith } from './account.ts'
import { languageOf } from './language.ts'
import { bareLayout } from './layout.ts'
import { refuse } from './refuse.ts'
import { newSession, SESSION_MS } from './session.ts'
import { sessionCookie } from './visitor.ts'
import { signInWords } from './words/sign_in.ts'

/** Where to go after signing in: a page of ours, and no other. */
export const backOf = (path: unknown): string =>
  typeof path === 'string' && /^\/ops(?:\/[\w\-/]*)?(?:\?[\w\-.+=&%]*)?$/.test(path) ? path : '/ops'

/** The form, instead of the page that was asked for. */
export const askToSignIn = (req: Request, back: string, wrong: string | null = null) => {
  const language = languageOf(req)
  const words = signInWords[language]
  return bareLayout(
    language,
    words.title,
    html`<form class="card narrow" method="post" action="/ops/sign-in">
      <h1>Ringback</h1>
      ${wrong !== null && html`<p role="alert">${words.wrong}</p>`}
      <input type="hidden" name="back" value="${back}" />
      <label
        >${words.name}
        <input
          name="name"
          value="${wrong}"
          required
          autocomplete="username"
          autocapitalize="none"
          dir="ltr"
        />
        <small>${words.nameHelp}</small></label
      >
      <label
        >${words.password}
        <input name="password" type="password" required autocomplete="current-password" dir="ltr"
      /></label>
      <button class="main">${words.enter}</button>
    </form>`,
  )
}

const credentials = z.object({
  name: z.string().catch(''),
  password: z.string().catch(''),
  back: z.string().optional().catch(undefined),
})

export const signInPages = Router()

signInPages.post('/sign-in', urlencoded({ extended: false, limit: '20kb' }), async (req, res) => {
  // Another site could sign somebody in as whom it likes, and read later what she enters.
  if (req.get('sec-fetch-site') === 'cross-site') refuse(403)
  const { name, password, back } = credentials.parse(req.body ?? {})
  const account = await accountWith(req.ip ?? '', name, password)
  if (!account) {
    res.status(401).send(askToSignIn(req, backOf(back), name.slice(0, 100)))
    return
  }
  const session = newSession(account.name, account.credential, new Date())
  const { name: cookie, options } = sessionCookie(req)
  res.cookie(cookie, session, { ...options, maxAge: SESSION_MS })
  res.redirect(303, backOf(back))
})
