/** What the page of one call shows, read from the database. */
import { sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { isAbout } from '../../outreach/exclusions.ts'
import { NEWS_OCCASIONS } from '../../outreach/notices.ts'
import { spellings } from '../../phone.ts'
import type { ConversationKind, OutgoingState } from '../../states.ts'
import { type Cdr, readIfPossible } from '../../voicenter/parse.ts'
import { DEFAULT_TIMEZONE } from './format.ts'
import type { CallOutcome } from './why.ts'
import { reportKey } from '../../whatsapp/event_keys.ts'
import { statusEvent } from '../../whatsapp/webhook.ts'

/** Far more than a phone system sends for one call. */
const MAX_RECORDS = 20
const MAX_BYTES = 50_000

export type CallRecord = {
  id: string
  callId: string
  receivedAt: Date
  deliveries: number
  source: 'push' | 'call_log'
  /** null = not parsed yet. */
  calledAt: Date | null
  clock: 'shifted' | 'plain' | 'call_id' | 'received' | null
  businessPhone: string | null
  customerPhone: string | null
  /** null = deleted by retention, or longer than MAX_BYTES. */
  payload: unknown
  cdr: Cdr | null
  body: Buffer | null
  bytes: number | null
}

type MissedCallFacts = {
  id: string
  leadId: string | null
  leadName: string | null
  phone: string | null
  calledAt: Date
  recordedAt: Date
  dueAt: Date | null
  /** How they called. */
  source: 'voicenter' | 'whatsapp'
  businessPhone: string
  conversationId: string | null
}

type CallKey = { tenantId: string | null; rootCallId: string }

/** @param tenantScope only calls of this tenant; null = all */
export const findCallByRecord = async (
  trx: Trx,
  recordId: string,
  tenantScope: string | null,
): Promise<CallKey | null> => {
  const { rows } = await sql<CallKey>`
    select tenant_id as "tenantId", root_call_id as "rootCallId" from raw_cdrs
    where id = ${recordId} and (${tenantScope}::bigint is null or tenant_id = ${tenantScope}::bigint)`.execute(
    trx,
  )
  return rows[0] ?? null
}

export const findCallByMissedCall = async (
  trx: Trx,
  missedCallId: string,
  tenantScope: string | null,
): Promise<CallKey | null> => {
  const { rows } = await sql<CallKey>`
    select tenant_id as "tenantId", call_id as "rootCallId" from missed_calls
    where id = ${missedCallId} and (${tenantScope}::bigint is null or tenant_id = ${tenantScope}::bigint)`.execute(
    trx,
  )
  return rows[0] ?? null
}

const loadRecords = async (trx: Trx, { tenantId, rootCallId }: CallKey): Promise<CallRecord[]> => {
  const { rows } = await sql<Omit<CallRecord, 'cdr'> & { facts: unknown }>`
    select id, call_id as "callId", received_at as "receivedAt", deliveries, source, called_at as "calledAt", clock,
           business_phone as "businessPhone", customer_phone as "customerPhone",
           facts, case when length(body) <= ${MAX_BYTES} then payload end as payload,
           substring(body from 1 for ${MAX_BYTES}) as body, length(body) as bytes
    from raw_cdrs
    -- Not in one select: a long value would be read of every CDR, and then all but a few dropped.
    where id in (
      select id from raw_cdrs
      where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint
      order by id limit ${MAX_RECORDS})
    order by id`.execute(trx)
  return rows.map(({ facts, ...row }) => ({ ...row, cdr: readIfPossible({ ...row, facts }) }))
}

type Row = CallOutcome &
  MissedCallFacts & {
    now: Date
    missedId: string | null
    tenantName: string | null
    timezone: string | null
  }

const loadStatus = async (trx: Trx, { tenantId, rootCallId }: CallKey): Promise<Row | null> => {
  const { rows } = await sql<Row>`
    select now() as now, t.name as "tenantName", t.timezone, m.id as "missedId", m.source, m.business_phone as "businessPhone",
           -- A call on WhatsApp has no CDRs.
           coalesce(r.verdict, case m.source when 'whatsapp' then 'missed' end) as verdict,
           coalesce(r.reason, case m.source when 'whatsapp' then 'noanswer' end) as reason,
           m.lead_id as "leadId", l.name as "leadName", m.caller_phone as phone, m.called_at as "calledAt",
           m.created_at as "recordedAt", m.outreach_due_at as "dueAt", m.outreach_state as "outreachState",
           m.outreach_reason as "outreachReason", c.id as "conversationId", c.state as "conversationState",
           c.reason as "conversationReason"
    from (select ${tenantId}::bigint as tenant_id, ${rootCallId}::text as root_call_id) k
    left join tenants t on t.id = k.tenant_id
    left join lateral (
      select verdict, reason from raw_cdrs r
      where r.root_call_id = k.root_call_id and r.tenant_id is not distinct from k.tenant_id
      -- A new CDR has no verdict yet. Until it has one, the verdict of the others holds.
      order by verdict is null, id limit 1) r on true
    left join missed_calls m on m.tenant_id = k.tenant_id and m.call_id = k.root_call_id
    left join leads l on l.id = m.lead_id
    left join lead_conversations c on c.missed_call_id = m.id`.execute(trx)
  return rows[0] ?? null
}

/** null = there is no such call. */
export const loadCall = async (trx: Trx, call: CallKey) => {
  const records = await loadRecords(trx, call)
  const row = await loadStatus(trx, call)
  if (!row || (records.length === 0 && row.missedId === null)) return null
  const missed: MissedCallFacts | null = row.missedId === null ? null : { ...row, id: row.missedId }
  const messages = row.conversationId ? await loadMessages(trx, row.conversationId) : []
  const { phone = null } = missed ?? {}
  const outcome: CallOutcome = row
  const reached = [row.outreachReason, row.conversationState].includes('reached_by_phone')
  const subjects = [
    ...records.map(({ id }) => `raw_cdrs ${id}`),
    ...messages.map(({ id }) => `messages ${id}`),
    ...(missed ? [`missed_calls ${missed.id}`] : []),
  ]
  return {
    ...call,
    tenantName: row.tenantName,
    timezone: row.timezone ?? DEFAULT_TIMEZONE,
    now: row.now,
    outcome,
    records,
    missed,
    messages,
    replies: missed?.leadId ? await loadReplies(trx, missed) : [],
    notices: missed && call.tenantId ? await loadNotices(trx, call.tenantId, missed) : [],
    optOut: phone && call.tenantId ? await findOptOut(trx, call.tenantId, phone) : null,
    exclusion: phone && call.tenantId ? await findExclusion(trx, call.tenantId, phone) : null,
    talk: reached && missed && phone ? await findTalk(trx, call, phone, missed.calledAt) : null,
    earlierCall:
      row.outreachReason === 'already_contacted' && missed
        ? await findEarlierCall(trx, missed)
        : null,
    actions: await loadActions(
      trx,
      subjects,
      `leads ${missed?.leadId ?? ''}`,
      missed?.calledAt ?? null,
    ),
  }
}
export type CallFacts = NonNullable<Awaited<ReturnType<typeof loadCall>>>

type Report = { status: string; at: Date }

export type SentMessage = {
  id: string
  kind: ConversationKind
  state: OutgoingState
  reason: string | null
  dueAt: Date | null
  claimedAt: Date | null
  acceptedAt: Date | null
  attempts: number
  errorCode: number | null
  reports: Report[]
}

const REPORT_STATUSES = ['sent', 'delivered', 'read', 'played', 'failed']

/** The first message and the reminders, with WhatsApp's reports. */
const loadMessages = async (trx: Trx, conversationId: string): Promise<SentMessage[]> => {
  const { rows } = await sql<SentMessage & { wamid: string | null; phoneNumberId: string | null }>`
    select m.id, m.kind, m.state, m.reason, m.due_at as "dueAt", m.claimed_at as "claimedAt",
           m.accepted_at as "acceptedAt", m.attempts, m.error_code as "errorCode", m.wamid,
           w.phone_number_id as "phoneNumberId"
    from messages m left join whatsapp_connections w on w.id = m.whatsapp_connection_id
    where m.lead_conversation_id = ${conversationId} and m.kind in ('initial', 'reminder_1', 'reminder_2')
    order by m.kind`.execute(trx)
  const messages: SentMessage[] = []
  for (const { wamid, phoneNumberId, ...message } of rows) {
    const reports = wamid && phoneNumberId ? await loadReports(trx, phoneNumberId, wamid) : []
    messages.push({ ...message, reports })
  }
  return messages
}

const storedEvent = z.object({ item: statusEvent.shape.item })

/** The time of a report is the time that WhatsApp gives, or its time of arrival if retention deleted its content. */
const loadReports = async (trx: Trx, phoneNumberId: string, wamid: string): Promise<Report[]> => {
  const keys = REPORT_STATUSES.map(status => reportKey(phoneNumberId, wamid, status))
  const { rows } = await sql<{ n: string; payload: unknown; received_at: Date }>`
    select k.n, e.payload, e.received_at
    from unnest(${keys}::bytea[]) with ordinality as k (content_key, n)
    join whatsapp_events e on e.content_key = k.content_key
    order by k.n`.execute(trx)
  return rows.flatMap(({ n, payload, received_at }) => {
    const status = REPORT_STATUSES[Number(n) - 1]
    const seconds = storedEvent.safeParse(payload).data?.item.timestamp
    const at = seconds === undefined ? received_at : new Date(seconds * 1000)
    return status === undefined ? [] : [{ status, at }]
  })
}

type Reply = { at: Date; text: string | null }

/** The caller's replies. If no message was sent for this call: what they wrote before their next missed call. */
const loadReplies = async (trx: Trx, call: MissedCallFacts): Promise<Reply[]> => {
  const { rows } = await sql<Reply>`
    select created_at as at, text from messages
    where lead_id = ${call.leadId} and direction = 'in'
      and case when ${call.conversationId}::bigint is not null then lead_conversation_id = ${call.conversationId}::bigint
          else created_at >= ${call.calledAt} and created_at < coalesce((
            select min(n.called_at) from missed_calls n
            where n.lead_id = ${call.leadId} and n.id <> ${call.id} and n.called_at >= ${call.calledAt}), 'infinity') end
    order by created_at limit 20`.execute(trx)
  return rows
}

type Notice = { at: Date; occasion: 'reply' | 'callback' | 'third_call'; state: string }

/** Notices to the owner about this call. */
const loadNotices = async (
  trx: Trx,
  tenantId: string,
  { id, conversationId }: MissedCallFacts,
): Promise<Notice[]> => {
  const { rows } = await sql<Notice>`
    select coalesce(accepted_at, created_at) as at, split_part(occasion, ':', 1) as occasion,
           case reason when 'collected' then reason else state end as state
    from messages
    where tenant_id = ${tenantId} and occasion = any(
      array(select what || ':' || m.wamid from messages m, unnest(${NEWS_OCCASIONS}::text[]) as what
            where m.lead_conversation_id = ${conversationId} and m.direction = 'in')
      || ${`third_call:${id}`}::text)
    order by id`.execute(trx)
  return rows
}

const findOptOut = async (trx: Trx, tenantId: string, phone: string) => {
  const { rows } = await sql<{ at: Date; source: string }>`
    select created_at as at, source from opt_outs
    where tenant_id = ${tenantId} and ${isAbout(phone)}
    order by created_at limit 1`.execute(trx)
  return rows[0] ?? null
}

const findExclusion = async (trx: Trx, tenantId: string, phone: string) => {
  const { rows } = await sql<{ note: string | null }>`
    select note from excluded_numbers
    where tenant_id = ${tenantId} and ${isAbout(phone)}
    order by id limit 1`.execute(trx)
  return rows[0] ?? null
}

/** The first call after `since`, or in progress then, in which a person at the tenant talked with the caller. */
const findTalk = async (
  trx: Trx,
  { tenantId, rootCallId }: CallKey,
  phone: string,
  since: Date,
) => {
  const { rows } = await sql<{ id: string; at: Date }>`
    select id, called_at as at from raw_cdrs
    where tenant_id = ${tenantId} and reached_phone = any(${spellings(phone)}::text[])
      and reached_until >= ${since} and root_call_id <> ${rootCallId}
    order by called_at limit 1`.execute(trx)
  return rows[0] ?? null
}

/** The call for which the caller was already contacted. */
const findEarlierCall = async (trx: Trx, { id, leadId, calledAt }: MissedCallFacts) => {
  const { rows } = await sql<{ id: string; at: Date }>`
    select m.id, m.called_at as at from missed_calls m
    where m.lead_id = ${leadId} and m.id <> ${id} and m.called_at <= ${calledAt}
      and m.outreach_state not in ('skipped', 'failed')
    order by m.called_at desc limit 1`.execute(trx)
  return rows[0] ?? null
}

/** Actions on this call, and later actions on the caller. */
const loadActions = async (
  trx: Trx,
  subjects: string[],
  leadSubject: string,
  since: Date | null,
) => {
  const { rows } = await sql<{ at: Date; who: string; action: string }>`
    select at, who, action from audit_log
    where subject = any(${subjects}::text[]) or (subject = ${leadSubject} and at >= ${since}::timestamptz)
    order by id limit 50`.execute(trx)
  return rows
}
