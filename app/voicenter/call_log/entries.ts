/** Reads answers of Voicenter's Call Log API, and decides which calls to request. */
import {
  asObject,
  canonical,
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
} from '../../json.ts'
import type { BodyElement } from '../body.ts'
import { readCdr } from '../parse.ts'

/** The calls that began between `from` and `until`. */
export type Window = { from: Date; until: Date }

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A call enters the log, and its webhook arrives, minutes after its end. Before that there is nothing to compare. */
export const MARGIN = 5 * MINUTE

/** How far a check overlaps the previous one: a call of several hours began long before it enters the log. */
const OVERLAP = 6 * HOUR

/** After a long outage, one day at a time, so that each day's result is kept (Voicenter asks for "daily chunks"). */
const MAX_WINDOW = 24 * HOUR

/** A check is this late only after an outage. */
const OUTAGE = 90 * MINUTE

/**
 * The window of the next check, and when the check after it is due. It is due at once if this window does not reach the
 * present. After an outage it is due soon, because webhooks of its last minutes may be lost too.
 */
export const windowOf = (
  { watchedSince, checkedUntil }: { watchedSince: Date; checkedUntil: Date },
  now: Date,
): Window & { next: 'at_once' | 'soon' | 'in_turn' } => {
  const latest = now.getTime() - MARGIN
  const until = Math.min(latest, checkedUntil.getTime() + MAX_WINDOW)
  const from = Math.max(watchedSince.getTime(), checkedUntil.getTime() - OVERLAP)
  return {
    // Voicenter rejects an empty window.
    from: new Date(Math.min(from, until - MINUTE)),
    until: new Date(until),
    next:
      until < latest ? 'at_once' : latest - checkedUntil.getTime() > OUTAGE ? 'soon' : 'in_turn',
  }
}

/** The two halves of a window with more calls than one answer can hold, the earlier one first. */
export const halves = ({ from, until }: Window): [Window, Window] => {
  const middle = new Date((from.getTime() + until.getTime()) / 2)
  return [
    { from, until: middle },
    { from: middle, until },
  ]
}

/** An answer of Voicenter's Call Log. `isComplete`: it holds all the calls of the window, not only the first ones. */
export type Answer = { kind: 'records'; records: Json[]; isComplete: boolean } | Failure

/** `why` is one of Ringback's own words. `retrySoon`: the request may succeed in a few minutes. */
export type Failure = { kind: 'failed'; why: string; retrySoon: boolean }

/** The maximum in one answer ("Call Log" page). */
export const MAX_RECORDS = 10_000

/** ERROR_NUMBER as the "Call Log" page lists them. */
const ERRORS: Record<string, [why: string, retrySoon: boolean]> = {
  '1': ['rate_limited', true],
  '2': ['unauthorized', false],
  '4': ['address_not_allowed', false],
  '5': ['date_range', false],
}

/**
 * ERROR_NUMBER takes precedence over the HTTP status: Voicenter does not document whether that equals the STATUS_CODE
 * in the answer. ERROR_DESCRIPTION is ignored, because it may quote the request and so the credential.
 */
export const readAnswer = (status: number, text: string): Answer => {
  const fields = new Map(
    Object.entries(asObject(text) ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const error = textOf(fields.get('error_number'))
  if (error !== '' && Number(error) !== 0) {
    const number = /^\d{1,9}$/.test(error) ? `error_${error}` : 'refused'
    const [why, retrySoon] = ERRORS[error] ?? [number, false]
    return failed(why, retrySoon)
  }
  if (status === 401 || status === 403) return failed('unauthorized')
  if (status === 429) return failed('rate_limited', true)
  if (status < 200 || status >= 300) return failed(`http_${status}`, status >= 500)
  const hits = Number(textOf(fields.get('total_hits')))
  // Without any calls, the list may be missing.
  const list = fields.get('cdr_list') ?? (error !== '' && hits === 0 ? [] : null)
  if (!Array.isArray(list)) return failed('unreadable_answer', true)
  return {
    kind: 'records',
    records: list,
    isComplete: hits <= list.length && list.length < MAX_RECORDS,
  }
}

const failed = (why: string, retrySoon = false): Failure => ({ kind: 'failed', why, retrySoon })

/** The text of a value. Voicenter may write a number as text. */
const textOf = (value: Json | undefined): string => {
  if (value instanceof LosslessNumber) return value.source
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
}

/** A CDR of the call log in the form in which it is ingested. */
export type LogEntry = {
  /** Null: it has no call id and stands for itself. */
  callId: string | null
  element: BodyElement
}

/**
 * Converts a CDR of the call log to one as a webhook brings it. `readCdr` knows its names (CallID, CallerNumber,
 * DialStatus, CdrType ...), so the same rules apply.
 *
 * Only the time is rewritten, with its zone. The log's times are GMT ("Call Log" page), but a webhook's are most likely
 * Israel's wall clock, and a stored CDR does not show where it came from.
 *
 * @param until the end of the window. A later time was not requested: it must come from another clock, and would make
 * an old call look new.
 */
export const readEntry = (logged: Json, until: Date): LogEntry => {
  const bytes = Buffer.from(canonical(logged))
  if (!isObject(logged)) return { callId: null, element: { bytes, wrong: 'not an object' } }
  const callId = callIdOf(logged)
  const beganAt = instantOf(valueOf(logged, 'date')) ?? epochOf(valueOf(logged, 'dateepoch'))
  if (beganAt === null) return { callId, element: { bytes, wrong: 'no time (Date or DateEpoch)' } }
  if (beganAt > until.getTime())
    return { callId, element: { bytes, wrong: 'its time is later than what was asked for' } }
  const record = {
    ...Object.fromEntries(
      Object.entries(logged).filter(([name]) => !TIME_NAMES.includes(name.toLowerCase())),
    ),
    Date: new Date(beganAt).toISOString(),
  }
  const read = readCdr(record)
  return { callId, element: 'wrong' in read ? { bytes, wrong: read.wrong } : { bytes, record } }
}

/** The names that `readCdr` reads a time from. */
const TIME_NAMES = ['time', 'date', 'dateepoch']

/** Integrators report that real accounts return all names in lower case. */
const valueOf = (record: JsonObject, name: string): string =>
  textOf(Object.entries(record).find(([key]) => key.toLowerCase() === name)?.[1])

const callIdOf = (record: JsonObject): string | null => {
  const callId = valueOf(record, 'callid')
  // Postgres does not accept NUL, not even in a query. `readCdr` rejects such a CDR, so it stands for itself.
  return callId === '' || callId === '0' || callId.includes('\0') ? null : callId
}

const DATE = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)\d*\s?(Z|[+-]\d\d:?\d\d)?$/i

/** Reads an ISO date, in ms. Without a zone it is GMT too. */
const instantOf = (text: string): number | null => {
  const [, date, time, zone = 'Z'] = DATE.exec(text) ?? []
  const at = Date.parse(`${date}T${time}${zone.replace(/^(...)(\d\d)$/, '$1:$2').toUpperCase()}`)
  return Number.isNaN(at) ? null : at
}

/** Reads seconds since 1970, in ms. */
const epochOf = (text: string): number | null =>
  /^[1-9]\d{8,10}$/.test(text) ? Number(text) * 1000 : null
