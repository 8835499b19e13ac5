/** A batch of calls reads few rows for each call, whatever Postgres knew about its tables when it made its plans. */
import { type Kysely, sql } from 'kysely'
import t from 'tap'
import type { DB } from '../../app/db/generated.ts'
import { type Trx, useGenericPlan } from '../../app/db/kysely.ts'
import { readContext } from '../../app/outreach/contact_context.ts'
import { classifyCalls } from '../../app/voicenter/calls.ts'
import { findCalls, takeQueued } from '../../app/voicenter/pending_calls.ts'
import { answeredPush, type Push, push } from '../../scripts/demo/cdr.ts'
import { type Business, business, customer, db, post, work } from '../support/ringback.ts'

const AT_ONCE = 16
/** For each call, of one table or index. Reading all calls of this test for a batch of ten would be 42 for each. */
const FEW = 30

const missed = ({ did }: Business, count: number): Push[] =>
  Array.from({ length: count }, () => push({ caller: customer().local, did }))

/** What this transaction has done so far: the rows or entries that it read of each table and index. */
const soFar = async (trx: Trx) => {
  const { rows } = await sql<{ what: string; count: number }>`
    select oid::regclass::text as what, pg_stat_get_xact_tuples_returned(oid)::int as count from pg_class
    where relkind in ('r', 'i') and relname not like 'pg\\_%'
    union all
    select 'updated leads', pg_stat_get_xact_tuples_updated('leads'::regclass)::int`.execute(trx)
  return new Map(rows.map(({ what, count }) => [what, count]))
}

const scheduledIn = async (trx: Trx): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from missed_calls where outreach_state = 'scheduled'`.execute(trx)
  return rows[0]?.count ?? NaN
}

/** How many CDRs are read, through any index, to find queued calls. */
const readToFindQueued = async (): Promise<number> => {
  const trx = await db.startTransaction().execute()
  await useGenericPlan(trx)
  const before = await soFar(trx)
  await takeQueued(trx)
  const now = await soFar(trx)
  await trx.rollback().execute()
  const indexes = [...now.keys()].filter(what => what.startsWith('raw_cdrs'))
  return indexes.reduce((sum, what) => sum + (now.get(what) ?? 0) - (before.get(what) ?? 0), 0)
}

/** Classifies the calls of these CDRs, and takes it back. */
const classify = async (connection: Kysely<DB>, cdrs: readonly Push[]) => {
  const trx = await connection.startTransaction().execute()
  await useGenericPlan(trx)
  const scheduled = await scheduledIn(trx)
  const before = await soFar(trx)
  const { calls } = await findCalls(
    trx,
    cdrs.map(({ ivruniqueid }) => ivruniqueid),
  )
  const recorded = await classifyCalls(trx, calls)
  const now = await soFar(trx)
  const scheduledNow = await scheduledIn(trx)
  await trx.rollback().execute()
  const done = (what: string) => (now.get(what) ?? 0) - (before.get(what) ?? 0)
  return {
    recorded: recorded.length,
    updatedLeads: done('updated leads'),
    scheduled: scheduledNow - scheduled,
    tooMany: [...now.keys()]
      .map(what => [what, done(what) / cdrs.length] as const)
      .filter(([, perCall]) => perCall > FEW),
  }
}

const analyze = () => sql`analyze`.execute(db)
const SITUATIONS: [name: string, prepare: (connection: Kysely<DB>) => Promise<unknown>][] = [
  ['the tables were never analysed', async () => {}],
  ['the tables were analysed when they were small', analyze],
  [
    'other transactions ran the statements when the tables were small',
    async connection => {
      await analyze()
      const { id } = await connection.selectFrom('tenants').select('id').executeTakeFirstOrThrow()
      const call = { tenantId: id, caller: '0501234567', calledAt: new Date(), missedCallId: null }
      // Postgres plans a prepared statement without its values from the sixth time on.
      for (let n = 0; n < 7; n++) {
        await findCalls(connection, ['unknown'])
        await connection.transaction().execute(trx => readContext(trx, call))
      }
    },
  ],
]

for (const [name, prepare] of SITUATIONS)
  t.test(name, t =>
    db.connection().execute(async connection => {
      await sql`truncate raw_cdrs, missed_calls, leads cascade`.execute(db)
      const shop = await business()
      const first = missed(shop, 12)
      await post(first, shop)
      await work()
      await prepare(connection)
      // Postgres plans now, and keeps its plans.
      const early = [...missed(shop, 2), ...first.slice(0, 2).map(answeredBy(shop))]
      await post(early, shop)
      t.match(await classify(connection, early), { recorded: 2 })
      await post(missed(shop, 400), shop)
      await work(AT_ONCE)
      await sql`
        insert into messages (tenant_id, lead_id, direction, kind, state, wamid, wa_id, text)
        select tenant_id, id, 'in', 'inbound', 'received', 'wamid.' || id, ltrim(phone, '+'), 'x' from leads`.execute(
        db,
      )

      const fresh = missed(shop, 10)
      await post(fresh, shop)
      const nothing = { recorded: 0, updatedLeads: 0, scheduled: 0, tooMany: [] }
      t.strictSame(
        await classify(connection, fresh),
        { ...nothing, recorded: 10, scheduled: 10 },
        'missed calls. A new lead is written once',
      )
      await work(AT_ONCE)
      const answered = fresh.map(answeredBy(shop))
      await post(answered, shop)
      t.strictSame(
        await classify(connection, answered),
        { ...nothing, updatedLeads: 10, scheduled: -10 },
        'talks with people who wait',
      )
    }),
  )

t.test(
  'few CDRs are read to find queued calls, if none lacked a tenant when the tables were analysed',
  async t => {
    await sql`truncate raw_cdrs, missed_calls, leads cascade`.execute(db)
    const shop = await business()
    await post(missed(shop, 30), shop)
    await work(AT_ONCE)
    await analyze()
    await sql`
      insert into raw_cdrs (call_id, root_call_id, content_hash, verdict, reason)
      select 'no tenant ' || n, 'no tenant ' || n, sha256(n::text::bytea),
             case when n % 2 = 0 then 'unmatched_number' end, case when n % 2 = 0 then 'number_dialled' end
      from generate_series(1, 4000) n`.execute(db)
    const read = await readToFindQueued()
    t.ok(read > 0 && read < 500, `${read} of 4,000`)
  },
)

const answeredBy = ({ did }: Business) => {
  return ({ caller }: Push) => answeredPush({ caller, did })
}
