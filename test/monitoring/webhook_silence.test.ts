/** Silence is unusual if calls came at the same times of earlier weeks. Holidays are left out. */
import fc from 'fast-check'
import { DateTime } from 'luxon'
import { test } from 'tap'
import {
  isHoliday,
  ENOUGH,
  isUnusual,
  samePeriodsBefore,
} from '../../app/monitoring/webhook_silence.ts'

const ISRAEL = 'Asia/Jerusalem'
const HOUR = 60 * 60_000
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
    { numRuns: 400 },
  )
  t.pass()
})

await test('with one week of few calls, or with too few weeks, silence is not unusual', async t => {
  t.equal(isUnusual([ENOUGH, ENOUGH, ENOUGH, ENOUGH]), true)
  t.equal(isUnusual([100, 100, ENOUGH - 1, 100]), false)
  t.equal(isUnusual([100, 100, 100]), false, 'a new business')
  t.equal(isUnusual([]), false)
})
