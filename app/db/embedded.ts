import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { findServer } from './embedded/find.ts'
import { launchKeeper, ROOT } from './embedded/launch.ts'
import { placeFor } from './embedded/place.ts'

/** A fresh cluster is up in about a second; a long crash recovery on a slow disk still fits. */
const START_LIMIT = 60_000
const POLL = 50
const LOG_LINES = 20

/**
 * The connection string of a Postgres that needs no installation: the one that already serves
 * `folder` (relative to the project), else a new one, whose data stays for the next time. It
 * belongs to no command: a keeper (scripts/embedded-postgres.ts) runs it in the background and
 * stops it when nobody has used it for a while. `<folder>/url` holds the connection string, for
 * psql. `flags` matter only to the call that starts the server.
 *
 * The class that embedded-postgres exports is not used: its server is a child in the terminal's
 * process group, so Ctrl-C stops the database while the program still needs it to stop in order,
 * and no second command can find it.
 */
export const embeddedPostgres = async ({
  folder = '.data/postgres',
  database = 'ringback',
  flags = [],
}: {
  folder?: string
  database?: string
  flags?: string[]
} = {}): Promise<string> => {
  const path = resolve(ROOT, folder)
  return (await findServer(path, database)) ?? (await start(path, database, flags))
}

const start = async (folder: string, database: string, flags: string[]): Promise<string> => {
  const order = { ...(await placeFor(folder)), database, flags }
  let keeper = await launchKeeper(order)
  for (const until = Date.now() + START_LIMIT; Date.now() < until; await setTimeout(POLL)) {
    const { exitCode, signalCode } = keeper
    const url = await findServer(folder, database)
    if (url) return url
    if (exitCode) break
    // It yielded to a keeper that was about to leave, or was killed: once more.
    if (exitCode === 0 || signalCode) keeper = await launchKeeper(order)
  }
  const log = join(folder, 'log')
  const lines = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n')
  throw new Error(
    `Postgres did not start in ${folder}: set DATABASE_URL or, if the data can go, remove ` +
      `${order.data} and try again. The end of ${log}:\n${lines.slice(-LOG_LINES).join('\n')}`,
  )
}
