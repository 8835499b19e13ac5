/** Everything the run needs: Postgres, two copies of the program, a fake WhatsApp, a router, proxies, businesses. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Failpoint } from '../../app/failpoints.ts'
import { startFakeWhatsApp } from '../fake_whatsapp/server.ts'
import { addBusinesses } from './businesses.ts'
import { type Copy, runCopy } from './copy.ts'
import { freePort, startCluster } from './postgres.ts'
import { startProxy } from './proxy.ts'
import { type Absences, type Fault, newAbsences } from './times.ts'
import { count } from './vendor.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const READY_WITHIN_MS = 30_000

export type Stage = Awaited<ReturnType<typeof setStage>>

/**
 * @param onCleanUp told of each thing that must be taken down, the last first
 */
export const setStage = async (onCleanUp: (task: () => Promise<void>) => void, keep: boolean) => {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-chaos-'))
  // The account that runs Postgres must get through.
  await chmod(folder, 0o755)
  onCleanUp(async () => {
    if (keep) console.log(`the logs are in ${folder}`)
    else await rm(folder, { recursive: true, force: true })
  })
  const cluster = await startCluster(join(folder, 'postgres'))
  onCleanUp(cluster.remove)

  const fake = await startFakeWhatsApp()
  onCleanUp(fake.close)
  // Meta tries for days; here for as long as a run may take.
  fake.setWebhooks({ tries: 13, firstGapMs: 100, answerMs: 10_000 })

  const copies: Copy[] = []
  const router = await startProxy(() => {
    // Round robin, and past a copy that does not answer.
    const ready = copies.filter(copy => copy.isReady())
    turn++
    const ports = ready.map(copy => copy.port)
    return [...ports.slice(turn % 2), ...ports.slice(0, turn % 2)]
  })
  let turn = 0
  onCleanUp(router.close)
  const url = `http://127.0.0.1:${router.port}`

  const base = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    WHATSAPP_GRAPH_URL: fake.url,
    WHATSAPP_APP_SECRET: randomBytes(16).toString('hex'),
    WHATSAPP_VERIFY_TOKEN: randomBytes(16).toString('hex'),
    PUBLIC_URL: url,
  }
  const direct = { ...base, DATABASE_URL: cluster.programUrl(cluster.port) }
  await migrateAt(direct)
  const database = new pg.Pool({
    connectionString: cluster.checkingUrl,
    max: 3,
    connectionTimeoutMillis: 2000,
    query_timeout: 20_000,
  })
  database.on('error', () => {})
  onCleanUp(() => database.end())
  const businesses = await addBusinesses(fake, database, direct)

  const absences = newAbsences()
  const faults: Fault[] = []
  const points = new Map<Failpoint, number>()
  const weather = { storm: true }
  const life = bookOfLife(copies, absences, faults, points, weather)
  const proxies = []
  for (const name of ['A', 'B']) {
    const proxy = await startProxy(() => [cluster.port])
    onCleanUp(proxy.close)
    proxies.push(proxy)
    copies.push(
      runCopy(
        {
          name,
          port: await freePort(),
          env: { ...base, DATABASE_URL: cluster.programUrl(proxy.port) },
          log: join(folder, `copy-${name}.log`),
        },
        life.eventsOf(name),
      ),
    )
  }
  onCleanUp(async () => {
    for (const copy of copies) copy.killForGood()
    await sleep(0)
  })
  // Whatever ends this process, nobody stays behind.
  process.once('exit', () => {
    for (const copy of copies) copy.killForGood()
    const pid = cluster.pid()
    if (pid) process.kill(pid, 'SIGQUIT')
  })

  const until = Date.now() + READY_WITHIN_MS
  while (!copies.every(copy => copy.isReady())) {
    if (Date.now() > until)
      throw new Error(`the program does not start; its log is ${copies[0]?.log}`)
    await sleep(50)
  }
  return {
    folder,
    cluster,
    fake,
    router,
    url,
    env: base,
    database,
    businesses,
    copies,
    proxies,
    absences,
    faults,
    points,
    /** Whether faults come one on top of the other. */
    weather,
    unwanted: life.unwanted,
    secrets: [
      base.ENCRYPTION_KEY,
      base.WHATSAPP_APP_SECRET,
      base.WHATSAPP_VERIFY_TOKEN,
      ...businesses.flatMap(({ token, accessToken }) => [token, accessToken]),
      new URL(cluster.checkingUrl).password,
    ],
  }
}

export const migrateAt = async (env: NodeJS.ProcessEnv): Promise<void> => {
  await run(process.execPath, ['scripts/migrate.ts'], { cwd: ROOT, env })
}

/** Writes down how the copies live and die. */
const bookOfLife = (
  copies: Copy[],
  absences: Absences,
  faults: Fault[],
  points: Map<Failpoint, number>,
  weather: { storm: boolean },
) => {
  /** Ends of the program by itself after it had been ready: it should survive everything but a kill. */
  const unwanted: string[] = []
  let nobody: (() => void) | null = null
  let waitingForBack: Fault[] = []

  const eventsOf = (name: string) => {
    let at: Failpoint | null = null
    return {
      passed: (point: Failpoint) => {
        at = point
        count(points, point)
      },
      ended: (how: {
        code: number | null
        signal: NodeJS.Signals | null
        wanted: boolean
        wasReady: boolean
      }) => {
        const anybody = copies.some(copy => copy.isReady())
        if (!anybody) nobody ??= absences.begin()
        const now = Date.now()
        if (how.wanted) {
          const kind = at ? 'program killed at a named point' : 'program killed at any moment'
          const fault = {
            kind,
            point: at,
            at: now,
            back: anybody ? now : Infinity,
            storm: weather.storm,
          }
          faults.push(fault)
          if (!anybody) waitingForBack.push(fault)
        } else if (how.wasReady)
          unwanted.push(`copy ${name} ended by itself: ${how.signal ?? `exit code ${how.code}`}`)
        at = null
      },
      ready: () => {
        nobody?.()
        nobody = null
        for (const fault of waitingForBack) fault.back = Date.now()
        waitingForBack = []
      },
    }
  }
  return { eventsOf, unwanted }
}
