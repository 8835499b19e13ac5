/**
 * Before the tests: makes the database that every test file gets a copy of, migrated from nothing, and
 * drops what dead test processes left. Another run may be going on meanwhile.
 */
import pg from 'pg'
import { templateName, testDatabaseUrl } from './postgres.ts'
import { db } from '../../app/db/kysely.ts'
import { migrate } from '../../app/db/migrate.ts'

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const admin = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await admin.connect()
const { rows } = await admin.query<{ datname: string }>(
  "select datname from pg_database where datname like 'ringback\\_%'",
)
const databases = rows.map(({ datname }) => datname)
for (const database of databases) {
  const pid = Number(/^ringback_(?:test|making)_(\d+)$/.exec(database)?.[1])
  if (pid && !isAlive(pid)) await admin.query(`drop database if exists "${database}" with (force)`)
}

const template = templateName()
if (!databases.includes(template)) {
  // Made aside and renamed when it is whole.
  const making = `ringback_making_${process.pid}`
  await admin.query(`create database ${making}`)
  process.env['DATABASE_URL'] = await testDatabaseUrl(making)
  await migrate()
  await db.destroy()
  await admin.query(`alter database ${making} rename to ${template}`).catch((error: unknown) => {
    // Another run was faster; ours goes the way of what dead processes leave.
    if (!(error instanceof pg.DatabaseError && error.code === '42P04')) throw error
  })
}
await admin.end()
