import type { WorkerEvents } from 'graphile-worker'
import { sql } from 'kysely'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { TASK_NAMES } from '../db/jobs.ts'
import { webDb } from '../db/kysely.ts'
import { withTimeout } from '../errors.ts'
import { log } from '../log.ts'
import { NUMBER_MOVED } from '../tenants/accounts.ts'

/** GET /metrics (docs/monitoring.md). Labels have few values, such as a task, a state or a tenant id. Never put input into a label. */
export const registry = new Registry()
collectDefaultMetrics({ register: registry })

// These gauges are read from the database when Prometheus asks. So each process returns the same values, and they survive
// restarts. They count the last hour instead of all time, because the state of a message changes later (unknown, then
// delivered), and a counter cannot decrease.

/** At most this many rows are counted, so that the query stays cheap during a flood. */
const COUNTED = 50_000
/** Prometheus waits for ten seconds. */
const READ_WITHIN = 5000

let reading: Promise<void> | null = null

/** Updates the gauges. Concurrent requests share one query. */
export const readState = (): Promise<void> =>
  (reading ??= withTimeout(READ_WITHIN, read())
    .catch((err: unknown) => {
      log.warn({ err }, 'the database does not answer: metrics are missing')
      return null
    })
    .then(setGauges)
    .finally(() => {
      reading = null
    }))

/** One statement, because few connections serve all requests. */
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
      ) r limit ${COUNTED}
    ), sent as (
      select kind, state from messages where claimed_at > now() - interval '1 hour' limit ${COUNTED}
    ), rejected as (
      select source from rejected_deliveries where body is not null and received_at > now() - interval '1 day' limit ${COUNTED}
    ), readings (name, labels, value) as (
      select 'ringback_jobs', jsonb_build_object('task', task, 'state', state), count from jobs
    union all
      select 'ringback_oldest_due_job_seconds', jsonb_build_object('task', task), extract(epoch from now() - oldest)
      from jobs where state = 'due' and task = any(${TASK_NAMES}::text[])
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
      select 'ringback_connections', jsonb_build_object('state', state), count(*) from whatsapp_connections
      where state_reason is distinct from ${NUMBER_MOVED} group by state
    union all
      select 'ringback_paused_templates', '{}', count(*) from whatsapp_templates where state = 'paused'
    union all
      select 'ringback_alerts_open', jsonb_build_object('kind', kind), count(*)
      from alerts where ended_at is null group by kind
    )
    select name, labels, value::float8 from readings`.execute(webDb)
  return rows
}

export type Labels = Record<string, string>

/** `always`: these labels are 0 if there are no rows, because alert rules do not see absent metrics. */
type Metric = { help: string; labels: string[]; always: Labels[] }

const only = (help: string): Metric => ({ help, labels: [], always: [{}] })
const by = (label: string, values: readonly string[], help: string): Metric => ({
  help,
  labels: [label],
  always: values.map(value => ({ [label]: value })),
})
const byTwo = (
  a: string,
  as: readonly string[],
  b: string,
  bs: readonly string[],
  help: string,
): Metric => ({
  help,
  labels: [a, b],
  always: as.flatMap(one => bs.map(other => ({ [a]: one, [b]: other }))),
})

const KINDS = [
  'initial',
  'reminder_1',
  'reminder_2',
  'owner_notice',
  'opt_out_confirmation',
  'manual',
]

/** The metrics that are read from the database, by name. */
const METRICS: Record<string, Metric> = {
  ringback_database_up: only(
    '1 if the database answered; otherwise 0, and all other metrics from it are absent',
  ),
  ringback_jobs: byTwo(
    'task',
    TASK_NAMES,
    'state',
    ['due', 'future', 'running', 'dead'],
    'Jobs in the queue, by task; future ones are no backlog, dead ones failed for good',
  ),
  ringback_oldest_due_job_seconds: by(
    'task',
    TASK_NAMES,
    'Age of the oldest due job, by task; 0 = none is due',
  ),
  ringback_calls_last_hour: by(
    'verdict',
    ['missed', 'answered', 'not_inbound', 'unmatched_number', 'unknown', 'waiting'],
    'Calls whose webhook arrived in the last hour, by verdict; waiting = not classified yet',
  ),
  ringback_sends_last_hour: byTwo(
    'kind',
    KINDS,
    'state',
    ['sending', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown', 'scheduled'],
    'Messages sent in the last hour, by kind and state; scheduled = will be retried',
  ),
  ringback_unknown_messages: only("Messages with an unknown outcome: WhatsApp's answer was lost"),
  ringback_rejected_last_day: by(
    'source',
    ['voicenter', 'whatsapp', 'call_log'],
    'Different deliveries that were rejected in the last day and are kept, by source',
  ),
  ringback_last_webhook_age_seconds: by(
    'tenant',
    [],
    'Age of the last CDR that arrived by webhook, by tenant id; absent = none ever arrived',
  ),
  ringback_connections: by(
    'state',
    ['active', 'paused'],
    'WhatsApp numbers, by state; a paused one sends nothing',
  ),
  ringback_paused_templates: only('WhatsApp templates that are paused'),
  ringback_alerts_open: by(
    'kind',
    [
      'webhooks_silent',
      'unmatched_number',
      'connection_paused',
      'template_paused',
      'template_marketing',
      'template_differs',
      'call_log_failing',
      'event_failed',
      'popup_unconfirmed',
      'popup_lookups',
      'endpoint_disabled',
    ],
    'Alerts that have not ended, by kind',
  ),
}

const gauges = new Map(
  Object.entries(METRICS).map(([name, { help, labels }]) => [
    name,
    new Gauge({ name, help, labelNames: labels, registers: [registry] }),
  ]),
)

export type Reading = { name: string; labels: Labels; value: number }

/** Replaces all gauges. null = the database did not answer. */
export const setGauges = (readings: Reading[] | null): void => {
  for (const [name, gauge] of gauges) {
    gauge.reset()
    if (readings) for (const labels of METRICS[name]?.always ?? []) gauge.set(labels, 0)
    // A gauge without labels would be 0 after the reset, which is wrong.
    else gauge.remove({})
  }
  for (const { name, labels, value } of readings ?? []) gauges.get(name)?.set(labels, value)
  gauges.get('ringback_database_up')?.set({}, readings ? 1 : 0)
}

const registers = [registry]

/** The endpoint of a webhook. */
export type Endpoint = 'voicenter' | 'popup' | 'whatsapp'

export const answerSeconds = new Histogram({
  name: 'ringback_webhook_answer_seconds',
  help: 'Time from a webhook request to the end of its answer, by endpoint and HTTP status; "cut" = the client left before',
  labelNames: ['door', 'status'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
})

const latenessSeconds = new Histogram({
  name: 'ringback_job_lateness_seconds',
  help: 'How late jobs started, by the clock of the database, by task',
  labelNames: ['task'],
  buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600],
  registers,
})

const jobErrors = new Counter({
  name: 'ringback_job_errors_total',
  help: 'Failed attempts of jobs, by task; most are retried',
  labelNames: ['task'],
  registers,
})

/** Counts the jobs of the worker in this process. */
export const countJobs = (events: WorkerEvents): void => {
  events.on('job:start', ({ job }) => {
    // Both times come from the database, because our own clock may be wrong.
    const late = (job.locked_at?.getTime() ?? Number.NaN) - job.run_at.getTime()
    if (!Number.isNaN(late)) latenessSeconds.observe({ task: job.task_identifier }, late / 1000)
  })
  events.on('job:error', ({ job }) => jobErrors.inc({ task: job.task_identifier }))
}
