/** Another session holds a lock on our tables, as a migration or a person at psql does. */
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
import { dueSince, initialOf, miss, runAtOnce, until } from '../tasks/support.ts'

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
    t.strictSame(await post(push(), { token: shop.token }), OK, 'webhooks are still accepted')
  })
  await runAtOnce(key)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
})

await t.test(
  'a message is not claimed while its lead is locked, and is sent once afterwards',
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

await t.test('Postgres ends a transaction of ours that stays open, with its locks', async t => {
  const { rows } = await sql<{ setting: string }>`
    select setting from pg_settings where name = 'idle_in_transaction_session_timeout'`.execute(db)
  t.match(rows, [{ setting: '10000' }], 'after ten seconds')
})

await t.test('an outcome is recorded although a lock outlasts the lock timeout', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({ to: dana.e164, outcome: { kind: 'accept', delayMs: 300 } })
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await runAtOnce(`lead_outreach:${id}`)
  const done = work()
  await until(() => fake.inbox(dana.e164).length > 0)
  // Longer than lock_timeout (3 s): the first try to record fails.
  await db.transaction().execute(async trx => {
    await sql`select from leads where phone = ${dana.e164} for update`.execute(trx)
    await sql`select pg_sleep(4)`.execute(trx)
  })
  await done
  await until(async () => (await initialOf(id)).state === 'accepted')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(fake.inbox(dana.e164).length, 1)
})
