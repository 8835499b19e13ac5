import { sql } from 'kysely'
import type { z } from 'zod'
import type { Trx } from '../db/kysely.ts'
import { lockLeads, lockPeople, peopleOf } from '../db/locks.ts'
import { moveConversations } from '../db/transitions.ts'
import { recordReply } from '../events/outbox.ts'
import { cancelPending, cancelUntil } from '../outreach/cancel.ts'
import { CALLBACK_NOTICE } from '../outreach/notices.ts'
import { notifyOfReply, notifyOwner } from '../outreach/notify_owner.ts'
import { copyOptOut, isTakenBack } from '../outreach/opt_outs.ts'
import { talkedAt, THEIR_NUMBERS } from '../outreach/talks.ts'
import { spellings } from '../phone.ts'
import type { OwnButton } from '../whatsapp/own_templates.ts'
import type { echoEvent, MessageEvent } from '../whatsapp/webhook.ts'
import {
  type Connection,
  findLead,
  heardFrom,
  identitiesOf,
  idsOf,
  rememberIdentities,
  writerOf,
  writerPhone,
} from './contacts.ts'
import { isCallbackPayload, isStopPayload, type Keyword, parseKeyword } from './keywords.ts'
import { handleStart, handleStop } from './opt_outs.ts'
import { findOwner, handleOwner, writesAsCaller } from './owner.ts'

type EchoEvent = z.infer<typeof echoEvent>

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
  if (item.type === 'system') return addIdentity(trx, connection, item)
  // A group of the tenant, not a conversation with this person.
  if (item.group_id !== undefined) return 'not_a_reply'
  const writer = writerOf(
    item.reaction?.message_id ?? item.context?.id ?? null,
    item.from,
    item.from_user_id,
    item.from_parent_user_id,
    ...idsOf(contacts),
  )
  if (!isReply(item)) {
    await findLead(trx, tenantId, writer)
    return 'not_a_reply'
  }
  const text = textOf(item)
  const button = buttonOf(item)
  const said = button === 'stop' ? 'stop' : button === 'callback' ? null : parseKeyword(text ?? '')
  // The order of a "stop" and a "start" counts, also of a person without a lead that could be locked.
  if (said) await lockPeople(trx, peopleOf(tenantId, [writerPhone(writer)]))
  const owner = await findOwner(trx, connection, writer)
  // The owner may opt out of the notices, as every person may.
  if (owner && !said && !button && !writesAsCaller(owner, text))
    return item.reaction
      ? 'owner_message'
      : handleOwner(trx, connection, owner, { wamid: item.id, context: writer.context, text })
  const found = await findLead(trx, tenantId, writer)
  const { leadId } = found
  const keyword = said === 'stop' && (await isTakenBack(trx, connection.eventId)) ? null : said
  await storeMessage(trx, connection, leadId, {
    wamid: item.id,
    waId: writer.waId,
    text,
    button,
    keyword,
  })
  if (leadId) {
    await heardFrom(trx, leadId, connection.happenedAt)
    if (contact?.profile?.name)
      await trx
        .updateTable('leads')
        .set({ name: contact.profile.name.slice(0, 100) })
        .where('id', '=', leadId)
        .execute()
  }
  for (const other of found.others)
    await (keyword === 'stop'
      ? cancelPending(trx, other, 'opted_out')
      : cancelUntil(trx, other, 'replied', connection.happenedAt))
  // These also cancel the pending messages of the lead itself.
  if (keyword === 'stop') return handleStop(trx, connection, found, writer)
  if (keyword === 'start') return handleStart(trx, connection, found, writer)
  if (!leadId) return 'unassigned'
  return button === 'callback'
    ? handleCallback(trx, connection, leadId, item.id)
    : handleReply(trx, connection, leadId, item.id, text)
}

/** The outcome of an update whose job failed for good. If the job is run again, the update is read after all. */
export const JOB_FAILED = 'job_failed'

/**
 * Handles an update that cannot be read, by the ids of its person alone. It counts as a reply, because it may say "stop":
 * what is pending for the person is cancelled.
 */
export const handleFailed = async (
  trx: Trx,
  { tenantId, kind, personIds }: { tenantId: string; kind: string; personIds: string[] },
): Promise<void> => {
  const phones = personIds.filter(id => /^\d+$/.test(id)).flatMap(id => spellings(`+${id}`))
  const leads = await lockLeads(
    trx,
    sql`tenant_id = ${tenantId} and (
      phone = any(${phones}::text[])
      or id in (select lead_id from lead_identities where tenant_id = ${tenantId} and identity = any(${personIds}::text[]))
      or id in (select coalesce(c.lead_id, m.lead_id) from messages m
                left join lead_conversations c on c.id = m.lead_conversation_id
                where m.tenant_id = ${tenantId} and m.wamid = any(${personIds}::text[]) and m.direction = 'out'
                  and m.kind <> 'owner_notice'))`,
  )
  for (const id of leads)
    await cancelPending(trx, id, kind === 'echo' ? 'owner_replied' : 'replied')
}

/** Whether the person did something. Some messages change an earlier one, or WhatsApp itself wrote them. */
const isReply = ({ type, reaction, interactive }: MessageEvent['item']): boolean => {
  if (['edit', 'revoke', 'request_welcome'].includes(type)) return false
  if (type === 'reaction' && !reaction?.emoji) return false
  // The person has called the tenant, which permits calls in return for a while.
  return interactive?.call_permission_reply?.response_source !== 'automatic'
}

/**
 * The button of ours that was tapped: it says what its payload says, whatever the language of its label. Null = another
 * message.
 */
const buttonOf = ({ button, interactive }: MessageEvent['item']): OwnButton | null => {
  const payloads = [button?.payload, interactive?.button_reply?.id, interactive?.list_reply?.id]
  if (payloads.some(isStopPayload)) return 'stop'
  return payloads.some(isCallbackPayload) ? 'callback' : null
}

const textOf = (item: MessageEvent['item']): string | null =>
  item.button?.text ??
  item.interactive?.button_reply?.title ??
  item.interactive?.list_reply?.title ??
  writtenIn(item)

/** A message of a person or of the owner. */
type Written = Pick<EchoEvent['item'], 'text' | 'reaction' | 'image' | 'video' | 'document'>

const writtenIn = ({ text, reaction, image, video, document }: Written): string | null =>
  text?.body ?? reaction?.emoji ?? image?.caption ?? video?.caption ?? document?.caption ?? null

const storeMessage = async (
  trx: Trx,
  { tenantId, connectionId, happenedAt }: Connection,
  leadId: string | null,
  {
    wamid,
    waId,
    text,
    button,
    keyword,
  }: {
    wamid: string
    waId: string | null
    text: string | null
    button: OwnButton | null
    keyword: Keyword | null
  },
) => {
  await sql`
    insert into messages (tenant_id, lead_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, wamid, wa_id, text,
      button, keyword, created_at)
    values (${tenantId}, ${leadId},
      (select id from lead_conversations where lead_id = ${leadId} and created_at <= coalesce(${happenedAt ?? null}, now())
       order by id desc limit 1),
      ${connectionId}, 'in', 'inbound', 'received', ${wamid}, ${waId}, ${text},
      ${button}, ${keyword}, coalesce(${happenedAt ?? null}, now()))
    on conflict (tenant_id, wamid) where direction = 'in' do update
      set lead_id = excluded.lead_id, lead_conversation_id = excluded.lead_conversation_id
      where messages.lead_id is null and excluded.lead_id is not null`.execute(trx)
}

const handleReply = async (
  trx: Trx,
  connection: Connection,
  leadId: string,
  wamid: string,
  text: string | null,
): Promise<string> => {
  await endAsReplied(trx, connection, leadId, wamid)
  await notifyOfReply(trx, leadId, wamid, text)
  return 'reply'
}

const endAsReplied = async (
  trx: Trx,
  { tenantId, happenedAt }: Connection,
  leadId: string,
  wamid: string,
): Promise<void> => {
  await cancelUntil(trx, leadId, 'replied', happenedAt)
  await moveConversations(trx, 'late_reply', 'replied')
    .where('id', '=', eb =>
      eb
        .selectFrom('lead_conversations as c')
        .select(({ fn }) => fn.max('c.id').as('id'))
        .where('c.lead_id', '=', leadId)
        .where('c.created_at', '<=', sql<Date>`coalesce(${happenedAt ?? null}, now())`),
    )
    .execute()
  await recordReply(trx, tenantId, wamid)
}

/**
 * The person tapped "call me back". That is a reply, and the owner is notified at once. While the request is open, another tap
 * changes nothing. A talk, an opt-out, "called back" or an outcome closes it, also if WhatsApp delivers the tap later.
 */
const handleCallback = async (
  trx: Trx,
  connection: Connection,
  leadId: string,
  wamid: string,
): Promise<string> => {
  await endAsReplied(trx, connection, leadId, wamid)
  const { rows } = await sql`
    update leads set callback_requested_at = asked.at, callback_closed = null
    from (
      select coalesce(${connection.happenedAt ?? null}, now()) as at) asked,
      lateral (
        select greatest(
          ${talkedAt(sql`least(l.callback_requested_at, asked.at)`)},
          (select max(o.repeated_at) from opt_outs o where o.tenant_id = l.tenant_id and o.phone in ${THEIR_NUMBERS}),
          l.called_back_at, l.outcome_at) as at
        from leads l where l.id = ${leadId}) closed
    where id = ${leadId} and coalesce(closed.at < asked.at, true)
      and (callback_requested_at is null or callback_requested_at < closed.at)
    returning id`.execute(trx)
  if (rows.length > 0) await notifyOwner(trx, leadId, `callback:${wamid}`, CALLBACK_NOTICE)
  return 'callback'
}

/** The person has a new number or identifier. That is no reply. An opt-out holds for both numbers. */
const addIdentity = async (
  trx: Trx,
  { tenantId }: Connection,
  { system, from, from_user_id, from_parent_user_id }: MessageEvent['item'],
): Promise<string> => {
  const before = writerOf(
    null,
    from,
    system?.previous_user_id,
    system?.previous_parent_user_id,
    from_user_id,
    from_parent_user_id,
  )
  const after = writerOf(null, system?.wa_id, system?.user_id, system?.parent_user_id)
  const { leadId } = await findLead(trx, tenantId, before)
  const [old, changed] = [writerPhone(before), writerPhone(after)]
  if (old && changed) await copyOptOut(trx, tenantId, old, changed)
  if (!leadId) return 'unassigned'
  await rememberIdentities(trx, tenantId, leadId, identitiesOf(after))
  return 'identity'
}

/** The owner wrote to a person in the WhatsApp Business app, so nothing of ours follows. The thread shows the message. */
export const recordOwnerReply = async (
  trx: Trx,
  { tenantId, connectionId, happenedAt }: Connection,
  { item, contacts }: EchoEvent,
): Promise<string> => {
  // A group is no person.
  if (item.group_id !== undefined) return 'not_a_reply'
  const writer = writerOf(null, item.to, item.to_user_id, ...idsOf(contacts))
  const { leadId, others } = await findLead(trx, tenantId, writer)
  // A change of an earlier message is no new one.
  const isChange = item.type === 'edit' || item.type === 'revoke'
  if (isChange || (item.type === 'reaction' && !item.reaction?.emoji)) return 'not_a_reply'
  if (!leadId) return 'unassigned'
  for (const id of [leadId, ...others]) await cancelUntil(trx, id, 'owner_replied', happenedAt)
  const at = sql<Date>`coalesce(${happenedAt ?? null}, now())`
  await trx
    .insertInto('messages')
    .values({
      tenant_id: tenantId,
      lead_id: leadId,
      whatsapp_connection_id: connectionId,
      direction: 'out',
      kind: 'manual',
      state: 'sent',
      claimed_at: at,
      accepted_at: at,
      created_at: at,
      wamid: item.id,
      wa_id: writer.waId,
      text: writtenIn(item),
    })
    .execute()
  await trx
    .updateTable('leads')
    .set({ read_at: sql<Date>`greatest(read_at, ${at})` })
    .where('id', '=', leadId)
    .execute()
  return 'owner_replied'
}
