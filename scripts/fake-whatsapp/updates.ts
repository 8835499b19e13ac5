import type { WhatsAppNumber } from './accounts.ts'
import { webhookError } from './errors.ts'
import type { InboundEvent, MessageEvent } from './events.ts'
import { content } from './message-content.ts'
import type { Person } from './people.ts'
import type { Update } from './webhooks.ts'

/** Unix seconds, as text everywhere but in `user_preferences`. */
const seconds = (ago: number): number => Math.floor(Date.now() / 1000 - ago)

const contact = ({ waId, userId, name }: Person, bsuidOnly: boolean) => ({
  profile: { name },
  ...(!bsuidOnly && { wa_id: waId }),
  user_id: userId,
})

const metadata = (number: WhatsAppNumber, event: InboundEvent) => ({
  messaging_product: 'whatsapp',
  metadata: {
    display_phone_number: number.displayNumber.slice(1),
    phone_number_id: event.asPhoneNumberId ?? number.phoneNumberId,
  },
})

/** A person's message as the `messages` webhook carries it. */
export const messageUpdate = (
  number: WhatsAppNumber,
  event: MessageEvent,
  person: Person,
  id: string,
  moved?: Person,
): Update => ({
  number,
  field: 'messages',
  value: {
    ...metadata(number, event),
    // System messages come without contacts.
    ...(event.kind !== 'system' && { contacts: [contact(person, event.bsuidOnly)] }),
    messages: [
      {
        ...(!event.bsuidOnly && { from: person.waId }),
        from_user_id: person.userId,
        id,
        timestamp: String(seconds(event.agoSeconds)),
        ...(event.context !== undefined &&
          event.kind !== 'reaction' && {
            context: { from: number.displayNumber.slice(1), id: event.context },
          }),
        ...content(event, moved),
        ...event.fields,
      },
    ],
  },
})

/** Every other event; those of templates and accounts name no number, only the account. */
export const otherUpdate = (
  number: WhatsAppNumber,
  event: Exclude<InboundEvent, MessageEvent>,
  person: (phone: string) => Person,
  id: string,
): Update => {
  const timestamp = seconds(event.agoSeconds)
  const update = (field: string, value: Record<string, unknown>): Update => ({
    number,
    field,
    value: { ...value, ...event.fields },
  })
  switch (event.kind) {
    case 'user_preferences': {
      const { waId, userId } = person(event.from)
      return update('user_preferences', {
        ...metadata(number, event),
        contacts: [{ wa_id: waId, user_id: userId }],
        user_preferences: [
          {
            wa_id: waId,
            detail: `User requested to ${event.value} marketing messages`,
            category: 'marketing_messages',
            value: event.value,
            timestamp,
          },
        ],
      })
    }
    case 'echo':
      return update('smb_message_echoes', {
        ...metadata(number, event),
        message_echoes: [
          {
            from: number.displayNumber.slice(1),
            to: person(event.to).waId,
            id,
            timestamp: String(timestamp),
            type: 'text',
            text: { body: event.text },
          },
        ],
      })
    case 'template_status':
      return update('message_template_status_update', {
        event: event.event,
        message_template_id: 594425479261596,
        message_template_name: event.template,
        message_template_language: event.language,
        reason: event.event === 'REJECTED' ? 'INVALID_FORMAT' : 'NONE',
      })
    case 'template_category':
      return update('template_category_update', {
        message_template_id: 594425479261596,
        message_template_name: event.template,
        message_template_language: event.language,
        previous_category: event.previous,
        new_category: event.category,
      })
    case 'errors':
      return update('messages', { ...metadata(number, event), errors: [webhookError(event.code)] })
    case 'field':
      return update(event.field, event.value)
    default:
      return update('messages', {
        ...metadata(number, event),
        statuses: [
          {
            id: event.wamid,
            status: event.status,
            timestamp: String(timestamp),
            ...(event.recipientId && { recipient_id: event.recipientId }),
            ...(event.callbackData && { biz_opaque_callback_data: event.callbackData }),
            ...(event.code !== undefined && { errors: [webhookError(event.code)] }),
          },
        ],
      })
  }
}
