/** Looks, before anything else is done, whether this database can do what will be asked of it later. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'
import type pg from 'pg'
import { type Config, config, isInClear } from '../config.ts'
import { appSecretOwner, callLogOwner, decrypt, tokenOwner } from '../crypto.ts'
import { db } from './kysely.ts'
import { migrate, pendingMigrations } from './migrate.ts'
import { heldBy, newConnection } from './pool.ts'
import { isTransient } from './retry.ts'
import { startupError } from '../errors.ts'
import { log } from '../log.ts'

/**
 * @throws Error that says what to do instead; what the database said, where it is only away
 */
export const preflight = async (): Promise<void> => {
  try {
    await inSession(one => inSession(other => fits(one, other)))
  } catch (error) {
    throw inWords(error) ?? error
  }
}

const inSession = async (work: (session: pg.Client) => Promise<void>): Promise<void> => {
  const session = await newConnection('start')
  try {
    await session.connect()
    await work(session)
  } finally {
    // Without waiting: one that has fallen silent would not answer to this either.
    session.end().catch((err: unknown) => log.debug({ err }, 'start session ended'))
  }
}

const fits = async (one: pg.Client, other: pg.Client): Promise<void> => {
  await newEnough(one)
  await limitsHold(one)
  await sessionsAreOurs(one, other)
  await connectionsSuffice(one)
}

const OLDEST_POSTGRES = 15

const newEnough = async (session: pg.Client): Promise<void> => {
  const { rows } = await session.query<{ name: string; major: number }>(
    `select current_setting('server_version') as name, current_setting('server_version_num')::int / 10000 as major`,
  )
  const message = rows[0] && tooOld(rows[0])
  if (message) throw startupError(message)
}

export const tooOld = ({ name, major }: { name: string; major: number }): string | null =>
  major < OLDEST_POSTGRES
    ? `the database is Postgres ${name}: Ringback needs ${OLDEST_POSTGRES} or newer`
    : null

const POOLER =
  "DATABASE_URL leads to a pooler (pgbouncer and the like) that does not keep a session's connection and limits: " +
  'the worker would not hear of new jobs, nor be seen to be alive. Give the address of Postgres itself (docs/deploy.md)'

/** A pooler may have been told to ignore our limits, and then nothing would end what hangs. */
export const limitsHold = async (session: pg.Client): Promise<void> => {
  const { rowCount } = await session.query(
    `select from pg_settings where setting = '0'
     and name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`,
  )
  if (rowCount) throw startupError(POOLER)
}

/** Enough for a pooler on which others are busy, too. */
const LOOKS = 5

/**
 * LISTEN and session locks need a connection that stays ours. A pooler gives a session whichever is free: while one of
 * ours is in a transaction, the other gets another connection than before, or even the same.
 */
export const sessionsAreOurs = async (one: pg.Client, other: pg.Client): Promise<void> => {
  const own = await backendOf(one)
  for (let look = 0; look < LOOKS; look++) {
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

/** What comes of a wrong address, and would come again however long one waits; null for all else. */
const inWords = (error: unknown): Error | null => {
  if (!isNativeError(error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (/unsupported startup parameter|transaction blocks not allowed/.test(error.message))
    return startupError(POOLER)
  if (/CERT|SIGNATURE|HOSTNAME_MISMATCH/.test(code))
    return startupError(
      `the database's certificate is not accepted (${code}): in DATABASE_URL, name its authority with sslrootcert=<file>, or do without proof with sslmode=no-verify (docs/deploy.md)`,
    )
  if (error.message.includes('does not support SSL'))
    return startupError(
      'the database offers no TLS: where the network is your own, write sslmode=disable into DATABASE_URL (docs/deploy.md)',
    )
  if (/^(ENOENT|EACCES)$/.test(code))
    return startupError(`a file named in DATABASE_URL cannot be read: ${error.message}`)
  return null
}

/** Superusers are held to no limit of role or database. */
const ROOM = `
  select 'the server has' as who, current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int as room
  union all
  select format('role %s has', rolname), rolconnlimit from pg_roles
  where rolname = session_user and rolconnlimit >= 0 and not rolsuper
  union all
  select format('database %s has', datname), datconnlimit from pg_database
  where datname = current_database() and datconnlimit >= 0
    and not (select rolsuper from pg_roles where rolname = session_user)
  order by room limit 1`

type Room = { who: string; room: number }

/** How many connections there may be at most, and what limits them. */
export const connectionLimit = async (session: pg.Client): Promise<Room> => {
  const { rows } = await session.query<Room>(ROOM)
  return rows[0] ?? { who: 'the server has', room: Infinity }
}

/** Looks whether a copy can hold all connections that it will, and tells where a second one could not. */
export const connectionsSuffice = async (session: pg.Client): Promise<void> => {
  const { enough, message } = suffices(await connectionLimit(session), config())
  if (!enough) throw startupError(message)
  if (message) log.warn(message)
}

/** Whether one copy has enough of them, and what to say where it has not, or where two copies have not. */
export const suffices = (
  { who, room }: Room,
  { ROLE, DATABASE_CONNECTIONS: each }: Pick<Config, 'ROLE' | 'DATABASE_CONNECTIONS'>,
): { enough: boolean; message: string } => {
  const needed = heldBy(ROLE, each)
  const instead = 'raise that limit, or set DATABASE_CONNECTIONS lower (the least is 7)'
  if (room < needed)
    return {
      enough: false,
      message: `${who} room for ${room} connections, and DATABASE_CONNECTIONS=${each} needs ${needed} (ROLE=${ROLE}): ${instead}`,
    }
  if (room < 2 * each)
    return {
      enough: true,
      message: `two copies of ${each} connections, as during a deploy, need ${2 * each}, and ${who} room for ${room}: ${instead}`,
    }
  return { enough: true, message: '' }
}

/**
 * Looks whether ENCRYPTION_KEY opens what is stored. With a wrong one nothing could be sent, and what is stored from
 * then on would be under another key than all before.
 *
 * @throws Error that says what to do, if it opens nothing. That single ones do not open is only told: they are
 * one business's trouble, and the others go on.
 */
export const verifyEncryptionKey = async (): Promise<void> => {
  const sealed = await stored()
  const shut = sealed.filter(({ value, owner }) => !opens(value, owner)).length
  if (shut && shut === sealed.length)
    throw startupError(
      `ENCRYPTION_KEY opens none of the ${shut} secrets that are stored: give the key under which they were stored, or move them to this one with OLD_ENCRYPTION_KEY=... npm run rekey (docs/deploy.md)`,
    )
  if (shut) log.warn(`ENCRYPTION_KEY does not open ${shut} of ${sealed.length} stored secrets`)
}

const stored = async (): Promise<{ value: string; owner: string }[]> => {
  const tokens = await db
    .selectFrom('whatsapp_connections')
    .select(['tenant_id', 'access_token', 'app_secret'])
    .execute()
  const credentials = await db
    .selectFrom('call_log_access')
    .select(['tenant_id', 'credential as value'])
    .execute()
  return [
    ...tokens.flatMap(({ tenant_id, access_token, app_secret }) => [
      { value: access_token, owner: tokenOwner(tenant_id) },
      ...(app_secret === null ? [] : [{ value: app_secret, owner: appSecretOwner(tenant_id) }]),
    ]),
    ...credentials.map(({ tenant_id, value }) => ({ value, owner: callLogOwner(tenant_id) })),
  ]
}

const opens = (value: string, owner: string): boolean => {
  try {
    decrypt(value, owner)
    return true
  } catch {
    return false
  }
}

const PAUSE_MS = 1000

/**
 * Waits until the database answers, looks whether it can do what will be asked of it, and sees to its migrations: in
 * production the release phase has run them, and what is pending there ends the start; elsewhere they are run here.
 *
 * @throws Error that says what to do; the signal's reason when it aborts
 */
export const databaseReady = (signal: AbortSignal): Promise<void> => whenItAnswers(signal, upToDate)

/** Does it as soon as the database answers, and again from the start where that broke off. */
export const whenItAnswers = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
  for (;;) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (err) {
      // The migrator wraps what the database said.
      if (!isTransient(err) && !(err instanceof Error && isTransient(err.cause))) throw err
      log.warn({ err }, 'waiting for the database')
    }
    await sleep(PAUSE_MS, undefined, { signal })
  }
}

const upToDate = async (): Promise<void> => {
  await preflight()
  if (config().production) await nothingPending()
  else await migrate()
  await verifyEncryptionKey()
}

const nothingPending = async (): Promise<void> => {
  const pending = await pendingMigrations()
  if (pending.length)
    throw startupError(`the database has not seen ${pending.join(', ')}. Run: npm run migrate`)
}

/** What is set in a way that works, but hardly as it was meant. Told at every start, since nothing else would tell. */
export const configWarnings = (config: Config): string[] => {
  if (!config.production) return []
  const lines: string[] = []
  if (config.ROLE !== 'worker') {
    const { protocol, hostname } = new URL(config.PUBLIC_URL)
    if (/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname))
      lines.push('PUBLIC_URL is this machine: the webhook URLs that are printed lead nowhere')
    else if (protocol === 'http:')
      lines.push('PUBLIC_URL is not https: Meta posts to https only, and tokens travel in clear')
    if (config.OPS_PASSWORD && config.OPS_PASSWORD.length < 16)
      lines.push(
        'OPS_PASSWORD is short: it is all that stands before every business (openssl rand -hex 24)',
      )
    if (!config.WHATSAPP_APP_SECRET)
      lines.push(
        'WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN are not set: replies are not heard, and no reminder is sent',
      )
  }
  if (config.DATABASE_URL && isInClear(config.DATABASE_URL))
    lines.push('DATABASE_URL has sslmode=disable: phone numbers and texts travel in clear')
  return lines
}
