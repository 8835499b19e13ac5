import { DateTime, IANAZone, type Zone } from 'luxon'
import { personOf } from '../phone.ts'
import type { OutgoingKind } from '../states.ts'
import { CALENDAR_WORDS, type CalendarWord, holyEnd } from './calendar.ts'

const QUARTER = 15 * 60_000
/** About seven months of quarters. */
const MAX_CACHED = 20_000

/**
 * A time zone that caches its offsets. luxon asks Intl each time, which takes as long as the rest of a decision. In every
 * time zone, clocks change on a quarter of an hour in UTC.
 */
class CachedZone extends IANAZone {
  readonly #offsets = new Map<number, number>()

  override offset(ms: number): number {
    const quarter = Math.floor(ms / QUARTER)
    const known = this.#offsets.get(quarter)
    if (known !== undefined) return known
    if (this.#offsets.size >= MAX_CACHED) this.#offsets.clear()
    const offset = super.offset(ms)
    this.#offsets.set(quarter, offset)
    return offset
  }
}

const zones = new Map<string, CachedZone>()

/** @param timezone as in `tenants.timezone`: Asia/Jerusalem */
export const zoneOf = (timezone: string): IANAZone => {
  const zone = zones.get(timezone) ?? new CachedZone(timezone)
  zones.set(timezone, zone)
  return zone
}

/** Times in which no message is sent, by the tenant's local time. Only a weekly window has a `day`. */
type Edge = { day: number | null; minute: number }
type ClockWindow = { from: Edge; to: Edge }
type QuietWindow = ClockWindow | CalendarWord

/** luxon counts weekdays from Monday = 1 to Sunday = 7. */
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const SUNDAY = 7
const MINUTE = 60_000
const MINUTES_A_DAY = 24 * 60

/**
 * Parses `21:00-08:00` (every day), `fri 15:00-sat 20:30` (once a week), `shabbat` or `holidays`.
 *
 * @throws Error for anything else, and for an empty window
 */
export const parseQuietWindow = (written: string): QuietWindow => {
  const word = CALENDAR_WORDS.find(one => one === written)
  if (word) return word
  const [, fromDay, fromTime = '', toDay, toTime = ''] =
    /^(?:(\w{3}) )?(\d\d:\d\d)-(?:(\w{3}) )?(\d\d:\d\d)$/.exec(written) ?? []
  const from = edge(fromDay, fromTime)
  const to = edge(toDay, toTime)
  const fits = from && to && (from.day === null) === (to.day === null)
  if (!fits || (from.day === to.day && from.minute === to.minute))
    throw new Error(
      `a quiet window: expected 21:00-08:00, "fri 15:00-sat 20:30", shabbat or holidays, found "${written}"`,
    )
  return { from, to }
}

const edge = (day: string | undefined, time: string): Edge | null => {
  const [hour = 24, minute = 60] = time.split(':').map(Number)
  if (hour > 23 || minute > 59) return null
  if (day === undefined) return { day: null, minute: hour * 60 + minute }
  const number = DAYS.indexOf(day) + 1
  return number ? { day: number, minute: hour * 60 + minute } : null
}

const parsed = new Map<string, QuietWindow>()
const parseCached = (written: string): QuietWindow => {
  const window = parsed.get(written) ?? parseQuietWindow(written)
  parsed.set(written, window)
  return window
}

/** When a tenant sends no messages: columns of `tenants`. */
export type QuietSettings = {
  timezone: string
  /** Where the sun sets for `shabbat` and `holidays`. */
  location: string
  quietWindows: readonly string[]
  /** For reminders, in addition to those above. */
  reminderQuietWindows: readonly string[]
}

/** The windows that hold back one kind of message. */
export type QuietTimes = { timezone: string; location: string; windows: readonly string[] }

/**
 * A test, a reply by hand and the confirmation of an opt-out answer what a person did, so they are never held back. Notices to
 * the owner wait for the end of Shabbat and holidays only.
 */
export const quietTimesOf = (
  kind: OutgoingKind,
  { timezone, location, quietWindows, reminderQuietWindows }: QuietSettings,
): QuietTimes => {
  const isReminder = kind === 'reminder_1' || kind === 'reminder_2'
  const all = [...quietWindows, ...reminderQuietWindows]
  const windows = isReminder
    ? all
    : kind === 'initial'
      ? quietWindows
      : kind === 'owner_notice'
        ? CALENDAR_WORDS.filter(word => all.includes(word))
        : []
  return { timezone, location, windows }
}

/**
 * The first time from `due` on at which a message may be sent: `due` itself, or the end of the windows that it is in.
 * By local time, so that 08:00 stays 08:00 on the night when the clocks change. The end is not part of a window.
 *
 * @param person their number. After Shabbat or a holiday it decides how many minutes later the message is due
 */
export const firstAllowed = (
  due: Date,
  { windows, timezone, location }: QuietTimes,
  person = '',
): Date => {
  const zone = zoneOf(timezone)
  const quiet = windows.map(parseCached)
  const endOf = (window: QuietWindow, moment: Date): Date | null => {
    if (typeof window !== 'string') return clockEnd(window, moment, zone)
    const end = holyEnd(moment, window, location)
    return end && new Date(end.getTime() + spreadOf(person))
  }
  let moment = due
  // Each turn leaves one window. Windows that cover the whole week never end; then the message is due in weeks.
  for (let turns = 0; turns <= windows.length * 8; turns++) {
    const end = quiet.map(window => endOf(window, moment)).find(end => end !== null)
    if (!end) return moment
    moment = end
  }
  return moment
}

/** The time until which a notice to the owner waits. Null = it is sent now. Its windows may have been set since it was due. */
export const noticeWaits = (now: Date, due: Date, quiet: QuietTimes, owner: string): Date | null =>
  [now, due].map(at => firstAllowed(at, quiet, owner)).find(end => end > now) ?? null

/** Whether a time is in one of the windows. */
export const isQuiet = (moment: Date, { windows, timezone, location }: QuietTimes): boolean => {
  const wall = wallOf(moment, zoneOf(timezone))
  return windows
    .map(parseCached)
    .some(window =>
      typeof window === 'string'
        ? holyEnd(moment, window, location) !== null
        : place(window, wall).holds,
    )
}

/** After Shabbat or a holiday, messages are due over this time: all at once would be more than WhatsApp accepts. */
const SPREAD_SECONDS = 5 * 60
const SECOND = 1000

/** The same for a person each time, so that deciding again gives the same time: an FNV-1a hash. */
const spreadOf = (person: string): number => {
  let hash = 0x811c9dc5
  for (const character of personOf(person)) {
    hash ^= character.codePointAt(0) ?? 0
    hash = Math.imul(hash, 0x01000193)
  }
  return ((hash >>> 0) % (SPREAD_SECONDS + 1)) * SECOND
}

/** The local time, as a Date whose UTC fields hold it. luxon takes ten times as long. */
const wallOf = (moment: Date, zone: Zone): Date =>
  new Date(moment.getTime() + zone.offset(moment.getTime()) * MINUTE)

/** The window's end, the local time, both in minutes of the day or week, and whether the window holds that time. */
const place = ({ from, to }: ClockWindow, wall: Date) => {
  const minuteOf = (day: number | null, minute: number) => ((day ?? 1) - 1) * MINUTES_A_DAY + minute
  const day = from.day === null ? null : wall.getUTCDay() || SUNDAY
  const now = minuteOf(day, wall.getUTCHours() * 60 + wall.getUTCMinutes())
  const start = minuteOf(from.day, from.minute)
  const end = minuteOf(to.day, to.minute)
  return { now, end, holds: start < end ? now >= start && now < end : now >= start || now < end }
}

/** When a clock window that holds this time ends. Null = it does not hold it. */
const clockEnd = (window: ClockWindow, moment: Date, zone: Zone): Date | null => {
  const { now, end, holds } = place(window, wallOf(moment, zone))
  if (!holds) return null
  const period = window.from.day === null ? 1 : 7
  const daysAhead =
    Math.floor(end / MINUTES_A_DAY) - Math.floor(now / MINUTES_A_DAY) + (end <= now ? period : 0)
  const ends = DateTime.fromJSDate(moment, { zone })
    .startOf('day')
    .plus({ days: daysAhead })
    .set({ hour: Math.floor(window.to.minute / 60), minute: window.to.minute % 60 })
    .toJSDate()
  // In the hour that comes twice in autumn, the end may have passed already.
  return ends > moment ? ends : null
}
