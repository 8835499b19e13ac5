import { z } from 'zod'
import type { Accounts, Template, WhatsAppNumber } from './accounts.ts'
import type { InboxMessage, People } from './people.ts'
import { reaches } from './phone.ts'

const parameter = z.looseObject({
  text: z.string().optional(),
  payload: z.string().optional(),
  parameter_name: z.string().optional(),
})

const component = z.looseObject({
  type: z.string(),
  sub_type: z.string().optional(),
  index: z.union([z.string(), z.number()]).optional(),
  parameters: z.array(parameter).default([]),
})

/** The body of POST /messages, as far as the fake reads it. */
export const sendRequest = z.looseObject({
  messaging_product: z.literal('whatsapp'),
  to: z.string().min(1),
  type: z.string().default('text'),
  biz_opaque_callback_data: z.string().max(512).optional(),
  template: z
    .looseObject({
      name: z.string().min(1),
      language: z.looseObject({ code: z.string().min(1) }),
      components: z.array(component).default([]),
    })
    .optional(),
  text: z.looseObject({ body: z.string().min(1).max(4096) }).optional(),
})
export type SendRequest = z.output<typeof sendRequest>

/** An error answer: its code, and details where the title does not say enough. */
export type Refusal = { code: number; details?: string }

/** What of a request the person sees. */
export type Content = Pick<InboxMessage, 'type' | 'text' | 'template'>

/** What is wrong with a body: missing is 131008, else 131009 (Meta, error codes page). */
const complaint = (error: z.ZodError, body: unknown): Refusal => {
  if (typeof body !== 'object' || body === null)
    return { code: 100, details: 'The body is no JSON object' }
  const [issue] = error.issues
  const name = issue?.path.join('.') ?? ''
  const found = issue?.path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    body,
  )
  return found === undefined || found === ''
    ? missing(name)
    : { code: 131009, details: `Parameter '${name}' is not valid` }
}

const missing = (name: string): Refusal => ({
  code: 131008,
  details: `Required parameter '${name}' is missing`,
})

/** Of a template once it is filled in (Meta, template components page). */
const LONGEST_BODY = 1024

/** Puts the parameters where {{1}} and {{first_name}} stand. */
const fill = (body: string, parameters: z.output<typeof parameter>[]): string =>
  body.replaceAll(
    /{{\s*(\w+)\s*}}/g,
    (whole, key: string) =>
      (
        parameters.find(({ parameter_name }) => parameter_name === key) ??
        parameters[Number(key) - 1]
      )?.text ?? whole,
  )

/** Why a template of this state cannot be sent (Meta, template pausing page). */
const stateCode = {
  approved: undefined,
  pending: 132001,
  rejected: 132001,
  paused: 132015,
  disabled: 132016,
}

const renderTemplate = (
  { name, language, components }: NonNullable<SendRequest['template']>,
  known: Template | undefined,
): Content | Refusal => {
  const parameters = components.find(({ type }) => type.toLowerCase() === 'body')?.parameters ?? []
  const texts = parameters.map(({ text = '' }) => text)
  if (known?.parameters !== undefined && known.parameters !== texts.length)
    return {
      code: 132000,
      details: `body: number of localizable_params (${texts.length}) does not match the expected number of params (${known.parameters})`,
    }
  const sent = components.filter(({ type }) => type.toLowerCase() === 'button')
  const payloads = new Map(
    sent.map(({ index, parameters: [first] }) => [Number(index ?? 0), first?.payload]),
  )
  // A button whose payload was not sent gives its label as payload, as Meta does.
  const labels = known?.buttons ?? sent.map(({ sub_type }) => ({ type: sub_type, text: '' }))
  const buttons = labels.flatMap(({ type, text }, index) => {
    const payload = payloads.get(index) ?? text
    return type === 'quick_reply' ? [{ text: text || payload, payload }] : []
  })
  const text = known?.body ? fill(known.body, parameters) : [name, ...texts].join(' · ')
  if (known?.body && text.length > LONGEST_BODY) return { code: 132005 }
  return {
    type: 'template',
    text,
    template: {
      name,
      language: language.code,
      category: known?.category ?? 'utility',
      parameters: texts,
      buttons,
    },
  }
}

/** What the person would read. */
const render = (
  request: SendRequest,
  to: string,
  number: WhatsAppNumber,
  accounts: Accounts,
  people: People,
): Content | Refusal => {
  if (request.type === 'template') {
    if (!request.template) return missing('template')
    const { name, language } = request.template
    const known = accounts.template(number.wabaId, name, language.code)
    const code = known ? stateCode[known.status] : 132001
    // An account without any template configured takes every name: a caller then needs no set-up.
    if (code && accounts.templates(number.wabaId).length > 0)
      return { code, details: `template name (${name}) in ${language.code}` }
    return renderTemplate(request.template, known)
  }
  if (request.type !== 'text')
    return { code: 131051, details: `This fake knows no messages of type ${request.type}` }
  if (!request.text) return missing('text')
  if (!people.windowIsOpen(to, number, Date.now()))
    return { code: 131047, details: 'More than 24 hours since the person last wrote' }
  return { type: 'text', text: request.text.body }
}

/** What a request comes to: whom it reaches with what, or why Meta refuses it. */
export const judge = (
  body: unknown,
  number: WhatsAppNumber,
  accounts: Accounts,
  people: People,
): { request: SendRequest; to: string; content: Content } | { refusal: Refusal } => {
  const { data: request, error } = sendRequest.safeParse(body)
  if (!request) return { refusal: complaint(error, body) }
  const to = reaches(request.to, number.displayNumber)
  if (!to) return { refusal: { code: 131009, details: "Parameter 'to' is not valid" } }
  if (to === number.displayNumber) return { refusal: { code: 131021 } }
  const content = render(request, to, number, accounts, people)
  return 'code' in content ? { refusal: content } : { request, to, content }
}
