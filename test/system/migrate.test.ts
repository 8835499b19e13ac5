/** npm run migrate, each time on a database of its own: empty, up to date, several processes at once, and errors. */
import { readdir } from 'node:fs/promises'
import pg from 'pg'
import t from 'tap'
import { testDatabaseUrl } from '../support/postgres.ts'
import { run } from '../scripts/command.ts'
import { ask, IN_ORDER, startProcess, waitUntil } from '../support/process.ts'

const admin = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await admin.connect()
t.teardown(() => admin.end())

const files = (await readdir(new URL('../../sql/', import.meta.url)))
  .filter(file => file.endsWith('.sql'))
  .toSorted()
let created = 0

/** A new, empty database, dropped when the test ends. */
const emptyDatabase = async (t: { teardown: (fn: () => Promise<unknown>) => void }) => {
  // With a name that test/support/template.ts cleans up if this run is killed.
  const name = `ringback_test_${process.pid}${'_'.repeat(++created)}`
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
/** The columns and functions of both schemas. */
const structure = (url: string) =>
  query(
    url,
    `select table_schema, table_name, column_name, data_type, column_default from information_schema.columns
     where table_schema in ('public', 'graphile_worker')
     union all select routine_schema, routine_name, routine_definition, '', '' from information_schema.routines
     where routine_schema in ('public', 'graphile_worker') order by 1, 2, 3, 4, 5`,
  )
const applied = (names: string[]) => ({
  status: 0,
  stdout: [...names.map(name => `applied ${name}`), 'the database is up to date', ''].join('\n'),
  stderr: '',
})

await t.test('an empty database is brought up to date; a second run changes nothing', async t => {
  const url = await emptyDatabase(t)
  t.strictSame(await migrate(url), applied(files))
  const before = await structure(url)
  t.strictSame(await structure(process.env['DATABASE_URL'] ?? ''), before, 'as in every test')
  await query(url, `insert into tenants (name) values ('A')`)
  await query(url, `select graphile_worker.add_job('voicenter_cdr', '{"callId":"1"}')`)

  t.strictSame(await migrate(url), applied([]))
  t.strictSame(await structure(url), before)
  t.match(await query(url, 'select name from tenants'), [{ name: 'A' }])
  t.equal((await query(url, 'select from graphile_worker.jobs')).length, 1)
})

for (const processes of [2, 3, 4])
  await t.test(`${processes} processes at once apply each file once`, async t => {
    const url = await emptyDatabase(t)
    const results = await Promise.all(Array.from({ length: processes }, () => migrate(url)))
    for (const { status, stderr } of results) t.strictSame([status, stderr], [0, ''])
    t.strictSame(
      results.flatMap(({ stdout }) => stdout.match(/(?<=applied )\S+/g) ?? []).toSorted(),
      files,
    )
    t.strictSame(await structure(url), await structure(process.env['DATABASE_URL'] ?? ''))
  })

await t.test('a failed migration is rolled back as a whole and can be repeated', async t => {
  const url = await emptyDatabase(t)
  // A table with the name of one that the migration creates.
  await query(url, 'create table leads ()')
  const { status, stdout, stderr } = await migrate(url)
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /nothing was changed/)
  t.match(stderr, /relation "leads" already exists/, 'with the reason')
  t.match(await query(url, `select to_regclass('tenants') as tenants`), [{ tenants: null }])

  await query(url, 'drop table leads')
  t.strictSame(await migrate(url), applied(files))
})

await t.test('a migration does not wait long for a table that is in use', async t => {
  const url = await emptyDatabase(t)
  await migrate(url)
  // Back to 1.0.0.
  await query(
    url,
    `delete from kysely_migration where name >= '0009';
     alter table opt_outs drop column whatsapp_event_id;
     drop index whatsapp_events_of_person, whatsapp_events_owner_wrote;
     drop function happened_at;
     drop function raw_cdrs_check_tenant cascade;
     drop function raw_cdrs_delete_with_tenant cascade;
     alter table raw_cdrs add constraint raw_cdrs_tenant_id_fkey foreign key (tenant_id) references tenants on delete cascade`,
  )
  const before = await structure(url)
  const backup = new pg.Client({ connectionString: url })
  await backup.connect()
  for (const table of ['raw_cdrs', 'opt_outs']) {
    await backup.query(`begin; select from ${table}`)
    const { status, stdout, stderr } = await migrate(url)
    t.strictSame([status, stdout], [1, ''], table)
    t.match(stderr, /A table is in use.*Nothing was changed\. Run the migration again/s)
    t.notMatch(stderr, /\n +at /, 'without a stack trace')
    t.strictSame(await structure(url), before)
    await backup.query('rollback')
  }
  await backup.end()
  t.strictSame(await migrate(url), applied(['0009_tenant_of_cdr.sql', '0010_order_of_events.sql']))
  t.strictSame(await structure(url), await structure(process.env['DATABASE_URL'] ?? ''))
})

await t.test('after a rollback the database has more migrations, which is fine', async t => {
  const url = await emptyDatabase(t)
  await migrate(url)
  const newer = `insert into kysely_migration (name, timestamp) values ('9999_newer.sql', '2030-01-01')`
  await query(url, newer)
  t.strictSame(await migrate(url), applied([]))
})

await t.test('a database that was made from other files is refused', async t => {
  const url = await emptyDatabase(t)
  await migrate(url)
  for (const [title, name] of [
    ['an earlier text of a file', '0001_tenants.sql 00000000'],
    ['a file that no longer exists', '0001_businesses.sql 00000000'],
  ] as const) {
    await query(url, `update kysely_migration set name = '${name}' where name like '0001%'`)
    const before = await structure(url)
    const { status, stdout, stderr } = await migrate(url)
    t.strictSame([status, stdout], [1, ''], title)
    t.match(stderr, /migrated with other files than those in sql\/ now\. Nothing was changed/)
    t.match(stderr, /use a new, empty one.*delete \.data\/postgres/s, 'says what to do')
    t.notMatch(stderr, /\n +at /, 'without a stack trace')
    t.strictSame(await structure(url), before)
  }
})

await t.test('a program that is stopped during a migration leaves nothing half done', async t => {
  const url = await emptyDatabase(t)
  const name = new URL(url).pathname.slice(1)
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  const { rows: own } = await other.query<{ pid: number }>('select pg_backend_pid() as pid')
  // An open transaction holds the name of one of the last tables.
  await other.query('begin; create table audit_log ()')
  const program = startProcess({ NODE_ENV: 'test', DATABASE_URL: url })
  await program.url()
  const sessions = async (condition: string) => {
    const { rowCount } = await admin.query(
      `select from pg_stat_activity where datname = $1 and pid <> $2 and ${condition}`,
      [name, own[0]?.pid],
    )
    return rowCount
  }
  const isWaiting = async () => (await sessions(`wait_event_type = 'Lock'`)) === 1
  await waitUntil('the migration waits for the lock', isWaiting)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  await other.query('rollback')
  await waitUntil('its session has ended', async () => (await sessions('true')) === 0)
  const { rows } = await other.query(
    `select tablename from pg_tables where schemaname = 'public' and tablename not like 'kysely%'`,
  )
  t.strictSame(rows, [])
  await other.end()

  const next = startProcess({ NODE_ENV: 'test', DATABASE_URL: url })
  await next.running()
  t.match(await ask(`${await next.url()}/readyz`), { status: 200 }, 'the next start migrates')
  next.signal('SIGTERM')
  t.match(await next.ended(), IN_ORDER)
})

await t.test('without a database it fails', async t => {
  const { status, stdout, stderr } = await migrate('postgres://127.0.0.1:1/none')
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /ECONNREFUSED/)
})

await t.test('--help needs no database', async t => {
  const { status, stdout } = await migrate('postgres://127.0.0.1:1/none', ['--help'])
  t.equal(status, 0)
  t.match(stdout, /npm run migrate/)
})
