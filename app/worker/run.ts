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
import { type Maintenance, startMaintenance } from './reconcile.ts'
import { retryingPool } from './retrying_pool.ts'
import { type Scheduler, startScheduler } from './scheduler.ts'
import { roomsFor, shareWorkers, workersFor } from './sharing.ts'
import callLog from '../../tasks/call_log.ts'
import leadOutreach from '../../tasks/lead_outreach.ts'
import leadReminder from '../../tasks/lead_reminder.ts'
import leadSilence from '../../tasks/lead_silence.ts'
import eventDelivery from '../../tasks/event_delivery.ts'
import liveCall from '../../tasks/live_call.ts'
import manual from '../../tasks/manual.ts'
import optOutConfirmation from '../../tasks/opt_out_confirmation.ts'
import ownerNotice from '../../tasks/owner_notice.ts'
import retention from '../../tasks/retention.ts'
import templateSync from '../../tasks/template_sync.ts'
import voicenterCdr from '../../tasks/voicenter_cdr.ts'
import whatsappEvent from '../../tasks/whatsapp_event.ts'

/**
 * Logs only the id and task of a job, because payloads contain phone numbers. graphile-worker warns that the pool is
 * smaller than the concurrency. That is intended: a task holds no connection while it waits for WhatsApp.
 */
export const logger = new Logger(() => (level, message, meta) => {
  if (message.includes('maxPoolSize')) return
  const job = meta?.['job']
  const ids =
    job && typeof job === 'object' && 'id' in job && 'task_identifier' in job
      ? { jobId: job.id, task: job.task_identifier }
      : {}
  const err = meta?.['error'] ?? meta?.['failure']
  const ours = { error: 'error', warning: 'warn', info: 'debug', debug: 'trace' } as const
  log[ours[level]](err ? { ...ids, err } : ids, message)
})

const DAY = 24 * 60 * 60 * 1000

/** Daily jobs. In UTC, because there no hour is skipped or repeated. */
export const cronItems: ParsedCronItem[] = parseCronItems([
  {
    task: 'retention',
    // Between 3:17 and 4:17 in Israel.
    match: '17 1 * * *',
    identifier: 'retention',
    payload: {},
    options: {
      jobKey: 'retention:old',
      maxAttempts: MAX_ATTEMPTS.retention,
      // If the worker did not run last night, the job runs at its start.
      backfillPeriod: DAY,
    },
  },
  {
    task: 'template_sync',
    match: '37 1 * * *',
    identifier: 'template_sync',
    payload: {},
    options: {
      jobKey: 'template_sync:all',
      maxAttempts: MAX_ATTEMPTS.template_sync,
      backfillPeriod: DAY,
    },
  },
])

/** All tasks. The compiler reports a missing one, and a stray file in tasks/ does not become one. */
export const taskList = {
  voicenter_cdr: voicenterCdr,
  lead_outreach: leadOutreach,
  lead_reminder: leadReminder,
  lead_silence: leadSilence,
  whatsapp_event: whatsappEvent,
  opt_out_confirmation: optOutConfirmation,
  manual,
  owner_notice: ownerNotice,
  live_call: liveCall,
  event_delivery: eventDelivery,
  call_log: callLog,
  retention,
  template_sync: templateSync,
} satisfies Record<TaskName, TaskList[string]>

const SECOND = 1000

/** The scheduler wakes the workers. They also poll, in case a wake-up is lost. */
const POLL_INTERVAL = 60 * SECOND
/** A job that still runs this long after the stop began fails, and runs again in the next process. */
const FORCE_AFTER = 18 * SECOND
/** How long the last finished jobs may take to be deleted from the queue. */
const DELETED_WITHIN = 4 * SECOND

export type RunningWorker = {
  isRunning: () => boolean
  /** Settles when the worker ends. It must not end by itself. */
  ended: Promise<void>
  stop: () => Promise<void>
}

/** What runs beside graphile-worker. */
type Helpers = {
  workerPool: WorkerPool
  maintenance: Maintenance
  scheduler: Scheduler
  heartbeat: Heartbeat
  orphanedJobs: OrphanedJobs
}

/**
 * Runs the tasks on graphile-worker. Without its local queue, because a job that waits there cannot be cancelled any
 * more. Without batched completion, because then one failed query ends the worker.
 */
export const startWorker = async (): Promise<RunningWorker> => {
  const connections = await newQueuePool()
  const started: Helpers[] = []
  try {
    return await runOn(connections, started)
  } catch (error) {
    for (const { maintenance, scheduler, heartbeat, orphanedJobs } of started) {
      orphanedJobs.stop()
      await Promise.all([maintenance.stop(), scheduler.stop(), heartbeat.stop()])
    }
    await connections.end()
    throw error
  }
}

const runOn = async (connections: pg.Pool, started: Helpers[]): Promise<RunningWorker> => {
  const pgPool = retryingPool(
    connections,
    // The pool waits until this worker is registered. If it died earlier, no other worker would find its jobs.
    async () => started[0]?.heartbeat.registered,
    () => started[0]?.orphanedJobs.suspect(),
  )
  const events: WorkerEvents = new EventEmitter()
  countJobs(events)
  const rooms = roomsFor(config().WORKER_CONCURRENCY)
  events.once('pool:create', ({ workerPool }) => {
    const { id } = workerPool
    const maintenance = startMaintenance()
    const scheduler = startScheduler(workerPool, events, connections)
    const heartbeat = startHeartbeat(id, {
      connected: maintenance.afterOutage,
      unlocked: scheduler.look,
    })
    const orphanedJobs = watchOrphanedJobs(events, connections, id)
    started.push({ workerPool, maintenance, scheduler, heartbeat, orphanedJobs })
  })
  const runner = await run({
    pgPool,
    taskList,
    events,
    logger,
    parsedCronItems: cronItems,
    forbiddenFlags: shareWorkers(events, rooms),
    // Its signal handlers would end the process when the jobs are done, although requests may be pending.
    noHandleSignals: true,
    preset: {
      worker: {
        concurrentJobs: workersFor(rooms),
        pollInterval: POLL_INTERVAL,
        // A task that watches its abort signal (call_log) ends at once. A send continues.
        gracefulShutdownAbortTimeout: 1 * SECOND,
      },
    },
  })
  const [helpers] = started
  if (!helpers) throw new Error('graphile-worker started without a worker pool')
  const { workerPool, maintenance, scheduler, heartbeat, orphanedJobs } = helpers
  let running = true
  const ended = runner.promise.finally(() => {
    running = false
  })

  const stop = async () => {
    running = false
    const helpersStopped = Promise.all([maintenance.stop(), scheduler.stop()])
    orphanedJobs.stop()
    const force = setTimeout(() => {
      // If a job cannot be marked as failed, it stays locked until another worker notices that this worker is dead.
      Promise.resolve(workerPool.forcefulShutdown('stopped before it was done')).catch(
        (err: unknown) => log.error({ err }, 'jobs were not unlocked'),
      )
    }, FORCE_AFTER)
    await runner.stop().catch((err: unknown) => log.warn({ err }, 'worker did not stop in order'))
    clearTimeout(force)
    await releaseJobs(connections, workerPool.id).catch((err: unknown) =>
      log.warn({ err }, 'jobs may still be locked by this worker'),
    )
    await helpersStopped
    await heartbeat.stop()
    await connections.end()
  }
  return { isRunning: () => running, ended, stop }
}

/**
 * graphile-worker 0.18 reports its end before the last finished jobs are deleted from the queue. If the pool ended now,
 * they would stay locked until another worker finds this one dead, and then run again.
 */
const releaseJobs = async (connections: pg.Pool, poolId: string): Promise<void> => {
  const until = performance.now() + DELETED_WITHIN
  while (performance.now() < until) {
    const { rowCount } = await connections.query(
      'select from graphile_worker.jobs where locked_by = $1',
      [poolId],
    )
    if (rowCount === 0) return
    await sleep(50)
  }
  // Orphaned, interrupted, or not deleted in time. To run a job twice is harmless.
  log.warn('jobs were still locked by this worker: unlocked')
  await connections.query('select graphile_worker.force_unlock_workers($1)', [[poolId]])
}
