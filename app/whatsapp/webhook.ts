import { isObject, type Json, type JsonObject } from '../voicenter/json.ts'

/** One update out of a POST. What it says is read by its own task, so that a bad one spoils no other. */
export type Update = {
  kind: 'message' | 'status' | 'preference' | 'echo' | 'template_status' | 'other'
  field: string
  phoneNumberId: string | null
  wabaId: string | null
  payload: JsonObject
  /** What makes it the same update when Meta sends it again; null = its whole content. */
  key: string | null
}

/** Meta's field and the list in it -> what one element of that list is. */
const LISTS: Record<string, Record<string, Update['kind']>> = {
  messages: { messages: 'message', statuses: 'status' },
  user_preferences: { user_preferences: 'preference' },
  smb_message_echoes: { message_echoes: 'echo' },
}

/**
 * Takes a POST apart (Meta, "Webhooks reference": entry[] x changes[] x messages[] | statuses[] ...). It may
 * hold a thousand updates for several tenants. What is not understood is kept whole, as `other`.
 */
export const updatesIn = (body: Json): Update[] => {
  const updates: Update[] = []
  for (const entry of objects(isObject(body) ? body['entry'] : undefined))
    for (const change of objects(entry['changes']))
      updates.push(...updatesOf(change, text(entry['id'])))
  return updates.length
    ? updates
    : [{ ...NOBODYS, kind: 'other', field: 'unknown', payload: { body } }]
}

const NOBODYS = { phoneNumberId: null, wabaId: null, key: null }

const updatesOf = (change: JsonObject, wabaId: string | null): Update[] => {
  const field = text(change['field']) ?? 'unknown'
  const value = isObject(change['value']) ? change['value'] : {}
  const metadata = isObject(value['metadata']) ? value['metadata'] : {}
  const about = { field, phoneNumberId: text(metadata['phone_number_id']), wabaId }
  const contacts = value['contacts'] ?? []
  const found = Object.entries(LISTS[field] ?? {}).flatMap(([list, kind]) =>
    objects(value[list]).map(item => ({
      ...about,
      kind,
      payload: { item, contacts },
      key: keyOf(kind, item),
    })),
  )
  if (found.length) return found
  const kind = field === 'message_template_status_update' ? 'template_status' : 'other'
  return [{ ...about, kind, payload: { item: value }, key: null }]
}

const keyOf = (kind: Update['kind'], item: JsonObject): string | null => {
  const id = text(item['id'])
  if (!id) return null
  if (kind === 'message' || kind === 'echo') return `${kind} ${id}`
  return kind === 'status' ? `status ${id} ${text(item['status'])}` : null
}

const objects = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : []
const text = (value: Json | undefined): string | null =>
  typeof value === 'string' && value ? value : null
