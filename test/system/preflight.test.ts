/** What the program checks in its database at the start: limits, poolers, TLS, and the encryption key. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { config } from '../../app/config.ts'
import { newConnection } from '../../app/db/pool.ts'
import {
  checkSessions,
  checkTimeouts,
  connectionLimit,
  connectionsSuffice,
  versionProblem,
} from '../../app/db/preflight.ts'
import { grantAccess } from '../../app/tenants/credentials.ts'
import { run } from '../scripts/command.ts'
import { IN_ORDER, startProcess } from '../support/process.ts'
import { business, db } from '../support/ringback.ts'

const DATABASE_URL = process.env['DATABASE_URL'] ?? ''
const DATABASE = new URL(DATABASE_URL).pathname.slice(1)

/** A session that ends with the test. */
const session = async (t: Test, connectionString: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString })
  await client.connect()
  t.teardown(() => client.end())
  return client
}
const admin = await session(t, DATABASE_URL)

/** The URL of this database for a role with all rights and a connection limit. */
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

/** The program refuses to start. @returns the line of the log that says why */
const refusal = async (t: Test, env: NodeJS.ProcessEnv): Promise<string> => {
  const program = startProcess(env)
  t.match(await program.ended(), { how: 1, inTime: true })
  const line = program.lines.find(one => one.includes('Ringback ends')) ?? ''
  t.notMatch(line, '"stack"')
  return line
}
/** The program starts. @returns its log */
const logOf = async (t: Test, env: NodeJS.ProcessEnv = {}): Promise<string[]> => {
  const program = startProcess(env)
  await program.running()
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  return program.lines
}

await t.test('connection limit', async t => {
  await t.test('one copy does not fit: the start is refused', async t => {
    const line = await refusal(t, { DATABASE_URL: await limitedTo(8) })
    t.match(line, `role ringback_limited_${process.pid}_8 has room for 8 connections`)
    t.match(line, 'and DATABASE_CONNECTIONS=9 needs 9 (ROLE=all)')
  })

  await t.test('two copies do not fit: a warning is logged', async t => {
    const log = await logOf(t, { DATABASE_URL: await limitedTo(17) })
    t.match(
      log.find(line => line.includes('two copies')),
      `two copies of 9 connections, as during a deploy, need 18, and role ringback_limited_${process.pid}_17 has room for 17`,
    )
  })

  await t.test('the lowest limit counts', async t => {
    const unlimited = await connectionLimit(admin)
    t.equal(unlimited.owner, 'the server')
    t.ok(unlimited.connections > 100 && unlimited.connections < 200, 'without reserved ones')
    const limited = await session(t, await limitedTo(100))
    t.match(await connectionLimit(limited), {
      owner: /^role ringback_limited_\d+_100$/,
      connections: 100,
    })
    await admin.query(`alter database ${DATABASE} connection limit 30`)
    t.strictSame(await connectionLimit(limited), {
      owner: `database ${DATABASE}`,
      connections: 30,
    })
    t.strictSame(await connectionLimit(admin), unlimited, 'not for a superuser')
    await admin.query(`alter database ${DATABASE} connection limit -1`)
  })

  await t.test('a process needs the connections of its role', t => {
    const check = (connections: number, ROLE: 'all' | 'web' | 'worker' = 'all') =>
      connectionsSuffice({ owner: 'it', connections }, { DATABASE_CONNECTIONS: 9, ROLE })
    t.match(check(9), { enough: true, message: /need 18, and it has room for 9/ })
    t.match(check(8), { enough: false, message: /needs 9 \(ROLE=all\)/ })
    t.match(check(18), { enough: true, message: /^$/ })
    t.match(check(6, 'worker'), { enough: true, message: /need 18/ })
    t.match(check(5, 'worker'), { enough: false, message: /needs 6 \(ROLE=worker\)/ })
    t.match(check(3, 'web'), { enough: true, message: /need 18/ })
    t.match(check(2, 'web'), { enough: false, message: /needs 3 \(ROLE=web\)/ })
    t.end()
  })
})

await t.test('poolers', async t => {
  await t.test('one that ignores our timeouts is refused', async t => {
    const own = await newConnection('test')
    await own.connect()
    await checkTimeouts(own)
    await own.end()
    const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
    for (const name of TIMEOUTS) {
      const all = TIMEOUTS.map(one => `-c ${one}=5s`).join(' ')
      const options = encodeURIComponent(`${all} -c ${name}=0`)
      const ignored = await session(t, `${DATABASE_URL}?options=${options}`)
      await t.rejects(checkTimeouts(ignored), /address of a pooler/, name)
    }
  })

  await t.test('one whose sessions share a connection is refused', async t => {
    const other = await session(t, DATABASE_URL)
    await checkSessions(admin, other)
    await t.rejects(checkSessions(admin, admin), /address of a pooler/)
    await admin.query('rollback')
  })
})

await t.test('Postgres 15 is the oldest', t => {
  t.match(versionProblem({ name: '14.23', major: 14 }), 'is Postgres 14.23: Ringback needs 15')
  t.equal(versionProblem({ name: '15.0', major: 15 }), null)
  t.equal(versionProblem({ name: '18.4', major: 18 }), null)
  t.end()
})

await t.test('TLS that the server does not offer', async t => {
  const line = await refusal(t, { DATABASE_URL: `${DATABASE_URL}?sslmode=verify-full` })
  t.match(line, 'the database offers no TLS')
})

await t.test('encryption key', async t => {
  const own = config().ENCRYPTION_KEY.toString('base64')
  const other = randomBytes(32).toString('base64')
  const warnings = async (t: Test, env: NodeJS.ProcessEnv = {}) =>
    (await logOf(t, env)).filter(line => line.includes('ENCRYPTION_KEY'))

  await t.test('without secrets any key is accepted', async t => {
    t.strictSame(await warnings(t, { ENCRYPTION_KEY: other }), [])
  })

  const { tenantId } = await business()
  const access = { tenantId, kind: 'code' as const, secret: 'abc' }
  await db.transaction().execute(trx => grantAccess(trx, { as: 'command line' }, access))

  await t.test('one that decrypts none is refused', async t => {
    const line = await refusal(t, { ENCRYPTION_KEY: other })
    t.match(line, 'ENCRYPTION_KEY decrypts none of the 2 stored secrets')
    t.match(line, 'npm run rekey')
    t.strictSame(await warnings(t), [])
  })

  await t.test('so the release phase fails, and the previous release keeps running', async t => {
    const migrate = (ENCRYPTION_KEY: string) =>
      run('migrate', [], { env: { NODE_ENV: 'production', ENCRYPTION_KEY } })
    const failed = { status: 1, stderr: /^ENCRYPTION_KEY decrypts none of the 2.*rekey.*\n$/ }
    t.match(await migrate(other), failed)
    t.match(await migrate(own), { status: 0 })
  })

  await t.test('if it does not decrypt one, a warning is logged', async t => {
    await db.updateTable('call_log_access').set({ credential: 'v1:AAAA' }).execute()
    t.match(await warnings(t), [/ENCRYPTION_KEY does not decrypt 1 of 2 stored secrets/])
  })
})
