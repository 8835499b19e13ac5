/** What a person, an owner or Meta does, and the webhook update that reports it. */
import { webhookError } from './errors.ts'
import type { StatusStep } from './scripts.ts'
import type { InboxMessage, Person, State, WhatsAppNumber } from './state.ts'
import type { Update } from './webhooks.ts'

type Common = {
  /** The business number; by default the one that last wrote to the person. */
  phoneNumberId?: string | undefined
  agoSeconds?: number
  /** Fields that replace or extend those of the message (of the value, if there is no message). */
  fields?: Record<string, unknown>
}

type MessageEvent = Common & {
  /** The person, in E.164. */
  from: string
  id?: string
  context?: string | undefined
  /** The person hides the phone number behind a username: only the user id is reported. */
  bsuidOnly?: boolean
  /** Another app holds the conversation, so the update has the field `standby`. */
  standby?: boolean
} & (
    | { kind: 'text'; text: string }
    /** A tap on a button of `context` (by default the last template), with the payload sent for it. */
    | { kind: 'button'; text: string; payload?: string }
    | { kind: 'interactive'; reply: InteractiveReply }
    | { kind: 'media'; media: keyof typeof MEDIA; caption?: string | undefined }
    /** A reaction to `context` (by default the last message). Without an emoji, it is removed. */
    | { kind: 'reaction'; emoji?: string }
    | { kind: 'unsupported' }
    /** `newPhone`, in E.164, is for a changed number. */
    | { kind: 'system'; change: `user_changed_${'number' | 'user_id'}`; newPhone?: string }
    /** `original` is the id of an earlier message of this person. */
    | { kind: 'edit'; original: string; text: string }
    | { kind: 'revoke'; original: string }
    /** A message type that does not exist yet. */
    | { kind: 'unknown_type'; type?: string }
  )

type InteractiveReply =
  | { type: 'button_reply' | 'list_reply'; id: string; title: string }
  | { type: 'nfm_reply'; response_json: string }

type OtherEvent = Common &
  (
    | { kind: 'user_preferences'; from: string; value: 'stop' | 'resume' }
    /** The owner wrote to the person in the WhatsApp Business app. */
    | { kind: 'echo'; to: string; text: string; id?: string }
    | { kind: 'template_category'; template: string; language?: string; category?: string }
    /** Meta approved, rejected or paused a template: the fake then knows it as such. */
    | {
        kind: 'template_status'
        template: string
        language?: string
        event: string
        reason?: string
      }
    /** A call on WhatsApp has ended; without seconds, it was not answered. */
    | { kind: 'call'; with: string; by?: 'person' | 'business'; seconds?: number; id?: string }
    /** An error of the system or the account, which belongs to no message. */
    | { kind: 'errors'; code?: number }
    /** Any field with any value, such as an `account_update`. */
    | { kind: 'field'; field: string; value?: Record<string, unknown> }
    /** A status of a message that this fake need not know. */
    | {
        kind: 'status'
        wamid: string
        status: string
        recipientId?: string
        callbackData?: string
        code?: number
      }
  )

export type WebhookEvent = MessageEvent | OtherEvent

/** Plays an event: changes what the fake knows, and returns the update that reports it. */
export const updateFor = (state: State, event: WebhookEvent, id: string): Update => {
  const phone =
    'from' in event
      ? event.from
      : 'to' in event
        ? event.to
        : 'with' in event
          ? event.with
          : undefined
  const number = state.numberFor(event.phoneNumberId, phone)
  const { phoneNumberId } = number
  const ourPhone = number.displayNumber.slice(1)
  const at = Date.now() - (event.agoSeconds ?? 0) * 1000
  const timestamp = seconds(event.agoSeconds)
  const common = metadata(number)
  const update = (field: string, value: Record<string, unknown>): Update => ({
    number,
    field,
    value: { ...value, ...event.fields },
  })
  const say = (by: 'person' | 'owner', person: Person, text: string) =>
    person.lines.push({ by, phoneNumberId, text, at: new Date(at).toISOString() })

  switch (event.kind) {
    case 'user_preferences': {
      const { waId: wa_id, userId: user_id } = state.person(event.from)
      const { value } = event
      const detail = `User requested to ${value} marketing messages`
      const category = 'marketing_messages'
      return update('user_preferences', {
        ...common,
        contacts: [{ wa_id, user_id }],
        user_preferences: [{ wa_id, detail, category, value, timestamp }],
      })
    }
    case 'echo': {
      const person = state.person(event.to)
      say('owner', person, event.text)
      const head = { from: ourPhone, to: person.waId, id, timestamp: String(timestamp) }
      const echo = { ...head, type: 'text', text: { body: event.text } }
      return update('smb_message_echoes', { ...common, message_echoes: [echo] })
    }
    // Events of templates and accounts name the account only, not a number.
    case 'template_status': {
      const { template: name, language = 'he', event: status, reason } = event
      const template = state.template(number.wabaId, name, language)
      if (template) Object.assign(template, { status, rejectedReason: reason })
      return update('message_template_status_update', {
        event: status,
        message_template_id: template?.id ?? '594425479261596',
        message_template_name: name,
        message_template_language: language,
        reason: reason ?? 'NONE',
      })
    }
    case 'template_category':
      Object.assign(state.template(number.wabaId, event.template, event.language ?? 'he') ?? {}, {
        category: event.category ?? 'MARKETING',
      })
      return update('template_category_update', {
        message_template_id: 594425479261596,
        message_template_name: event.template,
        message_template_language: event.language ?? 'he',
        previous_category: 'UTILITY',
        new_category: event.category ?? 'MARKETING',
      })
    case 'call': {
      const { waId, userId } = state.person(event.with)
      const isOurs = event.by === 'business'
      const call = {
        id,
        ...(isOurs
          ? { from: ourPhone, to: waId, to_user_id: userId }
          : { from: waId, from_user_id: userId, to: ourPhone }),
        event: 'terminate',
        timestamp: String(timestamp),
        direction: isOurs ? 'BUSINESS_INITIATED' : 'USER_INITIATED',
        status: event.seconds ? 'COMPLETED' : 'FAILED',
        ...(event.seconds && {
          start_time: String(timestamp - event.seconds),
          end_time: String(timestamp),
          duration: event.seconds,
        }),
        ...event.fields,
      }
      const contacts = [{ wa_id: waId, user_id: userId }]
      return { number, field: 'calls', value: { ...common, contacts, calls: [call] } }
    }
    case 'field':
      return update(event.field, event.value ?? {})
    case 'errors':
      return update('messages', { ...common, errors: [webhookError(event.code ?? 131000)] })
    case 'status': {
      const { wamid, status, recipientId, callbackData, code } = event
      const item = {
        id: wamid,
        status,
        timestamp: String(timestamp),
        ...(recipientId && { recipient_id: recipientId }),
        ...(callbackData && { biz_opaque_callback_data: callbackData }),
        ...(code !== undefined && { errors: [webhookError(code)] }),
      }
      return update('messages', { ...common, statuses: [item] })
    }
    default: {
      const person = state.person(event.from)
      const { waId, userId, name } = person
      const hidden = event.bsuidOnly
      const { context, ...content } = contentOf(state, number, event)
      const contact = { profile: { name }, ...(!hidden && { wa_id: waId }), user_id: userId }
      const message = {
        ...(!hidden && { from: waId }),
        from_user_id: userId,
        id,
        timestamp: String(timestamp),
        ...(context && { context: { from: ourPhone, id: context } }),
        ...content,
        ...event.fields,
      }
      say('person', person, 'text' in event ? event.text : `(${event.kind})`)
      // Edits, revocations and system messages do not open the window for free text.
      if (!['system', 'edit', 'revoke'].includes(event.kind)) person.wroteAt.set(phoneNumberId, at)
      // System messages have no contacts.
      const contacts = event.kind !== 'system' && { contacts: [contact] }
      const field = event.standby ? 'standby' : 'messages'
      return { number, field, value: { ...common, ...contacts, messages: [message] } }
    }
  }
}

export const statusUpdate = (
  number: WhatsAppNumber,
  { waId, userId }: Person,
  { wamid, biz_opaque_callback_data, template }: InboxMessage,
  { status, code = 131026, callbackData = true, agoSeconds, fields }: StatusStep,
): Update => {
  const category = template ? 'utility' : 'service'
  const pricing = { billable: true, pricing_model: 'PMP', type: 'regular', category }
  const item = {
    id: wamid,
    status,
    timestamp: String(seconds(agoSeconds)),
    recipient_id: waId,
    recipient_user_id: userId,
    ...(callbackData && { biz_opaque_callback_data }),
    ...(status === 'failed' ? { errors: [webhookError(code)] } : { pricing }),
    ...fields,
  }
  return { number, field: 'messages', value: { ...metadata(number), statuses: [item] } }
}

/** Unix seconds. Webhooks write them as text, except in `user_preferences`. */
const seconds = (ago = 0): number => Math.floor(Date.now() / 1000 - ago)

const metadata = ({ displayNumber, phoneNumberId: phone_number_id }: WhatsAppNumber) => ({
  messaging_product: 'whatsapp',
  metadata: { display_phone_number: displayNumber.slice(1), phone_number_id },
})

type Content = { context?: string | undefined; type: string; [field: string]: unknown }

/** The part of a message that depends on its type (Meta, webhook reference, messages). */
const contentOf = (state: State, number: WhatsAppNumber, event: MessageEvent): Content => {
  const { context } = event
  const content = (type: string, value: unknown): Content => ({ context, type, [type]: value })
  const received = () =>
    state.inbox(event.from).filter(one => one.phoneNumberId === number.phoneNumberId)

  switch (event.kind) {
    case 'text':
      return content('text', { body: event.text })
    case 'button': {
      const { text } = event
      const tapped = context
        ? state.messages.get(context)
        : received().findLast(({ template }) => template)
      const sent = tapped?.template?.buttons.find(button => button.text === text)
      const payload = event.payload ?? sent?.payload ?? text
      return { ...content('button', { payload, text }), context: context ?? tapped?.wamid }
    }
    case 'interactive': {
      const { type, ...reply } = event.reply
      return content('interactive', { type, [type]: reply })
    }
    case 'media': {
      const media = MEDIA[event.media]
      const caption = event.caption !== undefined && { caption: event.caption }
      return content(event.media, Array.isArray(media) ? media : { ...media, ...caption })
    }
    case 'reaction': {
      // A removed reaction has no key `emoji`.
      const emoji = event.emoji !== undefined && { emoji: event.emoji }
      const message_id = context ?? received().at(-1)?.wamid
      return { type: 'reaction', reaction: { message_id, ...emoji } }
    }
    case 'unsupported':
      return { ...content('unsupported', { type: 'unknown' }), errors: [webhookError(131051)] }
    case 'system': {
      const person = state.person(event.newPhone ?? event.from)
      if (!event.newPhone) person.userId += '1'
      const { waId: wa_id, userId: user_id } = person
      return content('system', { type: event.change, body: 'The user changed', wa_id, user_id })
    }
    case 'edit': {
      const message = { type: 'text', text: { body: event.text } }
      return content('edit', { original_message_id: event.original, message })
    }
    case 'revoke':
      return content('revoke', { original_message_id: event.original })
    case 'unknown_type':
      return content(event.type ?? 'hologram', { anything: true })
  }
}

const file = (mime_type: string) => ({ mime_type, sha256: 'c2hhMjU2', id: '1003383421387256' })
const MEDIA = {
  image: file('image/jpeg'),
  audio: { ...file('audio/ogg; codecs=opus'), voice: true },
  video: file('video/mp4'),
  document: { ...file('application/pdf'), filename: 'a.pdf' },
  sticker: { ...file('image/webp'), animated: false },
  location: { latitude: 32.0853, longitude: 34.7818, name: 'תל אביב' },
  contacts: [{ name: { formatted_name: 'Dana' }, phones: [{ phone: '+972501112222' }] }],
  order: {
    catalog_id: '1',
    product_items: [{ product_retailer_id: 'a', quantity: 1, item_price: 9, currency: 'ILS' }],
  },
}
