/** Two defects of graphile-worker 0.18, and what our pool makes of the one that kills the process. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { FAILPOINT_CHANNEL } from '../../app/failpoints.ts'
import { lineToDatabase, lockedJobs, soon, startProcess } from '../support/process.ts'
import { db } from '../support/ringback.ts'
import { beingSent } from '../support/sending.ts'
import { holderOf } from './support.ts'

const PROGRAM = fileURLToPath(new URL('lone_worker.ts', import.meta.url))

/** A worker in the middle of its only job. */
const inTheMiddle = async (
  t: Test,
  kind: 'patient' | 'plain' | 'internal',
  DATABASE_URL: string,
) => {
  const key = `held:${kind}`
  await sql`select graphile_worker.add_job('held', job_key := ${key}::text)`.execute(db)
  const child = spawn(process.execPath, [PROGRAM, kind], {
    env: { ...process.env, NODE_OPTIONS: '', DATABASE_URL },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  createInterface(child.stdout).on('line', line => lines.push(line))
  const ended = once(child, 'exit')
  await soon('it has begun', () => lines.includes('started'))
  return {
    key,
    ended,
    isAlive: () => child.exitCode === null,
    say: (what: string) => void child.stdin.write(`${what}\n`),
  }
}

await t.test(
  'a job ends while the database is away: the worker lives, and writes it off',
  async t => {
    const line = await lineToDatabase()
    const worker = await inTheMiddle(t, 'patient', line.DATABASE_URL)
    line.refuse()
    line.reset()
    worker.say('end')
    await sleep(3000)
    t.ok(worker.isAlive())
    t.ok(await holderOf(worker.key), 'which it cannot yet')
    await line.accept()
    const took = await soon('written off', async () => (await holderOf(worker.key)) === undefined)
    t.ok(took < 15, `within ${took.toFixed(1)} s`)
    t.ok(worker.isAlive())
  },
)

await t.test('without our pool it would end the process, and leave the job held', async t => {
  // Should this fail one day, graphile-worker has been mended, and app/worker/pool.ts may go.
  const line = await lineToDatabase()
  const worker = await inTheMiddle(t, 'plain', line.DATABASE_URL)
  line.refuse()
  line.reset()
  worker.say('end')
  t.strictSame(await worker.ended, [1, null])
  t.ok(await holderOf(worker.key))
  await sql`delete from graphile_worker._private_jobs`.execute(db)
})

await t.test('stopped in order by itself, it leaves a job held that ends meanwhile', async t => {
  // Should this fail one day, graphile-worker has been mended, and nothingLockedBy() in app/worker/run.ts may go.
  const worker = await inTheMiddle(t, 'internal', process.env['DATABASE_URL'] ?? '')
  worker.say('stop')
  t.strictSame(await worker.ended, [0, null])
  t.ok(await holderOf(worker.key))
  await sql`delete from graphile_worker._private_jobs`.execute(db)
})

await t.test('the program itself: its jobs end while the database is away', async t => {
  const line = await lineToDatabase()
  // Right before its end the job is held up, long enough for the database to go.
  const held = `
    import { subscribe } from 'node:diagnostics_channel'
    subscribe('${FAILPOINT_CHANNEL}', passed => {
      if (passed !== 'lead_outreach:recorded') return
      console.log('about to end')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)
    })`
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL, ROLE: 'worker' }, held)
  await program.running()
  const message = await beingSent(500)
  await program.says('about to end')
  line.refuse()
  line.reset()
  await sleep(5000)
  t.ok(program.isAlive())
  t.ok(await holderOf(message.key), 'it is not written off yet')
  await line.accept()
  const took = await soon('written off', async () => (await lockedJobs()).length === 0)
  t.ok(took < 15, `within ${took.toFixed(1)} s`)
  t.ok(program.isAlive())
  t.equal(await holderOf(message.key), undefined)
  t.equal(await message.outreach(), 'sent accepted')
  t.equal(message.received(), 1)
})
