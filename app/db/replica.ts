/**
 * Reads reports from a replica, if READ_DATABASE_URL names one. A replica lags, and the row that is missing may be an opt-out.
 * So no decision and no form may depend on it: those read the primary.
 */
import { sql } from 'kysely'
import { config } from '../config.ts'
import { log } from '../log.ts'
import { opsDb, replicaDb, type Trx } from './kysely.ts'
import { isUnavailable } from './retry.ts'

/** Tests shorten them. */
export const limits = {
  /** A replica that is further behind is not used. */
  lagSeconds: 30,
  /** After a failure the replica is not tried for as long, because each attempt may take seconds. */
  awayMs: 10_000,
}

/** Where a report was read from; for the primary also why it was not the replica. Null: there is no replica. */
export type Source =
  | { from: 'replica'; lagSeconds: number }
  | { from: 'primary'; because: 'own action' | 'away' | 'behind' | 'failed' }
  | null

type Work<Result> = (trx: Trx) => Promise<Result>

let awayUntil = 0

export const readPrimary = <Result>(work: Work<Result>): Promise<Result> =>
  opsDb.transaction().setAccessMode('read only').execute(work)

/**
 * Reads a report. After an error on the replica it reads the primary: for example a row may not have arrived yet.
 *
 * @param hasActed the visitor must see their own change, so the primary is read
 */
export const readReport = async <Result>(
  work: Work<Result>,
  hasActed: boolean,
): Promise<{ result: Result; source: Source }> => {
  if (!config().READ_DATABASE_URL) return { result: await readPrimary(work), source: null }
  const found = hasActed ? 'own action' : await readReplica(work)
  if (typeof found === 'object') return found
  return { result: await readPrimary(work), source: { from: 'primary', because: found } }
}

/** Postgres ended a statement that took too long. The primary must not do the same work again. */
const TOOK_TOO_LONG = '57014'

/** The report, or why the replica cannot be used. */
type Read<Result> = { result: Result; source: Source } | 'away' | 'behind' | 'failed'

const readReplica = async <Result>(work: Work<Result>): Promise<Read<Result>> => {
  if (performance.now() < awayUntil) return 'away'
  const position = await primaryPosition().catch((err: unknown) => {
    // The page cannot be read from the primary either.
    if (isUnavailable(err)) throw err
    log.warn({ err }, 'the replica is not used: the position of the primary cannot be read')
    return null
  })
  if (position === null) return 'failed'
  try {
    return await replicaDb
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx): Promise<Read<Result>> => {
        const lagSeconds = await lagOf(trx, position)
        if (lagSeconds === null) return 'behind'
        return { result: await work(trx), source: { from: 'replica', lagSeconds } }
      })
  } catch (err) {
    if (err instanceof Error && 'code' in err && err.code === TOOK_TOO_LONG) throw err
    if (!isUnavailable(err)) {
      log.debug({ err }, 'not read from the replica')
      return 'failed'
    }
    awayUntil = performance.now() + limits.awayMs
    log.warn({ err }, 'the replica is not available: pages are read from the primary')
    return 'away'
  }
}

const CONNECTION_FAILURE = '08006'

/** A server that was promoted, or is another database, could show anything. */
const leave = async (trx: Trx): Promise<never> => {
  log.warn('READ_DATABASE_URL is not a streaming replica of DATABASE_URL')
  // Without this the pool would keep the session, although the address may lead to another server by now.
  await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx)
  throw Object.assign(new Error('not a replica'), { code: CONNECTION_FAILURE })
}

type Position = { lsn: string; system: string }

const primaryPosition = async (): Promise<Position> => {
  const { rows } = await sql<Position>`
    select pg_current_wal_lsn()::text as lsn, system_identifier::text as system from pg_control_system()`.execute(
    opsDb,
  )
  const [row] = rows
  if (!row) throw new Error('pg_control_system() returned no row')
  return row
}

/**
 * The time of the last replayed commit says nothing while the primary is idle. So a replica that has replayed what the
 * primary had written is not behind.
 *
 * @returns null: too far behind
 */
const lagOf = async (trx: Trx, { lsn, system }: Position): Promise<number | null> => {
  const { rows } = await sql<{ follows: boolean; lagSeconds: number | null }>`
    select pg_is_in_recovery() and system_identifier::text = ${system} as follows,
           case when pg_last_wal_replay_lsn() >= ${lsn}::pg_lsn then 0
                -- greatest() would make null, which says that nothing was replayed since the start, to 0.
                when pg_last_xact_replay_timestamp() is not null
                then greatest(0, extract(epoch from now() - pg_last_xact_replay_timestamp()))::int end as "lagSeconds"
    from pg_control_system()`.execute(trx)
  const { follows = false, lagSeconds = null } = rows[0] ?? {}
  if (!follows) await leave(trx)
  return lagSeconds !== null && lagSeconds <= limits.lagSeconds ? lagSeconds : null
}
