/**
 * Before the tests: makes the database that every test file gets a copy of, migrated from nothing, and
 * drops what earlier runs left.
 */
import pg from 'pg'
import { TEMPLATE, testDatabaseUrl } from './postgres.ts'

const client = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await client.connect()
const { rows } = await client.query<{ datname: string }>(
  "select datname from pg_database where datname like 'ringback\\_%'",
)
for (const { datname } of rows)
  await client.query(`drop database if exists "${datname}" with (force)`)
await client.query(`create database ${TEMPLATE}`)
await client.end()

process.env['DATABASE_URL'] = await testDatabaseUrl(TEMPLATE)
const { migrate } = await import('../../app/db/migrate.ts')
const { pool } = await import('../../app/db/pool.ts')
await migrate()
// Nobody may be connected to a database that is to be copied.
await pool.end()
