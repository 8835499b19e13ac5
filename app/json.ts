/** JSON from outside: parsed once, with every digit kept, and written so that Postgres takes it. */

export type Json = string | number | boolean | null | Exact | Json[] | JsonObject
export type JsonObject = { [name: string]: Json }

/** A number that a double would not keep as it was written (1.0, 1e400), or not safely: 28 digits of a call id. */
export class Exact {
  readonly source: string
  constructor(source: string) {
    this.source = source
  }
}

export const isObject = (value: unknown): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Exact)

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
  const { depth, values, elements, isArray } = scan(text)
  if (depth > DEEPEST)
    return {
      wrong: `the JSON is nested deeper than ${DEEPEST} levels`,
      ...(isArray && { texts: elements }),
    }
  if (values > mostValues) return { wrong: `the JSON holds more than ${mostValues} values` }
  try {
    const value: Json = JSON.parse(text, asWritten)
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
    return kept && String(value) === context.source ? value : new Exact(context.source)
  }
  // What is read now must be what is read again from the database, where `did\0` has become `did`.
  if (isObject(value) && Object.keys(value).some(name => storable(name) !== name))
    return Object.fromEntries(Object.entries(value).map(([name, v]) => [storable(name), v]))
  return value
}

/**
 * How deep the brackets go, how many values there are, and the text of each element if the whole is an array.
 * One pass without recursion, for it runs before the text is known to be sane.
 */
const scan = (text: string) => {
  const elements: string[] = []
  let level = 0
  let depth = 0
  let values = 0
  let inString = false
  let start = 0
  let end = 0
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (inString) {
      if (char === '\\') i++
      else if (char === '"') inString = false
    } else if (char === '"') inString = true
    else if (char === '[' || char === '{') {
      level++
      values++
      depth = Math.max(depth, level)
      if (level === 1) start = i + 1
    } else if (char === ']' || char === '}' || char === ',') {
      if (level === 1) {
        elements.push(text.slice(start, i).trim())
        start = i + 1
      }
      if (char === ',') values++
      else if (--level === 0) end ||= i + 1
    }
  }
  // Opened, and closed only by the last sign of all.
  const isArray = text.trimStart().startsWith('[') && end === text.trimEnd().length
  return { depth, values, elements, isArray }
}

/** The text without what Postgres cannot store: NUL characters and halves of surrogate pairs. */
export const storable = (text: string): string => text.replaceAll('\0', '').toWellFormed()

/**
 * The one way to write a record: names sorted, no spaces, numbers as they came, storable. What is
 * hashed to recognise a repeat, and what is stored as jsonb. Long whole numbers are written as text,
 * so that whoever reads them back in JavaScript has all their digits; so are exponents, for jsonb
 * writes 1e100000 out and refuses 1e200000.
 */
export const canonical = (value: Json): string => {
  if (value instanceof Exact)
    return /^-?\d{1,20}\.\d{1,20}$/.test(value.source) ? value.source : JSON.stringify(value.source)
  if (typeof value === 'string') return JSON.stringify(storable(value))
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  const fields = Object.keys(value)
    .toSorted()
    .map(name => `${JSON.stringify(storable(name))}:${canonical(value[name] ?? null)}`)
  return `{${fields.join()}}`
}
