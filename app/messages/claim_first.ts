import { type RawBuilder, sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import { decide, isTooLate } from '../outreach/rules.ts'
import { readContext } from '../outreach/contact_context.ts'
import { claimEnds, expireClaim, secondsFromNow, LOOK_AGAIN_SECONDS } from './states.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import { buildMessage, type Sender, senderFor } from './sender.ts'
type Call = {
  id: string
  tenant_id: string
  lead_id: string
  lead_name: string | null
  caller_phone: string
  business_phone: string
  called_at: Date
  outreach_state: string
  outreach_due_at: Date | null
  is_due: boolean
  message_id: string | null
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
  if (call.outreach_state === 'sending' && call.message_id) {
    if (!(await expireClaim(trx, call.message_id)))
      await lookAgain(trx, call, claimEnds(call.message_id))
    return null
  }
  if (call.outreach_state !== 'scheduled' || !call.outreach_due_at) return null
  if (!call.is_due)
    return lookAgain(
      trx,
      call,
      sql<Date>`(select outreach_due_at from missed_calls where id = ${call.id})`,
    )

  const facts = await readContext(trx, {
    tenantId: call.tenant_id,
    caller: call.caller_phone,
    calledAt: call.called_at,
    missedCallId: call.id,
  })
  const due = firstAllowed(call.outreach_due_at, facts.quietWindows, facts.timezone)
  if (due > facts.now) return postpone(trx, call, due)
  const decision = decide({ ...facts, late: isTooLate(facts.now, due, facts.grace) })
  if (decision.state !== 'scheduled') return end(trx, call, decision.state, decision.reason)
  // Due before the window and late into it: not now, and when the window ends most likely too late.
  const allowed = firstAllowed(facts.now, facts.quietWindows, facts.timezone)
  if (allowed > facts.now) return lookAgain(trx, call, allowed)

  const sender = await senderFor(trx, call.tenant_id, 'initial', { dialled: call.business_phone })
  if (!sender || sender.templatePaused) {
    await setOutreach(trx, call, 'scheduled', 'connection_paused')
    return lookAgain(trx, call, secondsFromNow(LOOK_AGAIN_SECONDS))
  }
  if (facts.mode !== 'shadow') return claim(trx, call, sender)
  await writeMessage(trx, call, 'shadow', null)
  return end(trx, call, 'skipped', 'shadow')
}

/** The lead first, then the call: the order in which everything that claims or cancels locks. */
const lockMissedCall = async (trx: Trx, id: string): Promise<Call | null> => {
  await sql`select from leads where id = (select lead_id from missed_calls where id = ${id}) for update`.execute(
    trx,
  )
  const { rows } = await sql<Call>`
    select k.id, k.tenant_id, k.lead_id, l.name as lead_name, k.caller_phone, k.business_phone, k.called_at,
           k.outreach_state, k.outreach_due_at, k.outreach_due_at <= now() as is_due,
           (select m.id from messages m join lead_conversations c on c.id = m.lead_conversation_id
            where c.missed_call_id = k.id and m.kind = 'initial') as message_id
    from missed_calls k join leads l on l.id = k.lead_id
    where k.id = ${id} and k.caller_phone is not null
    for update of k`.execute(trx)
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
const lookAgain = async (trx: Trx, call: Call, at: Date | RawBuilder<Date>): Promise<null> => {
  const payload = {
    tenantId: call.tenant_id,
    missedCallId: call.id,
    callerPhone: call.caller_phone,
  }
  await addJob(trx, 'lead_outreach', call.id, payload, { at })
  return null
}

/** Due in a quiet window that was put up since: due at its end, and late counting from there. */
const postpone = async (trx: Trx, call: Call, at: Date): Promise<null> => {
  await trx
    .updateTable('missed_calls')
    .set({ outreach_due_at: at })
    .where('id', '=', call.id)
    .execute()
  return lookAgain(trx, call, at)
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
      update lead_conversations set state = 'stopped', reason = ${reason}
      where missed_call_id = ${call.id} and state = 'open' returning id
    )
    update messages set state = ${state}, reason = ${reason}
    where lead_conversation_id in (select id from ended) and state = 'scheduled'`.execute(trx)
  return null
}

const claim = async (trx: Trx, call: Call, sender: Sender): Promise<Outgoing> => {
  const messageId = await writeMessage(trx, call, 'sending', sender.connectionId)
  await setOutreach(trx, call, 'sending', 'claimed')
  return buildMessage(sender, messageId, call.caller_phone, {
    callerName: call.lead_name,
    callerPhone: call.caller_phone,
    calledAt: call.called_at,
  })
}

/** The row of the first message, made by its first claim; a further try claims the same row again. */
const writeMessage = async (
  trx: Trx,
  call: Call,
  state: 'sending' | 'shadow',
  connectionId: string | null,
): Promise<string> => {
  const { rows } = await sql<{ id: string }>`
    with conversation as (
      insert into lead_conversations as c (lead_id, missed_call_id, state, reason)
      values (${call.lead_id}, ${call.id}, ${state === 'shadow' ? 'stopped' : 'open'}, ${state === 'shadow' ? 'shadow' : null})
      on conflict (missed_call_id) do update set lead_id = c.lead_id
      returning id
    )
    insert into messages as m
      (tenant_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, due_at, claimed_at, attempts)
    select ${call.tenant_id}, id, ${connectionId}::bigint, 'out', 'initial', ${state}, ${call.outreach_due_at}, now(), 1
    from conversation
    on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2')
      do update set state = excluded.state, claimed_at = now(), attempts = m.attempts + 1, reason = null,
                    whatsapp_connection_id = excluded.whatsapp_connection_id
      where m.state = 'scheduled'
    returning m.id`.execute(trx)
  const [row] = rows
  if (!row)
    throw new Error(`the first message of missed call ${call.id} is not there to be claimed`)
  return row.id
}
