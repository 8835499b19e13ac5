import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import type { DB } from './generated.ts'
import { pool, webPool } from './pool.ts'

/** For tasks and scripts. */
export const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })

/** For requests, which must not wait behind tasks. */
export const webDb = new Kysely<DB>({ dialect: new PostgresDialect({ pool: webPool }) })

/** An open transaction. What must be one write asks for this type, and so cannot be called without. */
export type Trx = Transaction<DB>
