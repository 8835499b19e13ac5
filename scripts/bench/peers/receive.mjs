/**
 * What both webhook peers do before they queue: read the JSON, look for the four required fields under the names
 * of the published push and of the Call Log, and nothing else. Ringback does more here (it knows the sender by
 * her token, reads forms and arrays, keeps what it refuses); the peers are spared it.
 */
import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const isMissing = value => value === undefined || value === null || value === ''

/** @param enqueue resolves once the queue has it; only then is the sender told so */
export const listen = enqueue => {
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
  return serve(
    { fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT ?? 0) },
    ({ port }) => console.log(`listening ${port}`),
  )
}

/** Answers what has arrived, then lets go of the queue. */
export const endOnSigterm = (server, close) =>
  process.once('SIGTERM', () => {
    server.close(() => void close().finally(() => process.exit(0)))
    server.closeIdleConnections()
  })
