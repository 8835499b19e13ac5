import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../../../db/kysely.ts'
import { conditionOf, type Filter, type NumberAsked } from './filter.ts'
import type { Stand } from '../why.ts'

/** One call in the list. */
export type CallSeen = Stand & {
  /** The first of its records, by which /ops/calls/:id knows it. */
  id: string
  at: Date
  tenantName: string | null
  timezone: string | null
  businessPhone: string | null
  customerPhone: string | null
  customerName: string | null
  /** What the exchange wrote in a number's place; only where no number shows. */
  payload: unknown
}

export const AT_ONCE = 50

/** A call begins when its record says; until that has been read, when it came. */
const BEGAN = sql`coalesce(r.called_at, r.received_at)`
const MICROSECOND = sql`interval '1 microsecond'`

const hasNumber = (column: RawBuilder<unknown>, number: NumberAsked): RawBuilder<boolean> => {
  if (number === 'unreadable') return sql`false`
  const backwards = (text: string) => text.split('').toReversed().join('')
  return 'whole' in number
    ? sql`reverse(${column}) = any(${number.whole.map(backwards)}::text[])`
    : sql`reverse(${column}) like ${`${backwards(number.ends)}%`}`
}

/** What holds for a call whatever it is looked up by. */
const within = (
  { tenantId, timezone, from, until, before }: Filter,
  row: RawBuilder<unknown>,
  at: RawBuilder<unknown>,
): RawBuilder<boolean> => {
  const midnight = (day: string, later: number) =>
    sql`((${day}::date + ${later}::int)::timestamp at time zone ${timezone})`
  const conditions = [
    tenantId !== null && sql`${row}.tenant_id = ${tenantId}`,
    from !== null && sql`${at} >= ${midnight(from, 0)}`,
    until !== null && sql`${at} < ${midnight(until, 1)}`,
    before !== null &&
      sql`(${at}, ${row}.id) < (timestamptz 'epoch' + ${before.at}::bigint * ${MICROSECOND}, ${before.id}::bigint)`,
  ].filter(condition => condition !== false)
  return sql`${sql.join([sql`true`, ...conditions], sql` and `)}`
}

/** Every call once: by the record that began first. */
const IS_FIRST = sql`not exists (
  select from raw_cdrs e
  where e.root_call_id = r.root_call_id and e.tenant_id is not distinct from r.tenant_id
    and (coalesce(e.called_at, e.received_at), e.id) < (${BEGAN}, r.id))`

const byRecords = (filter: Filter, where: RawBuilder<boolean>) => {
  const r = sql.ref('r')
  const wanted = sql`${where} and ${within(filter, r, BEGAN)} and ${IS_FIRST}`
  const one = sql`r.id as record_id, r.id, ${BEGAN} as at`
  const order = sql`order by ${BEGAN} desc, r.id desc limit ${AT_ONCE + 1}`
  const { number, tenantId } = filter
  if (number === null) return sql`select ${one} from raw_cdrs r where ${wanted} ${order}`
  // The number first, in whichever record of a call it shows: of one number there are never many.
  return sql`
    with named as materialized (
      select distinct n.tenant_id, n.root_call_id from raw_cdrs n
      where ${hasNumber(sql.ref('n.customer_phone'), number)}
        and ${tenantId === null ? sql`true` : sql`n.tenant_id = ${tenantId}`}
    )
    select ${one} from named n
    join raw_cdrs r on r.root_call_id = n.root_call_id and r.tenant_id is not distinct from n.tenant_id
    where ${wanted} ${order}`
}

const byMissedCalls = (filter: Filter, where: RawBuilder<boolean>) => {
  const { number } = filter
  return sql`
    select f.record_id, m.id, m.called_at as at
    from missed_calls m
    cross join lateral (
      select r.id as record_id from raw_cdrs r
      where r.root_call_id = m.call_id and r.tenant_id = m.tenant_id
      order by ${BEGAN}, r.id limit 1
    ) f
    where ${where} and ${within(filter, sql.ref('m'), sql.ref('m.called_at'))}
      and ${number === null ? sql`true` : hasNumber(sql.ref('m.caller_phone'), number)}
    order by m.called_at desc, m.id desc limit ${AT_ONCE + 1}`
}

/**
 * The newest of the calls that are asked for, and where the next page begins; null where there is none. What
 * became of them is looked up only for these.
 */
export const findCalls = async (
  trx: Trx,
  filter: Filter,
): Promise<{ calls: CallSeen[]; next: string | null }> => {
  const { of, where } = conditionOf(filter.state)
  const found = of === 'records' ? byRecords(filter, where) : byMissedCalls(filter, where)
  const { rows } = await sql<CallSeen & { mark: string }>`
    with found as materialized (${found})
    select r.id, f.at, t.name as "tenantName", t.timezone, r.verdict, r.reason,
           coalesce(m.business_phone, r.business_phone) as "businessPhone",
           coalesce(m.caller_phone, r.customer_phone) as "customerPhone", l.name as "customerName",
           case when m.caller_phone is null and r.customer_phone is null then r.payload end as payload,
           m.outreach_state as "outreachState", m.outreach_reason as "outreachReason",
           c.state as "conversationState", c.reason as "conversationReason",
           (extract(epoch from f.at) * 1000000)::bigint || '.' || f.id as mark
    from found f
    join raw_cdrs r on r.id = f.record_id
    left join tenants t on t.id = r.tenant_id
    left join missed_calls m on m.tenant_id = r.tenant_id and m.call_id = r.root_call_id
    left join leads l on l.id = m.lead_id
    left join lead_conversations c on c.missed_call_id = m.id
    order by f.at desc, f.id desc`.execute(trx)
  const calls = rows.slice(0, AT_ONCE)
  return { calls, next: rows.length > AT_ONCE ? (calls.at(-1)?.mark ?? null) : null }
}
