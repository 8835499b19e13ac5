import express, { type ErrorRequestHandler, Router } from 'express'
import { sql } from 'kysely'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { config } from '../config.ts'
import { webDb } from '../db/kysely.ts'
import { log } from '../log.ts'
import { metrics } from './metrics.ts'
import { operatorOnly } from './ops/guard.ts'
import { ops } from './ops/router.ts'
import { voicenter } from './voicenter.ts'
import { whatsapp } from './whatsapp.ts'

/** A request that is still not through so long after the stop began never will be. */
const CUT_AFTER_MS = 18_000

/**
 * What it takes to stop a server without cutting anybody off: requests that have arrived are answered, and told that
 * their connection ends; Node alone would let it live on for as long as it is kept alive.
 *
 * @returns how to stop it, to be called once
 */
export const gracefulShutdown = (server: Server): (() => Promise<void>) => {
  /**
   * The answer that is due on each connection, the last if several are. Not a set of answers: every few dozen
   * of them a set moves to a new table, and what V8 leaves behind of the old one keeps all answers that it held from
   * being collected soon, which doubled what garbage collection takes.
   */
  const due = new Map<Socket, ServerResponse | null>()
  server.on('connection', (socket: Socket) => {
    due.set(socket, null)
    socket.once('close', () => due.delete(socket))
  })
  server.prependListener('request', ({ socket }, res) => {
    due.set(socket, res)
    res.once('close', () => {
      if (due.get(socket) === res) due.set(socket, null)
      // One whose head was out before we could tell: its connection would stay until the other side ends it.
      if (!server.listening) server.closeIdleConnections()
    })
    if (!server.listening) lastOne(res)
  })
  return async () => {
    const closed = once(server, 'close')
    server.close()
    for (const res of due.values()) if (res) lastOne(res)
    const cut = setTimeout(() => server.closeAllConnections(), CUT_AFTER_MS)
    await closed
    clearTimeout(cut)
  }
}

const lastOne = (res: ServerResponse): void => {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}

/** Whether this process's worker runs; null where the role has none. */
export type WorkerState = () => boolean | null

/**
 * GET /healthz: the process is alive. GET /readyz: it can work, that is, the database answers and the
 * worker runs where there is one; ages in seconds, null = none.
 */
export const health = (workerState: WorkerState): Router => {
  const router = Router()
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' })
  })
  router.get('/readyz', async (_req, res) => {
    const worker = workerState()
    const database = await ages()
    res.status(database && worker !== false ? 200 : 503).json({
      status: database && worker !== false ? 'ready' : 'not ready',
      database: database !== null,
      worker,
      ...database,
    })
  })
  return router
}

/** A job that is not due yet is no backlog. */
const ages = async () => {
  try {
    const { rows } = await sql<{
      oldestDueJobSeconds: number | null
      lastWebhookSeconds: number | null
    }>`
      select
        (select extract(epoch from now() - min(run_at))::int from graphile_worker.jobs
         where run_at <= now() and locked_at is null and attempts < max_attempts) as "oldestDueJobSeconds",
        (select extract(epoch from now() - received_at)::int from raw_cdrs order by id desc limit 1) as "lastWebhookSeconds"
      `.execute(webDb)
    return rows[0] ?? null
  } catch (err) {
    log.warn({ err }, 'not ready: the database does not answer')
    return null
  }
}

const SECOND = 1000

/** The Express app; listens nowhere yet. */
const newApp = (workerState: WorkerState, isListening: () => boolean) => {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  // In production one router stands in front and appends the client's address; elsewhere nobody does,
  // and a client could choose its own.
  app.set('trust proxy', config().production ? 1 : false)
  // Whoever comes on an old connection while we stop: another copy, or the next one, will store it.
  app.use((_req, _res, next) => {
    if (isListening()) next()
    else next(Object.assign(new Error('stopping'), { status: 503 }))
  })
  app.use(voicenter)
  app.use(whatsapp)
  app.use(health(workerState))
  app.use('/ops', ops)
  app.use('/metrics', operatorOnly, metrics)
  app.use((_req, res) => {
    res.status(404).json({ error: 'not found' })
  })
  app.use(onError)
  return app
}

const PUBLIC_REASON: Record<number, string> = {
  400: 'the body did not arrive whole',
  403: 'only over https with OPS_PASSWORD, or from this very machine',
  408: 'the body took too long',
  413: 'the body is too large (of a call record: larger than 5 MB)',
  415: 'compressed bodies are not read here',
  429: 'too many wrong passwords; wait a minute',
  503: 'not stored; please send it again',
}

/** From 500 on the sender hears nothing about the inside; the log has it. */
const onError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  const found = error instanceof Error && 'status' in error ? Number(error.status) : 500
  // Without the database we can neither check a credential nor store: come again.
  const status = found in PUBLIC_REASON ? found : 503
  if (status >= 500) log.error({ err: error }, 'request failed')
  else log.warn({ status }, 'request refused')
  if (status === 503) res.set('Retry-After', '5')
  res.status(status).json({ Err: status === 503 ? 2 : 1, Errdesc: PUBLIC_REASON[status] })
}

/**
 * Starts listening.
 *
 * @param workerState whether the worker of this process runs; null where the role has none
 */
export const startWeb = async (workerState: WorkerState): Promise<Server> => {
  const server = createServer({
    // A sender that dawdles is cut off; the limits act within connectionsCheckingInterval.
    headersTimeout: 10 * SECOND,
    requestTimeout: 15 * SECOND,
    connectionsCheckingInterval: 2 * SECOND,
    // Longer than a router keeps idle connections (Heroku: 90 s), or it would send a webhook into
    // one that we are closing.
    keepAliveTimeout: 95 * SECOND,
  })
  server.on(
    'request',
    newApp(workerState, () => server.listening),
  )
  server.listen(config().PORT)
  await new Promise((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', cause => {
      reject(
        new Error(`cannot listen on port ${config().PORT}: is another program there? Set PORT`, {
          cause,
        }),
      )
    })
  })
  return server
}

/** Where it listens: PORT, or of PORT=0 the free one it was given. */
export const portOf = (server: Server): number | null => {
  const address = server.address()
  return address && typeof address === 'object' ? address.port : null
}
