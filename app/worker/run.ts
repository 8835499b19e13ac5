import {
  Logger,
  parseCronItems,
  type ParsedCronItem,
  run,
  type TaskList,
  type WorkerEvents,
  type WorkerPool,
} from 'graphile-worker'
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { config } from '../config.ts'
import { MAX_ATTEMPTS, type TaskName } from '../db/jobs.ts'
import { newQueuePool } from '../db/pool.ts'
import { log } from '../log.ts'
import { countJobs } from '../monitoring/metrics.ts'
import { type Heartbeat, type OrphanedJobs, startHeartbeat, watchOrphanedJobs } from './liveness.ts'
import { type Maintenance, startMaintenance } from './maintenance.ts'
import { retryingPool } from './retrying_pool.ts'
import { type Scheduler, startScheduler } from './scheduler.ts'
import callLog from '../../tasks/call_log.ts'
import leadOutreach from '../../tasks/lead_outreach.ts'
import leadReminder from '../../tasks/lead_reminder.ts'
import leadSilence from '../../tasks/lead_silence.ts'
import optOutConfirmation from '../../tasks/opt_out_confirmation.ts'
import ownerNotice from '../../tasks/owner_notice.ts'
import retention from '../../tasks/retention.ts'
import voicenterCdr from '../../tasks/voicenter_cdr.ts'
import whatsappEvent from '../../tasks/whatsapp_event.ts'

/**
 * Job payloads hold a phone number, so of a job only its id and task are logged. What went well is told
 * by the tasks themselves; and that the pool is smaller than the concurrency is on purpose, since a
 * task holds no connection while it waits for WhatsApp.
 */
export const logger = new Logger(() => (level, message, meta) => {
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

const DAY = 24 * 60 * 60 * 1000

/** What is done by the clock and not because of something. In UTC, so that no hour is skipped or comes twice. */
export const cronItems: ParsedCronItem[] = parseCronItems([
  {
    task: 'retention',
    // In Israel between three and half past four in the morning.
    match: '17 1 * * *',
    identifier: 'retention',
    payload: {},
    options: {
      jobKey: 'retention:old',
      maxAttempts: MAX_ATTEMPTS.retention,
      // A night that the worker slept through is made up for.
      backfillPeriod: DAY,
    },
  },
])

/**
 * Every task by its name. A list and not the folder: the compiler sees that none is missing, and no
 * stray file in tasks/ can become one.
 */
export const taskList = {
  voicenter_cdr: voicenterCdr,
  lead_outreach: leadOutreach,
  lead_reminder: leadReminder,
  lead_silence: leadSilence,
  whatsapp_event: whatsappEvent,
  opt_out_confirmation: optOutConfirmation,
  owner_notice: ownerNotice,
  call_log: callLog,
  retention,
} satisfies Record<TaskName, TaskList[string]>

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
  rounds: Maintenance
  wake: Scheduler
  alive: Heartbeat
  held: OrphanedJobs
}

/**
 * Runs the tasks on graphile-worker. Without its local queue, for what waits there can no longer be
 * cancelled, and without batched completion, for one failed write then ends the worker.
 */
export const startWorker = async (): Promise<RunningWorker> => {
  const connections = await newQueuePool()
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
  const pgPool = retryingPool(
    connections,
    // No job is taken before this worker is marked as alive, or nobody would find it if it died at once.
    async () => started[0]?.alive.marked,
    () => started[0]?.held.doubt(),
  )
  const events: WorkerEvents = new EventEmitter()
  countJobs(events)
  events.once('pool:create', ({ workerPool }) => {
    const { id } = workerPool
    const rounds = startMaintenance()
    const wake = startScheduler(workerPool, events, connections)
    const alive = startHeartbeat(id, rounds.soon, wake.look)
    const held = watchOrphanedJobs(events, connections, id)
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
        concurrentJobs: config().WORKER_CONCURRENCY,
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
