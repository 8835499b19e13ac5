/** The search of /ops/calls. */
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from '../../db/kysely.ts'
import { readPhone, spellings } from '../../phone.ts'
import type { MessageState, OutreachState, ReasonOf } from '../../states.ts'
import { type Cdr, readIfPossible, type StoredCdr } from '../../voicenter/parse.ts'
import type { CallOutcome } from './why.ts'

/** What the form offers, in its order. */
export const CALL_STATES = {
  call: ['missed', 'answered', 'not_inbound', 'unmatched_number', 'undecided'],
  message: [
    'waiting',
    'contacted',
    'delivered',
    'read',
    'replied',
    'reached_by_phone',
    'failed',
    'uncertain',
  ],
  none: [
    'not_contacted',
    'withheld_number',
    'own_number',
    'excluded',
    'not_mobile',
    'opted_out',
    'already_contacted',
    'too_late',
    'holdout',
    'tenant_paused',
    'no_connection',
    'shadow',
    'owner_replied',
    'by_operator',
  ],
} as const

export type CallState = (typeof CALL_STATES)[keyof typeof CALL_STATES][number]

/**
 * On the call records (`r`) or on the missed calls (`m`). `rare`: few of those missed calls may fulfil this condition too, so
 * only the newest MAX_LOOKED_AT are asked (lastLookedAt).
 */
export type Condition =
  | { of: 'records'; where: RawBuilder<boolean> }
  | { of: 'missed'; where: RawBuilder<boolean>; rare?: RawBuilder<boolean> }

const verdict = (verdict: string): Condition => ({
  of: 'records',
  where: sql`r.verdict = ${sql.lit(verdict)}`,
})
const missed = (where: RawBuilder<boolean>): Condition => ({ of: 'missed', where })
const outreach = <State extends OutreachState>(state: State, reason: ReasonOf<State>) =>
  missed(sql`m.outreach_state = ${sql.lit(state)} and m.outreach_reason = ${sql.lit(reason)}`)
/** The reason is in `missed_calls` if it came before the first message, and in the conversation if it came after. */
const ended = (how: string) =>
  missed(sql`(m.outreach_reason = ${sql.lit(how)} or exists (
    select from lead_conversations c where c.missed_call_id = m.id and c.state = ${sql.lit(how)}))`)

/** The first message got at least so far. A reply shows that it was read, even if WhatsApp does not report it. */
const gotTo = (...states: MessageState[]) =>
  missed(sql`m.outreach_state = 'sent' and exists (
    select from lead_conversations c left join messages s on s.lead_conversation_id = c.id and s.kind = 'initial'
    where c.missed_call_id = m.id and (c.state = 'replied' or s.state in (${sql.join(states.map(state => sql.lit(state)))})))`)

const CONDITIONS: Record<CallState, Condition> = {
  missed: verdict('missed'),
  answered: verdict('answered'),
  not_inbound: verdict('not_inbound'),
  unmatched_number: verdict('unmatched_number'),
  undecided: verdict('unknown'),
  waiting: missed(sql`m.outreach_state in ('scheduled', 'sending')`),
  contacted: missed(sql`m.outreach_state = 'sent'`),
  delivered: gotTo('delivered', 'read'),
  read: gotTo('read'),
  replied: ended('replied'),
  reached_by_phone: ended('reached_by_phone'),
  failed: missed(sql`m.outreach_state = 'failed'`),
  uncertain: missed(sql`m.outreach_state = 'unknown'`),
  not_contacted: missed(sql`m.outreach_state in ('skipped', 'cancelled')`),
  withheld_number: outreach('skipped', 'withheld_number'),
  own_number: outreach('skipped', 'own_number'),
  excluded: outreach('skipped', 'excluded'),
  not_mobile: outreach('skipped', 'not_mobile'),
  opted_out: ended('opted_out'),
  already_contacted: outreach('skipped', 'already_contacted'),
  too_late: outreach('skipped', 'too_late'),
  holdout: outreach('skipped', 'holdout'),
  tenant_paused: outreach('skipped', 'tenant_paused'),
  no_connection: outreach('skipped', 'no_connection'),
  shadow: outreach('skipped', 'shadow'),
  owner_replied: outreach('cancelled', 'owner_replied'),
  by_operator: outreach('cancelled', 'by_operator'),
}

/** Whether the search offers it. */
export const isState = (written: string): written is CallState => Object.hasOwn(CONDITIONS, written)

/** A whole number in all its spellings, or its last digits. */
export type NumberQuery = { whole: string[] } | { ends: string } | 'unreadable'

export const parseNumber = (written: string): NumberQuery | null => {
  if (written.trim() === '') return null
  const phone = readPhone(written)
  if (phone.kind === 'number') return { whole: spellings(phone.e164) }
  if (phone.kind === 'service') return { whole: [phone.e164] }
  const digits = written.normalize('NFKC').replace(/\D/g, '')
  return digits.length >= 4 && digits.length <= 15 ? { ends: digits } : 'unreadable'
}

const day = z.union([z.literal(''), z.iso.date().refine(date => date >= '2000-01-01')]).default('')

/** Where the previous page ended: microseconds and id of its last row. */
export const callCursor = z
  .string()
  .regex(/^\d{1,17}\.\d{1,18}$/)
  .transform(written => {
    const [at = '', id = ''] = written.split('.')
    return { at, id }
  })

const fields = z.object({
  state: z.string().refine(isState).or(z.literal('')).default(''),
  number: z.string().max(100).default(''),
  from: day,
  until: day,
  before: callCursor.optional(),
})

export type CallFilter = {
  tenantId: string | null
  /** It decides when a day begins and ends. */
  timezone: string
  state: CallState | null
  number: NumberQuery | null
  from: string | null
  until: string | null
  before: { at: string; id: string } | null
}

/** @throws ZodError for a query that the form cannot send */
export const parseFilter = (
  params: Record<string, string>,
  scope: Pick<CallFilter, 'tenantId' | 'timezone'>,
): CallFilter => {
  const { state, number, from, until, before } = fields.parse(params)
  return {
    ...scope,
    state: state === '' ? null : state,
    number: parseNumber(number),
    from: from || null,
    until: until || null,
    before: before ?? null,
  }
}

const conditionOf = (state: CallState | null): Condition =>
  state ? CONDITIONS[state] : { of: 'records', where: sql`true` }

export type CallRow = CallOutcome & {
  /** The path of its page. */
  page: string
  at: Date
  tenantName: string | null
  timezone: string | null
  businessPhone: string | null
  customerPhone: string | null
  customerName: string | null
  /** The call record, if it holds no number: the phone system may have sent a text instead. */
  record: Cdr | null
}

export const PAGE_SIZE = 50

/** A call record that is not parsed yet has only its time of arrival. */
const STARTED_AT = sql`coalesce(r.called_at, r.received_at)`
const MICROSECOND = sql`interval '1 microsecond'`

const hasNumber = (column: RawBuilder<unknown>, number: NumberQuery): RawBuilder<boolean> => {
  if (number === 'unreadable') return sql`false`
  const backwards = (text: string) => text.split('').toReversed().join('')
  return 'whole' in number
    ? sql`reverse(${column}) = any(${number.whole.map(backwards)}::text[])`
    : sql`reverse(${column}) like ${`${backwards(number.ends)}%`}`
}

/** What both queries share. The calls began at `since` or later, and before `until`. */
export type CallQuery = {
  tenantId: string | null
  number: NumberQuery | null
  since: RawBuilder<unknown> | null
  until: RawBuilder<unknown> | null
  before: { at: string; id: string } | null
  limit: number
}

const within = (
  { tenantId, since, until, before }: CallQuery,
  row: RawBuilder<unknown>,
  at: RawBuilder<unknown>,
): RawBuilder<boolean> => {
  const conditions = [
    tenantId !== null && sql`${row}.tenant_id = ${tenantId}`,
    since !== null && sql`${at} >= ${since}`,
    until !== null && sql`${at} < ${until}`,
    before !== null &&
      sql`(${at}, ${row}.id) < (timestamptz 'epoch' + ${before.at}::bigint * ${MICROSECOND}, ${before.id}::bigint)`,
  ].filter(condition => condition !== false)
  return sql`${sql.join([sql`true`, ...conditions], sql` and `)}`
}

/** Selects each call once: by its first CDR. */
const IS_FIRST = sql`not exists (
  select from raw_cdrs e
  where e.root_call_id = r.root_call_id and e.tenant_id is not distinct from r.tenant_id
    and (coalesce(e.called_at, e.received_at), e.id) < (${STARTED_AT}, r.id))`

const byRecords = (query: CallQuery, where: RawBuilder<boolean>) => {
  const r = sql.ref('r')
  const wanted = sql`${where} and ${within(query, r, STARTED_AT)} and ${IS_FIRST}`
  const one = sql`r.id as record_id, null::bigint as missed_id, r.id, ${STARTED_AT} as at`
  const order = sql`order by ${STARTED_AT} desc, r.id desc limit ${query.limit}`
  const { number, tenantId } = query
  if (number === null) return sql`select ${one} from raw_cdrs r where ${wanted} ${order}`
  // Any CDR of the call may hold the number. It is searched first, because one number never has many calls.
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

const MAX_LOOKED_AT = 5000

/** The missed calls "m" that a search looks at. */
const missedWhere = (query: CallQuery, where: RawBuilder<boolean>) => {
  const { number } = query
  return sql`${where} and ${within(query, sql.ref('m'), sql.ref('m.called_at'))}
    and ${number === null ? sql`true` : hasNumber(sql.ref('m.caller_phone'), number)}`
}

const byMissedCalls = (
  query: CallQuery,
  where: RawBuilder<boolean>,
  rare: RawBuilder<boolean> | null = null,
) => {
  const wanted = missedWhere(query, where)
  const newest = sql`(
    select * from missed_calls m where ${wanted} order by m.called_at desc, m.id desc limit ${MAX_LOOKED_AT})`
  return sql`
    select f.record_id, m.id as missed_id, m.id, m.called_at as at
    from ${rare === null ? sql`missed_calls` : newest} m
    left join lateral (
      select r.id as record_id from raw_cdrs r
      where r.root_call_id = m.call_id and r.tenant_id is not distinct from m.tenant_id
      order by ${STARTED_AT}, r.id limit 1
    ) f on true
    where ${rare ?? wanted} and (f.record_id is not null or m.source = 'whatsapp')
    order by m.called_at desc, m.id desc limit ${query.limit}`
}

/** The cursor behind the last missed call that a search with a `rare` condition looked at. Null = it looked at all. */
export const lastLookedAt = async (
  trx: Trx,
  condition: Condition,
  query: CallQuery,
): Promise<string | null> => {
  if (condition.of === 'records' || !condition.rare) return null
  const { rows } = await sql<{ mark: string }>`
    select (extract(epoch from called_at) * 1000000)::bigint || '.' || id as mark from missed_calls m
    where ${missedWhere(query, condition.where)}
    order by m.called_at desc, m.id desc offset ${MAX_LOOKED_AT - 1} limit 1`.execute(trx)
  return rows[0]?.mark ?? null
}

/**
 * Selects calls, newest first: `record_id` (the first CDR; null = a call on WhatsApp), `missed_id`, `at`, and `id`, which
 * orders calls of the same moment.
 *
 * @param withWhatsApp whether missed calls on WhatsApp, which have no CDRs, fulfil a condition on CDRs
 */
export const foundCalls = (
  condition: Condition,
  withWhatsApp: boolean,
  query: CallQuery,
): RawBuilder<unknown> =>
  condition.of === 'missed'
    ? byMissedCalls(query, condition.where, condition.rare)
    : sql`select * from (
        (${byRecords(query, condition.where)})
        union all (${byMissedCalls(query, sql`${withWhatsApp} and m.source = 'whatsapp'`)})) f
      order by at desc, id desc limit ${query.limit}`

/** The rows of foundCalls as "f", with their first CDR "r", their missed call "m" and its conversation "c". */
export const CALL_TABLES = sql`
  found f
  left join raw_cdrs r on r.id = f.record_id
  left join lateral (
    select * from missed_calls where id = f.missed_id
    union all
    select * from missed_calls where f.missed_id is null and tenant_id = r.tenant_id and call_id = r.root_call_id
    limit 1) m on true
  left join lead_conversations c on c.missed_call_id = m.id`

/** Columns of CALL_TABLES. `mark`: the cursor of the page that begins after this call. */
export const CALL_COLUMNS = sql`
  f.at, coalesce(r.verdict, case m.source when 'whatsapp' then 'missed' end) as verdict,
  coalesce(r.reason, case m.source when 'whatsapp' then 'noanswer' end) as reason,
  coalesce(m.business_phone, r.business_phone) as "businessPhone",
  m.outreach_state as "outreachState", m.outreach_reason as "outreachReason", c.state as "conversationState",
  (extract(epoch from f.at) * 1000000)::bigint || '.' || f.id as mark`

/**
 * One page of calls, newest first. The other tables are joined only to the rows of this page.
 *
 * @returns `next`: the cursor of the next page; null = there is none
 */
export const findCalls = async (
  trx: Trx,
  filter: CallFilter,
): Promise<{ calls: CallRow[]; next: string | null }> => {
  const { state, from, until, timezone } = filter
  const midnight = (day: string, later: number) =>
    sql`((${day}::date + ${later}::int)::timestamp at time zone ${timezone})`
  const found = foundCalls(conditionOf(state), state === null || state === 'missed', {
    ...filter,
    since: from === null ? null : midnight(from, 0),
    until: until === null ? null : midnight(until, 1),
    limit: PAGE_SIZE + 1,
  })
  const { rows } = await sql<Omit<CallRow, 'record'> & StoredCdr & { mark: string }>`
    with found as materialized (${found})
    select ${CALL_COLUMNS}, coalesce(r.id::text, 'missed/' || m.id) as page, t.name as "tenantName", t.timezone,
           coalesce(m.caller_phone, r.customer_phone) as "customerPhone", l.name as "customerName",
           case when m.caller_phone is null and r.customer_phone is null then r.facts end as facts,
           case when m.caller_phone is null and r.customer_phone is null and r.facts is null then r.payload end as payload,
           c.reason as "conversationReason"
    from ${CALL_TABLES}
    left join tenants t on t.id = coalesce(r.tenant_id, m.tenant_id)
    left join leads l on l.id = m.lead_id
    order by f.at desc, f.id desc`.execute(trx)
  const calls = rows
    .slice(0, PAGE_SIZE)
    .map(({ facts, payload, ...row }) => ({ ...row, record: readIfPossible({ facts, payload }) }))
  return { calls, next: rows.length > PAGE_SIZE ? (calls.at(-1)?.mark ?? null) : null }
}
