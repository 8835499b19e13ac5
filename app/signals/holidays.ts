import type { DateTime } from 'luxon'

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
