/** The settings: what is taken, and what a wrong one is told. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { readConfig } from '../app/config.ts'

const KEY = randomBytes(32)
const messageOf = (env: Record<string, string | undefined>): string => {
  try {
    readConfig(env)
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : 'not an Error'
  }
}

await t.test('nothing needs to be set outside production', async t => {
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
    'nor to anything',
  )
})

await t.test('without a key outside production one is made, and kept', async t => {
  t.equal(readConfig({}).ENCRYPTION_KEY.length, 32)
  t.strictSame(readConfig({}).ENCRYPTION_KEY, readConfig({}).ENCRYPTION_KEY)
})

await t.test('every setting is read', async t => {
  const env = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgresql://ringback:secret@db.example/ringback?sslmode=verify-full',
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
    PUBLIC_URL: 'https://ringback.example/',
  }
  t.strictSame(
    readConfig({ ...env, ...urls, ENCRYPTION_KEY: KEY.toString('base64'), OTHER: 'x' }),
    {
      ...env,
      production: true,
      PORT: 8080,
      DATABASE_CONNECTIONS: 7,
      WORKER_CONCURRENCY: 1,
      RETENTION_DAYS: 30,
      ENCRYPTION_KEY: KEY,
      // Paths are put behind these.
      WHATSAPP_GRAPH_URL: 'http://127.0.0.1:4000',
      VOICENTER_API_URL: 'https://voicenter.example',
      PUBLIC_URL: 'https://ringback.example',
    },
  )
  t.equal(readConfig({ PORT: '8080' }).PUBLIC_URL, 'http://localhost:8080')
})

const TLS =
  'of sslmode only verify-full (with sslrootcert=<file> where the certificate is of a private authority), no-verify ' +
  '(encrypted, open to somebody in the middle) or disable, and no other ssl parameter: docs/deploy.md'

const WRONG: [name: string, values: string[], expected: string][] = [
  ['DATABASE_URL', ['localhost', 'mysql://u:hunter2@h/d', 'hunter2'], 'a postgres:// URL'],
  ['DATABASE_URL', ['postgres://u:hunter2@h/d?sslmode=require', 'postgres://h/d?ssl=false'], TLS],
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
  await t.test(`a wrong ${name} is named, with what was expected`, async t => {
    for (const value of values)
      t.equal(messageOf({ [name]: value }), `${name}: expected ${expected}`, 'and not repeated')
  })

await t.test('all that is wrong is told at once', async t => {
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

await t.test('of what Meta needs, both are set or neither', async t => {
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

await t.test('the program does not start with a wrong setting, and says which one', async t => {
  const start = (env: Record<string, string>) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['app/main.ts'], {
      encoding: 'utf8',
      // No more than this: no file is read, no database started.
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
