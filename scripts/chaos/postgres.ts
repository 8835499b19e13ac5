/**
 * A Postgres of its own for chaos and for the benchmark, with fsync on. It is a child process, so that it can be killed
 * in every way and started again at the same port.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { makeCluster, passwordFile, type Place, placeFor } from '../../app/db/embedded_postgres.ts'
import { freePort, run, waitUntil } from '../processes.ts'

/** The limit of a small managed plan: two instances of the program must fit. */
const CONNECTION_LIMIT = 20
const DATABASE = 'ringback'
const START_LIMIT_MS = 60_000

/**
 * @param folder must not exist yet, or be empty
 * @param settings of the server, besides those that make a commit survive a power cut
 * @param connectionLimit of the program's role; -1 means no limit
 */
export const startCluster = async (
  folder: string,
  {
    settings = { max_connections: '40' },
    connectionLimit = CONNECTION_LIMIT,
  }: { settings?: Record<string, string>; connectionLimit?: number } = {},
) => {
  await mkdir(folder, { recursive: true })
  // The account that runs Postgres needs access.
  await chmod(folder, 0o755)
  const place = await placeFor(folder)
  await makeCluster(place)
  const port = await freePort()
  const log = join(folder, 'postgres.log')
  const password = await readFile(passwordFile(place.data), 'utf8')
  const urlOf = (user: 'ringback' | 'postgres', database: string, at = port) =>
    `postgres://${user}:${password}@127.0.0.1:${at}/${database}`

  const url = urlOf('postgres', 'postgres')
  const server = newServer(place, { port, log, settings, url })
  await server.start()
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  // No superuser, as on a managed plan: it can use neither the reserved connections nor more than the limit.
  await admin.query(
    `create role ringback login password '${password}' connection limit ${connectionLimit}`,
  )
  await admin.query(`create database ${DATABASE} owner ringback`)
  const { rows } = await admin.query<{ version: string }>(
    `select current_setting('server_version') as version`,
  )
  await admin.end()

  return {
    ...server,
    place,
    port,
    version: rows[0]?.version ?? '',
    urlOf: (user: 'ringback' | 'postgres', database: string) => urlOf(user, database),
    /** For the program, through a proxy at this port. */
    programUrl: (at: number) => urlOf('ringback', DATABASE, at),
    /** For chaos itself, without a proxy. */
    checkingUrl: urlOf('postgres', DATABASE),
    remove: async () => {
      await server.stop()
      await removePlace(place)
    },
  }
}

export const removePlace = async ({ folder, data }: Place): Promise<void> => {
  await rm(folder, { recursive: true, force: true })
  // If the server's user could not access the folder, programs and data are in another one.
  if (!data.startsWith(folder)) await rm(dirname(data), { recursive: true, force: true })
}

export type Server = ReturnType<typeof newServer>
type ServerOptions = {
  port: number
  log: string
  settings: Record<string, string>
  /** Of a database in which a connection proves that it accepts them. */
  url: string
}

/** A server on an existing data directory, as a child process. It is not started yet. */
export const newServer = (place: Place, { port, log, settings, url }: ServerOptions) => {
  let child: ChildProcess | null = null
  const isRunning = () => child?.exitCode === null && child.signalCode === null
  const accepts = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
    client.on('error', () => {})
    try {
      await client.connect()
      return true
    } catch {
      return false
    } finally {
      client.end().catch(() => {})
    }
  }
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (!child || !isRunning()) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  // The server is detached and would outlive this process.
  process.once('exit', () => {
    if (isRunning()) child?.kill('SIGQUIT')
  })
  return {
    /** Starts it and waits until it accepts connections. Retries while remains of the last server hold its lock. */
    start: async (): Promise<void> => {
      const isUp = () => {
        if (!isRunning()) child = launch(place, port, log, settings)
        return accepts()
      }
      if (!(await waitUntil(isUp, START_LIMIT_MS)))
        throw new Error(`Postgres does not start; its log is ${log}`)
    },
    /** Waits until it accepts connections again by itself, as after the death of one of its processes. */
    back: () => waitUntil(accepts, START_LIMIT_MS),
    kill: () => stop('SIGKILL'),
    /** `pg_ctl stop -m immediate`. With fsync on, the data are as after a power cut. */
    stopAtOnce: () => stop('SIGQUIT'),
    /** `pg_ctl stop -m fast` */
    stop: () => stop('SIGINT'),
    pid: () => (isRunning() ? child?.pid : undefined),
  }
}

const launch = (
  { bin, data, account }: Place,
  port: number,
  logFile: string,
  settings: Record<string, string>,
): ChildProcess => {
  const all = Object.entries({ fsync: 'on', synchronous_commit: 'on', ...settings })
  const flags = all.flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = openSync(logFile, 'a')
  try {
    return spawn(join(bin, 'postgres'), ['-D', data, '-p', `${port}`, ...flags], {
      ...account,
      cwd: '/',
      env: { LC_ALL: 'C' },
      stdio: ['ignore', log, log],
      detached: true,
    })
  } finally {
    closeSync(log)
  }
}

/** Mounts a small disk that can be filled without harm. @returns why that is not possible, else null */
export const mountDisk = async (folder: string, megabytes: number): Promise<string | null> => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  await mkdir(folder, { recursive: true })
  const args = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]
  return run(args, {}, { command: 'mount' }).then(
    () => null,
    () => 'mounting is not allowed here',
  )
}
export const unmountDisk = async (folder: string): Promise<void> => {
  await run([folder], {}, { command: 'umount' })
  if ((await readdir(folder)).length === 0) await rm(folder, { recursive: true })
}
