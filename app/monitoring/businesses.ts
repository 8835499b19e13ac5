/** All tenants with what is wrong with them and their figures of 30 days, for the operator. */
import { type RawBuilder, sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { readPhone, spellings } from '../phone.ts'
import { MONTH_DAYS } from './daily_figures.ts'

/** `attention`: the worst first. */
export const SORTS = [
  'attention',
  'name',
  'missed',
  'answered',
  'recovered',
  'won',
  'newest',
] as const
export type Sort = (typeof SORTS)[number]

/** Which tenants are listed: those with a problem, or in a mode. `attention`: with any problem. */
export const PROBLEMS = ['attention', 'silent', 'paused', 'unread', 'late'] as const
export const FILTERS = ['all', ...PROBLEMS, 'live', 'shadow', 'off'] as const
export type Filter = (typeof FILTERS)[number]

export type BusinessLine = {
  tenantId: string
  name: string
  mode: string
  timezone: string
  numbers: string[]
  /** Null = it has no WhatsApp number. */
  connection: 'active' | 'paused' | null
  lastWebhookAt: Date | null
  /** Its webhooks are silent at a time at which calls usually arrive. */
  isSilent: boolean
  /** How many of its WhatsApp numbers and templates are paused. */
  paused: number
  /** People who wrote and whose conversation the owner has not opened since. */
  unread: number
  /** The first of them wrote then. */
  unreadSince: Date | null
  /** The time of the message that is most overdue. */
  lateSince: Date | null
  /** Other open alerts. */
  others: number
  missed: number
  answered: number
  contacted: number
  /** Callers who replied, or with whom the tenant spoke after all. */
  recovered: number
  won: number
  wonValue: number
  now: Date
  cursor: string
}

export type Counts = Record<'all' | (typeof PROBLEMS)[number], number>

/** The value by which the list was sorted, and the id. */
const CURSOR = /^(.{1,500})~([1-9]\d{0,17})$/s
const NUMBER = /^\d{1,18}(\.\d{1,2})?$/

/** Where the page before ended. Null = the text is no cursor of this order. */
export const parseCursor = (written: string, sort: Sort): { value: string; id: string } | null => {
  const [, value = '', id = ''] = CURSOR.exec(written) ?? []
  // Postgres has no text with NUL.
  const isValid = sort === 'name' ? !value.includes('\0') : NUMBER.test(value)
  return id !== '' && isValid ? { value, id } : null
}

/** A message is sent within a second of its time. */
const LATE_AFTER = sql`interval '1 minute'`
/** More waiting messages are not looked at, so that an outage does not slow the page. */
const MAX_WAITING = 50_000

/** The first messages, or all other messages, that should have been sent. The order by index column comes first. */
const overdue = (table: 'missed_calls' | 'messages'): RawBuilder<unknown> => {
  const [state, due] =
    table === 'messages'
      ? [sql.ref('state'), sql.ref('due_at')]
      : [sql.ref('outreach_state'), sql.ref('outreach_due_at')]
  return sql`
    select tenant_id, due_at from (
      select tenant_id, ${due} as due_at, ${state} as state, hold_until from ${sql.table(table)}
      where ${state} in ('scheduled', 'sending') and ${due} < now() - ${LATE_AFTER}
      order by ${due} limit ${MAX_WAITING}) w
    where state = 'scheduled' and (hold_until is null or hold_until < now() - ${LATE_AFTER})`
}

/**
 * One number that orders by what is worst: silent webhooks, then paused numbers and templates, then the number of unread
 * answers, then the message that is most overdue, then other alerts. It does not depend on the present time, so it also is
 * a cursor. 1 = the tenant is paused, 0 = all clear.
 */
const SCORE = sql`
  (case when a.is_silent then 2 else 0 end + case when a.paused > 0 then 1 else 0 end) * 1000000000000000
  + least(coalesce(u.unread, 0), 9999) * 100000000000
  + case when l.since is null then 0 else 10000000000 - extract(epoch from l.since)::bigint end
  + case when a.others > 0 then 2 else 0 end
  + case when t.mode = 'paused' then 1 else 0 end`

/** Tenants "t" with this name, number or id. */
const matches = (written: string): RawBuilder<boolean> => {
  if (written === '') return sql`true`
  const phone = readPhone(written)
  const numbers =
    phone.kind === 'number' ? spellings(phone.e164) : phone.kind === 'service' ? [phone.e164] : []
  const digits = /^[\d\s+*-]+$/.test(written) ? written.replace(/\D/g, '').replace(/^0/, '') : ''
  return sql`(t.name ilike ${`%${written.replace(/[\\%_]/g, '\\$&')}%`} or t.id::text = ${written}
    or exists (
      select from tenant_numbers n
      where n.tenant_id = t.id and (n.phone = any(${numbers}::text[]) ${digits.length < 3 ? sql`` : sql`or n.phone like ${`%${digits}%`}`})))`
}

const FILTER_CONDITIONS: Record<Filter, RawBuilder<boolean>> = {
  all: sql`true`,
  attention: sql`score > 1`,
  silent: sql`is_silent`,
  paused: sql`paused > 0`,
  unread: sql`unread > 0`,
  late: sql`late_since is not null`,
  live: sql`mode = 'live'`,
  shadow: sql`mode = 'shadow'`,
  off: sql`mode = 'paused'`,
}

/** What each order compares: a value of the tenant "b", or a sum of its days "d". */
const SORT_VALUES: Record<Sort, { of: RawBuilder<unknown> } | { sum: RawBuilder<unknown> }> = {
  attention: { of: sql`b.score` },
  name: { of: sql`b.name` },
  missed: { sum: sql`sum(d.missed)` },
  answered: { sum: sql`sum(d.answered)` },
  recovered: { sum: sql`sum(d.replied + d.reached)` },
  won: { sum: sql`sum(d.won_value)` },
  newest: { of: sql`b.id` },
}

/**
 * One page of the tenants.
 *
 * @param written a part of the name, a number, or an id; '' = all
 * @returns `counts`: of all tenants that the search finds, by problem
 */
export const listBusinesses = async (
  trx: Trx,
  wanted: {
    written: string
    filter: Filter
    sort: Sort
    before: { value: string; id: string } | null
    /** The last day of the figures: 2026-11-30 */
    today: string
    limit: number
  },
): Promise<{ lines: BusinessLine[]; counts: Counts }> => {
  const { written, filter, sort, before, today, limit } = wanted
  const sorted = SORT_VALUES[sort]
  const value = 'of' in sorted ? sorted.of : sql`coalesce(s.value, 0)`
  const inMonth = sql`d.day > ${today}::date - ${MONTH_DAYS}::int and d.day <= ${today}::date`
  const [order, next, type] =
    sort === 'name' ? [sql`asc`, sql`>`, sql`text`] : [sql`desc`, sql`<`, sql`numeric`]
  const after =
    before === null
      ? sql`true`
      : sql`(${value}, b.id) ${next} (${before.value}::${type}, ${before.id}::bigint)`
  const { rows } = await sql<(BusinessLine | { tenantId: null }) & { counts: Counts }>`
    with alerts_of as (
      select tenant_id, bool_or(kind = 'webhooks_silent') as is_silent,
             count(*) filter (where kind in ('connection_paused', 'template_paused'))::int as paused,
             count(*) filter (where kind not in ('webhooks_silent', 'connection_paused', 'template_paused'))::int as others
      from alerts where ended_at is null and tenant_id is not null group by 1
    ), unread_of as (
      select tenant_id, count(*)::int as unread, min(heard_at) as since from leads
      where heard_at > now() - interval '30 days' and state <> 'opted_out'
        and heard_at > coalesce(greatest(read_at, called_back_at, outcome_at), '-infinity')
      group by 1
    ), late_of as (
      select tenant_id, min(due_at) as since
      from (${overdue('missed_calls')} union all ${overdue('messages')}) w group by 1
    ), found as materialized (
      select t.id, t.name, t.mode, t.timezone, coalesce(a.is_silent, false) as is_silent, coalesce(a.paused, 0) as paused,
             coalesce(a.others, 0) as others, coalesce(u.unread, 0) as unread, u.since as unread_since,
             l.since as late_since, ${SCORE} as score
      from tenants t
      left join alerts_of a on a.tenant_id = t.id
      left join unread_of u on u.tenant_id = t.id
      left join late_of l on l.tenant_id = t.id
      where ${matches(written)}
    ), chosen as materialized (
      select b.*, ${value} as value
      from found b ${
        'sum' in sorted
          ? sql`left join (
              select d.tenant_id, ${sorted.sum} as value from daily_figures d where ${inMonth} group by 1
            ) s on s.tenant_id = b.id`
          : sql``
      }
      where ${FILTER_CONDITIONS[filter]} and ${after}
      order by value ${order}, b.id ${order} limit ${limit}
    )
    select b.id as "tenantId", b.name, b.mode, b.timezone, b.is_silent as "isSilent", b.paused, b.unread,
           b.unread_since as "unreadSince", b.late_since as "lateSince", b.others, now() as now,
           array(select n.phone from tenant_numbers n where n.tenant_id = b.id order by n.created_at, n.phone limit 4) as numbers,
           (select min(c.state) from whatsapp_connections c where c.tenant_id = b.id) as connection,
           (select r.received_at from raw_cdrs r where r.tenant_id = b.id and r.source = 'push'
            order by r.received_at desc limit 1) as "lastWebhookAt",
           coalesce(s.missed, 0) as missed, coalesce(s.answered, 0) as answered, coalesce(s.contacted, 0) as contacted,
           coalesce(s.recovered, 0) as recovered, coalesce(s.won, 0) as won, coalesce(s.won_value, 0)::float8 as "wonValue",
           b.value || '~' || b.id as cursor, c.counts
    from (
      select jsonb_build_object('all', count(*), ${sql.join(
        PROBLEMS.map(
          problem =>
            sql`${sql.lit(problem)}, count(*) filter (where ${FILTER_CONDITIONS[problem]})`,
        ),
      )}) as counts from found) c
    left join chosen b on true
    left join lateral (
      select sum(d.missed)::int as missed, sum(d.answered)::int as answered, sum(d.contacted)::int as contacted,
             sum(d.replied + d.reached)::int as recovered, sum(d.won)::int as won, sum(d.won_value) as won_value
      from daily_figures d where d.tenant_id = b.id and ${inMonth}) s on true
    order by b.value ${order}, b.id ${order}`.execute(trx)
  const counts = rows[0]?.counts
  if (!counts) throw new Error('an aggregate query returned no row')
  return { lines: rows.filter(row => row.tenantId !== null), counts }
}
