import pg from 'pg'
import { config } from '../config.ts'
import { log } from '../log.ts'
import { begin, keepPlans, PLAN_ONCE, QUEUE } from './session.ts'
import { sharesOf } from './shares.ts'
import { tlsOf } from './tls.ts'

/** Where the database is: DATABASE_URL, or outside production a Postgres of our own, started here. */
export const databaseUrl =
  config.DATABASE_URL ?? (await (await import('./embedded.ts')).embeddedPostgres())

const SECOND = 1000

const ssl = tlsOf(databaseUrl, config.production)

/**
 * Nothing waits for ever. The limits on the server (statement, lock, idle in transaction) end work
 * that hangs there; query_timeout ends waiting for a server that has fallen silent. A webhook is
 * answered 503 well within its sender's patience.
 */
const limits = {
  query_timeout: 8 * SECOND,
  statement_timeout: 5 * SECOND,
  lock_timeout: 3 * SECOND,
  idle_in_transaction_session_timeout: 10 * SECOND,
}

const address = (name: string) => ({
  connectionString: databaseUrl,
  ...(ssl && { ssl }),
  application_name: `ringback ${name}`,
  keepAlive: true,
})

/** One connection that is not shared, for what belongs to a session. Not connected yet. */
export const newConnection = (name: string): pg.Client => {
  const client = new pg.Client({
    ...address(name),
    connectionTimeoutMillis: 2 * SECOND,
    ...limits,
    // What it asks is small, and a session that has fallen silent is to be replaced soon.
    query_timeout: 3 * SECOND,
    // A dyno that vanishes without a word is noticed within half a minute, and not within two hours.
    options: '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3',
  })
  client.on('error', err => log.warn({ err, connection: name }, 'database connection lost'))
  return client
}

type Options = {
  /** Without limits: for migrations, which may take long, and wait for each other. */
  patient?: boolean
  connectWithin?: number
  /** What each of its sessions is told. */
  session?: Record<string, string>
}

export const newPool = (
  name: string,
  max: number,
  { patient = false, connectWithin = 2 * SECOND, session = {} }: Options = {},
): pg.Pool => {
  const pool = new pg.Pool({
    ...address(name),
    max,
    connectionTimeoutMillis: connectWithin,
    // Not `verify`, from which a connection that was asked for too long ago never comes back.
    // oxlint-disable-next-line typescript/no-misused-promises -- pg-pool waits for it; its types do not say so yet
    onConnect: client => begin(client, session),
    ...(patient ? {} : limits),
  })
  // Without these listeners an idle connection that the server cuts ends the whole process.
  pool.on('error', err => log.warn({ err, pool: name }, 'idle database connection lost'))
  pool.on('connect', client => {
    client.on('error', err => log.warn({ err, pool: name }, 'database connection lost'))
    keepPlans(client)
  })
  // After query_timeout a connection goes back to the pool although its query still waits, and whoever
  // took it next would wait behind that one, and time out too. One that has just failed may not be ready
  // for a moment either, but the server says so sooner than this.
  const taken = new WeakMap<pg.PoolClient, number>()
  pool.on('acquire', client => void taken.set(client, performance.now()))
  pool.on('release', (_err, client) => {
    const busy = 'readyForQuery' in client && !client.readyForQuery
    const since = taken.get(client) ?? 0
    if (busy && performance.now() - since > limits.statement_timeout) void client.end()
  })
  return pool
}

const shares = sharesOf(config.DATABASE_CONNECTIONS)

/** For graphile-worker itself, made where it starts. */
export const newQueuePool = (): pg.Pool => newPool('worker', shares.worker, { session: QUEUE })
/** For webhooks. */
export const webPool = newPool('web', shares.web, { session: PLAN_ONCE })
/** For /ops and /metrics, one after the other. */
export const opsPool = newPool('ops', shares.ops, { connectWithin: 6 * SECOND })
/** For tasks, which may wait for a connection: many run at once, and each needs it for milliseconds. */
export const pool = newPool('tasks', shares.tasks, { connectWithin: 10 * SECOND })

/** At the end of the process. */
export const endPools = async (): Promise<void> => {
  await Promise.all([pool.end(), webPool.end(), opsPool.end()])
}
