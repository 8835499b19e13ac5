import { type Kysely, sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { DB } from '../db/generated.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { isObject } from '../json.ts'
import { personOf, readPhone } from '../phone.ts'
import {
  businessLine,
  byStart,
  type ClassifyRules,
  type Leg,
  legOf,
  usesNumberOf,
  type Verdict,
} from './classify.ts'
import { type Cdr, readCdr } from './parse.ts'

/** What belongs together: all records of one tenant with one root id. Null = nobody's, as far as we know. */
export type Call = { tenantId: string | null; rootCallId: string }

export const callKey = ({ tenantId, rootCallId }: Call): string => `${tenantId} ${rootCallId}`

/** A record of it that is stored. */
type StoredLeg = Leg & { id: string }

/** A call as it is stored: its records, in the order of their start. */
type StoredCall = {
  call: Call
  legs: StoredLeg[]
  /** It has been recorded as missed. */
  isRecorded: boolean
  /** Some of its records have been emptied, and tell nothing more. */
  isClosed: boolean
}

/** Reads calls, whose locks the caller holds. */
export const readCalls = async (trx: Trx, calls: readonly Call[]): Promise<StoredCall[]> => {
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
  const records = Map.groupBy(rows, ({ n }) => n)
  return calls.map((call, i) => {
    const all = records.get(i + 1) ?? []
    const isClosed = all.some(({ payload }) => payload === null)
    const legs = all.flatMap(({ id, payload, received_at }) =>
      payload === null ? [] : [{ ...legOf(readStored(payload), received_at), id }],
    )
    return { call, legs: byStart(legs), isRecorded: all[0]?.is_recorded ?? false, isClosed }
  })
}

/** What was let in once is a record for ever; a reader that has become stricter is a bug, and says so. */
export const readStored = (payload: unknown): Cdr => {
  const result = isObject(payload) ? readCdr(payload) : { wrong: 'not an object' }
  if ('wrong' in result) throw new Error(`a stored record is not read any more: ${result.wrong}`)
  return result.cdr
}

/** How nobody's calls are judged: no line is ours. */
const UNASSIGNED_RULES: ClassifyRules<Leg> = {
  missedStatuses: [],
  minRingSeconds: 0,
  isOurs: () => false,
}

/** How each tenant wants calls judged, and which lines are its own. */
export const readClassifyRules = async (
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
  const settings = new Map(
    rows.map(({ id, statuses, ring, lines }) => [
      id,
      { missedStatuses: statuses, minRingSeconds: ring, isOurs: usesNumberOf(new Set(lines)) },
    ]),
  )
  return ({ tenantId }) => (tenantId ? settings.get(tenantId) : null) ?? UNASSIGNED_RULES
}

/** Every record of a call carries the verdict of the whole, and what was read from itself. */
export const writeVerdicts = async (
  trx: Trx,
  judged: readonly { legs: StoredLeg[]; verdict: Verdict<Leg> }[],
): Promise<void> => {
  const rows = judged.flatMap(({ legs, verdict: { verdict, reason } }) =>
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

/** Whoever judges one of these calls waits here until this transaction ends. */
export const lockCalls = (trx: Trx, calls: readonly Call[]): Promise<void> =>
  lockNames(
    trx,
    calls.map(call => `call ${callKey(call)}`),
  )

/**
 * Whoever records that one of these people was missed, or was talked with, waits here for each other. Their
 * leads would not do: until there is one, each would overlook what the other is about to write.
 */
export const lockPeople = (trx: Trx, people: readonly string[]): Promise<void> =>
  lockNames(
    trx,
    people.map(person => `person ${person}`),
  )

/** Who is behind these numbers, as customers of one tenant, each by one name; withheld numbers and words are nobody. */
export const peopleOf = (
  tenantId: string,
  numbers: readonly (string | null | undefined)[],
): string[] => {
  const people = numbers.flatMap(written => {
    const phone = readPhone(written)
    return phone.kind === 'number' ? `${tenantId} ${personOf(phone.e164)}` : []
  })
  return [...new Set(people)]
}

/** In one order always, so that no two transactions wait for each other. */
const lockNames = async (trx: Trx, names: string[]): Promise<void> => {
  const sorted = [...new Set(names)].toSorted()
  if (sorted.length === 0) return
  await sql`
    /* lock */
    select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(${sorted}::text[]) as name`.execute(
    trx,
  )
}

/**
 * The calls that have a record with one of these ids; usually one each. Records that came with an unbound token are
 * first given to the tenant whose line they name, or else to the one who has the rest of the call.
 */
export const findCalls = async (database: Kysely<DB>, callIds: string[]): Promise<Call[]> => {
  const read = async () => {
    const { rows } = await sql<Call & { hasNobodys: boolean }>`
      /* whose */
      select distinct r.tenant_id as "tenantId", r.root_call_id as "rootCallId",
        exists (select from raw_cdrs o where o.root_call_id = r.root_call_id and o.tenant_id is null) as "hasNobodys"
      from raw_cdrs r where r.call_id = any(${callIds}::text[])`.execute(database)
    return rows
  }
  let rows = await read()
  const roots = rows.filter(({ hasNobodys }) => hasNobodys).map(({ rootCallId }) => rootCallId)
  if (roots.length > 0) {
    await assignTenant(database, [...new Set(roots)].toSorted())
    rows = await read()
  }
  return rows.map(({ tenantId, rootCallId }) => ({ tenantId, rootCallId }))
}

const assignTenant = async (database: Kysely<DB>, roots: string[]): Promise<void> => {
  const nobodys = await database
    .selectFrom('raw_cdrs')
    .select(['id', 'payload'])
    .where('root_call_id', 'in', roots)
    .where('tenant_id', 'is', null)
    .orderBy('id')
    .execute()
  for (const { id, payload } of nobodys) {
    const line = payload && businessLine(readStored(payload))
    await sql`
      update raw_cdrs set tenant_id = coalesce(
        (select tenant_id from tenant_numbers where phone = ${line}),
        -- A number that several businesses write from tells nothing.
        (select min(tenant_id) from whatsapp_connections where display_phone_number = ${line} having count(distinct tenant_id) = 1))
      where id = ${id} and tenant_id is null`.execute(database)
  }
  // Only after all of them were looked at, for a transfer may come before the root that names the line.
  // And only among themselves: a call id that came with a bound token draws nobody else's records to it.
  await sql`
    update raw_cdrs r set tenant_id = (
      select min(o.tenant_id) from raw_cdrs o
      where o.root_call_id = r.root_call_id and o.token_tenant_id is null having count(distinct o.tenant_id) = 1)
    where r.root_call_id = any(${roots}::text[]) and r.tenant_id is null`.execute(database)
}

/**
 * As many as are judged in a twentieth of a second. Each call and each person is a lock until then, and of those a
 * Postgres has 64 for each connection that it takes (max_locks_per_transaction), for everybody: the ten connections of a
 * process bring more than its two batches hold. With 200 a rush ends a fifth sooner, and takes more than its share.
 */
const AT_ONCE = 100

/**
 * Takes the jobs of calls that wait to be judged: they are done if and only if this transaction commits. Fetched and
 * written off one by one they would take as long as being judged together. The last to come first, for workers fetch
 * the first, and what cannot be judged stays at that end.
 *
 * Only jobs that nobody runs and that were never tried, so one that fails is left to itself from then on. The jobs go
 * first and the records are read after: whoever stores one more record of such a call adds its job anew, as soon as this
 * transaction has ended. No record is locked here, for whoever judges locks its call first.
 *
 * @returns the CallIDs
 */
export const claimQueued = async (trx: Trx): Promise<string[]> => {
  const { rows } = await sql<{ callId: string }>`
    /* waiting */
    with waiting as (
      select call_id from raw_cdrs where verdict is null order by received_at desc limit ${AT_ONCE}
    )
    select substring(taken.key from length('voicenter_cdr:') + 1) as "callId"
    from (
      select array_agg(j.id order by j.id) as ids
      from (select distinct call_id from waiting) as w,
        -- One by one by their keys (offset), and never the whole queue.
        lateral (select * from graphile_worker.jobs where key = 'voicenter_cdr:' || w.call_id offset 0) as j
      where j.locked_at is null and j.attempts = 0 and j.run_at <= now()
    ) as found, graphile_worker.complete_jobs(found.ids) as taken`.execute(trx)
  return rows.map(({ callId }) => callId)
}

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
export const reclassify = async (
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
