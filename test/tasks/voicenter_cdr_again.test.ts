/** Calls that were skipped because a message was pending, decided again once that one is cancelled. */
import t from 'tap'
import { business, customer, db, fake, missedCall, outreachOf } from '../support/ringback.ts'
import { answeredPush, type Push } from '../../scripts/demo/cdr.ts'
import { dueSince, miss, secondsUntil, tell, waitingFor } from './support.ts'

/** Ten seconds later in the same call an agent picked up. */
const answeredLegOf = (record: Push): Push => ({
  ...record,
  status: 'ANSWER',
  targetextension: 'SIP1',
  time: record.time + 10,
})

t.test('when her pending call turns out answered, her later call is decided again', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, { type: 'Queue' }, 300)
  const second = await miss(shop, dana.local, {}, 60)
  const third = await miss(shop, dana.local, {}, 40)
  t.strictSame(await outreachOf(shop.tenantId, second.callId), ['skipped', 'already_contacted'])

  await tell(shop.token, answeredLegOf(first.record))
  t.strictSame(await outreachOf(shop.tenantId, first.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(shop.tenantId, second.callId), ['scheduled', 'waiting'])
  t.strictSame(
    await outreachOf(shop.tenantId, third.callId),
    ['skipped', 'already_contacted'],
    'one message is enough for both that follow',
  )
  t.strictSame(await waitingFor(shop.tenantId), [`lead_outreach:${second.id}`])
  const call = await missedCall(shop.tenantId, second.callId)
  const seconds = await secondsUntil(call?.outreach_due_at ?? undefined)
  t.ok(seconds > 115 && seconds <= 120, 'due two minutes after the decision')
  await dueSince(second.id)
  t.equal(fake.inbox(dana.e164).length, 1)
})

t.test('a talk between two of her missed calls leaves the later one to be answered', async t => {
  const shop = await business()
  const dana = customer()
  const before = await miss(shop, dana.local, {}, 300)
  const after = await miss(shop, dana.local, {}, 60)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }, 120))
  t.strictSame(await outreachOf(shop.tenantId, before.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(shop.tenantId, after.callId), ['scheduled', 'waiting'])
})

t.test('a talk after both of her missed calls leaves none to be answered', async t => {
  const shop = await business()
  const dana = customer()
  await miss(shop, dana.local, {}, 300)
  await miss(shop, dana.local, {}, 120)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }))
  t.strictSame(await waitingFor(shop.tenantId), [])
})

t.test('a later call that has become too old meanwhile stays skipped', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, {}, 300)
  const second = await miss(shop, dana.local, {}, 120)
  await db
    .updateTable('tenants')
    .set({ oldest_call: '1 minute' })
    .where('id', '=', shop.tenantId)
    .execute()
  await tell(shop.token, answeredLegOf(first.record))
  t.strictSame(await outreachOf(shop.tenantId, first.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(shop.tenantId, second.callId), ['skipped', 'already_contacted'])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

t.test('after the message went out, her later call stays skipped', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, {}, 300)
  const second = await miss(shop, dana.local, {}, 120)
  await dueSince(first.id)
  await tell(shop.token, answeredLegOf(first.record))
  t.strictSame(
    await outreachOf(shop.tenantId, second.callId),
    ['skipped', 'already_contacted'],
    'she has her message',
  )
  t.strictSame(await waitingFor(shop.tenantId), [])
})
