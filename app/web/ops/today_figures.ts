import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'
import { liftSince, loadLift } from '../../outreach/control_group.ts'
import type { Lift } from '../../outreach/summaries.ts'

/** Counts of the missed calls in a period. */
export type Figures = {
  missed: number
  contacted: number
  /** A message that was read has been delivered, and a reply shows that it was read. */
  delivered: number
  read: number
  replied: number
  reached: number
  waiting: number
  failed: number
  unknown: number
  /** Calls without a message, by reason. */
  skipped: Record<string, number>
}

export type Hour = { hour: number; missed: number; answered: number }

/** The tenant (null = all) and the timezone in which a day begins. */
export type DayScope = { tenantId: string | null; timezone: string }

/** Midnight, `daysAgo` days ago. */
const dayStart = (timezone: string, daysAgo: number) =>
  sql`((date_trunc('day', now() at time zone ${timezone}) - make_interval(days => ${daysAgo})) at time zone ${timezone})`

export const loadFigures = async (
  trx: Trx,
  { tenantId, timezone }: DayScope,
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
      count(*) filter (where state = 'sent' and (message in ('delivered', 'read') or conversation = 'replied'))::int as delivered,
      count(*) filter (where state = 'sent' and (message = 'read' or conversation = 'replied'))::int as read,
      count(*) filter (where conversation = 'replied' or reason = 'replied')::int as replied,
      count(*) filter (where conversation = 'reached_by_phone' or reason = 'reached_by_phone')::int as reached,
      count(*) filter (where state in ('scheduled', 'sending'))::int as waiting,
      count(*) filter (where state = 'failed')::int as failed,
      count(*) filter (where state = 'unknown')::int as unknown,
      (select coalesce(json_object_agg(reason, n order by n desc), '{}') from (
         select reason, count(*) as n from calls where state = 'skipped' group by reason) as r) as skipped
    from calls`.execute(trx)
  const [figures] = rows
  if (!figures) throw new Error('an aggregate query returned no row')
  return figures
}

/** How many people became customers today, and for how much. */
export const loadWon = async (
  trx: Trx,
  { tenantId, timezone }: DayScope,
): Promise<{ won: number; value: number }> => {
  const { rows } = await sql<{ won: number; value: number }>`
    select count(*)::int as won, coalesce(sum(l.outcome_value), 0)::float8 as value
    from leads l
    where l.outcome = 'won' and l.outcome_at >= ${dayStart(timezone, 0)}
      and (${tenantId}::bigint is null or l.tenant_id = ${tenantId})`.execute(trx)
  return rows[0] ?? { won: 0, value: 0 }
}

/** Calls by hour of the day, all 24 hours. A call with several call records counts once. */
export const loadCallsByHour = async (
  trx: Trx,
  { tenantId, timezone }: DayScope,
  daysAgo: number,
): Promise<Hour[]> => {
  const { rows } = await sql<Hour>`
    with calls as (
      -- All records of a call have the same verdict.
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
      -- The timezone is applied per hour, not per call: this is cheaper.
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

export type Campaign = {
  /** The source, medium and name that the calls have. */
  name: string
  answered: number
  missed: number
  recovered: number
  won: number
  value: number
}

const MAX_CAMPAIGNS = 10

/** The campaigns of a tenant with the most calls. */
const loadCampaigns = async (
  trx: Trx,
  { tenantId, timezone }: DayScope & { tenantId: string },
  daysAgo: number,
): Promise<Campaign[]> => {
  const { rows } = await sql<Campaign>`
    select concat_ws(' / ', source, medium, campaign) as name, sum(answered)::int as answered, sum(missed)::int as missed,
           sum(recovered)::int as recovered, sum(won)::int as won, sum(value)::float8 as value
    from campaign_report_between(${dayStart(timezone, daysAgo)}, now(), ${tenantId})
    group by source, medium, campaign
    order by sum(answered + missed) desc, name
    limit ${MAX_CAMPAIGNS}`.execute(trx)
  return rows
}

export type Last30Days = {
  figures: Figures
  hours: Hour[]
  /** Empty for all tenants together. */
  campaigns: Campaign[]
  /** It looks back further. Null for all tenants together, and for a tenant without a control group. */
  lift: Lift | null
}

const CACHE_MS = 60_000
const cache = new Map<string, { at: number; month: Last30Days }>()

/** The last 30 days including today. Cached for a minute, because an open page reloads every few seconds. */
export const loadLast30Days = async (trx: Trx, scope: DayScope, now: Date): Promise<Last30Days> => {
  const key = `${scope.tenantId} ${scope.timezone}`
  const cached = cache.get(key)
  if (cached && now.getTime() - cached.at < CACHE_MS) return cached.month
  const { tenantId, timezone } = scope
  const month = {
    figures: await loadFigures(trx, scope, 29),
    hours: await loadCallsByHour(trx, scope, 29),
    campaigns: tenantId === null ? [] : await loadCampaigns(trx, { tenantId, timezone }, 29),
    lift:
      tenantId === null
        ? null
        : await loadLift(trx, { tenantId, from: liftSince(now), until: now }),
  }
  cache.set(key, { at: now.getTime(), month })
  return month
}
