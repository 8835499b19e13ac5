import { randomBytes, randomInt } from 'node:crypto'
import type { WhatsAppNumber } from './accounts.ts'
import { countryOf, e164 } from './phone.ts'
import type { StatusStep } from './status-plan.ts'

/** Somebody with WhatsApp. `phone` is E.164 and names the person everywhere in the fake. */
export type Person = { phone: string; waId: string; userId: string; name: string }

/** A message of a business, accepted by the fake. */
export type InboxMessage = {
  wamid: string
  /** The person it reached, in E.164. */
  to: string
  /** The business's display number, and its id. */
  from: string
  phoneNumberId: string
  type: 'template' | 'text'
  /** What the person reads. */
  text: string
  template?: {
    name: string
    language: string
    category: string
    parameters: string[]
    buttons: { text: string; payload: string }[]
  }
  biz_opaque_callback_data?: string
  acceptedAt: string
  /** False for a message that failed after its acceptance, or is still held: nobody saw it. */
  received: boolean
  /** In the order in which they were sent out. */
  statuses: { status: StatusStep['status']; at: string; code?: number }[]
}

/** What was said by hand: by the person, or by the business's owner in the WhatsApp app. */
export type Line = { by: 'person' | 'owner'; phoneNumberId: string; text: string; at: string }

const DAY = 24 * 60 * 60 * 1000

/** A message id such as WhatsApp makes: opaque, and with characters that need care in JSON. */
export const newWamid = (): string => `wamid.HBgM${randomBytes(24).toString('base64')}`

const pair = (phone: string, phoneNumberId: string) => `${phone} ${phoneNumberId}`

export type People = ReturnType<typeof createPeople>

/** The people, what each of them got and said, and how each stands with each business number. */
export const createPeople = () => {
  const everybody = new Map<string, Person>()
  const byWamid = new Map<string, InboxMessage>()
  const lines = new Map<string, Line[]>()
  const spokeAt = new Map<string, number>()
  const stopped = new Set<string>()

  /** The person with this number; known from the first time that anybody asks. */
  const person = (phone: string): Person => {
    const known = everybody.get(phone)
    if (known) return known
    const made: Person = {
      phone: e164.parse(phone),
      waId: phone.slice(1),
      userId: `${countryOf(phone)}.${randomInt(1e14, 2e14)}`,
      name: `Customer ${everybody.size + 1}`,
    }
    everybody.set(phone, made)
    return made
  }

  return {
    person,
    /** Gives a person another name, `wa_id` or user id. */
    change: (phone: string, changes: Partial<Omit<Person, 'phone'>>): Person =>
      Object.assign(person(phone), changes),
    everybody: () => [...everybody.values()],

    accept: (message: InboxMessage) => {
      person(message.to)
      byWamid.set(message.wamid, message)
    },
    message: (wamid: string) => byWamid.get(wamid),
    accepted: () => [...byWamid.values()],
    inbox: (phone: string) =>
      [...byWamid.values()].filter(({ to, received }) => to === phone && received),

    say: (phone: string, line: Line) => {
      person(phone)
      lines.set(phone, [...(lines.get(phone) ?? []), line])
    },
    lines: (phone: string) => lines.get(phone) ?? [],

    /** The person wrote or called: free text may be sent for 24 hours. */
    openWindow: (phone: string, { phoneNumberId }: WhatsAppNumber, at: number) => {
      spokeAt.set(pair(phone, phoneNumberId), at)
    },
    closeWindow: (phone: string, { phoneNumberId }: WhatsAppNumber) => {
      spokeAt.delete(pair(phone, phoneNumberId))
    },
    windowIsOpen: (phone: string, { phoneNumberId }: WhatsAppNumber, now: number): boolean =>
      now - (spokeAt.get(pair(phone, phoneNumberId)) ?? -Infinity) < DAY,

    /** The person's "stop marketing" for one business, or its end. */
    setStopped: (phone: string, { phoneNumberId }: WhatsAppNumber, stop: boolean) => {
      if (stop) stopped.add(pair(phone, phoneNumberId))
      else stopped.delete(pair(phone, phoneNumberId))
    },
    hasStopped: (phone: string, { phoneNumberId }: WhatsAppNumber): boolean =>
      stopped.has(pair(phone, phoneNumberId)),

    clear: () => {
      everybody.clear()
      byWamid.clear()
      lines.clear()
      spokeAt.clear()
      stopped.clear()
    },
  }
}
