import type { WorkerEvents } from 'graphile-worker'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { newConnection } from '../db/pool.ts'
import { log } from '../log.ts'

const SECOND = 1000
const LOOK_EVERY = 1 * SECOND
/**
 * Dead is whose mark is missing so many times in a row. One whose session was cut needs up to five seconds to notice
 * and to mark itself again, and after a restart of the database all do.
 */
const MISSED_LOOKS = 6
const RECONNECT_AFTER = 0.5 * SECOND

export type Heartbeat = {
  /** Settles when this worker is marked as alive for the first time. */
  marked: Promise<void>
  /** Takes the mark away, last of all. */
  end: () => Promise<void>
}

/**
 * Marks this worker as alive, and frees the jobs of those that no longer are: graphile-worker itself would leave
 * the jobs of a killed process locked for four hours.
 *
 * The mark is an advisory lock of one session of its own, so Postgres takes it away in the moment the process
 * dies, and no clock is involved. If only that session was cut, and could not be renewed in time, another process may
 * run a job of ours while we still do; that no message goes out twice even then is owed to its claim
 * (app/messages/ledger.ts).
 *
 * @param poolId what graphile-worker writes into `locked_by`
 * @param onBack called each time the database answers again, the first time too
 * @param onFreed called when jobs of a dead worker were freed, of which graphile-worker tells nobody
 */
export const startHeartbeat = (
  poolId: string,
  onBack: () => void,
  onFreed: () => void = () => {},
): Heartbeat => {
  const first = Promise.withResolvers<void>()
  const ending = new AbortController()
  const { signal } = ending

  const watch = async (session: pg.Client, woken: AbortSignal) => {
    const missed = new Map<string, number>()
    let marked = false
    while (!signal.aborted) {
      // Of a session that was cut the server may not know yet, and holds our mark for it.
      marked ||= await mark(session, poolId)
      if (marked) first.resolve()
      const dead = await lookForTheDead(session, poolId, missed)
      if (dead.length && (await freeJobsOf(session, dead))) onFreed()
      await pause(LOOK_EVERY, woken)
    }
    await leave(session, poolId)
  }
  const live = async () => {
    while (!signal.aborted) {
      const session = await newConnection('liveness')
      const lost = new AbortController()
      session.once('end', () => lost.abort())
      try {
        await session.connect()
        onBack()
        await watch(session, AbortSignal.any([signal, lost.signal]))
      } catch (err) {
        log.warn({ err }, 'not marked as alive: the database does not answer')
        await pause(RECONNECT_AFTER, signal)
      } finally {
        // Without waiting: one that has fallen silent would not answer to this either.
        session.end().catch((err: unknown) => log.debug({ err }, 'liveness session ended'))
      }
    }
  }
  const lived = live()
  return {
    marked: first.promise,
    end: async () => {
      ending.abort()
      await lived
    },
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => {})

/** Before the first job is taken, so that a worker that dies at once is found too. */
const mark = async (session: pg.Client, poolId: string): Promise<boolean> => {
  const { rowCount } = await session.query(
    `insert into worker_pools (id) select $1 where pg_try_advisory_lock(hashtextextended($1, 0))
     on conflict on constraint worker_pools_key do update set id = excluded.id returning id`,
    [poolId],
  )
  return rowCount === 1
}

/** Whose mark could be had at this look, too, and at all of the last ones. */
const lookForTheDead = async (
  session: pg.Client,
  own: string,
  missed: Map<string, number>,
): Promise<string[]> => {
  const { rows } = await session.query<{ id: string }>(
    'select id from worker_pools where id <> $1 and pg_try_advisory_xact_lock(hashtextextended(id, 0))',
    [own],
  )
  const looks = rows.map(({ id }) => ({ id, times: (missed.get(id) ?? 0) + 1 }))
  missed.clear()
  for (const { id, times } of looks) missed.set(id, times)
  return looks.filter(({ times }) => times >= MISSED_LOOKS).map(({ id }) => id)
}

/** The attempt stays spent, so that a job which kills its worker ends. */
const freeJobsOf = async (session: pg.Client, dead: string[]): Promise<boolean> => {
  const { rows } = await session.query<{ id: string }>(
    `with dead as (
       delete from worker_pools where id in (
         select id from worker_pools where id = any($1) and pg_try_advisory_xact_lock(hashtextextended(id, 0)))
       returning id
     ), freed as (
       select graphile_worker.force_unlock_workers(array_agg(id)) from dead having count(*) > 0
     )
     select id from dead, freed`,
    [dead],
  )
  if (rows.length) log.warn({ workers: rows.length }, 'a worker died: its jobs go on here')
  return rows.length > 0
}

/** With a job that could not be given back it stays registered, and is found like one that died. */
const leave = async (session: pg.Client, own: string): Promise<void> => {
  await session.query(
    'delete from worker_pools where id = $1 and not exists (select from graphile_worker.jobs where locked_by = $1)',
    [own],
  )
}

/**
 * Longer than graphile-worker takes to ask again (7.5 s): what it wanted to write when its connection broke has been
 * written by then.
 */
const LOOK_AFTER_MS = 8_000
/**
 * How long a job that has ended may still be on its way to be written off, by its id and by nothing else: to free it
 * sooner could lose what was put under that id meanwhile.
 */
const WRITTEN_OFF_WITHIN_MS = 75_000

export type OrphanedJobs = { doubt: () => void; stop: () => void }

/**
 * A connection may break between the moment in which a job is locked for us and the one in which we hear of it. Then
 * nobody runs that job, we live, and so nobody else may take it. Here it is given back within seconds.
 *
 * There is no function for that in graphile-worker's public SQL (what unlocks single jobs takes only those locked for
 * four hours), so this writes into its private table; test/worker/held.test.ts notices when that changes.
 *
 * @returns `doubt`, to be called when a query of the worker's broke off
 */
export const watchOrphanedJobs = (
  events: WorkerEvents,
  pool: pg.Pool,
  poolId: string,
): OrphanedJobs => {
  const running = new Set<string>()
  /** What has ended lately, and when, the first to end first. */
  const ended = new Map<string, number>()
  events.on('job:start', ({ job }) => running.add(tryOf(job)))
  events.on('job:complete', ({ job }) => {
    const now = performance.now()
    running.delete(tryOf(job))
    ended.set(tryOf(job), now)
    for (const [name, at] of ended) {
      if (now - at < WRITTEN_OFF_WITHIN_MS) break
      ended.delete(name)
    }
  })
  let timer: NodeJS.Timeout | undefined
  let again = false
  let stopped = false

  const doubt = () => {
    again ||= timer !== undefined
    if (!stopped) timer ??= setTimeout(() => void look(), LOOK_AFTER_MS)
  }
  const look = async () => {
    try {
      const { rowCount } = await pool.query(
        `update graphile_worker._private_jobs set locked_at = null, locked_by = null
         where locked_by = $1 and locked_at < now() - interval '5 seconds'
           and id || ' ' || attempts <> all ($2::text[])`,
        [poolId, [...running, ...ended.keys()]],
      )
      if (rowCount) log.warn({ count: rowCount }, 'jobs were held and not run: they are free again')
    } catch (err) {
      again = true
      log.warn({ err }, 'jobs that are held and not run not looked for')
    }
    timer = undefined
    if (again) doubt()
    again = false
  }
  return {
    doubt,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const tryOf = ({ id, attempts }: { id: string; attempts: number }): string => `${id} ${attempts}`
