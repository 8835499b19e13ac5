/** npm run chaos -- --failover: the primary is lost again and again while calls come in. Was anything lost or sent twice? */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  answers,
  NODE_FLAGS,
  type Program,
  RINGBACK,
  RINGBACK_PORT,
  start,
  waitUntil,
} from '../processes.ts'
import {
  fillDatabase,
  NAMES,
  newFolder,
  newSettings,
  type OnCleanUp,
  secretsOf,
  startFake,
} from './environment.ts'
import { outside, percentile, recoveries, settled, startMonitor, sum } from './monitor.ts'
import { type Failover, LOSSES, type Pair, startPair } from './pair.ts'
import { startProxy } from './proxy.ts'
import { seeded } from './random.ts'
import {
  circumstances,
  compareEnds,
  markdown,
  ms,
  type Row,
  spread,
  table,
  verdict,
  withBlock,
} from './run.ts'
import { newSender, newTraffic } from './traffic.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
/** /readyz repeats an answer for as long. */
const READY_CACHE_MS = SECOND
const READY_LIMIT_MS = 30 * SECOND
const SETTLE_LIMIT_MS = 3 * MINUTE
const WEBS = ['web-1', 'web-2', 'web-3']
const WORKERS = ['worker-1', 'worker-2']

export type FailoverPlan = {
  seed: number
  /** CDRs, repeats and hostile bodies included, and the time in which they come. */
  cdrs: number
  seconds: number
  failovers: number
  /** From the start until the report. */
  minutes: number
}
type Seen = Failover & { readyMs: number; without200Ms: number; synchronousMs: number }
export type FailoverReport = {
  rows: Row[]
  seen: Seen[]
  violations: string[]
  postgres: string
  /** The last line of stdout with --json. */
  result: {
    acknowledged: number
    missing: number
    twice: number
    failovers: number
    readyMs: { p50: number; max: number }
  }
}

type Process = { name: string; log: string; program: Program; url: string | null }

const startProcesses = async (
  folder: string,
  env: NodeJS.ProcessEnv,
  onCleanUp: OnCleanUp,
): Promise<Process[]> => {
  const processes: Process[] = []
  for (const name of [...WEBS, ...WORKERS]) {
    const isWeb = WEBS.includes(name)
    const log = join(folder, `${name}.log`)
    const settings = { ...env, PORT: '0', ROLE: isWeb ? 'web' : 'worker' }
    const ready = /Ringback is running/
    const program = await start([...NODE_FLAGS, RINGBACK], settings, ready, { log })
    onCleanUp(program.stop)
    const port = isWeb ? RINGBACK_PORT.exec(program.output())?.[1] : null
    processes.push({ name, log, program, url: port ? `http://127.0.0.1:${port}` : null })
  }
  return processes
}

export const runFailovers = async (
  plan: FailoverPlan,
  interrupted: AbortSignal,
  say: (text: string) => void,
  onCleanUp: OnCleanUp,
  keep: boolean,
): Promise<FailoverReport> => {
  const started = Date.now()
  say(
    'starting two Postgres servers, a fake WhatsApp, and processes for the web and for the worker',
  )
  const folder = await newFolder(onCleanUp, keep)
  const fake = await startFake(onCleanUp)
  const pair = await startPair(join(folder, 'postgres'))
  onCleanUp(pair.remove)
  const replica = await startProxy(() => [pair.ports().standby])
  onCleanUp(replica.close)
  const ports: number[] = []
  let turn = 0
  const router = await startProxy(() => {
    const first = turn++ % ports.length
    return [...ports.slice(first), ...ports.slice(0, first)]
  })
  onCleanUp(router.close)
  const env = newSettings(fake.url, router.port)
  const { database, tenants } = await fillDatabase(pair, NAMES, { fake, env, onCleanUp })
  const urls = { DATABASE_URL: pair.programUrl, READ_DATABASE_URL: pair.urlOf(replica.port) }
  const processes = await startProcesses(folder, { ...env, ...urls }, onCleanUp)
  const webs = processes.flatMap(({ url }) => url ?? [])
  ports.push(...webs.map(url => Number(new URL(url).port)))

  const sender = newSender(`http://127.0.0.1:${router.port}`)
  const random = seeded(plan.seed, 'scenarios')
  const traffic = newTraffic(plan, { tenants, fake, database, env }, sender, random)
  const monitor = startMonitor(database)
  const stopWatching = async () => {
    await traffic.stop()
    await monitor.stop()
  }
  onCleanUp(async () => {
    sender.stop()
    await stopWatching()
  })

  say(`posting ${plan.cdrs} records over ${plan.seconds} s`)
  const limit = AbortSignal.timeout(started + plan.minutes * MINUTE - SETTLE_LIMIT_MS - Date.now())
  const signal = AbortSignal.any([interrupted, limit])
  let areOver = false
  const posting = traffic.run(
    () => !signal.aborted && (sender.stats.posts < plan.cdrs || !areOver),
    () => monitor.waiting.size,
    () => [],
  )
  const seen = await failOverAgainAndAgain(plan, pair, webs, { signal, say, sender })
  areOver = true
  await posting
  interrupted.throwIfAborted()

  say('the failovers are over; waiting until all work has ended')
  await traffic.finished()
  const pending = () => ({
    'records not acknowledged': sender.stats.unanswered,
    'webhooks of WhatsApp not acknowledged': fake
      .deliveries()
      .filter(({ state }) => state !== 'delivered').length,
  })
  const open = await settled(database, pending, SETTLE_LIMIT_MS, interrupted, () => {})
  interrupted.throwIfAborted()
  await stopWatching()

  say('comparing both ends')
  const exited = processes.filter(({ program }) => !program.isAlive())
  await Promise.all(processes.map(({ program }) => program.stop()))
  const { violations, counts } = await compareEnds({
    sender,
    traffic,
    monitor,
    database,
    fake,
    tenants,
    logs: processes.map(({ log }) => log),
    secrets: secretsOf(env, tenants, pair.checkingUrl),
  })
  const outages = seen.map(({ at, readyMs }) => ({ from: at, to: at + readyMs }))
  const faults = seen.map(({ loss, at, readyMs }) => ({
    kind: loss,
    at,
    back: at + readyMs,
    inBurst: false,
  }))
  const delays = recoveries(faults, monitor.work, outages)
  const claims = monitor.claims.map(({ since, done }) => outside(since, done, outages))
  const { posts, answers: answered, wrongAnswers, acknowledgedIn } = sender.stats
  const acknowledged = (answered.get('200') ?? 0) + (answered.get('400') ?? 0)
  const ready = seen.map(({ readyMs }) => readyMs)
  const byOld = seen.reduce((total, one) => total + one.acknowledgedByOld, 0)
  return {
    rows: [
      ['seed', plan.seed],
      ['processes', `${WEBS.length} ROLE=web, ${WORKERS.length} ROLE=worker`],
      ['records sent (repeats and hostile bodies included)', posts],
      ['requests it took (repeated until answered)', sum(answered)],
      ['acknowledged: 200, or 400', acknowledged],
      ['records stored', counts.stored],
      ['missed calls', counts.missedCalls],
      ['messages accepted by WhatsApp', counts.accepted],
      ['failovers', seen.length],
      ['acknowledged but missing', counts.lost],
      ['stored twice', counts.storedTwice],
      ['sent twice', counts.sentTwice],
      ['accepted although WhatsApp answered that it was not', counts.answeredFalsely],
      ['unknown in the end, each listed', counts.unknown.length],
      ['commits that an old primary acknowledged after the promotion', byOld],
      ['from the loss until the standby is promoted', spread(seen.map(s => s.promoted - s.at))],
      ['time without a 200', spread(seen.map(({ without200Ms }) => without200Ms))],
      ['from the loss until each web process is ready', spread(ready)],
      ['from then until the work that waited is done', spread(delays)],
      ['from the claim until the message is settled or unknown', spread(claims)],
      [
        'from the loss until a standby is synchronous again',
        spread(seen.map(s => s.synchronousMs)),
      ],
      ['a record is acknowledged', spread(acknowledgedIn)],
      ['duration', `${Math.round((Date.now() - started) / SECOND)} s`],
    ],
    seen,
    postgres: pair.version,
    result: {
      acknowledged,
      missing: counts.lost,
      twice: counts.storedTwice + counts.sentTwice,
      failovers: seen.length,
      readyMs: {
        p50: Math.round(percentile(ready, 0.5)),
        max: Math.round(percentile(ready, 1)),
      },
    },
    violations: [
      ...violations,
      ...open.map(what => `not settled: ${what}`),
      ...[...wrongAnswers, ...traffic.refusedByHand].map(what => `answered ${what}`),
      ...exited.map(({ name }) => `${name} ended by itself`),
      ...(byOld > 0 ? [`an old primary acknowledged ${byOld} commits`] : []),
      ...(posts < plan.cdrs ? [`too slow: only ${posts} records of ${plan.cdrs} were sent`] : []),
      ...(seen.length < plan.failovers
        ? [`too slow: ${plan.failovers - seen.length} failovers were left out`]
        : []),
      ...seen
        .filter(({ readyMs }) => readyMs >= READY_LIMIT_MS)
        .map(({ loss }) => `not ready within ${ms(READY_LIMIT_MS)} after ${loss}`),
    ],
  }
}

type Running = {
  signal: AbortSignal
  say: (text: string) => void
  sender: ReturnType<typeof newSender>
}

/** The failovers come at equal distances, and the kinds of loss take turns. */
const failOverAgainAndAgain = async (
  plan: FailoverPlan,
  pair: Pair,
  urls: string[],
  { signal, say, sender }: Running,
): Promise<Seen[]> => {
  const seen: Seen[] = []
  const random = seeded(plan.seed, 'failovers')
  const gap = (plan.seconds * SECOND) / (plan.failovers + 1)
  let next = Date.now()
  for (let n = 0; n < plan.failovers; n++) {
    next = Math.max(next + gap, Date.now())
    // Not always at the same moment of the program's second.
    await sleep(next - Date.now() + random.int(0, SECOND), null, { signal }).catch(() => {})
    if (signal.aborted) break
    const loss = LOSSES[n % LOSSES.length] ?? 'kill -9'
    const failover = await pair.failOver(loss)
    await untilReady(urls, failover.at)
    const readyMs = Date.now() - failover.at
    await pair.rebuild()
    const synchronousMs = Date.now() - failover.at
    const without200Ms = longestGap(sender.stats.acknowledgedAt, failover.at, Date.now())
    seen.push({ ...failover, readyMs, without200Ms, synchronousMs })
    say(`${loss}: ${ms(without200Ms)} without a 200, ready after ${ms(readyMs)}`)
  }
  return seen
}

/** An answer that is older than the loss of the primary does not count. */
const untilReady = async (urls: string[], lostAt: number): Promise<void> => {
  await sleep(Math.max(0, lostAt + READY_CACHE_MS - Date.now()))
  await Promise.all(
    urls.map(url =>
      waitUntil(() => answers(`${url}/readyz?for=webhooks`), lostAt + READY_LIMIT_MS - Date.now()),
    ),
  )
}

/** The longest time between two of these moments, if the later one lies in the interval. */
export const longestGap = (moments: readonly number[], from: number, to: number): number => {
  const before = moments.findLast(at => at <= from) ?? from
  const within = [before, ...moments.filter(at => at > from && at < to), to]
  return Math.max(...within.slice(1).map((at, n) => at - (within[n] ?? at)))
}

const LOSS_HEADER = ['failover', 'promoted', 'time without a 200', 'ready', 'synchronous again']
const lossRows = (seen: Seen[]): string[][] =>
  seen.map(({ loss, at, promoted, without200Ms, readyMs, synchronousMs }) => [
    loss,
    ...[promoted - at, without200Ms, readyMs, synchronousMs].map(ms),
  ])

export const printFailovers = ({ rows, seen, violations }: FailoverReport): string =>
  [
    table(rows),
    [LOSS_HEADER, ...lossRows(seen)]
      .map(cells => cells.map(cell => cell.padEnd(20)).join(''))
      .join('\n'),
    verdict(violations),
  ].join('\n\n')

/** Replaces the tables between the marks `failover` of this file. */
export const writeFailovers = async (file: string, report: FailoverReport): Promise<void> => {
  const { rows, seen, violations, postgres } = report
  const block = [
    violations.length
      ? `\`\`\`text\n${verdict(violations)}\n\`\`\``
      : '**Every promise was kept.**',
    markdown(['', ''], [...(await circumstances(postgres)), ...rows]),
    markdown(LOSS_HEADER, lossRows(seen)),
  ].join('\n\n')
  await writeFile(file, withBlock(await readFile(file, 'utf8'), block, 'failover'))
}
