/** Deliveries that take long or much memory: a locked table, large bodies, large arrays. */
import { sql } from 'kysely'
import t from 'tap'
import { newCallId, push } from '../../scripts/demo/cdr.ts'
import { business, contents, db, jobs, OK, post, rejectedOf } from '../support/ringback.ts'

const LIMIT = 5 * 1024 * 1024
/** A record of this many bytes, such as one with an AI transcript. */
const recordOf = (bytes: number): string => {
  const record = JSON.stringify(push({ aiData: { transcript: '' } }))
  return record.replace('"transcript":""', `"transcript":"${'x'.repeat(bytes - record.length)}"`)
}
const rawOf = (tenantId: string) =>
  db
    .selectFrom('raw_cdrs')
    .select(['call_id', 'payload', 'body', 'deliveries', 'verdict'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

await t.test('while the table is locked, the answer is 503 within ten seconds', async t => {
  const { token } = await business()
  const record = push()
  await db.transaction().execute(async trx => {
    await sql`lock table raw_cdrs in exclusive mode`.execute(trx)
    const started = performance.now()
    t.match(await post(record, { token }), { status: 503, body: { Err: 2 } })
    t.ok(performance.now() - started < 10_000)
  })
  t.strictSame(await post(record, { token }), OK)
})

await t.test('of ten bodies near the limit at once, each is stored or answered 503', async t => {
  const { tenantId, token } = await business()
  const bodies = Array.from({ length: 10 }, () => recordOf(LIMIT - 100))
  const answers = await Promise.all(bodies.map(body => post(body, { token })))
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  t.equal((await rawOf(tenantId)).length, answers.filter(({ status }) => status === 200).length)
  const again = bodies.filter((_, i) => answers[i]?.status === 503)
  for (const body of again) t.strictSame(await post(body, { token }), OK)
  t.equal((await rawOf(tenantId)).length, 10)
})

/** Records with different ids, even ten thousand within a second. */
const many = (length: number) =>
  Array.from({ length }, (_, n) => push({ ivruniqueid: `${newCallId(new Date())}${n}` }))

await t.test('ten thousand records in one array are stored', async t => {
  const { tenantId, token } = await business({ mode: 'paused' })
  const records = many(10_000)
  const waiting = (await jobs('voicenter_cdr')).length
  t.strictSame(await post(records, { token }), OK)
  t.equal((await rawOf(tenantId)).length, 10_000)
  t.equal((await jobs('voicenter_cdr')).length - waiting, 10_000, 'with their jobs')
  const before = await contents()

  t.strictSame(await post(records.toReversed(), { token }), OK, 'a repeat in another order')
  const rows = await rawOf(tenantId)
  t.equal(rows.length, 10_000)
  t.ok(rows.every(({ deliveries }) => deliveries === 2))
  const queue = 'graphile_worker._private_jobs'
  t.equal((await contents())[queue], before[queue], 'no job is added or changed')
})

await t.test('ten thousand records with one invalid element', async t => {
  const { tenantId, token } = await business()
  const records: unknown[] = many(9999)
  t.match(await post(records.toSpliced(5000, 0, { bad: 1 }), { token }), {
    status: 400,
    body: { Errdesc: /^1 of 10000 records refused: call id/ },
  })
  t.equal((await rawOf(tenantId)).length, 9999)
  t.match(await rejectedOf(tenantId), [{ body: Buffer.from('{"bad":1}'), deliveries: 1 }])
})
