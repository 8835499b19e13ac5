/** The database goes away, is read-only or locked while the program works. (Cases 26, 27, 29, 30 and 31) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  ask,
  databaseProxy,
  IN_ORDER,
  lockedJobs,
  startProcess,
  waitUntil,
} from '../support/process.ts'
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
import { beingSent } from '../support/sending.ts'
import { dueSince, initialOf, miss, requestsOf, runAtOnce } from '../tasks/support.ts'
import { acknowledged, classified, startTraffic } from './traffic.ts'

const server = new URL(process.env['DATABASE_URL'] ?? '')
const database = server.pathname.slice(1)
server.pathname = '/postgres'
const admin = new pg.Client({ connectionString: server.href })
await admin.connect()
t.teardown(() => admin.end())

/** Ends every connection of the program and of this test. */
const endConnections = async () => {
  const { rowCount } = await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name like 'ringback%'`,
    [database],
  )
  // The test's own pool must notice too.
  await sleep(200)
  return rowCount
}

await t.test('away for five seconds: 503 meanwhile, then all work continues', async t => {
  const proxy = await databaseProxy()
  const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL })
  await program.running()
  const url = await program.url()
  const message = await beingSent(2000)
  const traffic = await startTraffic(program)
  await sleep(1000)

  proxy.disconnect()
  // The send ends during the outage, so its result cannot be recorded yet.
  await sleep(5000)
  t.ok(program.isAlive())
  t.match(await ask(`${url}/readyz`), { status: 503 })
  const during = traffic.answers.length
  await proxy.accept()
  const ready = await waitUntil('ready', async () => (await ask(`${url}/readyz`)).status === 200)
  const stored = await waitUntil('stored', () =>
    traffic.answers.slice(during).some(({ status }) => status === 200),
  )
  t.ok(ready + stored < 15, `back within ${(ready + stored).toFixed(1)} s`)
  await sleep(1000)
  const answers = await traffic.end()

  t.strictSame(
    new Set(answers.map(({ status, retryAfter }) => `${status} ${retryAfter}`)),
    new Set(['200 null', '503 5']),
  )
  const callIds = acknowledged(answers)
  const took = await waitUntil('classified', async () => (await classified(callIds)).open === 0)
  t.ok(took < 15, `classified within ${took.toFixed(1)} s`)
  t.equal((await classified(callIds)).stored, callIds.length, 'what was acknowledged is stored')
  await waitUntil('recorded', async () => (await message.outreach()) === 'sent accepted')
  await waitUntil('jobs are deleted', async () => (await lockedJobs()).length === 0)
  t.equal(message.received(), 1)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

await t.test(
  'a start waits for a database that accepts connections and does not answer',
  async t => {
    const proxy = await databaseProxy()
    proxy.delay(10_000)
    const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL })
    await program.says('waiting for the database')
    t.match(await ask(`${await program.url()}/readyz`), { status: 503 })
    proxy.delay(0)
    await program.running()
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  },
)

await t.test('connections end all the time: nothing is lost and nothing is sent twice', async t => {
  const CALLS = 30
  const shop = await business({ columns: { outreach_delay: '1 second' } })
  const program = startProcess()
  await program.running()
  const url = await program.url()
  const webhook = `${url}/webhooks/voicenter/cdr?token=${shop.token}`
  const people = Array.from({ length: CALLS }, () => customer())
  const cdrs = people.map(({ local }) => push({ caller: local, did: shop.did }))

  const statuses = new Set<number>()
  /** Repeats the delivery until it is answered with 200, as Voicenter does. */
  const deliver = async (cdr: unknown) => {
    for (let tries = 0; tries < 60; tries++) {
      const { status } = await ask(webhook, cdr)
      statuses.add(status)
      if (status === 200) return
      await sleep(200)
    }
    throw new Error('never stored')
  }
  const traffic = await startTraffic(program)
  let interrupting = true
  let interrupted = 0
  const interrupt = async () => {
    for (let round = 0; round < 12; round++) {
      interrupted += (await endConnections()) ?? 0
      await sleep(400)
    }
    interrupting = false
  }
  const interrupts = interrupt()
  for (const cdr of cdrs) {
    await deliver(cdr)
    if (interrupting) await sleep(100)
  }
  await interrupts
  t.ok(interrupted > 12, `${interrupted} connections ended`)
  const answers = await traffic.end()
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  t.strictSame(
    [...statuses].filter(status => status !== 200 && status !== 503),
    [],
  )
  const callIds = acknowledged(answers)
  const took = await waitUntil('classified', async () => (await classified(callIds)).open === 0)
  t.ok(took < 15, `classified within ${took.toFixed(1)} s`)
  t.equal((await classified(callIds)).stored, callIds.length)

  await waitUntil('all messages are sent', () =>
    people.every(({ e164 }) => fake.inbox(e164).length > 0),
  )
  // The message arrives at the fake before its result is recorded.
  await waitUntil('jobs are deleted', async () => (await lockedJobs()).length === 0)
  for (const [n, { ivruniqueid }] of cdrs.entries()) {
    t.strictSame(await outreachOf(shop.tenantId, ivruniqueid), ['sent', 'accepted'])
    t.equal(fake.inbox(people[n]?.e164 ?? '').length, 1)
  }
  t.equal(requestsOf(shop).length, CALLS)
  const raw = db.selectFrom('raw_cdrs').select('id').where('tenant_id', '=', shop.tenantId)
  t.equal((await raw.execute()).length, CALLS)
  t.ok(program.isAlive())
  t.match(await ask(`${url}/readyz`), { status: 200 })
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

const setReadOnly = (value: 'on' | 'off') =>
  admin.query(`alter database ${database} set default_transaction_read_only = ${value}`)

await t.test('read-only, as in a failover: 503 and no message until it is writable', async t => {
  const shop = await business()
  const caller = customer()
  const { id, callId } = await miss(shop, caller.local)
  const cdr = push({ caller: customer().local, did: shop.did })

  await setReadOnly('on')
  await endConnections()
  t.match(await post(cdr, shop), { status: 503, body: { Err: 2 } })
  t.match(await post({ bad: 1 }, shop), { status: 503 }, 'a rejected delivery too')

  await setReadOnly('off')
  await endConnections()
  t.strictSame(await post(cdr, shop), OK)
  t.equal((await jobs(`voicenter_cdr:${cdr.ivruniqueid}`)).length, 1)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(fake.inbox(caller.e164).length, 1)
})

await t.test('connections that were opened while it was read-only are replaced', async t => {
  const shop = await business()
  await setReadOnly('on')
  await endConnections()
  for (let n = 0; n < 10; n++) t.match(await post(push(), shop), { status: 503 })
  // The sessions keep their setting, and this time nothing ends them.
  await setReadOnly('off')
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(push(), shop)))
  t.ok(answers.every(({ status }) => status === 200))
  await endConnections()
  t.strictSame(await post(push(), shop), OK)
  await sql`select 1`.execute(db)
  await work()
})

await t.test('a task waits three seconds for a lock, fails, and is retried', async t => {
  const shop = await business()
  const cdr = push({ caller: customer().local, did: shop.did })
  t.strictSame(await post(cdr, shop), OK)
  const key = `voicenter_cdr:${cdr.ivruniqueid}`
  await db.transaction().execute(async trx => {
    await sql`lock table missed_calls in access exclusive mode`.execute(trx)
    const started = performance.now()
    await work()
    const took = performance.now() - started
    t.ok(took > 2500 && took < 20_000, `${Math.round(took)} ms`)
    t.match(await jobs(key), [{ attempts: 1 }])
    t.strictSame(await post(push(), shop), OK, 'the webhook does not need the table')
  })
  await runAtOnce(key)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, cdr.ivruniqueid), ['scheduled', 'waiting'])
})

await t.test('a message is not claimed while its lead is locked, and sent once after', async t => {
  const shop = await business()
  const caller = customer()
  const { id, callId } = await miss(shop, caller.local)
  await db.transaction().execute(async trx => {
    await sql`select from leads where tenant_id = ${shop.tenantId} for update`.execute(trx)
    await dueSince(id)
    t.strictSame(fake.inbox(caller.e164), [])
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  })
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(fake.inbox(caller.e164).length, 1)
})

await t.test('Postgres ends a transaction that is left open for ten seconds', async t => {
  const { rows } = await sql<{ setting: string }>`
    select setting from pg_settings where name = 'idle_in_transaction_session_timeout'`.execute(db)
  t.match(rows, [{ setting: '10000' }])
})

await t.test('a result is recorded although a lock outlasts the lock timeout', async t => {
  const shop = await business()
  const caller = customer()
  const { id, callId } = await miss(shop, caller.local)
  fake.script({ to: caller.e164, outcome: { kind: 'accept', delayMs: 300 } })
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await runAtOnce(`lead_outreach:${id}`)
  const done = work()
  await waitUntil('sent', () => fake.inbox(caller.e164).length > 0)
  // Longer than lock_timeout (3 s), so the first attempt to record fails.
  await db.transaction().execute(async trx => {
    await sql`select from leads where phone = ${caller.e164} for update`.execute(trx)
    await sql`select pg_sleep(4)`.execute(trx)
  })
  await done
  await waitUntil('recorded', async () => (await initialOf(id)).state === 'accepted')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(fake.inbox(caller.e164).length, 1)
})
