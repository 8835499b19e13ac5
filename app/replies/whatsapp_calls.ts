import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { lockPeople, peopleOf } from '../db/locks.ts'
import { cancelForReached, closeRequests } from '../outreach/cancel.ts'
import { recordMissedCalls } from '../outreach/missed_calls.ts'
import { type CallEvent, isFromBusiness } from '../whatsapp/webhook.ts'
import {
  type Connection,
  findLead,
  heardFrom,
  identitiesOf,
  isSameNumber,
  idsOf,
  phoneOfIdentity,
  type Writer,
  writerOf,
  writerPhone,
} from './contacts.ts'

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
  const isOurs = isFromBusiness(item.direction)
  const writer = isOurs
    ? writerOf(null, item.to, item.to_user_id, item.to_parent_user_id, ...idsOf(contacts))
    : writerOf(null, item.from, item.from_user_id, item.from_parent_user_id, ...idsOf(contacts))
  if (item.event !== 'terminate') {
    await findLead(trx, connection.tenantId, writer)
    return 'kept'
  }
  const isTalk = item.status.toUpperCase() === 'COMPLETED' && item.duration > 0
  if (isTalk) return recordTalk(trx, connection, event.id, writer, call)
  return isOurs ? 'kept' : recordMissed(trx, connection, event.received_at, writer, call)
}

const recordTalk = async (
  trx: Trx,
  { tenantId, happenedAt }: Connection,
  eventId: string,
  writer: Writer,
  { item }: CallEvent,
): Promise<string> => {
  const person = await callerOf(trx, tenantId, writer)
  await lockPeople(trx, peopleOf(tenantId, [person]))
  const { leadId, phones } = await findLead(trx, tenantId, writer)
  if (leadId && !isFromBusiness(item.direction)) await heardFrom(trx, leadId, happenedAt)
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
  // Read again when WhatsApp tells whose id it is.
  if (phones.length === 0) return 'unassigned'
  for (const phone of phones) {
    const reached = { tenantId, phone, until: talk.until }
    await cancelForReached(trx, reached)
    await closeRequests(trx, [reached])
  }
  return 'reached'
}

/** The number to write to. The number of an id may be a former one. */
const callerOf = async (trx: Trx, tenantId: string, writer: Writer): Promise<string | null> => {
  const [known, own] = [await phoneOfIdentity(trx, tenantId, writer), writerPhone(writer)]
  return known && own && isSameNumber(known, own) ? known : (own ?? known)
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
  const caller = await callerOf(trx, tenantId, writer)
  if (!item.id || !caller) return 'unassigned'
  await lockPeople(trx, peopleOf(tenantId, [caller]))
  // All leads of the person are locked in one order.
  const found = await findLead(trx, tenantId, writer)
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
  const { leadId } = found.leadId ? found : await findLead(trx, tenantId, writer)
  if (leadId) await heardFrom(trx, leadId, missed.calledAt)
  return recorded ? 'missed_call' : 'kept'
}
