/** What people send, and whether it is an answer that ends the chase. */
import { test } from 'tap'
import { business, fake, messagesOf } from '../support/ringback.ts'
import {
  contacted,
  eventsOf,
  happens,
  outcomesOf,
  receivedBy,
  storyOf,
} from '../support/whatsapp.ts'
import { addStrayReminders, waitingFor } from './support.ts'

type Event = Parameters<typeof fake.inbound>[0]
type OneEvent = Exclude<Event, readonly unknown[]>
type Without<T> = T extends unknown ? Omit<T, 'from' | 'phoneNumberId'> : never
type Act = Without<Extract<OneEvent, { from: string }>>

const media = (kind: 'image' | 'video' | 'document', caption: string): Act => ({
  kind: 'media',
  media: kind,
  caption,
})
const plainMedia = (['audio', 'sticker', 'location', 'contacts', 'order'] as const).map(
  (kind): [string, Act, string | null] => [kind, { kind: 'media', media: kind }, null],
)

/** [what she sends, the event, the text of it that is kept] */
const ANSWERS: [string, Act, string | null][] = [
  ['a text', { kind: 'text', text: 'כן, אשמח 🙏' }, 'כן, אשמח 🙏'],
  ['an empty text', { kind: 'text', text: '' }, ''],
  ['a tap on a button of the template', { kind: 'button', text: 'כן' }, 'כן'],
  [
    'a button',
    { kind: 'interactive', reply: { type: 'button_reply', id: '1', title: 'מחר' } },
    'מחר',
  ],
  [
    'an item of a list',
    { kind: 'interactive', reply: { type: 'list_reply', id: '1', title: 'ערב' } },
    'ערב',
  ],
  ['a form', { kind: 'interactive', reply: { type: 'nfm_reply', response_json: '{"a":1}' } }, null],
  ['an image', media('image', 'ככה'), 'ככה'],
  ['a video', media('video', 'ככה'), 'ככה'],
  ['a document', media('document', 'ככה'), 'ככה'],
  ...plainMedia,
  ['a reaction', { kind: 'reaction', emoji: '👍' }, '👍'],
  ['something WhatsApp does not support', { kind: 'unsupported' }, null],
  ['a type that nobody knows yet', { kind: 'unknown_type' }, null],
  [
    'a text with fields that nobody knows',
    { kind: 'text', text: 'היי', fields: { context: 7, referral: [null], zz: { a: '\0' } } },
    'היי',
  ],
]

for (const [name, act, text] of ANSWERS)
  await test(`${name} is an answer: nothing more is sent`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    t.equal((await waitingFor(shop.tenantId)).length, 2, 'two reminders wait')
    await happens({ ...act, from: dana.e164, phoneNumberId: shop.phoneNumberId })
    t.strictSame(await storyOf(shop, dana.e164), [
      'replied',
      'sent / accepted',
      'replied / replied',
    ])
    t.strictSame(
      (await messagesOf(shop.tenantId)).map(({ kind, state, reason }) => [kind, state, reason]),
      [
        ['initial', 'accepted', null],
        ['reminder_1', 'cancelled', 'replied'],
        ['reminder_2', 'cancelled', 'replied'],
        ['inbound', 'received', null],
      ],
    )
    t.strictSame(await receivedBy(shop), [[text, true]])
    t.strictSame(await waitingFor(shop.tenantId), [])

    await addStrayReminders(dana.id)
    t.equal(fake.inbox(dana.e164).length, 1, 'not even when a job is left')
  })

/** Not words of hers. */
const NO_ANSWERS: [string, Act][] = [
  ['a reaction taken back', { kind: 'reaction' }],
  ['a message edited', { kind: 'edit', original: 'wamid.older', text: 'הסר' }],
  ['a message revoked', { kind: 'revoke', original: 'wamid.older' }],
  ['a new number', { kind: 'system', change: 'user_changed_number', newPhone: '+972541112223' }],
  ['a new user id', { kind: 'system', change: 'user_changed_user_id' }],
]

for (const [name, act] of NO_ANSWERS)
  await test(`${name} is no answer: the reminders stay`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await happens({ ...act, from: dana.e164, phoneNumberId: shop.phoneNumberId })
    t.strictSame(await storyOf(shop, dana.e164), ['contacted', 'sent / accepted', 'open / '])
    t.equal((await waitingFor(shop.tenantId)).length, 2)
    t.strictSame(await receivedBy(shop), [])
    t.match(await eventsOf(shop.tenantId), [
      { outcome: name.startsWith('a new') ? 'identity' : 'not_a_reply' },
    ])
  })

await test('what Meta tells besides is kept, and nothing follows from it', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const whose = { phone_number_id: phoneNumberId }
  await happens([
    { kind: 'errors', phoneNumberId },
    { kind: 'field', field: 'account_update', value: { event: 'VERIFIED' }, phoneNumberId },
    { kind: 'field', field: 'yet_unknown', value: { metadata: whose, a: [1] }, phoneNumberId },
    { kind: 'field', field: 'smb_message_echoes', value: { metadata: whose }, phoneNumberId },
    { kind: 'template_category', template: 'ringback_missed_call', phoneNumberId },
    { kind: 'status', wamid: dana.wamid, status: 'warned', phoneNumberId },
  ])
  t.strictSame(await storyOf(shop, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.equal((await waitingFor(shop.tenantId)).length, 2)
  t.strictSame(await outcomesOf(shop), [
    'other kept',
    'other kept',
    'other kept',
    'status unknown_status',
  ])
  const nobodys = (await eventsOf(null)).map(({ field, outcome }) => `${field} ${outcome}`)
  t.strictSame(nobodys.toSorted(), ['account_update kept', 'template_category_update template_category'])
})

await test('somebody we do not know is kept too, without a lead', async t => {
  const shop = await business()
  await happens({
    kind: 'text',
    text: 'יש לכם מקום?',
    from: '+972529998877',
    phoneNumberId: shop.phoneNumberId,
  })
  t.strictSame(await receivedBy(shop), [['יש לכם מקום?', false]])
  t.strictSame(await outcomesOf(shop), ['message unassigned'])
})

await test('the same message twice is received once', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const text = { kind: 'text' as const, text: 'היי', from: dana.e164, phoneNumberId, id: 'wamid.t' }
  await happens(text, { copies: 5 })
  await happens({ ...text, text: 'WhatsApp says it differently' })
  t.strictSame(await receivedBy(shop), [['היי', true]])
  t.match(await eventsOf(shop.tenantId), [{ deliveries: 6, outcome: 'reply' }])
})
