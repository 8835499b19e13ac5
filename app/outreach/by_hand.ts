import { sql } from 'kysely'
import { audit, type Actor } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { lockLead } from './stop.ts'

/** What becomes of a cancel: nothing is sent at all, nothing follows what was sent, or all had ended already. */
export type Cancelled = 'cancelled' | 'reminders stopped' | 'nothing to cancel'

/** "Do not write to her": nothing more is sent because of this missed call. */
export const cancelOutreach = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, missedCallId }: { tenantId: string; missedCallId: string },
): Promise<Cancelled> => {
  const call = await trx
    .selectFrom('missed_calls')
    .select('lead_id')
    .where('id', '=', missedCallId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  if (!call) throw notFound(`missed call ${missedCallId}`)
  // Before we look, as everything that claims or cancels does: what is written down as "before" is what it was.
  if (call.lead_id) await lockLead(trx, call.lead_id)

  const before = await standOf(trx, missedCallId)
  const { rows } = await sql<{ became: Cancelled }>`
    select cancel_outreach(${missedCallId}) as became`.execute(trx)
  const after = await standOf(trx, missedCallId)
  if (JSON.stringify(before) !== JSON.stringify(after))
    await audit(trx, signIn, {
      tenantId,
      action: 'outreach.cancel',
      subject: `missed_calls ${missedCallId}`,
      before,
      after,
    })
  return rows[0]?.became ?? 'nothing to cancel'
}

/** How far it has come, and how many messages are still to follow. */
const standOf = async (trx: Trx, missedCallId: string) => {
  const { rows } = await sql<{
    outreach: string
    conversation: string | null
    messages_waiting: number
  }>`
    select k.outreach_state || ' / ' || k.outreach_reason as outreach,
           c.state || coalesce(' / ' || c.reason, '') as conversation,
           (select count(*)::int from messages m
            where m.lead_conversation_id = c.id and m.state = 'scheduled') as messages_waiting
    from missed_calls k left join lead_conversations c on c.missed_call_id = k.id
    where k.id = ${missedCallId}`.execute(trx)
  return rows[0] ?? null
}
