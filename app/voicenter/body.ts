/**
 * Reads the body of a request of Voicenter, and finds the CDRs in it. Voicenter posts JSON or a form, with one CDR or an
 * array of them.
 */
import { asObject, type Json, type JsonObject, MAX_STRINGS, readJson, storable } from '../json.ts'

/** The size of one answer of Voicenter's Call Log. A larger array would delay other requests. */
const MAX_RECORDS = 10_000
/** A body of 5 MB with real CDRs has fewer values. A body of 5 MB with only numbers takes seconds to read. */
const MAX_VALUES = 500_000
/** A CDR has about thirty fields. */
const MAX_FORM_FIELDS = 10_000

const utf8 = new TextDecoder('utf-8', { fatal: true })
const windows1255 = new TextDecoder('windows-1255')

/**
 * Reads UTF-8, or windows-1255 from an older system: Hebrew, or a sign such as a dash. A byte that it does not define, or
 * half a character of UTF-8, spoils a name, but must not cost the call. The body is kept as it came.
 */
const decode = (bytes: Buffer): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return windows1255.decode(bytes)
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
  if (start === '%' || text.includes('=')) return readForm(bytes)
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
  const json = jsonInForm(text.trim())
  if (json !== null) return readJsonBody(json, bytes)
  const record: JsonObject = Object.create(null)
  const fields = text.trim().split('&', MAX_FORM_FIELDS + 1)
  if (fields.length > MAX_FORM_FIELDS)
    return { wrong: `the form has more than ${MAX_FORM_FIELDS} fields` }
  for (const field of fields) {
    const at = field.includes('=') ? field.indexOf('=') : field.length
    const name = percentDecoded(field.slice(0, at))
    const value = percentDecoded(field.slice(at + 1))
    if (name === null || value === null) return { wrong: 'the form is not percent-encoded' }
    if (name) record[storable(name)] = value
  }
  return { elements: [{ bytes, record }] }
}

/** JSON that was sent as a form: percent-encoded as a whole, or as the only field. No CDR has a single field. */
const jsonInForm = (form: string): string | null => {
  const [name] = /^(?:[^=&]*=)?(?=%7b|%5b|[{[])/i.exec(form) ?? []
  if (name === undefined || (name !== '' && form.includes('&'))) return null
  return percentDecoded(form.slice(name.length).replace(/=$/, ''))
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
