import type { WorkerEvents, WorkerPool } from 'graphile-worker'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { isTransient } from '../db/retry.ts'
import { log } from '../log.ts'

const SECOND = 1000
/** The rows are read when the next one falls due, within these limits. */
const READ_AT_LEAST_EVERY = 0.5 * SECOND
const READ_AT_MOST_EVERY = 0.05 * SECOND
/** More due rows are not counted: more jobs do not run at once anyway. */
const COUNTED = 50
/**
 * How often a worker looks for jobs that no row announces, for example retries. Less often if looking takes long, up to
 * five seconds: at most 1/500 of the time is spent on it.
 */
const LOOK_EVERY = 1 * SECOND
const LOOK_AT_LEAST_EVERY = 5 * SECOND
const SHARE_OF_TIME = 1 / 500

export type Scheduler = {
  /** A worker looks for jobs now. */
  look: () => void
  stop: () => Promise<void>
}

/**
 * Wakes as many workers as messages fall due, at the moment they do. By itself each worker of graphile-worker polls every
 * few seconds, and before Postgres 18 each poll reads an index of all future jobs. Reading our rows costs five pages,
 * however many wait.
 *
 * No row is missed. If a row is already due when it is committed, graphile-worker is notified of its new job. Any other
 * row is found here.
 */
export const startScheduler = (
  workerPool: Pick<WorkerPool, 'nudge'>,
  events: WorkerEvents,
  pool: pg.Pool,
): Scheduler => {
  const ending = new AbortController()
  const { signal } = ending
  // The pool may also stop by itself. To wake a worker of a stopped pool throws.
  events.once('pool:gracefulShutdown', () => ending.abort())
  const wake = (workers: number) => {
    if (workers === 0 || signal.aborted) return
    try {
      workerPool.nudge(workers)
    } catch (err) {
      log.warn({ err }, 'a worker was not woken')
    }
  }

  let looking = false
  let lookedAt = performance.now()
  let lookTook = 0
  const look = () => {
    looking = true
    wake(1)
  }
  events.on('worker:getJob:start', () => {
    lookedAt = performance.now()
  })
  // If one worker finds a job, another one looks too, until one finds none.
  events.on('job:start', () => {
    if (looking) wake(1)
  })
  events.on('worker:getJob:empty', () => {
    looking = false
    lookTook = performance.now() - lookedAt
  })
  const isTimeToLook = () => {
    const every = Math.max(LOOK_EVERY, lookTook / SHARE_OF_TIME)
    return performance.now() - lookedAt > Math.min(every, LOOK_AT_LEAST_EVERY)
  }

  const watch = async () => {
    let since = '-infinity'
    let isAway = false
    while (!signal.aborted) {
      let pause = SECOND
      try {
        const { now, due, next } = await readDueRows(pool, since)
        wake(due)
        if (isTimeToLook()) look()
        pause = Math.min(Math.max(next ?? Infinity, READ_AT_MOST_EVERY), READ_AT_LEAST_EVERY)
        since = now
        isAway = false
      } catch (err) {
        // An outage ends by itself. Any other error is a bug in our own statement.
        if (!isAway) log[isTransient(err) ? 'warn' : 'error']({ err }, 'due rows were not read')
        isAway = true
      }
      await sleep(pause, undefined, { signal }).catch(() => {})
    }
  }
  const ended = watch()
  return {
    look,
    stop: async () => {
      ending.abort()
      await ended
    },
  }
}

type Due = {
  /** The time of this reading, where the next one starts. As text, because a Date loses the microseconds. */
  now: string
  /** How many rows fell due since the last reading. */
  due: number
  /** Milliseconds until the next row falls due; null = there is none. */
  next: number | null
}

const readDueRows = async (pool: pg.Pool, since: string): Promise<Due> => {
  const { rows } = await pool.query<Due>({
    name: 'due_rows',
    // Each half reads a short range of its own index.
    text: `
      select now()::text as now, count(*) filter (where due_at <= now())::int as due,
             ceil(1000 * extract(epoch from min(due_at) filter (where due_at > now()) - now()))::float8 as next
      from (
        (select outreach_due_at from missed_calls
         where outreach_state in ('scheduled', 'sending') and outreach_due_at > $1
         order by outreach_due_at limit ${COUNTED})
        union all
        (select due_at from messages
         where state in ('scheduled', 'sending') and due_at > $1
         order by due_at limit ${COUNTED})
      ) as waiting (due_at)`,
    values: [since],
  })
  const [row] = rows
  if (!row) throw new Error('no row returned')
  return row
}
