/** Deliveries over HTTP: sample records, repeats, failures while storing, and many at once. */
import { sql } from 'kysely'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  type Business,
  CDR,
  contents,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  OK,
  outreachOf,
  post,
  refusePoison,
  rejectedOf,
  verdictsOf,
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'

/** 0722776772 in the sample records. */
const E164 = '+972722776772'

const read = (file: string) =>
  readFile(new URL(`../fixtures/voicenter/${file}`, import.meta.url), 'utf8')

/** A number belongs to one business at a time, so each test takes it from the previous one. */
const owner = async (columns = {}): Promise<Business> => {
  const owner = await business({ columns })
  await db.deleteFrom('tenant_numbers').where('phone', '=', E164).execute()
  await db.insertInto('tenant_numbers').values({ tenant_id: owner.tenantId, phone: E164 }).execute()
  return owner
}
const deliver = async ({ token }: Business, file: string) => {
  const type = file.endsWith('.txt') ? 'application/x-www-form-urlencoded' : 'application/json'
  return post(await read(file), { token, headers: { 'content-type': type } })
}

type Expected = { verdict: [string, string]; caller?: string | null; outreach?: [string, string] }
const TOO_LATE: [string, string] = ['skipped', 'too_late']
const EXPECTED: Record<string, Expected> = {
  'queue-answer.json': { verdict: ['answered', 'answer'] },
  'outgoing-answer.json': { verdict: ['not_inbound', 'outgoing'] },
  'missed-callid-shape.json': {
    verdict: ['missed', 'noanswer'],
    caller: '+972502345678',
    outreach: TOO_LATE,
  },
  'missed-noanswer.json': {
    verdict: ['missed', 'noanswer'],
    caller: '+972523456789',
    outreach: TOO_LATE,
  },
  'missed-abandone-queue.json': {
    verdict: ['missed', 'abandone'],
    caller: '+972542345678',
    outreach: TOO_LATE,
  },
  'missed-withheld.json': {
    verdict: ['missed', 'noanswer'],
    caller: null,
    outreach: ['skipped', 'withheld_number'],
  },
  'missed-landline.json': {
    verdict: ['missed', 'cancel'],
    caller: '+97231234567',
    outreach: ['skipped', 'not_mobile'],
  },
  'missed-form-encoded.txt': {
    verdict: ['missed', 'busy'],
    caller: '+972542345678',
    outreach: TOO_LATE,
  },
  'answered-by-agent.json': { verdict: ['answered', 'agent'] },
  'transfer-root.json': { verdict: ['answered', 'agent'] },
  'transfer-leg.json': { verdict: ['unknown', 'waiting_for_root'] },
  'outgoing-callback-answered.json': { verdict: ['not_inbound', 'outgoing'] },
}

const missedCallsOf = (tenantId: string) =>
  db.selectFrom('missed_calls').selectAll().where('tenant_id', '=', tenantId).execute()

for (const [file, { verdict, caller, outreach }] of Object.entries(EXPECTED))
  await t.test(`${file} is ${verdict.join(', ')}`, async t => {
    const sender = await owner()
    t.strictSame(await deliver(sender, file), OK)
    await work()
    const rows = await db
      .selectFrom('raw_cdrs')
      .selectAll()
      .where('tenant_id', '=', sender.tenantId)
      .execute()
    t.strictSame(
      rows.map(row => [row.verdict, row.reason]),
      [verdict],
    )
    t.strictSame(rows[0]?.body?.toString(), await read(file), 'kept byte for byte')
    const calls = await missedCallsOf(sender.tenantId)
    t.strictSame(
      calls.map(call => [call.caller_phone, call.business_phone]),
      caller === undefined ? [] : [[caller, E164]],
    )
    t.strictSame(
      calls.map(call => [call.outreach_state, call.outreach_reason]),
      outreach ? [outreach] : [],
    )
  })

await t.test('with an unbound token, every sample record is assigned by its number', async t => {
  const { tenantId } = await owner()
  const token = await webhookToken(null)
  for (const file of Object.keys(EXPECTED))
    t.strictSame(await post(await read(file), { token }), OK, file)
  await work()
  const rows = await db
    .selectFrom('raw_cdrs')
    .select('verdict')
    .where('tenant_id', '=', tenantId)
    .execute()
  t.equal(rows.length, Object.keys(EXPECTED).length)
  t.notOk(rows.some(({ verdict }) => verdict === 'unmatched_number'))
})

const ROOT = '202611181020020c41b'
for (const [first, second] of [
  ['transfer-root.json', 'transfer-leg.json'],
  ['transfer-leg.json', 'transfer-root.json'],
] as const)
  for (const workBetween of [true, false])
    await t.test(
      `${first}, then ${second}${workBetween ? '' : ' at once'}: one answered call`,
      async t => {
        const sender = await owner()
        t.strictSame(await deliver(sender, first), OK)
        if (workBetween) await work()
        t.strictSame(await missedCallsOf(sender.tenantId), [])
        t.strictSame(await deliver(sender, second), OK)
        await work()
        t.strictSame(await verdictsOf(sender.tenantId, ROOT), [
          ['answered', 'agent'],
          ['answered', 'agent'],
        ])
        t.strictSame(await missedCallsOf(sender.tenantId), [])
      },
    )

const MISSED = '2026071416421001c7d'
for (const [first, second] of [
  ['missed-noanswer.json', 'outgoing-callback-answered.json'],
  ['outgoing-callback-answered.json', 'missed-noanswer.json'],
] as const)
  await t.test(
    `${first}, then ${second}: the caller was reached by phone and gets no message`,
    async t => {
      // The sample records are months old.
      const sender = await owner({ oldest_call: '100 years' })
      t.strictSame(await deliver(sender, first), OK)
      await work()
      if (first === 'missed-noanswer.json')
        t.strictSame(await outreachOf(sender.tenantId, MISSED), ['scheduled', 'waiting'])
      t.strictSame(await deliver(sender, second), OK)
      await work()
      t.strictSame(await outreachOf(sender.tenantId, MISSED), ['cancelled', 'reached_by_phone'])
      t.match(await missedCallsOf(sender.tenantId), [{ caller_phone: '+972523456789' }])
      t.strictSame(await jobs('lead_outreach'), [], 'no outreach job is left')
    },
  )

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
await t.test(
  'a record that is delivered a hundred times at once, and again later, leads to one message',
  async t => {
    const { tenantId, token, did } = await business()
    const dana = customer()
    const record = push({ caller: dana.local, did })
    const callId = record.ivruniqueid
    const hundred = async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => post(record, { token })))
      t.strictSame(
        new Set(answers.map(({ status }) => status)),
        new Set([200]),
        'all are acknowledged',
      )
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
    t.strictSame(await jobs(outreach?.key ?? ''), [outreach], 'the pending outreach is unchanged')

    await workAsIfDue()
    t.equal(fake.inbox(dana.e164).length, 1)

    await hundred()
    await workAsIfDue()
    t.strictSame(await deliveriesOf(callId), [300])
    t.strictSame(await jobs(`voicenter_cdr:${callId}`), [], 'no job is added after sending')

    // A day later the repeat window is over. Only the repeat itself prevents a second message.
    await sql`update messages set created_at = created_at - interval '25 hours',
    accepted_at = accepted_at - interval '25 hours'`.execute(db)
    await hundred()
    await workAsIfDue()
    t.equal((await missedCallsOf(tenantId)).length, 1)
    t.equal(fake.inbox(dana.e164).length, 1)
    t.match(
      await db.selectFrom('leads').selectAll().where('tenant_id', '=', tenantId).execute(),
      [{ missed_call_count: 1 }],
      'the caller called once',
    )
  },
)

await t.test('the same record as a form is a second record of the same call', async t => {
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
  t.strictSame(await deliveriesOf(record.ivruniqueid), [1, 2], 'a repeated form is a repeat')
})

await t.test('a repeat has the same parsed content, with numbers as they were written', async t => {
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
  'two tokens of one business are one sender, and unbound tokens are another',
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
    t.equal((await missedCallsOf(tenantId)).length, 1, 'it is still one call')
  },
)

await t.test('two businesses may have the same CallID, even at the same moment', async t => {
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
  t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 1, 'one job classifies both calls')
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
    'each business sends from its own number',
  )
})

await t.test('a repeat does not restart a job that has failed for good', async t => {
  const { token } = await business()
  const record = push()
  await post(record, { token })
  await sql`select graphile_worker.permanently_fail_jobs(array_agg(id), 'tried too often')
    from graphile_worker.jobs where key = ${`voicenter_cdr:${record.ivruniqueid}`}`.execute(db)
  const failed = await jobs(`voicenter_cdr:${record.ivruniqueid}`)
  t.strictSame(await post(record, { token }), OK)
  t.strictSame(await jobs(`voicenter_cdr:${record.ivruniqueid}`), failed)
})

const run = (statement: string) => sql.raw(statement).execute(db)

const ADD_JOBS = 'graphile_worker.add_jobs(graphile_worker.job_spec[], boolean)'
const replaced = (body: string) => ({
  breakIt: async () => {
    await run(`alter function ${ADD_JOBS} rename to real_add_jobs`)
    await run(`create function graphile_worker.add_jobs(
        specs graphile_worker.job_spec[], job_key_preserve_run_at boolean default false)
      returns setof graphile_worker._private_jobs language sql as $$ ${body} $$`)
  },
  mendIt: async () => {
    await run(`drop function ${ADD_JOBS}`)
    await run(`alter function ${ADD_JOBS.replace('add_jobs', 'real_add_jobs')} rename to add_jobs`)
  },
})
const raisingOn = (table: string) => ({
  breakIt: async () => {
    await run(`create function out_of_order() returns trigger language plpgsql
      as $$ begin raise exception 'out of order'; end $$`)
    await run(`create trigger out_of_order before insert on ${table}
      for each row execute function out_of_order()`)
  },
  mendIt: () => run('drop function out_of_order() cascade'),
})

/** Real faults in the database. Each of them prevents storing. */
const FAULTS = {
  'graphile-worker’s function is gone': {
    breakIt: () => run(`alter function ${ADD_JOBS} rename to real_add_jobs`),
    mendIt: () =>
      run(`alter function ${ADD_JOBS.replace('add_jobs', 'real_add_jobs')} rename to add_jobs`),
  },
  'the job cannot be inserted': raisingOn('graphile_worker._private_jobs'),
  'no job is added and no error is raised': replaced(
    'select * from graphile_worker._private_jobs where false',
  ),
  'one job is missing': replaced(
    'select * from graphile_worker.real_add_jobs(specs[2:], job_key_preserve_run_at)',
  ),
  'the record cannot be inserted': raisingOn('raw_cdrs'),
  'the rejected element cannot be inserted': raisingOn('rejected_deliveries'),
  'the table is gone': {
    breakIt: () => run('alter table raw_cdrs rename to real_raw_cdrs'),
    mendIt: () => run('alter table real_raw_cdrs rename to raw_cdrs'),
  },
}

for (const [name, { breakIt, mendIt }] of Object.entries(FAULTS))
  await t.test(`when ${name}, nothing is stored and the answer is 503`, async t => {
    const { tenantId, token } = await business()
    // Two valid records and an invalid element, so that every fault applies.
    const records = [push(), push()]
    const body = JSON.stringify([...records, { test: true }])
    const send = () => fetch(`${CDR}?token=${token}`, { method: 'POST', body })
    const before = await contents()

    await breakIt()
    const response = await send()
    await mendIt()
    t.equal(response.status, 503)
    t.match(response.headers.get('retry-after'), /^\d+$/)
    t.strictSame(await response.json(), { Err: 2, Errdesc: 'not stored; please send it again' })
    t.strictSame(await contents(), before, 'nothing is stored')

    t.equal((await send()).status, 400, 'sent again, it is stored')
    t.match(await rejectedOf(tenantId), [{ deliveries: 1 }])
    for (const { ivruniqueid } of records) {
      t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 1)
      t.match(
        await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', ivruniqueid).execute(),
        [{ deliveries: 1 }],
      )
    }
  })

await t.test(
  'a repeat is acknowledged even if no job can be added, because it needs none',
  async t => {
    const { token } = await business()
    const record = push()
    t.strictSame(await post(record, { token }), OK)
    const fault = FAULTS['the job cannot be inserted']
    await fault.breakIt()
    const answer = await post(record, { token })
    await fault.mendIt()
    t.strictSame(answer, OK)
  },
)

const storedOf = async (tenantId: string) => {
  const { rows } = await sql<{ call_id: string; deliveries: number; transaction: string }>`
    select call_id, deliveries, xmin::text as transaction from raw_cdrs where tenant_id = ${tenantId}
    order by call_id`.execute(db)
  return rows
}

await t.test(
  'many requests at once are stored in few transactions, each record with its job',
  async t => {
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
  },
)

await t.test('the same record in many requests at once is one row and one job', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  const answers = await Promise.all(Array.from({ length: 40 }, () => post(record, { token })))
  for (const answer of answers) t.strictSame(answer, OK)
  t.match(await storedOf(tenantId), [{ call_id: record.ivruniqueid, deliveries: 40 }])
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
})

await t.test('the same record of two businesses at once is one row for each', async t => {
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

await t.test(
  'rejected and valid records stored together are kept for their own senders',
  async t => {
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
  },
)

await t.test('tokens that are looked up in one query are not mixed up', async t => {
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

const rawOf = (tenantId: string) =>
  db
    .selectFrom('raw_cdrs')
    .select(['call_id', 'payload', 'body', 'deliveries', 'verdict'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()

await t.test('each record of an array is stored with its own bytes and its own job', async t => {
  const { tenantId, token } = await business()
  const records = [push({ queuename: 'תור "מכירות", [א]' }), push({ IVR: [{ a: [1, 2] }] }), push()]
  // The white space between the records belongs to none of them.
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
  'of an array, invalid elements are rejected, valid records are stored, and the answer is 400',
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

    t.strictSame(await post(body, { token }), answer, 'a repeat gets the same answer')
    t.strictSame(
      [...(await rawOf(tenantId)), ...(await rejectedOf(tenantId))].map(row => row.deliveries),
      Array.from({ length: 8 }, () => 2),
      'and is only counted',
    )
  },
)

await t.test('an array of many records is stored in parts', async t => {
  const { tenantId, token } = await business()
  const records = Array.from({ length: 350 }, () => push())
  const body = records.map((record, n) => (n % 100 === 99 ? n : record))
  t.strictSame(await post(body, { token }), {
    status: 400,
    body: { Err: 1, Errdesc: '3 of 350 records refused: not an object' },
  })
  const stored = await db
    .selectFrom('raw_cdrs')
    .select('call_id')
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  t.strictSame(
    stored.map(({ call_id }) => call_id).toSorted(),
    records
      .filter((_, n) => n % 100 !== 99)
      .map(({ ivruniqueid }) => ivruniqueid)
      .toSorted(),
  )
  t.equal((await rejectedOf(tenantId)).length, 3)
  t.equal(
    (await jobs('voicenter_cdr')).filter(({ key }) =>
      stored.some(({ call_id }) => key.endsWith(call_id)),
    ).length,
    347,
  )
  t.strictSame(await post(records.slice(0, 99), { token }), OK, 'a repeat')
})

await t.test('the same record twice in one array is one row with two deliveries', async t => {
  const { tenantId, token } = await business()
  const record = push()
  const { ivruniqueid, ...others } = record
  // The order of the fields does not matter.
  t.strictSame(await post([record, { ...others, ivruniqueid }, record], { token }), OK)
  t.match(await rawOf(tenantId), [{ deliveries: 3 }])
  t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 1)

  t.match(await post(['x', 'x'], { token }), { status: 400 })
  t.match(await rejectedOf(tenantId), [{ deliveries: 2 }], 'also for an invalid element')
})

await t.test('two records of one call in one array are two rows and one job', async t => {
  const { tenantId, token } = await business()
  const record = push()
  t.strictSame(await post([record, { ...record, status: 'BUSY' }], { token }), OK)
  t.equal((await rawOf(tenantId)).length, 2)
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
})

await t.test('arrays with the same records in different orders do not deadlock', async t => {
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
})
