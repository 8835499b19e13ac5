/** Starts the measured programs. Each is a process of its own, so that its CPU time and memory can be measured. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { NODE_FLAGS } from '../chaos/instance.ts'
import { freePort } from '../chaos/postgres.ts'
import { cpuSeconds, HOME, PEERS, residentMb, ROOT } from './machine.ts'

export const BULLMQ = 'scripts/bench/peers/bullmq.mjs'
export const PEER_WEBHOOKS = 'scripts/bench/peers/webhooks.mjs'
export const RINGBACK = 'app/main.ts'
export const RINGBACK_PORT = /"port":(\d+)\D/
const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 30_000
const POLL_MS = 10
const MAX_OUTPUT = 4000

type Env = NodeJS.ProcessEnv
export type Program = Awaited<ReturnType<typeof start>>
export type WebProgram = Program & { url: string }

/**
 * Starts a process that ends with this one at the latest.
 *
 * @param ready matches its output as soon as the process is ready
 */
export const start = async (
  args: string[],
  env: Env,
  ready: RegExp,
  command = process.execPath,
) => {
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const pid = child.pid ?? 0
  const exited = once(child, 'exit')
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  const output = tailOf(child.stdout)
  const errors = tailOf(child.stderr)

  const isAlive = () => child.exitCode === null && child.signalCode === null
  const stop = async (): Promise<void> => {
    if (!isAlive()) return
    child.kill('SIGTERM')
    const force = setTimeout(kill, STOP_WITHIN_MS)
    await exited
    clearTimeout(force)
  }
  const waitUntil = async (isReady: () => Promise<boolean> | boolean): Promise<void> => {
    for (const limit = Date.now() + READY_WITHIN_MS; !(await isReady()); await sleep(POLL_MS))
      if (!isAlive() || Date.now() > limit) {
        await stop()
        throw new Error(`${args.at(-1)} did not start. Its output:\n${output()}${errors()}`)
      }
  }
  await waitUntil(() => ready.test(output()))
  return {
    isAlive,
    /** The last lines that it wrote to stdout. */
    output,
    /** The last lines that it wrote to stderr. */
    errors,
    stop,
    [Symbol.asyncDispose]: stop,
    waitUntil,
    cpuSeconds: () => cpuSeconds(pid),
    residentMb: () => residentMb(pid),
  }
}

const tailOf = (stream: NodeJS.ReadableStream): (() => string) => {
  let tail = ''
  stream.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-MAX_OUTPUT)
  })
  return () => tail
}

/** Starts a program that listens for HTTP requests, on a port that the system chooses and the program prints. */
export const startWeb = async (
  args: string[],
  env: Env,
  port = /^listening (\d+)\n/m,
): Promise<WebProgram> => {
  const program = await start(args, { ...env, PORT: '0' }, port)
  return { ...program, url: `http://127.0.0.1:${port.exec(program.output())?.[1]}` }
}

/** The program itself with the flags of the Procfile. It is ready when /readyz answers 200. */
export const startRingback = async (role: 'web' | 'all', env: Env): Promise<WebProgram> => {
  const args = [...NODE_FLAGS, RINGBACK]
  const program = await startWeb(args, { ...env, ROLE: role }, RINGBACK_PORT)
  await program.waitUntil(async () => {
    const answer = await fetch(`${program.url}/readyz`).catch(() => null)
    await answer?.body?.cancel()
    return answer?.ok === true
  })
  return program
}

export const startWorker = (env: Env): Promise<Program> =>
  start([...NODE_FLAGS, RINGBACK], { ...env, ROLE: 'worker' }, /Ringback is running/)

/** Runs a program that ends by itself, and returns what it printed. */
export const run = async (
  args: string[],
  options: { env?: Env; signal?: AbortSignal; timeout?: number } = {},
  { input = '', command = process.execPath } = {},
): Promise<string> => {
  const running = promisify(execFile)(command, args, { cwd: ROOT, ...options, maxBuffer: 2 ** 24 })
  running.child.stdin?.end(input)
  return (await running).stdout
}

/** The result that a program printed as its last line. */
export const parseLastLine = (output: string): unknown =>
  JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')

const jobs = z.record(z.string(), z.number())
const counted = z.object({ cdr: jobs, outreach: jobs })

/** BullMQ's jobs per queue and state. */
export const countBullmqJobs = async (env: Env) =>
  counted.parse(JSON.parse(await run([BULLMQ, 'count'], { env })))

/** The version of the system's redis-server; null if there is none. */
export const redisVersion = (): string | null => {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  return /v=(\S+)/.exec(stdout ?? '')?.[1] ?? null
}

/** Why the peers cannot run here; null if they can. */
export const whyNoPeers = (): string | null =>
  existsSync(join(PEERS, 'node_modules'))
    ? null
    : 'The peers are left out: they are not installed (npm ci --prefix scripts/bench/peers).'

/** Why BullMQ cannot run here; null if it can. */
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
  const server = await start(args, process.env, /Ready to accept connections/, 'redis-server')
  return {
    url: `redis://127.0.0.1:${port}`,
    cpuSeconds: server.cpuSeconds,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
