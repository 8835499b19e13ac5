/** A job that is locked for a worker which never heard of it: graphile-worker would leave it so for four hours. */
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerEvents } from 'graphile-worker'
import { sql } from 'kysely'
import t from 'tap'
import { db } from '../support/ringback.ts'
import { heldBy, holderOf } from './support.ts'
import { watchOrphanedJobs } from '../../app/worker/liveness.ts'
import { newPool } from '../../app/db/pool.ts'

const pool = await newPool('test', 2)
t.teardown(() => pool.end())

type Try = { id: string; attempts: number }
const tryOf = async (key: string) => {
  const { rows } =
    await sql<Try>`select id, attempts from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows[0]
}
/** What graphile-worker tells of a job. The rest of its event does not matter here. */
const tell = (events: WorkerEvents, name: 'job:start' | 'job:complete', job: Try | undefined) =>
  new EventEmitter().emit.call(events, name, { job })

t.test('after a broken query a worker gives back what it holds and does not run', async t => {
  const events: WorkerEvents = new EventEmitter()
  const held = watchOrphanedJobs(events, pool, 'this worker')
  const neverHeard = await heldBy('this worker')
  const runs = await heldBy('this worker')
  const ended = await heldBy('this worker')
  const another = await heldBy('another worker')
  const retried = await heldBy('this worker')
  for (const key of [runs, ended]) tell(events, 'job:start', await tryOf(key))
  tell(events, 'job:complete', await tryOf(ended))
  // Of this job another try was heard of, and not the one that holds it.
  tell(events, 'job:start', { id: (await tryOf(retried))?.id ?? '', attempts: 0 })

  await sleep(1500)
  t.equal(await holderOf(neverHeard), 'this worker', 'without a doubt nothing is looked at')
  held.doubt()
  held.doubt()
  const until = performance.now() + 20_000
  while ((await holderOf(neverHeard)) !== null && performance.now() < until) await sleep(100)
  t.equal(await holderOf(neverHeard), null, 'is free again')
  t.equal(await holderOf(runs), 'this worker', 'what runs is left alone')
  t.equal(await holderOf(another), 'another worker', 'and so is what others hold')
  t.equal(
    await holderOf(ended),
    'this worker',
    'what has ended is being written off, by its id alone',
  )
  t.equal(await holderOf(retried), null, 'a try that was not heard of')
  held.stop()
})

t.test('a doubt while one is being looked into is looked into, too', async t => {
  const events: WorkerEvents = new EventEmitter()
  const held = watchOrphanedJobs(events, pool, 'second worker')
  held.doubt()
  await sleep(7000)
  const late = await heldBy('second worker')
  held.doubt()
  const until = performance.now() + 20_000
  while ((await holderOf(late)) !== null && performance.now() < until) await sleep(100)
  t.equal(await holderOf(late), null)
  held.stop()
})
