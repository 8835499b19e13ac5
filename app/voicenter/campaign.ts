import type { Json } from '../json.ts'
import { asObject } from './parse.ts'

const NAME = /^(utm_[a-z0-9_]{1,50}|gclid)$/
const MAX_NAMES = 20
const MAX_LENGTH = 500

/**
 * The advertisement that led to a call: `utm_*` and `gclid` of its CustomData, by their names in lower case. Null = it has
 * none.
 */
export const campaignOf = (customData: Json): Record<string, string> | null => {
  const found = Object.entries(asObject(customData) ?? {}).flatMap(([written, value]) => {
    const name = written.toLowerCase()
    const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
    return NAME.test(name) && text !== '' ? [[name, text.slice(0, MAX_LENGTH).toWellFormed()]] : []
  })
  return found.length === 0 ? null : Object.fromEntries(found.slice(0, MAX_NAMES))
}
