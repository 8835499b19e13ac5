/**
 * The simple programs that Ringback is compared with. The first argument selects one:
 *
 *   floor        a webhook that validates and does not store: the most that Express can answer
 *   one_by_one   a webhook that stores each request in a transaction of its own, over ten connections
 *   statement    Ringback's statement alone, without HTTP and validation; prints one line of JSON. Its further arguments:
 *                the number of connections, the calls per transaction, the seconds
 */
import express from 'express'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { DB } from '../../app/db/generated.ts'
import { MAX_ATTEMPTS } from '../../app/db/jobs.ts'
import { sha256 } from '../../app/crypto.ts'
import { closeDatabase } from '../../app/db/kysely.ts'
import { GENERIC_PLANS, newPool } from '../../app/db/pool.ts'
import { type Delivery, partition, storeAll, type ValidCdr } from '../../app/voicenter/ingest.ts'
import { readBody } from '../../app/voicenter/body.ts'
import { bodyMemory, readRawBody } from '../../app/web/raw_body.ts'
import { callBodies } from './load.ts'

const tenantId = process.env['TENANT_ID'] ?? null
const tokenHash = sha256(process.env['TOKEN'] ?? '')

/** Validates as Ringback does, except that there is only one token, which needs no lookup. */
const startWebhook = (store: (cdr: ValidCdr) => Promise<void>): void => {
  const memory = bodyMemory({ roomMb: 8, senderMb: 6 })
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.post(
    '/webhooks/voicenter/cdr',
    (req, res, next) => {
      const token = new URLSearchParams(req.url.split(/\?(.*)/s)[1]).get('token') ?? ''
      if (sha256(token).equals(tokenHash)) next()
      else res.status(401).json({ Err: 1, Errdesc: 'wrong or missing token' })
    },
    readRawBody({ limitMb: 5, shareOf: () => ({ memory, sender: 'benchmark' }) }),
    async (req, res) => {
      const { valid, rejected } = parse(Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0))
      if (valid.length === 0 || rejected.length) {
        res.status(400).json({ Err: 1, Errdesc: 'no call record' })
        return
      }
      for (const cdr of valid) await store(cdr)
      res.json({ Err: 0, Errdesc: 'OK' })
    },
  )
  const server = app.listen(Number(process.env['PORT']), '127.0.0.1', () => {
    const address = server.address()
    console.log(`listening ${address && typeof address === 'object' ? address.port : ''}`)
  })
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0))
    server.closeAllConnections()
  })
}

const parse = (bytes: Buffer) => {
  const body = readBody(bytes)
  return partition('elements' in body ? body.elements : [])
}

const INSERT = `
  insert into raw_cdrs as r (token_tenant_id, tenant_id, source, call_id, root_call_id, payload, body, content_hash)
  values ($1, $1, 'push', $2, $3, $4, $5, $6)
  on conflict on constraint raw_cdrs_same_record do update set deliveries = r.deliveries + 1
  returning xmax = 0 as is_new`
const ADD_JOB = `
  select id from graphile_worker.add_job(
    'voicenter_cdr', payload := $1::json, job_key := $2::text, max_attempts := $3::int)`

/** Statements are prepared once per connection, as usual where speed matters. */
const oneByOne = (): void => {
  const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 })
  startWebhook(async ({ callId, rootCallId, payload, body, hash }) => {
    const client = await pool.connect()
    try {
      await client.query('begin')
      const { rows } = await client.query<{ is_new: boolean }>({
        name: 'insert',
        text: INSERT,
        values: [tenantId, callId, rootCallId, payload, body, Buffer.from(hash, 'hex')],
      })
      const job = [{ callId }, `voicenter_cdr:${callId}`, MAX_ATTEMPTS.voicenter_cdr]
      if (rows[0]?.is_new) await client.query({ name: 'add_job', text: ADD_JOB, values: job })
      await client.query('commit')
      client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
  })
}

const WARM_UP_MS = 2000
/** Deliveries are prepared before the measurement: 30 % more than the warm-up suggests, because it runs faster. */
const RESERVE = 1.3

const statement = async (clients = 1, callsPerTransaction = 1, seconds = 1): Promise<void> => {
  const sender = { tenantId, tokenHash: tokenHash.toString('hex') }
  const next = callBodies()
  const prepare = (count: number): Delivery[] =>
    Array.from({ length: count }, () => ({
      sender,
      contentType: 'application/json',
      ...parse(Buffer.from(next())),
    }))

  const pool = await newPool('straight', clients, { session: GENERIC_PLANS })
  const database = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })
  const run = async (prepared: Delivery[], forMs: number) => {
    const times: number[] = []
    let requests = 0
    const start = performance.now()
    const client = async () => {
      while (performance.now() - start < forMs) {
        const batch = prepared.splice(-callsPerTransaction)
        if (batch.length === 0) batch.push(...prepare(callsPerTransaction))
        const from = performance.now()
        await storeAll(database, batch)
        times.push(performance.now() - from)
        requests += batch.length
      }
    }
    await Promise.all(Array.from({ length: clients }, client))
    const seconds = (performance.now() - start) / 1000
    times.sort((a, b) => a - b)
    const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0
    return { requests, seconds, p50: at(0.5), p99: at(0.99) }
  }

  const warmUp = await run([], WARM_UP_MS)
  const expected = (warmUp.requests / warmUp.seconds) * seconds
  const prepared = prepare(Math.ceil(expected * RESERVE))
  console.log(JSON.stringify(await run(prepared, seconds * 1000)))
  await pool.end()
  await closeDatabase()
}

const [baseline, ...settings] = process.argv.slice(2)
if (baseline === 'floor') startWebhook(async () => {})
if (baseline === 'one_by_one') oneByOne()
if (baseline === 'statement') await statement(...settings.map(Number))
