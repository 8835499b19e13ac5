/** Network faults between the program and the database: each delivery is answered in time, and none is lost. (Cases 26, 27, 29) */
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { newPool } from '../../app/db/pool.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { startProxy } from '../../scripts/chaos/proxy.ts'
import { IN_ORDER, startProcess, waitUntil } from '../support/process.ts'
import { business, customer, db, verdictsOf, work } from '../support/ringback.ts'

const DATABASE_URL = new URL(process.env['DATABASE_URL'] ?? '')

const portOf = (server: Server): number => {
  const address = server.address()
  return address && typeof address === 'object' ? address.port : 0
}

/** "sorry, too many clients already", as Postgres sends it. */
const tooManyClients = (): Buffer => {
  const fields = Buffer.from('SFATAL\0C53300\0Msorry, too many clients already\0\0')
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}
const full = createServer(socket => {
  socket.once('data', () => socket.end(tooManyClients()))
  socket.on('error', () => {})
}).listen(0, '127.0.0.1')
await once(full, 'listening')
let isFull = false
const proxy = await startProxy(() => [isFull ? portOf(full) : Number(DATABASE_URL.port)])
t.teardown(async () => {
  full.close()
  await proxy.close()
})
const proxied = new URL(DATABASE_URL)
proxied.host = `127.0.0.1:${proxy.port}`

const program = startProcess({ ROLE: 'web', DATABASE_URL: proxied.href })
await program.running()
const url = await program.url()

const post = async (token: string, cdr = push()) => {
  const started = performance.now()
  const response = await fetch(`${url}/webhooks/voicenter/cdr?token=${token}`, {
    method: 'POST',
    body: JSON.stringify(cdr),
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.json(),
    inTime: performance.now() - started < 10_000,
  }
}
const OK = { status: 200, retryAfter: null, body: { Err: 0, Errdesc: 'OK' }, inTime: true }
const NOT_STORED = {
  status: 503,
  retryAfter: '5',
  body: { Err: 2, Errdesc: 'not stored; please send it again' },
  inTime: true,
}
const get = async (path: string) => {
  const response = await fetch(url + path)
  return { status: response.status, body: await response.json() }
}
const deliveriesOf = async (callId: string) => {
  const rows = db.selectFrom('raw_cdrs').select('deliveries').where('call_id', '=', callId)
  return (await rows.execute()).map(({ deliveries }) => deliveries)
}
const postMany = (token: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => post(token)))

await t.test('refused connections: 503 until the database is back', async t => {
  const { token } = await business()
  const cdr = push()
  proxy.refuse()
  proxy.reset()
  t.strictSame(await post(token, cdr), NOT_STORED)
  t.strictSame(await post('wrong'), NOT_STORED, 'the token cannot be checked')
  for (const answer of await postMany(token, 50)) t.strictSame(answer, NOT_STORED)
  t.match(await get('/healthz'), { status: 200 })
  t.strictSame(await get('/readyz'), {
    status: 503,
    body: { status: 'not ready', database: false, worker: null },
  })

  await proxy.accept()
  t.strictSame(await post(token, cdr), OK)
  t.strictSame(await deliveriesOf(cdr.ivruniqueid), [1])
  await waitUntil('ready', async () => (await get('/readyz')).status === 200)
})

await t.test('idle connections that are closed are replaced', async t => {
  const { token } = await business()
  await postMany(token, 20)
  proxy.cut()
  // The program must learn of it: a query written before is lost with its connection.
  await sleep(100)
  t.strictSame(await post(token), OK)
})

await t.test('silent connections are given up and not used again', async t => {
  const { token } = await business()
  await postMany(token, 20)
  proxy.silence()
  const cdrs = Array.from({ length: 10 }, () => push())
  const answers = await Promise.all(cdrs.map(cdr => post(token, cdr)))
  t.ok(answers.some(({ status }) => status === 503))
  for (const answer of answers) t.strictSame(answer, answer.status === 200 ? OK : NOT_STORED)
  // The program gives a silent connection up after six and a half seconds.
  await sleep(5000)
  for (const cdr of cdrs) {
    t.strictSame(await post(token, cdr), OK)
    t.equal((await deliveriesOf(cdr.ivruniqueid)).length, 1)
  }
})

await t.test('after one silent connection, work waits for no other', async t => {
  // The program's connections stay as they are.
  const own = await startProxy(() => [Number(DATABASE_URL.port)])
  const address = new URL(DATABASE_URL)
  address.host = `127.0.0.1:${own.port}`
  const pool = await newPool('test', 3, { connectionString: address.href })
  t.teardown(async () => {
    await pool.end()
    await own.close()
  })
  const clients = await Promise.all([1, 2, 3].map(() => pool.connect()))
  for (const client of clients) client.release()
  own.silence()
  await t.rejects(pool.query('select 1'), { message: 'Query read timeout' })
  const started = performance.now()
  await pool.query('select 1')
  t.ok(performance.now() - started < 2000)
})

await t.test('the answer to the commit is lost: 503, and the repeat is the same CDR', async t => {
  const { tenantId, token, did } = await business()
  const cdr = push({ caller: customer().local, did })
  proxy.dropAnswerTo(cdr.ivruniqueid)
  t.strictSame(await post(token, cdr), NOT_STORED)
  t.strictSame(await deliveriesOf(cdr.ivruniqueid), [1], 'it is stored')
  t.strictSame(await post(token, cdr), OK)
  t.strictSame(await deliveriesOf(cdr.ivruniqueid), [2])
  await work()
  t.strictSame(await verdictsOf(tenantId, cdr.ivruniqueid), [['missed', 'noanswer']])
  const calls = db.selectFrom('missed_calls').select('id').where('tenant_id', '=', tenantId)
  t.equal((await calls.execute()).length, 1)
})

await t.test('each answer takes two seconds: 200 or 503, and one call', async t => {
  const { tenantId, token, did } = await business()
  const cdr = push({ caller: customer().local, did })
  proxy.delay(1000)
  const answers = await Promise.all(Array.from({ length: 5 }, () => post(token, cdr)))
  // Otherwise delayed data would be overtaken by later data.
  proxy.reset()
  await sleep(100)
  proxy.delay(0)
  for (const answer of answers) t.strictSame(answer, answer.status === 200 ? OK : NOT_STORED)
  t.strictSame(await post(token, cdr), OK)
  await work()
  t.strictSame(await verdictsOf(tenantId, cdr.ivruniqueid), [['missed', 'noanswer']])
})

await t.test('the server has no connection left: 503 until it has', async t => {
  const { token } = await business()
  isFull = true
  proxy.reset()
  await sleep(100)
  for (const answer of await postMany(token, 20)) t.strictSame(answer, NOT_STORED)
  isFull = false
  t.strictSame(await post(token), OK)
})

await t.test('a session that starts too slowly does not keep its place in the pool', async t => {
  let delayMs = 0
  const server = createServer(near => {
    const far = connect(Number(DATABASE_URL.port), DATABASE_URL.hostname)
    let answers = 0
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far)
    // The first three answers belong to the handshake. Then comes the first query of the session.
    far.on('data', data => {
      setTimeout(() => near.write(data), ++answers > 3 ? delayMs : 0)
    })
    far.on('close', () => near.destroy())
    near.on('close', () => far.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const slow = new URL(DATABASE_URL)
  slow.host = `127.0.0.1:${portOf(server)}`

  const pool = await newPool('test', 1, { connectWithin: 300, connectionString: slow.href })
  t.teardown(() => pool.end())
  const first = await pool.connect()
  delayMs = 600
  // Two wait for the only place. It becomes free, and the new session is slow.
  const waiting = Promise.allSettled([pool.connect(), pool.connect()])
  first.release(new Error('broken'))
  for (const { status } of await waiting) t.equal(status, 'rejected')
  delayMs = 0
  await sleep(1500)
  for (let n = 0; n < 3; n++) {
    const client = await pool.connect()
    t.match((await client.query('select 1 as one')).rows, [{ one: 1 }])
    client.release()
  }
})

await t.test('the program stops in order after all that', async t => {
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
