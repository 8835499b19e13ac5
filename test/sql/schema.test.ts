/** The schema: its conventions, the separation of tenants, and how many indexes a CDR is written to. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { type Trx, useGenericPlan } from '../../app/db/kysely.ts'
import { migrationNames } from '../../app/db/migrate.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { editedMigration, unlistedRelease } from '../../scripts/freeze.ts'
import { contacted } from '../outreach/support.ts'
import {
  business,
  type Business,
  customer,
  db,
  post,
  webhookToken,
  work,
} from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'

t.test('conventions', async t => {
  const { rows: columns } = await sql`
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and table_name not like 'kysely%'
      and data_type in ('timestamp without time zone', 'date', 'character varying', 'character')
      -- A day on the clock of the tenant is no moment.
      and (table_name, column_name) <> ('daily_figures', 'day')`.execute(db)
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

t.test('a migration of a release is never edited', async t => {
  const now = await migrationNames()
  const list = { version: '1.0.0', migrations: now }
  t.equal(unlistedRelease({ version: null, migrations: [] }, '0.9.0'), null)
  t.equal(unlistedRelease(list, '1.0.0'), null)
  t.match(unlistedRelease(list, '1.1.0'), 'does not list release 1.1.0')

  t.equal(editedMigration(list, [...now, '0099_new.sql 12345678']), null, 'a new file')
  const folder = pathToFileURL(`${t.testdir()}/`)
  cpSync(new URL('../../sql/', import.meta.url), folder, { recursive: true })
  const edit = (to: string) => {
    const file = new URL('0001_tenants.sql', folder)
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^create table/m, to))
  }
  edit('-- A comment.\n\ncreate table')
  t.equal(editedMigration(list, await migrationNames(folder)), null, 'only a comment')
  edit('create unlogged table')
  const problem = editedMigration(list, await migrationNames(folder))
  t.match(problem, /^sql\/0001_tenants.sql belongs to release 1.0.0 and was changed/)
})

/** Rows of these tables may belong to no tenant. */
const TENANT_MAY_BE_NULL = [
  'alerts',
  'audit_log',
  // A row without a tenant is the sum of all businesses.
  'daily_figures',
  'raw_cdrs',
  'rejected_deliveries',
  // Those of the operator.
  'sessions',
  'webhook_tokens',
  'whatsapp_events',
]
const WITHOUT_TENANT = ['quiet_days', 'tenants', 'whatsapp_verification', 'worker_pools']

/** The tables, and whether their tenant_id may be null. Null = they have none. */
const readTables = async (trx: Trx): Promise<Map<string, boolean | null>> => {
  const { rows } = await sql<{ name: string; nullable: boolean | null }>`
    select c.relname as name, not a.attnotnull as nullable
    from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname not like 'kysely%'`.execute(
    trx,
  )
  return new Map(rows.map(({ name, nullable }) => [name, nullable]))
}

type ForeignKey = {
  name: string
  table: string
  target: string
  /** The index of the key that it refers to. */
  index: string
  /** Each column with the one that it refers to, and whether it may be null. */
  columns: [string, string, boolean][]
  /** `on delete set null` without a list sets all columns to null. */
  setsNull: string[] | null
}

const readForeignKeys = async (trx: Trx): Promise<ForeignKey[]> => {
  const { rows } = await sql<ForeignKey>`
    select k.conname as name, k.conrelid::regclass::text as "table", k.confrelid::regclass::text as target,
           k.conindid::regclass::text as index,
           (select jsonb_agg(jsonb_build_array(a.attname, b.attname, not a.attnotnull) order by c.n)
            from unnest(k.conkey, k.confkey) with ordinality as c (own, other, n)
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.own
            join pg_attribute b on b.attrelid = k.confrelid and b.attnum = c.other) as columns,
           case when k.confdeltype = 'n' then array(
             select a.attname::text from pg_attribute a
             where a.attrelid = k.conrelid and a.attnum = any(coalesce(k.confdelsetcols, k.conkey))) end as "setsNull"
    from pg_constraint k
    where k.contype = 'f' and k.connamespace = 'public'::regnamespace order by k.conname`.execute(
    trx,
  )
  return rows
}

const keepsTenant = ({ columns }: ForeignKey): boolean =>
  columns.some(([own, other]) => own === 'tenant_id' && other === 'tenant_id')

/** What breaks the rule of sql/0001_tenants.sql: no row refers to a row of another tenant. */
const tenantProblems = async (trx: Trx): Promise<string[]> => {
  const tables = await readTables(trx)
  const keys = await readForeignKeys(trx)
  const problems: string[] = []
  for (const [table, nullable] of tables) {
    if (nullable === null && !WITHOUT_TENANT.includes(table))
      problems.push(`${table} has no tenant_id`)
    if (nullable === true && !TENANT_MAY_BE_NULL.includes(table))
      problems.push(`${table}.tenant_id may be null`)
    // A key with a column that is null checks nothing.
    const isChecked = keys.some(
      key =>
        key.table === table &&
        key.columns.some(([own]) => own === 'tenant_id') &&
        key.columns.every(([, , nullable]) => !nullable),
    )
    if (nullable === false && !isChecked) problems.push(`no key checks ${table}.tenant_id`)
  }
  for (const key of keys) {
    if ((tables.get(key.target) ?? null) === null) continue
    if (!keepsTenant(key)) problems.push(`${key.name} has no tenant_id`)
    // Without a tenant the key would check nothing.
    if (tables.get(key.table) !== false) problems.push(`${key.name} is of a table without tenant`)
    if (key.setsNull?.includes('tenant_id')) problems.push(`${key.name} sets tenant_id to null`)
  }
  return problems
}

/** Runs a step and takes back what it did. */
const tryOut = async <Result>(step: (trx: Trx) => Promise<Result>): Promise<Result> => {
  const trx = await db.startTransaction().execute()
  try {
    return await step(trx)
  } finally {
    await trx.rollback().execute()
  }
}

t.test(
  'every table that always belongs to a tenant names it, also in its foreign keys',
  async t => {
    t.strictSame(await tryOut(tenantProblems), [])

    const FAULTY = {
      'create table f (id bigint)': ['f has no tenant_id'],
      'create table f (tenant_id bigint references tenants)': ['f.tenant_id may be null'],
      'create table f (tenant_id bigint not null)': ['no key checks f.tenant_id'],
      'create table f (tenant_id bigint not null references tenants, id bigint primary key, parent bigint references f)':
        ['f_parent_fkey has no tenant_id'],
      'create table f (tenant_id bigint not null, lead bigint, foreign key (lead, tenant_id) references leads)':
        ['no key checks f.tenant_id'],
      'create table f (tenant_id bigint not null references tenants, lead bigint, foreign key (lead, tenant_id) references leads on delete set null)':
        ['f_lead_tenant_id_fkey sets tenant_id to null'],
      'alter table alerts add lead_id bigint, add foreign key (lead_id, tenant_id) references leads':
        ['alerts_lead_id_tenant_id_fkey is of a table without tenant'],
    }
    for (const [statement, problems] of Object.entries(FAULTY))
      t.strictSame(
        await tryOut(async trx => {
          await sql.raw(statement).execute(trx)
          return tenantProblems(trx)
        }),
        problems,
        statement,
      )
  },
)

/** A business with a row in every table that refers to another. */
const furnished = async (): Promise<Business> => {
  const { shop, who } = await contacted({ columns: { owner_phone: customer().e164 } })
  const { phoneNumberId } = shop
  await happens({ kind: 'text', from: who.e164, phoneNumberId, text: 'hello' })
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables)
    select tenant_id, id, 'initial', 'hello', 'he', '{}' from whatsapp_connections
    where tenant_id = ${shop.tenantId}`.execute(db)
  await sql`
    insert into live_calls (tenant_id, lead_id, phone, call_id, extension, phase, answered_at, is_answered, source)
    select tenant_id, id, phone, 'x', '', 'ringing', 0, false, 'popup' from leads where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`
    insert into popup_lookups (tenant_id, webhook_token_id, phone, is_refused)
    select tenant_id, id, ${who.e164}, false from webhook_tokens where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`
    with endpoint as (
      insert into event_endpoints (tenant_id, url, types, secret)
      values (${shop.tenantId}, 'https://example.com', '{lead.replied}', 'x') returning tenant_id, id
    ), event as (
      insert into events (tenant_id, type, lead_id, data)
      select tenant_id, 'lead.replied', id, '{}' from leads where tenant_id = ${shop.tenantId} returning id
    )
    insert into event_deliveries (tenant_id, event_id, event_endpoint_id)
    select endpoint.tenant_id, event.id, endpoint.id from endpoint, event`.execute(db)
  return shop
}

/** The name of the constraint that refuses a statement. Null = it is accepted. */
const refusedBy = async (trx: Trx, statement: () => Promise<unknown>): Promise<string | null> => {
  await sql`savepoint before_statement`.execute(trx)
  try {
    await statement()
    return null
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '23503') throw error
    return error.constraint ?? ''
  } finally {
    await sql`rollback to savepoint before_statement`.execute(trx)
  }
}

t.test('no row can refer to a row of another tenant', async t => {
  const [mine, theirs] = [await furnished(), await furnished()]
  const keys = (await tryOut(readForeignKeys)).filter(({ target }) => target !== 'tenants')
  t.ok(keys.length >= 8)
  for (const { name, table: from, target, columns } of keys)
    await tryOut(async trx => {
      const [column = ''] = columns.flatMap(([own]) => (own === 'tenant_id' ? [] : own))
      const [table, reference] = [sql.table(from), sql.ref(column)]
      // Their rows would break unique keys, which are checked first.
      if (from !== target)
        await sql`delete from ${table} where tenant_id = ${theirs.tenantId}`.execute(trx)
      const { rows } = await sql<{ place: string; row: object; other: string | null }>`
        select ctid::text as place, to_jsonb(t) as row,
               (select id from ${sql.table(target)} where tenant_id = ${theirs.tenantId} limit 1) as other
        from ${table} t where tenant_id = ${mine.tenantId} and ${reference} is not null limit 1`.execute(
        trx,
      )
      const [own] = rows
      if (!own?.other) return t.fail(`furnished() adds no row to ${from} or ${target}: ${name}`)

      const { place, row, other } = own
      const update = (what: typeof reference, to: string) =>
        refusedBy(trx, () =>
          sql`update ${table} set ${what} = ${to} where ctid = ${place}::tid`.execute(trx),
        )
      const insertAgain = (changes: object) =>
        refusedBy(trx, async () => {
          await sql`delete from ${table} where ctid = ${place}::tid`.execute(trx)
          await sql`
            insert into ${table} overriding system value
            select * from jsonb_populate_record(null::${table}, ${JSON.stringify({ ...row, ...changes })})`.execute(
            trx,
          )
        })
      t.equal(await update(reference, other), name, `${name}: update`)
      t.ok(await update(sql.ref('tenant_id'), theirs.tenantId), `${name}: update of the tenant`)
      t.equal(await insertAgain({ [column]: other }), name, `${name}: insert`)
      t.equal(await insertAgain({}), null, 'the same row without the change is accepted')
    })
})

t.test('rows go with their tenant, and a message stays without its connection', async t => {
  const [mine, theirs] = [await furnished(), await furnished()]
  const counts = async (trx: Trx, { tenantId }: Business) => {
    const tables = [...(await readTables(trx))].flatMap(([name, nullable]) =>
      nullable === false ? [name] : [],
    )
    const { rows } = await sql<{ name: string; rows: number; connected: number }>`
      ${sql.join(
        tables.map(
          name => sql`
            select ${name}::text as name, count(*)::int as rows,
                   count(to_jsonb(t) ->> 'whatsapp_connection_id')::int as connected
            from ${sql.table(name)} t where tenant_id = ${tenantId}`,
        ),
        sql` union all `,
      )}`.execute(trx)
    return rows
  }
  await tryOut(async trx => {
    const before = { mine: await counts(trx, mine), theirs: await counts(trx, theirs) }
    await sql`delete from whatsapp_connections where tenant_id = ${mine.tenantId}`.execute(trx)
    const messages = (of: typeof before.mine) => of.find(({ name }) => name === 'messages')
    const after = messages(await counts(trx, mine))
    t.equal(after?.rows, messages(before.mine)?.rows)
    t.equal(after?.connected, 0)
    await sql`delete from tenants where id = ${mine.tenantId}`.execute(trx)
    t.strictSame(
      (await counts(trx, mine)).filter(({ rows }) => rows > 0),
      [],
    )
    t.strictSame(await counts(trx, theirs), before.theirs)
  })
})

/** The plan of a query as the tasks run it. */
const planOf = (query: string): Promise<string> =>
  tryOut(async trx => {
    await useGenericPlan(trx)
    const { rows } = await sql.raw(`explain (format json) ${query}`).execute(trx)
    return JSON.stringify(rows)
  })

t.test('a CDR cannot be moved to a tenant that does not exist', async t => {
  const shop = await business()
  const record = push({ did: shop.did })
  await post(record, { token: await webhookToken(null) })
  const move = (tenantId: string) =>
    tryOut(trx =>
      sql`update raw_cdrs set tenant_id = ${tenantId} where call_id = ${record.ivruniqueid}`.execute(
        trx,
      ),
    )
  t.equal((await move(shop.tenantId)).numAffectedRows, 1n)
  await t.rejects(move('999999999'), { code: '23503' })
  const deletion = await planOf('delete from raw_cdrs where tenant_id = 1')
  t.match(deletion, /"Index Name":"raw_cdrs_of_tenant/, 'the CDRs of a deleted tenant are found')
})

t.test('a key is looked up in its own index, also before the table is analysed', async t => {
  for (const { name, target, index, columns } of await tryOut(readForeignKeys)) {
    // A tenant has a handful.
    if (target === 'whatsapp_connections') continue
    const isKey = columns.map(([, other]) => `${other} = 1`).join(' and ')
    const plan = await planOf(`select 1 from only ${target} where ${isKey} for key share`)
    t.match(plan, `"Index Name":"${index}"`, `${name} refers to ${target}`)
  }
  for (const [query, index] of [
    [`leads where tenant_id = 1 and phone = any('{a,b}')`, 'leads_one_per_person'],
    [`missed_calls where tenant_id = 1 and call_id = 'a'`, 'missed_calls_once'],
    [`missed_calls where tenant_id is not distinct from 1 and call_id = 'a'`, 'missed_calls_once'],
    [`raw_cdrs where tenant_id = 1 and root_call_id = 'a'`, 'raw_cdrs_by_root'],
    [`raw_cdrs where tenant_id is null and root_call_id = 'a'`, 'raw_cdrs_by_root'],
    [`raw_cdrs where call_id = 'a' and coalesce(verdict, '') = ''`, 'raw_cdrs_waiting'],
    [`raw_cdrs where tenant_id = 1 and call_id = 'a'`, 'raw_cdrs_same_record'],
    [
      `raw_cdrs where tenant_id is null and call_id = 'a' and verdict is not null`,
      'raw_cdrs_same_record',
    ],
  ] as const)
    t.match(await planOf(`select * from ${query}`), `"Index Name":"${index}"`, query)
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

t.test('a CDR is in eight indexes when it is stored, and in nine when classified', async t => {
  const tenant = await business()
  const cdr = push({
    caller: customer().local,
    did: tenant.did,
    status: 'ANSWER',
    targetextension: 'SIP1',
    duration: 30,
  })
  await post(cdr, { token: tenant.token })
  t.strictSame(await indexesHolding(cdr.ivruniqueid), [
    ...ALWAYS,
    'raw_cdrs_unclassified',
    'raw_cdrs_waiting',
  ])
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
