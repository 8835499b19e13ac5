/** The same record any number of times, at once or days later: one raw row, one missed call, one message. */
import { sql } from 'kysely'
import t from 'tap'
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
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const asForm = (record: Record<string, unknown>): string =>
  new URLSearchParams(
    Object.entries(record).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString()
const deliveriesOf = async (callId: string) =>
  (
    await db
      .selectFrom('raw_cdrs')
      .select('deliveries')
      .where('call_id', '=', callId)
      .orderBy('id')
      .execute()
  ).map(row => row.deliveries)
const missedCallsOf = (tenantId: string) =>
  db.selectFrom('missed_calls').selectAll().where('tenant_id', '=', tenantId).execute()

await t.test('a hundred posts of one record at once, and again later, are one message', async t => {
  const { tenantId, token, did } = await business()
  const dana = customer()
  const record = push({ caller: dana.local, did })
  const callId = record.ivruniqueid
  const hundred = async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => post(record, { token })))
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]), 'all hear OK')
  }

  await hundred()
  t.strictSame(await deliveriesOf(callId), [100])
  t.equal((await jobs(`voicenter_cdr:${callId}`)).length, 1)
  await work()
  t.match(await missedCallsOf(tenantId), [{ call_id: callId, outreach_state: 'scheduled' }])
  const [outreach] = await jobs(`lead_outreach:${(await missedCall(tenantId, callId))?.id}`)
  t.ok(outreach)

  await hundred()
  await work()
  t.strictSame(await deliveriesOf(callId), [200])
  t.strictSame(await jobs(outreach?.key ?? ''), [outreach], 'while it waits nothing is moved')

  await workAsIfDue()
  t.equal(fake.inbox(dana.e164).length, 1)

  await hundred()
  await workAsIfDue()
  t.strictSame(await deliveriesOf(callId), [300])
  t.strictSame(await jobs(`voicenter_cdr:${callId}`), [], 'once it is sent nothing is added')

  // A day later nothing holds back a second message but that it is the same record.
  await sql`update messages set created_at = created_at - interval '25 hours',
    accepted_at = accepted_at - interval '25 hours'`.execute(db)
  await hundred()
  await workAsIfDue()
  t.equal((await missedCallsOf(tenantId)).length, 1)
  t.equal(fake.inbox(dana.e164).length, 1)
  t.match(
    await db.selectFrom('leads').selectAll().where('tenant_id', '=', tenantId).execute(),
    [{ missed_call_count: 1 }],
    'she called once',
  )
})

await t.test('as a form it is another record of the same call', async t => {
  const { tenantId, token, did } = await business()
  const dana = customer()
  const record = push({ caller: dana.local, did })
  t.strictSame(await post(record, { token }), OK)
  t.strictSame(await post(asForm(record), { token, headers: FORM }), OK)
  t.strictSame(await deliveriesOf(record.ivruniqueid), [1, 1])
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
  await work()
  await workAsIfDue()
  t.strictSame(await verdictsOf(tenantId, record.ivruniqueid), [
    ['missed', 'noanswer'],
    ['missed', 'noanswer'],
  ])
  t.equal((await missedCallsOf(tenantId)).length, 1)
  t.equal(fake.inbox(dana.e164).length, 1)

  t.strictSame(await post(asForm(record), { token, headers: FORM }), OK)
  t.strictSame(await deliveriesOf(record.ivruniqueid), [1, 2], 'of which a repeat is a repeat')
})

await t.test('what counts is what was parsed, with its numbers as they were written', async t => {
  const { token } = await business()
  const record = push()
  const { ivruniqueid, ...others } = record
  const json = JSON.stringify(record)
  const same = [
    json,
    JSON.stringify(record, null, 2),
    JSON.stringify({ ...others, ivruniqueid }),
    json.replace('Incoming', '\\u0049ncoming'),
  ]
  for (const body of same) t.strictSame(await post(body, { token }), OK)
  t.strictSame(await deliveriesOf(ivruniqueid), [same.length])
  t.strictSame(await post(json.replace('"queueid":0', '"queueid":0.0'), { token }), OK)
  t.strictSame(await deliveriesOf(ivruniqueid), [same.length, 1])
})

await t.test(
  'two tokens of one business are one sender, and none of their own is another',
  async t => {
    const { tenantId, token, did } = await business()
    const record = push({ caller: customer().local, did })
    t.strictSame(await post(record, { token }), OK)
    t.strictSame(await post(record, { token: await webhookToken(tenantId) }), OK)
    t.strictSame(await deliveriesOf(record.ivruniqueid), [2])

    const unbound = [await webhookToken(null), await webhookToken(null)]
    for (const token of unbound) t.strictSame(await post(record, { token }), OK)
    t.strictSame(await deliveriesOf(record.ivruniqueid), [2, 2])
    await work()
    t.equal((await verdictsOf(tenantId, record.ivruniqueid)).length, 2)
    t.equal((await missedCallsOf(tenantId)).length, 1, 'but it is still one call')
  },
)

await t.test('two businesses may have the same CallID, also at the same moment', async t => {
  const both = [await business(), await business()]
  const dana = customer()
  const { ivruniqueid } = push()
  const answers = await Promise.all(
    both.flatMap(({ token, did }) =>
      Array.from({ length: 10 }, () =>
        post(push({ ivruniqueid, caller: dana.local, did }), { token }),
      ),
    ),
  )
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 1, 'one job wakes both')
  await work()
  await workAsIfDue()
  for (const { tenantId } of both) {
    t.strictSame(await outreachOf(tenantId, ivruniqueid), ['sent', 'accepted'])
    t.equal((await missedCallsOf(tenantId)).length, 1)
  }
  t.strictSame(
    fake
      .inbox(dana.e164)
      .map(({ phoneNumberId }) => phoneNumberId)
      .toSorted(),
    both.map(({ phoneNumberId }) => phoneNumberId).toSorted(),
    'each has written from its own number',
  )
})

await t.test('a repeat does not wake a job that has failed for good', async t => {
  const { token } = await business()
  const record = push()
  await post(record, { token })
  await sql`select graphile_worker.permanently_fail_jobs(array_agg(id), 'tried too often')
    from graphile_worker.jobs where key = ${`voicenter_cdr:${record.ivruniqueid}`}`.execute(db)
  const failed = await jobs(`voicenter_cdr:${record.ivruniqueid}`)
  t.strictSame(await post(record, { token }), OK)
  t.strictSame(await jobs(`voicenter_cdr:${record.ivruniqueid}`), failed)
})
