/**
 * A Postgres of the run's own, with fsync on, and a child of the harness: so it can be killed in every way and
 * started again at the same port.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { makeCluster, passwordFile, type Place, placeFor } from '../../app/db/embedded_postgres.ts'

const run = promisify(execFile)

/** As managed plans allow: two copies of the program must fit. */
const CONNECTION_LIMIT = 20
const DATABASE = 'ringback'
const START_LIMIT_MS = 60_000

export type Cluster = Awaited<ReturnType<typeof startCluster>>

/**
 * @param folder does not exist yet, or is empty
 * @param settings of the server, beside those that make a commit outlive a power cut
 * @param connectionLimit of the role that the program uses; -1 = none
 */
export const startCluster = async (
  folder: string,
  {
    settings = { max_connections: '40' },
    connectionLimit = CONNECTION_LIMIT,
  }: { settings?: Record<string, string>; connectionLimit?: number } = {},
) => {
  await mkdir(folder, { recursive: true })
  // The account that runs Postgres must get through.
  await chmod(folder, 0o755)
  const place = await placeFor(folder)
  await makeCluster(place)
  const port = await freePort()
  const password = await readFile(passwordFile(place.data), 'utf8')
  const urlOf = (user: string, at: number, database = DATABASE) =>
    `postgres://${user}:${password}@127.0.0.1:${at}/${database}`

  let child: ChildProcess | null = null

  const accepts = async (): Promise<boolean> => {
    const client = new pg.Client({
      connectionString: urlOf('postgres', port, 'postgres'),
      connectionTimeoutMillis: 2000,
    })
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
  /** Starts it, again and again while what is left of the last one still holds its lock, until it accepts. */
  const start = async (): Promise<void> => {
    for (const until = Date.now() + START_LIMIT_MS; Date.now() < until; await sleep(50)) {
      if (!child || child.exitCode !== null || child.signalCode !== null)
        child = launch(place, folder, port, settings)
      if (await accepts()) return
    }
    throw new Error(`Postgres does not come back; its log is ${join(folder, 'postgres.log')}`)
  }
  const signal = async (name: NodeJS.Signals): Promise<void> => {
    const server = child
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill(name)
    await ended
  }

  await start()
  const admin = new pg.Client({ connectionString: urlOf('postgres', port, 'postgres') })
  await admin.connect()
  // No superuser, as on a managed plan: it can neither use the reserved connections nor more than the plan has.
  await admin.query(
    `create role ringback login password '${password}' connection limit ${connectionLimit}`,
  )
  await admin.query(`create database ${DATABASE} owner ringback`)
  const { rows } = await admin.query<{ version: string }>(
    `select current_setting('server_version') as version`,
  )
  await admin.end()

  return {
    port,
    version: rows[0]?.version ?? '',
    log: join(folder, 'postgres.log'),
    /** As the program connects, through the proxy at this port. */
    programUrl: (at: number) => urlOf('ringback', at),
    /** The harness's own way, past every fault but those of Postgres itself. */
    checkingUrl: urlOf('postgres', port),
    urlOf: (user: 'ringback' | 'postgres', database: string) => urlOf(user, port, database),
    start,
    /** Until it accepts connections again by itself, as after the death of one of its own processes. */
    back: async () => {
      while (!(await accepts())) await sleep(50)
    },
    /** kill -9 of the postmaster. */
    kill: () => signal('SIGKILL'),
    /** `pg_ctl stop -m immediate`: with fsync on, what a power cut leaves. */
    stopAtOnce: () => signal('SIGQUIT'),
    /** kill -9 of one of its processes: the postmaster throws everybody out and recovers. */
    killBackend: (pid: number) => {
      process.kill(pid, 'SIGKILL')
    },
    /** Of the postmaster, while it runs. */
    pid: () => (child?.exitCode === null && child.signalCode === null ? child.pid : undefined),
    remove: async () => {
      await signal('SIGINT')
      await rm(folder, { recursive: true, force: true })
      // If the server's user could not reach the folder, programs and data are in another one.
      if (!place.data.startsWith(folder))
        await rm(dirname(place.data), { recursive: true, force: true })
    },
  }
}

const launch = (
  { bin, data, account }: Place,
  folder: string,
  port: number,
  settings: Record<string, string>,
): ChildProcess => {
  const log = openSync(join(folder, 'postgres.log'), 'a')
  try {
    return spawn(
      join(bin, 'postgres'),
      [
        '-D',
        data,
        '-p',
        `${port}`,
        ...Object.entries({ fsync: 'on', synchronous_commit: 'on', ...settings }).flatMap(
          ([name, value]) => ['-c', `${name}=${value}`],
        ),
      ],
      { ...account, cwd: '/', env: { LC_ALL: 'C' }, stdio: ['ignore', log, log], detached: true },
    )
  } finally {
    closeSync(log)
  }
}

export const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await once(probe.close(), 'close')
  if (!address || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** A folder in memory of this size, or why there is none: for a disk that is full. */
export const smallDisk = async (folder: string, megabytes: number): Promise<string | null> => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  await mkdir(folder, { recursive: true })
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
    return null
  } catch {
    return 'mounting is not allowed here'
  }
}

export const removeDisk = async (folder: string): Promise<void> => {
  await run('umount', [folder])
  if ((await readdir(folder)).length === 0) await rm(folder, { recursive: true })
}
