/**
 * A Redis of the run's own, as durable as Postgres: every write is on the disk before it is answered. Redis
 * collects what arrived meanwhile and writes it in one go, as Ringback does.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../chaos/postgres.ts'

const START_LIMIT_MS = 10_000

export type Redis = Awaited<ReturnType<typeof startRedis>>

/** The version of the system's redis-server; null where there is none. */
export const redisVersion = (): string | null => {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  return /v=(\S+)/.exec(stdout ?? '')?.[1] ?? null
}

/** What to say when `redisVersion` finds none. */
export const NO_REDIS =
  'The BullMQ peer is left out: there is no redis-server here (Debian and Ubuntu: apt-get install redis-server).'

/** @param folder does not exist yet, or is empty; it is removed at the end */
export const startRedis = async (folder: string) => {
  await mkdir(folder, { recursive: true })
  const port = await freePort()
  const flags = {
    bind: '127.0.0.1',
    port: `${port}`,
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    // As no checkpoint of Postgres falls into a round, no rewriting of the file does.
    'auto-aof-rewrite-min-size': '4gb',
    // As BullMQ asks for.
    'maxmemory-policy': 'noeviction',
    loglevel: 'warning',
  }
  const server = spawn(
    'redis-server',
    Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
    { cwd: folder, stdio: 'ignore' },
  )
  const ended = once(server, 'exit')
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  for (const until = Date.now() + START_LIMIT_MS; !(await accepts(port)); await sleep(20))
    if (server.exitCode !== null || Date.now() > until)
      throw new Error('redis-server does not accept connections')
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: server.pid,
    remove: async () => {
      server.kill('SIGTERM')
      await ended
      process.off('exit', kill)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
