/**
 * The worker of the design that Ringback replaces: each job for itself, CONCURRENCY of them at once. Three statements
 * in Postgres, prepared once for each connection, and a job that falls due in two minutes. Every job that runs has a
 * connection of its own, up to half of what Postgres allows as it is shipped; with 10 or 20 it was slower.
 */
import { readFile } from 'node:fs/promises'
import { Worker } from 'bullmq'
import { parsePhoneNumberFromString } from 'libphonenumber-js'
import pg from 'pg'
import { CDR_QUEUE, connection, openQueue, OUTREACH_QUEUE } from './queues.mjs'

const MISSED = new Set(['NOANSWER', 'CANCEL', 'BUSY', 'ABANDONE'])
const TWO_MINUTES = 120_000
const MOST_CONNECTIONS = 50
const concurrency = Number(process.env.CONCURRENCY ?? 5)

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: Math.min(concurrency, MOST_CONNECTIONS),
})
pool.on('error', error => console.error(error))
await pool.query(await readFile(new URL('tables.sql', import.meta.url), 'utf8'))
const outreachQueue = openQueue(OUTREACH_QUEUE)

const one = async (name, text, values) => (await pool.query({ name, text, values })).rows[0]
const e164 = written => parsePhoneNumberFromString(String(written), 'IL')?.number

const record = async ({ data: { payload, receivedAt } }) => {
  const status = payload.status ?? payload.DialStatus
  if (!MISSED.has(status)) return
  const caller = e164(payload.caller)
  const business = e164(payload.did ?? payload.DID)
  if (!caller || !business) return
  const line = await one('line', 'select id from connections where phone = $1', [business])
  if (!line) return
  const callId = payload.ivruniqueid ?? payload.CallID
  if (await one('known', 'select id from missed_calls where call_id = $1', [callId])) return
  const missed = await one(
    'record',
    `insert into missed_calls (connection_id, call_id, caller_phone, business_phone, status, payload, received_at)
     values ($1, $2, $3, $4, $5, $6, $7) returning id`,
    [line.id, callId, caller, business, status, payload, receivedAt],
  )
  await outreachQueue.add(
    'lead-outreach',
    { missedCallId: missed.id, callerPhone: caller },
    { delay: TWO_MINUTES, jobId: `lead-outreach-${missed.id}` },
  )
}

const worker = new Worker(CDR_QUEUE, record, { connection, concurrency })
worker.on('error', error => console.error(error))
worker.on('failed', (_job, error) => console.error(error))
const stop = async () => {
  await worker.close()
  await outreachQueue.close()
  await pool.end()
  process.exit(0)
}
process.once('SIGTERM', () => void stop())
await worker.waitUntilReady()
console.log('ready')
