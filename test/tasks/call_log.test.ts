/** Voicenter's own log is compared with what has come, and what never came is taken in. */
import t from 'tap'
import {
  business,
  customer,
  fake,
  missedCall,
  outreachOf,
  rejectedOf,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import {
  call,
  checkNow,
  checksOf,
  lossOf,
  sourcesOf,
  voicenter,
  webhook,
  withCallLog,
} from '../support/voicenter.ts'
import { leadsOf, unboundToken } from './support.ts'

t.test('a call whose webhook was lost is found, judged and answered', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const [dana, noa] = [customer(), customer()]
  const known = call({ caller: noa.local, did: shop.did })
  const lost = call({ caller: dana.local, did: shop.did })
  await webhook(shop, known.push)
  voicenter.log(account, known.record, lost.record)
  await checkNow(shop)

  t.strictSame(await checksOf(shop), [[2, 1, 1]])
  t.strictSame(await sourcesOf(shop), [
    [known.callId, 'push'],
    [lost.callId, 'call_log'],
  ])
  t.strictSame(await verdictsOf(shop.tenantId, lost.callId), [['missed', 'noanswer']])
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['scheduled', 'waiting'])
  const missed = await missedCall(shop.tenantId, lost.callId)
  t.equal(missed?.called_at.toISOString().slice(0, 19), lost.record.Date.slice(0, 19))
  t.equal(missed?.caller_phone, dana.e164)
  await workAsIfDue()
  t.equal(fake.inbox(dana.e164).length, 1)
  t.equal(fake.inbox(noa.e164).length, 1)
  t.strictSame(await lossOf(shop), [2, 1, 0, 50])
})

t.test('a call that began too long ago is recorded, and nobody is written to', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const old = call({ caller: dana.local, did: shop.did }, 3 * 3600)
  voicenter.log(account, old.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, old.callId), ['skipped', 'too_late'])
  await workAsIfDue()
  t.strictSame(fake.inbox(dana.e164), [])
})

t.test('an answered call of which only the log tells cancels what was pending', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const missed = call({ caller: dana.local, did: shop.did }, 1200)
  await webhook(shop, missed.push)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['scheduled', 'waiting'])
  // She called again and got through, and the webhook of that call was lost.
  const answered = call(
    {
      caller: dana.local,
      did: shop.did,
      status: 'ANSWER',
      targetextension: 'SIP1',
      duration: 60,
    },
    600,
  )
  voicenter.log(account, missed.record, answered.record)
  await checkNow(shop)
  t.strictSame(await verdictsOf(shop.tenantId, answered.callId), [['answered', 'agent']])
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['cancelled', 'reached_by_phone'])
})

t.test('a queue that gave up and the agent who answered out of it are one call', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const queue = call({ caller: customer().local, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  voicenter.log(account, queue.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, queue.callId), ['scheduled', 'waiting'])
  // The second record of a long call enters the log an hour later.
  voicenter.log(account, { ...queue.record, DialStatus: 'ANSWER', TargetExtension: 'SIP1' })
  await checkNow(shop)
  t.strictSame(await verdictsOf(shop.tenantId, queue.callId), Array(2).fill(['answered', 'agent']))
  t.strictSame(await outreachOf(shop.tenantId, queue.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await checksOf(shop), [
    [1, 1, 1],
    [1, 0, 0],
  ])
})

t.test('outgoing, internal and dialer calls open no case', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const out = { caller: shop.did, did: '', target: customer().local }
  const calls = [
    call({ ...out, type: 'Extension Outgoing', status: 'NOANSWER' }),
    call({ ...out, type: 'Click2Call leg1', status: 'NOANSWER' }),
    call({ ...out, type: 'ProductiveCall Leg2', status: 'NOANSWER' }),
    call({ ...out, type: 'Click 2 IVR', status: 'NOANSWER' }),
  ]
  voicenter.log(account, ...calls.map(({ record }) => record))
  await checkNow(shop)
  for (const { callId } of calls)
    t.match(await verdictsOf(shop.tenantId, callId), [['not_inbound']])
  t.strictSame(await leadsOf(shop.tenantId), [])
})

t.test('what cannot be read is kept, counted once, and spoils nothing else', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const good = call({ caller: customer().local, did: shop.did })
  const bad = [
    { ...call({ did: shop.did }).record, DialStatus: '' },
    { ...call({ did: shop.did }).record, CallID: '' },
  ]
  // A webhook has told of this one: what the log says of it is not needed.
  const told = call({ caller: customer().local, did: shop.did })
  await webhook(shop, told.push)
  voicenter.log(account, ...bad, good.record, { ...told.record, DialStatus: null })
  await checkNow(shop)
  await checkNow(shop)
  t.strictSame(await checksOf(shop), [
    [4, 3, 1],
    [4, 0, 0],
  ])
  const rejected = (await rejectedOf(shop.tenantId)).map(
    ({ source, reason, deliveries }) => `${source}, ${deliveries}: ${reason}`,
  )
  t.strictSame(rejected.toSorted(), [
    'call_log, 1: call id (ivruniqueid or CallID) is missing',
    'call_log, 1: status (status or DialStatus) is missing',
  ])
})

t.test('names in small letters, as real accounts are said to answer, are read too', async t => {
  voicenter.setLowerCase(true)
  t.teardown(() => voicenter.setLowerCase(false))
  const shop = await business()
  const account = await withCallLog(shop, { kind: 'bearer' })
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['scheduled', 'waiting'])
})

t.test('in shadow everything is decided and nothing is sent', async t => {
  const shop = await business({ mode: 'shadow' })
  const account = await withCallLog(shop)
  const dana = customer()
  const lost = call({ caller: dana.local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  await workAsIfDue()
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['skipped', 'shadow'])
  t.strictSame(fake.inbox(dana.e164), [])
})

t.test('a paused business is compared all the same', async t => {
  const shop = await business({ mode: 'paused' })
  const account = await withCallLog(shop)
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['skipped', 'tenant_paused'])
})

t.test('the log of one business never touches another', async t => {
  const [shop, other] = [await business(), await business()]
  const account = await withCallLog(shop)
  const dana = customer()
  // The same call id, and a number of the other's.
  const theirs = call({ caller: dana.local, did: other.did })
  const ours = { ...theirs.record, DID: shop.did }
  await webhook(other, theirs.push)
  await work()
  voicenter.log(account, ours, call({ caller: dana.local, did: other.did }).record)
  await checkNow(shop)
  t.match(await sourcesOf(other), [[theirs.callId, 'push']])
  t.equal((await sourcesOf(shop)).length, 2)
  t.strictSame(await outreachOf(shop.tenantId, theirs.callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(other.tenantId), [{ missed_call_count: 1 }])
})

t.test('calls that an unbound token brought are known, whoever they belong to', async t => {
  const [shop, other] = [await business(), await business()]
  const token = await unboundToken()
  const account = await withCallLog(shop)
  const ours = call({ caller: customer().local, did: shop.did })
  const theirs = call({ caller: customer().local, did: other.did })
  const nobodys = call({ caller: customer().local, did: '0722000000' })
  for (const { push } of [ours, theirs, nobodys]) await webhook({ ...shop, token }, push)
  voicenter.log(account, ours.record, theirs.record, nobodys.record)
  await checkNow(shop)
  t.strictSame(await checksOf(shop), [[3, 0, 0]])
})
