import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { MessageEvent } from '../whatsapp/events.ts'
import { tellOwner } from '../outreach/owner.ts'
import { stopChase } from '../outreach/stop.ts'
import { optedOutBy, optOut } from './opt_out.ts'
import {
  type Door,
  othersWithHerNumber,
  phoneOf,
  rememberIdentities,
  type Writer,
  whoWrote,
} from './person.ts'
import { start, stop } from './stop_start.ts'
import { wish } from './words.ts'

/**
 * Somebody wrote to the business. Her message is kept; a reply ends the chase, "stop" ends it for ever, and
 * "start" undoes that.
 *
 * @returns in a word what became of it
 */
export const receive = async (
  trx: Trx,
  door: Door,
  { item, contacts }: MessageEvent,
): Promise<string> => {
  const [contact] = contacts
  const writer: Writer = {
    context: item.reaction?.message_id ?? item.context?.id ?? null,
    waId: item.from ?? contact?.wa_id ?? null,
    userId: item.from_user_id ?? contact?.user_id ?? null,
  }
  const leadId = await whoWrote(trx, door.tenantId, writer)
  if (item.type === 'system') return leadId ? newName(trx, door, leadId, item) : 'unassigned'
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
  const others = await othersWithHerNumber(trx, door.tenantId, leadId, writer)
  const wanted = item.button?.payload === 'STOP' ? 'stop' : wish(text ?? '')
  for (const other of others)
    await stopChase(trx, other, wanted === 'stop' ? 'opted_out' : 'replied')
  if (wanted === 'stop') return stop(trx, door, leadId, writer)
  if (wanted === 'start') return start(trx, door, leadId, writer)
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
  door: Door,
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
  const [conversation] = await stopChase(trx, leadId, 'replied')
  // Late, but she did answer.
  await sql`
    update lead_conversations set state = 'replied', reason = 'replied'
    where id = (select max(id) from lead_conversations where lead_id = ${leadId}) and state = 'unresponsive'`.execute(
    trx,
  )
  const isFirst = before.state !== 'replied' && before.state !== 'opted_out'
  if (isFirst)
    await tellOwner(
      trx,
      leadId,
      `reply:${conversation ?? wamid}`,
      text ? `כתב/ה: ${text}` : 'שלח/ה הודעה',
    )
  return 'reply'
}

/** She has a new number or id; that is no answer, and what she asked for holds for both. */
const newName = async (
  trx: Trx,
  door: Door,
  leadId: string,
  { system }: MessageEvent['item'],
): Promise<string> => {
  const waId = system?.wa_id?.replace(/\D/g, '') ?? null
  await rememberIdentities(trx, door.tenantId, leadId, [waId, system?.user_id ?? null])
  const phone = phoneOf({ waId })
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .executeTakeFirstOrThrow()
  const source = await optedOutBy(trx, door.tenantId, lead.phone)
  if (phone && source !== null) await optOut(trx, door.tenantId, phone, source)
  return 'identity'
}
