import { type RawBuilder, sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Outgoing } from '../whatsapp/client.ts'
import { decide, isTooLate } from '../outreach/rules.ts'
import { readContext } from '../outreach/contact_context.ts'
import { claimEnds, expireClaim, secondsFromNow, LOOK_AGAIN_SECONDS, setMessage } from './states.ts'
import { firstAllowed } from '../outreach/quiet_hours.ts'
import { buildMessage, senderFor } from './sender.ts'
import { scheduleUnresponsive, cancelPending } from '../outreach/cancel.ts'
type Reminder = {
  id: string
  tenant_id: string
  state: string
  due_at: Date
  is_due: boolean
  conversation_id: string
  conversation_state: string
  conversation_reason: string | null
  lead_id: string
  lead_name: string | null
  missed_call_id: string
  caller_phone: string
  business_phone: string
  called_at: Date
  /** State and sender of the last message before this one, but for one that was given up unsent. */
  before: string | null
  connection_id: string | null
  /** The other reminder is due no later than this one, or by now. */
  next_is_due: boolean
}

/**
 * Looks again whether the reminder is still wanted, under the lead's lock, and if so commits this process
 * to it. A reminder follows only a message that has left WhatsApp (`sent` at least): nobody is reminded
 * of what never reached her, and nothing follows a message whose fate is unknown.
 *
 * @returns null when there is nothing to send any more, or not yet; then the job is set for later
 */
export const claimReminder = async (
  trx: Trx,
  conversationId: string,
  number: 1 | 2,
): Promise<Outgoing | null> => {
  const reminder = await lockReminder(trx, conversationId, number)
  if (!reminder) return null
  const lookAgain = async (at: Date | RawBuilder<Date>): Promise<null> => {
    const payload = {
      leadId: reminder.lead_id,
      leadConversationId: conversationId,
      reminderNumber: number,
    }
    await addJob(trx, 'lead_reminder', `${conversationId}:${number}`, payload, { at })
    return null
  }
  const end = async (state: string, reason: string): Promise<null> => {
    await setMessage(trx, reminder, state, reason)
    if (number === 2) await scheduleUnresponsive(trx, conversationId)
    return null
  }

  if (reminder.state === 'sending') {
    if (!(await expireClaim(trx, reminder.id))) return lookAgain(claimEnds(reminder.id))
    if (number === 2) await scheduleUnresponsive(trx, conversationId)
    return null
  }
  if (reminder.state !== 'scheduled') return null
  if (reminder.conversation_state !== 'open')
    return end('cancelled', reminder.conversation_reason ?? '')
  if (!reminder.is_due)
    return lookAgain(sql<Date>`(select due_at from messages where id = ${reminder.id})`)

  const facts = await readContext(trx, {
    tenantId: reminder.tenant_id,
    caller: reminder.caller_phone,
    calledAt: reminder.called_at,
    missedCallId: reminder.missed_call_id,
  })
  const quietEnds = (moment: Date) => firstAllowed(moment, facts.quietWindows, facts.timezone)
  const due = quietEnds(reminder.due_at)
  if (due > facts.now) {
    // A window put up since: due at its end, and late counting from there.
    await trx.updateTable('messages').set({ due_at: due }).where('id', '=', reminder.id).execute()
    return lookAgain(due)
  }
  const late = isTooLate(facts.now, due, facts.reminderGrace)
  const arrived = ['sent', 'delivered', 'read'].includes(reminder.before ?? '')
  if (late && !arrived) return end('skipped', 'previous_not_sent')
  // That she has been written to is the very reason for a reminder.
  const decision = decide({ ...facts, contacted: false, late })
  if (decision.reason === 'opted_out') {
    await cancelPending(trx, reminder.lead_id, 'opted_out')
    return null
  }
  if (decision.state === 'cancelled') {
    await cancelPending(trx, reminder.lead_id, decision.reason, [reminder.missed_call_id])
    return null
  }
  if (decision.state !== 'scheduled') return end(decision.state, decision.reason)
  if (reminder.before === 'failed') return end('skipped', 'previous_failed')
  // A quiet window or an outage has brought both to one moment: the last one says it all.
  if (reminder.next_is_due) return end('skipped', 'next_is_due')
  const allowed = quietEnds(facts.now)
  if (allowed > facts.now) return lookAgain(allowed)
  if (facts.mode === 'shadow') return end('shadow', 'shadow')

  const kind = number === 1 ? 'reminder_1' : 'reminder_2'
  const sender = await senderFor(trx, reminder.tenant_id, kind, {
    connectionId: reminder.connection_id,
    dialled: reminder.business_phone,
  })
  if (!arrived || !sender || sender.templatePaused)
    return lookAgain(secondsFromNow(LOOK_AGAIN_SECONDS))

  await sql`
    update messages set state = 'sending', reason = null, claimed_at = now(), attempts = attempts + 1,
                        whatsapp_connection_id = ${sender.connectionId}
    where id = ${reminder.id}`.execute(trx)
  return buildMessage(sender, reminder.id, reminder.caller_phone, {
    callerName: reminder.lead_name,
    callerPhone: reminder.caller_phone,
    calledAt: reminder.called_at,
  })
}

const lockReminder = async (
  trx: Trx,
  conversationId: string,
  number: 1 | 2,
): Promise<Reminder | null> => {
  await sql`select from leads where id = (select lead_id from lead_conversations where id = ${conversationId}) for update`.execute(
    trx,
  )
  const { rows } = await sql<Reminder>`
    select m.id, m.tenant_id, m.state, m.due_at, m.due_at <= now() as is_due, c.id as conversation_id, c.state as conversation_state, c.reason as conversation_reason,
           c.lead_id, l.name as lead_name, k.id as missed_call_id, k.caller_phone, k.business_phone, k.called_at,
           b.state as before, b.whatsapp_connection_id as connection_id,
           exists (select from messages n where n.lead_conversation_id = c.id and n.kind > m.kind
                   and n.state = 'scheduled' and n.due_at <= greatest(m.due_at, now())) as next_is_due
    from messages m
    join lead_conversations c on c.id = m.lead_conversation_id
    join leads l on l.id = c.lead_id
    join missed_calls k on k.id = c.missed_call_id
    left join lateral (
      select b.state, b.whatsapp_connection_id from messages b
      -- initial < reminder_1 < reminder_2, also by the alphabet.
      where b.lead_conversation_id = c.id and b.kind < m.kind and b.state not in ('cancelled', 'skipped', 'shadow')
      order by b.kind desc limit 1) b on true
    where m.lead_conversation_id = ${conversationId} and m.kind = ${`reminder_${number}`}
    for update of m`.execute(trx)
  return rows[0] ?? null
}
