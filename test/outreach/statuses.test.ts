/** What WhatsApp reports on a message: twice and in every order, with one and the same end. */
import { test } from 'tap'
import { business, customer } from '../support/ringback.ts'
import { doorOf, sentTo, settled } from '../support/steps.ts'
import { storyOf } from '../support/whatsapp.ts'
import { initialOf, messagesAfter, waitingFor } from '../tasks/support.ts'

type Status = 'sent' | 'delivered' | 'read' | 'failed'

/** All orders of a list, those that look the same once. */
const ordersOf = (list: Status[]): Status[][] => {
  if (list.length === 0) return [[]]
  return [...new Set(list)].flatMap(first => {
    const rest = list.toSpliced(list.indexOf(first), 1)
    return ordersOf(rest).map(order => [first, ...order])
  })
}

const OPEN = [
  ['reminder_1', 'scheduled', null],
  ['reminder_2', 'scheduled', null],
]
const UNDELIVERABLE = [
  ['reminder_1', 'cancelled', 'undeliverable'],
  ['reminder_2', 'cancelled', 'undeliverable'],
]
const SETS: { statuses: Status[]; ends: Status; story: string[]; reminders: unknown }[] = [
  {
    statuses: ['sent', 'sent', 'delivered', 'read', 'read'],
    ends: 'read',
    story: ['contacted', 'sent / accepted', 'open / '],
    reminders: OPEN,
  },
  {
    statuses: ['sent', 'failed', 'failed'],
    ends: 'failed',
    story: ['contacted', 'failed / refused', 'stopped / undeliverable'],
    reminders: UNDELIVERABLE,
  },
  {
    statuses: ['sent', 'delivered', 'failed', 'failed'],
    ends: 'delivered',
    story: ['contacted', 'sent / accepted', 'open / '],
    reminders: OPEN,
  },
  {
    statuses: ['sent', 'delivered', 'read', 'failed', 'delivered'],
    ends: 'read',
    story: ['contacted', 'sent / accepted', 'open / '],
    reminders: OPEN,
  },
]

for (const { statuses, ends, story, reminders } of SETS)
  await test(`${statuses.join(', ')}: the same end in every order`, async t => {
    const shop = await business()
    const door = await doorOf(shop)
    for (const order of ordersOf(statuses)) {
      const dana = customer()
      const { id, claimed } = await sentTo(shop, dana.e164)
      const { wamid } = await initialOf(id)
      for (const status of order)
        await settled(door, {
          id: wamid ?? '',
          status,
          recipient_id: dana.e164.slice(1),
          ...(status === 'failed'
            ? { errors: [{ code: 131026 }] }
            : { pricing: { category: 'utility' } }),
        })
      const message = await initialOf(id)
      const waiting = (await waitingFor(shop.tenantId)).filter(key =>
        key.startsWith(`lead_reminder:${message.lead_conversation_id}:`),
      )
      t.strictSame(
        [message.state, message.error_code, await storyOf(shop, dana.e164), waiting.length],
        [ends, ends === 'failed' ? 131026 : null, story, ends === 'failed' ? 0 : 2],
        order.join(', '),
      )
      t.strictSame((await messagesAfter(id)).slice(1), reminders)
      t.equal(message.id, claimed.messageId)
      t.equal(message.price_category, 'utility')
    }
  })
