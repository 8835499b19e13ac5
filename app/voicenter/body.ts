/**
 * What came over the wire, as records. Voicenter posts JSON or a form, one record or an array, and the
 * content type does not always say which: so the body itself decides. Every record keeps its bytes.
 */
import { isObject, type Json, type JsonObject, readJson, storable } from '../json.ts'

/** As many as Voicenter's Call Log gives in one answer. More would keep everybody else waiting. */
const MOST_RECORDS = 10_000
/** Five megabytes of records have fewer; five megabytes of numbers take seconds to read. */
const MOST_VALUES = 500_000
/** A record has some thirty. */
const MOST_FIELDS = 10_000

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** One element of a body: a record, or the reason why it is none. `bytes` are its own, as they came. */
export type Element = { bytes: Buffer } & ({ record: JsonObject } | { wrong: string })

/** A body is read as a whole, or refused as a whole with its reason. */
export type Body = { elements: Element[] } | { wrong: string } | { xmlRpc: true }

/** @param bytes the body as it came; only UTF-8 is read, for a wrong guess would store wrong names */
export const readBody = (bytes: Buffer): Body => {
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

const readJsonBody = (text: string, bytes: Buffer): Body => {
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

const elementByItself = (text: string): Element => {
  const bytes = Buffer.from(text)
  const json = readJson(text, MOST_VALUES)
  return 'wrong' in json ? { bytes, wrong: json.wrong } : elementOf(json.value, bytes)
}

const elementOf = (value: Json, bytes: Buffer): Element =>
  isObject(value) ? { bytes, record: value } : { bytes, wrong: 'not an object' }

/**
 * A form by hand, since URLSearchParams would turn bytes that are not UTF-8 into replacement
 * characters and store them as a name. Of a field that comes twice the last one wins, as in JSON.
 */
const readForm = (text: string, bytes: Buffer): Body => {
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
