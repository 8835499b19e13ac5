/** What is stored is paid for again in every index that holds it: a record in no more of them than it must be. */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, post, work } from '../support/ringback.ts'

/** The indexes of raw_cdrs that hold this record. */
const indexesHolding = async (callId: string): Promise<string[]> => {
  const { rows: indexes } = await sql<{ name: string; holds: string | null }>`
    select indexrelid::regclass::text as name, pg_get_expr(indpred, indrelid) as holds
    from pg_index where indrelid = 'raw_cdrs'::regclass order by 1`.execute(db)
  const holding: string[] = []
  for (const { name, holds } of indexes) {
    const { rows } = await sql`
      select from raw_cdrs where call_id = ${callId} and ${sql.raw(holds ?? 'true')}`.execute(db)
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

await t.test(
  'a record is in seven indexes when it comes, and in nine once it is judged',
  async t => {
    const shop = await business()
    const record = push({
      caller: customer().local,
      did: shop.did,
      status: 'ANSWER',
      targetextension: 'SIP1',
      duration: 30,
    })
    await post(record, { token: shop.token })
    t.strictSame(await indexesHolding(record.ivruniqueid), [...ALWAYS, 'raw_cdrs_unjudged'])
    await work()
    t.strictSame(
      await indexesHolding(record.ivruniqueid),
      [...ALWAYS, 'raw_cdrs_by_number', 'raw_cdrs_full', 'raw_cdrs_reached'].toSorted(),
    )
  },
)

await t.test('the records of a CallID are found by the key of repeats', async t => {
  await sql`
    insert into raw_cdrs (call_id, root_call_id, content_hash)
    select 'c' || n, 'c' || n, sha256(n::text::bytea) from generate_series(1, 20000) n`.execute(db)
  await sql`analyze raw_cdrs`.execute(db)
  const { rows } = await sql`explain select from raw_cdrs where call_id = any('{c7,c8}')`.execute(
    db,
  )
  t.match(JSON.stringify(rows), /using raw_cdrs_same_record/)
})
