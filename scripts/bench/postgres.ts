/**
 * The run's Postgres: fsync on and else as shipped. A database for each contender and round, copied from a
 * template that has been migrated and knows one business.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { startCluster } from '../chaos/postgres.ts'
import { familyCpuSeconds } from './proc.ts'

const run = promisify(execFile)
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const HOME = join(ROOT, '.data/bench')

/** The number that all calls of a run dial. */
export const DID = '0722776772'
/** Its connection to WhatsApp. */
export const PHONE_NUMBER_ID = '1000'
export const ACCESS_TOKEN = 'made up'
/** Nobody listens there. Nothing leaves the machine, whatever falls due. */
const NOWHERE = 'http://127.0.0.1:9'

const added = z.object({ tenantId: z.string(), webhookToken: z.string() })

/** The longest is to fill a database with a million calls. */
const STATEMENT_LIMIT_MS = 15 * 60_000

export type Postgres = Awaited<ReturnType<typeof startPostgres>>
export type Database = { name: string; url: string; query: pg.Pool['query'] }

/** @param settings of the server beyond what is shipped */
export const startPostgres = async (
  onCleanUp: (task: () => Promise<void>) => void,
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
  // Whatever ends this process, the server does not stay behind.
  process.once('exit', () => {
    const pid = cluster.pid()
    if (pid) process.kill(pid, 'SIGQUIT')
  })
  const admin = new pg.Pool({ connectionString: cluster.urlOf('postgres', 'postgres'), max: 2 })
  admin.on('error', () => {})
  onCleanUp(() => admin.end())

  /** As the program is run in production. */
  const env = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WHATSAPP_GRAPH_URL: NOWHERE,
    VOICENTER_API_URL: NOWHERE,
    PUBLIC_URL: 'http://127.0.0.1',
  }
  const template = { ...env, DATABASE_URL: cluster.urlOf('ringback', 'ringback') }
  await run(process.execPath, ['scripts/migrate.ts'], { cwd: ROOT, env: template })
  const business = ['--name', 'Bench', '--number', DID, '--mode', 'live', '--json']
  const connection = ['--phone-number-id', PHONE_NUMBER_ID, '--access-token-env', 'TOKEN']
  const { stdout } = await run(
    process.execPath,
    ['scripts/tenant.ts', 'add', ...business, ...connection],
    { cwd: ROOT, env: { ...template, TOKEN: ACCESS_TOKEN } },
  )
  const tenant = added.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''))

  const open = new Map<string, pg.Pool>()
  const close = async (name: string): Promise<void> => {
    await open.get(name)?.end()
    open.delete(name)
  }
  onCleanUp(async () => {
    for (const name of open.keys()) await close(name)
  })
  /** A way in for the harness, which owns everything. */
  const database = (name: string): Database => {
    const pool =
      open.get(name) ??
      new pg.Pool({
        connectionString: cluster.urlOf('postgres', name),
        max: 1,
        statement_timeout: STATEMENT_LIMIT_MS,
      })
    if (!open.has(name)) pool.on('error', () => {})
    open.set(name, pool)
    return { name, url: cluster.urlOf('ringback', name), query: pool.query.bind(pool) }
  }

  return {
    version: cluster.version,
    log: cluster.log,
    env,
    ...tenant,
    database,
    /** As the owner of everything, with rights that no managed plan gives. */
    adminUrl: (name: string): string => cluster.urlOf('postgres', name),
    /**
     * A new one in place of the one of that name, written down to the disk, so that every round begins alike.
     *
     * @param from the template; nobody may be connected to it
     */
    newDatabase: async (name: string, from = 'ringback'): Promise<Database> => {
      await close(name)
      await close(from)
      await admin.query(`drop database if exists ${name} with (force)`)
      await admin.query(`create database ${name} template ${from} owner ringback`)
      await admin.query('checkpoint')
      return database(name)
    },
    dropDatabase: async (name: string): Promise<void> => {
      await close(name)
      await admin.query(`drop database if exists ${name} with (force)`)
    },
    checkpoint: async (): Promise<void> => void (await admin.query('checkpoint')),
    cpuSeconds: (): Promise<number | null> => familyCpuSeconds(cluster.pid() ?? 0),
  }
}
