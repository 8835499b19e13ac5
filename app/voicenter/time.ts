/**
 * When a call began.
 * - `shifted`: its time was Israel's wall clock written as if it were UTC
 * - `plain`: its time was a true instant
 * - `received`: its own time could not be trusted; `at` is the moment the record reached us
 */
export type Start = { at: Date; clock: 'shifted' | 'plain' | 'received' }

const MINUTE = 60_000
const HOUR = 60 * MINUTE

// Israel is two hours ahead of UTC, in summer three.
const WINTER = 2 * HOUR
const SUMMER = 3 * HOUR

/** Voicenter draws up the call id a few seconds before `time`; a queue or an IVR may lie between. */
const NEAR_HEAD = 15 * MINUTE

/** How far the exchange's clock may be ahead of ours. */
const SKEW = 5 * MINUTE

/** A time before this is a default value or a mistake. */
const OLDEST = Date.UTC(2020, 0, 1)

/** Above this a number is milliseconds: as seconds it would be the year 33658. */
const MILLISECONDS = 1e12

// Made once: making a formatter takes far longer than formatting.
const hourInIsrael = new Intl.DateTimeFormat('en', {
  timeZone: 'Asia/Jerusalem',
  hour: 'numeric',
  hourCycle: 'h23',
})

/** `digits` (YYYYMMDDHHmmss) read as UTC in ms, or null where they are no date: February 30, 25:00. */
const asUtc = (digits: string): number | null => {
  const iso = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6.000Z')
  const at = Date.parse(iso)
  return !Number.isNaN(at) && new Date(at).toISOString() === iso ? at : null
}

const NUMBER = /^\d+(?:\.\d+)?(?:e\+?\d+)?$/i
const DATE =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s?(?:(Z)|([+-])(0\d|1[0-4])(?::?([0-5]\d))?)?$/i

type Reading = { ms: number; zoned: boolean }

/** A number of seconds or milliseconds, or a date; `ms` of a date without a zone is read as UTC. */
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

/** The instant at which Israel's wall clocks showed the time that `wall` shows in UTC. */
const fromWall = (wall: number): number => {
  const shown = new Date(wall).getUTCHours()
  // Winter time first: of the hour that occurs twice in October it is the later one. The hour that
  // March leaves out fits neither, and is counted on from winter time as clocks would have done.
  const offset = [WINTER, SUMMER].find(o => Number(hourInIsrael.format(wall - o)) === shown)
  return wall - (offset ?? WINTER)
}

/**
 * Which clock an epoch was taken from. Voicenter's CDR Notification page says "Epoch, Israel
 * timezone", which leaves both open. The call id decides: it begins with 14 digits of Israel's wall
 * clock. Shorter heads exist; without one, only a time that has not come yet gives itself away.
 */
const clockOf = (raw: number, callId: string, now: number): 'shifted' | 'plain' => {
  const head = asUtc(/^\d{14}/.exec(callId)?.[0] ?? '')
  const near = (wall: number): boolean => Math.abs(raw - wall) <= NEAR_HEAD
  if (head !== null && near(head)) return 'shifted'
  if (head !== null && (near(head - WINTER) || near(head - SUMMER))) return 'plain'
  return raw > now + SKEW ? 'shifted' : 'plain'
}

/**
 * When the call of a record began, never after `receivedAt`. `time` as the record wrote it: seconds,
 * milliseconds, or a date with or without a zone. A past time stays as old as it is, so that a call
 * delivered late is seen to be late.
 */
export const startOf = (
  { callId, time }: { callId: string; time: string | null },
  receivedAt: Date,
): Start => {
  const now = receivedAt.getTime()
  const raw = read(time ?? '')
  // Neither clock could bring back what is further ahead, and Intl throws on what is no date at all.
  if (!raw || raw.ms < OLDEST || raw.ms > now + SKEW + SUMMER)
    return { at: receivedAt, clock: 'received' }

  const clock = raw.zoned ? 'plain' : clockOf(raw.ms, callId, now)
  const at = clock === 'shifted' ? fromWall(raw.ms) : raw.ms
  if (at > now + SKEW) return { at: receivedAt, clock: 'received' }
  return { at: new Date(Math.min(at, now)), clock }
}
