/** Workers that are killed or lose their connection. (Cases 24 and 29) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startHeartbeat } from '../../app/worker/liveness.ts'
import { requeueDueRows } from '../../app/worker/reconcile.ts'
import { push } from '../../scripts/demo/cdr.ts'
import {
  databaseProxy,
  freezeAt,
  IN_ORDER,
  killAt,
  lockedJobs,
  type Process,
  startProcess,
  waitUntil,
  workerPools,
} from '../support/process.ts'
import { business, db, post } from '../support/ringback.ts'
import { beingSent, claimedSince, dueMessage } from '../support/sending.ts'
import { requestsOf, runAtOnce } from '../tasks/support.ts'
import { lockedBy, lockerOf, sessionOf } from '../worker/support.ts'

const ROLE = 'worker'
const KILLED = { how: 'SIGKILL' }
const { token } = await business()
const stop = async (...programs: Process[]) => {
  for (const program of programs) program.signal('SIGTERM')
  for (const program of programs) t.match(await program.ended(), IN_ORDER)
}

/** Kills a worker while it classifies a call. Its job stays locked. */
const killWhileClassifying = async (beside: (() => Promise<Process>) | null = null) => {
  // Frozen first, so that a worker that starts now cannot be the one that takes the job.
  const program = startProcess({ ROLE }, freezeAt('voicenter_cdr:classified'))
  await program.running()
  const cdr = push({ caller: 'anonymous' })
  await post(cdr, { token })
  await waitUntil('the job has started', async () => (await lockedJobs()).length === 1)
  const other = await beside?.()
  program.signal('SIGKILL')
  t.match(await program.ended(), KILLED)
  t.match(await lockedJobs(), [{ task_identifier: 'voicenter_cdr' }])
  const isClassified = async () => {
    const rows = db.selectFrom('raw_cdrs').select('id').where('call_id', '=', cdr.ivruniqueid)
    return (await rows.where('verdict', 'is not', null).execute()).length === 1
  }
  return { isClassified, other }
}

await t.test('the job of a killed worker runs in the next process', async t => {
  const { isClassified } = await killWhileClassifying()
  const next = startProcess({ ROLE })
  const took = await waitUntil('classified', isClassified)
  t.ok(took < 20, `within ${took.toFixed(1)} s, its start included`)
  await stop(next)
  t.strictSame(await workerPools(), [])
})

await t.test('and in another process that was running already', async t => {
  const { isClassified, other } = await killWhileClassifying(async () => {
    const program = startProcess({ ROLE })
    await program.running()
    return program
  })
  const took = await waitUntil('classified', isClassified)
  t.ok(took < 15, `within ${took.toFixed(1)} s`)
  if (other) await stop(other)
})

await t.test('a message whose worker was killed after the claim is not sent', async t => {
  const killed = startProcess({ ROLE }, killAt('lead_outreach:claimed'))
  await killed.running()
  const message = await dueMessage()
  await message.begin()
  t.match(await killed.ended(), KILLED)
  t.equal(await message.outreach(), 'sending claimed')

  const next = startProcess({ ROLE })
  await next.running()
  await waitUntil('unlocked', async () => (await lockerOf(message.key)) === null)
  await sleep(1500)
  t.equal(await message.outreach(), 'sending claimed', 'its worker could still be sending')
  await claimedSince(message, 46)
  await runAtOnce(message.key)
  await waitUntil('unknown', async () => (await message.outreach()) === 'unknown no_answer')
  t.equal(message.received(), 0)
  await waitUntil('deleted', async () => (await lockerOf(message.key)) === undefined)
  await stop(next)
})

await t.test('a message whose job is taken from a living worker is sent once', async t => {
  const one = startProcess({ ROLE })
  await one.running()
  const message = await beingSent(6000)
  const other = startProcess({ ROLE })
  await other.running()
  await waitUntil('both are registered', async () => (await workerPools()).length === 2)
  await sql`select graphile_worker.force_unlock_workers(array[${await lockerOf(message.key)}])`.execute(
    db,
  )
  await waitUntil('sent', async () => (await message.outreach()) === 'sent accepted')
  t.equal(message.received(), 1)
  t.equal(requestsOf(message.shop).length, 1)
  await stop(one, other)
  t.equal(message.received(), 1)
  t.strictSame(await lockedJobs(), [])
})

await t.test('a job that a living worker has locked and never got is added again', async t => {
  const program = startProcess({ ROLE })
  await program.running()
  await waitUntil('registered', async () => (await workerPools()).length === 1)
  const [locker = ''] = await workerPools()
  const message = await dueMessage()
  // As if the answer to its query had been lost six minutes ago.
  await sql`
    update graphile_worker._private_jobs
    set locked_by = ${locker}, locked_at = now() - interval '6 minutes', attempts = 1, run_at = now() - interval '6 minutes'
    where key = ${message.key}`.execute(db)
  await sql`update missed_calls set outreach_due_at = now() - interval '6 minutes' where id = ${message.id}`.execute(
    db,
  )
  await sleep(2000)
  t.equal(await message.outreach(), 'scheduled waiting')
  t.equal(await requeueDueRows(), 1)
  await waitUntil('sent', async () => (await message.outreach()) === 'sent accepted')
  t.equal(message.received(), 1)
  await stop(program)
})

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
