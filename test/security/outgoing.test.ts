/** What we ask Meta may be answered by anybody: nobody leads us elsewhere, or fills our memory. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { reloadConfig } from '../../app/config.ts'
import { postMessage as send } from '../../app/whatsapp/client.ts'

const asked: string[] = []
let written = 0
const spaces = function* () {
  for (; written < 200_000_000; written += 64 * 1024) yield Buffer.alloc(64 * 1024, ' ')
}
const BOMB = gzipSync(Buffer.alloc(50_000_000, ' '))
const ANSWERS: Record<string, RequestListener> = {
  redirect: (_req, res) => res.writeHead(307, { location: '/inside' }).end(),
  permanent: (_req, res) => res.writeHead(308, { location: 'http://169.254.169.254/latest' }).end(),
  page: (_req, res) => res.setHeader('content-type', 'text/html').end('<html>{"messages"</html>'),
  large: (_req, res) => res.end(`{"messages":[{"id":"x"}],"pad":"${'x'.repeat(10_000_000)}"}`),
  endless: (_req, res) => void pipeline(Readable.from(spaces()), res).catch(() => {}),
  unzips: (_req, res) => res.setHeader('content-encoding', 'gzip').end(BOMB),
  trickle: (_req, res) => {
    const drip = setInterval(() => res.write(' '), 200)
    res.on('close', () => clearInterval(drip))
  },
}

const server = createServer((req, res) => {
  asked.push(req.url ?? '')
  const [, , name = ''] = (req.url ?? '').split('/')
  const answer = ANSWERS[name]
  if (answer) answer(req, res)
  else res.end('{"messages":[{"id":"wamid.inside"}]}')
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
process.env['WHATSAPP_GRAPH_URL'] =
  `http://127.0.0.1:${address && typeof address === 'object' ? address.port : ''}`
reloadConfig()
t.teardown(() => {
  server.close()
  server.closeAllConnections()
})

const meets = (name: string) =>
  send({
    messageId: '1',
    phoneNumberId: name,
    accessToken: 'token',
    to: '+972502345678',
    content: { text: 'x' },
  })

await t.test('a redirect is not followed, wherever it leads', async t => {
  for (const [name, status] of Object.entries({ redirect: 307, permanent: 308 }))
    t.match(await meets(name), { kind: 'refused', code: null, why: `http_${status}` })
  t.strictSame(
    asked.filter(path => !path.endsWith('/messages')),
    [],
  )
})

await t.test('a number that would lead elsewhere stays one part of the path', async t => {
  asked.length = 0
  await meets('../../inside?x=')
  t.strictSame(asked, ['/v26.0/..%2F..%2Finside%3Fx%3D/messages'])
})

await t.test('a page that is no answer leaves it open', async t => {
  t.strictSame(await meets('page'), { kind: 'unknown', why: 'unreadable_answer' })
})

await t.test('an answer too long is not read, and leaves it open', async t => {
  const before = process.memoryUsage().rss
  for (let i = 0; i < 10; i++) t.match(await meets('large'), { kind: 'unknown' })
  t.match(await meets('unzips'), { kind: 'unknown' }, 'also when it is so only unpacked')
  t.match(await meets('endless'), { kind: 'unknown' })
  t.ok(written < 50_000_000, `${written} bytes were written before we hung up`)
  t.ok(process.memoryUsage().rss - before < 150_000_000)
})

await t.test('an answer that never ends is not waited for', async t => {
  const started = performance.now()
  t.strictSame(await meets('trickle'), { kind: 'unknown', why: 'TimeoutError' })
  const seconds = (performance.now() - started) / 1000
  t.ok(seconds > 14 && seconds < 25, `${seconds} s`)
})
