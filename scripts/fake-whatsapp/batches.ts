import { asciiJson } from './signature.ts'
import type { Update } from './webhooks.ts'

/** Meta puts up to 1,000 updates in one POST, and up to 3 MB (Meta, webhooks overview). */
const MOST_UPDATES = 1000
const MOST_BYTES = 3_000_000

type Change = { field: string; value: Record<string, unknown> }

/** The lists of a value: messages, statuses, contacts ... */
const listsOf = (value: Record<string, unknown>) =>
  Object.entries(value).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]))

const sameShape = (one: Change, other: Change): boolean =>
  one.field === other.field &&
  JSON.stringify([Object.keys(one.value), one.value.metadata]) ===
    JSON.stringify([Object.keys(other.value), other.value.metadata]) &&
  listsOf(one.value).length > 0

/**
 * The payload of one POST: an `entry` per account, in it a change per number and kind of update.
 * Updates of one kind that follow each other share a change, as `messages[]` of two and more.
 */
export const payloadOf = (updates: Update[]) => {
  const entries = new Map<string, Change[]>()
  for (const { number, field, value } of updates) {
    const changes = entries.get(number.wabaId) ?? []
    entries.set(number.wabaId, changes)
    const last = changes.at(-1)
    if (last && sameShape(last, { field, value })) {
      const added = new Map(listsOf(value))
      const joined = listsOf(last.value).map(([key, list]) => [
        key,
        [...list, ...(added.get(key) ?? [])],
      ])
      last.value = { ...last.value, ...Object.fromEntries(joined) }
    } else changes.push({ field, value })
  }
  return {
    object: 'whatsapp_business_account',
    entry: [...entries].map(([id, changes]) => ({ id, changes })),
  }
}

/**
 * Splits updates into POSTs. One POST may hold the updates of several businesses, where they
 * share an app, that is a callback URL and a secret.
 */
export const inPosts = (updates: Update[]): { part: Update[]; payload: unknown }[] => {
  const apps = Object.groupBy(updates, ({ number }) =>
    JSON.stringify([number.callbackUrl, number.appSecret]),
  )
  const parts: Update[][] = []
  for (const ofOneApp of Object.values(apps)) {
    let part: Update[] = []
    let bytes = 0
    for (const update of ofOneApp ?? []) {
      const size = asciiJson(update.value).length
      if (part.length === MOST_UPDATES || (part.length > 0 && bytes + size > MOST_BYTES)) {
        parts.push(part)
        part = []
        bytes = 0
      }
      part.push(update)
      bytes += size
    }
    parts.push(part)
  }
  return parts.map(part => ({ part, payload: payloadOf(part) }))
}
