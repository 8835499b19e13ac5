/** The web server: its routes, its limits and its shutdown. */
import express, { type ErrorRequestHandler, type Express, type Router } from 'express'
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { config } from '../config.ts'
import { isBeforeMigration } from '../db/retry.ts'
import { startupError } from '../errors.ts'
import { http } from '../http.ts'
import { log } from '../log.ts'
import { BASE_PATH } from './api/openapi.ts'
import { api } from './api/router.ts'
import { health, type WorkerState } from './health.ts'
import { metrics } from './monitoring.ts'
import { operatorOnly } from './ops/access.ts'
import { links } from './ops/link.ts'
import { ops } from './ops/router.ts'
import { popup } from './popup.ts'
import { voicenter } from './voicenter.ts'
import { whatsapp } from './whatsapp.ts'

/** A request that has not finished this long after the stop began is cut off. */
const CUT_AFTER_MS = 18_000

/**
 * Stops a server without cutting off requests: requests that have arrived are answered with `Connection: close`. Node
 * alone would keep idle keep-alive connections open.
 *
 * @returns stops the server; call it once
 */
export const gracefulShutdown = (server: Server): (() => Promise<void>) => {
  /**
   * The pending answer of each connection, the last one if there are several. A set of answers doubled the time of
   * garbage collection: every few dozen additions it moved to a new table, and the old table kept its answers alive.
   */
  const pending = new Map<Socket, ServerResponse | null>()
  server.on('connection', (socket: Socket) => {
    pending.set(socket, null)
    socket.once('close', () => pending.delete(socket))
  })
  server.prependListener('request', ({ socket }, res) => {
    pending.set(socket, res)
    res.on('close', () => {
      if (pending.get(socket) === res) pending.set(socket, null)
      // If the head had been sent before the stop, the connection would stay open until the client closes it.
      if (!server.listening) server.closeIdleConnections()
    })
    if (!server.listening) closeAfter(res)
  })
  return async () => {
    const closed = once(server, 'close')
    server.close()
    for (const res of pending.values()) if (res) closeAfter(res)
    const cut = setTimeout(() => server.closeAllConnections(), CUT_AFTER_MS)
    await closed
    clearTimeout(cut)
  }
}

/** Of a body that is not wanted, each connection may send one chunk (64 kB) per pause. */
const DISCARD_PAUSE_MS = 50

/**
 * Slows down the rest of a body that was answered before it had arrived, such as one with a wrong token. Node alone would
 * read and discard it as fast as it comes, and a few such clients would take all of the time.
 */
const discardSlowly = (req: IncomingMessage, res: ServerResponse): void => {
  if (isShort(req)) return
  // Before Node's own listener, which discards a body that nothing has read.
  res.prependOnceListener('finish', () => {
    if (req.complete) return
    req.on('data', () => {
      req.pause()
      setTimeout(() => req.resume(), DISCARD_PAUSE_MS).unref()
    })
  })
}

/** No body, or one that costs no more than the head of a request may: Node reads 16 kB of a head as fast as they come. */
const isShort = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] === undefined &&
  Number(headers['content-length'] ?? 0) <= http.maxHeaderSize

/** Requests of one connection that Node reads at once. No client of ours sends the next one before the last is answered. */
const MAX_PIPELINED = 16

/**
 * Node handles all requests that it has read at once before anything else. So ten connections with thousands of tiny
 * requests would take all of the time.
 *
 * @returns whether the connection of this request sends too many, and was closed
 */
const pipeliningGuard = (): ((req: IncomingMessage) => boolean) => {
  const counts = new Map<Socket, number>()
  return ({ socket }) => {
    if (counts.size === 0) setImmediate(() => counts.clear())
    const count = (counts.get(socket) ?? 0) + 1
    counts.set(socket, count)
    if (count > MAX_PIPELINED) socket.destroy()
    return socket.destroyed
  }
}

const closeAfter = (res: ServerResponse): void => {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}

/**
 * Express gives each request and answer another prototype, after which V8 finds their fields more slowly. Objects of these
 * classes have that prototype from the start, so Express changes nothing.
 */
const messageClasses = (app: Express) => {
  class ExpressRequest extends http.IncomingMessage {}
  class ExpressResponse extends http.ServerResponse {}
  const [request, response] = [ExpressRequest.prototype, ExpressResponse.prototype]
  Object.setPrototypeOf(request, app.request)
  Object.setPrototypeOf(response, app.response)
  Object.assign(app, { request, response })
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse }
}

const SECOND = 1000

const newApp = (healthRouter: Router, isListening: () => boolean) => {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  // In production a router in front appends the client's address. Elsewhere a client could invent its own address.
  app.set('trust proxy', config().production ? 1 : false)
  // A request on an old connection during the stop. Another process stores it when it is sent again.
  app.use((_req, _res, next) => {
    if (isListening()) next()
    else next(Object.assign(new Error('stopping'), { status: 503 }))
  })
  app.use(voicenter)
  app.use(popup)
  app.use(whatsapp)
  app.use(BASE_PATH, api)
  app.use(healthRouter)
  app.use('/ops', ops)
  app.use('/l', links)
  app.get('/', (_req, res) => res.redirect('/ops'))
  app.use('/metrics', operatorOnly, metrics)
  app.use((_req, res) => {
    res.status(404).json({ error: 'not found' })
  })
  app.use(onError)
  return app
}

const PUBLIC_REASON: Record<number, string> = {
  400: 'the body did not arrive whole',
  403: 'needs OPS_PASSWORD and https; outside production this very machine needs neither',
  408: 'the body took too long',
  413: 'the body is too large (of a call record: larger than 5 MB)',
  415: 'compressed bodies are not read here',
  429: 'too many wrong passwords; wait a minute',
  503: 'not stored; please send it again',
}

/** Details of an internal error go only into the log. */
const onError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  const found = error instanceof Error && 'status' in error ? Number(error.status) : 500
  // Any other error may pass, such as a database that does not answer: the sender tries again.
  const status = found in PUBLIC_REASON ? found : 503
  const isRejection = error instanceof Error && 'isRejection' in error
  if (isBeforeMigration(error))
    log.warn(`request refused before the first migration: ${error.message}`)
  else if (status >= 500 && !isRejection) log.error({ err: error }, 'request failed')
  else log.warn({ status }, 'request refused')
  if (status === 503) res.set('Retry-After', '5')
  res.status(status).json({ Err: status === 503 ? 2 : 1, Errdesc: PUBLIC_REASON[status] })
}

/** Says why the port cannot be used, and what to do. */
const portProblem = (cause: Error): string => {
  const { PORT } = config()
  const code = 'code' in cause ? cause.code : ''
  if (code === 'EADDRINUSE')
    return `cannot listen on port ${PORT}: another program uses it. End that program, or choose another port: PORT=${PORT + 1} npm start`
  if (code === 'EACCES')
    return `cannot listen on port ${PORT}: this user may not use a port below 1024. Choose another: PORT=3000 npm start`
  return `cannot listen on port ${PORT}: ${cause.message}. Set PORT`
}

/** @param checkEveryMs how often /readyz asks the database at most */
export const startWeb = async (
  workerState: WorkerState,
  checkEveryMs?: number,
): Promise<Server> => {
  const app = newApp(health(workerState, checkEveryMs), () => server.listening)
  const server = http.createServer({
    ...messageClasses(app),
    // Slow senders are cut off. Node checks these limits at every connectionsCheckingInterval.
    headersTimeout: 10 * SECOND,
    requestTimeout: 15 * SECOND,
    connectionsCheckingInterval: 2 * SECOND,
    // Longer than the router keeps idle connections (Heroku: 90 s). Otherwise the router could send a webhook on a
    // connection that is being closed.
    keepAliveTimeout: 95 * SECOND,
  })
  const isPipelining = pipeliningGuard()
  server.on('request', (req, res) => {
    if (isPipelining(req)) return
    discardSlowly(req, res)
    app(req, res)
  })
  server.listen(config().PORT)
  await new Promise((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', cause => reject(startupError(portProblem(cause))))
  })
  return server
}

/** The port it listens on. With PORT=0, the free port that it got. */
export const portOf = (server: Server): number | null => {
  const address = server.address()
  return address && typeof address === 'object' ? address.port : null
}
