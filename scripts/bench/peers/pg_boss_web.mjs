/**
 * The same webhook on pg-boss: one `send`, which is one insert, before the 200. This process only sends, so it
 * leaves supervision and schedules to others. With 50 connections, for with its default 10 it was slower: commits
 * that wait for the disk at the same time share the waiting.
 */
import { PgBoss } from 'pg-boss'
import { endOnSigterm, listen } from './receive.mjs'

const boss = new PgBoss({
  connectionString: process.env.DATABASE_URL,
  supervise: false,
  schedule: false,
  max: 50,
})
boss.on('error', error => console.error(error))
await boss.start()
await boss.createQueue('voicenter-cdr')
const server = listen(event => boss.send('voicenter-cdr', event))
endOnSigterm(server, () => boss.stop({ graceful: false }))
