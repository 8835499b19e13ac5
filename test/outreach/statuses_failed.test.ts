/** What follows when WhatsApp took a message and reports its failure later. */
import { test } from 'tap'
import { business, db } from '../support/ringback.ts'
import { contacted, happens, optOutsOf, reports, storyOf } from '../support/whatsapp.ts'
import {
  addStrayReminders,
  dueSince,
  initialOf,
  messagesAfter,
  requestsOf,
  waitingFor,
} from '../tasks/support.ts'

for (const code of [131026, 131049, 131000, 130472])
  await test(`failed, they report, with ${code}: nothing follows the first message`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await reports(dana.wamid, { status: 'failed', code })
    t.strictSame(await storyOf(shop, dana.e164), [
      'contacted',
      'failed / refused',
      'stopped / undeliverable',
    ])
    t.match(await initialOf(dana.id), { state: 'failed', reason: 'reported', error_code: code })
    t.strictSame((await messagesAfter(dana.id)).slice(1), [
      ['reminder_1', 'cancelled', 'undeliverable'],
      ['reminder_2', 'cancelled', 'undeliverable'],
    ])
    t.strictSame(await waitingFor(shop.tenantId), [])
    await dueSince(dana.id)
    t.equal(requestsOf(shop).length, 1, 'nor is it sent again')
  })

await test('failed since she stopped our messages: an opt-out', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'failed', code: 131050 })
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'whatsapp_131050']])
  t.strictSame(await storyOf(shop, dana.e164), [
    'opted_out',
    'failed / refused',
    'opted_out / opted_out',
  ])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.equal(requestsOf(shop).length, 1, 'which nobody confirms')
})

await test('failed since the token is dead: that connection is paused, and no other', async t => {
  const [shop, other] = [await business(), await business()]
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'failed', code: 190 })
  const connection = async (tenantId: string) =>
    db
      .selectFrom('whatsapp_connections')
      .select(['state', 'state_reason'])
      .where('tenant_id', '=', tenantId)
      .execute()
  t.strictSame(await connection(shop.tenantId), [
    { state: 'paused', state_reason: 'WhatsApp error 190' },
  ])
  t.strictSame(await connection(other.tenantId), [{ state: 'active', state_reason: null }])
})

for (const [what, event, ended] of [
  ['she has answered', { kind: 'text', text: 'אני כאן' }, ['replied', 'replied / replied']],
  [
    'the owner has written',
    { kind: 'echo', text: 'היי' },
    ['contacted', 'stopped / owner_replied'],
  ],
] as const)
  await test(`failed, delivered after all, but ${what} between: no reminders`, async t => {
    const shop = await business()
    const { phoneNumberId } = shop
    const dana = await contacted(shop)
    await reports(dana.wamid, { status: 'failed' })
    await happens(
      event.kind === 'text'
        ? { ...event, from: dana.e164, phoneNumberId }
        : { ...event, to: dana.e164, phoneNumberId },
    )
    await reports(dana.wamid, { status: 'delivered' })
    const [lead, conversation] = ended
    t.strictSame(await storyOf(shop, dana.e164), [lead, 'sent / accepted', conversation])
    t.strictSame(await waitingFor(shop.tenantId), [])
    await addStrayReminders(dana.id)
    t.equal(requestsOf(shop).length, 1)
  })
