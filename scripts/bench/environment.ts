/**
 * What every section gets: a Postgres of its own with fsync on and otherwise default settings. The database `ringback` is
 * migrated and has one tenant. Each turn works in a new copy of it.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { startCluster } from '../chaos/postgres.ts'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { addTenant, familyCpuSeconds, run } from '../processes.ts'
import { HOME } from './machine.ts'

export const DID = '0722776772'
/** The tenant's WhatsApp connection. */
const PHONE_NUMBER_ID = '1000'
const ACCESS_TOKEN = 'made up'
/** Nothing listens there, so that no message leaves the machine. */
const NOWHERE = 'http://127.0.0.1:9'
/** The longest statement stores a million calls. */
const STATEMENT_LIMIT_MS = 15 * 60_000

export type Postgres = Awaited<ReturnType<typeof startPostgres>>
export type Database = Awaited<ReturnType<Postgres['newDatabase']>>

export type Environment = {
  postgres: Postgres
  rounds: number
  seconds: number
  long: boolean
  pictures: string | undefined
  say: (text: string) => void
  signal: AbortSignal
}

/** @param settings of the server that differ from the default */
export const startPostgres = async (settings: Record<string, string> = {}) => {
  await mkdir(HOME, { recursive: true })
  const folder = await mkdtemp(join(HOME, 'postgres-'))
  const cluster = await startCluster(folder, {
    settings: { full_page_writes: 'on', ...settings },
    connectionLimit: -1,
  })
  const productionEnv = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WHATSAPP_GRAPH_URL: NOWHERE,
    VOICENTER_API_URL: NOWHERE,
    PUBLIC_URL: 'http://127.0.0.1',
  }
  const env = { ...productionEnv, DATABASE_URL: cluster.urlOf('ringback', 'ringback') }
  await run(['scripts/migrate.ts'], { env })
  const { tenantId, webhookToken } = await addTenant(
    { name: 'Bench', number: DID, phoneNumberId: PHONE_NUMBER_ID, accessToken: ACCESS_TOKEN },
    env,
  )

  const admin = connect(cluster.urlOf('postgres', 'postgres'))
  const checkpoint = async (): Promise<void> => void (await admin.query('checkpoint'))
  const dropDatabase = async (name: string): Promise<void> =>
    void (await admin.query(`drop database if exists ${name} with (force)`))

  return {
    version: cluster.version,
    tenantId,
    envFor: (databaseUrl: string): NodeJS.ProcessEnv => {
      const tenant = { TENANT_ID: tenantId, TOKEN: webhookToken }
      return { ...productionEnv, DATABASE_URL: databaseUrl, ...tenant }
    },
    /** The address for the tenant's calls, at a program that listens at `url`. */
    webhookUrl: (url: string): string => `${url}/webhooks/voicenter/cdr?token=${webhookToken}`,
    /** Replaces the database and writes it to disk, so that every round starts alike. The template must have no connections. */
    newDatabase: async (name: string, template = 'ringback') => {
      await dropDatabase(name)
      await admin.query(`create database ${name} template ${template} owner ringback`)
      await checkpoint()
      const adminUrl = cluster.urlOf('postgres', name)
      const url = cluster.urlOf('ringback', name)
      const drop = () => dropDatabase(name)
      return { url, adminUrl, ...connect(adminUrl), [Symbol.asyncDispose]: drop }
    },
    checkpoint,
    cpuSeconds: (): Promise<number | null> => familyCpuSeconds(cluster.pid() ?? 0),
    [Symbol.asyncDispose]: cluster.remove,
  }
}

/** Connects as the superuser. The programs connect as `ringback`. */
const connect = (connectionString: string) => {
  const pool = new pg.Pool({ connectionString, max: 1, statement_timeout: STATEMENT_LIMIT_MS })
  // Dropping a database ends its connections.
  pool.on('error', () => {})
  /** Runs a statement that returns one number as `n`. */
  const number = async (statement: string, values: unknown[] = []): Promise<number> => {
    const { rows } = await pool.query<{ n: string | number }>(statement, values)
    return Number(rows[0]?.n)
  }
  return { query: pool.query.bind(pool), number, disconnect: () => pool.end() }
}

/** A fake WhatsApp that accepts the tenant's messages and reports no statuses. */
export const startWhatsApp = async () => {
  const fake = await startFakeWhatsApp()
  fake.addNumber({ phoneNumberId: PHONE_NUMBER_ID, token: ACCESS_TOKEN })
  fake.setStatuses([])
  return { ...fake, [Symbol.asyncDispose]: fake.close }
}
