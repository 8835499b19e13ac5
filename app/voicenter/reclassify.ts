/** Calls that are classified again because a person asked for it. */
import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import { splitByBytes } from '../batcher.ts'
import type { Trx } from '../db/kysely.ts'
import { factsOf, readIfPossible } from './parse.ts'
import { addCdrJobs } from './pending_calls.ts'

/**
 * The calls that have no final verdict and may get another one now:
 * - `null`: never classified, because the job was lost or ran out of attempts
 * - `unknown`: the status, type or direction had no meaning, or the root of a transfer had not arrived. The tenant
 *   may count the status as missed by now, and a later version of the program may know more.
 * - `unmatched_number`: no tenant had the number dialled. One may have it now.
 *
 * Calls that are missed, answered or not inbound are final, whatever changes later. A call with a CDR that
 * retention has emptied cannot be classified again.
 *
 * @param where of one tenant or (null) of all; only calls to one number; only CDRs received since then
 * @returns CallIDs, sorted
 */
export const undecidedCalls = async (
  trx: Trx,
  where: { tenantId: string | null; businessPhone?: string; since?: Date | null },
): Promise<string[]> => {
  const { tenantId, businessPhone, since } = where
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

/** How many bytes of long payloads are in memory at once. */
const MAX_RENEWED_BYTES = 8_000_000

/**
 * Reads the long payloads of these calls again, in case that this version of the program reads them otherwise than the one
 * that stored their facts. It needs memory for the largest of them, so only commands do it.
 */
export const renewFacts = async (trx: Trx, callIds: readonly string[]): Promise<void> => {
  const { rows: sizes } = await sql<{ id: string; bytes: number }>`
    select id, coalesce(octet_length(body), 0) as bytes from raw_cdrs
    where call_id = any(${callIds}::text[]) and facts is not null order by id`.execute(trx)
  for (const batch of splitByBytes(sizes, MAX_RENEWED_BYTES)) {
    const { rows } = await sql<{ id: string; payload: unknown }>`
      select id, payload from raw_cdrs where id = any(${batch.map(({ id }) => id)}::bigint[])`.execute(
      trx,
    )
    const read = rows.flatMap(({ id, payload }) => {
      const cdr = readIfPossible({ facts: null, payload })
      return cdr ? [{ id, facts: factsOf(cdr) }] : []
    })
    await sql`
      update raw_cdrs r set facts = renewed.facts::jsonb
      from unnest(${read.map(({ id }) => id)}::bigint[], ${read.map(({ facts }) => facts)}::text[]) as renewed (id, facts)
      where r.id = renewed.id and r.facts is distinct from renewed.facts::jsonb`.execute(trx)
  }
}

/** How many jobs one statement adds. */
const MAX_ADDED = 1000

/**
 * Queues calls to be classified again from all their CDRs, by the current settings. Safe to run twice. No message is
 * sent for an old call: a call that began longer ago than `oldest_call` is `too_late`, whenever it is classified.
 *
 * @param calls their CallIDs; of one tenant, or (null) of any
 * @returns how many calls were queued
 */
export const reclassify = async (
  trx: Trx,
  actor: Actor,
  { tenantId, callIds }: { tenantId: string | null; callIds: readonly string[] },
): Promise<number> => {
  const { rows } = await sql<{ call_id: string; first_id: string; verdict: string | null }>`
    select call_id, min(id) as first_id, min(verdict) as verdict from raw_cdrs
    where call_id = any(${callIds}::text[]) and payload is not null
      and (${tenantId}::bigint is null or tenant_id = ${tenantId}::bigint)
    group by call_id order by call_id`.execute(trx)
  const [first] = rows
  if (!first) return 0
  const found = rows.map(({ call_id }) => call_id)
  for (let from = 0; from < found.length; from += MAX_ADDED)
    await addCdrJobs(trx, found.slice(from, from + MAX_ADDED))
  const verdicts: Record<string, number> = {}
  for (const { verdict } of rows)
    verdicts[verdict ?? 'not classified'] = (verdicts[verdict ?? 'not classified'] ?? 0) + 1
  const others = rows.length > 1 ? ` and ${rows.length - 1} more` : ''
  await audit(trx, actor, {
    tenantId,
    action: 'calls.reclassify',
    subject: `raw_cdrs ${first.first_id}${others}`,
    before: { verdicts },
    after: { queued: rows.length },
  })
  return rows.length
}
