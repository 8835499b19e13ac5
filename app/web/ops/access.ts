/** Who may see /ops: the checks before each page, and what a page knows about its request. */
import { type Request, type RequestHandler, type Response, urlencoded } from 'express'
import type { Actor } from '../../audit.ts'
import { config } from '../../config.ts'
import {
  type Account,
  authenticate,
  findAccount,
  formToken,
  isValidFormToken,
  isValidSession,
  sessionName,
} from './account.ts'
import { abort } from './errors.ts'
import { type Language, languageOf, readCookie } from './language.ts'
import { layoutTexts } from './layout.ts'
import { sessionCookie, signInForm } from './sign_in.ts'

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i
const PROXY_HEADERS = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-real-ip',
  'forwarded',
  'via',
]

/**
 * Whether the request comes from this machine itself. A proxy on this machine also connects over loopback, but it
 * sends one of these headers, or HTTP/1.0 (nginx by default). The Host header rules out DNS rebinding.
 */
const isLocalRequest = (req: Request): boolean =>
  LOOPBACK.test(req.socket.remoteAddress ?? '') &&
  req.httpVersion !== '1.0' &&
  LOCAL_HOST.test(req.get('host') ?? '') &&
  PROXY_HEADERS.every(name => req.get(name) === undefined)

/** Without OPS_PASSWORD only this machine has access. In production, passwords need https. */
export const checkConnection: RequestHandler = (req, _res, next) => {
  if (isLocalRequest(req)) return next()
  if (!config().OPS_PASSWORD)
    return abort(403, 'Set OPS_PASSWORD: without it, /ops answers on loopback only.')
  if (config().production && !req.secure) return abort(403, 'Only over https.')
  next()
}

export const securityHeaders: RequestHandler = (req, res, next) => {
  res.set({
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Opener-Policy': 'same-origin',
    ...(req.secure && { 'Strict-Transport-Security': 'max-age=31536000' }),
  })
  next()
}

type Visitor = {
  signIn: { as: 'operator' } | { as: 'tenant'; tenantId: string }
  business: string | null
  /** The CSRF tokens depend on it: the session, or the account name if there is no session. */
  formKey: string
}

const newVisitor = ({ name, business }: Omit<Account, 'credential'>, formKey: string): Visitor => ({
  signIn: business === null ? { as: 'operator' } : { as: 'tenant', tenantId: name },
  business,
  formKey,
})

const fromSession = async (req: Request): Promise<Visitor | null> => {
  const session = readCookie(req, sessionCookie(req).name)
  const account = session && (await findAccount(sessionName(session)))
  return account && isValidSession(session, account.credential, new Date())
    ? newVisitor(account, session)
    : null
}

/** Prometheus and curl send the operator's password with each request. */
const fromBasicAuth = async (req: Request): Promise<Visitor | null> => {
  const [, encoded = ''] = /^basic +(.+)$/i.exec(req.get('authorization') ?? '') ?? []
  const [name, password = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(/:(.*)/s)
  if (name !== 'operator' || !config().OPS_PASSWORD) return null
  const account = await authenticate(req.ip ?? '', name, password)
  return account && newVisitor(account, name)
}

/** Without OPS_PASSWORD, a user of this machine is the operator: they can read the database anyway. */
const fromLoopback = (req: Request): Visitor | null =>
  !config().OPS_PASSWORD && isLocalRequest(req)
    ? newVisitor({ name: 'operator', business: null }, 'operator')
    : null

const visitorOf = async (req: Request): Promise<Visitor | null> =>
  (await fromSession(req)) ?? (await fromBasicAuth(req)) ?? fromLoopback(req)

/** For /metrics, which programs read. */
export const operatorOnly: RequestHandler[] = [
  checkConnection,
  async (req, res, next) => {
    if ((await visitorOf(req))?.signIn.as === 'operator') return next()
    res.status(401).set('WWW-Authenticate', 'Basic realm="ringback"')
    res.json({ error: 'sign in as operator, with OPS_PASSWORD' })
  },
]

/** A browser sends about six requests at once. */
const MAX_REQUESTS = 8
const running = new Map<string, number>()

/** All pages share one database connection, so one business must not fill its queue. */
const limitConcurrency = (tenantId: string, res: Response): void => {
  const others = running.get(tenantId) ?? 0
  if (others >= MAX_REQUESTS) abort(429)
  running.set(tenantId, others + 1)
  res.once('close', () => {
    const left = (running.get(tenantId) ?? 1) - 1
    if (left === 0) running.delete(tenantId)
    else running.set(tenantId, left)
  })
}

/** What a page knows about its request. */
export type Context = {
  signIn: Actor
  language: Language
  /** The signed-in business, which sees only its own data; null = the operator, who sees everything. */
  tenantScope: string | null
  formToken: string
  /** Path and query of this page. */
  url: string
  /** Parameters of the path and the query. A repeated one has its last value. */
  params: Record<string, string>
}

const contexts = new WeakMap<Request, { context: Context; visitor: Visitor }>()

/** @throws status 401 if the request did not pass `requireSignIn` */
export const signedIn = (req: Request) => contexts.get(req) ?? abort(401)

/** The string fields of an object. A repeated field has its last value. */
export const lastValues = (fields: object): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]: [string, unknown]) => {
      const last: unknown = Array.isArray(value) ? value.at(-1) : value
      return typeof last === 'string' ? [[name, last]] : []
    }),
  )

/** Shows the sign-in form unless the visitor is signed in. */
export const requireSignIn: RequestHandler = async (req, res, next) => {
  const visitor = await visitorOf(req)
  if (!visitor) {
    res.status(401)
    // A program needs this header. A browser must not get it, because it would show its own dialog over our form.
    if (!req.get('accept')?.includes('text/html'))
      res.set('WWW-Authenticate', 'Basic realm="ringback"')
    res.send(signInForm(req, req.method === 'GET' ? req.originalUrl : '/ops'))
    return
  }
  const { signIn } = visitor
  if (signIn.as === 'tenant') limitConcurrency(signIn.tenantId, res)
  const context = {
    signIn,
    language: languageOf(req),
    tenantScope: signIn.as === 'tenant' ? signIn.tenantId : null,
    formToken: formToken(visitor.formKey, new Date()),
    url: req.originalUrl,
    params: lastValues(req.query),
  }
  contexts.set(req, { context, visitor })
  next()
}

/** Accepts POST only from our own forms: another site can send a form here, but does not know the token. */
export const requireFormToken: RequestHandler[] = [
  urlencoded({ extended: false, limit: '100kb' }),
  (req, _res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD') return next()
    const { context, visitor } = signedIn(req)
    const site = req.get('sec-fetch-site') ?? 'same-origin'
    const { form = '' } = lastValues(Object(req.body))
    if (site !== 'same-origin' || !isValidFormToken(form, visitor.formKey, new Date()))
      abort(403, layoutTexts[context.language].formExpired)
    next()
  },
]
