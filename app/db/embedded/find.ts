import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseError, escapeIdentifier } from 'pg'
import type { Client } from 'pg'
import { connect } from './connect.ts'
import { keeperName } from './names.ts'

/** The connection string of the server that serves a folder, if one does; makes the database. */
export const findServer = async (folder: string, database: string): Promise<string | undefined> => {
  const url = URL.parse(await readFile(join(folder, 'url'), 'utf8').catch(() => ''))
  if (!url) return undefined
  url.pathname = 'postgres'
  const client = await connect(url.href).catch(() => undefined)
  if (!client) return undefined
  try {
    const server = await look(client, folder, database).catch(() => undefined)
    if (!server) return undefined
    if (!server.has_database) {
      await client.query(`create database ${escapeIdentifier(database)}`).catch(unlessItExists)
    }
  } finally {
    await client.end()
  }
  url.pathname = database
  return url.href
}

/**
 * Only a server whose keeper is connected counts. That leaves out, in one question, a server whose
 * keeper was killed, one about to be stopped, and that of another checkout, if this folder is a
 * copy. The lock file is gone where the data were deleted: such a server ends within a minute.
 */
const look = async (client: Client, folder: string, database: string) => {
  const { rows } = await client.query<{ has_database: boolean }>(
    `select exists (select from pg_database where datname = $2) as has_database
     from pg_stat_activity
     where application_name = $1 and (pg_stat_file('postmaster.pid', true)).size > 0`,
    [keeperName(folder), database],
  )
  return rows[0]
}

/** Another command made the database between our look and our `create`: all the better. */
const unlessItExists = (error: unknown): void => {
  const codes = ['42P04', '23505'] // duplicate_database; unique_violation, when at the same moment
  if (!(error instanceof DatabaseError && codes.includes(error.code ?? ''))) throw error
}
