/** Somebody holds a lock on our tables, as a migration or a person at psql does. (Case 30) */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  OK,
  outreachOf,
  post,
  work,
} from '../support/ringback.ts'
import { dueSince, miss, runAtOnce } from '../tasks/support.ts'

await t.test('a task waits three seconds for a lock, gives up, and is tried again', async t => {
  const shop = await business()
  const record = push({ caller: customer().local, did: shop.did })
  t.strictSame(await post(record, { token: shop.token }), OK)
  const key = `voicenter_cdr:${record.ivruniqueid}`
  await db.transaction().execute(async trx => {
    await sql`lock table missed_calls in access exclusive mode`.execute(trx)
    const started = performance.now()
    await work()
    const took = performance.now() - started
    t.ok(took > 2500 && took < 20_000, `${Math.round(took)} ms`)
    t.match(await jobs(key), [{ attempts: 1 }])
    t.strictSame(await post(push(), { token: shop.token }), OK, 'the door is not locked')
  })
  await runAtOnce(key)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
})

await t.test(
  'a message is not claimed while its lead is locked, and goes out once after it',
  async t => {
    const shop = await business()
    const who = customer()
    const { id, callId } = await miss(shop, who.local)
    await db.transaction().execute(async trx => {
      await sql`select from leads where tenant_id = ${shop.tenantId} for update`.execute(trx)
      await dueSince(id)
      t.strictSame(fake.inbox(who.e164), [])
      t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
    })
    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.equal(fake.inbox(who.e164).length, 1)
  },
)

await t.test('a transaction that somebody left open is ended, and its locks with it', async t => {
  const { rows } = await sql<{ setting: string }>`
    select setting from pg_settings where name = 'idle_in_transaction_session_timeout'`.execute(db)
  t.match(rows, [{ setting: '10000' }], 'of our own connections, after ten seconds')
})
