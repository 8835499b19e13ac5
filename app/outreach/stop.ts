import { sql } from 'kysely'
import { removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'

/** Why nothing more is sent, in the words of `missed_calls.outreach_reason`. */
export type StopReason = 'reached_by_phone' | 'replied' | 'opted_out' | 'owner_replied'

/** How each ends the conversation, and in which states of the lead it changes that. */
const EFFECT: Record<StopReason, { conversation: string; lead: string | null; over: string[] }> = {
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
export const stopChase = async (
  trx: Trx,
  leadId: string,
  reason: StopReason,
  calls?: string[],
): Promise<string[]> => {
  const { conversation, lead, over } = EFFECT[reason]
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
