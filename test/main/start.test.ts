/** How the program starts, and how it refuses to. (Case 39) */
import { once } from 'node:events'
import { createServer } from 'node:net'
import pg from 'pg'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { ask, IN_ORDER, lineToDatabase, soon, startProcess } from '../support/process.ts'
import { testDatabaseUrl } from '../support/postgres.ts'
import { business, db } from '../support/ringback.ts'

const admin = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
await admin.connect()
t.teardown(() => admin.end())
const REFUSED = { how: 1, inTime: true }

/** A new database with nothing in it, dropped when the test ends. */
const emptyDatabase = async (suffix: string) => {
  const name = `ringback_test_${process.pid}_${suffix}`
  await admin.query(`create database ${name}`)
  t.teardown(() => admin.query(`drop database ${name} with (force)`))
  return testDatabaseUrl(name)
}
/** The line in which it says why. */
const why = (program: { lines: string[] }) =>
  program.lines.find(one => one.includes('Ringback ends'))

await t.test('where another program listens already it says so and ends', async t => {
  const other = createServer().listen(0)
  await once(other, 'listening')
  const address = other.address()
  const port = String(address && typeof address === 'object' ? address.port : '')
  const program = startProcess({ PORT: port })
  t.match(await program.ended(), REFUSED)
  t.match(why(program), `cannot listen on port ${port}: another program may use it. Set PORT`)
  other.close()
})

await t.test('in production it does not start before the database is migrated', async t => {
  for (const ROLE of ['all', 'web', 'worker']) {
    const program = startProcess({ DATABASE_URL: await emptyDatabase(ROLE), ROLE })
    t.match(await program.ended(), REFUSED)
    t.match(why(program), 'the database has not seen 0001_')
    t.match(why(program), 'Run: npm run migrate')
  }
})

await t.test('with a wrong password it ends, and does not repeat it', async t => {
  await admin.query(`create role ringback_wrong_${process.pid} login password 'right'`)
  const url = new URL(process.env['DATABASE_URL'] ?? '')
  url.username = `ringback_wrong_${process.pid}`
  url.password = 'hunter2hunter2'
  const program = startProcess({ DATABASE_URL: url.href })
  t.match(await program.ended(), REFUSED)
  await admin.query(`drop role ringback_wrong_${process.pid}`)
  t.match(why(program), 'password authentication failed for user')
  t.notMatch(program.lines.join('\n'), 'hunter2hunter2')
})

await t.test('while the database is away it listens and waits for it', async t => {
  const { token } = await business()
  const line = await lineToDatabase()
  line.refuse()
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL })
  const url = await program.url()
  const door = `${url}/webhooks/voicenter/cdr?token=${token}`
  const record = push()
  await program.says('waiting for the database')
  t.match(await ask(`${url}/healthz`), { status: 200 })
  t.match(await ask(`${url}/readyz`), { status: 503 })
  t.match(await ask(door, record), { status: 503, retryAfter: '5' })
  t.ok(program.isAlive())

  await line.accept()
  const took = await soon('ready', async () => (await ask(`${url}/readyz`)).status === 200)
  t.ok(took < 15, `ready within ${took.toFixed(1)} s`)
  t.match(await ask(door, record), { status: 200 })
  await soon('judged', async () => {
    const { verdict } = await db
      .selectFrom('raw_cdrs')
      .select('verdict')
      .where('call_id', '=', record.ivruniqueid)
      .executeTakeFirstOrThrow()
    return verdict !== null
  })
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
