import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Logger, run, type WorkerEvents, type WorkerPool } from 'graphile-worker'
import { config } from '../config.ts'
import { newPool, WORKER_CONNECTIONS } from '../db/pool.ts'
import { log } from '../log.ts'
import { taskList } from './tasks.ts'

const SECOND = 1000

/** How often due jobs are looked for. New ones wake the worker at once; this finds those whose time has come. */
const POLL_INTERVAL = 1 * SECOND
/** A job that still runs so long after the stop began is failed, and goes on in the next process. */
const FORCE_AFTER = 18 * SECOND

export type RunningWorker = {
  isRunning: () => boolean
  /** Settles when the worker ends by itself, which it should never do. */
  ended: Promise<void>
  stop: () => Promise<void>
}

/**
 * Job payloads hold a phone number, so of a job only its id and task are logged. What went well is told
 * by the tasks themselves; and that the pool is smaller than the concurrency is on purpose, since a
 * task holds no connection while it waits for WhatsApp.
 */
const logger = new Logger(() => (level, message, meta) => {
  if (message.includes('maxPoolSize')) return
  const job = meta?.['job']
  const about =
    job && typeof job === 'object' && 'id' in job && 'task_identifier' in job
      ? { jobId: job.id, task: job.task_identifier }
      : {}
  const err = meta?.['error'] ?? meta?.['failure']
  const ours = { error: 'error', warning: 'warn', info: 'debug', debug: 'trace' } as const
  log[ours[level]](err ? { ...about, err } : about, message)
})

/**
 * Runs the tasks on graphile-worker. Without its local queue, for what waits there can no longer be
 * cancelled, and without batched completion, for one failed write then ends the worker.
 */
export const startWorker = async (): Promise<RunningWorker> => {
  const pgPool = newPool('worker', WORKER_CONNECTIONS)
  const events: WorkerEvents = new EventEmitter()
  // Not a promise of it: a WorkerPool is itself a thenable that settles only when it has stopped.
  const created: WorkerPool[] = []
  events.once('pool:create', ({ workerPool }) => void created.push(workerPool))
  const runner = await run({
    pgPool,
    taskList,
    events,
    logger,
    parsedCronItems: [],
    // Its own handlers would end the process as soon as the jobs are done, in the middle of a request.
    noHandleSignals: true,
    preset: {
      worker: {
        concurrentJobs: config.WORKER_CONCURRENCY,
        pollInterval: POLL_INTERVAL,
        gracefulShutdownAbortTimeout: FORCE_AFTER - 1 * SECOND,
      },
    },
  })
  const [workerPool] = created
  if (!workerPool) throw new Error('graphile-worker started without a worker pool')
  let running = true
  const ended = runner.promise.finally(() => {
    running = false
  })

  const stop = async () => {
    running = false
    const force = setTimeout(() => {
      // What it could not fail stays locked, and is freed by whoever looks after the jobs of dead workers.
      Promise.resolve(workerPool.forcefulShutdown('stopped before it was done')).catch(
        (err: unknown) => log.error({ err }, 'jobs not given back'),
      )
    }, FORCE_AFTER)
    await runner.stop().catch((err: unknown) => log.warn({ err }, 'worker did not stop in order'))
    clearTimeout(force)
    await nothingLockedBy(workerPool.id)
    await pgPool.end()
  }

  /**
   * graphile-worker 0.18 says it has stopped before the last job is written off. Ending the pool now
   * would leave that job locked, and it would run again in four hours.
   */
  const nothingLockedBy = async (poolId: string) => {
    for (let waited = 0; waited < 5 * SECOND; waited += 50) {
      const { rowCount } = await pgPool.query(
        'select from graphile_worker.jobs where locked_by = $1',
        [poolId],
      )
      if (rowCount === 0) return
      await sleep(50)
    }
    log.error('jobs are still locked by this worker')
  }

  return { isRunning: () => running, ended, stop }
}
