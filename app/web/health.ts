/** What load balancers and monitors ask: /healthz and /readyz. */
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Router } from 'express'
import { sql } from 'kysely'
import { TASK_NAMES } from '../db/jobs.ts'
import { type Trx, webDb } from '../db/kysely.ts'
import { isBeforeMigration } from '../db/retry.ts'
import { withTimeout } from '../errors.ts'
import { log } from '../log.ts'
import { partition, storeAll } from '../voicenter/ingest.ts'
import { updatesIn } from '../whatsapp/webhook.ts'
import { storing } from './monitoring.ts'
import { storeUpdates } from './whatsapp.ts'

/** Whether the worker of this process runs. Null where the role has no worker. */
export type WorkerState = () => boolean | null

const SECOND = 1000
/** However many clients ask. */
const CHECK_EVERY_MS = 1 * SECOND
/** A load balancer waits for a few seconds. */
const CHECK_WITHIN_MS = 2.5 * SECOND
const MAX_BACKLOG_SECONDS = 5 * 60

type State = {
  /** Whether webhooks can be stored. */
  webhooks: boolean
  /** Ages. Null: there is no such row. */
  oldestDueJobSeconds: number | null
  lastWebhookSeconds: number | null
}

/**
 * GET /healthz: the process is alive. GET /readyz: it can work. The database answers, webhooks can be stored, the worker
 * (if the role has one) runs, and the oldest due job is younger than five minutes. /readyz?for=webhooks ignores the
 * backlog: it tells a load balancer where to send webhooks.
 */
export const health = (workerState: WorkerState, checkEveryMs = CHECK_EVERY_MS): Router => {
  const check = sharedCheck(readState, checkEveryMs)
  const router = Router()
  router.get('/healthz', (_req, res) => {
    res.json({ status: 'ok' })
  })
  router.get('/readyz', async (req, res) => {
    const worker = workerState()
    const state = await check()
    const isBehind = (state?.oldestDueJobSeconds ?? 0) > MAX_BACKLOG_SECONDS
    const isReady =
      state?.webhooks === true && worker !== false && (!isBehind || req.query['for'] === 'webhooks')
    res
      .status(isReady ? 200 : 503)
      .json({ status: isReady ? 'ready' : 'not ready', database: state !== null, worker, ...state })
  })
  return router
}

/**
 * All clients share one check. The next one starts at the earliest `everyMs` after the last one started, and when that
 * one has ended. A check that takes long, because the database hangs, is answered without its result.
 *
 * @returns null: the check failed or took too long
 */
export const sharedCheck = <Result>(
  check: () => Promise<Result>,
  everyMs: number,
  withinMs = CHECK_WITHIN_MS,
): (() => Promise<Result | null>) => {
  let answer: Promise<Result | null> | null = null
  const start = () => {
    const work = check()
    void Promise.allSettled([work, sleep(everyMs, null, { ref: false })]).then(() => {
      answer = null
    })
    return withTimeout(withinMs, work).catch((err: unknown) => {
      if (isBeforeMigration(err)) log.warn(`not ready before the first migration: ${err.message}`)
      else log.warn({ err }, 'not ready: the database does not answer')
      return null
    })
  }
  return () => (answer ??= start())
}

/** Our commits are this long without an answer of the synchronous standby. */
const HANGING = sql`interval '2 seconds'`

const readState = async (): Promise<State | null> => {
  const { rows } = await sql<Omit<State, 'webhooks'> & { commitsHang: boolean }>`
    /* ready */
    with recursive priorities (priority) as (
      -- The index holds the priority and the time. This reads its first entry for each priority, however many jobs wait.
      (select priority from graphile_worker._private_jobs where is_available order by priority limit 1)
    union all
      select (select j.priority from graphile_worker._private_jobs j
              where j.is_available and j.priority > p.priority order by j.priority limit 1)
      from priorities p where p.priority is not null
    )
    select
      (select extract(epoch from now() - min(oldest.run_at))::int
       from priorities p, lateral (
         select j.run_at from graphile_worker._private_jobs j
         where j.is_available and j.priority = p.priority and j.run_at <= now()
           -- No worker takes a job of a task that it does not know. /ops lists it.
           and j.task_id = any ((select array_agg(id) from graphile_worker._private_tasks
                                 where identifier = any(${TASK_NAMES}::text[]))::int[])
         order by j.run_at limit 1) oldest) as "oldestDueJobSeconds",
      (select extract(epoch from now() - received_at)::int from raw_cdrs order by id desc limit 1) as "lastWebhookSeconds",
      -- Postgres ends such a wait neither after a timeout nor when the client leaves. So another commit would add one.
      exists (select from pg_stat_activity
              where datname = current_database() and application_name = 'ringback web' and wait_event = 'SyncRep'
                and query_start < now() - ${HANGING}) as "commitsHang"`.execute(webDb)
  const [row] = rows
  if (!row) return null
  const { commitsHang, ...ages } = row
  return { ...ages, webhooks: !commitsHang && (storing.isProven() || (await canStore())) }
}

const canStore = async (): Promise<boolean> => {
  try {
    const startedAt = performance.now()
    await tryToStore()
    storing.proved(startedAt)
    return true
  } catch (err) {
    log.warn({ err }, 'not ready: webhooks cannot be stored')
    return false
  }
}

const UNDO = new Error('undo')

/**
 * Stores a call record and an update of WhatsApp as the webhooks do, and rolls back. Then it commits a record that is
 * only in the WAL, because nothing else shows a full disk of the WAL, or a synchronous standby that is gone.
 */
const tryToStore = async (): Promise<void> => {
  await webDb
    .transaction()
    .execute(async trx => {
      await storeSamples(trx)
      throw UNDO
    })
    .catch((error: unknown) => {
      if (error !== UNDO) throw error
    })
  await sql`select pg_logical_emit_message(true, 'ringback', '')`.execute(webDb)
}

/** Larger than most CDRs, and random, so that it needs new pages: a nearly full disk has none. */
const SAMPLE_BYTES = 16 * 1024

const storeSamples = async (trx: Trx): Promise<void> => {
  const id = `readyz-${randomUUID()}`
  const filler = randomBytes(SAMPLE_BYTES / 2).toString('hex')
  const record = { ivruniqueid: id, status: 'ANSWER', caller: '0', did: '0', filler }
  const bytes = Buffer.from(JSON.stringify(record))
  const { valid, rejected } = partition([{ bytes, record }])
  if (rejected.length > 0) throw new Error('the sample is not a valid record')
  await storeAll(trx, [{ sender: { tenantId: null }, contentType: null, valid, rejected }])
  const updates = updatesIn({ entry: [{ id, changes: [{ field: 'readyz', value: { id } }] }] })
  await storeUpdates(updates, trx)
}
