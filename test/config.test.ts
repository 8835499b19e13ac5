/** The settings, the forms of DATABASE_URL, and the warnings at the start. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import t from 'tap'
import { z } from 'zod'
import { isUnencrypted, readConfig, tlsOptions, tlsProblem } from '../app/config.ts'
import { configWarnings } from '../app/db/preflight.ts'

const KEY = randomBytes(32)
const messageOf = (env: Record<string, string | undefined>): string => {
  try {
    readConfig(env)
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : 'not an Error'
  }
}

await t.test('outside production no setting is needed', async t => {
  t.match(readConfig({}), {
    NODE_ENV: 'development',
    production: false,
    DATABASE_URL: undefined,
    PORT: 3000,
    ROLE: 'all',
    WHATSAPP_GRAPH_URL: 'https://graph.facebook.com',
    WHATSAPP_GRAPH_VERSION: 'v26.0',
    WHATSAPP_APP_SECRET: undefined,
    WHATSAPP_VERIFY_TOKEN: undefined,
    VOICENTER_API_URL: 'https://api.voicenter.com',
    PUBLIC_URL: 'http://localhost:3000',
    OPS_PASSWORD: undefined,
    DATABASE_CONNECTIONS: 9,
    WORKER_CONCURRENCY: 16,
    RETENTION_DAYS: 90,
    LOG_LEVEL: 'info',
  })
  t.strictSame(
    readConfig({ PORT: '', ROLE: '', DATABASE_URL: '' }),
    readConfig({}),
    'an empty variable counts as not set',
  )
})

await t.test('outside production a missing key is generated and stored', async t => {
  t.equal(readConfig({}).ENCRYPTION_KEY.length, 32)
  t.strictSame(readConfig({}).ENCRYPTION_KEY, readConfig({}).ENCRYPTION_KEY)
})

await t.test('every setting is read', async t => {
  const env = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgresql://ringback:secret@db.example/ringback?sslmode=verify-full',
    READ_DATABASE_URL: 'postgresql://ringback:secret@replica.example/ringback',
    PORT: '8080',
    ROLE: 'worker',
    WHATSAPP_GRAPH_VERSION: 'v27.0',
    WHATSAPP_APP_SECRET: 'a',
    WHATSAPP_VERIFY_TOKEN: 'b',
    OPS_PASSWORD: 'c',
    DATABASE_CONNECTIONS: '7',
    WORKER_CONCURRENCY: '1',
    RETENTION_DAYS: '30',
    LOG_LEVEL: 'silent',
  }
  const urls = {
    WHATSAPP_GRAPH_URL: 'http://127.0.0.1:4000/',
    VOICENTER_API_URL: 'https://voicenter.example//',
    VOICENTER_ACTIVE_CALLS_URL: 'https://active.example/',
    PUBLIC_URL: 'https://ringback.example/',
  }
  t.strictSame(
    readConfig({ ...env, ...urls, ENCRYPTION_KEY: KEY.toString('base64'), OTHER: 'x' }),
    {
      ...env,
      production: true,
      WHATSAPP_APP_SECRET: ['a'],
      PORT: 8080,
      DATABASE_CONNECTIONS: 7,
      WORKER_CONCURRENCY: 1,
      RETENTION_DAYS: 30,
      ENCRYPTION_KEY: KEY,
      // Without the slash at the end.
      WHATSAPP_GRAPH_URL: 'http://127.0.0.1:4000',
      VOICENTER_API_URL: 'https://voicenter.example',
      VOICENTER_ACTIVE_CALLS_URL: 'https://active.example',
      PUBLIC_URL: 'https://ringback.example',
    },
  )
  t.equal(readConfig({ PORT: '8080' }).PUBLIC_URL, 'http://localhost:8080')
})

const TLS =
  'sslmode verify-full (for a private certificate authority with sslrootcert=<file>), no-verify ' +
  '(encrypted, but open to a man in the middle) or disable, and no other ssl parameter: docs/deploy.md'

const WRONG: [name: string, values: string[], expected: string][] = [
  ['DATABASE_URL', ['localhost', 'mysql://u:hunter2@h/d', 'hunter2'], 'a postgres:// URL'],
  ['DATABASE_URL', ['postgres://u:hunter2@h/d?sslmode=require', 'postgres://h/d?ssl=false'], TLS],
  ['READ_DATABASE_URL', ['localhost', 'mysql://u:hunter2@h/d'], 'a postgres:// URL'],
  ['READ_DATABASE_URL', ['postgres://u:hunter2@h/d?sslmode=require'], TLS],
  ['PORT', ['http', '-1', '65536', '80.5'], 'a whole number from 0 to 65535'],
  ['ROLE', ['both', 'WEB'], 'all, web or worker'],
  [
    'ENCRYPTION_KEY',
    [
      'hunter2',
      KEY.subarray(1).toString('base64'),
      `${KEY.toString('hex')}`,
      `${KEY.toString('base64')}!`,
    ],
    '32 bytes as base64 (openssl rand -base64 32)',
  ],
  ['WHATSAPP_GRAPH_URL', ['graph.facebook.com', 'ftp://hunter2'], 'an http or https URL'],
  ['WHATSAPP_GRAPH_VERSION', ['26', 'v26', '../v26.0'], 'a version such as v26.0'],
  ['VOICENTER_API_URL', ['api'], 'an http or https URL'],
  ['PUBLIC_URL', ['localhost:3000'], 'an http or https URL'],
  ['DATABASE_CONNECTIONS', ['6', 'many'], 'a whole number from 7 to 500'],
  ['WORKER_CONCURRENCY', ['0'], 'a whole number from 1 to 500'],
  ['RETENTION_DAYS', ['0', '1.5'], 'a whole number from 1 to 36500'],
  ['LOG_LEVEL', ['verbose', 'INFO'], 'trace, debug, info, warn, error, fatal or silent'],
]

for (const [name, values, expected] of WRONG)
  await t.test(`a wrong ${name} is named, with the expected value`, async t => {
    for (const value of values)
      t.equal(messageOf({ [name]: value }), `${name}: expected ${expected}`)
  })

await t.test('all errors are reported at once', async t => {
  t.equal(messageOf({ PORT: 'x', ROLE: 'y', LOG_LEVEL: 'z' }).split('\n').length, 3)
})

await t.test('production needs a database and a key', async t => {
  const DATABASE_URL = 'postgres://localhost/ringback'
  const ENCRYPTION_KEY = KEY.toString('base64')
  const production = { NODE_ENV: 'production' }
  t.equal(
    messageOf(production),
    'DATABASE_URL: must be set in production\nENCRYPTION_KEY: must be set in production',
  )
  t.equal(messageOf({ ...production, ENCRYPTION_KEY }), 'DATABASE_URL: must be set in production')
  t.equal(
    messageOf({ ...production, DATABASE_URL, ENCRYPTION_KEY: '' }),
    'ENCRYPTION_KEY: must be set in production',
  )
  t.equal(messageOf({ ...production, DATABASE_URL, ENCRYPTION_KEY }), '')
})

await t.test('the app secret and the verify token are set together', async t => {
  const both = 'neither WHATSAPP_APP_SECRET nor WHATSAPP_VERIFY_TOKEN'
  t.equal(
    messageOf({ WHATSAPP_APP_SECRET: 'hunter2' }),
    `WHATSAPP_VERIFY_TOKEN: must be set too, or ${both}`,
  )
  t.equal(
    messageOf({ WHATSAPP_VERIFY_TOKEN: 'hunter2', WHATSAPP_APP_SECRET: '' }),
    `WHATSAPP_APP_SECRET: must be set too, or ${both}`,
  )
  t.equal(messageOf({ WHATSAPP_APP_SECRET: 'a', WHATSAPP_VERIFY_TOKEN: 'b' }), '')
  t.equal(messageOf({ NODE_ENV: 'production', WHATSAPP_APP_SECRET: 'a' }).split('\n').length, 3)
})

await t.test('the program does not start with a wrong setting', async t => {
  const start = (env: Record<string, string>) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['app/main.ts'], {
      encoding: 'utf8',
      // Nothing else is set, so it reads no file and starts no database.
      env: { PATH: process.env['PATH'], ...env },
      timeout: 20_000,
    })
    return { status, stdout, stderr }
  }
  t.strictSame(start({ PORT: 'x', ENCRYPTION_KEY: 'hunter2' }), {
    status: 1,
    stdout: '',
    stderr:
      'Ringback cannot start:\n' +
      'PORT: expected a whole number from 0 to 65535\n' +
      'ENCRYPTION_KEY: expected 32 bytes as base64 (openssl rand -base64 32)\n',
  })
  t.strictSame(start({ NODE_ENV: 'production', ENCRYPTION_KEY: KEY.toString('base64') }), {
    status: 1,
    stdout: '',
    stderr: 'Ringback cannot start:\nDATABASE_URL: must be set in production\n',
  })
})

const SERVER = 'postgres://ringback:secret@db.example:5432/ringback'
const connection = z.object({ connectionParameters: z.object({ ssl: z.unknown() }) })

/** The TLS options that node-postgres uses. */
const tlsUsed = (url: string): unknown => {
  const ssl = tlsOptions(url, true)
  const client = new pg.Client({ connectionString: url, ...(ssl && { ssl }) })
  return connection.parse(client).connectionParameters.ssl
}

const UNVERIFIED = { rejectUnauthorized: false }
const VERIFIED = {}
const UNENCRYPTED = false

await t.test('DATABASE_URL: an accepted form means what it says', t => {
  for (const [query, ssl] of [
    ['', UNVERIFIED],
    ['?sslmode=', UNVERIFIED],
    ['?application_name=x', UNVERIFIED],
    ['?sslmode=no-verify', UNVERIFIED],
    ['?sslmode=verify-full', VERIFIED],
    ['?sslmode=disable', UNENCRYPTED],
    ['?uselibpqcompat=true&sslmode=require', UNVERIFIED],
    ['?uselibpqcompat=true&sslmode=verify-full', VERIFIED],
  ] as const) {
    t.equal(tlsProblem(SERVER + query), null, query)
    t.strictSame(tlsUsed(SERVER + query), ssl, query)
  }
  t.equal(tlsProblem(`${SERVER}?sslmode=verify-full&sslrootcert=/etc/ca.crt`), null)
  t.equal(tlsProblem(`${SERVER}?sslrootcert=/etc/ca.crt`), null)
  t.end()
})

await t.test('DATABASE_URL: a form with another meaning is refused', t => {
  for (const query of [
    '?sslmode=require',
    '?sslmode=prefer',
    '?sslmode=verify-ca',
    '?sslmode=allow',
    '?sslmode=Require',
    '?sslmode=require&sslrootcert=/etc/ca.crt',
    '?SSLMODE=require',
    '?ssl=true',
    '?ssl=false',
    '?ssl=no-verify',
    '?sslmode=no-verify&sslmode=verify-full',
    '?uselibpqcompat=true&sslmode=prefer',
    '?uselibpqcompat=true&sslmode=no-verify',
    '?uselibpqcompat=true&sslmode=verify-ca',
    '?application_name=x&sslmode=require',
  ])
    t.match(tlsProblem(SERVER + query), 'verify-full', query)
  t.end()
})

await t.test('node-postgres reads sslmode=require as verify-full', t => {
  // If this changes, rewrite app/config.ts and docs/deploy.md.
  process.removeAllListeners('warning').once('warning', () => {})
  t.strictSame(tlsUsed(`${SERVER}?sslmode=require`), VERIFIED)
  t.strictSame(tlsUsed(`${SERVER}?sslmode=anything`), VERIFIED)
  t.end()
})

await t.test('DATABASE_URL: TLS is the default in production, except on this machine', t => {
  for (const host of ['localhost', '127.0.0.1', '[::1]', 'localhost:5432', '%2Frun%2Fpostgresql'])
    t.equal(tlsOptions(`postgres://ringback:secret@${host}/ringback`, true), undefined, host)
  t.equal(tlsOptions('postgres:///ringback?host=/run/postgresql', true), undefined)
  for (const host of ['db.example', 'localhost.example', '10.0.0.1', '127.example'])
    t.strictSame(tlsOptions(`postgres://ringback:secret@${host}/ringback`, true), UNVERIFIED, host)
  t.strictSame(tlsOptions('postgres://x:localhost@db.example/localhost', true), UNVERIFIED)
  t.strictSame(tlsOptions('postgres://localhost/ringback?host=db.example', true), UNVERIFIED)
  t.equal(tlsOptions(SERVER, false), undefined, 'not outside production')
  t.end()
})

await t.test('DATABASE_URL: an unencrypted connection over a network is noticed', t => {
  t.ok(isUnencrypted(`${SERVER}?sslmode=disable`))
  t.notOk(isUnencrypted(`${SERVER}?sslmode=no-verify`))
  t.notOk(isUnencrypted(SERVER))
  t.notOk(isUnencrypted('postgres://localhost/ringback?sslmode=disable'))
  t.end()
})

const GOOD = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://u:hunter2@db.example/ringback',
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  PUBLIC_URL: 'https://ringback.example',
  WHATSAPP_APP_SECRET: 'hunter2',
  WHATSAPP_VERIFY_TOKEN: 'hunter2',
  OPS_PASSWORD: 'a long password of the operator',
}
const warnings = (env: Record<string, string | undefined>): string =>
  configWarnings(readConfig({ ...GOOD, ...env })).join('\n')

await t.test('warnings at the start', t => {
  t.equal(warnings({}), '', 'none with good settings')
  t.match(warnings({ PUBLIC_URL: undefined }), /^PUBLIC_URL is this machine.*$/)
  for (const PUBLIC_URL of ['http://127.0.0.1:3000', 'https://localhost', 'http://[::1]:80'])
    t.match(warnings({ PUBLIC_URL }), /^PUBLIC_URL is this machine.*$/, PUBLIC_URL)
  t.match(warnings({ PUBLIC_URL: 'http://ringback.example' }), /^PUBLIC_URL is not https.*$/)
  t.match(warnings({ OPS_PASSWORD: 'hunter2' }), /^OPS_PASSWORD is short.*$/)
  t.equal(warnings({ OPS_PASSWORD: randomBytes(24).toString('hex') }), '')
  const noReplies = { WHATSAPP_APP_SECRET: undefined, WHATSAPP_VERIFY_TOKEN: undefined }
  t.match(warnings(noReplies), /^WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN are not set.*$/)
  t.match(
    warnings({ DATABASE_URL: `${GOOD.DATABASE_URL}?sslmode=disable` }),
    /^DATABASE_URL .*unencrypted$/,
  )
  t.match(
    warnings({ READ_DATABASE_URL: `${GOOD.DATABASE_URL}?sslmode=disable` }),
    /^READ_DATABASE_URL .*unencrypted$/,
  )
  t.notMatch(warnings({ DATABASE_URL: `${GOOD.DATABASE_URL}?sslmode=disable` }), 'hunter2')
  t.equal(
    warnings({ ...noReplies, PUBLIC_URL: undefined, ROLE: 'worker' }),
    '',
    'a worker has no endpoint',
  )
  t.match(warnings({ OPS_PASSWORD: undefined }), /^OPS_PASSWORD is not set: .*off.*403/)
  const none = { ...noReplies, PUBLIC_URL: undefined, OPS_PASSWORD: undefined }
  const names = (text: string) => text.split('\n').map(line => line.split(' ')[0])
  t.strictSame(
    names(warnings({ ...none, NODE_ENV: 'development' })),
    names(warnings(none)),
    'the same outside production',
  )
  t.equal(names(warnings(none)).length, 3)
  t.match(warnings({ ...none, NODE_ENV: 'development' }), /answer on this machine only/)
  t.end()
})
