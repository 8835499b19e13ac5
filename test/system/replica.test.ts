/** Pages with READ_DATABASE_URL: a real replica that lags, is away, or is no replica. */
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { startPair } from '../../scripts/chaos/pair.ts'
import { startProxy } from '../../scripts/chaos/proxy.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { run } from '../../scripts/processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringback-replica-'))
// The account that runs Postgres needs access.
chmodSync(folder, 0o755)
const pair = await startPair(folder)
t.teardown(pair.remove)
let target = pair.ports().standby
const proxy = await startProxy(() => [target])
t.teardown(proxy.close)
// Modules that read these settings are imported later.
process.env['DATABASE_URL'] = pair.programUrl
process.env['READ_DATABASE_URL'] = pair.urlOf(proxy.port)
await run(['scripts/migrate.ts'], { env: process.env })
const { business, customer, db, post, work } = await import('../support/ringback.ts')
const { asOperator } = await import('../support/ops.ts')
const { replicaDb } = await import('../../app/db/kysely.ts')
const { limits } = await import('../../app/db/replica.ts')
t.teardown(() => replicaDb.destroy())

const standby = new pg.Client({ connectionString: pair.adminUrl(pair.ports().standby) })
await standby.connect()
t.teardown(() => standby.end())
/** Until it is resumed, the standby receives commits and does not show them. */
const pause = () => standby.query('select pg_wal_replay_pause()')
const resume = () => standby.query('select pg_wal_replay_resume()')
const catchUp = async () => {
  const { rows } = await sql<{ lsn: string }>`select pg_current_wal_lsn()::text as lsn`.execute(db)
  for (let hasAll = false; !hasAll; await sleep(20)) {
    const { rows: found } = await standby.query<{ has: boolean }>(
      'select pg_last_wal_replay_lsn() >= $1::pg_lsn as has',
      [rows[0]?.lsn],
    )
    hasAll = found[0]?.has === true
  }
}

const shop = await business()
const misses = async () => {
  const caller = customer()
  await post(push({ did: shop.did, caller: caller.local }), { token: shop.token })
  await work()
  const call = await db
    .selectFrom('missed_calls')
    .select('id')
    .where('caller_phone', '=', caller.e164)
    .executeTakeFirstOrThrow()
  return { ...caller, missedCallId: call.id, shown: caller.local.replace(/^(...)(...)/, '$1-$2-') }
}
const AWAY = /Up to date · the replica is not available/
limits.awayMs = 500
const untilTriedAgain = () => sleep(limits.awayMs + 50)

await t.test('figures and lists are read from the replica, and say how old they are', async t => {
  const operator = await asOperator()
  const early = await misses()
  await catchUp()
  for (const path of ['', '/calls', '/leads', '/waiting', '/log'])
    t.match((await operator.get(`/ops${path}`)).text, /Up to date · read from the replica/, path)
  t.match((await operator.get('/ops/waiting')).text, early.shown)
  t.notMatch((await operator.get('/ops/tenants')).text, 'replica', 'forms come from the primary')

  await pause()
  t.teardown(resume)
  const late = await misses()
  await sleep(1200)
  const { text } = await operator.get('/ops/waiting')
  t.match(text, /As of \d+ seconds? ago · read from the replica/)
  t.notMatch(text, late.shown)
  t.equal((await operator.get('/ops/calls')).status, 200)

  const { lagSeconds } = limits
  limits.lagSeconds = 0
  const behind = (await operator.get('/ops/waiting')).text
  limits.lagSeconds = lagSeconds
  t.match(behind, /Up to date · the replica is too far behind/)
  t.match(behind, late.shown)
})

await t.test('a visitor sees their own action, although the replica lags', async t => {
  const operator = await asOperator()
  const other = await asOperator()
  const called = await misses()
  await catchUp()
  await pause()
  t.teardown(resume)
  const path = `/ops/waiting/${shop.tenantId}/cancel/${called.missedCallId}`
  t.equal((await operator.submit(path, { back: '/ops/waiting' })).status, 303)
  const mine = (await operator.get('/ops/waiting')).text
  t.notMatch(mine, called.shown)
  t.match(mine, /<p class="quiet">Up to date<\/p>/)
  t.match((await other.get('/ops/waiting')).text, called.shown)
})

await t.test('a row that has not arrived is read from the primary', async t => {
  const operator = await asOperator()
  await catchUp()
  await pause()
  t.teardown(resume)
  const { tenantId } = await business()
  t.equal((await operator.get(`/ops/calls?tenant=${tenantId}`)).status, 200)
  t.equal((await operator.get('/ops/calls?tenant=999999')).status, 404)
})

await t.test('without the replica the pages come from the primary, and say so', async t => {
  const operator = await asOperator()
  proxy.refuse()
  proxy.reset()
  const called = await misses()
  const { text } = await operator.get('/ops/waiting')
  t.match(text, AWAY)
  t.match(text, called.shown)
  await proxy.accept()
  t.match((await operator.get('/ops/waiting')).text, AWAY, 'it is not tried again at once')
  await untilTriedAgain()
  t.match((await operator.get('/ops/waiting')).text, /read from the replica/)
})

await t.test('if the position of the primary cannot be read, the pages still work', async t => {
  const operator = await asOperator()
  const admin = new pg.Client({ connectionString: pair.adminUrl(pair.ports().primary, 'ringback') })
  await admin.connect()
  await admin.query('revoke execute on function pg_control_system() from public')
  const { status, text } = await operator.get('/ops/waiting')
  await admin.query('grant execute on function pg_control_system() to public')
  await admin.end()
  t.equal(status, 200)
  t.match(text, /<p class="quiet">Up to date<\/p>/)
})

await t.test('a server that is not in recovery is not used', async t => {
  const operator = await asOperator()
  target = pair.ports().primary
  proxy.reset()
  await operator.get('/ops/waiting') // Finds the old connection closed.
  await untilTriedAgain()
  t.match((await operator.get('/ops/waiting')).text, AWAY)
  target = pair.ports().standby
  await untilTriedAgain()
  t.match(
    (await operator.get('/ops/waiting')).text,
    /read from the replica/,
    'no session stays on that server',
  )
})
