/**
 * Makes the migrated database that each test file copies, if it does not exist, and drops old databases. Other processes
 * may do the same at the same time.
 */
import pg from 'pg'
import { db } from '../../app/db/kysely.ts'
import { migrate } from '../../app/db/migrate.ts'
import { dropUnusedDatabases, templateName, testDatabaseUrl } from './postgres.ts'

const admin = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await admin.connect()
await dropUnusedDatabases(admin)

const template = templateName()
const { rowCount } = await admin.query('select from pg_database where datname = $1', [template])
if (!rowCount) {
  // A rename publishes the complete database.
  const making = `ringback_making_${process.pid}`
  await admin.query(`create database ${making}`)
  process.env['DATABASE_URL'] = await testDatabaseUrl(making)
  await migrate()
  await db.destroy()
  await admin.query(`alter database ${making} rename to ${template}`).catch((error: unknown) => {
    // Another run was faster. A later run drops ours.
    if (!(error instanceof pg.DatabaseError && /^(42P04|23505)$/.test(error.code ?? '')))
      throw error
  })
}
await admin.end()
