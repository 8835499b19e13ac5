/** What differs in production, with the program as a process of its own. */
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import t from 'tap'
import { CDR, contents, db, jobs, OK, webhookToken } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const app = spawn(process.execPath, ['app/main.ts'], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: {
    ...process.env,
    NODE_ENV: 'production',
    ROLE: 'web',
    LOG_LEVEL: 'info',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  },
})
t.teardown(() => app.kill('SIGKILL'))

const lines: string[] = []
const port = await new Promise<string>(resolve => {
  createInterface(app.stdout).on('line', line => {
    lines.push(line)
    const found = /"port":(\d+)/.exec(line)?.[1]
    if (found) resolve(found)
  })
})
const post = async (token: string | null, from = '203.0.113.1') => {
  const response = await fetch(
    `http://127.0.0.1:${port}/webhooks/voicenter/cdr${token === null ? '' : `?token=${token}`}`,
    { method: 'POST', body: JSON.stringify(push()), headers: { 'x-forwarded-for': from } },
  )
  return { status: response.status, body: await response.json() }
}

await t.test('the door is closed, even before there is any token', async t => {
  t.equal((await db.selectFrom('webhook_tokens').select('id').execute()).length, 0)
  const before = await contents()
  t.match(await post(null), { status: 401 })
  t.match(await post(''), { status: 401 })
  t.strictSame(await contents(), before, 'and nothing is stored')
  t.strictSame(await post(await webhookToken(null)), OK, 'until there is one')
})

await t.test('the address that counts is the one the router appended', async t => {
  const answers = await Promise.all(
    // What stands before it was sent along by the client, and may be anything.
    Array.from({ length: 120 }, (_, n) => post('wrong', `198.51.100.${n}, 203.0.113.2`)),
  )
  t.equal(answers.filter(({ status }) => status === 401).length, 100)
  t.equal(answers.filter(({ status }) => status === 429).length, 20)
  t.match(await post('wrong', '203.0.113.3'), { status: 401 }, 'another address is not held up')
})

await t.test('two copies of the program at once store one record once', async t => {
  // As for half a minute at every deploy.
  const token = await webhookToken(null)
  const record = push()
  const body = JSON.stringify(record)
  const doors = [CDR, `http://127.0.0.1:${port}/webhooks/voicenter/cdr`]
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) =>
      fetch(`${doors[n % 2]}?token=${token}`, { method: 'POST', body }),
    ),
  )
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.match(
    await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', record.ivruniqueid).execute(),
    [{ deliveries: 100 }],
  )
  t.equal((await jobs(`voicenter_cdr:${record.ivruniqueid}`)).length, 1)
})

await t.test('it stops when it is told to, and has logged no token', async t => {
  app.kill('SIGTERM')
  t.strictSame(await once(app, 'exit'), [0, null])
  t.notMatch(lines.join('\n'), /token=/)
})
