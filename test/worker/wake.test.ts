/** Workers are woken when a message is due, and as many as there are messages; hardly ever for nothing. */
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerEvents } from 'graphile-worker'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { IN_ORDER, lineToDatabase, soon, startProcess } from '../support/process.ts'
import { business, customer, db } from '../support/ringback.ts'
import { missedBy } from '../support/steps.ts'
import { contacted } from '../support/whatsapp.ts'
import { conversationOf } from '../tasks/support.ts'
import { startScheduler } from '../../app/worker/scheduler.ts'
import { startWorker } from '../../app/worker/run.ts'
import { newPool } from '../../app/db/pool.ts'

const pool = await newPool('test', 2)
t.teardown(() => pool.end())
const shop = await business()

/**
 * Who is woken, and when. As of workers that look at once and find nothing.
 *
 * @param lookTakes how long one of them takes to look
 */
const watch = (t: Test, lookTakes = 0) => {
  const events: WorkerEvents = new EventEmitter()
  const tell = (name: string) => new EventEmitter().emit.call(events, name, {})
  const woken: { workers: number; at: number }[] = []
  const nudge = (workers: number) => {
    woken.push({ workers, at: Date.now() })
    tell('worker:getJob:start')
    if (lookTakes) setTimeout(() => tell('worker:getJob:empty'), lookTakes).unref()
    else tell('worker:getJob:empty')
  }
  const wake = startScheduler({ nudge }, events, pool)
  t.teardown(wake.stop)
  return {
    ...wake,
    tell,
    woken,
    times: (workers: number) => woken.filter(w => w.workers === workers),
  }
}

/** First messages that will be due together, with their jobs; when. */
const dueIn = async (seconds: number, messages: number) => {
  const ids = []
  for (let n = 0; n < messages; n++) ids.push(await missedBy(shop, customer().e164))
  const { rows } = await sql<{ at: Date }>`
    with due as (
      update missed_calls set outreach_due_at = now() + make_interval(secs => ${seconds})
      where id = any(${ids}::bigint[]) returning outreach_due_at as at)
    select at from due limit 1`.execute(db)
  const at = rows[0]?.at ?? new Date(Number.NaN)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := ${at})
            from graphile_worker.jobs where key = any(${ids.map(id => `lead_outreach:${id}`)})`.execute(
    db,
  )
  return { ids, at: at.getTime() }
}

const states = async (ids: string[]) => {
  const rows = await db
    .selectFrom('missed_calls')
    .select('outreach_state')
    .where('id', 'in', ids)
    .execute()
  return rows.map(({ outreach_state }) => outreach_state)
}

await t.test('as many as there are first messages due, and when they are', async t => {
  const { woken, times } = watch(t)
  const { at } = await dueIn(2, 3)
  await soon('woken', () => times(3).length > 0)
  const late = (times(3)[0]?.at ?? 0) - at
  t.ok(late >= 0 && late < 2000, `${late} ms after they were due`)
  await sleep(1200)
  t.equal(times(3).length, 1, 'once')
  t.ok(
    woken.every(({ workers }) => workers === 1 || workers === 3),
    'and else only one, to look',
  )
})

await t.test('the same for reminders', async t => {
  const conversations = []
  for (let n = 0; n < 2; n++)
    conversations.push((await conversationOf((await contacted(shop)).id)).id)
  const { times } = watch(t)
  await soon('it has begun', () => times(1).length > 0)
  const { rows } = await sql<{ at: Date }>`
    update messages set due_at = now() + interval '1 second'
    where kind = 'reminder_1' and lead_conversation_id = any(${conversations}::bigint[])
    returning due_at as at`.execute(db)
  await soon('woken', () => times(2).length > 0)
  const late = (times(2)[0]?.at ?? 0) - (rows[0]?.at.getTime() ?? 0)
  t.ok(late >= 0 && late < 2000, `${late} ms after they were due`)
})

await t.test('what was due before it began is not waited for', async t => {
  await dueIn(-1, 4)
  const { woken } = watch(t)
  await soon('woken', () => woken.some(({ workers }) => workers >= 4))
})

await t.test(
  'the queue is looked through every second, and more rarely where that takes long',
  async t => {
    const cheap = watch(t)
    const dear = watch(t, 100)
    await soon('both have begun', () => cheap.woken.length > 0 && dear.woken.length > 0)
    await sleep(500)
    const [before, dearBefore] = [cheap.woken.length, dear.woken.length]
    await sleep(2000)
    t.ok(cheap.woken.length > before, `${cheap.woken.length - before} looks`)
    t.equal(dear.woken.length, dearBefore)
    await soon('it looks again all the same', () => dear.woken.length > dearBefore)
  },
)

await t.test('where one finds a job others look too, until one finds none', async t => {
  const { woken, look, tell } = watch(t, 60_000)
  await soon('it has begun', () => woken.length > 0)
  tell('worker:getJob:empty')
  const before = woken.length
  tell('job:start')
  t.equal(woken.length, before, 'it was told of that job, or awaited it')
  look()
  tell('job:start')
  tell('job:start')
  t.equal(woken.length, before + 3)
  tell('worker:getJob:empty')
  tell('job:start')
  t.equal(woken.length, before + 3)
})

await t.test('once it is stopped it wakes nobody, also with an answer on its way', async t => {
  await dueIn(-1, 1)
  for (let times = 0; times < 10; times++) {
    const { stop, look, tell, woken } = watch(t)
    // Where the pool stops by itself, nobody calls stop().
    const stopped = times % 2 ? stop() : tell('pool:gracefulShutdown')
    look()
    await stopped
    await sleep(50)
    t.strictSame(woken, [])
  }
})

await t.test('the worker itself, whose own look comes only every five minutes', async t => {
  const worker = await startWorker()
  const { ids } = await dueIn(2, 3)
  t.strictSame(await states(ids), ['scheduled', 'scheduled', 'scheduled'])
  const sent = async () => (await states(ids)).every(state => state === 'sent')
  const took = await soon('sent', sent)
  t.ok(took < 7, `${(took - 2).toFixed(1)} s after they were due`)

  // What no row tells of: a job that is tried again by hand.
  const stray = `lead_silence:${crypto.randomUUID()}`
  await sql`select graphile_worker.add_job('lead_silence', '{"leadConversationId":"0"}', job_key := ${stray}::text, run_at := now() + interval '1 hour')`.execute(
    db,
  )
  await sleep(500)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs where key = ${stray}`.execute(
    db,
  )
  const found = await soon('done', async () => {
    const { rows } = await sql`select from graphile_worker.jobs where key = ${stray}`.execute(db)
    return rows.length === 0
  })
  t.ok(found < 10, `${found.toFixed(1)} s after it was due`)
  // Messages fall due all the while.
  await dueIn(0.3, 10)
  await worker.stop()
})

await t.test('the database is away when a message falls due', async t => {
  const line = await lineToDatabase()
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL, ROLE: 'worker' })
  await program.running()
  const { ids } = await dueIn(2, 2)
  line.refuse()
  line.reset()
  await sleep(6000)
  t.ok(program.isAlive())
  t.strictSame(await states(ids), ['scheduled', 'scheduled'])
  await line.accept()
  const took = await soon('sent', async () => (await states(ids)).every(state => state === 'sent'))
  t.ok(took < 15, `${took.toFixed(1)} s after it was back`)
  t.equal(program.lines.filter(line => line.includes('not asked what is due')).length, 1)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
