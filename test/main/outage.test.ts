/** The database goes away and comes back, with work under way: nobody is told "stored" in vain, and all goes on. (Cases 26, 27) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import {
  ask,
  IN_ORDER,
  lineToDatabase,
  lockedJobs,
  soon,
  startProcess,
} from '../support/process.ts'
import { db } from '../support/ringback.ts'
import { beingSent } from '../support/sending.ts'
import { acked, judged, traffic } from './traffic.ts'

await t.test('away for some seconds: 503 meanwhile, and all goes on when it is back', async t => {
  const line = await lineToDatabase()
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL })
  await program.running()
  const begun = await beingSent(2000)
  const posts = await traffic(program)
  await sleep(1000)

  line.refuse()
  line.reset()
  // The send ends, and so does its job, while there is nobody to write it down.
  await sleep(5000)
  t.ok(program.isAlive())
  t.match(await ask(`${await program.url()}/readyz`), { status: 503 })
  const during = posts.answers.length
  await line.accept()
  const back = await soon(
    'ready',
    async () => (await ask(`${await program.url()}/readyz`)).status === 200,
  )
  const stored = await soon('stored', () =>
    posts.answers.slice(during).some(({ status }) => status === 200),
  )
  t.ok(back + stored < 15, `back within ${(back + stored).toFixed(1)} s`)
  await sleep(1000)
  const answers = await posts.end()

  t.strictSame(
    new Set(answers.map(({ status, retryAfter }) => `${status} ${retryAfter}`)),
    new Set(['200 null', '503 5']),
  )
  const callIds = acked(answers)
  const took = await soon('judged', async () => (await judged(callIds))?.open === 0)
  t.ok(took < 15, `judged within ${took.toFixed(1)} s`)
  t.equal((await judged(callIds))?.stored, callIds.length, 'whatever was acknowledged is there')
  await soon('recorded', async () => (await begun.outreach()) === 'sent accepted')
  await soon('written off', async () => (await lockedJobs()).length === 0)
  t.equal(begun.received(), 1)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

await t.test('all of its connections are cut each second: it lives, and loses nothing', async t => {
  const line = await lineToDatabase()
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL })
  await program.running()
  const posts = await traffic(program)
  for (let times = 0; times < 6; times++) {
    await sleep(1000)
    const { rows } = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'ringback %' and pid <> pg_backend_pid()`.execute(
      db,
    )
    t.ok(rows.length > 0)
  }
  await sleep(1000)
  const answers = await posts.end()
  t.ok(program.isAlive())
  const callIds = acked(answers)
  const took = await soon('judged', async () => (await judged(callIds))?.open === 0)
  t.ok(took < 15, `judged within ${took.toFixed(1)} s`)
  t.equal((await judged(callIds))?.stored, callIds.length)
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  await soon('written off', async () => (await lockedJobs()).length === 0)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
