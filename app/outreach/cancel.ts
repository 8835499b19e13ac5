import { sql } from 'kysely'
import { addJob, removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { readContext } from './contact_context.ts'
import { quietEnd, scheduleOutreach } from './missed_calls.ts'
import { notifyOwner } from './notify_owner.ts'
import { decide, isTooOld } from './rules.ts'
import { spellings } from '../phone.ts'

/** Why nothing more is sent, in the words of `missed_calls.outreach_reason`. */
export type StopReason = 'reached_by_phone' | 'replied' | 'opted_out' | 'owner_replied'

/** How each ends the conversation, and in which states of the lead it changes that. */
const EFFECTS: Record<StopReason, { conversation: string; lead: string | null; over: string[] }> = {
  reached_by_phone: {
    conversation: 'reached_by_phone',
    lead: 'reached_by_phone',
    over: ['new', 'contacted', 'unresponsive'],
  },
  replied: {
    conversation: 'replied',
    lead: 'replied',
    over: ['new', 'contacted', 'unresponsive', 'reached_by_phone'],
  },
  opted_out: {
    conversation: 'opted_out',
    lead: 'opted_out',
    over: ['new', 'contacted', 'unresponsive', 'reached_by_phone', 'replied'],
  },
  // The owner has taken over; what the customer did is told by what she does.
  owner_replied: { conversation: 'stopped', lead: null, over: [] },
}

/**
 * Ends the chase of one person, whose lead the caller has locked: first messages that are still scheduled,
 * reminders, and open conversations. What is being sent at this moment goes out; recording it finds the
 * conversation ended, and schedules nothing.
 *
 * @param calls only what follows from these missed calls; without it, from any
 * @returns the ids of the conversations it ended
 */
export const cancelPending = async (
  trx: Trx,
  leadId: string,
  reason: StopReason,
  calls?: string[],
): Promise<string[]> => {
  const { conversation, lead, over } = EFFECTS[reason]
  const only = calls === undefined ? sql`` : sql`and missed_call_id = any(${calls}::bigint[])`
  const onlyCalls = calls === undefined ? sql`` : sql`and id = any(${calls}::bigint[])`

  const { rows: cancelled } = await sql<{ id: string }>`
    update missed_calls set outreach_state = 'cancelled', outreach_reason = ${reason}
    where lead_id = ${leadId} and outreach_state = 'scheduled' ${onlyCalls}
    returning id`.execute(trx)
  for (const { id } of cancelled) await removeJob(trx, 'lead_outreach', id)

  // An undeliverable one too: a later report of delivery would have opened it again.
  const { rows: ended } = await sql<{ id: string }>`
    update lead_conversations set state = ${conversation}, reason = ${reason}
    where lead_id = ${leadId} and (state = 'open' or state = 'stopped' and reason = 'undeliverable') ${only}
    returning id`.execute(trx)
  const ids = ended.map(({ id }) => id)
  if (ids.length) {
    await trx
      .updateTable('messages')
      .set({ state: 'cancelled', reason })
      .where('lead_conversation_id', 'in', ids)
      .where('kind', 'in', ['initial', 'reminder_1', 'reminder_2'])
      .where('state', '=', 'scheduled')
      .execute()
    for (const id of ids)
      for (const reminder of [1, 2]) await removeJob(trx, 'lead_reminder', `${id}:${reminder}`)
  }
  if (lead)
    await sql`update leads set state = ${lead} where id = ${leadId} and state = any(${over}::text[])`.execute(
      trx,
    )
  return ids
}

/** Locks a lead: everything that claims or cancels for this person does this first. */
export const lockLead = async (trx: Trx, leadId: string): Promise<void> => {
  await sql`select from leads where id = ${leadId} for update`.execute(trx)
}

/**
 * Decides again about calls that were skipped because another message to the same person was pending,
 * when that message has been cancelled. Only those that began after `since`, when somebody talked with
 * her. The caller must hold the lead's lock.
 */
export const reevaluate = async (trx: Trx, leadId: string, since: Date): Promise<void> => {
  const skipped = await trx
    .selectFrom('missed_calls')
    .select(['id', 'tenant_id', 'caller_phone', 'called_at'])
    .where('lead_id', '=', leadId)
    .where('outreach_state', '=', 'skipped')
    .where('outreach_reason', '=', 'already_contacted')
    .where('called_at', '>', since)
    .orderBy('called_at')
    .execute()
  // In order and one by one: the first that is scheduled is the reason why the next is not.
  for (const call of skipped) {
    const facts = await readContext(trx, {
      tenantId: call.tenant_id,
      caller: call.caller_phone,
      calledAt: call.called_at,
      missedCallId: call.id,
    })
    const decision = decide({
      ...facts,
      late: isTooOld(facts.now, call.called_at, facts.oldestCall),
    })
    // Otherwise what is written there stays true: she had been contacted when this call came.
    if (decision.state !== 'scheduled') continue
    await trx
      .updateTable('missed_calls')
      .set({
        outreach_state: decision.state,
        outreach_reason: decision.reason,
        outreach_due_at:
          quietEnd(facts) ??
          sql<Date>`now() + (select outreach_delay from tenants where id = ${call.tenant_id})`,
      })
      .where('id', '=', call.id)
      .execute()
    await scheduleOutreach(trx, [call.id])
  }
}

/** Somebody of the business talked with this number (E.164), in a call that began at `at`. */
export type Reached = { tenantId: string; phone: string; at: Date }

/** As personReached, for many at once: most of them have nothing pending, and that is found out together. */
export const cancelForAllReached = async (trx: Trx, reached: readonly Reached[]): Promise<void> => {
  const asked = reached.flatMap((one, n) =>
    spellings(one.phone).map(phone => ({ ...one, phone, n })),
  )
  if (asked.length === 0) return
  const people = sql`unnest(
    ${asked.map(({ n }) => n)}::int[],
    ${asked.map(({ tenantId }) => tenantId)}::bigint[],
    ${asked.map(({ phone }) => phone)}::text[],
    ${asked.map(({ at }) => at)}::timestamptz[]) as r (n, tenant_id, phone, at)`
  // Locked before it is looked whether there is anything to stop: something may just be becoming pending.
  const { rows: leads } = await sql`
    /* talked_with */
    select l.id from leads l where (l.tenant_id, l.phone) in (select r.tenant_id, r.phone from ${people})
    order by l.id for update`.execute(trx)
  if (leads.length === 0) return
  const { rows: chased } = await sql<{ n: number }>`
    /* chased */
    select distinct r.n from ${people}
    join leads l on l.tenant_id = r.tenant_id and l.phone = r.phone
    join missed_calls m on m.lead_id = l.id and m.called_at <= r.at
    where m.outreach_state = 'scheduled'
      or exists (select from lead_conversations c where c.missed_call_id = m.id and c.state = 'open')
    order by r.n`.execute(trx)
  for (const { n } of chased) {
    const one = reached[n]
    if (one) await cancelForReached(trx, one.tenantId, one.phone, one.at)
  }
}

/**
 * Somebody of the business talked with a customer in a call that began at `at`: whatever was still to be
 * sent to her because of calls up to then is cancelled. What is being sent at this moment goes out, and
 * nothing follows it. Calls she made after that talk are decided again.
 *
 * @param phone the customer's number in E.164
 */
export const cancelForReached = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  at: Date,
): Promise<void> => {
  const leads = await trx
    .selectFrom('leads')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('phone', 'in', spellings(phone))
    .orderBy('id')
    .forUpdate()
    .execute()
  for (const { id } of leads) {
    const calls = await trx
      .selectFrom('missed_calls')
      .select('id')
      .where('lead_id', '=', id)
      .where('called_at', '<=', at)
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
    if (calls.length === 0) continue
    await cancelPending(
      trx,
      id,
      'reached_by_phone',
      calls.map(call => call.id),
    )
    await reevaluate(trx, id, at)
  }
}

/**
 * A call that was recorded as missed turned out not to be: answered, or not a customer's call at all. Nothing
 * is sent because of it.
 */
export const withdrawMissedCall = async (
  trx: Trx,
  tenantId: string,
  callId: string,
): Promise<void> => {
  const call = await trx
    .selectFrom('missed_calls')
    .select(['id', 'lead_id', 'called_at'])
    .where('tenant_id', '=', tenantId)
    .where('call_id', '=', callId)
    .executeTakeFirst()
  if (!call?.lead_id) return
  await lockLead(trx, call.lead_id)
  await cancelPending(trx, call.lead_id, 'reached_by_phone', [call.id])
  await reevaluate(trx, call.lead_id, call.called_at)
}

/** The last reminder has come to its end: from here on we wait as long as the tenant wishes. */
export const scheduleUnresponsive = async (trx: Trx, conversationId: string): Promise<void> => {
  await addJob(
    trx,
    'lead_silence',
    conversationId,
    { leadConversationId: conversationId },
    {
      at: sql<Date>`(
        select now() + t.unresponsive_after
        from lead_conversations c join leads l on l.id = c.lead_id join tenants t on t.id = l.tenant_id
        where c.id = ${conversationId})`,
    },
  )
}

/** She has not answered in any way: the conversation ends, and the owner hears of it. */
export const closeUnresponsive = async (trx: Trx, conversationId: string): Promise<void> => {
  await sql`select from leads where id = (select lead_id from lead_conversations where id = ${conversationId}) for update`.execute(
    trx,
  )
  const { rows } = await sql<{ lead_id: string }>`
    update lead_conversations set state = 'unresponsive', reason = 'unresponsive'
    where id = ${conversationId} and state = 'open'
    returning lead_id`.execute(trx)
  const [ended] = rows
  if (!ended) return
  // A later call of hers is being answered: her silence on this one says nothing.
  const { rows: busy } = await sql`
    select from lead_conversations where lead_id = ${ended.lead_id} and state = 'open'
    union all
    select from missed_calls where lead_id = ${ended.lead_id} and outreach_state in ('scheduled', 'sending')`.execute(
    trx,
  )
  if (busy.length) return
  await sql`update leads set state = 'unresponsive' where id = ${ended.lead_id} and state in ('new', 'contacted')`.execute(
    trx,
  )
  await notifyOwner(trx, ended.lead_id, `silence:${conversationId}`, 'לא ענה/ענתה להודעות')
}
