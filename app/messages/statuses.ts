import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { moveMessage } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import { spellings } from '../phone.ts'
import { type Connection, rememberIdentities, writerPhone } from '../replies/contacts.ts'
import {
  allows,
  isResolvedByHand,
  knownState,
  MESSAGE_TRANSITIONS,
  type OutgoingState,
} from '../states.ts'
import { errorPolicy } from '../whatsapp/errors.ts'
import type { StatusEvent } from '../whatsapp/webhook.ts'
import { onAccepted, onDeliveredAfterFailure, onFailed } from './effects.ts'
import { CLAIM_SECONDS, lockMessage } from './message.ts'

/** WhatsApp's statuses. `played` is reported for voice messages, and Ringback sends none. */
const REPORTS = new Map([
  ['sent', 'report_sent'],
  ['delivered', 'report_delivered'],
  ['read', 'report_read'],
  ['played', 'report_read'],
  ['failed', 'report_failed'],
] as const)
const isReport = (status: string): status is 'sent' | 'delivered' | 'read' | 'played' | 'failed' =>
  [...REPORTS.keys()].some(one => one === status)

/** If the answer to a send was lost, its first status is recognised within this time after the claim. */
const SOON_MINUTES = 15

/**
 * Applies a status that WhatsApp reports: sent, delivered, read or failed. Statuses come late, twice and in any order,
 * and sometimes before this program has recorded the send.
 *
 * @returns the outcome of the event in one word; `later` if its message may not be recorded yet
 */
export const applyStatus = async (
  trx: Trx,
  connection: Connection,
  report: StatusEvent,
): Promise<string> => {
  const name = isReport(report.status) ? REPORTS.get(report.status) : undefined
  if (!name) return 'unknown_status'
  const named = await namedMessage(trx, connection, report)
  const found = named ?? (await unknownMessage(trx, connection, report))
  if (found === 'later') return 'later'
  if (found === null) return 'no_message'

  const message = await lockMessage(trx, found.id)
  if (!message) return 'no_message'
  // Until this transaction got the lock, another report settled the message. This one may be about another message.
  if (!named && message.state !== 'unknown' && !isResolvedByHand(message)) return 'later'
  await sql`
    update messages set
      wamid = coalesce(wamid, ${report.id}), price_category = coalesce(${report.pricing?.category ?? null}, price_category)
    where id = ${message.id}`.execute(trx)
  const waId = report.recipient_id?.replace(/\D/g, '') ?? null
  if (waId && message.leadId && message.kind !== 'owner_notice')
    await rememberIdentities(trx, connection.tenantId, message.leadId, [waId])
  if (!allows<OutgoingState>(MESSAGE_TRANSITIONS[name], knownState(message))) return 'old_news'

  if (name === 'report_failed') {
    const code = report.errors?.[0]?.code ?? null
    await moveMessage(trx, message, name, 'reported', code)
    // WhatsApp had accepted it, so it is not sent again, whatever the code says.
    await onFailed(trx, message, (code !== null && errorPolicy(code, 400)) || { do: 'fail' }, code)
    return 'status'
  }
  await moveMessage(trx, message, name)
  // The first evidence that WhatsApp accepted it, or that it did not fail.
  if (allows<OutgoingState>(MESSAGE_TRANSITIONS.accept, message.state))
    await onAccepted(trx, message, 'claim')
  else if (message.state === 'failed') await onDeliveredAfterFailure(trx, message)
  return 'status'
}

/** Finds the message by our id, which WhatsApp echoes, or by its wamid. Searches only this connection's messages. */
const namedMessage = async (
  trx: Trx,
  { connectionId }: Connection,
  report: StatusEvent,
): Promise<{ id: string } | null> => {
  const ours = /^\d{1,18}$/.test(report.biz_opaque_callback_data ?? '')
    ? report.biz_opaque_callback_data
    : null
  const { rows } = await sql<{ id: string }>`
    select id from messages
    where whatsapp_connection_id = ${connectionId} and direction = 'out' and claimed_at is not null
      and (id = ${ours}::bigint or wamid = ${report.id})
    order by (id = ${ours}::bigint) desc nulls last limit 1`.execute(trx)
  return rows[0] ?? null
}

/**
 * Meta does not promise to echo our id for templates. A status with an unknown wamid may therefore be the first evidence
 * about a send whose answer was lost. It is accepted as such if nothing is being sent to that person, exactly one send
 * to them is unknown, and the status fits it in time and price.
 */
const unknownMessage = async (
  trx: Trx,
  { connectionId }: Connection,
  report: StatusEvent,
): Promise<{ id: string } | 'later' | null> => {
  const waId = report.recipient_id?.replace(/\D/g, '') ?? null
  const phone = writerPhone({ waId })
  const { rows } = await sql<UnknownMessage>`
    select m.id, m.state,
           m.claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS}) as "isExpired",
           coalesce(to_timestamp(${report.timestamp ?? null}::float8) between m.claimed_at - interval '5 seconds'
             and m.claimed_at + make_interval(mins => ${SOON_MINUTES}), false) as fits
    from messages m
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    where m.whatsapp_connection_id = ${connectionId}
      and (m.state in ('sending', 'unknown') or m.state in ('delivered', 'failed') and m.reason = 'by_operator')
      and (coalesce(m.to_phone, k.caller_phone) = any(${phone ? spellings(phone) : []}::text[])
           or exists (select from lead_identities i where i.lead_id = coalesce(c.lead_id, m.lead_id)
                      and i.identity = ${waId} and m.kind <> 'owner_notice'))`.execute(trx)
  // Its sender may be about to record it.
  if (rows.some(({ state, isExpired }) => state === 'sending' || !isExpired)) return 'later'
  const fitting = rows.filter(({ fits }) => fits)
  const isTemplate = report.pricing?.category !== undefined && report.pricing.category !== 'service'
  return fitting.length === 1 && isTemplate ? (fitting[0] ?? null) : null
}
export type UnknownMessage = { id: string; state: OutgoingState; isExpired: boolean; fits: boolean }

/**
 * Records whether a message with a lost answer arrived, as a person found out. If it did, it counts as delivered, since
 * reminders follow only a message that was sent; they count from its claim. If it did not, it has failed and is never
 * sent again, and the next missed call is handled as a first one. A later report from WhatsApp replaces either.
 *
 * @throws UserError if there is no such message, or its outcome is known
 */
export const resolveUnknown = async (
  trx: Trx,
  actor: Actor,
  { tenantId, messageId, arrived }: { tenantId: string; messageId: string; arrived: boolean },
): Promise<void> => {
  const owned = await trx
    .selectFrom('messages')
    .select('id')
    .where('id', '=', messageId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  const message = owned && (await lockMessage(trx, messageId))
  if (!message) throw notFound(`message ${messageId} of tenant ${tenantId}`)
  if (message.state !== 'unknown')
    throw userError('settled', 'the outcome of this message is already known')

  const name = arrived ? 'resolve_delivered' : 'resolve_failed'
  await moveMessage(trx, message, name, 'by_operator')
  if (arrived) await onAccepted(trx, message, 'claim')
  else await onFailed(trx, message, { do: 'fail' }, null)
  await audit(trx, actor, {
    tenantId,
    action: 'message.settle',
    subject: `messages ${messageId}`,
    before: { state: message.state },
    after: { state: MESSAGE_TRANSITIONS[name].to },
  })
}
