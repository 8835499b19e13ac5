/** Requests that come at the same moment are stored together, and each hears of its own record alone. */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  CDR,
  customer,
  db,
  jobs,
  OK,
  post,
  refusePoison,
  rejectedOf,
} from '../support/ringback.ts'

const storedOf = async (tenantId: string) => {
  const { rows } = await sql<{ call_id: string; deliveries: number; transaction: string }>`
    select call_id, deliveries, xmin::text as transaction from raw_cdrs where tenant_id = ${tenantId}
    order by call_id`.execute(db)
  return rows
}

await t.test('many requests are few transactions, and each record has its job', async t => {
  const { tenantId, token, did } = await business()
  const records = Array.from({ length: 60 }, () => push({ caller: customer().local, did }))
  const answers = await Promise.all(records.map(record => post(record, { token })))
  for (const answer of answers) t.strictSame(answer, OK)
  const stored = await storedOf(tenantId)
  t.strictSame(
    stored.map(({ call_id }) => call_id),
    records.map(({ ivruniqueid }) => ivruniqueid).toSorted(),
  )
  const transactions = new Set(stored.map(({ transaction }) => transaction)).size
  t.ok(transactions <= 30, `60 requests, ${transactions} transactions`)
  for (const { call_id } of stored) t.equal((await jobs(`voicenter_cdr:${call_id}`)).length, 1)
})

await t.test('the same record in many requests at once is one row and one job', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  const answers = await Promise.all(Array.from({ length: 40 }, () => post(record, { token })))
  for (const answer of answers) t.strictSame(answer, OK)
  t.match(await storedOf(tenantId), [{ call_id: record.ivruniqueid, deliveries: 40 }])
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
})

await t.test('the same record of two businesses at once is a row of each', async t => {
  const shops = [await business(), await business()]
  const record = push({ caller: customer().local })
  await Promise.all(
    shops.flatMap(({ token }) => [post(record, { token }), post(record, { token })]),
  )
  for (const { tenantId } of shops)
    t.match(await storedOf(tenantId), [{ call_id: record.ivruniqueid, deliveries: 2 }])
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
})

await t.test('a record that cannot be stored fails alone', async t => {
  const { tenantId, token, did } = await business()
  await refusePoison(t, 'raw_cdrs')
  const good = Array.from({ length: 30 }, () => push({ caller: customer().local, did }))
  const poison = Array.from({ length: 2 }, (_, i) => push({ did, ivruniqueid: `poison${i}` }))
  const mixed = [...good.slice(0, 15), ...poison, ...good.slice(15)]
  const answers = await Promise.all(mixed.map(record => post(record, { token })))
  for (const [i, record] of mixed.entries()) {
    const isPoison = record.ivruniqueid.startsWith('poison')
    t.equal(answers[i]?.status, isPoison ? 503 : 200, record.ivruniqueid)
  }
  t.equal((await storedOf(tenantId)).length, good.length)
  for (const { ivruniqueid } of poison)
    t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 0)
})

await t.test('what is refused is kept beside what is stored, each for its sender', async t => {
  const shops = [await business(), await business()]
  const answers = await Promise.all(
    shops.flatMap(({ token, did }, i) => [
      post(push({ caller: customer().local, did }), { token }),
      post({ nothing: i }, { token }),
      post({ nothing: i }, { token }),
    ]),
  )
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 400, 400, 200, 400, 400],
  )
  for (const [i, { tenantId }] of shops.entries()) {
    t.equal((await storedOf(tenantId)).length, 1)
    const rejected = await rejectedOf(tenantId)
    t.match(rejected, [{ deliveries: 2 }])
    t.equal(rejected[0]?.body?.toString(), JSON.stringify({ nothing: i }))
  }
})

await t.test('tokens that are asked about together are told apart', async t => {
  const shops = [await business(), await business()]
  const records = shops.map(() => push({ caller: customer().local }))
  const sent = await Promise.all([
    ...shops.map(({ token }, i) => post(records[i], { token })),
    ...Array.from({ length: 5 }, () => fetch(`${CDR}?token=wrong`, { method: 'POST', body: '{}' })),
  ])
  t.strictSame(
    sent.map(({ status }) => status),
    [200, 200, 401, 401, 401, 401, 401],
  )
  for (const [i, { tenantId }] of shops.entries())
    t.match(await storedOf(tenantId), [{ call_id: records[i]?.ivruniqueid }])
})
