import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { run, type WorkerEvents, type WorkerPool } from 'graphile-worker'
import { config } from '../config.ts'
import { newQueuePool } from '../db/pool.ts'
import { log } from '../log.ts'
import { countJobs } from '../signals/metrics.ts'
import { type Alive, stayAlive } from './alive.ts'
import { cronItems } from './cron.ts'
import { type HeldJobs, watchHeldJobs } from './held.ts'
import { logger } from './logger.ts'
import { patient } from './pool.ts'
import { goRounds, type Rounds } from './rounds.ts'
import { taskList } from './tasks.ts'
import { type Wake, wakeInTime } from './wake.ts'

const SECOND = 1000

/** Workers are woken (wake.ts) when there is something to do. That each also looks for itself is only for safety. */
const POLL_INTERVAL = 60 * SECOND
/** A job that still runs so long after the stop began is failed, and goes on in the next process. */
const FORCE_AFTER = 18 * SECOND
/** How long the last jobs may take to be written off. */
const WRITTEN_OFF_WITHIN = 4 * SECOND

export type RunningWorker = {
  isRunning: () => boolean
  /** Settles when the worker ends by itself, which it should never do. */
  ended: Promise<void>
  stop: () => Promise<void>
}

/** What runs beside graphile-worker, for as long as it does. */
type Started = {
  workerPool: WorkerPool
  rounds: Rounds
  wake: Wake
  alive: Alive
  held: HeldJobs
}

/**
 * Runs the tasks on graphile-worker. Without its local queue, for what waits there can no longer be
 * cancelled, and without batched completion, for one failed write then ends the worker.
 */
export const startWorker = async (): Promise<RunningWorker> => {
  const connections = newQueuePool()
  const started: Started[] = []
  try {
    return await runOn(connections, started)
  } catch (error) {
    for (const { rounds, wake, alive, held } of started) {
      held.stop()
      await Promise.all([rounds.stop(), wake.stop(), alive.end()])
    }
    await connections.end()
    throw error
  }
}

const runOn = async (connections: pg.Pool, started: Started[]): Promise<RunningWorker> => {
  const pgPool = patient(
    connections,
    // No job is taken before this worker is marked as alive, or nobody would find it if it died at once.
    async () => started[0]?.alive.marked,
    () => started[0]?.held.doubt(),
  )
  const events: WorkerEvents = new EventEmitter()
  countJobs(events)
  events.once('pool:create', ({ workerPool }) => {
    const { id } = workerPool
    const rounds = goRounds()
    const wake = wakeInTime(workerPool, events, connections)
    const alive = stayAlive(id, rounds.soon, wake.look)
    const held = watchHeldJobs(events, connections, id)
    started.push({ workerPool, rounds, wake, alive, held })
  })
  const runner = await run({
    pgPool,
    taskList,
    events,
    logger,
    parsedCronItems: cronItems,
    // Its own handlers would end the process as soon as the jobs are done, in the middle of a request.
    noHandleSignals: true,
    preset: {
      worker: {
        concurrentJobs: config.WORKER_CONCURRENCY,
        pollInterval: POLL_INTERVAL,
        // What looks at its signal (call_log) ends at once; what has begun to send goes on.
        gracefulShutdownAbortTimeout: 1 * SECOND,
      },
    },
  })
  const [own] = started
  if (!own) throw new Error('graphile-worker started without a worker pool')
  const { workerPool, rounds, wake, alive, held } = own
  let running = true
  const ended = runner.promise.finally(() => {
    running = false
  })

  const stop = async () => {
    running = false
    const lookingEnded = Promise.all([rounds.stop(), wake.stop()])
    held.stop()
    const force = setTimeout(() => {
      // What it could not fail stays locked, and is freed by whoever finds us dead.
      Promise.resolve(workerPool.forcefulShutdown('stopped before it was done')).catch(
        (err: unknown) => log.error({ err }, 'jobs not given back'),
      )
    }, FORCE_AFTER)
    await runner.stop().catch((err: unknown) => log.warn({ err }, 'worker did not stop in order'))
    clearTimeout(force)
    await nothingLockedBy(workerPool.id).catch((err: unknown) =>
      log.warn({ err }, 'jobs may still be locked by this worker'),
    )
    await lookingEnded
    await alive.end()
    await connections.end()
  }

  /**
   * graphile-worker 0.18 says it has stopped before the last job is written off. Ending the pool now
   * would leave that job locked until somebody finds us dead, and then it would run again.
   */
  const nothingLockedBy = async (poolId: string) => {
    const until = performance.now() + WRITTEN_OFF_WITHIN
    while (performance.now() < until) {
      const { rowCount } = await connections.query(
        'select from graphile_worker.jobs where locked_by = $1',
        [poolId],
      )
      if (rowCount === 0) return
      await sleep(50)
    }
    // Held and not run, not written off in time, or cut in the middle: to run one again does no harm.
    log.warn('jobs were still locked by this worker: they are free again')
    await connections.query('select graphile_worker.force_unlock_workers($1)', [[poolId]])
  }

  return { isRunning: () => running, ended, stop }
}
