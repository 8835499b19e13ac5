/** Checks at the start that the database can do what the program needs, and that the settings make sense. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'
import type pg from 'pg'
import { type Config, config, isLoopback, isUnencrypted } from '../config.ts'
import { appSecretOwner, callLogOwner, decrypt, eventSecretOwner, tokenOwner } from '../crypto.ts'
import { startupError } from '../errors.ts'
import { log } from '../log.ts'
import { db } from './kysely.ts'
import { migrate, pendingMigrations } from './migrate.ts'
import { heldBy, newConnection } from './pool.ts'
import { isTransient } from './retry.ts'

const RETRY_EVERY_MS = 1000

/**
 * Waits until the database is available, then checks it. In production the release phase has run the migrations, so
 * pending ones are an error. Elsewhere they run here.
 *
 * @throws StartupError that says what to do; the signal's reason if it aborts
 */
export const databaseReady = (signal: AbortSignal): Promise<void> =>
  retryUntilAvailable(signal, async () => {
    await explained(async () => {
      await preflight()
      if (config().production) await noPendingMigrations()
      else await migrate()
      await verifyTables()
      await verifyEncryptionKey()
    })
  })

/** Runs a part of the start. An error that a person must solve becomes one line that says what to do. */
export const explained = async (work: () => Promise<void>): Promise<void> => {
  try {
    await work()
  } catch (error) {
    throw explain(error) ?? explain(isNativeError(error) ? error.cause : null) ?? error
  }
}

/** Runs `work`, and repeats it from its beginning while the database is unavailable. */
export const retryUntilAvailable = async <T>(
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> => {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (err) {
      // The migrator wraps errors of the database.
      if (!isTransient(err) && !(err instanceof Error && isTransient(err.cause))) throw err
      log.warn({ err }, 'waiting for the database')
    }
    await sleep(RETRY_EVERY_MS, undefined, { signal })
  }
}

/**
 * @throws StartupError that says what to do, or an error of the database while it is unavailable
 */
export const preflight = async (): Promise<void> => {
  await explained(() =>
    withSession(session =>
      withSession(async other => {
        await checkVersion(session)
        await checkTimeouts(session)
        await checkSessions(session, other)
        await checkConnectionLimit(session)
      }),
    ),
  )
}

const withSession = async (work: (session: pg.Client) => Promise<void>): Promise<void> => {
  const session = await newConnection('start')
  try {
    await session.connect()
    await work(session)
  } finally {
    // Not awaited, because a silent connection would not answer.
    session.end().catch((err: unknown) => log.debug({ err }, 'start session ended'))
  }
}

const OLDEST_POSTGRES = 15

const checkVersion = async (session: pg.Client): Promise<void> => {
  const { rows } = await session.query<{ name: string; major: number }>(
    `select current_setting('server_version') as name, current_setting('server_version_num')::int / 10000 as major`,
  )
  const problem = rows[0] && versionProblem(rows[0])
  if (problem) throw startupError(problem)
}

export const versionProblem = ({ name, major }: { name: string; major: number }): string | null =>
  major < OLDEST_POSTGRES
    ? `the database is Postgres ${name}: Ringback needs ${OLDEST_POSTGRES} or newer`
    : null

const POOLER =
  'DATABASE_URL is the address of a pooler such as pgbouncer that does not keep sessions and their settings. ' +
  'The worker would not be notified of new jobs, and its heartbeat would not work. Use the address of Postgres itself (docs/deploy.md)'

/** A pooler may ignore our timeouts. Then nothing ends a query that hangs. */
export const checkTimeouts = async (session: pg.Client): Promise<void> => {
  const { rowCount } = await session.query(
    `select from pg_settings where setting = '0'
     and name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`,
  )
  if (rowCount) throw startupError(POOLER)
}

/** Several checks, because other clients may use the pooler at the same time. */
const CHECKS = 5

/**
 * LISTEN and session locks need a connection of their own. A pooler gives a session any free connection: while one
 * session is in a transaction, the other one gets another connection than before, or even the same.
 */
export const checkSessions = async (one: pg.Client, other: pg.Client): Promise<void> => {
  const own = await backendOf(one)
  for (let check = 0; check < CHECKS; check++) {
    await other.query('begin')
    if ((await backendOf(other)) === own || (await backendOf(one)) !== own)
      throw startupError(POOLER)
    await other.query('commit')
  }
}

const backendOf = async (session: pg.Client): Promise<number | undefined> => {
  const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid
}

/** The limits of roles and databases do not apply to superusers. */
const LIMITS = `
  select 'the server' as owner, current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int as connections
  union all
  select format('role %s', rolname), rolconnlimit from pg_roles
  where rolname = session_user and rolconnlimit >= 0 and not rolsuper
  union all
  select format('database %s', datname), datconnlimit from pg_database
  where datname = current_database() and datconnlimit >= 0
    and not (select rolsuper from pg_roles where rolname = session_user)
  order by connections limit 1`

type Limit = { owner: string; connections: number }

/** The lowest limit on the number of connections. */
export const connectionLimit = async (session: pg.Client): Promise<Limit> => {
  const { rows } = await session.query<Limit>(LIMITS)
  return rows[0] ?? { owner: 'the server', connections: Infinity }
}

/** One process must fit into the limit. Two processes, as during a deploy, should. */
const checkConnectionLimit = async (session: pg.Client): Promise<void> => {
  const { enough, message } = connectionsSuffice(await connectionLimit(session), config())
  if (!enough) throw startupError(message)
  if (message) log.warn(message)
}

export const connectionsSuffice = (
  { owner, connections }: Limit,
  { ROLE, DATABASE_CONNECTIONS: each }: Pick<Config, 'ROLE' | 'DATABASE_CONNECTIONS'>,
): { enough: boolean; message: string } => {
  const needed = heldBy(ROLE, each)
  const remedy = 'raise that limit, or set DATABASE_CONNECTIONS lower (the least is 7)'
  if (connections < needed)
    return {
      enough: false,
      message: `${owner} has room for ${connections} connections, and DATABASE_CONNECTIONS=${each} needs ${needed} (ROLE=${ROLE}): ${remedy}`,
    }
  if (connections < 2 * each)
    return {
      enough: true,
      message: `two copies of ${each} connections, as during a deploy, need ${2 * each}, and ${owner} has room for ${connections}: ${remedy}`,
    }
  return { enough: true, message: '' }
}

/** Explains an error that a wrong DATABASE_URL causes, and that would occur again; null for other errors. */
const explain = (error: unknown): Error | null => {
  if (!isNativeError(error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (/unsupported startup parameter|transaction blocks not allowed/.test(error.message))
    return startupError(POOLER)
  if (/CERT|SIGNATURE|HOSTNAME_MISMATCH/.test(code))
    return startupError(
      `the certificate of the database is not accepted (${code}): name its authority in DATABASE_URL with sslrootcert=<file>, or skip the check with sslmode=no-verify (docs/deploy.md)`,
    )
  if (error.message.includes('does not support SSL'))
    return startupError(
      'the database offers no TLS: if the network is your own, add sslmode=disable to DATABASE_URL (docs/deploy.md)',
    )
  if (/^(ENOENT|EACCES)$/.test(code))
    return startupError(`a file named in DATABASE_URL cannot be read: ${error.message}`)
  if (code === '42501')
    return startupError(
      `the role of DATABASE_URL lacks a right: ${error.message}. Name the role that owns the database, or give this one the right: grant create on database ... to ... (docs/deploy.md)`,
    )
  return null
}

const noPendingMigrations = async (): Promise<void> => {
  const pending = await pendingMigrations()
  if (pending.length)
    throw startupError(`pending migrations: ${pending.join(', ')}. Run: npm run migrate`)
}

/** Webhooks and the worker need all of these. */
const TABLES =
  `tenants webhook_tokens raw_cdrs rejected_deliveries whatsapp_connections whatsapp_events missed_calls leads
  lead_conversations messages opt_outs excluded_numbers`.split(/\s+/)

/**
 * Checks that this role can use the tables. After another role restored or migrated them, row security of graphile-worker's
 * tables hides the jobs from everybody but that role, although everything is granted: each webhook would get a 503.
 *
 * @throws StartupError that says what to do
 */
export const verifyTables = (): Promise<void> =>
  withSession(async session => {
    const { rows } = await session.query<{
      name: string
      owner: string
      role: string
      hidden: boolean
    }>(
      `select c.oid::regclass::text as name, pg_get_userbyid(c.relowner) as owner, current_user as role,
              row_security_active(c.oid) as hidden
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p')
         and (n.nspname = 'graphile_worker' or n.nspname = 'public' and c.relname = any($1))
         and (row_security_active(c.oid) or not (
           has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
           and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')))
       order by c.oid limit 1`,
      [TABLES],
    )
    const [table] = rows
    if (!table) return
    const { name, owner, role, hidden } = table
    throw startupError(
      `the table ${name} belongs to the role ${owner}, and ${hidden ? `its row security hides the rows from ${role}` : `${role} may not write to it`}: name ${owner} in DATABASE_URL, or run as ${owner}: reassign owned by ${owner} to ${role} (docs/deploy.md)`,
    )
  })

/**
 * Checks that ENCRYPTION_KEY decrypts the stored secrets. With a wrong key no message could be sent, and new secrets would
 * be encrypted with another key than the old ones. If only some secrets cannot be decrypted, this logs a warning, because
 * the other tenants can still send.
 *
 * @throws StartupError if it decrypts none
 */
export const verifyEncryptionKey = async (): Promise<void> => {
  const secrets = await storedSecrets()
  const failed = secrets.filter(({ value, owner }) => !canDecrypt(value, owner)).length
  if (failed && failed === secrets.length)
    throw startupError(
      `ENCRYPTION_KEY decrypts none of the ${failed} stored secrets: set the key with which they were stored, or encrypt them with this one: OLD_ENCRYPTION_KEY=... npm run rekey (docs/deploy.md)`,
    )
  if (failed)
    log.warn(`ENCRYPTION_KEY does not decrypt ${failed} of ${secrets.length} stored secrets`)
}

const storedSecrets = async (): Promise<{ value: string; owner: string }[]> => {
  const tokens = await db
    .selectFrom('whatsapp_connections')
    .select(['tenant_id', 'access_token', 'app_secret'])
    .execute()
  const credentials = await db
    .selectFrom('call_log_access')
    .select(['tenant_id', 'credential as value'])
    .execute()
  const endpoints = await db
    .selectFrom('event_endpoints')
    .select(['tenant_id', 'secret as value'])
    .execute()
  return [
    ...tokens.flatMap(({ tenant_id, access_token, app_secret }) => [
      { value: access_token, owner: tokenOwner(tenant_id) },
      ...(app_secret === null ? [] : [{ value: app_secret, owner: appSecretOwner(tenant_id) }]),
    ]),
    ...credentials.map(({ tenant_id, value }) => ({ value, owner: callLogOwner(tenant_id) })),
    ...endpoints.map(({ tenant_id, value }) => ({ value, owner: eventSecretOwner(tenant_id) })),
  ]
}

const canDecrypt = (value: string, owner: string): boolean => {
  try {
    decrypt(value, owner)
    return true
  } catch {
    return false
  }
}

/** Settings that work, but probably not as intended. They are logged at each start, also outside production. */
export const configWarnings = (config: Config): string[] => {
  const lines: string[] = []
  if (config.ROLE !== 'worker') {
    const { protocol } = new URL(config.PUBLIC_URL)
    if (isLoopback(config.PUBLIC_URL))
      lines.push(
        'PUBLIC_URL is this machine: the printed webhook URLs work here only, and Voicenter cannot reach them',
      )
    else if (protocol === 'http:')
      lines.push('PUBLIC_URL is not https: Meta requires https, and tokens are sent unencrypted')
    if (!config.OPS_PASSWORD)
      lines.push(
        config.production
          ? 'OPS_PASSWORD is not set: /ops and /metrics are off and answer 403 (openssl rand -hex 24)'
          : 'OPS_PASSWORD is not set: /ops and /metrics answer on this machine only, and in production not at all',
      )
    else if (config.OPS_PASSWORD.length < 16)
      lines.push(
        'OPS_PASSWORD is short: it alone protects the pages of all businesses (openssl rand -hex 24)',
      )
    if (!config.WHATSAPP_APP_SECRET)
      lines.push(
        'WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN are not set: no reply arrives, and no reminder is sent',
      )
  }
  for (const name of ['DATABASE_URL', 'READ_DATABASE_URL'] as const) {
    const url = config[name]
    if (url && isUnencrypted(url))
      lines.push(`${name} has sslmode=disable: phone numbers and texts are sent unencrypted`)
  }
  return lines
}
