/** Which of a record's many fields means what, as text: Voicenter has several names for everything. */
import { z } from 'zod'
import {
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
  readJson,
  storable,
} from '../json.ts'
import { readPhone } from '../phone.ts'
import { callKind, isNotInbound } from './classify.ts'

/**
 * The names under which a value may come, the first that is not blank wins. Names are compared whole
 * and without regard to case. The lower-case ones are the push's (Voicenter's "CDR Notification"
 * page), CallID, DialStatus, CallerNumber ... those of the Call Log API and of accounts set up by it.
 * ivruniqueid stands before CallID, since a dialer's record carries both, and they differ.
 */
const NAMES = {
  callId: ['ivruniqueid', 'ivrid', 'ivr_unique_id', 'callid'],
  status: ['status', 'dialstatus'],
  caller: ['callerphone', 'caller', 'callernumber', 'phone', 'caller_id'],
  did: ['did'],
  // Of an outgoing call: the business's number, which its customer sees. callerPhone is not, there.
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
  rootCallId: ['originalivruniqueid', 'customdata.originalivruniqueid'],
} as const

const MEANINGS = Object.entries(NAMES)
/** A record has three times as many names, and the others would be looked at in vain. */
const WANTED = new Set<string>([...Object.values(NAMES).flat(), 'customdata'])

/** In ids, phone numbers and extensions 0 means "none", like an empty string; not so in numbers. */
const ZERO_IS_BLANK = new Set<string>([
  'callId',
  'caller',
  'did',
  'numberShown',
  'target',
  'agent',
  'callerExtension',
  'rootCallId',
])

const MAX_TEXT = 4096

/**
 * Values by lower-cased name, CustomData's own one level down; it may come as JSON text.
 *
 * `did` before `DID`, since either may come and Postgres gives names back in an order of its own: a
 * record must read the same before and after it was stored.
 */
const flatten = (record: JsonObject, prefix = '', fields = new Map<string, Json[]>()) => {
  const written = Object.keys(record).filter(name => WANTED.has(prefix + name.toLowerCase()))
  for (const name of written.sort().reverse()) {
    const value = record[name] ?? null
    const known = prefix + name.toLowerCase()
    const values = fields.get(known)
    if (values) values.push(value)
    else fields.set(known, [value])
    if (known === 'customdata') flatten(asObject(value), 'customdata.', fields)
  }
  return fields
}

const asObject = (value: Json): JsonObject => {
  if (typeof value !== 'string') return isObject(value) ? value : {}
  const json = readJson(value)
  return 'value' in json && isObject(json.value) ? json.value : {}
}

/**
 * What a record says by its meaning. All are text but for an id that is none, which is left as it came; null = there but
 * blank, absent = not there at all.
 */
export const fieldsOf = (record: JsonObject): Record<string, Json> => {
  const fields = flatten(record)
  const picked: Record<string, Json> = {}
  for (const [meaning, names] of MEANINGS) {
    const isId = meaning === 'callId' || meaning === 'rootCallId'
    const value = meaning === 'caller' ? pickCaller(fields) : pick(fields, meaning, names)
    // To leave the call id out is to say that it is missing; null would be a call id of the wrong kind.
    if (value === undefined || (value === null && meaning === 'callId')) continue
    picked[meaning] = isId ? asId(value) : asText(value)
  }
  return picked
}

/** The first that is not blank. */
const pick = (fields: Map<string, Json[]>, meaning: string, names: readonly string[]) => {
  let found: null | undefined
  for (const name of names) {
    const values = fields.get(name)
    if (!values) continue
    for (const value of values) if (!isBlank(value, ZERO_IS_BLANK.has(meaning))) return value
    found = null
  }
  return found
}

/** callerPhone and caller are both the customer; where one of them is no number, the other is meant. */
const pickCaller = (fields: Map<string, Json[]>): Json | undefined => {
  const filled = NAMES.caller
    .flatMap(name => fields.get(name) ?? [])
    .filter(value => !isBlank(value, true))
  if (filled.length < 2) return pick(fields, 'caller', NAMES.caller)
  return filled.find(value => readPhone(asText(value)).kind === 'number') ?? filled[0]
}

const isBlank = (value: Json, zeroToo: boolean): boolean =>
  value === null ||
  (typeof value === 'string' && value.trim() === '') ||
  (zeroToo && (value === 0 || value === '0'))

const asText = (value: Json): string | null => {
  const written = value instanceof LosslessNumber ? value.source : value
  return written === null || typeof written === 'object'
    ? null
    : storable(String(written)).trim().slice(0, MAX_TEXT)
}

/** Ids are text. A number counts by its digits, all of them; whatever else there is is none. */
const asId = (value: Json): Json => {
  if (typeof value === 'string') return value.trim()
  if (value instanceof LosslessNumber) return /^\d+$/.test(value.source) ? value.source : value
  const isNumber = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  return isNumber ? String(value) : value
}

const MAX_ID = 128

const wrongWithId = (value: unknown): string[] => {
  if (typeof value !== 'string') return ['call id is neither text nor a whole number']
  return [
    value.length > MAX_ID && `call id is longer than ${MAX_ID} characters`,
    (!value.isWellFormed() || /\p{Cc}/u.test(value)) && 'call id holds control characters',
  ].filter(wrong => wrong !== false)
}

const id = z.custom<string>(value => wrongWithId(value).length === 0, {
  error: ({ input }) => wrongWithId(input).join('; '),
  // Whatever else is wrong with the record is told too.
  abort: false,
})

/** null = there but blank, undefined = not there at all. For an agent the difference matters. */
const text = z.string().nullish()

// One transformation at the end, not one for each field: zod takes four times as long for those.
const cdrShape = z.object({
  callId: id.optional(),
  status: text,
  caller: text,
  did: text,
  numberShown: text,
  target: text,
  time: text,
  type: text,
  direction: text,
  isAnswer: text,
  talkSeconds: text,
  ringSeconds: text,
  agent: text,
  callerExtension: text,
  representative: text,
  // What cannot be an id joins nothing: the record then stands for itself.
  rootCallId: id.nullish().catch(null),
})

const count = (value: string | null = null): number | null =>
  value && /^\d{1,9}$/.test(value) ? Number(value) : null

const cdr = cdrShape
  .superRefine((record, context) => {
    const missing = (what: string) => context.addIssue(`${what} is missing`)
    if (record.callId === undefined) missing('call id (ivruniqueid or CallID)')
    if (!record.status) missing('status (status or DialStatus)')
    // An outgoing or internal call has no caller and no number dialled to speak of.
    if (isNotInbound(callKind(record))) return
    if (record.caller === undefined) missing('caller (caller, callerPhone or CallerNumber)')
    if (record.did === undefined) missing('number dialled (did or DID)')
  })
  .transform(({ callId = '', status, isAnswer, talkSeconds, ringSeconds, ...rest }) => ({
    ...rest,
    callId,
    status: status ?? '',
    isAnswer: isAnswer ? /^(1|true)$/i.test(isAnswer) : null,
    talkSeconds: count(talkSeconds),
    ringSeconds: count(ringSeconds),
  }))

/** One call record, whatever shape it came in. */
export type Cdr = z.infer<typeof cdr>

/** Reads a record, or says what is missing or wrong, in words that name no value. */
export const readCdr = (record: JsonObject): { cdr: Cdr } | { wrong: string } => {
  const { data, error } = cdr.safeParse(fieldsOf(record))
  return data ? { cdr: data } : { wrong: error.issues.map(issue => issue.message).join('; ') }
}

/** The first of a call's records: what all of them are joined by. */
export const rootOf = (record: Cdr): string => record.rootCallId ?? record.callId

/**
 * What came over the wire, as records. Voicenter posts JSON or a form, one record or an array, and the
 * content type does not always say which: so the body itself decides. Every record keeps its bytes.
 */

/** As many as Voicenter's Call Log gives in one answer. More would keep everybody else waiting. */
const MOST_RECORDS = 10_000
/** Five megabytes of records have fewer; five megabytes of numbers take seconds to read. */
const MOST_VALUES = 500_000
/** A record has some thirty. */
const MOST_FIELDS = 10_000

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** One element of a body: a record, or the reason why it is none. `bytes` are its own, as they came. */
export type BodyElement = { bytes: Buffer } & ({ record: JsonObject } | { wrong: string })

/** A body is read as a whole, or refused as a whole with its reason. */
export type ParsedBody = { elements: BodyElement[] } | { wrong: string } | { xmlRpc: true }

/** @param bytes the body as it came; only UTF-8 is read, for a wrong guess would store wrong names */
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
  const json = readJson(text, MOST_VALUES)
  if ('wrong' in json)
    // One record that is too deep takes no other with it.
    return json.texts && json.texts.length <= MOST_RECORDS
      ? { elements: json.texts.map(elementByItself) }
      : { wrong: json.wrong }
  if (!json.elements) return { elements: [elementOf(json.value, bytes)] }
  if (json.elements.length === 0) return { wrong: 'the array is empty' }
  if (json.elements.length > MOST_RECORDS)
    return { wrong: `the array has more than ${MOST_RECORDS} records` }
  return { elements: json.elements.map(({ value, text }) => elementOf(value, Buffer.from(text))) }
}

const elementByItself = (text: string): BodyElement => {
  const bytes = Buffer.from(text)
  const json = readJson(text, MOST_VALUES)
  return 'wrong' in json ? { bytes, wrong: json.wrong } : elementOf(json.value, bytes)
}

const elementOf = (value: Json, bytes: Buffer): BodyElement =>
  isObject(value) ? { bytes, record: value } : { bytes, wrong: 'not an object' }

/**
 * A form by hand, since URLSearchParams would turn bytes that are not UTF-8 into replacement
 * characters and store them as a name. Of a field that comes twice the last one wins, as in JSON.
 */
const readForm = (text: string, bytes: Buffer): ParsedBody => {
  // In JSON it would be no JSON; here nothing else would refuse it.
  if (text.includes('\0')) return { wrong: 'the form holds a NUL byte' }
  const record: JsonObject = Object.create(null)
  const fields = text.trim().split('&', MOST_FIELDS + 1)
  if (fields.length > MOST_FIELDS) return { wrong: `the form has more than ${MOST_FIELDS} fields` }
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
