import { sql } from 'kysely'
import { webDb } from '../db/kysely.ts'
import { log } from '../log.ts'
import { withTimeout } from '../errors.ts'
import { type Reading, show } from './gauges.ts'

// Read when somebody asks. So it is the same whichever process answers, counts what all of them did, and survives
// their restarts. And what becomes of a message is known only later (unknown, then delivered), which a counter could
// not take back: hence how many there were in the last hour, and not how many ever.

/** More calls or messages in an hour than this are not counted, so that asking stays cheap in a flood. */
const AT_MOST = 50_000
/** Prometheus itself waits for ten seconds. */
const READ_WITHIN = 5000

let reading: Promise<void> | null = null

/** Brings the gauges up to date. Whoever asks meanwhile waits for the same reading. */
export const readState = (): Promise<void> =>
  (reading ??= withTimeout(READ_WITHIN, read())
    .catch((err: unknown) => {
      log.warn({ err }, 'metrics without the database')
      return null
    })
    .then(show)
    .finally(() => {
      reading = null
    }))

/** One statement, since there are three connections for all requests. */
const read = async (): Promise<Reading[]> => {
  const { rows } = await sql<Reading>`
    with jobs as materialized (
      select task_identifier as task, state, count(*) as count, min(run_at) as oldest
      from graphile_worker.jobs,
           lateral (select case when locked_at is not null then 'running' when attempts >= max_attempts then 'dead'
                                when run_at <= now() then 'due' else 'future' end as state) s
      group by 1, 2
    ), last_hour as (
      select * from (
        select r.tenant_id, r.root_call_id, r.verdict from tenants t join raw_cdrs r on r.tenant_id = t.id
        where r.source = 'push' and r.received_at > now() - interval '1 hour'
      union all
        select tenant_id, root_call_id, verdict from raw_cdrs
        where tenant_id is null and source = 'push' and received_at > now() - interval '1 hour'
      ) r limit ${AT_MOST}
    ), sent as (
      select kind, state from messages where claimed_at > now() - interval '1 hour' limit ${AT_MOST}
    ), rejected as (
      select source from rejected_deliveries where body is not null and received_at > now() - interval '1 day' limit ${AT_MOST}
    ), readings (name, labels, value) as (
      select 'ringback_jobs', jsonb_build_object('task', task, 'state', state), count from jobs
    union all
      select 'ringback_oldest_due_job_seconds', jsonb_build_object('task', task), extract(epoch from now() - oldest)
      from jobs where state = 'due'
    union all
      select 'ringback_calls_last_hour', jsonb_build_object('verdict', coalesce(verdict, 'waiting')),
             count(distinct (tenant_id, root_call_id))
      from last_hour group by verdict
    union all
      select 'ringback_sends_last_hour', jsonb_build_object('kind', kind, 'state', state), count(*)
      from sent group by kind, state
    union all
      select 'ringback_unknown_messages', '{}', count(*) from messages where state = 'unknown'
    union all
      select 'ringback_rejected_last_day', jsonb_build_object('source', source), count(*) from rejected group by source
    union all
      select 'ringback_last_webhook_age_seconds', jsonb_build_object('tenant', t.id::text),
             extract(epoch from now() - r.received_at)
      from tenants t, lateral (
        select received_at from raw_cdrs where tenant_id = t.id and source = 'push' order by received_at desc limit 1) r
    union all
      select 'ringback_connections', jsonb_build_object('state', state), count(*) from whatsapp_connections group by state
    union all
      select 'ringback_paused_templates', '{}', count(*) from whatsapp_templates where state = 'paused'
    union all
      select 'ringback_alerts_open', jsonb_build_object('kind', kind), count(*)
      from alerts where ended_at is null group by kind
    )
    select name, labels, value::float8 from readings`.execute(webDb)
  return rows
}
