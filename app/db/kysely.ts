import { Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from 'kysely'
import type pg from 'pg'
import type { DB } from './generated.ts'
import {
  GENERIC_PLANS,
  newOpsPool,
  newReplicaPool,
  newTasksPool,
  newWebPool,
  setConfig,
} from './pool.ts'

// Each connects at its first query, so that importing this file does nothing.
const connect = (pool: () => Promise<pg.Pool>) =>
  new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })

/** For tasks and scripts. */
export const db = connect(newTasksPool)

/** For webhooks. They have a pool of their own, so that no webhook waits behind a task. */
export const webDb = connect(newWebPool)

/** For the operator's pages and metrics. No webhook and no task waits behind them. */
export const opsDb = connect(newOpsPool)

/** For app/db/replica.ts only: it lags. */
export const replicaDb = connect(newReplicaPool)

/** Closes all connections, at the end of the process. */
export const closeDatabase = async (): Promise<void> => {
  await Promise.all([db.destroy(), webDb.destroy(), opsDb.destroy(), replicaDb.destroy()])
}

/** An open transaction. A function that must run inside one has a parameter of this type. */
export type Trx = Transaction<DB>

/**
 * In this transaction Postgres keeps the plans of the statements with a `planName`, and does not plan for the actual
 * values. A limit ends a plain index scan early. A bitmap scan reads all index entries first, of a call with any number
 * of CDRs.
 */
export const useGenericPlan = async (trx: Trx): Promise<void> => {
  const settings = { ...GENERIC_PLANS, enable_bitmapscan: 'off' }
  await sql.raw(`select ${setConfig(settings, true).join()}`).execute(trx)
  haveGenericPlans.add(trx)
}

const haveGenericPlans = new WeakSet<Kysely<DB>>()

/**
 * The name under which a statement is prepared (pool.ts). A transaction without `useGenericPlan` has another name for it:
 * Postgres would keep the plan that it made with other settings.
 */
export const planName = (database: Kysely<DB>, name: string): RawBuilder<unknown> =>
  sql.raw(`/* ${haveGenericPlans.has(database) ? name : `${name}_alone`} */`)
