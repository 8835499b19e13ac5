/** Signing in and out, and the choice of the language. */
import { type Request, type Response, Router } from 'express'
import { z } from 'zod'
import { opsDb } from '../../db/kysely.ts'
import { type Account, endSession, startSession } from '../../tenants/sessions.ts'
import { clientOf, requireFormToken, requireSignIn, resumeForm } from './access.ts'
import { authenticate, deviceToken } from './account.ts'
import { abort } from './errors.ts'
import { LANGUAGE_COOKIE, LANGUAGES, type Language } from './language.ts'
import {
  deviceCookie,
  type Form,
  KEPT,
  safePath,
  sessionCookie,
  signInForm,
} from './sign_in_form.ts'
import { readSignInForm } from './visitor_form.ts'

const HOUR_MS = 60 * 60 * 1000
const YEAR_MS = 365 * 24 * HOUR_MS

export const rememberLanguage = (res: Response, language: Language): void => {
  res.cookie(LANGUAGE_COOKIE, language, { sameSite: 'lax', path: '/', maxAge: YEAR_MS })
}

const languageFields = z.object({ language: z.enum(LANGUAGES), back: z.string().optional() })

/** Before `signInPages`, since these do more than to show a form. */
export const sessionPages = Router()

sessionPages.post('/language', requireSignIn, requireFormToken, (req: Request, res: Response) => {
  const { data } = languageFields.safeParse(req.body)
  if (!data) return abort(400)
  rememberLanguage(res, data.language)
  res.redirect(303, safePath(data.back))
})

sessionPages.post(
  '/sign-out',
  requireSignIn,
  requireFormToken,
  async (req: Request, res: Response) => {
    const { name, value, options } = sessionCookie(req)
    if (value) await endSession(opsDb, value)
    res.clearCookie(name, options)
    res.redirect(303, '/ops')
  },
)

const values = z.union([z.string(), z.array(z.string())])
const signInFields = z
  .object({
    name: z.string().catch(''),
    password: z.string().catch(''),
    remember: z.string().optional().catch(undefined),
    /** The button that shows the form in the other language. */
    language: z.enum(LANGUAGES).optional().catch(undefined),
    back: z.string().optional().catch(undefined),
    path: z
      .string()
      .regex(/^\/ops\/[\w\-/]+$/)
      .optional()
      .catch(undefined),
  })
  .catchall(values)

const keptFields = (fields: Record<string, unknown>): Form =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => {
      const { data } = values.safeParse(value)
      return name.startsWith(KEPT) && data !== undefined ? [[name.slice(KEPT.length), data]] : []
    }),
  )

const signIn = async (req: Request, res: Response, account: Account, remembered: boolean) => {
  const { token, hours } = await startSession(opsDb, account, { remembered })
  const session = sessionCookie(req)
  res.cookie(session.name, token, { ...session.options, maxAge: hours * HOUR_MS })
  const device = deviceCookie(req)
  res.cookie(device.name, deviceToken(account), { ...device.options, maxAge: YEAR_MS })
  return token
}

/** Before `requireSignIn`. */
export const signInPages = Router()

// After the form was shown here, such as with a wrong password, a reload must find a page.
signInPages.get('/sign-in', requireSignIn, (_req, res) => {
  res.redirect(303, '/ops')
})

signInPages.post('/sign-in', readSignInForm, async (req, res, next) => {
  // Otherwise another site could sign a visitor in to its own account and later read what they enter there.
  if (req.get('sec-fetch-site') === 'cross-site') abort(403)
  const fields = signInFields.parse(req.body ?? {})
  const { password, language, path, remember } = fields
  const form = {
    back: safePath(fields.back),
    kept: path === undefined ? null : { path, fields: keptFields(fields) },
    name: fields.name.slice(0, 100),
    remember: remember === 'yes',
  }
  if (language) {
    rememberLanguage(res, language)
    if (form.kept) res.status(401).send(signInForm(req, { ...form, language, notice: 'kept' }))
    else res.redirect(303, form.back)
    return
  }
  const client = clientOf(req, deviceCookie(req).value)
  const account = await authenticate(client, fields.name, password)
  if (account === 'wrong' || account === 'slow') {
    res.status(account === 'slow' ? 429 : 401).send(signInForm(req, { ...form, notice: account }))
    return
  }
  const token = await signIn(req, res, account, form.remember)
  if (!form.kept) return res.redirect(303, form.back)
  resumeForm(req, { account, token }, { ...form.kept, back: form.back })
  next()
})
