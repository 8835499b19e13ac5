/** With large tables, the sweep, the alerts and the metrics read few rows. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { lockFirstMessage, unreadUpdates } from '../../app/messages/message.ts'
import { readState } from '../../app/monitoring/metrics.ts'
import { requeueDueRows } from '../../app/worker/reconcile.ts'
import { business, db } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'

const shop = await business({ columns: { timezone: 'UTC' } })
const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
await client.connect()
t.teardown(() => client.end())

/** A session reports its statistics at its first query more than a second after the last report. */
const statistics = async <Row extends pg.QueryResultRow>(
  query: string,
): Promise<Row | undefined> => {
  await sleep(1200)
  await sql`select`.execute(db)
  return (await client.query<Row>(query)).rows[0]
}
const rowsRead = async (): Promise<number> => {
  const row = await statistics<{ read: number }>(`
    select (sum(coalesce(seq_tup_read, 0)) + (select sum(idx_tup_read) from pg_stat_user_indexes
            where relname in ('raw_cdrs', 'messages', 'rejected_deliveries')))::int as read
    from pg_stat_user_tables where relname in ('raw_cdrs', 'messages', 'rejected_deliveries')`)
  return row?.read ?? 0
}
const scansOfRawCdrs = async (): Promise<number> => {
  const row = await statistics<{ scans: number }>(
    `select seq_scan::int as scans from pg_stat_user_tables where relname = 'raw_cdrs'`,
  )
  return row?.scans ?? 0
}
/** Shows that the statistics would notice a query that reads the whole table. */
const readWholeTable = () =>
  sql`select count(*) from raw_cdrs where payload = '{"a":1}'`.execute(db)

await t.test('50,000 CDRs, messages and rejected deliveries', async t => {
  // Seven unknown numbers, each dialled thousands of times. The last call came two hours ago.
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
    from generate_series(1, 50000) n`)
  await client.query('vacuum analyze')
  const READERS = { alerts: () => checkAlerts(24 * 60 * 60_000), metrics: readState }
  for (const [name, read] of Object.entries(READERS)) {
    // The first call may raise alerts.
    await read()
    const before = await rowsRead()
    await read()
    const rows = (await rowsRead()) - before
    t.ok(rows < 2000, `${name}: ${rows} rows`)
  }
  const before = await rowsRead()
  await readWholeTable()
  t.ok((await rowsRead()) - before > 25_000, 'a whole table would be noticed')
})

await t.test('10,000 CDRs without a job among 100,000: the sweep adds jobs in batches', async t => {
  await client.query(`
    insert into raw_cdrs (call_id, root_call_id, payload, content_hash, verdict, reason, received_at)
    select 'old' || n, 'old' || n, '{}', sha256(('old' || n)::bytea), 'answered', 'person', now() - interval '1 day'
    from generate_series(1, 100000) n;
    insert into raw_cdrs (call_id, root_call_id, payload, content_hash, received_at)
    select 'open' || n, 'open' || n, '{}', sha256(('open' || n)::bytea), now() - interval '2 minutes'
    from generate_series(1, 10000) n;
    analyze raw_cdrs, missed_calls, messages, whatsapp_events, lead_conversations`)
  await scansOfRawCdrs()
  await requeueDueRows()
  const before = await scansOfRawCdrs()
  for (let times = 0; times < 3; times++) t.equal(await requeueDueRows(), 1000)
  t.equal(await scansOfRawCdrs(), before, 'the old CDRs are not read')
  await readWholeTable()
  t.ok((await scansOfRawCdrs()) > before, 'a whole table would be noticed')
})

await t.test('20,000 updates that were not read: a claim looks up those of one person', async t => {
  const { id } = await dueMessage(shop)
  const plan = () =>
    db.transaction().execute(async trx => {
      const message = await lockFirstMessage(trx, shop.tenantId, id)
      if (!message) throw new Error('no message')
      const { rows } = await sql<{
        'QUERY PLAN': string
      }>`explain ${unreadUpdates(message)}`.execute(trx)
      return rows.map(row => row['QUERY PLAN']).join('\n')
    })
  // As statistics say at quiet times that nothing is unread, and as they say during a flood.
  await client.query('vacuum analyze whatsapp_events')
  await client.query(`
    insert into whatsapp_events (tenant_id, field, kind, payload, person_ids, content_key)
    select ${shop.tenantId}, 'messages', 'message', '{}', array['9725' || n], sha256(n::text::bytea)
    from generate_series(1, 20000) n`)
  for (const when of ['before', 'after']) {
    const text = await plan()
    t.match(text, /Index Scan on whatsapp_events_unread/, `${when} the statistics are updated`)
    t.notMatch(text, /Seq Scan on whatsapp_events|whatsapp_events_waiting/)
    await client.query('analyze whatsapp_events')
  }
})
