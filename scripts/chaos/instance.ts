/** One instance of the program (web and worker) under a supervisor that restarts it, as the platform does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { type Failpoint, FAILPOINTS } from '../../app/failpoints.ts'
import { answers, NODE_FLAGS, RINGBACK, ROOT, waitUntil } from '../processes.ts'
import type { Order } from './arm.ts'
import { count, type Journal } from './monitor.ts'
import type { Random } from './random.ts'

const ARM = fileURLToPath(new URL('arm.ts', import.meta.url))

/** A platform waits before it restarts a process that exited soon after its start. */
const CRASH_PAUSE_MS = 500
const STOP_LIMIT_MS = 30_000

const report = z.object({ hit: z.enum(FAILPOINTS), action: z.string() })

type Options = { port: number; env: NodeJS.ProcessEnv; log: string; journal: Journal }
export type Instance = ReturnType<typeof runInstance>

export const runInstance = ({ port, env, log, journal }: Options) => {
  const output = createWriteStream(log, { flags: 'a' })
  let child: ChildProcess | null = null
  let halted = false
  let ready = false
  let killed: Failpoint | 'at random' | null = null
  let starts = 0

  const hasExited = ({ exitCode, signalCode }: ChildProcess) =>
    exitCode !== null || signalCode !== null
  const pollUntilReady = async (started: ChildProcess) => {
    await waitUntil(async () => hasExited(started) || (await isHealthy(port)), Infinity)
    if (hasExited(started)) return
    ready = true
    journal.ready()
  }
  const runOnce = async () => {
    killed = null
    starts++
    const started = spawn(process.execPath, [...NODE_FLAGS, '--import', ARM, RINGBACK], {
      cwd: ROOT,
      env: { ...env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Ctrl-C reaches chaos only, which then stops the instances itself.
      detached: true,
    })
    child = started
    started.stdout?.pipe(output, { end: false })
    started.stderr?.pipe(output, { end: false })
    started.on('error', () => {})
    started.on('message', message => {
      const { data } = report.safeParse(message)
      // A stopped process (SIGSTOP) continues later.
      if (!data || data.action === 'stop') return
      killed = data.hit
      count(journal.kills, data.hit)
    })
    const exit = once(started, 'exit')
    const polling = pollUntilReady(started)
    await exit
    const wasReady = ready
    ready = false
    child = null
    await polling
    const how = started.signalCode ?? `exit code ${started.exitCode}`
    if (!halted) journal.exited(how, wasReady, killed)
  }
  const running = (async () => {
    while (!halted) {
      const started = Date.now()
      await runOnce()
      if (!killed && Date.now() - started < 5000) await sleep(CRASH_PAUSE_MS)
    }
  })()
  const signal = (name: NodeJS.Signals): boolean => child?.kill(name) ?? false

  return {
    port,
    log,
    isReady: () => ready,
    starts: () => starts,
    /** Orders an action at a failpoint; null withdraws the order. */
    arm: (order: Order | null): void => {
      // A process that has just died does not get the order; the caller sees that from its exit.
      if (child?.connected) child.send({ order }, () => {})
    },
    kill: (): void => {
      killed ??= 'at random'
      signal('SIGKILL')
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    /** Stops it with SIGTERM, for good. @returns its exit code; null if it had to be killed */
    halt: async (): Promise<number | null> => {
      halted = true
      const last = child
      signal('SIGCONT')
      signal('SIGTERM')
      const force = setTimeout(() => signal('SIGKILL'), STOP_LIMIT_MS)
      await running
      clearTimeout(force)
      const closed = once(output, 'finish')
      output.end()
      await closed
      return last?.exitCode ?? null
    },
    killForGood: (): void => {
      halted = true
      signal('SIGKILL')
    },
  }
}

export const isHealthy = (port: number) => answers(`http://127.0.0.1:${port}/healthz`)

export const untilReady = ({ isReady }: Instance, signal: AbortSignal): Promise<boolean> =>
  waitUntil(isReady, Infinity, { pollMs: 20, signal })

export type Killing = {
  random: Random
  kills: ReadonlyMap<Failpoint, number>
  signal: AbortSignal
}

/** Kills it at a failpoint that has had the fewest kills. Returns when it is dead, or on abort. */
export const killAtFailpoint = async (
  instance: Instance,
  { random, kills, signal }: Killing,
): Promise<void> => {
  const afterMs = random.pick([0, 0, 0, 1, 3, 10])
  // Each new order counts anew, so only the first one skips. Otherwise a rare failpoint would never be reached.
  let skip = random.pick([0, 0, 0, 0, 1])
  for (const life = instance.starts(); instance.starts() === life; skip = 0) {
    // Ordered anew each second, because the other instance may have been killed at some of these failpoints.
    const killsAt = (point: Failpoint) => kills.get(point) ?? 0
    const fewest = Math.min(...FAILPOINTS.map(killsAt))
    instance.arm({
      action: 'kill',
      skip,
      afterMs,
      points: FAILPOINTS.filter(at => killsAt(at) === fewest),
    })
    await waitUntil(() => instance.starts() !== life, 1000, { pollMs: 10, signal })
    if (signal.aborted) return instance.arm(null)
  }
}
