import { DateTime } from 'luxon'

/** Days of the Hebrew calendar on which many businesses are closed for at least a part of the day. */
const HOLIDAYS = new Set([
  'Elul 29',
  ...days('Tishri', [1, 2], [9, 10], [14, 22]),
  ...days('Nisan', [14, 21]),
  // Memorial Day and Independence Day, which depend on the day of the week.
  ...days('Iyar', [3, 6]),
  ...days('Sivan', [5, 6]),
])

function days(month: string, ...spans: [number, number][]): string[] {
  return spans.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, n) => `${month} ${first + n}`),
  )
}

// Cached, because making a formatter takes far longer than formatting.
const hebrew = new Intl.DateTimeFormat('en-u-ca-hebrew', {
  timeZone: 'UTC',
  day: 'numeric',
  month: 'long',
})

/** Whether this day, in the time zone of the given time, is a holiday in Israel. */
export const isHoliday = ({ year, month, day }: DateTime): boolean => {
  const parts = hebrew.formatToParts(new Date(Date.UTC(year, month - 1, day)))
  const part = (type: string) => parts.find(one => one.type === type)?.value
  return HOLIDAYS.has(`${part('month')} ${part('day')}`)
}

export type Period = { from: Date; until: Date }

/** Calls come in bursts and pauses, so a shorter silence means nothing. */
export const SILENT_FOR_MINUTES = 60
/** The longest silence that is compared. */
const LOOK_BACK_DAYS = 14

/** The number of earlier weeks to compare with, and how far back they may be if holidays are between them. */
const WEEKS = 4
const OLDEST_WEEK = 9
/**
 * A silence is unusual if each of those weeks had at least this many calls at the same times. If the weakest of four weeks
 * had twelve, about sixteen are expected, and the probability of none is one in ten million. It must be that low, because
 * each pause between two calls is tested. For a tenant with three calls a day this takes a week of silence.
 */
export const ENOUGH = 12

const ISRAEL = 'Asia/Jerusalem'

/**
 * The same weekdays and hours in four earlier weeks, on the clock of the tenant. Holidays are removed from the silence, and
 * weeks with a holiday at those times are skipped.
 *
 * @param since the time of the last call
 */
export const samePeriodsBefore = (since: Date, now: Date, timezone: string): Period[][] => {
  const isOff = (moment: DateTime) => timezone === ISRAEL && isHoliday(moment)
  const end = DateTime.fromJSDate(now, { zone: timezone })
  const start = DateTime.max(
    DateTime.fromJSDate(since, { zone: timezone }),
    end.minus({ days: LOOK_BACK_DAYS }),
  )
  const silence = splitByDay(start, end).filter(({ from }) => !isOff(from))
  const weeks: Period[][] = []
  for (let back = 1; back <= OLDEST_WEEK && weeks.length < WEEKS; back++) {
    // A silence of ten days overlaps the last week, so it is compared with earlier weeks.
    if (end.minus({ weeks: back }) > start) continue
    const week = silence.map(({ from, until }) => ({
      from: from.minus({ weeks: back }),
      until: until.minus({ weeks: back }),
    }))
    if (!week.some(({ from }) => isOff(from)))
      weeks.push(
        week.map(({ from, until }) => ({ from: from.toJSDate(), until: until.toJSDate() })),
      )
  }
  return weeks
}

/** Split at midnight, because holidays are whole days. */
const splitByDay = (start: DateTime, end: DateTime) => {
  const found: { from: DateTime; until: DateTime }[] = []
  for (let from = start; from < end;) {
    const until = DateTime.min(from.startOf('day').plus({ days: 1 }), end)
    found.push({ from, until })
    from = until
  }
  return found
}

/** @param calls the number of calls in each of those weeks */
export const isUnusual = (calls: readonly number[]): boolean =>
  calls.length === WEEKS && calls.every(count => count >= ENOUGH)
