import { readdir, readFile } from 'node:fs/promises'
import { runMigrations } from 'graphile-worker'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import type pg from 'pg'
import { retryOnConflict } from './retry.ts'
import { newPool, pool } from './pool.ts'

const folder = new URL('../../sql/', import.meta.url)

/** sql/0001_tenants.sql and on, each a migration of its own. They never depend on the code of the day. */
const sqlFiles = async (): Promise<Record<string, Migration>> => {
  const migrations: Record<string, Migration> = {}
  const numbers = new Set<string>()
  for (const file of (await readdir(folder)).toSorted()) {
    const number = /^(\d{4})_\w+\.sql$/.exec(file)?.[1]
    if (!number || numbers.has(number))
      throw new Error(
        `sql/${file} is no migration: its name must be a free number and a word, 0007_word.sql`,
      )
    numbers.add(number)
    const text = await readFile(new URL(file, folder), 'utf8')
    migrations[file] = { up: async trx => void (await sql.raw(text).execute(trx)) }
  }
  return migrations
}

const migratorOf = (pool: pg.Pool) =>
  new Migrator({
    db: new Kysely({ dialect: new PostgresDialect({ pool }) }),
    provider: { getMigrations: sqlFiles },
  })

/**
 * Brings the database up to date: graphile-worker's own schema first, since ours names its functions,
 * then sql/*.sql, all that is pending in one transaction. Safe to run twice and by two processes at
 * once: both libraries take a lock.
 *
 * @returns the names of the files that were applied
 */
export const migrate = async (): Promise<string[]> => {
  const pgPool = newPool('migrate', 2, { patient: true })
  try {
    await runMigrations({ pgPool })
    const migrator = migratorOf(pgPool)
    // The migrator refuses a database that has seen more than we have, as after a rollback. Migrations only add, so
    // that the version before goes on working on it.
    if ((await pendingIn(migrator)).length === 0) return []
    return await retryOnConflict(() => toLatest(migrator)).catch((cause: unknown) => {
      throw new Error('the database could not be migrated; nothing was changed', { cause })
    })
  } finally {
    await pgPool.end()
  }
}

/** The version before goes on working meanwhile, and its transactions and this one may wait for each other. */
const toLatest = async (migrator: Migrator): Promise<string[]> => {
  const { error, results = [] } = await migrator.migrateToLatest()
  // kysely returns the error instead of throwing it; a release must fail on it.
  if (error) throw error instanceof Error ? error : new Error('not migrated', { cause: error })
  return results.map(result => result.migrationName)
}

/** The files of sql/ that this database has not seen. */
export const pendingMigrations = (): Promise<string[]> => pendingIn(migratorOf(pool))

const pendingIn = async (migrator: Migrator): Promise<string[]> =>
  (await migrator.getMigrations())
    .filter(migration => !migration.executedAt)
    .map(migration => migration.name)
