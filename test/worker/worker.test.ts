/** The parts of the worker: heartbeat, orphaned jobs, scheduler, and how it stops. (Cases 24 and 38) */
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerEvents } from 'graphile-worker'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { newPool } from '../../app/db/pool.ts'
import { startHeartbeat, watchOrphanedJobs } from '../../app/worker/liveness.ts'
import { startWorker } from '../../app/worker/run.ts'
import { startScheduler } from '../../app/worker/scheduler.ts'
import { flagsToSkip, moveToFront, roomsFor, shareWorkers } from '../../app/worker/sharing.ts'
import { lockedJobs, waitUntil, workerPools } from '../support/process.ts'
import { business, customer, db } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'
import { missedBy } from '../support/steps.ts'
import { contacted } from '../support/whatsapp.ts'
import { conversationOf } from '../tasks/support.ts'
import { lockedBy, lockerOf, sessionOf } from './support.ts'

const pool = await newPool('test', 2)
t.teardown(() => pool.end())
const shop = await business()

let count = 0
/** A heartbeat that checks every 50 ms, so a worker is dead after 300 ms. */
const startBeating = async (t: Test) => {
  const id = `pool-${process.pid}-${++count}`
  let connected = 0
  const heartbeat = startHeartbeat(id, { connected: () => void connected++ }, 50)
  let stopped: Promise<void> | null = null
  const stop = () => (stopped ??= heartbeat.stop())
  t.teardown(stop)
  await heartbeat.registered
  return { id, stop, connected: () => connected }
}
/** A killed worker: it is registered and holds no lock. */
const killedWorker = async () => {
  const id = `pool-dead-${++count}`
  await db.insertInto('worker_pools').values({ id }).execute()
  return id
}

await t.test('heartbeat', async t => {
  await t.test('a worker is registered while it runs', async t => {
    const { id, stop, connected } = await startBeating(t)
    t.strictSame(await workerPools(), [id])
    t.ok(await sessionOf(id))
    t.equal(connected(), 1)
    await stop()
    t.strictSame(await workerPools(), [])
    await waitUntil('its lock is released', async () => !(await sessionOf(id)))
  })

  await t.test('the jobs of a dead worker are unlocked, those of others are not', async t => {
    const one = await startBeating(t)
    const other = await startBeating(t)
    const killed = await killedWorker()
    const jobs = await Promise.all([killed, killed, one.id, other.id].map(lockedBy))
    await waitUntil('unlocked', async () => (await lockerOf(jobs[1] ?? '')) === null)
    t.strictSame(await Promise.all(jobs.map(lockerOf)), [null, null, one.id, other.id])
    t.strictSame(await workerPools(), [one.id, other.id])
    const { rows } = await sql<{ attempts: number }>`
      select attempts from graphile_worker.jobs where key = ${jobs[0]}`.execute(db)
    t.strictSame(rows, [{ attempts: 1 }], 'a job that kills its worker is not tried for ever')
  })

  await t.test('three workers find twenty dead ones', async t => {
    for (let n = 0; n < 3; n++) await startBeating(t)
    const killed = await Promise.all(Array.from({ length: 20 }, killedWorker))
    const jobs = await Promise.all(killed.map(lockedBy))
    await waitUntil('found', async () => (await workerPools()).length === 3)
    t.ok((await Promise.all(jobs.map(lockerOf))).every(locker => locker === null))
  })

  await t.test('a worker that stops and leaves a locked job counts as dead', async t => {
    const gone = await startBeating(t)
    const job = await lockedBy(gone.id)
    await gone.stop()
    await startBeating(t)
    await waitUntil('unlocked', async () => (await lockerOf(job)) === null)
    await waitUntil('removed', async () => !(await workerPools()).includes(gone.id))
  })
})

type Attempt = { id: string; attempts: number }
const attemptOf = async (key: string): Promise<Attempt> => {
  const { rows } = await sql<Attempt>`
    select id, attempts from graphile_worker.jobs where key = ${key}`.execute(db)
  if (!rows[0]) throw new Error(`no job ${key}`)
  return rows[0]
}
/** Emits an event of graphile-worker. Only the job of the event matters here. */
const emit = (events: WorkerEvents, name: 'job:start' | 'job:complete', job: Attempt) =>
  new EventEmitter().emit.call(events, name, { job })

await t.test('orphaned jobs', async t => {
  await t.test('after an interrupted query, jobs that do not run are unlocked', async t => {
    const events: WorkerEvents = new EventEmitter()
    const orphanedJobs = watchOrphanedJobs(events, pool, 'this worker', 100)
    t.teardown(orphanedJobs.stop)
    const unknown = await lockedBy('this worker')
    const running = await lockedBy('this worker')
    const ended = await lockedBy('this worker')
    const foreign = await lockedBy('another worker')
    const retried = await lockedBy('this worker')
    for (const key of [running, ended]) emit(events, 'job:start', await attemptOf(key))
    emit(events, 'job:complete', await attemptOf(ended))
    // The worker knows an earlier attempt of this job, not the one that is locked.
    emit(events, 'job:start', { id: (await attemptOf(retried)).id, attempts: 0 })

    await sleep(150)
    t.equal(await lockerOf(unknown), 'this worker', 'nothing happens without a suspicion')
    orphanedJobs.suspect()
    orphanedJobs.suspect()
    await waitUntil('unlocked', async () => (await lockerOf(unknown)) === null)
    t.equal(await lockerOf(running), 'this worker', 'a running job stays locked')
    t.equal(await lockerOf(foreign), 'another worker', 'so does the job of another worker')
    t.equal(await lockerOf(ended), 'this worker', 'so does a finished job, which will be deleted')
    t.equal(await lockerOf(retried), null, 'the unknown attempt is unlocked')
  })

  await t.test('a suspicion during a check leads to another check', async t => {
    const orphanedJobs = watchOrphanedJobs(new EventEmitter(), pool, 'second worker', 100)
    t.teardown(orphanedJobs.stop)
    orphanedJobs.suspect()
    await sleep(90)
    const late = await lockedBy('second worker')
    orphanedJobs.suspect()
    await waitUntil('unlocked', async () => (await lockerOf(late)) === null)
  })
})

/** Records how many workers are woken. A woken worker looks at once and finds nothing. */
const watchScheduler = (t: Test, answers = true) => {
  const events: WorkerEvents = new EventEmitter()
  const tell = (name: string) => new EventEmitter().emit.call(events, name, {})
  const woken: { workers: number; at: number }[] = []
  const nudge = (workers: number) => {
    woken.push({ workers, at: Date.now() })
    tell('worker:getJob:start')
    if (answers) tell('worker:getJob:empty')
  }
  const scheduler = startScheduler({ nudge }, events, pool)
  t.teardown(scheduler.stop)
  const times = (workers: number) => woken.filter(one => one.workers === workers)
  return { ...scheduler, tell, woken, times }
}

/** Adds first messages that fall due together. @returns when */
const dueIn = async (seconds: number, messages: number): Promise<number> => {
  const ids = []
  for (let n = 0; n < messages; n++) ids.push(await missedBy(shop, customer().e164))
  const { rows } = await sql<{ at: Date }>`
    update missed_calls set outreach_due_at = now() + make_interval(secs => ${seconds})
    where id = any(${ids}::bigint[]) returning outreach_due_at as at`.execute(db)
  return rows[0]?.at.getTime() ?? Number.NaN
}

await t.test('scheduler', async t => {
  await t.test('wakes a worker for each first message when they fall due, once', async t => {
    const { woken, times } = watchScheduler(t)
    const at = await dueIn(0.5, 3)
    await waitUntil('woken', () => times(3).length > 0)
    t.ok((times(3)[0]?.at ?? 0) >= at, 'not earlier')
    const before = woken.length
    await waitUntil('the rows are read again', () => woken.length > before)
    t.equal(times(3).length, 1)
    t.ok(woken.every(({ workers }) => workers === 1 || workers === 3))
  })

  await t.test('and for each reminder', async t => {
    const conversations: string[] = []
    for (let n = 0; n < 2; n++)
      conversations.push((await conversationOf((await contacted(shop)).id)).id)
    const { times } = watchScheduler(t)
    await waitUntil('the scheduler has started', () => times(1).length > 0)
    const { rows } = await sql<{ at: Date }>`
      update messages set due_at = now() + interval '0.5 seconds'
      where kind = 'reminder_1' and lead_conversation_id = any(${conversations}::bigint[])
      returning due_at as at`.execute(db)
    await waitUntil('woken', () => times(2).length > 0)
    t.ok((times(2)[0]?.at ?? 0) >= (rows[0]?.at.getTime() ?? 0), 'not earlier')
  })

  await t.test('and for messages that were due before it started', async t => {
    await dueIn(-1, 4)
    const { woken } = watchScheduler(t)
    await waitUntil('woken', () => woken.some(({ workers }) => workers >= 4))
  })

  await t.test('while workers find jobs, it wakes another one', async t => {
    const { woken, look, tell } = watchScheduler(t, false)
    await waitUntil('the scheduler has started', () => woken.length > 0)
    tell('worker:getJob:empty')
    const before = woken.length
    tell('job:start')
    t.equal(woken.length, before, 'the worker was notified of this job')
    look()
    tell('job:start')
    tell('job:start')
    t.equal(woken.length, before + 3)
    tell('worker:getJob:empty')
    tell('job:start')
    t.equal(woken.length, before + 3)
  })

  await t.test('once stopped it wakes no worker', async t => {
    await dueIn(-1, 1)
    for (let times = 0; times < 10; times++) {
      const { stop, look, tell, woken } = watchScheduler(t)
      // A pool that stops by itself emits this event instead.
      const stopped = times % 2 ? stop() : tell('pool:gracefulShutdown')
      look()
      await stopped
      await sleep(20)
      t.strictSame(woken, [])
    }
  })
})

await t.test('sharing', async t => {
  /** [what, the running jobs by flag, other workers that fetch, the flags to skip], with room for 8 sends and 2 calls */
  const CASES: [string, Record<string, number>, number, string[]][] = [
    ['nothing runs', {}, 0, []],
    ['a tenant alone gets half', { sends: 3, 'sends:1': 3 }, 0, []],
    ['and no more', { sends: 4, 'sends:1': 4 }, 0, ['sends:1']],
    ['a fetch may find one more job of it', { sends: 3, 'sends:1': 3 }, 1, ['sends:1']],
    ['of two tenants each gets a third', { sends: 3, 'sends:1': 2, 'sends:2': 1 }, 0, ['sends:1']],
    ['two that had more wait', { sends: 7, 'sends:1': 4, 'sends:2': 3 }, 0, ['sends:1', 'sends:2']],
    [
      'each of many gets one',
      { sends: 7, ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map(n => [`sends:${n}`, 1])) },
      0,
      [1, 2, 3, 4, 5, 6, 7].map(n => `sends:${n}`),
    ],
    ['the room is full', { sends: 8, 'sends:1': 4, 'sends:2': 4 }, 0, ['sends']],
    ['calls have no shares', { calls: 1 }, 0, []],
    ['calls take no workers of others', { calls: 2 }, 0, ['calls']],
    [
      'the shares of another lane are its own',
      { sends: 4, 'sends:1': 4, calls: 1 },
      0,
      ['sends:1'],
    ],
    ['a job of an unknown kind counts nowhere', { other: 9, 'other:1': 9 }, 0, []],
  ]
  for (const [what, running, asking, expected] of CASES)
    t.strictSame(
      flagsToSkip(
        new Map(Object.entries(running)),
        { people: 8, calls: 2, rest: 8, sends: 8, events: 2, chores: 2 },
        asking,
      ),
      expected,
      what,
    )

  const SENDS = { sends: true, 'sends:1': true } as const
  /** Workers that ask for a job. Each tells what it may not take, and then what it found. */
  const workers = (t: Test) => {
    const events: WorkerEvents = new EventEmitter()
    const moved: string[][] = []
    const rooms = roomsFor(1)
    const ask = shareWorkers(events, rooms, async skipped => void moved.push(skipped))
    t.teardown(() => tell('pool:gracefulShutdown', 0))
    const tell = (event: string, worker: unknown, job: unknown = null) =>
      events.emit(event as 'worker:getJob:empty', { worker, job } as never)
    const start = (name: string) => {
      const worker = { name }
      let skipped: string[] | null = null
      const asked = ask().then(flags => {
        skipped = flags
        tell('worker:getJob:start', worker)
      })
      return {
        asked,
        skipped: () => skipped,
        finds: (flags: Record<string, boolean>) => tell('job:start', worker, { flags }),
        findsNone: () => tell('worker:getJob:empty', worker),
        fails: () => tell('worker:getJob:error', worker),
        ends: (flags: Record<string, boolean>) => tell('job:complete', worker, { flags }),
      }
    }
    return { start, moved, tell }
  }

  await t.test('two workers fetch at once, the third waits for one of them', async t => {
    const { start } = workers(t)
    const [one, two, three] = [start('one'), start('two'), start('three')]
    await Promise.all([one.asked, two.asked])
    t.equal(three.skipped(), null)
    one.fails()
    await three.asked
    t.ok(three.skipped())
  })

  await t.test('a tenant at its share is skipped until one of its jobs ends', async t => {
    const { start } = workers(t)
    const one = start('one')
    await one.asked
    one.finds(SENDS)
    const two = start('two')
    await two.asked
    t.strictSame(two.skipped(), ['sends:1'])
    two.findsNone()
    const three = start('three')
    one.ends(SENDS)
    await three.asked
    t.strictSame(three.skipped(), [])
  })

  await t.test('after a fetch that skipped jobs in vain, the next one waits', async t => {
    const { start } = workers(t)
    const one = start('one')
    await one.asked
    one.finds(SENDS)
    const two = start('two')
    await two.asked
    await sleep(3)
    const before = performance.now()
    two.findsNone()
    await start('three').asked
    t.ok(performance.now() - before > 80, 'much longer than the fetch took')
  })

  await t.test('after a slow fetch that skipped jobs, the next jobs move to the front', async t => {
    const { start, moved } = workers(t)
    const one = start('one')
    await one.asked
    one.finds(SENDS)
    for (const [takes, expected] of [
      [0, []],
      [30, [['sends:1']]],
    ] as const) {
      const other = start('other')
      await other.asked
      await sleep(takes)
      other.finds({ calls: true })
      other.ends({ calls: true })
      t.strictSame(moved, expected)
    }
  })

  await t.test('a worker that waits goes on when the pool stops', async t => {
    const { start, tell } = workers(t)
    start('one')
    start('two')
    const three = start('three')
    tell('pool:gracefulShutdown', 0)
    await three.asked
  })

  await t.test('jobs are moved before those that are skipped', async t => {
    await sql`delete from graphile_worker._private_jobs`.execute(db)
    const add = (flag: string, key: string, at = 'now()') =>
      sql`select graphile_worker.add_job('lead_silence', job_key := ${key}, flags := array[${flag}], run_at := ${sql.raw(at)})`.execute(
        db,
      )
    await add('sends:1', 'busy')
    await add('sends:2', 'quiet')
    await add('sends:2', 'later', `now() + interval '1 hour'`)
    await moveToFront(['sends:1'])
    const { rows } = await sql<{ key: string }>`
      select key from graphile_worker.jobs where priority < -20 order by key`.execute(db)
    t.strictSame(rows, [{ key: 'quiet' }])
    await moveToFront(['sends:1', 'sends:2'])
    await sql`delete from graphile_worker._private_jobs`.execute(db)
  })
})

await t.test('a worker runs due jobs, and takes no new one while it stops', async t => {
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  const worker = await startWorker()
  t.ok(worker.isRunning())
  const last = await dueMessage()
  await last.begin()
  await waitUntil('sent', async () => (await last.outreach()) === 'sent accepted')
  const stopped = worker.stop()
  const next = await dueMessage()
  await next.begin()
  await stopped
  t.notOk(worker.isRunning())
  t.equal(await next.outreach(), 'scheduled waiting')
  t.equal(next.received(), 0)
  t.strictSame(await lockedJobs(), [])
})
