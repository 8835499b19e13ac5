import { Kysely, PostgresDialect } from 'kysely'
import type { DB } from '../../app/db/generated.ts'
import type { Trx } from '../../app/db/kysely.ts'
import { newPool } from '../../app/db/pool.ts'

/**
 * Reads in one transaction that cannot write and sees the data of one moment. It uses its own connection without the
 * usual time limits, because reading all calls takes longer than a request or a job may.
 */
export const readSnapshot = async <T>(read: (trx: Trx) => Promise<T>): Promise<T> => {
  const pool = await newPool('replay', 1, { patient: true })
  const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })
  try {
    return await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute(read)
  } finally {
    await db.destroy()
  }
}
