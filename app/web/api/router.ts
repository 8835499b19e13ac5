/**
 * /api/v1: the API for the programs of one tenant (docs/api.md). Each endpoint is a `route` in the file of its resource, and
 * calls the functions that the pages call.
 */
import { type ErrorRequestHandler, type RequestHandler, Router } from 'express'
import { sql } from 'kysely'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { config } from '../../config.ts'
import { opsDb } from '../../db/kysely.ts'
import { setConfig } from '../../db/pool.ts'
import { retryOnConflict } from '../../db/retry.ts'
import { log } from '../../log.ts'
import type { DeliverySource } from '../../voicenter/ingest.ts'
import { addressCounter } from '../addresses.ts'
import { apiSenderOf, evictToken } from '../auth.ts'
import { bodyMemory, readRawBody } from '../raw_body.ts'
import { oneAtATime } from '../turns.ts'
import { ROUTES } from './endpoints.ts'
import { BASE_PATH, openApiText } from './openapi.ts'
import { answerTo, problem } from './problem.ts'
import type { Answered, Client, Received, Route } from './route.ts'

export const api = Router()

const WINDOW_SECONDS = 60
const REQUESTS_A_MINUTE = 600
const requests = new RateLimiterMemory({ points: REQUESTS_A_MINUTE, duration: WINDOW_SECONDS })
/** With more wrong tokens a minute, an address is answered 429. A valid token is never limited because of others. */
const FAILURES_A_MINUTE = 300
const failures = addressCounter({ windowMs: WINDOW_SECONDS * 1000 })

type Locals = { sender: DeliverySource }
type Handler = RequestHandler<Record<string, string>, unknown, unknown, object, Locals>

const setHeaders: RequestHandler = (req, res, next) => {
  res.set({
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(req.secure && { 'Strict-Transport-Security': 'max-age=31536000' }),
  })
  next()
}

const unauthorized = (address: string | undefined) =>
  failures.add(address) > FAILURES_A_MINUTE
    ? problem('too_many_requests', { wait: WINDOW_SECONDS })
    : problem('unauthorized')

const requireToken: Handler = async (req, res, next) => {
  const sender = await apiSenderOf(req)
  if (!sender) throw unauthorized(req.ip)
  res.locals.sender = sender
  try {
    await requests.consume(sender.tokenHash ?? '')
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error
    throw problem('too_many_requests', { wait: Math.ceil(error.msBeforeNext / 1000) })
  }
  next()
}

const memory = bodyMemory({ roomMb: 4, senderMb: 1 })
const readBytes = readRawBody<Locals>({
  // A text of 4,096 characters takes 25 kB if each one is escaped.
  limitMb: 0.1,
  shareOf: (_req, { locals: { sender } }) => ({ memory, sender: sender.tokenHash ?? '' }),
})

const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i

const requireJson: RequestHandler = (req, _res, next) => {
  const hasBody =
    req.headers['transfer-encoding'] !== undefined || (req.get('content-length') ?? '0') !== '0'
  if (hasBody && !JSON_TYPE.test(req.get('content-type') ?? ''))
    throw problem('unsupported_media_type')
  next()
}

/** An absent body is undefined. */
const jsonIn = (body: unknown): unknown => {
  if (!Buffer.isBuffer(body) || body.length === 0) return undefined
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return parsed
  } catch (cause) {
    throw Object.assign(problem('invalid_json'), { cause })
  }
}

/** The API shares the one connection of the pages. So it uses it for one request at a time, and the tokens take turns. */
const takeTurn = oneAtATime()
/** After this time the client has probably given up. */
const MAX_WAIT_MS = 10_000
/** The pages wait for this connection. A request with a slower statement is answered 503. */
const LIMITS = { lock_timeout: '1s', statement_timeout: '2s' }

const inTransaction = ({ method, respond }: Route, sender: DeliverySource, received: Received) =>
  retryOnConflict(() =>
    opsDb
      .transaction()
      .setAccessMode(method === 'get' ? 'read only' : 'read write')
      .execute(async (trx): Promise<Answered> => {
        await sql.raw(`select ${setConfig(LIMITS, true).join()}`).execute(trx)
        return respond(trx, await clientOf(trx, sender), received)
      }),
  )

/** A token that was revoked within the last minute may have passed requireToken. */
const clientOf = async (trx: Parameters<Route['respond']>[0], sender: DeliverySource) => {
  const { rows } = await sql<{ id: string; tenantId: string }>`
    select id, tenant_id as "tenantId" from webhook_tokens
    where hash = decode(${sender.tokenHash}, 'hex') and kind = 'api' and revoked_at is null`.execute(
    trx,
  )
  const [token] = rows
  if (!token) throw problem('unauthorized')
  const client: Client = {
    tenantId: token.tenantId,
    actor: { as: 'api token', tokenId: token.id },
  }
  return client
}

const handlerOf =
  (route: Route): Handler =>
  async (req, res) => {
    const { shape } = route.request
    const { sender } = res.locals
    const received: Received = {
      ...('id' in shape && { id: req.params['id'] }),
      ...('query' in shape && { query: queryIn(req.url) }),
      ...('key' in shape && { key: req.get('idempotency-key') }),
      ...('body' in shape && { body: jsonIn(req.body) }),
    }
    const arrivedAt = performance.now()
    await route.prepare(received)
    const result = await takeTurn(sender.tokenHash ?? '', () => {
      if (req.socket.destroyed || performance.now() - arrivedAt > MAX_WAIT_MS)
        throw problem('unavailable')
      return inTransaction(route, sender, received)
    })
    if ('refused' in result) throw problem(result.refused)
    res.status(route.status).json(result.body)
  }

/** A repeated parameter becomes a list, which every schema refuses. */
const queryIn = (url: string): Record<string, string | string[]> => {
  const found = new URLSearchParams(url.split(/\?(.*)/s)[1])
  return Object.fromEntries(
    [...new Set(found.keys())].map(name => {
      const all = found.getAll(name)
      return [name, all.length === 1 ? (all[0] ?? '') : all]
    }),
  )
}

const methodsOf = (path: string): Route[] => ROUTES.filter(route => route.path === path)

const notAllowed =
  (methods: readonly string[]): RequestHandler =>
  (_req, res) => {
    res.set('Allow', methods.map(method => method.toUpperCase()).join(', '))
    throw problem('method_not_allowed')
  }

const onError: ErrorRequestHandler<object, unknown, unknown, object, Partial<Locals>> = (
  err: unknown,
  _req,
  res,
  next,
) => {
  if (res.headersSent) return next(err)
  const { status, body, wait, isFault } = answerTo(err)
  if (isFault) log.error({ err }, 'API request failed')
  else if (status >= 500) log.warn({ status }, 'API request refused')
  if (status === 401) {
    evictToken(res.locals.sender)
    res.set('WWW-Authenticate', 'Bearer realm="ringback"')
  }
  if (wait !== undefined) res.set('Retry-After', String(wait))
  res.status(status).type('application/problem+json').send(JSON.stringify(body))
}

api.use(setHeaders)
api
  .route('/openapi.json')
  .get((_req, res) => {
    res.type('json').send(openApiText(`${config().PUBLIC_URL}${BASE_PATH}`))
  })
  .all(notAllowed(['get', 'head']))
api.use(requireToken)
for (const path of new Set(ROUTES.map(route => route.path))) {
  const routes = methodsOf(path)
  const methods = routes.map(({ method }) => method)
  const endpoint = api.route(path.replaceAll(/\{(\w+)\}/g, ':$1'))
  for (const route of routes)
    if ('body' in route.request.shape)
      endpoint[route.method](requireJson, readBytes, handlerOf(route))
    else endpoint[route.method](handlerOf(route))
  endpoint.all(notAllowed(methods.includes('get') ? [...methods, 'head'] : methods))
}
api.use(() => {
  throw problem('no_such_endpoint')
})
api.use(onError)
