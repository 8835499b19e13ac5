import { sql } from 'kysely'
import type { z } from 'zod'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLeads, lockPeople, peopleOf } from '../db/locks.ts'
import { moveConversations, moveLead } from '../db/transitions.ts'
import { cancelForReached, cancelPending, closeRequests } from '../outreach/cancel.ts'
import { recordMissedCalls } from '../outreach/missed_calls.ts'
import { CALLBACK_NOTICE } from '../outreach/notices.ts'
import { notifyOfReply, notifyOwner } from '../outreach/notify_owner.ts'
import { spellings } from '../phone.ts'
import type { OwnButton } from '../whatsapp/own_templates.ts'
import { LANGUAGES, OPT_OUT_CONFIRMATIONS } from '../whatsapp/templates.ts'
import type { CallEvent, echoEvent, MessageEvent, preferenceEvent } from '../whatsapp/webhook.ts'
import {
  type Connection,
  findLead,
  heardFrom,
  identitiesOf,
  idsOf,
  knownPhones,
  leadsWithSameNumber,
  optedOutBy,
  optIn,
  optOut,
  phoneOfIdentity,
  rememberIdentities,
  resume,
  SWITCH,
  type Writer,
  writerOf,
  writerPhone,
} from './contacts.ts'
import { isCallbackPayload, isStopPayload, parseKeyword } from './keywords.ts'
import { findOwner, handleOwner, writesAsCaller } from './owner.ts'

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
  if (!isReply(item)) return 'not_a_reply'
  const writer = writerOf(
    item.reaction?.message_id ?? item.context?.id ?? null,
    item.from,
    item.from_user_id,
    item.from_parent_user_id,
    ...idsOf(contacts),
  )
  const text = textOf(item)
  const button = buttonOf(item)
  const keyword =
    button === 'stop' ? 'stop' : button === 'callback' ? null : parseKeyword(text ?? '')
  const owner = await findOwner(trx, connection, writer)
  // The owner may opt out of the notices as anybody may.
  if (owner && !keyword && !button && !writesAsCaller(owner, text))
    return item.reaction
      ? 'owner_message'
      : handleOwner(trx, connection, owner, { wamid: item.id, context: writer.context, text })
  const leadId = await findLead(trx, tenantId, writer)
  await storeMessage(trx, connection, leadId, { wamid: item.id, waId: writer.waId, text, button })
  if (leadId) {
    await rememberIdentities(trx, tenantId, leadId, identitiesOf(writer))
    await heardFrom(trx, leadId, connection.receivedAt)
    if (contact?.profile?.name)
      await trx
        .updateTable('leads')
        .set({ name: contact.profile.name.slice(0, 100) })
        .where('id', '=', leadId)
        .execute()
  }
  for (const other of await leadsWithSameNumber(trx, tenantId, leadId, writer))
    await cancelPending(trx, other, keyword === 'stop' ? 'opted_out' : 'replied')
  // These also cancel the pending messages of the lead itself.
  if (keyword === 'stop') return handleStop(trx, connection, leadId, writer)
  if (keyword === 'start') return handleStart(trx, connection, leadId, writer)
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
const isReply = ({ type, reaction, interactive, group_id }: MessageEvent['item']): boolean => {
  if (['edit', 'revoke', 'request_welcome'].includes(type)) return false
  if (type === 'reaction' && !reaction?.emoji) return false
  // The person has called the business, which permits calls in return for a while.
  if (interactive?.call_permission_reply?.response_source === 'automatic') return false
  // A group of the business, not a conversation with this person.
  return group_id === undefined
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
  { tenantId, connectionId, receivedAt }: Connection,
  leadId: string | null,
  {
    wamid,
    waId,
    text,
    button,
  }: { wamid: string; waId: string | null; text: string | null; button: OwnButton | null },
) => {
  await sql`
    insert into messages (tenant_id, lead_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, wamid, wa_id, text,
      button, created_at)
    values (${tenantId}, ${leadId},
      (select id from lead_conversations where lead_id = ${leadId} order by id desc limit 1),
      ${connectionId}, 'in', 'inbound', 'received', ${wamid}, ${waId}, ${text},
      ${button}, coalesce(${receivedAt ?? null}, now()))
    on conflict (tenant_id, wamid) where direction = 'in' do nothing`.execute(trx)
}

/**
 * An event that came before its number was connected is read late. It is no answer to a later call.
 *
 * @returns the missed calls up to that time; undefined if there is no later one
 */
const callsUntil = async (
  trx: Trx,
  leadId: string,
  receivedAt: Date | undefined,
): Promise<string[] | undefined> => {
  if (receivedAt === undefined) return undefined
  const { rows } = await sql<{ id: string; isLater: boolean }>`
    select id, least(called_at, created_at) > ${receivedAt} as "isLater" from missed_calls where lead_id = ${leadId}`.execute(
    trx,
  )
  if (!rows.some(({ isLater }) => isLater)) return undefined
  return rows.filter(({ isLater }) => !isLater).map(({ id }) => id)
}

const handleReply = async (
  trx: Trx,
  connection: Connection,
  leadId: string,
  wamid: string,
  text: string | null,
): Promise<string> => {
  await endAsReplied(trx, connection, leadId)
  await notifyOfReply(trx, leadId, wamid, text)
  return 'reply'
}

const endAsReplied = async (
  trx: Trx,
  { receivedAt }: Connection,
  leadId: string,
): Promise<void> => {
  const calls = await callsUntil(trx, leadId, receivedAt)
  if (calls?.length !== 0) await cancelPending(trx, leadId, 'replied', calls)
  await moveConversations(trx, 'late_reply', 'replied')
    .where('id', '=', eb =>
      eb
        .selectFrom('lead_conversations as c')
        .select(({ fn }) => fn.max('c.id').as('id'))
        .where('c.lead_id', '=', leadId),
    )
    .execute()
}

/**
 * The person tapped "call me back". That is a reply, and the owner is notified at once. While the request is open, another tap
 * changes nothing. A talk or an opt-out since then has closed it.
 */
const handleCallback = async (
  trx: Trx,
  connection: Connection,
  leadId: string,
  wamid: string,
): Promise<string> => {
  await endAsReplied(trx, connection, leadId)
  const { rows } = await sql`
    update leads l set callback_requested_at = coalesce(${connection.receivedAt ?? null}, now()), callback_closed = null
    where id = ${leadId} and (callback_requested_at is null or callback_requested_at < greatest(
      (select max(r.reached_until) from raw_cdrs r where r.tenant_id = l.tenant_id and r.reached_phone = l.phone),
      (select max(o.created_at) from opt_outs o where o.tenant_id = l.tenant_id and o.phone = l.phone)))
    returning id`.execute(trx)
  if (rows.length > 0) await notifyOwner(trx, leadId, `callback:${wamid}`, CALLBACK_NOTICE)
  return 'callback'
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
  // To the number that they wrote from: its 24-hour window is open, so free text is allowed. Not while another app holds
  // the conversation: with a message of ours we would take it over.
  if (isNew && !connection.isListening)
    await confirmOptOut(trx, connection, leadId, phones.at(-1) ?? phone)
  return 'opt_out'
}

const confirmOptOut = async (
  trx: Trx,
  { tenantId, connectionId }: Connection,
  leadId: string | null,
  to: string,
): Promise<void> => {
  const { languages } = await trx
    .selectFrom('tenants')
    .select('languages')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow()
  const language = LANGUAGES.find(one => one === languages[0]) ?? 'he'
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
      text: OPT_OUT_CONFIRMATIONS[language],
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'opt_out_confirmation', id, { messageId: id }, { tenantId })
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
  const leadId = await findLead(trx, tenantId, before)
  if (!leadId) return 'unassigned'
  await rememberIdentities(trx, tenantId, leadId, [...identitiesOf(before), ...identitiesOf(after)])
  const phone = writerPhone(after)
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .executeTakeFirstOrThrow()
  const source = await optedOutBy(trx, tenantId, lead.phone)
  if (phone && source !== null) await optOut(trx, tenantId, phone, source)
  return 'identity'
}

/**
 * Handles "stop" or "resume" in WhatsApp's own settings. They name marketing messages, but the person means ours. There
 * is no confirmation, since the tap opens no 24-hour window.
 */
export const applyPreference = async (
  trx: Trx,
  { tenantId }: Connection,
  { item, contacts }: z.infer<typeof preferenceEvent>,
): Promise<string> => {
  const writer = writerOf(null, item.wa_id, item.user_id, ...idsOf(contacts))
  const leadId = await findLead(trx, tenantId, writer)
  const phones = await knownPhones(trx, leadId, writer)
  if (phones.length === 0) return 'unassigned'
  if (item.value === 'stop') {
    for (const phone of phones) await optOut(trx, tenantId, phone, SWITCH)
    const others = await leadsWithSameNumber(trx, tenantId, leadId, writer)
    for (const id of [...(leadId ? [leadId] : []), ...others])
      await cancelPending(trx, id, 'opted_out')
    return 'opt_out'
  }
  if (item.value !== 'resume') return 'kept'
  let isBack = false
  for (const phone of phones) isBack = (await resume(trx, tenantId, phone)) || isBack
  // The business may have opted out one of their numbers.
  for (const phone of phones) isBack &&= (await optedOutBy(trx, tenantId, phone)) === null
  if (isBack) await moveLead(trx, leadId, 'resumed')
  return isBack ? 'opt_in' : 'kept'
}

/** The owner wrote to a person in the WhatsApp Business app, so nothing of ours follows. The thread shows the message. */
export const recordOwnerReply = async (
  trx: Trx,
  { tenantId, connectionId, receivedAt }: Connection,
  item: z.infer<typeof echoEvent>['item'],
): Promise<string> => {
  // A change of an earlier message is no new one, and a group is no person.
  const isChange = item.type === 'edit' || item.type === 'revoke' || item.group_id !== undefined
  if (isChange || (item.type === 'reaction' && !item.reaction?.emoji)) return 'not_a_reply'
  const writer = writerOf(null, item.to, item.to_user_id)
  const leadId = await findLead(trx, tenantId, writer)
  if (!leadId) return 'unassigned'
  const others = await leadsWithSameNumber(trx, tenantId, leadId, writer)
  for (const id of [leadId, ...others]) await cancelPending(trx, id, 'owner_replied')
  const text =
    item.text?.body ??
    item.reaction?.emoji ??
    item.image?.caption ??
    item.video?.caption ??
    item.document?.caption ??
    null
  const at = sql<Date>`coalesce(${receivedAt ?? null}, now())`
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
      text,
    })
    .execute()
  await trx.updateTable('leads').set({ read_at: at }).where('id', '=', leadId).execute()
  return 'owner_replied'
}

/**
 * Handles a call on WhatsApp that has ended. A talk counts as reaching the person, like a talk by telephone, in either
 * direction. A call of a person without an answer is a missed call.
 */
export const handleCall = async (
  trx: Trx,
  connection: Connection,
  event: { id: string; received_at: Date },
  call: CallEvent,
): Promise<string> => {
  const { item, contacts } = call
  if (item.event !== 'terminate') return 'kept'
  const isOurs = item.direction === 'BUSINESS_INITIATED'
  const writer = isOurs
    ? writerOf(null, item.to, item.to_user_id, item.to_parent_user_id, ...idsOf(contacts))
    : writerOf(null, item.from, item.from_user_id, item.from_parent_user_id, ...idsOf(contacts))
  const isTalk = item.status.toUpperCase() === 'COMPLETED' && item.duration > 0
  if (isTalk) return recordTalk(trx, connection, event.id, writer, call)
  return isOurs ? 'kept' : recordMissed(trx, connection, event.received_at, writer, call)
}

const recordTalk = async (
  trx: Trx,
  { tenantId }: Connection,
  eventId: string,
  writer: Writer,
  { item }: CallEvent,
): Promise<string> => {
  const leadId = await findLead(trx, tenantId, writer)
  if (leadId) await rememberIdentities(trx, tenantId, leadId, identitiesOf(writer))
  if (leadId && item.direction !== 'BUSINESS_INITIATED') await heardFrom(trx, leadId)
  // A talk is a span: a call that was missed before its end was answered by it.
  const end =
    item.end_time ?? (item.start_time && item.start_time + item.duration) ?? item.timestamp
  const { rows } = await sql<{ until: Date }>`
    -- For calls whose CDR comes later (outreach/contact_context.ts).
    update whatsapp_events e set payload = e.payload || jsonb_build_object('talk', jsonb_build_object(
      'until', extract(epoch from least(coalesce(to_timestamp(${end ?? null}::float8), e.received_at), e.received_at)),
      'ids', ${JSON.stringify(identitiesOf(writer).filter(Boolean))}::jsonb))
    where id = ${eventId}
    returning to_timestamp((payload -> 'talk' ->> 'until')::float8) as until`.execute(trx)
  const [talk] = rows
  if (!talk) return 'kept'
  for (const phone of await knownPhones(trx, leadId, writer)) {
    const reached = { tenantId, phone, until: talk.until }
    await cancelForReached(trx, reached)
    await closeRequests(trx, [reached])
  }
  return 'reached'
}

/**
 * Records a call on WhatsApp without an answer, like a missed call by telephone. In a running conversation it changes
 * nothing: the reminders stay.
 */
const recordMissed = async (
  trx: Trx,
  { tenantId, connectionId }: Connection,
  receivedAt: Date,
  writer: Writer,
  { item }: CallEvent,
): Promise<string> => {
  const caller = (await phoneOfIdentity(trx, tenantId, writer)) ?? writerPhone(writer)
  if (!item.id || !caller) return 'unassigned'
  await lockPeople(trx, peopleOf(tenantId, [caller]))
  const { display_phone_number: businessPhone } = await trx
    .selectFrom('whatsapp_connections')
    .select('display_phone_number')
    .where('id', '=', connectionId)
    .executeTakeFirstOrThrow()
  const began = item.start_time ?? item.timestamp
  const calledAt = began === undefined ? receivedAt : new Date(began * 1000)
  const missed = {
    tenantId,
    source: 'whatsapp',
    callId: item.id,
    caller,
    businessPhone,
    status: 'NOANSWER',
    // Meta's clock may be ahead.
    calledAt: calledAt < receivedAt ? calledAt : receivedAt,
  } as const
  const [recorded] = await recordMissedCalls(trx, [missed])
  const leadId = await findLead(trx, tenantId, writer)
  if (leadId) {
    await rememberIdentities(trx, tenantId, leadId, identitiesOf(writer))
    await heardFrom(trx, leadId)
  }
  return recorded ? 'missed_call' : 'kept'
}
