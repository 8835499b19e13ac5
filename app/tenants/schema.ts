/** What a person can enter about a tenant, checked with zod. */
import { z } from 'zod'
import { CITY_NAMES, readLocation } from '../outreach/calendar.ts'
import { parseQuietWindow } from '../outreach/quiet_hours.ts'
import { lineOf } from '../phone.ts'
import { LANGUAGES } from '../whatsapp/templates.ts'

/** A number that customers dial, in any common form: 072-277-6772, +972722776772, 1-700-123-456, *2700. */
export const dialledNumber = z.string().transform((written, context) => {
  const phone = lineOf(written)
  if (!phone) context.addIssue('a telephone number such as 0722776772 or *2700')
  return phone ?? z.NEVER
})
export const PHONE_NUMBER = 'a telephone number such as 0502345678'
export const phoneNumber = dialledNumber.refine(phone => phone.startsWith('+'), PHONE_NUMBER)

const SECONDS = { day: 86_400, hour: 3600, minute: 60, second: 1 }
type Unit = keyof typeof SECONDS
const UNITS: Unit[] = ['day', 'hour', 'minute', 'second']

/** Longer than any setting needs, and within the range of a Postgres interval. */
const MAX_SECONDS = 365 * SECONDS.day

const INTERVAL =
  /^(?:(?<day>\d+) ?d(?:ays?)?)? ?(?:(?<hour>\d+) ?h(?:(?:ou)?rs?)?)? ?(?:(?<minute>\d+) ?m(?:in(?:ute)?s?)?)? ?(?:(?<second>\d+) ?s(?:ec(?:ond)?s?)?)?$/

/** `2 minutes`, `90s`, `24h`, `1 day 12 hours` as seconds; null for anything else. */
export const parseInterval = (written: string): number | null => {
  const text = written.trim().toLowerCase().replace(/\s+/g, ' ')
  const parts = text === '' ? undefined : INTERVAL.exec(text)?.groups
  if (!parts) return text === '0' ? 0 : null
  return UNITS.reduce((sum, unit) => sum + Number(parts[unit] ?? 0) * SECONDS[unit], 0)
}

/** In a form that `parseInterval` reads. Less than two days is in hours: `24 hours`, `3 days`. */
export const formatInterval = (seconds: number): string => {
  let rest = seconds
  const parts = UNITS.flatMap(unit => {
    if (unit === 'day' && rest < 2 * SECONDS.day) return []
    const count = unit === 'second' ? rest : Math.floor(rest / SECONDS[unit])
    rest -= count * SECONDS[unit]
    return count ? [`${count} ${unit}${count === 1 ? '' : 's'}`] : []
  })
  return parts.join(' ') || '0 seconds'
}

/** An interval as a person writes it, in seconds. */
export const interval = z.string().transform((written, context) => {
  const seconds = parseInterval(written)
  if (seconds !== null && seconds <= MAX_SECONDS) return seconds
  context.addIssue('a time such as 2 minutes, 90s, 24h or 1 day, and at most 365 days')
  return z.NEVER
})

const MINUTES_A_DAY = 24 * 60
const DAYS_A_WEEK = 7

const tidy = (written: string): string =>
  written
    .trim()
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/ ?[-–] ?/, '-')

const window = z
  .string()
  .transform(tidy)
  .refine(written => {
    try {
      parseQuietWindow(written)
      return true
    } catch {
      return false // The message below says what is expected.
    }
  }, 'a window such as 21:00-08:00 or "fri 15:00-sat 20:30", shabbat or holidays')

/** The part of the week that is Shabbat all year round, in every city of Israel. */
const ALWAYS_SHABBAT = 'fri 20:00-sat 17:00'

/** Whether the windows leave no minute of the week in which a message may be sent. */
export const coverTheWeek = (windows: readonly string[]): boolean => {
  const quiet = Array.from({ length: DAYS_A_WEEK * MINUTES_A_DAY }, () => false)
  for (const written of windows) {
    const window = parseQuietWindow(written === 'shabbat' ? ALWAYS_SHABBAT : written)
    if (typeof window === 'string') continue
    const { from, to } = window
    const days = from.day === null ? [1, 2, 3, 4, 5, 6, 7] : [from.day]
    for (const day of days) {
      const start = (day - 1) * MINUTES_A_DAY + from.minute
      const end = ((to.day ?? day) - 1) * MINUTES_A_DAY + to.minute
      const period = from.day === null ? MINUTES_A_DAY : quiet.length
      const length = end > start ? end - start : end - start + period
      for (let minute = start; minute < start + length; minute++)
        quiet[minute % quiet.length] = true
    }
  }
  return !quiet.includes(false)
}

/** Times in which no message is sent. */
export const quietWindows = z
  .array(window)
  .max(20, 'at most 20 windows')
  .transform(windows => [...new Set(windows)])
  .refine(
    windows => !coverTheWeek(windows),
    'windows that leave some time: with these no message is ever sent (to stop messages, pause the business)',
  )

const HOURS = 'hours such as 09:00-18:00, "sun-thu 09:00-18:00" or "fri 09:00-13:00"'
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
/** sun-thu 09:00-18:00 */
const OPEN = /^(?:(\w{3})(?:-(\w{3}))? )?(\d\d:\d\d)-(\d\d:\d\d)$/

/** The windows that hours on some days mean, each of one day or until the next. Null = they mean none. */
const openWindows = (written: string): string[] | null => {
  const [, from, to = from, start = '', end = ''] = OPEN.exec(written) ?? []
  if (from === undefined) return window.safeParse(written).success ? [written] : null
  const first = DAYS.indexOf(from)
  const last = DAYS.indexOf(to ?? '')
  if (first < 0 || last < 0) return null
  const windows = Array.from(
    { length: ((last - first + DAYS.length) % DAYS.length) + 1 },
    (_, n) => {
      const day = first + n
      const endDay = end > start ? day : day + 1
      return `${DAYS[day % DAYS.length]} ${start}-${DAYS[endDay % DAYS.length]} ${end}`
    },
  )
  return windows.every(one => window.safeParse(one).success) ? windows : null
}

/** When a business is open. As windows of the week, such as quiet windows. */
export const openingHours = z
  .array(
    z.string().transform((written, context) => {
      const windows = openWindows(tidy(written))
      if (windows?.every(one => one !== 'shabbat' && one !== 'holidays')) return windows
      context.addIssue(HOURS)
      return z.NEVER
    }),
  )
  .max(20, 'at most 20 times')
  .transform(lines => [...new Set(lines.flat())])

/** The hours as a person writes them: days in a row with the same hours are one line. */
export const formatOpeningHours = (windows: readonly string[]): string[] => {
  const lines: { from: string; to: string; hours: string }[] = []
  const others: string[] = []
  for (const one of windows) {
    const [, day, start, endDay, end] = /^(\w{3}) (.{5})-(\w{3}) (.{5})$/.exec(one) ?? []
    const isOneDay =
      day !== undefined && endDay === (end && start && end > start ? day : nextDay(day))
    const last = lines.at(-1)
    if (!isOneDay) others.push(one)
    else if (last?.hours === `${start}-${end}` && nextDay(last.to) === day) last.to = day
    else lines.push({ from: day, to: day, hours: `${start}-${end}` })
  }
  return [
    ...lines.map(({ from, to, hours }) => `${from === to ? from : `${from}-${to}`} ${hours}`),
    ...others,
  ]
}
const nextDay = (day: string): string | undefined => DAYS[(DAYS.indexOf(day) + 1) % DAYS.length]

/** The languages of the templates. The first is used. */
export const languages = z
  .array(z.enum(LANGUAGES, LANGUAGES.join(', ')))
  .min(1, 'at least one language')
  .transform(all => [...new Set(all)])

/** A city of the list or coordinates, as `tenants.location` holds it. */
export const location = z.string().transform((written, context) => {
  const place = readLocation(written)
  if (place !== null) return place
  context.addIssue(
    `a city from this list: ${CITY_NAMES.join(', ')}; or lat,lon such as 31.77,35.21`,
  )
  return z.NEVER
})

/** An id of a row. Every number of 18 digits fits into a bigint. */
const idOf = (what: string) => z.string().regex(/^[1-9]\d{0,17}$/, `the id of ${what}`)

export const tenantId = idOf('a business')
/** For commands that need only the tenant. */
export const tenantOnly = z.object({ tenantId })
export const tokenId = idOf('a webhook token')
export const messageId = idOf('a message')

/** The name that customers read in messages. Meta rejects values with line breaks. */
export const tenantName = z
  .string()
  .trim()
  .min(1, 'a name')
  .max(100, 'a name of at most 100 characters')
  .refine(name => !/\p{Cc}/u.test(name), 'a name in one line')

export const MODES = ['live', 'shadow', 'paused'] as const
export const mode = z.enum(MODES, 'live, shadow or paused')

/** Other characters cannot be in an HTTP header. An invisible one often comes along when a token is copied. */
export const accessToken = z
  .string()
  .trim()
  .min(1, 'an access token')
  .regex(/^[\x20-\x7e]*$/, 'an access token of printable ASCII characters: copy it again')

export const appSecret = z
  .string()
  .trim()
  .min(1, 'the app secret')
  .regex(/^[\x20-\x7e]*$/, 'an app secret of printable ASCII characters: copy it again')

export const wabaId = z.string().regex(/^\d{1,30}$/, "Meta's id of the account, digits only")

export const phoneNumberId = z.string().regex(/^\d{1,30}$/, "Meta's id of the number, digits only")
