/**
 * Reads reports from a replica, if READ_DATABASE_URL names one. A replica lags, and the row that is missing may be an opt-out.
 * So no decision and no form may depend on it: those read the primary.
 */
import { sql } from 'kysely'
import { config } from '../config.ts'
import { log } from '../log.ts'
import { opsDb, replicaDb, type Trx } from './kysely.ts'
import { isUnavailable } from './retry.ts'

/** A replica that is further behind is not used. */
export const MAX_LAG_SECONDS = 30
/** After a failure the replica is not tried for as long, because each attempt may take seconds. */
const AWAY_MS = 10_000

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
 * Reads a report. Whatever fails on the replica is read from the primary: for example a row may not have arrived yet.
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

/** @returns why the replica cannot be used, if it cannot */
const readReplica = async <Result>(
  work: Work<Result>,
): Promise<{ result: Result; source: Source } | 'away' | 'behind' | 'failed'> => {
  if (performance.now() < awayUntil) return 'away'
  const position = await primaryPosition()
  try {
    return await replicaDb
      .transaction()
      .setAccessMode('read only')
      .execute(async trx => {
        const lagSeconds = await lagOf(trx, position)
        if (lagSeconds === null) return 'behind'
        return { result: await work(trx), source: { from: 'replica', lagSeconds } }
      })
  } catch (err) {
    if (err instanceof Error && 'code' in err && err.code === TOOK_TOO_LONG) throw err
    if (!isUnavailable(err)) return 'failed'
    awayUntil = performance.now() + AWAY_MS
    log.warn({ err }, 'the read replica is away: pages are read from the primary')
    return 'away'
  }
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

const NO_REPLICA = 'READ_DATABASE_URL is not a streaming replica of DATABASE_URL'

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
                else greatest(0, extract(epoch from now() - pg_last_xact_replay_timestamp()))::int end as "lagSeconds"
    from pg_control_system()`.execute(trx)
  const { follows = false, lagSeconds = null } = rows[0] ?? {}
  // A server that was promoted, or is another database, could show anything. The code is that of a wrong connection.
  if (!follows) throw Object.assign(new Error(NO_REPLICA), { code: '08000' })
  return lagSeconds !== null && lagSeconds <= MAX_LAG_SECONDS ? lagSeconds : null
}
