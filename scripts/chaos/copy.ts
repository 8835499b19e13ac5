/** One copy of the program, web and worker, as its platform runs it: whenever it ends it is started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { hit, type Order } from './armed.ts'
import type { Failpoint } from '../../app/failpoints.ts'
import { NODE_FLAGS } from './flags.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ARM = fileURLToPath(new URL('arm.ts', import.meta.url))

/** How often we look whether a copy that starts answers yet. */
const LOOK_EVERY_MS = 50
/** A platform waits before it starts again what ended by itself at once. */
const CRASH_PAUSE_MS = 500

/** How a copy ended, or that it passed a point at which something was to happen. */
export type CopyEvents = {
  passed: (point: Failpoint) => void
  /** @param wanted whether we ended it ourselves */
  ended: (how: {
    code: number | null
    signal: NodeJS.Signals | null
    wanted: boolean
    wasReady: boolean
  }) => void
  /** /healthz answers 200, for the first time in this life. */
  ready: () => void
}

export type Copy = ReturnType<typeof runCopy>

export const runCopy = (
  { name, port, env, log }: { name: string; port: number; env: NodeJS.ProcessEnv; log: string },
  events: CopyEvents,
) => {
  const output = createWriteStream(log, { flags: 'a' })
  let child: ChildProcess | null = null
  let halted = false
  let ready = false
  /** We are about to end it, or have told it to end itself. */
  let condemned = false
  let starts = 0

  const live = async () => {
    while (!halted) {
      condemned = false
      starts++
      const started = Date.now()
      const life = spawn(process.execPath, [...NODE_FLAGS, '--import', ARM, 'app/main.ts'], {
        cwd: ROOT,
        env: { ...env, PORT: String(port) },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        // Ctrl-C is for us; what becomes of the copies is ours to say.
        detached: true,
      })
      child = life
      life.stdout?.pipe(output, { end: false })
      life.stderr?.pipe(output, { end: false })
      life.on('error', () => {})
      life.on('message', message => {
        const { data } = hit.safeParse(message)
        // One that is only stopped lives on.
        if (!data || data.action === 'stop') return
        condemned = true
        events.passed(data.hit)
      })
      const over = once(life, 'exit')
      const answering = waitUntilItAnswers(life)
      await over
      const wasReady = ready
      ready = false
      child = null
      await answering
      const { exitCode: code, signalCode: signal } = life
      if (!halted) events.ended({ code, signal, wanted: condemned, wasReady })
      if (!condemned && Date.now() - started < 5000) await sleep(CRASH_PAUSE_MS)
    }
  }
  const isOver = (life: ChildProcess) => life.exitCode !== null || life.signalCode !== null
  const waitUntilItAnswers = async (life: ChildProcess) => {
    while (!isOver(life)) {
      if (await healthy(port)) {
        ready = true
        events.ready()
        return
      }
      await sleep(LOOK_EVERY_MS)
    }
  }
  const lived = live()

  const signal = (name: NodeJS.Signals): boolean => child?.kill(name) ?? false
  return {
    name,
    port,
    log,
    isReady: () => ready,
    starts: () => starts,
    pid: () => child?.pid,
    /** Says what is to happen, once; null takes it back. */
    arm: (order: Order | null): void => {
      // One that has just died hears nothing any more, and that is known by its end.
      if (child?.connected) child.send({ order }, () => {})
    },
    kill: (): void => {
      condemned = true
      signal('SIGKILL')
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    /** Lets it end in order, for good. Returns its exit code, or null if it had to be killed. */
    halt: async (): Promise<number | null> => {
      halted = true
      const last = child
      signal('SIGCONT')
      signal('SIGTERM')
      const force = setTimeout(() => signal('SIGKILL'), 30_000)
      await lived
      clearTimeout(force)
      const closed = once(output, 'finish')
      output.end()
      await closed
      return last?.exitCode ?? null
    },
    /** At the end of the harness, whatever became of it. */
    killForGood: (): void => {
      halted = true
      signal('SIGKILL')
    },
  }
}

/** Whether this port answers GET /healthz with 200. */
export const healthy = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1000) }).then(
    async response => {
      await response.body?.cancel()
      return response.status === 200
    },
    () => false,
  )
