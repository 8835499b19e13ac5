/** Who wrote: by the message she answers, by her names at WhatsApp, by the spellings of her number. */
import { sql } from 'kysely'
import { test } from 'tap'
import { business, type Business, customer, db, fake, outreachOf } from '../support/ringback.ts'
import {
  change,
  contacted,
  deliver,
  envelope,
  happens,
  optOutsOf,
  outcomesOf,
  receivedBy,
  storyOf,
} from '../support/whatsapp.ts'
import { leadsOf, miss, waitingFor } from './support.ts'

/** Whose the messages are that came in. */
const leadsOfMessages = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ phone: string }>`
    select l.phone from messages m join leads l on l.id = m.lead_id
    where m.tenant_id = ${tenantId} and m.direction = 'in' order by m.id`.execute(db)
  return rows.map(({ phone }) => phone)
}

const REPLIED = ['replied', 'sent / accepted', 'replied / replied']
const CONTACTED = ['contacted', 'sent / accepted', 'open / ']

await test('she is known by the message she answers, whatever she writes from', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const stranger = customer().e164
  await happens({ kind: 'text', text: 'אני', from: stranger, context: dana.wamid, phoneNumberId })
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

await test('the message she answers counts more than the name it comes under', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
  const [dana, ruth] = [await contacted(shop), await contacted(shop)]
  await happens({ kind: 'text', text: 'אני', from: dana.e164, context: ruth.wamid, phoneNumberId })
  t.strictSame(await storyOf(shop, ruth.e164), REPLIED)
  t.match(await leadsOfMessages(shop), [ruth.e164], 'it is hers')
  t.strictSame(
    await storyOf(shop, dana.e164),
    REPLIED,
    'and whose number it came from is not chased',
  )
})

await test('she is known by the name that the answer to our send gave, unlike her number', async t => {
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

await test('she is known with a plus before her number and without', async t => {
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

await test('somebody who hides her number is known by her user id, once it was seen', async t => {
  const shop = await business()
  const { phoneNumberId } = shop
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
  await test(`one subscriber, two spellings: ${name}`, async t => {
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

await test('a number that only looks alike is somebody else', async t => {
  const shop = await business()
  const dana = await contacted(shop, { local: '0527112233', e164: '+972527112233' })
  const { phoneNumberId } = shop
  for (const from of ['+970527112233', '+972527112234', '+97252711223', '+1527112233'])
    await happens({ kind: 'text', text: 'הסר', from, phoneNumberId })
  t.strictSame(await storyOf(shop, dana.e164), CONTACTED)
})

await test('people in one batch are not taken for each other', async t => {
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

  // Of a hidden number, and of nobody who is among the contacts.
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
  t.match(await storyOf(shop, dana.e164), ['replied'], 'her silence is not asked for by another')
  t.strictSame(await optOutsOf(shop), [])
  t.strictSame(await outcomesOf(shop), [
    ...Array.from({ length: 3 }, () => 'message reply'),
    'message unassigned',
    'preference unassigned',
    'preference unassigned',
  ])
})

await test('her new number is hers too, and what she asked for holds for both', async t => {
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
  t.strictSame(await phones(), [dana.e164, moved.e164, again.e164].toSorted(), 'and for the next')
  const { callId } = await miss(shop, again.local)
  const { rows } = await sql`select outreach_reason as reason from missed_calls
    where tenant_id = ${shop.tenantId} and call_id = ${callId}`.execute(db)
  t.strictSame(rows, [{ reason: 'opted_out' }])
})

await test('who calls from her new number and writes from it is chased under neither', async t => {
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
