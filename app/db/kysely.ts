import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import type { DB } from './generated.ts'
import { opsPool, pool, webPool, GENERIC_PLANS, setConfig } from './pool.ts'
/** For tasks and scripts. */
export const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })

/** For webhooks, which must not wait behind tasks. */
export const webDb = new Kysely<DB>({ dialect: new PostgresDialect({ pool: webPool }) })

/** For people who look, behind whom no webhook must wait. */
export const opsDb = new Kysely<DB>({ dialect: new PostgresDialect({ pool: opsPool }) })

/** An open transaction. What must be one write asks for this type, and so cannot be called without. */
export type Trx = Transaction<DB>

/** For the rest of this transaction the plans of named statements are kept, also where one for these very values is better. */
export const useGenericPlan = async (trx: Trx): Promise<void> => {
  await sql.raw(`select ${setConfig(GENERIC_PLANS, true).join()}`).execute(trx)
}
