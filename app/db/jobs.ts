import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from './kysely.ts'

/** An id of ours: a bigint in Postgres, and decimal text in JSON and JavaScript. */
const id = z.string().regex(/^\d+$/)

/**
 * The payload of each task. A task parses it, since a job may come from an earlier deploy: a new field must stay
 * optional for as long as old jobs may be in the queue.
 */
export const payloads = {
  voicenter_cdr: z.object({ callId: z.string() }),
  // callerPhone is for people who read the queue. The task reads the row.
  lead_outreach: z.object({ tenantId: id, missedCallId: id, callerPhone: z.string() }),
  lead_reminder: z.object({
    leadId: id,
    leadConversationId: id,
    reminderNumber: z.union([z.literal(1), z.literal(2)]),
  }),
  lead_silence: z.object({ leadConversationId: id }),
  whatsapp_event: z.object({ eventId: id }),
  owner_notice: z.object({ messageId: id }),
  opt_out_confirmation: z.object({ messageId: id }),
  manual: z.object({ messageId: id }),
  live_call: z.object({ tenantId: id, leadId: id }),
  event_delivery: z.object({ deliveryId: id }),
  call_log: z.object({ tenantId: id }),
  retention: z.object({}),
  // Without a tenant: all.
  template_sync: z.object({ tenantId: id.optional() }),
}

type Payloads = { [K in keyof typeof payloads]: z.infer<(typeof payloads)[K]> }
export type TaskName = keyof Payloads
export const TASK_NAMES: readonly string[] = Object.keys(payloads)

/**
 * How often each job is tried. The pauses grow from 2.7 s: 9 tries take more than 1 hour, 10 take 3.5 hours, 12 take 16
 * hours. So the last try comes when it is too late to send (`tenants.grace`, `tenants.reminder_grace`), and ends the
 * message. With fewer tries, the job would end first, and the message would stay due.
 */
export const MAX_ATTEMPTS = {
  voicenter_cdr: 12,
  lead_outreach: 10,
  lead_reminder: 12,
  lead_silence: 12,
  whatsapp_event: 12,
  owner_notice: 9,
  opt_out_confirmation: 9,
  manual: 9,
  live_call: 12,
  event_delivery: 12,
  call_log: 12,
  retention: 12,
  template_sync: 8,
} satisfies Record<TaskName, number>

/**
 * The kinds of work that share the workers (worker/sharing.ts), by the priority of their jobs: due jobs with a smaller
 * number run first. What people wrote is read before calls are classified, and both before anything is sent, because both
 * may cancel a message.
 */
const PRIORITIES = {
  /** What people wrote or did in WhatsApp, and the live events of their calls. */
  people: -30,
  calls: -20,
  /** Everything else, for example reports on sent messages. */
  rest: -10,
  sends: 0,
  /** Outgoing events. A receiver may answer slowly. */
  events: 5,
  /** Work that may take minutes. */
  chores: 10,
}
export type Lane = keyof typeof PRIORITIES

const LANE_OF = {
  voicenter_cdr: 'calls',
  lead_outreach: 'sends',
  lead_reminder: 'sends',
  lead_silence: 'rest',
  whatsapp_event: 'rest',
  owner_notice: 'sends',
  opt_out_confirmation: 'sends',
  manual: 'sends',
  live_call: 'people',
  // The function record_event() in sql/0007_events.sql has the same values.
  event_delivery: 'events',
  call_log: 'chores',
  retention: 'chores',
  template_sync: 'chores',
} satisfies Record<TaskName, Lane>

/** The lane of a row of whatsapp_events. The function reread_events() in sql/0002_whatsapp.sql has the same rule. */
export const EVENT_LANE = sql<Lane>`case when kind in ('message', 'preference', 'echo', 'call') then 'people' else 'rest' end`

/** The key of a job. A new job replaces a waiting job with the same key. `entity`: the id of what the job is about. */
export const jobKey = (task: TaskName, entity: string): string => `${task}:${entity}`

/** The same in SQL. */
export const sqlJobKey = (task: TaskName, entity: RawBuilder<unknown>): RawBuilder<string> =>
  sql<string>`${sql.lit(`${task}:`)} || ${entity}`

/**
 * The row of one job for graphile_worker.add_jobs(), which adds many jobs with one statement. The statement compares the
 * counts with assert_all_queued() (sql/0003_calls.sql), for the reason given at addJob.
 *
 * @param job expressions in SQL; `task` may be a column that holds the task; without `at` the job is due at once;
 * `tenant` is null for work of no tenant; without `lane` it is that of the task
 */
export const jobSpec = (job: {
  task: TaskName | RawBuilder<unknown>
  entity: RawBuilder<unknown>
  payload: RawBuilder<unknown>
  tenant: RawBuilder<unknown> | null
  lane?: RawBuilder<unknown>
  at?: RawBuilder<unknown>
}): RawBuilder<unknown> => {
  const { task, entity, payload, tenant, at = sql`null` } = job
  const isFixed = typeof task === 'string'
  const name = isFixed ? sql.lit(task) : task
  const key = isFixed ? sqlJobKey(task, entity) : sql`${task} || ':' || ${entity}`
  const attempts = isFixed
    ? sql`${MAX_ATTEMPTS[task]}::smallint`
    : sql`(${JSON.stringify(MAX_ATTEMPTS)}::jsonb ->> ${task})::smallint`
  const byTask = isFixed
    ? sql.lit(LANE_OF[task])
    : sql`(${JSON.stringify(LANE_OF)}::jsonb ->> ${task})`
  const lane = job.lane ? sql`coalesce(${job.lane}, ${byTask})` : byTask
  const priority =
    isFixed && !job.lane
      ? sql`${PRIORITIES[LANE_OF[task]]}::smallint`
      : sql`(${JSON.stringify(PRIORITIES)}::jsonb ->> ${lane})::smallint`
  const flags = tenant
    ? sql`array_remove(array[${lane}, ${lane} || ':' || ${tenant}], null)`
    : sql`array[${lane}]`
  return sql`row(${name}, ${payload}, null, ${at}, ${attempts}, ${key}, ${priority}, ${flags})::graphile_worker.job_spec`
}

/** "Serialization failure" in Postgres. Callers that see this code try the transaction again. */
const TRY_AGAIN = '40001'

/**
 * Adds a job in the open transaction, so that it exists if and only if the transaction commits.
 *
 * @param tenantId the tenant that the job works for; null = no tenant, or several
 * @param at when it is due, by the clock of the database: an expression, or a time that was read from a row.
 * Null or absent = at once
 * @param keepsEarlier a job with the same key that waits keeps its time
 * @param lane absent = that of the task
 * @throws Error when graphile-worker added nothing. That happens if a worker takes the job with this key at the same
 * moment (graphile/worker#580). The transaction must be rolled back and tried again.
 */
export const addJob = async <K extends TaskName>(
  trx: Trx,
  task: K,
  entity: string,
  payload: Payloads[K],
  {
    tenantId,
    at = null,
    keepsEarlier = false,
    lane = LANE_OF[task],
  }: {
    tenantId: string | null
    at?: Date | RawBuilder<Date> | null
    keepsEarlier?: boolean
    lane?: Lane
  },
): Promise<void> => {
  const key = jobKey(task, entity)
  const flags = tenantId === null ? [lane] : [lane, `${lane}:${tenantId}`]
  const { rows } = await sql<{ id: string | null }>`
    select id from graphile_worker.add_job(
      ${task}::text,
      payload := ${JSON.stringify(payload)}::json,
      run_at := (${at})::timestamptz,
      max_attempts := ${MAX_ATTEMPTS[task]}::int,
      job_key := ${key}::text,
      priority := ${PRIORITIES[lane]}::int,
      flags := ${flags}::text[],
      job_key_mode := ${keepsEarlier ? 'preserve_run_at' : 'replace'}::text)`.execute(trx)
  if (!rows[0]?.id) throw Object.assign(new Error(`job ${key} was not added`), { code: TRY_AGAIN })
}

/**
 * Removes a waiting job, only to keep the queue short. A job that is already running continues. It reads its row, and
 * finds that there is nothing to do.
 */
export const removeJob = async (trx: Trx, task: TaskName, entity: string): Promise<void> => {
  await sql`select graphile_worker.remove_job(${jobKey(task, entity)}::text)`.execute(trx)
}

/** A time by the clock of the database. */
export const secondsFromNow = (seconds: number): RawBuilder<Date> =>
  sql<Date>`now() + make_interval(secs => ${seconds})`
