/** Classification of whole calls: all their records, in any order, together with other calls, for the right tenant. */
import { sql } from 'kysely'
import { randomInt } from 'node:crypto'
import t from 'tap'
import { encrypt, tokenOwner } from '../../app/crypto.ts'
import { classifyCalls } from '../../app/voicenter/calls.ts'
import { findCalls } from '../../app/voicenter/pending_calls.ts'
import { answeredPush, callBackPush, type Push, push } from '../../scripts/demo/cdr.ts'
import {
  allowPoison,
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  OK,
  outreachOf,
  post,
  refusePoison,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
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
  unboundToken,
  until,
  waitingFor,
} from './support.ts'

/** A call that timed out in a queue, was abandoned in the next one, and was then transferred to an agent. */
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

/** The jobs that are due or have failed. A job that waits for the root of a transfer is neither. */
const dueJobs = async () =>
  (await jobs('voicenter_cdr')).filter(
    ({ attempts, run_at }) => attempts > 0 || run_at.getTime() <= Date.now(),
  )

const orders = (records: Push[]): Push[][] =>
  records.length < 2
    ? [records]
    : records.flatMap(first =>
        orders(records.filter(record => record !== first)).map(rest => [first, ...rest]),
      )

await t.test('one answered leg makes the call answered, in each order of arrival', async t => {
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
      t.strictSame(await waitingFor(tenantId), [], 'no message is pending')
    })
  }
  await workAsIfDue()
  t.strictSame(fake.inbox(dana.e164), [])
})

await t.test('legs that arrive in one delivery are one call', async t => {
  const { did, tenantId, token } = await business()
  const { callId, root, update, transfer } = threeLegs(customer().local, did)
  t.strictSame(await post([transfer, update, root], { token }), OK)
  await work()
  t.strictSame(await verdictsOf(tenantId, callId), Array(3).fill(['answered', 'agent']))
  t.equal(await missedCall(tenantId, callId), undefined)
})

await t.test('without an answered leg, the same call is one missed call', async t => {
  const { did, tenantId, token } = await business()
  const { callId, root, update, transfer } = threeLegs(customer().local, did)
  await tell(token, { ...transfer, status: 'NOANSWER' }, update, root)
  const verdicts = await verdictsOf(tenantId, callId)
  t.strictSame(
    verdicts.map(([verdict]) => verdict),
    ['missed', 'missed', 'missed'],
  )
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }], 'it counts once')
})

await t.test('a transfer waits for its root', async t => {
  const { did, tenantId, token } = await business()
  const { callId, root, transfer } = threeLegs(customer().local, did)
  await tell(token, { ...transfer, status: 'NOANSWER' })
  t.strictSame(await verdictsOf(tenantId, callId), [['unknown', 'waiting_for_root']])
  t.equal(await missedCall(tenantId, callId), undefined, 'it is not a missed call')
  await tell(token, root)
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
})

const missedCallsOf = (tenantId: string) =>
  db.selectFrom('missed_calls').selectAll().where('tenant_id', '=', tenantId).execute()

/** As if these records had arrived so long ago, and the jobs that wait for a root were due. */
const minutesPass = async (tenantId: string, minutes: number) => {
  await sql`update raw_cdrs set received_at = received_at - make_interval(mins => ${minutes})
            where tenant_id = ${tenantId}`.execute(db)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where task_identifier = 'voicenter_cdr' having count(*) > 0`.execute(
    db,
  )
  await work()
}

await t.test(
  'a root shows that no customer called: the message is cancelled, and the lead stays new',
  async t => {
    const { did, tenantId, token } = await business()
    const root = push({ caller: did, did, type: 'Extension Outgoing', status: 'NOANSWER' }, 200)
    const callId = root.ivruniqueid
    const { local } = customer()
    await tell(
      token,
      push({ type: 'Auto forward', caller: local, did, OriginalIvrUniqueID: callId }, 190),
    )
    await minutesPass(tenantId, 2)
    t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
    await tell(token, root)
    t.match(await verdictsOf(tenantId, callId), [['not_inbound'], ['not_inbound']])
    t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'reached_by_phone'])
    t.match(await leadsOf(tenantId), [{ state: 'new' }])
  },
)

await t.test('a call that is corrected late is decided again like any other', async t => {
  const { did, tenantId, token } = await business()
  const { local } = customer()
  const root = push({ caller: local, did, type: 'Queue', status: 'TIMEOUT' }, 200)
  const named = { OriginalIvrUniqueID: root.ivruniqueid }
  await tell(token, push({ type: 'Auto forward', caller: did, did, ...named }, 190))
  await minutesPass(tenantId, 2)
  t.strictSame(await outreachOf(tenantId, root.ivruniqueid), ['skipped', 'own_number'])
  const other = push({ caller: local, did }, 250)
  await tell(token, other, root)
  t.strictSame(await outreachOf(tenantId, root.ivruniqueid), ['skipped', 'already_contacted'])
  const { ivruniqueid } = other
  await tell(
    token,
    answeredPush({ caller: local, did, ivruniqueid, duration: 5, dialtime: 1 }, 249),
  )
  t.strictSame(await outreachOf(tenantId, ivruniqueid), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(tenantId, root.ivruniqueid), ['scheduled', 'waiting'])
})

await t.test(
  'a transfer waits two minutes for its root, then stands alone, and joins it later',
  async t => {
    const { did, tenantId, token } = await business()
    const { local } = customer()
    const root = push({ caller: local, did, type: 'Queue', status: 'TIMEOUT' }, 200)
    const callId = root.ivruniqueid
    const forward = push(
      { type: 'Auto forward', caller: local, did, OriginalIvrUniqueID: callId },
      190,
    )
    await tell(token, forward)
    t.strictSame(await verdictsOf(tenantId, callId), [['unknown', 'waiting_for_root']])
    const [job] = await jobs(`voicenter_cdr:${forward.ivruniqueid}`)
    const wait = (job?.run_at.getTime() ?? 0) - Date.now()
    t.ok(wait > 100_000 && wait <= 120_000, `it waits ${wait} ms`)

    await minutesPass(tenantId, 1)
    t.strictSame(await verdictsOf(tenantId, callId), [['unknown', 'waiting_for_root']])
    await minutesPass(tenantId, 1)
    t.strictSame(await verdictsOf(tenantId, callId), [['missed', 'noanswer']])
    t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
    t.strictSame(await jobs(`voicenter_cdr:${forward.ivruniqueid}`), [])

    await tell(token, { ...root, status: 'ANSWER', targetextension: 'SIP1' })
    t.strictSame(await verdictsOf(tenantId, callId), Array(2).fill(['answered', 'agent']))
    t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'reached_by_phone'])
  },
)

await t.test('the root names the customer whom a forwarded leg did not name', async t => {
  for (const shown of ['our line', '', 'KGpK4iWq', '101', '05023']) {
    const { did, tenantId, token } = await business()
    const root = push({ caller: customer().local, did, type: 'Queue', status: 'TIMEOUT' }, 300)
    const link = `link${root.ivruniqueid}`
    const forward = (OriginalIvrUniqueID: string, fields: object = {}) =>
      push(
        {
          type: 'Auto forward',
          caller: shown.replace('our line', did),
          did,
          OriginalIvrUniqueID,
          ...fields,
        },
        290,
      )
    // In the second case, the missed call gets the id of the root when the CDR between them arrives.
    for (const records of [[root], [root, forward(root.ivruniqueid, { ivruniqueid: link })]]) {
      await db.deleteFrom('raw_cdrs').where('tenant_id', '=', tenantId).execute()
      await db.deleteFrom('missed_calls').where('tenant_id', '=', tenantId).execute()
      await db.deleteFrom('leads').where('tenant_id', '=', tenantId).execute()
      await tell(token, forward(records.length > 1 ? link : root.ivruniqueid))
      await minutesPass(tenantId, 3)
      const before = await missedCallsOf(tenantId)
      t.match(before, [{ lead_id: null, outreach_state: 'skipped' }], shown)
      await tell(token, ...records.toReversed())
      const after = await missedCallsOf(tenantId)
      t.match(after, [{ id: before[0]?.id, call_id: root.ivruniqueid }], shown)
      t.match(after, [{ outreach_state: 'scheduled', outreach_reason: 'waiting' }], shown)
      t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }], 'it counts once')
      await tell(token, { ...root, dialtime: 1 })
      t.strictSame(await missedCallsOf(tenantId), after, 'a call with its customer stays')
    }
  }
})

await t.test(
  'two parts that were missed calls of their own become one when the link arrives',
  async t => {
    const { did, tenantId, token } = await business()
    const { local } = customer()
    const first = push({ caller: local, did, type: 'Queue', status: 'TIMEOUT' }, 300)
    const link = { ivruniqueid: `link${first.ivruniqueid}`, OriginalIvrUniqueID: first.ivruniqueid }
    const part = (fields: object, ago: number) =>
      push({ type: 'Auto forward', caller: local, did, ...fields }, ago)
    await tell(token, first, part({ OriginalIvrUniqueID: link.ivruniqueid }, 290))
    await minutesPass(tenantId, 3)
    const calls = () =>
      db
        .selectFrom('missed_calls')
        .select(['call_id', 'outreach_state', 'outreach_reason'])
        .where('tenant_id', '=', tenantId)
        .orderBy('id')
        .execute()
    t.match(await calls(), [
      { call_id: first.ivruniqueid, outreach_reason: 'waiting' },
      { call_id: link.ivruniqueid, outreach_reason: 'already_contacted' },
    ])
    await tell(token, part(link, 295))
    t.match(await calls(), [{ call_id: first.ivruniqueid, outreach_reason: 'waiting' }])
    t.equal((await calls()).length, 1)
    t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }])
    t.equal((await verdictsOf(tenantId, first.ivruniqueid)).length, 3)
  },
)

await t.test('a missed call moves with its record when another caller claims its root', async t => {
  const { did, tenantId, token } = await business()
  const [dana, yael] = [customer(), customer()]
  const shared = { did, OriginalIvrUniqueID: `shared ${dana.local}` }
  const first = push({ caller: dana.local, ...shared })
  await tell(token, first)
  t.strictSame(await outreachOf(tenantId, shared.OriginalIvrUniqueID), ['scheduled', 'waiting'])
  const second = answeredPush({ caller: yael.local, ...shared })
  await tell(token, second)
  t.equal(await missedCall(tenantId, shared.OriginalIvrUniqueID), undefined)
  t.strictSame(await outreachOf(tenantId, first.ivruniqueid), ['scheduled', 'waiting'])
  t.strictSame(await verdictsOf(tenantId, second.ivruniqueid), [['answered', 'agent']])
  await tell(token, { ...first, dialtime: 25 })
  t.strictSame(await verdictsOf(tenantId, first.ivruniqueid), Array(2).fill(['missed', 'noanswer']))
  t.strictSame(await verdictsOf(tenantId, second.ivruniqueid), [['answered', 'agent']])
})

await t.test('two callers share a root while two others share a CallID', async t => {
  const { did, tenantId, token } = await business()
  const OriginalIvrUniqueID = `shared ${customer().local}`
  const split = [1, 2].map(() => push({ caller: customer().local, did, OriginalIvrUniqueID }))
  const { ivruniqueid } = push()
  const pair = [1, 2].map(() => push({ caller: customer().local, did, ivruniqueid }))
  t.strictSame(await post([...split, ...pair], { token }), OK)
  const callIds = [...split, ...pair].map(record => record.ivruniqueid)
  await db
    .transaction()
    .execute(async trx => classifyCalls(trx, (await findCalls(trx, callIds)).calls))
  const { rows } = await sql<{ verdict: string }>`
    select verdict from raw_cdrs where tenant_id = ${tenantId}`.execute(db)
  t.strictSame(rows, Array(4).fill({ verdict: 'missed' }))
  t.equal((await waitingFor(tenantId)).length, 4)
})

await t.test(
  'records of an unbound token are joined through a chain, in each order of arrival',
  async t => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      const { did, tenantId } = await business()
      const token = await unboundToken()
      const { local } = customer()
      const root = push({ caller: local, did, type: 'Queue', status: 'TIMEOUT' }, 100)
      const middle = push(
        { type: 'XferCDR', caller: local, did: '', OriginalIvrUniqueID: root.ivruniqueid },
        90,
      )
      const last = answeredPush(
        { type: 'XferCDR', caller: local, did: '', OriginalIvrUniqueID: middle.ivruniqueid },
        80,
      )
      const records = [root, middle, last]
      for (const i of order) await tell(token, ...records.slice(i, i + 1))
      t.strictSame(
        await verdictsOf(tenantId, root.ivruniqueid),
        Array(3).fill(['answered', 'agent']),
        order.join(),
      )
    }
  },
)

await t.test('an answered leg counts, also without a caller or with an earlier start', async t => {
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
})

await t.test('an answered leg that arrives after the message cancels the reminders', async t => {
  const { did, tenantId, token } = await business()
  const dana = customer()
  const { callId, root, transfer } = threeLegs(dana.local, did)
  await tell(token, root)
  const id = (await missedCall(tenantId, callId))?.id ?? ''
  await dueSince(id)
  t.equal((await waitingFor(tenantId)).length, 2, 'both reminders are pending')

  await tell(token, transfer)
  t.strictSame(await outreachOf(tenantId, callId), ['sent', 'accepted'], 'the message was sent')
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

await t.test('classifying twice changes nothing', async t => {
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

await t.test('a missed call and its job are recorded together or not at all', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  // The job is written last, so its failure rolls back everything else.
  await sql`create function no_outreach() returns trigger language plpgsql as
    $$ begin raise exception 'no job today'; end $$`.execute(db)
  await sql`create trigger no_outreach before insert on graphile_worker._private_jobs for each row
    when (new.key like 'lead_outreach:%') execute function no_outreach()`.execute(db)
  await tell(token, record)
  t.equal(await missedCall(tenantId, record.ivruniqueid), undefined)
  t.strictSame(await leadsOf(tenantId), [])
  t.strictSame(await verdictsOf(tenantId, record.ivruniqueid), [[null, null]])
  const again = await jobs(`voicenter_cdr:${record.ivruniqueid}`)
  t.match(again, [{ attempts: 1 }], 'the job is tried again')

  await sql`drop function no_outreach cascade`.execute(db)
  await runAtOnce(`voicenter_cdr:${record.ivruniqueid}`)
  await work()
  t.strictSame(await outreachOf(tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
})

/** Whose call it is: a bound token fixes the tenant, with an unbound one the number dialled decides. */

/** [tenant, verdict, reason] of all records of a call, of any tenant. */
const recordsOf = async (callId: string) => {
  const rows = await db
    .selectFrom('raw_cdrs')
    .select(['tenant_id', 'verdict', 'reason'])
    .where('root_call_id', '=', callId)
    .orderBy('id')
    .execute()
  return rows.map(({ tenant_id, verdict, reason }) => [tenant_id, verdict, reason])
}

const newNumber = () => `073${randomInt(1_000_000, 9_999_999)}`
const addNumber = ({ tenantId }: Business, local: string) =>
  db
    .insertInto('tenant_numbers')
    .values({ tenant_id: tenantId, phone: `+972${local.slice(1)}` })
    .execute()

await t.test('a call to an unknown number is unmatched until the number is added', async t => {
  const shop = await business()
  const dana = customer()
  const did = newNumber()
  const record = push({ caller: dana.local, did })
  const callId = record.ivruniqueid
  await tell(shop.token, record)
  t.strictSame(await verdictsOf(shop.tenantId, callId), [['unmatched_number', 'number_dialled']])
  t.equal(await missedCall(shop.tenantId, callId), undefined)

  await addNumber(await business(), newNumber())
  await work()
  t.equal(await missedCall(shop.tenantId, callId), undefined, 'another number changes nothing')
  await addNumber(shop, did)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, callId), [['missed', 'noanswer']])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
})

await t.test(
  'a number that another business adds does not move a call of a bound token',
  async t => {
    const [shop, other] = [await business(), await business()]
    const did = newNumber()
    const record = push({ caller: customer().local, did })
    await tell(shop.token, record)
    await addNumber(other, did)
    t.strictSame(await jobs(`voicenter_cdr:${record.ivruniqueid}`), [], 'nothing to classify again')
    await work()
    t.strictSame(await recordsOf(record.ivruniqueid), [
      [shop.tenantId, 'unmatched_number', 'number_dialled'],
    ])
    t.strictSame(await leadsOf(other.tenantId), [])
  },
)

await t.test(
  'the WhatsApp number may be dialled, also if its connection is added later',
  async t => {
    const shop = await business({ connected: false })
    const did = newNumber()
    const record = push({ caller: customer().local, did })
    await tell(shop.token, record)
    t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unmatched_number', String]])
    await db
      .insertInto('whatsapp_connections')
      .values({
        tenant_id: shop.tenantId,
        display_phone_number: `+972${did.slice(1)}`,
        phone_number_id: shop.phoneNumberId,
        access_token: encrypt('token', tokenOwner(shop.tenantId)),
      })
      .execute()
    await work()
    t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
  },
)

await t.test('an outgoing call from an unknown number is not_inbound', async t => {
  const shop = await business()
  const record = callBackPush({ caller: newNumber(), target: customer().local })
  await tell(shop.token, record)
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['not_inbound', 'outgoing']])
})

await t.test('with an unbound token, the number dialled decides the tenant', async t => {
  const token = await unboundToken()
  const [one, two] = [await business(), await business()]
  const [dana, yossi] = [customer(), customer()]
  const first = push({ caller: dana.local, did: one.did })
  const second = push({ caller: yossi.local, did: two.line })
  const unassigned = push({ caller: dana.local, did: newNumber() })
  t.strictSame(await post([first, second, unassigned], { token }), OK)
  await work()
  t.strictSame(await outreachOf(one.tenantId, first.ivruniqueid), ['scheduled', 'waiting'])
  t.strictSame(await outreachOf(two.tenantId, second.ivruniqueid), ['scheduled', 'waiting'])
  t.strictSame(await recordsOf(unassigned.ivruniqueid), [
    [null, 'unmatched_number', 'number_dialled'],
  ])
  t.equal((await leadsOf(one.tenantId)).length, 1)

  await addNumber(two, String(unassigned['did']))
  await work()
  t.strictSame(await recordsOf(unassigned.ivruniqueid), [[two.tenantId, 'missed', 'noanswer']])
  t.strictSame(await outreachOf(two.tenantId, unassigned.ivruniqueid), ['scheduled', 'waiting'])

  const call = await missedCall(one.tenantId, first.ivruniqueid)
  await dueSince(call?.id ?? '')
  t.match(
    fake.inbox(dana.e164),
    [{ phoneNumberId: one.phoneNumberId }],
    'from the business that the caller dialled',
  )
})

/** A missed call, and the record of its transfer without a number of the business. */
const transferred = (shop: Business): { root: Push; transfer: Push } => {
  const caller = customer().local
  const root = push({ caller, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  const OriginalIvrUniqueID = root.ivruniqueid
  const transfer = answeredPush({ caller, did: '', type: 'XferCDR', OriginalIvrUniqueID }, 10)
  return { root, transfer }
}

for (const [name, order] of Object.entries({
  'after its root': ({ root, transfer }: ReturnType<typeof transferred>) => [[root], [transfer]],
  'before its root': ({ root, transfer }) => [[transfer], [root]],
  'together with its root': ({ root, transfer }) => [[transfer, root]],
} satisfies Record<string, (call: ReturnType<typeof transferred>) => Push[][]>))
  await t.test(`a transfer without a number that arrives ${name} joins it`, async t => {
    const token = await unboundToken()
    const shop = await business()
    const call = transferred(shop)
    for (const delivery of order(call)) {
      t.strictSame(await post(delivery, { token }), OK)
      await work()
    }
    t.strictSame(
      await recordsOf(call.root.ivruniqueid),
      Array(2).fill([shop.tenantId, 'answered', 'agent']),
    )
    t.strictSame(await waitingFor(shop.tenantId), [])
  })

await t.test(
  'with an unbound token, an outgoing call belongs to the number that it shows',
  async t => {
    const token = await unboundToken()
    const [shop, other] = [await business(), await business()]
    const dana = customer()
    const here = await miss(shop, dana.local, {}, 300)
    const there = await miss(other, dana.local, {}, 300)
    const record = callBackPush({ caller: shop.did, target: dana.local })
    await tell(token, record)
    t.strictSame(await recordsOf(record.ivruniqueid), [[shop.tenantId, 'not_inbound', 'outgoing']])
    t.strictSame(await outreachOf(shop.tenantId, here.callId), ['cancelled', 'reached_by_phone'])
    t.strictSame(await outreachOf(other.tenantId, there.callId), ['scheduled', 'waiting'])
  },
)

await t.test('a call-back from a number that is added later counts then', async t => {
  const token = await unboundToken()
  const shop = await business()
  const dana = customer()
  const did = newNumber()
  const record = push({ caller: dana.local, did })
  await tell(token, record)
  await tell(token, callBackPush({ caller: did, target: dana.local }))
  await addNumber(shop, did)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), [
    'cancelled',
    'reached_by_phone',
  ])
})

/** No credential of one tenant changes anything of another, not even with its CallIDs and its customers. */

await t.test('records with the token of another business change nothing', async t => {
  const [shop, outsider] = [await business(), await business()]
  const dana = customer()
  const { callId, id, record } = await miss(shop, dana.local, {}, 300)
  const before = await everythingOf(shop.tenantId)
  await tell(
    outsider.token,
    answeredPush({ caller: dana.local, did: shop.did, ivruniqueid: callId, time: record.time }),
    answeredPush({ caller: dana.local, did: shop.did }),
    answeredPush({ caller: dana.local, did: outsider.did }),
    callBackPush({ caller: shop.did, target: dana.local }),
    answeredPush({ caller: dana.local, did: '', type: 'XferCDR', OriginalIvrUniqueID: callId }),
    push({ caller: customer().local, did: shop.did }),
  )
  t.strictSame(await everythingOf(shop.tenantId), before)
  t.strictSame(await leadsOf(outsider.tenantId), [])
  await dueSince(id)
  t.equal(fake.inbox(dana.e164).length, 1)
})

await t.test('a record with the same call id does not pull in an unbound transfer', async t => {
  const token = await unboundToken()
  const [shop, outsider] = [await business(), await business()]
  const dana = customer()
  const root = push({ caller: dana.local, did: shop.did, status: 'TIMEOUT', type: 'Queue' })
  const callId = root.ivruniqueid
  const transfer = answeredPush({
    caller: dana.local,
    did: '',
    type: 'XferCDR',
    OriginalIvrUniqueID: callId,
  })
  await tell(outsider.token, push({ did: outsider.did, ivruniqueid: callId }))
  await tell(token, transfer, root)
  t.strictSame(await verdictsOf(shop.tenantId, callId), Array(2).fill(['answered', 'agent']))
  t.strictSame(await verdictsOf(outsider.tenantId, callId), [['missed', 'noanswer']])
})

await t.test('the same CallID at two tenants is two calls and two messages', async t => {
  const [one, two] = [await business(), await business()]
  const dana = customer()
  const record = push({ caller: dana.local, did: one.did })
  const callId = record.ivruniqueid
  await post(record, { token: one.token })
  await post({ ...record, did: two.did }, { token: two.token })
  t.equal((await jobs(`voicenter_cdr:${callId}`)).length, 1, 'one job serves both')
  await work()
  t.strictSame(await outreachOf(one.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame(await outreachOf(two.tenantId, callId), ['scheduled', 'waiting'])
  for (const key of [...(await waitingFor(one.tenantId)), ...(await waitingFor(two.tenantId))])
    await runAtOnce(key)
  await sql`update missed_calls set outreach_due_at = now() where call_id = ${callId}`.execute(db)
  await work()
  t.strictSame(
    fake
      .inbox(dana.e164)
      .map(({ phoneNumberId }) => phoneNumberId)
      .toSorted(),
    [one.phoneNumberId, two.phoneNumberId].toSorted(),
  )
})

await t.test('the call of one of two tenants fails, and the other is classified', async t => {
  const pairs = [0, 1].map(async broken => {
    const [one, two] = [await business(), await business()]
    const [bad, good] = broken === 0 ? [one, two] : [two, one]
    const dana = customer()
    await db.insertInto('leads').values({ tenant_id: bad.tenantId, phone: dana.e164 }).execute()
    const record = push({ caller: dana.local, did: one.did })
    await post(record, { token: one.token })
    await post({ ...record, did: two.did }, { token: two.token })
    return { bad, good, callId: record.ivruniqueid, name: `tenant ${broken + 1}` }
  })
  const calls = await Promise.all(pairs)
  await db.transaction().execute(async trx => {
    // Another transaction holds the leads for longer than a task waits for a lock.
    await trx
      .selectFrom('leads')
      .select('id')
      .where(
        'tenant_id',
        'in',
        calls.map(({ bad }) => bad.tenantId),
      )
      .forUpdate()
      .execute()
    await work()
  })
  for (const { bad, good, callId, name } of calls) {
    t.strictSame(await outreachOf(good.tenantId, callId), ['scheduled', 'waiting'], name)
    t.equal(await outreachOf(bad.tenantId, callId), undefined, name)
    t.match(await jobs(`voicenter_cdr:${callId}`), [{ attempts: 1 }], 'the job is tried again')
    const before = await everythingOf(good.tenantId)

    await runAtOnce(`voicenter_cdr:${callId}`)
    await work()
    t.strictSame(await outreachOf(bad.tenantId, callId), ['scheduled', 'waiting'], name)
    t.match(await leadsOf(bad.tenantId), [{ missed_call_count: 1 }])
    t.strictSame(await everythingOf(good.tenantId), before, 'nothing is done twice for the other')
  }
})

await t.test('many jobs of one call on two workers record it once', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  const callId = record.ivruniqueid
  await post([record, { ...record, dialtime: 25 }, { ...record, dialtime: 26 }], { token })
  await sql`
    select graphile_worker.add_job('voicenter_cdr', json_build_object('callId', ${callId}::text))
    from generate_series(1, 20)`.execute(db)
  await Promise.all([work(), work()])
  // graphile-worker removes a finished job a moment after the end of the run.
  await until(async () => (await dueJobs()).length === 0)
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }])
  const call = await missedCall(tenantId, callId)
  t.equal((await jobs(`lead_outreach:${call?.id}`)).length, 1)
})

/** The number of connections that wait for a lock. */
const waiting = async (): Promise<number> => {
  const { rows } = await sql`select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
  return rows.length
}

await t.test('a leg that arrives while its call is classified is not lost', async t => {
  // Which of the two jobs continues first is random, so this runs several times.
  for (let round = 0; round < 8; round++) {
    const { tenantId, token, did } = await business()
    const root = push({ caller: customer().local, did, type: 'Queue', status: 'TIMEOUT' })
    const callId = root.ivruniqueid
    await post(root, { token })
    const running = await db.transaction().execute(async trx => {
      // The first job has read the legs and must wait before it writes the verdict.
      await sql`lock table tenant_numbers in access exclusive mode`.execute(trx)
      const first = work()
      await until(async () => (await waiting()) === 1)
      await post({ ...root, status: 'ANSWER', targetextension: 'SIP1' }, { token })
      const second = work()
      await until(async () => (await waiting()) === 2)
      return [first, second]
    })
    await Promise.all(running)
    t.strictSame(await verdictsOf(tenantId, callId), Array(2).fill(['answered', 'agent']))
    t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'reached_by_phone'])
  }
})

const AT_ONCE = 16

/** Posts all records, and then classifies as many as possible at the same time. */
const classifyTogether = async ({ token }: Business, ...records: unknown[]) => {
  t.strictSame(await post(records, { token }), OK)
  await work(AT_ONCE)
}
const callsOf = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ call_id: string; outcome: string; transaction: string }>`
    select call_id, outreach_state || ' ' || outreach_reason as outcome, xmin::text as transaction
    from missed_calls where tenant_id = ${tenantId} order by called_at, id`.execute(db)
  return rows
}

await t.test('many calls share few transactions, and each is recorded with its job', async t => {
  const shop = await business()
  const people = Array.from({ length: 48 }, () => customer())
  await classifyTogether(shop, ...people.map(({ local }) => push({ caller: local, did: shop.did })))
  const calls = await callsOf(shop)
  t.equal(calls.length, people.length)
  for (const { outcome } of calls) t.equal(outcome, 'scheduled waiting')
  const transactions = new Set(calls.map(({ transaction }) => transaction)).size
  t.ok(transactions <= 24, `48 calls, ${transactions} transactions`)
  t.strictSame(
    (await leadsOf(shop.tenantId)).map(({ missed_call_count }) => missed_call_count),
    people.map(() => 1),
  )
  const { rows } = await sql<{ onTime: number }>`
    select count(*)::int as "onTime" from missed_calls m join graphile_worker.jobs j on j.key = 'lead_outreach:' || m.id
    where m.tenant_id = ${shop.tenantId} and j.run_at = m.outreach_due_at
      and m.outreach_due_at = m.created_at + interval '2 minutes'`.execute(db)
  t.equal(rows[0]?.onTime, people.length, 'due two minutes after the record')
})

await t.test(
  'of several calls of one person, one is scheduled, whichever are classified together',
  async t => {
    for (let round = 0; round < 5; round++) {
      const shop = await business()
      const { local } = customer()
      const record = (secondsAgo: number) => push({ caller: local, did: shop.did }, secondsAgo)
      await classifyTogether(shop, ...[90, 60, 30].map(record))
      const outcomes = (await callsOf(shop)).map(({ outcome }) => outcome).toSorted()
      t.strictSame(outcomes, [
        'scheduled waiting',
        'skipped already_contacted',
        'skipped already_contacted',
      ])
      t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 3 }])
    }
  },
)

await t.test(
  'a caller who was called back gets no message, whichever call is classified first',
  async t => {
    for (let round = 0; round < 5; round++) {
      const shop = await business()
      const { local } = customer()
      const missed = push({ caller: local, did: shop.did }, 90)
      const calledBack = push(
        {
          type: 'Extension Outgoing',
          caller: shop.did,
          target: local,
          status: 'ANSWER',
          duration: 40,
        },
        30,
      )
      const others = Array.from({ length: 6 }, () =>
        push({ caller: customer().local, did: shop.did }),
      )
      await classifyTogether(
        shop,
        ...(round % 2 ? [missed, calledBack] : [calledBack, missed]),
        ...others,
      )
      const calls = await callsOf(shop)
      t.equal(
        calls.find(({ call_id }) => call_id === missed.ivruniqueid)?.outcome,
        'cancelled reached_by_phone',
      )
      t.equal(calls.filter(({ outcome }) => outcome === 'scheduled waiting').length, others.length)
    }
  },
)

await t.test(
  'a batch takes queued calls along, and two workers classify each call once',
  async t => {
    const shop = await business()
    const records = Array.from({ length: 150 }, () =>
      push({ caller: customer().local, did: shop.did }),
    )
    t.strictSame(await post(records, { token: shop.token }), OK)
    await Promise.all([work(2), work(2)])
    const calls = await callsOf(shop)
    t.strictSame(
      calls.map(({ call_id }) => call_id).toSorted(),
      records.map(({ ivruniqueid }) => ivruniqueid).toSorted(),
    )
    const transactions = new Set(calls.map(({ transaction }) => transaction)).size
    // On a busy machine more jobs start before others are taken along.
    t.ok(transactions <= 100, `150 calls, ${transactions} transactions, with four jobs at a time`)
    await until(async () => (await dueJobs()).length === 0)
    t.equal(
      (await jobs('lead_outreach')).filter(({ run_at }) => run_at > new Date()).length > 149,
      true,
    )
  },
)

await t.test('a queued call that cannot be recorded does not delay the others', async t => {
  await refusePoison(t, 'missed_calls')
  const shop = await business()
  const good = Array.from({ length: 150 }, () => push({ caller: customer().local, did: shop.did }))
  const bad = push({ caller: customer().local, did: shop.did, ivruniqueid: 'poison among them' })
  t.strictSame(await post([...good, bad], { token: shop.token }), OK)
  await work(4)
  t.equal((await callsOf(shop)).length, good.length)
  const { rows } = await sql<{ times: number }>`
    select last_value::int as times from poisonings`.execute(db)
  t.ok((rows[0]?.times ?? 99) <= 3, `it fails with others only a few times: ${rows[0]?.times}`)
  await until(async () => (await jobs('voicenter_cdr:poison among them'))[0]?.attempts === 1)
  t.equal((await dueJobs()).length, 1)
  await allowPoison()
  await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
            where key = 'voicenter_cdr:poison among them'`.execute(db)
})

await t.test('a call that cannot be recorded fails alone', async t => {
  await refusePoison(t, 'missed_calls')
  const shop = await business()
  const good = Array.from({ length: 12 }, () => push({ caller: customer().local, did: shop.did }))
  const bad = push({ caller: customer().local, did: shop.did, ivruniqueid: 'poison of one' })
  await classifyTogether(shop, ...good.slice(0, 6), bad, ...good.slice(6))
  t.strictSame(
    (await callsOf(shop)).map(({ call_id }) => call_id).toSorted(),
    good.map(({ ivruniqueid }) => ivruniqueid).toSorted(),
  )
  const key = 'voicenter_cdr:poison of one'
  await until(async () => (await jobs(key))[0]?.attempts === 1)
  t.equal((await dueJobs()).length, 1, 'the others are done')

  await allowPoison()
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = ${key}`.execute(db)
  await work()
  t.equal((await callsOf(shop)).length, good.length + 1, 'it is recorded later')
})

await t.test('legs that are classified together with their root are one call', async t => {
  const shop = await business()
  const { local } = customer()
  const root = push({ caller: local, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  const legs = Array.from({ length: 5 }, (_, i) =>
    push({
      caller: local,
      did: shop.did,
      type: 'XferCDR',
      status: 'NOANSWER',
      OriginalIvrUniqueID: root.ivruniqueid,
      dialtime: i,
    }),
  )
  await classifyTogether(shop, ...legs, root)
  t.match(await callsOf(shop), [{ call_id: root.ivruniqueid, outcome: 'scheduled waiting' }])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
})

/** Calls with more records than a phone system ever sends. */

/** Legs of one call that name its root and decide nothing. */
const legsOf = (root: Push, count: number, fields: object = {}): Push[] =>
  Array.from({ length: count }, (_, i) =>
    push({
      caller: root['caller'],
      type: 'XferCDR',
      did: '',
      queueid: i,
      OriginalIvrUniqueID: root.ivruniqueid,
      ...fields,
    }),
  )
const verdictCounts = async (tenantId: string, callId: string) =>
  Object.entries(
    Object.groupBy(
      await verdictsOf(tenantId, callId),
      ([verdict, reason]) => `${verdict} ${reason}`,
    ),
  ).map(([verdict, records = []]) => `${verdict} ${records.length}`)

await t.test('a call is found with what is known before its records are read', async t => {
  const [mine, theirs] = [await business(), await business()]
  const of = (shop: Business, id: string, fields: Record<string, unknown> = {}) =>
    push({ caller: customer().local, did: shop.did, ivruniqueid: id, ...fields })
  const transfer = (id: string, root: string) =>
    of(mine, id, { type: 'XferCDR', OriginalIvrUniqueID: root })
  type Case = [string, (id: string) => [Business, ...Push[]][], string[]]
  const cases: Case[] = [
    ['one record', id => [[mine, of(mine, id)]], ['']],
    ['two with one CallID', id => [[mine, of(mine, id), of(mine, id)]], ['']],
    ['a root', id => [[mine, of(mine, id), transfer(`${id} b`, id)]], ['linked']],
    ['a transfer', id => [[mine, transfer(id, `${id} a`)]], ['linked']],
    [
      'a transfer and a call',
      id => [[mine, of(mine, id), transfer(id, `${id} a`)]],
      ['', 'linked'],
    ],
    [
      'two tenants',
      id => [
        [mine, of(mine, id)],
        [theirs, of(theirs, id)],
      ],
      ['', ''],
    ],
    [
      'many records',
      id => [[mine, ...Array.from({ length: 21 }, (_, queueid) => of(mine, id, { queueid }))]],
      ['linked large'],
    ],
  ]
  for (const [name, recordsOf, expected] of cases) {
    const id = `found ${name}`
    for (const [{ token }, ...records] of recordsOf(id)) await post(records, { token })
    const { calls } = await findCalls(db, [id])
    const found = calls.map(({ isLinked, isLarge }) =>
      [isLinked && 'linked', isLarge && 'large'].filter(Boolean).join(' '),
    )
    t.strictSame(found.toSorted(), expected, name)
    await work()
    const { calls: again } = await findCalls(db, [id])
    t.notOk(
      again.some(({ isWaiting }) => isWaiting),
      `${name}, when it is classified`,
    )
  }
})

await t.test('a call with a thousand records is classified as a whole', async t => {
  const shop = await business()
  const { tenantId, token } = shop
  const root = push({ caller: customer().local, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  const callId = root.ivruniqueid
  await tell(token, ...legsOf(root, 30))
  t.strictSame(await verdictCounts(tenantId, callId), ['unknown waiting_for_root 30'])
  await post([...legsOf(root, 900), root], { token })
  await work(AT_ONCE)
  t.strictSame(await dueJobs(), [])
  t.strictSame(await verdictCounts(tenantId, callId), ['missed timeout 931'])
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])

  const written = async () => {
    const { rows } = await sql<{ transactions: number }>`
      select count(distinct xmin::text)::int as transactions from raw_cdrs where root_call_id = ${callId}`.execute(
      db,
    )
    return rows[0]?.transactions
  }
  const before = await written()
  await tell(token, ...legsOf(root, 1))
  t.strictSame(await verdictCounts(tenantId, callId), ['missed timeout 932'])
  t.equal(await written(), (before ?? 0) + 1, 'only the new record is written')

  await tell(token, ...legsOf(root, 1, { status: 'ANSWER', targetextension: 'SIP1' }))
  t.strictSame(await verdictCounts(tenantId, callId), ['answered agent 933'])
  t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'reached_by_phone'])
  await tell(token, ...legsOf(root, 30))
  t.strictSame(await verdictCounts(tenantId, callId), ['answered agent 963'])
})

await t.test('a large call is read again as a whole when the settings change', async t => {
  const shop = await business()
  const { tenantId, token } = shop
  const [number, caller] = [newNumber(), customer().local]
  const root = push({ caller, did: number, type: 'Queue', status: 'VOEND' })
  const callId = root.ivruniqueid
  await post([root, ...legsOf(root, 40)], { token })
  await work()
  t.strictSame(await verdictCounts(tenantId, callId), ['unmatched_number number_dialled 41'])
  await addNumber(shop, number)
  await work()
  t.strictSame(await verdictCounts(tenantId, callId), ['unknown voend 41'])
  await sql`update tenants set missed_statuses = missed_statuses || '{VOEND}' where id = ${tenantId}`.execute(
    db,
  )
  await tell(token, ...legsOf(root, 1))
  t.strictSame(await verdictCounts(tenantId, callId), ['missed voend 42'])
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])

  await sql`update raw_cdrs set payload = null, body = null where root_call_id = ${callId} and id % 3 = 0`.execute(
    db,
  )
  await sql`update tenants set missed_statuses = '{NOANSWER}' where id = ${tenantId}`.execute(db)
  for (let n = 0; n < 2; n++) await tell(token, ...legsOf(root, 1))
  t.strictSame(await verdictCounts(tenantId, callId), ['missed voend 44'], 'redacted: it stays')
})

await t.test('records with one CallID are one call, however many they are', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  const callId = record.ivruniqueid
  await post(
    Array.from({ length: 300 }, (_, queueid) => ({ ...record, queueid })),
    { token },
  )
  await work()
  t.strictSame(await verdictCounts(tenantId, callId), ['missed noanswer 300'])
  t.strictSame(await outreachOf(tenantId, callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }])
  await tell(token, { ...record, status: 'ANSWER', targetextension: 'SIP1', duration: 20 })
  t.strictSame(await verdictCounts(tenantId, callId), ['answered agent 301'])
})

await t.test('callers who share an id are separate calls, however many they are', async t => {
  for (const shared of ['ivruniqueid', 'OriginalIvrUniqueID']) {
    const shop = await business()
    const people = Array.from({ length: 150 }, () => customer())
    const id = `shared by all ${shared}`
    const records = people.map(({ local }) => push({ caller: local, did: shop.did, [shared]: id }))
    for (const some of [records.slice(0, 2), records.slice(2, 120), records.slice(120)]) {
      await post(some, { token: shop.token })
      await work(AT_ONCE)
    }
    const calls = await callsOf(shop)
    t.equal(calls.length, people.length, shared)
    for (const { outcome } of calls) t.equal(outcome, 'scheduled waiting')
    t.equal((await leadsOf(shop.tenantId)).length, people.length)
    t.strictSame(await dueJobs(), [])

    // A record of the last one, which is a call of its own for good.
    const { ivruniqueid } = records.at(-1) ?? push()
    await tell(
      shop.token,
      answeredPush({ did: '', type: 'XferCDR', OriginalIvrUniqueID: ivruniqueid }),
    )
    t.equal((await callsOf(shop)).length, people.length)
  }
})

await t.test(
  'a chain of transfers is joined, and a very long one is classified in parts',
  async t => {
    for (const length of [30, 250]) {
      const { tenantId, token, did } = await business()
      const root = push({ caller: customer().local, did, type: 'Queue', status: 'TIMEOUT' })
      const chain = [root]
      for (const leg of legsOf(root, length))
        chain.push({ ...leg, OriginalIvrUniqueID: chain.at(-1)?.ivruniqueid })
      await post(chain, { token })
      await work(AT_ONCE)
      const { length: joined } = await verdictsOf(tenantId, root.ivruniqueid)
      t.equal(joined, length === 30 ? 31 : 2)
      t.strictSame(await outreachOf(tenantId, root.ivruniqueid), ['scheduled', 'waiting'])
      t.strictSame(await dueJobs(), [])
    }
  },
)

await t.test('a call of records with long payloads is classified by their facts', async t => {
  const { tenantId, token, did } = await business()
  const root = push({ caller: customer().local, did, aiData: 'x'.repeat(10_000) })
  await tell(token, root, ...legsOf(root, 2, { aiData: { summary: 'y'.repeat(10_000) } }))
  t.strictSame(await verdictCounts(tenantId, root.ivruniqueid), ['missed noanswer 3'])
  // The payload is not read: another one changes nothing.
  await sql`update raw_cdrs set payload = '{}' where root_call_id = ${root.ivruniqueid}`.execute(db)
  await tell(token, ...legsOf(root, 1, { status: 'ANSWER', targetextension: 'SIP1' }))
  t.strictSame(await verdictCounts(tenantId, root.ivruniqueid), ['answered agent 4'])
})

await t.test(
  'a large call of an unbound token gets its tenant when the number is added',
  async t => {
    const [token, shop, number] = [await unboundToken(), await business(), newNumber()]
    const root = push({ caller: customer().local, did: number, type: 'Queue', status: 'TIMEOUT' })
    await post([root, ...legsOf(root, 600)], { token })
    await work(AT_ONCE)
    const counts = async () => {
      const { rows } = await sql`
      select tenant_id, verdict, count(*)::int from raw_cdrs where root_call_id = ${root.ivruniqueid}
      group by tenant_id, verdict`.execute(db)
      return rows
    }
    t.strictSame(await counts(), [{ tenant_id: null, verdict: 'unmatched_number', count: 601 }])
    await addNumber(shop, number)
    await work(AT_ONCE)
    t.strictSame(await counts(), [{ tenant_id: shop.tenantId, verdict: 'missed', count: 601 }])
    t.strictSame(await outreachOf(shop.tenantId, root.ivruniqueid), ['scheduled', 'waiting'])
  },
)
