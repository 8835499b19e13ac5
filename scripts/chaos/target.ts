/** A program to be attacked: in a process of its own, in production, with a Postgres and a WhatsApp of its own. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { NODE_FLAGS } from './instance.ts'
import { freePort, startCluster } from './postgres.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const READY_WITHIN_MS = 30_000

const printed = z.object({ tenantId: z.string(), webhookToken: z.string() })

export type Target = Awaited<ReturnType<typeof setTarget>>
export type Shop = { tenantId: string; token: string; line: string; phoneNumberId: string }

export const setTarget = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-abuse-'))
  // The account that runs Postgres must get through.
  await chmod(folder, 0o755)
  const cluster = await startCluster(join(folder, 'postgres'))
  const fake = await startFakeWhatsApp()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const secrets = {
    WHATSAPP_APP_SECRET: randomBytes(16).toString('hex'),
    WHATSAPP_VERIFY_TOKEN: randomBytes(16).toString('hex'),
  }
  const env = {
    ...process.env,
    ...secrets,
    NODE_ENV: 'production',
    DATABASE_URL: cluster.programUrl(cluster.port),
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    PORT: String(port),
    PUBLIC_URL: url,
    WHATSAPP_GRAPH_URL: fake.url,
    LOG_LEVEL: 'info',
  }
  await run(process.execPath, ['scripts/migrate.ts'], { cwd: ROOT, env })
  const database = new pg.Pool({ connectionString: cluster.checkingUrl, max: 2 })
  database.on('error', () => {})

  const addShop = async (name: string, line: string): Promise<Shop> => {
    const number = fake.addNumber({
      name,
      displayNumber: `+972${line.slice(1)}`,
      appSecret: secrets.WHATSAPP_APP_SECRET,
      verifyToken: secrets.WHATSAPP_VERIFY_TOKEN,
      callbackUrl: `${url}/webhooks/whatsapp`,
    })
    const flags = ['--json', '--mode', 'live', '--name', name, '--number', line]
    flags.push('--phone-number-id', number.phoneNumberId, '--access-token-env', 'ACCESS_TOKEN')
    const { stdout } = await run(process.execPath, ['scripts/tenant.ts', 'add', ...flags], {
      cwd: ROOT,
      env: { ...env, ACCESS_TOKEN: number.token },
    })
    const { tenantId, webhookToken } = printed.parse(
      JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''),
    )
    return { tenantId, token: webhookToken, line, phoneNumberId: number.phoneNumberId }
  }

  /** Starts the program; what it says goes into a file. */
  const start = async (role: 'web' | 'all') => {
    const log = join(folder, `${role}.log`)
    const output = createWriteStream(log)
    const program = spawn(process.execPath, [...NODE_FLAGS, 'app/main.ts'], {
      cwd: ROOT,
      env: { ...env, ROLE: role },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    program.stdout.pipe(output)
    program.stderr.pipe(output)
    const kill = () => program.kill('SIGKILL')
    process.once('exit', kill)
    const isAlive = () => program.exitCode === null && program.signalCode === null
    const until = Date.now() + READY_WITHIN_MS
    while (!(await fetch(`${url}/readyz`).catch(() => null))?.ok) {
      if (!isAlive() || Date.now() > until)
        throw new Error(`the program did not start; its log is ${log}`)
      await sleep(100)
    }
    return {
      log,
      isAlive,
      /** The most memory it ever had, in MB; null where the system does not tell. */
      mostMemory: async (): Promise<number | null> => {
        const status = await readFile(`/proc/${program.pid}/status`, 'utf8').catch(() => '')
        const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]
        return kilobytes ? Math.round(Number(kilobytes) / 1024) : null
      },
      /** @returns its exit code, null if it had to be killed */
      stop: async (): Promise<number | null> => {
        const ended = isAlive() && once(program, 'exit')
        program.kill('SIGTERM')
        await ended
        process.off('exit', kill)
        return program.exitCode
      },
    }
  }

  return {
    folder,
    port,
    secrets,
    fake,
    addShop,
    start,
    query: async <Row extends Record<string, unknown>>(text: string): Promise<Row[]> =>
      (await database.query<Row>(text)).rows,
    clear: async () => {
      await database.end()
      await fake.close()
      await cluster.remove()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
