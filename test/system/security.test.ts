/** Malformed and slow requests, a slow database, hostile answers from Meta, and what the log reveals. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { sql } from 'kysely'
import t from 'tap'
import { config, reloadConfig } from '../../app/config.ts'
import { decrypt, tokenOwner } from '../../app/crypto.ts'
import { postMessage } from '../../app/whatsapp/client.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { startProcess, waitUntil } from '../support/process.ts'
import {
  APP_SECRET,
  business,
  contents,
  customer,
  db,
  fake,
  OK,
  post,
  url,
  VERIFY_TOKEN,
  webhookToken,
} from '../support/ringback.ts'
import { change, deliver, envelope, hmac } from '../support/whatsapp.ts'

const shop = await business()
const PATH = `/webhooks/voicenter/cdr?token=${shop.token}`
const NOT_STORED = { status: 503, body: { Err: 2, Errdesc: 'not stored; please send it again' } }
const run = (statement: string) => sql.raw(statement).execute(db)

const dial = async (): Promise<Socket> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}
const answersOn = (socket: Socket): Promise<string> =>
  text(socket).catch((error: unknown) => `cut off: ${String(error)}`)
/** Sends these bytes. @returns everything that is answered until the server closes the connection */
const say = async (bytes: string): Promise<string> => {
  const socket = await dial()
  socket.write(bytes, 'latin1')
  return answersOn(socket)
}
/** The status of each answer, in order. */
const statusesIn = (answers: string): number[] =>
  [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))

await t.test('request smuggling: what two servers could read differently is refused', async t => {
  const body = JSON.stringify(push())
  const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const LENGTH = `Content-Length: ${body.length}`
  /** A second request that an attacker hides behind the first. */
  const HIDDEN = `POST ${PATH} HTTP/1.1\r\nHost: x\r\n${LENGTH}\r\n\r\n${body}`
  const request = (headers: string[], rest: string, path = PATH) =>
    `POST ${path} HTTP/1.1\r\n${['Connection: close', ...headers].join('\r\n')}\r\n\r\n${rest}`
  const CHUNKED = 'Transfer-Encoding: chunked'
  const AMBIGUOUS = {
    'a length and chunks': request(['Host: x', LENGTH, CHUNKED], chunked + HIDDEN),
    'chunks and a length': request(['Host: x', CHUNKED, LENGTH], chunked + HIDDEN),
    'two lengths': request(['Host: x', LENGTH, 'Content-Length: 0'], body + HIDDEN),
    'the same length twice': request(['Host: x', LENGTH, LENGTH], body + HIDDEN),
    'a list of lengths': request(['Host: x', `${LENGTH}, 0`], body + HIDDEN),
    'a length with a sign': request(['Host: x', `Content-Length: +${body.length}`], body + HIDDEN),
    'a length in hex': request(['Host: x', 'Content-Length: 0x10'], body + HIDDEN),
    'no host': request([LENGTH], body + HIDDEN),
    'a space before the colon': request(['Host: x', `Content-Length : ${body.length}`], body),
    'a folded header': request(['Host: x', 'X: a\r\n b', LENGTH], body),
    'a bare line feed': request(['Host: x', `X: a\n${LENGTH}`], body),
    'a NUL in a header': request(['Host: x', 'X: a\0b', LENGTH], body),
    'chunks that are not last': request(['Host: x', `${CHUNKED}, x`], chunked),
    'an unknown encoding': request(['Host: x', 'Transfer-Encoding: xchunked'], chunked),
    'a chunk without a size': request(['Host: x', CHUNKED], `zz\r\n${body}`),
    'a space in the path': request(['Host: x', LENGTH], body, `${PATH} x`),
    'another protocol': `POST ${PATH} HTTP/3.0\r\nHost: x\r\n\r\n`,
    'a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  }
  const before = await contents()
  for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
    const answer = await say(bytes)
    t.strictSame(statusesIn(answer), [400], `${name}: ${answer}`)
  }
  t.strictSame(await contents(), before, 'nothing is stored')

  const long = `/webhooks/voicenter/cdr?token=${'x'.repeat(20_000)}`
  t.strictSame(statusesIn(await say(request(['Host: x', `X: ${'x'.repeat(20_000)}`], ''))), [431])
  t.strictSame(statusesIn(await say(request(['Host: x', LENGTH], body, long))), [431])

  const { pathname, search } = new URL(PATH, 'http://x')
  const PATHS = {
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
  for (const [path, status] of Object.entries(PATHS)) {
    const answer = await say(request(['Host: x', LENGTH], body, path))
    t.strictSame(statusesIn(answer), [status], path)
    t.notMatch(answer, /cdr|%2e|%00/i, `${path}: the answer does not repeat it`)
  }
  t.strictSame(await contents(), before, 'nothing is stored')

  const healthy = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n${request(['Host: x', LENGTH], body)}`
  t.strictSame(statusesIn(await say(healthy)), [200, 200], 'two valid requests on one connection')
  const rows = db.selectFrom('raw_cdrs').select('deliveries')
  t.strictSame(await rows.execute(), [{ deliveries: 1 }], 'only this one was ever stored')
})

/** Each lookup of a token takes this long. */
const slowTokens = async (seconds: number) => {
  await run('alter table webhook_tokens rename to real_tokens')
  await run(`create view webhook_tokens as
    select real_tokens.* from real_tokens, lateral (select pg_sleep(${seconds})) as slept`)
}
const fastTokens = async () => {
  await run('drop view webhook_tokens')
  await run('alter table real_tokens rename to webhook_tokens')
}
/** Each insert takes this long and then fails with a conflict, which is retried. */
const conflicts = async (table: string, seconds: number) => {
  await run(`create function conflict() returns trigger language plpgsql as $$
    begin perform pg_sleep(${seconds}); raise exception 'conflict' using errcode = '40001'; end $$`)
  await run(`create trigger conflict before insert on ${table}
    for each row execute function conflict()`)
}
const noConflicts = () => run('drop function conflict() cascade')
const timed = async <T>(answer: Promise<T>) => {
  const started = performance.now()
  return { answer: await answer, seconds: (performance.now() - started) / 1000 }
}

await t.test('a delivery is answered within ten seconds', async t => {
  await t.test('if the token lookup is slow', async t => {
    const { token } = await business()
    await slowTokens(4.5)
    const { answer, seconds } = await timed(post(push(), { token }))
    await fastTokens()
    t.strictSame(answer, NOT_STORED)
    t.ok(seconds < 4.4, `${seconds} s`)
    t.strictSame(await post(push(), { token }), OK)
  })

  await t.test('if the lookup is slow and each insert conflicts', async t => {
    const { token } = await business()
    const cdr = push()
    await slowTokens(2)
    // Five tries of three seconds would take seventeen seconds in all.
    await conflicts('raw_cdrs', 3)
    const { answer, seconds } = await timed(post(cdr, { token }))
    await noConflicts()
    await fastTokens()
    t.strictSame(answer, NOT_STORED)
    t.ok(seconds < 12, `${seconds} s`)
    t.strictSame(await post(cdr, { token }), OK)
    const rows = db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', cdr.ivruniqueid)
    t.match(await rows.execute(), [{ deliveries: 1 }])
  })

  await t.test('also if it comes from WhatsApp', async t => {
    const { phoneNumberId } = await business()
    const body = envelope(change(phoneNumberId, { messages: [{ id: 'wamid.slow' }] }))
    await conflicts('whatsapp_events', 3)
    const { answer, seconds } = await timed(deliver(body))
    await noConflicts()
    t.match(answer, { status: 503 })
    t.ok(seconds < 12, `${seconds} s`)
    t.match(await deliver(body), { status: 200 })
  })
})

const HEAD = `POST ${PATH} HTTP/1.1\r\nHost: x\r\n`
const SIGNED = `POST /webhooks/whatsapp HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=${'0'.repeat(64)}\r\n`
/** The first part, the part that is repeated every half second, and the limit in seconds: 10 for a head, 15 for a request. */
const SLOW: Record<string, [first: string, again: string, limit: number]> = {
  'a head that never ends': [HEAD, 'X: y\r\n', 10],
  'an incomplete head': ['POST /webhooks', '', 10],
  'a body that comes byte by byte': [`${HEAD}Content-Length: 5000\r\n\r\n{`, ' ', 15],
  'an incomplete body': [`${HEAD}Content-Length: 5000\r\n\r\n{`, '', 15],
  'no body': [`${HEAD}Content-Length: 5000\r\n\r\n`, '', 15],
  'endless chunks': [`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n', 15],
  'a body with a signature': [`${SIGNED}Content-Length: 5000\r\n\r\n{`, ' ', 15],
}

await t.test('slow clients get 408, and others are served meanwhile', async t => {
  const before = await contents()
  const slow = Promise.all(
    Object.entries(SLOW).map(async ([name, [first, again, limit]]) => {
      const socket = await dial()
      const started = performance.now()
      socket.write(first)
      const repeat = setInterval(() => socket.write(again), 500)
      const answer = await answersOn(socket)
      clearInterval(repeat)
      const seconds = (performance.now() - started) / 1000
      t.strictSame(statusesIn(answer), [408], name)
      t.ok(seconds > limit - 1 && seconds < limit + 10, `${name}: ${seconds} s`)
    }),
  )
  const silent = await Promise.all(Array.from({ length: 500 }, () => dial()))
  await sleep(1000)
  t.strictSame(await contents(), before, 'nothing is stored')
  for (let i = 0; i < 20; i++) t.strictSame(await post(push(), shop), OK)
  await slow
  for (const socket of silent) socket.destroy()
})

await t.test('announced bodies that do not arrive take no memory from others', async t => {
  const announced = await Promise.all(Array.from({ length: 50 }, () => dial()))
  for (const socket of announced) socket.write(`${HEAD}Content-Length: 5000000\r\n\r\n{`)
  await sleep(500)
  const large = JSON.stringify(push({ transcript: 'x'.repeat(4_000_000) }))
  t.strictSame(await post(large, shop), OK)
  for (const socket of announced) socket.destroy()
})

await t.test('hostile answers to what we send to WhatsApp', async t => {
  const asked: string[] = []
  let written = 0
  const spaces = function* () {
    for (; written < 200_000_000; written += 64 * 1024) yield Buffer.alloc(64 * 1024, ' ')
  }
  const ZIPPED = gzipSync(Buffer.alloc(50_000_000, ' '))
  const ANSWERS: Record<string, RequestListener> = {
    redirect: (_req, res) => res.writeHead(307, { location: '/inside' }).end(),
    permanent: (_req, res) =>
      res.writeHead(308, { location: 'http://169.254.169.254/latest' }).end(),
    page: (_req, res) => res.setHeader('content-type', 'text/html').end('<html>{"messages"</html>'),
    large: (_req, res) => res.end(`{"messages":[{"id":"x"}],"pad":"${'x'.repeat(10_000_000)}"}`),
    endless: (_req, res) => void pipeline(Readable.from(spaces()), res).catch(() => {}),
    zipped: (_req, res) => res.setHeader('content-encoding', 'gzip').end(ZIPPED),
    slow: (_req, res) => {
      const repeat = setInterval(() => res.write(' '), 200)
      res.on('close', () => clearInterval(repeat))
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
    process.env['WHATSAPP_GRAPH_URL'] = fake.url
    reloadConfig()
  })
  const sendTo = (name: string) =>
    postMessage({
      messageId: '1',
      phoneNumberId: name,
      accessToken: 'token',
      to: '+972502345678',
      content: { text: 'x' },
    })

  for (const [name, status] of Object.entries({ redirect: 307, permanent: 308 }))
    t.match(await sendTo(name), { kind: 'refused', code: null, why: `http_${status}` })
  t.ok(
    asked.every(path => path.endsWith('/messages')),
    'redirects are not followed',
  )
  asked.length = 0
  await sendTo('../../inside?x=')
  t.strictSame(
    asked,
    ['/v26.0/..%2F..%2Finside%3Fx%3D/messages'],
    'a number stays one path segment',
  )
  t.strictSame(await sendTo('page'), { kind: 'unknown', why: 'unreadable_answer' })

  const before = process.memoryUsage().rss
  for (let i = 0; i < 10; i++) t.match(await sendTo('large'), { kind: 'unknown' })
  t.match(await sendTo('zipped'), { kind: 'unknown' })
  t.match(await sendTo('endless'), { kind: 'unknown' })
  t.ok(written < 50_000_000, `the connection is closed after ${written} bytes`)
  t.ok(process.memoryUsage().rss - before < 150_000_000)

  const { answer, seconds } = await timed(sendTo('slow'))
  t.strictSame(answer, { kind: 'unknown', why: 'TimeoutError' })
  t.ok(seconds > 14 && seconds < 25, `${seconds} s`)
})

await t.test('the log contains no phone numbers, texts, tokens, headers or bodies', async t => {
  const program = startProcess({ LOG_LEVEL: 'trace' })
  await program.running()
  const address = await program.url()
  const { tenantId, token, did, phoneNumberId } = await business({
    columns: { outreach_delay: '0 seconds' },
  })
  const unbound = await webhookToken(null)
  const TEXT = 'מתי אתם פתוחים'
  const cdr = async (body: string, credential = token) => {
    const headers = { 'x-secret': 'header-secret', 'content-type': 'application/json', cookie: 'c' }
    const to = `${address}/webhooks/voicenter/cdr?token=${credential}&hint=query-secret`
    return (await fetch(to, { method: 'POST', body, headers })).status
  }
  const event = async (body: unknown, signature?: string) => {
    const json = JSON.stringify(body)
    const headers = { 'x-hub-signature-256': signature ?? `sha256=${hmac(json)}` }
    const to = `${address}/webhooks/whatsapp`
    return (await fetch(to, { method: 'POST', body: json, headers })).status
  }
  const [dana, omer, third] = [customer(), customer(), customer()]
  const missed = (caller: { local: string }) =>
    JSON.stringify(
      push({ caller: caller.local, did, representative_name: 'a\n{"level":30}\r\u001b[31m' }),
    )
  fake.script({ to: omer.e164, outcome: { kind: 'error', code: 131026 } })
  t.equal(await cdr(missed(dana)), 200)
  t.equal(await cdr(missed(omer)), 200)
  t.equal(await cdr(missed(dana).slice(1)), 400)
  t.equal(await cdr(`{"caller":"${dana.local}"}`), 400)
  t.equal(await cdr(missed(dana), 'wrong-token'), 401)
  t.equal(await cdr('x'.repeat(6_000_000)), 413)
  await waitUntil('the message is sent', () => fake.inbox(dana.e164).length > 0)

  const message = { id: 'wamid.logs', from: dana.e164.slice(1), type: 'text', text: { body: TEXT } }
  const body = envelope(change(phoneNumberId, { messages: [message] }))
  t.equal(await event(body), 200)
  t.equal(await event(body, `sha256=${'0'.repeat(64)}`), 401)
  const query = new URLSearchParams({
    'hub.mode': 'subscribe',
    'hub.verify_token': VERIFY_TOKEN,
    'hub.challenge': 'c',
  })
  t.equal((await fetch(`${address}/webhooks/whatsapp?${query.toString()}`)).status, 200)

  // An error of the database is logged without the row.
  await run(`alter table raw_cdrs add constraint never check (call_id = 'x') not valid`)
  t.equal(await cdr(missed(omer), unbound), 503)
  await run('alter table raw_cdrs drop constraint never')
  await run(`alter table whatsapp_events add constraint never check (kind = 'x') not valid`)
  t.equal(
    await event(envelope(change(phoneNumberId, { messages: [{ ...message, id: 'y' }] }))),
    503,
  )
  await run('alter table whatsapp_events drop constraint never')
  // An error in a task too.
  await run(`alter table leads add constraint never check (phone = 'x') not valid`)
  t.equal(await cdr(missed(third)), 200)
  await waitUntil('the task failed', () =>
    program.lines.some(line => line.includes('"never"') && line.includes('voicenter_cdr')),
  )
  await run('alter table leads drop constraint never')

  const { access_token: encrypted } = await db
    .selectFrom('whatsapp_connections')
    .select('access_token')
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
  const log = program.lines.join('\n')
  t.match(log, /"constraint":"never"/, 'the errors are logged')
  t.match(log, /delivery rejected/)
  const SECRETS = {
    'the number of the caller': dana.e164.slice(5),
    'the number of the second caller': omer.e164.slice(5),
    'the number of the third caller': third.e164.slice(5),
    'the text of the reply': TEXT,
    'a name': 'level\\":30',
    'a header': 'header-secret',
    'a query string': 'query-secret',
    'the token': token,
    'the unbound token': unbound,
    'a wrong token': 'wrong-token',
    'the access token': decrypt(encrypted, tokenOwner(tenantId)),
    'the encrypted access token': encrypted,
    'the app secret': APP_SECRET,
    'the verify token': VERIFY_TOKEN,
    'the encryption key': config().ENCRYPTION_KEY.toString('base64'),
  }
  for (const [name, secret] of Object.entries(SECRETS))
    t.notOk(log.includes(secret), `${name} is not in the log`)
  for (const line of program.lines) t.match(JSON.parse(line), { level: Number, msg: String })
  program.signal('SIGTERM')
  await program.ended()
})
