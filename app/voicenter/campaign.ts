import { asObject, type Json, type JsonObject, LosslessNumber, storable } from '../json.ts'

const NAME = /^(utm_[a-z0-9_]{1,50}|gclid)$/
/** With the longest names and values, this many fit into raw_cdrs.campaign. */
const MAX_NAMES = 12
const MAX_LENGTH = 150
/** A longer text is not parsed. */
const MAX_TEXT = 50_000

const textOf = (value: Json): string => {
  const written = value instanceof LosslessNumber ? value.source : value
  return typeof written === 'string' || typeof written === 'number'
    ? storable(String(written).trim().slice(0, MAX_LENGTH))
    : ''
}

/**
 * The advertisement that led to a call: `utm_*` and `gclid` of the CustomData of its CDR, by their names in lower case.
 * Null = it has none.
 */
export const campaignOf = (record: JsonObject): Record<string, string> | null => {
  const found: Record<string, string> = {}
  let names = 0
  for (const field of Object.keys(record)) {
    if (field.length > 'custom_data'.length || !/^custom_?data$/i.test(field)) continue
    const customData = record[field] ?? null
    if (typeof customData === 'string' && customData.length > MAX_TEXT) continue
    for (const [written, value] of Object.entries(asObject(customData) ?? {})) {
      const name = written.toLowerCase()
      if (!NAME.test(name) || Object.hasOwn(found, name)) continue
      const text = textOf(value)
      if (text === '') continue
      found[name] = text
      names++
      if (names === MAX_NAMES) return found
    }
  }
  return names === 0 ? null : found
}
