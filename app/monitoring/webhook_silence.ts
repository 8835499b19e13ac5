import { DateTime } from 'luxon'

/** Days of the Hebrew calendar on which, or on part of which, many businesses are closed; eves and half-holidays too. */
const HOLIDAYS = new Set([
  'Elul 29',
  ...days('Tishri', [1, 2], [9, 10], [14, 22]),
  ...days('Nisan', [14, 21]),
  // Memorial and Independence Day, which move with the day of the week.
  ...days('Iyar', [3, 6]),
  ...days('Sivan', [5, 6]),
])

function days(month: string, ...spans: [number, number][]): string[] {
  return spans.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, n) => `${month} ${first + n}`),
  )
}

// Made once: making a formatter takes far longer than formatting.
const hebrew = new Intl.DateTimeFormat('en-u-ca-hebrew', {
  timeZone: 'UTC',
  day: 'numeric',
  month: 'long',
})

/** Whether this day, as it is called where the moment's clock stands, is one of Israel's holidays. */
export const isHoliday = ({ year, month, day }: DateTime): boolean => {
  const parts = hebrew.formatToParts(new Date(Date.UTC(year, month - 1, day)))
  const part = (type: string) => parts.find(one => one.type === type)?.value
  return HOLIDAYS.has(`${part('month')} ${part('day')}`)
}

export type Period = { from: Date; until: Date }

/** In bursts and pauses calls may come at any time of the day; an hour says something. */
export const SILENT_FOR_MINUTES = 60
/** A longer silence that nobody was told of in this time is no news any more. */
const LOOK_BACK_DAYS = 14

/** How many earlier weeks must tell the same, and how far back they may lie, with holidays in between. */
const WEEKS = 4
const OLDEST_WEEK = 9
/**
 * How many calls each of those weeks brought at the same times. Where twelve came in the poorest of four weeks, some
 * sixteen are to be expected, and that none comes by chance happens once in ten million times. It must be that rare,
 * for every pause between two calls is one such time. A business of three calls a day is silent for a week by then.
 */
export const ENOUGH = 12

const ISRAEL = 'Asia/Jerusalem'

/**
 * The times of a silence in each of four earlier weeks: the same weekdays and hours on the business's own clock.
 * Holidays are left out of the silence, and weeks that had a holiday at those times are skipped.
 *
 * @param since when the last call came
 */
export const samePeriodsBefore = (since: Date, now: Date, timezone: string): Period[][] => {
  const isOff = (moment: DateTime) => timezone === ISRAEL && isHoliday(moment)
  const end = DateTime.fromJSDate(now, { zone: timezone })
  const start = DateTime.max(
    DateTime.fromJSDate(since, { zone: timezone }),
    end.minus({ days: LOOK_BACK_DAYS }),
  )
  const silence = daysSilence(start, end).filter(({ from }) => !isOff(from))
  const weeks: Period[][] = []
  for (let back = 1; back <= OLDEST_WEEK && weeks.length < WEEKS; back++) {
    // A silence of ten days is compared with what lies two weeks back, and not with itself.
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

/** Cut at midnight, since a day is a holiday as a whole. */
const daysSilence = (start: DateTime, end: DateTime) => {
  const found: { from: DateTime; until: DateTime }[] = []
  for (let from = start; from < end;) {
    const until = DateTime.min(from.startOf('day').plus({ days: 1 }), end)
    found.push({ from, until })
    from = until
  }
  return found
}

/** @param calls how many came at the times of the silence in each of those weeks */
export const isUnusual = (calls: readonly number[]): boolean =>
  calls.length === WEEKS && calls.every(count => count >= ENOUGH)
