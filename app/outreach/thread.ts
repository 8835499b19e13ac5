import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { spellings } from '../phone.ts'
import type {
  ConversationReason,
  ConversationState,
  MessageDirection,
  MessageKind,
  MessageState,
  OutreachReason,
  OutreachState,
} from '../states.ts'
import { DEFAULT_TEMPLATES } from '../whatsapp/own_templates.ts'
import { callTime, fill, filledText, isVariable, type Values } from '../whatsapp/templates.ts'

// The conversation with one person: every call, message and reply, in order.

type At = {
  at: Date
  /** Where the page before begins: microseconds, the kind of entry, an id. */
  cursor: string
}
export type CallEntry = At & {
  type: 'call'
  /** Its page: `12`, or `missed/12` if no CDR names the person. */
  page: string
  channel: 'voicenter' | 'whatsapp'
  verdict: string
  reason: string | null
  outreachState: OutreachState | null
  outreachReason: OutreachReason | null
  conversationState: ConversationState | null
  conversationReason: ConversationReason | null
}
export type MessageEntry = At & {
  type: 'message'
  id: string
  direction: MessageDirection
  kind: MessageKind
  state: MessageState
  reason: string | null
  errorCode: number | null
  /** As the person saw it. Null = it had none, it was deleted, or it is not known. */
  text: string | null
  /** Its template, if the text is not known. */
  template: string | null
}
export type ThreadEntry = CallEntry | MessageEntry

/** A time in microseconds; 0 for a call, 1 for a missed call that has no CDR of the person, 2 for a message; an id. */
export const THREAD_CURSOR = /^(\d{1,17})-([012])-(\d{1,18})$/

type Key = {
  leadId: string
  tenantId: string
  tenant: string
  timezone: string
  phone: string
  name: string | null
}

export type CallRow = Omit<CallEntry, 'type' | 'page'> & { source: number; id: string }
export type MessageRow = Omit<MessageEntry, 'type' | 'template'> & {
  calledAt: Date | null
  templateName: string | null
  /** The template that the tenant has for this kind of message. */
  ownName: string | null
  ownBody: string | null
  ownVariables: string[] | null
}

/**
 * The newest entries of a person's conversation, the oldest of them first.
 *
 * @param before the cursor of the first entry of the page after
 */
export const loadThread = async (
  trx: Trx,
  person: Key,
  { before, limit }: { before: string | null; limit: number },
): Promise<ThreadEntry[]> => {
  const calls = await loadCalls(trx, person, before, limit)
  const messages = await loadMessages(trx, person, before, limit)
  return [...calls, ...messages].toSorted(byCursor).slice(-limit)
}

/** Of the same form, and so of the same order as in the database. */
const keyOf = ({ cursor }: At) => cursor.split('-').map(BigInt)
const byCursor = (a: At, b: At): number => {
  const [left, right] = [keyOf(a), keyOf(b)]
  const at = left.findIndex((part, n) => part !== right[n])
  return at === -1 ? 0 : (left[at] ?? 0n) < (right[at] ?? 0n) ? -1 : 1
}

const isBefore = (cursor: string | null) => {
  const [, micros, source, id] = THREAD_CURSOR.exec(cursor ?? '') ?? []
  return micros && source && id
    ? sql`(at, source, id) < (timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond', ${source}::int, ${id}::bigint)`
    : sql`true`
}
const CURSOR = sql`(extract(epoch from n.at) * 1000000)::bigint || '-' || n.source || '-' || n.id as cursor`

/** Also calls that were answered, and calls of the tenant to the person. */
const loadCalls = async (
  trx: Trx,
  { leadId, tenantId, phone }: Key,
  before: string | null,
  limit: number,
): Promise<CallEntry[]> => {
  const numbers = spellings(phone)
  const reversed = numbers.map(number => Array.from(number).toReversed().join(''))
  const { rows } = await sql<CallRow>`
    with records as (
      -- All CDRs of a call have one verdict. The index holds the numbers from their last digit.
      select min(r.id) as id, r.root_call_id, min(coalesce(r.called_at, r.received_at)) as at, min(r.verdict) as verdict,
             min(r.reason) as reason
      from raw_cdrs r
      where reverse(r.customer_phone) = any(${reversed}::text[]) and r.tenant_id = ${tenantId} and r.verdict is not null
      group by r.root_call_id
    ), calls as (
      select r.id, 0 as source, r.at, 'voicenter' as channel, r.verdict, r.reason, m.id as missed_id
      from records r left join missed_calls m on m.tenant_id = ${tenantId} and m.call_id = r.root_call_id
      union all
      select m.id, 1, m.called_at, m.source, 'missed', lower(m.status), m.id
      from missed_calls m
      where m.lead_id = ${leadId} and not exists (select from records r where r.root_call_id = m.call_id)
    ), newest as (
      select * from calls where ${isBefore(before)} order by at desc, source desc, id desc limit ${limit}
    )
    select n.id, n.source, n.at, n.channel, n.verdict, n.reason, m.outreach_state as "outreachState",
           m.outreach_reason as "outreachReason", c.state as "conversationState", c.reason as "conversationReason",
           ${CURSOR}
    from newest n
    left join missed_calls m on m.id = n.missed_id
    left join lead_conversations c on c.missed_call_id = m.id`.execute(trx)
  return rows.map(({ source, id, ...row }) => ({
    ...row,
    type: 'call',
    page: source === 0 ? id : `missed/${id}`,
  }))
}

/**
 * Messages that were not sent and never will be are no part of the conversation, except what the tenant wrote by hand.
 * Those that wait are its end.
 */
const loadMessages = async (
  trx: Trx,
  person: Key,
  before: string | null,
  limit: number,
): Promise<MessageEntry[]> => {
  const { rows } = await sql<MessageRow>`
    with messages as (
      select m.*, 2 as source, case m.direction when 'in' then m.created_at
               else coalesce(m.claimed_at, m.due_at, m.created_at) end as at
      from messages m
      where (m.lead_id = ${person.leadId} or m.lead_conversation_id = any(array(
               select id from lead_conversations where lead_id = ${person.leadId})))
        and m.kind <> 'owner_notice' and (m.kind = 'manual' or m.state not in ('cancelled', 'skipped'))
    ), newest as (
      select * from messages where ${isBefore(before)} order by at desc, source desc, id desc limit ${limit}
    )
    select n.id, n.at, n.direction, n.kind, n.state, n.reason, n.error_code as "errorCode", n.text,
           n.template_name as "templateName", k.called_at as "calledAt", p.name as "ownName", p.body as "ownBody",
           p.variables as "ownVariables", ${CURSOR}
    from newest n
    left join lead_conversations c on c.id = n.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    left join lateral (
      select name, body, variables from whatsapp_templates w
      where w.tenant_id = n.tenant_id and w.kind = n.kind
      order by w.whatsapp_connection_id = n.whatsapp_connection_id desc, w.id desc limit 1) p on true`.execute(
    trx,
  )
  return rows.map(
    ({ calledAt, templateName, ownName, ownBody, ownVariables, ...row }): MessageEntry => ({
      ...row,
      type: 'message',
      text:
        row.text ??
        templateText(person, {
          ...row,
          calledAt,
          templateName,
          ownName,
          ownBody,
          ownVariables,
        }),
      template: templateName,
    }),
  )
}

/**
 * The text of a message that was stored without one: of its template, filled in. That is what the person saw, unless the
 * template has been changed at Meta since.
 *
 * @returns null if it has no template, or the body of its template is not known
 */
const templateText = (
  { tenant, timezone, phone, name }: Key,
  { kind, calledAt, templateName, ...own }: Omit<MessageRow, keyof At>,
): string | null => {
  if (kind !== 'initial' && kind !== 'reminder_1' && kind !== 'reminder_2') return null
  if (!calledAt) return null
  const standard = DEFAULT_TEMPLATES[kind]
  const isOwn = own.ownName !== null && (templateName ?? own.ownName) === own.ownName
  if (!isOwn && (templateName ?? standard.name) !== standard.name) return null
  const variables = isOwn ? (own.ownVariables ?? []).filter(isVariable) : standard.variables
  const body = own.ownBody ?? (isOwn && own.ownName !== standard.name ? null : standard.text)
  const values: Values = {
    business_name: tenant,
    caller_name: name ?? '',
    call_time: callTime(calledAt, timezone),
    caller_phone: phone,
    what_happened: '',
  }
  return body === null ? null : filledText(body, fill({ ...standard, variables }, values).variables)
}
