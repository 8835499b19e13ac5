import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import { addJob, removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { lockLead } from './cancel.ts'
import { firstAllowed } from './quiet_hours.ts'

/** What becomes of a cancel: nothing is sent at all, nothing follows what was sent, or all had ended already. */
export type Cancelled = 'cancelled' | 'reminders stopped' | 'nothing to cancel'

/** "Do not write to her": nothing more is sent because of this missed call. */
export const cancelOutreach = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, missedCallId }: { tenantId: string; missedCallId: string },
): Promise<Cancelled> => {
  const call = await trx
    .selectFrom('missed_calls')
    .select('lead_id')
    .where('id', '=', missedCallId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  if (!call) throw notFound(`missed call ${missedCallId}`)
  // Before we look, as everything that claims or cancels does: what is written down as "before" is what it was.
  if (call.lead_id) await lockLead(trx, call.lead_id)

  const before = await standOf(trx, missedCallId)
  const { rows } = await sql<{ became: Cancelled }>`
    select cancel_outreach(${missedCallId}) as became`.execute(trx)
  const after = await standOf(trx, missedCallId)
  if (JSON.stringify(before) !== JSON.stringify(after))
    await audit(trx, signIn, {
      tenantId,
      action: 'outreach.cancel',
      subject: `missed_calls ${missedCallId}`,
      before,
      after,
    })
  return rows[0]?.became ?? 'nothing to cancel'
}

/** How far it has come, and how many messages are still to follow. */
const standOf = async (trx: Trx, missedCallId: string) => {
  const { rows } = await sql<{
    outreach: string
    conversation: string | null
    messages_waiting: number
  }>`
    select k.outreach_state || ' / ' || k.outreach_reason as outreach,
           c.state || coalesce(' / ' || c.reason, '') as conversation,
           (select count(*)::int from messages m
            where m.lead_conversation_id = c.id and m.state = 'scheduled') as messages_waiting
    from missed_calls k left join lead_conversations c on c.missed_call_id = k.id
    where k.id = ${missedCallId}`.execute(trx)
  return rows[0] ?? null
}

// Sending by hand only brings the due moment forward to now. Everything else is looked at once more when the message
// is claimed: she may have opted out, got through, replied, or the business may be paused.

/**
 * A first message is due at once, also one that would be given up as too late.
 *
 * @throws Mistake when there is no such call, nothing waits for it, or nobody is written to at this hour
 */
export const sendNow = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, missedCallId }: { tenantId: string; missedCallId: string },
): Promise<void> => {
  await sql`select from leads where id = (
    select lead_id from missed_calls where id = ${missedCallId} and tenant_id = ${tenantId}) for update`.execute(
    trx,
  )
  const call = await trx
    .selectFrom('missed_calls')
    .select(['outreach_state', 'outreach_due_at', 'caller_phone'])
    .where('id', '=', missedCallId)
    .where('tenant_id', '=', tenantId)
    .forUpdate()
    .executeTakeFirst()
  if (!call) throw notFound(`missed call ${missedCallId} of tenant ${tenantId}`)
  if (call.outreach_state !== 'scheduled' || !call.caller_phone) throw notWaiting()
  await notInQuietWindow(trx, tenantId)
  const after = await trx
    .updateTable('missed_calls')
    .set({ outreach_due_at: sql<Date>`now()` })
    .where('id', '=', missedCallId)
    .returning('outreach_due_at')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'lead_outreach', missedCallId, {
    tenantId,
    missedCallId,
    callerPhone: call.caller_phone,
  })
  await audit(trx, signIn, {
    tenantId,
    action: 'outreach.send_now',
    subject: `missed_calls ${missedCallId}`,
    before: { outreach_due_at: call.outreach_due_at },
    after,
  })
}

/**
 * The same for a reminder. Sending the last one now makes one before it that still waits needless.
 *
 * @throws Mistake as above
 */
export const remindNow = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, messageId }: { tenantId: string; messageId: string },
): Promise<void> => {
  const { rows } = await sql<{ lead_id: string | null }>`
    select c.lead_id from messages m join lead_conversations c on c.id = m.lead_conversation_id
    where m.id = ${messageId} and m.tenant_id = ${tenantId} and m.kind in ('reminder_1', 'reminder_2')`.execute(
    trx,
  )
  if (!rows[0]) throw notFound(`reminder ${messageId} of tenant ${tenantId}`)
  const leadId = rows[0].lead_id
  await sql`select from leads where id = ${leadId} for update`.execute(trx)
  const message = await trx
    .selectFrom('messages')
    .select(['state', 'kind', 'due_at', 'lead_conversation_id'])
    .where('id', '=', messageId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const { lead_conversation_id: leadConversationId } = message
  if (message.state !== 'scheduled' || !leadId || !leadConversationId) throw notWaiting()
  await notInQuietWindow(trx, tenantId)
  const after = await trx
    .updateTable('messages')
    .set({ due_at: sql<Date>`now()` })
    .where('id', '=', messageId)
    .returning('due_at')
    .executeTakeFirstOrThrow()
  const reminderNumber = message.kind === 'reminder_1' ? 1 : 2
  if (reminderNumber === 2) await skipFirst(trx, leadConversationId)
  await addJob(trx, 'lead_reminder', `${leadConversationId}:${reminderNumber}`, {
    leadId,
    leadConversationId,
    reminderNumber,
  })
  await audit(trx, signIn, {
    tenantId,
    action: 'outreach.send_now',
    subject: `messages ${messageId}`,
    before: { due_at: message.due_at },
    after,
  })
}

/** Else the last one would wait for it. */
const skipFirst = async (trx: Trx, conversationId: string): Promise<void> => {
  const skipped = await trx
    .updateTable('messages')
    .set({ state: 'skipped', reason: 'next_is_due' })
    .where('lead_conversation_id', '=', conversationId)
    .where('kind', '=', 'reminder_1')
    .where('state', '=', 'scheduled')
    .returning('id')
    .executeTakeFirst()
  if (skipped) await removeJob(trx, 'lead_reminder', `${conversationId}:1`)
}

const notWaiting = () => userError('not_waiting', 'it does not wait to be sent any more')

/** The hours in which nobody is written to hold for whoever is in a hurry too: to be changed, not stepped over. */
const notInQuietWindow = async (trx: Trx, tenantId: string): Promise<void> => {
  const { now, timezone, quiet_windows } = await trx
    .selectFrom('tenants')
    .select(['timezone', 'quiet_windows', sql<Date>`now()`.as('now')])
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow()
  if (firstAllowed(now, quiet_windows, timezone) > now)
    throw userError(
      'quiet',
      'nobody is written to at this hour: it goes out when the quiet hours end',
    )
}
