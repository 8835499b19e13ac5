/** The schema: its conventions, and how many indexes a CDR is written to. */
import { readdirSync, readFileSync } from 'node:fs'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, post, work } from '../support/ringback.ts'

t.test('conventions', async t => {
  const { rows: columns } = await sql`
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and table_name not like 'kysely%'
      and data_type in ('timestamp without time zone', 'date', 'character varying', 'character')`.execute(
    db,
  )
  t.strictSame(columns, [], 'every time is a timestamptz, every text a text')

  const { rows: unnamed } = await sql`
    select conrelid::regclass::text as table_name, conname from pg_constraint
    where connamespace = 'public'::regnamespace and contype = 'c' and conname ~ '_check[0-9]*$'`.execute(
    db,
  )
  t.strictSame(unnamed, [], 'every check constraint has a name that says what it checks')

  const folder = new URL('../../sql/', import.meta.url)
  for (const file of readdirSync(folder)) {
    const lines = readFileSync(new URL(file, folder), 'utf8').split('\n')
    for (const [i, line] of lines.entries())
      if (/^create (table|function) /.test(line)) t.match(lines[i - 1], /^-- /, `why: ${line}`)
  }
})

/** The indexes of raw_cdrs that hold this CDR. */
const indexesHolding = async (callId: string): Promise<string[]> => {
  const { rows: indexes } = await sql<{ name: string; predicate: string | null }>`
    select indexrelid::regclass::text as name, pg_get_expr(indpred, indrelid) as predicate
    from pg_index where indrelid = 'raw_cdrs'::regclass order by 1`.execute(db)
  const holding: string[] = []
  for (const { name, predicate } of indexes) {
    const { rows } = await sql`
      select from raw_cdrs where call_id = ${callId} and ${sql.raw(predicate ?? 'true')}`.execute(
      db,
    )
    if (rows.length > 0) holding.push(name)
  }
  return holding
}

const ALWAYS = [
  'raw_cdrs_by_root',
  'raw_cdrs_by_time',
  'raw_cdrs_of_tenant_by_receipt',
  'raw_cdrs_of_tenant_by_time',
  'raw_cdrs_pkey',
  'raw_cdrs_same_record',
]

t.test('a CDR is in seven indexes when it is stored, and in nine when classified', async t => {
  const tenant = await business()
  const cdr = push({
    caller: customer().local,
    did: tenant.did,
    status: 'ANSWER',
    targetextension: 'SIP1',
    duration: 30,
  })
  await post(cdr, { token: tenant.token })
  t.strictSame(await indexesHolding(cdr.ivruniqueid), [...ALWAYS, 'raw_cdrs_unclassified'])
  await work()
  t.strictSame(
    await indexesHolding(cdr.ivruniqueid),
    [...ALWAYS, 'raw_cdrs_by_number', 'raw_cdrs_full', 'raw_cdrs_reached'].toSorted(),
  )
})

t.test('the unique key also finds the CDRs of a CallID', async t => {
  await sql`
    insert into raw_cdrs (call_id, root_call_id, content_hash)
    select 'c' || n, 'c' || n, sha256(n::text::bytea) from generate_series(1, 20000) n`.execute(db)
  await sql`analyze raw_cdrs`.execute(db)
  const { rows } = await sql`explain select from raw_cdrs where call_id = any('{c7,c8}')`.execute(
    db,
  )
  t.match(JSON.stringify(rows), /using raw_cdrs_same_record/)
})
