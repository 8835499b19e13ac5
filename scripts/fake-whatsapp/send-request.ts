import { z } from 'zod'
import type { InboxMessage } from './people.ts'

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
export type Parameter = z.output<typeof parameter>
export type Component = z.output<typeof component>

/** An error answer: its code, and details where the title does not say enough. */
export type Refusal = { code: number; details?: string }

/** What of a request the person sees. */
export type Content = Pick<InboxMessage, 'type' | 'text' | 'template'>

/** What is wrong with a body that did not parse: missing is 131008, else 131009 (Meta, error codes page). */
export const complaint = (error: z.ZodError, body: unknown): Refusal => {
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

/** The refusal for a parameter that is not there. */
export const missing = (name: string): Refusal => ({
  code: 131008,
  details: `Required parameter '${name}' is missing`,
})
