/** However much has been stored, looking for trouble and telling Prometheus read next to nothing of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { business } from '../support/ringback.ts'
import { db } from '../../app/db/kysely.ts'
import { readState } from '../../app/monitoring/metrics.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'

const shop = await business({ columns: { timezone: 'UTC' } })
const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
await client.connect()
t.teardown(() => client.end())
/** Seven numbers that nobody knows, each dialled thousands of times; the last call came two hours ago. */
await client.query(`
  insert into raw_cdrs (token_tenant_id, tenant_id, call_id, root_call_id, payload, content_hash, received_at, verdict, reason, business_phone)
  select ${shop.tenantId}, ${shop.tenantId}, 'c' || n, 'c' || n, '{}', sha256(('c' || n)::bytea),
         now() - n * interval '1 minute' - interval '2 hours',
         case when n % 2 = 0 then 'unmatched_number' else 'answered' end, 'x', '+97277200' || 1000 + n % 7
  from generate_series(1, 50000) n;
  insert into messages (tenant_id, direction, kind, state, claimed_at, attempts, to_phone)
  select ${shop.tenantId}, 'out', 'owner_notice', 'delivered', now() - n * interval '1 minute', 1, '+972502345678'
  from generate_series(1, 50000) n;
  insert into rejected_deliveries (tenant_id, source, reason, body, body_hash, received_at)
  select ${shop.tenantId}, 'voicenter', 'no', 'x', sha256(n::text::bytea), now() - n * interval '10 minutes'
  from generate_series(1, 50000) n;
  `)
await client.query('vacuum analyze')

/** Rows that were read, by way of an index or not, since the database was made. */
const read = async (): Promise<number> => {
  // What a session has done is counted once it does something more than a second later.
  await sleep(1200)
  await sql`select`.execute(db)
  const { rows } = await client.query<{ read: number }>(`
    select (sum(coalesce(seq_tup_read, 0)) + (select sum(idx_tup_read) from pg_stat_user_indexes
            where relname in ('raw_cdrs', 'messages', 'rejected_deliveries')))::int as read
    from pg_stat_user_tables where relname in ('raw_cdrs', 'messages', 'rejected_deliveries')`)
  return rows[0]?.read ?? 0
}

for (const [name, look] of [
  ['looking for trouble', () => checkAlerts(24 * 60 * 60_000)],
  ['telling Prometheus', readState],
] as const)
  await t.test(name, async t => {
    await look()
    const before = await read()
    const from = performance.now()
    await look()
    const took = performance.now() - from
    const rows = (await read()) - before
    t.comment(`${rows} rows, ${took.toFixed(0)} ms`)
    t.ok(rows < 2000, `${rows} rows`)
    t.ok(took < 2000, `${took.toFixed(0)} ms`)
  })

await t.test('or it would be seen', async t => {
  const before = await read()
  await sql`select count(*) from raw_cdrs where payload = '{"a":1}'`.execute(db)
  t.ok((await read()) - before > 25_000)
})
