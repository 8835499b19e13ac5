import { IANAZone } from 'luxon'

/**
 * When a call began, and how its time was read.
 * - `shifted`: the wall clock of the tenant, written as an epoch or as a date without a zone
 * - `plain`: a true instant
 * - `call_id`: the CDR's own time was missing or not plausible; `at` is the date at the head of the call id
 * - `received`: neither was readable; `at` is when the CDR arrived
 */
export type Start = { at: Date; clock: 'shifted' | 'plain' | 'call_id' | 'received' }

/** The zone of a call whose tenant is not known (yet). */
export const DEFAULT_TIMEZONE = 'Asia/Jerusalem'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Voicenter creates the call id a few seconds before `time`, or minutes before it if a queue or an IVR comes first. */
const NEAR_HEAD = 15 * MINUTE

/** How far the phone system's clock may be ahead of ours. */
const SKEW = 10 * MINUTE

/** With day and month exchanged, two dates are at least 27 days apart. So a date that is nearer to the call id is the right one. */
const EXCHANGED = 14 * DAY

/** An earlier time is a default value or an error. */
const OLDEST = Date.UTC(2000, 0, 1)

/** The largest offset of a zone. A wall clock that is further ahead is in the future in every zone. */
const MAX_OFFSET = 14 * HOUR

/** No date with a weekday, an offset and the name of its zone is longer. */
const MAX_LENGTH = 80

/**
 * What a text says. `instant` has a zone, `wall` is a date without one, read as UTC. An `epoch` may be either: some phone
 * systems write their wall clock as if it were UTC. A `day` is a date without a clock.
 */
type Reading = { ms: number; kind: 'epoch' | 'wall' | 'instant' | 'day' }

type Parts = Partial<Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', string>>

/** Reads a date as UTC, in ms. Null for a date that does not exist, such as February 30 or 25:00. */
const asUtc = ({ year, month, day, hour, minute, second = '0' }: Parts): number | null => {
  const given = [year, month, day, hour, minute, second].map(Number)
  const [y = NaN, m = NaN, d = NaN, h = NaN, min = NaN, s = NaN] = given
  const at = new Date(Date.UTC(y, m - 1, d, h, min, s))
  if (Number.isNaN(at.getTime())) return null
  const shown = [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate()]
  shown.push(at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds())
  return shown.every((value, i) => value === given[i]) ? at.getTime() : null
}

/** YYYYMMDD and, as far as they are given, HH, mm and ss. */
const compact = (digits: string): number | null => {
  const [, year, month, day, hour, minute = '0', second = '0'] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?/.exec(digits) ?? []
  return year === undefined ? null : asUtc({ year, month, day, hour, minute, second } as Parts)
}

const NUMBER = /^\d+(?:[.,]\d+)?(?:e\+?\d+)?$/i
/** A wall clock in digits only. As an epoch it would be far in the future; without seconds, far in the past. */
const COMPACT = /^((?:19|20)\d{10}(?:\d\d)?)(?:(?<=\d{14})\d{3})?$/
/** The same with the date apart, or alone: 20261116T140000, 20261116. */
const BASIC = /^((?:19|20)\d\d)(\d\d)(\d\d)(?:[t\s_-](\d\d):?(\d\d)(?::?(\d\d))?|$)/i
/** How .NET writes a date in JSON: an epoch in ms. */
const DOT_NET = /^\\?\/?date\((\d+)(?:[+-]\d{4})?\)\\?\/?$/i

const CLOCK = String.raw`(?<hour>\d{1,2}):(?<minute>\d\d)(?::(?<second>\d\d)(?:[.,]\d+)?)?(?:\s?(?<half>[ap])\.?m\.?)?`
// IST and IDT are the wall clock of the tenant: in other countries IST has other meanings.
const ZONE = String.raw`(?:\s?(?:(?<utc>z|utc|gmt|ut)|(?<american>[ecmp][sd]t)|ist|idt))?(?:\s?(?<offset>[+-]\d\d(?::?\d\d)?))?`
const date = (form: string): RegExp => new RegExp(`^${form}${ZONE}$`, 'i')
const WEEKDAY = String.raw`(?:[a-z]{3,9}\.?\s)?`
const FORMS = [
  date(String.raw`(?<year>\d{4})([-/.])(?<month>\d{1,2})\2(?<day>\d{1,2})(?:[t\s_-]${CLOCK})?`),
  date(
    String.raw`(?<first>\d{1,2})(?<mark>[-/.])(?<then>\d{1,2})\k<mark>(?<year>\d{4}|\d\d)(?:[t\s_-]${CLOCK})?`,
  ),
  // RFC 2822: Mon, 16 Nov 2026 14:00:00 +0200
  date(
    String.raw`${WEEKDAY}(?<day>\d{1,2})[\s-](?<name>[a-z]{3,9})[\s-](?<year>\d{4}|\d\d)(?:\s${CLOCK})?`,
  ),
  // As C, Java and JavaScript write a date:
  // Mon Nov 16 14:00:00 2026, Mon Nov 16 14:00:00 IST 2026, Mon Nov 16 2026 14:00:00 GMT+0200
  date(String.raw`${WEEKDAY}(?<name>[a-z]{3,9})\s(?<day>\d{1,2})\s(?<year>\d{4})(?:\s${CLOCK})?`),
  date(String.raw`${WEEKDAY}(?<name>[a-z]{3,9})\s(?<day>\d{1,2})\s${CLOCK}\s(?<year>\d{4})`),
  new RegExp(
    String.raw`^${WEEKDAY}(?<name>[a-z]{3,9})\s(?<day>\d{1,2})\s${CLOCK}${ZONE}\s(?<year>\d{4})$`,
    'i',
  ),
]
const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ')

/**
 * Reads every form of a time that phone systems write. There are two readings where day and month may be exchanged, the
 * usual one first; and none if the text is not a time.
 */
export const readTime = (written: string): Reading[] => {
  // Voicenter's own form, which needs none of the work below.
  if (/^(?:\d{9,11}|\d{13})$/.test(written))
    return [{ ms: milliseconds(Number(written)), kind: 'epoch' }]
  if (written.length > MAX_LENGTH) return []
  const text = written
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .replace(/,?\s[\s,]*/g, ' ')
    .trim()
    // 14:00:00 16/11/2026
    .replace(/^(\d\d?:\d\d(?::\d\d)?(?: [ap]m)?) (\S*\d{4}\S*)$/i, '$2 $1')
    .replace(BASIC, (_, year, month, day, hour, minute, second = '00') =>
      hour === undefined
        ? `${year}-${month}-${day}`
        : `${year}-${month}-${day} ${hour}:${minute}:${second}`,
    )
  const wall = compact(COMPACT.exec(text)?.[1] ?? '')
  if (wall !== null) return [{ ms: wall, kind: 'wall' }]
  const number = DOT_NET.exec(text)?.[1] ?? (NUMBER.test(text) ? text.replace(',', '.') : null)
  if (number !== null) return [{ ms: milliseconds(Number(number)), kind: 'epoch' }]
  // The name of the zone after its offset: (Israel Standard Time), [Asia/Jerusalem].
  const plain = text.replace(/\s?[([][^()[\]]*[)\]]$/, '')
  for (const form of FORMS) {
    const parts = form.exec(plain)?.groups
    if (parts) return readDate(parts)
  }
  return []
}

/** Seconds, milliseconds, microseconds or nanoseconds: in any other unit the year would have five digits. */
const milliseconds = (value: number): number => {
  if (value < 1e11) return value * SECOND
  return value < 1e14 ? value : value < 1e17 ? value / 1e3 : value / 1e6
}

const readDate = (parts: Record<string, string | undefined>): Reading[] => {
  const { minute = '0', second = '0', half, name, first, then, mark } = parts
  const isShort = parts['year']?.length === 2
  const year = isShort ? `20${parts['year']}` : parts['year']
  const isDay = parts['hour'] === undefined
  // It may be a clock: 11.05.26
  if (isDay && isShort) return []
  const hours = Number(parts['hour'])
  if (half && (hours < 1 || hours > 12)) return []
  const hour = half
    ? String((hours % 12) + (half.toLowerCase() === 'p' ? 12 : 0))
    : (parts['hour'] ?? '0')
  const clock = { year, hour, minute, second } as Parts
  const month = name
    ? String(MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1)
    : (parts['month'] ?? '')
  const zone = zoneOf(parts)
  if (Number.isNaN(zone)) return []
  const dates =
    first === undefined
      ? [asUtc({ ...clock, month, day: parts['day'] ?? '' })]
      : [
          asUtc({ ...clock, day: first, month: then ?? '' }),
          asUtc({ ...clock, day: then ?? '', month: first }),
        ]
  // Only in America AM and PM are usual, and there the month comes first.
  if (half && mark === '/') dates.reverse()
  return [...new Set(dates)].flatMap((ms): Reading[] => {
    if (ms === null) return []
    if (isDay) return [{ ms, kind: 'day' }]
    return [zone === null ? { ms, kind: 'wall' } : { ms: ms - zone, kind: 'instant' }]
  })
}

/** In ms. Null: the text names no zone, or the tenant's own. */
const zoneOf = ({ offset, utc, american }: Record<string, string | undefined>): number | null => {
  if (offset) return offsetOf(offset)
  if (!american) return utc ? 0 : null
  // EST, CST, MST and PST are five to eight hours behind UTC. EDT is one hour less, and so on.
  const [region = '', season] = american.toLowerCase()
  return -(5 + 'ecmp'.indexOf(region) - (season === 'd' ? 1 : 0)) * HOUR
}

/** In ms; NaN for an offset that no zone has. */
const offsetOf = (written: string): number => {
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(written) ?? []
  if (Number(hours) > 14 || Number(minutes) > 59) return NaN
  const offset = Number(hours) * HOUR + Number(minutes) * MINUTE
  return sign === '-' ? -offset : offset
}

/** The wall clock at the head of a call id, read as UTC: a moment of 14 digits, or the hour or minute of 10 or 12. */
type Head = { from: number; to: number }

const headOf = (callId: string): Head | null => {
  const digits = /^(?:\d{14}|\d{12}(?!\d)|\d{10}(?!\d))/.exec(callId)?.[0] ?? ''
  const from = compact(digits)
  if (from === null || from < OLDEST) return null
  return { from, to: from + (digits.length === 14 ? 0 : digits.length === 12 ? MINUTE : HOUR) }
}

const distance = (wall: number, { from, to }: Head): number => Math.max(from - wall, wall - to, 0)

// A UTC offset changes only at a quarter of an hour. Asking Intl takes far longer than looking up the last answers.
const QUARTER = 15 * MINUTE
const offsets = new Map<string, number>()
const MAX_OFFSETS = 2000

const offsetAt = (timezone: string, ms: number): number => {
  const key = `${timezone} ${Math.floor(ms / QUARTER)}`
  const known = offsets.get(key)
  if (known !== undefined) return known
  const zone = IANAZone.create(timezone)
  const offset = (zone.isValid ? zone : IANAZone.create(DEFAULT_TIMEZONE)).offset(ms) * MINUTE
  if (offsets.size >= MAX_OFFSETS) offsets.clear()
  offsets.set(key, offset)
  return offset
}

/** The offsets that the zone has around this moment: two on the days around a clock change. */
const offsetsAround = (timezone: string, ms: number): number[] => [
  ...new Set([offsetAt(timezone, ms - DAY), offsetAt(timezone, ms + DAY)]),
]

/**
 * The instant at which clocks in the zone showed the time that `wall` shows in UTC. In the hour that occurs twice in
 * autumn, this is the later instant, unless that is still to come at `now`. The hour that is skipped in spring is read
 * with the offset of winter.
 */
const fromWall = (timezone: string, wall: number, now: number): number => {
  const around = offsetsAround(timezone, wall)
  const instants = around
    .filter(offset => offsetAt(timezone, wall - offset) === offset)
    .map(offset => wall - offset)
  if (instants.length === 0) return wall - Math.min(...around)
  // Without the allowance for clocks that run ahead: the earlier instant is as good an explanation.
  const past = instants.filter(at => at <= now)
  return past.length ? Math.max(...past) : Math.min(...instants)
}

/**
 * Decides how an epoch was written. Voicenter's CDR Notification page says "Epoch, Israel timezone" and "account local
 * timezone", which permit both readings. The head of the call id decides, since it is the wall clock. Without it, a date
 * is a wall clock, and only an epoch in the future shows that it is shifted.
 */
const clockOf = (
  { ms, kind }: Reading,
  head: Head | null,
  now: number,
  timezone: string,
): 'shifted' | 'plain' => {
  if (kind === 'instant') return 'plain'
  if (head) {
    const shifted = distance(ms, head)
    const plain = Math.min(
      ...offsetsAround(timezone, ms).map(offset => distance(ms + offset, head)),
    )
    if (Math.min(shifted, plain) <= NEAR_HEAD) return shifted <= plain ? 'shifted' : 'plain'
  }
  return kind === 'wall' || ms > now + SKEW ? 'shifted' : 'plain'
}

/**
 * When the call of a CDR began; never after `receivedAt`. A past time is kept however old it is, so that a call
 * that is delivered late counts as late.
 *
 * @param time as written in the CDR
 * @param timezone of the tenant
 */
export const startOf = (
  { callId, time }: { callId: string; time: string | null },
  receivedAt: Date,
  timezone: string = DEFAULT_TIMEZONE,
): Start => {
  const now = receivedAt.getTime()
  const head = headOf(callId)
  const start = (at: number, clock: Start['clock']): Start | null =>
    at < OLDEST || at > now + SKEW ? null : { at: new Date(Math.min(at, now)), clock }

  const fromReading = (reading: Reading): Start | null => {
    // Intl throws on an invalid date, and no zone could make a later time plausible.
    if (reading.ms < OLDEST || reading.ms > now + SKEW + MAX_OFFSET) return null
    if (reading.kind === 'day') {
      const end = fromWall(timezone, reading.ms + DAY - SECOND, now)
      const begun = start(fromWall(timezone, reading.ms, now), 'shifted')
      return begun && (end < now ? start(end, 'shifted') : { at: receivedAt, clock: 'received' })
    }
    const clock = clockOf(reading, head, now, timezone)
    return start(clock === 'shifted' ? fromWall(timezone, reading.ms, now) : reading.ms, clock)
  }
  const fromCallId = (): Start | null => {
    if (!head || head.from > now + SKEW + MAX_OFFSET) return null
    const from = fromWall(timezone, head.from, now)
    // The end of the hour that ten digits name: an old call looks old, and a call of this hour is not late.
    return start(from, 'call_id') && start(Math.min(from + (head.to - head.from), now), 'call_id')
  }

  // Of 5/11 and 11/5, the one that the call id names. If it names neither, the one of the last 24 hours: an American phone
  // system writes 12/01 on December 1. Otherwise the usual one.
  const readings = readTime(time ?? '')
  const named = head && readings.some(({ ms }) => distance(ms, head) < EXCHANGED) ? head : null
  const isRecent = (start: Start | null): boolean =>
    start !== null && start.at.getTime() > now - DAY
  const unlikely = (reading: Reading): number =>
    named ? distance(reading.ms, named) : isRecent(fromReading(reading)) ? 0 : 1
  const [first, other] = readings.toSorted((a, b) => unlikely(a) - unlikely(b))
  return (
    // A date without a clock says less than the call id. It is read as the end of that day, so that an old call looks old.
    (first?.kind === 'day' && named ? fromCallId() : null) ??
    (first && fromReading(first)) ??
    // On November 30, 01/12 may come from a clock that is ahead. Then the call id is more reliable than January 12.
    (named && fromCallId()) ??
    (other && fromReading(other)) ??
    fromCallId() ?? { at: receivedAt, clock: 'received' }
  )
}

/** Whether a text is a date that may be used, perhaps without a clock. */
export const isDate = (written: string): boolean => readTime(written).some(({ ms }) => ms >= OLDEST)

/** Whether a text is a time that may be used. */
export const isTime = (written: string): boolean =>
  readTime(written).some(({ ms, kind }) => ms >= OLDEST && kind !== 'day')
