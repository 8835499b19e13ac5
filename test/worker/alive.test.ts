/** Who of the workers is alive: the jobs of the dead are freed within seconds, those of the living never. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { soon, workerPools } from '../support/process.ts'
import { db } from '../support/ringback.ts'
import { heldBy, holderOf } from './support.ts'
import { startHeartbeat } from '../../app/worker/liveness.ts'

let made = 0
/** A worker that lives, but for its jobs. */
const live = async (t: Test) => {
  const id = `pool-${process.pid}-${++made}`
  let back = 0
  const alive = startHeartbeat(id, () => void back++)
  let ended: Promise<void> | null = null
  const end = () => (ended ??= alive.end())
  t.teardown(end)
  await alive.marked
  return { id, end, back: () => back }
}
const isMarked = async (id: string) => {
  const { rows } = await sql<{ marked: boolean }>`
    select not pg_try_advisory_xact_lock(hashtextextended(${id}, 0)) as marked`.execute(db)
  return rows[0]?.marked === true
}
/** The session that is the sign of life of this worker. */
const sessionOf = async (id: string) => {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_locks where locktype = 'advisory' and granted
      and (classid::bigint << 32) | objid::bigint = hashtextextended(${id}, 0)
      and database = (select oid from pg_database where datname = current_database())`.execute(db)
  return rows[0]?.pid
}
/** One that was killed: it is registered, and there is no session of its. */
const dead = async () => {
  const id = `pool-dead-${++made}`
  await db.insertInto('worker_pools').values({ id }).execute()
  return id
}

await t.test('a worker is marked as long as it lives', async t => {
  const { id, end, back } = await live(t)
  t.strictSame(await workerPools(), [id])
  t.ok(await isMarked(id))
  t.equal(back(), 1)
  await end()
  t.strictSame(await workerPools(), [])
  await soon('the mark is gone', async () => !(await isMarked(id)))
})

await t.test('the jobs of a dead worker are freed, those of the living are not', async t => {
  const one = await live(t)
  const other = await live(t)
  const killed = await dead()
  const jobs = await Promise.all([heldBy(killed), heldBy(killed), heldBy(one.id), heldBy(other.id)])
  const took = await soon('freed', async () => (await holderOf(jobs[1] ?? '')) === null)
  t.ok(took < 15, `within ${took.toFixed(1)} s`)
  t.strictSame(await Promise.all(jobs.map(holderOf)), [null, null, one.id, other.id])
  t.strictSame(await workerPools(), [one.id, other.id])
  const { rows } = await sql<{ attempts: number }>`
    select attempts from graphile_worker.jobs where key = ${jobs[0]}`.execute(db)
  t.strictSame(rows, [{ attempts: 1 }], 'what kills its worker each time is not tried for ever')
  await sleep(3000)
  t.equal(await holderOf(jobs[2] ?? ''), one.id, 'nor later; and nobody frees its own')
})

await t.test('many dead and several who look for them', async t => {
  await live(t)
  await live(t)
  await live(t)
  const killed = await Promise.all(Array.from({ length: 20 }, dead))
  const jobs = await Promise.all(killed.map(id => heldBy(id)))
  const took = await soon('freed', async () => (await workerPools()).length === 3)
  t.ok(took < 15, `within ${took.toFixed(1)} s`)
  t.ok((await Promise.all(jobs.map(holderOf))).every(holder => holder === null))
})

await t.test('a worker whose sign of life was cut gives it again, and keeps its jobs', async t => {
  const cut = await live(t)
  const other = await live(t)
  const job = await heldBy(cut.id)
  // By now the other one looks for the dead.
  await sleep(4000)
  for (let times = 1; times <= 5; times++) {
    const pid = await sessionOf(cut.id)
    await sql`select pg_terminate_backend(${pid})`.execute(db)
    const took = await soon('marked again', async () => {
      const now = await sessionOf(cut.id)
      return now !== undefined && now !== pid
    })
    t.ok(took < 5, `marked again after ${took.toFixed(1)} s`)
    t.equal(cut.back(), 1 + times)
    await sleep(1100)
    t.equal(await holderOf(job), cut.id)
  }
  t.strictSame(await workerPools(), [cut.id, other.id])
})

await t.test('who goes and leaves a job behind is found like the dead', async t => {
  const gone = await live(t)
  const job = await heldBy(gone.id)
  await gone.end()
  await live(t)
  const took = await soon('freed', async () => (await holderOf(job)) === null)
  t.ok(took < 15, `within ${took.toFixed(1)} s`)
  await soon('forgotten', async () => !(await workerPools()).includes(gone.id))
})
