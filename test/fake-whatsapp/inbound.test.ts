import { beforeEach, test } from 'tap'
import type { InboundEventInput } from '../../scripts/fake-whatsapp/events.ts'
import { startFakeWhatsApp } from '../../scripts/fake-whatsapp/server.ts'
import { dana, post, startReceiver, template, yossi } from './support.ts'

const fake = await startFakeWhatsApp()
beforeEach(fake.reset)
const receiver = await startReceiver()
const number = fake.addNumber({ callbackUrl: receiver.url })
fake.addTemplate({
  wabaId: number.wabaId,
  name: 'ringback_missed_call',
  buttons: [{ text: 'חזרו אליי' }, { text: 'הסר' }],
})
beforeEach(() => {
  receiver.received.length = 0
  fake.setStatuses([])
})

/** Plays an event and returns the one change in which it was reported. */
const reported = async (event: InboundEventInput) => {
  const { ids } = await fake.inbound(event)
  const [change, ...others] = receiver.changes()
  if (!change || others.length > 0) throw new Error('expected one change')
  receiver.received.length = 0
  return { id: ids[0], change, message: change.value.messages?.[0] }
}

const byDana = { from: dana.slice(1), id: /^wamid\./, timestamp: /^\d{10}$/ }

/** What a person's message looks like, by kind. */
const cases: [InboundEventInput, object][] = [
  [
    { kind: 'text', from: dana, text: 'שלום 😀', context: 'wamid.x' },
    {
      type: 'text',
      text: { body: 'שלום 😀' },
      context: { id: 'wamid.x', from: number.displayNumber.slice(1) },
    },
  ],
  [
    { kind: 'interactive', from: dana, reply: { type: 'button_reply', id: '1', title: 'Yes' } },
    {
      type: 'interactive',
      interactive: { type: 'button_reply', button_reply: { id: '1', title: 'Yes' } },
    },
  ],
  [
    { kind: 'interactive', from: dana, reply: { type: 'list_reply', id: '1', title: 'Yes' } },
    { interactive: { type: 'list_reply', list_reply: { id: '1', title: 'Yes' } } },
  ],
  [
    { kind: 'interactive', from: dana, reply: { type: 'nfm_reply', response_json: '{}' } },
    { interactive: { type: 'nfm_reply', nfm_reply: { response_json: '{}' } } },
  ],
  [
    { kind: 'media', from: dana, media: 'image', caption: 'look' },
    { type: 'image', image: { id: String, mime_type: 'image/jpeg', caption: 'look' } },
  ],
  [
    { kind: 'media', from: dana, media: 'audio' },
    { type: 'audio', audio: { voice: true } },
  ],
  [{ kind: 'media', from: dana, media: 'location' }, { location: { latitude: Number } }],
  [{ kind: 'media', from: dana, media: 'contacts' }, { contacts: [{ phones: [{}] }] }],
  [
    { kind: 'reaction', from: dana, context: 'wamid.x', emoji: '👍' },
    { type: 'reaction', reaction: { message_id: 'wamid.x', emoji: '👍' }, context: undefined },
  ],
  [
    { kind: 'unsupported', from: dana },
    { type: 'unsupported', errors: [{ code: 131051 }], unsupported: { type: String } },
  ],
  [
    { kind: 'edit', from: dana, original: 'wamid.y', text: 'new' },
    { type: 'edit', edit: { original_message_id: 'wamid.y' } },
  ],
  [
    { kind: 'revoke', from: dana, original: 'wamid.y' },
    { type: 'revoke', revoke: { original_message_id: 'wamid.y' } },
  ],
  [
    { kind: 'unknown_type', from: dana },
    { type: 'hologram', hologram: {} },
  ],
  [{ kind: 'text', from: dana, text: 'x', fields: { text: null } }, { text: null }],
]
for (const [event, expected] of cases)
  await test(`a message of kind ${event.kind}: ${JSON.stringify(expected)}`, async t => {
    const { change, message } = await reported(event)
    t.match(change, {
      waba: number.wabaId,
      field: 'messages',
      value: {
        messaging_product: 'whatsapp',
        metadata: { phone_number_id: number.phoneNumberId },
        contacts: [{ wa_id: dana.slice(1), user_id: /^IL\.\d+$/, profile: { name: String } }],
      },
    })
    t.match(message, { ...byDana, ...expected })
  })

await test('a tap answers the last template, with the payload sent along', async t => {
  const body = template(dana)
  const stop = { type: 'payload', payload: 'STOP' }
  const button = { type: 'button', sub_type: 'quick_reply', index: 1, parameters: [stop] }
  await post(fake, number, { ...body, template: { ...body.template, components: [button] } })
  const wamid = fake.inbox(dana)[0]?.wamid
  const tapped = await reported({ kind: 'button', from: dana, text: 'הסר' })
  t.match(tapped.message, {
    type: 'button',
    button: { payload: 'STOP', text: 'הסר' },
    context: { id: wamid },
  })
  const other = await reported({ kind: 'button', from: dana, text: 'חזרו אליי' })
  t.match(other.message, { button: { payload: 'חזרו אליי' } })
})

await test('a reaction that was taken back has no emoji', async t => {
  const { message } = await reported({ kind: 'reaction', from: dana, context: 'wamid.x' })
  t.strictSame(message?.reaction, { message_id: 'wamid.x' })
})

await test('somebody behind a username shows the user id only', async t => {
  const event = { kind: 'text', from: dana, text: 'hi', bsuidOnly: true } as const
  const { change, message } = await reported(event)
  const userId = fake.people()[0]?.userId
  t.match(message, { from_user_id: userId })
  t.match(change.value.contacts, [{ user_id: userId }])
  t.notMatch(JSON.stringify(change), dana.slice(1))
})

await test('a person with another wa_id writes under it', async t => {
  fake.setPerson({ phone: dana, waId: '15550001111' })
  const { change, message } = await reported({ kind: 'text', from: dana, text: 'hi' })
  t.equal(message?.from, '15550001111')
  t.match(change.value.contacts, [{ wa_id: '15550001111' }])
})

await test('a changed number: no contacts, the old one as sender, the new one told', async t => {
  const { change, message } = await reported({
    kind: 'system',
    from: dana,
    change: 'user_changed_number',
    newPhone: yossi,
  })
  t.notOk('contacts' in change.value)
  t.match(message, {
    ...byDana,
    type: 'system',
    system: { type: 'user_changed_number', body: String, wa_id: yossi.slice(1) },
  })
})

await test('a changed user id', async t => {
  const before = (await reported({ kind: 'text', from: dana, text: 'a' })).message?.from_user_id
  const { message } = await reported({ kind: 'system', from: dana, change: 'user_changed_user_id' })
  const after = (await reported({ kind: 'text', from: dana, text: 'b' })).message?.from_user_id
  t.not(before, after)
  t.match(message, { from_user_id: before, system: { user_id: after } })
})

await test('neither edits nor system messages open the window', async t => {
  await reported({ kind: 'edit', from: dana, original: 'wamid.y', text: 'new' })
  await reported({ kind: 'system', from: dana, change: 'user_changed_user_id' })
  t.strictSame(fake.people()[0]?.openWindows, [])
  await reported({ kind: 'reaction', from: dana, context: 'wamid.x', emoji: '👍' })
  t.strictSame(fake.people()[0]?.openWindows, [number.phoneNumberId])
})

await test('the same id twice is the same message twice', async t => {
  const event = { kind: 'text', from: dana, text: 'hi', id: 'wamid.same' } as const
  t.equal((await reported(event)).message?.id, 'wamid.same')
  t.equal((await reported(event)).message?.id, 'wamid.same')
})

const { phoneNumberId } = number
const others: [InboundEventInput, field: string, value: object][] = [
  [
    { kind: 'user_preferences', from: dana, value: 'stop' },
    'user_preferences',
    {
      metadata: { phone_number_id: phoneNumberId },
      user_preferences: [
        { wa_id: dana.slice(1), category: 'marketing_messages', value: 'stop', timestamp: Number },
      ],
    },
  ],
  [
    { kind: 'echo', to: dana, text: 'מיד חוזרת' },
    'smb_message_echoes',
    {
      message_echoes: [
        {
          from: number.displayNumber.slice(1),
          to: dana.slice(1),
          id: /^wamid/,
          type: 'text',
          text: { body: 'מיד חוזרת' },
        },
      ],
    },
  ],
  [
    { kind: 'template_status', event: 'PAUSED', template: 'x' },
    'message_template_status_update',
    {
      event: 'PAUSED',
      message_template_name: 'x',
      message_template_language: 'he',
      metadata: undefined,
    },
  ],
  [
    { kind: 'template_category', template: 'x' },
    'template_category_update',
    { previous_category: 'UTILITY', new_category: 'MARKETING', metadata: undefined },
  ],
  [{ kind: 'errors', code: 130429 }, 'messages', { errors: [{ code: 130429 }] }],
  [
    { kind: 'field', field: 'never_heard_of', value: { a: 1 } },
    'never_heard_of',
    { a: 1, metadata: undefined },
  ],
  [
    { kind: 'status', wamid: 'wamid.z', status: 'failed', code: 131026, callbackData: '5' },
    'messages',
    {
      statuses: [
        {
          id: 'wamid.z',
          status: 'failed',
          biz_opaque_callback_data: '5',
          errors: [{ code: 131026 }],
        },
      ],
    },
  ],
  [
    { kind: 'text', from: dana, text: 'hi', asPhoneNumberId: '404' },
    'messages',
    { metadata: { phone_number_id: '404' } },
  ],
]
for (const [event, field, value] of others)
  await test(`${event.kind} is reported as ${field}`, async t => {
    const { change } = await reported(event)
    t.match(change, { field, value, waba: number.wabaId })
  })

await test('an answer goes to the business that wrote last', async t => {
  const other = fake.addNumber({ callbackUrl: receiver.url })
  await post(fake, other, template(yossi))
  const { change } = await reported({ kind: 'text', from: yossi, text: 'hi' })
  t.equal(change.value.metadata?.phone_number_id, other.phoneNumberId)
  const echo = await reported({ kind: 'echo', to: yossi, text: 'hi' })
  t.equal(echo.change.waba, other.wabaId)
})

await test('an event that is none, and a number that is none, are refused', async t => {
  const event = { kind: 'text', from: 'dana', text: 'hi' } as const
  await t.rejects(fake.inbound(event), /E.164/)
  await t.rejects(fake.inbound({ ...event, from: dana, phoneNumberId: '404' }), /no such business/)
})

receiver.close()
await fake.close()
