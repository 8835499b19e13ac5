/** A newcomer's first hour: the fake WhatsApp, the start, a business, a call by curl, and the message on the phone. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import pg from 'pg'
import t from 'tap'
import { z } from 'zod'
import { freePort, NODE_FLAGS, ROOT, run, start, waitUntil } from '../../scripts/processes.ts'

/** With a DATABASE_URL, no program on this machine gives settings to another. */
const { DATABASE_URL, PATH, HOME } = process.env
const env = { DATABASE_URL, PATH, HOME, NODE_OPTIONS: '' }
const terminal = `Object.defineProperty(process.stdout, 'isTTY', { value: true })`
const ON_TERMINAL = [
  ...NODE_FLAGS,
  '--import',
  `data:text/javascript,${encodeURIComponent(terminal)}`,
  'app/main.ts',
]

await t.test('from the commands that the programs print to the reply of the customer', async t => {
  const port = String(await freePort())
  const url = `http://localhost:${port}`
  const fakeArgs = ['scripts/fake_whatsapp.ts', '--port', '0', '--ringback', url]
  const fake = await start(fakeArgs, env, /WHATSAPP_VERIFY_TOKEN=.*\n/)
  t.teardown(fake.stop)
  const [phones = ''] = /(?<=Its phones: )http:\/\/[\w.:]+\d/.exec(fake.output()) ?? []
  const settings = Object.fromEntries(
    [...fake.output().matchAll(/(WHATSAPP_(?:GRAPH|APP|VERIFY)_\w+)=(\S+)/g)].map(
      ([, name = '', value = '']) => [name, value],
    ),
  )
  t.equal(Object.keys(settings).length, 3)

  const here = { ...env, ...settings, PORT: port }
  const ringback = await start(ON_TERMINAL, here, /call_report\(\)"\n/)
  t.teardown(ringback.stop)
  t.match(ringback.output(), `Its page: ${url}/ops`)
  t.match(ringback.output(), 'There is no business yet')
  t.notMatch(ringback.output(), '{"level"', 'no JSON on a terminal')

  const [, variable = '', rest = ''] =
    /^ +WHATSAPP_TOKEN=(\S+) npm run tenant -- (.+)$/m.exec(fake.output()) ?? []
  const flags = [...rest.matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, word]) => quoted ?? word ?? '',
  )
  const inTerminal = { env: { ...here, WHATSAPP_TOKEN: variable } }
  const added = await run(['scripts/tenant.ts', ...flags], inTerminal)
  const delay = ['scripts/tenant.ts', 'set', '--tenant', '1', '--outreach-delay', '1s']
  await run(delay, inTerminal)
  const [curl = ''] = /curl .+/.exec(added) ?? []
  const [, webhook = '', form = ''] = /^curl "(.+)" -d "(.+)"$/.exec(curl) ?? []
  const body = new URLSearchParams(form.replace('$(date +%s)', String(Date.now())))
  const answer = await fetch(webhook, { method: 'POST', body })
  t.strictSame(await answer.json(), { Err: 0, Errdesc: 'OK' })

  const phone = async () => (await fetch(`${phones}/page/phones`)).text()
  t.ok(await waitUntil(async () => (await phone()).includes('+972523456789'), 20_000))
  t.match(await phone(), 'Noa&#39;s Salon')
  const reply = { kind: 'text', from: '+972523456789', text: 'please call me' }
  const sent = await fetch(`${phones}/page/event`, {
    method: 'POST',
    body: new URLSearchParams(reply),
  })
  t.equal(sent.status, 200)
  const state = async () => {
    const sql = ['scripts/sql.ts', '--json', 'select phone, state from leads']
    return z.array(z.unknown()).parse(JSON.parse(await run(sql, { env: here })))
  }
  const replied = [{ phone: '+972523456789', state: 'replied' }]
  t.ok(
    await waitUntil(async () => JSON.stringify(await state()) === JSON.stringify(replied), 20_000),
  )
  t.strictSame(await state(), replied, 'a signed webhook')
})

await t.test('a database that is busy after the start does not end the program', async t => {
  const holder = new pg.Client({ connectionString: DATABASE_URL })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin')
  await holder.query('lock table tenants')
  const waits = /Ringback is running[^]*waiting for the database/
  const ringback = await start(ON_TERMINAL, { ...env, PORT: '0' }, waits)
  t.teardown(ringback.stop)
  await holder.query('rollback')
  t.ok(await waitUntil(() => ringback.output().includes('call_report()"'), 20_000))
})

await t.test('npm start ends in order when npm gets SIGTERM', async t => {
  const npm = spawn('npm', ['start'], { cwd: ROOT, env: { ...env, PORT: '0' } })
  t.teardown(() => npm.kill('SIGKILL'))
  let output = ''
  npm.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  npm.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  t.ok(await waitUntil(() => output.includes('Ringback is running'), 30_000), output)
  const closed = once(npm, 'close')
  npm.kill('SIGTERM')
  const [code] = await closed
  // `close` comes when the program, which inherits the pipes, has ended too.
  t.equal(code, 0)
  t.match(output, '"msg":"stopping"')
  t.notMatch(output, 'stopped before everything had ended')
})

await t.test('a folder that belongs to another user: one line', async t => {
  const NOBODY = { uid: 65534, gid: 65534 }
  if (process.getuid?.() !== 0) return t.plan(0, 'needs root')
  const canRead = await run(['--version'], { ...NOBODY, env }).catch(() => null)
  if (canRead === null) return t.plan(0, 'another user cannot read the checkout')
  const child = spawn(process.execPath, ['app/main.ts'], { cwd: ROOT, env: { PATH }, ...NOBODY })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [code] = await once(child, 'close')
  t.equal(code, 1)
  t.match(errors, /^Ringback cannot start:\n.*\.data.* cannot be used: EACCES.*chown.*$/m)
  t.notMatch(errors, 'app/config.ts', 'no stack')
})
