import { Logger } from 'graphile-worker'
import { log } from '../log.ts'

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
