/**
 * Defects of graphile-worker 0.18, and what our code does about them. A test of the library itself fails when the library
 * is repaired: then our workaround can go.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run } from 'graphile-worker'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { reloadConfig } from '../../app/config.ts'
import { newPool } from '../../app/db/pool.ts'
import { FAILPOINT_CHANNEL } from '../../app/failpoints.ts'
import { startWorker } from '../../app/worker/run.ts'
import {
  databaseProxy,
  lockedJobs,
  startProcess,
  waitUntil,
  workerPools,
} from '../support/process.ts'
import { db, fake } from '../support/ringback.ts'
import { beingSent, dueMessage } from '../support/sending.ts'
import { lockerOf } from '../worker/support.ts'

const LONE_WORKER = fileURLToPath(new URL('lone_worker.ts', import.meta.url))

/** Starts graphile-worker alone, and waits until it runs its only job. */
const startLoneWorker = async (
  t: Test,
  kind: 'retrying' | 'plain' | 'internal',
  DATABASE_URL: string,
) => {
  const key = `held:${kind}`
  await sql`select graphile_worker.add_job('held', job_key := ${key}::text)`.execute(db)
  const child = spawn(process.execPath, [LONE_WORKER, kind], {
    env: { ...process.env, NODE_OPTIONS: '', DATABASE_URL },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  createInterface(child.stdout).on('line', line => lines.push(line))
  const ended = once(child, 'exit')
  await waitUntil('the job has started', () => lines.includes('started'))
  return {
    key,
    ended,
    isAlive: () => child.exitCode === null,
    say: (line: string) => void child.stdin.write(`${line}\n`),
  }
}
const deleteJobs = () => sql`delete from graphile_worker._private_jobs`.execute(db)

await t.test('a job ends during an outage of the database', async t => {
  await t.test('library: the process ends and the job stays locked', async t => {
    const proxy = await databaseProxy()
    const worker = await startLoneWorker(t, 'plain', proxy.DATABASE_URL)
    proxy.disconnect()
    worker.say('end')
    t.strictSame(await worker.ended, [1, null])
    t.ok(await lockerOf(worker.key))
    await deleteJobs()
  })

  await t.test('with our pool: it deletes the job after the outage', async t => {
    const proxy = await databaseProxy()
    const worker = await startLoneWorker(t, 'retrying', proxy.DATABASE_URL)
    proxy.disconnect()
    worker.say('end')
    await sleep(3000)
    t.ok(worker.isAlive())
    t.ok(await lockerOf(worker.key))
    await proxy.accept()
    const isDeleted = async () => (await lockerOf(worker.key)) === undefined
    const took = await waitUntil('the job is deleted', isDeleted)
    t.ok(took < 15, `within ${took.toFixed(1)} s`)
    t.ok(worker.isAlive())
  })

  await t.test('the program continues, and sends nothing twice', async t => {
    const proxy = await databaseProxy()
    // The process blocks before the end of the job, until the database is disconnected.
    const block = `
      import { subscribe } from 'node:diagnostics_channel'
      subscribe('${FAILPOINT_CHANNEL}', passed => {
        if (passed !== 'lead_outreach:recorded') return
        console.log('about to end')
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)
      })`
    const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL, ROLE: 'worker' }, block)
    await program.running()
    const message = await beingSent(500)
    await program.says('about to end')
    proxy.disconnect()
    await sleep(5000)
    t.ok(program.isAlive())
    t.ok(await lockerOf(message.key))
    await proxy.accept()
    const isDeleted = async () => (await lockedJobs()).length === 0
    const took = await waitUntil('the job is deleted', isDeleted)
    t.ok(took < 15, `within ${took.toFixed(1)} s`)
    t.ok(program.isAlive())
    t.equal(await lockerOf(message.key), undefined)
    t.equal(await message.outreach(), 'sent accepted')
    t.equal(message.received(), 1)
    program.signal('SIGTERM')
    await program.ended()
  })
})

await t.test('jobs end while the worker stops', async t => {
  await t.test('library: a job stays locked', async t => {
    // releaseJobs() in app/worker/run.ts
    const worker = await startLoneWorker(t, 'internal', process.env['DATABASE_URL'] ?? '')
    worker.say('stop')
    t.strictSame(await worker.ended, [0, null])
    t.ok(await lockerOf(worker.key))
    await deleteJobs()
  })

  await t.test('our worker: sixteen jobs end, and none stays locked', async t => {
    for (let times = 0; times < 3; times++) {
      const worker = await startWorker()
      const messages = await Promise.all(Array.from({ length: 16 }, () => dueMessage()))
      fake.script({ times: 16, outcome: { kind: 'accept', delayMs: 1500 } })
      const before = fake.requests().length
      // All at once, and with the notification that graphile-worker sends for new jobs.
      await sql`
        with due as (select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
                     from graphile_worker.jobs where key = any(${messages.map(({ key }) => key)}))
        select pg_notify('jobs:insert', json_build_object('count', count(*))::text) from due`.execute(
        db,
      )
      await waitUntil('all are being sent', () => fake.requests().length === before + 16)
      t.equal((await lockedJobs()).length, 16)

      await worker.stop()
      t.notOk(worker.isRunning())
      t.strictSame(await lockedJobs(), [])
      t.strictSame(await workerPools(), [])
      for (const { outreach } of messages) t.equal(await outreach(), 'sent accepted')
    }
  })
})

await t.test('a job is cancelled while all workers are busy', async t => {
  await t.test('library: a job in the local queue cannot be cancelled', async t => {
    const end = Promise.withResolvers<void>()
    const started: string[] = []
    const pgPool = await newPool('local queue', 3)
    for (const key of ['one', 'two'])
      await sql`select graphile_worker.add_job('held', json_build_object('key', ${key}::text), job_key := ${key}::text)`.execute(
        db,
      )
    const runner = await run({
      pgPool,
      noHandleSignals: true,
      parsedCronItems: [],
      taskList: {
        held: async payload => {
          started.push(JSON.stringify(payload))
          await end.promise
        },
      },
      preset: { worker: { concurrentJobs: 1, localQueue: { size: 10 } } },
    })
    await waitUntil('started', () => started.length === 1)
    const waiting = started[0]?.includes('one') ? 'two' : 'one'
    const { rows } = await sql`
      select locked_at is not null as is_locked from graphile_worker.remove_job(${waiting}::text)`.execute(
      db,
    )
    t.strictSame(rows, [{ is_locked: true }])
    end.resolve()
    await waitUntil('it runs all the same', () => started.length === 2)
    await sleep(500)
    await runner.stop()
    await waitUntil('jobs are deleted', async () => (await lockedJobs()).length === 0)
    await pgPool.end()
  })

  await t.test('our worker: a job that waits is cancelled', async t => {
    process.env['WORKER_CONCURRENCY'] = '1'
    reloadConfig()
    const worker = await startWorker()
    const first = await beingSent(3000)
    // Of the same tenant, because another one has a worker of its own.
    const second = await dueMessage(first.shop)
    await second.begin()
    await sleep(1500)
    t.equal(await lockerOf(second.key), null, 'it is not locked in advance')
    const { rows } = await sql<{ result: string }>`
      select cancel_outreach(${second.id}) as result`.execute(db)
    t.match(rows[0]?.result, 'cancelled')
    t.equal(await lockerOf(second.key), undefined)
    await waitUntil('first is sent', async () => (await first.outreach()) === 'sent accepted')
    await sleep(1500)
    t.equal(await second.outreach(), 'cancelled by_operator')
    t.equal(second.received(), 0)
    await worker.stop()
    t.strictSame(await lockedJobs(), [])
  })
})
