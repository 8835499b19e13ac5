import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { beforeEach, test } from 'tap'
import { pageScript } from '../../scripts/fake-whatsapp/page-assets.ts'
import { startFakeWhatsApp } from '../../scripts/fake-whatsapp/server.ts'
import { dana, post, startReceiver, template } from './support.ts'

const fake = await startFakeWhatsApp()
beforeEach(fake.reset)
const number = fake.addNumber({ name: 'מספרת <b>דנה</b>' })

const call = async (method: string, input: unknown = {}, url = fake.url) => {
  const answer = await fetch(`${url}/control/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
  })
  const body: unknown = await answer.json()
  return { status: answer.status, body }
}

const submit = async (action: string, fields: Record<string, string>) =>
  fetch(`${fake.url}/page/${action}`, {
    method: 'POST',
    body: new URLSearchParams({ phone: dana, phoneNumberId: number.phoneNumberId, ...fields }),
    redirect: 'manual',
  })

const page = async (path = '/') => (await fetch(`${fake.url}${path}`)).text()

await test('every method of the fake can be called over HTTP', async t => {
  const { body } = await call('nothing')
  t.match(body, { error: 'no such method' })
  const inProcessOnly = ['url', 'close']
  for (const name of Object.keys(fake).filter(key => !inProcessOnly.includes(key))) {
    const { status } = await call(name, { nonsense: true })
    t.not(status, 404, name)
  }
})

await test('scripting, injecting and inspecting over HTTP', async t => {
  const receiver = await startReceiver()
  t.teardown(receiver.close)
  const input = { phoneNumberId: '77', token: 'tok', callbackUrl: receiver.url }
  t.match(await call('addNumber', input), { body: { ...input, wabaId: String } })
  await call('setStatuses', { plan: ['read'] })
  await call('script', { to: dana, outcome: { kind: 'http', status: 502, accept: true } })
  const answer = await post(fake, { phoneNumberId: '77', token: 'tok' }, template(dana))
  t.equal(answer.status, 502)
  await call('idle')
  const inbox = { body: [{ phoneNumberId: '77', statuses: [{ status: 'read' }] }] }
  t.match(await call('inbox', { phone: dana }), inbox)
  const events = [{ kind: 'text', from: dana, text: 'כן', phoneNumberId: '77' }]
  t.match(await call('inbound', { events, delivery: { copies: 2 } }), {
    body: { deliveries: [{ state: 'delivered' }, {}] },
  })
  t.equal(receiver.received.length, 3)
  const get = await fetch(`${fake.url}/control/lines?phone=${encodeURIComponent(dana)}`)
  t.match(await get.json(), [{ by: 'person', text: 'כן' }])
})

await test('a wrong input is answered with what is wrong about it', async t => {
  const { status, body } = await call('script', { outcome: { kind: 'explode' } })
  t.equal(status, 400)
  t.match(body, { error: /kind/ })
  t.match(await call('script', { toSufix: '1' }), { status: 400, body: { error: /toSufix/ } })
})

await test('refusing connections needs an end, and the answer comes before it begins', async t => {
  t.match(await call('refuseConnections'), { status: 400 })
  t.equal((await call('refuseConnections', { forMs: 120 })).status, 200)
  await new Promise(resume => setTimeout(resume, 40))
  await t.rejects(call('people'), { cause: { code: 'ECONNREFUSED' } })
  await new Promise(resume => setTimeout(resume, 150))
  t.equal((await call('people')).status, 200)
})

await test('the page shows what a person got and said, escaped', async t => {
  t.match(await page(), /Nobody has got/)
  await post(fake, number, template(dana, 'hello', ['<script>"שלום"</script>']))
  await submit('say', { text: 'היי & <i>' })
  await submit('owner', { text: 'from the owner' })
  const text = await page('/page/phones')
  t.match(text, /<p dir="auto">hello · &lt;script&gt;&quot;שלום&quot;&lt;\/script&gt;<\/p>/)
  t.match(text, 'היי &amp; &lt;i&gt;')
  t.match(text, 'from the owner')
  t.match(text, 'מספרת &lt;b&gt;דנה')
  t.match(await page(), /<html[^]*<main>[^]*היי &amp;/)
})

await test("the page's script is JavaScript", t => {
  t.doesNotThrow(() => new Script(pageScript))
  t.end()
})

await test('the buttons of the page', async t => {
  const button = {
    type: 'button',
    sub_type: 'quick_reply',
    index: 0,
    parameters: [{ type: 'payload', payload: 'STOP' }],
  }
  const body = template(dana)
  await post(fake, number, { ...body, template: { ...body.template, components: [button] } })
  const [message] = fake.inbox(dana)
  const tap = { context: message?.wamid ?? '', text: 'STOP', payload: 'STOP' }
  t.match(await page(), /action="\/page\/tap"/)
  const answer = await submit('tap', tap)
  t.equal(answer.status, 303)
  t.match(fake.lines(dana), [{ by: 'person', text: 'STOP' }])
  await submit('preference', { value: 'stop' })
  t.strictSame(fake.people()[0]?.stoppedMarketing, [number.phoneNumberId])
  t.match(await page(), 'Resume marketing')
  await fake.idle()
  await submit('read', {})
  t.match(message?.statuses.at(-1), { status: 'read' })
  t.match(await page(), 'class="read"')
  t.equal((await submit('say', { phone: 'dana', text: 'x' })).status, 400)
})

await test('it runs on its own and prints its URL', async t => {
  const main = fileURLToPath(new URL('../../scripts/fake-whatsapp/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const printed = String((await once(child.stdout, 'data'))[0])
  t.match(printed, /^http:\/\/127\.0\.0\.1:\d+\n/)
  t.match(await call('people', {}, printed.trim()), { status: 200, body: [] })
  child.kill('SIGTERM')
  t.strictSame(await once(child, 'exit'), [0, null])
})

await fake.close()
