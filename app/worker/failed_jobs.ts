import { type RawBuilder, sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import { TASK_NAMES, type TaskName } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import { moveDeliveries, moveMessages } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import { log } from '../log.ts'
import { handleFailed, JOB_FAILED } from '../replies/inbound.ts'

// A job that failed for good stays in the queue until a person decides about it. Meanwhile no other job is added for its
// row (reconcile.ts).

export type FailedJob = {
  id: string
  task: string
  /** `<task>:<entity>` */
  key: string
  attempts: number
  lastError: string | null
  /** False: no task of this version has the name. A job of an older version was left behind. */
  isKnown: boolean
  /** When its last attempt ended. */
  failedAt: Date
}

/** A job without a key was replaced while it ran (removeReplacedJobs in reconcile.ts). */
const IS_FAILED = sql`attempts >= max_attempts and locked_at is null and key is not null`

/** A job that failed and waits for its next try, or that failed for good. */
const CAN_RETRY = sql`attempts > 0 and locked_at is null and key is not null`

/** The same for errors that differ only in numbers, such as ids, addresses and times. */
export const JOB_ERROR = sql<string>`md5(regexp_replace(left(coalesce(last_error, ''), 500), '[0-9]+', '#', 'g'))`

/** At most this many jobs are retried, or discarded, with one button. */
const RETRIED = 10_000
export const DISCARDED = 200

/** Failed jobs of a task. `error`: only those with this JOB_ERROR. */
export type FailedOfTask = { task: string; error?: string | undefined }

const ofTask = ({ task, error }: FailedOfTask) =>
  sql`(${IS_FAILED}) and task_identifier = ${task} ${error === undefined ? sql`` : sql`and ${JOB_ERROR} = ${error}`}`

/** Jobs whose task this version does not know. No worker ever takes them. */
const IS_UNKNOWN = sql`task_identifier <> all(${TASK_NAMES}::text[]) and locked_at is null and run_at <= now()`

/** The failed jobs and those of unknown tasks, the latest first. */
export const failedJobs = async (trx: Trx, limit: number): Promise<FailedJob[]> => {
  const { rows } = await sql<FailedJob>`
    select id, task_identifier as task, coalesce(key, task_identifier) as key, attempts, last_error as "lastError",
           updated_at as "failedAt", task_identifier = any(${TASK_NAMES}::text[]) as "isKnown"
    from graphile_worker.jobs where (${IS_FAILED}) or (${IS_UNKNOWN}) order by updated_at desc, id desc limit ${limit}`.execute(
    trx,
  )
  return rows
}

/**
 * Runs a job again that failed, or all jobs of a task that failed for good.
 *
 * @returns how many; a worker takes them within a few seconds
 * @throws UserError if there is none
 */
export const retryJobs = async (
  trx: Trx,
  actor: Actor,
  which: { jobId: string } | FailedOfTask,
): Promise<number> => {
  const wanted = 'jobId' in which ? sql`${CAN_RETRY} and id = ${which.jobId}` : ofTask(which)
  const { rows } = await sql<{ id: string }>`
    select r.id from (
      select array_agg(id order by id) as ids from (
        select id from graphile_worker.jobs where ${wanted} order by id limit ${RETRIED}) j
      having count(*) > 0
    ) d, graphile_worker.reschedule_jobs(d.ids, run_at := now(), attempts := 0) r`.execute(trx)
  const error = 'jobId' in which ? undefined : which.error
  const subject = 'jobId' in which ? `jobs ${which.jobId}` : `jobs of ${which.task}`
  if (rows.length === 0) throw notFound(`failed ${subject}`)
  await audit(trx, actor, {
    tenantId: null,
    action: 'job.retry',
    subject,
    before: null,
    after: { retried: rows.length, ...(error !== undefined && { error }) },
  })
  return rows.length
}

/**
 * Abandons the work of a failed job and removes the job. The row must change too, or another job would be added within a
 * minute.
 *
 * @throws UserError if there is no such failed job, or its work cannot be abandoned
 */
export const discardJob = async (trx: Trx, actor: Actor, jobId: string): Promise<void> => {
  if (!(await discardIfFailed(trx, actor, jobId))) throw notFound(`failed jobs ${jobId}`)
}

/** @returns false: there is no such failed job */
const discardIfFailed = async (trx: Trx, actor: Actor, jobId: string): Promise<boolean> => {
  const { rows } = await sql<{ task: string; key: string; tries: number }>`
    select task_identifier as task, coalesce(key, task_identifier) as key, attempts as tries from graphile_worker.jobs
    where ((${IS_FAILED}) or (${IS_UNKNOWN})) and id = ${jobId}`.execute(trx)
  const [job] = rows
  if (!job) return false
  const { tenantId, became } = await abandonJob(trx, job.task, job.key.slice(job.task.length + 1))
  // The row is locked before the job, as in a claim. The job may already be removed together with its row.
  await sql`select graphile_worker.complete_jobs(array[${jobId}]::bigint[])`.execute(trx)
  await audit(trx, actor, {
    tenantId,
    action: 'job.discard',
    subject: `jobs ${jobId}`,
    before: { task: job.task, tries: job.tries },
    after: { became },
  })
  return true
}

/**
 * Discards the failed jobs of a task, the oldest first, at most DISCARDED at once. Their people are locked one after the
 * other, so another transaction may wait in a circle with this one. Postgres then ends one of them, and it is tried again.
 *
 * @returns how many, without those that were removed together with another: both reminders of a conversation end at once
 * @throws UserError as discardJob
 */
export const discardJobs = async (trx: Trx, actor: Actor, which: FailedOfTask): Promise<number> => {
  const { rows } = await sql<{ id: string }>`
    select id from graphile_worker.jobs where ${ofTask(which)} order by id limit ${DISCARDED}`.execute(
    trx,
  )
  let discarded = 0
  for (const { id } of rows) if (await discardIfFailed(trx, actor, id)) discarded++
  if (discarded === 0) throw notFound(`failed jobs of ${which.task}`)
  return discarded
}

/** At most this many at once. */
const ENDED = 100

/**
 * Ends the updates from WhatsApp whose job failed for good: the person must not be held back for ever, and what they wrote
 * counts as a reply. The job stays, so that a person can run it again.
 *
 * @returns how many
 */
export const endFailedEvents = async (): Promise<number> => {
  const { rows } = await sql<{ id: string }>`
    select e.id from graphile_worker.jobs join whatsapp_events e on e.id = substring(key from '^whatsapp_event:(\\d+)$')::bigint
    where task_identifier = 'whatsapp_event' and ${IS_FAILED} and e.outcome is null
    order by e.id limit ${ENDED}`.execute(db)
  for (const { id } of rows)
    await endFailedEvent(id).catch((err: unknown) => {
      if (isTransient(err)) throw err
      log.error({ err, eventId: id }, 'an update whose job failed was not ended')
    })
  return rows.length
}

type FailedEvent = { tenantId: string | null; kind: string; personIds: string[] | null }

const endFailedEvent = (id: string): Promise<void> =>
  db.transaction().execute(async trx => {
    const { rows } = await sql<FailedEvent>`
      update whatsapp_events e set outcome = ${JOB_FAILED}, tenant_id = coalesce(e.tenant_id, (
        select tenant_id from whatsapp_connections where phone_number_id = e.phone_number_id))
      where id = ${id} and outcome is null
      returning tenant_id as "tenantId", kind, person_ids as "personIds"`.execute(trx)
    const [event] = rows
    if (!event?.tenantId || !event.personIds) return
    const { tenantId, kind, personIds } = event
    await handleFailed(trx, { tenantId, kind, personIds })
  })

/** The tenant of the row, and its new state. */
export type Abandoned = { tenantId: string | null; became: string }
type Row = { tenant_id: string | null; became: string | null }
type Abandon = (trx: Trx, entity: string) => Promise<Row | undefined>

const first = async (trx: Trx, query: RawBuilder<Row>): Promise<Row | undefined> =>
  (await query.execute(trx)).rows[0]

const cancelCall: Abandon = (trx, missedCallId) =>
  first(
    trx,
    sql`select tenant_id, cancel_outreach(id) as became from missed_calls where id = ${missedCallId}::bigint`,
  )
const cancelConversation: Abandon = (trx, conversationId) =>
  first(
    trx,
    sql`
      select tenant_id, cancel_outreach(missed_call_id) as became
      from lead_conversations where id = ${conversationId.split(':')[0]}::bigint`,
  )
const cancelMessage: Abandon = (trx, messageId) =>
  moveMessages(trx, 'cancel', 'by_operator')
    .where('id', '=', messageId)
    .returning(['tenant_id', 'state as became'])
    .executeTakeFirst()

/** How the row of an abandoned job changes. `entity` is the part of the job key after the colon. */
const ABANDON: Record<
  Exclude<TaskName, 'call_log' | 'live_call' | 'retention' | 'template_sync'>,
  Abandon
> = {
  // The CDRs of all tenants that share the CallID.
  voicenter_cdr: (trx, callId) =>
    first(
      trx,
      sql`
        with abandoned as (
          update raw_cdrs set verdict = 'unknown', reason = 'given_up'
          where call_id = ${callId} and verdict is null returning tenant_id)
        select min(tenant_id) as tenant_id, 'given_up' as became from abandoned having count(*) > 0`,
    ),
  lead_outreach: cancelCall,
  lead_reminder: cancelConversation,
  lead_silence: cancelConversation,
  whatsapp_event: (trx, eventId) =>
    first(
      trx,
      sql`
        update whatsapp_events set outcome = 'given_up'
        where id = ${eventId}::bigint and (outcome is null or outcome = ${JOB_FAILED})
        returning tenant_id, outcome as became`,
    ),
  owner_notice: cancelMessage,
  opt_out_confirmation: cancelMessage,
  manual: cancelMessage,
  event_delivery: (trx, deliveryId) =>
    moveDeliveries(trx, 'abandon')
      .where('id', '=', deliveryId)
      .returning(['tenant_id', 'state as became'])
      .executeTakeFirst(),
}

const canAbandon = (task: string): task is keyof typeof ABANDON => Object.hasOwn(ABANDON, task)

/**
 * Changes the row of a job so that the sweep does not add the job again.
 *
 * @throws UserError for a call log, which is compared as long as we have access
 */
export const abandonJob = async (trx: Trx, task: string, entity: string): Promise<Abandoned> => {
  if (task === 'call_log')
    throw userError('call_log_active', 'retry it, or remove the access to the call log')
  if (!canAbandon(task)) return { tenantId: null, became: 'removed' }
  const row = await ABANDON[task](trx, entity)
  return { tenantId: row?.tenant_id ?? null, became: row?.became ?? 'nothing to abandon' }
}
