/**
 * Reads what Voicenter sends: the body of a request, the records in it, and the fields of each record. Voicenter posts
 * JSON or a form, one record or an array, and has several names for each field.
 */
import {
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
  readJson,
  storable,
} from '../json.ts'
import { readPhone } from '../phone.ts'
import { callKind, isNotInbound } from './call_kind.ts'

/** The size of one answer of Voicenter's Call Log. A larger array would delay other requests. */
const MAX_RECORDS = 10_000
/** A body of 5 MB with real records has fewer values. A body of 5 MB with only numbers takes seconds to read. */
const MAX_VALUES = 500_000
/** A record has about thirty fields. */
const MAX_FORM_FIELDS = 10_000

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** One element of a body: a record, or the reason why it is not one. `bytes` are its own bytes as received. */
export type BodyElement = { bytes: Buffer } & ({ record: JsonObject } | { wrong: string })

/** A body is read as a whole or rejected as a whole with a reason. */
export type ParsedBody = { elements: BodyElement[] } | { wrong: string } | { xmlRpc: true }

/**
 * The content type is not always right, so the body itself decides whether it is JSON or a form.
 *
 * @param bytes the body as received. Only UTF-8 is read, because a wrong guess would store wrong names.
 */
export const readBody = (bytes: Buffer): ParsedBody => {
  if (bytes.length === 0) return { wrong: 'the body is empty' }
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return { wrong: 'the body is not valid UTF-8' }
  }
  const start = text.trimStart()[0]
  if (start === '<')
    return /<methodCall[\s>]/.test(text)
      ? { xmlRpc: true }
      : { wrong: 'the body is XML or HTML; JSON or a form was expected' }
  if (start === '{' || start === '[') return readJsonBody(text, bytes)
  if (text.includes('=')) return readForm(text, bytes)
  return { wrong: 'the body is neither a JSON object, nor an array of them, nor a form' }
}

const readJsonBody = (text: string, bytes: Buffer): ParsedBody => {
  const json = readJson(text, MAX_VALUES)
  if ('wrong' in json)
    // If one record of an array is nested too deeply, the others are still read.
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

const elementOf = (value: Json, bytes: Buffer): BodyElement =>
  isObject(value) ? { bytes, record: value } : { bytes, wrong: 'not an object' }

/**
 * Not URLSearchParams: it replaces bytes that are not UTF-8, and the result would be stored as a name. If a field
 * occurs twice, the last one counts, as in JSON.
 */
const readForm = (text: string, bytes: Buffer): ParsedBody => {
  // JSON forbids a raw NUL. A form needs this check.
  if (text.includes('\0')) return { wrong: 'the form holds a NUL byte' }
  const record: JsonObject = Object.create(null)
  const fields = text.trim().split('&', MAX_FORM_FIELDS + 1)
  if (fields.length > MAX_FORM_FIELDS)
    return { wrong: `the form has more than ${MAX_FORM_FIELDS} fields` }
  try {
    for (const field of fields) {
      const [name = '', ...value] = field
        .split('=')
        .map(part => decodeURIComponent(part.replaceAll('+', ' ')))
      if (name) record[storable(name)] = value.join('=')
    }
  } catch {
    return { wrong: 'the form is not percent-encoded UTF-8' }
  }
  return { elements: [{ bytes, record }] }
}

/**
 * The names of each field, in order of precedence: the first name that has a value counts. A name must match as a
 * whole, in any case. The lower-case names come from the push (Voicenter's "CDR Notification" page). CallID,
 * DialStatus, CallerNumber and the like come from the Call Log API and from accounts that were set up after it.
 * `ivruniqueid` precedes `CallID` because a dialer's record has both, with different values.
 */
const NAMES = {
  callId: ['ivruniqueid', 'ivrid', 'ivr_unique_id', 'callid'],
  rootCallId: ['originalivruniqueid', 'customdata.originalivruniqueid'],
  status: ['status', 'dialstatus'],
  caller: ['callerphone', 'caller', 'callernumber', 'phone', 'caller_id'],
  did: ['did'],
  // In an outgoing call, the business's number that the customer sees. `callerPhone` has another meaning there.
  numberShown: ['caller', 'callernumber'],
  target: ['target', 'targetnumber'],
  time: ['time', 'dateepoch', 'date'],
  type: ['type', 'cdrtype'],
  direction: ['direction'],
  isAnswer: ['isanswer', 'isanswered'],
  talkSeconds: ['actualcallduration', 'duration'],
  ringSeconds: ['actualcalldialtime', 'dialtime', 'ringtime'],
  agent: ['extenuser', 'targetextension'],
  callerExtension: ['callerextension'],
  representative: ['representative_name', 'representativename'],
} as const
type Field = keyof typeof NAMES

/** A record has three times as many fields. The others are ignored. */
const KNOWN_NAMES = new Set<string>([...Object.values(NAMES).flat(), 'customdata'])

/** In ids, phone numbers and extensions 0 means "none", like an empty string. In durations it is a value. */
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

/** null = present but blank, undefined = absent. For an agent the difference matters. */
type Text = string | null | undefined

/** One call detail record. */
export type Cdr = {
  callId: string
  rootCallId?: Text
  status: string
  caller?: Text
  did?: Text
  numberShown?: Text
  target?: Text
  time?: Text
  type?: Text
  direction?: Text
  isAnswer: boolean | null
  talkSeconds: number | null
  ringSeconds: number | null
  agent?: Text
  callerExtension?: Text
  representative?: Text
}

/** Reads a record, or returns what is missing or wrong. That text contains no value, since values are personal data. */
export const readCdr = (record: JsonObject): { cdr: Cdr } | { wrong: string } => {
  const values = valuesByName(record)
  const text = (field: Field): Text => asText(pick(values, field))
  const callIdAsWritten = pick(values, 'callId')
  const callId = asId(callIdAsWritten)
  const rootCallId = pick(values, 'rootCallId')
  const isAnswer = text('isAnswer')
  const cdr: Cdr = {
    callId: callId ?? '',
    // If the value cannot be an id, the record counts as a call of its own.
    rootCallId: rootCallId === undefined ? undefined : validId(asId(rootCallId)),
    status: text('status') ?? '',
    caller: asText(pickCaller(values)),
    did: text('did'),
    numberShown: text('numberShown'),
    target: text('target'),
    time: text('time'),
    type: text('type'),
    direction: text('direction'),
    isAnswer: isAnswer ? /^(1|true)$/i.test(isAnswer) : null,
    talkSeconds: asCount(text('talkSeconds')),
    ringSeconds: asCount(text('ringSeconds')),
    agent: text('agent'),
    callerExtension: text('callerExtension'),
    representative: text('representative'),
  }
  const wrong =
    (callIdAsWritten ?? null) === null
      ? ['call id (ivruniqueid or CallID) is missing']
      : wrongWithId(callId)
  if (!cdr.status) wrong.push('status (status or DialStatus) is missing')
  // An outgoing or internal call has no meaningful caller and number dialled.
  if (!isNotInbound(callKind(cdr))) {
    if (cdr.caller === undefined)
      wrong.push('caller (caller, callerPhone or CallerNumber) is missing')
    if (cdr.did === undefined) wrong.push('number dialled (did or DID) is missing')
  }
  return wrong.length > 0 ? { wrong: wrong.join('; ') } : { cdr }
}

/** Reads a record that was accepted before. It throws if `readCdr` rejects the record now, because that is a bug. */
export const readStored = (payload: unknown): Cdr => {
  const result = isObject(payload) ? readCdr(payload) : { wrong: 'not an object' }
  if ('wrong' in result) throw new Error(`a stored record cannot be read any more: ${result.wrong}`)
  return result.cdr
}

/** The id of the first record of a call. All records of the call share it. */
export const rootOf = (cdr: Cdr): string => cdr.rootCallId ?? cdr.callId

/**
 * Values by lower-case name. CustomData is read one level down, and may be JSON text.
 *
 * `did` precedes `DID`: either may occur, and Postgres returns the names of a jsonb in its own order. A record must
 * read the same before and after it was stored.
 */
const valuesByName = (record: JsonObject, prefix = '', values = new Map<string, Json[]>()) => {
  const known = Object.keys(record).filter(name => KNOWN_NAMES.has(prefix + name.toLowerCase()))
  for (const written of known.sort().reverse()) {
    const value = record[written] ?? null
    const name = prefix + written.toLowerCase()
    const others = values.get(name)
    if (others) others.push(value)
    else values.set(name, [value])
    if (name === 'customdata') valuesByName(asObject(value), 'customdata.', values)
  }
  return values
}

const asObject = (value: Json): JsonObject => {
  if (typeof value !== 'string') return isObject(value) ? value : {}
  const json = readJson(value)
  return 'value' in json && isObject(json.value) ? json.value : {}
}

/** The first value that is not blank; null if all are blank, undefined if there are none. */
const pick = (values: Map<string, Json[]>, field: Field): Json | undefined => {
  let found: null | undefined
  for (const name of NAMES[field]) {
    const written = values.get(name)
    if (!written) continue
    for (const value of written) if (!isBlank(value, ZERO_IS_BLANK.has(field))) return value
    found = null
  }
  return found
}

/** callerPhone and caller both mean the customer. If the first is not a phone number, another may be. */
const pickCaller = (values: Map<string, Json[]>): Json | undefined => {
  const filled = NAMES.caller
    .flatMap(name => values.get(name) ?? [])
    .filter(value => !isBlank(value, true))
  if (filled.length < 2) return pick(values, 'caller')
  return filled.find(value => readPhone(asText(value)).kind === 'number') ?? filled[0]
}

const isBlank = (value: Json, zeroIsBlank: boolean): boolean =>
  value === null ||
  (typeof value === 'string' && value.trim() === '') ||
  (zeroIsBlank && (value === 0 || value === '0'))

const MAX_TEXT = 4096

const asText = (value: Json | undefined): Text => {
  if (value === undefined) return undefined
  const written = value instanceof LosslessNumber ? value.source : value
  return written === null || typeof written === 'object'
    ? null
    : storable(String(written)).trim().slice(0, MAX_TEXT)
}

const asCount = (text: Text): number | null =>
  text && /^\d{1,9}$/.test(text) ? Number(text) : null

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
