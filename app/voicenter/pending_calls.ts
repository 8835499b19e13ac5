/** Finds the calls that are to be classified. */
import { type Kysely, sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { DB } from '../db/generated.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Call } from '../db/locks.ts'
import { businessLine } from './classify.ts'
import { readStored } from './parse.ts'

/**
 * The calls that have a record with one of these CallIDs. Usually there is one call for each CallID, but two tenants
 * may have the same CallID. Records without a tenant (they came with an unbound token) are assigned to one first, if
 * possible.
 */
export const findCalls = async (
  database: Kysely<DB>,
  callIds: readonly string[],
): Promise<Call[]> => {
  const read = async () => {
    const { rows } = await sql<Call & { hasUnassigned: boolean }>`
      /* calls_of_records */
      select distinct r.tenant_id as "tenantId", r.root_call_id as "rootCallId",
        exists (select from raw_cdrs o where o.root_call_id = r.root_call_id and o.tenant_id is null) as "hasUnassigned"
      from raw_cdrs r where r.call_id = any(${callIds}::text[])`.execute(database)
    return rows
  }
  let rows = await read()
  const unassigned = rows.flatMap(row => (row.hasUnassigned ? row.rootCallId : []))
  if (unassigned.length > 0) {
    await assignTenant(database, [...new Set(unassigned)].toSorted())
    rows = await read()
  }
  return rows.map(({ tenantId, rootCallId }) => ({ tenantId, rootCallId }))
}

/** Assigns records to the tenant whose number was dialled, or else to the tenant of the rest of the call. */
const assignTenant = async (database: Kysely<DB>, roots: string[]): Promise<void> => {
  const records = await database
    .selectFrom('raw_cdrs')
    .select(['id', 'payload'])
    .where('root_call_id', 'in', roots)
    .where('tenant_id', 'is', null)
    .orderBy('id')
    .execute()
  for (const { id, payload } of records) {
    const line = payload && businessLine(readStored(payload))
    await sql`
      update raw_cdrs set tenant_id = coalesce(
        (select tenant_id from tenant_numbers where phone = ${line}),
        -- A number that several businesses write from decides nothing.
        (select min(tenant_id) from whatsapp_connections where display_phone_number = ${line} having count(distinct tenant_id) = 1))
      where id = ${id} and tenant_id is null`.execute(database)
  }
  // This comes after the loop because a transfer may arrive before the root that names the number. It considers only
  // records of unbound tokens: a record with a tenant's token must not pull in the records of another tenant.
  await sql`
    update raw_cdrs r set tenant_id = (
      select min(o.tenant_id) from raw_cdrs o
      where o.root_call_id = r.root_call_id and o.token_tenant_id is null having count(distinct o.tenant_id) = 1)
    where r.root_call_id = any(${roots}::text[]) and r.tenant_id is null`.execute(database)
}

/**
 * This many calls are classified in 50 ms. Until then, each call and each person is one lock. Postgres has 64 locks
 * for each connection that it accepts (max_locks_per_transaction), shared by all connections. The ten connections of a
 * process add more locks than its two batches hold. With 200 calls, a backlog ends 20 % sooner but takes more than its
 * share.
 */
const MAX_CLAIMED = 100

/**
 * Takes the jobs of other calls out of the queue, so that the batch that is about to run also classifies those calls.
 * The jobs are completed if and only if this transaction commits.
 *
 * This breaks the rule that a job completes only itself, for speed: fetching and completing each job separately takes
 * as long as classifying its call. With this step a worker drains 2,149 calls a second, 2.4 times the rate of BullMQ;
 * one by one it was an eighth of that (docs/performance.md).
 *
 * It takes only jobs that no worker is running and that were never tried, so that a job that fails runs alone
 * afterwards. The newest come first, because workers fetch the oldest, and calls that cannot be classified stay at
 * that end. The jobs are taken before the records are read: if another record of such a call is stored meanwhile, its
 * job is added again when this transaction ends. No record is locked here, because classification locks its calls
 * first.
 *
 * @returns the CallIDs
 */
export const claimQueued = async (trx: Trx): Promise<string[]> => {
  const { rows } = await sql<{ callId: string }>`
    /* waiting */
    with waiting as (
      select call_id from raw_cdrs where verdict is null order by received_at desc limit ${MAX_CLAIMED}
    )
    select substring(taken.key from length('voicenter_cdr:') + 1) as "callId"
    from (
      select array_agg(j.id order by j.id) as ids
      from (select distinct call_id from waiting) as w,
        -- "offset 0" makes Postgres look up each job by its key and not read the whole queue.
        lateral (select * from graphile_worker.jobs where key = 'voicenter_cdr:' || w.call_id offset 0) as j
      where j.locked_at is null and j.attempts = 0 and j.run_at <= now()
    ) as found, graphile_worker.complete_jobs(found.ids) as taken`.execute(trx)
  return rows.map(({ callId }) => callId)
}

/**
 * The calls that have no final verdict and may get another one now:
 * - `null`: never classified, because the job was lost or ran out of attempts
 * - `unknown`: the status, type or direction had no meaning, or the root of a transfer had not arrived. The business
 *   may count the status as missed by now, and a later version of the program may know more.
 * - `unmatched_number`: no business had the number dialled. One may have it now.
 *
 * Calls that are missed, answered or not inbound are final, whatever changes later. A call with a record that
 * retention has emptied cannot be classified again.
 *
 * @param where of one tenant or (null) of all; only calls to one number; only records received since then
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

/**
 * Queues calls to be classified again from all their records, by the current settings. Safe to run twice. No message is
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
  for (const { call_id } of rows) await addJob(trx, 'voicenter_cdr', call_id, { callId: call_id })
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
