/** select * from call_report(): what became of every call, and why. */
import t from 'tap'
import { sql } from 'kysely'
import { answeredPush, callBackPush, push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, post, work } from '../support/ringback.ts'
import { miss, tell, unboundToken } from '../tasks/support.ts'
import { report } from './support.ts'

t.test('a call that is not judged yet', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ did })
  await post(record, { token })
  await post(record, { token })
  const [line, ...more] = await report(record.ivruniqueid)
  t.strictSame(more, [])
  t.match(line, {
    tenant_id: tenantId,
    verdict: null,
    reason: null,
    records: '1',
    deliveries: '2',
    outreach_state: null,
    job: `voicenter_cdr:${record.ivruniqueid}`,
    job_state: 'waiting',
    job_last_error: null,
  })
  await work()
})

t.test('a scheduled call, its due moment and its job', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId, record } = await miss(shop, who.local)
  const [line] = await report(callId)
  t.match(line, {
    caller_phone: who.e164,
    business_phone: shop.line,
    verdict: 'missed',
    reason: 'noanswer',
    missed_call_id: id,
    outreach_state: 'scheduled',
    outreach_reason: 'waiting',
    message_state: null,
    job: `lead_outreach:${id}`,
    job_state: 'waiting',
  })
  t.ok(line?.outreach_due_at)
  t.strictSame(line?.job_run_at, line?.outreach_due_at)

  t.test('with a further record that is not judged yet', async t => {
    await post({ ...record, dialtime: 3 }, { token: shop.token })
    const lines = await report(callId)
    t.match(lines, [{ records: '2', verdict: 'missed', job: `voicenter_cdr:${callId}` }])
    t.equal(lines.length, 1)
    await work()
    t.match(await report(callId), [{ job: `lead_outreach:${id}` }])
  })
})

t.test('calls that opened no case, and that nobody owns', async t => {
  const shop = await business()
  const answered = answeredPush({ did: shop.did })
  const outgoing = callBackPush({ caller: shop.did })
  await tell(shop.token, answered, outgoing)
  const nobodys = push({ did: '0739999999' })
  await tell(await unboundToken(), nobodys)
  t.match(await report(answered.ivruniqueid), [
    { verdict: 'answered', outreach_state: null, job: null },
  ])
  t.match(await report(outgoing.ivruniqueid), [{ verdict: 'not_inbound', outreach_state: null }])
  t.match(await report(nobodys.ivruniqueid), [{ tenant_id: null, verdict: 'unmatched_number' }])
})

t.test('the legs of a call are one line', async t => {
  const shop = await business()
  const who = customer()
  const { callId } = await miss(shop, who.local)
  await tell(
    shop.token,
    answeredPush({ caller: who.local, did: '', type: 'XferCDR', OriginalIvrUniqueID: callId }),
  )
  const lines = await report(callId)
  t.equal(lines.length, 1)
  t.match(lines, [{ records: '2', verdict: 'answered', outreach_state: 'cancelled' }])
})

t.test('the newest call comes first, and older ones when asked for', async t => {
  const shop = await business()
  const earlier = await miss(shop, customer().local, {}, 90)
  const later = await miss(shop, customer().local, {}, 5)
  const order = (await report()).map(({ call_id }) => call_id)
  t.ok(order.indexOf(later.callId) < order.indexOf(earlier.callId))
  const times = (await report()).flatMap(({ called_at }) =>
    called_at ? [called_at.getTime()] : [],
  )
  t.strictSame(
    times,
    times.toSorted((a, b) => b - a),
  )

  await sql`update raw_cdrs set received_at = now() - interval '3 days' where call_id = ${later.callId}`.execute(
    db,
  )
  t.strictSame(await report(later.callId), [])
  t.equal((await report(later.callId, '7 days')).length, 1)
})

t.test('the same CallID in two tenants is two lines', async t => {
  const [one, two] = [await business(), await business()]
  const { record, callId } = await miss(one, customer().local)
  await tell(two.token, { ...record, did: two.did })
  const lines = await report(callId)
  t.strictSame(
    new Set(lines.map(({ tenant_id }) => tenant_id)),
    new Set([one.tenantId, two.tenantId]),
  )
  t.match(lines, [{ records: '1' }, { records: '1' }])
})
