import { config } from '../app/config.ts'
import { db } from '../app/db/kysely.ts'
import { migrate } from '../app/db/migrate.ts'
import { explained, preflight, verifyEncryptionKey, verifyTables } from '../app/db/preflight.ts'
import { isStartupError } from '../app/errors.ts'
import { processFlags } from './tenant/terminal.ts'

const HELP = `Usage: npm run migrate

Brings the database of DATABASE_URL up to date. Without DATABASE_URL, the one under .data/.
Safe to run twice, and by two processes at once.`

processFlags('migrate', HELP, {})
try {
  // The release phase runs these checks too, so that a release that could not start fails and the previous one stays.
  await explained(async () => {
    await preflight()
    for (const name of await migrate()) console.log(`applied ${name}`)
    console.log('the database is up to date')
    await verifyTables()
    if (config().production) await verifyEncryptionKey()
  })
} catch (error) {
  if (!isStartupError(error)) throw error
  console.error(error.message)
  process.exitCode = 1
}
await db.destroy()
