import { sql } from 'kysely'
import type { z } from 'zod'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { notifyOwner } from '../outreach/notify_owner.ts'
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
import { OPT_OUT_CONFIRMATION } from '../whatsapp/templates.ts'
import type { echoEvent, MessageEvent, preferenceEvent } from '../whatsapp/webhook.ts'

/** She wrote "stop": never again, under any number she is known by. Confirmed the first time. */
export const handleStop = async (
  trx: Trx,
  door: Connection,
  leadId: string | null,
  writer: Writer,
): Promise<string> => {
  const phones = await knownPhones(trx, leadId, writer)
  const [phone] = phones
  if (!phone) return 'unassigned'
  const isNews = await optOut(trx, door.tenantId, phone, 'typed')
  for (const other of phones.slice(1)) await optOut(trx, door.tenantId, other, 'typed')
  if (leadId) await cancelPending(trx, leadId, 'opted_out')
  // To where she wrote from: there the window is open.
  if (isNews) await confirm(trx, door, leadId, phones.at(-1) ?? phone)
  return 'opt_out'
}

/** Once, as free text: her message has opened the window. */
const confirm = async (
  trx: Trx,
  door: Connection,
  leadId: string | null,
  to: string,
): Promise<void> => {
  const { id } = await trx
    .insertInto('messages')
    .values({
      tenant_id: door.tenantId,
      lead_id: leadId,
      whatsapp_connection_id: door.connectionId,
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

/** She wrote "start": she may be written to again, and has of course replied. */
export const handleStart = async (
  trx: Trx,
  door: Connection,
  leadId: string | null,
  writer: Writer,
): Promise<string> => {
  for (const phone of await knownPhones(trx, leadId, writer)) await optIn(trx, door.tenantId, phone)
  if (!leadId) return 'opt_in'
  await sql`update leads set state = 'replied' where id = ${leadId} and state = 'opted_out'`.execute(
    trx,
  )
  await cancelPending(trx, leadId, 'replied')
  return 'opt_in'
}

/**
 * Somebody wrote to the business. Her message is kept; a reply ends the chase, "stop" ends it for ever, and
 * "start" undoes that.
 *
 * @returns in a word what became of it
 */
export const handleInbound = async (
  trx: Trx,
  door: Connection,
  { item, contacts }: MessageEvent,
): Promise<string> => {
  const [contact] = contacts
  const writer: Writer = {
    context: item.reaction?.message_id ?? item.context?.id ?? null,
    waId: item.from ?? contact?.wa_id ?? null,
    userId: item.from_user_id ?? contact?.user_id ?? null,
  }
  const leadId = await findLead(trx, door.tenantId, writer)
  if (item.type === 'system') return leadId ? addIdentity(trx, door, leadId, item) : 'unassigned'
  // Not words of hers: she changed or took back something, or took a reaction off.
  if (
    item.type === 'edit' ||
    item.type === 'revoke' ||
    (item.type === 'reaction' && !item.reaction?.emoji)
  )
    return 'not_a_reply'

  const text = textOf(item)
  await keep(trx, door, leadId, item.id, writer.waId?.replace(/\D/g, '') ?? null, text)
  if (leadId) {
    await rememberIdentities(trx, door.tenantId, leadId, [
      writer.waId?.replace(/\D/g, '') ?? null,
      writer.userId,
    ])
    if (contact?.profile?.name)
      await trx
        .updateTable('leads')
        .set({ name: contact.profile.name.slice(0, 100) })
        .where('id', '=', leadId)
        .execute()
  }
  const others = await leadsWithSameNumber(trx, door.tenantId, leadId, writer)
  const wanted = item.button?.payload === 'STOP' ? 'stop' : parseKeyword(text ?? '')
  for (const other of others)
    await cancelPending(trx, other, wanted === 'stop' ? 'opted_out' : 'replied')
  if (wanted === 'stop') return handleStop(trx, door, leadId, writer)
  if (wanted === 'start') return handleStart(trx, door, leadId, writer)
  return leadId ? reply(trx, leadId, item.id, text) : 'unassigned'
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

const keep = async (
  trx: Trx,
  door: Connection,
  leadId: string | null,
  wamid: string,
  waId: string | null,
  text: string | null,
) => {
  await sql`
    insert into messages (tenant_id, lead_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, wamid, wa_id, text)
    values (${door.tenantId}, ${leadId},
      (select id from lead_conversations where lead_id = ${leadId} order by id desc limit 1),
      ${door.connectionId}, 'in', 'inbound', 'received', ${wamid}, ${waId}, ${text})
    on conflict (tenant_id, wamid) where direction = 'in' do nothing`.execute(trx)
}

const reply = async (
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
  // Late, but she did answer.
  await sql`
    update lead_conversations set state = 'replied', reason = 'replied'
    where id = (select max(id) from lead_conversations where lead_id = ${leadId}) and state = 'unresponsive'`.execute(
    trx,
  )
  const isFirst = before.state !== 'replied' && before.state !== 'opted_out'
  if (isFirst)
    await notifyOwner(
      trx,
      leadId,
      `reply:${conversation ?? wamid}`,
      text ? `כתב/ה: ${text}` : 'שלח/ה הודעה',
    )
  return 'reply'
}

/** She has a new number or id; that is no answer, and what she asked for holds for both. */
const addIdentity = async (
  trx: Trx,
  door: Connection,
  leadId: string,
  { system }: MessageEvent['item'],
): Promise<string> => {
  const waId = system?.wa_id?.replace(/\D/g, '') ?? null
  await rememberIdentities(trx, door.tenantId, leadId, [waId, system?.user_id ?? null])
  const phone = writerPhone({ waId })
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .executeTakeFirstOrThrow()
  const source = await optedOutBy(trx, door.tenantId, lead.phone)
  if (phone && source !== null) await optOut(trx, door.tenantId, phone, source)
  return 'identity'
}

/** What her tap in WhatsApp undoes is what such a tap did; what she typed stays. */
const SOURCE = 'user_preferences'

/**
 * She tapped "stop" or "resume" in WhatsApp itself. It speaks of marketing only, but what she means is us. No
 * confirmation: her tap opens no window.
 */
export const applyPreference = async (
  trx: Trx,
  door: Connection,
  { item, contacts }: z.infer<typeof preferenceEvent>,
): Promise<string> => {
  const waId = item.wa_id ?? contacts[0]?.wa_id ?? null
  const writer: Writer = {
    context: null,
    waId,
    userId: item.user_id ?? contacts[0]?.user_id ?? null,
  }
  const leadId = await findLead(trx, door.tenantId, writer)
  const phones = await knownPhones(trx, leadId, writer)
  if (phones.length === 0) return 'unassigned'
  if (item.value === 'stop') {
    for (const phone of phones) await optOut(trx, door.tenantId, phone, SOURCE)
    const others = await leadsWithSameNumber(trx, door.tenantId, leadId, writer)
    for (const id of [...(leadId ? [leadId] : []), ...others])
      await cancelPending(trx, id, 'opted_out')
    return 'opt_out'
  }
  if (item.value !== 'resume') return 'kept'
  let back = false
  for (const phone of phones) back = (await optIn(trx, door.tenantId, phone, SOURCE)) || back
  if (back && leadId)
    await sql`update leads set state = 'contacted' where id = ${leadId} and state = 'opted_out'`.execute(
      trx,
    )
  return back ? 'opt_in' : 'kept'
}

/** The owner wrote to her by hand, in the WhatsApp Business app: whatever we had in mind would be one too many. */
export const recordOwnerReply = async (
  trx: Trx,
  door: Connection,
  item: z.infer<typeof echoEvent>['item'],
): Promise<string> => {
  const writer: Writer = { context: null, waId: item.to ?? null, userId: item.to_user_id ?? null }
  const leadId = await findLead(trx, door.tenantId, writer)
  if (!leadId) return 'unassigned'
  const others = await leadsWithSameNumber(trx, door.tenantId, leadId, writer)
  for (const id of [leadId, ...others]) await cancelPending(trx, id, 'owner_replied')
  return 'owner_replied'
}
