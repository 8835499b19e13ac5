/** The worker stops: what has ended is written off before it goes, however many end in the last moment. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { lockedJobs, soon, workerPools } from '../support/process.ts'
import { db, fake } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'
import { until } from '../tasks/support.ts'
import { startWorker } from '../../app/worker/run.ts'

await t.test('sixteen jobs end while it stops: none of them stays held', async t => {
  for (let times = 0; times < 3; times++) {
    const worker = await startWorker()
    const messages = []
    for (let n = 0; n < 16; n++) messages.push(await dueMessage())
    fake.script({ times: 16, outcome: { kind: 'accept', delayMs: 1500 } })
    const before = fake.requests().length
    // All in one moment, and told as graphile-worker tells of new ones.
    await sql`
      with due as (select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
                   from graphile_worker.jobs where key = any(${messages.map(({ key }) => key)}))
      select pg_notify('jobs:insert', json_build_object('count', count(*))::text) from due`.execute(
      db,
    )
    await until(() => fake.requests().length === before + 16)
    t.equal((await lockedJobs()).length, 16)

    await worker.stop()
    t.notOk(worker.isRunning())
    t.strictSame(await lockedJobs(), [])
    t.strictSame(await workerPools(), [])
    for (const { outreach } of messages) t.equal(await outreach(), 'sent accepted')
  }
})

await t.test('it takes no new job once it stops', async t => {
  const worker = await startWorker()
  const last = await dueMessage()
  await last.begin()
  await soon('the last one', async () => (await last.outreach()) === 'sent accepted')
  const stopped = worker.stop()
  const message = await dueMessage()
  await message.begin()
  await stopped
  await sleep(1500)
  t.equal(await message.outreach(), 'scheduled waiting')
  t.equal(message.received(), 0)
})
