/** Classifies calls and does what follows from the verdicts. */
import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import { planName, type Trx } from '../db/kysely.ts'
import { type Call, lockPeople, peopleOf } from '../db/locks.ts'
import { failpoint } from '../failpoints.ts'
import { cancelForAllReached, withdrawMissedCall } from '../outreach/cancel.ts'
import {
  groupByPerson,
  type MissedCall,
  NAMES_NO_CUSTOMER,
  recordMissedCalls,
} from '../outreach/missed_calls.ts'
import { readPhone } from '../phone.ts'
import { classify, firstCaller, type Leg, MAX_LEGS, statusOf } from './classify.ts'
import {
  type JoinableCall,
  lockAndJoin,
  peopleIn,
  type Rename,
  renameMissedCalls,
} from './join_calls.ts'
import { rootOfSeparate } from './roots.ts'
import { readLargeCall, verdictOfLarge, writeLargeCall } from './large_calls.ts'
import {
  type StoredCall,
  type ClassifiedCall,
  type RowOfCall,
  COLUMNS,
  storedCall,
  rootDeadline,
  byId,
  ERASED,
  type RedactedCall,
  newLegsOf,
  type RulesOf,
  markNumbersSeen,
  readTenantRules,
  writeVerdicts,
} from './stored_calls.ts'

export type RecordedCall = Awaited<ReturnType<typeof recordMissedCalls>>[number]

/**
 * Classifies each call from all the CDRs that have arrived for it, in the open transaction. If a call was
 * missed, this records the missed call and schedules the outreach. If someone talked with the customer, it cancels
 * the customer's pending messages. Running it a second time changes nothing.
 *
 * Of a call with very many CDRs, it classifies the next MAX_NEW (join_calls.ts): the caller repeats it while CDRs are left.
 *
 * @param earlier the renames that the first pass of this transaction found; the second pass applies them
 * @returns the missed calls that it recorded
 */
export const classifyCalls = async (
  trx: Trx,
  found: readonly JoinableCall[],
  earlier: readonly Rename[] = [],
): Promise<RecordedCall[]> => {
  // Lock
  const joined = await lockAndJoin(trx, found, () => readTenantRules(trx, found))
  const renames = [...earlier, ...joined.renames]

  // Read
  const rows = await readRecords(trx, joined.calls)
  const rulesOf = await readTenantRules(trx, joined.calls)
  const read = await storedCalls(trx, joined.calls, rows, rulesOf)
  failpoint('voicenter_cdr:read')
  const areShared = read.some(call => isShared(call, rulesOf))
  if (areShared && found.some(({ isLinked }) => !isLinked)) {
    // The first pass may have moved CDRs: then nothing is left under the root ids that were found.
    const linked = joined.calls.map(call => ({ ...call, isLinked: true }))
    return classifyCalls(trx, linked, renames)
  }
  const stored = areShared ? await separateCallers(trx, read, rulesOf) : read
  const renamed = new Map(renames.map(rename => [`${rename.tenantId} ${rename.to}`, rename]))

  // Classify
  const classified: ClassifiedCall[] = []
  for (const call of stored) {
    const { tenantId, rootCallId } = call.call
    const recorded = call.recorded ?? renamed.get(`${tenantId} ${rootCallId}`) ?? null
    // Without the redacted CDRs the verdict could be wrong, so the call keeps the verdict that it has.
    if (call.redacted) await keepVerdict(trx, call.redacted)
    else
      classified.push({
        ...call,
        recorded,
        verdict: verdictOfLarge(call, classify(call.legs, rulesOf(tenantId), call.hasWaited)),
      })
  }

  // Write
  for (const call of classified) await writeLargeCall(trx, call, rulesOf(call.call.tenantId))
  await writeVerdicts(
    trx,
    classified.flatMap(call => {
      const { verdict, reason } = call.verdict
      return newLegsOf(call).map(leg => ({ ...leg, verdict, reason }))
    }),
  )
  await waitForRoots(trx, classified)
  await markNumbersSeen(trx, classified, rulesOf)
  failpoint('voicenter_cdr:classified')

  // Record and cancel, group by group: the result for a person's second call depends on that for their first.
  const effects = classified.flatMap(effectsOf)
  await lockPeople(trx, [...effects.flatMap(({ people }) => people), ...peopleIn(renames)])
  await renameMissedCalls(trx, renames)
  const recorded: RecordedCall[] = []
  for (const group of groupByPerson(effects, ({ people }) => people)) {
    const missed = group.flatMap(({ missed, shouldRecord }) =>
      missed && shouldRecord ? missed : [],
    )
    recorded.push(...(await recordMissedCalls(trx, missed)))
    failpoint('voicenter_cdr:recorded')
    for (const { missed, isRecorded, ...call } of group)
      if (!missed && isRecorded) await withdrawMissedCall(trx, call)
    await cancelForAllReached(
      trx,
      group.flatMap(({ reached }) => reached),
    )
  }
  return recorded
}

const readRecords = async (trx: Trx, calls: readonly Call[]): Promise<RowOfCall[]> => {
  const { rows } = await sql<RowOfCall>`
    ${planName(trx, 'legs')}
    select c.n::int, ${COLUMNS},
      (select json_build_object('namesNoCustomer', ${NAMES_NO_CUSTOMER}) from missed_calls m
       -- Not "=": a plan that was made for few calls would use missed_calls_recent and read all calls of the tenant.
       where m.call_id = c.root_call_id and m.tenant_id is not distinct from c.tenant_id) as recorded
    from unnest(
      ${calls.map(({ tenantId }) => tenantId)}::bigint[],
      ${calls.map(({ rootCallId }) => rootCallId)}::text[]
    ) with ordinality as c (tenant_id, root_call_id, n)
    cross join lateral (
      select * from raw_cdrs r
      where r.root_call_id = c.root_call_id and r.tenant_id is not distinct from c.tenant_id limit ${MAX_LEGS + 1}
    ) r
    order by r.id`.execute(trx)
  return rows
}

const storedCalls = async (
  trx: Trx,
  calls: readonly Call[],
  rows: readonly RowOfCall[],
  rulesOf: RulesOf,
): Promise<StoredCall[]> => {
  const rowsByCall = Map.groupBy(rows, ({ n }) => n)
  const stored: StoredCall[] = []
  for (const [i, call] of calls.entries()) {
    const records = rowsByCall.get(i + 1)
    // If there are none, another transaction has moved its CDRs to another call, and classified that.
    if (!records) continue
    const recorded = records[0]?.recorded ?? null
    const rules = rulesOf(call.tenantId)
    stored.push(
      records.length <= MAX_LEGS
        ? storedCall({ call, recorded, large: null }, records, rules)
        : await readLargeCall(trx, call, recorded, records, rules),
    )
  }
  return stored
}

/** Whether several callers have this id. Then it is not one call. */
const isShared = ({ call, legs, redacted }: StoredCall, rulesOf: RulesOf): boolean => {
  if (legs.length < 2 || redacted) return false
  const { isOwnLine } = rulesOf(call.tenantId)
  return new Set(legs.flatMap(leg => firstCaller(leg, isOwnLine) ?? [])).size > 1
}

/**
 * If very many CDRs are connected, it is not determined which of them belong together. Then each new first CDR with a
 * caller other than the caller of the call is a call of its own.
 */
const separateCallers = async (
  trx: Trx,
  stored: readonly StoredCall[],
  rulesOf: RulesOf,
): Promise<StoredCall[]> => {
  const calls: StoredCall[] = []
  const separate: StoredCall[] = []
  for (const call of stored) {
    if (!isShared(call, rulesOf)) {
      calls.push(call)
      continue
    }
    const { tenantId, rootCallId } = call.call
    const callerOf = (leg: Leg) => firstCaller(leg, rulesOf(tenantId).isOwnLine)
    const firstLegs = call.legs.filter(leg => callerOf(leg) !== null).toSorted(byId)
    const owner = firstLegs.find(({ verdictSoFar }) => verdictSoFar) ?? firstLegs[0]
    const others = firstLegs.filter(
      leg => !leg.verdictSoFar && owner && callerOf(leg) !== callerOf(owner),
    )
    calls.push({ ...call, legs: call.legs.filter(leg => !others.includes(leg)) })
    for (const leg of others) {
      const ownCall = { tenantId, rootCallId: rootOfSeparate(rootCallId, leg.id) }
      const asNewCall = { recorded: null, large: null }
      separate.push({ ...call, ...asNewCall, call: ownCall, legs: [leg] })
    }
  }
  await sql`
    update raw_cdrs r set root_call_id = separate.root
    from unnest(
      ${separate.flatMap(({ legs }) => legs.map(({ id }) => id))}::bigint[],
      ${separate.map(({ call }) => call.rootCallId)}::text[]
    ) as separate (id, root)
    where r.id = separate.id`.execute(trx)
  return [...calls, ...separate]
}

/** Calls whose root has not arrived are classified again, without it, when they have waited long enough. */
const waitForRoots = async (trx: Trx, classified: readonly ClassifiedCall[]): Promise<void> => {
  for (const { legs, receivedAt, verdict } of classified) {
    const callId = legs[0]?.callId
    if (verdict.reason !== 'waiting_for_root' || callId === undefined) continue
    // A job for a new CDR with this CallID is due now, and stays so.
    const when = { tenantId: null, at: rootDeadline(receivedAt), keepsEarlier: true }
    await addJob(trx, 'voicenter_cdr', callId, { callId }, when)
  }
}

/**
 * Gives a new CDR of a redacted call the verdict that the call has. From the remaining CDRs alone, an answered
 * call could be classified as missed. If the person was erased, the new CDR is emptied too.
 */
const keepVerdict = async (trx: Trx, { verdict, reason, ids }: RedactedCall): Promise<void> => {
  const isErased = reason === ERASED
  await sql`
    update raw_cdrs set
      verdict = ${verdict}, reason = ${reason},
      payload = case when not ${isErased}::boolean then payload end,
      body = case when not ${isErased}::boolean then body end,
      facts = case when not ${isErased}::boolean then facts end,
      campaign = case when not ${isErased}::boolean then campaign end
    where id = any(${ids}::bigint[])`.execute(trx)
}

/** What a classified call changes outside `raw_cdrs`. Nothing if its tenant is unknown. */
const effectsOf = (classified: ClassifiedCall) => {
  const { call, recorded, verdict } = classified
  const { tenantId, rootCallId: callId } = call
  if (!tenantId) return []
  const missed =
    verdict.verdict === 'missed' ? missedCallOf(tenantId, callId, verdict.missed) : null
  const shouldRecord =
    !recorded || (recorded.namesNoCustomer && readPhone(missed?.caller).kind !== 'withheld')
  const reached = newLegsOf(classified).flatMap(({ reachedPhone: phone, reachedUntil: until }) =>
    phone && until ? { tenantId, phone, until } : [],
  )
  const people = peopleOf(tenantId, [missed?.caller, ...reached.map(({ phone }) => phone)])
  const isRecorded = recorded !== null
  const isAnswered = verdict.verdict === 'answered'
  return [{ tenantId, callId, missed, shouldRecord, isRecorded, isAnswered, reached, people }]
}

const missedCallOf = (
  tenantId: string,
  callId: string,
  { caller = null, businessPhone, calledAt, ...leg }: Leg,
): MissedCall => ({
  tenantId,
  callId,
  caller,
  businessPhone: businessPhone ?? '',
  status: statusOf(leg),
  calledAt,
})
