/** What the page Today shows of one tenant beside the figures of its calls. */
import { sql } from 'kysely'
import type { Trx } from '../../db/kysely.ts'
import { MONTH_DAYS } from '../../monitoring/daily_figures.ts'
import { liftSince, loadLift } from '../../outreach/control_group.ts'
import type { Lift } from '../../outreach/summaries.ts'

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

/** The campaigns of a tenant with the most calls in the last 30 days with today. */
const loadCampaigns = async (
  trx: Trx,
  { tenantId, timezone }: { tenantId: string; timezone: string },
): Promise<Campaign[]> => {
  const { rows } = await sql<Campaign>`
    select concat_ws(' / ', source, medium, campaign) as name, sum(answered)::int as answered, sum(missed)::int as missed,
           sum(recovered)::int as recovered, sum(won)::int as won, sum(value)::float8 as value
    from campaign_report_between(
      (date_trunc('day', now() at time zone ${timezone}) - make_interval(days => ${MONTH_DAYS - 1})) at time zone ${timezone},
      now(), ${tenantId})
    group by source, medium, campaign
    order by sum(answered + missed) desc, name
    limit ${MAX_CAMPAIGNS}`.execute(trx)
  return rows
}

/** `lift` looks back further. Null = the tenant has no control group. */
export type Effect = { campaigns: Campaign[]; lift: Lift | null }

const CACHE_MS = 60_000
const cache = new Map<string, { at: number; effect: Effect }>()

/** Cached for a minute, because an open page reloads every few seconds. */
export const loadEffect = async (
  trx: Trx,
  { tenantId, timezone, now }: { tenantId: string; timezone: string; now: Date },
): Promise<Effect> => {
  const key = `${tenantId} ${timezone}`
  const cached = cache.get(key)
  if (cached && now.getTime() - cached.at < CACHE_MS) return cached.effect
  const effect = {
    campaigns: await loadCampaigns(trx, { tenantId, timezone }),
    lift: await loadLift(trx, { tenantId, from: liftSince(now), until: now }),
  }
  cache.set(key, { at: now.getTime(), effect })
  return effect
}
