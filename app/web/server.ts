import { createServer, type Server } from 'node:http'
import express, { type ErrorRequestHandler } from 'express'
import { config } from '../config.ts'
import { log } from '../log.ts'
import { health, type WorkerState } from './health.ts'
import { metrics } from './metrics.ts'
import { operatorOnly } from './ops/guard.ts'
import { ops } from './ops.ts'
import { voicenter } from './voicenter.ts'
import { whatsapp } from './whatsapp.ts'

const SECOND = 1000

/** The Express app; listens nowhere yet. */
const newApp = (workerState: WorkerState, isListening: () => boolean) => {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  // In production one router stands in front and appends the client's address; elsewhere nobody does,
  // and a client could choose its own.
  app.set('trust proxy', config.production ? 1 : false)
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
  server.listen(config.PORT)
  await new Promise((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', cause => {
      reject(
        new Error(`cannot listen on port ${config.PORT}: is another program there? Set PORT`, {
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
