import { DateTime, IANAZone, type Zone } from 'luxon'

const QUARTER = 15 * 60_000
/** Months of them: the oldest are not asked for again. */
const MOST = 20_000

/**
 * A time zone that remembers its offsets. luxon asks Intl anew each time, which takes as long as all the rest of a
 * decision. Clocks change on a quarter of an hour (in UTC), everywhere and since long before there were webhooks.
 */
class CachedZone extends IANAZone {
  readonly #offsets = new Map<number, number>()

  override offset(ms: number): number {
    const quarter = Math.floor(ms / QUARTER)
    const known = this.#offsets.get(quarter)
    if (known !== undefined) return known
    if (this.#offsets.size >= MOST) this.#offsets.clear()
    const offset = super.offset(ms)
    this.#offsets.set(quarter, offset)
    return offset
  }
}

const zones = new Map<string, CachedZone>()

/** @param timezone as `tenants.timezone` has it: Asia/Jerusalem */
export const zoneOf = (timezone: string): IANAZone => {
  const zone = zones.get(timezone) ?? new CachedZone(timezone)
  zones.set(timezone, zone)
  return zone
}

/** Times in which nobody is written to. Both ends are wall clock; `day` only of a weekly window. */
type Edge = { day: number | null; minute: number }
type QuietWindow = { from: Edge; to: Edge }

/** luxon counts weekdays from Monday = 1 to Sunday = 7. */
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const SUNDAY = 7
const MINUTE = 60_000
const MINUTES_A_DAY = 24 * 60

/**
 * `21:00-08:00` (every day) or `fri 15:00-sat 20:30` (once a week).
 *
 * @throws Error for anything else, and for a window without length
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

const known = new Map<string, QuietWindow>()
const remembered = (written: string): QuietWindow => {
  const window = known.get(written) ?? parseQuietWindow(written)
  known.set(written, window)
  return window
}

/**
 * The first moment from `due` on at which somebody may be written to: `due` itself, or the end of the
 * window it falls into, and of those that join it. On the wall clock of `timezone`, so that eight in
 * the morning stays eight on the night the clocks change. A window's end belongs to it no more.
 */
export const firstAllowed = (due: Date, windows: readonly string[], timezone: string): Date => {
  const quiet = windows.map(remembered)
  const zone = zoneOf(timezone)
  let moment = due
  // Each turn leaves one window. Windows that cover the whole week would never end: then it is due in weeks.
  for (let turns = 0; turns <= windows.length * 8; turns++) {
    const end = quiet.map(window => endOf(window, moment, zone)).find(end => end !== null)
    if (!end) return moment
    moment = end
  }
  return moment
}

/** Whether this moment falls into one of the windows. */
export const isQuiet = (moment: Date, windows: readonly string[], timezone: string): boolean => {
  const wall = wallOf(moment, zoneOf(timezone))
  return windows.some(window => place(remembered(window), wall).holds)
}

/** What the clocks on the wall show, read as UTC. luxon, which knows all about clocks, takes ten times as long. */
const wallOf = (moment: Date, zone: Zone): Date =>
  new Date(moment.getTime() + zone.offset(moment.getTime()) * MINUTE)

/** Where a window begins and ends, and where in it we are, in minutes of its day or week. */
const place = ({ from, to }: QuietWindow, wall: Date) => {
  const minuteOf = (day: number | null, minute: number) => ((day ?? 1) - 1) * MINUTES_A_DAY + minute
  const day = from.day === null ? null : wall.getUTCDay() || SUNDAY
  const now = minuteOf(day, wall.getUTCHours() * 60 + wall.getUTCMinutes())
  const start = minuteOf(from.day, from.minute)
  const end = minuteOf(to.day, to.minute)
  return { now, end, holds: start < end ? now >= start && now < end : now >= start || now < end }
}

/** When the window that holds this moment ends; null if it does not hold it. */
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
  // In the hour that comes twice in autumn the end has passed once already.
  return ends > moment ? ends : null
}
