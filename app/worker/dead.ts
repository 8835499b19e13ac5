import { sql } from 'kysely'
import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { giveUp } from './give_up.ts'

// A job that was tried to its end stays in the queue for a person to look at, and as long as it does, nobody adds
// another for its row (due.ts).

export type DeadJob = {
  id: string
  task: string
  /** `<task>:<entity>` */
  key: string
  attempts: number
  lastError: string | null
  /** When its last try ended. */
  diedAt: Date
}

/** One without a key was replaced while it ran: another does its work (clearReplaced in due.ts). */
const IS_DEAD = sql`attempts >= max_attempts and locked_at is null and key is not null`

/** The dead jobs, those that died last first. */
export const deadJobs = async (trx: Trx, limit: number): Promise<DeadJob[]> => {
  const { rows } = await sql<DeadJob>`
    select id, task_identifier as task, key, attempts, last_error as "lastError", updated_at as "diedAt"
    from graphile_worker.jobs where ${IS_DEAD} order by updated_at desc, id desc limit ${limit}`.execute(
    trx,
  )
  return rows
}

/**
 * Tries again from the beginning: one, or all dead ones of a task.
 *
 * @returns how many; the worker finds them within a few seconds
 * @throws Mistake when there is none
 */
export const retryJobs = async (
  trx: Trx,
  signIn: Actor,
  which: { jobId: string } | { task: string },
): Promise<number> => {
  const wanted = 'jobId' in which ? sql`id = ${which.jobId}` : sql`task_identifier = ${which.task}`
  const { rows } = await sql<{ id: string }>`
    select r.id from (
      select array_agg(id order by id) as ids from graphile_worker.jobs where ${IS_DEAD} and ${wanted} having count(*) > 0
    ) d, graphile_worker.reschedule_jobs(d.ids, run_at := now(), attempts := 0) r`.execute(trx)
  const subject = 'jobId' in which ? `jobs ${which.jobId}` : `jobs of ${which.task}`
  if (rows.length === 0) throw notFound(`dead ${subject}`)
  await audit(trx, signIn, {
    tenantId: null,
    action: 'job.retry',
    subject,
    before: null,
    after: { retried: rows.length },
  })
  return rows.length
}

/**
 * Gives up what a dead job was for, and then removes it: for a row that is still due another job would be added
 * within a minute.
 *
 * @throws Mistake when there is no such dead job, or what it is for cannot be given up
 */
export const discardJob = async (trx: Trx, signIn: Actor, jobId: string): Promise<void> => {
  const { rows } = await sql<{ task: string; key: string; tries: number }>`
    select task_identifier as task, key, attempts as tries from graphile_worker.jobs
    where ${IS_DEAD} and id = ${jobId}`.execute(trx)
  const [job] = rows
  if (!job) throw notFound(`dead jobs ${jobId}`)
  const { tenantId, became } = await giveUp(trx, job.task, job.key.slice(job.task.length + 1))
  // The row before the job, as whoever claims it locks them. Removed with its row, it is gone already.
  await sql`select graphile_worker.complete_jobs(array[${jobId}]::bigint[])`.execute(trx)
  await audit(trx, signIn, {
    tenantId,
    action: 'job.discard',
    subject: `jobs ${jobId}`,
    before: { task: job.task, tries: job.tries },
    after: { became },
  })
}
