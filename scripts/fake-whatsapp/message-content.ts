import { webhookError } from './errors.ts'
import type { MessageEvent } from './events.ts'
import type { Person } from './people.ts'

const media = {
  image: { mime_type: 'image/jpeg', sha256: 'c2hhMjU2', id: '1003383421387256' },
  audio: {
    mime_type: 'audio/ogg; codecs=opus',
    sha256: 'c2hhMjU2',
    id: '1003383421387257',
    voice: true,
  },
  video: { mime_type: 'video/mp4', sha256: 'c2hhMjU2', id: '1003383421387258' },
  document: {
    mime_type: 'application/pdf',
    sha256: 'c2hhMjU2',
    id: '1003383421387259',
    filename: 'a.pdf',
  },
  sticker: { mime_type: 'image/webp', sha256: 'c2hhMjU2', id: '1003383421387260', animated: false },
  location: { latitude: 32.0853, longitude: 34.7818, name: 'תל אביב' },
  contacts: [
    { name: { formatted_name: 'Dana', first_name: 'Dana' }, phones: [{ phone: '+972501112222' }] },
  ],
  order: {
    catalog_id: '1',
    product_items: [{ product_retailer_id: 'a', quantity: 1, item_price: 9, currency: 'ILS' }],
  },
}

/** The part of a message that its type decides (Meta, webhook reference, messages). */
export const content = (
  event: MessageEvent,
  moved: Person | undefined,
): Record<string, unknown> => {
  switch (event.kind) {
    case 'text':
      return { type: 'text', text: { body: event.text } }
    case 'button':
      return { type: 'button', button: { payload: event.payload ?? event.text, text: event.text } }
    case 'interactive': {
      const { type, ...reply } = event.reply
      return { type: 'interactive', interactive: { type, [type]: reply } }
    }
    case 'media': {
      const object = media[event.media]
      const caption = event.caption !== undefined && { caption: event.caption }
      return {
        type: event.media,
        [event.media]: Array.isArray(object) ? object : { ...object, ...caption },
      }
    }
    case 'reaction':
      return {
        type: 'reaction',
        // Without an emoji the reaction was taken back: the key is then missing, not empty.
        reaction: {
          message_id: event.context,
          ...(event.emoji !== undefined && { emoji: event.emoji }),
        },
      }
    case 'unsupported':
      return {
        type: 'unsupported',
        errors: [webhookError(131051)],
        unsupported: { type: 'unknown' },
      }
    case 'system':
      return {
        type: 'system',
        system: {
          type: event.change,
          body: 'The user changed',
          ...(moved && { wa_id: moved.waId, user_id: moved.userId }),
        },
      }
    case 'edit':
      return {
        type: 'edit',
        edit: {
          original_message_id: event.original,
          message: { type: 'text', text: { body: event.text } },
        },
      }
    case 'revoke':
      return { type: 'revoke', revoke: { original_message_id: event.original } }
    default:
      return { type: event.type, [event.type]: { anything: true } }
  }
}
