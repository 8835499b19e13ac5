/** Everything that is known of one call. */
import { sql } from 'kysely'
import type { Trx } from '../../../db/kysely.ts'
import { isObject } from '../../../json.ts'
import { type Cdr, readCdr } from '../../../voicenter/parse.ts'
import { messagesOf, noticesOf, repliesTo } from './messages.ts'
import { HOME } from '../format.ts'
import { callBefore, deedsTo, optOutOf, talkWith } from './related.ts'
import type { Stand } from '../why.ts'

/** More records, or longer ones, no exchange sends for one call. */
const MOST_RECORDS = 20
const LONGEST = 50_000

export type CallRecord = {
  id: string
  callId: string
  receivedAt: Date
  deliveries: number
  source: 'push' | 'call_log'
  /** Null until it has been judged. */
  calledAt: Date | null
  clock: 'shifted' | 'plain' | 'received' | null
  businessPhone: string | null
  customerPhone: string | null
  /** Null = emptied, or too long to show. */
  payload: unknown
  cdr: Cdr | null
  body: Buffer | null
  bytes: number | null
}

export type MissedCall = {
  id: string
  leadId: string | null
  leadName: string | null
  phone: string | null
  calledAt: Date
  recordedAt: Date
  dueAt: Date | null
  conversationId: string | null
}

export type Root = { tenantId: string | null; rootCallId: string }

/** The call that a record belongs to; of a business only its own. */
export const callOfRecord = async (
  trx: Trx,
  recordId: string,
  own: string | null,
): Promise<Root | null> => {
  const { rows } = await sql<Root>`
    select tenant_id as "tenantId", root_call_id as "rootCallId" from raw_cdrs
    where id = ${recordId} and (${own}::bigint is null or tenant_id = ${own}::bigint)`.execute(trx)
  return rows[0] ?? null
}

/** The same by the id of its missed call. */
export const callOfMissed = async (
  trx: Trx,
  missedCallId: string,
  own: string | null,
): Promise<Root | null> => {
  const { rows } = await sql<Root>`
    select tenant_id as "tenantId", call_id as "rootCallId" from missed_calls
    where id = ${missedCallId} and (${own}::bigint is null or tenant_id = ${own}::bigint)`.execute(
    trx,
  )
  return rows[0] ?? null
}

const recordsOf = async (trx: Trx, { tenantId, rootCallId }: Root): Promise<CallRecord[]> => {
  const { rows } = await sql<Omit<CallRecord, 'cdr'>>`
    select id, call_id as "callId", received_at as "receivedAt", deliveries, source, called_at as "calledAt", clock,
           business_phone as "businessPhone", customer_phone as "customerPhone",
           case when length(payload::text) <= ${LONGEST} then payload end as payload,
           substring(body from 1 for ${LONGEST}) as body, length(body) as bytes
    from raw_cdrs
    where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint
    order by id limit ${MOST_RECORDS}`.execute(trx)
  return rows.map(row => {
    const read = isObject(row.payload) ? readCdr(row.payload) : null
    return { ...row, cdr: read && 'cdr' in read ? read.cdr : null }
  })
}

type Row = Stand &
  MissedCall & {
    now: Date
    missedId: string | null
    tenantName: string | null
    timezone: string | null
  }

const standOf = async (trx: Trx, { tenantId, rootCallId }: Root): Promise<Row | null> => {
  const { rows } = await sql<Row>`
    select now() as now, t.name as "tenantName", t.timezone, r.verdict, r.reason, m.id as "missedId",
           m.lead_id as "leadId", l.name as "leadName", m.caller_phone as phone, m.called_at as "calledAt",
           m.created_at as "recordedAt", m.outreach_due_at as "dueAt", m.outreach_state as "outreachState",
           m.outreach_reason as "outreachReason", c.id as "conversationId", c.state as "conversationState",
           c.reason as "conversationReason"
    from (select ${tenantId}::bigint as tenant_id, ${rootCallId}::text as root_call_id) k
    left join tenants t on t.id = k.tenant_id
    left join lateral (
      select verdict, reason from raw_cdrs r
      where r.root_call_id = k.root_call_id and r.tenant_id is not distinct from k.tenant_id
      -- One that has just come is not judged yet, and the verdict on the others still stands.
      order by verdict is null, id limit 1) r on true
    left join missed_calls m on m.tenant_id = k.tenant_id and m.call_id = k.root_call_id
    left join leads l on l.id = m.lead_id
    left join lead_conversations c on c.missed_call_id = m.id`.execute(trx)
  return rows[0] ?? null
}

/** What the page of a call tells. @returns null where there is no such call */
export const factsOf = async (trx: Trx, call: Root) => {
  const records = await recordsOf(trx, call)
  const row = await standOf(trx, call)
  if (!row || (records.length === 0 && row.missedId === null)) return null
  const { verdict, reason, outreachState, outreachReason, conversationState, conversationReason } =
    row
  const stand = {
    verdict,
    reason,
    outreachState,
    outreachReason,
    conversationState,
    conversationReason,
  }
  const missed: MissedCall | null = row.missedId === null ? null : { ...row, id: row.missedId }
  const messages = row.conversationId ? await messagesOf(trx, row.conversationId) : []
  const { phone = null } = missed ?? {}
  const reached = [outreachReason, conversationState].includes('reached_by_phone')
  const subjects = [
    ...records.map(({ id }) => `raw_cdrs ${id}`),
    ...messages.map(({ id }) => `messages ${id}`),
    ...(missed ? [`missed_calls ${missed.id}`] : []),
  ]
  return {
    ...call,
    tenantName: row.tenantName,
    timezone: row.timezone ?? HOME,
    now: row.now,
    stand,
    records,
    missed,
    messages,
    replies: missed?.leadId ? await repliesTo(trx, missed) : [],
    notices: missed && call.tenantId ? await noticesOf(trx, call.tenantId, missed) : [],
    optOut: phone && call.tenantId ? await optOutOf(trx, call.tenantId, phone) : null,
    talk: reached && missed && phone ? await talkWith(trx, call, phone, missed.calledAt) : null,
    because:
      outreachReason === 'already_contacted' && missed ? await callBefore(trx, missed) : null,
    deeds: await deedsTo(trx, subjects, `leads ${missed?.leadId ?? ''}`, missed?.calledAt ?? null),
  }
}
export type Facts = NonNullable<Awaited<ReturnType<typeof factsOf>>>
