import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { embeddedPostgres } from '../../app/db/embedded.ts'

/** Named by what it is made of, so that a changed migration makes a new one, and nothing else does. */
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
 * The tests' own Postgres, apart from the one of `npm start`. Durability off: what is tested here is what
 * is written, not that it survives a power cut.
 *
 * @returns the connection string of one of its databases, which need not exist
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
