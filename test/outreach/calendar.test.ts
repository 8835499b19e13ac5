/** Shabbat and holidays: compared with published times and with a second algorithm; which days; the edges of a window. */
import { test } from 'tap'
import {
  CITIES,
  CITY_NAMES,
  holyDays,
  holyEnd,
  nextHolyWindow,
  readLocation,
} from '../../app/outreach/calendar.ts'
import { firstAllowed, isQuiet, quietTimesOf } from '../../app/outreach/quiet_hours.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const BOTH = ['shabbat', 'holidays'] as const

// Published times, as Israeli newspapers and sites print them. '-' = this calendar lights candles at another number of minutes
// before sunset in this city (20 or 22 in Tel Aviv) or counts the height of Jerusalem. All agree on nightfall.

/** [source, date of the eve, of the end, offset, city: 'candle-lighting nightfall'] */
const PUBLISHED: [string, string, string, string, Record<string, string>][] = [
  [
    'kinderland.co.il, Yom Kippur 2016',
    '2016-10-11',
    '2016-10-12',
    '+03:00',
    {
      Jerusalem: '17:30 18:48',
      'Tel Aviv': '- 18:49',
      Haifa: '17:41 18:48',
      'Beer Sheva': '17:54 18:50',
    },
  ],
  [
    'kinderland.co.il, Yom Kippur 2018',
    '2018-09-18',
    '2018-09-19',
    '+03:00',
    {
      Jerusalem: '- 19:17',
      'Tel Aviv': '- 19:19',
      Haifa: '18:12 19:18',
      'Beer Sheva': '18:23 19:19',
    },
  ],
  [
    'israelan.com, Shabbat after Pesach 2022',
    '2022-04-29',
    '2022-04-30',
    '+03:00',
    {
      Jerusalem: '18:38 19:57',
      'Tel Aviv': '- 19:59',
      Haifa: '18:50 20:00',
      'Beer Sheva': '18:59 19:58',
      Eilat: '- 19:54',
    },
  ],
  [
    'kipa.co.il, Yom Kippur 2023',
    '2023-09-24',
    '2023-09-25',
    '+03:00',
    {
      Jerusalem: '- 19:08',
      'Tel Aviv': '18:15 19:10',
      Haifa: '- 19:09',
      'Beer Sheva': '18:16 19:10',
    },
  ],
  [
    'kikar.co.il, Shabbat of 17 February 2024',
    '2024-02-16',
    '2024-02-17',
    '+02:00',
    {
      Jerusalem: '- 18:04',
      'Tel Aviv': '- 18:05',
      Haifa: '16:56 18:04',
      'Beer Sheva': '- 18:06',
    },
  ],
  [
    'lightsportnews.com, Rosh Hashana and Shabbat 2024',
    '2024-10-02',
    '2024-10-05',
    '+03:00',
    {
      Jerusalem: '17:43 18:55',
      'Tel Aviv': '- 18:56',
      Haifa: '17:53 18:56',
      'Beer Sheva': '18:04 18:56',
      Eilat: '- 18:56',
    },
  ],
  [
    'srugim.co.il, Yom Kippur 2025',
    '2025-10-01',
    '2025-10-02',
    '+03:00',
    {
      Jerusalem: '- 18:58',
      'Tel Aviv': '- 19:00',
      Haifa: '17:55 18:59',
      'Beer Sheva': '18:08 19:00',
    },
  ],
  [
    'maariv.co.il, 26 December 2025',
    '2025-12-26',
    '2025-12-27',
    '+02:00',
    {
      Jerusalem: '16:02 17:23',
      'Tel Aviv': '- 17:24',
      Haifa: '16:10 17:21',
      'Beer Sheva': '16:25 17:25',
      Eilat: '- 17:28',
    },
  ],
  [
    'newsru.co.il, 15 January 2026',
    '2026-01-16',
    '2026-01-17',
    '+02:00',
    {
      Jerusalem: '16:18 17:38',
      'Tel Aviv': '16:41 17:40',
      Haifa: '16:27 17:38',
      'Beer Sheva': '16:43 17:41',
      Eilat: '16:46 17:43',
    },
  ],
  [
    'ice.co.il, 30 January 2026',
    '2026-01-30',
    '2026-01-31',
    '+02:00',
    {
      Jerusalem: '16:31 17:50',
      'Tel Aviv': '16:54 17:52',
      Haifa: '16:40 17:50',
      'Beer Sheva': '16:56 17:53',
    },
  ],
  [
    'newsru.co.il, 20 February 2026',
    '2026-02-20',
    '2026-02-21',
    '+02:00',
    {
      Jerusalem: '16:49 18:07',
      'Tel Aviv': '17:13 18:09',
      Haifa: '16:59 18:07',
      'Beer Sheva': '17:14 18:09',
      Eilat: '17:15 18:10',
    },
  ],
]

await test('windows agree with published times within two minutes', async t => {
  for (const [source, eve, last, offset, cities] of PUBLISHED)
    for (const [city, times] of Object.entries(cities)) {
      const [candles = '', nightfall = ''] = times.split(' ')
      const window = nextHolyWindow(new Date(`${eve}T12:00${offset}`), BOTH, city)
      if (!window) return t.fail(source)
      const isNear = (date: string, time: string, at: Date) => {
        const minutes = (at.getTime() - Date.parse(`${date}T${time}${offset}`)) / MINUTE
        t.ok(Math.abs(minutes) <= 2, `${source}, ${city}: ${minutes} minutes from ${time}`)
      }
      if (candles !== '-') isNear(eve, candles, window.from)
      isNear(last, nightfall, window.until)
    }
})

// A second algorithm: the equations of NOAA's solar calculator (gml.noaa.gov/grad/solcalc), with the time found by bisection.

const rad = (degrees: number) => (degrees * Math.PI) / 180
const sin = (degrees: number) => Math.sin(rad(degrees))
const cos = (degrees: number) => Math.cos(rad(degrees))

/** The height of the sun above the horizon, in degrees, without refraction. */
const heightAt = (ms: number, latitude: number, longitude: number): number => {
  const t = (ms / DAY + 2440587.5 - 2451545) / 36525
  const meanLongitude = 280.46646 + t * (36000.76983 + t * 0.0003032)
  const anomaly = 357.52911 + t * (35999.05029 - 0.0001537 * t)
  const eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
  const center =
    sin(anomaly) * (1.914602 - t * (0.004817 + 0.000014 * t)) +
    sin(2 * anomaly) * (0.019993 - 0.000101 * t) +
    sin(3 * anomaly) * 0.000289
  const node = 125.04 - 1934.136 * t
  const apparent = meanLongitude + center - 0.00569 - 0.00478 * sin(node)
  const obliquity =
    23 +
    (26 + (21.448 - t * (46.815 + t * (0.00059 - t * 0.001813))) / 60) / 60 +
    0.00256 * cos(node)
  const declination = Math.asin(sin(obliquity) * sin(apparent))
  const y = Math.tan(rad(obliquity / 2)) ** 2
  const equationOfTime =
    4 *
    (180 / Math.PI) *
    (y * sin(2 * meanLongitude) -
      2 * eccentricity * sin(anomaly) +
      4 * eccentricity * y * sin(anomaly) * cos(2 * meanLongitude) -
      0.5 * y * y * sin(4 * meanLongitude) -
      1.25 * eccentricity * eccentricity * sin(2 * anomaly))
  const minutes = (ms % DAY) / MINUTE + equationOfTime + 4 * longitude
  const hourAngle = minutes / 4 - 180
  return (
    (Math.asin(
      sin(latitude) * Math.sin(declination) +
        cos(latitude) * Math.cos(declination) * cos(hourAngle),
    ) *
      180) /
    Math.PI
  )
}

/** When the sun sinks to a height on a day (midnight UTC of its date); null if it does not. */
const sinksTo = (
  height: number,
  day: number,
  latitude: number,
  longitude: number,
): number | null => {
  // Twenty minutes are more than the equation of time. The sun is lowest about twelve hours after noon.
  let low = day + DAY / 2 - (longitude / 360) * DAY + 20 * MINUTE
  let high = low + DAY / 2 - 40 * MINUTE
  for (let ms = low; ms < high; ms += MINUTE)
    if (heightAt(ms, latitude, longitude) <= height) {
      high = ms
      break
    }
  if (heightAt(high, latitude, longitude) > height) return null
  while (high - low > 100) {
    const middle = (low + high) / 2
    if (heightAt(middle, latitude, longitude) > height) low = middle
    else high = middle
  }
  return high
}

const PLACES: [string, number, number, number][] = [
  ...CITY_NAMES.map((name): [string, number, number, number] => {
    const { latitude, longitude, candleMinutes } = CITIES[name]
    return [name, latitude, longitude, candleMinutes]
  }),
  ['40.7128,-74.006', 40.7128, -74.006, 18],
  ['51.5074,-0.1278', 51.5074, -0.1278, 18],
  ['-33.8688,151.2093', -33.8688, 151.2093, 18],
  ['0,0', 0, 0, 18],
  ['21.3069,-157.8583', 21.3069, -157.8583, 18],
  ['-17.7134,178.065', -17.7134, 178.065, 18],
  ['-54.8019,-68.303', -54.8019, -68.303, 18],
]

await test('every Shabbat of 2024 to 2035 agrees with the algorithm of NOAA', async t => {
  for (const [location, latitude, longitude, candleMinutes] of PLACES) {
    let worst = 0
    // Every fifth, so that all seasons of each place are met.
    for (let day = Date.UTC(2024, 0, 6); day < Date.UTC(2036, 0, 1); day += 5 * 7 * DAY) {
      const found = holyDays(new Date(day - DAY), new Date(day + 2 * DAY), ['shabbat'], location)
      const sunset = sinksTo(-0.833, day - DAY, latitude, longitude) ?? NaN
      const nightfall = sinksTo(-8.5, day, latitude, longitude) ?? NaN
      t.equal(found.length, 1)
      // In whole minutes, outwards.
      const before = sunset - candleMinutes * MINUTE - Number(found[0]?.from)
      const after = Number(found[0]?.until) - nightfall
      worst = Math.max(worst, ...[before, after].flatMap(ms => [-ms, ms - MINUTE]))
    }
    t.ok(worst < 10_000, `${location}: at most ${(worst / 1000).toFixed(1)} s apart`)
  }
})

await test('nightfall is 72 minutes after sunset where the sun does not sink to 8.5 degrees', async t => {
  let [deep, shallow, without] = [0, 0, 0]
  for (const latitude of [55, 58, 60, 62, 64, 65.5, 66.5, -60, -66.5])
    for (let day = Date.UTC(2024, 0, 6); day < Date.UTC(2028, 0, 1); day += 7 * DAY) {
      const location = `${latitude},25`
      const window = nextHolyWindow(new Date(day - DAY + 2 * HOUR), ['shabbat'], location)
      const what = `${location} ${new Date(day).toISOString()}`
      const eve = sinksTo(-0.833, day - DAY, latitude, 25)
      const sunset = sinksTo(-0.833, day, latitude, 25)
      if (!window) return t.fail(what)
      t.strictSame(
        holyEnd(new Date(window.until.getTime() - 1), 'shabbat', location),
        window.until,
        `${what} until after midnight`,
      )
      if (eve === null || sunset === null) {
        without++
        // The sun is lowest at midnight. The Friday or the Saturday may still have a sunset.
        const midnight = day + DAY - (25 / 360) * DAY
        const [start, end] = [window.from.getTime(), window.until.getTime()]
        t.ok(Math.abs(midnight - DAY - 18 * MINUTE - start) < 45 * MINUTE, `${what} begins`)
        t.ok(Math.abs(midnight + 72 * MINUTE - end) < 45 * MINUTE, `${what} ends`)
        continue
      }
      t.ok(Math.abs(eve - 18 * MINUTE - window.from.getTime()) < 3 * MINUTE, `${what} begins`)
      // On two days of the year the sun just reaches the angle, and the algorithms may disagree whether it does.
      const surely = sinksTo(-8.7, day, latitude, 25)
      const perhaps = sinksTo(-8.3, day, latitude, 25)
      if ((surely === null) !== (perhaps === null)) continue
      const nightfall = surely === null ? sunset + 72 * MINUTE : sinksTo(-8.5, day, latitude, 25)
      if (surely === null) shallow++
      else deep++
      t.ok(Math.abs(Number(nightfall) - window.until.getTime()) < 3 * MINUTE, `${what} ends`)
    }
  t.ok(deep > 500 && shallow > 100 && without > 10, `${deep}, ${shallow}, ${without}`)
})

await test('at the poles a day still begins and ends', async t => {
  for (const location of ['90,0', '-90,0', '78.2232,15.6267'])
    for (let day = Date.UTC(2026, 0, 3); day < Date.UTC(2027, 0, 1); day += 7 * DAY) {
      const [window] = holyDays(
        new Date(day - 2 * DAY),
        new Date(day + 3 * DAY),
        ['shabbat'],
        location,
      )
      const hours = (Number(window?.until) - Number(window?.from)) / HOUR
      t.ok(hours > 20 && hours < 42, `${location} ${new Date(day).toISOString()} ${hours}`)
    }
})

// Which days. The first days of Rosh Hashana, from printed calendars; the other days are counted from them.

const NEW_YEARS = [
  '2023-09-16',
  '2024-10-03',
  '2025-09-23',
  '2026-09-12',
  '2027-10-02',
  '2028-09-21',
  '2029-09-10',
  '2030-09-28',
  '2031-09-18',
  '2032-09-06',
  '2033-09-24',
  '2034-09-14',
  '2035-10-04',
]
const FROM_NEW_YEAR: [number, string][] = [
  [-163, 'pesach'],
  [-157, 'last_of_pesach'],
  [-113, 'shavuot'],
  [0, 'rosh_hashana'],
  [1, 'rosh_hashana'],
  [9, 'yom_kippur'],
  [14, 'sukkot'],
  [21, 'shemini_atzeret'],
]

await test('the holidays of 2024 to 2035 are those of printed calendars, and no other day is one', async t => {
  const expected = NEW_YEARS.flatMap(date =>
    FROM_NEW_YEAR.map(([days, name]) => [
      new Date(Date.parse(date) + days * DAY).toISOString().slice(0, 10),
      name,
    ]),
  ).filter(([date = '']) => date >= '2024' && date < '2036')
  const found = holyDays(new Date('2024-01-01'), new Date('2036-01-01'), ['holidays'], 'Tel Aviv')
  t.strictSame(
    found.map(({ until, name }) => [until.toISOString().slice(0, 10), name]),
    expected,
  )
  t.equal(found.length, 12 * 8)
})

/** [noon of the eve, words, from, until, days], in Jerusalem. */
const MERGED: [string, readonly ('shabbat' | 'holidays')[], string, string, string[]][] = [
  ['an ordinary Shabbat', BOTH, '2027-01-08', '2027-01-09', ['shabbat']],
  ['Rosh Hashana and Shabbat', BOTH, '2024-10-02', '2024-10-05', ['rosh_hashana', 'shabbat']],
  ['two days of Rosh Hashana', BOTH, '2025-09-22', '2025-09-24', ['rosh_hashana']],
  ['Shabbat and Sunday', BOTH, '2027-10-01', '2027-10-03', ['shabbat', 'rosh_hashana']],
  ['a holiday on Friday', BOTH, '2027-06-10', '2027-06-12', ['shavuot', 'shabbat']],
  ['the same without Shabbat', ['holidays'], '2027-06-10', '2027-06-11', ['shavuot']],
  ['the same without holidays', ['shabbat'], '2027-06-11', '2027-06-12', ['shabbat']],
  ['Shabbat before Pesach', BOTH, '2025-04-11', '2025-04-13', ['shabbat', 'pesach']],
  ['a holiday on Shabbat', BOTH, '2027-10-15', '2027-10-16', ['shabbat', 'sukkot']],
  ['Pesach on Thursday', BOTH, '2027-04-21', '2027-04-22', ['pesach']],
  ['and Shabbat after it', BOTH, '2027-04-23', '2027-04-24', ['shabbat']],
  ['Yom Kippur', BOTH, '2027-10-10', '2027-10-11', ['yom_kippur']],
]

/** How long after a window a message without a person is due. */
const noPerson = (() => {
  const noon = new Date('2027-01-09T10:00Z')
  const quiet = { windows: BOTH, timezone: 'Asia/Jerusalem', location: 'Tel Aviv' }
  return firstAllowed(noon, quiet).getTime() - Number(holyEnd(noon, 'shabbat', 'Tel Aviv'))
})()

await test('adjoining days are one window', async t => {
  for (const [what, words, eve, last, days] of MERGED) {
    const window = nextHolyWindow(new Date(`${eve}T09:00Z`), words, 'Jerusalem')
    const dates = [window?.from, window?.until].map(at => at?.toISOString().slice(0, 10))
    t.strictSame([...dates, window?.days], [eve, last, days], what)
    const quiet = { windows: words, timezone: 'Asia/Jerusalem', location: 'Jerusalem' }
    if (!window) return
    const { from, until } = window
    for (let at = from.getTime(); at < until.getTime(); at += 10 * MINUTE) {
      t.strictSame(firstAllowed(new Date(at), quiet), new Date(until.getTime() + noPerson), what)
      t.strictSame(nextHolyWindow(new Date(at), words, 'Jerusalem'), window)
    }
  }
  t.equal(nextHolyWindow(new Date(), [], 'Jerusalem'), null)
})

// Edges, and the minutes after a window.

const TEL_AVIV = { windows: BOTH, timezone: 'Asia/Jerusalem', location: 'Tel Aviv' }
const plus = (at: Date, ms: number) => new Date(at.getTime() + ms)

await test('a window is exact to the second', async t => {
  const window = nextHolyWindow(new Date('2027-10-10T09:00Z'), BOTH, 'Tel Aviv')
  if (!window) return t.fail()
  const { from, until } = window
  for (const at of [plus(from, -1), until, plus(until, 1)]) {
    t.notOk(isQuiet(at, TEL_AVIV), at.toISOString())
    t.strictSame(firstAllowed(at, TEL_AVIV, '+972502345678'), at)
  }
  for (const at of [from, plus(from, 1), plus(until, -1)]) {
    t.ok(isQuiet(at, TEL_AVIV), at.toISOString())
    const late = firstAllowed(at, TEL_AVIV, '+972502345678').getTime() - until.getTime()
    t.ok(late >= 0 && late <= 5 * MINUTE, `${late} ms later`)
  }
})

await test('after a window, people are spread over five minutes, each always at the same second', async t => {
  const until = Number(nextHolyWindow(new Date('2027-10-10T09:00Z'), BOTH, 'Tel Aviv')?.until)
  const lateness = (phone: string) =>
    firstAllowed(new Date('2027-10-11T09:00Z'), TEL_AVIV, phone).getTime() - until
  const all = Array.from({ length: 3000 }, (_, n) => lateness(`+97252${2_000_000 + n}`))
  t.ok(all.every(ms => ms >= 0 && ms <= 5 * MINUTE && ms % 1000 === 0))
  for (let minute = 0; minute < 5; minute++) {
    const count = all.filter(ms => Math.floor(ms / MINUTE) === minute).length
    t.ok(count > 450 && count < 750, `${count} in minute ${minute}`)
  }
  t.equal(lateness('+972522000001'), all[1], 'the same each time')
  t.equal(lateness('+972592345678'), lateness('+970592345678'), 'one person with two spellings')
})

/** [windows, location, due, expected]; null = within five minutes after the window. */
const TOGETHER: [string, string[], string, string, string | null][] = [
  [
    'at night it is eight sharp',
    ['shabbat', '21:00-08:00'],
    'Tel Aviv',
    '2027-01-04T22:30+02:00',
    '2027-01-05T08:00+02:00',
  ],
  [
    'Shabbat ends before the night',
    ['shabbat', '21:00-08:00'],
    'Tel Aviv',
    '2027-01-08T22:30+02:00',
    null,
  ],
  [
    'Shabbat ends in the night',
    ['shabbat', '21:00-08:00'],
    '60.17,24.94',
    '2027-06-19T12:00+03:00',
    '2027-06-20T08:00+03:00',
  ],
  [
    'the night ends in Shabbat',
    ['21:00-08:00', 'shabbat'],
    'Tel Aviv',
    '2027-01-09T03:00+02:00',
    null,
  ],
  [
    'a window begins as Shabbat ends',
    ['shabbat', 'sat 16:00-sat 23:00'],
    'Tel Aviv',
    '2027-01-09T12:00+02:00',
    '2027-01-09T23:00+02:00',
  ],
  [
    'the clocks change after Shabbat',
    ['shabbat', '18:00-08:00'],
    'Tel Aviv',
    '2026-10-24T12:00+03:00',
    '2026-10-25T08:00+02:00',
  ],
  [
    'without the word nothing moves',
    ['21:00-08:00'],
    'Tel Aviv',
    '2027-01-09T12:00+02:00',
    '2027-01-09T12:00+02:00',
  ],
]

await test('clock windows and the calendar go together', async t => {
  for (const [what, windows, location, due, end] of TOGETHER) {
    const quiet = { windows, timezone: 'Asia/Jerusalem', location }
    const allowed = firstAllowed(new Date(due), quiet, '+972502345678')
    if (end !== null) t.equal(allowed.toISOString(), new Date(end).toISOString(), what)
    else {
      const until = nextHolyWindow(new Date(due), ['shabbat'], location)?.until
      const late = allowed.getTime() - Number(until)
      t.ok(late >= 0 && late <= 5 * MINUTE, what)
    }
  }
})

await test("Israel's days apply abroad, by the sun of the place and in any time zone", async t => {
  const location = '40.7128,-74.006'
  // The second day of Shavuot 2027 in the diaspora is a Saturday; the eighth day of Pesach is no holiday of Israel.
  const eighth = new Date('2027-04-29T12:00-04:00')
  t.notOk(isQuiet(eighth, { windows: ['holidays'], timezone: 'America/New_York', location }))
  const friday = new Date('2027-01-08T17:00-05:00')
  for (const timezone of ['America/New_York', 'Asia/Jerusalem', 'UTC'])
    t.ok(isQuiet(friday, { windows: ['shabbat'], timezone, location }), timezone)
  const window = nextHolyWindow(friday, BOTH, location)
  t.match(
    [window?.from, window?.until].map(at => at?.toISOString()),
    [/^2027-01-08T21:/, /^2027-01-09T22:/],
  )
  const inTelAviv = nextHolyWindow(friday, BOTH, 'Tel Aviv')
  t.match(
    inTelAviv?.from.toISOString(),
    /^2027-01-08T14:/,
    'the default location, in another time zone',
  )
})

await test('the kind of a message decides which windows hold it back', async t => {
  const settings = {
    timezone: 'UTC',
    location: 'Tel Aviv',
    quietWindows: ['01:00-02:00'],
    reminderQuietWindows: ['03:00-04:00'],
  }
  const windows = (kind: Parameters<typeof quietTimesOf>[0]) => quietTimesOf(kind, settings).windows
  t.strictSame(windows('initial'), ['01:00-02:00'])
  for (const kind of ['reminder_1', 'reminder_2'] as const)
    t.strictSame(windows(kind), ['01:00-02:00', '03:00-04:00'])
  for (const kind of ['owner_notice', 'opt_out_confirmation', 'manual'] as const)
    t.strictSame(windows(kind), [])

  settings.quietWindows.push('holidays')
  settings.reminderQuietWindows.push('shabbat', 'holidays')
  t.strictSame(windows('owner_notice'), ['shabbat', 'holidays'], 'those of either list')
  t.strictSame(windows('manual'), [])
})

await test('a location is a city of the list or coordinates', async t => {
  const read: [string, string | null][] = [
    ['Jerusalem', 'Jerusalem'],
    [' jerusalem ', 'Jerusalem'],
    ["Be'er-Sheva", 'Beer Sheva'],
    ['TEL AVIV', 'Tel Aviv'],
    ['ירושלים', 'Jerusalem'],
    ['באר-שבע', 'Beer Sheva'],
    ['31.77,35.21', '31.77,35.21'],
    [' 31.770000 , 35.2 ', '31.77,35.2'],
    ['-33.868820,151.209296', '-33.8688,151.2093'],
    ['0,0', '0,0'],
    ['-0.00001,-0', '0,0'],
    ['90,-180', '90,-180'],
    ['90.1,0', null],
    ['0,180.5', null],
    ['31.77', null],
    ['31,77,35', null],
    ['constructor', null],
    ['Atlantis', null],
    ['', null],
  ]
  for (const [written, location] of read) t.equal(readLocation(written), location, written)
  for (const name of CITY_NAMES) t.equal(readLocation(CITIES[name].hebrew), name)
  const eve = new Date('2027-10-10T09:00Z')
  const from = (location: string) => nextHolyWindow(eve, BOTH, location)?.from.getTime() ?? 0
  t.ok(Math.abs(from('31.7767,35.2345') - from('Jerusalem')) <= MINUTE, 'coordinates in Jerusalem')
  t.ok(from('31.7054,35.2024') - from('Jerusalem') > 20 * MINUTE, 'Bethlehem is another place')
  t.throws(() => holyEnd(eve, 'shabbat', 'Atlantis'), /no location/)
})
