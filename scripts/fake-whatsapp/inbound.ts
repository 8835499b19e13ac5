import type { Accounts, WhatsAppNumber } from './accounts.ts'
import { inboundEvent, isMessage } from './events.ts'
import type { InboundEvent, InboundEventInput, MessageEvent } from './events.ts'
import { newWamid } from './people.ts'
import type { People, Person } from './people.ts'
import { messageUpdate, otherUpdate } from './updates.ts'
import type { DeliveryInput } from './webhook-settings.ts'
import type { Delivery, Update, Webhooks } from './webhooks.ts'

/** What a person's message looks like in her own chat. */
const asSaid = (event: MessageEvent): string => {
  if (event.kind === 'text' || event.kind === 'button') return event.text
  if (event.kind === 'interactive') return 'title' in event.reply ? event.reply.title : '(form)'
  if (event.kind === 'reaction') return event.emoji ?? '(reaction removed)'
  if (event.kind === 'media') return `(${event.media}) ${event.caption ?? ''}`
  if (event.kind === 'edit') return `(edited) ${event.text}`
  return `(${event.kind})`
}

/** Edits, revocations and system messages are no message from the person; all else opens the window. */
const opensWindow = ({ kind }: MessageEvent): boolean =>
  kind !== 'system' && kind !== 'edit' && kind !== 'revoke'

/** What `inbound` hands back: the message ids, and the POSTs, each answered once by now. */
export type Inbound = { ids: string[]; deliveries: Delivery[] }

export type InboundFrom = ReturnType<typeof createInbound>

/** Plays what people, owners and Meta do, and reports it by webhook. */
export const createInbound = (accounts: Accounts, people: People, webhooks: Webhooks) => {
  const lastFrom = (phone: string, phoneNumberId?: string) =>
    people
      .inbox(phone)
      .findLast(message => phoneNumberId === undefined || message.phoneNumberId === phoneNumberId)

  const numberFor = (phoneNumberId: string | undefined, phone?: string): WhatsAppNumber => {
    const wanted = phoneNumberId ?? (phone && lastFrom(phone)?.phoneNumberId)
    const number = wanted === undefined ? accounts.numbers()[0] : accounts.number(wanted)
    if (!number) throw new Error('no such business number', { cause: { phoneNumberId: wanted } })
    return number
  }

  /** Fills in which message is answered, and the payload of the button tapped. */
  const completed = (event: MessageEvent, number: WhatsAppNumber): MessageEvent => {
    const inbox = people.inbox(event.from).filter(one => one.phoneNumberId === number.phoneNumberId)
    if (event.kind === 'reaction')
      return { ...event, context: event.context ?? inbox.at(-1)?.wamid }
    if (event.kind !== 'button') return event
    const tapped = event.context
      ? people.message(event.context)
      : inbox.findLast(({ template }) => template)
    const button = tapped?.template?.buttons.find(({ text }) => text === event.text)
    return {
      ...event,
      context: event.context ?? tapped?.wamid,
      payload: event.payload ?? button?.payload ?? event.text,
    }
  }

  const moved = (event: MessageEvent, person: Person): Person | undefined => {
    if (event.kind !== 'system') return undefined
    if (event.newPhone) return people.person(event.newPhone)
    return people.change(person.phone, { userId: `${person.userId}1` })
  }

  const fromPerson = (event: MessageEvent, id: string): Update => {
    const number = numberFor(event.phoneNumberId, event.from)
    const whole = completed(event, number)
    const at = Date.now() - event.agoSeconds * 1000
    if (opensWindow(whole)) people.openWindow(event.from, number, at)
    const { phoneNumberId } = number
    const text = asSaid(whole)
    people.say(event.from, { by: 'person', phoneNumberId, text, at: new Date(at).toISOString() })
    const person = { ...people.person(event.from) }
    return messageUpdate(number, whole, person, id, moved(whole, person))
  }

  const fromOthers = (event: Exclude<InboundEvent, MessageEvent>, id: string): Update => {
    const phone = 'from' in event ? event.from : 'to' in event ? event.to : undefined
    const number = numberFor(event.phoneNumberId, phone)
    const { phoneNumberId } = number
    if (event.kind === 'user_preferences')
      people.setStopped(event.from, number, event.value === 'stop')
    if (event.kind === 'echo') {
      const at = new Date().toISOString()
      people.say(event.to, { by: 'owner', phoneNumberId, text: event.text, at })
    }
    return otherUpdate(number, event, people.person, id)
  }

  return {
    numberFor,
    /** Plays the events and reports all of them in as few POSTs as can be. */
    play: async (
      input: InboundEventInput | InboundEventInput[],
      delivery?: DeliveryInput,
    ): Promise<Inbound> => {
      const ids: string[] = []
      const updates = [input].flat().map(one => {
        const event = inboundEvent.parse(one)
        const id = ('id' in event && event.id) || newWamid()
        ids.push(id)
        return isMessage(event) ? fromPerson(event, id) : fromOthers(event, id)
      })
      return { ids, deliveries: await webhooks.send(updates, delivery) }
    },
  }
}
