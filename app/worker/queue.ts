/** The queue, for an engineer: its jobs, the errors of those that failed, and the work of the last hour. */
import { type RawBuilder, sql } from 'kysely'
import { TASK_NAMES } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { JOB_ERROR } from './failed_jobs.ts'

/** The jobs of one task. */
export type Queued = {
  task: string
  /** Jobs whose time has come: the backlog. */
  due: number
  /** Due and future jobs that failed before. */
  retrying: number
  running: number
  future: number
  failed: number
  /** Age of the oldest due job, in seconds; null = none is due. */
  oldestDue: number | null
}

/** More jobs of one state are not counted. */
export const MAX_COUNTED = 50_000

/**
 * The queue by task, the most overdue first.
 *
 * @param most of each state. Of those that are due, the most overdue are counted
 * @returns `isCut`: there may be more jobs, and these were not counted
 */
export const queueByTask = async (
  trx: Trx,
  most = MAX_COUNTED,
): Promise<{ tasks: Queued[]; isCut: boolean }> => {
  const part = (state: Job['state']) => sql`(
    select task_identifier as task, run_at, attempts, ${sql.lit(state)} as state from graphile_worker.jobs
    where ${IN_STATE[state]} ${state === 'due' ? sql`order by run_at` : sql``} limit ${most})`
  const { rows } = await sql<Queued>`
    with jobs as (
      ${part('running')} union all ${part('failed')} union all ${part('due')} union all ${part('future')}
    )
    select task, count(*) filter (where state = 'due')::int as due,
           count(*) filter (where state in ('due', 'future') and attempts > 0)::int as retrying,
           count(*) filter (where state = 'running')::int as running,
           count(*) filter (where state = 'future')::int as future,
           count(*) filter (where state = 'failed')::int as failed,
           extract(epoch from now() - min(run_at) filter (where state = 'due'))::float8 as "oldestDue"
    from jobs group by task order by "oldestDue" desc nulls last, task`.execute(trx)
  const isCut = (['running', 'failed', 'due', 'future'] as const).some(
    state => rows.reduce((sum, row) => sum + row[state], 0) >= most,
  )
  return { tasks: rows, isCut }
}

/** A job that failed before and will run again is `retrying`, and `due` or `future` as well. */
export const JOB_STATES = ['failed', 'due', 'retrying', 'running', 'future'] as const
export type JobState = (typeof JOB_STATES)[number]

const IN_STATE: Record<JobState, RawBuilder<boolean>> = {
  failed: sql`locked_at is null and attempts >= max_attempts`,
  due: sql`locked_at is null and attempts < max_attempts and run_at <= now()`,
  retrying: sql`locked_at is null and attempts < max_attempts and attempts > 0`,
  running: sql`locked_at is not null`,
  future: sql`locked_at is null and attempts < max_attempts and run_at > now()`,
}

export type Job = {
  id: string
  task: string
  /** `<task>:<entity>` */
  key: string
  state: Exclude<JobState, 'retrying'>
  attempts: number
  maxAttempts: number
  lastError: string | null
  /** False: no task of this version has the name. */
  isKnown: boolean
  runAt: Date
  /** When its last attempt ended, or when it was added or changed. */
  updatedAt: Date
  lockedAt: Date | null
  now: Date
  tenantId: string | null
  tenant: string | null
  timezone: string | null
  /** The page of the call, the person or the tenant that the job is about. Null = there is none. */
  path: string | null
}

export type JobFilter = {
  task: string | null
  state: JobState | null
  /** Only failed jobs with this error (errorsOfFailed). */
  error: string | null
  /** The id of the last job of the page before. */
  before: string | null
  limit: number
}

/** What a job "j" is about, from the part of its key after the colon. Each line reads one row by its key. */
const ABOUT = sql`
  select tenant_id, '/ops/calls/' || id as path from (
    select tenant_id, id from raw_cdrs
    where j.task = 'voicenter_cdr' and call_id = substr(j.key, length('voicenter_cdr:') + 1) order by id limit 1) r
  union all
  select tenant_id, '/ops/calls/missed/' || id from missed_calls where j.task = 'lead_outreach' and id = j.entity_id
  union all
  select tenant_id, '/ops/calls/missed/' || missed_call_id from lead_conversations
  where j.task in ('lead_reminder', 'lead_silence') and id = j.entity_id
  union all
  select s.tenant_id, coalesce('/ops/calls/missed/' || c.missed_call_id, '/ops/leads/' || s.lead_id)
  from messages s left join lead_conversations c on c.id = s.lead_conversation_id
  where j.task in ('owner_notice', 'opt_out_confirmation', 'manual') and s.id = j.entity_id
  union all
  select tenant_id, null from whatsapp_events where j.task = 'whatsapp_event' and id = j.entity_id
  union all
  select tenant_id, '/ops/leads/' || id from leads where j.task = 'live_call' and id = j.entity_id
  union all
  select tenant_id, '/ops/tenants/' || tenant_id || '/events' from event_deliveries
  where j.task = 'event_delivery' and id = j.entity_id
  union all
  select id, '/ops/tenants/' || id from tenants where j.task = 'call_log' and id = j.entity_id`

/**
 * One page of the jobs, the newest first.
 *
 * @returns `next`: where the next page begins; null = there is none
 */
export const listJobs = async (
  trx: Trx,
  { task, state, error, before, limit }: JobFilter,
): Promise<{ jobs: Job[]; next: string | null }> => {
  const conditions = [
    before !== null && sql`id < ${before}::bigint`,
    task !== null && sql`task_identifier = ${task}`,
    state !== null && IN_STATE[state],
    error !== null && sql`${IN_STATE.failed} and ${JOB_ERROR} = ${error}`,
  ].filter(condition => condition !== false)
  const { rows } = await sql<Job>`
    with chosen as materialized (
      select id, task_identifier as task, coalesce(key, task_identifier) as key, attempts, max_attempts, last_error, run_at,
             updated_at, locked_at, flags, substring(key from '^[a-z_]+:([0-9]{1,18})(:|$)')::bigint as entity_id
      from graphile_worker.jobs
      where ${sql.join([sql`true`, ...conditions], sql` and `)}
      order by id desc limit ${limit + 1}
    )
    select j.id, j.task, j.key, j.attempts, j.max_attempts as "maxAttempts", j.last_error as "lastError", j.run_at as "runAt",
           j.updated_at as "updatedAt", j.locked_at as "lockedAt", now() as now, a.path,
           case when j.locked_at is not null then 'running' when j.attempts >= j.max_attempts then 'failed'
                when j.run_at <= now() then 'due' else 'future' end as state,
           j.task = any(${TASK_NAMES}::text[]) as "isKnown", t.id as "tenantId", t.name as tenant, t.timezone
    from chosen j
    left join lateral (${ABOUT}) a on true
    left join tenants t on t.id = coalesce(a.tenant_id, (
      select substring(flag from '^[a-z]+:([0-9]{1,18})$')::bigint from jsonb_object_keys(j.flags) flag where flag like '%:%' limit 1))
    order by j.id desc`.execute(trx)
  const jobs = rows.slice(0, limit)
  return { jobs, next: rows.length > limit ? (jobs.at(-1)?.id ?? null) : null }
}

export type FailedGroup = {
  task: string
  /** The same for errors that differ only in numbers. */
  error: string
  /** The error of the newest of them. Null = the program stopped at each attempt. */
  lastError: string | null
  jobs: number
  /** False: no task of this version has the name. */
  isKnown: boolean
  /** When the first and the last of them failed. */
  since: Date
  until: Date
}

/** The failed jobs by task and error, the most frequent first. */
export const errorsOfFailed = async (trx: Trx, limit: number): Promise<FailedGroup[]> => {
  const { rows } = await sql<FailedGroup>`
    select task_identifier as task, error, (array_agg(last_error order by id desc))[1] as "lastError", count(*)::int as jobs,
           task_identifier = any(${TASK_NAMES}::text[]) as "isKnown", min(updated_at) as since, max(updated_at) as until
    from (
      select id, task_identifier, ${JOB_ERROR} as error, last_error, updated_at
      from graphile_worker.jobs
      where ${IN_STATE.failed} and key is not null limit ${MAX_COUNTED}) f
    group by 1, 2 order by jobs desc, until desc limit ${limit}`.execute(trx)
  return rows
}

/** Work of one kind in the last hour, and how long it took. */
export type Throughput = {
  kind: 'reports' | 'decisions' | 'messages' | 'answers' | 'updates'
  count: number
  /** In seconds; null = not measured. */
  median: number | null
  p95: number | null
  longest: number | null
  /** What waits now. Null = the table by task shows it. */
  waiting: number | null
}

/**
 * What was done in the last hour, counted from the rows:
 * - reports: call records that arrived; waiting: those that are not classified
 * - decisions: missed calls; from the arrival of the call record to the decision
 * - messages: from the time at which they were due to the start of sending. A message that was held counts from the same time
 * - answers: of WhatsApp, from the start of sending
 * - updates: from Meta; waiting: those that are not read
 */
export const lastHour = async (trx: Trx): Promise<Throughput[]> => {
  const seconds = sql`percentile_cont(0.5) within group (order by took) as median,
    percentile_cont(0.95) within group (order by took) as p95, max(took) as longest`
  const { rows } = await sql<Throughput>`
    with sent as (
      select extract(epoch from claimed_at - due_at)::float8 as late, extract(epoch from accepted_at - claimed_at)::float8 as took
      from messages where claimed_at > now() - interval '1 hour' order by claimed_at desc limit ${MAX_COUNTED}
    ), decided as (
      select extract(epoch from m.created_at - r.received_at)::float8 as took
      from (
        select * from missed_calls
        where called_at > now() - interval '3 hours' and created_at > now() - interval '1 hour'
        order by called_at desc limit ${MAX_COUNTED}) m
      cross join lateral (
        select received_at from raw_cdrs where root_call_id = m.call_id and tenant_id = m.tenant_id order by id limit 1) r
    ), reports as (
      select from raw_cdrs where payload is not null and verdict is not null and received_at > now() - interval '1 hour'
      limit ${MAX_COUNTED}
    ), unclassified as (
      select from raw_cdrs where verdict is null limit ${MAX_COUNTED}
    ), updates as (
      select from whatsapp_events where payload is not null and received_at > now() - interval '1 hour' limit ${MAX_COUNTED}
    ), unread as (
      select from whatsapp_events where outcome is null limit ${MAX_COUNTED}
    )
    select 'reports' as kind, count(*)::int as count, null::float8 as median, null::float8 as p95, null::float8 as longest,
           (select count(*)::int from unclassified) as waiting from reports
    union all select 'decisions', count(*)::int, ${seconds}, null from decided
    union all select 'messages', count(*)::int, ${seconds}, null from (select greatest(late, 0) as took from sent) s
    union all select 'answers', count(took)::int, ${seconds}, null from sent
    union all select 'updates', count(*)::int, null, null, null, (select count(*)::int from unread) from updates`.execute(
    trx,
  )
  return rows
}
