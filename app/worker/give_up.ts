import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { TaskName } from '../db/jobs.ts'
import { userError } from '../errors.ts'

/** Whose row it was, and what became of it. */
export type GivenUp = { tenantId: string | null; became: string }
type Row = { tenant_id: string | null; became: string | null }

const cancel = (missedCallId: RawBuilder<unknown>) => sql<Row>`
  select tenant_id, cancel_outreach(id) as became from missed_calls where id = ${missedCallId}`
const callOf = (conversationId: string) =>
  cancel(
    sql`(select missed_call_id from lead_conversations where id = ${conversationId.split(':')[0]}::bigint)`,
  )
const cancelNote = (messageId: string) => sql<Row>`
  update messages set state = 'cancelled', reason = 'by_operator'
  where id = ${messageId}::bigint and state = 'scheduled'
  returning tenant_id, state as became`

/** What a job's row becomes when nobody wants the job any more, by what stands behind the colon of its key. */
const WAYS: Record<
  Exclude<TaskName, 'call_log' | 'retention'>,
  (entity: string) => RawBuilder<Row>
> = {
  // Of several tenants that share the id, all.
  voicenter_cdr: callId => sql<Row>`
    with given_up as (
      update raw_cdrs set verdict = 'unknown', reason = 'given_up'
      where call_id = ${callId} and verdict is null returning tenant_id)
    select min(tenant_id) as tenant_id, 'given_up' as became from given_up having count(*) > 0`,
  lead_outreach: missedCallId => cancel(sql`${missedCallId}::bigint`),
  lead_reminder: callOf,
  lead_silence: callOf,
  whatsapp_event: eventId => sql<Row>`
    update whatsapp_events set outcome = 'given_up'
    where id = ${eventId}::bigint and outcome is null
    returning tenant_id, outcome as became`,
  owner_notice: cancelNote,
  opt_out_confirmation: cancelNote,
}

const isWay = (task: string): task is keyof typeof WAYS => Object.hasOwn(WAYS, task)

/**
 * What a job was for is not done any more: its row says so, and so no sweep adds the job again.
 *
 * @throws Mistake for the comparing of a call log, which goes on for as long as we have access
 */
export const giveUp = async (trx: Trx, task: string, entity: string): Promise<GivenUp> => {
  if (task === 'call_log')
    throw userError('call_log_goes_on', 'retry it, or take back the access to the call log')
  if (!isWay(task)) return { tenantId: null, became: 'removed' }
  const { rows } = await WAYS[task](entity).execute(trx)
  return { tenantId: rows[0]?.tenant_id ?? null, became: rows[0]?.became ?? 'nothing to give up' }
}
