/** The proxy of npm run chaos does to a connection what networks do. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startProxy } from '../../scripts/chaos/proxy.ts'

/** Well above what a chunk takes on the loopback of a busy machine. */
const NEVER_MS = 300

/** A server that answers every chunk with the same in capitals. */
const server = createServer(socket => {
  socket.on('error', () => {})
  socket.on('data', chunk => socket.write(chunk.toString().toUpperCase()))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const target = typeof address === 'object' && address ? address.port : 0
t.teardown(() => server.close())

const through = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}
const ask = async (socket: Socket, text: string): Promise<string> => {
  socket.write(text)
  const [answer] = await once(socket, 'data')
  return String(answer)
}
const proxied = async (t: Test, targets = () => [target]) => {
  const proxy = await startProxy(targets)
  t.teardown(proxy.close)
  return proxy
}

await t.test('passes on both ways, also what is large', async t => {
  const { port } = await proxied(t)
  const socket = await through(port)
  t.equal(await ask(socket, 'hello'), 'HELLO')
  const large = 'x'.repeat(1_000_000)
  let answered = 0
  socket.on('data', chunk => (answered += chunk.length))
  socket.write(large)
  while (answered < large.length) await sleep(5)
  socket.destroy()
})

await t.test('takes the next target where the first refuses', async t => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const dead = closed.address()
  closed.close()
  const { port } = await proxied(t, () => [
    typeof dead === 'object' && dead ? dead.port : 0,
    target,
  ])
  const socket = await through(port)
  t.equal(await ask(socket, 'hello'), 'HELLO')
  socket.destroy()
})

await t.test('cuts and resets', async t => {
  const proxy = await proxied(t)
  for (const how of ['cut', 'reset'] as const) {
    const socket = await through(proxy.port)
    await ask(socket, 'hello')
    const code = new Promise(resolve => {
      socket.once('error', error => resolve('code' in error ? error.code : ''))
      socket.once('end', () => resolve('end'))
    })
    t.equal(proxy[how](), 1)
    t.equal(await code, how === 'cut' ? 'end' : 'ECONNRESET')
  }
})

await t.test('falls silent: nothing comes any more, and new connections work', async t => {
  const proxy = await proxied(t)
  const socket = await through(proxy.port)
  await ask(socket, 'hello')
  t.equal(proxy.silence(), 1)
  const answer = ask(socket, 'anybody there?').then(() => 'answered')
  answer.catch(() => {})
  t.equal(await Promise.race([answer, sleep(NEVER_MS, 'silence')]), 'silence')
  t.notOk(socket.destroyed, 'and the connection stands')
  const other = await through(proxy.port)
  t.equal(await ask(other, 'hello'), 'HELLO')
  socket.destroy()
  other.destroy()
})

await t.test('refuses, and accepts again at the same port', async t => {
  const proxy = await proxied(t)
  proxy.refuse()
  await t.rejects(through(proxy.port), { code: 'ECONNREFUSED' })
  await proxy.accept()
  const socket = await through(proxy.port)
  t.equal(await ask(socket, 'hello'), 'HELLO')
  socket.destroy()
})

await t.test('delays', async t => {
  const proxy = await proxied(t)
  const socket = await through(proxy.port)
  await ask(socket, 'hello')
  proxy.delay(100)
  const started = performance.now()
  t.equal(await ask(socket, 'hello'), 'HELLO')
  t.ok(performance.now() - started >= 190)
  socket.destroy()
})

await t.test('swallows the answer to one request, and cuts', async t => {
  const proxy = await proxied(t)
  const heard: string[] = []
  server.once('connection', socket => socket.on('data', chunk => heard.push(String(chunk))))
  const socket = await through(proxy.port)
  proxy.dropAnswerTo('commit')
  t.equal(await ask(socket, 'begin'), 'BEGIN')
  const code = new Promise(resolve =>
    socket.once('error', error => resolve('code' in error ? error.code : '')),
  )
  socket.write('commit')
  t.equal(await code, 'ECONNRESET')
  t.same(heard, ['begin', 'commit'], 'the request arrived')
  const next = await through(proxy.port)
  t.equal(await ask(next, 'commit'), 'COMMIT', 'only once')
  next.destroy()
})
