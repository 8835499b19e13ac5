import pg from 'pg'
import { type Config, config, tlsOptions } from '../config.ts'
import { log } from '../log.ts'

/** For graphile-worker: one connection listens, the others fetch and delete jobs. */
const WORKER = 3
/** For the worker's heartbeat. */
const LIVENESS = 1
/** For the pages of /ops, one after the other, so that they never delay a webhook. */
const OPS = 1

/**
 * Divides DATABASE_CONNECTIONS between the pools. Webhooks and tasks share the rest, two each by default. Their pools are
 * separate, because tasks may wait for locks, and a webhook must not wait behind them.
 */
export const poolSizes = (connections: number) => {
  const rest = connections - WORKER - LIVENESS - OPS
  const web = Math.ceil(rest / 2)
  return { worker: WORKER, liveness: LIVENESS, ops: OPS, web, tasks: rest - web }
}

/** The most connections that one process holds. */
export const heldBy = (role: Config['ROLE'], connections: number): number => {
  const { worker, liveness, ops, web, tasks } = poolSizes(connections)
  return { all: connections, web: web + ops, worker: worker + liveness + tasks }[role]
}

/** Parts of a select. The settings hold for the session, or only for the transaction. */
export const setConfig = (values: Record<string, string>, isLocal = false): string[] =>
  Object.entries(values).map(([name, value]) => `set_config('${name}', '${value}', ${isLocal})`)

/**
 * Webhooks run a few small queries that use an index, so one generic plan serves each. Sequential scans are disabled,
 * because a plan that was made while a table was small would still use one when the table is large. With them disabled,
 * Postgres before 18 estimates unavoidable ones as so expensive that it would compile the query (jit). Hash and merge
 * joins are disabled too: planned for a small table, they read a whole index, and the kept plan still does so when the table
 * is large.
 */
export const GENERIC_PLANS = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
}

/**
 * For graphile-worker. The next job is the first entry of an index. A plan that was made with an empty queue would read and
 * sort the whole queue: 7 ms instead of 0.2 ms with some thousand jobs.
 *
 * synchronous_commit stays on. Otherwise a database that crashes forgets that a job is finished, and the job stays locked
 * by its worker until graphile-worker unlocks it after four hours.
 */
export const QUEUE_SESSION = { ...GENERIC_PLANS, enable_bitmapscan: 'off', enable_sort: 'off' }

/**
 * How the server writes values. node-postgres reads only these forms: with another DateStyle of the database or role, every
 * time would be read as null.
 */
const FORMATS = { DateStyle: 'ISO, MDY', IntervalStyle: 'postgres', bytea_output: 'hex' }

/**
 * A database that is read-only for a while (nearly full, or not the primary yet) makes each new session read-only, and the
 * session would remain read-only later. So such a session is refused, except for reports.
 */
export const startSession = async (
  client: pg.ClientBase,
  values: Record<string, string>,
  mayBeReadOnly = false,
): Promise<void> => {
  const selected = [
    "current_setting('transaction_read_only') as read_only",
    ...setConfig({ ...FORMATS, ...values }),
  ]
  const { rows } = await client.query<{ read_only: string }>(`select ${selected.join()}`)
  if (rows[0]?.read_only === 'on' && !mayBeReadOnly)
    throw Object.assign(new Error('the database is read-only'), { code: '25006' })
}

const NAME = /^\s*\/\* (\w+) \*\//

/**
 * A statement that begins with a name in a comment is prepared once for each connection. This is for statements that run
 * with every call: planning takes longer than running them. Kysely has no option for it. The text must be the same each
 * time, or node-postgres throws.
 */
export const prepareNamed = (client: pg.PoolClient): void => {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
  client.query = new Proxy(client.query, {
    apply: (query, self, [text, values, ...others]: unknown[]) => {
      const name = typeof text === 'string' ? NAME.exec(text)?.[1] : undefined
      const wait = name && WAITS[name] ? { query_timeout: WAITS[name] } : {}
      const args = name ? [{ name, text, values, ...wait }, ...others] : [text, values, ...others]
      return Reflect.apply(query, self, args)
    },
  })
}

let url: Promise<string> | undefined

/** The connection string: DATABASE_URL, or outside production that of the embedded Postgres, which the first call starts. */
export const databaseUrl = (): Promise<string> => (url ??= findDatabase())

const findDatabase = async (): Promise<string> => {
  const { DATABASE_URL } = config()
  if (DATABASE_URL) return DATABASE_URL
  // Its dependencies are not installed in production.
  const { embeddedPostgres } = await import('./embedded_postgres.ts')
  return embeddedPostgres()
}

const SECOND = 1000

/** Nothing waits for ever. query_timeout ends the wait for a silent server, the others end work on the server. */
const limits = {
  query_timeout: 6.5 * SECOND,
  statement_timeout: 5 * SECOND,
  lock_timeout: 3 * SECOND,
  idle_in_transaction_session_timeout: 10 * SECOND,
}

/** The query_timeout of named statements that may take longer. Their transaction raises statement_timeout. */
const WAITS: Record<string, number> = { refresh_daily_figures: 63 * SECOND }

const address = async (name: string, connectionString?: string) => {
  connectionString ??= await databaseUrl()
  const ssl = tlsOptions(connectionString, config().production)
  return {
    connectionString,
    ...(ssl && { ssl }),
    application_name: `ringback ${name}`,
    keepAlive: true,
  }
}

/** The server notices a vanished client within half a minute instead of two hours. */
const KEEPALIVES = {
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
}

/**
 * A connection outside the pools, for session state such as locks. Not connected yet.
 *
 * @param options.patient without timeouts, for a statement that a person types
 */
export const newConnection = async (
  name: string,
  { patient = false }: { patient?: boolean } = {},
): Promise<pg.Client> => {
  const client = new pg.Client({
    ...(await address(name)),
    connectionTimeoutMillis: 2 * SECOND,
    // Its queries are small, and a silent session must be replaced soon.
    ...(!patient && { ...limits, query_timeout: 3 * SECOND }),
    options: Object.entries({ ...KEEPALIVES, ...FORMATS })
      .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '')}`)
      .join(' '),
  })
  client.on('error', err => log.warn({ err, connection: name }, 'database connection lost'))
  return client
}

type Options = {
  /** Without timeouts, for migrations, which may take long and wait for each other. */
  patient?: boolean
  connectWithin?: number
  /** Settings of each session. */
  session?: Record<string, string>
  connectionString?: string
  mayBeReadOnly?: boolean
}

export const newPool = async (
  name: string,
  max: number,
  {
    patient = false,
    connectWithin = 2 * SECOND,
    session = {},
    connectionString,
    mayBeReadOnly = false,
  }: Options = {},
): Promise<pg.Pool> => {
  const pool = new pg.Pool({
    ...(await address(name, connectionString)),
    max,
    connectionTimeoutMillis: connectWithin,
    // Not `verify`: it loses a connection whose request has timed out.
    // oxlint-disable-next-line typescript/no-misused-promises -- pg-pool awaits it; its types do not say so
    onConnect: client => startSession(client, session, mayBeReadOnly),
    ...(patient ? {} : limits),
  })
  // Without these listeners an idle connection that the server closes ends the process.
  pool.on('error', err => log.warn({ err, pool: name }, 'idle database connection lost'))
  pool.on('connect', client => {
    client.on('error', err => log.warn({ err, pool: name }, 'database connection lost'))
    prepareNamed(client)
  })
  // After query_timeout a connection returns to the pool although its query still waits, and the next query on it would
  // time out too. So such a connection is closed. After an ordinary error it is ready again sooner than this. The idle
  // connections are probably silent too: an error makes the pool remove them, so that no work waits for one after the other.
  const acquiredAt = new WeakMap<pg.PoolClient, number>()
  const idle = new Set<pg.PoolClient>()
  pool.on('acquire', client => {
    acquiredAt.set(client, performance.now())
    idle.delete(client)
  })
  pool.on('remove', client => void idle.delete(client))
  pool.on('release', (_err, client) => {
    const busy = 'readyForQuery' in client && !client.readyForQuery
    const since = acquiredAt.get(client) ?? 0
    if (!busy || performance.now() - since <= limits.statement_timeout) return void idle.add(client)
    for (const other of idle) other.emit('error', new Error('another connection fell silent'))
    void client.end()
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

/** For /ops and /metrics. */
export const newOpsPool = (): Promise<pg.Pool> =>
  newPool('ops', sizes().ops, { connectWithin: 6 * SECOND })

/** For pages that only report. Nothing is written, also if READ_DATABASE_URL is the primary by mistake. */
export const newReplicaPool = async (): Promise<pg.Pool> =>
  newPool('replica', sizes().ops, {
    connectionString: config().READ_DATABASE_URL ?? (await databaseUrl()),
    session: { default_transaction_read_only: 'on' },
    mayBeReadOnly: true,
  })

/** For tasks. They may wait for a connection, because many run at once and each needs it for milliseconds. */
export const newTasksPool = (): Promise<pg.Pool> =>
  newPool('tasks', sizes().tasks, { connectWithin: 10 * SECOND })
