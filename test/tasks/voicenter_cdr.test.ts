/** The whole call is judged, not one record of it: in whichever order they come, and however often. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  OK,
  outreachOf,
  post,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { answeredPush, type Push, push } from '../../scripts/demo/cdr.ts'
import {
  began,
  conversationOf,
  dueSince,
  everythingOf,
  leadsOf,
  messagesAfter,
  miss,
  runAtOnce,
  tell,
  waitingFor,
} from './support.ts'

/** A call that timed out in the queue, was abandoned in the next one, and was then handed to Noa. */
const threeLegs = (caller: string, did: string) => {
  const root = push({ caller, did, type: 'Queue', status: 'TIMEOUT' }, 60)
  const update = { ...root, status: 'ABANDONE', queuename: 'second', time: began(50) }
  const transfer = answeredPush({
    caller,
    did: '',
    type: 'XferCDR',
    time: began(40),
    OriginalIvrUniqueID: root.ivruniqueid,
  })
  return { callId: root.ivruniqueid, root, update, transfer }
}

const orders = (records: Push[]): Push[][] =>
  records.length < 2
    ? [records]
    : records.flatMap(first =>
        orders(records.filter(record => record !== first)).map(rest => [first, ...rest]),
      )

t.test('an answered leg makes the call answered, in every order of its legs', async t => {
  const names = new Map<Push, string>()
  const dana = customer()
  const { did, tenantId, token } = await business()
  for (const [index] of orders([push(), push(), push()]).entries()) {
    const { callId, ...legs } = threeLegs(dana.local, did)
    for (const [name, leg] of Object.entries(legs)) names.set(leg, name)
    const order = orders(Object.values(legs))[index] ?? []
    await t.test(order.map(leg => names.get(leg)).join(', '), async t => {
      await tell(token, ...order)
      t.strictSame(await verdictsOf(tenantId, callId), Array(3).fill(['answered', 'agent']))
      const transferCame = order.indexOf(legs.transfer)
      t.strictSame(
        await outreachOf(tenantId, callId),
        transferCame === 0 ? undefined : ['cancelled', 'reached_by_phone'],
        'cancelled, or never scheduled',
      )
      t.strictSame(await waitingFor(tenantId), [], 'no message waits')
    })
  }
  await workAsIfDue()
  t.strictSame(fake.inbox(dana.e164), [])
})

t.test('legs that come in one delivery are one call', async t => {
  const { did, tenantId, token } = await business()
  const { callId, root, update, transfer } = threeLegs(customer().local, did)
  t.strictSame(await post([transfer, update, root], { token }), OK)
  await work()
  t.strictSame(await verdictsOf(tenantId, callId), Array(3).fill(['answered', 'agent']))
  t.equal(await missedCall(tenantId, callId), undefined)
})

t.test('without the answered leg the same call was missed, once', async t => {
  const { did, tenantId, token } = await business()
  const { callId, root, update, transfer } = threeLegs(customer().local, did)
  await tell(token, { ...transfer, status: 'NOANSWER' }, update, root)
  const verdicts = await verdictsOf(tenantId, callId)
  t.strictSame(
    verdicts.map(([verdict]) => verdict),
    ['missed', 'missed', 'missed'],
  )
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }], 'counted as one call')
})

t.test('a transfer waits for its root', async t => {
  const { did, tenantId, token } = await business()
  const { callId, root, transfer } = threeLegs(customer().local, did)
  await tell(token, { ...transfer, status: 'NOANSWER' })
  t.strictSame(await verdictsOf(tenantId, callId), [['unknown', 'waiting_for_root']])
  t.equal(await missedCall(tenantId, callId), undefined, 'and opens no case')
  await tell(token, root)
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
})

t.test(
  'who picked up counts, also where the leg does not name the customer or began first',
  async t => {
    const { did, tenantId, token } = await business()
    for (const fields of [{ caller: '2345' }, { caller: '' }, { time: began(70) }]) {
      const { callId, root, transfer } = threeLegs(customer().local, did)
      await tell(token, root)
      t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
      await tell(token, { ...transfer, ...fields })
      t.strictSame(await verdictsOf(tenantId, callId), Array(2).fill(['answered', 'agent']))
      t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'reached_by_phone'])
      t.strictSame(await waitingFor(tenantId), [])
    }
  },
)

t.test('an answered leg that comes after the message stops the reminders', async t => {
  const { did, tenantId, token } = await business()
  const dana = customer()
  const { callId, root, transfer } = threeLegs(dana.local, did)
  await tell(token, root)
  const id = (await missedCall(tenantId, callId))?.id ?? ''
  await dueSince(id)
  t.equal((await waitingFor(tenantId)).length, 2, 'both reminders are waiting')

  await tell(token, transfer)
  t.strictSame(await outreachOf(tenantId, callId), ['sent', 'accepted'], 'what is out is out')
  t.strictSame(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'cancelled', 'reached_by_phone'],
    ['reminder_2', 'cancelled', 'reached_by_phone'],
  ])
  t.strictSame(await waitingFor(tenantId), [])
  t.match(await conversationOf(id), { state: 'reached_by_phone' })
  t.match(await leadsOf(tenantId), [{ state: 'reached_by_phone' }])
  t.equal(fake.inbox(dana.e164).length, 1)
})

t.test('judging twice changes nothing', async t => {
  const shop = await business()
  const { callId } = await miss(shop, customer().local)
  const before = await everythingOf(shop.tenantId)
  for (let runs = 0; runs < 2; runs++) {
    await sql`select graphile_worker.add_job('voicenter_cdr', json_build_object('callId', ${callId}::text))`.execute(
      db,
    )
    await work()
  }
  t.strictSame(await everythingOf(shop.tenantId), before)
})

t.test('a missed call is recorded together with its job, or not at all', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  // The job's row is written last, so its failure has something to undo.
  await sql`create function no_outreach() returns trigger language plpgsql as
    $$ begin raise exception 'no job today'; end $$`.execute(db)
  await sql`create trigger no_outreach before insert on graphile_worker._private_jobs for each row
    when (new.key like 'lead_outreach:%') execute function no_outreach()`.execute(db)
  await tell(token, record)
  t.equal(await missedCall(tenantId, record.ivruniqueid), undefined)
  t.strictSame(await leadsOf(tenantId), [])
  t.strictSame(await verdictsOf(tenantId, record.ivruniqueid), [[null, null]])
  t.match(await jobs('voicenter_cdr'), [{ attempts: 1 }], 'the judging is tried again')

  await sql`drop function no_outreach cascade`.execute(db)
  await runAtOnce(`voicenter_cdr:${record.ivruniqueid}`)
  await work()
  t.strictSame(await outreachOf(tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
})
