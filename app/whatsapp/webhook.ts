import { z } from 'zod'
import { canonical, isObject, type Json, type JsonObject, LosslessNumber } from '../json.ts'

// The updates that the program handles, as Meta's "Webhooks reference" describes them. Objects are loose and nearly all
// fields are optional, so that a field that Meta adds or omits does no harm.

/** Longer than any id of Meta's, and short enough for every index. */
const MAX_LENGTH = 512
const id = z.string().min(1).max(MAX_LENGTH)
// A field of another type is ignored, and the fields beside it still count.
const words = z.string().optional().catch(undefined)
const part = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject(shape).optional().catch(undefined)

/** An identifier of a contact. Anything else is ignored, and the rest of the update still counts. */
const identifier = z.string().max(MAX_LENGTH).optional().catch(undefined)

/** An empty one names no group. */
const group = z.string().min(1).optional().catch(undefined)

const contacts = z
  .array(
    z.looseObject({
      wa_id: identifier,
      user_id: identifier,
      parent_user_id: identifier,
      profile: part({ name: words }),
    }),
  )
  .catch([])
export type Contacts = z.infer<typeof contacts>

const caption = part({ caption: words })

export const messageEvent = z.object({
  contacts,
  item: z.looseObject({
    id,
    from: identifier,
    from_user_id: identifier,
    from_parent_user_id: identifier,
    /** A message in a group. */
    group_id: group,
    type: z.string().catch('unknown'),
    context: part({ id: identifier }),
    text: part({ body: z.string() }),
    button: part({ payload: words, text: words }),
    interactive: part({
      type: words,
      call_permission_reply: part({ response_source: words }),
      button_reply: part({ id: words, title: words }),
      list_reply: part({ id: words, title: words }),
    }),
    reaction: part({ message_id: identifier, emoji: words }),
    system: part({
      type: words,
      wa_id: identifier,
      user_id: identifier,
      parent_user_id: identifier,
      previous_user_id: identifier,
      previous_parent_user_id: identifier,
    }),
    image: caption,
    video: caption,
    document: caption,
  }),
})
export type MessageEvent = z.infer<typeof messageEvent>

export const statusEvent = z.object({
  contacts,
  item: z.looseObject({
    id,
    status: z.string(),
    /** Unix seconds, as text. */
    timestamp: z.coerce.number().min(0).max(9_999_999_999).optional().catch(undefined),
    recipient_id: identifier,
    recipient_user_id: identifier,
    recipient_parent_user_id: identifier,
    biz_opaque_callback_data: words,
    pricing: part({ category: words }),
    errors: z
      .array(
        z.looseObject({
          code: z.int32(),
          title: words,
          message: words,
          error_data: part({ details: words }),
        }),
      )
      .optional()
      .catch(undefined),
  }),
})
export type StatusEvent = z.infer<typeof statusEvent>

export const preferenceEvent = z.object({
  contacts,
  item: z.looseObject({
    wa_id: identifier,
    user_id: identifier,
    value: z.string().toLowerCase(),
  }),
})

export const echoEvent = z.object({
  contacts,
  item: z.looseObject({
    id,
    to: identifier,
    to_user_id: identifier,
    group_id: group,
    type: words,
    text: part({ body: z.string() }),
    reaction: part({ emoji: words }),
    image: caption,
    video: caption,
    document: caption,
  }),
})

/** Unix seconds, as a number or as text. */
const epoch = z.coerce.number().min(1).max(9_999_999_999).optional().catch(undefined)

/** A call on WhatsApp, in either direction (Meta, "WhatsApp Business Calling API": terminate webhook). */
export const callEvent = z.object({
  contacts,
  item: z.looseObject({
    id: identifier,
    from: identifier,
    from_user_id: identifier,
    from_parent_user_id: identifier,
    to: identifier,
    to_user_id: identifier,
    to_parent_user_id: identifier,
    event: z.string().catch(''),
    direction: z.string().catch('USER_INITIATED'),
    /** The documentation shows a list of one in one place. */
    status: z.union([z.string(), z.array(z.string()).transform(list => list[0] ?? '')]).catch(''),
    duration: z.coerce.number().catch(0),
    start_time: epoch,
    end_time: epoch,
    timestamp: epoch,
  }),
})
export type CallEvent = z.infer<typeof callEvent>

export const templateEvent = z.object({
  item: z.looseObject({
    event: z.string(),
    message_template_name: z.string(),
    message_template_language: z.string(),
    reason: z.string().optional().catch(undefined),
    message_template_category: z.string().optional().catch(undefined),
  }),
})

export const categoryEvent = z.object({
  item: z.looseObject({
    message_template_name: z.string(),
    message_template_language: z.string().optional().catch(undefined),
    new_category: z.string().optional().catch(undefined),
    /** Announces a change: the template gets this category in 24 hours, and `new_category` is its present one. */
    correct_category: z.string().optional().catch(undefined),
  }),
})

/** One update in a POST. Its own task parses the payload, so that a bad update affects no other. */
export type Update = {
  kind:
    | 'message'
    | 'status'
    | 'preference'
    | 'echo'
    | 'call'
    | 'template_status'
    | 'template_category'
    | 'other'
  field: string
  phoneNumberId: string | null
  wabaId: string | null
  payload: JsonObject
  /** When Meta sent the POST, in Unix seconds by its clock. */
  sentAt: number | null
  /** Identifies the update if Meta sends it again. Null: its whole content and the time of the POST identify it. */
  key: string | null
  /** The only tenant that an update about an account concerns: a Meta app of its own signed it. Absent = all. */
  tenantId?: string
}

/** By Meta's field and the name of the list: the kind of its elements. */
const LISTS: Record<string, Record<string, Update['kind']>> = {
  messages: { messages: 'message', statuses: 'status' },
  // Another app (Meta Business Agent) holds the conversation, and we only listen.
  standby: { messages: 'message', statuses: 'status' },
  calls: { calls: 'call' },
  user_preferences: { user_preferences: 'preference' },
  smb_message_echoes: { message_echoes: 'echo' },
}

/** Updates of an account, which name no number: their kind by Meta's field. */
const OF_ACCOUNT: Record<string, Update['kind']> = {
  message_template_status_update: 'template_status',
  template_category_update: 'template_category',
}

/** The address book and old chats of the owner's phone. Nothing follows from them, so only their arrival is stored. */
const WITHOUT_CONTENTS = new Set(['history', 'smb_app_state_sync'])

/**
 * The updates in a POST (Meta, "Webhooks reference": entry[] x changes[] x messages[] | statuses[] ...). There may be a
 * thousand, for several tenants. A part that is not understood is kept whole, as `other`.
 */
export const updatesIn = (body: Json): Update[] => {
  const updates: Update[] = []
  for (const entry of objects(isObject(body) ? body['entry'] : undefined))
    for (const change of objects(entry['changes']))
      updates.push(
        ...updatesOf(change, { wabaId: text(entry['id']), sentAt: timeOf(entry['time']) }),
      )
  return updates.length
    ? updates
    : [{ ...UNADDRESSED, kind: 'other', field: 'unknown', payload: { body } }]
}

const UNADDRESSED = { phoneNumberId: null, wabaId: null, sentAt: null, key: null }

/** Unix seconds. Some updates of Meta have milliseconds. */
const timeOf = (time: Json | undefined): number | null => {
  const written = Number(time instanceof LosslessNumber ? time.source : time)
  const seconds = written > 1e11 ? written / 1000 : written
  return typeof time !== 'boolean' && seconds > 0 && seconds < 1e11 ? seconds : null
}

const updatesOf = (change: JsonObject, entry: Pick<Update, 'wabaId' | 'sentAt'>): Update[] => {
  const field = text(change['field']) ?? 'unknown'
  const value = isObject(change['value']) ? change['value'] : {}
  const metadata = isObject(value['metadata']) ? value['metadata'] : {}
  const about = { field, phoneNumberId: text(metadata['phone_number_id']), ...entry }
  if (WITHOUT_CONTENTS.has(field))
    return [{ ...about, kind: 'other', payload: {}, key: `${field} ${canonical(value)}` }]
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
  const kind = OF_ACCOUNT[field] ?? 'other'
  return [{ ...about, kind, payload: { item: value }, key: null }]
}

/** The fields of an update, and of a contact, that identify a person. */
const IDENTIFIERS =
  `from from_user_id from_parent_user_id to to_user_id to_parent_user_id wa_id user_id parent_user_id
  recipient_id recipient_user_id recipient_parent_user_id previous_user_id previous_parent_user_id`.split(
    /\s+/,
  )
const identifiersIn = (item: JsonObject): string[] =>
  IDENTIFIERS.flatMap(name => text(item[name])?.trim().replace(/^\+/, '') || [])

const PERSONAL = new Set<Update['kind']>(['message', 'preference', 'echo', 'call'])

/** Of a call on WhatsApp. */
export const isFromBusiness = (direction: string): boolean =>
  direction.toUpperCase() === 'BUSINESS_INITIATED'

/** Of a call, the ids of the business are left out. */
const customerOf = (kind: Update['kind'], item: JsonObject): JsonObject => {
  if (kind !== 'call') return item
  const business = isFromBusiness(text(item['direction']) ?? '') ? /^from/ : /^to/
  return Object.fromEntries(Object.entries(item).filter(([name]) => !business.test(name)))
}

/**
 * The ids by which the person of a message, a preference, an echo or a call may be known. Until the update has been read,
 * nothing is sent to a person with one of these ids (messages/claim.ts).
 */
export const personIdsIn = ({ kind, payload }: Pick<Update, 'kind' | 'payload'>): string[] => {
  const { item } = payload
  if (!PERSONAL.has(kind) || !isObject(item)) return []
  const ids = [customerOf(kind, item), item['system'], ...elements(payload['contacts'])].flatMap(
    part => (isObject(part) ? identifiersIn(part) : []),
  )
  // The message of ours that they answer, because a person who hides their number may have no other known id.
  const { context, reaction } = item
  const answered = [
    isObject(context) && context['id'],
    isObject(reaction) && reaction['message_id'],
  ]
  const wamids = answered.flatMap(found => (found ? (text(found) ?? []) : []))
  return [...new Set([...ids, ...wamids])].filter(found => found.length <= MAX_LENGTH)
}

/**
 * Keeps only the contacts that an update mentions. A change may have contacts and updates of 1,000 people: storing
 * all with each would store a million, and could give a person the name of another.
 */
const contactsFor = (contacts: JsonObject[], items: Json[]) => {
  const byName = new Map<string, JsonObject>()
  for (const contact of contacts)
    for (const name of identifiersIn(contact)) byName.set(name, contact)
  return (item: JsonObject): JsonObject[] => {
    const mentioned = new Set(
      identifiersIn(item)
        .map(name => byName.get(name))
        .filter(isObject),
    )
    // The wa_id may differ from the number in the message. But if there is only one contact, it is the writer.
    return mentioned.size === 0 && items.length === 1 && contacts.length === 1
      ? contacts
      : [...mentioned]
  }
}

const keyOf = (kind: Update['kind'], item: JsonObject): string | null => {
  const id = text(item['id'])
  if (!id) return null
  if (kind === 'message' || kind === 'echo') return `${kind} ${id}`
  if (kind === 'call') return `call ${id} ${text(item['event'])}`
  return kind === 'status' ? statusKey(id, text(item['status'])) : null
}

/** The key of a status. Each repeat of the same status of the same message has the same key. */
export const statusKey = (wamid: string, status: string | null): string =>
  `status ${wamid} ${status}`

const elements = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : [])
const objects = (value: Json | undefined): JsonObject[] => elements(value).filter(isObject)
const text = (value: Json | undefined): string | null =>
  typeof value === 'string' && value ? value : null
