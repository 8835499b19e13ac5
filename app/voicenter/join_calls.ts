/**
 * Joins the CDRs of one call under one root id, and separates CDRs that only share an id. Nearly all CDRs name
 * no other CDR, and nothing here runs for them.
 */
import { sql } from 'kysely'
import { removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { NAMES_NO_CUSTOMER } from '../outreach/missed_calls.ts'
import { type Call, lockCalls, lockLead, peopleOf } from '../db/locks.ts'
import { personOf } from '../phone.ts'
import { legOf, type TenantReading } from './classify.ts'
import { readStored, type StoredCdr } from './parse.ts'
import { linkedRecord, type LinkedRecord, rootsOf } from './roots.ts'

/** A call as its CDRs name it now. `isLinked`: they may belong to another call, or to several calls. */
export type JoinableCall = Call & { isLinked: boolean }

/** How many new CDRs of a large call are classified in one transaction. Each may be about another person: one lock. */
export const MAX_NEW = 500

/** If more CDRs are connected by their ids, they are not joined. Each belongs to the call that it names. */
export const MAX_FAMILY = 100

/** CDRs without a verdict. sql/0003_calls.sql says why not "verdict is null". */
export const IS_WAITING = sql<boolean>`coalesce(verdict, '') = ''`

/** A missed call whose root id changes. Null: there is another missed call with that root id already. */
export type Rename = {
  missedCallId: string
  tenantId: string
  caller: string | null
  namesNoCustomer: boolean
  from: string
  to: string | null
}

export type Joined = {
  calls: Call[]
  renames: Rename[]
}

/**
 * Locks calls, and gives the CDRs of those that are linked their final root ids.
 *
 * All root ids, old and new, are locked in one statement. Then the CDRs are read again, because another transaction may
 * have moved a CDR before the lock was taken.
 */
export const lockAndJoin = async (
  trx: Trx,
  found: readonly JoinableCall[],
  readRules: () => Promise<(tenantId: string | null) => TenantReading>,
): Promise<Joined> => {
  const linked = found.filter(({ isLinked }) => isLinked)
  const others = found.filter(({ isLinked }) => !isLinked)
  if (linked.length === 0) {
    await lockCalls(trx, others)
    return { calls: [...others], renames: [] }
  }
  const readingOf = await readRules()
  const before = await readFamilies(trx, linked, readingOf)
  const locked = keysOf(before.records)
  await lockCalls(trx, [...found, ...before.records.flatMap(callsOf)])
  const { records, crowded } = await readFamilies(trx, linked, readingOf)
  if (keysOf(records).difference(locked).size > 0)
    throw Object.assign(new Error('a call was joined with another at this moment'), {
      code: '40001',
    })
  const moved = records.filter(({ rootCallId, root }) => rootCallId !== root)
  const renames = await missedCallsOf(trx, moved, records)
  if (moved.length > 0) {
    await sql`
      update raw_cdrs r set root_call_id = moved.root
      from unnest(${moved.map(({ id }) => id)}::bigint[], ${moved.map(({ root }) => root)}::text[]) as moved (id, root)
      where r.id = moved.id`.execute(trx)
    await sql`
      delete from large_calls l using unnest(
        ${moved.flatMap(callsOf).map(({ tenantId }) => tenantId)}::bigint[],
        ${moved.flatMap(callsOf).map(({ rootCallId }) => rootCallId)}::text[]) as changed (tenant_id, root_call_id)
      where l.tenant_id = changed.tenant_id and l.root_call_id = changed.root_call_id`.execute(trx)
  }
  const joined = records.map(({ tenantId, root }) => ({ tenantId, rootCallId: root }))
  return { calls: distinct([...others, ...crowded, ...joined]), renames }
}

type FamilyRecord = LinkedRecord & { tenantId: string | null; root: string }

const callsOf = ({ tenantId, rootCallId, root }: FamilyRecord): Call[] => [
  { tenantId, rootCallId },
  { tenantId, rootCallId: root },
]
const keyOf = ({ tenantId, rootCallId }: Call): string => `${tenantId} ${rootCallId}`
const keysOf = (records: readonly FamilyRecord[]): Set<string> =>
  new Set(records.flatMap(callsOf).map(keyOf))
const distinct = (calls: readonly Call[]): Call[] => [
  ...new Map(calls.map(call => [keyOf(call), call])).values(),
]

/**
 * All CDRs that are connected with these calls by their ids, each with the root id that it should have. `crowded`: the
 * calls with which too many are connected.
 */
const readFamilies = async (
  trx: Trx,
  calls: readonly Call[],
  readingOf: (tenantId: string | null) => TenantReading,
): Promise<{ records: FamilyRecord[]; crowded: Call[] }> => {
  type Row = StoredCdr & {
    n: number
    id: string
    tenantId: string | null
    callId: string
    rootCallId: string
    receivedAt: Date
  }
  const isInFamily = sql`r.tenant_id is not distinct from c.tenant_id limit ${MAX_FAMILY + 1}`
  const { rows } = await sql<Row>`
    select c.n::int, r.*
    from unnest(
      ${calls.map(({ tenantId }) => tenantId)}::bigint[], ${calls.map(({ rootCallId }) => rootCallId)}::text[]
    ) with ordinality as c (tenant_id, root_call_id, n)
    cross join lateral (
      with recursive family (id) as (
        select c.root_call_id
        union
        select connected.id
        from family f
        cross join lateral (
          (select r.call_id, r.root_call_id from raw_cdrs r where r.root_call_id = f.id and ${isInFamily})
          union all
          (select r.call_id, r.root_call_id from raw_cdrs r where r.call_id = f.id and ${isInFamily})
        ) r
        cross join lateral (values (r.call_id), (r.root_call_id)) as connected (id)
      )
      -- Each CDR has two ids.
      select r.* from (select id from family limit ${2 * MAX_FAMILY + 2}) f
      cross join lateral (
        select r.id, r.tenant_id as "tenantId", r.call_id as "callId", r.root_call_id as "rootCallId", r.facts,
               case when r.facts is null then r.payload end as payload, r.received_at as "receivedAt"
        from raw_cdrs r where r.root_call_id = f.id and ${isInFamily}
      ) r
      limit ${MAX_FAMILY + 1}
    ) r
    order by r.id`.execute(trx)
  const families = Map.groupBy(rows, ({ n }) => n)
  const crowded = calls.filter((_, i) => (families.get(i + 1)?.length ?? 0) > MAX_FAMILY)
  const known = new Map(
    rows.flatMap(row =>
      (families.get(row.n)?.length ?? 0) > MAX_FAMILY ? [] : [[row.id, row] as const],
    ),
  )
  const records = [...known.values()].map((row): Omit<FamilyRecord, 'root'> => {
    const { id, tenantId, callId, rootCallId, receivedAt } = row
    const named = rootCallId === callId ? null : rootCallId
    if (row.payload === null && row.facts === null)
      return {
        id,
        tenantId,
        callId,
        rootCallId,
        names: named,
        caller: null,
        isFirst: false,
        calledAt: receivedAt,
      }
    const reading = readingOf(tenantId)
    const leg = legOf(readStored(row), receivedAt, reading)
    return { ...linkedRecord(leg, { id, rootCallId }, reading.isOwnLine), tenantId }
  })
  const joined = [...Map.groupBy(records, ({ tenantId }) => tenantId).values()].flatMap(
    ofTenant => {
      const roots = rootsOf(ofTenant)
      return ofTenant.map(record => ({
        ...record,
        root: roots.get(record.id) ?? record.rootCallId,
      }))
    },
  )
  return { records: joined, crowded }
}

/** The missed calls that move with the CDRs of their callers. */
const missedCallsOf = async (
  trx: Trx,
  moved: readonly FamilyRecord[],
  families: readonly FamilyRecord[],
): Promise<Rename[]> => {
  const keys = distinct(moved.flatMap(callsOf))
  const { rows } = await sql<{
    id: string
    tenantId: string
    callId: string
    caller: string | null
    namesNoCustomer: boolean
  }>`
    select m.id, m.tenant_id as "tenantId", m.call_id as "callId", m.caller_phone as caller,
           ${NAMES_NO_CUSTOMER} as "namesNoCustomer"
    from missed_calls m
    join unnest(${keys.map(({ tenantId }) => tenantId)}::bigint[], ${keys.map(({ rootCallId }) => rootCallId)}::text[])
      as k (tenant_id, call_id) using (tenant_id, call_id)
    order by m.id`.execute(trx)
  const targets = rows.map(row => {
    const records = families.filter(
      ({ tenantId, rootCallId }) => tenantId === row.tenantId && rootCallId === row.callId,
    )
    const person = row.caller && personOf(row.caller)
    const own = records.find(({ isFirst, caller }) => isFirst && caller === person) ?? records[0]
    return { ...row, to: own?.root ?? row.callId }
  })
  const taken = new Set(
    targets.flatMap(({ tenantId, callId, to }) => (to === callId ? `${tenantId} ${to}` : [])),
  )
  return targets.flatMap(({ id, callId, to, ...row }): Rename[] => {
    if (to === callId) return []
    const key = `${row.tenantId} ${to}`
    const isFree = !taken.has(key)
    taken.add(key)
    return [{ ...row, missedCallId: id, from: callId, to: isFree ? to : null }]
  })
}

/** The people whose missed calls move. They are locked before `renameMissedCalls`. */
export const peopleIn = (renames: readonly Rename[]): string[] =>
  renames.flatMap(({ tenantId, caller }) => peopleOf(tenantId, [caller]))

/**
 * Gives missed calls the root ids of their CDRs. A second row of the same call is deleted where nothing was sent for
 * it; else it stays under its old id.
 */
export const renameMissedCalls = async (trx: Trx, renames: readonly Rename[]): Promise<void> => {
  for (const { missedCallId, to } of renames) {
    if (to !== null) {
      await sql`update missed_calls set call_id = ${to} where id = ${missedCallId}`.execute(trx)
      continue
    }
    await lockLead(trx, sql`(select lead_id from missed_calls where id = ${missedCallId})`)
    await sql`
      with gone as (
        delete from missed_calls m
        where id = ${missedCallId} and outreach_state in ('scheduled', 'skipped', 'cancelled')
          and not exists (select from lead_conversations c where c.missed_call_id = m.id)
        returning lead_id
      )
      update leads l set missed_call_count = greatest(missed_call_count - 1, 0)
      from gone where l.id = gone.lead_id`.execute(trx)
    await removeJob(trx, 'lead_outreach', missedCallId)
  }
}
