/** The programs that Ringback is compared with: BullMQ on Redis, and pg-boss. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { freePort, run, start } from '../processes.ts'
import { HOME, PEERS } from './machine.ts'

export const BULLMQ = 'scripts/bench/peers/bullmq.mjs'
export const PEER_WEBHOOKS = 'scripts/bench/peers/webhooks.mjs'

const jobs = z.record(z.string(), z.number())
const counted = z.object({ cdr: jobs, outreach: jobs })

export const countBullmqJobs = async (env: NodeJS.ProcessEnv) =>
  counted.parse(JSON.parse(await run([BULLMQ, 'count'], { env })))

export const redisVersion = (): string | null => {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  return /v=(\S+)/.exec(stdout ?? '')?.[1] ?? null
}

export const whyNoPeers = (): string | null =>
  existsSync(join(PEERS, 'node_modules'))
    ? null
    : 'The peers are left out: they are not installed (npm ci --prefix scripts/bench/peers).'

export const whyNoBullmq = (): string | null =>
  redisVersion()
    ? whyNoPeers()
    : 'The BullMQ peer is left out: there is no redis-server here (Debian and Ubuntu: apt-get install redis-server).'

/** Starts a Redis as durable as Postgres: it writes to disk before it answers, everything that arrived meanwhile at once. */
export const startRedis = async () => {
  const folder = await mkdtemp(join(HOME, 'redis-'))
  const port = `${await freePort()}`
  const flags = {
    bind: '127.0.0.1',
    port,
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    // No rewrite of the file happens during a turn, just as no checkpoint of Postgres does.
    'auto-aof-rewrite-min-size': '4gb',
    // BullMQ requires this policy.
    'maxmemory-policy': 'noeviction',
  }
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  const ready = /Ready to accept connections/
  const server = await start(args, process.env, ready, { command: 'redis-server' })
  return {
    url: `redis://127.0.0.1:${port}`,
    cpuSeconds: server.cpuSeconds,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
