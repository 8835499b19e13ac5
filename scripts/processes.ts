/** Starts the programs of this repository and reads their CPU time and memory: for the demo, chaos and the benchmark. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { DEFAULT_TEMPLATES, OWN_BUTTONS, ownTemplate } from '../app/whatsapp/own_templates.ts'
import type { FakeWhatsApp } from './fake_whatsapp/server.ts'
import type { NumberInput, WhatsAppNumber } from './fake_whatsapp/state.ts'

export const ROOT = fileURLToPath(new URL('../', import.meta.url))
const procfile = readFileSync(`${ROOT}Procfile`, 'utf8')
/** The node flags of the Procfile, so that the program runs as in production. */
export const NODE_FLAGS = /^web:.*node (.*) app\/main\.ts$/m.exec(procfile)?.[1]?.split(' ') ?? []

export const RINGBACK = 'app/main.ts'
export const RINGBACK_PORT = /"port":(\d+)\D/
const READY_WITHIN_MS = 30_000
const STOP_WITHIN_MS = 30_000
const MAX_OUTPUT = 4000

type Env = NodeJS.ProcessEnv
export type Program = Awaited<ReturnType<typeof start>>
export type WebProgram = Program & { url: string }

/** Prints progress with the seconds since now. */
export const newProgress = (print: (line: string) => void, digits = 0) => {
  const started = performance.now()
  return (text: string): void => {
    const seconds = ((performance.now() - started) / 1000).toFixed(digits)
    print(`${seconds.padStart(4 + digits)} s  ${text}`)
  }
}

/** Aborts on Ctrl-C and SIGTERM. The caller then cleans up. */
export const interruption = (say: (text: string) => void): AbortSignal => {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      say('interrupted: cleaning up')
      interrupted.abort()
    })
  return interrupted.signal
}

/** @returns false if the condition does not hold within this time, or on abort */
export const waitUntil = async (
  holds: () => boolean | Promise<boolean>,
  withinMs: number,
  { pollMs = 50, signal }: { pollMs?: number; signal?: AbortSignal } = {},
): Promise<boolean> => {
  for (const limit = Date.now() + withinMs; !(await holds()); await sleep(pollMs))
    if (Date.now() > limit || signal?.aborted) return false
  return true
}

/** The wanted port, or a free one if it is taken. */
export const freePort = async (wanted = 0): Promise<number> => {
  const probe = createServer().listen(wanted)
  try {
    await once(probe, 'listening')
  } catch {
    return freePort()
  }
  const address = probe.address()
  await once(probe.close(), 'close')
  if (!address || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** Whether the address answers 2xx within a second. */
export const answers = async (url: string): Promise<boolean> => {
  const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => null)
  await answer?.body?.cancel().catch(() => {})
  return answer?.ok === true
}

/**
 * Starts a process that ends with this one at the latest.
 *
 * @param ready matches its output as soon as the process is ready
 * @param options.log a file for its whole output
 */
export const start = async (
  args: string[],
  env: Env,
  ready: RegExp,
  { command = process.execPath, log }: { command?: string; log?: string | undefined } = {},
) => {
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const pid = child.pid ?? 0
  const exited = once(child, 'exit')
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  const output = tailOf(child.stdout)
  const errors = tailOf(child.stderr)
  if (log) {
    const file = createWriteStream(log)
    child.stdout.pipe(file)
    child.stderr.pipe(file)
  }

  const isAlive = () => child.exitCode === null && child.signalCode === null
  const stop = async (): Promise<void> => {
    if (!isAlive()) return
    child.kill('SIGTERM')
    const force = setTimeout(kill, STOP_WITHIN_MS)
    await exited
    clearTimeout(force)
  }
  const waitUntilReady = async (isReady: () => Promise<boolean> | boolean): Promise<void> => {
    const isOver = async () => !isAlive() || (await isReady())
    if ((await waitUntil(isOver, READY_WITHIN_MS, { pollMs: 10 })) && isAlive()) return
    await stop()
    throw new Error(`${args.at(-1)} did not start. Its output:\n${output()}${errors()}`)
  }
  await waitUntilReady(() => ready.test(output()))
  return {
    isAlive,
    /** The last lines that it wrote to stdout. */
    output,
    /** The last lines that it wrote to stderr. */
    errors,
    stop,
    [Symbol.asyncDispose]: stop,
    waitUntilReady,
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

/** Starts a program that listens for HTTP requests and prints its port. The default is a free port. */
export const startWeb = async (
  args: string[],
  env: Env,
  { port = /^listening (\d+)\n/m, log }: { port?: RegExp; log?: string | undefined } = {},
): Promise<WebProgram> => {
  const program = await start(args, { PORT: '0', ...env }, port, { log })
  return { ...program, url: `http://127.0.0.1:${port.exec(program.output())?.[1]}` }
}

/** The program itself with the flags of the Procfile. It is ready when /readyz answers 200, whatever the backlog. */
export const startRingback = async (
  role: 'web' | 'all',
  env: Env,
  log?: string,
): Promise<WebProgram> => {
  const args = [...NODE_FLAGS, RINGBACK]
  const program = await startWeb(args, { ...env, ROLE: role }, { port: RINGBACK_PORT, log })
  await program.waitUntilReady(() => answers(`${program.url}/readyz?for=webhooks`))
  return program
}

export const startWorker = (env: Env): Promise<Program> =>
  start([...NODE_FLAGS, RINGBACK], { ...env, ROLE: 'worker' }, /Ringback is running/)

export const run = async (
  args: string[],
  options: { env?: Env; signal?: AbortSignal; timeout?: number } = {},
  { input = '', command = process.execPath } = {},
): Promise<string> => {
  const running = promisify(execFile)(command, args, { cwd: ROOT, ...options, maxBuffer: 2 ** 24 })
  const { stdin } = running.child
  stdin?.on('error', () => {}) // It may end before it has read its input.
  stdin?.end(input)
  return (await running).stdout
}

export const parseLastLine = (output: string): unknown =>
  JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')

const added = z.object({ tenantId: z.string(), webhookToken: z.string(), webhookUrl: z.string() })

type TenantInput = {
  name: string
  number: string
  ownerPhone?: string | null
  phoneNumberId: string
  accessToken: string
}
/** Adds a live tenant with the command that an operator uses. */
export const addTenant = async (
  { name, number, ownerPhone, phoneNumberId, accessToken }: TenantInput,
  env: Env,
) => {
  const flags = ['--name', name, '--number', number, '--mode', 'live', '--json']
  flags.push('--phone-number-id', phoneNumberId, '--access-token-env', 'ACCESS_TOKEN')
  if (ownerPhone) flags.push('--owner-phone', ownerPhone)
  const options = { env: { ...env, ACCESS_TOKEN: accessToken } }
  return added.parse(parseLastLine(await run(['scripts/tenant.ts', 'add', ...flags], options)))
}

/** Adds a token for Voicenter's Pop-Up Screen with the command that an operator uses. @returns the token and its URL */
export const addPopupToken = async (tenantId: string, env: Env) => {
  const args = ['token', 'add', '--tenant', tenantId, '--kind', 'popup', '--json']
  return added.parse(parseLastLine(await run(['scripts/tenant.ts', ...args], { env })))
}

/** Gives the first message the buttons "call me back" and "stop", with the command that an operator uses. */
export const useButtons = async (tenantId: string, env: Env): Promise<void> => {
  const args = ['template', '--tenant', tenantId, '--kind', 'initial', '--buttons', 'callback,stop']
  await run(['scripts/tenant.ts', ...args], { env })
}

/** Adds a business number with the program's templates to the fake WhatsApp. */
export const addNumber = (fake: FakeWhatsApp, input: NumberInput): WhatsAppNumber => {
  const number = fake.addNumber(input)
  const withButtons = ownTemplate('initial', { buttons: OWN_BUTTONS })
  for (const own of [...Object.values(DEFAULT_TEMPLATES), withButtons])
    fake.addTemplate({
      wabaId: number.wabaId,
      name: own.name,
      language: own.language,
      body: own.text,
      parameters: own.variables.length,
      buttons: own.labels.map(text => ({ text })),
    })
  return number
}

/** The fields of /proc/<pid>/stat from field 3 on, after the name; null if there is no such process or no /proc. */
const stat = async (pid: number): Promise<string[] | null> => {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

const TICKS_PER_SECOND = 100
const sum = (fields: string[], ...numbers: number[]): number =>
  numbers.reduce((sum, n) => sum + Number(fields[n - 3]), 0) / TICKS_PER_SECOND

/** CPU seconds of a process with all its threads. */
const cpuSeconds = async (pid: number): Promise<number | null> => {
  const fields = await stat(pid)
  return fields && sum(fields, 14, 15)
}

/** CPU seconds of a process and its children, also of those that have ended: a Postgres server. */
export const familyCpuSeconds = async (pid: number): Promise<number | null> => {
  const parent = await stat(pid)
  if (!parent) return null
  let total = sum(parent, 14, 15, 16, 17)
  for (const name of await readdir('/proc')) {
    const fields = /^\d+$/.test(name) ? await stat(Number(name)) : null
    if (Number(fields?.[1]) === pid && fields) total += sum(fields, 14, 15, 16, 17)
  }
  return total
}

const residentMb = async (pid: number): Promise<number | null> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]
  return kilobytes ? Number(kilobytes) / 1024 : null
}
