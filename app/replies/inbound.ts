import { sql } from 'kysely'
import type { z } from 'zod'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { moveConversations, moveLead } from '../db/transitions.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { notifyOwner } from '../outreach/notify_owner.ts'
import { OPT_OUT_CONFIRMATION } from '../whatsapp/templates.ts'
import type { echoEvent, MessageEvent, preferenceEvent } from '../whatsapp/webhook.ts'
import {
  type Connection,
  findLead,
  knownPhones,
  leadsWithSameNumber,
  optedOutBy,
  optIn,
  optOut,
  rememberIdentities,
  type Writer,
  writerPhone,
} from './contacts.ts'
import { parseKeyword } from './keywords.ts'

// Each function handles one event and returns its outcome in one word, for `whatsapp_events.outcome`.

/**
 * Handles a message from a person. The message is stored. A reply cancels pending messages, "stop" opts the person out,
 * and "start" takes that back.
 */
export const handleInbound = async (
  trx: Trx,
  connection: Connection,
  { item, contacts }: MessageEvent,
): Promise<string> => {
  const { tenantId } = connection
  const [contact] = contacts
  const writer: Writer = {
    context: item.reaction?.message_id ?? item.context?.id ?? null,
    waId: item.from ?? contact?.wa_id ?? null,
    userId: item.from_user_id ?? contact?.user_id ?? null,
  }
  const leadId = await findLead(trx, tenantId, writer)
  if (item.type === 'system')
    return leadId ? addIdentity(trx, connection, leadId, item) : 'unassigned'
  // These change or remove an earlier message or reaction.
  const isRemoved = item.type === 'reaction' && !item.reaction?.emoji
  if (item.type === 'edit' || item.type === 'revoke' || isRemoved) return 'not_a_reply'

  const text = textOf(item)
  const digits = writer.waId?.replace(/\D/g, '') ?? null
  await storeMessage(trx, connection, leadId, { wamid: item.id, waId: digits, text })
  if (leadId) {
    await rememberIdentities(trx, tenantId, leadId, [digits, writer.userId])
    if (contact?.profile?.name)
      await trx
        .updateTable('leads')
        .set({ name: contact.profile.name.slice(0, 100) })
        .where('id', '=', leadId)
        .execute()
  }
  const keyword = item.button?.payload === 'STOP' ? 'stop' : parseKeyword(text ?? '')
  for (const other of await leadsWithSameNumber(trx, tenantId, leadId, writer))
    await cancelPending(trx, other, keyword === 'stop' ? 'opted_out' : 'replied')
  // These also cancel the pending messages of the lead itself.
  if (keyword === 'stop') return handleStop(trx, connection, leadId, writer)
  if (keyword === 'start') return handleStart(trx, connection, leadId, writer)
  return leadId ? handleReply(trx, leadId, item.id, text) : 'unassigned'
}

const textOf = (item: MessageEvent['item']): string | null =>
  item.text?.body ??
  item.button?.text ??
  item.interactive?.button_reply?.title ??
  item.interactive?.list_reply?.title ??
  item.reaction?.emoji ??
  item.image?.caption ??
  item.video?.caption ??
  item.document?.caption ??
  null

const storeMessage = async (
  trx: Trx,
  { tenantId, connectionId }: Connection,
  leadId: string | null,
  { wamid, waId, text }: { wamid: string; waId: string | null; text: string | null },
) => {
  await sql`
    insert into messages (tenant_id, lead_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, wamid, wa_id, text)
    values (${tenantId}, ${leadId},
      (select id from lead_conversations where lead_id = ${leadId} order by id desc limit 1),
      ${connectionId}, 'in', 'inbound', 'received', ${wamid}, ${waId}, ${text})
    on conflict (tenant_id, wamid) where direction = 'in' do nothing`.execute(trx)
}

const handleReply = async (
  trx: Trx,
  leadId: string,
  wamid: string,
  text: string | null,
): Promise<string> => {
  const before = await trx
    .selectFrom('leads')
    .select('state')
    .where('id', '=', leadId)
    .executeTakeFirstOrThrow()
  const [conversation] = await cancelPending(trx, leadId, 'replied')
  await moveConversations(trx, 'late_reply', 'replied')
    .where('id', '=', eb =>
      eb
        .selectFrom('lead_conversations as c')
        .select(({ fn }) => fn.max('c.id').as('id'))
        .where('c.lead_id', '=', leadId),
    )
    .execute()
  const isFirst = before.state !== 'replied' && before.state !== 'opted_out'
  // The owner is notified once for each conversation. Without one, for this message.
  const occasion = `reply:${conversation ?? wamid}`
  if (isFirst) await notifyOwner(trx, leadId, occasion, text ? `כתב/ה: ${text}` : 'שלח/ה הודעה')
  return 'reply'
}

/** "Stop" holds for every number of the person. The first one is confirmed. */
const handleStop = async (
  trx: Trx,
  connection: Connection,
  leadId: string | null,
  writer: Writer,
): Promise<string> => {
  const phones = await knownPhones(trx, leadId, writer)
  const [phone] = phones
  if (!phone) return 'unassigned'
  const isNew = await optOut(trx, connection.tenantId, phone, 'typed')
  for (const other of phones.slice(1)) await optOut(trx, connection.tenantId, other, 'typed')
  if (leadId) await cancelPending(trx, leadId, 'opted_out')
  // To the number that they wrote from: its 24-hour window is open, so free text is allowed.
  if (isNew) await confirmOptOut(trx, connection, leadId, phones.at(-1) ?? phone)
  return 'opt_out'
}

const confirmOptOut = async (
  trx: Trx,
  { tenantId, connectionId }: Connection,
  leadId: string | null,
  to: string,
): Promise<void> => {
  const { id } = await trx
    .insertInto('messages')
    .values({
      tenant_id: tenantId,
      lead_id: leadId,
      whatsapp_connection_id: connectionId,
      direction: 'out',
      kind: 'opt_out_confirmation',
      state: 'scheduled',
      due_at: sql<Date>`now()`,
      to_phone: to,
      text: OPT_OUT_CONFIRMATION,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'opt_out_confirmation', id, { messageId: id })
}

/** "Start" takes back any opt-out. It is also a reply. */
const handleStart = async (
  trx: Trx,
  { tenantId }: Connection,
  leadId: string | null,
  writer: Writer,
): Promise<string> => {
  for (const phone of await knownPhones(trx, leadId, writer)) await optIn(trx, tenantId, phone)
  if (!leadId) return 'opt_in'
  await moveLead(trx, leadId, 'opted_in')
  await cancelPending(trx, leadId, 'replied')
  return 'opt_in'
}

/** The person has a new number or identifier. That is no reply. An opt-out holds for both numbers. */
const addIdentity = async (
  trx: Trx,
  { tenantId }: Connection,
  leadId: string,
  { system }: MessageEvent['item'],
): Promise<string> => {
  const waId = system?.wa_id?.replace(/\D/g, '') ?? null
  await rememberIdentities(trx, tenantId, leadId, [waId, system?.user_id ?? null])
  const phone = writerPhone({ waId })
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .executeTakeFirstOrThrow()
  const source = await optedOutBy(trx, tenantId, lead.phone)
  if (phone && source !== null) await optOut(trx, tenantId, phone, source)
  return 'identity'
}

/** "Resume" in WhatsApp takes back only an opt-out from this source. An opt-out in words stays. */
const SOURCE = 'user_preferences'

/**
 * Handles "stop" or "resume" in WhatsApp's own settings. They name marketing messages, but the person means ours. There
 * is no confirmation, since the tap opens no 24-hour window.
 */
export const applyPreference = async (
  trx: Trx,
  { tenantId }: Connection,
  { item, contacts }: z.infer<typeof preferenceEvent>,
): Promise<string> => {
  const writer: Writer = {
    context: null,
    waId: item.wa_id ?? contacts[0]?.wa_id ?? null,
    userId: item.user_id ?? contacts[0]?.user_id ?? null,
  }
  const leadId = await findLead(trx, tenantId, writer)
  const phones = await knownPhones(trx, leadId, writer)
  if (phones.length === 0) return 'unassigned'
  if (item.value === 'stop') {
    for (const phone of phones) await optOut(trx, tenantId, phone, SOURCE)
    const others = await leadsWithSameNumber(trx, tenantId, leadId, writer)
    for (const id of [...(leadId ? [leadId] : []), ...others])
      await cancelPending(trx, id, 'opted_out')
    return 'opt_out'
  }
  if (item.value !== 'resume') return 'kept'
  let isBack = false
  for (const phone of phones) isBack = (await optIn(trx, tenantId, phone, SOURCE)) || isBack
  if (isBack) await moveLead(trx, leadId, 'resumed')
  return isBack ? 'opt_in' : 'kept'
}

/** The owner wrote to a person in the WhatsApp Business app, so nothing of ours follows. */
export const recordOwnerReply = async (
  trx: Trx,
  { tenantId }: Connection,
  item: z.infer<typeof echoEvent>['item'],
): Promise<string> => {
  const writer: Writer = { context: null, waId: item.to ?? null, userId: item.to_user_id ?? null }
  const leadId = await findLead(trx, tenantId, writer)
  if (!leadId) return 'unassigned'
  const others = await leadsWithSameNumber(trx, tenantId, leadId, writer)
  for (const id of [leadId, ...others]) await cancelPending(trx, id, 'owner_replied')
  return 'owner_replied'
}
