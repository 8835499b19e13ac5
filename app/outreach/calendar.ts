/**
 * Shabbat and the work-free holidays of Israel: when they begin and end at a place. A day begins at candle-lighting in the
 * evening before it, and ends at nightfall.
 */
import { addTime, getTimes } from 'suncalc'

/** The words that stand for these days among the quiet windows of a tenant. */
export const CALENDAR_WORDS = ['shabbat', 'holidays'] as const
export type CalendarWord = (typeof CALENDAR_WORDS)[number]

type Place = {
  latitude: number
  longitude: number
  /** Candle-lighting is this many minutes before sunset. */
  candleMinutes: number
}

const CANDLE_MINUTES = 18
const city = (
  hebrew: string,
  latitude: number,
  longitude: number,
  candleMinutes = CANDLE_MINUTES,
) => ({ hebrew, latitude, longitude, candleMinutes })

/** The places that a tenant can name. `is_location` in sql/0001_tenants.sql has the same names. */
export const CITIES = {
  'Tel Aviv': city('תל אביב', 32.0853, 34.7818),
  Jerusalem: city('ירושלים', 31.769, 35.2163, 40),
  Haifa: city('חיפה', 32.8191, 34.9983, 30),
  'Beer Sheva': city('באר שבע', 31.2518, 34.7913),
  Eilat: city('אילת', 29.5581, 34.9482),
  Ashdod: city('אשדוד', 31.7921, 34.6497),
  Ashkelon: city('אשקלון', 31.6693, 34.5715),
  'Bnei Brak': city('בני ברק', 32.0807, 34.8338),
  Hadera: city('חדרה', 32.4419, 34.9039),
  Herzliya: city('הרצליה', 32.1663, 34.8433),
  Holon: city('חולון', 32.0103, 34.7792),
  Karmiel: city('כרמיאל', 32.9171, 35.305),
  'Kiryat Shmona': city('קריית שמונה', 33.2073, 35.5721),
  Modiin: city('מודיעין', 31.8928, 35.0153),
  Nahariya: city('נהריה', 33.0059, 35.0941),
  Netanya: city('נתניה', 32.3329, 34.8599),
  'Petah Tikva': city('פתח תקווה', 32.0871, 34.8875),
  'Ramat Gan': city('רמת גן', 32.0823, 34.8106),
  Rehovot: city('רחובות', 31.8948, 34.8093),
  'Rishon LeZion': city('ראשון לציון', 31.971, 34.7894),
  Safed: city('צפת', 32.9646, 35.496),
  Tiberias: city('טבריה', 32.7922, 35.5312),
} as const satisfies Record<string, Place & { hebrew: string }>
type City = keyof typeof CITIES

const isCity = (name: string): name is City => Object.hasOwn(CITIES, name)
export const CITY_NAMES: readonly City[] = Object.keys(CITIES).filter(isCity)

/** Without case, spaces and marks, so that Be'er-Sheva is Beer Sheva. */
const plain = (name: string): string => name.toLowerCase().replace(/[\s\-'"’׳״.]/g, '')

/** About 10 metres. */
const DECIMALS = 4
const COORDINATES = /^(-?\d{1,2}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)$/

/**
 * Reads a city of the list, in English or Hebrew, or `lat,lon` in degrees.
 *
 * @returns as it is stored in `tenants.location`; null for anything else
 */
export const readLocation = (written: string): string | null => {
  const asked = plain(written)
  const known = CITY_NAMES.find(name => [plain(name), plain(CITIES[name].hebrew)].includes(asked))
  if (known) return known
  const [, latitude, longitude] = (COORDINATES.exec(written.trim()) ?? []).map(Number)
  if (latitude === undefined || longitude === undefined) return null
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return null
  const rounded = (degrees: number) => String(Number(degrees.toFixed(DECIMALS)) || 0)
  return `${rounded(latitude)},${rounded(longitude)}`
}

/** About five kilometres. */
const IN_CITY = 0.05

/** Coordinates in Jerusalem or Haifa follow the custom of the city. */
const candleMinutesAt = (latitude: number, longitude: number): number =>
  Object.values(CITIES).find(
    one =>
      one.candleMinutes !== CANDLE_MINUTES &&
      Math.abs(one.latitude - latitude) <= IN_CITY &&
      Math.abs(one.longitude - longitude) <= IN_CITY,
  )?.candleMinutes ?? CANDLE_MINUTES

const placeOf = (location: string): Place => {
  if (isCity(location)) return CITIES[location]
  const [latitude = NaN, longitude = NaN] = location.split(',').map(Number)
  if (Number.isNaN(latitude + longitude)) throw new Error(`"${location}" is no location`)
  return { latitude, longitude, candleMinutes: candleMinutesAt(latitude, longitude) }
}

// Days are counted from 1 January 1970, by the sun at the place. So a time zone has no influence.

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
type Day = number

/** Nightfall: the sun is 8.5 degrees below the horizon, and three small stars can be seen. */
const NIGHTFALL = 'nightfall'
addTime(-8.5, 'first light', NIGHTFALL)
/** Where the sun does not get that low, nightfall is this long after sunset. */
const LONGEST_DUSK = 72 * MINUTE

/** By the sun at a place, in milliseconds. */
type Evening = { sunset: number; nightfall: number }

const eveningAt = (day: Day, { latitude, longitude }: Place): Evening => {
  const noon = new Date((day + 0.5 - longitude / 360) * DAY)
  const times = getTimes(noon, latitude, longitude)
  // In the polar summer the sun is lowest at midnight, in the polar winter it is highest at noon: the closest to a sunset.
  const sunset =
    times.sunset?.getTime() ?? times.solarNoon.getTime() + (times.alwaysUp ? DAY / 2 : 0)
  const nightfall = times[NIGHTFALL]
  return {
    sunset,
    nightfall: nightfall instanceof Date ? nightfall.getTime() : sunset + LONGEST_DUSK,
  }
}

/** Every day of fifty years at one place. A decision needs three evenings, and a what-if asks for the same ones again. */
const MAX_CACHED = 20_000

/** A place with the evenings that were computed for it. */
class Sun {
  readonly #place: Place
  readonly #evenings = new Map<Day, Evening>()

  constructor(location: string) {
    this.#place = placeOf(location)
  }

  dayOf(moment: Date): Day {
    return Math.floor(moment.getTime() / DAY + this.#place.longitude / 360)
  }

  evening(day: Day): Evening {
    const known = this.#evenings.get(day)
    if (known) return known
    if (this.#evenings.size >= MAX_CACHED) this.#evenings.clear()
    const evening = eveningAt(day, this.#place)
    this.#evenings.set(day, evening)
    return evening
  }

  /** In whole minutes, outwards, so that nothing is sent within the times that a person reads. */
  start(day: Day): Date {
    const { sunset } = this.evening(day - 1)
    return new Date(Math.floor(sunset / MINUTE - this.#place.candleMinutes) * MINUTE)
  }

  end(day: Day): Date {
    return new Date(Math.ceil(this.evening(day).nightfall / MINUTE) * MINUTE)
  }
}

/** A tenant names one place, and there are few. */
const MAX_PLACES = 1000
const suns = new Map<string, Sun>()
const sunAt = (location: string): Sun => {
  const known = suns.get(location)
  if (known) return known
  if (suns.size >= MAX_PLACES) suns.clear()
  const sun = new Sun(location)
  suns.set(location, sun)
  return sun
}

/** By month and day of the Hebrew calendar. Only days without work, and Israel's days: no second days of the diaspora. */
const HOLIDAYS = {
  'Tishri 1': 'rosh_hashana',
  'Tishri 2': 'rosh_hashana',
  'Tishri 10': 'yom_kippur',
  'Tishri 15': 'sukkot',
  'Tishri 22': 'shemini_atzeret',
  'Nisan 15': 'pesach',
  'Nisan 21': 'last_of_pesach',
  'Sivan 6': 'shavuot',
} as const
export type HolyDay = 'shabbat' | (typeof HOLIDAYS)[keyof typeof HOLIDAYS]

const isHoliday = (name: string): name is keyof typeof HOLIDAYS => Object.hasOwn(HOLIDAYS, name)

const HEBREW_DATE = new Intl.DateTimeFormat('en-u-ca-hebrew', {
  timeZone: 'UTC',
  month: 'long',
  day: 'numeric',
})
const holidays = new Map<Day, HolyDay | null>()
const holidayOn = (day: Day): HolyDay | null => {
  const known = holidays.get(day)
  if (known !== undefined) return known
  if (holidays.size >= MAX_CACHED) holidays.clear()
  const parts = HEBREW_DATE.formatToParts(new Date(day * DAY))
  const part = (type: string) => parts.find(one => one.type === type)?.value ?? ''
  const name = `${part('month')} ${part('day')}`
  const holiday = isHoliday(name) ? HOLIDAYS[name] : null
  holidays.set(day, holiday)
  return holiday
}

/** 1 January 1970 was a Thursday. */
const SATURDAY = 2
const isSaturday = (day: Day): boolean => ((day % 7) + 7) % 7 === SATURDAY

const holyDay = (day: Day, word: CalendarWord): HolyDay | null => {
  if (word === 'holidays') return holidayOn(day)
  return isSaturday(day) ? 'shabbat' : null
}

/** When the day that holds a moment ends. The next day may have begun by then. Null = no such day holds the moment. */
export const holyEnd = (moment: Date, word: CalendarWord, location: string): Date | null => {
  const sun = sunAt(location)
  const today = sun.dayOf(moment)
  // A day begins in the evening before it. In the far north it may end after midnight.
  const day = [today + 1, today, today - 1].find(
    one => holyDay(one, word) && sun.start(one) <= moment && moment < sun.end(one),
  )
  return day === undefined ? null : sun.end(day)
}

/** A day, with the word that stands for it. */
type HolyDayAt = { word: CalendarWord; name: HolyDay; from: Date; until: Date }

/** All days that end after `from` and before `to`, in their order. */
export const holyDays = (
  from: Date,
  to: Date,
  words: readonly CalendarWord[],
  location: string,
): HolyDayAt[] => {
  const sun = sunAt(location)
  const found: HolyDayAt[] = []
  for (let day = sun.dayOf(from) - 1; day <= sun.dayOf(to); day++)
    for (const word of words) {
      const name = holyDay(day, word)
      if (!name || sun.end(day) <= from || sun.end(day) > to) continue
      found.push({ word, name, from: sun.start(day), until: sun.end(day) })
    }
  return found
}

/** Days that adjoin are one window: Friday's holiday and Shabbat, the two days of Rosh Hashana. */
export type HolyWindow = { days: HolyDay[]; from: Date; until: Date }

/** From Sukkot to Pesach it is at most 201 days. */
const LOOK_AHEAD = 210 * DAY

/** The window that holds a moment, or else the next one. Null without words. */
export const nextHolyWindow = (
  moment: Date,
  words: readonly CalendarWord[],
  location: string,
): HolyWindow | null => {
  const [first, ...rest] = holyDays(
    // The window may have begun with earlier days.
    new Date(moment.getTime() - 4 * DAY),
    new Date(moment.getTime() + LOOK_AHEAD),
    words,
    location,
  )
  if (!first) return null
  let window: HolyWindow = { days: [first.name], from: first.from, until: first.until }
  for (const { name, from, until } of rest) {
    if (from <= window.until) {
      const days = window.days.includes(name) ? window.days : [...window.days, name]
      window = { days, from: window.from, until }
    } else if (window.until > moment) return window
    else window = { days: [name], from, until }
  }
  return window.until > moment ? window : null
}
