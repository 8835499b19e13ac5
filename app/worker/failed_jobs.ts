import { type RawBuilder, sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { TaskName } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'

/** The queue's own figures, of one task. */
export type Queued = {
  task: string
  /** Its time has come: the only backlog there is. */
  due: number
  /** Of those and of the future ones: tried before, and failed. */
  retrying: number
  running: number
  future: number
  dead: number
  /** How long the oldest due one has been waiting, in seconds; null = none is due. */
  oldestDue: number | null
}

/** More jobs than this are not counted. */
const AT_MOST = 50_000

/** What is in the queue by task, the most overdue first. */
export const queueByTask = async (trx: Trx): Promise<Queued[]> => {
  const { rows } = await sql<Queued>`
    with jobs as (
      select task_identifier as task, run_at, attempts,
             case when locked_at is not null then 'running' when attempts >= max_attempts then 'dead'
                  when run_at <= now() then 'due' else 'future' end as state
      from graphile_worker.jobs limit ${AT_MOST}
    )
    select task, count(*) filter (where state = 'due')::int as due,
           count(*) filter (where state in ('due', 'future') and attempts > 0)::int as retrying,
           count(*) filter (where state = 'running')::int as running,
           count(*) filter (where state = 'future')::int as future,
           count(*) filter (where state = 'dead')::int as dead,
           extract(epoch from now() - min(run_at) filter (where state = 'due'))::float8 as "oldestDue"
    from jobs group by task order by "oldestDue" desc nulls last, task`.execute(trx)
  return rows
}

// A job that was tried to its end stays in the queue for a person to look at, and as long as it does, nobody adds
// another for its row (due.ts).

export type FailedJob = {
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
export const failedJobs = async (trx: Trx, limit: number): Promise<FailedJob[]> => {
  const { rows } = await sql<FailedJob>`
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
  const { tenantId, became } = await abandonJob(trx, job.task, job.key.slice(job.task.length + 1))
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

/** Whose row it was, and what became of it. */
export type Abandoned = { tenantId: string | null; became: string }
type Row = { tenant_id: string | null; became: string | null }

const cancel = (missedCallId: RawBuilder<unknown>) => sql<Row>`
  select tenant_id, cancel_outreach(id) as became from missed_calls where id = ${missedCallId}`
const callOf = (conversationId: string) =>
  cancel(
    sql`(select missed_call_id from lead_conversations where id = ${conversationId.split(':')[0]}::bigint)`,
  )
const cancelNote = (messageId: string) => sql<Row>`
  update messages set state = 'cancelled', reason = 'by_operator'
  where id = ${messageId}::bigint and state = 'scheduled'
  returning tenant_id, state as became`

/** What a job's row becomes when nobody wants the job any more, by what stands behind the colon of its key. */
const WAYS: Record<
  Exclude<TaskName, 'call_log' | 'retention'>,
  (entity: string) => RawBuilder<Row>
> = {
  // Of several tenants that share the id, all.
  voicenter_cdr: callId => sql<Row>`
    with given_up as (
      update raw_cdrs set verdict = 'unknown', reason = 'given_up'
      where call_id = ${callId} and verdict is null returning tenant_id)
    select min(tenant_id) as tenant_id, 'given_up' as became from given_up having count(*) > 0`,
  lead_outreach: missedCallId => cancel(sql`${missedCallId}::bigint`),
  lead_reminder: callOf,
  lead_silence: callOf,
  whatsapp_event: eventId => sql<Row>`
    update whatsapp_events set outcome = 'given_up'
    where id = ${eventId}::bigint and outcome is null
    returning tenant_id, outcome as became`,
  owner_notice: cancelNote,
  opt_out_confirmation: cancelNote,
}

const isWay = (task: string): task is keyof typeof WAYS => Object.hasOwn(WAYS, task)

/**
 * What a job was for is not done any more: its row says so, and so no sweep adds the job again.
 *
 * @throws Mistake for the comparing of a call log, which goes on for as long as we have access
 */
export const abandonJob = async (trx: Trx, task: string, entity: string): Promise<Abandoned> => {
  if (task === 'call_log')
    throw userError('call_log_goes_on', 'retry it, or take back the access to the call log')
  if (!isWay(task)) return { tenantId: null, became: 'removed' }
  const { rows } = await WAYS[task](entity).execute(trx)
  return { tenantId: rows[0]?.tenant_id ?? null, became: rows[0]?.became ?? 'nothing to give up' }
}
