/** What monitoring asks: /healthz, /readyz and /metrics, and how long the webhooks take to answer. */
import { type RequestHandler, Router } from 'express'
import { sql } from 'kysely'
import { TASK_NAMES } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { log } from '../log.ts'
import { answerSeconds, type Endpoint, readState, registry } from '../monitoring/metrics.ts'

/** Whether the worker of this process runs. Null where the role has no worker. */
export type WorkerState = () => boolean | null

/**
 * GET /healthz: the process is alive. GET /readyz: it can work, because the database answers and the worker (if the role
 * has one) runs. Ages are in seconds. Null: there is no such row.
 */
export const health = (workerState: WorkerState): Router => {
  const router = Router()
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' })
  })
  router.get('/readyz', async (_req, res) => {
    const worker = workerState()
    const ages = await readAges()
    const isReady = ages !== null && worker !== false
    res
      .status(isReady ? 200 : 503)
      .json({ status: isReady ? 'ready' : 'not ready', database: ages !== null, worker, ...ages })
  })
  return router
}

/** A job that is not due yet is no backlog. Null: the database does not answer. */
const readAges = async () => {
  try {
    const { rows } = await sql<{
      oldestDueJobSeconds: number | null
      lastWebhookSeconds: number | null
    }>`
      select
        (select extract(epoch from now() - min(run_at))::int from graphile_worker.jobs
         where run_at <= now() and locked_at is null and attempts < max_attempts
           -- No worker takes a job of a task that it does not know. /ops lists it.
           and task_identifier = any(${TASK_NAMES}::text[])) as "oldestDueJobSeconds",
        (select extract(epoch from now() - received_at)::int from raw_cdrs order by id desc limit 1) as "lastWebhookSeconds"
      `.execute(webDb)
    return rows[0] ?? null
  } catch (err) {
    log.warn({ err }, 'not ready: the database does not answer')
    return null
  }
}

/** GET /metrics, for Prometheus. server.ts restricts the access. */
export const metrics = Router()

metrics.get('/', async (_req, res) => {
  await readState()
  res.type(registry.contentType).send(await registry.metrics())
})
metrics.all('/', (_req, res) => {
  res.status(405).set('Allow', 'GET, HEAD').json({ error: 'GET the metrics here' })
})

/** Measures an answer from the head of the request to the last byte of the answer. */
export const measureAnswers =
  (door: Endpoint): RequestHandler =>
  (_req, res, next) => {
    const start = performance.now()
    res.once('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : 'cut'
      answerSeconds.observe({ door, status }, (performance.now() - start) / 1000)
    })
    next()
  }
