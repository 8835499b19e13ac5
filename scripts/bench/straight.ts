/**
 * What Postgres itself takes in: Ringback's statement without HTTP and without validation, by so many clients at once,
 * so many records in a transaction. A process of its own: CLIENTS, RECORDS and SECONDS say how; prints one line of JSON.
 */
import { Kysely, PostgresDialect } from 'kysely'
import type { DB } from '../../app/db/generated.ts'
import { closeDatabase } from '../../app/db/kysely.ts'
import { newPool, GENERIC_PLANS } from '../../app/db/pool.ts'
import { sha256 } from '../../app/crypto.ts'
import { readBody } from '../../app/voicenter/parse.ts'
import { type Delivery, partition, storeAll } from '../../app/voicenter/ingest.ts'
import { cdrs } from './cdr.ts'

const setting = (name: string): number => Number(process.env[name])
const clients = setting('CLIENTS')
const records = setting('RECORDS')
const milliseconds = setting('SECONDS') * 1000
const sender = {
  tenantId: process.env['TENANT_ID'] ?? null,
  token: sha256(process.env['TOKEN'] ?? '').toString('hex'),
}

const WARM_UP_MS = 2000
/** More than the warm-up lets expect, for what is made ahead is neither validated nor hashed while the clock runs. */
const LONG_ENOUGH = 1.3

const next = cdrs()
const made = (count: number): Delivery[] =>
  Array.from({ length: count }, () => {
    const body = readBody(Buffer.from(next()))
    const elements = 'elements' in body ? body.elements : []
    return { sender, contentType: 'application/json', ...partition(elements) }
  })

const pool = await newPool('straight', clients, { session: GENERIC_PLANS })
const database = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })
const run = async (stock: Delivery[], forMs: number) => {
  const took: number[] = []
  let stored = 0
  const from = performance.now()
  const client = async () => {
    while (performance.now() - from < forMs) {
      const batch = stock.splice(-records)
      if (batch.length === 0) batch.push(...made(records))
      const started = performance.now()
      await storeAll(database, batch)
      took.push(performance.now() - started)
      stored += batch.length
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  const seconds = (performance.now() - from) / 1000
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
  return { requests: stored, seconds, p50: at(0.5), p99: at(0.99) }
}

// The first run warms everything up, and tells how many the second one will need.
const warm = await run([], WARM_UP_MS)
const wanted = Math.ceil((warm.requests / warm.seconds) * (milliseconds / 1000) * LONG_ENOUGH)
const stock = made(wanted)
const cpu = process.cpuUsage()
const result = await run(stock, milliseconds)
const { user, system } = process.cpuUsage(cpu)
console.log(JSON.stringify({ ...result, cpuSeconds: (user + system) / 1e6 }))
await pool.end()
await closeDatabase()
