/** A database that cannot do what will be asked of it is refused at the start, in one clear line. */
import pg from 'pg'
import t, { type Test } from 'tap'
import {
  limitsHold,
  sessionsAreOurs,
  tooOld,
  connectionLimit,
  suffices,
} from '../../app/db/preflight.ts'
import { newConnection } from '../../app/db/pool.ts'
import { IN_ORDER, startProcess } from '../support/process.ts'

const DATABASE_URL = process.env['DATABASE_URL'] ?? ''
const DATABASE = new URL(DATABASE_URL).pathname.slice(1)
const NINE = { ROLE: 'all', DATABASE_CONNECTIONS: 9 } as const

/** A session, ended with the test. */
const session = async (t: Test, connectionString: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString })
  await client.connect()
  t.teardown(() => client.end())
  return client
}
const admin = await session(t, DATABASE_URL)

/** The address of this database for a role that may have so many connections, and all that its owner may. */
const limitedTo = async (connections: number): Promise<string> => {
  const name = `ringback_limited_${process.pid}_${connections}`
  await admin.query(
    `create role ${name} login password 'x' connection limit ${connections} in role ${admin.user}`,
  )
  t.teardown(() => admin.query(`drop role ${name}`))
  const url = new URL(DATABASE_URL)
  url.username = name
  url.password = 'x'
  return url.href
}

/** In how many words it does not start. */
const refusal = async (t: Test, env: NodeJS.ProcessEnv): Promise<string> => {
  const program = startProcess(env)
  t.match(await program.ended(), { how: 1, inTime: true })
  const line = program.lines.find(one => one.includes('Ringback ends')) ?? ''
  t.notMatch(line, '"stack"', 'one clear line')
  return line
}

await t.test('with too few connections for one copy it does not start', async t => {
  const line = await refusal(t, { DATABASE_URL: await limitedTo(8) })
  t.match(line, `role ringback_limited_${process.pid}_8 has room for 8 connections`)
  t.match(line, 'and DATABASE_CONNECTIONS=9 needs 9 (ROLE=all)')
})

await t.test('with enough for one copy but not for two it starts, and says so', async t => {
  const program = startProcess({ DATABASE_URL: await limitedTo(17) })
  await program.running()
  t.match(
    program.lines.find(one => one.includes('two copies')),
    `two copies of 9 connections, as during a deploy, need 18, and role ringback_limited_${process.pid}_17 has room for 17`,
  )
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

await t.test('where TLS is asked of a database that has none it does not wait for it', async t => {
  const line = await refusal(t, { DATABASE_URL: `${DATABASE_URL}?sslmode=verify-full` })
  t.match(line, 'the database offers no TLS')
})

await t.test('the tightest of the limits counts', async t => {
  const unlimited = await connectionLimit(admin)
  t.match(unlimited, { who: 'the server has' })
  t.ok(unlimited.room > 100 && unlimited.room < 200, 'what is kept for superusers is not ours')
  const limited = await session(t, await limitedTo(100))
  t.match(await connectionLimit(limited), { who: /^role ringback_limited_\d+_100 has$/, room: 100 })
  await admin.query(`alter database ${DATABASE} connection limit 30`)
  t.strictSame(await connectionLimit(limited), { who: `database ${DATABASE} has`, room: 30 })
  t.strictSame(await connectionLimit(admin), unlimited, 'but not for a superuser')
  await admin.query(`alter database ${DATABASE} connection limit -1`)
})

await t.test('a process of one role needs only its share', t => {
  const of = (room: number, role: 'all' | 'web' | 'worker' = 'all') =>
    suffices({ who: 'it has', room }, { ...NINE, ROLE: role })
  t.match(of(9), { enough: true, message: /need 18, and it has room for 9/ })
  t.match(of(8), { enough: false, message: /needs 9 \(ROLE=all\)/ })
  t.match(of(18), { enough: true, message: /^$/ })
  t.match(of(6, 'worker'), { enough: true, message: /need 18/ })
  t.match(of(5, 'worker'), { enough: false, message: /needs 6 \(ROLE=worker\)/ })
  t.match(of(3, 'web'), { enough: true, message: /need 18/ })
  t.match(of(2, 'web'), { enough: false, message: /needs 3 \(ROLE=web\)/ })
  t.end()
})

await t.test('where what hangs would not be ended it is refused', async t => {
  const own = await newConnection('test')
  await own.connect()
  await limitsHold(own)
  await own.end()
  for (const name of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) {
    const others = `-c statement_timeout=5s -c lock_timeout=3s -c idle_in_transaction_session_timeout=9s`
    const options = encodeURIComponent(`${others} -c ${name}=0`)
    const ignored = await session(t, `${DATABASE_URL}?options=${options}`)
    await t.rejects(limitsHold(ignored), /leads to a pooler/, name)
  }
})

await t.test('sessions that share a connection are told from sessions of their own', async t => {
  const other = await session(t, DATABASE_URL)
  await sessionsAreOurs(admin, other)
  await t.rejects(sessionsAreOurs(admin, admin), /leads to a pooler/)
  await admin.query('rollback')
})

await t.test('Postgres 15 is the oldest', t => {
  t.match(tooOld({ name: '14.23', major: 14 }), 'is Postgres 14.23: Ringback needs 15')
  t.equal(tooOld({ name: '15.0', major: 15 }), null)
  t.equal(tooOld({ name: '18.4', major: 18 }), null)
  t.end()
})
