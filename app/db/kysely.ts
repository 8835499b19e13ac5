import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import type pg from 'pg'
import type { DB } from './generated.ts'
import { GENERIC_PLANS, newOpsPool, newTasksPool, newWebPool, setConfig } from './pool.ts'

// Each connects at its first query, so that importing this file does nothing.
const connect = (pool: () => Promise<pg.Pool>) =>
  new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })

/** For tasks and scripts. */
export const db = connect(newTasksPool)

/** For webhooks. They have a pool of their own, so that no webhook waits behind a task. */
export const webDb = connect(newWebPool)

/** For the operator's pages and metrics. No webhook and no task waits behind them. */
export const opsDb = connect(newOpsPool)

/** Closes all connections, at the end of the process. */
export const closeDatabase = async (): Promise<void> => {
  await Promise.all([db.destroy(), webDb.destroy(), opsDb.destroy()])
}

/** An open transaction. What must be one write asks for this type, and so cannot be called without. */
export type Trx = Transaction<DB>

/** For the rest of this transaction the plans of named statements are kept, also where one for these very values is better. */
export const useGenericPlan = async (trx: Trx): Promise<void> => {
  await sql.raw(`select ${setConfig(GENERIC_PLANS, true).join()}`).execute(trx)
}
