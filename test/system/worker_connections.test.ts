/** Workers that lose their connections to the database. (Case 29) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startHeartbeat } from '../../app/worker/liveness.ts'
import {
  databaseProxy,
  IN_ORDER,
  type Process,
  startProcess,
  waitUntil,
  workerPools,
} from '../support/process.ts'
import { db } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'
import { lockedBy, lockerOf, sessionOf } from '../worker/support.ts'

const ROLE = 'worker'
const stop = async (program: Process) => {
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
}

await t.test('a worker whose heartbeat session ends keeps its jobs', async t => {
  const interrupted = startHeartbeat('pool-interrupted')
  const other = startHeartbeat('pool-other')
  await Promise.all([interrupted.registered, other.registered])
  const job = await lockedBy('pool-interrupted')
  for (let times = 0; times < 3; times++) {
    const before = await sessionOf('pool-interrupted')
    await sql`select pg_terminate_backend(${before})`.execute(db)
    const took = await waitUntil('a new session holds the lock', async () => {
      const session = await sessionOf('pool-interrupted')
      return session !== undefined && session !== before
    })
    t.ok(took < 5, `within ${took.toFixed(1)} s`)
    await sleep(1100)
    t.equal(await lockerOf(job), 'pool-interrupted')
  }
  t.strictSame((await workerPools()).toSorted(), ['pool-interrupted', 'pool-other'])
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  await interrupted.stop()
  await other.stop()
})

await t.test('a worker whose connections fall silent gets new ones and keeps its jobs', async t => {
  const sessions = async () => {
    const { rows } = await sql<{ pid: number }>`
      select pid from pg_stat_activity
      where datname = current_database() and application_name = 'ringback liveness' order by pid`.execute(
      db,
    )
    return rows.map(({ pid }) => pid)
  }
  const registration = (id: string) =>
    db.selectFrom('worker_pools').selectAll().where('id', '=', id).executeTakeFirst()
  const proxy = await databaseProxy()
  const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL, ROLE })
  await program.running()
  await waitUntil('registered', async () => (await workerPools()).length === 1)
  const [pool = ''] = await workerPools()
  const [before] = await sessions()
  const registered = await registration(pool)
  // Another worker, which would unlock the jobs of a dead one.
  const other = startHeartbeat('pool-other')
  await other.registered

  proxy.silence()
  await waitUntil('there is a new session', async () => (await sessions()).length === 3)
  // The server keeps the old session, and the lock, until it notices.
  const took = await waitUntil('the old session has ended', async () => {
    const now = await sessions()
    return now.length === 2 && !now.includes(before ?? 0)
  })
  t.ok(took < 30, `${took.toFixed(1)} s`)
  const message = await dueMessage()
  await message.begin()
  await waitUntil('sent', async () => (await message.outreach()) === 'sent accepted')
  await waitUntil('the lock is held again', async () => (await sessionOf(pool)) !== undefined)
  // The other worker has checked again.
  await sleep(1500)
  t.same(await workerPools(), [pool, 'pool-other'])
  t.strictSame(await registration(pool), registered, 'it was never removed')
  await stop(program)
  await other.stop()
})

await t.test('messages that fall due during an outage are sent after it', async t => {
  const proxy = await databaseProxy()
  const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL, ROLE })
  await program.running()
  const message = await dueMessage()
  proxy.disconnect()
  await sql`update missed_calls set outreach_due_at = now() + interval '2 seconds' where id = ${message.id}`.execute(
    db,
  )
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now() + interval '2 seconds')
            from graphile_worker.jobs where key = ${message.key}`.execute(db)
  await sleep(4000)
  t.ok(program.isAlive())
  t.equal(await message.outreach(), 'scheduled waiting')
  await proxy.accept()
  const took = await waitUntil('sent', async () => (await message.outreach()) === 'sent accepted')
  t.ok(took < 15, `${took.toFixed(1)} s after it was back`)
  t.equal(program.lines.filter(line => line.includes('due rows were not read')).length, 1)

  // A retry by hand has no row that the scheduler could read.
  const key = `lead_silence:${crypto.randomUUID()}`
  await sql`select graphile_worker.add_job('lead_silence', '{"leadConversationId":"0"}', job_key := ${key}::text, run_at := now() + interval '1 hour')`.execute(
    db,
  )
  await sleep(500)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs where key = ${key}`.execute(
    db,
  )
  const found = await waitUntil('done', async () => (await lockerOf(key)) === undefined)
  t.ok(found < 10, `${found.toFixed(1)} s after it was due`)
  await stop(program)
})
