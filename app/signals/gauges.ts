import { Gauge } from 'prom-client'
import { payloads } from '../db/jobs.ts'
import { registry } from './metrics.ts'

export type Labels = Record<string, string>

/** `always`: what is told even when there is none of it, as 0, since a rule for an alert never sees what is absent. */
type Figure = { help: string; labels: string[]; always: Labels[] }

const only = (help: string): Figure => ({ help, labels: [], always: [{}] })
const by = (label: string, values: readonly string[], help: string): Figure => ({
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
): Figure => ({
  help,
  labels: [a, b],
  always: as.flatMap(one => bs.map(other => ({ [a]: one, [b]: other }))),
})

const TASKS = Object.keys(payloads)
const KINDS = ['initial', 'reminder_1', 'reminder_2', 'owner_notice', 'opt_out_confirmation']

/** What is read from the database (app/signals/state.ts), by its name. */
const FIGURES: Record<string, Figure> = {
  ringback_database_up: only(
    '1 if the database answered; if not, 0, and every other figure from it is absent',
  ),
  ringback_jobs: byTwo(
    'task',
    TASKS,
    'state',
    ['due', 'future', 'running', 'dead'],
    'Jobs in the queue, by task; future ones are no backlog, dead ones were tried to the end',
  ),
  ringback_oldest_due_job_seconds: by(
    'task',
    TASKS,
    'How long the oldest due job has been waiting, by task; 0 = none is due',
  ),
  ringback_calls_last_hour: by(
    'verdict',
    ['missed', 'answered', 'not_inbound', 'unmatched_number', 'unknown', 'waiting'],
    'Calls whose webhook came in the last hour, by verdict; waiting = not judged yet',
  ),
  ringback_sends_last_hour: byTwo(
    'kind',
    KINDS,
    'state',
    ['sending', 'accepted', 'sent', 'delivered', 'read', 'failed', 'unknown', 'scheduled'],
    'Messages sent in the last hour, by kind and by what has become of them; scheduled = to be tried again',
  ),
  ringback_unknown_messages: only('Messages of which nobody knows whether they went out'),
  ringback_rejected_last_day: by(
    'source',
    ['voicenter', 'whatsapp', 'call_log'],
    'Different deliveries that were refused in the last day and are kept, by source',
  ),
  ringback_last_webhook_age_seconds: by(
    'tenant',
    [],
    'Age of the last call record that came by webhook, by id of the business; absent = none ever came',
  ),
  ringback_connections: by(
    'state',
    ['active', 'paused'],
    'WhatsApp numbers, by state; nothing goes out through a paused one',
  ),
  ringback_paused_templates: only('WhatsApp templates that are paused'),
  ringback_alerts_open: by(
    'kind',
    [
      'webhooks_silent',
      'unmatched_number',
      'connection_paused',
      'template_paused',
      'call_log_failing',
    ],
    'Alerts that have not ended, by kind',
  ),
}

const gauges = new Map(
  Object.entries(FIGURES).map(([name, { help, labels }]) => [
    name,
    new Gauge({ name, help, labelNames: labels, registers: [registry] }),
  ]),
)

export type Reading = { name: string; labels: Labels; value: number }

/** Everything that was read, in place of everything that was read before. Null = the database did not answer. */
export const show = (readings: Reading[] | null): void => {
  for (const [name, gauge] of gauges) {
    gauge.reset()
    if (readings) for (const labels of FIGURES[name]?.always ?? []) gauge.set(labels, 0)
    // Without labels it stands at 0 from its reset on, which would be a lie.
    else gauge.remove({})
  }
  for (const { name, labels, value } of readings ?? []) gauges.get(name)?.set(labels, value)
  gauges.get('ringback_database_up')?.set({}, readings ? 1 : 0)
}
