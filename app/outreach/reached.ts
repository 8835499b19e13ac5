import type { Trx } from '../db/kysely.ts'
import { decideAgain } from './missed_call.ts'
import { spellings } from './phone.ts'
import { lockLead, stopChase } from './stop.ts'

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
      'reached_by_phone',
      calls.map(call => call.id),
    )
    await decideAgain(trx, id, at)
  }
}

/**
 * A call that was recorded as missed turned out not to be: answered, or not a customer's call at all. Nothing
 * is sent because of it.
 */
export const callWasNotMissed = async (
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
  await stopChase(trx, call.lead_id, 'reached_by_phone', [call.id])
  await decideAgain(trx, call.lead_id, call.called_at)
}
