/** /readyz while webhooks cannot be stored: a full disk, a synchronous standby that is gone, tables of another owner. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { mountDisk, startCluster, unmountDisk } from '../../scripts/chaos/postgres.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { run as runScript } from '../../scripts/processes.ts'

// Settings of a server apply to all its databases, so this file has a server of its own. What reads DATABASE_URL is imported after.
const cluster = await startCluster(mkdtempSync(join(tmpdir(), 'ringback-readiness-')), {
  connectionLimit: -1,
})
t.teardown(() => cluster.remove())
const DATABASE_URL = cluster.checkingUrl
process.env['DATABASE_URL'] = DATABASE_URL
await runScript(['scripts/migrate.ts'], { env: process.env })
const { ask, IN_ORDER, startProcess, waitUntil } = await import('../support/process.ts')
const { business } = await import('../support/ringback.ts')

const admin = new pg.Client({ connectionString: DATABASE_URL })
await admin.connect()
t.teardown(() => admin.end())
const run = (statement: string) => admin.query(statement)
const setStandby = async (name: string) => {
  await run(`alter system set synchronous_standby_names = '${name}'`)
  await run('select pg_reload_conf()')
  await sleep(200)
}

const start = async (env: NodeJS.ProcessEnv = {}) => {
  const { token } = await business()
  const program = startProcess({ ROLE: 'web', ...env })
  const url = await program.url()
  await program.running()
  const isReady = async () => (await ask(`${url}/readyz?for=webhooks`)).status === 200
  await waitUntil('ready', isReady)
  return {
    post: async (fields = {}, withinMs = 15_000) => {
      const init = { method: 'POST', body: JSON.stringify(push(fields)) }
      const signal = AbortSignal.timeout(withinMs)
      const address = `${url}/webhooks/voicenter/cdr?token=${token}`
      return fetch(address, { ...init, signal }).then(
        ({ status }) => status,
        () => 'cut',
      )
    },
    /** @returns after how many seconds it is not ready */
    unready: () => waitUntil('not ready', async () => !(await isReady())),
    /** @returns after how many seconds it is ready */
    ready: () => waitUntil('ready', isReady),
    stop: async () => {
      program.signal('SIGTERM')
      t.match(await program.ended(), IN_ORDER)
    },
  }
}

await t.test('a full disk', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ringback-disk-'))
  const whyNot = await mountDisk(folder, 8)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  if (whyNot) {
    t.comment(`left out: ${whyNot}`)
    return
  }
  const { rows } = await run('show data_directory')
  const data: unknown = rows[0]?.data_directory
  execFileSync('chown', [`--reference=${String(data)}`, folder])
  await chmod(folder, 0o700)
  const name = `small_${process.pid}`
  const inUse = ['raw_cdrs', 'whatsapp_events']
  const moveTo = async (space: string) => {
    for (const table of inUse) await run(`alter table ${table} set tablespace ${space}`)
  }
  await run(`create tablespace ${name} location '${folder}'`)
  t.teardown(async () => {
    await moveTo('pg_default')
    await run(`drop tablespace ${name}`)
    await unmountDisk(folder)
  })
  await moveTo(name)
  const program = await start()
  t.equal(await program.post(), 200)

  const filler = join(folder, 'filler')
  await writeFile(filler, Buffer.alloc(16_000_000)).catch(() => {})
  let status: number | string = 200
  for (let n = 0; n < 100 && status === 200; n++)
    status = await program.post({ filler: `${n}`.repeat(2000) })
  t.equal(status, 503)
  t.ok((await program.unready()) < 3)
  await sleep(1500)
  t.ok((await program.unready()) < 0.2, 'it stays so')
  await rm(filler)
  const took = await program.ready()
  t.ok(took < 5, `ready ${took.toFixed(1)} s after there is room, without traffic`)
  t.equal(await program.post(), 200)
  await program.stop()
})

await t.test('a synchronous standby that is gone: commits hang', async t => {
  t.teardown(() => setStandby(''))
  const program = await start()
  await setStandby('gone')
  t.equal(await program.post({}, 1000), 'cut', 'the sender gives up')
  t.ok((await program.unready()) < 5)
  const waiting = async () =>
    (await run(`select from pg_stat_activity where wait_event = 'SyncRep'`)).rowCount ?? 0
  await sleep(8000)
  t.ok((await program.unready()) < 0.2, 'it stays so')
  t.ok((await waiting()) <= 2, 'and its own checks do not add a hanging commit each time')
  await setStandby('')
  const took = await program.ready()
  t.ok(took < 15, `ready ${took.toFixed(1)} s after the standby is back, without traffic`)
  t.equal(await program.post(), 200)
  await program.stop()
})

await t.test('without a standby, and without traffic since the start', async t => {
  await setStandby('gone')
  t.teardown(() => setStandby(''))
  const program = startProcess({ ROLE: 'web' })
  const url = await program.url()
  await program.running()
  for (let n = 0; n < 3; n++) {
    t.match(await ask(`${url}/readyz`), { status: 503 })
    await sleep(1100)
  }
  await setStandby('')
  const took = await waitUntil('ready', async () => (await ask(`${url}/readyz`)).status === 200)
  t.ok(took < 15, `ready within ${took.toFixed(1)} s`)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})

await t.test('tables of another owner', async t => {
  const role = `ringback_owner_${process.pid}`
  await run(`create role ${role} login password 'x'`)
  t.teardown(async () => {
    await own('current_user')
    await run(`drop owned by ${role}`)
    await run(`drop role ${role}`)
  })
  for (const schema of ['public', 'graphile_worker']) {
    await run(`grant all on schema ${schema} to ${role}`)
    for (const kind of ['tables', 'sequences', 'functions'])
      await run(`grant all on all ${kind} in schema ${schema} to ${role}`)
  }
  const own = async (owner: string) => {
    for (const table of ['jobs', 'job_queues', 'tasks', 'known_crontabs'])
      await run(`alter table graphile_worker._private_${table} owner to ${owner}`)
  }
  await own(role)
  const address = new URL(DATABASE_URL)
  address.username = role
  address.password = 'x'
  const program = await start({ DATABASE_URL: address.href })
  t.equal(await program.post(), 200)

  // As after a dump was restored by another role.
  await own('current_user')
  t.equal(await program.post(), 503)
  t.ok((await program.unready()) < 3)
  await own(role)
  t.ok((await program.ready()) < 5)
  t.equal(await program.post(), 200)
  await program.stop()
})
