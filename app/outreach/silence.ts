import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { tellOwner } from './owner.ts'

/** The last reminder has come to its end: from here on we wait as long as the tenant wishes. */
export const waitForSilence = async (trx: Trx, conversationId: string): Promise<void> => {
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
export const endInSilence = async (trx: Trx, conversationId: string): Promise<void> => {
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
  await tellOwner(trx, ended.lead_id, `silence:${conversationId}`, 'לא ענה/ענתה להודעות')
}
