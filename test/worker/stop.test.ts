/** The worker stops: what has ended is written off before it goes, however many end in the last moment. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { lockedJobs, soon, workerPools } from '../support/process.ts'
import { fake } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'
import { until } from '../tasks/support.ts'

const { startWorker } = await import('../../app/worker/run.ts')

await t.test('sixteen jobs end while it stops: none of them stays held', async t => {
  for (let times = 0; times < 3; times++) {
    const worker = await startWorker()
    const messages = []
    for (let n = 0; n < 16; n++) messages.push(await dueMessage())
    fake.script({ times: 16, outcome: { kind: 'accept', delayMs: 4000 } })
    const before = fake.requests().length
    await Promise.all(messages.map(({ begin }) => begin()))
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
