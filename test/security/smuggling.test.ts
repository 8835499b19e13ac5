/** Requests that two servers in a row might read differently: refused, and nothing after them is believed. */
import t from 'tap'
import { business, contents, db } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { say, statusesIn } from './support.ts'

const { token } = await business()
const PATH = `/webhooks/voicenter/cdr?token=${token}`
const body = JSON.stringify(push())
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
/** What an attacker would hide behind the first one. */
const HIDDEN = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`

const request = (headers: string[], rest: string, path = PATH) =>
  `POST ${path} HTTP/1.1\r\n${['Connection: close', ...headers].join('\r\n')}\r\n\r\n${rest}`
const LENGTH = `Content-Length: ${body.length}`

const AMBIGUOUS = {
  'a length and chunks': request(
    ['Host: x', LENGTH, 'Transfer-Encoding: chunked'],
    chunked + HIDDEN,
  ),
  'chunks and a length': request(
    ['Host: x', 'Transfer-Encoding: chunked', LENGTH],
    chunked + HIDDEN,
  ),
  'two lengths': request(['Host: x', LENGTH, 'Content-Length: 0'], body + HIDDEN),
  'the same length twice': request(['Host: x', LENGTH, LENGTH], body + HIDDEN),
  'a list of lengths': request(['Host: x', `${LENGTH}, 0`], body + HIDDEN),
  'a signed length': request(['Host: x', `Content-Length: +${body.length}`], body + HIDDEN),
  'a length in hex': request(['Host: x', 'Content-Length: 0x10'], body + HIDDEN),
  'no host': request([LENGTH], body + HIDDEN),
  'a space before the colon': request(['Host: x', `Content-Length : ${body.length}`], body),
  'a folded header': request(['Host: x', 'X: a\r\n b', LENGTH], body),
  'a bare line feed': request(['Host: x', `X: a\n${LENGTH}`], body),
  'a NUL in a header': request(['Host: x', 'X: a\0b', LENGTH], body),
  'chunks that are not last': request(['Host: x', 'Transfer-Encoding: chunked, x'], chunked),
  'an encoding that is none': request(['Host: x', 'Transfer-Encoding: xchunked'], chunked),
  'a chunk of no size': request(['Host: x', 'Transfer-Encoding: chunked'], `zz\r\n${body}`),
  'a space in the path': request(['Host: x', LENGTH], body, `${PATH} x`),
  'another protocol': `POST ${PATH} HTTP/3.0\r\nHost: x\r\n\r\n`,
  'no request at all': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
}

for (const [name, bytes] of Object.entries(AMBIGUOUS))
  await t.test(`${name}: 400, and nothing is stored`, async t => {
    const before = await contents()
    const answer = await say(bytes)
    t.strictSame(statusesIn(answer), [400], answer)
    t.strictSame(await contents(), before)
  })

await t.test('a header beyond all measure is refused', async t => {
  const before = await contents()
  t.strictSame(statusesIn(await say(request(['Host: x', `X: ${'x'.repeat(20_000)}`], ''))), [431])
  const long = `/webhooks/voicenter/cdr?token=${'x'.repeat(20_000)}`
  t.strictSame(statusesIn(await say(request(['Host: x', LENGTH], body, long))), [431])
  t.strictSame(await contents(), before)
})

await t.test('whichever way the path is written, it is that one path or none', async t => {
  const before = await contents()
  const { pathname, search } = new URL(PATH, 'http://x')
  const paths = {
    [`/${pathname}${search}`]: 404,
    [`/.${pathname}${search}`]: 404,
    [`/x/..${pathname}${search}`]: 404,
    [`/%2e${pathname}${search}`]: 404,
    [`${pathname}%00${search}`]: 404,
    [`${pathname}%20${search}`]: 404,
    [`${pathname};x=1${search}`]: 404,
    [`${pathname.replace('cdr', '%2e%2e/cdr')}${search}`]: 404,
    '/%': 404,
    '*': 404,
    'http://[/webhooks/voicenter/cdr?token=x': 404,
    'http://x:99999/webhooks/voicenter/cdr?token=x': 401,
  }
  for (const [path, status] of Object.entries(paths)) {
    const answer = await say(request(['Host: x', LENGTH], body, path))
    t.strictSame(statusesIn(answer), [status], path)
    t.notMatch(answer, /cdr|%2e|%00/i, `${path}: the answer repeats nothing`)
  }
  t.strictSame(await contents(), before)
})

await t.test('while one that is sound is stored, also as the second on its connection', async t => {
  const first = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`
  const answer = await say(first + request(['Host: x', LENGTH], body))
  t.strictSame(statusesIn(answer), [200, 200])
  const rows = db.selectFrom('raw_cdrs').select('deliveries')
  t.strictSame(await rows.execute(), [{ deliveries: 1 }], 'and it is the only one that ever was')
})
