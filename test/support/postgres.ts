import { embeddedPostgres } from '../../app/db/embedded.ts'

export const TEMPLATE = 'ringback_template'

/**
 * The tests' own Postgres, apart from the one of `npm start`. Durability off: what is tested here is
 * what is written, not that it survives a power cut.
 *
 * @returns the connection string of one of its databases
 */
export const testDatabaseUrl = async (database: string): Promise<string> => {
  const url = new URL(
    await embeddedPostgres({
      folder: '.data/test-postgres',
      database: 'postgres',
      flags: [
        '-c',
        'fsync=off',
        '-c',
        'synchronous_commit=off',
        '-c',
        'full_page_writes=off',
        '-c',
        'max_connections=200',
      ],
    }),
  )
  url.pathname = `/${database}`
  return url.href
}
