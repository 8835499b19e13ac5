/**
 * What every section gets: a Postgres of its own with fsync on and otherwise default settings. The database `ringback` is
 * migrated and has one tenant. Each turn works in a new copy of it.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { z } from 'zod'
import { startCluster } from '../chaos/postgres.ts'
import { familyCpuSeconds, HOME } from './machine.ts'
import { parseLastLine, run } from './processes.ts'

/** The number that all calls dial. */
export const DID = '0722776772'
/** The tenant's WhatsApp connection. */
export const PHONE_NUMBER_ID = '1000'
export const ACCESS_TOKEN = 'made up'
/** Nothing listens there, so that no message leaves the machine. */
const NOWHERE = 'http://127.0.0.1:9'
/** The longest statement stores a million calls. */
const STATEMENT_LIMIT_MS = 15 * 60_000

export type Postgres = Awaited<ReturnType<typeof startPostgres>>
export type Database = ReturnType<typeof connect>
type OnCleanUp = (task: () => Promise<void>) => void

export type Environment = {
  postgres: Postgres
  rounds: number
  /** How long one burst is measured. */
  seconds: number
  long: boolean
  /** Reports progress. */
  say: (text: string) => void
  signal: AbortSignal
  onCleanUp: OnCleanUp
}

/** @param settings of the server that differ from the default */
export const startPostgres = async (
  onCleanUp: OnCleanUp,
  settings: Record<string, string> = {},
) => {
  await mkdir(HOME, { recursive: true })
  const folder = await mkdtemp(join(HOME, 'postgres-'))
  onCleanUp(() => rm(folder, { recursive: true, force: true }))
  const cluster = await startCluster(folder, {
    settings: { full_page_writes: 'on', ...settings },
    connectionLimit: -1,
  })
  onCleanUp(cluster.remove)
  // The server is detached and would outlive this process.
  process.once('exit', () => {
    const pid = cluster.pid()
    if (pid) process.kill(pid, 'SIGQUIT')
  })

  const productionEnv = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WHATSAPP_GRAPH_URL: NOWHERE,
    VOICENTER_API_URL: NOWHERE,
    PUBLIC_URL: 'http://127.0.0.1',
  }
  const { tenantId, webhookToken } = await migrate({
    ...productionEnv,
    DATABASE_URL: cluster.urlOf('ringback', 'ringback'),
  })

  const admin = new pg.Pool({ connectionString: cluster.urlOf('postgres', 'postgres'), max: 2 })
  admin.on('error', () => {})
  onCleanUp(() => admin.end())
  const databases = new Map<string, Database>()
  const disconnect = async (name: string): Promise<void> => {
    await databases.get(name)?.end()
    databases.delete(name)
  }
  onCleanUp(async () => {
    for (const name of databases.keys()) await disconnect(name)
  })
  const checkpoint = async (): Promise<void> => void (await admin.query('checkpoint'))
  const dropDatabase = async (name: string): Promise<void> => {
    await disconnect(name)
    await admin.query(`drop database if exists ${name} with (force)`)
  }

  return {
    version: cluster.version,
    tenantId,
    /** The environment of a program that works in this database. */
    envFor: (databaseUrl: string): NodeJS.ProcessEnv => ({
      ...productionEnv,
      DATABASE_URL: databaseUrl,
      TENANT_ID: tenantId,
      TOKEN: webhookToken,
    }),
    /** The address for the tenant's calls, at a program that listens at `url`. */
    webhookUrl: (url: string): string => `${url}/webhooks/voicenter/cdr?token=${webhookToken}`,
    /**
     * Replaces the database of this name and writes it to disk, so that every round starts alike.
     *
     * @param template must have no other connections
     */
    newDatabase: async (name: string, template = 'ringback'): Promise<Database> => {
      await dropDatabase(name)
      await disconnect(template)
      await admin.query(`create database ${name} template ${template} owner ringback`)
      await checkpoint()
      const database = connect(cluster.urlOf('postgres', name), cluster.urlOf('ringback', name))
      databases.set(name, database)
      return database
    },
    dropDatabase,
    checkpoint,
    cpuSeconds: (): Promise<number | null> => familyCpuSeconds(cluster.pid() ?? 0),
  }
}

/** @param url of the programs, which are not superusers */
const connect = (adminUrl: string, url: string) => {
  const pool = new pg.Pool({
    connectionString: adminUrl,
    max: 1,
    statement_timeout: STATEMENT_LIMIT_MS,
  })
  pool.on('error', () => {})
  /** Runs a statement that returns one number as `n`. */
  const number = async (statement: string, values: unknown[] = []): Promise<number> => {
    const { rows } = await pool.query<{ n: string | number }>(statement, values)
    return Number(rows[0]?.n)
  }
  return { url, adminUrl, query: pool.query.bind(pool), number, end: () => pool.end() }
}

const added = z.object({ tenantId: z.string(), webhookToken: z.string() })

/** Migrates the database and adds the tenant. */
const migrate = async (env: NodeJS.ProcessEnv) => {
  await run(['scripts/migrate.ts'], { env })
  const flags = ['--name', 'Bench', '--number', DID, '--mode', 'live', '--json']
  const connection = ['--phone-number-id', PHONE_NUMBER_ID, '--access-token-env', 'ACCESS_TOKEN']
  const output = await run(['scripts/tenant.ts', 'add', ...flags, ...connection], {
    env: { ...env, ACCESS_TOKEN },
  })
  return added.parse(parseLastLine(output))
}
