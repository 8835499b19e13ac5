import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { runMigrations } from 'graphile-worker'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { startupError } from '../errors.ts'
import { retryOnConflict } from './retry.ts'
import type { DB } from './generated.ts'
import { db } from './kysely.ts'
import { newPool } from './pool.ts'

const folder = new URL('../../sql/', import.meta.url)
/** The migrations of the releases (scripts/freeze.ts). */
const RELEASED = 'released.json'

const OTHER_FILES = `This database was migrated with other files than those in sql/ now. Nothing was changed.
A database of a version before 1.0.0 cannot be upgraded: use a new, empty one. Otherwise start the version that belongs to it.
On a development machine, stop the program and delete .data/postgres.`

const IN_USE = `A table is in use, for example by a backup or a long report, and every webhook would have to wait for it too.
Nothing was changed. Run the migration again when that has ended.`

/** "Lock not available" in Postgres. */
const isLockTimeout = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '55P03'

/**
 * Brings the database up to date: first graphile-worker's schema, since ours calls its functions, then the pending files
 * of sql/, in one transaction. Safe to run twice and by two processes at once, because both libraries take a lock.
 *
 * @returns the names of the files that were applied
 */
export const migrate = async (): Promise<string[]> => {
  const pgPool = await newPool('migrate', 2, { patient: true })
  try {
    await runMigrations({ pgPool })
    const migrator = newMigrator(new Kysely<DB>({ dialect: new PostgresDialect({ pool: pgPool }) }))
    // After a rollback the database has more migrations than this version has files. kysely would refuse it, but it
    // works: later migrations keep all that it uses.
    if ((await pendingIn(migrator)).length === 0) return []
    return await retryOnConflict(() => applyPending(migrator)).catch((cause: unknown) => {
      if (cause instanceof Error && cause.message.startsWith('corrupted migrations'))
        throw startupError(OTHER_FILES)
      if (isLockTimeout(cause)) throw startupError(IN_USE)
      throw new Error('the database could not be migrated; nothing was changed', { cause })
    })
  } finally {
    await pgPool.end()
  }
}

/** The files of sql/ that were not applied to this database. */
export const pendingMigrations = (): Promise<string[]> => pendingIn(newMigrator(db))

const pendingIn = async (migrator: Migrator): Promise<string[]> =>
  (await migrator.getMigrations()).filter(({ executedAt }) => !executedAt).map(fileOf)

/** May meet a deadlock with the previous version, which still runs during a release. The caller tries again. */
const applyPending = async (migrator: Migrator): Promise<string[]> => {
  const { error, results = [] } = await migrator.migrateToLatest()
  // kysely returns the error instead of throwing it.
  if (error) throw error instanceof Error ? error : new Error('not migrated', { cause: error })
  return results.map(({ migrationName }) => fileOf({ name: migrationName }))
}

const newMigrator = (database: Kysely<DB>) =>
  new Migrator({ db: database, provider: { getMigrations: () => readMigrations() } })

/**
 * Each file of sql/ as a migration. kysely stores only the names of the applied migrations. So a name includes a hash of
 * the statements, which shows whether a database was made from an earlier text of a file.
 */
const readMigrations = async (from = folder): Promise<Record<string, Migration>> => {
  const migrations: Record<string, Migration> = {}
  const files = (await readdir(from)).filter(file => file !== RELEASED).toSorted()
  for (const [i, file] of files.entries()) {
    if (!/^\d{4}_\w+\.sql$/.test(file) || file.slice(0, 4) === files[i - 1]?.slice(0, 4))
      throw new Error(
        `sql/${file} is not a migration: name it 0007_word.sql, with an unused number`,
      )
    const text = await readFile(new URL(file, from), 'utf8')
    const statements = text.replaceAll(/--.*$/gm, '').replaceAll(/\s+/g, ' ')
    const hash = createHash('sha256').update(statements).digest('hex').slice(0, 8)
    migrations[`${file} ${hash}`] = { up: async trx => void (await sql.raw(text).execute(trx)) }
  }
  return migrations
}

/** Each file of sql/ with the hash of its statements. */
export const migrationNames = async (from = folder): Promise<string[]> =>
  Object.keys(await readMigrations(from))

/** The file of a migration, without the hash. */
const fileOf = ({ name }: { name: string }): string => name.replace(/ .*/, '')
