/** Which of a record's many fields means what, as text: Voicenter has several names for everything. */
import { readPhone } from '../phone.ts'
import {
  LosslessNumber,
  isObject,
  type Json,
  type JsonObject,
  readJson,
  storable,
} from '../json.ts'

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
