import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { e164 } from './phone.ts'

/** A business number. What is not given is filled in by {@link Accounts.addNumber}. */
export const numberInput = z.strictObject({
  /** The business's name, for the inbox page. */
  name: z.string().optional(),
  phoneNumberId: z.string().min(1).optional(),
  wabaId: z.string().min(1).optional(),
  displayNumber: e164.optional(),
  token: z.string().min(1).optional(),
  appSecret: z.string().min(1).optional(),
  /** Where its webhooks go; none are sent without it. */
  callbackUrl: z.url().optional(),
  verifyToken: z.string().min(1).optional(),
})
export type NumberInput = z.input<typeof numberInput>
export type WhatsAppNumber = {
  name: string
  phoneNumberId: string
  wabaId: string
  displayNumber: string
  token: string
  appSecret: string
  callbackUrl?: string | undefined
  verifyToken: string
}

/** A template of a WhatsApp Business account (`wabaId`). */
export const templateInput = z.strictObject({
  wabaId: z.string().min(1),
  name: z.string().regex(/^[a-z0-9_]{1,512}$/),
  language: z.string().default('he'),
  category: z.enum(['utility', 'marketing', 'authentication']).default('utility'),
  status: z.enum(['approved', 'pending', 'rejected', 'paused', 'disabled']).default('approved'),
  /** How many parameters the body takes; any number when not given. */
  parameters: z.int().min(0).optional(),
  /** Its text, with {{1}} or {{first_name}} where a parameter goes. */
  body: z.string().optional(),
  buttons: z
    .array(
      z.strictObject({
        type: z.enum(['quick_reply', 'url', 'phone_number']).default('quick_reply'),
        text: z.string().max(25),
      }),
    )
    .max(10)
    .default([]),
})
export type TemplateInput = z.input<typeof templateInput>
export type Template = z.output<typeof templateInput>

const secret = () => randomBytes(16).toString('hex')

export type Accounts = ReturnType<typeof createAccounts>

/** The business numbers and templates that this fake knows. */
export const createAccounts = () => {
  const numbers = new Map<string, WhatsAppNumber>()
  const templates = new Map<string, Template>()
  let made = 0

  /** Adds a number, or changes the one with the same `phoneNumberId`; returns the whole. */
  const addNumber = (input: NumberInput = {}): WhatsAppNumber => {
    const given = numberInput.parse(input)
    const known = given.phoneNumberId ? numbers.get(given.phoneNumberId) : undefined
    const n = known ? 0 : ++made
    const number: WhatsAppNumber = {
      name: given.name ?? known?.name ?? `Business ${n}`,
      phoneNumberId: given.phoneNumberId ?? `10${String(n).padStart(13, '0')}`,
      wabaId: given.wabaId ?? known?.wabaId ?? `20${String(n).padStart(13, '0')}`,
      displayNumber:
        given.displayNumber ?? known?.displayNumber ?? `+9723770${String(n).padStart(4, '0')}`,
      token: given.token ?? known?.token ?? `EAAfake${secret()}`,
      appSecret: given.appSecret ?? known?.appSecret ?? secret(),
      callbackUrl: given.callbackUrl ?? known?.callbackUrl,
      verifyToken: given.verifyToken ?? known?.verifyToken ?? secret(),
    }
    numbers.set(number.phoneNumberId, number)
    return number
  }

  /** Adds a template, or replaces the one with the same account, name and language. */
  const addTemplate = (input: TemplateInput): Template => {
    const template = templateInput.parse(input)
    templates.set(JSON.stringify([template.wabaId, template.name, template.language]), template)
    return template
  }

  return {
    addNumber,
    addTemplate,
    numbers: () => [...numbers.values()],
    number: (phoneNumberId: string) => numbers.get(phoneNumberId),
    templates: (wabaId: string) => [...templates.values()].filter(one => one.wabaId === wabaId),
    template: (wabaId: string, name: string, language: string) =>
      templates.get(JSON.stringify([wabaId, name, language])),
    clear: () => {
      numbers.clear()
      templates.clear()
    },
  }
}
