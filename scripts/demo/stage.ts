/** Everything the play needs: a database, the program, a fake WhatsApp, a business. All of it real but the phone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { z } from 'zod'
import { dataFolder } from '../../app/config.ts'
import { embeddedPostgres } from '../../app/db/embedded_postgres.ts'
import { DEFAULT_TEMPLATES } from '../../app/whatsapp/templates.ts'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const READY_WITHIN_MS = 30_000

/** Minutes and hours as seconds. */
export const DELAYS = { outreach: 3, reminder1: 4, reminder2: 8, unresponsive: 2 }

/** The line that customers of the demo's business dial. */
export const BUSINESS_LINE = '0722776772'

export type Stage = Awaited<ReturnType<typeof setStage>>

/**
 * @param port where the program is to listen; without it 3000, or a free one if that is taken
 * @throws Error when something does not come up, with where to read why
 */
export const setStage = async (port: string | undefined) => {
  const databaseUrl = await freshDatabase()
  const fake = await startFakeWhatsApp()
  const number = fake.addNumber({ name: 'מספרת נועה', displayNumber: '+972722776772' })
  for (const { name, language, text: body, variables } of Object.values(DEFAULT_TEMPLATES))
    fake.addTemplate({ wabaId: number.wabaId, name, language, body, parameters: variables.length })

  const url = `http://127.0.0.1:${port ?? (await freePort(3000))}`
  fake.addNumber({ ...number, callbackUrl: `${url}/webhooks/whatsapp` })
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
  const added = spawn(
    process.execPath,
    [
      'scripts/tenant.ts',
      'add',
      '--name',
      'מספרת נועה',
      '--number',
      BUSINESS_LINE,
      '--phone-number-id',
      number.phoneNumberId,
    ].concat([
      '--access-token-env',
      'DEMO_ACCESS_TOKEN',
      '--owner-phone',
      '0502223344',
      '--mode',
      'live',
      '--json',
    ]),
    { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const { tenantId, webhookUrl } = z
    .object({ tenantId: z.string(), webhookUrl: z.string() })
    .parse(JSON.parse((await text(added.stdout)).trim().split('\n').at(-1) ?? ''))

  const log = `${dataFolder}demo.log`
  const program = spawn(process.execPath, ['app/main.ts'], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = createWriteStream(log)
  program.stdout.pipe(output)
  program.stderr.pipe(output)
  await ready(program, url, log)

  const database = new pg.Pool({ connectionString: databaseUrl, max: 2 })
  await database.query(
    `update tenants set outreach_delay = make_interval(secs => $1), reminder_1_after = make_interval(secs => $2),
       reminder_2_after = make_interval(secs => $3), unresponsive_after = make_interval(secs => $4)`,
    [DELAYS.outreach, DELAYS.reminder1, DELAYS.reminder2, DELAYS.unresponsive],
  )
  return {
    url,
    webhookUrl,
    databaseUrl,
    log,
    fake,
    number,
    tenantId,
    database,
    /** Posts a record as the exchange would; a text as a form. Returns the HTTP status of the answer. */
    post: async (record: Record<string, unknown> | string): Promise<number> => {
      const isForm = typeof record === 'string'
      const response = await fetch(webhookUrl, {
        method: 'POST',
        headers: {
          'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json',
        },
        body: isForm ? record : JSON.stringify(record),
      })
      return response.status
    },
    /** Takes everything down, in order. */
    clear: async () => {
      const ended = program.exitCode === null && once(program, 'exit')
      program.kill('SIGTERM')
      await ended
      await database.end()
      await fake.close()
    },
  }
}

/** The demo starts with an empty database each time. Its server is not the one of `npm start`. */
const freshDatabase = async (): Promise<string> => {
  const folder = '.data/demo-postgres'
  const admin = await embeddedPostgres({ folder, database: 'postgres' })
  const client = new pg.Client({ connectionString: admin })
  await client.connect()
  await client.query('drop database if exists ringback with (force)')
  await client.end()
  return embeddedPostgres({ folder })
}

/** This port, or one that nobody listens on. */
const freePort = async (wish: number): Promise<number> => {
  const server = createServer()
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', () => resolve(0))
    server.listen(wish, () => {
      const address = server.address()
      if (address && typeof address === 'object') resolve(address.port)
      else reject(new Error('no port'))
    })
  })
  server.close()
  return port || freePort(0)
}

const ready = async (program: ChildProcess, url: string, log: string): Promise<void> => {
  for (let waited = 0; waited < READY_WITHIN_MS; waited += 100) {
    if (program.exitCode !== null) break
    const response = await fetch(`${url}/readyz`).catch(() => null)
    if (response?.ok) return
    await sleep(100)
  }
  program.kill()
  throw new Error(`the program did not start; its log is ${log}`)
}
