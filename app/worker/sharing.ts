import type { Worker, WorkerEvents } from 'graphile-worker'
import { sql } from 'kysely'
import type { Lane } from '../db/jobs.ts'
import { db } from '../db/kysely.ts'
import { log } from '../log.ts'

// How tenants and kinds of work share the workers of a process. Each job has its lane as a flag, and `<lane>:<tenant id>`
// if it is the work of one tenant (jobSpec in db/jobs.ts). Before a worker fetches a job, graphile-worker asks which
// flags it must skip.

/** How many jobs of each lane run at once. No lane can take the workers of another. */
export type Rooms = Record<Lane, number>

/**
 * @param concurrency WORKER_CONCURRENCY: how many messages a tenant sends at once while no other tenant sends any. A job
 * holds no connection while it waits for WhatsApp, so more workers cost little.
 */
export const roomsFor = (concurrency: number): Rooms => ({
  people: Math.max(2, Math.ceil(concurrency / 2)),
  calls: concurrency,
  rest: Math.max(2, Math.ceil(concurrency / 2)),
  sends: 2 * concurrency,
  events: concurrency,
  chores: Math.max(2, Math.ceil(concurrency / 4)),
})

export const workersFor = (rooms: Rooms): number =>
  Object.values(rooms).reduce((sum, room) => sum + room, 0)

/**
 * The flags of the jobs that a worker may not take now. In each lane, n tenants whose jobs are running may use 1 / (n + 1)
 * of its room each. So the next tenant always finds free workers, also if WhatsApp does not answer the others, and it
 * need not be known who waits.
 *
 * @param running how many running jobs have each flag
 * @param asking how many other workers are fetching a job, which may be any
 */
export const flagsToSkip = (
  running: ReadonlyMap<string, number>,
  rooms: Rooms,
  asking: number,
): string[] =>
  Object.entries(rooms).flatMap(([lane, room]) => {
    const taken = (flag: string) => (running.get(flag) ?? 0) + asking
    if (taken(lane) >= room) return [lane]
    const tenants = [...running.keys()].filter(flag => flag.startsWith(`${lane}:`))
    const share = Math.max(1, Math.floor(room / (tenants.length + 1)))
    return tenants.filter(flag => taken(flag) >= share)
  })

/** More fetches at once would only wait for a connection, and `asking` would make shares smaller. */
const MOST_ASKING = 2
/**
 * A fetch reads all due jobs that it must skip: 0.7 ms for 3,000, 40 ms for 100,000 (docs/performance.md). If it then finds
 * none, a fetch that must skip the same jobs waits, so that about this share of the time is spent on them. Each new job
 * wakes a worker: with a tenth of the time, a burst was sent more slowly.
 */
const SHARE_OF_TIME = 1 / 50
const LONGEST_PAUSE_MS = 1000
/** After a fetch that found a job and took longer, the next jobs are moved to the front. */
const SLOW_MS = 20
const MOVED = 100
/** Behind the messages of people, before all other lanes. */
const FRONT = -25

type Fetch = { skipped: string[]; since: number }

/** @returns for the option `forbiddenFlags` of graphile-worker. It settles when the worker may fetch a job. */
export const shareWorkers = (
  events: WorkerEvents,
  rooms: Rooms,
  moveForward = moveToFront,
): (() => Promise<string[]>) => {
  const running = new Map<string, number>()
  const waiting: ((skipped: string[]) => void)[] = []
  const allowed: Fetch[] = []
  const fetches = new Map<Worker, Fetch>()
  let asking = 0
  let vain: { skipped: string[]; until: number } = { skipped: [], until: 0 }
  let timer: NodeJS.Timeout | undefined
  let isMoving = false
  let isStopped = false

  const admit = () => {
    while (waiting.length > 0 && (asking < MOST_ASKING || isStopped)) {
      const skipped = flagsToSkip(running, rooms, asking)
      const since = performance.now()
      const isVain = skipped.length > 0 && vain.skipped.every(flag => skipped.includes(flag))
      if (isVain && since < vain.until && !isStopped) {
        timer ??= setTimeout(() => {
          timer = undefined
          admit()
        }, vain.until - since)
        return
      }
      asking++
      allowed.push({ skipped, since })
      waiting.shift()?.(skipped)
    }
  }

  const ended = (worker: Worker, found: boolean) => {
    const fetch = fetches.get(worker)
    if (!fetch) return
    fetches.delete(worker)
    asking--
    const now = performance.now()
    const took = now - fetch.since
    if (fetch.skipped.length > 0) {
      if (!found) {
        const pause = Math.min(took / SHARE_OF_TIME - took, LONGEST_PAUSE_MS)
        vain = { skipped: fetch.skipped, until: now + pause }
      } else if (took > SLOW_MS && !isMoving) {
        isMoving = true
        moveForward(fetch.skipped)
          .catch((err: unknown) => log.warn({ err }, 'jobs were not moved to the front'))
          .finally(() => {
            isMoving = false
          })
      }
    }
    admit()
  }
  const count = (flags: Record<string, boolean> | null, by: number) => {
    for (const flag of Object.keys(flags ?? {})) {
      const jobs = (running.get(flag) ?? 0) + by
      if (jobs > 0) running.set(flag, jobs)
      else running.delete(flag)
    }
  }
  // Workers go on in the order in which they were admitted.
  events.on('worker:getJob:start', ({ worker }) => {
    const fetch = allowed.shift()
    if (fetch) fetches.set(worker, fetch)
  })
  events.on('job:start', ({ worker, job }) => {
    count(job.flags, 1)
    ended(worker, true)
  })
  events.on('worker:getJob:empty', ({ worker }) => ended(worker, false))
  events.on('worker:getJob:error', ({ worker }) => ended(worker, false))
  events.on('job:complete', ({ job }) => {
    count(job.flags, -1)
    admit()
  })
  // The pool waits for its workers before it ends, and gives them no more jobs.
  events.on('pool:gracefulShutdown', () => {
    isStopped = true
    clearTimeout(timer)
    admit()
  })
  return () =>
    new Promise(resolve => {
      waiting.push(resolve)
      admit()
    })
}

/** Moves the next due jobs that need not be skipped before those that must be, so that fetching them is fast. */
export const moveToFront = async (skipped: string[]): Promise<void> => {
  await sql`
    select from (
      select array_agg(id order by id) as ids from (
        select id from graphile_worker.jobs
        where locked_at is null and attempts < max_attempts and run_at <= now() and priority > ${FRONT}
          and (flags ?| ${skipped}::text[]) is not true
        order by priority, run_at limit ${MOVED}) as next
      having count(*) > 0
    ) as found, graphile_worker.reschedule_jobs(found.ids, priority := ${FRONT})`.execute(db)
}
