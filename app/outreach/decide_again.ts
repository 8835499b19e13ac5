import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { decide } from './eligibility.ts'
import { readFacts } from './facts.ts'
import { quietUntil, schedule } from './schedule.ts'
import { isTooOld } from './timing.ts'

/**
 * Decides again about calls that were skipped because another message to the same person was pending,
 * when that message has been cancelled. Only those that began after `since`, when somebody talked with
 * her. The caller must hold the lead's lock.
 */
export const decideAgain = async (trx: Trx, leadId: string, since: Date): Promise<void> => {
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
    const facts = await readFacts(trx, {
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
          quietUntil(facts) ??
          sql<Date>`now() + (select outreach_delay from tenants where id = ${call.tenant_id})`,
      })
      .where('id', '=', call.id)
      .execute()
    await schedule(trx, [call.id])
  }
}
