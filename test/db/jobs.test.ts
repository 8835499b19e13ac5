/**
 * A worker takes a job at the moment when it is added again. Then graphile-worker adds nothing, and returns a row of nulls
 * or fewer rows (graphile/worker#580). The code that adds a job must notice, and try again.
 */
import { sql } from 'kysely'
import t from 'tap'
import pg from 'pg'
import { push } from '../../scripts/demo/cdr.ts'
import { business, db, jobs, OK, post } from '../support/ringback.ts'
import { ask, lockedJobs, waitUntil, startProcess } from '../support/process.ts'
import { addJob } from '../../app/db/jobs.ts'

/** A worker takes this job. Its transaction ends when the test says so. */
const takenBySomebody = async (key: string) => {
  const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
  await client.connect()
  await client.query('begin')
  await client.query(
    `update graphile_worker._private_jobs set locked_by = 'pool-other', locked_at = now(), attempts = 1 where key = $1`,
    [key],
  )
  /** Resolves when another transaction waits for this job. */
  const commit = async () => {
    await waitUntil('a transaction waits', async () => {
      const { rows } = await sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
        db,
      )
      return rows.length > 0
    })
    await client.query('commit')
    await client.end()
  }
  return { commit }
}
const waiting = async (key: string) =>
  sql`select graphile_worker.add_job('whatsapp_event', '{"eventId":"1"}', job_key := ${key}::text)`.execute(
    db,
  )

await t.test('graphile-worker itself raises no error', async t => {
  // If this fails, graphile-worker has fixed the bug.
  await waiting('whatsapp_event:1')
  const other = await takenBySomebody('whatsapp_event:1')
  const [{ rows }] = await Promise.all([
    sql<{ id: string | null }>`
      select id from graphile_worker.add_job('whatsapp_event', '{"eventId":"1"}', job_key := 'whatsapp_event:1')`.execute(
      db,
    ),
    other.commit(),
  ])
  t.strictSame(rows, [{ id: null }])
})

await t.test('addJob throws, so that the transaction is rolled back', async t => {
  await waiting('whatsapp_event:2')
  const other = await takenBySomebody('whatsapp_event:2')
  const adding = db.transaction().execute(async trx => {
    await sql`insert into tenants (name) values ('never')`.execute(trx)
    await addJob(trx, 'whatsapp_event', '2', { eventId: '2' }, { tenantId: null })
  })
  await Promise.all([
    t.rejects(adding, { message: 'job whatsapp_event:2 was not added' }),
    other.commit(),
  ])
  t.strictSame(
    await db.selectFrom('tenants').select('id').where('name', '=', 'never').execute(),
    [],
  )
})

await t.test(
  'a CDR that comes at that moment is stored with its job at the second try',
  async t => {
    const { token } = await business()
    const first = push({ caller: 'anonymous' })
    t.strictSame(await post(first, { token }), OK)
    const key = `voicenter_cdr:${first.ivruniqueid}`
    const other = await takenBySomebody(key)
    const [answer] = await Promise.all([post({ ...first, duration: 7 }, { token }), other.commit()])
    t.strictSame(answer, OK)
    const rows = await db
      .selectFrom('raw_cdrs')
      .select('id')
      .where('call_id', '=', first.ivruniqueid)
      .execute()
    t.equal(rows.length, 2)
    t.match(
      await jobs(key),
      [{ attempts: 0 }],
      'a new job, since the running one may have read the CDRs already',
    )
  },
)

await t.test(
  'CDRs race with a worker that takes the jobs of their calls: all are classified',
  async t => {
    await sql`delete from graphile_worker._private_jobs`.execute(db)
    const program = startProcess()
    await program.running()
    const { token } = await business()
    const webhook = `${await program.url()}/webhooks/voicenter/cdr?token=${token}`
    const calls = Array.from({ length: 8 }, () => push({ caller: 'anonymous' }))
    // Voicenter repeats a request that was answered 503.
    const stored = async (record: object): Promise<void> => {
      const { status } = await ask(webhook, record)
      if (status === 200) return
      t.equal(status, 503)
      await stored(record)
    }
    await Promise.all(
      calls.flatMap(call =>
        Array.from({ length: 40 }, (_, duration) => stored({ ...call, duration })),
      ),
    )
    const ids = calls.map(call => call.ivruniqueid)
    const classified = async () => {
      const open = db.selectFrom('raw_cdrs').select('id').where('verdict', 'is', null)
      return (await open.where('call_id', 'in', ids).execute()).length === 0
    }
    await waitUntil(
      'classified',
      async () => (await classified()) && (await lockedJobs()).length === 0,
    )
    const rows = await db.selectFrom('raw_cdrs').select('id').where('call_id', 'in', ids).execute()
    t.equal(rows.length, 8 * 40)
    t.strictSame(await jobs('voicenter_cdr'), [])
  },
)
