/** When a call log is compared, and from when on. */
import t from 'tap'
import { sql } from 'kysely'
import { business, customer, db, jobs, outreachOf, work } from '../support/ringback.ts'
import {
  accessRow,
  call,
  checkNow,
  checksOf,
  voicenter,
  withCallLog,
} from '../support/voicenter.ts'
import { secondsUntil } from './support.ts'

t.test('every hour, from where it was, and six hours behind that', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  await checkNow(shop)
  const row = await accessRow(shop)
  t.equal(await secondsUntil(row.checked_until), -5 * 60)
  t.equal(await secondsUntil(row.next_check_at), 10 * 60, 'soon, after a day away')
  await checkNow(shop)
  const next = await accessRow(shop)
  t.equal(await secondsUntil(next.next_check_at), 60 * 60)
  const queued = await jobs(`call_log:${shop.tenantId}`)
  t.equal(queued.length, 1)
  t.equal(await secondsUntil(queued[0]?.run_at), 60 * 60)
  const asked = voicenter.requests().filter(request => request.account === account.id)
  t.equal(asked.length, 2)
  const behind = row.checked_until.getTime() - Date.parse(`${asked[1]?.from}Z`)
  t.ok(Math.abs(behind - 6 * 3_600_000) < 2_000)
})

t.test('days of absence are made up for one by one, each kept as it is done', async t => {
  const shop = await business()
  const account = await withCallLog(shop, { since: '3 days' })
  const old = call({ caller: customer().local, did: shop.did }, 60 * 3600)
  const young = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, old.record, young.record)
  for (let day = 0; day < 3; day++) {
    await checkNow(shop)
    const { next_check_at: next } = await accessRow(shop)
    const seconds = await secondsUntil(next)
    if (day < 2) t.ok(seconds <= 5, `at once: ${seconds}`)
    else t.equal(seconds, 600)
  }
  t.strictSame(await checksOf(shop), [
    [1, 1, 1],
    [0, 0, 0],
    [1, 1, 1],
  ])
  t.strictSame(await outreachOf(shop.tenantId, old.callId), ['skipped', 'too_late'])
  t.strictSame(await outreachOf(shop.tenantId, young.callId), ['scheduled', 'waiting'])
})

t.test('a job before its time asks nothing, nor does one without access', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${shop.tenantId}::text))`.execute(
    db,
  )
  await work()
  await db.deleteFrom('call_log_access').where('tenant_id', '=', shop.tenantId).execute()
  await checkNow(shop)
  t.strictSame(
    voicenter.requests().filter(request => request.account === account.id),
    [],
  )
  t.strictSame(await jobs(`call_log:${shop.tenantId}`), [])
})
