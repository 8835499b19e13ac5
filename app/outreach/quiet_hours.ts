import { DateTime, IANAZone, type Zone } from 'luxon'

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
type QuietWindow = { from: Edge; to: Edge }

/** luxon counts weekdays from Monday = 1 to Sunday = 7. */
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const SUNDAY = 7
const MINUTE = 60_000
const MINUTES_A_DAY = 24 * 60

/**
 * Parses `21:00-08:00` (every day) or `fri 15:00-sat 20:30` (once a week).
 *
 * @throws Error for anything else, and for an empty window
 */
export const parseQuietWindow = (written: string): QuietWindow => {
  const [, fromDay, fromTime = '', toDay, toTime = ''] =
    /^(?:(\w{3}) )?(\d\d:\d\d)-(?:(\w{3}) )?(\d\d:\d\d)$/.exec(written) ?? []
  const from = edge(fromDay, fromTime)
  const to = edge(toDay, toTime)
  const fits = from && to && (from.day === null) === (to.day === null)
  if (!fits || (from.day === to.day && from.minute === to.minute))
    throw new Error(
      `a quiet window: expected 21:00-08:00 or "fri 15:00-sat 20:30", found "${written}"`,
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

/**
 * The first time from `due` on at which a message may be sent: `due` itself, or the end of the windows that it is in.
 * By local time, so that 08:00 stays 08:00 on the night when the clocks change. The end is not part of a window.
 */
export const firstAllowed = (due: Date, windows: readonly string[], timezone: string): Date => {
  const quiet = windows.map(parseCached)
  const zone = zoneOf(timezone)
  let moment = due
  // Each turn leaves one window. Windows that cover the whole week never end; then the message is due in weeks.
  for (let turns = 0; turns <= windows.length * 8; turns++) {
    const end = quiet.map(window => endOf(window, moment, zone)).find(end => end !== null)
    if (!end) return moment
    moment = end
  }
  return moment
}

/** Whether a time is in one of the windows. */
export const isQuiet = (moment: Date, windows: readonly string[], timezone: string): boolean => {
  const wall = wallOf(moment, zoneOf(timezone))
  return windows.some(window => place(parseCached(window), wall).holds)
}

/** The local time, as a Date whose UTC fields hold it. luxon takes ten times as long. */
const wallOf = (moment: Date, zone: Zone): Date =>
  new Date(moment.getTime() + zone.offset(moment.getTime()) * MINUTE)

/** The window's end, the local time, both in minutes of the day or week, and whether the window holds that time. */
const place = ({ from, to }: QuietWindow, wall: Date) => {
  const minuteOf = (day: number | null, minute: number) => ((day ?? 1) - 1) * MINUTES_A_DAY + minute
  const day = from.day === null ? null : wall.getUTCDay() || SUNDAY
  const now = minuteOf(day, wall.getUTCHours() * 60 + wall.getUTCMinutes())
  const start = minuteOf(from.day, from.minute)
  const end = minuteOf(to.day, to.minute)
  return { now, end, holds: start < end ? now >= start && now < end : now >= start || now < end }
}

/** When a window that holds this time ends. Null = it does not hold it. */
const endOf = (window: QuietWindow, moment: Date, zone: Zone): Date | null => {
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
