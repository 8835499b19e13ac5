/** Classifies calls and does what follows from the verdicts. */
import { sql } from 'kysely'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { type Call, lockPeople, peopleOf } from '../db/locks.ts'
import { failpoint } from '../failpoints.ts'
import { cancelForAllReached, withdrawMissedCall } from '../outreach/cancel.ts'
import { groupByPerson, type MissedCall, recordMissedCalls } from '../outreach/missed_calls.ts'
import { readPhone } from '../phone.ts'
import {
  classify,
  type ClassifyRules,
  completeLegs,
  firstCaller,
  type Leg,
  legOf,
  ROOT_WAIT_SECONDS,
  statusOf,
  type TenantReading,
  usesNumberOf,
  type Verdict,
} from './classify.ts'
import { type FoundCall, lockAndJoin, peopleIn, renameMissedCalls } from './join_calls.ts'
import { readStored } from './parse.ts'
import { DEFAULT_TIMEZONE } from './time.ts'

export type RecordedCall = Awaited<ReturnType<typeof recordMissedCalls>>[number]

/**
 * Classifies each call from all the records that have arrived for it, in the open transaction. If a call was
 * missed, this records the missed call and schedules the outreach. If someone talked with the customer, it cancels
 * the customer's pending messages. Running it a second time changes nothing.
 *
 * @returns the missed calls that it recorded
 */
export const classifyCalls = async (
  trx: Trx,
  found: readonly FoundCall[],
): Promise<RecordedCall[]> => {
  // Lock
  const { calls, renames } = await lockAndJoin(trx, found, () => readTenantRules(trx, found))

  // Read
  const rows = await readRecords(trx, calls)
  const rulesOf = await readTenantRules(trx, calls)
  const stored = storedCalls(calls, rows, rulesOf)
  failpoint('voicenter_cdr:read')
  if (found.some(({ isLinked }) => !isLinked) && stored.some(call => isShared(call, rulesOf)))
    return classifyCalls(
      trx,
      found.map(call => ({ ...call, isLinked: true })),
    )
  const renamed = new Set(renames.map(({ tenantId, to }) => `${tenantId} ${to}`))

  // Classify
  const classified: ClassifiedCall[] = []
  for (const call of stored) {
    const { tenantId, rootCallId } = call.call
    const isRecorded = call.isRecorded || renamed.has(`${tenantId} ${rootCallId}`)
    // Without the redacted records the verdict could be wrong, so the call keeps the verdict that it has.
    if (call.isRedacted) await keepVerdict(trx, call.call)
    else
      classified.push({
        ...call,
        isRecorded,
        verdict: classify(call.legs, rulesOf(tenantId), call.hasWaited),
      })
  }

  // Write
  await writeVerdicts(trx, classified)
  await waitForRoots(trx, classified)
  failpoint('voicenter_cdr:classified')

  // Record and cancel, group by group: the result for a person's second call depends on that for their first.
  const effects = classified.flatMap(effectsOf)
  await lockPeople(trx, [...effects.flatMap(({ people }) => people), ...peopleIn(renames)])
  await renameMissedCalls(trx, renames)
  const recorded: RecordedCall[] = []
  for (const group of groupByPerson(effects, ({ people }) => people)) {
    const missed = group.flatMap(({ missed, isNews }) => (missed && isNews ? missed : []))
    recorded.push(...(await recordMissedCalls(trx, missed)))
    failpoint('voicenter_cdr:recorded')
    for (const { missed, isRecorded, tenantId, callId } of group)
      if (!missed && isRecorded) await withdrawMissedCall(trx, tenantId, callId)
    await cancelForAllReached(
      trx,
      group.flatMap(({ reached }) => reached),
    )
  }
  return recorded
}

type StoredCall = {
  call: Call
  /** The records of the call, sorted by start. */
  legs: (Leg & { id: string })[]
  /** When the first of its records arrived. */
  receivedAt: Date
  /** Its records have waited long enough for a root that has not arrived. */
  hasWaited: boolean
  /** The call is already in `missed_calls`. */
  isRecorded: boolean
  /** It is there without its caller. */
  isWithheld: boolean
  /** Retention or an erasure has emptied some of its records. */
  isRedacted: boolean
}
type ClassifiedCall = StoredCall & { verdict: Verdict<Leg> }

type Row = {
  n: number
  id: string
  payload: unknown
  receivedAt: Date
  now: Date
  recorded: string | null
}

const readRecords = async (trx: Trx, calls: readonly Call[]): Promise<Row[]> => {
  const { rows } = await sql<Row>`
    /* legs */
    select c.n::int, r.id, r.payload, r.received_at as "receivedAt", now() as now,
      (select m.outreach_reason from missed_calls m
       where m.tenant_id = c.tenant_id and m.call_id = c.root_call_id) as recorded
    from unnest(
      ${calls.map(({ tenantId }) => tenantId)}::bigint[],
      ${calls.map(({ rootCallId }) => rootCallId)}::text[]
    ) with ordinality as c (tenant_id, root_call_id, n)
    join raw_cdrs r on r.root_call_id = c.root_call_id and r.tenant_id is not distinct from c.tenant_id
    order by r.id`.execute(trx)
  return rows
}

const storedCalls = (
  calls: readonly Call[],
  rows: readonly Row[],
  rulesOf: RulesOf,
): StoredCall[] => {
  const rowsByCall = Map.groupBy(rows, ({ n }) => n)
  return calls.flatMap((call, i): StoredCall[] => {
    const records = rowsByCall.get(i + 1)
    const [first] = records ?? []
    // Another transaction has moved its records to another call, and classified that.
    if (!records || !first) return []
    const { timezone } = rulesOf(call.tenantId)
    const legs = records.flatMap(({ id, payload, receivedAt }) =>
      payload === null ? [] : [{ ...legOf(readStored(payload), receivedAt, timezone), id }],
    )
    const { receivedAt, now, recorded } = first
    return [
      {
        call,
        legs: completeLegs(legs),
        receivedAt,
        hasWaited: now >= rootDeadline(receivedAt),
        isRecorded: recorded !== null,
        isWithheld: recorded === 'withheld_number',
        isRedacted: legs.length < records.length,
      },
    ]
  })
}

const rootDeadline = (receivedAt: Date): Date =>
  new Date(receivedAt.getTime() + ROOT_WAIT_SECONDS * 1000)

/** Whether several callers have this id. Then it is not one call. */
const isShared = ({ call, legs }: StoredCall, rulesOf: RulesOf): boolean => {
  if (legs.length < 2) return false
  const { isOwnLine } = rulesOf(call.tenantId)
  return new Set(legs.flatMap(leg => firstCaller(leg, isOwnLine) ?? [])).size > 1
}

/** Calls whose root has not arrived are classified again, without it, when they have waited long enough. */
const waitForRoots = async (trx: Trx, classified: readonly ClassifiedCall[]): Promise<void> => {
  for (const { legs, receivedAt, verdict } of classified) {
    const callId = legs[0]?.callId
    if (verdict.reason !== 'waiting_for_root' || callId === undefined) continue
    // A job for a new record with this CallID is due now, and stays so.
    const when = { at: rootDeadline(receivedAt), keepsEarlier: true }
    await addJob(trx, 'voicenter_cdr', callId, { callId }, when)
  }
}

/** The reason of a record that was emptied because its person was erased. */
export const ERASED = 'erased'

/**
 * Gives a new record of a redacted call the verdict that the call has. From the remaining records alone, an answered
 * call could be classified as missed. If the person was erased, the new record is emptied too.
 */
const keepVerdict = async (trx: Trx, { tenantId, rootCallId }: Call): Promise<void> => {
  const { rows } = await sql<{ verdict: string; reason: string }>`
    select coalesce(verdict, 'unknown') as verdict, coalesce(reason, ${ERASED}) as reason from raw_cdrs
    where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint and payload is null
    order by reason = ${ERASED} desc, id limit 1`.execute(trx)
  const [redacted] = rows
  if (!redacted) return
  await sql`
    update raw_cdrs set
      verdict = ${redacted.verdict}, reason = ${redacted.reason},
      payload = case when ${redacted.reason} <> ${ERASED} then payload end,
      body = case when ${redacted.reason} <> ${ERASED} then body end
    where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint
      and payload is not null`.execute(trx)
}

type TenantRules = ClassifyRules<Leg> & TenantReading
type RulesOf = (tenantId: string | null) => TenantRules

/** For calls whose tenant is unknown: no number belongs to them. */
const UNASSIGNED_RULES: TenantRules = {
  missedStatuses: [],
  minRingSeconds: 0,
  isOurs: () => false,
  isOwnLine: () => false,
  timezone: DEFAULT_TIMEZONE,
}

const readTenantRules = async (trx: Trx, calls: readonly Call[]): Promise<RulesOf> => {
  const tenants = [...new Set(calls.flatMap(({ tenantId }) => tenantId ?? []))]
  const { rows } = await sql<{
    id: string
    timezone: string
    statuses: string[]
    ring: number
    lines: string[]
  }>`
    /* settings */
    select t.id, t.timezone, t.missed_statuses as statuses, t.min_ring_seconds as ring, array(
      select n.phone from tenant_numbers n where n.tenant_id = t.id
      union select c.display_phone_number from whatsapp_connections c where c.tenant_id = t.id) as lines
    from tenants t where t.id = any(${tenants}::bigint[])`.execute(trx)
  const rules = new Map(
    rows.map(({ id, timezone, statuses, ring, lines }): [string, TenantRules] => {
      const known = new Set(lines)
      const isOurs = usesNumberOf(known)
      const isOwnLine = (e164: string): boolean => known.has(e164)
      return [id, { timezone, missedStatuses: statuses, minRingSeconds: ring, isOurs, isOwnLine }]
    }),
  )
  return tenantId => (tenantId ? rules.get(tenantId) : null) ?? UNASSIGNED_RULES
}

/** Writes the verdict of the call on each of its records, and the values that were read from the record itself. */
const writeVerdicts = async (trx: Trx, classified: readonly ClassifiedCall[]): Promise<void> => {
  const rows = classified.flatMap(({ legs, verdict: { verdict, reason } }) =>
    legs.map(leg => ({ ...leg, verdict, reason })),
  )
  await sql`
    /* verdicts */
    update raw_cdrs r
    set verdict = leg.verdict, reason = leg.reason, called_at = leg.called_at, clock = leg.clock,
        business_phone = leg.business_phone, customer_phone = leg.customer_phone, reached_phone = leg.reached_phone,
        reached_until = leg.reached_until
    from unnest(
      ${rows.map(row => row.id)}::bigint[],
      ${rows.map(row => row.verdict)}::text[],
      ${rows.map(row => row.reason)}::text[],
      ${rows.map(row => row.calledAt)}::timestamptz[],
      ${rows.map(row => row.clock)}::text[],
      ${rows.map(row => row.businessPhone)}::text[],
      ${rows.map(row => row.customerPhone)}::text[],
      ${rows.map(row => row.reachedPhone)}::text[],
      ${rows.map(row => (row.reachedPhone ? row.reachedUntil : null))}::timestamptz[]
    ) as leg (id, verdict, reason, called_at, clock, business_phone, customer_phone, reached_phone, reached_until)
    where r.id = leg.id`.execute(trx)
}

/** What a classified call changes outside `raw_cdrs`. Nothing if its tenant is unknown. */
const effectsOf = ({ call, legs, isRecorded, isWithheld, verdict }: ClassifiedCall) => {
  const { tenantId, rootCallId: callId } = call
  if (!tenantId) return []
  const missed =
    verdict.verdict === 'missed' ? missedCallOf(tenantId, callId, verdict.missed) : null
  // A later record may name the caller that was withheld in the first.
  const isNews = !isRecorded || (isWithheld && readPhone(missed?.caller).kind !== 'withheld')
  const reached = legs.flatMap(({ reachedPhone: phone, reachedUntil: until }) =>
    phone && until ? { tenantId, phone, until } : [],
  )
  const people = peopleOf(tenantId, [missed?.caller, ...reached.map(({ phone }) => phone)])
  return [{ tenantId, callId, missed, isNews, isRecorded, reached, people }]
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
