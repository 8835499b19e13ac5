/** Silence is unusual if calls came at the same times of earlier weeks. Holidays are left out. */
import fc from 'fast-check'
import { DateTime } from 'luxon'
import { test } from 'tap'
import {
  isHoliday,
  ENOUGH,
  isUnusual,
  samePeriodsBefore,
  SILENT_FOR_MINUTES,
} from '../../app/monitoring/webhook_silence.ts'
import { seeded } from '../../scripts/chaos/random.ts'

const ISRAEL = 'Asia/Jerusalem'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const at = (written: string, zone = ISRAEL): Date => DateTime.fromISO(written, { zone }).toJSDate()
const written = (moment: Date, zone = ISRAEL) =>
  DateTime.fromJSDate(moment, { zone }).toFormat('yyyy-MM-dd HH:mm')
const weeks = (since: string, now: string, zone = ISRAEL) =>
  samePeriodsBefore(at(since, zone), at(now, zone), zone).map(week =>
    week.map(({ from, until }) => `${written(from, zone)} - ${written(until, zone)}`),
  )

await test('a morning is compared with the same morning of the last four weeks', async t => {
  t.strictSame(weeks('2026-07-06T09:10', '2026-07-06T11:40'), [
    ['2026-06-29 09:10 - 2026-06-29 11:40'],
    ['2026-06-22 09:10 - 2026-06-22 11:40'],
    ['2026-06-15 09:10 - 2026-06-15 11:40'],
    ['2026-06-08 09:10 - 2026-06-08 11:40'],
  ])
})

await test('a night is cut at midnight', async t => {
  t.strictSame(weeks('2026-07-05T18:00', '2026-07-06T10:00')[0], [
    '2026-06-28 18:00 - 2026-06-29 00:00',
    '2026-06-29 00:00 - 2026-06-29 10:00',
  ])
})

await test('the local time is compared, also when the clocks have changed', async t => {
  // Israel changes to winter time on 25 October 2026, to summer time on 26 March 2027.
  t.strictSame(weeks('2026-10-27T09:00', '2026-10-27T12:00')[0], [
    '2026-10-20 09:00 - 2026-10-20 12:00',
  ])
  t.strictSame(weeks('2027-03-30T09:00', '2027-03-30T12:00')[0], [
    '2027-03-23 09:00 - 2027-03-23 12:00',
  ])
  t.strictSame(weeks('2026-11-03T09:00', '2026-11-03T12:00', 'America/New_York')[0], [
    '2026-10-27 09:00 - 2026-10-27 12:00',
  ])
})

await test('a long silence is compared with what came before it', async t => {
  t.strictSame(
    weeks('2026-07-06T12:00', '2026-07-16T12:00').map(([first]) => first?.slice(0, 16)),
    ['2026-06-22 12:00', '2026-06-15 12:00', '2026-06-08 12:00', '2026-06-01 12:00'],
  )
  t.equal(weeks('2026-07-06T12:00', '2026-07-13T12:00')[0]?.[0]?.slice(0, 16), '2026-06-29 12:00')
})

await test('holidays are left out of the silence and of the earlier weeks', async t => {
  // 2026: New Year on 12 and 13 September, the Day of Atonement on the 21st, Tabernacles from the 26th.
  t.strictSame(
    weeks('2026-09-21T09:00', '2026-09-21T18:00').flat(),
    [],
    'the Day of Atonement itself',
  )
  t.strictSame(
    weeks('2026-09-10T17:00', '2026-09-14T09:30')[0],
    ['2026-09-03 17:00 - 2026-09-04 00:00', '2026-09-07 00:00 - 2026-09-07 09:30'],
    'without New Year and its eve',
  )
  const mondays = weeks('2026-10-19T09:00', '2026-10-19T12:00').map(([period]) =>
    period?.slice(0, 10),
  )
  t.strictSame(mondays, ['2026-10-12', '2026-10-05', '2026-09-14', '2026-09-07'])
  t.equal(weeks('2026-09-21T09:00', '2026-09-21T18:00', 'Europe/Paris').flat().length, 4)
})

await test('the holidays of five years', async t => {
  const days = (from: string, to: string) =>
    Array.from({ length: (Date.parse(to) - Date.parse(from)) / DAY + 1 }, (_, n) =>
      DateTime.fromISO(from, { zone: ISRAEL }).plus({ days: n }),
    )
  const holidays = days('2026-01-01', '2030-12-31')
    .filter(isHoliday)
    .map(day => day.toISODate())
  // New Year, Atonement, Tabernacles, Passover, Independence Day, Weeks.
  for (const day of [
    '2026-09-12',
    '2027-10-03',
    '2027-10-11',
    '2028-10-05',
    '2029-09-24',
    '2030-10-18',
    '2027-04-22',
    '2028-04-11',
    '2026-04-22',
    '2027-05-12',
    '2029-05-20',
  ])
    t.ok(holidays.includes(day), day)
  for (const day of ['2026-01-01', '2026-03-03', '2026-12-25', '2027-07-01', '2028-11-05'])
    t.notOk(holidays.includes(day), day)
  t.equal(holidays.length, 5 * 28)
})

await test('any silence is compared with up to four different weeks before it', async t => {
  const moment = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2030, 0, 1) })
  const zone = fc.constantFrom(ISRAEL, 'UTC', 'America/New_York', 'Pacific/Apia')
  fc.assert(
    fc.property(moment, fc.integer({ min: 0, max: 400 * HOUR }), zone, (ms, length, zone) => {
      const now = new Date(ms)
      const since = new Date(ms - length)
      const found = samePeriodsBefore(since, now, zone)
      if (found.length > 4) return false
      for (const { from, until } of found.flat()) {
        if (from > until || (length < 13.9 * DAY && until > since)) return false
        if (zone === ISRAEL && isHoliday(DateTime.fromJSDate(from, { zone }))) return false
      }
      const starts = found.map(([first]) => first?.from.getTime() ?? 0)
      return starts.every((one, n) => n === 0 || one <= (starts[n - 1] ?? 0))
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

await test('with one week of few calls, or with too few weeks, silence is not unusual', async t => {
  t.equal(isUnusual([ENOUGH, ENOUGH, ENOUGH, ENOUGH]), true)
  t.equal(isUnusual([100, 100, ENOUGH - 1, 100]), false)
  t.equal(isUnusual([100, 100, 100]), false, 'a new business')
  t.equal(isUnusual([]), false)
})

/** A business is open from 9 to 18, on Fridays to 13, and closed on Shabbat and holidays. Calls come at random times. */
const isOpen = (moment: DateTime): boolean =>
  !isHoliday(moment) &&
  moment.weekday !== 6 &&
  moment.hour >= 9 &&
  moment.hour < (moment.weekday === 5 ? 13 : 18)

const FIRST = at('2025-01-01T00:00').getTime()
const HOURS = Array.from({ length: 2 * 365 * 24 }, (_, n) => FIRST + n * HOUR)
const OPEN = HOURS.filter(hour => isOpen(DateTime.fromMillis(hour, { zone: ISRAEL })))

/** The times of its calls over two years, in order. */
const callsOf = (anHour: number): number[] => {
  const random = seeded(1)
  const pause = () => (-Math.log(1 - random.next()) * HOUR) / anHour
  const calls: number[] = []
  for (const hour of OPEN) for (let ms = pause(); ms < HOUR; ms += pause()) calls.push(hour + ms)
  return calls
}

/** How many of the calls came before this moment. */
const before = (calls: number[], moment: Date): number => {
  let [low, high] = [0, calls.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((calls[middle] ?? 0) < moment.getTime()) low = middle + 1
    else high = middle
  }
  return low
}

const isRaised = (calls: number[], since: number, now: number): boolean =>
  isUnusual(
    samePeriodsBefore(new Date(since), new Date(now), ISRAEL).map(week =>
      week.reduce((sum, { from, until }) => sum + before(calls, until) - before(calls, from), 0),
    ),
  )

for (const [anHour, name, noticed] of [
  [20, 'twenty calls an hour', 1.5 * HOUR],
  [5, 'five calls an hour', DAY],
  [1, 'a call an hour', 5 * DAY],
  [1 / 3, 'three calls a day', 12 * DAY],
] as const) {
  const calls = callsOf(anHour)

  await test(`${name}, for two years: no false alarm`, async t => {
    const alarms = calls.flatMap((call, n) => {
      const pause = (calls[n + 1] ?? 0) - call
      const looks = [0.5, 0.75, 1].map(share => call + share * pause)
      return looks
        .filter(now => now - call > SILENT_FOR_MINUTES * MINUTE && isRaised(calls, call, now))
        .map(now => `${written(new Date(call))} - ${written(new Date(now))}`)
    })
    t.strictSame(alarms, [])
  })

  await test(`${name}: a real silence is detected in time`, async t => {
    // A Monday in July, when there is no holiday.
    const stopped = calls.slice(0, before(calls, at('2026-07-06T10:00')))
    const last = stopped.at(-1) ?? 0
    t.ok(isRaised(stopped, last, last + noticed), 'after this time')
    t.notOk(isRaised(stopped, last, last + noticed / 12), 'not at once')
    t.notOk(isRaised(stopped, last, last + 40 * DAY), 'not weeks later')
  })
}
