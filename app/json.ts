/** Reads JSON from outside without losing digits, and writes it so that Postgres accepts it. */

export type Json = string | number | boolean | null | LosslessNumber | Json[] | JsonObject
export type JsonObject = { [name: string]: Json }

/** A number as it was written, if a double would change it: 1.0, 1e400, or the 28 digits of a call id. */
export class LosslessNumber {
  readonly source: string
  constructor(source: string) {
    this.source = source
  }
}

export const isObject = (value: unknown): value is JsonObject =>
  value !== null &&
  typeof value === 'object' &&
  !Array.isArray(value) &&
  !(value instanceof LosslessNumber)

/** Voicenter's CDRs have three levels. JSON.stringify overflows the stack at a few thousand. */
const MAX_DEPTH = 32

/**
 * @param maxValues a limit for text from outside: parsing millions of numbers would block other requests. Text that is not
 * plain takes ten times as long for each value, so for it the limit is a fifth.
 * @returns the value, and for an array also its elements with their texts. For invalid JSON, the error. For an array that
 * is nested too deeply, also the texts of its elements, because most of them may be valid.
 */
export const readJson = (
  text: string,
  maxValues = Infinity,
):
  | { value: Json; elements: { value: Json; text: string }[] | null }
  | { wrong: string; texts?: string[] } => {
  const { depth, values, elements, isArray, isPlain } = scan(text)
  const limit = isPlain ? maxValues : maxValues / 5
  if (depth > MAX_DEPTH)
    return {
      wrong: `the JSON is nested deeper than ${MAX_DEPTH} levels`,
      ...(isArray && values <= limit && { texts: elements }),
    }
  if (values > limit) return { wrong: `the JSON holds more than ${limit} values` }
  try {
    // A reviver function makes parsing ten times slower.
    const value: Json = isPlain ? JSON.parse(text) : JSON.parse(text, keepDigits)
    if (!Array.isArray(value)) return { value, elements: null }
    return { value, elements: value.map((value, i) => ({ value, text: elements[i] ?? '' })) }
  } catch {
    return { wrong: 'the body is not valid JSON' }
  }
}

const keepDigits = (_name: string, value: Json, context?: { source?: string }): Json => {
  if (typeof value === 'number' && context?.source !== undefined) {
    // Beyond 2^53 a double may hold the same digits by chance, but code that reads it cannot rely on that.
    const kept = !Number.isInteger(value) || Number.isSafeInteger(value)
    return kept && String(value) === context.source ? value : new LosslessNumber(context.source)
  }
  // Postgres stores the name `did\0` as `did`. A CDR must read the same before and after it was stored.
  if (isObject(value) && Object.keys(value).some(name => storable(name) !== name))
    return Object.fromEntries(Object.entries(value).map(([name, v]) => [storable(name), v]))
  return value
}

/** A body may be JSON text in a string, and that string in another one. Deeper nesting comes from a loop in the sender's program. */
export const MAX_STRINGS = 3

/** An object, or the object in a JSON text. */
export const asObject = (value: Json): JsonObject | null => {
  for (let inner = value, strings = 0; strings <= MAX_STRINGS; strings++) {
    if (typeof inner !== 'string') return isObject(inner) ? inner : null
    const json = readJson(inner)
    if (!('value' in json)) return null
    inner = json.value
  }
  return null
}

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = '"\\,{}[]'
  .split('')
  .map(sign => sign.charCodeAt(0))
/** A double may not hold more digits than this. */
const SAFE_DIGITS = 15

/**
 * Finds the depth, the number of values, and the text of each element if the whole text is an array. Also finds
 * whether the text is plain: it has only short whole numbers and no \u escapes, so that plain JSON.parse returns the
 * same as with `keepDigits`. One pass without recursion, because the text has not been checked yet.
 */
const scan = (text: string) => {
  const elements: string[] = []
  let level = 0
  let depth = 0
  let values = 0
  let inString = false
  let start = 0
  let end = 0
  let digits = 0
  let isPlain = !text.includes('\\u') && text.isWellFormed()
  const mayBeArray = text.trimStart().startsWith('[')
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (inString) {
      if (char === BACKSLASH) i++
      else if (char === QUOTE) inString = false
      continue
    }
    // A number with "-", "." or "e" is not only digits.
    if (char >= 48 && char <= 57) {
      if (++digits > SAFE_DIGITS) isPlain = false
      continue
    }
    if (char === 45 || char === 46 || (digits > 0 && (char === 101 || char === 69))) isPlain = false
    digits = 0
    if (char === QUOTE) inString = true
    else if (char === OPEN_LIST || char === OPEN) {
      level++
      values++
      depth = Math.max(depth, level)
      if (level === 1) start = i + 1
    } else if (char === CLOSE_LIST || char === CLOSE || char === COMMA) {
      if (level === 1 && mayBeArray) {
        elements.push(text.slice(start, i).trim())
        start = i + 1
      }
      if (char === COMMA) values++
      else if (--level === 0) end ||= i + 1
    }
  }
  // The first bracket is closed by the last character of the text.
  const isArray = mayBeArray && end === text.trimEnd().length
  return { depth, values, elements, isArray, isPlain }
}

/** Removes what Postgres cannot store: NUL characters and unpaired surrogates. */
export const storable = (text: string): string =>
  text.includes('\0') || !text.isWellFormed() ? text.replaceAll('\0', '').toWellFormed() : text

/**
 * The canonical form of a CDR: sorted names, no spaces, numbers as written. It is hashed to recognise a repeat, and
 * stored as jsonb. Long whole numbers are written as text, so that JavaScript reads back all their digits. So are
 * exponents, because jsonb expands 1e100000 and rejects 1e200000.
 */
export const canonical = (value: Json): string => {
  if (value instanceof LosslessNumber)
    return /^-?\d{1,20}\.\d{1,20}$/.test(value.source) ? value.source : JSON.stringify(value.source)
  if (typeof value === 'string') return JSON.stringify(storable(value))
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  const names = Object.keys(value).sort()
  const flat = canonicalIfFlat(value, names)
  if (flat !== null) return flat
  // String concatenation, because this runs for many CDRs: map and join take 50 % longer.
  let fields = ''
  for (const name of names) {
    if (fields) fields += ','
    fields += `${JSON.stringify(storable(name))}:${canonical(value[name] ?? null)}`
  }
  return `{${fields}}`
}

/**
 * The canonical form of an object that JSON.stringify can write at once, in a third of the time. Nearly every CDR is
 * such an object. Null: another object.
 */
const canonicalIfFlat = (object: JsonObject, names: readonly string[]): string | null => {
  const sorted: JsonObject = {}
  for (const name of names) {
    const value = object[name] ?? null
    if (value !== null && typeof value === 'object') return null
    // An object does not keep the order of names that are numbers, and __proto__ may not become a field.
    if ((name >= '0' && name < ':') || name === '__proto__') return null
    sorted[name] = value
  }
  const text = JSON.stringify(sorted)
  // JSON.stringify writes NUL and unpaired surrogates like this: `storable` has to remove them.
  return text.includes('\\u') ? null : text
}
