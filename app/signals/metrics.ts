import type { WorkerEvents } from 'graphile-worker'
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client'

/**
 * What GET /metrics tells (docs/signals.md). Labels are ours and few: a task, a state, the id of a business. Never a
 * name, a number or anything else that a sender chooses.
 */
export const registry = new Registry()
collectDefaultMetrics({ register: registry })
const registers = [registry]

/** Which door of ours a webhook came to. */
export type Door = 'voicenter' | 'whatsapp'

export const answerSeconds = new Histogram({
  name: 'ringback_webhook_answer_seconds',
  help: 'Time from a webhook request to the end of its answer, by door and HTTP status; "cut" = gone before its answer',
  labelNames: ['door', 'status'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
})

const latenessSeconds = new Histogram({
  name: 'ringback_job_lateness_seconds',
  help: 'How late jobs were taken, by the clock of the database, by task',
  labelNames: ['task'],
  buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600],
  registers,
})

const jobErrors = new Counter({
  name: 'ringback_job_errors_total',
  help: 'Tries of a job that failed, by task; most are tried again',
  labelNames: ['task'],
  registers,
})

/** Counts what the worker of this process does. */
export const countJobs = (events: WorkerEvents): void => {
  events.on('job:start', ({ job }) => {
    // Both moments are the database's; our own clock may be an hour off.
    const late = (job.locked_at?.getTime() ?? Number.NaN) - job.run_at.getTime()
    if (!Number.isNaN(late)) latenessSeconds.observe({ task: job.task_identifier }, late / 1000)
  })
  events.on('job:error', ({ job }) => jobErrors.inc({ task: job.task_identifier }))
}
