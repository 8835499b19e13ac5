/** Many records in one body: each stands for itself. */
import t from 'tap'
import { business, contents, db, jobs, OK, post, rejectedOf, work } from '../support/ringback.ts'
import { newCallId, push } from '../../scripts/demo/cdr.ts'

const rawOf = (tenantId: string) =>
  db
    .selectFrom('raw_cdrs')
    .select(['call_id', 'payload', 'body', 'deliveries', 'verdict'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

await t.test('of an array each record is stored with its own bytes and its own job', async t => {
  const { tenantId, token } = await business()
  const records = [push({ queuename: 'תור "מכירות", [א]' }), push({ IVR: [{ a: [1, 2] }] }), push()]
  // As somebody would write them by hand: the bytes between the records belong to none.
  const texts = records.map(record => JSON.stringify(record, null, 2))
  t.strictSame(await post(`\n[ ${texts.join(' ,\t')} ]\n`, { token }), OK)
  const rows = await rawOf(tenantId)
  t.strictSame(
    new Map(rows.map(row => [row.call_id, row.body?.toString()])),
    new Map(records.map((record, i) => [record.ivruniqueid, texts[i]])),
  )
  for (const { call_id, payload, deliveries } of rows) {
    t.strictSame(
      payload,
      records.find(({ ivruniqueid }) => ivruniqueid === call_id),
    )
    t.equal(deliveries, 1)
    t.equal((await jobs(`voicenter_cdr:${call_id}`)).length, 1)
  }
})

await t.test(
  'the bad ones are kept aside, the good ones stored, and the answer is 400',
  async t => {
    const { tenantId, token } = await business()
    const good = [push(), push()]
    const bad = ['{"test":true}', '7', 'null', '"x"', '[{}]', '{ "ivruniqueid" : "1" }']
    const body = `[${[JSON.stringify(good[0]), ...bad, JSON.stringify(good[1])].join()}]`
    const answer = await post(body, { token })
    t.match(answer, {
      status: 400,
      body: { Err: 1, Errdesc: /^6 of 8 records refused: .*call id.*missing.* \| .*not an object/ },
    })
    t.strictSame(
      new Set((await rawOf(tenantId)).map(({ call_id }) => call_id)),
      new Set(good.map(({ ivruniqueid }) => ivruniqueid)),
    )
    t.strictSame(
      new Set((await rejectedOf(tenantId)).map(row => row.body?.toString())),
      new Set(bad),
      'each with its own bytes',
    )

    t.strictSame(await post(body, { token }), answer, 'the same again')
    t.strictSame(
      [...(await rawOf(tenantId)), ...(await rejectedOf(tenantId))].map(row => row.deliveries),
      Array.from({ length: 8 }, () => 2),
      'is only counted',
    )
  },
)

await t.test('the same record twice in one array is one row that came twice', async t => {
  const { tenantId, token } = await business()
  const record = push()
  const { ivruniqueid, ...others } = record
  // The order of its fields makes no other record of it.
  t.strictSame(await post([record, { ...others, ivruniqueid }, record], { token }), OK)
  t.match(await rawOf(tenantId), [{ deliveries: 3 }])
  t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 1)

  t.match(await post(['x', 'x'], { token }), { status: 400 })
  t.match(await rejectedOf(tenantId), [{ deliveries: 2 }], 'nor does it of a bad one')
})

await t.test('two records of one call in one array are two rows and one job', async t => {
  const { tenantId, token } = await business()
  const record = push()
  t.strictSame(await post([record, { ...record, status: 'BUSY' }], { token }), OK)
  t.equal((await rawOf(tenantId)).length, 2)
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
})

await t.test(
  'arrays that hold the same records in other orders do not block each other',
  async t => {
    const { tenantId, token } = await business({ mode: 'paused' })
    const records = Array.from({ length: 200 }, () => push())
    const orders = Array.from({ length: 8 }, (_, n) =>
      n % 2 ? records.toReversed() : [...records.slice(n * 20), ...records.slice(0, n * 20)],
    )
    const answers = await Promise.all(orders.map(order => post(order, { token })))
    t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
    const rows = await rawOf(tenantId)
    t.equal(rows.length, 200)
    t.ok(rows.every(({ deliveries }) => deliveries === 8))
    await work()
    t.ok((await rawOf(tenantId)).every(({ verdict }) => verdict))
  },
)

/** Ids that differ, also ten thousand of one second. */
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

  t.strictSame(await post(records.toReversed(), { token }), OK, 'again, in another order')
  const rows = await rawOf(tenantId)
  t.equal(rows.length, 10_000)
  t.ok(rows.every(({ deliveries }) => deliveries === 2))
  const queue = 'graphile_worker._private_jobs'
  t.equal((await contents())[queue], before[queue], 'no job is added or changed')
})

await t.test('ten thousand records of which one is bad', async t => {
  const { tenantId, token } = await business()
  const records: unknown[] = many(9999)
  t.match(await post(records.toSpliced(5000, 0, { bad: 1 }), { token }), {
    status: 400,
    body: { Errdesc: /^1 of 10000 records refused: call id/ },
  })
  t.equal((await rawOf(tenantId)).length, 9999)
  t.match(await rejectedOf(tenantId), [{ body: Buffer.from('{"bad":1}'), deliveries: 1 }])
})
