/** What others told us of a person: call records, WhatsApp's updates, what was refused. */
import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { userError } from '../errors.ts'
import type { Call } from '../voicenter/calls.ts'
import { ERASED } from './closed.ts'
import type { Person } from './person.ts'

/** The calls that these records belong to, with those that are known to be hers although their records are empty. */
export const callsOf = async (
  trx: Trx,
  { tenantId, unassigned }: { tenantId: string; unassigned: boolean },
  { phones }: Person,
  recordIds: string[],
): Promise<Call[]> => {
  const { rows } = await sql<Call>`
    select tenant_id as "tenantId", root_call_id as "rootCallId" from raw_cdrs
    where (tenant_id = ${tenantId} or ${unassigned} and tenant_id is null)
      and (id = any(${recordIds}::bigint[]) or reached_phone = any(${phones}::text[])
           or customer_phone = any(${phones}::text[]) or business_phone = any(${phones}::text[]))
    union
    select tenant_id, call_id from missed_calls
    where tenant_id = ${tenantId} and caller_phone = any(${phones}::text[])
    order by 1, 2`.execute(trx)
  return rows
}

/**
 * Every record of these calls, also a part in which only a colleague or a recording of hers appears. They keep
 * their verdict; one that had none yet gets one, or it would be asked for for ever.
 */
export const emptyRecords = async (
  trx: Trx,
  calls: Call[],
  { phones }: Person,
): Promise<number> => {
  const { numAffectedRows = 0n } = await sql`
    update raw_cdrs r set
      payload = null, body = null, reached_phone = null, customer_phone = null, verdict = coalesce(r.verdict, 'unknown'), reason = ${ERASED},
      -- An unmatched call may have been one to her.
      business_phone = case when r.business_phone <> all(${phones}::text[]) then r.business_phone end
    from unnest(${calls.map(call => call.tenantId)}::bigint[], ${calls.map(call => call.rootCallId)}::text[])
      as call (tenant_id, root_call_id)
    where r.root_call_id = call.root_call_id and r.tenant_id is not distinct from call.tenant_id
      and (r.payload is not null or r.body is not null or r.reason is distinct from ${ERASED})`.execute(
    trx,
  )
  return Number(numAffectedRows)
}

/**
 * Nobody is handling one of these from here on.
 *
 * @throws Mistake while words of hers wait to be read: "stop" may be among them
 */
export const lockEvents = async (trx: Trx, ids: string[]): Promise<void> => {
  const { rows } = await sql<{ unread: boolean }>`
    select outcome is null and kind in ('message', 'preference') and exists (
      select from graphile_worker.jobs j
      where j.key = 'whatsapp_event:' || e.id and j.attempts < j.max_attempts) as unread
    from whatsapp_events e where id = any(${ids}::bigint[]) and payload is not null
    order by id for update`.execute(trx)
  if (rows.some(({ unread }) => unread))
    throw userError(
      'unread',
      'she wrote a moment ago, and it has not been read yet: try again in a minute',
    )
}

export const emptyEvents = async (trx: Trx, ids: string[]): Promise<number> => {
  const { numAffectedRows = 0n } = await sql`
    update whatsapp_events set payload = null, outcome = coalesce(outcome, ${ERASED})
    where id = any(${ids}::bigint[])`.execute(trx)
  await sql`
    select graphile_worker.remove_job(j.key) from graphile_worker.jobs j
    where j.key = any(${ids.map(id => `whatsapp_event:${id}`)}::text[])`.execute(trx)
  return Number(numAffectedRows)
}

export const emptyRefused = async (trx: Trx, ids: string[]): Promise<number> => {
  const { numAffectedRows = 0n } = await sql`
    update rejected_deliveries set body = null where id = any(${ids}::bigint[])`.execute(trx)
  return Number(numAffectedRows)
}

/** An alert may be about a number that was dialled and is no business's: hers. */
export const emptyAlerts = async (trx: Trx, { phones }: Person): Promise<number> => {
  const { numAffectedRows = 0n } = await sql`
    update alerts set subject = ${ERASED} || ' ' || id where subject = any(${phones}::text[])`.execute(
    trx,
  )
  return Number(numAffectedRows)
}
