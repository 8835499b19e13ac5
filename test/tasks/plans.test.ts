/** A batch of calls reads few index entries for each call, whatever Postgres knew about its tables when it made its plans. */
import { sql } from 'kysely'
import t from 'tap'
import { type Trx, useGenericPlan } from '../../app/db/kysely.ts'
import { classifyCalls } from '../../app/voicenter/calls.ts'
import { findCalls } from '../../app/voicenter/pending_calls.ts'
import { answeredPush, type Push, push } from '../../scripts/demo/cdr.ts'
import { type Business, business, customer, db, post, work } from '../support/ringback.ts'

const AT_ONCE = 16
const FEW = 30

const missed = ({ did }: Business, count: number): Push[] =>
  Array.from({ length: count }, () => push({ caller: customer().local, did }))

/** What this transaction has done so far: the entries that it read of each index, and the leads that it updated. */
const soFar = async (trx: Trx) => {
  const { rows } = await sql<{ index: string; entries: number; leads: number }>`
    select indexrelid::regclass::text as index, pg_stat_get_xact_tuples_returned(indexrelid)::int as entries,
           pg_stat_get_xact_tuples_updated('leads'::regclass)::int as leads
    from pg_index`.execute(trx)
  return {
    leads: rows[0]?.leads ?? NaN,
    entries: new Map(rows.map(row => [row.index, row.entries])),
  }
}

/** Classifies the calls of these CDRs, and takes it back. */
const classify = async (cdrs: readonly Push[]) => {
  const trx = await db.startTransaction().execute()
  await useGenericPlan(trx)
  const before = await soFar(trx)
  const { calls } = await findCalls(
    trx,
    cdrs.map(({ ivruniqueid }) => ivruniqueid),
  )
  await classifyCalls(trx, calls)
  const after = await soFar(trx)
  await trx.rollback().execute()
  const read = [...after.entries].map(([index, entries]) => ({
    index,
    perCall: (entries - (before.entries.get(index) ?? 0)) / cdrs.length,
  }))
  return {
    calls: calls.length,
    updatedLeads: after.leads - before.leads,
    tooMany: read.filter(({ index, perCall }) => perCall > FEW && !index.startsWith('pg_')),
  }
}

/** Plans are made by the first calls. `before` runs when twelve calls have come. */
const manyCalls = async (before: () => Promise<unknown>): Promise<Business> => {
  const shop = await business()
  await post(missed(shop, 12), shop)
  await work()
  await before()
  for (const count of [12, 400]) {
    await post(missed(shop, count), shop)
    await work(AT_ONCE)
  }
  return shop
}

const SITUATIONS: [name: string, before: () => Promise<unknown>][] = [
  ['the tables were never analysed', async () => {}],
  ['the tables were analysed when they were small', () => sql`analyze`.execute(db)],
]

for (const [name, before] of SITUATIONS)
  t.test(name, async t => {
    await sql`truncate raw_cdrs, missed_calls, leads cascade`.execute(db)
    const shop = await manyCalls(before)
    const fresh = missed(shop, 50)
    await post(fresh, shop)
    t.strictSame(
      await classify(fresh),
      { calls: 50, updatedLeads: 0, tooMany: [] },
      'missed calls. A new lead is written once',
    )
    await work(AT_ONCE)
    const answered = fresh.map(({ caller }) => answeredPush({ caller, did: shop.did }))
    await post(answered, shop)
    t.match(await classify(answered), { calls: 50, tooMany: [] }, 'talks with people who wait')
  })
