/** A conversation ends when the person has not answered the last reminder. */
import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockLead } from '../db/locks.ts'
import { moveConversations, moveLead } from '../db/transitions.ts'
import { hasPending } from './cancel.ts'

/** Adds the job that ends a conversation, after the tenant's `unresponsive_after`. */
export const scheduleUnresponsive = async (
  trx: Trx,
  tenantId: string,
  conversationId: string,
): Promise<void> => {
  const at = sql<Date>`(
    select now() + t.unresponsive_after
    from lead_conversations c join leads l on l.id = c.lead_id join tenants t on t.id = l.tenant_id
    where c.id = ${conversationId})`
  await addJob(
    trx,
    'lead_silence',
    conversationId,
    { leadConversationId: conversationId },
    { tenantId, at },
  )
}

/** Ends a conversation in which the person has not answered. */
export const closeUnresponsive = async (trx: Trx, conversationId: string): Promise<void> => {
  await lockLead(trx, sql`(select lead_id from lead_conversations where id = ${conversationId})`)
  const ended = await moveConversations(trx, 'silence', 'unresponsive')
    .where('id', '=', conversationId)
    .returning('lead_id')
    .executeTakeFirst()
  const leadId = ended?.lead_id
  if (!leadId) return
  // A later call is being handled, so silence after this one means nothing.
  if (!(await hasPending(trx, leadId))) await moveLead(trx, leadId, 'silence')
}
