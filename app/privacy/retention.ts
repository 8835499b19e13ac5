import { sql } from 'kysely'
import { config } from '../config.ts'
import { db } from '../db/kysely.ts'

/** Rows that one statement takes: some ten milliseconds, in which nobody who wants one of them waits. */
const BATCH = 200
/** In one run; what is left has a run of its own, so that nothing else waits behind a year of records. */
const MOST_BATCHES = 50

/** Past its time; and where this run has been it does not look again, at the rows that it has emptied or must leave. */
type Span = { days: number; from: Date | null }

const tooOld = (
  column: 'received_at' | 'created_at' | 'checked_at',
  { days, from }: Span,
) => sql`${sql.ref(column)} < now() - make_interval(days => ${days})
  ${from === null ? sql`` : sql`and ${sql.ref(column)} >= ${from}`}`

/**
 * One batch of each table: the oldest rows that are past their time and no longer needed. A row that somebody holds
 * at this moment is left to the next run. What is kept is the row and its keys: a repeat is recognised by them.
 */
const BATCHES = {
  /** Not before they are judged, nor while something may follow from the call. */
  raw_cdrs: (span: Span) => sql<Taken>`
    update raw_cdrs set payload = null, body = null
    where id in (
      select id from raw_cdrs r
      where payload is not null and verdict is not null and ${tooOld('received_at', span)}
        and not exists (
          select from missed_calls k left join lead_conversations c on c.missed_call_id = k.id
          where k.tenant_id = r.tenant_id and k.call_id = r.root_call_id
            and (k.outreach_state in ('scheduled', 'sending') or c.state = 'open'))
      order by received_at limit ${BATCH} for update skip locked)
    returning received_at as at`,
  /** Not before they are handled. */
  whatsapp_events: (span: Span) => sql<Taken>`
    update whatsapp_events set payload = null
    where id in (
      select id from whatsapp_events
      where payload is not null and outcome is not null and ${tooOld('received_at', span)}
      order by received_at limit ${BATCH} for update skip locked)
    returning received_at as at`,
  rejected_deliveries: (span: Span) => sql<Taken>`
    update rejected_deliveries set body = null
    where id in (
      select id from rejected_deliveries
      where body is not null and ${tooOld('received_at', span)}
      order by received_at limit ${BATCH} for update skip locked)
    returning received_at as at`,
  /** Not what is still to be sent, nor while the conversation goes on. */
  messages: (span: Span) => sql<Taken>`
    update messages set text = null
    where id in (
      select id from messages m
      where text is not null and state not in ('scheduled', 'sending') and ${tooOld('created_at', span)}
        and not exists (
          select from lead_conversations c where c.id = m.lead_conversation_id and c.state = 'open')
      order by created_at limit ${BATCH} for update skip locked)
    returning created_at as at`,
  /** Figures only: nothing is recognised by them, so they go as a whole. */
  call_log_checks: (span: Span) => sql<Taken>`
    delete from call_log_checks
    where id in (
      select id from call_log_checks where ${tooOld('checked_at', span)}
      order by checked_at limit ${BATCH} for update skip locked)
    returning checked_at as at`,
}

/** A row of a batch, by its age. */
type Taken = { at: Date }

const TABLES = [
  'raw_cdrs',
  'whatsapp_events',
  'rejected_deliveries',
  'messages',
  'call_log_checks',
] as const
export type Redacted = Record<(typeof TABLES)[number], number>

/**
 * Empties what is older than RETENTION_DAYS, by the database's clock: raw records, updates, refused bodies and the
 * texts of messages. Each batch is a transaction of its own. Safe to run twice, and at once.
 *
 * @param signal ends it between two batches
 * @returns how many rows of each table; `more` when it stopped before the end
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
  }
  let batches = 0
  for (const table of TABLES) {
    let from: Date | null = null
    let count = BATCH
    while (count === BATCH) {
      if (signal?.aborted || batches++ === MOST_BATCHES) return { emptied, more: true }
      const { rows }: { rows: Taken[] } = await BATCHES[table]({ days, from }).execute(db)
      count = rows.length
      emptied[table] += count
      from = rows.reduce((last, { at }) => (at > last ? at : last), from ?? new Date(0))
    }
  }
  return { emptied, more: false }
}
