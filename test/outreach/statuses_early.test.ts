/** What WhatsApp reports before our own record says what it is about. */
import { sql } from 'kysely'
import { test } from 'tap'
import { business, customer, db, fake, outreachOf, work } from '../support/ringback.ts'
import { contacted, eventsOf, reports } from '../support/whatsapp.ts'
import {
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  until,
  waitingFor,
} from '../tasks/support.ts'

const handled = (tenantId: string) =>
  until(async () => {
    const events = await eventsOf(tenantId)
    return events.length > 0 && events.every(({ outcome }) => outcome !== null)
  })

await test('a report that comes before the answer to our send is not lost', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  const early = { beforeResponse: true }
  fake.script({
    to: dana.e164,
    outcome: { kind: 'accept', delayMs: 400 },
    statuses: [
      { status: 'read', ...early },
      { status: 'sent', ...early },
    ],
  })
  const done = dueSince(id)
  await until(async () => (await eventsOf(shop.tenantId)).length === 2)
  await work()
  await handled(shop.tenantId)
  t.match(await initialOf(id), { state: 'read', price_category: 'utility' }, 'while it is sent')
  t.equal((await waitingFor(shop.tenantId)).length, 2)

  await done
  t.match(await initialOf(id), { state: 'read', wa_id: dana.e164.slice(1), attempts: 1 })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [
    ['initial', 'read', null],
    ['reminder_1', 'scheduled', null],
    ['reminder_2', 'scheduled', null],
  ])
  t.equal((await waitingFor(shop.tenantId)).length, 2, 'reminders once')
  t.match(await leadsOf(shop.tenantId), [{ state: 'contacted' }])
})

await test('without our own id in it, it waits until the record has theirs', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  fake.script({
    to: dana.e164,
    outcome: { kind: 'accept', delayMs: 400 },
    statuses: [{ status: 'delivered', beforeResponse: true, callbackData: false }],
  })
  const done = dueSince(id)
  await until(async () => (await eventsOf(shop.tenantId)).length === 1)
  await work()
  t.match(await initialOf(id), { state: 'sending' })
  await done
  const [event] = await eventsOf(shop.tenantId)
  t.match(event, { outcome: null })
  t.match(await initialOf(id), { state: 'accepted' })

  await runAtOnce(`whatsapp_event:${event?.id}`)
  await work()
  t.match(await initialOf(id), { state: 'delivered' })
  t.match(await eventsOf(shop.tenantId), [{ outcome: 'status' }])
})

await test('refused for now, they said, and yet it arrived: never sent again', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({
    to: dana.e164,
    outcome: { kind: 'error', code: 131000, accept: true },
  })
  await dueSince(id)
  t.match(await messagesAfter(id), [['initial', 'scheduled']])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  await reports(fake.inbox(dana.e164)[0]?.wamid ?? '', { status: 'sent' })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal((await waitingFor(shop.tenantId)).length, 3, 'two reminders, and the retry')

  await dueSince(id)
  t.equal(requestsOf(shop).length, 1)
  t.equal(fake.inbox(dana.e164).length, 1)
  t.match(await messagesAfter(id), [
    ['initial', 'sent'],
    ['reminder_1', 'scheduled'],
    ['reminder_2', 'scheduled'],
  ])
  t.equal((await waitingFor(shop.tenantId)).length, 2)
})

await test('the same of a reminder', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'sent' })
  fake.script({
    to: dana.e164,
    outcome: { kind: 'error', code: 131000, accept: true },
  })
  const { lead_conversation_id: conversation } = await initialOf(dana.id)
  const remind = async () => {
    await sql`update messages set due_at = now() where kind = 'reminder_1' and state = 'scheduled'
              and lead_conversation_id = ${conversation}`.execute(db)
    await runAtOnce(`lead_reminder:${conversation}:1`)
    await work()
  }
  await remind()
  t.match(await messagesAfter(dana.id), [['initial'], ['reminder_1', 'scheduled']])
  await reports(fake.inbox(dana.e164)[1]?.wamid ?? '', { status: 'delivered' })
  await remind()
  t.match(await messagesAfter(dana.id), [['initial'], ['reminder_1', 'delivered']])
  t.equal(requestsOf(shop).length, 2)
  t.equal(fake.inbox(dana.e164).length, 2)
})
