import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { isUnusual, type Period, sameTimesBefore, SILENT_FOR_MINUTES } from './silence.ts'

/** A business from which nothing has come for a while. */
type Quiet = { tenantId: string; timezone: string; since: Date; now: Date; isRaised: boolean }

/** A call may have several records. So many of a period are read, so that looking stays cheap. */
const RECORDS = 50

/**
 * The businesses whose webhooks have fallen silent although calls always came at these times.
 *
 * @param listening whether we could have heard them all the while; otherwise nobody is found anew
 */
export const silentTenants = async (trx: Trx, listening: boolean): Promise<string[]> => {
  const quiet = (await quietTenants(trx)).filter(({ isRaised }) => isRaised || listening)
  const earlier = await callsIn(
    trx,
    quiet
      .filter(({ isRaised }) => !isRaised)
      .map(({ tenantId, since, now, timezone }) => ({
        tenantId,
        weeks: sameTimesBefore(since, now, timezone),
      })),
  )
  return quiet
    .filter(({ tenantId, isRaised }) => isRaised || isUnusual(earlier.get(tenantId) ?? []))
    .map(({ tenantId }) => tenantId)
}

/** What has been raised once lasts until something comes, be it a year. */
const quietTenants = async (trx: Trx): Promise<Quiet[]> => {
  const { rows } = await sql<Quiet>`
    select t.id as "tenantId", t.timezone, r.received_at as since, now() as now,
           exists (select from alerts a
                   where a.kind = 'webhooks_silent' and a.tenant_id = t.id and a.ended_at is null
                     and a.raised_at > r.received_at) as "isRaised"
    from tenants t, lateral (
      select received_at from raw_cdrs where tenant_id = t.id and source = 'push' order by received_at desc limit 1) r
    where t.mode <> 'paused' and r.received_at < now() - make_interval(mins => ${SILENT_FOR_MINUTES})`.execute(
    trx,
  )
  return rows
}

/** How many calls each business had in each of these weeks, as far as it matters. */
const callsIn = async (
  trx: Trx,
  tenants: { tenantId: string; weeks: Period[][] }[],
): Promise<Map<string, number[]>> => {
  const periods = tenants.flatMap(({ tenantId, weeks }) =>
    weeks.flatMap((week, back) => week.map(period => ({ tenantId, back, ...period }))),
  )
  const { rows } = await sql<{ tenantId: string; calls: number[] }>`
    select tenant_id as "tenantId", array_agg(calls) as calls
    from (
      select p.tenant_id, p.back, sum(c.calls)::int as calls
      from unnest(
        ${periods.map(({ tenantId }) => tenantId)}::bigint[],
        ${periods.map(({ back }) => back)}::int[],
        ${periods.map(({ from }) => from)}::timestamptz[],
        ${periods.map(({ until }) => until)}::timestamptz[]
      ) as p (tenant_id, back, from_at, until_at),
      lateral (
        select count(distinct root_call_id) as calls from (
          select root_call_id from raw_cdrs r
          where r.tenant_id = p.tenant_id and r.source = 'push'
            and r.received_at >= p.from_at and r.received_at < p.until_at
          order by r.received_at limit ${RECORDS}) records
      ) c
      group by 1, 2
    ) weeks
    group by tenant_id`.execute(trx)
  return new Map(rows.map(({ tenantId, calls }) => [tenantId, calls]))
}
