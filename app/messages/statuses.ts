import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { moveMessage } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import { spellings } from '../phone.ts'
import {
  type Connection,
  identitiesOf,
  idsOf,
  isSameNumber,
  rememberIdentities,
  type Writer,
  writerOf,
  writerPhone,
} from '../replies/contacts.ts'
import {
  allows,
  isResolvedByHand,
  knownState,
  MESSAGE_TRANSITIONS,
  type OutgoingState,
} from '../states.ts'
import { errorPolicy } from '../whatsapp/errors.ts'
import type { StatusEvent } from '../whatsapp/webhook.ts'
import {
  markAsMarketing,
  onAccepted,
  onDeliveredAfterFailure,
  onFailed,
  policyAfterRepeats,
} from './effects.ts'
import { CLAIM_SECONDS, lockMessage } from './message.ts'

type Report = StatusEvent['item']

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
  connection: Omit<Connection, 'eventId'>,
  report: Report,
  contacts: StatusEvent['contacts'] = [],
): Promise<string> => {
  const name = isReport(report.status) ? REPORTS.get(report.status) : undefined
  if (!name) return 'unknown_status'
  const recipient = writerOf(
    null,
    report.recipient_id,
    report.recipient_user_id,
    report.recipient_parent_user_id,
    ...idsOf(contacts),
  )
  const named = await namedMessage(trx, connection, report, recipient)
  // While another app holds the conversation, most reports are about its messages. With an id that is not ours, all are.
  const isOfOther = connection.isListening || Boolean(report.biz_opaque_callback_data)
  const found =
    named ?? (isOfOther ? null : await unknownMessage(trx, connection, report, recipient))
  if (found === 'later') return 'later'
  if (found === null) return 'no_message'

  const message = await lockMessage(trx, found.id)
  if (!message) return 'no_message'
  // Another report settled the message before this transaction got the lock. This one may be about another message.
  if (!named && message.state !== 'unknown' && !isResolvedByHand(message)) return 'later'
  await sql`
    update messages set
      wamid = coalesce(wamid, ${report.id}), price_category = coalesce(${report.pricing?.category ?? null}, price_category)
    where id = ${message.id}`.execute(trx)
  if (message.leadId && message.kind !== 'owner_notice')
    await rememberIdentities(trx, connection.tenantId, message.leadId, identitiesOf(recipient))
  if (isMarketing(report)) await markAsMarketing(trx, message)
  if (!allows<OutgoingState>(MESSAGE_TRANSITIONS[name], knownState(message))) return 'old_news'

  if (name === 'report_failed') {
    const errors = report.errors ?? []
    const isOptOut = ({ code }: { code: number }) => errorPolicy(code, 400)?.do === 'opt_out'
    const error = errors.find(isOptOut) ?? errors[0]
    const code = error?.code ?? null
    const details = [error?.error_data?.details, error?.message, error?.title].join(' ')
    await moveMessage(trx, message, name, 'reported', code)
    const policy = (code !== null && errorPolicy(code, 400, { details })) || { do: 'fail' }
    // WhatsApp had accepted it, so it is not sent again, whatever the code says.
    await onFailed(trx, message, await policyAfterRepeats(trx, message, policy, code), code)
    return 'status'
  }
  await moveMessage(trx, message, name)
  // The first evidence that WhatsApp accepted it, or that it did not fail.
  if (allows<OutgoingState>(MESSAGE_TRANSITIONS.accept, message.state))
    await onAccepted(trx, message, 'claim')
  else if (message.state === 'failed') await onDeliveredAfterFailure(trx, message)
  return 'status'
}

/** WhatsApp's price category: marketing, marketing_lite. */
const isMarketing = ({ pricing }: Report): boolean =>
  pricing?.category?.toLowerCase().startsWith('marketing') ?? false

/**
 * Finds the message by its wamid, or by our id, which WhatsApp echoes; only among the messages of this connection. Another
 * app on the same number may use the same text as its own id. So our id counts only for a message whose wamid is not known,
 * and only if the report is about the person that we wrote to.
 */
const namedMessage = async (
  trx: Trx,
  { connectionId }: Pick<Connection, 'connectionId'>,
  report: Report,
  recipient: Writer,
): Promise<{ id: string } | null> => {
  const ours = /^\d{1,18}$/.test(report.biz_opaque_callback_data ?? '')
    ? report.biz_opaque_callback_data
    : null
  const { rows } = await sql<NamedMessage>`
    select m.id, coalesce(m.wamid = ${report.id}, false) as "isNamed", coalesce(m.to_phone, k.caller_phone) as phone,
           m.wa_id as "waId", array(select identity from lead_identities i
             where i.lead_id = coalesce(c.lead_id, m.lead_id) and m.kind <> 'owner_notice') as identities
    from messages m
    left join lead_conversations c on c.id = m.lead_conversation_id
    left join missed_calls k on k.id = c.missed_call_id
    where m.whatsapp_connection_id = ${connectionId} and m.direction = 'out' and m.claimed_at is not null
      and (m.wamid = ${report.id} or m.id = ${ours}::bigint and m.wamid is null)
    order by m.wamid nulls last limit 1`.execute(trx)
  const [message] = rows
  return message && (message.isNamed || isTo(message, recipient)) ? message : null
}
export type NamedMessage = {
  id: string
  isNamed: boolean
  phone: string | null
  waId: string | null
  identities: string[]
}

/**
 * Whether a report is about the person that the message was for. It may be if it has no identifier, or only user ids while
 * none of theirs is known.
 */
const isTo = ({ phone, waId, identities }: NamedMessage, recipient: Writer): boolean => {
  const reported = identitiesOf(recipient).filter(id => id !== null)
  if (reported.some(id => id === waId || identities.includes(id))) return true
  if (phone === null) return false
  if (recipient.waId === null)
    return reported.length === 0 || identities.every(id => /^\d+$/.test(id))
  return isSameNumber(phone, recipient.waId)
}

/**
 * Meta does not promise to echo our id for templates. A status with an unknown wamid may therefore be the first evidence
 * about a send whose answer was lost. It is accepted as such if nothing is being sent to that person, and exactly one unknown
 * send to them fits the status in time and price. A status with an id that is not ours is about a message of another program.
 */
const unknownMessage = async (
  trx: Trx,
  { connectionId }: Pick<Connection, 'connectionId'>,
  report: Report,
  recipient: Writer,
): Promise<{ id: string } | 'later' | null> => {
  const phone = writerPhone(recipient)
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
                      and i.identity = any(${identitiesOf(recipient).filter(Boolean)}::text[]) and m.kind <> 'owner_notice'))`.execute(
    trx,
  )
  // The process that sends it may be about to record the outcome.
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
