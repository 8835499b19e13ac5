import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { moveLead } from '../db/transitions.ts'
import { type LeadFacts, stateAfterOptOut } from '../states.ts'
import { talkedAt } from './talks.ts'

/**
 * Gives a lead whose opt-out has ended the state that they would have without it. What was cancelled stays cancelled. The
 * caller has locked the lead. A lead in another state stays as it is.
 */
export const resumeLead = async (trx: Trx, leadId: string): Promise<void> => {
  const { rows } = await sql<LeadFacts>`
    select
      exists (
        select from messages s
        where s.lead_id = l.id and s.direction = 'in' and s.keyword is distinct from 'stop' and s.created_at >= last.at) as wrote,
      coalesce(greatest(${talkedAt(sql`last.at`)}, l.called_back_at) >= last.at, false) as reached,
      exists (
        select from missed_calls k join lead_conversations c on c.missed_call_id = k.id
        where k.lead_id = l.id and k.called_at >= last.at and c.state = 'unresponsive') as silent,
      exists (
        select from missed_calls k
        left join lead_conversations c on c.missed_call_id = k.id
        left join messages s on s.lead_conversation_id = c.id and s.direction = 'out'
        where k.lead_id = l.id and k.called_at >= last.at
          and (k.outreach_state = 'sent' or s.state in ('accepted', 'sent', 'delivered', 'read'))) as contacted
    from leads l cross join lateral (
      -- A call that was skipped at once has not changed the state.
      select coalesce(max(k.called_at) filter (
        where k.outreach_due_at is not null or k.outreach_state = 'cancelled'), '-infinity') as at
      from missed_calls k where k.lead_id = l.id) last
    where l.id = ${leadId} and l.state = 'opted_out'`.execute(trx)
  const [facts] = rows
  if (facts) await moveLead(trx, leadId, `resumed_to_${stateAfterOptOut(facts)}`)
}
