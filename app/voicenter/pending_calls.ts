/** Finds the calls that must be classified. */
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { DB } from '../db/generated.ts'
import { planName, type Trx } from '../db/kysely.ts'
import type { Call } from '../db/locks.ts'
import { CDR_JOB } from './ingest.ts'
import { businessLine, MAX_LEGS } from './classify.ts'
import { IS_WAITING, type JoinableCall, MAX_FAMILY, MAX_NEW } from './join_calls.ts'
import { readStored, type StoredCdr } from './parse.ts'

/** A call. `callIds`: the given CallIDs that its CDRs have. */
export type FoundCall = JoinableCall & {
  callIds: string[]
  /** It has more CDRs than MAX_LEGS. */
  isLarge: boolean
  /** One of its CDRs is not classified yet. */
  isWaiting: boolean
}

/** How many CDRs of one CallID are looked at. All are nearly always one call. */
const MAX_SAME_ID = 20

/**
 * The calls that have a CDR with one of these CallIDs and are not classified, or may get another verdict now. Usually
 * there is one call for each CallID, but two tenants may have the same CallID. CDRs without a tenant (they came with
 * an unbound token) are assigned to one first, if possible.
 *
 * @returns `unfinished`: the CallIDs with more CDRs than these
 */
export const findCalls = async (
  database: Kysely<DB>,
  callIds: readonly string[],
): Promise<{ calls: FoundCall[]; unfinished: Set<string> }> => {
  const single = await findSingle(database, callIds)
  const others = callIds.filter(id => !single.has(id))
  const { calls, unfinished } = await findOthers(database, others)
  return { calls: [...single.values(), ...calls], unfinished }
}

/**
 * Those of the calls that have one CDR, which no other CDR names. Nearly all are such calls, and this takes less than
 * half of the time that findOthers takes.
 */
const findSingle = async (
  database: Kysely<DB>,
  callIds: readonly string[],
): Promise<Map<string, FoundCall>> => {
  const { rows } = await sql<{ callId: string; tenantId: string; isSingle: boolean }>`
    ${planName(database, 'single_calls')}
    select r.call_id as "callId", r.tenant_id as "tenantId",
           r.root_call_id = r.call_id and r.tenant_id is not null and r.verdict is null
           and (select count(*) from (select from raw_cdrs o where o.root_call_id = asked.call_id limit 2) o) = 1 as "isSingle"
    from unnest(${callIds}::text[]) as asked (call_id)
    cross join lateral (
      select call_id, root_call_id, tenant_id, verdict from raw_cdrs where call_id = asked.call_id limit 2
    ) r`.execute(database)
  const records = Map.groupBy(rows, ({ callId }) => callId)
  return new Map(
    [...records].flatMap(([callId, [record, another]]) =>
      record?.isSingle && !another
        ? [
            [
              callId,
              { ...SINGLE, tenantId: record.tenantId, rootCallId: callId, callIds: [callId] },
            ],
          ]
        : [],
    ),
  )
}
const SINGLE = { isLinked: false, isLarge: false, isWaiting: true }

const findOthers: typeof findCalls = async (database, callIds) => {
  if (callIds.length === 0) return { calls: [], unfinished: new Set() }
  const read = async () => {
    const { rows } = await sql<Omit<FoundCall, 'callIds'> & { callId: string; records: number }>`
      ${planName(database, 'calls_of_records')}
      select r.*, part.*
      from unnest(${callIds}::text[]) as asked (call_id)
      cross join lateral (
        with waiting as materialized (
          select tenant_id, root_call_id from raw_cdrs
          where call_id = asked.call_id and ${IS_WAITING} limit ${MAX_SAME_ID}
        ), again as materialized (
          select tenant_id, root_call_id from raw_cdrs
          where not exists (select from waiting)
            and call_id = asked.call_id and (verdict in ('unknown', 'unmatched_number') or tenant_id is null)
          limit ${MAX_SAME_ID}
        )
        select asked.call_id as "callId", tenant_id as "tenantId", root_call_id as "rootCallId", "isWaiting",
               count(*)::int as records
        from (select *, true as "isWaiting" from waiting union all select *, false from again) one
        group by tenant_id, root_call_id, "isWaiting"
      ) r
      cross join lateral (
        select count(*) > ${MAX_LEGS} as "isLarge", bool_or(call_id <> root_call_id) or count(*) > ${MAX_LEGS} as "isLinked"
        from (select call_id, root_call_id from raw_cdrs o
              where o.root_call_id in (r."rootCallId", r."callId")
              -- The order of the index. For another order, all entries would be read.
              order by root_call_id, coalesce(verdict, '') limit ${MAX_LEGS + 1}) o
      ) part`.execute(database)
    return rows
  }
  let rows = await read()
  const unassigned = rows.filter(({ tenantId }) => tenantId === null)
  if (unassigned.length > 0) {
    await assignTenants(database, callIds, [
      ...new Set(unassigned.flatMap(({ rootCallId, callId }) => [rootCallId, callId])),
    ])
    rows = await read()
  }
  // Without a tenant, all large calls have the same verdict.
  rows = rows.filter(({ tenantId, isLarge, isWaiting }) => tenantId || !isLarge || isWaiting)
  const found = Map.groupBy(rows, ({ tenantId, rootCallId }) => `${tenantId} ${rootCallId}`)
  const calls = [...found.values()].flatMap((parts): FoundCall[] => {
    const [first] = parts
    return first
      ? [
          {
            tenantId: first.tenantId,
            rootCallId: first.rootCallId,
            isLinked: parts.some(({ isLinked }) => isLinked),
            isLarge: parts.some(({ isLarge }) => isLarge),
            isWaiting: parts.some(({ isWaiting }) => isWaiting),
            callIds: parts.map(({ callId }) => callId),
          },
        ]
      : []
  })
  const unfinished = callIds.filter(
    id =>
      rows.reduce((sum, { callId, records }) => sum + (callId === id ? records : 0), 0) ===
      MAX_SAME_ID,
  )
  return { calls, unfinished: new Set(unfinished) }
}

/** Returns the calls that still have an unclassified CDR. */
export const findUnclassified = async (
  database: Kysely<DB>,
  calls: readonly FoundCall[],
): Promise<FoundCall[]> => {
  const { rows } = await sql<{ n: number }>`
    select n::int from unnest(
      ${calls.map(({ tenantId }) => tenantId)}::bigint[], ${calls.map(({ rootCallId }) => rootCallId)}::text[]
    ) with ordinality as c (tenant_id, root_call_id, n)
    where exists (
      select from raw_cdrs r
      where r.root_call_id = c.root_call_id and r.tenant_id is not distinct from c.tenant_id and ${IS_WAITING})
    order by n`.execute(database)
  return rows.flatMap(({ n }) => calls[n - 1] ?? [])
}

/** How many CDRs are assigned to tenants at once. */
const MAX_ASSIGNED = 500

/**
 * Assigns CDRs to the tenant whose number was dialled, or else to the tenant of the rest of the call. Those that have a
 * verdict lose it: for their tenant they are new.
 */
const assignTenants = async (
  database: Kysely<DB>,
  callIds: readonly string[],
  ids: readonly string[],
): Promise<void> => {
  // A transfer may name another transfer, which has no tenant either.
  const { rows: connected } = await sql<{ id: string }>`
    with recursive connected (id) as (
      select unnest(${ids}::text[])
      union
      select r.call_id from connected c join raw_cdrs r on r.root_call_id = c.id and r.tenant_id is null
    )
    select id from connected limit ${MAX_FAMILY}`.execute(database)
  const roots = connected.map(({ id }) => id).toSorted()
  const { rows: waiting } = await sql<StoredCdr & { id: string }>`
    select id, facts, case when facts is null then payload end as payload from raw_cdrs
    where root_call_id = any(${roots}::text[]) and tenant_id is null and ${IS_WAITING}
    limit ${MAX_ASSIGNED}`.execute(database)
  const lines = waiting.map(record => businessLine(readStored(record)))
  await sql`
    with record as materialized (
      select id, line from unnest(${waiting.map(({ id }) => id)}::bigint[], ${lines}::text[]) as waiting (id, line)
      union all
      -- Classified before, with a number that belonged to no tenant.
      select id, business_phone from raw_cdrs
      where call_id = any(${callIds}::text[]) and tenant_id is null and verdict is not null
    ), owned as materialized (
      select id, coalesce(
        (select tenant_id from tenant_numbers where phone = record.line),
        -- A number that several tenants write from decides nothing.
        (select min(tenant_id) from whatsapp_connections where display_phone_number = record.line having count(distinct tenant_id) = 1)
      ) as tenant_id
      from record
    )
    update raw_cdrs r set tenant_id = owned.tenant_id, verdict = null, reason = null from owned
    where r.id = owned.id and r.tenant_id is null and owned.tenant_id is not null`.execute(database)
  // This comes afterwards because a transfer may arrive before the root that names the number. It considers only
  // CDRs of unbound tokens: a CDR with a tenant's token must not pull in the CDRs of another tenant.
  for (let changed = 1n; changed > 0n;) {
    const { numAffectedRows } = await sql`
      with rest as materialized (
        select root.id, min(o.tenant_id) as tenant_id
        from unnest(${roots}::text[]) as root (id), lateral (
          (select tenant_id, token_tenant_id from raw_cdrs where root_call_id = root.id limit ${MAX_ASSIGNED})
          union all
          (select tenant_id, token_tenant_id from raw_cdrs where call_id = root.id limit ${MAX_ASSIGNED})
        ) o
        where o.token_tenant_id is null
        group by root.id having count(distinct o.tenant_id) = 1
      )
      update raw_cdrs r set tenant_id = rest.tenant_id, verdict = null, reason = null from rest
      where r.root_call_id = rest.id and r.tenant_id is null`.execute(database)
    changed = numAffectedRows ?? 0n
  }
}

/**
 * This many calls are classified in 50 ms. During this time each call and each person has a lock. Postgres has room for 64
 * locks for each connection that it accepts (max_locks_per_transaction), and all connections share them. Two batches of 100
 * calls need fewer than the ten connections of a process have. With 200 calls a backlog ends 20 % sooner, but its locks could
 * be too many.
 */
const MAX_TAKEN = 100
/** How many CDRs are read to classify them. A linked call counts as LINKED: all CDRs that are connected with it are read. */
const MAX_TAKEN_CDRS = 400
const LINKED = 50

/** Completes the jobs of these CallIDs if no worker is running them and they were never tried. Returns the CallIDs. */
const completeJobs = (callIds: RawBuilder<unknown>) => sql<{ callId: string }>`
  select substring(taken.key from length('voicenter_cdr:') + 1) as "callId"
  from (
    select array_agg(j.id order by j.id) as ids
    from ${callIds} as w,
      -- "offset 0" makes Postgres look up each job by its key and not read the whole queue.
      lateral (select * from graphile_worker.jobs where key = 'voicenter_cdr:' || w.call_id offset 0) as j
    where j.locked_at is null and j.attempts = 0 and j.run_at <= now()
  ) as found, graphile_worker.complete_jobs(found.ids) as taken`

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
 * that end. The tenants take turns, so that the many calls of one do not keep out the few of another. Large calls are
 * left out: their transactions are their own.
 *
 * The jobs are taken before the CDRs are read: if another CDR of such a call is stored meanwhile, its
 * job is added again when this transaction ends. No CDR is locked here, because classification locks its calls
 * first.
 *
 * @returns the CallIDs
 */
export const takeQueued = async (trx: Trx): Promise<string[]> => {
  const { rows } = await sql<{ callId: string }>`
    ${planName(trx, 'waiting')}
    with recursive tenant (id) as (
      (select tenant_id from raw_cdrs where verdict is null order by tenant_id limit 1)
      union all
      select (select tenant_id from raw_cdrs where verdict is null and tenant_id > t.id order by tenant_id limit 1)
      from tenant t where t.id is not null
    ), newest as (
      select call_id, root_call_id, received_at, row_number() over (partition by tenant_id order by received_at desc) as turn
      from (
        select w.* from (select id from tenant limit ${MAX_TAKEN}) as t
        cross join lateral (
          select tenant_id, call_id, root_call_id, received_at from raw_cdrs
          where verdict is null and tenant_id = t.id order by received_at desc limit ${MAX_TAKEN}
        ) as w
        union all
        -- Those without a tenant come first. A condition on the tenant would let Postgres read all of them, by another index.
        select * from (
          select tenant_id, call_id, root_call_id, received_at from raw_cdrs
          where verdict is null order by tenant_id desc nulls first, received_at desc limit ${MAX_TAKEN}
        ) as first where tenant_id is null
      ) as w
    ), candidate as (
      select call_id, root_call_id, min(turn) as turn, max(received_at) as received_at from newest
      group by call_id, root_call_id order by turn, received_at desc limit ${MAX_TAKEN}
    ), weighed as (
      select call_id, sum(case when is_linked then ${LINKED} else records end) over (order by turn, received_at desc, call_id) as sum
      from candidate c, lateral (
        select count(*) as records, bool_or(call_id <> root_call_id) as is_linked
        from (select call_id, root_call_id from raw_cdrs o
              where o.root_call_id in (c.root_call_id, c.call_id) limit ${MAX_LEGS + 1}) o
      ) part
      where records <= ${MAX_LEGS}
    )
    ${completeJobs(sql`(select distinct call_id from weighed where sum <= ${MAX_TAKEN_CDRS})`)}`.execute(
    trx,
  )
  return rows.map(({ callId }) => callId)
}

/** The same for the next CDRs of a large call. */
export const takeJobsOfCall = async (
  trx: Trx,
  { tenantId, rootCallId }: Call,
): Promise<string[]> => {
  const { rows } = await completeJobs(sql`(
    select distinct call_id from (
      select call_id from raw_cdrs
      where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint and ${IS_WAITING}
      limit ${MAX_NEW}) as next)`).execute(trx)
  return rows.map(({ callId }) => callId)
}

/** Adds the jobs again that were completed although a CDR with this CallID is still not classified. */
export const requeueUnclassified = async (trx: Trx, callIds: readonly string[]): Promise<void> => {
  const isWaiting = sql`exists (select from raw_cdrs r where r.call_id = asked.call_id and ${IS_WAITING})`
  if (callIds.length > 0) await addCdrJobs(trx, callIds, isWaiting)
}

/** Adds the jobs of those CallIDs `asked.call_id` for which the condition holds. */
export const addCdrJobs = async (
  trx: Trx,
  callIds: readonly string[],
  condition: RawBuilder<unknown> = sql`true`,
): Promise<void> => {
  await sql`
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
    from (
      select count(*) as wanted, array_agg(${CDR_JOB} order by call_id) as specs
      from unnest(${callIds}::text[]) as asked (call_id) where ${condition}
    ) as jobs where wanted > 0`.execute(trx)
}
