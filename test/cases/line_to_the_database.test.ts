/**
 * What may happen on the line to the database besides its being cut: the answer to a commit is lost, everything
 * takes two seconds, there is no room for a connection. (Case 29; test/web/away.test.ts has the rest.)
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'

const real = new URL(process.env['DATABASE_URL'] ?? '')
const sockets = new Set<Socket>()
let delayMs = 0
/** Of the next statement that stores a record the answer never comes: the line is cut as soon as there is one. */
let loseAnswer = false
let full = false

/** "sorry, too many clients already", as Postgres writes it. */
const tooMany = (): Buffer => {
  const fields = Buffer.from('SFATAL\0C53300\0Msorry, too many clients already\0\0')
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

const proxy = createServer(ours => {
  if (full) {
    ours.once('data', () => ours.end(tooMany()))
    ours.on('error', () => {})
    return
  }
  const theirs = connect(Number(real.port), real.hostname)
  let lose = false
  for (const socket of [ours, theirs]) {
    sockets.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket)
        ours.destroy()
        theirs.destroy()
      })
  }
  ours.on('data', (bytes: Buffer) => {
    if (loseAnswer && bytes.includes('insert into raw_cdrs')) {
      loseAnswer = false
      lose = true
    }
    theirs.write(bytes)
  })
  theirs.on('data', (bytes: Buffer) => {
    // ReadyForQuery, idle: it is committed.
    if (lose && bytes.includes(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) return ours.destroy()
    if (!lose) void sleep(delayMs).then(() => ours.write(bytes))
    return undefined
  })
})
proxy.listen(0, '127.0.0.1')
await once(proxy, 'listening')
const address = proxy.address()
const proxied = new URL(real)
proxied.host = `127.0.0.1:${address && typeof address === 'object' ? address.port : ''}`
process.env['DATABASE_URL'] = proxied.href

// Only now: the program reads where its database is as soon as it is imported.
const { business, CDR, customer, db, OK, post, verdictsOf, webDb, work } =
  await import('../support/ringback.ts')
const { push } = await import('../../scripts/demo/cdr.ts')
t.teardown(() => {
  proxy.close()
  for (const socket of sockets) socket.destroy()
})

const timed = async (token: string, record: unknown) => {
  const started = performance.now()
  const response = await fetch(`${CDR}?token=${token}`, {
    method: 'POST',
    body: JSON.stringify(record),
  })
  const retryAfter = response.headers.get('retry-after')
  await response.body?.cancel()
  return { status: response.status, retryAfter, inTime: performance.now() - started < 10_000 }
}
const COME_AGAIN = { status: 503, retryAfter: '5', inTime: true }

await t.test('the answer to a commit is lost: 503, and the same again is the same', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  loseAnswer = true
  t.strictSame(await timed(token, record), COME_AGAIN)
  const rows = () =>
    webDb
      .selectFrom('raw_cdrs')
      .select('deliveries')
      .where('call_id', '=', record.ivruniqueid)
      .execute()
  t.strictSame(await rows(), [{ deliveries: 1 }], 'though it is stored')
  t.strictSame(await post(record, { token }), OK)
  t.strictSame(await rows(), [{ deliveries: 2 }])
  await work()
  t.strictSame(await verdictsOf(tenantId, record.ivruniqueid), [['missed', 'noanswer']])
  const calls = await db
    .selectFrom('missed_calls')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .execute()
  t.equal(calls.length, 1)
})

await t.test('two seconds for everything: slow or 503, and nothing twice', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  delayMs = 2000
  const answers = await Promise.all(Array.from({ length: 5 }, () => timed(token, record)))
  // What is still on its way would overtake nothing, but what comes now would overtake it.
  for (const socket of sockets) socket.destroy()
  await sleep(100)
  delayMs = 0
  for (const answer of answers) {
    t.ok([200, 503].includes(answer.status), String(answer.status))
    t.ok(answer.inTime)
  }
  t.strictSame(await post(record, { token }), OK)
  await work()
  t.strictSame(await verdictsOf(tenantId, record.ivruniqueid), [['missed', 'noanswer']])
})

await t.test('no room for a connection: 503, and 200 as soon as there is', async t => {
  const { token } = await business()
  full = true
  for (const socket of sockets) socket.destroy()
  await sleep(100)
  const answers = await Promise.all(Array.from({ length: 20 }, () => timed(token, push())))
  for (const answer of answers) t.strictSame(answer, COME_AGAIN)
  full = false
  t.strictSame(await post(push(), { token }), OK)
})
