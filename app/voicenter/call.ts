import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { type Cdr, readCdr } from './cdr.ts'
import { isObject } from '../json.ts'
import { inOrder, type Leg, legOf, namesOneOf } from './leg.ts'
import type { Settings, Verdict } from './verdict.ts'

/** What belongs together: all records of one tenant with one root id. Null = nobody's, as far as we know. */
export type Call = { tenantId: string | null; rootCallId: string }

export const nameOf = ({ tenantId, rootCallId }: Call): string => `${tenantId} ${rootCallId}`

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
    return { call, legs: inOrder(legs), isRecorded: all[0]?.is_recorded ?? false, isClosed }
  })
}

/** What was let in once is a record for ever; a reader that has become stricter is a bug, and says so. */
export const readStored = (payload: unknown): Cdr => {
  const result = isObject(payload) ? readCdr(payload) : { wrong: 'not an object' }
  if ('wrong' in result) throw new Error(`a stored record is not read any more: ${result.wrong}`)
  return result.cdr
}

/** How nobody's calls are judged: no line is ours. */
const NOBODYS: Settings<Leg> = { missedStatuses: [], minRingSeconds: 0, isOurs: () => false }

/** How each tenant wants calls judged, and which lines are its own. */
export const readSettings = async (
  trx: Trx,
  calls: readonly Call[],
): Promise<(call: Call) => Settings<Leg>> => {
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
      { missedStatuses: statuses, minRingSeconds: ring, isOurs: namesOneOf(new Set(lines)) },
    ]),
  )
  return ({ tenantId }) => (tenantId ? settings.get(tenantId) : null) ?? NOBODYS
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
