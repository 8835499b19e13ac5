import { z } from 'zod'
import { e164 } from './phone.ts'

/** What every event can say about itself. */
const common = {
  /** The business number it belongs to; by default the one that wrote to the person last. */
  phoneNumberId: z.string().optional(),
  /** The number id that the payload names instead, to play one that nobody knows. */
  asPhoneNumberId: z.string().optional(),
  /** How long ago it happened. */
  agoSeconds: z.number().min(0).default(0),
  /** Put over the message object (or the value, where there is no message): to add, or to spoil. */
  fields: z.record(z.string(), z.unknown()).default({}),
}

/** Something a person did. */
const byPerson = {
  ...common,
  /** The person, in E.164. */
  from: e164,
  /** The message id; give the same twice to play a message that comes twice. */
  id: z.string().optional(),
  /** A message that this one answers. */
  context: z.string().optional(),
  /** The person hides the number behind a username: only the user id is told. */
  bsuidOnly: z.boolean().default(false),
}

const reply = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('button_reply'), id: z.string(), title: z.string() }),
  z.strictObject({
    type: z.literal('list_reply'),
    id: z.string(),
    title: z.string(),
    description: z.string().optional(),
  }),
  z.strictObject({ type: z.literal('nfm_reply'), response_json: z.string() }),
])

/** What a person's message can be. */
const messages = [
  z.strictObject({ ...byPerson, kind: z.literal('text'), text: z.string() }),
  /** A tap on a template's quick reply; `context` is by default the last template received. */
  z.strictObject({
    ...byPerson,
    kind: z.literal('button'),
    text: z.string(),
    /** By default the payload that was sent with this button, else its label. */
    payload: z.string().optional(),
  }),
  z.strictObject({ ...byPerson, kind: z.literal('interactive'), reply }),
  z.strictObject({
    ...byPerson,
    kind: z.literal('media'),
    media: z.enum([
      'image',
      'audio',
      'video',
      'document',
      'sticker',
      'location',
      'contacts',
      'order',
    ]),
    caption: z.string().optional(),
  }),
  /** `context` is the message reacted to, by default the last one received; no emoji: taken back. */
  z.strictObject({ ...byPerson, kind: z.literal('reaction'), emoji: z.string().optional() }),
  z.strictObject({ ...byPerson, kind: z.literal('unsupported') }),
  z.strictObject({
    ...byPerson,
    kind: z.literal('system'),
    change: z.enum(['user_changed_number', 'user_changed_user_id']),
    /** The number moved to, in E.164. */
    newPhone: e164.optional(),
  }),
  /** `original` is the person's own earlier message. */
  z.strictObject({ ...byPerson, kind: z.literal('edit'), original: z.string(), text: z.string() }),
  z.strictObject({ ...byPerson, kind: z.literal('revoke'), original: z.string() }),
  /** A message of a type that is yet to be invented. */
  z.strictObject({
    ...byPerson,
    kind: z.literal('unknown_type'),
    type: z.string().default('hologram'),
  }),
] as const

/** What else a webhook can tell. */
const others = [
  z.strictObject({
    ...common,
    kind: z.literal('user_preferences'),
    from: e164,
    value: z.enum(['stop', 'resume']),
  }),
  /** The owner wrote to the person by hand, in the WhatsApp Business app. */
  z.strictObject({
    ...common,
    kind: z.literal('echo'),
    to: e164,
    text: z.string(),
    id: z.string().optional(),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('template_status'),
    event: z.enum(['APPROVED', 'PAUSED', 'DISABLED', 'REJECTED', 'REINSTATED', 'FLAGGED']),
    template: z.string(),
    language: z.string().default('he'),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('template_category'),
    template: z.string(),
    language: z.string().default('he'),
    previous: z.string().default('UTILITY'),
    category: z.string().default('MARKETING'),
  }),
  /** A system or account error, which concerns no message. */
  z.strictObject({ ...common, kind: z.literal('errors'), code: z.int().default(131000) }),
  /** Any field with any value: an `account_update`, or a field that nobody knows. */
  z.strictObject({
    ...common,
    kind: z.literal('field'),
    field: z.string(),
    value: z.record(z.string(), z.unknown()).default({}),
  }),
  /** A status of a message that this fake need not know. */
  z.strictObject({
    ...common,
    kind: z.literal('status'),
    wamid: z.string(),
    status: z.string(),
    recipientId: z.string().optional(),
    callbackData: z.string().optional(),
    code: z.int().optional(),
  }),
] as const

const messageEvent = z.discriminatedUnion('kind', messages)
export type MessageEvent = z.output<typeof messageEvent>

/** Everything a webhook can report that is not the usual status of a message. */
export const inboundEvent = z.discriminatedUnion('kind', [...messages, ...others])
export type InboundEventInput = z.input<typeof inboundEvent>
export type InboundEvent = z.output<typeof inboundEvent>

/** Whether the event is a person's message, edits and system messages included. */
export const isMessage = (event: InboundEvent): event is MessageEvent =>
  messages.some(schema => schema.shape.kind.value === event.kind)
