import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'

// A message is claimed and committed before it is sent, and recorded after. Between the two stands the one
// thing that no transaction can hold, the call to WhatsApp. A process that dies there leaves `sending`
// behind, and whoever finds that does not send: losing one message is better than sending it twice. So a
// message goes out at most once, and what is not known is listed as `unknown`.

/**
 * Longer than a send can take (20 s until it starts, 15 s for the answer): after that, a message still `sending` has
 * lost its sender, or its sender the database. Should that one live and know better, it will still say so.
 */
export const CLAIM_SECONDS = 40

/** How often we look again for what a message waits for: a paused connection, word of the one before. */
export const LOOK_AGAIN_SECONDS = 60

/** A moment of the database's clock, for jobs. */
export const secondsFromNow = (seconds: number): RawBuilder<Date> =>
  sql<Date>`now() + make_interval(secs => ${seconds})`

/**
 * How far a message has come. WhatsApp's reports come late, twice and in any order: a state is only ever
 * replaced by one of a higher rank. A report of failure can be overtaken by one of delivery.
 */
export const RANK: Record<string, number> = {
  sending: 5,
  unknown: 5,
  accepted: 10,
  sent: 20,
  failed: 25,
  delivered: 30,
  read: 40,
}

/** What a person said became of it, whose word counts less than anything that WhatsApp says later. */
export const isResolvedByHand = ({ state, reason }: Pick<Message, 'state' | 'reason'>): boolean =>
  reason === 'by_operator' && (state === 'delivered' || state === 'failed')

/** How much is known of this message from WhatsApp itself. */
export const rankOf = (message: Pick<Message, 'state' | 'reason'>): number =>
  (isResolvedByHand(message) ? RANK['unknown'] : RANK[message.state]) ?? 0

/** When a claim that somebody else made will have lost its sender. */
export const claimEnds = (messageId: string): RawBuilder<Date> =>
  sql<Date>`(select claimed_at + make_interval(secs => ${CLAIM_SECONDS}) from messages where id = ${messageId})`

/** One outgoing message, locked together with its lead, and what it belongs to. */
export type Message = {
  id: string
  tenant_id: string
  kind: 'initial' | 'reminder_1' | 'reminder_2' | 'opt_out_confirmation' | 'owner_notice'
  state: string
  reason: string | null
  attempts: number
  claimed_at: Date | null
  whatsapp_connection_id: string | null
  to_phone: string | null
  text: string | null
  /** A try of the set-up, to the owner's own phone: once, and nothing follows from it (app/tenants/test_message.ts). */
  is_test: boolean
  lead_id: string | null
  conversation_id: string | null
  conversation_state: string | null
  conversation_reason: string | null
  missed_call_id: string | null
  caller_phone: string | null
}

/** Locks the lead first, then the message: the order in which everything that claims or cancels locks. */
export const lockMessage = async (trx: Trx, messageId: string): Promise<Message | null> => {
  await sql`
    select from leads where id = (
      select coalesce(c.lead_id, m.lead_id) from messages m
      left join lead_conversations c on c.id = m.lead_conversation_id where m.id = ${messageId})
    for update`.execute(trx)
  const { rows } = await sql<Message>`
    select m.id, m.tenant_id, m.kind, m.state, m.reason, m.attempts, m.claimed_at, m.whatsapp_connection_id, m.to_phone, m.text,
           coalesce(m.occasion like 'test:%', false) as is_test,
           coalesce(c.lead_id, m.lead_id) as lead_id, c.id as conversation_id, c.state as conversation_state, c.reason as conversation_reason,
           k.id as missed_call_id, k.caller_phone
    from messages m
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    where m.id = ${messageId} and m.direction = 'out'
    for update of m`.execute(trx)
  return rows[0] ?? null
}

export const setMessage = async (
  trx: Trx,
  message: { id: string },
  state: string,
  reason: string | null,
  code: number | null = null,
): Promise<void> => {
  await trx
    .updateTable('messages')
    .set({ state, reason, error_code: code })
    .where('id', '=', message.id)
    .execute()
}

/** What the missed call says of its first message; a later message changes nothing there. */
export const setOutreach = async (
  trx: Trx,
  message: Message,
  state: string,
  reason: string,
): Promise<void> => {
  if (message.kind !== 'initial' || !message.missed_call_id) return
  await trx
    .updateTable('missed_calls')
    .set({ outreach_state: state, outreach_reason: reason })
    .where('id', '=', message.missed_call_id)
    .execute()
}

/**
 * A message that somebody else claimed. Too young, and its sender may still be at it; too old, and
 * nobody will ever tell: then it is `unknown` from here on.
 *
 * @returns whether it was given up
 */
export const expireClaim = async (trx: Trx, messageId: string): Promise<boolean> => {
  const message = await lockMessage(trx, messageId)
  const { rows } = await sql`
    update messages set state = 'unknown', reason = 'sender_died'
    where id = ${messageId} and state = 'sending' and claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS})
    returning id`.execute(trx)
  if (!message || rows.length === 0) return false
  await setOutreach(trx, message, 'unknown', 'no_answer')
  return true
}
