import { canonical, LosslessNumber, isObject, type Json, type JsonObject } from '../../json.ts'
import type { Element } from '../body.ts'
import { readCdr } from '../cdr.ts'

/** A record of the call log, and what it becomes at our door. */
export type Logged = {
  /** Null = it names no call: it stands for itself. */
  callId: string | null
  element: Element
}

/**
 * A record of the call log as one that a webhook might have brought: the same reader takes its names
 * (CallID, CallerNumber, DialStatus, CdrType ...), so that it is judged by the same rules.
 *
 * Only its time is written anew, and that with its zone. The log's clock is GMT ("Call Log" page) where
 * the webhook's is most likely Israel's, and a record at rest no longer says where it came from.
 *
 * @param until what began later was not asked for. A time that lies there is on another clock, and would make
 * an old call look fresh.
 */
export const readLogged = (logged: Json, until: Date): Logged => {
  const bytes = Buffer.from(canonical(logged))
  if (!isObject(logged)) return { callId: null, element: { bytes, wrong: 'not an object' } }
  const callId = callIdOf(logged)
  const beganAt = instantOf(valueOf(logged, 'date')) ?? epochOf(valueOf(logged, 'dateepoch'))
  if (beganAt === null) return { callId, element: { bytes, wrong: 'no time (Date or DateEpoch)' } }
  if (beganAt > until.getTime())
    return { callId, element: { bytes, wrong: 'its time is later than what was asked for' } }
  const record = {
    ...Object.fromEntries(
      Object.entries(logged).filter(([name]) => !TIMES.includes(name.toLowerCase())),
    ),
    Date: new Date(beganAt).toISOString(),
  }
  const read = readCdr(record)
  return { callId, element: 'wrong' in read ? { bytes, wrong: read.wrong } : { bytes, record } }
}

/** Names under which our reader takes a time. */
const TIMES = ['time', 'date', 'dateepoch']

/** Real accounts are said to answer with all names in small letters. */
const valueOf = (record: JsonObject, name: string): string => {
  const [, value = null] = Object.entries(record).find(([key]) => key.toLowerCase() === name) ?? []
  if (value instanceof LosslessNumber) return value.source
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
}

const callIdOf = (record: JsonObject): string | null => {
  const callId = valueOf(record, 'callid')
  // Postgres takes no NUL, not even to look for one: our reader refuses such a record, and it stands for itself.
  return callId === '' || callId === '0' || callId.includes('\0') ? null : callId
}

const DATE = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)\d*\s?(Z|[+-]\d\d:?\d\d)?$/i

/** An ISO date as ms; without a zone it is GMT all the same. */
const instantOf = (written: string): number | null => {
  const [, date, time, zone = 'Z'] = DATE.exec(written) ?? []
  const at = Date.parse(`${date}T${time}${zone.replace(/^(...)(\d\d)$/, '$1:$2').toUpperCase()}`)
  return Number.isNaN(at) ? null : at
}

/** Seconds since 1970 as ms. */
const epochOf = (written: string): number | null =>
  /^[1-9]\d{8,10}$/.test(written) ? Number(written) * 1000 : null
