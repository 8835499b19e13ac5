/** SIGTERM at various moments: the program ends in time, answers what has arrived, and releases its jobs. (Cases 38, 39) */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  ask,
  databaseProxy,
  IN_ORDER,
  lockedJobs,
  startProcess,
  waitUntil,
  workerPools,
} from '../support/process.ts'
import { business, db, OK, post } from '../support/ringback.ts'
import { beingSent } from '../support/sending.ts'
import { acknowledged, classified, startTraffic } from './traffic.ts'

await t.test('without work it ends at once', async t => {
  for (const ROLE of ['web', 'worker', 'all']) {
    const program = startProcess({ ROLE })
    await program.running()
    program.signal('SIGTERM')
    const { how, seconds } = await program.ended()
    t.equal(how, 0, ROLE)
    t.ok(seconds < 8, `${ROLE} ends within ${seconds.toFixed(1)} s`)
  }
})

await t.test('after five signals it answers what has arrived and ends what it began', async t => {
  const program = startProcess()
  const url = await program.url()
  await program.running()
  const { token } = await business()
  const webhook = `${url}/webhooks/voicenter/cdr?token=${token}`
  const cdr = push()
  t.strictSame(await post(cdr, { token }), OK)
  const message = await beingSent(4000)

  // A repeated delivery waits for the lock on its row.
  const release = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const holding = db.transaction().execute(async trx => {
    await sql`select from raw_cdrs where call_id = ${cdr.ivruniqueid} for update`.execute(trx)
    locked.resolve()
    await release.promise
  })
  await locked.promise
  const waiting = ask(webhook, cdr)
  // A connection on which the first half of a request has arrived.
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket
    .setEncoding('utf8')
    .on('data', text => (received += text))
    .on('error', () => {})
  socket.write(`POST /webhooks/voicenter/cdr?token=${token} HTTP/1.1\r\nHost: ringback\r\n`)
  await sleep(300)

  for (let times = 0; times < 5; times++) {
    program.signal('SIGTERM')
    await sleep(50)
  }
  await program.says('stopping')
  socket.write('Content-Length: 2\r\n\r\n[]')
  await t.rejects(ask(`${url}/healthz`), 'new connections are refused')
  await sleep(500)
  release.resolve()
  await holding
  t.strictSame(await waiting, { status: 200, retryAfter: null, connection: 'close' })
  await waitUntil('the second request is answered', () => received.includes('not stored'))
  t.match(received, /^HTTP\/1.1 503 /)
  t.match(received, /\r\nConnection: close\r\n/)
  t.match(received, /\r\nRetry-After: 5\r\n/)

  t.match(await program.ended(), IN_ORDER)
  t.equal(program.lines.filter(line => line.includes('"msg":"stopping"')).length, 1)
  t.strictSame(await message.outreach(), 'sent accepted')
  t.strictSame(await lockedJobs(), [], 'it holds no job')
  t.match(await workerPools(), [], 'it is not registered any more')
  t.notOk(
    program.lines.some(line => /"level":[56]0/.test(line) && !line.includes('request failed')),
    'no error is logged',
  )
})

await t.test('if WhatsApp does not answer, it ends in time and the outcome is unknown', async t => {
  const program = startProcess({ ROLE: 'worker' })
  await program.running()
  const message = await beingSent(null)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  t.strictSame(await message.outreach(), 'unknown no_answer')
  t.strictSame(await lockedJobs(), [])
})

await t.test('during the start', async t => {
  await t.test('as soon as it listens', async t => {
    const program = startProcess()
    await program.url()
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
    t.strictSame(await workerPools(), [])
  })

  await t.test('while it waits for a database that refuses connections', async t => {
    const proxy = await databaseProxy()
    proxy.refuse()
    const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL })
    await program.says('waiting for the database')
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  })

  await t.test('while it waits for a database that does not answer', async t => {
    const silent = createServer().listen(0)
    await once(silent, 'listening')
    t.teardown(() => silent.close())
    const address = silent.address()
    const port = address && typeof address === 'object' ? address.port : 0
    const program = startProcess({ DATABASE_URL: `postgres://127.0.0.1:${port}/ringback` })
    await program.url()
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  })
})

type Proxy = Awaited<ReturnType<typeof databaseProxy>>
const OUTAGES: Record<string, (proxy: Proxy) => void> = {
  refused: proxy => proxy.disconnect(),
  silent: proxy => {
    proxy.silence()
    // New connections too.
    setInterval(() => proxy.silence(), 20).unref()
  },
}
const stopDuring = async (t: Test, outage: (proxy: Proxy) => void) => {
  const proxy = await databaseProxy()
  const program = startProcess({ DATABASE_URL: proxy.DATABASE_URL })
  await program.running()
  const message = await beingSent(1000)
  const traffic = await startTraffic(program)
  await waitUntil('some CDRs are stored', () => acknowledged(traffic.answers).length > 0)
  outage(proxy)
  await sleep(500)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  const answers = await traffic.end()
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  const callIds = acknowledged(answers)
  t.not(callIds.length, 0)
  t.equal((await classified(callIds)).stored, callIds.length, 'what was acknowledged is stored')
  return { callIds, message }
}

await t.test('during an outage it ends in time, and the next process takes its jobs', async t => {
  // Together, because each takes all the time that it has to stop.
  const stopped = await Promise.all(Object.values(OUTAGES).map(outage => stopDuring(t, outage)))
  const next = startProcess()
  await next.running()
  const callIds = stopped.flatMap(one => one.callIds)
  const took = await waitUntil('classified', async () => (await classified(callIds)).open === 0)
  t.ok(took < 20, `its jobs run within ${took.toFixed(1)} s`)
  next.signal('SIGTERM')
  t.match(await next.ended(), IN_ORDER)
  for (const { message } of stopped) t.equal(message.received(), 1, 'no message is sent twice')
})
