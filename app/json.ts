/** JSON from outside: parsed once, with every digit kept, and written so that Postgres takes it. */

export type Json = string | number | boolean | null | LosslessNumber | Json[] | JsonObject
export type JsonObject = { [name: string]: Json }

/** A number that a double would not keep as it was written (1.0, 1e400), or not safely: 28 digits of a call id. */
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

/** Voicenter's records are three levels deep. JSON.stringify overflows the stack at some thousands. */
const DEEPEST = 32

/**
 * @param mostValues of a text that anybody may have written: millions of numbers keep everybody else waiting
 * @returns the value; for an array also its elements, each with its own text. Or what is wrong, and of an
 * array that is only too deep the texts of its elements, for most of them may be sound.
 */
export const readJson = (
  text: string,
  mostValues = Infinity,
):
  | { value: Json; elements: { value: Json; text: string }[] | null }
  | { wrong: string; texts?: string[] } => {
  const { depth, values, elements, isArray, isPlain } = scan(text)
  if (depth > DEEPEST)
    return {
      wrong: `the JSON is nested deeper than ${DEEPEST} levels`,
      ...(isArray && { texts: elements }),
    }
  if (values > mostValues) return { wrong: `the JSON holds more than ${mostValues} values` }
  try {
    // A function that is asked about every value takes ten times as long as the reading itself.
    const value: Json = isPlain ? JSON.parse(text) : JSON.parse(text, asWritten)
    if (!Array.isArray(value)) return { value, elements: null }
    return { value, elements: value.map((value, i) => ({ value, text: elements[i] ?? '' })) }
  } catch {
    return { wrong: 'the body is not valid JSON' }
  }
}

const asWritten = (_name: string, value: Json, context?: { source?: string }): Json => {
  if (typeof value === 'number' && context?.source !== undefined) {
    // Beyond 2^53 a double may hold these very digits by chance, yet what reads it trusts none of them.
    const kept = !Number.isInteger(value) || Number.isSafeInteger(value)
    return kept && String(value) === context.source ? value : new LosslessNumber(context.source)
  }
  // What is read now must be what is read again from the database, where `did\0` has become `did`.
  if (isObject(value) && Object.keys(value).some(name => storable(name) !== name))
    return Object.fromEntries(Object.entries(value).map(([name, v]) => [storable(name), v]))
  return value
}

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = '"\\,{}[]'
  .split('')
  .map(sign => sign.charCodeAt(0))
/** More digits may be more than a double holds. */
const SAFE_DIGITS = 15

/**
 * How deep the brackets go, how many values there are, and the text of each element if the whole is an array. And
 * whether it is plain: no names or numbers that `asWritten` would keep differently, only whole numbers that are short
 * and nothing escaped by its code. One pass without recursion, for it runs before the text is known to be sane.
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
    // "-", "." and between digits "e" are what makes a number more than its digits.
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
  // Opened, and closed only by the last sign of all.
  const isArray = mayBeArray && end === text.trimEnd().length
  return { depth, values, elements, isArray, isPlain }
}

/** The text without what Postgres cannot store: NUL characters and halves of surrogate pairs. */
export const storable = (text: string): string =>
  text.includes('\0') || !text.isWellFormed() ? text.replaceAll('\0', '').toWellFormed() : text

/**
 * The one way to write a record: names sorted, no spaces, numbers as they came, storable. What is
 * hashed to recognise a repeat, and what is stored as jsonb. Long whole numbers are written as text,
 * so that whoever reads them back in JavaScript has all their digits; so are exponents, for jsonb
 * writes 1e100000 out and refuses 1e200000.
 */
export const canonical = (value: Json): string => {
  if (value instanceof LosslessNumber)
    return /^-?\d{1,20}\.\d{1,20}$/.test(value.source) ? value.source : JSON.stringify(value.source)
  if (typeof value === 'string') return JSON.stringify(storable(value))
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  // Piece by piece, for this runs with every record: to map and join takes half as long again.
  let fields = ''
  for (const name of Object.keys(value).sort()) {
    if (fields) fields += ','
    fields += `${JSON.stringify(storable(name))}:${canonical(value[name] ?? null)}`
  }
  return `{${fields}}`
}
