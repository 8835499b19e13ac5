/** SIGTERM before it has come up: it ends all the same, and leaves nothing half done. (Case 39) */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import pg from 'pg'
import t from 'tap'
import {
  ask,
  IN_ORDER,
  lineToDatabase,
  soon,
  startProcess,
  workerPools,
} from '../support/process.ts'
import { testDatabaseUrl } from '../support/postgres.ts'

const admin = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
await admin.connect()
t.teardown(() => admin.end())
const portOf = (server: Server) => {
  const address = server.address()
  return address && typeof address === 'object' ? address.port : 0
}

await t.test('asked to stop while it waits for the database, it does', async t => {
  const line = await lineToDatabase()
  line.refuse()
  const away = startProcess({ DATABASE_URL: line.DATABASE_URL })
  await away.says('waiting for the database')
  away.signal('SIGTERM')
  t.match(await away.ended(), IN_ORDER)

  const hole = createServer().listen(0)
  await once(hole, 'listening')
  t.teardown(() => hole.close())
  const silent = startProcess({ DATABASE_URL: `postgres://127.0.0.1:${portOf(hole)}/ringback` })
  await silent.url()
  silent.signal('SIGTERM')
  t.match(await silent.ended(), IN_ORDER, 'also where nobody answers')
})

await t.test('asked to stop as soon as it listens, it does', async t => {
  const program = startProcess()
  await program.url()
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  t.strictSame(await workerPools(), [])
})

await t.test('asked to stop in the middle of a migration, it leaves none half done', async t => {
  const name = `ringback_test_${process.pid}_half`
  await admin.query(`create database ${name}`)
  t.teardown(() => admin.query(`drop database ${name} with (force)`))
  const url = await testDatabaseUrl(name)
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  const { pid } =
    (await other.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0] ?? {}
  // The name of one of the last tables is taken, by somebody who has not decided yet.
  await other.query('begin; create table audit_log ()')
  const program = startProcess({ NODE_ENV: 'test', DATABASE_URL: url })
  await program.url()
  const others = async (state: string) => {
    const { rowCount } = await admin.query(
      `select from pg_stat_activity where datname = $1 and pid <> $2 and ${state}`,
      [name, pid],
    )
    return rowCount
  }
  await soon('the migration waits', async () => (await others(`wait_event_type = 'Lock'`)) === 1)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  await other.query('rollback')
  await soon('its session has gone', async () => (await others('true')) === 0)
  const { rows } = await other.query(
    `select tablename from pg_tables where schemaname = 'public' and tablename not like 'kysely%'`,
  )
  t.strictSame(rows, [])
  await other.end()

  const next = startProcess({ NODE_ENV: 'test', DATABASE_URL: url })
  await next.running()
  t.match(await ask(`${await next.url()}/readyz`), { status: 200 }, 'the next one does it all')
  next.signal('SIGTERM')
  t.match(await next.ended(), IN_ORDER)
})
