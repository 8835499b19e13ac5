/** Whoever gets through is not chased: answered calls of the same person, before and after the miss. */
import t from 'tap'
import { business, customer, fake, outreachOf, post, work } from '../support/ringback.ts'
import { answeredPush, callBackPush, type Push, push } from '../../scripts/demo/cdr.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  tell,
  waitingFor,
} from './support.ts'

type Call = (who: { local: string; e164: string }, did: string) => Push

/** Calls of thirty seconds ago in which somebody of the business talked with the person. */
const talks: Record<string, Call> = {
  'she calls again and an agent answers': ({ local }, did) => answeredPush({ caller: local, did }),
  'the queue answers her': ({ local }, did) =>
    push({ caller: local, did, type: 'Queue', status: 'ANSWER' }),
  'her number has its country code': ({ e164 }, did) =>
    answeredPush({ caller: e164.slice(1), did }),
  'her number is written with dashes': ({ e164 }, did) =>
    answeredPush({ caller: e164.replace(/^(\+972)(..)(...)/, '$1-$2-$3-'), did }),
  'she comes as a SIP address': ({ local }, did) =>
    answeredPush({ caller: `sip:${local}@pbx.example`, did }),
  'the business calls her back': ({ local }, did) => callBackPush({ caller: did, target: local }),
  'it calls back with 00': ({ e164 }, did) =>
    callBackPush({ caller: did, target: `00${e164.slice(1)}` }),
  'a click calls her back': ({ e164 }, did) =>
    callBackPush({ type: 'Click2Call leg2', caller: did, target: e164.slice(1) }),
}

for (const [name, talk] of Object.entries(talks))
  t.test(`${name} after the miss`, async t => {
    const shop = await business()
    const [dana, yossi] = [customer(), customer()]
    const first = await miss(shop, dana.local, {}, 300)
    await tell(shop.token, talk(dana, shop.did))
    t.strictSame(await outreachOf(shop.tenantId, first.callId), ['cancelled', 'reached_by_phone'])
    t.strictSame(await waitingFor(shop.tenantId), [], 'its job is gone')
    await addStrayJobs(first.id)
    await work()
    t.strictSame(fake.inbox(dana.e164), [], 'and even a job left behind sends nothing')

    await tell(shop.token, talk(yossi, shop.did))
    const second = await miss(shop, yossi.local, {}, 300)
    t.strictSame(
      await outreachOf(shop.tenantId, second.callId),
      ['cancelled', 'reached_by_phone'],
      'the same when the record of the talk comes first',
    )
    t.strictSame(await waitingFor(shop.tenantId), [])
  })

t.test('a talk that began in the same second counts', async t => {
  const shop = await business()
  const dana = customer()
  const { callId, record } = await miss(shop, dana.local)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did, time: record.time }))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
})

t.test('a talk that began before the miss does not cancel', async t => {
  const shop = await business()
  const [dana, yossi] = [customer(), customer()]
  const missed = await miss(shop, dana.local, {}, 60)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }, 62))
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['scheduled', 'waiting'])

  await tell(shop.token, callBackPush({ caller: shop.did, target: yossi.local }, 62))
  const later = await miss(shop, yossi.local, {}, 60)
  t.strictSame(await outreachOf(shop.tenantId, later.callId), ['scheduled', 'waiting'])
  t.equal((await waitingFor(shop.tenantId)).length, 2)
})

/** Calls of thirty seconds ago in which nobody talked with the person who was missed. */
const noTalks: Record<string, Call> = {
  'a machine answers her': ({ local }, did) =>
    push({ caller: local, did, status: 'ANSWER', representative_name: 'External IVR' }),
  'she misses the call-back': ({ local }, did) =>
    callBackPush({ caller: did, target: local, status: 'NOANSWER' }),
  'only the agent picks up the click': ({ local }, did) =>
    callBackPush({ type: 'Click2Call leg1', caller: did, target: local }),
  'a dialer reaches her': ({ local }, did) =>
    callBackPush({ type: 'Click 2 IVR', caller: did, target: local }),
  'colleagues talk': ({ local }, did) =>
    callBackPush({ caller: did, target: local, direction: 'internal' }),
  'somebody else gets through': (_, did) => answeredPush({ caller: customer().local, did }),
}

for (const [name, call] of Object.entries(noTalks))
  t.test(`nothing is cancelled when ${name}`, async t => {
    const shop = await business()
    const [dana, yossi] = [customer(), customer()]
    const first = await miss(shop, dana.local, {}, 300)
    await tell(shop.token, call(dana, shop.did), call(yossi, shop.did))
    const second = await miss(shop, yossi.local, {}, 300)
    t.strictSame(await outreachOf(shop.tenantId, first.callId), ['scheduled', 'waiting'])
    t.strictSame(await outreachOf(shop.tenantId, second.callId), ['scheduled', 'waiting'])
    await dueSince(first.id)
    t.equal(fake.inbox(dana.e164).length, 1, 'she is written to')
  })

t.test('a talk after the message stops the reminders', async t => {
  const shop = await business()
  const dana = customer()
  const { callId, id } = await miss(shop, dana.local, {}, 300)
  await dueSince(id)
  await tell(shop.token, callBackPush({ caller: shop.did, target: dana.e164 }))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'cancelled', 'reached_by_phone'],
    ['reminder_2', 'cancelled', 'reached_by_phone'],
  ])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.match(await conversationOf(id), { state: 'reached_by_phone' })
  t.match(await leadsOf(shop.tenantId), [{ state: 'reached_by_phone' }])
})

t.test('of a miss and a talk that are judged at once, neither overlooks the other', async t => {
  const shop = await business()
  const { token, did } = shop
  for (let round = 0; round < 20; round++) {
    const dana = customer()
    const record = push({ caller: dana.local, did }, 60)
    await post(record, { token })
    await post(answeredPush({ caller: dana.local, did }), { token })
    await Promise.all([work(), work()])
    t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), [
      'cancelled',
      'reached_by_phone',
    ])
  }
  t.strictSame(await waitingFor(shop.tenantId), [])
})
