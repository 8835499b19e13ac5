/** The database is away, or worse: there and silent. Every delivery is answered in time, and none is lost. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'

/** A line to the database that can be cut, or left open with nothing passing any more. */
const real = new URL(process.env['DATABASE_URL'] ?? '')
const lines = new Set<{ ours: Socket; theirs: Socket }>()
let refuse = false
const proxy = createServer(ours => {
  if (refuse) return ours.destroy()
  const theirs = connect(Number(real.port), real.hostname)
  const line = { ours, theirs }
  lines.add(line)
  for (const socket of [ours, theirs])
    socket
      .on('error', () => {})
      .on('close', () => {
        lines.delete(line)
        ours.destroy()
        theirs.destroy()
      })
  ours.pipe(theirs).pipe(ours)
})
proxy.listen(0, '127.0.0.1')
await once(proxy, 'listening')
const address = proxy.address()
const proxied = new URL(real)
proxied.host = `127.0.0.1:${address && typeof address === 'object' ? address.port : ''}`
process.env['DATABASE_URL'] = proxied.href

// Only now: the program reads where its database is as soon as it is imported.
const { business, CDR, OK, post, url, webDb: db } = await import('../support/ringback.ts')
const { push } = await import('../../scripts/demo/cdr.ts')
t.teardown(() => {
  proxy.close()
  cut()
})

const cut = () => {
  for (const { ours } of lines) ours.destroy()
}
/** No packet arrives any more and nobody says so, as when the other machine has lost its power. */
const silence = () => {
  for (const { ours, theirs } of lines) {
    ours.unpipe().pause()
    theirs.unpipe().pause()
  }
}
const timed = async (token: string, record = push()) => {
  const started = performance.now()
  const response = await fetch(`${CDR}?token=${token}`, {
    method: 'POST',
    body: JSON.stringify(record),
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.json(),
    inTime: performance.now() - started < 10_000,
  }
}
const COME_AGAIN = {
  status: 503,
  retryAfter: '5',
  body: { Err: 2, Errdesc: 'not stored; please send it again' },
  inTime: true,
}
const get = async (path: string) => {
  const response = await fetch(url + path)
  return { status: response.status, body: await response.json() }
}
const storedOnce = async (callId: string) =>
  (await db.selectFrom('raw_cdrs').select('id').where('call_id', '=', callId).execute()).length

await t.test('while the database refuses connections the sender is told to come again', async t => {
  const { token } = await business()
  const record = push()
  refuse = true
  cut()
  t.strictSame(await timed(token, record), COME_AGAIN)
  t.strictSame(await timed('wrong'), COME_AGAIN, 'also who may have a wrong token: nobody knows')
  const many = await Promise.all(Array.from({ length: 50 }, () => timed(token)))
  for (const answer of many) t.strictSame(answer, COME_AGAIN)
  t.match(await get('/healthz'), { status: 200 }, 'the process is alive')
  t.strictSame(await get('/readyz'), {
    status: 503,
    body: { status: 'not ready', database: false, worker: null },
  })

  refuse = false
  t.strictSame(await post(record, { token }), OK, 'once it is back, all is as before')
  t.equal(await storedOnce(record.ivruniqueid), 1)
  t.match(await get('/readyz'), { status: 200 })
})

await t.test('connections that were cut while idle are not noticed outside', async t => {
  const { token } = await business()
  await Promise.all(Array.from({ length: 20 }, () => post(push(), { token })))
  cut()
  // A moment for the news to arrive: what is written before that is lost with the connection.
  await sleep(100)
  t.strictSame(await post(push(), { token }), OK)
})

await t.test('connections that have fallen silent are given up, and not used again', async t => {
  const { token } = await business()
  await Promise.all(Array.from({ length: 20 }, () => post(push(), { token })))
  silence()
  const records = Array.from({ length: 10 }, () => push())
  const answers = await Promise.all(records.map(record => timed(token, record)))
  t.ok(answers.some(({ status }) => status === 503))
  for (const answer of answers)
    t.strictSame(
      answer,
      answer.status === 200 ? { ...OK, retryAfter: null, inTime: true } : COME_AGAIN,
    )
  // Every answer came before the silent connections were given up, which is after eight seconds.
  await sleep(6000)
  for (const record of records) {
    t.strictSame(await post(record, { token }), OK, 'the next ones get new connections')
    t.equal(await storedOnce(record.ivruniqueid), 1)
  }
})
