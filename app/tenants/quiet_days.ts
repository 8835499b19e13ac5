/** Keeps `quiet_days`: the program knows when Shabbat and the holidays begin and end, and SQL reads it from this table. */
import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import { CALENDAR_WORDS, holyDays } from '../outreach/calendar.ts'

const DAY = 24 * 60 * 60 * 1000
/** Around now. Filled up when less than a year is left. */
const DAYS_BACK = 400
const DAYS_AHEAD = 3 * 366

/**
 * Adds the days of every location that a tenant has. Most times all are there, and one query finds that out. When it adds some,
 * it removes those of locations that no tenant has any more, so that a tenant who tries many does not fill the table.
 */
export const fillQuietDays = async (trx: Trx): Promise<void> => {
  const { rows } = await sql<{ location: string; now: Date }>`
    select distinct t.location, now() as now from tenants t
    where not exists (select from quiet_days d where d.location = t.location and d.starts_at > now() + interval '1 year')
    order by t.location`.execute(trx)
  if (rows.length > 0)
    await sql`
      delete from quiet_days d where not exists (select from tenants t where t.location = d.location)`.execute(
      trx,
    )
  for (const { location, now } of rows) {
    const at = (days: number) => new Date(now.getTime() + days * DAY)
    const days = holyDays(at(-DAYS_BACK), at(DAYS_AHEAD), CALENDAR_WORDS, location)
    // In one order, so that two transactions that add the same days do not wait for each other in a circle.
    await sql`
      insert into quiet_days (location, quiet_window, name, starts_at, ends_at)
      select ${location}, * from unnest(
        ${days.map(({ word }) => word)}::text[],
        ${days.map(({ name }) => name)}::text[],
        ${days.map(({ from }) => from)}::timestamptz[],
        ${days.map(({ until }) => until)}::timestamptz[])
      on conflict on constraint quiet_days_key do nothing`.execute(trx)
  }
}
