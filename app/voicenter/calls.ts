/** Classifies calls and does what follows from the verdicts. */
import { sql } from 'kysely'
import { sha256 } from '../crypto.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { type Call, lockPeople, peopleOf } from '../db/locks.ts'
import { failpoint } from '../failpoints.ts'
import { cancelForAllReached, withdrawMissedCall } from '../outreach/cancel.ts'
import { groupByPerson, type MissedCall, recordMissedCalls } from '../outreach/missed_calls.ts'
import { readPhone } from '../phone.ts'
import {
  byStart,
  classify,
  type ClassifyRules,
  completeLegs,
  decidingLegs,
  firstCaller,
  type Leg,
  legOf,
  MAX_LEGS,
  READING,
  ROOT_WAIT_SECONDS,
  statusOf,
  type TenantReading,
  usesNumberOf,
  type Verdict,
} from './classify.ts'
import {
  type JoinableCall,
  IS_WAITING,
  lockAndJoin,
  MAX_NEW,
  peopleIn,
  type Rename,
  renameMissedCalls,
} from './join_calls.ts'
import { readStored, type StoredCdr } from './parse.ts'
import { rootOfSeparate } from './roots.ts'
import { DEFAULT_TIMEZONE } from './time.ts'

export type RecordedCall = Awaited<ReturnType<typeof recordMissedCalls>>[number]

/**
 * Classifies each call from all the records that have arrived for it, in the open transaction. If a call was
 * missed, this records the missed call and schedules the outreach. If someone talked with the customer, it cancels
 * the customer's pending messages. Running it a second time changes nothing.
 *
 * Of a call with very many records, it classifies the next MAX_NEW: the caller repeats it while records are left.
 *
 * @param earlier the missed calls that this transaction has to rename already
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
    const linked = found.map(call => ({ ...call, isLinked: true }))
    return classifyCalls(trx, linked, renames)
  }
  const stored = areShared ? await separateCallers(trx, read, rulesOf) : read
  const renamed = new Set(renames.map(({ tenantId, to }) => `${tenantId} ${to}`))

  // Classify
  const classified: ClassifiedCall[] = []
  for (const call of stored) {
    const { tenantId, rootCallId } = call.call
    const isRecorded = call.isRecorded || renamed.has(`${tenantId} ${rootCallId}`)
    // Without the redacted records the verdict could be wrong, so the call keeps the verdict that it has.
    if (call.redacted) await keepVerdict(trx, call.redacted)
    else
      classified.push({
        ...call,
        isRecorded,
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

/** A record of a call, and the verdict that it has already. */
type StoredLeg = Leg & { id: string; known: { verdict: string; reason: string } | null }

type StoredCall = {
  call: Call
  /** The records of the call, sorted by start. Of a large call: those that decide, and the next new ones. */
  legs: StoredLeg[]
  /** When the first of its records arrived. */
  receivedAt: Date
  /** Its records have waited long enough for a root that has not arrived. */
  hasWaited: boolean
  /** The call is already in `missed_calls`. */
  isRecorded: boolean
  /** It is there without its caller. */
  isWithheld: boolean
  /** Not null: retention or an erasure has emptied some of its records. */
  redacted: RedactedCall | null
  /** It is large. `isReread`: all of its records were read, because it was not known as large, or the rules changed. */
  large: { isReread: boolean } | null
}
type ClassifiedCall = StoredCall & { verdict: Verdict<StoredLeg> }

type Row = StoredCdr & {
  id: string
  receivedAt: Date
  now: Date
  verdict: string | null
  reason: string | null
}
type RowOfCall = Row & { n: number; recorded: string | null }

/** A large payload stays on the disk, unless it is asked for. */
const COLUMNS = sql`r.id, r.facts, case when r.facts is null then r.payload end as payload, r.received_at as "receivedAt",
  now() as now, r.verdict, r.reason`

const readRecords = async (trx: Trx, calls: readonly Call[]): Promise<RowOfCall[]> => {
  const { rows } = await sql<RowOfCall>`
    /* legs */
    select c.n::int, ${COLUMNS},
      (select m.outreach_reason from missed_calls m
       where m.tenant_id = c.tenant_id and m.call_id = c.root_call_id) as recorded
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
    // If there are none, another transaction has moved its records to another call, and classified that.
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

const storedCall = (
  { call, recorded, large }: Pick<StoredCall, 'call' | 'large'> & { recorded: string | null },
  rows: readonly Row[],
  { timezone }: TenantRules,
): StoredCall => {
  const legs = rows.flatMap(row => storedLeg(row, timezone) ?? [])
  const receivedAt = new Date(Math.min(...rows.map(row => row.receivedAt.getTime())))
  return {
    call,
    legs: completeLegs(legs),
    receivedAt,
    hasWaited: rows.some(({ now }) => now >= rootDeadline(receivedAt)),
    isRecorded: recorded !== null,
    isWithheld: recorded === 'withheld_number',
    redacted: legs.length < rows.length ? redactedCall(rows) : null,
    large,
  }
}

/** Null for a record that was emptied. */
const storedLeg = (row: Row, timezone: string): StoredLeg | null => {
  const { id, receivedAt, verdict, reason } = row
  if (isEmptied(row)) return null
  const known = verdict !== null && reason !== null ? { verdict, reason } : null
  return { ...legOf(readStored(row), receivedAt, timezone), id, known }
}

const isEmptied = ({ facts, payload }: Row): boolean => facts === null && payload === null

const rootDeadline = (receivedAt: Date): Date =>
  new Date(receivedAt.getTime() + ROOT_WAIT_SECONDS * 1000)

/** Whether several callers have this id. Then it is not one call. */
const isShared = ({ call, legs, redacted }: StoredCall, rulesOf: RulesOf): boolean => {
  if (legs.length < 2 || redacted) return false
  const { isOwnLine } = rulesOf(call.tenantId)
  return new Set(legs.flatMap(leg => firstCaller(leg, isOwnLine) ?? [])).size > 1
}

/**
 * If too many records are connected to find out which of them belong together, each new first record of another caller
 * than the call's is a call of its own.
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
    const own = call.legs.filter(leg => callerOf(leg) !== null).toSorted(byId)
    const owner = own.find(({ known }) => known) ?? own[0]
    const others = own.filter(leg => !leg.known && owner && callerOf(leg) !== callerOf(owner))
    calls.push({ ...call, legs: call.legs.filter(leg => !others.includes(leg)) })
    for (const leg of others) {
      const own = { tenantId, rootCallId: rootOfSeparate(rootCallId, leg.id) }
      const isNew = { isRecorded: false, isWithheld: false, large: null }
      separate.push({ ...call, ...isNew, call: own, legs: [leg] })
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

/** In the order of arrival. */
const byId = (a: { id: string }, b: { id: string }): number =>
  a.id.length - b.id.length || (a.id < b.id ? -1 : 1)

/** Calls whose root has not arrived are classified again, without it, when they have waited long enough. */
const waitForRoots = async (trx: Trx, classified: readonly ClassifiedCall[]): Promise<void> => {
  for (const { legs, receivedAt, verdict } of classified) {
    const callId = legs[0]?.callId
    if (verdict.reason !== 'waiting_for_root' || callId === undefined) continue
    // A job for a new record with this CallID is due now, and stays so.
    const when = { tenantId: null, at: rootDeadline(receivedAt), keepsEarlier: true }
    await addJob(trx, 'voicenter_cdr', callId, { callId }, when)
  }
}

/** The reason of a record that was emptied because its person was erased. */
export const ERASED = 'erased'

type RedactedCall = { verdict: string; reason: string; ids: string[] }

/** The verdict that a redacted call has, and its records that are not emptied. */
const redactedCall = (rows: readonly Row[]): RedactedCall => {
  const emptied = rows.filter(isEmptied)
  const { verdict, reason } = emptied.find(row => row.reason === ERASED) ?? emptied[0] ?? {}
  const ids = rows.flatMap(row => (isEmptied(row) ? [] : row.id))
  return { verdict: verdict ?? 'unknown', reason: reason ?? ERASED, ids }
}

/**
 * Gives a new record of a redacted call the verdict that the call has. From the remaining records alone, an answered
 * call could be classified as missed. If the person was erased, the new record is emptied too.
 */
const keepVerdict = async (trx: Trx, { verdict, reason, ids }: RedactedCall): Promise<void> => {
  const isErased = reason === ERASED
  await sql`
    update raw_cdrs set
      verdict = ${verdict}, reason = ${reason},
      payload = case when not ${isErased}::boolean then payload end,
      body = case when not ${isErased}::boolean then body end,
      facts = case when not ${isErased}::boolean then facts end
    where id = any(${ids}::bigint[])`.execute(trx)
}

/** How many records of a large call are in memory at once. */
const PAGE = 500

/**
 * Reads the records that decide the verdict on a large call, and its next new ones.
 *
 * @param some of its records, which are enough if it has no tenant (verdictOfLarge)
 */
const readLargeCall = async (
  trx: Trx,
  call: Call,
  recorded: string | null,
  some: readonly Row[],
  rules: TenantRules,
): Promise<StoredCall> => {
  const { tenantId, rootCallId } = call
  const known = tenantId === null ? some.map(({ id }) => id) : await readDeciding(trx, call, rules)
  const deciding = known ?? (await selectDeciding(trx, call, rules))
  const { rows } = await sql<Row>`
    select ${COLUMNS} from (
      (select * from raw_cdrs where id = any(${deciding}::bigint[]))
      union all
      (select * from raw_cdrs
       where root_call_id = ${rootCallId} and tenant_id is not distinct from ${tenantId}::bigint and ${IS_WAITING}
       limit ${MAX_NEW})
    ) r
    order by r.id`.execute(trx)
  return storedCall({ call, recorded, large: { isReread: known === null } }, rows, rules)
}

/** Null: the call was not large yet, or the rules have changed since. */
const readDeciding = async (
  trx: Trx,
  { tenantId, rootCallId }: Call,
  { hash }: TenantRules,
): Promise<string[] | null> => {
  const { rows } = await sql<{ deciding: string[] }>`
    select deciding from large_calls
    where tenant_id = ${tenantId} and root_call_id = ${rootCallId} and rules_hash = ${hash}`.execute(
    trx,
  )
  return rows[0]?.deciding ?? null
}

/** Selects the records that decide the verdict from all that are classified. */
const selectDeciding = async (trx: Trx, call: Call, rules: TenantRules): Promise<string[]> => {
  let deciding: StoredLeg[] = []
  const emptied: Row[] = []
  for await (const rows of classifiedRecords(trx, call)) {
    emptied.push(...rows.filter(isEmptied))
    // One of them shows that the call is redacted.
    emptied.sort((a, b) => Number(b.reason === ERASED) - Number(a.reason === ERASED)).splice(1)
    const legs = rows.flatMap(row => storedLeg(row, rules.timezone) ?? [])
    deciding = decidingLegs(byStart([...deciding, ...legs].toSorted(byId)), rules)
  }
  const ids = (emptied.length > 0 ? emptied : deciding).map(({ id }) => id)
  await saveDeciding(trx, call, rules, ids)
  return ids
}

const saveDeciding = async (
  trx: Trx,
  { tenantId, rootCallId }: Call,
  { hash }: TenantRules,
  ids: readonly string[],
): Promise<void> => {
  if (tenantId === null) return
  await sql`
    insert into large_calls (tenant_id, root_call_id, deciding, rules_hash)
    values (${tenantId}, ${rootCallId}, ${ids}::bigint[], ${hash})
    on conflict on constraint large_calls_once
      do update set deciding = excluded.deciding, rules_hash = excluded.rules_hash`.execute(trx)
}

/** The records of a call that have a verdict, page by page. */
async function* classifiedRecords(trx: Trx, { tenantId, rootCallId }: Call): AsyncGenerator<Row[]> {
  await sql`
    declare classified no scroll cursor for
    select ${COLUMNS} from raw_cdrs r
    where r.root_call_id = ${rootCallId} and r.tenant_id is not distinct from ${tenantId}::bigint
      and r.verdict is not null`.execute(trx)
  for (;;) {
    const { rows } = await sql<Row>`fetch ${sql.lit(PAGE)} from classified`.execute(trx)
    if (rows.length === 0) break
    yield rows
  }
  await sql`close classified`.execute(trx)
}

/**
 * The reason of the verdict on a large call stays the one that was found first: otherwise each new record could change it,
 * and all the others would be written again. Nothing follows from the verdict on a call without a tenant, so it is the same
 * for all that are large.
 */
const verdictOfLarge = (
  { call: { tenantId }, legs, large }: StoredCall,
  verdict: Verdict<StoredLeg>,
): Verdict<StoredLeg> => {
  if (large && tenantId === null) return { verdict: 'unmatched_number', reason: 'number_dialled' }
  const known = legs.find(({ known }) => known)?.known
  const isSame = known?.verdict === verdict.verdict && known.reason !== 'waiting_for_root'
  return large && !large.isReread && isSame ? { ...verdict, reason: known.reason } : verdict
}

/** The records that are written and have effects: all, but of a large call only the new ones. */
const newLegsOf = ({ legs, large }: StoredCall): StoredLeg[] =>
  large ? legs.filter(({ known }) => !known) : legs

/** Writes a new verdict on the other records of a large call, and which of all its records decide. */
const writeLargeCall = async (
  trx: Trx,
  { call, legs, large, verdict: { verdict, reason } }: ClassifiedCall,
  rules: TenantRules,
): Promise<void> => {
  if (!large) return
  const isChanged = legs.some(
    ({ known }) => known && (known.verdict !== verdict || known.reason !== reason),
  )
  if (large.isReread || isChanged)
    for await (const rows of classifiedRecords(trx, call)) {
      const records = rows.flatMap(row => storedLeg(row, rules.timezone) ?? [])
      await writeVerdicts(
        trx,
        completeLegs(records, legs).map(leg => ({ ...leg, verdict, reason })),
      )
    }
  await saveDeciding(
    trx,
    call,
    rules,
    decidingLegs(legs, rules).map(({ id }) => id),
  )
}

/** `hash` differs if any of these differ. */
type TenantRules = ClassifyRules<Leg> & TenantReading & { hash: string }
type RulesOf = (tenantId: string | null) => TenantRules

/** For calls whose tenant is unknown: no number belongs to them. */
const UNASSIGNED_RULES: TenantRules = {
  missedStatuses: [],
  minRingSeconds: 0,
  isOurs: () => false,
  isOwnLine: () => false,
  timezone: DEFAULT_TIMEZONE,
  hash: '',
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
      union select c.display_phone_number from whatsapp_connections c where c.tenant_id = t.id order by 1) as lines
    from tenants t where t.id = any(${tenants}::bigint[])`.execute(trx)
  const rules = new Map(
    rows.map(({ id, timezone, statuses, ring, lines }): [string, TenantRules] => {
      const known = new Set(lines)
      const isOurs = usesNumberOf(known)
      const isOwnLine = (e164: string): boolean => known.has(e164)
      const hash = sha256(JSON.stringify([READING, timezone, statuses, ring, lines])).toString(
        'hex',
      )
      return [
        id,
        { timezone, missedStatuses: statuses, minRingSeconds: ring, isOurs, isOwnLine, hash },
      ]
    }),
  )
  return tenantId => (tenantId ? rules.get(tenantId) : null) ?? UNASSIGNED_RULES
}

type ClassifiedLeg = StoredLeg & { verdict: string; reason: string }

/** Writes the verdict of the call on each of these records, and the values that were read from the record itself. */
const writeVerdicts = async (trx: Trx, rows: readonly ClassifiedLeg[]): Promise<void> => {
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
const effectsOf = (classified: ClassifiedCall) => {
  const { call, isRecorded, isWithheld, verdict } = classified
  const { tenantId, rootCallId: callId } = call
  if (!tenantId) return []
  const missed =
    verdict.verdict === 'missed' ? missedCallOf(tenantId, callId, verdict.missed) : null
  // A later record may name the caller that was withheld in the first.
  const isNews = !isRecorded || (isWithheld && readPhone(missed?.caller).kind !== 'withheld')
  const reached = newLegsOf(classified).flatMap(({ reachedPhone: phone, reachedUntil: until }) =>
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
