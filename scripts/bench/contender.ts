/** A program under load: a process of its own, whose CPU and memory are its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { NODE_FLAGS } from '../chaos/flags.ts'
import { cpuSeconds, residentMb } from './proc.ts'
import { ROOT } from './postgres.ts'

const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 10

export type Contender = Awaited<ReturnType<typeof startRingback>>

const isOver = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

/** Starts a process which ends with this one, whatever ends it. What it says last stands in the error if it fails. */
const launch = (args: string[], env: NodeJS.ProcessEnv) => {
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  let last = ''
  const keep = (chunk: Buffer) => {
    last = (last + chunk.toString()).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)

  const stop = async (): Promise<void> => {
    if (isOver(child)) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const force = setTimeout(kill, STOP_WITHIN_MS)
    await ended
    clearTimeout(force)
  }
  /** Waits for what says that it is ready. */
  const until = async (ready: () => Promise<boolean> | boolean): Promise<void> => {
    for (const limit = Date.now() + READY_WITHIN_MS; !(await ready()); await sleep(LOOK_EVERY_MS))
      if (isOver(child) || Date.now() > limit) {
        await stop()
        throw new Error(`${args.at(-1)} did not start; it said:\n${last}`)
      }
  }
  const { pid } = child
  if (pid === undefined) throw new Error(`${args.at(-1)} cannot be started`)
  return {
    child,
    until,
    process: {
      pid,
      isAlive: () => !isOver(child),
      said: () => last,
      stop,
      cpuSeconds: () => cpuSeconds(pid),
      residentMb: () => residentMb(pid),
    },
  }
}

/** The program itself, with the flags of its dyno. Ready when /readyz says so. */
export const startRingback = async (role: 'web' | 'all', env: NodeJS.ProcessEnv) => {
  const started = launch([...NODE_FLAGS, 'app/main.ts'], { ...env, ROLE: role, PORT: '0' })
  const url = await listening(started, /"port":(\d+)/)
  await started.until(() =>
    fetch(`${url}/readyz`).then(
      async answer => {
        await answer.body?.cancel()
        return answer.ok
      },
      () => false,
    ),
  )
  return { ...started.process, url }
}

/** The worker alone has no door: it is ready when it says that it is running. */
export const startWorker = async (env: NodeJS.ProcessEnv) => {
  const { until, process } = launch([...NODE_FLAGS, 'app/main.ts'], { ...env, ROLE: 'worker' })
  await until(() => process.said().includes('Ringback is running'))
  return process
}

/**
 * Any other: says `listening <port>` when it takes requests.
 *
 * @param flags of node; what is not ours runs with node's own defaults
 */
export const startScript = async (
  script: string,
  env: NodeJS.ProcessEnv,
  flags = NODE_FLAGS,
): Promise<Contender> => {
  const started = launch([...flags, script], { ...env, PORT: '0' })
  return { ...started.process, url: await listening(started, /^listening (\d+)$/) }
}

/** Where it listens, in its own words: a port chosen here could be somebody else's by then. */
const listening = async (
  { child, until }: ReturnType<typeof launch>,
  words: RegExp,
): Promise<string> => {
  let port: string | undefined
  createInterface(child.stdout).on('line', line => {
    port ??= words.exec(line)?.[1]
  })
  await until(() => port !== undefined)
  return `http://127.0.0.1:${port}`
}
