/**
 * What happened to the missed calls, by day. The table daily_figures holds the sums; today is read from the calls, so that
 * the page is up to date.
 */
import { sql } from 'kysely'
import { db, type Trx } from '../db/kysely.ts'

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
  answered: number
  /** People who became customers, and for how much. */
  won: number
  wonValue: number
  /** Calls without a message, by reason. */
  skipped: Record<string, number>
  /** Calls by hour of the day, all 24. */
  hours: Hour[]
}

export type Hour = { hour: number; missed: number; answered: number }

/** The columns that are sums. */
const COUNTS = [
  'missed',
  'contacted',
  'delivered',
  'read',
  'replied',
  'reached',
  'waiting',
  'failed',
  'unknown',
  'answered',
  'won',
] as const

type DayRow = Record<(typeof COUNTS)[number], number> & {
  wonValue: number
  skipped: Record<string, number>
  hours: Record<string, [missed: number, answered: number]>
}

const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0)

const sumOf = (days: DayRow[]): Figures => {
  const skipped = new Map<string, number>()
  for (const day of days)
    for (const [reason, count] of Object.entries(day.skipped))
      skipped.set(reason, (skipped.get(reason) ?? 0) + count)
  const counts = (name: (typeof COUNTS)[number]) => sum(days.map(day => day[name]))
  return {
    missed: counts('missed'),
    contacted: counts('contacted'),
    delivered: counts('delivered'),
    read: counts('read'),
    replied: counts('replied'),
    reached: counts('reached'),
    waiting: counts('waiting'),
    failed: counts('failed'),
    unknown: counts('unknown'),
    answered: counts('answered'),
    won: counts('won'),
    wonValue: sum(days.map(day => day.wonValue)),
    skipped: Object.fromEntries([...skipped].toSorted(([, a], [, b]) => b - a)),
    hours: Array.from({ length: 24 }, (_, hour) => ({
      hour,
      missed: sum(days.map(({ hours }) => hours[hour]?.[0] ?? 0)),
      answered: sum(days.map(({ hours }) => hours[hour]?.[1] ?? 0)),
    })),
  }
}

/** How many days the pages count, with today. */
export const MONTH_DAYS = 30

/**
 * The figures of today and of the last 30 days with today.
 *
 * @param today in the time zone of the page: 2026-11-30
 * @param tenantId null = all together
 */
export const loadFigures = async (
  trx: Trx,
  { tenantId, today }: { tenantId: string | null; today: string },
): Promise<{ today: Figures; month: Figures }> => {
  const columns = sql`${sql.join(COUNTS.map(name => sql.ref(name)))}, won_value::float8 as "wonValue", skipped, hours`
  const { rows: live } = await sql<DayRow>`
    select ${columns} from figures_of_day(${today}::date, ${tenantId}::bigint)
    where tenant_id is not distinct from ${tenantId}::bigint`.execute(trx)
  const { rows: before } = await sql<DayRow>`
    select ${columns} from daily_figures
    where day > ${today}::date - ${MONTH_DAYS}::int and day < ${today}::date
      and ${tenantId === null ? sql`tenant_id is null` : sql`tenant_id = ${tenantId}`}`.execute(trx)
  return { today: sumOf(live), month: sumOf([...before, ...live]) }
}

/** Time zones differ by up to a day from UTC, in which the worker counts days. The oldest day that a page shows is among these. */
const DAYS = { oldest: MONTH_DAYS + 1, newest: 1 }
/** Calls of these days still change all the time, so they are summed each time. Earlier ones follow in turn. */
const RECENT_DAYS = 1
/** After this time the other days wait for the next round. Each round sums one of them at least. */
const ROUND_MS = 50
/** A day of 500,000 calls takes 3 to 6 s. The client waits three seconds longer (app/db/pool.ts). */
const DAY_TIMEOUT = sql`set local statement_timeout = '60s'`
/** A day is not summed again sooner, also if several workers run. */
const FRESH_FOR = sql`interval '45 seconds'`

/**
 * Sums the days around today again, then those that were not summed for the longest time.
 *
 * @param roundMs when it stops; the recent days and one other are summed in any case
 * @returns how many days were summed
 */
export const refreshDailyFigures = async (roundMs = ROUND_MS): Promise<number> => {
  const { rows: days } = await sql<{ day: string; isRecent: boolean }>`
    select d.day::text, d.day >= d.today - ${RECENT_DAYS}::int as "isRecent"
    from (
      select today, today + n as day from (select (now() at time zone 'UTC')::date as today) t,
        generate_series(${-DAYS.oldest}::int, ${DAYS.newest}::int) n) d
    left join daily_figures f on f.day = d.day and f.tenant_id is null
    where f.refreshed_at is null or f.refreshed_at < now() - ${FRESH_FOR}
    order by "isRecent" desc, f.refreshed_at nulls first, d.day desc`.execute(db)
  const start = performance.now()
  let recent = 0
  let older = 0
  for (const { day, isRecent } of days) {
    if (older > 0 && performance.now() - start >= roundMs) break
    // Another worker does it.
    if (!(await refreshDay(day))) break
    if (isRecent) recent++
    else older++
  }
  await sql`
    delete from daily_figures where day < (now() at time zone 'UTC')::date - ${DAYS.oldest}::int`.execute(
    db,
  )
  return recent + older
}

/** @returns false: another worker sums a day now */
const refreshDay = (day: string): Promise<boolean> =>
  db.transaction().execute(async trx => {
    await DAY_TIMEOUT.execute(trx)
    const { rows } = await sql<{ done: boolean }>`
      /* refresh_daily_figures */ select refresh_daily_figures(${day}::date) as done`.execute(trx)
    return rows[0]?.done ?? false
  })
