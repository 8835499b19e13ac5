/** What people write: replies, who wrote, opt-outs; and what the owner writes. */
import { sql } from 'kysely'
import { test } from 'tap'
import { callBackPush } from '../../scripts/demo/cdr.ts'
import { markCalledBack, undoCalledBack } from '../../app/outreach/lead_actions.ts'
import { waitingPeople } from '../../app/outreach/people.ts'
import { addOptOut } from '../../app/privacy/do_not_contact.ts'
import { owned } from '../outreach/support.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  messagesOf,
  outreachOf,
  work,
} from '../support/ringback.ts'
import {
  reports,
  change,
  contacted,
  deliver,
  envelope,
  eventsOf,
  happens,
  optOutsOf,
  outcomesOf,
  receivedBy,
  storyOf,
} from '../support/whatsapp.ts'
import {
  addStrayJobs,
  addStrayReminders,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  tell,
  until,
  waitingFor,
} from '../tasks/support.ts'
import { act, OPERATOR } from '../tenants/support.ts'

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

/** [name, event, text that is stored] */
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
  ['an unknown type', { kind: 'unknown_type' }, null],
  [
    'a text with unknown fields',
    { kind: 'text', text: 'היי', fields: { context: 7, referral: [null], zz: { a: '\0' } } },
    'היי',
  ],
]

for (const [name, act, text] of ANSWERS)
  await test(`${name} is a reply: nothing more is sent`, async t => {
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
    t.equal(fake.inbox(dana.e164).length, 1, 'not even if a job is left')
  })

/** Events that are no replies. */
const NO_ANSWERS: [string, Act][] = [
  ['a reaction taken back', { kind: 'reaction' }],
  ['a message edited', { kind: 'edit', original: 'wamid.older', text: 'הסר' }],
  ['a message revoked', { kind: 'revoke', original: 'wamid.older' }],
  ['a new number', { kind: 'system', change: 'user_changed_number', newPhone: '+972541112223' }],
  ['a new user id', { kind: 'system', change: 'user_changed_user_id' }],
]

for (const [name, act] of NO_ANSWERS)
  await test(`${name} is no reply: the reminders stay`, async t => {
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

await test('other events from Meta are kept, and nothing follows from them', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const whose = { phone_number_id: phoneNumberId }
  // Its account is known, so that an update of a template has its effect.
  await reports(dana.wamid, { status: 'sent' })
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
    'status status',
    'status unknown_status',
  ])
  const nobodys = (await eventsOf(null)).map(({ field, outcome }) => `${field} ${outcome}`)
  t.strictSame(nobodys.toSorted(), [
    'account_update kept',
    'template_category_update template_category',
  ])
})

await test('a message from an unknown person is kept without a lead', async t => {
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

await test('a repeated message is stored once', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const text = { kind: 'text' as const, text: 'היי', from: dana.e164, phoneNumberId, id: 'wamid.t' }
  await happens(text, { copies: 5 })
  await happens({ ...text, text: 'WhatsApp says it differently' })
  t.strictSame(await receivedBy(shop), [['היי', true]])
  t.match(await eventsOf(shop.tenantId), [{ deliveries: 6, outcome: 'reply' }])
})

// A reply, or a message from the owner, cancels pending messages of its own tenant only.

const says = ({ phoneNumberId }: Business, from: string, text = 'אני כאן') =>
  happens({ kind: 'text', text, from, phoneNumberId })

await test('a reply before the first message is due cancels it', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await says(shop, dana.e164)
  t.strictSame(await storyOf(shop, dana.e164), ['replied', 'cancelled / replied', null])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])

  await addStrayJobs(id)
  await dueSince(id)
  t.strictSame(requestsOf(shop), [], 'not even if a job is left')
  t.strictSame(await messagesAfter(id), [])
})

for (const [what, outcome, call, message] of [
  ['accepted', { kind: 'accept', delayMs: 400 }, 'sent / accepted', 'accepted'],
  [
    'refused for now',
    { kind: 'error', code: 131000, delayMs: 400 },
    'cancelled / replied',
    'cancelled',
  ],
  ['refused', { kind: 'error', code: 131026, delayMs: 400 }, 'failed / refused', 'failed'],
  ['lost', { kind: 'cut', delayMs: 400 }, 'unknown / no_answer', 'unknown'],
] as const)
  await test(`a reply while the first message is sent, which is then ${what}`, async t => {
    const shop = await business()
    const dana = customer()
    const { id } = await miss(shop, dana.local)
    fake.script({ to: dana.e164, outcome })
    const done = dueSince(id)
    await until(() => requestsOf(shop).length === 1)
    await says(shop, dana.e164)
    await done
    t.strictSame(await storyOf(shop, dana.e164), ['replied', call, 'replied / replied'])
    t.match(await messagesAfter(id), [
      ['initial', message],
      ['inbound', 'received'],
    ])
    t.strictSame(await waitingFor(shop.tenantId), [])
    await addStrayJobs(id)
    await dueSince(id)
    t.equal(requestsOf(shop).length, 1)
  })

await test('the WhatsApp name of the person is stored', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  fake.setPerson({ phone: dana.e164, name: 'דנה כהן' })
  await says(shop, dana.e164)
  t.match(await messagesOf(shop.tenantId), [
    {},
    {},
    {},
    { kind: 'inbound', wa_id: dana.e164.slice(1) },
  ])
  t.match(
    await db.selectFrom('leads').select('name').where('tenant_id', '=', shop.tenantId).execute(),
    [{ name: 'דנה כהן' }],
  )
})

await test('a message from the owner cancels pending messages, and is no reply of the person', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  const [dana, ruth] = [await contacted(shop), customer()]
  const { id, callId } = await miss(shop, ruth.local)
  for (const to of [dana.e164, ruth.e164])
    await happens({ kind: 'echo', to, text: 'היי, כאן נועה', phoneNumberId })

  t.strictSame(await storyOf(shop, dana.e164), [
    'contacted',
    'sent / accepted',
    'stopped / owner_replied',
  ])
  t.match(await messagesAfter(dana.id), [
    ['initial', 'accepted'],
    ['reminder_1', 'cancelled', 'owner_replied'],
    ['reminder_2', 'cancelled', 'owner_replied'],
  ])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'owner_replied'])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.strictSame(await receivedBy(shop), [])

  await says(shop, dana.e164)
  t.match(await storyOf(shop, dana.e164), ['replied'], 'until they reply')
})

await test('the owner writes to a person who never called', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  await happens({ kind: 'echo', to: customer().e164, text: 'היי', phoneNumberId })
  t.strictSame(await outcomesOf(shop), ['echo unassigned'])
})

await test('one person writes to two tenants in one POST: each gets only its own message', async t => {
  const [one, other] = [await business(), await business()]
  const dana = customer()
  const [atOne, atOther] = [await contacted(one, dana), await contacted(other, dana)]
  const { phoneNumberId } = one
  const [id] = await happens([
    { kind: 'text', text: 'רק לנועה', from: dana.e164, phoneNumberId },
    { kind: 'echo', text: 'שלום', to: customer().e164, phoneNumberId: other.phoneNumberId },
  ])
  t.equal(fake.deliveries().at(-1)?.updates, 2, 'one POST')
  t.match(await storyOf(one, dana.e164), ['replied'])
  t.strictSame(await storyOf(other, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.equal((await waitingFor(other.tenantId)).length, 2)
  t.notMatch(JSON.stringify(await eventsOf(other.tenantId)), 'רק לנועה')
  t.strictSame(await receivedBy(other), [])
  t.match(await eventsOf(one.tenantId), [{ payload: { item: { id } } }])

  await happens({
    kind: 'text',
    text: 'אל שתיכן',
    from: dana.e164,
    context: atOne.wamid,
    phoneNumberId: other.phoneNumberId,
  })
  t.match(await storyOf(other, dana.e164), ['replied'], 'found by the number')
  t.notSame(atOne.wamid, atOther.wamid)
})

await test('a lead of one tenant is unknown to the other', async t => {
  const [one, other] = [await business(), await business()]
  const { phoneNumberId } = other
  const [dana, ruth] = [await contacted(one), customer()]
  const { callId } = await miss(one, ruth.local)
  for (const { e164 } of [dana, ruth])
    await happens([
      { kind: 'text', text: 'אני', from: e164, context: dana.wamid, phoneNumberId },
      { kind: 'text', text: 'אני', from: e164, phoneNumberId },
      { kind: 'echo', text: 'היי', to: e164, phoneNumberId },
      { kind: 'user_preferences', value: 'stop', from: e164, phoneNumberId },
      { kind: 'text', text: 'הסר', from: e164, phoneNumberId },
    ])
  t.strictSame(await storyOf(one, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.strictSame(await outreachOf(one.tenantId, callId), ['scheduled', 'waiting'])
  t.equal((await waitingFor(one.tenantId)).length, 3)
  t.strictSame(await receivedBy(one), [])
  t.ok((await receivedBy(other)).every(([, isKnown]) => !isKnown))
  t.equal(requestsOf(one).length, 1, 'and gets nothing more from the first')
})

// Who wrote: by the message that is answered, by identifiers at WhatsApp, by the spellings of the number.

/** The leads of the incoming messages. */
const leadsOfMessages = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ phone: string }>`
    select l.phone from messages m join leads l on l.id = m.lead_id
    where m.tenant_id = ${tenantId} and m.direction = 'in' order by m.id`.execute(db)
  return rows.map(({ phone }) => phone)
}

const REPLIED = ['replied', 'sent / accepted', 'replied / replied']
const CONTACTED = ['contacted', 'sent / accepted', 'open / ']

await test('a writer is found by the message they answer, whatever number they write from', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const outsider = customer().e164
  await happens({ kind: 'text', text: 'אני', from: outsider, context: dana.wamid, phoneNumberId })
  t.strictSame(await storyOf(shop, dana.e164), REPLIED)

  const ruth = await contacted(shop)
  await happens({
    kind: 'reaction',
    emoji: '👍',
    from: customer().e164,
    context: ruth.wamid,
    phoneNumberId,
  })
  t.strictSame(await storyOf(shop, ruth.e164), REPLIED, 'or reacts to')
})

await test('the message that is answered counts more than the identifier', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  const [dana, ruth] = [await contacted(shop), await contacted(shop)]
  await happens({ kind: 'text', text: 'אני', from: dana.e164, context: ruth.wamid, phoneNumberId })
  t.strictSame(await storyOf(shop, ruth.e164), REPLIED)
  t.match(await leadsOfMessages(shop), [ruth.e164], 'the message belongs to the other lead')
  t.strictSame(
    await storyOf(shop, dana.e164),
    REPLIED,
    'and the person with that number gets nothing more',
  )
})

await test('a writer is found by the wa_id in the answer to our send, also if it differs from the number', async t => {
  const shop = await business()
  const who = customer()
  const waId = `1999${who.e164.slice(-7)}`
  fake.setPerson({ phone: who.e164, waId })
  const dana = await contacted(shop, who)
  await happens({
    kind: 'text',
    text: 'אני',
    from: dana.e164,
    phoneNumberId: shop.phoneNumberId,
    fields: { from: waId, from_user_id: 'IL.1' },
  })
  t.strictSame(await storyOf(shop, dana.e164), REPLIED)
})

await test('a writer is found with and without a plus', async t => {
  for (const plus of ['', '+']) {
    const shop = await business()
    const dana = await contacted(shop)
    const from = plus + dana.e164.slice(1)
    await happens({
      kind: 'text',
      text: 'אני',
      from: dana.e164,
      phoneNumberId: shop.phoneNumberId,
      fields: { from },
    })
    t.strictSame(await storyOf(shop, dana.e164), REPLIED, from.slice(0, 4))
  }
})

await test('a writer who hides their number is found by a known user id', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  // Otherwise the answer to our message names the user id.
  fake.script({ phoneNumberId, outcome: { kind: 'accept', contacts: false } })
  const dana = await contacted(shop)
  const hidden = { kind: 'text', text: 'הסר', from: dana.e164, bsuidOnly: true } as const
  await happens({ ...hidden, text: 'מי?', phoneNumberId })
  t.strictSame(await storyOf(shop, dana.e164), CONTACTED, 'not before')
  t.strictSame(await receivedBy(shop), [['מי?', false]])

  await happens({ kind: 'text', text: 'אני', from: dana.e164, phoneNumberId })
  await happens({ ...hidden, phoneNumberId })
  t.match(await storyOf(shop, dana.e164), ['opted_out'])
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
})

const SPELLINGS = [
  ['+972569112233', '970569112233', 'Palestinian, 056'],
  ['+970599112233', '972599112233', 'Palestinian, 059'],
  ['+5531988887766', '553188887766', 'Brazilian'],
  ['+525512345678', '5215512345678', 'Mexican'],
  ['+5491123456789', '541123456789', 'Argentinian'],
]
for (const [phone = '', waId = '', name] of SPELLINGS)
  await test(`one person, two spellings: ${name}`, async t => {
    const shop = await business({ columns: { contact_foreign: true } })
    const { id } = await miss(shop, phone)
    t.strictSame(await waitingFor(shop.tenantId), [`lead_outreach:${id}`])
    const messages = [{ id: `wamid.${waId}`, from: waId, type: 'text', text: { body: 'אני' } }]
    await deliver(envelope(change(shop.phoneNumberId, { messages })))
    await happens([])
    t.strictSame(await storyOf(shop, phone), ['replied', 'cancelled / replied', null])
    t.strictSame(await waitingFor(shop.tenantId), [])
    t.equal((await leadsOf(shop.tenantId)).length, 1)
  })

await test('a number that only looks similar is another person', async t => {
  const shop = await business()
  const dana = await contacted(shop, { local: '0527112233', e164: '+972527112233' })
  const { phoneNumberId } = shop
  for (const from of ['+970527112233', '+972527112234', '+97252711223', '+1527112233'])
    await happens({ kind: 'text', text: 'הסר', from, phoneNumberId })
  t.strictSame(await storyOf(shop, dana.e164), CONTACTED)
})

await test('people in one POST are not confused', async t => {
  const shop = await business()
  const [dana, ruth] = [await contacted(shop), await contacted(shop)]
  const names = { [dana.e164]: 'דנה', [ruth.e164]: 'רות' }
  for (const [phone, name] of Object.entries(names)) fake.setPerson({ phone, name })
  const text = { kind: 'text', text: 'אני', phoneNumberId: shop.phoneNumberId } as const
  await happens([
    { ...text, from: dana.e164 },
    { ...text, from: ruth.e164 },
  ])
  const leads = await leadsOf(shop.tenantId)
  t.strictSame(Object.fromEntries(leads.map(({ phone, name }) => [phone, name])), names)

  // From a hidden number, without a contact.
  const contacts = [{ wa_id: dana.e164.slice(1), user_id: 'IL.77', profile: { name: 'דנה' } }]
  const stop = { type: 'text', text: { body: 'הסר' } }
  const messages = [
    { id: 'wamid.hidden', from_user_id: 'IL.88', ...stop },
    { id: 'wamid.shown', from: dana.e164.slice(1), type: 'text', text: { body: 'שוב אני' } },
  ]
  const preferences = [
    { user_id: 'IL.88', value: 'stop' },
    { user_id: 'IL.89', value: 'stop' },
  ]
  await deliver(
    envelope(
      change(shop.phoneNumberId, { contacts, messages }),
      change(shop.phoneNumberId, { contacts, user_preferences: preferences }, 'user_preferences'),
    ),
  )
  await happens([])
  t.match(await storyOf(shop, dana.e164), ['replied'], 'another person cannot opt them out')
  t.strictSame(await optOutsOf(shop), [])
  t.strictSame(await outcomesOf(shop), [
    ...Array.from({ length: 3 }, () => 'message reply'),
    'message unassigned',
    'preference unassigned',
    'preference unassigned',
  ])
})

await test('a new number belongs to the same person, and an opt-out holds for both', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  const dana = await contacted(shop)
  const [moved, again] = [customer(), customer()]
  const moves = (from: string, newPhone: string) =>
    happens({ kind: 'system', change: 'user_changed_number', from, newPhone, phoneNumberId })
  await moves(dana.e164, moved.e164)
  t.strictSame(await storyOf(shop, dana.e164), CONTACTED)

  await happens({ kind: 'text', text: 'הסר', from: moved.e164, phoneNumberId })
  t.match(await storyOf(shop, dana.e164), ['opted_out', 'sent / accepted', 'opted_out / opted_out'])
  const phones = async () => (await optOutsOf(shop)).map(([phone]) => `${phone}`).toSorted()
  t.strictSame(await phones(), [dana.e164, moved.e164].toSorted())

  await moves(moved.e164, again.e164)
  t.strictSame(
    await phones(),
    [dana.e164, moved.e164, again.e164].toSorted(),
    'and for the next number',
  )
  const { callId } = await miss(shop, again.local)
  const { rows } = await sql`select outreach_reason as reason from missed_calls
    where tenant_id = ${shop.tenantId} and call_id = ${callId}`.execute(db)
  t.strictSame(rows, [{ reason: 'opted_out' }])
})

await test('a person who calls and writes from a new number gets messages at neither number', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  const dana = await contacted(shop)
  const moved = customer()
  await happens({
    kind: 'system',
    change: 'user_changed_number',
    from: dana.e164,
    newPhone: moved.e164,
    phoneNumberId,
  })
  const { callId } = await miss(shop, moved.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  await happens({ kind: 'text', text: 'אני כאן', from: moved.e164, phoneNumberId })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'replied'])
  t.match(await storyOf(shop, dana.e164), ['replied'])
})

// "Stop" and "start", typed or tapped.

const writesTo = ({ phoneNumberId }: Business, from: string, text: string) =>
  happens({ kind: 'text', text, from, phoneNumberId })
let changes = 0
/** Each change is a second later than the one before: within one second the same change counts as a repeat. */
const prefers = ({ phoneNumberId }: Business, from: string, value: 'stop' | 'resume') =>
  happens({ kind: 'user_preferences', from, value, phoneNumberId, agoSeconds: 1000 - changes++ })
/** What a phone received after the first message. */
const more = (phone: string) =>
  fake
    .inbox(phone)
    .slice(1)
    .map(({ type, text }) => [type, text.includes('הוסרת')])
const CONFIRMED = ['text', true]

for (const word of ['הסר', 'הָסֵר.', '*STOP*', 'unsubscribe', '\u200fהסר\u200f 🙏', 'Remove me!'])
  await test(`"${word}" is an opt-out without a time limit, confirmed once`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await writesTo(shop, dana.e164, word)
    t.strictSame(await storyOf(shop, dana.e164), [
      'opted_out',
      'sent / accepted',
      'opted_out / opted_out',
    ])
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
    t.strictSame(await messagesAfter(dana.id), [
      ['initial', 'accepted', null],
      ['reminder_1', 'cancelled', 'opted_out'],
      ['reminder_2', 'cancelled', 'opted_out'],
      ['inbound', 'received', null],
    ])
    t.strictSame(more(dana.e164), [CONFIRMED])
    t.strictSame(await waitingFor(shop.tenantId), [])

    await writesTo(shop, dana.e164, word)
    await writesTo(shop, dana.e164, 'תודה')
    await addStrayReminders(dana.id)
    t.strictSame(more(dana.e164), [CONFIRMED], 'and nothing more')
    t.match(await storyOf(shop, dana.e164), ['opted_out'], 'another message does not undo it')

    const { callId } = await miss(shop, dana.local)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
    t.strictSame(await waitingFor(shop.tenantId), [], 'also after another call')
    t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])
  })

for (const text of ['לא להסיר', 'please stop by tomorrow', 'די טוב', 'לא מעוניינת'])
  await test(`"${text}" is a reply and no opt-out`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await writesTo(shop, dana.e164, text)
    t.match(await storyOf(shop, dana.e164), ['replied'])
    t.strictSame(await optOutsOf(shop), [])
    t.strictSame(more(dana.e164), [])
  })

const TAPS = [
  { text: 'לא תודה', payload: 'STOP' },
  { text: 'STOP', payload: 'button-1' },
  { text: 'הסר', payload: 'הסר' },
]
for (const { text, payload } of TAPS)
  await test(`a tap on "${text}" with the payload "${payload}" is an opt-out`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    const { phoneNumberId } = shop
    await happens({ kind: 'button', text, payload, from: dana.e164, phoneNumberId })
    t.match(await storyOf(shop, dana.e164), ['opted_out'])
    t.equal((await optOutsOf(shop)).length, 1)
    t.strictSame(more(dana.e164), [CONFIRMED])
  })

const CALLBACK_TAPS: [string, Act][] = [
  ['a button of our template', { kind: 'button', text: 'חזרו אליי', payload: 'ringback:callback' }],
  ['a button without a payload of ours', { kind: 'button', text: 'Call me back' }],
  [
    'a button of a message',
    {
      kind: 'interactive',
      reply: { type: 'button_reply', id: 'ringback:callback', title: 'חזרו אליי' },
    },
  ],
]
for (const [name, tapped] of CALLBACK_TAPS)
  await test(`a tap on "call me back" (${name}) is a reply, and the owner is notified at once`, async t => {
    const { shop, who, told } = await owned()
    await happens({ ...tapped, from: who.e164, phoneNumberId: shop.phoneNumberId })
    t.strictSame(await storyOf(shop, who.e164), ['replied', 'sent / accepted', 'replied / replied'])
    t.match(await leadsOf(shop.tenantId), [{ callback_requested_at: Date }])
    t.equal(told().length, 1)
    t.match(await eventsOf(shop.tenantId), [{ kind: 'message', outcome: 'callback' }])
  })

await test('a request for a call is open until a talk, "called back" or an opt-out', async t => {
  const { shop, who, told } = await owned()
  const { tenantId, phoneNumberId } = shop
  const tap = () =>
    happens({
      kind: 'button',
      text: 'חזרו אליי',
      payload: 'ringback:callback',
      from: who.e164,
      phoneNumberId,
    })
  const requested = async () => (await leadsOf(tenantId))[0]?.callback_requested_at ?? null
  const waits = async () => {
    const people = await act(trx => waitingPeople(trx, { tenantId, before: null, limit: 9 }))
    return people.map(one => [one.waits, one.since])
  }

  await tap()
  const first = await requested()
  t.strictSame(await waits(), [['asked', first]])
  await tap()
  t.strictSame(await requested(), first, 'while it is open, another tap changes nothing')
  t.strictSame(await waits(), [['asked', first]])
  t.equal(told().length, 1)

  await tell(shop.token, callBackPush({ caller: shop.did, target: who.local }))
  t.strictSame([await requested(), await waits()], [null, []], 'a talk closes it')
  await sql`update raw_cdrs set reached_until = reached_until - interval '1 minute'
            where tenant_id = ${tenantId}`.execute(db)
  await tap()
  t.strictSame(await waits(), [['asked', await requested()]], 'a later tap is a new request')
  t.equal(told().length, 2)

  const { id: leadId } = (await leadsOf(tenantId))[0] ?? { id: '' }
  await act(trx => markCalledBack(trx, OPERATOR, { tenantId, leadId }))
  await tap()
  t.equal(told().length, 3)
  await act(trx => markCalledBack(trx, OPERATOR, { tenantId, leadId }))
  const closed = (await leadsOf(tenantId))[0]?.callback_closed
  await act(trx => undoCalledBack(trx, OPERATOR, { tenantId, leadId }))
  t.strictSame(await requested(), closed, 'the undo opens it again')

  await writesTo(shop, who.e164, 'הסר')
  t.strictSame(await waits(), [])
  await tap()
  t.match(await waits(), [['asked', await requested()]], 'an opt-out of messages is none of calls')
})

await test('a person who writes "stop" twice, or after an opt-out by hand, waits for no answer', async t => {
  const { shop, who } = await owned()
  const { tenantId } = shop
  const waits = async () => {
    const people = await act(trx => waitingPeople(trx, { tenantId, before: null, limit: 9 }))
    return people.map(({ waits }) => waits)
  }
  await act(trx => addOptOut(trx, OPERATOR, { tenantId, number: who.e164 }))
  for (const words of ['הסר', 'הסר', 'stop']) {
    await writesTo(shop, who.e164, words)
    t.strictSame(await waits(), [])
  }
  await writesTo(shop, who.e164, 'יש לכם פתוח היום?')
  t.strictSame(await waits(), ['wrote'])
})

await test('an opt-out in another spelling of the number closes the request for a call too', async t => {
  const shop = await business({ columns: { contact_foreign: true } })
  const phone = '+970569112288'
  await miss(shop, phone)
  const tap = async () => {
    const tapped = { kind: 'button', text: 'חזרו אליי', payload: 'ringback:callback' } as const
    await happens({ ...tapped, from: phone, phoneNumberId: shop.phoneNumberId })
    return (await leadsOf(shop.tenantId))[0]?.callback_requested_at
  }
  const first = await tap()
  await sql`insert into opt_outs (tenant_id, phone, source)
            values (${shop.tenantId}, '+972569112288', 'operator')`.execute(db)
  const second = await tap()
  t.ok(first && second && second > first)
})

await test('after an opt-out before the first message, none is sent', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await writesTo(shop, dana.e164, 'הסר')
  t.strictSame(await storyOf(shop, dana.e164), ['opted_out', 'cancelled / opted_out', null])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  t.strictSame(
    fake.inbox(dana.e164).map(({ type }) => type),
    ['text'],
    'except the confirmation',
  )
})

await test('a person who never called can opt out, and gets no message when they call', async t => {
  const shop = await business()
  const dana = customer()
  await writesTo(shop, dana.e164, 'הסר')
  await writesTo(shop, dana.e164, 'הסר')
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.equal(fake.inbox(dana.e164).length, 1)
  const { callId } = await miss(shop, dana.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
})

await test('an event of a number that has moved to another business since changes nothing there', async t => {
  const [mine, theirs] = [await business(), await business({ connected: false })]
  const dana = await contacted(mine)
  const { phoneNumberId } = mine
  const stop = { id: 'wamid.stop', from: dana.e164.slice(1), type: 'text', text: { body: 'stop' } }
  await deliver(envelope(change(phoneNumberId, { messages: [stop] })))
  await db.deleteFrom('whatsapp_connections').where('tenant_id', '=', mine.tenantId).execute()
  await db
    .insertInto('whatsapp_connections')
    .values({
      tenant_id: theirs.tenantId,
      phone_number_id: phoneNumberId,
      display_phone_number: theirs.line,
      access_token: 'v1:of the other business',
    })
    .execute()
  await work()
  t.match((await eventsOf(mine.tenantId)).at(-1), { outcome: 'number_unknown' })
  t.strictSame(await messagesOf(theirs.tenantId), [])
  t.strictSame([await optOutsOf(mine), await optOutsOf(theirs)], [[], []])
})

await test('"start" takes it back, and only later calls cause messages', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const dana = await contacted(shop)
  await writesTo(shop, dana.e164, 'הסר')
  await writesTo(shop, dana.e164, 'התחל')
  t.strictSame(await optOutsOf(shop), [])
  t.match(await storyOf(shop, dana.e164), ['replied', 'sent / accepted', 'opted_out / opted_out'])
  t.strictSame(await waitingFor(shop.tenantId), [], 'the earlier conversation stays ended')
  // A call of now: a call that began before the person wrote causes no message.
  const { callId } = await miss(shop, dana.local, {}, -2)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])

  await writesTo(shop, dana.e164, 'STOP')
  t.strictSame(more(dana.e164), [CONFIRMED, CONFIRMED], 'and a further "stop" is confirmed again')
})

await test('"stop" in WhatsApp’s settings is an opt-out without a confirmation', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await prefers(shop, dana.e164, 'stop')
  t.strictSame(await storyOf(shop, dana.e164), [
    'opted_out',
    'sent / accepted',
    'opted_out / opted_out',
  ])
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'user_preferences']])
  t.strictSame(more(dana.e164), [])
  t.strictSame(await receivedBy(shop), [], 'and it is no message')

  await prefers(shop, dana.e164, 'resume')
  t.strictSame(await optOutsOf(shop), [], '"resume" lifts it')
  t.match(await storyOf(shop, dana.e164), ['contacted'])
  await writesTo(shop, dana.e164, 'היי')
  await prefers(shop, dana.e164, 'stop')
  await prefers(shop, dana.e164, 'resume')
  t.match(await storyOf(shop, dana.e164), ['replied'], 'the state that they had')
})

await test('"resume" does not take back a typed "stop"', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await writesTo(shop, dana.e164, 'הסר')
  await prefers(shop, dana.e164, 'stop')
  await prefers(shop, dana.e164, 'resume')
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.match(await storyOf(shop, dana.e164), ['opted_out'])
})

await test('"stop" at one tenant means nothing to another', async t => {
  const shops = [await business(), await business()]
  const [dana] = [customer()]
  for (const shop of shops) await contacted(shop, dana)
  const [one, other] = shops
  if (!one || !other) throw new Error('two')
  await writesTo(one, dana.e164, 'הסר')
  t.match(await storyOf(one, dana.e164), ['opted_out'])
  t.strictSame(await storyOf(other, dana.e164), ['contacted', 'sent / accepted', 'open / '])
  t.equal((await waitingFor(other.tenantId)).length, 2)
  t.strictSame(await optOutsOf(other), [])
})
