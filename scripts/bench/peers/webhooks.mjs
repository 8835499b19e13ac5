/**
 * The webhooks of the peers: `node webhooks.mjs bullmq` and `node webhooks.mjs pg-boss`. Both add one job per call and answer
 * 200 once the queue has stored it.
 */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const isMissing = value => value === undefined || value === null || value === ''

/**
 * Parses the JSON and checks the four required fields under both of their names. Ringback does more: it verifies the token,
 * reads forms and arrays, and stores rejected deliveries.
 */
const listen = (enqueue, close) => {
  const app = new Hono()
  app.post('/webhooks/voicenter/cdr', async c => {
    let payload
    try {
      payload = await c.req.json()
    } catch {
      return c.json({ Err: 1, Errdesc: 'not JSON' }, 400)
    }
    const callId = payload?.ivruniqueid ?? payload?.CallID
    const status = payload?.status ?? payload?.DialStatus
    const did = payload?.did ?? payload?.DID
    if ([callId, payload?.caller, did, status].some(isMissing))
      return c.json({ Err: 1, Errdesc: 'call id, caller, DID or status is missing' }, 400)
    await enqueue({
      source: 'voicenter',
      eventId: callId,
      eventType: 'cdr',
      payload,
      receivedAt: new Date().toISOString(),
    })
    return c.json({ Err: 0, Errdesc: 'OK' })
  })
  app.onError((error, c) => {
    console.error(error)
    return c.json({ Err: 2, Errdesc: 'not stored' }, 503)
  })
  const server = serve(
    { fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT ?? 0) },
    ({ port }) => console.log(`listening ${port}`),
  )
  process.once('SIGTERM', () => {
    server.close(() => void close().finally(() => process.exit(0)))
    server.closeIdleConnections()
  })
}

/** The webhook of the design that Ringback replaces: Hono, and one job in Redis. */
const bullmq = async () => {
  const { CDR_QUEUE, openQueue } = await import('./bullmq.mjs')
  const queue = openQueue(CDR_QUEUE)
  await queue.waitUntilReady()
  listen(
    event => queue.add('voicenter-cdr', event),
    () => queue.close(),
  )
}

/**
 * One `send`, which is one insert. This process only sends, so it runs no supervision and no schedules. pg-boss was slower
 * with its default of 10 connections than with 50: simultaneous commits share the wait for the disk.
 */
const pgBoss = async () => {
  const { PgBoss } = await import('pg-boss')
  const boss = new PgBoss({
    connectionString: process.env.DATABASE_URL,
    supervise: false,
    schedule: false,
    max: 50,
  })
  boss.on('error', error => console.error(error))
  await boss.start()
  await boss.createQueue('voicenter-cdr')
  listen(
    event => boss.send('voicenter-cdr', event),
    () => boss.stop({ graceful: false }),
  )
}

await { bullmq, 'pg-boss': pgBoss }[process.argv[2]]()
