/** What the demo needs: an empty database, a fake WhatsApp, a tenant, and Ringback as a process of its own. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { dataFolder } from '../../app/config.ts'
import { embeddedPostgres } from '../../app/db/embedded_postgres.ts'
import { DEFAULT_TEMPLATES } from '../../app/whatsapp/templates.ts'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const READY_WITHIN_MS = 30_000

/** In seconds, instead of minutes and hours. */
export const DELAYS = { outreach: 3, reminder1: 4, reminder2: 8, unresponsive: 2 }

export type Environment = Awaited<ReturnType<typeof startEnvironment>>

/**
 * @param port of Ringback; by default 3000, or a free port if that one is taken
 * @throws Error if Ringback does not start; the text names its log
 */
export const startEnvironment = async (port: string | undefined) => {
  const databaseUrl = await emptyDatabase()
  const url = `http://127.0.0.1:${port ?? (await freePort(3000))}`
  const fake = await startFakeWhatsApp()
  const number = fake.addNumber({
    name: 'מספרת נועה',
    displayNumber: '+972722776772',
    callbackUrl: `${url}/webhooks/whatsapp`,
  })
  for (const { name, language, text: body, variables } of Object.values(DEFAULT_TEMPLATES))
    fake.addTemplate({ wabaId: number.wabaId, name, language, body, parameters: variables.length })

  const env = {
    ...process.env,
    NODE_ENV: 'development',
    ROLE: 'all',
    DATABASE_URL: databaseUrl,
    PORT: new URL(url).port,
    PUBLIC_URL: url,
    WHATSAPP_GRAPH_URL: fake.url,
    WHATSAPP_APP_SECRET: number.appSecret,
    WHATSAPP_VERIFY_TOKEN: number.verifyToken,
    DEMO_ACCESS_TOKEN: number.token,
  }
  const webhookUrl = await addTenant(number.phoneNumberId, env)
  const database = new pg.Pool({ connectionString: databaseUrl, max: 2 })
  await database.query(
    `update tenants set outreach_delay = make_interval(secs => $1), reminder_1_after = make_interval(secs => $2),
       reminder_2_after = make_interval(secs => $3), unresponsive_after = make_interval(secs => $4)`,
    [DELAYS.outreach, DELAYS.reminder1, DELAYS.reminder2, DELAYS.unresponsive],
  )
  const { log, stop } = await startRingback(url, env)
  return {
    url,
    webhookUrl,
    databaseUrl,
    log,
    fake,
    database,
    /** Posts a CDR as Voicenter does, and returns the HTTP status of the answer. Text is posted as a form. */
    post: async (cdr: Record<string, unknown> | string): Promise<number> => {
      const isForm = typeof cdr === 'string'
      const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json'
      const answer = await fetch(webhookUrl, {
        method: 'POST',
        headers: { 'content-type': type },
        body: isForm ? cdr : JSON.stringify(cdr),
      })
      return answer.status
    },
    stop: async (): Promise<void> => {
      await stop()
      await database.end()
      await fake.close()
    },
  }
}

/** The demo starts with an empty database each time. Its server is not the one of `npm start`. */
const emptyDatabase = async (): Promise<string> => {
  const folder = '.data/demo-postgres'
  const client = new pg.Client(await embeddedPostgres({ folder, database: 'postgres' }))
  await client.connect()
  await client.query('drop database if exists ringback with (force)')
  await client.end()
  return embeddedPostgres({ folder })
}

/** This port, or a free one if it is taken. */
const freePort = async (wanted: number): Promise<number> => {
  const server = createServer().listen(wanted)
  try {
    await once(server, 'listening')
  } catch {
    return freePort(0)
  }
  const address = server.address()
  server.close()
  return address && typeof address === 'object' ? address.port : wanted
}

const added = z.object({ webhookUrl: z.string() })

/** @returns the tenant's webhook URL */
const addTenant = async (phoneNumberId: string, env: NodeJS.ProcessEnv): Promise<string> => {
  const tenant = ['--name', 'מספרת נועה', '--number', '0722776772', '--owner-phone', '0502223344']
  const connection = ['--phone-number-id', phoneNumberId, '--access-token-env', 'DEMO_ACCESS_TOKEN']
  const args = ['scripts/tenant.ts', 'add', ...tenant, ...connection, '--mode', 'live', '--json']
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env })
  process.stderr.write(stderr)
  return added.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).webhookUrl
}

const startRingback = async (url: string, env: NodeJS.ProcessEnv) => {
  const log = `${dataFolder}demo.log`
  const output = createWriteStream(log)
  const child = spawn(process.execPath, ['app/main.ts'], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.pipe(output)
  child.stderr.pipe(output)
  const exited = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
  }
  const isReady = async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok === true
  for (const limit = Date.now() + READY_WITHIN_MS; !(await isReady()); await sleep(100))
    if (child.exitCode !== null || Date.now() > limit) {
      await stop()
      throw new Error(`Ringback did not start. Its log is ${log}`)
    }
  return { log, stop }
}
