import type { WorkerEvents, WorkerPool } from 'graphile-worker'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { isTransient } from '../db/retry.ts'
import { log } from '../log.ts'

const SECOND = 1000
/** How often our rows are asked what has fallen due: when the next of them does, and within these bounds. */
const ASK_AT_LEAST_EVERY = 0.5 * SECOND
const ASK_AT_MOST_EVERY = 0.05 * SECOND
/** How many due ones are counted. More than this are not run at once anyway. */
const COUNTED = 50
/**
 * How often the queue itself is looked through, for what no row tells: tries that failed, and jobs that wait for
 * something else than a message's time. More rarely where that takes long.
 */
const LOOK_EVERY = 1 * SECOND
const LOOK_AT_LEAST_EVERY = 5 * SECOND
/** The share of the time that may be spent on it. */
const LOOKING = 1 / 500

export type Scheduler = {
  /** Has the queue looked through now. */
  look: () => void
  stop: () => Promise<void>
}

/**
 * Wakes as many workers as there are messages that fall due, in the moment in which they do. graphile-worker leaves it
 * to each worker to look for itself every few seconds, and before Postgres 18 each look reads an index of all future
 * jobs. To ask our rows costs five pages, however many wait.
 *
 * No row is missed: one that is due by the time it is committed is found because graphile-worker is told of its new
 * job, and any other is there to be seen when it falls due.
 */
export const startScheduler = (
  workerPool: Pick<WorkerPool, 'nudge'>,
  events: WorkerEvents,
  pool: pg.Pool,
): Scheduler => {
  const ending = new AbortController()
  const { signal } = ending
  // It may stop by itself, too, and whoever wakes a worker that has stopped is thrown an error.
  events.once('pool:gracefulShutdown', () => ending.abort())
  const wake = (workers: number) => {
    if (workers === 0 || signal.aborted) return
    try {
      workerPool.nudge(workers)
    } catch (err) {
      // A worker that has just ended: whoever it belongs to hears of that in other ways.
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
  // Where one finds a job there may be more: others look too, until one finds none.
  events.on('job:start', () => {
    if (looking) wake(1)
  })
  events.on('worker:getJob:empty', () => {
    looking = false
    lookTook = performance.now() - lookedAt
  })
  const isTimeToLook = () => {
    const every = Math.max(LOOK_EVERY, lookTook / LOOKING)
    return performance.now() - lookedAt > Math.min(every, LOOK_AT_LEAST_EVERY)
  }

  const watch = async () => {
    let since = '-infinity'
    let away = false
    while (!signal.aborted) {
      let pause = SECOND
      try {
        const { now, due, next } = await whatIsDue(pool, since)
        wake(due)
        if (isTimeToLook()) look()
        pause = Math.min(Math.max(next ?? Infinity, ASK_AT_MOST_EVERY), ASK_AT_LEAST_EVERY)
        since = now
        away = false
      } catch (err) {
        // What is wrong in our own statement must be seen; an outage passes.
        if (!away) log[isTransient(err) ? 'warn' : 'error']({ err }, 'not asked what is due')
        away = true
      }
      await sleep(pause, undefined, { signal }).catch(() => {})
    }
  }
  const watched = watch()
  return {
    look,
    stop: async () => {
      ending.abort()
      await watched
    },
  }
}

type Due = {
  /** Until when this is true, and from when to ask next: text, since a Date would lose the microseconds. */
  now: string
  /** How many fell due since the last time. */
  due: number
  /** In how many milliseconds the next does; null = nobody knows of one. */
  next: number | null
}

const whatIsDue = async (pool: pg.Pool, since: string): Promise<Due> => {
  const { rows } = await pool.query<Due>({
    name: 'what_is_due',
    // Each half reads on in its own index, and no further than it must.
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
  if (!row) throw new Error('the database does not say what is due')
  return row
}
