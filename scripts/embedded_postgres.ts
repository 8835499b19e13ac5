/**
 * The keeper of an embedded Postgres. app/db/embedded_postgres.ts starts it in the background. It
 * starts the server, or connects to one whose keeper was killed, and stops the server when no client
 * has been connected for a while. Its connection holds an advisory lock, so there is one keeper, and
 * other processes see that the server will stay. The lock ends with this process, however it ends.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import * as embedded from '../app/db/embedded_postgres.ts'

const START_LIMIT = 60_000
const ATTEMPTS = 4
const LOG_LIMIT = 10_000_000
/** Longer than the time from the creation of a lock file to the first answer at its port. */
const LOCK_FILE_AGE = 10_000

const order: embedded.Order = JSON.parse(process.argv[2] ?? '')
const { folder, data, bin, account, flags, idle } = order
const key = embedded.keyOf(folder)
const lockFile = join(data, 'postmaster.pid')

/** The log is the output of this process, of pg_ctl and of the server. */
const pgCtl = async (...args: string[]): Promise<void> => {
  const options = { ...account, cwd: '/', stdio: 'inherit', windowsHide: true } as const
  await once(spawn(join(bin, 'pg_ctl'), [...args, '--pgdata', data], options), 'exit')
}

const startServer = async () => {
  const log = join(folder, 'log')
  let port = 20_000 + (key % 10_000)
  let words = ''
  const until = Date.now() + START_LIMIT
  for (let failures = 0; failures < ATTEMPTS && Date.now() < until; await setTimeout(100)) {
    const server = await connectToServer()
    if (server === 'busy') continue
    if (server) return server
    // Postgres trusts a lock file while any process has its number. After a power cut this may be
    // another program. If the old server runs after all, its shared memory prevents a second one.
    const isOccupied = /already exists|still in use/.test(words)
    const made = isOccupied && (await stat(lockFile).catch(() => undefined))
    if (made && Date.now() - made.mtimeMs > LOCK_FILE_AGE) await rm(lockFile, { force: true })

    if ((await stat(log)).size > LOG_LIMIT) await truncate(log)
    const { size } = await stat(log)
    await pgCtl('start', '--options', ['-p', port, ...flags].join(' '))
    words = (await readFile(log)).subarray(size).toString()
    // Another server may be starting or stopping in this folder: wait for it.
    if (!/already exists|still in use/.test(words)) failures++
    if (words.includes('Address already in use')) port++
  }
  throw new Error(words || 'the server wrote nothing to its log. The disk may be full')
}

/** Connects to the server that the lock file names, if it is ours: the file may be stale. */
const connectToServer = async () => {
  const [, , , port] = (await readFile(lockFile, 'utf8').catch(() => '')).split('\n')
  if (!port) return undefined
  const password = await readFile(embedded.passwordFile(data), 'utf8')
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/`
  try {
    const client = await embedded.connect(`${url}postgres`)
    const { rows } = await client.query<{ data_directory: string }>('show data_directory')
    // The lock file of a copied folder leads to the server of the original.
    if (resolve(rows[0]?.data_directory ?? '') === data) return { client, url }
    await client.end()
  } catch (error) {
    const codes = ['57P03', '53300'] // It starts, recovers or stops, or all its connections are in use.
    if (error instanceof pg.DatabaseError && codes.includes(error.code ?? '')) return 'busy'
  }
  return undefined
}

const start = async (): Promise<pg.Client> => {
  await embedded.makeCluster(order)
  const { client, url } = await startServer()
  const file = join(folder, 'url')
  await writeFile(`${file}.${process.pid}`, `${url}${embedded.DATABASE}\n`, { mode: 0o600 })
  await rename(`${file}.${process.pid}`, file)
  return client
}

/** Tells the parent why the server did not start, or with '' that it is ready. */
const answer = (failure: string): Promise<void> =>
  new Promise(done => {
    // If the parent has ended, the callback gets an error. It does not matter.
    process.send?.(failure, undefined, undefined, () => done())
  })

const client = await start().catch(async (error: unknown) => {
  await answer(error instanceof Error ? error.message : String(error))
  process.exit(1)
})

const lock = async (): Promise<boolean> => {
  const { rowCount } = await client.query('select where pg_try_advisory_lock($1)', [key])
  return rowCount === 1
}

const isKeeper = await lock()
await answer('')
if (!isKeeper) process.exit() // Another keeper was faster.

client.once('end', () => process.exit()) // The server has ended.
const stop = () => pgCtl('stop', '--mode=fast')
process.once('SIGTERM', () => void stop())

// What a killed initdb has left.
for (const name of await readdir(dirname(data)))
  if (name.startsWith(`${basename(data)}-`))
    await rm(join(dirname(data), name), { recursive: true, force: true }).catch(() => {})

let sessions = ''
/** Whether a client is connected, or was since the last look: many commands end within a second. */
const isUsed = async (): Promise<boolean> => {
  const { rows } = await client.query<{ sessions: string; clients: number }>(
    `select (select sum(sessions)::text from pg_stat_database) as sessions,
       (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as clients`,
  )
  const before = sessions
  sessions = rows[0]?.sessions ?? ''
  return sessions !== before || (rows[0]?.clients ?? 0) > 1
}

for (let used = Date.now(); ; await setTimeout(Math.min(2_000, idle / 4))) {
  if (await isUsed()) used = Date.now()
  if (Date.now() - used < idle) continue
  // A client that comes after this look finds no lock, and waits for the next server.
  await client.query('select pg_advisory_unlock($1)', [key])
  if (!(await isUsed())) break
  if (!(await lock())) process.exit() // Another keeper has taken over.
}
await stop()
