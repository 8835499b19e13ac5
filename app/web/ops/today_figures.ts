import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'

/** What became of the missed calls of one period. */
export type Figures = {
  missed: number
  contacted: number
  delivered: number
  read: number
  replied: number
  reached: number
  waiting: number
  failed: number
  unknown: number
  /** By reason: why nobody was written to. */
  skipped: Record<string, number>
}

export type Hour = { hour: number; missed: number; answered: number }

/** Whose day it is: the clock of one business, or of all together. */
export type Whose = { tenantId: string | null; timezone: string }

/** The first moment of the day that is `daysAgo` days before today. */
const dayStart = (timezone: string, daysAgo: number) =>
  sql`((date_trunc('day', now() at time zone ${timezone}) - make_interval(days => ${daysAgo})) at time zone ${timezone})`

/** What became of the calls that were missed since then. */
export const figuresSince = async (
  trx: Trx,
  { tenantId, timezone }: Whose,
  daysAgo: number,
): Promise<Figures> => {
  const { rows } = await sql<Figures>`
    with calls as materialized (
      select m.outreach_state as state, m.outreach_reason as reason, c.state as conversation, s.state as message
      from tenants t
      cross join lateral (
        select * from missed_calls m where m.tenant_id = t.id and m.called_at >= ${dayStart(timezone, daysAgo)}
      ) m
      left join lead_conversations c on c.missed_call_id = m.id
      left join messages s on s.lead_conversation_id = c.id and s.kind = 'initial'
      where ${tenantId}::bigint is null or t.id = ${tenantId}
    )
    select
      count(*)::int as missed,
      count(*) filter (where state = 'sent')::int as contacted,
      count(*) filter (where message in ('delivered', 'read'))::int as delivered,
      count(*) filter (where message = 'read')::int as read,
      count(*) filter (where conversation = 'replied' or reason = 'replied')::int as replied,
      count(*) filter (where conversation = 'reached_by_phone' or reason = 'reached_by_phone')::int as reached,
      count(*) filter (where state in ('scheduled', 'sending'))::int as waiting,
      count(*) filter (where state = 'failed')::int as failed,
      count(*) filter (where state = 'unknown')::int as unknown,
      (select coalesce(json_object_agg(reason, n order by n desc), '{}') from (
         select reason, count(*) as n from calls where state = 'skipped' group by reason) as r) as skipped
    from calls`.execute(trx)
  const [figures] = rows
  if (!figures) throw new Error('counting answered nothing')
  return figures
}

/** Calls by the hour in which they began; each of the 24 is there. A call with several records counts once. */
export const callsByHour = async (
  trx: Trx,
  { tenantId, timezone }: Whose,
  daysAgo: number,
): Promise<Hour[]> => {
  const { rows } = await sql<Hour>`
    with calls as (
      -- All records of a call carry the same verdict.
      select min(r.called_at) as called_at, bool_or(r.verdict = 'missed') as missed
      from tenants t
      cross join lateral (
        select r.tenant_id, r.root_call_id, r.verdict, r.called_at from raw_cdrs r
        where r.tenant_id = t.id and coalesce(r.called_at, r.received_at) >= ${dayStart(timezone, daysAgo)}
          and r.verdict in ('missed', 'answered')
      ) r
      where ${tenantId}::bigint is null or t.id = ${tenantId}
      group by r.tenant_id, r.root_call_id
    ), by_hour as (
      -- To the clock of the business only now: a calculation for each hour, and not for each call.
      select date_trunc('hour', called_at) as at, count(*) filter (where missed) as missed,
             count(*) filter (where not missed) as answered
      from calls group by 1
    )
    select h as hour, coalesce(sum(missed), 0)::int as missed, coalesce(sum(answered), 0)::int as answered
    from generate_series(0, 23) h
    left join by_hour on extract(hour from at at time zone ${timezone}) = h
    group by h order by h`.execute(trx)
  return rows
}

export type Month = { figures: Figures; hours: Hour[] }

const MINUTE = 60_000
const months = new Map<string, { at: number; month: Month }>()

/** The last 30 days, today among them. Kept for a minute, for a page that is open asks every few seconds. */
export const lastMonth = async (trx: Trx, whose: Whose, now: Date): Promise<Month> => {
  const key = `${whose.tenantId} ${whose.timezone}`
  const known = months.get(key)
  if (known && now.getTime() - known.at < MINUTE) return known.month
  const month = {
    figures: await figuresSince(trx, whose, 29),
    hours: await callsByHour(trx, whose, 29),
  }
  months.set(key, { at: now.getTime(), month })
  return month
}
