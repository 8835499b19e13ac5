/** Runs what stands in this folder: processes of their own, without the flags that Ringback gives its node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { cpuSeconds } from '../proc.ts'

const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 10_000

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

export const peersAreInstalled = (): boolean => existsSync(pathOf('node_modules'))

/** What to say when they are not. */
export const NO_PEERS =
  'The peers are left out: they are not installed (npm ci --prefix scripts/bench/peers).'

const launch = (args: string[], env: NodeJS.ProcessEnv) => {
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  let last = ''
  child.stderr.on('data', (chunk: Buffer) => {
    last = (last + chunk.toString()).slice(-4000)
  })
  return { child, complaint: () => last }
}

/** Starts a worker, and waits until it says `ready`. */
export const startPeerWorker = async (script: string, env: NodeJS.ProcessEnv) => {
  const { child, complaint } = launch([pathOf(script)], env)
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = once(child, 'exit').finally(() => process.off('exit', kill))
  const tooLong = setTimeout(kill, READY_WITHIN_MS)
  const lines = createInterface(child.stdout)
  const ready = await Promise.race([
    new Promise<boolean>(resolve => {
      lines.on('line', line => {
        if (line === 'ready') resolve(true)
      })
    }),
    ended.then(() => false),
  ])
  clearTimeout(tooLong)
  const { pid } = child
  if (!ready || pid === undefined)
    throw new Error(`${script} did not start; it said:\n${complaint()}`)
  return {
    /** What went wrong in it last; empty if nothing did. */
    complaint,
    cpuSeconds: () => cpuSeconds(pid),
    stop: async (): Promise<void> => {
      child.kill('SIGTERM')
      const force = setTimeout(kill, STOP_WITHIN_MS)
      await ended
      clearTimeout(force)
    },
  }
}

/** Runs one that ends, and gives back what it printed. */
export const runPeer = async (
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  input = '',
): Promise<string> => {
  const { child, complaint } = launch([pathOf(script), ...args], env)
  child.stdin.end(input)
  const ended = once(child, 'exit')
  const printed = await text(child.stdout)
  const [code] = await ended
  if (code !== 0) throw new Error(`${script} ended with ${code}; it said:\n${complaint()}`)
  return printed
}
