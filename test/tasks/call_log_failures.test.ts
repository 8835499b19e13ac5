/** Voicenter's call log refuses, fails or is away; and so were we. */
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
import { endAccess } from '../../app/tenants/call_log.ts'
import { scheduleChecks } from '../../app/voicenter/call_log/check.ts'

const HOUR = 3600
const TEN_MINUTES = 600

t.test('a refusal is written down in a word, and tried again in an hour', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  voicenter.script({ error: 2 })
  const before = await accessRow(shop)
  await checkNow(shop)
  const row = await accessRow(shop)
  t.match(row, { last_error: 'unauthorized', checked_until: before.checked_until })
  t.equal(await secondsUntil(row.next_check_at), HOUR)
  t.strictSame(await checksOf(shop), [])
  const [job] = await jobs(`call_log:${shop.tenantId}`)
  t.equal(job?.attempts, 0)
  t.equal(await secondsUntil(job?.run_at), HOUR)

  voicenter.script({ error: 4 })
  await checkNow(shop)
  const again = await accessRow(shop)
  t.equal(again.last_error, 'address_not_allowed')
  t.strictSame(again.failing_since, row.failing_since, 'since the first failure')

  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  t.match(await accessRow(shop), { last_error: null, failing_since: null })
  t.strictSame(await checksOf(shop), [[1, 1, 1]], 'nothing was left out meanwhile')
  const rows = await sql<{ text: string }>`
    select to_jsonb(a)::text as text from call_log_access a
    union all select to_jsonb(j)::text from graphile_worker.jobs j`.execute(db)
  for (const { text } of rows.rows) t.notMatch(text, account.code)
})

t.test('a disturbance is tried again in ten minutes', async t => {
  const shop = await business()
  await withCallLog(shop)
  for (const fault of [{ status: 500 }, { error: 1 }, { cut: true as const }]) {
    voicenter.script(fault)
    await checkNow(shop)
    const row = await accessRow(shop)
    t.match(row.last_error, /http_500|rate_limited|unreachable/)
    t.equal(await secondsUntil(row.next_check_at), TEN_MINUTES)
  }
})

t.test('a failure halfway keeps what was taken in, and the rest follows', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const calls = [20, 10].map(hours =>
    call({ caller: customer().local, did: shop.did }, hours * 3600),
  )
  voicenter.log(account, ...calls.map(({ record }) => record))
  const part = { ERROR_NUMBER: 0, TOTAL_HITS: 2, CDR_LIST: [calls[0]?.record] }
  const half = { ERROR_NUMBER: 0, TOTAL_HITS: 1, CDR_LIST: [calls[0]?.record] }
  voicenter.script(
    { status: 200, body: JSON.stringify(part) },
    { status: 200, body: JSON.stringify(half) },
    { status: 502 },
  )
  await checkNow(shop)
  t.match(await accessRow(shop), { last_error: 'http_502' })
  t.ok(await outreachOf(shop.tenantId, calls[0]?.callId ?? ''))
  t.notOk(await outreachOf(shop.tenantId, calls[1]?.callId ?? ''))
  await checkNow(shop)
  t.ok(await outreachOf(shop.tenantId, calls[1]?.callId ?? ''))
  t.strictSame(await checksOf(shop), [[2, 1, 1]])
})

t.test('a credential that cannot be opened fails alone, and is tried again', async t => {
  const shop = await business()
  const other = await business()
  await withCallLog(shop)
  await withCallLog(other)
  // Another tenant's, copied: it was sealed for that one.
  await sql`update call_log_access a set credential = b.credential from call_log_access b
            where a.tenant_id = ${shop.tenantId} and b.tenant_id = ${other.tenantId}`.execute(db)
  const before = voicenter.requests().length
  await checkNow(shop)
  t.match(await accessRow(shop), { last_error: 'unexpected_error' })
  t.equal(voicenter.requests().length, before, 'nobody was asked')
  t.equal((await jobs(`call_log:${shop.tenantId}`)).length, 1)
  await checkNow(other)
  t.match(await accessRow(other), { last_error: null })
})

t.test('after an outage every check is brought forward', async t => {
  const [shop, other] = [await business(), await business()]
  await withCallLog(shop)
  await withCallLog(other)
  for (const one of [shop, other, shop, other]) await checkNow(one)
  t.equal(await secondsUntil((await accessRow(shop)).next_check_at), HOUR)
  t.ok((await scheduleChecks()) >= 2)
  for (const one of [shop, other]) {
    const seconds = await secondsUntil((await accessRow(one)).next_check_at)
    t.ok(seconds >= TEN_MINUTES - 2 && seconds < TEN_MINUTES + 60, String(seconds))
    const queued = await jobs(`call_log:${one.tenantId}`)
    t.equal(queued.length, 1)
    t.equal(await secondsUntil(queued[0]?.run_at), seconds)
  }
  t.equal(await scheduleChecks(), 0, 'and only once')
})

t.test('one brought forward while a check runs is not put off again by it', async t => {
  const shop = await business()
  await withCallLog(shop)
  await checkNow(shop)
  voicenter.onRequest(async () => {
    voicenter.onRequest(null)
    await sql`update call_log_access set next_check_at = now() + interval '10 minutes'
              where tenant_id = ${shop.tenantId}`.execute(db)
  })
  await checkNow(shop)
  t.equal(await secondsUntil((await accessRow(shop)).next_check_at), TEN_MINUTES)
  const [job] = await jobs(`call_log:${shop.tenantId}`)
  t.equal(await secondsUntil(job?.run_at), TEN_MINUTES)
})

t.test('access that ends while a check runs stays ended', async t => {
  const shop = await business()
  await withCallLog(shop)
  voicenter.onRequest(async () => {
    voicenter.onRequest(null)
    await db.transaction().execute(trx => endAccess(trx, { as: 'command line' }, shop.tenantId))
  })
  await checkNow(shop)
  await work()
  t.strictSame(await jobs(`call_log:${shop.tenantId}`), [])
  t.strictSame(await checksOf(shop), [])
})
