/** kill -9 in the middle of a job, or its worker taken for dead: it goes on elsewhere, and nobody is written to twice. (Case 24) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  dieAt,
  IN_ORDER,
  lockedJobs,
  type Process,
  soon,
  startProcess,
  stopAt,
  workerPools,
} from '../support/process.ts'
import { business, db, fake, post } from '../support/ringback.ts'
import { beingSent, claimedSince, dueMessage } from '../support/sending.ts'
import { runAtOnce } from '../tasks/support.ts'
import { holderOf } from './support.ts'
import { requeueDueRows } from '../../app/worker/maintenance.ts'

const WORKER = { ROLE: 'worker' }
const KILLED = { how: 'SIGKILL' }
const { token } = await business()

/** A worker is killed while it judges this call; that it holds the job is all that is left of it. */
const killedWhileJudging = async (beside: (() => Promise<Process>) | null = null) => {
  // Stopped in the middle first, so that a copy started beside it cannot be the one that takes the job.
  const program = startProcess(WORKER, stopAt('voicenter_cdr:judged'))
  await program.running()
  const record = push({ caller: 'anonymous' })
  await post(record, { token })
  await soon('it has begun', async () => (await lockedJobs()).length === 1)
  const copy = await beside?.()
  program.signal('SIGKILL')
  t.match(await program.ended(), KILLED)
  const judged = async () => {
    const open = db.selectFrom('raw_cdrs').select('id').where('call_id', '=', record.ivruniqueid)
    return (await open.where('verdict', 'is not', null).execute()).length === 1
  }
  return { judged, copy }
}

await t.test('what was not claimed goes on in the next process', async t => {
  const { judged } = await killedWhileJudging()
  t.match(await lockedJobs(), [{ task_identifier: 'voicenter_cdr' }])
  const next = startProcess(WORKER)
  const took = await soon('judged', judged)
  t.ok(took < 20, `within ${took.toFixed(1)} s, its start included`)
  next.signal('SIGTERM')
  t.match(await next.ended(), IN_ORDER)
  t.strictSame(await workerPools(), [])
})

await t.test('and in a second copy that has been there all the time', async t => {
  const { judged, copy } = await killedWhileJudging(async () => {
    const other = startProcess(WORKER)
    await other.running()
    return other
  })
  const took = await soon('judged', judged)
  t.ok(took < 15, `within ${took.toFixed(1)} s`)
  copy?.signal('SIGTERM')
  t.match(await copy?.ended(), IN_ORDER)
})

await t.test(
  'a message whose sender was killed right after its claim is unknown, and not sent',
  async t => {
    const killed = startProcess(WORKER, dieAt('lead_outreach:claimed'))
    await killed.running()
    const message = await dueMessage()
    await message.begin()
    t.match(await killed.ended(), KILLED)
    t.equal(await message.outreach(), 'sending claimed')

    const next = startProcess(WORKER)
    await next.running()
    await soon('looked at', async () => (await holderOf(message.key)) === null)
    await sleep(1500)
    t.equal(await message.outreach(), 'sending claimed', 'its sender might still live')
    await claimedSince(message, 46)
    await runAtOnce(message.key)
    await soon('given up', async () => (await message.outreach()) === 'unknown no_answer')
    t.equal(message.received(), 0)
    await soon('written off', async () => (await holderOf(message.key)) === undefined)

    next.signal('SIGTERM')
    t.match(await next.ended(), IN_ORDER)
  },
)

await t.test('its job is taken over while its worker lives: it is sent once', async t => {
  const one = startProcess(WORKER)
  await one.running()
  const message = await beingSent(6000)
  const other = startProcess(WORKER)
  await other.running()
  await soon('both are alive', async () => (await workerPools()).length === 2)
  await sql`select graphile_worker.force_unlock_workers(array[${await holderOf(message.key)}])`.execute(
    db,
  )
  await soon('it is sent', async () => (await message.outreach()) === 'sent accepted')
  t.equal(message.received(), 1)
  t.equal(
    fake.requests().filter(({ phoneNumberId }) => phoneNumberId === message.shop.phoneNumberId)
      .length,
    1,
  )
  for (const program of [one, other]) {
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  }
  t.equal(message.received(), 1)
  t.strictSame(await lockedJobs(), [])
})

await t.test('a living worker holds a job that it never got: it is added again', async t => {
  const program = startProcess(WORKER)
  await program.running()
  await soon('it is alive', async () => (await workerPools()).length === 1)
  const [holder = ''] = await workerPools()
  const message = await dueMessage()
  // As if the answer to its fetch had been lost, six minutes ago.
  await sql`update graphile_worker._private_jobs
            set locked_by = ${holder}, locked_at = now() - interval '6 minutes', attempts = 1, run_at = now() - interval '6 minutes'
            where key = ${message.key}`.execute(db)
  await sql`update missed_calls set outreach_due_at = now() - interval '6 minutes' where id = ${message.id}`.execute(
    db,
  )
  await sleep(2000)
  t.equal(await message.outreach(), 'scheduled waiting')
  t.equal(await requeueDueRows(), 1)
  await soon('it is sent', async () => (await message.outreach()) === 'sent accepted')
  t.equal(message.received(), 1)
})
