/** What a run needs: Postgres, two instances of the program, a fake WhatsApp, proxies, a router and tenants. */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { FakeWhatsApp } from '../fake_whatsapp/server.ts'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { addNumber, addPopupToken, addTenant, freePort, run } from '../processes.ts'
import { type Instance, runInstance, untilReady } from './instance.ts'
import { newJournal } from './monitor.ts'
import { startCluster } from './postgres.ts'
import { type Proxy, startProxy } from './proxy.ts'

const READY_LIMIT_MS = 30_000

/** A caller's hours, in seconds: the delays of every tenant in a run. */
const DELAYS = {
  outreach_delay: 3,
  reminder_1_after: 4,
  reminder_2_after: 9,
  unresponsive_after: 3,
  /** A reminder whose previous message stays unknown is looked at again after a minute. Then it is too late for it. */
  reminder_grace: 40,
}

type Env = NodeJS.ProcessEnv & Record<'WHATSAPP_APP_SECRET' | 'WHATSAPP_VERIFY_TOKEN', string>
export type OnCleanUp = (task: () => Promise<void>) => void

export type Tenant = {
  tenantId: string
  /** The number that callers dial, as Voicenter writes it. */
  line: string
  webhookToken: string
  /** The token belongs to this tenant. With an unbound token the number dialled decides. */
  bound: boolean
  phoneNumberId: string
  accessToken: string
  ownerPhone: string | null
  /** Of its Pop-Up Screen. */
  popupToken: string
}

type Parts = { fake: FakeWhatsApp; env: Env; onCleanUp: OnCleanUp }

export const startDatabase = async (folder: string, names: string[], parts: Parts) => {
  const cluster = await startCluster(folder)
  parts.onCleanUp(cluster.remove)
  const urls = { programUrl: cluster.programUrl(cluster.port), checkingUrl: cluster.checkingUrl }
  return { cluster, ...(await fillDatabase(urls, names, parts)) }
}

/** Creates the tables and a tenant of each name. @returns also a pool of connections for chaos itself */
export const fillDatabase = async (
  { programUrl: DATABASE_URL, checkingUrl }: { programUrl: string; checkingUrl: string },
  names: string[],
  { fake, env, onCleanUp }: Parts,
) => {
  await run(['scripts/migrate.ts'], { env: { ...env, DATABASE_URL } })
  const database = new pg.Pool({
    connectionString: checkingUrl,
    max: 3,
    connectionTimeoutMillis: 2000,
    query_timeout: 20_000,
  })
  database.on('error', () => {})
  onCleanUp(() => database.end())

  const tenants: Tenant[] = []
  for (const [n, name] of names.entries())
    tenants.push(await newTenant(name, n, database, fake, { ...env, DATABASE_URL }))
  const delays = Object.entries(DELAYS).map(
    ([column, seconds]) => `${column} = make_interval(secs => ${seconds})`,
  )
  // A run may take place at night or on Shabbat.
  await database.query(`update tenants set ${delays.join()}, reminder_quiet_windows = '{}'`)
  return { database, tenants }
}

/** The fourth tenant posts with an unbound token. */
const newTenant = async (
  name: string,
  n: number,
  database: pg.Pool,
  fake: FakeWhatsApp,
  env: Env,
): Promise<Tenant> => {
  const line = `07227700${String(n).padStart(2, '0')}`
  const { phoneNumberId, token: accessToken } = addNumber(fake, {
    name,
    displayNumber: `+972${line.slice(1)}`,
    appSecret: env.WHATSAPP_APP_SECRET,
    verifyToken: env.WHATSAPP_VERIFY_TOKEN,
    callbackUrl: `${env['PUBLIC_URL']}/webhooks/whatsapp`,
  })
  const ownerPhone = n % 2 === 0 ? `+97254999000${n}` : null
  const input = { name, number: line, ownerPhone, phoneNumberId, accessToken }
  const added = await addTenant(input, env)
  const { webhookToken: popupToken } = await addPopupToken(added.tenantId, env)
  const tenant = {
    ...added,
    line,
    bound: n < 3,
    phoneNumberId,
    accessToken,
    ownerPhone,
    popupToken,
  }
  if (tenant.bound) return tenant
  const webhookToken = randomBytes(32).toString('base64url')
  const hash = createHash('sha256').update(webhookToken).digest()
  await database.query('insert into webhook_tokens (tenant_id, hash) values (null, $1)', [hash])
  return { ...tenant, webhookToken }
}

/** The tenants of a run. */
export const NAMES = ['Noa', 'Dan', 'Tamar', 'Lior']

/** For the logs and the databases of a run. */
export const newFolder = async (onCleanUp: OnCleanUp, keep: boolean): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-chaos-'))
  // The account that runs Postgres needs access.
  await chmod(folder, 0o755)
  onCleanUp(async () => {
    if (keep) console.log(`the logs are in ${folder}`)
    else await rm(folder, { recursive: true, force: true })
  })
  return folder
}

export const startFake = async (onCleanUp: OnCleanUp): Promise<FakeWhatsApp> => {
  const fake = await startFakeWhatsApp()
  onCleanUp(fake.close)
  // Meta retries for days; the fake for longer than a run.
  fake.setWebhooks({ tries: 13, firstGapMs: 100, answerMs: 10_000 })
  return fake
}

export const newSettings = (fakeUrl: string, port: number) => ({
  PATH: process.env['PATH'],
  NODE_ENV: 'production',
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  WHATSAPP_GRAPH_URL: fakeUrl,
  WHATSAPP_APP_SECRET: randomBytes(16).toString('hex'),
  WHATSAPP_VERIFY_TOKEN: randomBytes(16).toString('hex'),
  OPS_PASSWORD: randomBytes(16).toString('hex'),
  PUBLIC_URL: `http://127.0.0.1:${port}`,
})

/** What no log may contain. */
export const secretsOf = (
  env: ReturnType<typeof newSettings>,
  tenants: Tenant[],
  databaseUrl: string,
): string[] => [
  env.ENCRYPTION_KEY,
  env.WHATSAPP_APP_SECRET,
  env.WHATSAPP_VERIFY_TOKEN,
  env.OPS_PASSWORD,
  ...tenants.flatMap(one => [one.webhookToken, one.accessToken, one.popupToken]),
  new URL(databaseUrl).password,
]

export type Environment = Awaited<ReturnType<typeof startEnvironment>>

/** @param onCleanUp takes each clean-up; the last one given runs first */
export const startEnvironment = async (onCleanUp: OnCleanUp, keepFolder: boolean) => {
  const folder = await newFolder(onCleanUp, keepFolder)
  const fake = await startFake(onCleanUp)
  const instances: Instance[] = []
  let turn = 0
  const router = await startProxy(() => {
    // Round robin over the instances that are ready.
    const ports = instances.filter(instance => instance.isReady()).map(({ port }) => port)
    const first = turn++ % 2
    return [...ports.slice(first), ...ports.slice(0, first)]
  })
  onCleanUp(router.close)
  const env = newSettings(fake.url, router.port)
  const parts = { fake, env, onCleanUp }
  const { cluster, database, tenants } = await startDatabase(join(folder, 'postgres'), NAMES, parts)

  const journal = newJournal()
  const proxies: Proxy[] = []
  for (const name of ['A', 'B']) {
    const proxy = await startProxy(() => [cluster.port])
    onCleanUp(proxy.close)
    proxies.push(proxy)
    const DATABASE_URL = cluster.programUrl(proxy.port)
    const log = join(folder, `instance-${name}.log`)
    const port = await freePort()
    instances.push(runInstance({ port, env: { ...env, DATABASE_URL }, log, journal }))
  }
  const killAll = () => instances.forEach(instance => instance.killForGood())
  onCleanUp(async () => killAll())
  // However chaos exits, no process stays behind.
  process.once('exit', killAll)
  for (const instance of instances)
    if (!(await untilReady(instance, AbortSignal.timeout(READY_LIMIT_MS))))
      throw new Error(`the program does not start; its log is ${instance.log}`)
  return {
    folder,
    env,
    fake,
    router,
    cluster,
    database,
    tenants,
    instances,
    proxies,
    journal,
    secrets: secretsOf(env, tenants, cluster.checkingUrl),
  }
}
