/** Empties stored data that is older than RETENTION_DAYS. */
import { type RawBuilder, sql } from 'kysely'
import { config } from '../config.ts'
import { db } from '../db/kysely.ts'
import { MAX_EMPTIED_BYTES } from './redact.ts'

/** Rows of one statement. It takes about ten milliseconds, so nothing waits long for one of these rows. */
const BATCH = 200
/** Batches of one run. The rest gets a run of its own, so that other jobs do not wait behind a year of CDRs. */
const MAX_BATCHES = 50

/** `from` is the age of the last row of the batch before, so that no batch reads earlier rows again. */
type Age = { days: number; from: Date | null }

const isExpired = (column: 'received_at' | 'created_at' | 'checked_at', { days, from }: Age) =>
  sql`${sql.ref(column)} < now() - make_interval(days => ${days})
    ${from === null ? sql`` : sql`and ${sql.ref(column)} >= ${from}`}`

/** When a row of a batch was stored. */
type Taken = { at: Date }

/** The first rows of a batch, until one statement would empty too much (redact.ts). `rows` have id, at and bytes. */
const upToBytes = (rows: RawBuilder<unknown>) => sql`
  select id from (select id, sum(bytes) over (order by at, id) - bytes as before from (${rows}) as taken) as taken
  where before < ${MAX_EMPTIED_BYTES}::int`

/**
 * One batch of each table: the oldest expired rows that are no longer needed. A row that is locked at this moment is
 * left for the next run. The row and its keys stay, because a repeated delivery is recognised by them.
 */
const BATCHES = {
  // Only classified CDRs, and not while the call is pending or its conversation is open.
  raw_cdrs: (age: Age) => sql<Taken>`
    update raw_cdrs set payload = null, body = null, facts = null, campaign = null
    where id in (${upToBytes(sql`
      select id, received_at as at, coalesce(pg_column_size(payload), 0) + coalesce(pg_column_size(body), 0) as bytes
      from raw_cdrs r
      where payload is not null and verdict is not null and ${isExpired('received_at', age)}
        and not exists (
          select from missed_calls k left join lead_conversations c on c.missed_call_id = k.id
          where k.tenant_id = r.tenant_id and k.call_id = r.root_call_id
            and (k.outreach_state in ('scheduled', 'sending') or c.state = 'open'))
      order by received_at limit ${BATCH} for update skip locked`)})
    returning received_at as at`,
  // Only updates that have been handled.
  whatsapp_events: (age: Age) => sql<Taken>`
    update whatsapp_events set payload = null, person_ids = null
    where id in (${upToBytes(sql`
      select id, received_at as at, pg_column_size(payload) as bytes from whatsapp_events
      where payload is not null and outcome is not null and ${isExpired('received_at', age)}
      order by received_at limit ${BATCH} for update skip locked`)})
    returning received_at as at`,
  rejected_deliveries: (age: Age) => sql<Taken>`
    update rejected_deliveries set body = null
    where id in (${upToBytes(sql`
      select id, received_at as at, pg_column_size(body) as bytes from rejected_deliveries
      where body is not null and ${isExpired('received_at', age)}
      order by received_at limit ${BATCH} for update skip locked`)})
    returning received_at as at`,
  // Not messages that are still to be sent, and not while the conversation is open.
  messages: (age: Age) => sql<Taken>`
    update messages set text = null, idempotency_key = null
    where id in (
      select id from messages m
      where text is not null and state not in ('scheduled', 'sending') and ${isExpired('created_at', age)}
        and not exists (
          select from lead_conversations c where c.id = m.lead_conversation_id and c.state = 'open')
      order by created_at limit ${BATCH} for update skip locked)
    returning created_at as at`,
  // Figures only. No delivery is recognised by them, so whole rows are deleted.
  call_log_checks: (age: Age) => sql<Taken>`
    delete from call_log_checks
    where id in (
      select id from call_log_checks where ${isExpired('checked_at', age)}
      order by checked_at limit ${BATCH} for update skip locked)
    returning checked_at as at`,
  // Expired sessions and links serve for nothing, however old they are.
  sessions: ({ from }: Age) => sql<Taken>`
    delete from sessions
    where id in (
      select id from sessions
      where expires_at < now() ${from === null ? sql`` : sql`and expires_at >= ${from}`}
      order by expires_at limit ${BATCH} for update skip locked)
    returning expires_at as at`,
  // Delivered or not. The deliveries go with them.
  events: ({ days, from }: Age) => sql<Taken>`
    delete from events
    where id in (
      select id from events where ${isExpired('created_at', { days: Math.min(days, EVENT_DAYS), from })}
      order by created_at limit ${BATCH} for update skip locked)
    returning created_at as at`,
}

/** How long an event is kept and can be sent again. */
const EVENT_DAYS = 30

const TABLES = [
  'raw_cdrs',
  'whatsapp_events',
  'rejected_deliveries',
  'messages',
  'call_log_checks',
  'sessions',
  'events',
] as const
export type Redacted = Record<(typeof TABLES)[number], number>

/**
 * Empties everything older than RETENTION_DAYS, by the database's clock: CDRs, updates, rejected bodies and the
 * texts of messages. Deletes expired sessions, and events older than 30 days. Each batch is its own transaction. Safe to run twice, and by two processes at once.
 *
 * @param signal ends it between two batches
 * @returns how many rows of each table were emptied, and whether `more` are left
 */
export const redactExpired = async (
  signal?: AbortSignal,
  days: number = config().RETENTION_DAYS,
): Promise<{ emptied: Redacted; more: boolean }> => {
  const emptied: Redacted = {
    raw_cdrs: 0,
    whatsapp_events: 0,
    rejected_deliveries: 0,
    messages: 0,
    call_log_checks: 0,
    sessions: 0,
    events: 0,
  }
  let batches = 0
  for (const table of TABLES) {
    let from: Date | null = null
    // A batch may be small because its rows are large.
    for (let count = BATCH; count > 0;) {
      if (signal?.aborted || batches++ === MAX_BATCHES) return { emptied, more: true }
      const { rows }: { rows: Taken[] } = await BATCHES[table]({ days, from }).execute(db)
      count = rows.length
      emptied[table] += count
      from = rows.reduce((last, { at }) => (at > last ? at : last), from ?? new Date(0))
    }
  }
  return { emptied, more: false }
}
