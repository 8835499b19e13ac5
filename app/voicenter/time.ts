/**
 * When a call began, and how its time was read.
 * - `shifted`: Israel's wall clock, written as if it were UTC
 * - `plain`: a true instant
 * - `received`: the record's own time was not plausible; `at` is when the record arrived
 */
export type Start = { at: Date; clock: 'shifted' | 'plain' | 'received' }

const MINUTE = 60_000
const HOUR = 60 * MINUTE

// Israel is two hours ahead of UTC, and three in summer.
const WINTER = 2 * HOUR
const SUMMER = 3 * HOUR

/** Voicenter creates the call id a few seconds before `time`, or minutes before it if a queue or an IVR comes first. */
const NEAR_HEAD = 15 * MINUTE

/** How far the phone system's clock may be ahead of ours. */
const SKEW = 5 * MINUTE

/** An earlier time is a default value or an error. */
const OLDEST = Date.UTC(2020, 0, 1)

/** A larger number is in milliseconds: in seconds it would be the year 33658. */
const MILLISECONDS = 1e12

// Created once, because creating a formatter takes far longer than formatting.
const hourInIsrael = new Intl.DateTimeFormat('en', {
  timeZone: 'Asia/Jerusalem',
  hour: 'numeric',
  hourCycle: 'h23',
})

/** Reads `digits` (YYYYMMDDHHmmss) as UTC, in ms. Null for a date that does not exist, such as February 30 or 25:00. */
const asUtc = (digits: string): number | null => {
  const iso = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6.000Z')
  const at = Date.parse(iso)
  return !Number.isNaN(at) && new Date(at).toISOString() === iso ? at : null
}

const NUMBER = /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i
const DATE =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s?(?:(Z)|([+-])(0\d|1[0-4])(?::?([0-5]\d))?)?$/i

type Reading = { ms: number; zoned: boolean }

/** Reads a number of seconds or milliseconds, or a date. A date without a zone is read as UTC. */
const read = (time: string): Reading | null => {
  const text = time.trim()
  if (NUMBER.test(text)) {
    const value = Number(text)
    return { ms: value > MILLISECONDS ? value : value * 1000, zoned: false }
  }
  const parts = DATE.exec(text)
  if (!parts) return null
  const [, year, month, day, hour, minute, second = '00', z, sign, hours, minutes = '0'] = parts
  const ms = asUtc(`${year}${month}${day}${hour}${minute}${second}`)
  if (ms === null) return null
  if (!sign) return { ms, zoned: z !== undefined }
  const offset = Number(hours) * HOUR + Number(minutes) * MINUTE
  return { ms: sign === '+' ? ms - offset : ms + offset, zoned: true }
}

/** The instant at which clocks in Israel showed the time that `wall` shows in UTC. */
const fromWall = (wall: number): number => {
  const shown = new Date(wall).getUTCHours()
  // Winter time is tried first: for the hour that occurs twice in October, this gives the later instant. The hour that
  // is skipped in March fits neither offset and is read with winter time.
  const offset = [WINTER, SUMMER].find(o => Number(hourInIsrael.format(wall - o)) === shown)
  return wall - (offset ?? WINTER)
}

/**
 * Decides how an epoch was written. Voicenter's CDR Notification page says "Epoch, Israel timezone", which permits
 * both readings. The call id decides: it begins with 14 digits of Israel's wall clock. Some call ids begin with fewer
 * digits. Then only a time in the future shows that it is shifted.
 */
const clockOf = (raw: number, callId: string, now: number): 'shifted' | 'plain' => {
  const head = asUtc(/^\d{14}/.exec(callId)?.[0] ?? '')
  const near = (wall: number): boolean => Math.abs(raw - wall) <= NEAR_HEAD
  if (head !== null && near(head)) return 'shifted'
  if (head !== null && (near(head - WINTER) || near(head - SUMMER))) return 'plain'
  return raw > now + SKEW ? 'shifted' : 'plain'
}

/**
 * When the call of a record began; never after `receivedAt`. A past time is kept however old it is, so that a call
 * that is delivered late counts as late.
 *
 * @param time as written in the record: seconds, milliseconds, or a date with or without a zone
 */
export const startOf = (
  { callId, time }: { callId: string; time: string | null },
  receivedAt: Date,
): Start => {
  const now = receivedAt.getTime()
  const raw = read(time ?? '')
  // No reading could make a later time plausible, and Intl throws on an invalid date.
  if (!raw || raw.ms < OLDEST || raw.ms > now + SKEW + SUMMER)
    return { at: receivedAt, clock: 'received' }

  const clock = raw.zoned ? 'plain' : clockOf(raw.ms, callId, now)
  const at = clock === 'shifted' ? fromWall(raw.ms) : raw.ms
  if (at > now + SKEW) return { at: receivedAt, clock: 'received' }
  return { at: new Date(Math.min(at, now)), clock }
}
