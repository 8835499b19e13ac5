/** Who may see /ops: the checks before each page, and what a page knows about its request. */
import { type Request, type RequestHandler, type Response, urlencoded } from 'express'
import type { Actor } from '../../audit.ts'
import { config } from '../../config.ts'
import { opsDb } from '../../db/kysely.ts'
import { type Account, findSession } from '../../tenants/sessions.ts'
import { authenticate, type Client, formToken, isValidFormToken } from './account.ts'
import { abort } from './errors.ts'
import { type Language, languageOf } from './language.ts'
import { layoutTexts } from './layout.ts'
import { type KeptForm, safePath, sessionCookie, signInForm } from './sign_in_form.ts'
import { keptForm, pageOf } from './visitor_form.ts'

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i
/** Headers that proxies and load balancers add. */
const FORWARDED =
  /^(forwarded|via|cdn-loop|x-forwarded\b.*|x-original-.*|x-envoy-.*|x-real-ip|x-request-(id|start)|x-amzn-trace-id|cf-.*|fly-.*|fastly-.*|.*(client|connecting|remote)-?(ip|addr).*)$/

/**
 * Whether the request seems to come from this machine itself. The Host header rules out DNS rebinding. A proxy on this
 * machine also connects over loopback. It is recognised only by what it adds: a header, or HTTP/1.0. A proxy that adds
 * nothing looks like this machine, so in production nothing is open to everybody on it.
 */
const isLocalRequest = (req: Request): boolean =>
  LOOPBACK.test(req.socket.remoteAddress ?? '') &&
  req.httpVersion !== '1.0' &&
  LOCAL_HOST.test(req.get('host') ?? '') &&
  !Object.keys(req.headers).some(name => FORWARDED.test(name))

/** Outside production without OPS_PASSWORD, a user of this machine is the operator: they can read the database anyway. */
const isOpenTo = (req: Request): boolean =>
  !config().OPS_PASSWORD && !config().production && isLocalRequest(req)

/** Without OPS_PASSWORD everything is off, except for this machine outside production. In production, passwords need https. */
export const checkConnection: RequestHandler = (req, _res, next) => {
  const { OPS_PASSWORD, production } = config()
  if (!OPS_PASSWORD && !isOpenTo(req))
    return abort(
      403,
      production
        ? 'Set OPS_PASSWORD: without it, /ops and /metrics are off in production.'
        : 'Set OPS_PASSWORD: without it, /ops and /metrics answer on loopback only.',
    )
  if (production && !req.secure && !isLocalRequest(req)) return abort(403, 'Only over https.')
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
  /** The visitor came from a link, and only reads and answers leads. */
  leadsOnly: boolean
  /** The CSRF tokens depend on it: the session, or the account name if there is no session. */
  formKey: string
}

const newVisitor = (
  { tenantId, business }: Omit<Account, 'credential'>,
  formKey: string,
  leadsOnly = false,
): Visitor => ({
  signIn: tenantId === null ? { as: 'operator' } : { as: 'tenant', tenantId },
  business,
  leadsOnly,
  formKey,
})

const OPERATOR = { tenantId: null, business: null }

const fromSession = async (req: Request): Promise<Visitor | null> => {
  const { value: token } = sessionCookie(req)
  const session = token && (await findSession(opsDb, token))
  return session ? newVisitor(session.account, token, session.leadsOnly) : null
}

export const clientOf = (req: Request, device: string | null): Client => ({
  address: req.ip ?? '',
  device,
  isGone: () => req.socket.destroyed,
})

/** Prometheus and curl send the operator's password with each request. */
const fromBasicAuth = async (req: Request): Promise<Visitor | null> => {
  const [, encoded = ''] = /^basic +(.+)$/i.exec(req.get('authorization') ?? '') ?? []
  const [name, password = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(/:(.*)/s)
  if (name !== 'operator' || !config().OPS_PASSWORD) return null
  const account = await authenticate(clientOf(req, null), name, password)
  if (account === 'slow') return abort(429)
  return account === 'wrong' ? null : newVisitor(account, name)
}

const visitorOf = async (req: Request): Promise<Visitor | null> =>
  (await fromSession(req)) ??
  (await fromBasicAuth(req)) ??
  (isOpenTo(req) ? newVisitor(OPERATOR, 'operator') : null)

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

/** All pages share one database connection, so one tenant must not fill its queue. */
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
  /** The signed-in tenant, which sees only its own data; null = the operator, who sees everything. */
  tenantScope: string | null
  formToken: string
  /** Path and query of this page. */
  url: string
  /** Parameters of the path and the query. A repeated one has its last value. */
  params: Record<string, string>
  /** What the last action made, if this page shows it. */
  secret: string | null
}

export type Visit = { context: Context; visitor: Visitor }

const visits = new WeakMap<Request, Visit>()
/** Forms whose visitor had to sign in first. They carry no valid form token, so nothing may be done for them. */
const resumedVisits = new WeakMap<Request, Visit>()

/** @throws status 401 if the request did not pass `requireSignIn` */
export const signedIn = (req: Request): Visit => visits.get(req) ?? abort(401)

/** The visit, if the form is only to be shown again after the visitor signed in. */
export const resumedVisit = (req: Request): Visit | null => resumedVisits.get(req) ?? null

/** The string fields of an object. A repeated field has its last value. */
export const lastValues = (fields: object): Record<string, string> =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]: [string, unknown]) => {
      const last: unknown = Array.isArray(value) ? value.at(-1) : value
      return typeof last === 'string' ? [[name, last]] : []
    }),
  )

const newVisit = (req: Request, visitor: Visitor, url: string): Visit => ({
  visitor,
  context: {
    signIn: visitor.signIn,
    language: languageOf(req),
    tenantScope: visitor.signIn.as === 'tenant' ? visitor.signIn.tenantId : null,
    formToken: formToken(visitor.formKey, new Date()),
    url,
    params: lastValues(req.query),
    secret: null,
  },
})

/** The paths that a visitor who came from a link may open. A new page is not among them, so it needs the password. */
const LEADS_PAGES = /^\/(|(leads|waiting|calls)(\/.*)?|language|sign-out)$/

/** @param path without `/ops` */
export const mayOpen = ({ leadsOnly }: Visitor, path: string): boolean =>
  !leadsOnly || LEADS_PAGES.test(path)

/** Shows the sign-in form unless the visitor is signed in. */
export const requireSignIn: RequestHandler = async (req, res, next) => {
  if (resumedVisits.has(req)) return next()
  const visitor = await visitorOf(req)
  if (!visitor || !mayOpen(visitor, req.path)) return askToSignIn(req, res, visitor !== null)
  const { signIn } = visitor
  if (signIn.as === 'tenant') limitConcurrency(signIn.tenantId, res)
  visits.set(req, newVisit(req, visitor, req.originalUrl))
  next()
}

const askToSignIn = async (req: Request, res: Response, leadsOnly: boolean): Promise<void> => {
  // A program needs this header. A browser must not get it, because it would show its own dialog over our form.
  if (!req.get('accept')?.includes('text/html'))
    res.set('WWW-Authenticate', 'Basic realm="ringback"')
  const kept = await keptForm(req, res)
  const hadSession = sessionCookie(req).value !== null
  const back = safePath(req.method === 'GET' ? req.originalUrl : kept && pageOf(req, kept))
  const notice = leadsOnly ? 'leadsOnly' : kept ? 'kept' : hadSession ? 'ended' : null
  res.status(401).send(signInForm(req, { back, kept, notice }))
}

/**
 * Lets the visitor who just signed in see a form again that they sent without a session: the request goes on as if it
 * had been sent to its path, and `action` shows the form. A handler that does not know this calls `signedIn`, and fails.
 */
export const resumeForm = (
  req: Request,
  session: { account: Account; token: string },
  { path, fields, back }: KeptForm & { back: string },
): void => {
  resumedVisits.set(req, newVisit(req, newVisitor(session.account, session.token), back))
  req.url = path.replace(/^\/ops/, '')
  req.body = fields
}

/** Accepts POST only from our own forms: another site can send a form here, but does not know the token. */
export const requireFormToken: RequestHandler[] = [
  urlencoded({ extended: false, limit: '100kb' }),
  (req, _res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD' || resumedVisits.has(req)) return next()
    const { context, visitor } = signedIn(req)
    const site = req.get('sec-fetch-site') ?? 'same-origin'
    const { form = '' } = lastValues(Object(req.body))
    if (site !== 'same-origin' || !isValidFormToken(form, visitor.formKey, new Date()))
      abort(403, layoutTexts[context.language].formExpired)
    next()
  },
]
