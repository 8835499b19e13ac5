/** Two simulated years of calls: a pause is never taken for an outage, and the end of all calls is noticed in time. */
import { DateTime } from 'luxon'
import { test } from 'tap'
import {
  isHoliday,
  isUnusual,
  samePeriodsBefore,
  SILENT_FOR_MINUTES,
} from '../../app/monitoring/webhook_silence.ts'
import { seeded } from '../../scripts/chaos/random.ts'

const ISRAEL = 'Asia/Jerusalem'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const at = (written: string): Date => DateTime.fromISO(written, { zone: ISRAEL }).toJSDate()
const written = (moment: Date) =>
  DateTime.fromJSDate(moment, { zone: ISRAEL }).toFormat('yyyy-MM-dd HH:mm')

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
