/** Holds, releases and cancels a person's pending messages when they are on the line with the tenant. */
import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { lockLeads } from '../db/locks.ts'
import { cancelForReached } from '../outreach/cancel.ts'
import { readContext } from '../outreach/contact_context.ts'
import { heldBy, lineFrom } from '../outreach/line.ts'
import { awaitConfirmation } from '../outreach/live_calls.ts'
import { spellings } from '../phone.ts'
import type { ConversationKind, HoldReason } from '../states.ts'
import { holdMessage, releaseMessage } from './message.ts'

/** A scheduled first message or reminder. */
export type Pending = {
  kind: ConversationKind
  id: string | null
  tenantId: string
  leadId: string
  conversationId: string | null
  missedCallId: string
  to: string | null
  dueAt: Date
  holdReason: HoldReason | null
  isHoldOver: boolean
}

/**
 * Applies the live events about a person to their pending messages. Safe to run twice: it reads all events again. The
 * claim decides by the same events, so a message is not sent even if this runs late.
 */
export const applyLiveCalls = async (
  trx: Trx,
  { tenantId, leadId }: { tenantId: string; leadId: string },
): Promise<void> => {
  const lead = await trx
    .selectFrom('leads')
    .select('phone')
    .where('id', '=', leadId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  if (!lead) return
  const { phone } = lead
  const leads = await lockLeads(
    trx,
    sql`tenant_id = ${tenantId} and phone = any(${spellings(phone)}::text[])`,
  )
  const { now, caller, liveEvents, ...context } = await readContext(trx, {
    tenantId,
    caller: phone,
    calledAt: new Date(0),
    missedCallId: null,
  })
  const lines = {
    first: context.line,
    reminder: lineFrom(liveEvents, now, context.reminderGrace),
  }
  // A talk without a Hangup ends first messages before reminders. The claim of each does that.
  const { reachedUntil } = lines.reminder
  if (reachedUntil)
    for (const id of await cancelForReached(trx, { tenantId, phone, until: reachedUntil }))
      await awaitConfirmation(trx, tenantId, id, caller)

  for (const message of await pendingOf(trx, leads)) {
    const { kind, dueAt, holdReason, isHoldOver } = message
    const isHeldByCall = holdReason === 'in_call' || holdReason === 'after_call'
    // Another reason holds it longer than its call may. When its job looks again, it sees these events too.
    if (holdReason !== null && !isHeldByCall && !isHoldOver) continue
    const held = heldBy(kind === 'initial' ? lines.first : lines.reminder, dueAt, now)
    if (held) await holdMessage(trx, message, held.until, held.why)
    else if (isHeldByCall) await releaseMessage(trx, message)
  }
}

const pendingOf = async (trx: Trx, leads: readonly string[]): Promise<Pending[]> => {
  const { rows } = await sql<Pending>`
    select 'initial' as kind, null::bigint as id, k.tenant_id as "tenantId", k.lead_id as "leadId",
           null::bigint as "conversationId", k.id as "missedCallId", k.caller_phone as "to", k.outreach_due_at as "dueAt",
           k.hold_reason as "holdReason", coalesce(k.hold_until <= now(), false) as "isHoldOver"
    from missed_calls k where k.lead_id = any(${leads}::bigint[]) and k.outreach_state = 'scheduled'
    union all
    select m.kind, m.id, m.tenant_id, c.lead_id, c.id, c.missed_call_id, k.caller_phone, m.due_at, m.hold_reason,
           coalesce(m.hold_until <= now(), false)
    from lead_conversations c
    join missed_calls k on k.id = c.missed_call_id
    join messages m on m.lead_conversation_id = c.id
    where c.lead_id = any(${leads}::bigint[]) and m.kind in ('reminder_1', 'reminder_2') and m.state = 'scheduled'
    order by "missedCallId", kind`.execute(trx)
  return rows
}
