import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import { addJob, removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLead } from '../db/locks.ts'
import { moveMessages } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import { isQuiet, quietTimesOf } from './quiet_hours.ts'

// What a person does on the pages. Each action locks the lead first, like every transaction that claims or cancels, so
// the states in the audit log are those before and after this action.

/** Nothing is sent; nothing follows what was sent; or there was nothing to cancel. */
export type Cancelled = 'cancelled' | 'reminders stopped' | 'nothing to cancel'

/** Cancels what would be sent because of a missed call. */
export const cancelOutreach = async (
  trx: Trx,
  actor: Actor,
  { tenantId, missedCallId }: { tenantId: string; missedCallId: string },
): Promise<Cancelled> => {
  const call = await trx
    .selectFrom('missed_calls')
    .select('lead_id')
    .where('id', '=', missedCallId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  if (!call) throw notFound(`missed call ${missedCallId}`)
  await lockLead(trx, call.lead_id)

  const before = await progressOf(trx, missedCallId)
  const { rows } = await sql<{ result: Cancelled }>`
    select cancel_outreach(${missedCallId}) as result`.execute(trx)
  const after = await progressOf(trx, missedCallId)
  if (JSON.stringify(before) !== JSON.stringify(after))
    await audit(trx, actor, {
      tenantId,
      action: 'outreach.cancel',
      subject: `missed_calls ${missedCallId}`,
      before,
      after,
    })
  return rows[0]?.result ?? 'nothing to cancel'
}

/** For the audit log: the states, and how many messages wait. */
const progressOf = async (trx: Trx, missedCallId: string) => {
  const { rows } = await sql<Progress>`
    select k.outreach_state || ' / ' || k.outreach_reason as outreach,
           c.state || coalesce(' / ' || c.reason, '') as conversation,
           (select count(*)::int from messages m
            where m.lead_conversation_id = c.id and m.state = 'scheduled') as messages_waiting
    from missed_calls k left join lead_conversations c on c.missed_call_id = k.id
    where k.id = ${missedCallId}`.execute(trx)
  return rows[0] ?? null
}
export type Progress = { outreach: string; conversation: string | null; messages_waiting: number }

// "Send now" only sets the due time to now. The claim checks everything else again: the person may have opted out, got
// through or replied, or the tenant may be paused.

/**
 * Makes a first message due at once, also one that would be given up as too late.
 *
 * @throws UserError if there is no such call, its message does not wait, or a quiet window holds it back
 */
export const sendNow = async (
  trx: Trx,
  actor: Actor,
  { tenantId, missedCallId }: { tenantId: string; missedCallId: string },
): Promise<void> => {
  await lockLead(
    trx,
    sql`(select lead_id from missed_calls where id = ${missedCallId} and tenant_id = ${tenantId})`,
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
  await refuseInQuietWindow(trx, tenantId, 'initial')
  const after = await trx
    .updateTable('missed_calls')
    .set({ outreach_due_at: sql<Date>`now()` })
    .where('id', '=', missedCallId)
    .returning('outreach_due_at')
    .executeTakeFirstOrThrow()
  const payload = { tenantId, missedCallId, callerPhone: call.caller_phone }
  await addJob(trx, 'lead_outreach', missedCallId, payload, { tenantId })
  await audit(trx, actor, {
    tenantId,
    action: 'outreach.send_now',
    subject: `missed_calls ${missedCallId}`,
    before: { outreach_due_at: call.outreach_due_at },
    after,
  })
}

/**
 * Makes a reminder due at once. If it is the last one, an earlier reminder that waits is skipped.
 *
 * @throws UserError as sendNow
 */
export const remindNow = async (
  trx: Trx,
  actor: Actor,
  { tenantId, messageId }: { tenantId: string; messageId: string },
): Promise<void> => {
  const reminder = await trx
    .selectFrom('messages as m')
    .innerJoin('lead_conversations as c', 'c.id', 'm.lead_conversation_id')
    .select('c.lead_id')
    .where('m.id', '=', messageId)
    .where('m.tenant_id', '=', tenantId)
    .where('m.kind', 'in', ['reminder_1', 'reminder_2'])
    .executeTakeFirst()
  if (!reminder) throw notFound(`reminder ${messageId} of tenant ${tenantId}`)
  const leadId = reminder.lead_id
  await lockLead(trx, leadId)
  const message = await trx
    .selectFrom('messages')
    .select(['state', 'kind', 'due_at', 'lead_conversation_id'])
    .where('id', '=', messageId)
    .forUpdate()
    .executeTakeFirstOrThrow()
  const { lead_conversation_id: leadConversationId } = message
  if (message.state !== 'scheduled' || !leadId || !leadConversationId) throw notWaiting()
  await refuseInQuietWindow(trx, tenantId, 'reminder_1')
  const after = await trx
    .updateTable('messages')
    .set({ due_at: sql<Date>`now()` })
    .where('id', '=', messageId)
    .returning('due_at')
    .executeTakeFirstOrThrow()
  const reminderNumber = message.kind === 'reminder_1' ? 1 : 2
  if (reminderNumber === 2) await skipFirstReminder(trx, leadConversationId)
  const payload = { leadId, leadConversationId, reminderNumber } as const
  await addJob(trx, 'lead_reminder', `${leadConversationId}:${reminderNumber}`, payload, {
    tenantId,
  })
  await audit(trx, actor, {
    tenantId,
    action: 'outreach.send_now',
    subject: `messages ${messageId}`,
    before: { due_at: message.due_at },
    after,
  })
}

/** Otherwise the last reminder would wait for it. */
const skipFirstReminder = async (trx: Trx, conversationId: string): Promise<void> => {
  const skipped = await moveMessages(trx, 'skip', 'next_is_due')
    .where('lead_conversation_id', '=', conversationId)
    .where('kind', '=', 'reminder_1')
    .returning('id')
    .executeTakeFirst()
  if (skipped) await removeJob(trx, 'lead_reminder', `${conversationId}:1`)
}

const notWaiting = () => userError('not_waiting', 'this message no longer waits to be sent')

/** Quiet windows apply to "send now" as well. To send earlier, the tenant must change them. */
const refuseInQuietWindow = async (
  trx: Trx,
  tenantId: string,
  kind: 'initial' | 'reminder_1',
): Promise<void> => {
  const { now, ...settings } = await trx
    .selectFrom('tenants')
    .select(['timezone', 'location', sql<Date>`now()`.as('now')])
    .select(['quiet_windows as quietWindows', 'reminder_quiet_windows as reminderQuietWindows'])
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow()
  if (isQuiet(now, quietTimesOf(kind, settings)))
    throw userError('quiet', 'no messages are sent in quiet hours: it is sent when they end')
}
