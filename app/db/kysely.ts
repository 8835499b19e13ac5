import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import type { DB } from './generated.ts'
import { pool } from './pool.ts'

export const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })

/** An open transaction. What must be one write asks for this type, and so cannot be called without. */
export type Trx = Transaction<DB>
