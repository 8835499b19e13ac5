import { type RawBuilder, sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { open, tokenOwner } from '../secrets.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import { callTime, templateFor } from '../whatsapp/templates.ts'
import { decide } from './eligibility.ts'
import { readFacts } from './facts.ts'
import { isTooLate } from './timing.ts'

// A first message is claimed and committed before it is sent, and recorded after (record.ts). Between the
// two stands the one thing that no transaction can hold, the call to WhatsApp. A process that dies there
// leaves `sending` behind, and whoever finds that does not send: losing one message is better than sending
// it twice. So a message goes out at most once, and what is not known is listed as `unknown`.

/** Longer than any send can take: after that, a message still `sending` has lost its sender. */
const CLAIM_SECONDS = 60
/** How often a paused connection is looked at again. */
const PAUSE_SECONDS = 60

const inSeconds = (seconds: number) => sql<Date>`now() + make_interval(secs => ${seconds})`

type Call = {
  id: string
  tenant_id: string
  lead_id: string
  caller_phone: string
  business_phone: string
  called_at: Date
  outreach_state: string
  outreach_due_at: Date | null
  is_due: boolean
}

/**
 * Looks again whether the caller is to be written to, and if so commits this process to the message:
 * whoever gets it from here sends it once and records what came of it.
 *
 * @returns null when there is nothing to send any more, or not yet; then the job is set for later
 */
export const claimFirstMessage = async (
  trx: Trx,
  missedCallId: string,
): Promise<Outgoing | null> => {
  const call = await lockMissedCall(trx, missedCallId)
  if (!call) return null
  if (call.outreach_state === 'sending') return giveUpIfAbandoned(trx, call)
  if (call.outreach_state !== 'scheduled' || !call.outreach_due_at) return null
  if (!call.is_due)
    return lookAgain(
      trx,
      call,
      sql<Date>`(select outreach_due_at from missed_calls where id = ${call.id})`,
    )

  const facts = await readFacts(trx, {
    tenantId: call.tenant_id,
    caller: call.caller_phone,
    calledAt: call.called_at,
    missedCallId: call.id,
  })
  const decision = decide({
    ...facts,
    late: isTooLate(facts.now, call.outreach_due_at, facts.grace),
  })
  if (decision.state !== 'scheduled') return end(trx, call, decision.state, decision.reason)
  if (decision.reason === 'connection_paused') {
    await setOutreach(trx, call, 'scheduled', 'connection_paused')
    return lookAgain(trx, call, inSeconds(PAUSE_SECONDS))
  }
  if (facts.mode !== 'shadow') return claim(trx, call)
  await writeMessage(trx, call, 'shadow')
  return end(trx, call, 'skipped', 'shadow')
}

/** The lead first, then the call: the order in which everything that claims or cancels takes its locks. */
const lockMissedCall = async (trx: Trx, id: string): Promise<Call | null> => {
  await sql`select from leads where id = (select lead_id from missed_calls where id = ${id}) for update`.execute(
    trx,
  )
  const { rows } = await sql<Call>`
    select id, tenant_id, lead_id, caller_phone, business_phone, called_at,
           outreach_state, outreach_due_at, outreach_due_at <= now() as is_due
    from missed_calls where id = ${id} and lead_id is not null and caller_phone is not null
    for update`.execute(trx)
  return rows[0] ?? null
}

const setOutreach = async (trx: Trx, call: Call, state: string, reason: string): Promise<void> => {
  await trx
    .updateTable('missed_calls')
    .set({ outreach_state: state, outreach_reason: reason })
    .where('id', '=', call.id)
    .execute()
}

/** Under the key of the job that is running: that one ends, this one takes its place. */
const lookAgain = async (trx: Trx, call: Call, at: RawBuilder<Date>): Promise<null> => {
  const payload = {
    tenantId: call.tenant_id,
    missedCallId: call.id,
    callerPhone: call.caller_phone,
  }
  await addJob(trx, 'lead_outreach', call.id, payload, { at })
  return null
}

/** Nothing will be sent. Where it had been tried already and refused for the moment, that try ends too. */
const end = async (
  trx: Trx,
  call: Call,
  state: 'skipped' | 'cancelled',
  reason: string,
): Promise<null> => {
  await setOutreach(trx, call, state, reason)
  await sql`
    with ended as (
      update lead_conversations set state = 'stopped' where missed_call_id = ${call.id} and state = 'open' returning id
    )
    update messages set state = ${state}, reason = ${reason}
    where lead_conversation_id in (select id from ended) and state = 'scheduled'`.execute(trx)
  return null
}

/** Somebody else's claim: too young, and its sender may still be at it; too old, and nobody will ever tell. */
const giveUpIfAbandoned = async (trx: Trx, call: Call): Promise<null> => {
  const { rows } = await sql`
    update messages m set state = 'unknown', reason = 'sender_died'
    from lead_conversations c
    where c.missed_call_id = ${call.id} and m.lead_conversation_id = c.id and m.kind = 'initial'
      and m.state = 'sending' and m.claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS})
    returning m.id`.execute(trx)
  if (rows.length === 0) return lookAgain(trx, call, inSeconds(CLAIM_SECONDS))
  await setOutreach(trx, call, 'unknown', 'no_answer')
  return null
}

const claim = async (trx: Trx, call: Call): Promise<Outgoing> => {
  const { rows } = await sql<{
    id: string
    phone_number_id: string
    access_token: string
    name: string
    timezone: string
  }>`
    select c.id, c.phone_number_id, c.access_token, t.name, t.timezone
    from whatsapp_connections c join tenants t on t.id = c.tenant_id
    where c.tenant_id = ${call.tenant_id} and c.state = 'active'
    -- The number she dialled, if it also writes; else the oldest.
    order by (c.display_phone_number = ${call.business_phone}) desc, c.id limit 1`.execute(trx)
  const [connection] = rows
  if (!connection) throw new Error(`tenant ${call.tenant_id} has no active connection`)
  const messageId = await writeMessage(trx, call, 'sending', connection.id)
  await setOutreach(trx, call, 'sending', 'claimed')
  return {
    messageId,
    to: call.caller_phone,
    phoneNumberId: connection.phone_number_id,
    accessToken: open(connection.access_token, tokenOwner(call.tenant_id)),
    ...templateFor('initial', {
      business_name: connection.name,
      call_time: callTime(call.called_at, connection.timezone),
    }),
  }
}

/** The row of the first message, made by its first claim; a further try claims the same row again. */
const writeMessage = async (
  trx: Trx,
  call: Call,
  state: 'sending' | 'shadow',
  connectionId: string | null = null,
): Promise<string> => {
  const { rows } = await sql<{ id: string }>`
    with conversation as (
      insert into lead_conversations as c (lead_id, missed_call_id) values (${call.lead_id}, ${call.id})
      on conflict (missed_call_id) do update set lead_id = c.lead_id
      returning id
    )
    insert into messages as m (tenant_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, due_at, claimed_at, attempts)
    select ${call.tenant_id}, id, ${connectionId}::bigint, 'out', 'initial', ${state}, ${call.outreach_due_at}, now(), 1 from conversation
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2')
      do update set state = excluded.state, claimed_at = now(), attempts = m.attempts + 1,
                    whatsapp_connection_id = excluded.whatsapp_connection_id
      where m.state = 'scheduled'
    returning m.id`.execute(trx)
  const [row] = rows
  if (!row)
    throw new Error(`the first message of missed call ${call.id} is not there to be claimed`)
  return row.id
}
