/** npm run sql */
import { Readable, Writable } from 'node:stream'
import type pg from 'pg'
import t from 'tap'
import { newConnection } from '../../app/db/pool.ts'
import { run } from '../../scripts/sql.ts'

const connect = async (): Promise<pg.Client> => {
  const client = await newConnection('sql', { patient: true })
  await client.connect()
  return client
}
const sql = async (args: string[], { input = '', columns = 200 } = {}) => {
  const [out, err]: [string[], string[]] = [[], []]
  const into = (lines: string[]) =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(chunk.toString())
        done()
      },
    })
  const status = await run(args, {
    stdin: Readable.from([input]),
    stdout: Object.assign(into(out), { columns }),
    stderr: into(err),
    connect,
  })
  return { status, stdout: out.join(''), stderr: err.join('') }
}

t.test('it prints a table, a list, or JSON', async t => {
  const query = `select 1::bigint as id, 'דנה' as name, null as note, '{"a":1}'::jsonb as payload`
  t.strictSame(await sql([query]), {
    status: 0,
    stdout:
      'id | name | note | payload\n---+------+------+---------\n1  | דנה  |      | {"a": 1}\n1 row\n',
    stderr: '',
  })
  t.equal(
    (await sql([query], { columns: 20 })).stdout,
    '- row 1\nid       1\nname     דנה\nnote     \npayload  {"a": 1}\n1 row\n',
  )
  t.strictSame(JSON.parse((await sql([query, '--json'])).stdout), [
    { id: '1', name: 'דנה', note: null, payload: { a: 1 } },
  ])
  t.match(await sql([], { input: 'select 2 as two' }), { status: 0, stdout: /^two\n/ })
  t.match((await sql([`select e'\\x1b[2J\\u202e' as x`])).stdout, String.raw`\u001b[2J\u202e`)
  const many = await sql(['select n from generate_series(1, 200000) n'])
  t.match([many.status, many.stderr, many.stdout.slice(-12)], [0, '', '200000 rows\n'])
})

t.test('times are read in any DateStyle of the database', async t => {
  const setStyle = (clause: string) =>
    sql([
      '--write',
      `do $$ begin execute format('alter database %I ${clause}', current_database()); end $$`,
    ])
  t.match(await setStyle(`set datestyle = ''SQL, DMY''`), { status: 0 })
  t.teardown(() => setStyle('reset datestyle'))
  const { stdout } = await sql(['--json', `select timestamptz '2026-11-30 08:00Z' as at`])
  t.strictSame(JSON.parse(stdout), [{ at: '2026-11-30T08:00:00.000Z' }])
})

t.test('only --write changes data', async t => {
  const insert = `insert into tenants (name) values ('A') returning name`
  t.match(await sql([insert]), { status: 1, stderr: /read-only.*--write/ })
  t.match(await sql([`commit; ${insert}`]), { status: 1, stderr: /^one statement only/ })
  t.match((await sql(['select count(*) from tenants'])).stdout, /^0/m)
  t.match(await sql(['--write', insert]), { status: 0, stdout: /^A/m })
  t.match((await sql(['select count(*) from tenants'])).stdout, /^1/m)
  t.equal(
    (await sql(['--write', `delete from tenants where name = 'A'`])).stdout,
    'done; rows: 1\n',
  )
})

t.test('errors are short and say what to do', async t => {
  t.match(await sql(['select\n  nme from tenants']), {
    status: 1,
    stderr: /^column "nme" does not exist \(line 2\)\nhint: .*\n$/,
  })
  t.match(await sql(['select * from calls']), { status: 1, stderr: /npm run migrate/ })
  t.match(await sql(['select', '*']), { status: 2, stderr: /quotation marks/ })
  t.match(await sql([]), { status: 2, stderr: /expected a statement/ })
  t.match(await sql(['select 1; select 2']), { status: 1, stderr: /^one statement only/ })
  t.match(await sql(['--nonsense']), { status: 2, stderr: /--help/ })
  t.match(await sql(['--help']), { status: 0, stdout: /read-only/ })
})
