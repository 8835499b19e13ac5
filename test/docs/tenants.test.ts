/** Every command of docs/tenants.md runs, one after the other, as a reader would run them. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { db, fake, work } from '../support/ringback.ts'
import { tenant } from '../scripts/tenant.ts'

const page = readFileSync(new URL('../../docs/tenants.md', import.meta.url), 'utf8')
const commands = [...page.matchAll(/^npm run tenant -- (.+)$/gm)].map(([, command = '']) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? ''),
)

const { token } = fake.addNumber({ phoneNumberId: '106540352242922' })
const env = { WHATSAPP_TOKEN: token, SALON_PASSWORD: 'a long enough one' }

/** Works beside the command, as a worker would. */
const withWorker = async <T>(command: Promise<T>): Promise<T> => {
  let running = true
  const ended = command.finally(() => (running = false))
  while (running) await work()
  return ended
}

await test('the page holds more than twenty commands', async t => {
  t.ok(commands.length > 20, String(commands.length))
})

await test('each of them runs', async t => {
  for (const args of commands) {
    const command = tenant(args, { env })
    const { status, stderr } = await (args[0] === 'test-message' ? withWorker(command) : command)
    t.equal(status, 0, `${args.join(' ')}\n${stderr}`)
  }
  t.equal(fake.inbox('+972502345678').length, 1, "the test message is on the owner's phone")
  t.match(await db.selectFrom('tenants').selectAll().execute(), [{ id: '1', mode: 'live' }])
})
