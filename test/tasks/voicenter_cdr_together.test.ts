/** Calls that are judged at the same moment are judged together, and each as if it were alone. */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  allowPoison,
  type Business,
  business,
  customer,
  db,
  jobs,
  OK,
  post,
  refusePoison,
  work,
} from '../support/ringback.ts'
import { leadsOf, until } from './support.ts'

const AT_ONCE = 16

/** Posts all of them, and only then judges them, as many as possible at the same moment. */
const judgeTogether = async ({ token }: Business, ...records: unknown[]) => {
  t.strictSame(await post(records, { token }), OK)
  await work(AT_ONCE)
}
const callsOf = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ call_id: string; outcome: string; transaction: string }>`
    select call_id, outreach_state || ' ' || outreach_reason as outcome, xmin::text as transaction
    from missed_calls where tenant_id = ${tenantId} order by called_at, id`.execute(db)
  return rows
}

await t.test('many calls are few transactions, and each is recorded with its job', async t => {
  const shop = await business()
  const people = Array.from({ length: 48 }, () => customer())
  await judgeTogether(shop, ...people.map(({ local }) => push({ caller: local, did: shop.did })))
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
  t.equal(rows[0]?.onTime, people.length, 'due two minutes after it was recorded')
})

await t.test(
  'of one person’s calls the first is answered, whichever are judged together',
  async t => {
    for (let round = 0; round < 5; round++) {
      const shop = await business()
      const { local } = customer()
      const record = (secondsAgo: number) => push({ caller: local, did: shop.did }, secondsAgo)
      await judgeTogether(shop, ...[90, 60, 30].map(record))
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

await t.test('who was called back is not written to, whichever is judged first', async t => {
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
    await judgeTogether(
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
})

await t.test('what waits is taken along, and by two workers at once still judged once', async t => {
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
  t.ok(transactions <= 20, `150 calls, ${transactions} transactions, though four are run at once`)
  await until(async () => (await jobs('voicenter_cdr')).length === 0)
  t.equal(
    (await jobs('lead_outreach')).filter(({ run_at }) => run_at > new Date()).length > 149,
    true,
  )
})

await t.test('one that cannot be judged keeps those from nothing that wait with it', async t => {
  await refusePoison(t, 'missed_calls')
  const shop = await business()
  const good = Array.from({ length: 150 }, () => push({ caller: customer().local, did: shop.did }))
  const bad = push({ caller: customer().local, did: shop.did, ivruniqueid: 'poison among them' })
  t.strictSame(await post([...good, bad], { token: shop.token }), OK)
  await work(4)
  t.equal((await callsOf(shop)).length, good.length)
  const { rows } = await sql<{ times: number }>`
    select last_value::int as times from poisonings`.execute(db)
  t.ok((rows[0]?.times ?? 99) <= 3, `nor fails with them again and again: ${rows[0]?.times} times`)
  await until(async () => (await jobs('voicenter_cdr:poison among them'))[0]?.attempts === 1)
  t.equal((await jobs('voicenter_cdr')).length, 1)
  await allowPoison()
  await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
            where key = 'voicenter_cdr:poison among them'`.execute(db)
})

await t.test('a call that cannot be recorded fails alone', async t => {
  await refusePoison(t, 'missed_calls')
  const shop = await business()
  const good = Array.from({ length: 12 }, () => push({ caller: customer().local, did: shop.did }))
  const bad = push({ caller: customer().local, did: shop.did, ivruniqueid: 'poison of one' })
  await judgeTogether(shop, ...good.slice(0, 6), bad, ...good.slice(6))
  t.strictSame(
    (await callsOf(shop)).map(({ call_id }) => call_id).toSorted(),
    good.map(({ ivruniqueid }) => ivruniqueid).toSorted(),
  )
  const key = 'voicenter_cdr:poison of one'
  await until(async () => (await jobs(key))[0]?.attempts === 1)
  t.equal((await jobs('voicenter_cdr')).length, 1, 'the others are done')

  await allowPoison()
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = ${key}`.execute(db)
  await work()
  t.equal((await callsOf(shop)).length, good.length + 1, 'and it too, once it can be')
})

await t.test('legs that are judged together with their own call are one call', async t => {
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
  await judgeTogether(shop, ...legs, root)
  t.match(await callsOf(shop), [{ call_id: root.ivruniqueid, outcome: 'scheduled waiting' }])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
})
