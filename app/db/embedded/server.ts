import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { DatabaseError } from 'pg'
import type { ChildProcess } from 'node:child_process'
import type { Client } from 'pg'
import { passwordFile } from './cluster.ts'
import { connect } from './connect.ts'
import type { Order } from './place.ts'

const START_LIMIT = 60_000
const POLL = 50

/** Postgres may end once because another server is just leaving, or took the port: not thrice. */
const FAILURES = 3
/** Two seconds or so, during which nobody answers for a lock file. */
const LOCKED = 20

/** A connection to the server, its process and its address. */
export type Server = { client: Client; pid: number; url: URL }

/**
 * The server of this place: the one that runs (its keeper may have been killed) or a new one.
 * That there is only one is left to Postgres, whose lock file refuses a second in the same folder.
 */
export const reachServer = async (order: Order): Promise<Server> => {
  const lock = lockFile(order)
  let child: ChildProcess | undefined
  let failures = 0
  let locked = 0
  for (const until = Date.now() + START_LIMIT; Date.now() < until; await setTimeout(POLL)) {
    const server = await attach(order)
    if (server === 'busy') locked = 0
    else if (server) return server
    if (server || (child?.exitCode === null && child.signalCode === null)) continue
    if (child && !existsSync(lock) && ++failures === FAILURES) break
    // Postgres takes a lock file for valid while any process has its number, which after a power
    // cut may be a stranger. Where nobody answers for it, it can go: a survivor of the old server
    // is still noticed, by the shared memory that Postgres names after the folder.
    if (child && existsSync(lock) && ++locked === LOCKED) await rm(lock, { force: true })
    child = await startServer(order)
  }
  throw new Error('Postgres does not start; its own words are above')
}

const lockFile = ({ data }: Order): string => join(data, 'postmaster.pid')

/** Connects to the server that the lock file names, if it is ours: the number may be stale. */
const attach = async (order: Order): Promise<Server | 'busy' | undefined> => {
  const { data, database } = order
  const [pid, , , port] = (await readFile(lockFile(order), 'utf8').catch(() => '')).split('\n')
  if (!port) return undefined
  const password = await readFile(passwordFile(data), 'utf8')
  const url = new URL(`postgres://postgres:${password}@127.0.0.1:${port}/postgres`)
  try {
    const client = await connect(url.href)
    const { rows } = await client.query<{ data_directory: string }>('show data_directory')
    url.pathname = database
    // A folder that was copied while its server ran has the password and the lock file of that.
    if (resolve(rows[0]?.data_directory ?? '') === data) return { client, pid: Number(pid), url }
    await client.end()
  } catch (error) {
    const codes = ['57P03', '53300'] // starting, recovering or stopping; too many connections
    if (error instanceof DatabaseError && codes.includes(error.code ?? '')) return 'busy'
  }
  return undefined
}

/** In the keeper's session and with its log, but not bound to its life. */
const startServer = async ({ folder, data, postgres, account, flags }: Order) => {
  const port = await freePort(await lastPort(folder))
  const child = spawn(postgres, ['-D', data, '-p', `${port}`, ...flags], {
    ...account,
    stdio: 'inherit',
  })
  child.unref()
  return child
}

/** The port of last time, so that a connection string kept by hand stays valid. */
const lastPort = async (folder: string): Promise<number> =>
  Number(URL.parse(await readFile(join(folder, 'url'), 'utf8').catch(() => ''))?.port)

const freePort = async (wanted: number): Promise<number> => {
  const probe = createServer()
  try {
    await once(probe.listen(wanted, '127.0.0.1'), 'listening')
  } catch {
    return freePort(0)
  }
  const address = probe.address()
  await once(probe.close(), 'close')
  return typeof address === 'object' && address ? address.port : freePort(0)
}
