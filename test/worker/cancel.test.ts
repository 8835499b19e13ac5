/** What is cancelled is not sent, however busy the worker is: it takes no job before it can run it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from 'graphile-worker'
import { sql } from 'kysely'
import t from 'tap'
import { startWorker } from '../../app/worker/run.ts'
import { reloadConfig } from '../../app/config.ts'
import { newPool } from '../../app/db/pool.ts'
import { holderOf } from './support.ts'
import { beingSent, dueMessage } from '../support/sending.ts'
import { db } from '../support/ringback.ts'
import { lockedJobs, soon } from '../support/process.ts'

// One job at a time: the second one waits.
process.env['WORKER_CONCURRENCY'] = '1'
reloadConfig()

const removed = async (key: string) => {
  const { rows } = await sql<{ id: string | null; too_late: boolean }>`
    select id, locked_at is not null as too_late from graphile_worker.remove_job(${key}::text)`.execute(
    db,
  )
  return rows[0]
}

await t.test('a job that waits while another runs can be removed', async t => {
  const worker = await startWorker()
  const first = await beingSent(3000)
  const second = await dueMessage()
  await second.begin()
  await sleep(1500)
  t.equal(await holderOf(second.key), null, 'nobody has taken it in advance')
  const { rows } = await sql<{
    said: string
  }>`select cancel_outreach(${second.id}) as said`.execute(db)
  t.match(rows[0]?.said, 'cancelled')
  t.equal(await holderOf(second.key), undefined)
  await soon('the first one', async () => (await first.outreach()) === 'sent accepted')
  await sleep(1500)
  t.equal(await second.outreach(), 'cancelled by_operator')
  t.equal(second.received(), 0)
  await worker.stop()
  t.strictSame(await lockedJobs(), [])
})

await t.test('with a local queue it would be too late', async t => {
  // Should this fail one day, graphile-worker has been mended, and app/worker/run.ts may have a local queue.
  const end = Promise.withResolvers<void>()
  const begun: string[] = []
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
        begun.push(JSON.stringify(payload))
        await end.promise
      },
    },
    preset: { worker: { concurrentJobs: 1, localQueue: { size: 10 } } },
  })
  await soon('begun', () => begun.length === 1)
  const waits = begun[0]?.includes('one') ? 'two' : 'one'
  t.match(await removed(waits), { too_late: true })
  end.resolve()
  await soon('it has run all the same', () => begun.length === 2)
  await sleep(500)
  await runner.stop()
  await soon('written off', async () => (await lockedJobs()).length === 0)
  await pgPool.end()
})
