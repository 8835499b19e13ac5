import pg from 'pg'
import { type Config, config, tlsOf } from '../config.ts'
import { log } from '../log.ts'

/** graphile-worker's own: one listens for good, the others fetch and finish jobs. */
const WORKER = 3
/** Kept free for the worker's sign of life. */
const LIVENESS = 1
/** One page of /ops after the other: whoever looks must never keep a webhook waiting. */
const OPS = 1

/**
 * Who gets how many of DATABASE_CONNECTIONS. What is left is shared out between webhooks and what tasks read and
 * write, of nine by default two for each. Apart, because tasks may wait for each other's locks, and a webhook must
 * never wait behind them.
 */
export const poolSizes = (connections: number) => {
  const rest = connections - WORKER - LIVENESS - OPS
  const web = Math.ceil(rest / 2)
  return { worker: WORKER, liveness: LIVENESS, ops: OPS, web, tasks: rest - web }
}

/** How many of them one process holds at most. */
export const heldBy = (role: Config['ROLE'], connections: number): number => {
  const { worker, liveness, ops, web, tasks } = poolSizes(connections)
  return { all: connections, web: web + ops, worker: worker + liveness + tasks }[role]
}

/** What a session with the database is told when it begins, and which of its plans are kept. */

/** As parts of a select; for the session, or only for the open transaction. */
export const setConfig = (values: Record<string, string>, isLocal = false): string[] =>
  Object.entries(values).map(([name, value]) => `set_config('${name}', '${value}', ${isLocal})`)

/**
 * What webhooks ask is small and always the same, and is looked up by an index. A plan that is made once is good for
 * each time, but one that was made while a table was small would read all of it, also when it is not small any more.
 * Where reading all of it cannot be helped, Postgres before 18 takes that for so dear that it would compile it (jit).
 */
export const GENERIC_PLANS = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  jit: 'off',
}

/**
 * Of graphile-worker. The next job is the first of an index, and a plan that was made while there were none would collect
 * and sort all that there are: 7 ms in place of 0.2 with some thousands waiting.
 *
 * Its commits wait for the disk like all others. Without that (synchronous_commit) a database that is killed forgets that
 * a job is done, and the job stays locked for the worker that did it, until graphile-worker frees it after four hours.
 */
export const QUEUE_SESSION = { ...GENERIC_PLANS, enable_bitmapscan: 'off', enable_sort: 'off' }

/**
 * A database that takes no writes for a while (its disk is nearly full, it is not the primary yet) says so to each
 * session as that begins, and a session that began then would stay like that for as long as it is kept.
 */
export const startSession = async (
  client: pg.ClientBase,
  values: Record<string, string>,
): Promise<void> => {
  const asked = ["current_setting('transaction_read_only') as read_only", ...setConfig(values)]
  const { rows } = await client.query<{ read_only: string }>(`select ${asked.join()}`)
  if (rows[0]?.read_only === 'on')
    throw Object.assign(new Error('the database takes no writes'), { code: '25006' })
}

const NAME = /^\s*\/\* (\w+) \*\//

/**
 * A statement that begins with its name, such as "store" in a comment, is planned once for each connection, and by its
 * name it is found in pg_stat_activity. For those that run with every call: to plan them again takes longer than to run
 * them. Kysely has no way to say so. The text must be the same each time, or node-postgres throws.
 */
export const prepareNamed = (client: pg.PoolClient): void => {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
  client.query = new Proxy(client.query, {
    apply: (query, self, [text, values, ...others]: unknown[]) => {
      const name = typeof text === 'string' ? NAME.exec(text)?.[1] : undefined
      const args = name ? [{ name, text, values }, ...others] : [text, values, ...others]
      return Reflect.apply(query, self, args)
    },
  })
}

let url: Promise<string> | undefined

/**
 * The connection string: DATABASE_URL, or outside production that of a Postgres of our own, which the first call starts.
 */
export const databaseUrl = (): Promise<string> => (url ??= findDatabase())

const findDatabase = async (): Promise<string> => {
  const { DATABASE_URL } = config()
  if (DATABASE_URL) return DATABASE_URL
  // Production runs without this module's dependencies.
  const { embeddedPostgres } = await import('./embedded_postgres.ts')
  return embeddedPostgres()
}

const SECOND = 1000

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

const address = async (name: string, connectionString?: string) => {
  connectionString ??= await databaseUrl()
  const ssl = tlsOf(connectionString, config().production)
  return {
    connectionString,
    ...(ssl && { ssl }),
    application_name: `ringback ${name}`,
    keepAlive: true,
  }
}

/** One connection that is not shared, for what belongs to a session. Not connected yet. */
export const newConnection = async (name: string): Promise<pg.Client> => {
  const client = new pg.Client({
    ...(await address(name)),
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
  /** Settings of each session. */
  session?: Record<string, string>
  connectionString?: string
}

export const newPool = async (
  name: string,
  max: number,
  { patient = false, connectWithin = 2 * SECOND, session = {}, connectionString }: Options = {},
): Promise<pg.Pool> => {
  const pool = new pg.Pool({
    ...(await address(name, connectionString)),
    max,
    connectionTimeoutMillis: connectWithin,
    // Not `verify`, from which a connection that was asked for too long ago never comes back.
    // oxlint-disable-next-line typescript/no-misused-promises -- pg-pool waits for it; its types do not say so yet
    onConnect: client => startSession(client, session),
    ...(patient ? {} : limits),
  })
  // Without these listeners an idle connection that the server cuts ends the whole process.
  pool.on('error', err => log.warn({ err, pool: name }, 'idle database connection lost'))
  pool.on('connect', client => {
    client.on('error', err => log.warn({ err, pool: name }, 'database connection lost'))
    prepareNamed(client)
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

const sizes = () => poolSizes(config().DATABASE_CONNECTIONS)

/** For graphile-worker. */
export const newQueuePool = (): Promise<pg.Pool> =>
  newPool('worker', sizes().worker, { session: QUEUE_SESSION })

/** For webhooks. */
export const newWebPool = (): Promise<pg.Pool> =>
  newPool('web', sizes().web, { session: GENERIC_PLANS })

/** For /ops and /metrics, which wait for each other. */
export const newOpsPool = (): Promise<pg.Pool> =>
  newPool('ops', sizes().ops, { connectWithin: 6 * SECOND })

/** For tasks. They may wait for a connection: many run at once, and each needs it for milliseconds. */
export const newTasksPool = (): Promise<pg.Pool> =>
  newPool('tasks', sizes().tasks, { connectWithin: 10 * SECOND })
