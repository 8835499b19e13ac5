/** What the fake WhatsApp knows, all in memory: business numbers, templates, people and their messages. */
import { randomBytes, randomInt } from 'node:crypto'
import { parsePhoneNumberFromString } from 'libphonenumber-js'
import { z } from 'zod'
import { GraphError } from './errors.ts'

/** A business number. Without a `callbackUrl` it sends no webhooks. */
export type WhatsAppNumber = {
  name: string
  phoneNumberId: string
  wabaId: string
  displayNumber: string
  token: string
  appSecret: string
  verifyToken: string
  callbackUrl?: string | undefined
  /** The token may send, but it has no whatsapp_business_management: it sees no account. */
  seesNoAccount?: boolean
}
export type NumberInput = Partial<WhatsAppNumber>

/** A template of the WhatsApp Business account `wabaId`. */
export type Template = {
  id: string
  wabaId: string
  name: string
  language: string
  /** The number of parameters of the body. Without it, any number is accepted. */
  parameters?: number
  /** The text, with {{1}} in place of the first parameter. */
  body?: string
  buttons: readonly { type?: 'quick_reply' | 'url' | 'phone_number'; text: string }[]
  /** APPROVED, PENDING, REJECTED, PAUSED, DISABLED ... */
  status: string
  category: string
  rejectedReason?: string | undefined
  /** `message_send_ttl_seconds` */
  ttlSeconds?: number | undefined
  parameterFormat: 'POSITIONAL' | 'NAMED'
}
export type TemplateInput = Pick<Template, 'wabaId' | 'name'> & Partial<Template>

/** A person who uses WhatsApp. `phone` is E.164 and names the person everywhere in the fake. */
export type Person = {
  phone: string
  waId: string
  userId: string
  name: string
  /** What this person wrote, and what owners wrote to this person in the WhatsApp Business app. */
  lines: { by: 'person' | 'owner'; phoneNumberId: string; text: string; at: string }[]
  /** When this person last wrote to each business number (its id). */
  wroteAt: Map<string, number>
}

/** A message from a business that the fake accepted. */
export type InboxMessage = {
  wamid: string
  /** The recipient, in E.164, and as the client wrote it. */
  to: string
  written: string
  from: string
  phoneNumberId: string
  type: 'template' | 'text'
  text: string
  template?: {
    name: string
    language: string
    parameters: string[]
    buttons: { text: string; payload: string }[]
  }
  biz_opaque_callback_data?: string | undefined
  acceptedAt: string
  /** False if the message failed after it was accepted: the person never saw it. */
  received: boolean
  statuses: { status: StatusName; at: string; code?: number }[]
}
export type StatusName = 'sent' | 'delivered' | 'read' | 'played' | 'failed'

/** What Meta decides about a template that is submitted. */
export type Review = { status: string; category: string; rejectedReason?: string }

const objectOf = (body: unknown): object => (body !== null && typeof body === 'object' ? body : {})

/** The body of POST /message_templates, as far as the fake reads it. */
const submitted = z.looseObject({
  name: z.string().regex(/^[a-z0-9_]{1,512}$/),
  language: z.string().min(2),
  category: z.enum(['UTILITY', 'MARKETING', 'AUTHENTICATION']),
  parameter_format: z.enum(['POSITIONAL', 'NAMED']).default('POSITIONAL'),
  message_send_ttl_seconds: z.number().int().min(30).max(43_200).optional(),
  components: z.array(
    z.looseObject({
      type: z.enum(['BODY', 'BUTTONS']),
      text: z.string().max(1024).optional(),
      example: z.looseObject({ body_text: z.array(z.array(z.string().min(1))) }).optional(),
      buttons: z
        .array(z.looseObject({ type: z.literal('QUICK_REPLY'), text: z.string().min(1).max(25) }))
        .max(10)
        .optional(),
    }),
  ),
})

/** @throws GraphError if Meta would refuse it: variables at the ends of the text, without examples, or not in order */
const newTemplate = (
  body: unknown,
): Omit<Template, 'id' | 'wabaId' | 'status' | 'category' | 'rejectedReason'> => {
  const { data, error } = submitted.safeParse(body)
  if (!data) throw new GraphError(100, `Invalid parameter ${error.issues[0]?.path.join('.')}`)
  const part = data.components.find(({ type }) => type === 'BODY')
  const text = part?.text ?? ''
  const variables = [...text.matchAll(/{{(\d+)}}/g)].map(([, n]) => Number(n))
  const count = Math.max(0, ...variables)
  if (text === '' || /^{{|}}$|}}\s*{{/.test(text))
    throw new GraphError(100, 'Variables cannot be at the start or end of the body', 400, 2388299)
  if (new Set(variables).size !== count || (part?.example?.body_text[0]?.length ?? 0) !== count)
    throw new GraphError(100, 'The body needs an example of each variable', 400, 2388043)
  const quick = data.components.find(({ type }) => type === 'BUTTONS')?.buttons ?? []
  return {
    name: data.name,
    language: data.language,
    body: text,
    parameters: count,
    parameterFormat: data.parameter_format,
    ttlSeconds: data.message_send_ttl_seconds,
    buttons: quick.map(({ text: label }) => ({ type: 'quick_reply', text: label })),
  }
}

const DAY = 24 * 60 * 60 * 1000
const E164 = /^\+[1-9]\d{5,15}$/

/** A message id as WhatsApp makes them: opaque, with characters that JSON and URLs escape. */
export const newWamid = (): string => `wamid.HBgM${randomBytes(24).toString('base64')}`

/** Free text is allowed for 24 hours after the person last wrote to the business. */
export const windowIsOpen = (person: Person | undefined, phoneNumberId: string): boolean =>
  Date.now() - (person?.wroteAt.get(phoneNumberId) ?? -Infinity) < DAY

/**
 * The phone that a `to` reaches; undefined if it is no phone number. Meta accepts '+', hyphens, brackets and
 * spaces. Without a '+' it adds the country code of the business number, whatever the digits are, and
 * the message goes to another person (Meta, send messages page).
 */
export const recipientOf = (to: string, displayNumber: string): string | undefined => {
  const written = to.replaceAll(/[-() ]/g, '')
  const country = parsePhoneNumberFromString(displayNumber)?.countryCallingCode ?? ''
  const phone = written.startsWith('+') ? written : `+${country}${written}`
  return E164.test(phone) ? phone : undefined
}

export type State = ReturnType<typeof createState>

export const createState = () => {
  const numbers = new Map<string, WhatsAppNumber>()
  const templates = new Map<string, Template>()
  const people = new Map<string, Person>()
  const messages = new Map<string, InboxMessage>()

  const reviews = new Map<string, Review>()
  const review = (wabaId: string, name: string): Review =>
    reviews.get(`${wabaId} ${name}`) ??
    reviews.get(wabaId) ?? { status: 'PENDING', category: 'UTILITY' }

  const secret = () => randomBytes(16).toString('hex')
  const inbox = (phone: string) =>
    [...messages.values()].filter(({ to, received }) => to === phone && received)

  return {
    numbers,
    people,
    messages,
    inbox,

    addNumber: (input: NumberInput = {}): WhatsAppNumber => {
      const n = String(numbers.size + 1)
      const made = {
        name: `Business ${n}`,
        phoneNumberId: `10${n.padStart(13, '0')}`,
        wabaId: `20${n.padStart(13, '0')}`,
        displayNumber: `+9723770${n.padStart(4, '0')}`,
        token: `EAAfake${secret()}`,
        appSecret: secret(),
        verifyToken: secret(),
      }
      const number = { ...made, ...numbers.get(input.phoneNumberId ?? ''), ...input }
      numbers.set(number.phoneNumberId, number)
      return number
    },

    addTemplate: (input: TemplateInput): void => {
      const { wabaId, name, language = 'he' } = input
      const key = `${wabaId} ${name} ${language}`
      templates.set(key, {
        id: templates.get(key)?.id ?? `30${String(templates.size + 1).padStart(13, '0')}`,
        buttons: [],
        status: 'APPROVED',
        category: 'UTILITY',
        parameterFormat: 'POSITIONAL',
        ...input,
        language,
      })
    },
    removeTemplate: (wabaId: string, name: string, language = 'he'): void =>
      void templates.delete(`${wabaId} ${name} ${language}`),
    templatesOf: (wabaId: string) => [...templates.values()].filter(one => one.wabaId === wabaId),
    templateById: (id: string) => templates.values().find(one => one.id === id),
    /** @throws GraphError if Meta would refuse it */
    createTemplate: (wabaId: string, body: unknown): Template => {
      const { name, language, ...submitted } = newTemplate(body)
      const key = `${wabaId} ${name} ${language}`
      if (templates.has(key))
        throw new GraphError(100, 'Content in this language already exists', 400, 2388024)
      const id = `30${String(templates.size + 1).padStart(13, '0')}`
      const template = { id, wabaId, name, language, ...submitted, ...review(wabaId, name) }
      templates.set(key, template)
      return template
    },
    /** @throws GraphError if Meta would refuse it */
    editTemplate: (template: Template, body: unknown): void => {
      if (!['APPROVED', 'REJECTED', 'PAUSED'].includes(template.status))
        throw new GraphError(100, 'Only approved, rejected or paused templates can be edited')
      const changes = newTemplate({ ...template, ...objectOf(body) })
      Object.assign(
        template,
        changes,
        { rejectedReason: undefined },
        review(template.wabaId, template.name),
      )
    },
    /** What Meta decides about the templates that an account submits, or about that with this name. At first PENDING. */
    setReview: (wabaId: string, result: Partial<Review>, name?: string): void =>
      void reviews.set(name === undefined ? wabaId : `${wabaId} ${name}`, {
        status: 'PENDING',
        category: 'UTILITY',
        ...result,
      }),
    template: (wabaId: string, name: string, language: string) =>
      templates.get(`${wabaId} ${name} ${language}`),
    hasTemplates: (wabaId: string) => templates.values().some(one => one.wabaId === wabaId),

    /** The person with this phone, who is made up on first use. */
    person: (phone: string): Person => {
      const known = people.get(phone)
      if (known) return known
      if (!E164.test(phone)) throw new Error('expected E.164, such as +972501234567')
      const person: Person = {
        phone,
        waId: phone.slice(1),
        userId: `${parsePhoneNumberFromString(phone)?.country ?? 'US'}.${randomInt(1e14, 2e14)}`,
        name: `Customer ${people.size + 1}`,
        lines: [],
        wroteAt: new Map(),
      }
      people.set(phone, person)
      return person
    },

    /** The number with this id; by default the one that last wrote to this phone, or else the first one. */
    numberFor: (phoneNumberId: string | undefined, phone?: string): WhatsAppNumber => {
      const id =
        phoneNumberId ??
        (phone && inbox(phone).at(-1)?.phoneNumberId) ??
        numbers.keys().next().value
      const number = numbers.get(id ?? '')
      if (!number) throw new Error('no such business number', { cause: { phoneNumberId: id } })
      return number
    },
  }
}
