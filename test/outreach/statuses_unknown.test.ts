/** A send whose answer was lost: settled by what WhatsApp reports, where only one can be meant. */
import { sql } from 'kysely'
import { test } from 'tap'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  outreachOf,
  work,
} from '../support/ringback.ts'
import { doorOf, sentTo, settled } from '../support/steps.ts'
import { eventsOf, happens, reports, storyOf } from '../support/whatsapp.ts'
import {
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  waitingFor,
} from '../tasks/support.ts'

/** The message has arrived; our side was cut off. */
const lost = async (shop: Business, who = customer()) => {
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'cut' } })
  await dueSince(id)
  const wamid = fake
    .inbox(who.e164)
    .findLast(one => one.phoneNumberId === shop.phoneNumberId)?.wamid
  return { ...who, id, callId, wamid: wamid ?? '' }
}
const age = async (missedCallId: string, span: string) => {
  const { id } = await initialOf(missedCallId)
  await sql`update messages set claimed_at = now() - ${span}::interval where id = ${id}`.execute(db)
}
const UNKNOWN = ['unknown', 'no_answer']
const SENT = ['sent', 'accepted']
/** As reported of a template whose callback data Meta does not echo. */
const anonymous = { status: 'sent', callbackData: false } as const
const outcomes = async ({ tenantId }: Business) =>
  (await eventsOf(tenantId)).map(({ outcome }) => outcome)

await test('it is unknown, and nothing follows it by itself', async t => {
  const shop = await business()
  const dana = await lost(shop)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN)
  await dueSince(dana.id)
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(await waitingFor(shop.tenantId), [])
})

await test('a report with our own id settles it, and the reminders run from the claim', async t => {
  const shop = await business()
  const dana = await lost(shop)
  await age(dana.id, '10 minutes')
  await reports(dana.wamid, { status: 'delivered' })
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), SENT)
  const { claimed_at, lead_conversation_id, ...message } = await initialOf(dana.id)
  t.match(message, { state: 'delivered', wamid: dana.wamid, price_category: 'utility' })
  const reminders = await db
    .selectFrom('messages')
    .select('due_at')
    .where('lead_conversation_id', '=', lead_conversation_id)
    .where('state', '=', 'scheduled')
    .orderBy('id')
    .execute()
  t.strictSame(
    reminders.map(({ due_at }) => Number(due_at) - Number(claimed_at)),
    [2 * 3_600_000, 24 * 3_600_000],
  )
  t.match(await storyOf(shop, dana.e164), ['contacted'])

  await reports(dana.wamid, { status: 'sent' })
  await reports(dana.wamid, { status: 'read', callbackData: false })
  t.match(await initialOf(dana.id), { state: 'read' }, 'later ones are known by their id')
  t.equal((await messagesAfter(dana.id)).length, 3)
})

await test('a report of failure settles it too', async t => {
  const shop = await business()
  const dana = await lost(shop)
  await reports(dana.wamid, { status: 'failed', code: 131026 })
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['failed', 'refused'])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

await test('a report without our id settles it once its sender cannot tell any more', async t => {
  const shop = await business()
  const dana = await lost(shop)
  await reports(dana.wamid, anonymous)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN, 'not within a minute')
  const [event] = await eventsOf(shop.tenantId)
  t.equal(event?.outcome, null)

  await age(dana.id, '61 seconds')
  await runAtOnce(`whatsapp_event:${event?.id}`)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), SENT)
  t.match(await initialOf(dana.id), { state: 'sent', wamid: dana.wamid })
  t.equal((await waitingFor(shop.tenantId)).length, 2)
})

const MISFITS: [string, Parameters<typeof fake.sendStatus>[1], string][] = [
  ['it happened before the send', { ...anonymous, agoSeconds: 600 }, '2 minutes'],
  ['it happened long after', anonymous, '16 minutes'],
  ['it has no time', { ...anonymous, fields: { timestamp: null } }, '2 minutes'],
  ['it has no price', { ...anonymous, fields: { pricing: null } }, '2 minutes'],
  [
    'it is priced as free text',
    { ...anonymous, fields: { pricing: { category: 'service' } } },
    '2 minutes',
  ],
  [
    'it is about somebody else',
    { ...anonymous, fields: { recipient_id: '972521110000' } },
    '2 minutes',
  ],
  ['it is about nobody', { ...anonymous, fields: { recipient_id: null } }, '2 minutes'],
]
for (const [why, status, claimedAgo] of MISFITS)
  await test(`a report without our id settles nothing if ${why}`, async t => {
    const shop = await business()
    const dana = await lost(shop)
    await age(dana.id, claimedAgo)
    await reports(dana.wamid, status)
    t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN)
    t.match(await initialOf(dana.id), { state: 'unknown', wamid: null })
    const [outcome] = await outcomes(shop)
    t.ok(outcome === 'no_message' || outcome === 'unreadable', String(outcome))
  })

await test('of two that are unknown it settles neither', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const dana = await lost(shop)
  const again = await lost(shop, dana)
  for (const { id } of [dana, again]) await age(id, '2 minutes')
  await reports(again.wamid, anonymous)
  for (const { callId } of [dana, again])
    t.strictSame(await outreachOf(shop.tenantId, callId), UNKNOWN)
  t.strictSame(await outcomes(shop), ['no_message'])
})

await test('two reports of different messages at once do not settle the same one', async t => {
  const shop = await business()
  const door = await doorOf(shop)
  for (let times = 0; times < 20; times++) {
    const dana = customer()
    fake.script({ to: dana.e164, outcome: { kind: 'cut' } })
    const { id } = await sentTo(shop, dana.e164)
    await age(id, '2 minutes')
    const report = {
      timestamp: Math.floor(Date.now() / 1000),
      recipient_id: dana.e164.slice(1),
      pricing: { category: 'utility' },
    }
    const told = await Promise.all([
      settled(door, { ...report, id: `wamid.one.${times}`, status: 'delivered' }),
      settled(door, { ...report, id: `wamid.other.${times}`, status: 'read' }),
    ])
    const { wamid, state } = await initialOf(id)
    t.equal(state, wamid === `wamid.one.${times}` ? 'delivered' : 'read')
    t.equal(told.filter(outcome => outcome === 'status').length, 1, told.join())
  }
})

await test('another business cannot settle it, whatever it claims to know', async t => {
  const [shop, other] = [await business(), await business()]
  const dana = await lost(shop)
  await age(dana.id, '2 minutes')
  const { id } = await initialOf(dana.id)
  const status = { kind: 'status', status: 'read', phoneNumberId: other.phoneNumberId } as const
  const recipientId = dana.e164.slice(1)
  const anonymously = {
    id: dana.wamid,
    status: 'read',
    recipient_id: recipientId,
    timestamp: Math.floor(Date.now() / 1000),
    pricing: { category: 'utility' },
  }
  t.equal(await settled(await doorOf(other), anonymously), 'no_message')
  await happens([
    { ...status, wamid: dana.wamid, recipientId, callbackData: id },
    { ...status, wamid: dana.wamid, recipientId, callbackData: id, status: 'failed', code: 131050 },
  ])
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN)
  t.match(await initialOf(dana.id), { state: 'unknown', wamid: null, price_category: null })
  t.strictSame(await outcomes(other), ['no_message', 'no_message'])
  t.match(await storyOf(shop, dana.e164), ['new'])
})
