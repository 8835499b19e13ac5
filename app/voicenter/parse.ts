/** Reads the fields of a CDR. Voicenter has several names for each. */
import { z } from 'zod'
import {
  asObject,
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
  storable,
} from '../json.ts'
import { dialledLine, isPlaceholder, readPhone } from '../phone.ts'
import { callKind, isNotInbound } from './call_kind.ts'
import { isDate, isTime } from './time.ts'

/**
 * The names that are read, each with its place in `Values`. A CDR has three times as many fields. The others are
 * ignored.
 */
const PLACES = new Map<string, number>()

const placeOf = (name: string): number => {
  const place = PLACES.get(name) ?? PLACES.size
  PLACES.set(name, place)
  return place
}
const named = (...names: string[]): readonly number[] => names.map(placeOf)

/**
 * The names of each field, in order of precedence: the first name that has a value counts. A name must match as a
 * whole. Upper and lower case do not matter. The lower-case names come from the push (Voicenter's "CDR Notification" page). CallID,
 * DialStatus, CallerNumber and the like come from the Call Log API and from accounts that were set up after it.
 * `ivruniqueid` precedes `CallID` because a dialer's CDR has both, with different values.
 */
const FIELDS = {
  callId: named('ivruniqueid', 'ivrid', 'ivr_unique_id', 'callid'),
  rootCallId: named('originalivruniqueid', 'customdata.originalivruniqueid'),
  status: named('status', 'dialstatus'),
  caller: named('callerphone', 'caller', 'callernumber', 'phone', 'caller_id'),
  did: named('did'),
  // In an outgoing call, the tenant's number that the customer sees. `callerPhone` has another meaning there.
  numberShown: named('caller', 'callernumber'),
  target: named('target', 'targetnumber'),
  time: named('time', 'dateepoch', 'date'),
  type: named('type', 'cdrtype'),
  direction: named('direction'),
  isAnswer: named('isanswer', 'isanswered'),
  talkSeconds: named('actualcallduration', 'duration'),
  actualTalkSeconds: named('actualcallduration'),
  /** In the CDRs of a queue it may be, or include, the time of waiting. */
  duration: named('duration'),
  waitingSeconds: named('seconds_waiting_in_queue'),
  ringSeconds: named('actualcalldialtime', 'dialtime', 'ringtime'),
  agent: named('extenuser', 'targetextension'),
  callerExtension: named('callerextension'),
  representative: named('representative_name', 'representativename'),
}
type Field = keyof typeof FIELDS
const STATUS = placeOf('status')
const CUSTOM_DATA = placeOf('customdata')
PLACES.set('custom_data', CUSTOM_DATA)

/** In ids, phone numbers and extensions 0 means "none", like an empty string. In durations 0 is a value. */
const ZERO_IS_BLANK = new Set<Field>([
  'callId',
  'rootCallId',
  'caller',
  'did',
  'numberShown',
  'target',
  'agent',
  'callerExtension',
])

/** These are filled only in some calls. For the others a phone system may write a default value. */
const OPTIONAL = new Set<Field>(['rootCallId', 'agent', 'callerExtension', 'representative'])

/** Default values that mean "none" in these fields: -1, false, unknown, not available, and a GUID of zeros. */
const DEFAULT_VALUE =
  /^(?:-1(?:\.0+)?|[([{<"']*(?:false|unknown|none\.|not available|not applicable|no agent|לא ידוע)[)\]}>"']*|[{(]?0+(?:-0+)+[)}]?)$/i

/** null = present but blank, absent = not in the CDR. For an agent the difference matters. */
const text = z.string().nullish()
const count = z.number().nullable()

/** One call detail record: the fields that are needed to classify its call. Each text has at most MAX_TEXT characters. */
const cdrSchema = z.object({
  callId: z.string(),
  rootCallId: text,
  status: z.string(),
  caller: text,
  did: text,
  numberShown: text,
  target: text,
  time: text,
  type: text,
  direction: text,
  isAnswer: z.boolean().nullable(),
  talkSeconds: count,
  // Facts that were stored by an earlier version do not have it.
  actualTalkSeconds: count.optional(),
  duration: count,
  waitingSeconds: count,
  ringSeconds: count,
  agent: text,
  callerExtension: text,
  representative: text,
})
export type Cdr = z.infer<typeof cdrSchema>
type Text = Cdr['caller']

/** Reads a CDR, or returns what is missing or wrong. That text contains no value, since values are personal data. */
export const readCdr = (record: JsonObject): { cdr: Cdr } | { wrong: string } => {
  const values = valuesOf(record)
  const textOf = (field: Field): Text => asText(pick(values, field))
  const callIdAsWritten = pick(values, 'callId')
  const callId = asId(callIdAsWritten)
  const rootCallId = pick(values, 'rootCallId')
  const isAnswer = textOf('isAnswer')
  const cdr: Cdr = {
    callId: callId ?? '',
    // If the value cannot be an id, the CDR counts as a call of its own.
    rootCallId: rootCallId === undefined ? undefined : validId(asId(rootCallId)),
    // A status such as "null" is unknown, but not missing.
    status: textOf('status') || asText(values[STATUS]?.[0]) || '',
    // callerPhone and caller both mean the customer. If the first is not a phone number, another may be.
    caller: asText(pickFitting(values, 'caller', text => readPhone(text).kind === 'number')),
    did: textOf('did'),
    numberShown: textOf('numberShown'),
    target: textOf('target'),
    time: timeOf(values),
    type: textOf('type'),
    direction: textOf('direction'),
    isAnswer: isAnswer ? /^(1|true)$/i.test(isAnswer) : null,
    talkSeconds: asCount(pick(values, 'talkSeconds')),
    actualTalkSeconds: asCount(pick(values, 'actualTalkSeconds')),
    duration: asCount(pick(values, 'duration')),
    waitingSeconds: asCount(pick(values, 'waitingSeconds')),
    ringSeconds: asCount(pick(values, 'ringSeconds')),
    agent: textOf('agent'),
    callerExtension: textOf('callerExtension'),
    representative: textOf('representative'),
  }
  const wrong =
    (callIdAsWritten ?? null) === null
      ? ['call id (ivruniqueid or CallID) is missing']
      : wrongWithId(callId)
  if (!cdr.status) wrong.push('status (status or DialStatus) is missing')
  const withoutCaller = cdr.caller === undefined
  const withoutLine = cdr.did === undefined && dialledLine(cdr.target) === null
  // An outgoing or internal call has no meaningful caller and number dialled.
  if ((withoutCaller || withoutLine) && !isNotInbound(callKind(cdr))) {
    if (withoutCaller) wrong.push('caller (caller, callerPhone or CallerNumber) is missing')
    if (withoutLine) wrong.push('number dialled (did or DID) is missing')
  }
  return wrong.length > 0 ? { wrong: wrong.join('; ') } : { cdr }
}

/** A longer payload is not read again to classify a call: `factsOf` stores what is needed of it. */
export const MAX_PAYLOAD_BYTES = 2048

/** The fields of a CDR as JSON. At most 6 kB, whatever the CDR holds. */
export const factsOf = (cdr: Cdr): string => JSON.stringify(cdr)

/** How a CDR is stored, unless it was emptied: with its facts, or with a payload that is short. */
export type StoredCdr = { facts: unknown; payload: unknown }

/**
 * Reads a CDR that was accepted before. Facts hold the values as they were read when the CDR arrived. A payload is read
 * again by the present rules.
 *
 * @throws Error if the CDR cannot be read any more, because that is a bug
 */
export const readStored = ({ facts, payload }: StoredCdr): Cdr => {
  if (facts !== null) return cdrSchema.parse(facts)
  const result = isObject(payload) ? readCdr(payload) : { wrong: 'not an object' }
  if ('wrong' in result) throw new Error(`a stored record cannot be read any more: ${result.wrong}`)
  return result.cdr
}

/** The same for a page. Null: the CDR was emptied, or cannot be read any more. */
export const readIfPossible = ({ facts, payload }: StoredCdr): Cdr | null => {
  if (facts !== null) return cdrSchema.safeParse(facts).data ?? null
  const result = isObject(payload) ? readCdr(payload) : null
  return result && 'cdr' in result ? result.cdr : null
}

/** The id of the first CDR of a call. All CDRs of the call share it. */
export const rootOf = (cdr: Cdr): string => cdr.rootCallId ?? cdr.callId

/** The values of each name, in order of precedence, at the place of the name. */
type Values = (Json[] | undefined)[]

/**
 * `did` precedes `DID`: either may occur, and Postgres returns the names of a jsonb in its own order. A CDR must
 * read the same before and after it was stored. So the names are sorted if one of them occurs twice.
 */
const valuesOf = (record: JsonObject): Values => {
  const values = valuesInOrder(record, Object.keys(record))
  return values.some(spellings => spellings && spellings.length > 1)
    ? valuesInOrder(record, sortedNames(record))
    : values
}

/** Only the names that are read: an object may have many others. */
const sortedNames = (object: JsonObject, prefix = ''): string[] =>
  Object.keys(object)
    .filter(name => PLACES.has((prefix + name).toLowerCase()))
    .sort()
    .reverse()

/** CustomData is read one level down, and may be JSON text. */
const valuesInOrder = (
  record: JsonObject,
  names: string[],
  prefix = '',
  values: Values = [],
): Values => {
  for (const name of names) {
    const written = prefix + name
    const place = PLACES.get(written) ?? PLACES.get(written.toLowerCase())
    if (place === undefined) continue
    const value = record[name] ?? null
    const others = values[place]
    if (others) others.push(value)
    else values[place] = [value]
    if (place !== CUSTOM_DATA) continue
    const data = asObject(value) ?? {}
    valuesInOrder(data, sortedNames(data, 'customdata.'), 'customdata.', values)
  }
  return values
}

const NONE: readonly Json[] = []

/** The first value that is not blank; null if all are blank, undefined if there are none. */
const pick = (values: Values, field: Field): Json | undefined => {
  let found: null | undefined
  for (const place of FIELDS[field]) {
    const written = values[place]
    if (!written) continue
    for (const value of written) if (!isBlank(value, field)) return value
    found = null
  }
  return found
}

/** Like `pick`. If several values are not blank, the first that fits is used, or else the first. */
const pickFitting = (
  values: Values,
  field: Field,
  fits: (text: string) => boolean,
): Json | undefined => {
  const filled = filledIn(values, field)
  if (filled.length < 2) return filled[0] ?? pick(values, field)
  return filled.find(value => fits(asText(value) ?? '')) ?? filled[0]
}

/** The first name may hold something else, such as a clock without its date. Then the date may be in another field. */
const timeOf = (values: Values): Text => {
  const filled = filledIn(values, 'time')
  if (filled.length < 2) return asText(filled[0] ?? pick(values, 'time'))
  const texts = filled.map(value => asText(value) ?? '')
  return texts.concat(texts.join(' ')).find(isTime) ?? texts.find(isDate) ?? texts[0]
}

const filledIn = (values: Values, field: Field): Json[] => {
  const filled: Json[] = []
  for (const place of FIELDS[field])
    for (const value of values[place] ?? NONE) if (!isBlank(value, field)) filled.push(value)
  return filled
}

const isBlank = (value: Json, field: Field): boolean => {
  if (value === null) return true
  const text = value instanceof LosslessNumber ? value.source : value
  if (typeof text === 'object') return OPTIONAL.has(field)
  const written = visible(String(text).trim())
  return (
    written === '' ||
    (typeof text === 'string' && isPlaceholder(written)) ||
    (ZERO_IS_BLANK.has(field) && /^0+(?:\.0+)?$/.test(written)) ||
    (OPTIONAL.has(field) && DEFAULT_VALUE.test(written))
  )
}

/** No number, time, type or status is longer. */
const MAX_TEXT = 100

const isAscii = (code: number): boolean => !(code > 0x7f)

/**
 * Without the invisible marks (\p{Cf}) around text that was copied from a Hebrew screen. Most text is ASCII: for it, this is
 * fast. For a long text of such marks it would be slow.
 */
const visible = (text: string): string =>
  text.length > MAX_TEXT ||
  (isAscii(text.charCodeAt(0)) && isAscii(text.charCodeAt(text.length - 1)))
    ? text
    : text.replace(/^[\p{Cf}\s]+|[\p{Cf}\s]+$/gu, '')

/** Has letters, so that the rest of a text is never read as a number or a time that it is not. */
const CUT = '…cut'

export const asText = (value: Json | undefined): Text => {
  if (value === undefined) return undefined
  const written = value instanceof LosslessNumber ? value.source : value
  if (written === null || typeof written === 'object') return null
  const text = storable(String(written)).trim()
  if (text.length <= MAX_TEXT) return visible(text)
  return text.slice(0, MAX_TEXT - CUT.length).toWellFormed() + CUT
}

/** Seconds, also as 45.0 or 00:00:45. */
const asCount = (value: Json | undefined): number | null => {
  // Nearly every count is such a number.
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 1e9)
    return value
  const text = asText(value)
  const [, whole] = /^(\d{1,9})(?:\.\d+)?$/.exec(text ?? '') ?? []
  if (whole !== undefined) return Number(whole)
  const [, hours = 0, minutes, seconds] =
    /^(?:(\d{1,3}):)?(\d{1,3}):([0-5]\d)$/.exec(text ?? '') ?? []
  return minutes === undefined
    ? null
    : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
}

/** An id is text, or a whole number with all its digits. null = anything else. */
const asId = (value: Json | undefined): string | null => {
  if (typeof value === 'string') return value.trim()
  if (value instanceof LosslessNumber) return /^\d+$/.test(value.source) ? value.source : null
  const isWhole = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  return isWhole ? String(value) : null
}

const MAX_ID = 128

const wrongWithId = (id: string | null): string[] => {
  if (id === null) return ['call id is neither text nor a whole number']
  const wrong: string[] = []
  if (id.length > MAX_ID) wrong.push(`call id is longer than ${MAX_ID} characters`)
  if (!id.isWellFormed() || /\p{Cc}/u.test(id)) wrong.push('call id holds control characters')
  return wrong
}

const validId = (id: string | null): string | null => (wrongWithId(id).length === 0 ? id : null)
