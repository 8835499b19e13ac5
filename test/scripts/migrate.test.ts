/** npm run migrate, on databases of its own: empty, already up to date, and by several at once. */
import { readdir } from 'node:fs/promises'
import pg from 'pg'
import t from 'tap'
import { testDatabaseUrl } from '../support/postgres.ts'
import { run } from './command.ts'

const admin = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await admin.connect()
t.teardown(() => admin.end())

const files = (await readdir(new URL('../../sql/', import.meta.url))).toSorted()
let made = 0

/** A new database with nothing in it, dropped when the test ends. */
const emptyDatabase = async (t: { teardown: (fn: () => Promise<unknown>) => void }) => {
  // Named as the test's own, so that a run which is killed leaves nothing for good.
  const name = `ringback_test_${process.pid}${'_'.repeat(++made)}`
  await admin.query(`create database ${name}`)
  t.teardown(() => admin.query(`drop database ${name} with (force)`))
  return testDatabaseUrl(name)
}
const migrate = (DATABASE_URL: string, args: string[] = []) =>
  run('migrate', args, { env: { DATABASE_URL } })
const query = async (connectionString: string, text: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}
/** Everything there is in the two schemas. */
const structure = (url: string) =>
  query(
    url,
    `select table_schema, table_name, column_name, data_type, column_default from information_schema.columns
     where table_schema in ('public', 'graphile_worker')
     union all select routine_schema, routine_name, routine_definition, '', '' from information_schema.routines
     where routine_schema in ('public', 'graphile_worker') order by 1, 2, 3, 4, 5`,
  )
const applied = (names: string[]) =>
  [...names.map(name => `applied ${name}`), 'the database is up to date', ''].join('\n')

await t.test('an empty database is brought up to date, a second time changes nothing', async t => {
  const url = await emptyDatabase(t)
  t.strictSame(await migrate(url), { status: 0, stdout: applied(files), stderr: '' })
  const there = await structure(url)
  t.strictSame(await structure(process.env['DATABASE_URL'] ?? ''), there, 'as every test gets it')
  await query(url, `insert into tenants (name) values ('A')`)
  await query(url, `select graphile_worker.add_job('voicenter_cdr', '{"callId":"1"}')`)

  t.strictSame(await migrate(url), { status: 0, stdout: applied([]), stderr: '' })
  t.strictSame(await structure(url), there)
  t.match(await query(url, 'select name from tenants'), [{ name: 'A' }])
  t.equal((await query(url, 'select from graphile_worker.jobs')).length, 1)
})

for (const round of [1, 2, 3])
  await t.test(
    `several processes at once on an empty database: each file is applied once, ${round}`,
    async t => {
      const url = await emptyDatabase(t)
      const results = await Promise.all(Array.from({ length: round + 1 }, () => migrate(url)))
      for (const { status, stderr } of results) t.strictSame([status, stderr], [0, ''])
      t.strictSame(
        results.flatMap(({ stdout }) => stdout.match(/(?<=applied )\S+/g) ?? []).toSorted(),
        files,
      )
      t.strictSame(await structure(url), await structure(process.env['DATABASE_URL'] ?? ''))
    },
  )

await t.test('what fails is undone as a whole, and can be tried again', async t => {
  const url = await emptyDatabase(t)
  // The name of a table that is to be made is taken.
  await query(url, 'create table leads ()')
  const { status, stdout, stderr } = await migrate(url)
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /nothing was changed/)
  t.match(stderr, /relation "leads" already exists/, 'with the reason')
  t.match(await query(url, `select to_regclass('tenants') as tenants`), [{ tenants: null }])

  await query(url, 'drop table leads')
  t.strictSame(await migrate(url), { status: 0, stdout: applied(files), stderr: '' })
})

await t.test(
  'after a rollback, on a database that has seen more, nothing is to be done',
  async t => {
    const url = await emptyDatabase(t)
    await migrate(url)
    const newer = `insert into kysely_migration (name, timestamp) values ('9999_newer.sql', '2030-01-01')`
    await query(url, newer)
    t.strictSame(await migrate(url), { status: 0, stdout: applied([]), stderr: '' })
  },
)

await t.test('without a database the release fails', async t => {
  const { status, stdout, stderr } = await migrate('postgres://127.0.0.1:1/none')
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /ECONNREFUSED/)
})

await t.test('help needs no database', async t => {
  const { status, stdout } = await migrate('postgres://127.0.0.1:1/none', ['--help'])
  t.equal(status, 0)
  t.match(stdout, /npm run migrate/)
})
