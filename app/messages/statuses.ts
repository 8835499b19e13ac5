import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { onAccepted, onDeliveredAfterFailure, onFailed } from './record.ts'
import {
  CLAIM_SECONDS,
  isResolvedByHand,
  lockMessage,
  type Message,
  RANK,
  rankOf,
  setMessage,
} from './states.ts'
import { spellings } from '../phone.ts'
import { type Connection, rememberIdentities, writerPhone } from '../replies/contacts.ts'
import { errorPolicy } from '../whatsapp/errors.ts'
import type { StatusEvent } from '../whatsapp/webhook.ts'

/** How long after its claim a send whose answer was lost can be told by the first status of its pair. */
const SOON_MINUTES = 15

/**
 * WhatsApp reports on a message: sent, delivered, read or failed. Reports come late, twice and in any order, and
 * sometimes before our own record; a state only ever rises (RANK).
 *
 * @returns in a word what became of it; `later` when the message it means may still be on its way
 */
export const applyStatus = async (
  trx: Trx,
  door: Connection,
  report: StatusEvent,
): Promise<string> => {
  const status = report.status === 'played' ? 'read' : report.status
  const rank = Object.hasOwn(RANK, status) ? RANK[status] : undefined
  if (rank === undefined || rank < 20) return 'unknown_status'
  const meant = await messageMeant(trx, door, report)
  const found = meant ?? (await unknownMeant(trx, door, report))
  if (found === 'later') return 'later'
  if (found === null) return 'no_message'

  const message = await lockMessage(trx, found.id)
  if (!message) return 'no_message'
  // Another report was faster, perhaps of another message.
  if (!meant && message.state !== 'unknown' && !isResolvedByHand(message)) return 'later'
  await sql`
    update messages set
      wamid = coalesce(wamid, ${report.id}), price_category = coalesce(${report.pricing?.category ?? null}, price_category)
    where id = ${message.id}`.execute(trx)
  const waId = report.recipient_id?.replace(/\D/g, '') ?? null
  if (waId && message.lead_id && message.kind !== 'owner_notice')
    await rememberIdentities(trx, door.tenantId, message.lead_id, [waId])
  if (rank <= rankOf(message)) return 'old_news'
  return status === 'failed' ? failed(trx, message, report) : arrived(trx, message, status)
}

/** By our own id, which WhatsApp echoes, or by its id; only among the messages of that number. */
const messageMeant = async (
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
 * Meta does not promise to echo our id for templates. So a report with an id we have never seen may be
 * the first word of a send whose answer was lost: if nothing is being sent to that person, exactly one
 * send to her is unknown, and the report fits it in time and price.
 */
const unknownMeant = async (
  trx: Trx,
  { connectionId }: Connection,
  report: StatusEvent,
): Promise<{ id: string } | 'later' | null> => {
  const waId = report.recipient_id?.replace(/\D/g, '') ?? null
  const phone = writerPhone({ waId })
  const { rows } = await sql<{ id: string; state: string; settled: boolean; fits: boolean }>`
    select m.id, m.state,
           m.claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS}) as settled,
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
  if (rows.some(({ state, settled }) => state === 'sending' || !settled)) return 'later'
  const fitting = rows.filter(({ fits }) => fits)
  const isTemplate = report.pricing?.category !== undefined && report.pricing.category !== 'service'
  return fitting.length === 1 && isTemplate ? (fitting[0] ?? null) : null
}

const arrived = async (trx: Trx, message: Message, status: string): Promise<string> => {
  await setMessage(trx, message, status, null)
  // The first we hear of its acceptance, or the end of a failure that was none.
  if ((RANK[message.state] ?? 0) < (RANK['accepted'] ?? 0)) await onAccepted(trx, message, 'claim')
  else if (message.state === 'failed') await onDeliveredAfterFailure(trx, message)
  return 'status'
}

/** It was accepted once, so it is never sent again: what would be tried again in an answer has failed here. */
const failed = async (trx: Trx, message: Message, report: StatusEvent): Promise<string> => {
  const code = report.errors?.[0]?.code ?? null
  await setMessage(trx, message, 'failed', 'reported', code)
  await onFailed(trx, message, (code !== null && errorPolicy(code, 400)) || { do: 'fail' }, code)
  return 'status'
}

/**
 * A person has found out what became of a message whose answer was lost. One that arrived counts as delivered, for
 * reminders follow only what has left WhatsApp; they run from its claim. One that did not arrive has failed, and
 * is never sent again; the next missed call is written to. Should WhatsApp report on it after all, its word counts.
 *
 * @throws Mistake when there is no such message, or it is known by now what became of it
 */
export const resolveUnknown = async (
  trx: Trx,
  signIn: Actor,
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
    throw userError('settled', 'what became of this message is known by now')

  const state = arrived ? 'delivered' : 'failed'
  await setMessage(trx, message, state, 'by_operator')
  if (arrived) await onAccepted(trx, message, 'claim')
  else await onFailed(trx, message, { do: 'fail' }, null)
  await audit(trx, signIn, {
    tenantId,
    action: 'message.settle',
    subject: `messages ${messageId}`,
    before: { state: message.state },
    after: { state },
  })
}
