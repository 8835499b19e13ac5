/**
 * The design that Ringback replaces: two queues in Redis, and missed calls in Postgres.
 *
 *   node bullmq.mjs worker        processes the calls, CONCURRENCY at once; prints `ready` when it runs
 *   node bullmq.mjs fill < FILE   creates the tables and adds one job per line, a call record as JSON
 *   node bullmq.mjs count         prints {"cdr": {"waiting": 0, ...}, "outreach": {"delayed": 0, ...}}
 *
 * The connections follow BullMQ's documentation: `maxRetriesPerRequest: null`, and one connection per queue, which all
 * `add` calls share. `enableAutoPipelining` is off: BullMQ's maintainer does not expect it to work, and users lost jobs
 * from the active list (taskforcesh/bullmq#457, #1127). Finished jobs are removed, so that Redis does not fill up.
 */
import { createInterface } from 'node:readline'
import { Queue, Worker } from 'bullmq'
import { parsePhoneNumberFromString } from 'libphonenumber-js'
import pg from 'pg'

export const CDR_QUEUE = 'voicenter-cdr'
const OUTREACH_QUEUE = 'lead-outreach'
const MISSED = new Set(['NOANSWER', 'CANCEL', 'BUSY', 'ABANDONE'])
const TWO_MINUTES = 120_000
const BATCH = 500
/** Half of Postgres's default limit. The worker was slower with 10 or 20. */
const MAX_CONNECTIONS = 50

const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null }
const defaultJobOptions = { attempts: 3, removeOnComplete: true, removeOnFail: 1000 }

export const openQueue = name => {
  const queue = new Queue(name, { connection, defaultJobOptions })
  queue.on('error', error => console.error(error))
  return queue
}

const TABLES = `
  create table connections (
    id bigint generated always as identity primary key, phone text not null unique, name text not null
  );
  create table missed_calls (
    id bigint generated always as identity primary key, connection_id bigint not null references connections,
    call_id text not null unique, caller_phone text not null, business_phone text not null, status text not null,
    payload jsonb not null, received_at timestamptz not null, created_at timestamptz not null default now()
  );
  insert into connections (phone, name) values ('+972722776772', 'Noa''s Salon')`

const fill = async () => {
  const client = new pg.Client(process.env.DATABASE_URL)
  await client.connect()
  await client.query(TABLES)
  await client.end()

  const queue = openQueue(CDR_QUEUE)
  const jobs = []
  for await (const line of createInterface(process.stdin)) {
    const payload = JSON.parse(line)
    const receivedAt = new Date().toISOString()
    const event = { source: 'voicenter', eventId: payload.ivruniqueid, eventType: 'cdr' }
    jobs.push({ name: 'voicenter-cdr', data: { ...event, payload, receivedAt } })
  }
  while (jobs.length) await queue.addBulk(jobs.splice(0, BATCH))
  await queue.close()
}

const count = async () => {
  const [cdrs, outreach] = [openQueue(CDR_QUEUE), openQueue(OUTREACH_QUEUE)]
  const counts = { cdr: await cdrs.getJobCounts(), outreach: await outreach.getJobCounts() }
  console.log(JSON.stringify(counts))
  await cdrs.close()
  await outreach.close()
}

/** Per call: three statements, prepared once per connection, and a job that is due in two minutes. */
const work = async () => {
  const concurrency = Number(process.env.CONCURRENCY ?? 5)
  const pool = new pg.Pool({
    connectionString: process.env.DATABASE_URL,
    max: Math.min(concurrency, MAX_CONNECTIONS),
  })
  pool.on('error', error => console.error(error))
  const outreachQueue = openQueue(OUTREACH_QUEUE)
  const first = async (name, text, values) => (await pool.query({ name, text, values })).rows[0]
  const e164 = phone => parsePhoneNumberFromString(String(phone), 'IL')?.number

  const recordMissedCall = async ({ data: { payload, receivedAt } }) => {
    const status = payload.status ?? payload.DialStatus
    if (!MISSED.has(status)) return
    const caller = e164(payload.caller)
    const business = e164(payload.did ?? payload.DID)
    if (!caller || !business) return
    const line = await first('line', 'select id from connections where phone = $1', [business])
    if (!line) return
    const callId = payload.ivruniqueid ?? payload.CallID
    if (await first('known', 'select id from missed_calls where call_id = $1', [callId])) return
    const missedCall = await first(
      'record',
      `insert into missed_calls (connection_id, call_id, caller_phone, business_phone, status, payload, received_at)
       values ($1, $2, $3, $4, $5, $6, $7) returning id`,
      [line.id, callId, caller, business, status, payload, receivedAt],
    )
    await outreachQueue.add(
      'lead-outreach',
      { missedCallId: missedCall.id, callerPhone: caller },
      { delay: TWO_MINUTES, jobId: `lead-outreach-${missedCall.id}` },
    )
  }

  const worker = new Worker(CDR_QUEUE, recordMissedCall, { connection, concurrency })
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
}

if (import.meta.main) await { worker: work, fill, count }[process.argv[2]]()
