/** A worker's line to the database falls silent, and nobody says so: it lives, gets itself a new one, and keeps its jobs. (Case 29) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { IN_ORDER, lineToDatabase, soon, startProcess, workerPools } from '../support/process.ts'
import { db } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'
import { startHeartbeat } from '../../app/worker/liveness.ts'

/** The sessions of the workers' marks. */
const sessions = async () => {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity
    where datname = current_database() and application_name = 'ringback liveness' order by pid`.execute(
    db,
  )
  return rows.map(({ pid }) => pid)
}

/** Whoever takes a worker for dead removes its row, together with its hold on its jobs. */
const registration = (id: string) =>
  db.selectFrom('worker_pools').selectAll().where('id', '=', id).executeTakeFirst()

await t.test('its jobs are not taken from it, and it works on', async t => {
  const line = await lineToDatabase()
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL, ROLE: 'worker' })
  await program.running()
  await soon('it is alive', async () => (await workerPools()).length === 1)
  const [pool = ''] = await workerPools()
  const [before] = await sessions()
  const registered = await registration(pool)
  // The other copy, which would take the jobs of the dead.
  const other = startHeartbeat('pool-other', () => {})
  t.teardown(() => other.end())
  await other.marked

  line.silence()
  await soon('it has a new session', async () => (await sessions()).length === 3)
  // The server still knows the old one, and with it the mark; until it finds out.
  const took = await soon('the old one has gone', async () => {
    const now = await sessions()
    return now.length === 2 && !now.includes(before ?? 0)
  })
  t.ok(took < 30)
  const message = await dueMessage()
  await message.begin()
  await soon('it works', async () => (await message.outreach()) === 'sent accepted')
  await soon('it is marked again', async () => {
    const { rows } = await sql<{ marked: boolean }>`
      select not pg_try_advisory_xact_lock(hashtextextended(${pool}, 0)) as marked`.execute(db)
    return rows[0]?.marked === true
  })
  // Long enough for the other one to count it out.
  await sleep(8000)
  t.same(await workerPools(), [pool, 'pool-other'])
  t.strictSame(
    await registration(pool),
    registered,
    'nobody has taken it for dead and freed its jobs',
  )

  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
