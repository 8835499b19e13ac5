/** Store and enqueue are one transaction: if either fails, nothing is kept and the sender comes again. */
import { sql } from 'kysely'
import t from 'tap'
import { business, CDR, contents, db, jobs, OK, post, rejectedOf } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const run = (statement: string) => sql.raw(statement).execute(db)

const ADD_JOBS = 'graphile_worker.add_jobs(graphile_worker.job_spec[], boolean)'
const replaced = (body: string) => ({
  breakIt: async () => {
    await run(`alter function ${ADD_JOBS} rename to real_add_jobs`)
    await run(`create function graphile_worker.add_jobs(
        specs graphile_worker.job_spec[], job_key_preserve_run_at boolean default false)
      returns setof graphile_worker._private_jobs language sql as $$ ${body} $$`)
  },
  mendIt: async () => {
    await run(`drop function ${ADD_JOBS}`)
    await run(`alter function ${ADD_JOBS.replace('add_jobs', 'real_add_jobs')} rename to add_jobs`)
  },
})
const raisingOn = (table: string) => ({
  breakIt: async () => {
    await run(`create function out_of_order() returns trigger language plpgsql
      as $$ begin raise exception 'out of order'; end $$`)
    await run(`create trigger out_of_order before insert on ${table}
      for each row execute function out_of_order()`)
  },
  mendIt: () => run('drop function out_of_order() cascade'),
})

/** What is broken for real, and what then cannot be stored. */
const FAULTS = {
  'graphile-worker’s function is gone': {
    breakIt: () => run(`alter function ${ADD_JOBS} rename to real_add_jobs`),
    mendIt: () =>
      run(`alter function ${ADD_JOBS.replace('add_jobs', 'real_add_jobs')} rename to add_jobs`),
  },
  'the job cannot be inserted': raisingOn('graphile_worker._private_jobs'),
  'no job is added, without an error': replaced(
    'select * from graphile_worker._private_jobs where false',
  ),
  'one job fewer is added than was asked for': replaced(
    'select * from graphile_worker.real_add_jobs(specs[2:], job_key_preserve_run_at)',
  ),
  'the record cannot be inserted': raisingOn('raw_cdrs'),
  'the wrong record cannot be kept': raisingOn('rejected_deliveries'),
  'the table is gone': {
    breakIt: () => run('alter table raw_cdrs rename to real_raw_cdrs'),
    mendIt: () => run('alter table real_raw_cdrs rename to raw_cdrs'),
  },
}

for (const [name, { breakIt, mendIt }] of Object.entries(FAULTS))
  await t.test(`when ${name} nothing is stored and the answer is 503`, async t => {
    const { tenantId, token } = await business()
    // Two good ones and a bad one, so that each fault meets what it concerns.
    const records = [push(), push()]
    const body = JSON.stringify([...records, { test: true }])
    const send = () => fetch(`${CDR}?token=${token}`, { method: 'POST', body })
    const before = await contents()

    await breakIt()
    const response = await send()
    await mendIt()
    t.equal(response.status, 503)
    t.match(response.headers.get('retry-after'), /^\d+$/)
    t.strictSame(await response.json(), { Err: 2, Errdesc: 'not stored; please send it again' })
    t.strictSame(await contents(), before, 'of all of it nothing')

    t.equal((await send()).status, 400, 'sent again, it is stored')
    t.match(await rejectedOf(tenantId), [{ deliveries: 1 }])
    for (const { ivruniqueid } of records) {
      t.equal((await jobs(`voicenter_cdr:${ivruniqueid}`)).length, 1)
      t.match(
        await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', ivruniqueid).execute(),
        [{ deliveries: 1 }],
      )
    }
  })

await t.test('a repeat needs no job, and so is not held up by the queue', async t => {
  const { token } = await business()
  const record = push()
  t.strictSame(await post(record, { token }), OK)
  const fault = FAULTS['the job cannot be inserted']
  await fault.breakIt()
  const answer = await post(record, { token })
  await fault.mendIt()
  t.strictSame(answer, OK)
})

await t.test(
  'while somebody locks the table the answer comes in time, and says to come again',
  async t => {
    const { token } = await business()
    const record = push()
    await db.transaction().execute(async trx => {
      await sql`lock table raw_cdrs in exclusive mode`.execute(trx)
      const started = performance.now()
      t.match(await post(record, { token }), { status: 503, body: { Err: 2 } })
      t.ok(performance.now() - started < 10_000)
    })
    t.strictSame(await post(record, { token }), OK)
  },
)
