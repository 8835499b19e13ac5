/** Workers that are killed, and jobs that are taken from a worker. (Case 24) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { requeueDueRows } from '../../app/worker/reconcile.ts'
import { push } from '../../scripts/demo/cdr.ts'
import {
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
import { lockerOf } from '../worker/support.ts'

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
