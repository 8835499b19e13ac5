/** Which message a request to /messages makes, or the error with which Meta refuses it. */
import { z } from 'zod'
import { GraphError } from './errors.ts'
import { type InboxMessage, recipientOf, type State, type Template, windowIsOpen } from './state.ts'
import type { WhatsAppNumber } from './state.ts'

const component = z.looseObject({
  type: z.string(),
  sub_type: z.string().optional(),
  index: z.union([z.string(), z.number()]).optional(),
  parameters: z
    .array(
      z.looseObject({
        text: z.string().optional(),
        payload: z.string().optional(),
      }),
    )
    .default([]),
})

/** The body of POST /messages, as far as the fake reads it. */
const sendRequest = z.looseObject({
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
type SendRequest = z.output<typeof sendRequest>
type Component = z.output<typeof component>
type Content = Pick<InboxMessage, 'type' | 'text' | 'template'>

export const checkMessage = (body: unknown, number: WhatsAppNumber, state: State) => {
  const { data: request, error } = sendRequest.safeParse(body, { reportInput: true })
  if (!request) throw errorFor(error)
  const { to: written, biz_opaque_callback_data } = request
  const to = recipientOf(written, number.displayNumber)
  if (!to) throw new GraphError(131009, "Parameter 'to' is not valid")
  if (to === number.displayNumber) throw new GraphError(131021)
  const windowOpen = windowIsOpen(state.people.get(to), number.phoneNumberId)
  const content =
    request.type === 'template'
      ? templateContent(request, number, state)
      : textContent(request, windowOpen)
  return { to, written, biz_opaque_callback_data, ...content }
}

const textContent = ({ type, text }: SendRequest, windowOpen: boolean): Content => {
  if (type !== 'text') throw new GraphError(131051, `This fake knows no messages of type ${type}`)
  if (!text) throw missing('text')
  if (!windowOpen) throw new GraphError(131047, 'More than 24 hours since the person last wrote')
  return { type, text: text.body }
}

/** A missing parameter is 131008, a wrong one 131009 (Meta, error codes page). */
const errorFor = (error: z.ZodError): GraphError => {
  const [issue] = error.issues
  if (!issue?.path.length) return new GraphError(100, 'The body is not a JSON object')
  const name = issue.path.join('.')
  if (issue.input === undefined || issue.input === '') return missing(name)
  return new GraphError(131009, `Parameter '${name}' is not valid`)
}

const missing = (name: string) => new GraphError(131008, `Required parameter '${name}' is missing`)

/** What Meta answers for a template that is not approved; otherwise 132001. */
const NOT_SENT: Record<string, number> = { PAUSED: 132015, DISABLED: 132016 }

/** The limit for the body with its parameters (Meta, template components page). */
const LONGEST_BODY = 1024

const templateContent = (request: SendRequest, number: WhatsAppNumber, state: State): Content => {
  if (!request.template) throw missing('template')
  const { name, language, components } = request.template
  const known = state.template(number.wabaId, name, language.code)
  // An account without any template accepts every name, so that most tests need no setup.
  if (!known && state.hasTemplates(number.wabaId))
    throw new GraphError(132001, `template name (${name}) in ${language.code}`)
  if (known && known.status !== 'APPROVED')
    throw new GraphError(NOT_SENT[known.status] ?? 132001, `the template is ${known.status}`)

  const parameters = components.find(({ type }) => type.toLowerCase() === 'body')?.parameters ?? []
  const texts = parameters.map(({ text = '' }) => text)
  if (known?.parameters !== undefined && known.parameters !== texts.length)
    throw new GraphError(
      132000,
      `body: number of localizable_params (${texts.length}) does not match the expected number of params (${known.parameters})`,
    )
  const fill = (body: string) =>
    body.replaceAll(/{{\s*(\d+)\s*}}/g, (whole, n) => texts[Number(n) - 1] ?? whole)
  const text = known?.body ? fill(known.body) : [name, ...texts].join(' · ')
  if (known?.body && text.length > LONGEST_BODY) throw new GraphError(132005)
  const buttons = buttonsOf(components, known)
  return {
    type: 'template',
    text,
    template: { name, language: language.code, parameters: texts, buttons },
  }
}

/** The quick replies, each with the payload that a tap on it returns. */
const buttonsOf = (components: Component[], known: Template | undefined) => {
  const sent = components.filter(({ type }) => type.toLowerCase() === 'button')
  const payloadOf = (button: Component | undefined) => button?.parameters[0]?.payload
  // The labels of an unknown template are unknown too, so the payloads stand in for them.
  const quick = (known?.buttons ?? []).map(({ type = 'quick_reply' }) => type === 'quick_reply')
  if (known && sent.some(({ index }) => !quick[Number(index ?? 0)]))
    throw new GraphError(132012, 'the template has no such button')
  if (!known)
    return sent
      .filter(({ sub_type }) => sub_type === 'quick_reply')
      .map(one => ({ text: payloadOf(one) ?? '', payload: payloadOf(one) ?? '' }))
  return known.buttons.flatMap(({ type = 'quick_reply', text }, at) => {
    const payload = payloadOf(sent.find(({ index }) => Number(index ?? 0) === at))
    // Without a payload, a tap returns the label, as at Meta.
    return type === 'quick_reply' ? [{ text, payload: payload ?? text }] : []
  })
}
