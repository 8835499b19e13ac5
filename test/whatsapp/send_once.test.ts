/** How often a request reaches the other side, and what each failure means: against real servers. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type Server } from 'node:net'
import t from 'tap'
import { reloadConfig } from '../../app/config.ts'
import { postMessage } from '../../app/whatsapp/client.ts'

const NEVER_ARRIVED = { kind: 'refused', code: null, why: 'never_arrived', policy: { do: 'retry' } }

/** Sends one message to a server on this port. */
const sendTo = async (url: string, accessToken = 'token') => {
  process.env['WHATSAPP_GRAPH_URL'] = url
  reloadConfig()
  const content = { text: 'x' }
  return postMessage({
    messageId: '1',
    phoneNumberId: '2',
    accessToken,
    to: '+972502345678',
    content,
  })
}

const portOf = async (server: Server) => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (!address || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** What comes of one send to a server that behaves so, and how many requests it got. */
const meets = async (listener: RequestListener) => {
  let requests = 0
  const server = createServer((req, res) => {
    requests++
    listener(req, res)
  })
  const outcome = await sendTo(`http://127.0.0.1:${await portOf(server)}`)
  server.closeAllConnections()
  server.close()
  return { ...outcome, requests }
}

const answer =
  (status: number, body = ''): RequestListener =>
  (req, res) =>
    void req.resume().on('end', () => res.writeHead(status).end(body))

const CASES: [name: string, listener: RequestListener, expected: object][] = [
  ['accepted', answer(200, '{"messages":[{"id":"wamid.1"}]}'), { kind: 'accepted' }],
  ['421', answer(421), { kind: 'refused', code: null, why: 'http_421' }],
  ['421 with a page', answer(421, '<html>'), { kind: 'refused', why: 'http_421' }],
  ['408', answer(408), { kind: 'unknown', why: 'http_408' }],
  ['408 with a page', answer(408, '<html>'), { kind: 'unknown', why: 'http_408' }],
  [
    '408 with a code of Meta',
    answer(408, '{"error":{"code":131026}}'),
    { kind: 'refused', code: 131026 },
  ],
  ['503', answer(503), { kind: 'unknown', why: 'http_503' }],
  ['redirect', (_req, res) => res.writeHead(307, { location: '/x' }).end(), { kind: 'refused' }],
  [
    'hung up after the request',
    req => req.resume().on('end', () => req.socket.destroy()),
    { kind: 'unknown' },
  ],
  ['reset before the request is read', req => req.socket.resetAndDestroy(), { kind: 'unknown' }],
  [
    'cut in the middle of the answer',
    (_req, res) => {
      res.writeHead(200, { 'content-length': '1000' })
      res.write('{', () => res.destroy())
    },
    { kind: 'unknown' },
  ],
]

for (const [name, listener, expected] of CASES)
  await t.test(`${name}: sent once`, async t =>
    t.match(await meets(listener), { ...expected, requests: 1 }),
  )

await t.test('a failure before the connection is there sent nothing', async t => {
  const closed = createTcpServer()
  const port = await portOf(closed)
  closed.close()
  await once(closed, 'close')
  t.match(await sendTo(`http://127.0.0.1:${port}`), NEVER_ARRIVED, 'nobody listens')
  t.match(await sendTo(`https://127.0.0.1:${port}`), NEVER_ARRIVED, 'nobody listens with TLS')
  t.match(await sendTo('http://no-such-host.invalid'), NEVER_ARRIVED, 'no such name')

  const plain = createServer(() => t.fail('a request came'))
  t.match(await sendTo(`https://127.0.0.1:${await portOf(plain)}`), NEVER_ARRIVED, 'no TLS there')
  plain.closeAllConnections()
  plain.close()

  // Without a certificate there is no cipher in common, and the handshake fails.
  const tls = createTlsServer({}, () => t.fail('a request came'))
  t.match(await sendTo(`https://127.0.0.1:${await portOf(tls)}`), NEVER_ARRIVED, 'TLS fails')
  tls.close()
})

await t.test('a token that no header can carry sends nothing', async t => {
  let requests = 0
  const server = createServer((_req, res) => {
    requests++
    res.end()
  })
  const url = `http://127.0.0.1:${await portOf(server)}`
  for (const token of ['a\u200bb', 'a\nb', 'a\u05d0', 'a\u2028'])
    t.match(await sendTo(url, token), NEVER_ARRIVED, encodeURIComponent(token))
  t.equal(requests, 0)
  server.close()
})
