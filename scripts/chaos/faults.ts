/** The faults of a run: what is done to the program, to Postgres and to the network, and in which order. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Failpoint, FAILPOINTS } from '../../app/failpoints.ts'
import { push } from '../demo/cdr.ts'
import { freePort, run, waitUntil } from '../processes.ts'
import { type Environment, type OnCleanUp, startDatabase } from './environment.ts'
import {
  type Instance,
  killAtFailpoint,
  type Killing,
  runInstance,
  untilReady,
} from './instance.ts'
import { readDatabase } from './ledger.ts'
import { type Monitor, newJournal, sum } from './monitor.ts'
import { mountDisk, unmountDisk } from './postgres.ts'
import { seeded } from './random.ts'
import { jsonPost } from './scenarios.ts'
import { newSender } from './traffic.ts'

const SECOND = 1000

export type FaultPlan = {
  seed: number
  long: boolean
  /** Kills of the program at failpoints, and how many of them each failpoint gets in the burst. */
  kills: number
  burstKillsAtEach: number
  postgresKills: number
  cuts: number
  /** The seconds of each SIGSTOP, which ends with SIGCONT. */
  stalls: number[]
  /** The share of the faults other than kills that comes in the burst. */
  burstShare: number
}
type Fault = [kind: string, run: () => Promise<unknown>]

/** All faults of a run except the kills of the program, in random order. */
const faultsOf = (plan: FaultPlan, environment: Environment): Fault[] => {
  const { cluster, proxies, journal, database, router, fake, instances } = environment
  const random = seeded(plan.seed, 'faults')
  const seconds = (most: number) => random.int(0, most) * SECOND

  /** Runs `work` while something that the program needs is unavailable. */
  const outage = async (work: () => Promise<void>) => {
    const end = journal.beginOutage()
    await work().finally(end)
  }
  const postgresDown = (stop: () => Promise<void>, forMs: () => number) =>
    outage(async () => {
      await stop()
      await sleep(forMs())
      await cluster.start()
    })
  const killBackend = async () => {
    const { rows } = await database.query<{ pid: number }>(
      `select pid from pg_stat_activity where usename = 'ringback' order by random() limit 1`,
    )
    if (rows[0]) process.kill(rows[0].pid, 'SIGKILL')
    await sleep(100)
    await cluster.back()
  }
  const loseAnswer = async (text: string) => {
    const proxy = random.pick(proxies)
    proxy.dropAnswerTo(text)
    await sleep(2 * SECOND)
    proxy.dropAnswerTo(null)
  }
  const refuseConnections = async () => {
    for (const proxy of proxies) {
      proxy.refuse()
      proxy.cut()
    }
    await sleep(SECOND + seconds(3))
    for (const proxy of proxies) await proxy.accept()
  }
  const slowDown = async () => {
    const ms = random.pick([50, 300, 1000])
    for (const proxy of proxies) proxy.delay(ms)
    await sleep(4 * SECOND)
    for (const proxy of proxies) proxy.delay(0)
  }
  const stall = async (forSeconds: number, n: number) => {
    const instance = random.pick(instances)
    const life = instance.starts()
    // Every second one at the worst moment: a message has been claimed and not yet sent.
    if (n % 2 === 1) {
      const points = FAILPOINTS.filter(name => /:(claimed|sending)$/.test(name))
      instance.arm({ points, action: 'stop', skip: 0, afterMs: 0 })
      await sleep(3 * SECOND)
    } else instance.freeze()
    await outage(() => sleep(forSeconds * SECOND))
    if (instance.starts() === life) instance.thaw()
  }

  const powerCut = () => (plan.long && random.chance(0.15) ? 30 * SECOND : seconds(4))
  const postgresKills: Fault[] = [
    ['Postgres: kill -9', () => postgresDown(cluster.kill, () => seconds(3))],
    [
      'Postgres: stopped at once (as a power cut)',
      () => postgresDown(cluster.stopAtOnce, powerCut),
    ],
    ['Postgres: kill -9 of one of its processes', () => outage(killBackend)],
  ]
  const terminate = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ringback'`
  const cuts: Fault[] = [
    ['database connections cut', async () => random.pick(proxies).cut()],
    ['database connections reset', async () => proxies.map(proxy => proxy.reset())],
    ['database connections half-open', async () => random.pick(proxies).silence()],
    ['database connections terminated by Postgres', () => database.query(terminate)],
    ...['commit', 'raw_cdrs', 'graphile_worker', 'whatsapp_events'].map((text): Fault => [
      `answer lost: ${text}`,
      () => loseAnswer(text),
    ]),
    ['database connections refused', () => outage(refuseConnections)],
    ['database slow', () => outage(slowDown)],
    ['web connections reset', async () => router.reset()],
    ['Graph API refuses connections', () => fake.refuseConnections(SECOND + seconds(2))],
  ]
  const some = (faults: Fault[], howMany: number): Fault[] => {
    const order = random.shuffled(faults)
    return Array.from({ length: howMany }, (_, n) => order[n % order.length] ?? random.pick(order))
  }
  return random.shuffled([
    ...some(postgresKills, plan.postgresKills),
    ...some(cuts, plan.cuts),
    ...plan.stalls.map((forSeconds, n): Fault => [
      `program stopped (SIGSTOP) for ${forSeconds} s`,
      () => stall(forSeconds, n),
    ]),
  ])
}

const runFault = async ([kind, run]: Fault, { journal }: Environment): Promise<number> => {
  const fault = { kind, at: Date.now(), back: Infinity, inBurst: journal.isBurst }
  journal.faults.push(fault)
  await run()
  return (fault.back = Date.now())
}

export const endFaults = async ({ proxies, instances, cluster, fake }: Environment) => {
  for (const proxy of proxies) {
    proxy.dropAnswerTo(null)
    proxy.delay(0)
    await proxy.accept()
  }
  for (const instance of instances) {
    instance.arm(null)
    instance.thaw()
  }
  await cluster.start()
  await fake.acceptConnections()
}

/** Kills the instance whenever it is up: at failpoints, and every eighth time at a random moment. */
const killAgainAndAgain = async (instance: Instance, killing: Killing): Promise<void> => {
  const { random, signal } = killing
  for (let turn = random.int(1, 8); await untilReady(instance, signal); turn++) {
    // Some processes are killed at the start, others after some work.
    await sleep(random.pick([0, 300, 1000, 4000]), undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    if (turn % 8 === 0) instance.kill()
    await killAtFailpoint(instance, killing)
  }
}

const BURST_PAUSE_MS = 4 * SECOND
const CATCH_UP_LIMIT_MS = 60 * SECOND

/**
 * The fault schedule. First a burst: both instances are killed as fast as they start, until each failpoint has had its
 * share; this shows that nothing is lost. Then one fault at a time, each with the time that the work it left waiting
 * needs; this shows how fast the program recovers.
 *
 * @returns how many faults were left out for lack of time
 */
export const runFaults = async (
  plan: FaultPlan,
  environment: Environment,
  monitor: Monitor,
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<number> => {
  const { instances, journal } = environment
  const { kills } = journal
  const faults = faultsOf(plan, environment)

  if (plan.kills > 0) {
    say(`burst: kills at ${FAILPOINTS.length} failpoints`)
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    const killers = instances.map((instance, n) => {
      const random = seeded(plan.seed, `killer ${n}`)
      return killAgainAndAgain(instance, { random, kills, signal: either })
    })
    const others = async () => {
      for (let left = Math.round(plan.burstShare * faults.length); left > 0; left--) {
        await sleep(BURST_PAUSE_MS, undefined, { signal: either }).catch(() => {})
        const fault = either.aborted ? undefined : faults.shift()
        if (!fault) return
        await runFault(fault, environment)
      }
    }
    const running = others()
    const isMissing = (point: Failpoint) => (kills.get(point) ?? 0) < plan.burstKillsAtEach
    await waitUntil(() => !FAILPOINTS.some(isMissing), Infinity, { signal })
    over.abort()
    await Promise.all([...killers, running])
  }
  await caughtUp(environment, monitor, Date.now(), signal)
  journal.isBurst = false

  say('one fault at a time')
  const killing = { random: seeded(plan.seed, 'single kills'), kills, signal }
  const killOne = async (n: number): Promise<number> => {
    const instance = instances[n % instances.length]
    if (instance && (await untilReady(instance, signal))) await killAtFailpoint(instance, killing)
    return Date.now()
  }
  const left = Math.max(0, plan.kills - sum(kills))
  const schedule = seeded(plan.seed, 'order').shuffled([
    ...Array.from({ length: left }, (_, n) => () => killOne(n)),
    ...faults.map(fault => () => runFault(fault, environment)),
  ])
  for (const [n, fault] of schedule.entries()) {
    const back = await fault()
    if (signal.aborted) return schedule.length - n
    await caughtUp(environment, monitor, back, signal)
  }
  return 0
}

/** Waits until both instances are up and all work that waited at `back` is done. */
const caughtUp = async (
  { instances }: Environment,
  monitor: Monitor,
  back: number,
  signal: AbortSignal,
): Promise<void> => {
  const isDone = () => instances.every(instance => instance.isReady()) && monitor.isDone(back)
  await waitUntil(isDone, CATCH_UP_LIMIT_MS, { signal })
}

const DISK_MB = 192
const FULL_FOR_MS = 6 * SECOND
const RECOVERY_LIMIT_MS = 60 * SECOND

/**
 * The disk of Postgres is full while CDRs arrive: the program must not acknowledge one that is not stored, and it must
 * recover when there is room again. This has a Postgres of its own on a small tmpfs, since no real disk may be filled.
 */
export const fullDisk = async (
  { folder, fake, env }: Environment,
  onCleanUp: OnCleanUp,
): Promise<{ line: string; violations: string[] }> => {
  const disk = join(folder, 'disk')
  const whyNot = await mountDisk(disk, DISK_MB)
  if (whyNot) return { line: `left out: ${whyNot}`, violations: [] }
  onCleanUp(() => unmountDisk(disk))
  const parts = { fake, env, onCleanUp }
  const { cluster, database, tenants } = await startDatabase(join(disk, 'postgres'), ['Noa'], parts)
  const [tenant] = tenants
  if (!tenant) throw new Error('no tenant')
  const port = await freePort()
  const DATABASE_URL = cluster.programUrl(cluster.port)
  const log = join(folder, 'full-disk.log')
  const journal = newJournal()
  const program = runInstance({ port, env: { ...env, DATABASE_URL }, log, journal })
  onCleanUp(async () => program.killForGood())
  await untilReady(program, AbortSignal.timeout(RECOVERY_LIMIT_MS))

  const sender = newSender(`http://127.0.0.1:${port}`)
  const posts: Promise<void>[] = []
  const post = () => {
    // Large, so that some do not fit into the rest of the disk, and random, so that Postgres cannot compress them.
    const aiData = randomBytes(10_000).toString('hex')
    const cdr = push({ caller: 'anonymous', did: tenant.line, aiData })
    posts.push(sender.post(jsonPost('while the disk is full', tenant, JSON.stringify(cdr))))
  }
  post()
  await Promise.all(posts)
  // Writes until the disk is full, and fails.
  const fill = ['-c', 'cat /dev/zero > "$0"', join(disk, 'filler')]
  await run(fill, {}, { command: 'sh' }).catch(() => {})
  for (const until = Date.now() + FULL_FOR_MS; Date.now() < until; await sleep(50)) post()
  const refused = sender.stats.answers.get('503') ?? 0
  await rm(join(disk, 'filler'))
  // Postgres has probably stopped because it could not write.
  await cluster.start()
  const allAnswered = await Promise.race([
    Promise.all(posts).then(() => true),
    sleep(RECOVERY_LIMIT_MS, false, { ref: false }),
  ])
  sender.stop()

  await program.halt()
  const { stored: rows } = await readDatabase(database)
  const stored = new Set(rows.map(({ hash }) => hash))
  const promised = sender.promised()
  const lost = promised.filter(({ hash }) => !stored.has(hash))
  return {
    line: `${refused} answers 503, ${lost.length} of ${promised.length} acknowledged records missing`,
    violations: [
      ...lost.map(({ hash }) => `disk full: acknowledged but missing: ${hash}`),
      ...(refused === 0 ? ['disk full: no answer was 503, so the disk was not full'] : []),
      ...(allAnswered ? [] : ['disk full: some records were not acknowledged after it had room']),
    ],
  }
}
