/**
 * The updates we act upon, as Meta's "Webhooks reference" describes them. Loose objects, and nearly everything
 * optional: what Meta adds or leaves out must not keep us from what we need.
 */
import { z } from 'zod'
import { isObject, type Json, type JsonObject } from '../json.ts'

/** Far longer than any id that Meta gives, and short enough for every index. */
const LONGEST = 512
const id = z.string().min(1).max(LONGEST)
/** By which somebody is known. What is no such thing is as good as none: the rest of the update still counts. */
const name = z.string().max(LONGEST).optional().catch(undefined)

const contacts = z
  .array(
    z.looseObject({
      wa_id: name,
      user_id: name,
      profile: z.looseObject({ name: z.string().optional() }).optional(),
    }),
  )
  .catch([])

const caption = z.looseObject({ caption: z.string().optional() }).optional().catch(undefined)

export const messageEvent = z.object({
  contacts,
  item: z.looseObject({
    id,
    from: name,
    from_user_id: name,
    type: z.string().catch('unknown'),
    context: z.looseObject({ id: name }).optional().catch(undefined),
    text: z.looseObject({ body: z.string() }).optional().catch(undefined),
    button: z
      .looseObject({ payload: z.string().optional(), text: z.string().optional() })
      .optional()
      .catch(undefined),
    interactive: z
      .looseObject({
        button_reply: z
          .looseObject({ id: z.string().optional(), title: z.string().optional() })
          .optional(),
        list_reply: z
          .looseObject({ id: z.string().optional(), title: z.string().optional() })
          .optional(),
      })
      .optional()
      .catch(undefined),
    reaction: z
      .looseObject({ message_id: name, emoji: z.string().optional() })
      .optional()
      .catch(undefined),
    system: z
      .looseObject({
        type: z.string().optional(),
        wa_id: name,
        user_id: name,
      })
      .optional()
      .catch(undefined),
    image: caption,
    video: caption,
    document: caption,
  }),
})
export type MessageEvent = z.infer<typeof messageEvent>

export const statusEvent = z.object({
  item: z.looseObject({
    id,
    status: z.string(),
    /** Unix seconds, as text. */
    timestamp: z.coerce.number().min(0).max(9_999_999_999).optional().catch(undefined),
    recipient_id: name,
    biz_opaque_callback_data: z.string().optional(),
    pricing: z.looseObject({ category: z.string().optional() }).optional().catch(undefined),
    errors: z
      .array(z.looseObject({ code: z.int32() }))
      .optional()
      .catch(undefined),
  }),
})
export type StatusEvent = z.infer<typeof statusEvent>['item']

export const preferenceEvent = z.object({
  contacts,
  item: z.looseObject({
    wa_id: name,
    user_id: name,
    value: z.string(),
  }),
})

export const echoEvent = z.object({
  item: z.looseObject({
    id,
    to: name,
    to_user_id: name,
  }),
})

export const templateEvent = z.object({
  item: z.looseObject({
    event: z.string(),
    message_template_name: z.string(),
    message_template_language: z.string(),
  }),
})

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
  const found = Object.entries(LISTS[field] ?? {}).flatMap(([list, kind]) => {
    const items = elements(value[list])
    const contactsOf = contactsFor(objects(value['contacts']), items)
    return items.map((item): Update =>
      isObject(item)
        ? {
            ...about,
            kind,
            payload: { item, contacts: contactsOf(item) },
            key: keyOf(kind, item),
          }
        : { ...about, kind: 'other', payload: { item }, key: null },
    )
  })
  if (found.length) return found
  const kind = field === 'message_template_status_update' ? 'template_status' : 'other'
  return [{ ...about, kind, payload: { item: value }, key: null }]
}

/** Under which names an update speaks of a person, and a contact of itself. */
const NAMES = ['from', 'from_user_id', 'to', 'to_user_id', 'wa_id', 'user_id']
const namesIn = (item: JsonObject): string[] =>
  NAMES.flatMap(name => text(item[name])?.replace(/^\+/, '') ?? [])

/**
 * Of each update the contacts of whom it speaks. A change may carry those of 1,000 people, and all of them
 * with each of its updates would be a million; nor is one person's name another's.
 */
const contactsFor = (contacts: JsonObject[], items: Json[]) => {
  const byName = new Map<string, JsonObject>()
  for (const contact of contacts) for (const name of namesIn(contact)) byName.set(name, contact)
  return (item: JsonObject): JsonObject[] => {
    const hers = new Set(
      namesIn(item)
        .map(name => byName.get(name))
        .filter(isObject),
    )
    // Her wa_id may be another than the number she writes from; then there is nobody else she can be.
    return hers.size === 0 && items.length === 1 && contacts.length === 1 ? contacts : [...hers]
  }
}

const keyOf = (kind: Update['kind'], item: JsonObject): string | null => {
  const id = text(item['id'])
  if (!id) return null
  if (kind === 'message' || kind === 'echo') return `${kind} ${id}`
  return kind === 'status' ? statusKey(id, text(item['status'])) : null
}

/** The same report on the same message, however often Meta repeats it. */
export const statusKey = (wamid: string, status: string | null): string =>
  `status ${wamid} ${status}`

const elements = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : [])
const objects = (value: Json | undefined): JsonObject[] => elements(value).filter(isObject)
const text = (value: Json | undefined): string | null =>
  typeof value === 'string' && value ? value : null
