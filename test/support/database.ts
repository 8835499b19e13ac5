/**
 * Loaded before every test file: gives it a database of its own, copied from the template, and sets the
 * environment before any module of the program reads it.
 */
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { log } from '../../app/log.ts'
import { templateName, testDatabaseUrl } from './postgres.ts'

const name = `ringback_test_${process.pid}`
const client = new pg.Client({ connectionString: await testDatabaseUrl('postgres') })
await client.connect()
await client.query(`create database ${name} template ${templateName()}`)
await client.end()

Object.assign(process.env, {
  NODE_ENV: 'test',
  DATABASE_URL: await testDatabaseUrl(name),
  PORT: '0',
  // More than a dyno has, since a test holds connections open while others work.
  DATABASE_CONNECTIONS: '14',
  LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'silent',
  // Hundreds of commands and copies of the program are started: each reads half as long what the one before has read.
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../../.data/compile-cache', import.meta.url)),
})
log.level = 'silent'
