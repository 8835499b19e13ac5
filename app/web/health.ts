import { Router } from 'express'
import { sql } from 'kysely'
import { webDb } from '../db/kysely.ts'
import { log } from '../log.ts'

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
