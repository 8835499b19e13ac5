/** What works, but hardly as it was meant, is told at the start. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { configWarnings } from '../app/db/preflight.ts'
import { readConfig } from '../app/config.ts'

const WELL = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://u:hunter2@db.example/ringback',
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  PUBLIC_URL: 'https://ringback.example',
  WHATSAPP_APP_SECRET: 'hunter2',
  WHATSAPP_VERIFY_TOKEN: 'hunter2',
}
const told = (env: Record<string, string | undefined>): string =>
  configWarnings(readConfig({ ...WELL, ...env })).join('\n')

t.equal(told({}), '', 'nothing where all is well')
t.match(told({ PUBLIC_URL: undefined }), /^PUBLIC_URL is this machine.*$/)
for (const PUBLIC_URL of ['http://127.0.0.1:3000', 'https://localhost', 'http://[::1]:80'])
  t.match(told({ PUBLIC_URL }), /^PUBLIC_URL is this machine.*$/, PUBLIC_URL)
t.match(told({ PUBLIC_URL: 'http://ringback.example' }), /^PUBLIC_URL is not https.*$/)
t.match(told({ OPS_PASSWORD: 'hunter2' }), /^OPS_PASSWORD is short.*$/)
t.equal(told({ OPS_PASSWORD: randomBytes(24).toString('hex') }), '')
const deaf = { WHATSAPP_APP_SECRET: undefined, WHATSAPP_VERIFY_TOKEN: undefined }
t.match(told(deaf), /^WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN are not set.*$/)
t.match(told({ DATABASE_URL: `${WELL.DATABASE_URL}?sslmode=disable` }), /^DATABASE_URL .*clear$/)
t.notMatch(told({ DATABASE_URL: `${WELL.DATABASE_URL}?sslmode=disable` }), 'hunter2')
t.equal(told({ ...deaf, PUBLIC_URL: undefined, ROLE: 'worker' }), '', 'a worker has no door')
t.equal(told({ ...deaf, PUBLIC_URL: undefined, NODE_ENV: 'development' }), '', 'nor a developer')
