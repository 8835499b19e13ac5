import { type Request, type RequestHandler, Router, urlencoded } from 'express'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { config } from '../../config.ts'
import { opsDb } from '../../db/kysely.ts'
import { lineOf } from '../../outreach/phone.ts'
import { html } from '../html.ts'
import { isLocal } from './door.ts'
import { cookieOf, languageOf } from './language.ts'
import { bareLayout } from './layout.ts'
import { isPassword } from './password.ts'
import { refuse } from './refuse.ts'
import { isEqual, isSession, nameIn, newSession, SESSION_MS } from './session.ts'
import { signInWords } from './words/sign_in.ts'

/** Who looks at the pages, and what their forms are bound to: the session, or without one the name. */
export type Visitor = {
  signIn: { as: 'operator' } | { as: 'tenant'; tenantId: string }
  formsOf: string
}

/** `__Host-`: only we, only over TLS, for the whole site, and no subdomain can set it. */
export const sessionCookie = (req: Request) => ({
  name: req.secure ? '__Host-ringback' : 'ringback',
  options: { httpOnly: true, sameSite: 'lax', secure: req.secure, path: '/' } as const,
})

/** Wrong passwords before one has to wait: from one address, and for one name wherever they come from. */
const byAddress = new RateLimiterMemory({ points: 10, duration: 60 })
const byName = new RateLimiterMemory({ points: 30, duration: 600 })
/** Each takes 16 MB and a core for a moment. */
const MOST_AT_ONCE = 4
let checking = 0

/** What the password of a name is checked against; null = nobody signs in by this name. */
const credentialOf = async (name: string): Promise<string | null> => {
  if (name === 'operator') return config.OPS_PASSWORD ?? null
  if (!/^\d{1,18}$/.test(name)) return null
  const tenant = await opsDb
    .selectFrom('tenants')
    .select('ops_password')
    .where('id', '=', name)
    .executeTakeFirst()
  return tenant?.ops_password ?? null
}

/** A business is known by any number that its customers dial, or by its id. */
const nameOf = async (written: string): Promise<string> => {
  const phone = lineOf(written)
  if (!phone) return written.trim().toLowerCase()
  const line = await opsDb
    .selectFrom('tenant_numbers')
    .select('tenant_id')
    .where('phone', '=', phone)
    .executeTakeFirst()
  return line?.tenant_id ?? written
}

const isRight = async (name: string, password: string, credential: string | null) => {
  if (name === 'operator') return credential !== null && isEqual(password, credential)
  checking += 1
  try {
    return await isPassword(password, credential)
  } finally {
    checking -= 1
  }
}

/** @returns the session; null when the name or the password is wrong */
const signIn = async (
  address: string,
  written: string,
  password: string,
): Promise<string | null> => {
  const name = await nameOf(written)
  const wrong = [
    [byAddress, address],
    [byName, name],
  ] as const
  for (const [limiter, key] of wrong)
    if (((await limiter.get(key))?.remainingPoints ?? 1) <= 0) refuse(429)
  if (checking >= MOST_AT_ONCE) refuse(429)
  const credential = await credentialOf(name)
  if ((await isRight(name, password.slice(0, 1000), credential)) && credential !== null)
    return newSession(name, credential, new Date())
  for (const [limiter, key] of wrong)
    await limiter.consume(key).catch((error: unknown) => {
      if (!(error instanceof RateLimiterRes)) throw error
    })
  return null
}

const visitorNamed = (name: string, formsOf: string): Visitor => ({
  signIn: name === 'operator' ? { as: 'operator' } : { as: 'tenant', tenantId: name },
  formsOf,
})

/** The operator may also show her password with each request, as Prometheus and curl do. */
const byBasic = async (req: Request): Promise<Visitor | null> => {
  const [, encoded] = /^basic +(.+)$/i.exec(req.get('authorization') ?? '') ?? []
  if (!encoded || !config.OPS_PASSWORD) return null
  const [name = '', password = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(/:(.*)/s)
  if (name !== 'operator') return null
  return (await signIn(req.ip ?? '', name, password)) ? visitorNamed(name, name) : null
}

/** Who asks; null = nobody we know. */
export const visitorOf = async (req: Request): Promise<Visitor | null> => {
  const session = cookieOf(req, sessionCookie(req).name)
  if (session) {
    const name = nameIn(session)
    const credential = await credentialOf(name)
    if (credential !== null && isSession(session, credential, new Date()))
      return visitorNamed(name, session)
  }
  const basic = await byBasic(req)
  if (basic) return basic
  // Nobody has set a password, and whoever sits at this machine has the database too.
  return !config.OPS_PASSWORD && isLocal(req) ? visitorNamed('operator', 'operator') : null
}

/** For what only the operator sees, and no browser: /metrics. */
export const operatorOnly: RequestHandler = async (req, res, next) => {
  const visitor = await visitorOf(req)
  if (visitor?.signIn.as === 'operator') return next()
  res
    .status(401)
    .set('WWW-Authenticate', 'Basic realm="ringback"')
    .json({ error: 'sign in as operator' })
}

/** Where to go after signing in: a page of ours, and no other. */
export const backOf = (path: unknown): string =>
  typeof path === 'string' && /^\/ops(?:[/?][\w\-./?=&%+]*)?$/.test(path) ? path : '/ops'

/** The form, instead of the page that was asked for. */
export const askToSignIn = (req: Request, back: string, wrong = false) => {
  const language = languageOf(req)
  const words = signInWords[language]
  return bareLayout(
    language,
    words.title,
    html`<form class="card narrow" method="post" action="/ops/sign-in">
      <h1>${words.title}</h1>
      ${wrong && html`<p role="alert">${words.wrong}</p>`}
      <input type="hidden" name="back" value="${back}" />
      <label
        >${words.name}
        <input name="name" required autocomplete="username" autocapitalize="none" dir="ltr" />
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

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

export const signInPages = Router()

signInPages.post('/sign-in', urlencoded({ extended: false, limit: '20kb' }), async (req, res) => {
  const form: unknown = req.body
  const { name, password, back } = Object(form)
  const session = await signIn(req.ip ?? '', text(name), text(password))
  if (!session) {
    res.status(401).send(askToSignIn(req, backOf(back), true))
    return
  }
  const { name: cookie, options } = sessionCookie(req)
  res.cookie(cookie, session, { ...options, maxAge: SESSION_MS })
  res.redirect(303, backOf(back))
})
