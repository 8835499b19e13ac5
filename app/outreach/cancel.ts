import { sql } from 'kysely'
import { removeJob } from '../db/jobs.ts'
import { planName, type Trx } from '../db/kysely.ts'
import { lockLead, lockLeads } from '../db/locks.ts'
import {
  moveCall,
  moveCalls,
  moveConversations,
  moveLead,
  moveMessages,
} from '../db/transitions.ts'
import { spellings } from '../phone.ts'
import { CONVERSATION_KINDS, type ReasonOf } from '../states.ts'
import { readContext } from './contact_context.ts'
import { quietEnd, scheduleOutreach } from './missed_calls.ts'
import { decide, isTooOld } from './rules.ts'

/** Whether the missed call `m` is recent enough to be decided again. */
const IS_RECENT = sql<boolean>`m.created_at > now() - greatest(interval '1 day',
  (select repeat_window from tenants where id = m.tenant_id))`

/** Why nothing more is sent to a person. It is also the transition of the conversation. */
export type StopReason = ReasonOf<'cancelled'>

/** What the person did themselves. The lead gets this state. What the tenant did does not change it. */
const isOfPerson = (reason: StopReason) => reason !== 'owner_replied' && reason !== 'by_operator'

/**
 * Cancels the pending outreach to one person: scheduled first messages, reminders, and open conversations.
 * The lead must be locked. A message that is being sent now is not stopped. But when its outcome is recorded, its
 * conversation has ended, so no reminder follows.
 *
 * @param calls only what follows from these missed calls; absent = from any
 * @returns the ids of the conversations that ended
 */
export const cancelPending = async (
  trx: Trx,
  leadId: string,
  reason: StopReason,
  calls?: string[],
): Promise<string[]> => {
  const ended = await endOutreach(trx, leadId, reason, calls)
  // While a message because of another call is pending, the lead has the state of that call.
  const isOver = calls === undefined || !(await hasPending(trx, leadId))
  if (isOver && isOfPerson(reason)) await moveLead(trx, leadId, reason)
  return ended
}

/** Whether a message to the person is pending, or may follow. */
export const hasPending = async (trx: Trx, leadId: string): Promise<boolean> => {
  const { rows } = await sql`
    select from lead_conversations where lead_id = ${leadId} and state = 'open'
    union all
    select from missed_calls where lead_id = ${leadId} and outreach_state = 'scheduled'`.execute(
    trx,
  )
  return rows.length > 0
}

/** As cancelPending, without the state of the lead. */
const endOutreach = async (
  trx: Trx,
  leadId: string,
  reason: StopReason,
  calls?: string[],
): Promise<string[]> => {
  const cancelled = await moveCalls(trx, 'cancel', reason)
    .where('lead_id', '=', leadId)
    .$if(calls !== undefined, query => query.where('id', 'in', calls ?? []))
    .returning('id')
    .execute()
  for (const { id } of cancelled) await removeJob(trx, 'lead_outreach', id)

  const ended = await moveConversations(trx, reason, reason)
    .where('lead_id', '=', leadId)
    .$if(calls !== undefined, query => query.where('missed_call_id', 'in', calls ?? []))
    .returning('id')
    .execute()
  const ids = ended.map(({ id }) => id)
  if (ids.length) {
    await moveMessages(trx, 'cancel', reason)
      .where('lead_conversation_id', 'in', ids)
      .where('kind', 'in', CONVERSATION_KINDS)
      .execute()
    for (const id of ids)
      for (const n of [1, 2]) await removeJob(trx, 'lead_reminder', `${id}:${n}`)
  }
  return ids
}

/**
 * Does the same for an event that may be days old: Meta tries again for days, and its number may be connected later. It
 * cancels only what follows from calls before the event. The lead must be locked.
 *
 * @param happenedAt absent = now
 */
export const cancelUntil = async (
  trx: Trx,
  leadId: string,
  reason: 'replied' | 'owner_replied',
  happenedAt: Date | undefined,
): Promise<void> => {
  if (happenedAt === undefined) {
    await cancelPending(trx, leadId, reason)
    return
  }
  const { rows } = await sql<{ id: string; isLater: boolean }>`
    select id, least(called_at, created_at) > ${happenedAt} as "isLater" from missed_calls where lead_id = ${leadId}`.execute(
    trx,
  )
  const calls = rows.flatMap(({ id, isLater }) => (isLater ? [] : [id]))
  if (calls.length === rows.length) await cancelPending(trx, leadId, reason)
  else if (calls.length > 0) await cancelPending(trx, leadId, reason, calls)
}

/**
 * Decides again about calls that were skipped because another message to the same person was pending, after that message
 * was cancelled. The lead must be locked.
 */
const reevaluate = async (trx: Trx, leadId: string): Promise<void> => {
  const skipped = await trx
    .selectFrom('missed_calls as m')
    .select(['id', 'tenant_id', 'caller_phone', 'called_at'])
    .where('lead_id', '=', leadId)
    .where('outreach_state', '=', 'skipped')
    .where('outreach_reason', '=', 'already_contacted')
    .where(IS_RECENT)
    .orderBy('called_at')
    .execute()
  // One after the other: when the first is scheduled, the next stays skipped because of it.
  for (const call of skipped) {
    const context = await readContext(trx, {
      tenantId: call.tenant_id,
      caller: call.caller_phone,
      calledAt: call.called_at,
      missedCallId: call.id,
    })
    const late = isTooOld(context.now, call.called_at, context.oldestCall)
    const decision = decide({ ...context, late })
    if (decision.state === 'cancelled') await moveCall(trx, call.id, 'resolve', decision.reason)
    // Otherwise the stored reason is still true: the person had been contacted when this call came.
    if (decision.state !== 'scheduled') continue
    await moveCall(trx, call.id, 'reevaluate', decision.reason, {
      outreach_due_at:
        quietEnd(context) ??
        sql<Date>`now() + (select outreach_delay from tenants where id = ${call.tenant_id})`,
    })
    await scheduleOutreach(trx, [call.id])
  }
}

/** A person of the tenant spoke with this number (E.164). Calls up to `until` need no message. */
export type Reached = { tenantId: string; phone: string; until: Date }

/**
 * Does cancelForReached for many talks at once. Most of these people have nothing pending, and two statements find that
 * out for all of them.
 */
export const cancelForAllReached = async (trx: Trx, reached: readonly Reached[]): Promise<void> => {
  const asked = reached.flatMap((one, n) =>
    spellings(one.phone).map(phone => ({ ...one, phone, n })),
  )
  if (asked.length === 0) return
  // Because of "offset 0", Postgres looks up the lead of each person first, and then the calls of the lead.
  const people = sql`unnest(
      ${asked.map(({ n }) => n)}::int[],
      ${asked.map(({ tenantId }) => tenantId)}::bigint[],
      ${asked.map(({ phone }) => phone)}::text[],
      ${asked.map(({ until }) => until)}::timestamptz[]) as r (n, tenant_id, phone, until)
    cross join lateral (select id from leads where tenant_id = r.tenant_id and phone = r.phone offset 0) as lead`
  // The leads are locked before pending messages are read, because another transaction may be about to schedule one.
  const { rows: leads } = await sql<{ hasAsked: boolean }>`
    ${planName(trx, 'talked_with')}
    select callback_requested_at is not null as "hasAsked" from leads
    where id = any(array(select lead.id from ${people})) order by id for update`.execute(trx)
  if (leads.length === 0) return
  if (leads.some(({ hasAsked }) => hasAsked)) await closeRequests(trx, reached)
  const { rows: pending } = await sql<{ n: number }>`
    ${planName(trx, 'pending_outreach')}
    select distinct r.n from ${people}
    join missed_calls m on m.lead_id = lead.id and m.called_at <= r.until
    where m.outreach_state = 'scheduled'
      or exists (select from lead_conversations c where c.missed_call_id = m.id and c.state = 'open')
      or (m.outreach_state = 'skipped' and m.outreach_reason = 'already_contacted' and ${IS_RECENT})
    order by r.n`.execute(trx)
  for (const { n } of pending) {
    const one = reached[n]
    if (one) await cancelForReached(trx, one)
  }
}

/** A talk closes the requests for a call that came before its end. The leads must be locked. */
export const closeRequests = async (trx: Trx, reached: readonly Reached[]): Promise<void> => {
  for (const { tenantId, phone, until } of reached)
    await trx
      .updateTable('leads')
      .set({ callback_requested_at: null, callback_closed: null })
      .where('tenant_id', '=', tenantId)
      .where(sql<boolean>`phone = any(${spellings(phone)}::text[])`)
      .where('callback_requested_at', '<=', until)
      .execute()
}

/**
 * The tenant talked with a person. Cancels this person's pending outreach for calls that began before the talk had ended. A
 * message that is being sent now is not stopped, but nothing follows it. Calls that were skipped because of a cancelled
 * message are decided again.
 *
 * @returns the leads for whom something was pending
 */
export const cancelForReached = async (
  trx: Trx,
  { tenantId, phone, until }: Reached,
): Promise<string[]> => {
  const cancelled: string[] = []
  const leads = await lockLeads(
    trx,
    sql`tenant_id = ${tenantId} and phone = any(${spellings(phone)}::text[])`,
  )
  for (const leadId of leads) {
    const calls = await trx
      .selectFrom('missed_calls')
      .select(['id', 'outreach_state'])
      .where('lead_id', '=', leadId)
      .where('called_at', '<=', until)
      .where(eb =>
        eb.or([
          eb('outreach_state', '=', 'scheduled'),
          eb.exists(
            eb
              .selectFrom('lead_conversations')
              .select('lead_conversations.id')
              .whereRef('lead_conversations.missed_call_id', '=', 'missed_calls.id')
              .where('lead_conversations.state', '=', 'open'),
          ),
        ]),
      )
      .execute()
    if (calls.length > 0) {
      await cancelCalls(trx, leadId, calls)
      cancelled.push(leadId)
    }
    await resolveSkipped(trx, leadId, until)
  }
  return cancelled
}

const cancelCalls = async (
  trx: Trx,
  leadId: string,
  calls: readonly { id: string; outreach_state: string }[],
): Promise<void> => {
  await cancelPending(
    trx,
    leadId,
    'reached_by_phone',
    calls.map(({ id }) => id),
  )
  if (calls.some(call => call.outreach_state === 'scheduled')) await reevaluate(trx, leadId)
}

/**
 * A call that was skipped because a message was pending, and not because one was sent, ends like the call of that message:
 * the person was reached. So the result does not depend on which of the CDRs came first.
 */
const resolveSkipped = async (trx: Trx, leadId: string, until: Date): Promise<void> => {
  await moveCalls(trx, 'resolve', 'reached_by_phone')
    .where('id', 'in', eb =>
      eb
        .selectFrom('missed_calls as m')
        .select('m.id')
        .where('m.lead_id', '=', leadId)
        .where('m.outreach_state', '=', 'skipped')
        .where('m.outreach_reason', '=', 'already_contacted')
        .where('m.called_at', '<=', until)
        .where(IS_RECENT)
        .where(
          sql<boolean>`not exists (
            select from lead_conversations c join messages s on s.lead_conversation_id = c.id
            where c.lead_id = m.lead_id and s.direction = 'out'
              and s.state in ('sending', 'accepted', 'sent', 'delivered', 'read', 'unknown')
              and s.claimed_at > m.created_at - (select repeat_window from tenants where id = m.tenant_id))`,
        ),
    )
    .execute()
}

/**
 * Cancels what follows from a recorded missed call. A later CDR showed that it was answered, or no customer called.
 *
 * @param isAnswered only then was the person reached
 */
export const withdrawMissedCall = async (
  trx: Trx,
  { tenantId, callId, isAnswered }: { tenantId: string; callId: string; isAnswered: boolean },
): Promise<void> => {
  const call = await trx
    .selectFrom('missed_calls')
    .select(['id', 'lead_id'])
    .where('tenant_id', '=', tenantId)
    .where('call_id', '=', callId)
    .executeTakeFirst()
  if (!call?.lead_id) return
  await lockLead(trx, call.lead_id)
  if (isAnswered) await cancelPending(trx, call.lead_id, 'reached_by_phone', [call.id])
  else await endOutreach(trx, call.lead_id, 'reached_by_phone', [call.id])
  await reevaluate(trx, call.lead_id)
}
