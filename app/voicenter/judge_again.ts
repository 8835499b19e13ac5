import { sql } from 'kysely'
import { audit, type Actor } from '../audit.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'

/**
 * Which calls have not been decided, that may be by now:
 * - `null`: stored and never judged, for its job was lost or was tried to the end
 * - `unknown`: a status, type or direction that meant nothing at the time, or a transfer whose root had not come.
 *   The business may count the status as missed by now, and a later version may know more
 * - `unmatched_number`: the number dialled was nobody's; it may belong to the business now
 *
 * Calls that were missed, answered or not inbound are decided, and stay so whatever is set later. One whose record
 * retention has emptied cannot be judged.
 *
 * @param which of one tenant, or (null) of everybody; only calls to one number; only what came since
 * @returns CallIDs, in order
 */
export const undecidedCalls = async (
  trx: Trx,
  which: { tenantId: string | null; businessPhone?: string; since?: Date | null },
): Promise<string[]> => {
  const { tenantId, businessPhone, since } = which
  let calls = trx
    .selectFrom('raw_cdrs')
    .select('call_id')
    .distinct()
    .where('payload', 'is not', null)
    .where(eb =>
      eb.or([eb('verdict', 'is', null), eb('verdict', 'in', ['unknown', 'unmatched_number'])]),
    )
  if (tenantId !== null) calls = calls.where('tenant_id', '=', tenantId)
  if (businessPhone !== undefined) calls = calls.where('business_phone', '=', businessPhone)
  if (since) calls = calls.where('received_at', '>=', since)
  const rows = await calls.orderBy('call_id').execute()
  return rows.map(({ call_id }) => call_id)
}

/**
 * Has calls judged once more, from all their records and by the settings of now: adds their jobs, as a new record
 * would. Safe to run twice. Nobody is written to because of an old call: what began longer ago than oldest_call
 * is too_late, whenever it is judged.
 *
 * @param which their CallIDs; of one tenant only those that it has, or (null) of anybody
 * @returns how many of them there are
 */
export const judgeAgain = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, callIds }: { tenantId: string | null; callIds: readonly string[] },
): Promise<number> => {
  const { rows } = await sql<{ call_id: string; first_id: string; verdict: string | null }>`
    select call_id, min(id) as first_id, min(verdict) as verdict from raw_cdrs
    where call_id = any(${callIds}::text[]) and payload is not null
      and (${tenantId}::bigint is null or tenant_id = ${tenantId}::bigint)
    group by call_id order by call_id`.execute(trx)
  const [first] = rows
  if (!first) return 0
  for (const { call_id } of rows) await addJob(trx, 'voicenter_cdr', call_id, { callId: call_id })
  const verdicts: Record<string, number> = {}
  for (const { verdict } of rows)
    verdicts[verdict ?? 'not judged'] = (verdicts[verdict ?? 'not judged'] ?? 0) + 1
  const others = rows.length > 1 ? ` and ${rows.length - 1} more` : ''
  await audit(trx, signIn, {
    tenantId,
    action: 'calls.judge_again',
    subject: `raw_cdrs ${first.first_id}${others}`,
    before: { verdicts },
    after: { queued: rows.length },
  })
  return rows.length
}
