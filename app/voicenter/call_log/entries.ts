import {
  canonical,
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
  readJson,
} from '../../json.ts'
import { type BodyElement, readCdr } from '../parse.ts'

/** Which calls are asked for: those that began from `from` up to `until`. */
export type Window = { from: Date; until: Date }

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A call enters the log, and its webhook comes, minutes after its end. Sooner there is nothing to compare. */
const MARGIN = 5 * MINUTE

/** How far every check looks behind the one before: a call that lasts hours began long before it is logged. */
const OVERLAP = 6 * HOUR

/** After a long time away one day at a time, so that what was reached is kept ("daily chunks", Voicenter). */
const LONGEST = 24 * HOUR

/** No check comes so late unless we were away. */
const AWAY = 90 * MINUTE

/**
 * What the next check has to look at, and when the one after it is due: at once where more is left than this
 * one takes; soon where we were away, for the webhooks of the last minutes were lost too; else in its turn.
 */
export const windowOf = (
  { watchedSince, checkedUntil }: { watchedSince: Date; checkedUntil: Date },
  now: Date,
): Window & { next: 'at_once' | 'soon' | 'in_turn' } => {
  const latest = now.getTime() - MARGIN
  const until = Math.min(latest, checkedUntil.getTime() + LONGEST)
  const from = Math.max(watchedSince.getTime(), checkedUntil.getTime() - OVERLAP)
  return {
    // A moment too many rather than a window of nothing: it would be refused.
    from: new Date(Math.min(from, until - MINUTE)),
    until: new Date(until),
    next: until < latest ? 'at_once' : latest - checkedUntil.getTime() > AWAY ? 'soon' : 'in_turn',
  }
}

/** The two halves of a window with more calls than one answer holds, the earlier first. */
export const halves = ({ from, until }: Window): [Window, Window] => {
  const middle = new Date((from.getTime() + until.getTime()) / 2)
  return [
    { from, until: middle },
    { from: middle, until },
  ]
}

/** What Voicenter's call log answered. `whole` = everything that was asked for, and not only its first part. */
export type Answer =
  | { kind: 'records'; records: Json[]; whole: boolean }
  /** `why` is a word of ours; `passing` = worth asking again in a few minutes. */
  | { kind: 'failed'; why: string; passing: boolean }

/** The most records that one answer holds ("Call Log" page). */
export const MOST_RECORDS = 10_000

/** ERROR_NUMBER as the "Call Log" page lists them. */
const ERRORS: Record<string, [why: string, passing: boolean]> = {
  '1': ['rate_limited', true],
  '2': ['unauthorized', false],
  '4': ['address_not_allowed', false],
  '5': ['date_range', false],
}

/**
 * Reads an answer. Its ERROR_NUMBER counts before the HTTP status, of which nobody says whether it is the
 * STATUS_CODE inside. ERROR_DESCRIPTION is left alone: nobody promises that it does not quote the request.
 */
export const readAnswer = (status: number, text: string): Answer => {
  const json = readJson(text)
  const fields = new Map(
    'value' in json && isObject(json.value)
      ? Object.entries(json.value).map(([name, value]) => [name.toLowerCase(), value])
      : [],
  )
  const error = written(fields.get('error_number'))
  if (error !== '' && Number(error) !== 0) {
    const number = /^\d{1,9}$/.test(error) ? `error_${error}` : 'refused'
    const [why, passing] = ERRORS[error] ?? [number, false]
    return { kind: 'failed', why, passing }
  }
  if (status === 401 || status === 403) return failed('unauthorized')
  if (status === 429) return failed('rate_limited', true)
  if (status < 200 || status >= 300) return failed(`http_${status}`, status >= 500)
  const hits = Number(written(fields.get('total_hits')))
  // Of an hour without a call there may be no list at all.
  const list = fields.get('cdr_list') ?? (error !== '' && hits === 0 ? [] : null)
  if (!Array.isArray(list)) return failed('unreadable_answer', true)
  return {
    kind: 'records',
    records: list,
    whole: hits <= list.length && list.length < MOST_RECORDS,
  }
}

const failed = (why: string, passing = false): Answer => ({ kind: 'failed', why, passing })

/** A number may be written as text. */
const written = (value: Json | undefined): string => {
  if (value instanceof LosslessNumber) return value.source
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
}

/** A record of the call log, and what it becomes at our door. */
export type Logged = {
  /** Null = it names no call: it stands for itself. */
  callId: string | null
  element: BodyElement
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
