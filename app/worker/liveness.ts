import type { WorkerEvents } from 'graphile-worker'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { newConnection } from '../db/pool.ts'
import { log } from '../log.ts'

const SECOND = 1000
const CHECK_EVERY = 1 * SECOND
/**
 * A worker is dead if its lock is free at so many checks in a row. A worker whose session broke needs up to five seconds
 * to take the lock again, and after a restart of the database all workers do.
 */
const DEAD_AFTER_CHECKS = 6

export type Heartbeat = {
  /** Settles when this worker is registered for the first time. */
  registered: Promise<void>
  stop: () => Promise<void>
}

type Listeners = {
  /** The database answers again, or for the first time. */
  connected?: () => void
  /** Jobs of a dead worker were unlocked. graphile-worker does not notify workers of this. */
  unlocked?: () => void
}

/**
 * Registers this worker as alive, and unlocks the jobs of dead workers. graphile-worker itself unlocks the jobs of a
 * killed process only after four hours.
 *
 * The sign of life is an advisory lock of a session of its own. Postgres releases it when the process dies, and no clock
 * is involved. If only this session breaks and cannot be renewed in time, another process may run one of our jobs while
 * we still run it. Even then no message is sent twice: its claim prevents it (messages/claim.ts).
 *
 * @param poolId what graphile-worker writes into `locked_by`
 */
export const startHeartbeat = (
  poolId: string,
  { connected, unlocked }: Listeners = {},
  checkEvery = CHECK_EVERY,
): Heartbeat => {
  const first = Promise.withResolvers<void>()
  const ending = new AbortController()
  const { signal } = ending

  const watch = async (session: pg.Client, stopped: AbortSignal) => {
    const freeChecks = new Map<string, number>()
    let isRegistered = false
    while (!signal.aborted) {
      // The server may still hold the lock for our last session, if it has not noticed yet that the session broke.
      isRegistered ||= await register(session, poolId)
      if (isRegistered) first.resolve()
      const dead = await findDead(session, poolId, freeChecks)
      if (dead.length && (await unlockJobsOf(session, dead))) unlocked?.()
      await pause(checkEvery, stopped)
    }
    await unregister(session, poolId)
  }
  const live = async () => {
    while (!signal.aborted) {
      const session = await newConnection('liveness')
      const lost = new AbortController()
      session.once('end', () => lost.abort())
      try {
        await session.connect()
        connected?.()
        await watch(session, AbortSignal.any([signal, lost.signal]))
      } catch (err) {
        log.warn({ err }, 'heartbeat interrupted: the database does not answer')
        await pause(checkEvery / 2, signal)
      } finally {
        // Not awaited, because a silent connection would not answer.
        session.end().catch((err: unknown) => log.debug({ err }, 'liveness session ended'))
      }
    }
  }
  const ended = live()
  return {
    registered: first.promise,
    stop: async () => {
      ending.abort()
      await ended
    },
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => {})

const register = async (session: pg.Client, poolId: string): Promise<boolean> => {
  const { rowCount } = await session.query(
    `insert into worker_pools (id) select $1 where pg_try_advisory_lock(hashtextextended($1, 0))
     on conflict on constraint worker_pools_key do update set id = excluded.id returning id`,
    [poolId],
  )
  return rowCount === 1
}

/** The workers whose lock was free at this check and at the checks before it. */
const findDead = async (
  session: pg.Client,
  own: string,
  freeChecks: Map<string, number>,
): Promise<string[]> => {
  const { rows } = await session.query<{ id: string }>(
    'select id from worker_pools where id <> $1 and pg_try_advisory_xact_lock(hashtextextended(id, 0))',
    [own],
  )
  const free = rows.map(({ id }) => ({ id, checks: (freeChecks.get(id) ?? 0) + 1 }))
  freeChecks.clear()
  for (const { id, checks } of free) freeChecks.set(id, checks)
  return free.filter(({ checks }) => checks >= DEAD_AFTER_CHECKS).map(({ id }) => id)
}

/** The attempt still counts, so that a job that kills its worker is not tried for ever. */
const unlockJobsOf = async (session: pg.Client, dead: string[]): Promise<boolean> => {
  const { rows } = await session.query<{ id: string }>(
    `with dead as (
       delete from worker_pools where id in (
         select id from worker_pools where id = any($1) and pg_try_advisory_xact_lock(hashtextextended(id, 0)))
       returning id
     ), unlocked as (
       select graphile_worker.force_unlock_workers(array_agg(id)) from dead having count(*) > 0
     )
     select id from dead, unlocked`,
    [dead],
  )
  if (rows.length) log.warn({ workers: rows.length }, 'a worker died: its jobs run here')
  return rows.length > 0
}

/** If a job is still locked, the worker stays registered, and other workers find it dead. */
const unregister = async (session: pg.Client, own: string): Promise<void> => {
  await session.query(
    'delete from worker_pools where id = $1 and not exists (select from graphile_worker.jobs where locked_by = $1)',
    [own],
  )
}

/** graphile-worker retries an interrupted query for up to 7.5 s. */
const CHECK_ORPHANS_AFTER = 8 * SECOND
/**
 * How long a finished job may take to be deleted from the queue. It is deleted by its id alone, so unlocking it earlier
 * could delete a new run of the job.
 */
const DELETED_WITHIN = 75 * SECOND

export type OrphanedJobs = {
  /** A query of the worker was interrupted: check soon. */
  suspect: () => void
  stop: () => void
}

/**
 * A connection may break after a job was locked for this worker and before the worker hears of it. Then the worker does
 * not run the job, and no other worker may take it while the worker lives. This unlocks such a job within seconds.
 *
 * graphile-worker has no public function for it (its function for single jobs requires a lock of four hours), so this
 * writes to its private table. test/worker/worker.test.ts fails if that table changes.
 */
export const watchOrphanedJobs = (
  events: WorkerEvents,
  pool: pg.Pool,
  poolId: string,
  checkAfter = CHECK_ORPHANS_AFTER,
): OrphanedJobs => {
  const running = new Set<string>()
  /** When each job ended, oldest first. */
  const ended = new Map<string, number>()
  events.on('job:start', ({ job }) => running.add(attemptOf(job)))
  events.on('job:complete', ({ job }) => {
    const now = performance.now()
    running.delete(attemptOf(job))
    ended.set(attemptOf(job), now)
    for (const [attempt, at] of ended) {
      if (now - at < DELETED_WITHIN) break
      ended.delete(attempt)
    }
  })
  let timer: NodeJS.Timeout | undefined
  let checkAgain = false
  let stopped = false

  const suspect = () => {
    checkAgain ||= timer !== undefined
    if (!stopped) timer ??= setTimeout(() => void check(), checkAfter)
  }
  const check = async () => {
    try {
      const { rowCount } = await pool.query(
        `update graphile_worker._private_jobs set locked_at = null, locked_by = null
         where locked_by = $1 and locked_at < now() - interval '5 seconds'
           and id || ' ' || attempts <> all ($2::text[])`,
        [poolId, [...running, ...ended.keys()]],
      )
      if (rowCount) log.warn({ count: rowCount }, 'jobs were locked and not run: unlocked')
    } catch (err) {
      checkAgain = true
      log.warn({ err }, 'jobs that are locked and not run were not checked')
    }
    timer = undefined
    if (checkAgain) suspect()
    checkAgain = false
  }
  return {
    suspect,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const attemptOf = ({ id, attempts }: { id: string; attempts: number }): string =>
  `${id} ${attempts}`
