import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'
import { embeddedPostgres } from '../../app/db/embedded_postgres.ts'

/** The name contains a hash of its sources. A changed migration makes a new template. */
export const templateName = (): string => {
  const folder = new URL('../../sql/', import.meta.url)
  const hash = createHash('sha256').update(
    readFileSync(new URL('../../package-lock.json', import.meta.url)),
  )
  for (const file of readdirSync(folder).toSorted())
    hash.update(file).update(readFileSync(new URL(file, folder)))
  return `ringback_template_${hash.digest('hex').slice(0, 12)}`
}

/**
 * The connection string of a database on the server of the tests. The database need not exist. The
 * server does not wait for the disk: no test depends on data that survives a power cut.
 */
export const testDatabaseUrl = async (database: string): Promise<string> => {
  const flags = [
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'max_connections=200',
  ]
  const url = new URL(
    await embeddedPostgres({
      folder: '.data/test-postgres',
      database: 'postgres',
      flags: flags.flatMap(flag => ['-c', flag]),
    }),
  )
  url.pathname = `/${database}`
  return url.href
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/**
 * Drops old templates, and the databases whose processes have ended. A test process cannot drop its
 * own database when it ends.
 */
export const dropUnusedDatabases = async (admin: pg.Client): Promise<void> => {
  const { rows } = await admin.query<{ datname: string }>(
    "select datname from pg_database where datname ~ '^ringback_(test|making|template)_[0-9a-f]+$'",
  )
  const template = templateName()
  for (const { datname } of rows) {
    const pid = /^ringback_(?:test|making)_(\d+)$/.exec(datname)?.[1]
    if (datname === template || (pid && isAlive(Number(pid)))) continue
    await admin.query(`drop database if exists ${datname} with (force)`).catch((error: unknown) => {
      // Another process drops it at the same time.
      if (!(error instanceof pg.DatabaseError)) throw error
    })
  }
}
