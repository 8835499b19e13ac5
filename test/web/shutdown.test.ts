/** Stopping the server: no request is cut off, and no idle connection delays the end. */
import { once } from 'node:events'
import { Agent, createServer, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { gracefulShutdown } from '../../app/web/server.ts'

/** A server that answers when the test says so, with keep-alive connections as a router has them. */
const served = async (t: Test) => {
  const asked: ServerResponse[] = []
  const server = createServer({ keepAliveTimeout: 95_000 }, (_req, res) => void asked.push(res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.closeAllConnections())
  const address = server.address()
  const port = address && typeof address === 'object' ? address.port : 0
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const ask = async () => {
    const sent = request({ port, agent, host: '127.0.0.1' }).end()
    const [answer] = await once(sent, 'response')
    answer.setEncoding('utf8')
    let text = ''
    for await (const chunk of answer) text += chunk
    return { text, connection: answer.headers.connection }
  }
  const arrived = async (count: number) => {
    while (asked.length < count) await sleep(5)
    return asked[count - 1]
  }
  return { port, ask, arrived, stop: gracefulShutdown(server) }
}
/** Whether the server ends long before it would cut connections. */
const inTime = (stopped: Promise<void>) =>
  Promise.race([stopped.then(() => true), sleep(8000, false, { ref: false })])

await t.test('a request that has arrived is answered with Connection: close', async t => {
  const { ask, arrived, stop } = await served(t)
  const answer = ask()
  const res = await arrived(1)
  const stopped = stop()
  await sleep(50)
  res?.end('stored')
  t.strictSame(await answer, { text: 'stored', connection: 'close' })
  t.ok(await inTime(stopped))
})

await t.test('a connection that waits for its next request is ended', async t => {
  const { ask, arrived, stop } = await served(t)
  const answer = ask()
  const res = await arrived(1)
  res?.end('stored')
  t.strictSame(await answer, { text: 'stored', connection: 'keep-alive' })
  t.ok(await inTime(stop()))
})

await t.test('an answer whose head was already sent does not delay the stop', async t => {
  const { ask, arrived, stop } = await served(t)
  const answer = ask()
  const res = await arrived(1)
  res?.write('sto')
  const stopped = stop()
  await sleep(50)
  res?.end('red')
  t.strictSame(await answer, { text: 'stored', connection: 'keep-alive' })
  t.ok(await inTime(stopped))
})

await t.test('two pipelined requests on one connection are both answered', async t => {
  const { port, arrived, stop } = await served(t)
  const line = connect(port, '127.0.0.1').setEncoding('utf8')
  line.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n')
  const first = await arrived(1)
  const second = await arrived(2)
  const stopped = stop()
  first?.end('one')
  await sleep(20)
  second?.end('two')
  let heard = ''
  for await (const chunk of line) heard += chunk
  t.match(heard, /Connection: keep-alive\r\n.*one.*Connection: close\r\n.*two/s)
  t.ok(await inTime(stopped))
})

await t.test('new connections are refused', async t => {
  const { port, stop } = await served(t)
  await stop()
  const line = connect(port, '127.0.0.1')
  const [error] = await once(line, 'error')
  t.match(error, { code: 'ECONNREFUSED' })
})
