import { sql } from 'kysely'
import { removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { decideAgain } from './missed_call.ts'
import { spellings } from './phone.ts'

/**
 * Somebody of the business talked with a customer in a call that began at `at`: whatever was still to be
 * sent to her because of calls up to then is cancelled. What is being sent at this moment goes out, and
 * nothing follows it. Calls she made after that talk are decided again.
 *
 * @param phone the customer's number in E.164
 */
export const personReached = async (
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
    await stopChase(
      trx,
      id,
      calls.map(call => call.id),
    )
    await decideAgain(trx, id, at)
  }
}

/** The call itself turned out to be answered, after it had been recorded as missed. */
export const callWasAnswered = async (
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
  await trx.selectFrom('leads').select('id').where('id', '=', call.lead_id).forUpdate().execute()
  await stopChase(trx, call.lead_id, [call.id])
  await decideAgain(trx, call.lead_id, call.called_at)
}

/** Ends what was meant to follow from these calls of one lead, whose lock the caller holds. */
const stopChase = async (trx: Trx, leadId: string, callIds: string[]): Promise<void> => {
  const cancelled = await trx
    .updateTable('missed_calls')
    .set({ outreach_state: 'cancelled', outreach_reason: 'reached_by_phone' })
    .where('id', 'in', callIds)
    .where('outreach_state', '=', 'scheduled')
    .returning('id')
    .execute()
  for (const { id } of cancelled) await removeJob(trx, 'lead_outreach', id)

  const conversations = await trx
    .updateTable('lead_conversations')
    .set({ state: 'reached_by_phone' })
    .where('missed_call_id', 'in', callIds)
    .where('state', '=', 'open')
    .returning('id')
    .execute()
  for (const { id } of conversations) {
    await trx
      .updateTable('messages')
      .set({ state: 'cancelled', reason: 'reached_by_phone' })
      .where('lead_conversation_id', '=', id)
      .where('state', '=', 'scheduled')
      .execute()
    for (const reminder of [1, 2]) await removeJob(trx, 'lead_reminder', `${id}:${reminder}`)
  }
  await sql`update leads set state = 'reached_by_phone'
            where id = ${leadId} and state in ('new', 'contacted', 'unresponsive')`.execute(trx)
}
