import { LosslessNumber, isObject, type Json, readJson } from '../../json.ts'

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
