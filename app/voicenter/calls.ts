/** Classifies calls and does what follows from the verdicts. */
import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { type Call, lockCalls, lockPeople, peopleOf } from '../db/locks.ts'
import { failpoint } from '../failpoints.ts'
import { cancelForAllReached, withdrawMissedCall } from '../outreach/cancel.ts'
import { groupByPerson, type MissedCall, recordMissedCalls } from '../outreach/missed_calls.ts'
import {
  byStart,
  classify,
  type ClassifyRules,
  type Leg,
  legOf,
  statusOf,
  usesNumberOf,
  type Verdict,
} from './classify.ts'
import { readStored } from './parse.ts'

export type RecordedCall = Awaited<ReturnType<typeof recordMissedCalls>>[number]

/**
 * Classifies each call from all the records that have arrived for it, in the open transaction. If a call was
 * missed, this records the missed call and schedules the outreach. If someone talked with the customer, it cancels
 * the customer's pending messages. Running it a second time changes nothing.
 *
 * @returns the missed calls that it recorded
 */
export const classifyCalls = async (trx: Trx, calls: readonly Call[]): Promise<RecordedCall[]> => {
  // Lock
  await lockCalls(trx, calls)

  // Read
  const stored = await readCalls(trx, calls)
  const rulesOf = await readClassifyRules(trx, calls)
  failpoint('voicenter_cdr:read')

  // Classify
  const classified: ClassifiedCall[] = []
  for (const call of stored)
    // Without the redacted records the verdict could be wrong, so the call keeps the verdict that it has.
    if (call.isRedacted) await keepVerdict(trx, call.call)
    else classified.push({ ...call, verdict: classify(call.legs, rulesOf(call.call)) })

  // Write
  await writeVerdicts(trx, classified)
  failpoint('voicenter_cdr:classified')

  // Record and cancel, group by group: the result for a person's second call depends on that for their first.
  const effects = classified.flatMap(effectsOf)
  await lockPeople(
    trx,
    effects.flatMap(({ people }) => people),
  )
  const recorded: RecordedCall[] = []
  for (const group of groupByPerson(effects, ({ people }) => people)) {
    const missed = group.flatMap(({ missed, isRecorded }) => (missed && !isRecorded ? missed : []))
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
  /** The call is already in `missed_calls`. */
  isRecorded: boolean
  /** Retention or an erasure has emptied some of its records. */
  isRedacted: boolean
}
type ClassifiedCall = StoredCall & { verdict: Verdict<Leg> }

const readCalls = async (trx: Trx, calls: readonly Call[]): Promise<StoredCall[]> => {
  const { rows } = await sql<{
    n: number
    id: string
    payload: unknown
    received_at: Date
    is_recorded: boolean
  }>`
    /* legs */
    select c.n::int, r.id, r.payload, r.received_at,
      exists (select from missed_calls m where m.tenant_id = c.tenant_id and m.call_id = c.root_call_id) as is_recorded
    from unnest(
      ${calls.map(({ tenantId }) => tenantId)}::bigint[],
      ${calls.map(({ rootCallId }) => rootCallId)}::text[]
    ) with ordinality as c (tenant_id, root_call_id, n)
    join raw_cdrs r on r.root_call_id = c.root_call_id and r.tenant_id is not distinct from c.tenant_id
    order by r.id`.execute(trx)
  const rowsByCall = Map.groupBy(rows, ({ n }) => n)
  return calls.map((call, i) => {
    const records = rowsByCall.get(i + 1) ?? []
    const legs = records.flatMap(({ id, payload, received_at }) =>
      payload === null ? [] : [{ ...legOf(readStored(payload), received_at), id }],
    )
    return {
      call,
      legs: byStart(legs),
      isRecorded: records[0]?.is_recorded ?? false,
      isRedacted: records.some(({ payload }) => payload === null),
    }
  })
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

/** For calls whose tenant is unknown: no number belongs to them. */
const UNASSIGNED_RULES: ClassifyRules<Leg> = {
  missedStatuses: [],
  minRingSeconds: 0,
  isOurs: () => false,
}

const readClassifyRules = async (
  trx: Trx,
  calls: readonly Call[],
): Promise<(call: Call) => ClassifyRules<Leg>> => {
  const tenants = [...new Set(calls.flatMap(({ tenantId }) => tenantId ?? []))]
  const { rows } = await sql<{ id: string; statuses: string[]; ring: number; lines: string[] }>`
    /* settings */
    select t.id, t.missed_statuses as statuses, t.min_ring_seconds as ring, array(
      select n.phone from tenant_numbers n where n.tenant_id = t.id
      union select c.display_phone_number from whatsapp_connections c where c.tenant_id = t.id) as lines
    from tenants t where t.id = any(${tenants}::bigint[])`.execute(trx)
  const rules = new Map(
    rows.map(({ id, statuses, ring, lines }) => [
      id,
      { missedStatuses: statuses, minRingSeconds: ring, isOurs: usesNumberOf(new Set(lines)) },
    ]),
  )
  return ({ tenantId }) => (tenantId ? rules.get(tenantId) : null) ?? UNASSIGNED_RULES
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
        business_phone = leg.business_phone, customer_phone = leg.customer_phone, reached_phone = leg.reached_phone
    from unnest(
      ${rows.map(row => row.id)}::bigint[],
      ${rows.map(row => row.verdict)}::text[],
      ${rows.map(row => row.reason)}::text[],
      ${rows.map(row => row.calledAt)}::timestamptz[],
      ${rows.map(row => row.clock)}::text[],
      ${rows.map(row => row.businessPhone)}::text[],
      ${rows.map(row => row.customerPhone)}::text[],
      ${rows.map(row => row.reachedPhone)}::text[]
    ) as leg (id, verdict, reason, called_at, clock, business_phone, customer_phone, reached_phone)
    where r.id = leg.id`.execute(trx)
}

/** What a classified call changes outside `raw_cdrs`. Nothing if its tenant is unknown. */
const effectsOf = ({ call, legs, isRecorded, verdict }: ClassifiedCall) => {
  const { tenantId, rootCallId: callId } = call
  if (!tenantId) return []
  const missed =
    verdict.verdict === 'missed' ? missedCallOf(tenantId, callId, verdict.missed) : null
  const reached = legs.flatMap(({ reachedPhone: phone, calledAt: at }) =>
    phone ? { tenantId, phone, at } : [],
  )
  const people = peopleOf(tenantId, [missed?.caller, ...reached.map(({ phone }) => phone)])
  return [{ tenantId, callId, missed, isRecorded, reached, people }]
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
