/**
 * Loaded before each test file. Copies the template to a database for this file, and sets the
 * environment before any module of the program reads it.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { log } from '../../app/log.ts'
import { dropUnusedDatabases, templateName, testDatabaseUrl } from './postgres.ts'

const name = `ringback_test_${process.pid}`
const client = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await client.connect()
// At the end of a test run, only the databases of its last files are left.
await dropUnusedDatabases(client)
// Without fsync, copying files takes half as long as the default, which also fills the write-ahead log.
const copyTemplate = () =>
  client.query(`create database ${name} template ${templateName()} strategy file_copy`)
await copyTemplate().catch(async (error: unknown) => {
  // A migration is new or has changed.
  if (!(error instanceof pg.DatabaseError && error.code === '3D000')) throw error
  execFileSync(process.execPath, [fileURLToPath(new URL('template.ts', import.meta.url))])
  await copyTemplate()
})
await client.end()

Object.assign(process.env, {
  NODE_ENV: 'test',
  DATABASE_URL: await testDatabaseUrl(name),
  PORT: '0',
  // More than in production, because a test holds connections while others work.
  DATABASE_CONNECTIONS: '14',
  LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'silent',
  // Tests start hundreds of processes. The cache halves the time in which each loads the program.
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../../.data/compile-cache', import.meta.url)),
})
log.level = 'silent'
