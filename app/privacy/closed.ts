import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { Call } from '../voicenter/calls.ts'

/** The reason that the records of an erased person carry in place of their own. */
export const ERASED = 'erased'

/**
 * A call of which records have been emptied is closed: from the rest alone it would be judged wrongly, an answered
 * one as missed. A record that comes later takes the verdict of the others, and where a person was erased it is
 * emptied like them. The caller must hold the lock of the call.
 *
 * @returns whether the call is closed
 */
export const joinClosed = async (trx: Trx, { tenantId, rootCallId }: Call): Promise<boolean> => {
  const { rows } = await sql<{ verdict: string; reason: string }>`
    select coalesce(verdict, 'unknown') as verdict, coalesce(reason, ${ERASED}) as reason from raw_cdrs
    where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint and payload is null
    order by reason = ${ERASED} desc, id limit 1`.execute(trx)
  const [closed] = rows
  if (!closed) return false
  await sql`
    update raw_cdrs set
      verdict = ${closed.verdict}, reason = ${closed.reason},
      payload = case when ${closed.reason} <> ${ERASED} then payload end,
      body = case when ${closed.reason} <> ${ERASED} then body end
    where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint
      and payload is not null`.execute(trx)
  return true
}
