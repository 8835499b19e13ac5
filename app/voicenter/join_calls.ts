/**
 * Joins the records of one call under one root id, and separates records that only share an id. Nearly all records name
 * no other record, and nothing here runs for them.
 */
import { sql } from 'kysely'
import { removeJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { type Call, lockCalls, lockLead, peopleOf } from '../db/locks.ts'
import { personOf } from '../phone.ts'
import { legOf, type TenantReading } from './classify.ts'
import { readStored } from './parse.ts'
import { linkedRecord, type LinkedRecord, rootsOf } from './roots.ts'

/** A call as its records name it now. `isLinked`: they may belong to another call, or not to one. */
export type FoundCall = Call & { isLinked: boolean }

/** A missed call whose root id changes. Null: there is another missed call with that root id already. */
type Rename = {
  missedCallId: string
  tenantId: string
  caller: string | null
  from: string
  to: string | null
}

export type Joined = {
  calls: Call[]
  renames: Rename[]
}

/**
 * Locks calls, and gives the records of those that are linked their final root ids.
 *
 * The ids of all roots are locked in one statement, before and after, and then read again: another transaction may have
 * moved a record until then.
 */
export const lockAndJoin = async (
  trx: Trx,
  found: readonly FoundCall[],
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
  const locked = keysOf(before)
  await lockCalls(trx, [...found, ...before.flatMap(callsOf)])
  const families = await readFamilies(trx, linked, readingOf)
  if (keysOf(families).difference(locked).size > 0)
    throw Object.assign(new Error('a call was joined with another at this moment'), {
      code: '40001',
    })
  const moved = families.filter(({ rootCallId, root }) => rootCallId !== root)
  const renames = await missedCallsOf(trx, moved, families)
  await sql`
    update raw_cdrs r set root_call_id = moved.root
    from unnest(${moved.map(({ id }) => id)}::bigint[], ${moved.map(({ root }) => root)}::text[]) as moved (id, root)
    where r.id = moved.id`.execute(trx)
  const joined = families.map(({ tenantId, root }) => ({ tenantId, rootCallId: root }))
  return { calls: distinct([...others, ...joined]), renames }
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

/** All records that are connected with these calls by their ids, each with the root id that it should have. */
const readFamilies = async (
  trx: Trx,
  calls: readonly Call[],
  readingOf: (tenantId: string | null) => TenantReading,
): Promise<FamilyRecord[]> => {
  const { rows } = await sql<{
    id: string
    tenantId: string | null
    callId: string
    rootCallId: string
    payload: unknown
    receivedAt: Date
  }>`
    with recursive family (tenant_id, id) as (
      select * from unnest(
        ${calls.map(({ tenantId }) => tenantId)}::bigint[], ${calls.map(({ rootCallId }) => rootCallId)}::text[])
      union
      select f.tenant_id, connected.id
      from family f
      join raw_cdrs r on (r.root_call_id = f.id or r.call_id = f.id) and r.tenant_id is not distinct from f.tenant_id
      cross join lateral (values (r.call_id), (r.root_call_id)) as connected (id)
    )
    select r.id, r.tenant_id as "tenantId", r.call_id as "callId", r.root_call_id as "rootCallId", r.payload,
           r.received_at as "receivedAt"
    from raw_cdrs r
    where (coalesce(r.tenant_id, 0), r.root_call_id) in (select coalesce(tenant_id, 0), id from family)
      and r.root_call_id in (select id from family)
    order by r.id`.execute(trx)
  const records = rows.map((row): Omit<FamilyRecord, 'root'> => {
    const { id, tenantId, callId, rootCallId, receivedAt } = row
    const named = rootCallId === callId ? null : rootCallId
    if (row.payload === null)
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
    const { timezone, isOwnLine } = readingOf(tenantId)
    const leg = legOf(readStored(row.payload), receivedAt, timezone)
    return { ...linkedRecord(leg, { id, rootCallId }, isOwnLine), tenantId }
  })
  return [...Map.groupBy(records, ({ tenantId }) => tenantId).values()].flatMap(ofTenant => {
    const roots = rootsOf(ofTenant)
    return ofTenant.map(record => ({ ...record, root: roots.get(record.id) ?? record.rootCallId }))
  })
}

/** The missed calls that move with the records of their callers. */
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
  }>`
    select m.id, m.tenant_id as "tenantId", m.call_id as "callId", m.caller_phone as caller
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
  return targets.flatMap(({ id, tenantId, callId, caller, to }): Rename[] => {
    if (to === callId) return []
    const key = `${tenantId} ${to}`
    const isFree = !taken.has(key)
    taken.add(key)
    return [{ missedCallId: id, tenantId, caller, from: callId, to: isFree ? to : null }]
  })
}

/** The people whose missed calls move. They are locked before `renameMissedCalls`. */
export const peopleIn = (renames: readonly Rename[]): string[] =>
  renames.flatMap(({ tenantId, caller }) => peopleOf(tenantId, [caller]))

/**
 * Gives missed calls the root ids of their records. A second row of the same call is deleted where nothing was sent for
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
