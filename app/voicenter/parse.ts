/**
 * Reads what Voicenter sends: the body of a request, the CDRs in it, and the fields of each CDR. Voicenter posts
 * JSON or a form, one CDR or an array, and has several names for each field.
 */
import { z } from 'zod'
import {
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
  readJson,
  storable,
} from '../json.ts'
import { dialledLine, isPlaceholder, readPhone } from '../phone.ts'
import { callKind, isNotInbound } from './call_kind.ts'
import { isTime } from './time.ts'

/** The size of one answer of Voicenter's Call Log. A larger array would delay other requests. */
const MAX_RECORDS = 10_000
/** A body of 5 MB with real CDRs has fewer values. A body of 5 MB with only numbers takes seconds to read. */
const MAX_VALUES = 500_000
/** A CDR has about thirty fields. */
const MAX_FORM_FIELDS = 10_000

/** A body may be JSON text in a string, and that string in another one. Deeper nesting comes from a loop in the sender's program. */
const MAX_STRINGS = 3

const utf8 = new TextDecoder('utf-8', { fatal: true })
const windows1255 = new TextDecoder('windows-1255', { fatal: true })

/**
 * Reads UTF-8, or Hebrew in windows-1255 from an older system. Hebrew in one charset is never Hebrew in the other. So
 * windows-1255 counts only if the text then has a Hebrew letter. Null if the bytes are neither.
 */
const decode = (bytes: Buffer): string | null => {
  try {
    return utf8.decode(bytes)
  } catch {
    try {
      const text = windows1255.decode(bytes)
      return /[א-ת]/.test(text) ? text : null
    } catch {
      return null
    }
  }
}

/** One element of a body: a CDR, or the reason why it is not one. `bytes` are its own bytes as received. */
export type BodyElement = { bytes: Buffer } & ({ record: JsonObject } | { wrong: string })

/** A body is read as a whole or rejected as a whole with a reason. */
export type ParsedBody = { elements: BodyElement[] } | { wrong: string } | { xmlRpc: true }

/**
 * The content type is not always right, so the body itself decides whether it is JSON or a form, and in which charset.
 *
 * @param bytes the body as received
 */
export const readBody = (bytes: Buffer, strings = 0): ParsedBody => {
  if (bytes.length === 0) return { wrong: 'the body is empty' }
  const text = decode(bytes)
  if (text === null) return { wrong: 'the body is not valid UTF-8 or windows-1255' }
  const start = text.trimStart()[0]
  if (start === '<')
    return /<methodCall[\s>]/.test(text)
      ? { xmlRpc: true }
      : { wrong: 'the body is XML or HTML; JSON or a form was expected' }
  if (start === '{' || start === '[') return readJsonBody(text, bytes)
  if (start === '"' && strings < MAX_STRINGS) {
    const json = readJson(text, MAX_VALUES)
    if ('value' in json && typeof json.value === 'string')
      return ownBytes(readBody(Buffer.from(json.value), strings + 1), bytes)
  }
  if (text.includes('=')) return readForm(bytes)
  return { wrong: 'the body is neither a JSON object, nor an array of them, nor a form' }
}

/**
 * The elements of a body, as they are stored: the CDRs, or one element with the reason why there are none. `kind`
 * decides the answer to the sender.
 */
export const readDelivery = (
  bytes: Buffer,
): { kind: 'records' | 'xml_rpc' | 'ivr_layer'; elements: BodyElement[] } => {
  const body = readBody(bytes)
  if ('xmlRpc' in body) return { kind: 'xml_rpc', elements: [{ bytes, wrong: 'XML-RPC' }] }
  const elements = 'wrong' in body ? [{ bytes, wrong: body.wrong }] : body.elements
  if (!isIvrLayer(elements)) return { kind: 'records', elements }
  const wrong = 'IVR_LAYER_INPUT: an External Layer points here'
  return { kind: 'ivr_layer', elements: [{ bytes, wrong }] }
}

/**
 * Whether Voicenter's IVR asks what to do with a call (its "External Layer"): someone entered the webhook URL there by
 * mistake. Only a single element counts. In an array, the other CDRs would be lost.
 */
const isIvrLayer = ([element, ...others]: readonly BodyElement[]): boolean =>
  element !== undefined &&
  others.length === 0 &&
  'record' in element &&
  element.record['METHOD'] === 'IVR_LAYER_INPUT'

/** A single CDR has the bytes of the body as received, also if it was text inside a JSON string. */
const ownBytes = (body: ParsedBody, bytes: Buffer): ParsedBody =>
  'elements' in body && body.elements.length === 1
    ? { elements: body.elements.map(element => ({ ...element, bytes })) }
    : body

const readJsonBody = (text: string, bytes: Buffer): ParsedBody => {
  const json = readJson(text, MAX_VALUES)
  if ('wrong' in json)
    // If one CDR of an array is nested too deeply, the others are still read.
    return json.texts && json.texts.length <= MAX_RECORDS
      ? { elements: json.texts.map(readElement) }
      : { wrong: json.wrong }
  if (!json.elements) return { elements: [elementOf(json.value, bytes)] }
  if (json.elements.length === 0) return { wrong: 'the array is empty' }
  if (json.elements.length > MAX_RECORDS)
    return { wrong: `the array has more than ${MAX_RECORDS} records` }
  return { elements: json.elements.map(({ value, text }) => elementOf(value, Buffer.from(text))) }
}

const readElement = (text: string): BodyElement => {
  const bytes = Buffer.from(text)
  const json = readJson(text, MAX_VALUES)
  return 'wrong' in json ? { bytes, wrong: json.wrong } : elementOf(json.value, bytes)
}

const elementOf = (value: Json, bytes: Buffer): BodyElement => {
  const record = asObject(value)
  return record ? { bytes, record } : { bytes, wrong: 'not an object' }
}

/**
 * Not URLSearchParams: it replaces bytes that are not UTF-8, and the result would be stored as a name. If a field
 * occurs twice, the last one counts, as in JSON.
 */
const readForm = (bytes: Buffer): ParsedBody => {
  const text = bytes.toString('latin1')
  // JSON forbids a raw NUL. A form needs this check.
  if (text.includes('\0')) return { wrong: 'the form holds a NUL byte' }
  const record: JsonObject = Object.create(null)
  const fields = text.trim().split('&', MAX_FORM_FIELDS + 1)
  if (fields.length > MAX_FORM_FIELDS)
    return { wrong: `the form has more than ${MAX_FORM_FIELDS} fields` }
  for (const field of fields) {
    const at = field.includes('=') ? field.indexOf('=') : field.length
    const name = percentDecoded(field.slice(0, at))
    const value = percentDecoded(field.slice(at + 1))
    if (name === null || value === null)
      return { wrong: 'the form is not percent-encoded UTF-8 or windows-1255' }
    if (name) record[storable(name)] = value
  }
  return { elements: [{ bytes, record }] }
}

const [PERCENT, PLUS, SPACE, NINE] = [0x25, 0x2b, 0x20, 0x39] as const

/**
 * Not with a regular expression: a replacement for each of a million signs takes more memory than the process has.
 *
 * @param part of a form, one character for each byte; null if it cannot be read
 */
const percentDecoded = (part: string): string | null => {
  if (/%(?![\da-f]{2})/i.test(part)) return null
  const bytes = Buffer.allocUnsafe(part.length)
  const digit = (at: number) => {
    const code = part.charCodeAt(at)
    return (code & 15) + (code > NINE ? 9 : 0)
  }
  let length = 0
  for (let at = 0; at < part.length; at++) {
    const code = part.charCodeAt(at)
    if (code === PERCENT) bytes[length++] = 16 * digit(++at) + digit(++at)
    else bytes[length++] = code === PLUS ? SPACE : code
  }
  return decode(bytes.subarray(0, length))
}

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
  /** In the CDRs of a queue it may be the time of waiting. */
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

/** In these also -1 means "none". */
const MINUS_ONE_IS_BLANK = new Set<Field>(['rootCallId', 'agent', 'callerExtension'])

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
    // The first name may hold something else, such as a clock without its date.
    time: asText(pickFitting(values, 'time', isTime)),
    type: textOf('type'),
    direction: textOf('direction'),
    isAnswer: isAnswer ? /^(1|true)$/i.test(isAnswer) : null,
    talkSeconds: asCount(pick(values, 'talkSeconds')),
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

/** An object, or the object that a text is in JSON. */
export const asObject = (value: Json): JsonObject | null => {
  for (let inner = value, strings = 0; strings <= MAX_STRINGS; strings++) {
    if (typeof inner !== 'string') return isObject(inner) ? inner : null
    const json = readJson(inner)
    if (!('value' in json)) return null
    inner = json.value
  }
  return null
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
  const filled: Json[] = []
  for (const place of FIELDS[field])
    for (const value of values[place] ?? NONE) if (!isBlank(value, field)) filled.push(value)
  if (filled.length < 2) return filled[0] ?? pick(values, field)
  return filled.find(value => fits(asText(value) ?? '')) ?? filled[0]
}

const isBlank = (value: Json, field: Field): boolean => {
  if (value === null) return true
  const text = value instanceof LosslessNumber ? value.source : value
  if (typeof text === 'object') return false
  const written = String(text).trim()
  return (
    written === '' ||
    (typeof text === 'string' && isPlaceholder(written)) ||
    (ZERO_IS_BLANK.has(field) && /^0+$/.test(written)) ||
    (MINUS_ONE_IS_BLANK.has(field) && written === '-1')
  )
}

/** No number, time, type or status is longer. */
const MAX_TEXT = 100
/** Has letters, so that the rest of a text is never read as a number or a time that it is not. */
const CUT = '…cut'

export const asText = (value: Json | undefined): Text => {
  if (value === undefined) return undefined
  const written = value instanceof LosslessNumber ? value.source : value
  if (written === null || typeof written === 'object') return null
  const text = storable(String(written)).trim()
  return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT - CUT.length).toWellFormed() + CUT
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
