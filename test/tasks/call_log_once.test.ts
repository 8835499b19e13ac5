/** A call of which both its webhook and the log tell, in whichever order, is one call. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import {
  call,
  checkNow,
  checksOf,
  lossOf,
  sourcesOf,
  voicenter,
  webhook,
  withCallLog,
} from '../support/voicenter.ts'
import { leadsOf, until } from './support.ts'
import { compareWithLog } from '../../app/voicenter/call_log/check.ts'
import { readJson } from '../../app/json.ts'

t.test('what was taken in once is not taken in again', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  for (let hour = 0; hour < 3; hour++) await checkNow(shop)
  t.strictSame(await checksOf(shop), [
    [1, 1, 1],
    [1, 0, 0],
    [1, 0, 0],
  ])
  const [row] = await db
    .selectFrom('raw_cdrs')
    .select(['deliveries', 'source'])
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(row, { deliveries: 1, source: 'call_log' })
})

t.test('a webhook that comes after all leaves one missed call and one message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const late = call({ caller: dana.local, did: shop.did })
  voicenter.log(account, late.record)
  await checkNow(shop)
  await workAsIfDue()
  await webhook(shop, late.push)
  await work()
  await workAsIfDue()
  t.strictSame(await sourcesOf(shop), [
    [late.callId, 'call_log'],
    [late.callId, 'push'],
  ])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await lossOf(shop), [1, 0, 1, 0], 'late, not lost')
  await checkNow(shop)
  t.strictSame((await sourcesOf(shop)).length, 2)
})

t.test('a webhook that came before is the call, and the log adds nothing to it', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const early = call({ caller: customer().local, did: shop.did })
  await webhook(shop, early.push)
  voicenter.log(account, early.record)
  // Not even judged yet.
  await checkNow(shop)
  t.strictSame(await sourcesOf(shop), [[early.callId, 'push']])
  t.strictSame(await checksOf(shop), [[1, 0, 0]])
})

t.test('a webhook at the very same moment leaves one missed call and one message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const racing = call({ caller: dana.local, did: shop.did })
  voicenter.log(account, racing.record)
  const both = await db.transaction().execute(async trx => {
    // Reading goes on, writing waits: the check has looked, and the webhook is through the door.
    await sql`lock table raw_cdrs in share row exclusive mode`.execute(trx)
    const running = Promise.all([checkNow(shop), webhook(shop, racing.push)])
    await until(async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      return rows.length === 2
    })
    return { running }
  })
  await both.running
  await work()
  const sources = (await sourcesOf(shop)).map(([, source]) => String(source))
  t.strictSame(sources.toSorted(), ['call_log', 'push'])
  await workAsIfDue()
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await lossOf(shop), [1, 0, 1, 0], 'nothing was lost')
})

t.test('two runs at once take a call in once', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${shop.tenantId}::text))
            from generate_series(1, 3)`.execute(db)
  await checkNow(shop)
  t.strictSame(await sourcesOf(shop), [[lost.callId, 'call_log']])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  t.equal((await jobs(`call_log:${shop.tenantId}`)).length, 1)
})

t.test('the halves of a window may bring a call twice, or one record of it each', async t => {
  const shop = await business()
  await withCallLog(shop)
  const queue = call({ caller: customer().local, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  const agent = { ...queue.record, DialStatus: 'ANSWER', TargetExtension: 'SIP1' }
  const halves = async function* () {
    for (const record of [queue.record, queue.record, agent]) {
      const records = [readJson(JSON.stringify(record))].flatMap(json =>
        'value' in json ? [json.value] : [],
      )
      yield { kind: 'records' as const, records, isComplete: true }
    }
  }
  t.strictSame(await compareWithLog(shop.tenantId, halves(), new Date()), {
    inLog: 1,
    missing: 1,
    takenIn: 1,
  })
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, queue.callId), Array(2).fill(['answered', 'agent']))
})
