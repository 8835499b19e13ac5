/** Looks, before anything else is done, whether this database can do what will be asked of it later. */
import { isNativeError } from 'node:util/types'
import type pg from 'pg'
import { log } from '../log.ts'
import { startupError } from '../errors.ts'
import { newConnection } from './pool.ts'
import { connectionsSuffice } from './room.ts'

/**
 * @throws Error that says what to do instead; what the database said, where it is only away
 */
export const databaseFits = async (): Promise<void> => {
  try {
    await inSession(one => inSession(other => fits(one, other)))
  } catch (error) {
    throw inWords(error) ?? error
  }
}

const inSession = async (work: (session: pg.Client) => Promise<void>): Promise<void> => {
  const session = newConnection('start')
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
