import { type RawBuilder, sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLead } from '../db/locks.ts'
import { moveCall, moveMessages, NOT_HELD } from '../db/transitions.ts'
import { scheduleUnresponsive } from '../outreach/silence.ts'
import { spellings } from '../phone.ts'
import {
  type ConversationReason,
  type ConversationState,
  type HoldReason,
  HOLDS,
  type OutgoingKind,
  type OutgoingState,
  type OutreachState,
} from '../states.ts'

/**
 * A claim expires after this time: a send takes 35 s at most (20 s until it starts, 15 s for the answer). A process that
 * is still alive can record even later that WhatsApp accepted the message.
 */
export const CLAIM_SECONDS = 40

/** How often to look again while a message waits for a paused connection or for the message before it. */
export const LOOK_AGAIN_SECONDS = 60

/** An outgoing message, with its missed call and its person. */
type MessageFields = {
  tenantId: string
  kind: OutgoingKind
  reason: string | null
  attempts: number
  claimedAt: Date | null
  /** For a first message, the missed call says when it is due. */
  dueAt: Date
  isDue: boolean
  /** What it waits for (HOLDS in states.ts), and whether its job should look again now. */
  holdReason: HoldReason | null
  isHoldOver: boolean
  connectionId: string | null
  /** E.164. Null = the person was erased. */
  to: string | null
  text: string | null
  /** The template that it was sent with. Null = free text, or not sent yet. */
  templateName: string | null
  templateLanguage: string | null
  /** What a notice is about. */
  occasion: string | null
  /** A test of the set-up, sent once to the owner's phone. Nothing follows from it (tenants/test_message.ts). */
  isTest: boolean
  /** A digest for the owner. It is composed when it is claimed (outreach/owner_summaries.ts). */
  isDigest: boolean
  /** Free text to the owner, in answer to what they wrote (replies/owner.ts). */
  isAnswer: boolean
  leadId: string | null
  leadName: string | null
  conversationId: string | null
  conversationState: ConversationState | null
  conversationReason: ConversationReason | null
  missedCallId: string | null
  callState: OutreachState | null
  dialled: string | null
  calledAt: Date | null
}
export type Message = MessageFields & { id: string; state: OutgoingState }

/** The same before a claim. A first message has no row until its first claim. */
export type UnclaimedMessage = MessageFields & { id: string | null; state: OutgoingState | null }

const columns = (dueAt: RawBuilder<unknown>, held: RawBuilder<unknown>) => sql`
  m.id, m.state, m.reason, coalesce(m.kind, 'initial') as kind, coalesce(m.attempts, 0) as attempts,
  m.claimed_at as "claimedAt", m.whatsapp_connection_id as "connectionId", m.text,
  m.template_name as "templateName", m.template_language as "templateLanguage",
  m.occasion, coalesce(m.occasion like 'test:%', false) as "isTest",
  coalesce(m.occasion like 'digest:%', false) as "isDigest",
  coalesce(m.occasion like 'answer:%', false) as "isAnswer", coalesce(m.tenant_id, k.tenant_id) as "tenantId",
  coalesce(m.to_phone, k.caller_phone) as "to", ${dueAt} as "dueAt", ${dueAt} <= now() as "isDue",
  ${held}.hold_reason as "holdReason", coalesce(${held}.hold_until <= now(), false) as "isHoldOver",
  l.id as "leadId", l.name as "leadName", c.id as "conversationId", c.state as "conversationState",
  c.reason as "conversationReason", k.id as "missedCallId", k.outreach_state as "callState",
  k.business_phone as dialled, k.called_at as "calledAt"`

/** Locks the lead, then the message. */
export const lockMessage = async (
  trx: Trx,
  id: string | RawBuilder<string>,
): Promise<Message | null> => {
  await lockLead(
    trx,
    sql`(select coalesce(c.lead_id, m.lead_id) from messages m
         left join lead_conversations c on c.id = m.lead_conversation_id where m.id = ${id})`,
  )
  const { rows } = await sql<Message>`
    select ${columns(sql`m.due_at`, sql`m`)}
    from messages m
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    left join leads l on l.id = coalesce(c.lead_id, m.lead_id)
    where m.id = ${id} and m.direction = 'out'
    for update of m`.execute(trx)
  return rows[0] ?? null
}

/** Locks the lead, then the missed call. */
export const lockFirstMessage = async (
  trx: Trx,
  tenantId: string,
  missedCallId: string,
): Promise<UnclaimedMessage | null> => {
  await lockLead(
    trx,
    sql`(select lead_id from missed_calls where id = ${missedCallId} and tenant_id = ${tenantId})`,
  )
  const { rows } = await sql<UnclaimedMessage>`
    select ${columns(sql`k.outreach_due_at`, sql`k`)}
    from missed_calls k
    join leads l on l.id = k.lead_id
    left join lead_conversations c on c.missed_call_id = k.id
    left join messages m on m.lead_conversation_id = c.id and m.kind = 'initial'
    where k.id = ${missedCallId} and k.tenant_id = ${tenantId} and k.outreach_due_at is not null
    for update of k`.execute(trx)
  return rows[0] ?? null
}

/**
 * The updates of the recipient that have not been read: one of them may say "stop". They are found by the ids by which
 * findLead (replies/contacts.ts) would find the person. Asked in the statement that claims, as late as possible.
 */
export const unreadUpdates = ({
  kind,
  tenantId,
  leadId,
  to,
}: UnclaimedMessage): RawBuilder<unknown> => {
  // A notice about a lead goes to the owner.
  const lead = kind === 'owner_notice' ? null : leadId
  return sql`
    select e.received_at from unnest(${to === null ? [] : spellings(to).map(phone => phone.slice(1))}::text[]
        || array(select identity from lead_identities where lead_id = ${lead})
        || array(
          -- The recipient changed their number: they may write from the former one.
          select unnest(array[substr(l.phone, 2), also.identity])
          from lead_identities i join leads l on l.id = i.lead_id join lead_identities also on also.lead_id = l.id
          where ${lead}::bigint is not null and i.tenant_id = ${tenantId}
            and i.identity = any(${to === null ? [] : spellings(to).map(phone => phone.slice(1))}::text[]) and l.id <> ${lead})
        || array(select m.wamid from lead_conversations c join messages m on m.lead_conversation_id = c.id
                 where c.lead_id = ${lead} and m.direction = 'out' and m.wamid is not null)) as ids (id),
      -- With "offset 0" and num_nulls, Postgres looks up each id in the index whatsapp_events_unread. Otherwise it would read
      -- all updates, or all unread ones, and expect to find one soon.
      lateral (select * from whatsapp_events where num_nulls(outcome) = 1 and person_ids @> array[ids.id] offset 0) as e
    -- An update from before its number was connected has no tenant until it is read.
    where e.tenant_id = ${tenantId} or e.tenant_id is null and e.phone_number_id in (
      select phone_number_id from whatsapp_connections where tenant_id = ${tenantId})`
}

type Held = Parameters<typeof addMessageJob>[1]

/** Holds a scheduled message: its job looks again at this time. The lead must be locked. */
export const holdMessage = async (
  trx: Trx,
  message: Held,
  until: Date | RawBuilder<Date>,
  why: HoldReason,
): Promise<void> => {
  const hold = { hold_until: until, hold_reason: why }
  if (message.kind !== 'initial')
    await trx.updateTable('messages').set(hold).where('id', '=', message.id).execute()
  else if (message.missedCallId) await moveCall(trx, message.missedCallId, 'hold', HOLDS[why], hold)
  await addMessageJob(trx, message, until)
}

/** Ends the hold of a scheduled message: its job runs when the message is due. */
export const releaseMessage = async (trx: Trx, message: Held): Promise<void> => {
  if (message.kind !== 'initial')
    await trx.updateTable('messages').set(NOT_HELD).where('id', '=', message.id).execute()
  else if (message.missedCallId) await moveCall(trx, message.missedCallId, 'hold', 'waiting')
  await addMessageJob(trx, message, nextLookAt(message))
}

/** When the job must look at the message. Postgres reads this time, because a Date holds only milliseconds. */
export const nextLookAt = ({ kind, id, missedCallId }: Held): RawBuilder<Date> =>
  kind === 'initial'
    ? sql<Date>`(select coalesce(hold_until, outreach_due_at) from missed_calls where id = ${missedCallId})`
    : sql<Date>`(select coalesce(hold_until, due_at) from messages where id = ${id})`

/** Sets the job of a message for a time. The job that runs now ends, and this one takes its key. */
export const addMessageJob = async (
  trx: Trx,
  message: Pick<
    UnclaimedMessage,
    'id' | 'kind' | 'tenantId' | 'leadId' | 'conversationId' | 'missedCallId' | 'to'
  >,
  at: Date | RawBuilder<Date>,
): Promise<void> => {
  const { kind, tenantId, leadId, conversationId, missedCallId, to } = message
  const when = { tenantId, at }
  if (kind === 'initial') {
    if (!missedCallId || !to) return
    const payload = { tenantId, missedCallId, callerPhone: to }
    await addJob(trx, 'lead_outreach', missedCallId, payload, when)
  } else if (kind === 'reminder_1' || kind === 'reminder_2') {
    if (!conversationId || !leadId) return
    const reminderNumber = kind === 'reminder_1' ? 1 : 2
    const payload = { leadId, leadConversationId: conversationId, reminderNumber } as const
    await addJob(trx, 'lead_reminder', `${conversationId}:${reminderNumber}`, payload, when)
  } else if (message.id) await addJob(trx, kind, message.id, { messageId: message.id }, when)
}

/**
 * Ends a claim that has lost its sender. It is not known whether the message was sent, so it is not sent again: a
 * message that is lost does less harm than one that is sent twice.
 *
 * @returns false if the sender may still be at work
 */
export const expireClaim = async (
  trx: Trx,
  { id, missedCallId, kind }: Pick<UnclaimedMessage, 'missedCallId' | 'kind'> & { id: string },
): Promise<boolean> => {
  const { numUpdatedRows } = await moveMessages(trx, 'lose', 'sender_died')
    .where('id', '=', id)
    .where(sql<boolean>`claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS})`)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return false
  if (kind === 'initial' && missedCallId) await moveCall(trx, missedCallId, 'lose', 'no_answer')
  return true
}

/** After the last reminder, starts to wait for an answer. */
export const afterLastReminder = async (
  trx: Trx,
  {
    kind,
    tenantId,
    conversationId,
  }: Pick<UnclaimedMessage, 'kind' | 'tenantId' | 'conversationId'>,
): Promise<void> => {
  if (kind === 'reminder_2' && conversationId)
    await scheduleUnresponsive(trx, tenantId, conversationId)
}
