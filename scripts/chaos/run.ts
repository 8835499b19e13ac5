/** One run, from the start of its environment to its report. */
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Failpoint, FAILPOINTS } from '../../app/failpoints.ts'
import { describeMachine } from '../bench/machine.ts'
import { type OnCleanUp, startEnvironment, type Tenant } from './environment.ts'
import { endFaults, type FaultPlan, fullDisk, runFaults } from './faults.ts'
import { isHealthy } from './instance.ts'
import { check, leaksIn, type Message, readDatabase, readFake } from './ledger.ts'
import { count, outside, percentile, recoveries, settled, startMonitor, sum } from './monitor.ts'
import { seeded } from './random.ts'
import { newSender, newTraffic } from './traffic.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

export type Plan = FaultPlan & {
  /** Call records, repeats and hostile bodies included. */
  cdrs: number
  seconds: number
  minutes: number
}
export type Row = [name: string, figure: string | number]
export type Report = {
  rows: Row[]
  kills: Map<Failpoint, number>
  unknown: Message[]
  violations: string[]
  postgres: string
}

/** The share of `minutes` that the faults may take. The rest is for the work to end. */
const FAULTS_SHARE = 0.6
const SETTLE_LIMIT_MS = 4 * MINUTE
/** The platform kills the program 30 s after SIGTERM. */
const STOP_GOAL_MS = 25 * SECOND
/** Goals, in milliseconds: the work that a fault left is done (p99), and a claim is settled. */
const RECOVERY_GOAL_MS = 15 * SECOND
const CLAIM_GOAL_MS = MINUTE

type Ends = {
  sender: ReturnType<typeof newSender>
  traffic: ReturnType<typeof newTraffic>
  monitor: ReturnType<typeof startMonitor>
  database: Parameters<typeof readDatabase>[0]
  fake: Parameters<typeof readFake>[0]
  tenants: Tenant[]
  /** Files. No phone number and none of the secrets may stand in them. */
  logs: string[]
  secrets: Parameters<typeof leaksIn>[2]
}

/** Compares what was sent, what is stored and what the fake WhatsApp got, and reads the logs. */
export const compareEnds = async (ends: Ends) => {
  const { sender, traffic, monitor, database, fake, tenants, logs, secrets } = ends
  const owners = tenants.flatMap(({ ownerPhone }) => ownerPhone ?? [])
  const phones = new Set([...traffic.called.keys(), ...owners])
  const leaks = await Promise.all(logs.map(log => leaksIn(log, phones, secrets)))
  return check({
    promised: sender.promised(),
    ...(await readDatabase(database)),
    ...readFake(fake),
    stops: [...monitor.stops.values()],
    busy: [...monitor.busy.values()],
    whatsAppCalls: traffic.whatsAppCalls,
    byHand: traffic.byHand,
    tenants,
    called: traffic.called,
    leaks: leaks.flat(),
  })
}

export const run = async (
  plan: Plan,
  interrupted: AbortSignal,
  say: (text: string) => void,
  onCleanUp: OnCleanUp,
  keep: boolean,
): Promise<Report> => {
  const started = Date.now()
  say('starting Postgres with fsync on, two instances of the program and a fake WhatsApp')
  const environment = await startEnvironment(onCleanUp, keep)
  const { fake, database, instances, tenants, journal } = environment
  const sender = newSender(`http://127.0.0.1:${environment.router.port}`)
  const traffic = newTraffic(plan, environment, sender, seeded(plan.seed, 'scenarios'))
  const monitor = startMonitor(database)
  let left: string[] = []
  const progress = setInterval(() => {
    const messages = fake.accepted().length
    const faults = `${journal.faults.length} faults at ${journal.kills.size} failpoints and elsewhere`
    const open = left.length ? `; open: ${left.join(', ')}` : ''
    say(`${sender.stats.posts} records, ${messages} messages, ${faults}${open}`)
  }, 10 * SECOND)
  const stopWatching = async () => {
    await traffic.stop()
    await monitor.stop()
    clearInterval(progress)
  }
  onCleanUp(async () => {
    sender.stop()
    await stopWatching()
  })

  say(`posting ${plan.cdrs} records over ${plan.seconds} s`)
  const timeout = AbortSignal.timeout(FAULTS_SHARE * plan.minutes * MINUTE)
  const signal = AbortSignal.any([interrupted, timeout])
  let faultsAreOver = false
  const posting = traffic.run(
    () => !signal.aborted && (sender.stats.posts < plan.cdrs || !faultsAreOver),
    () => monitor.waiting.size,
    () => FAILPOINTS.filter(point => (journal.kills.get(point) ?? 0) < plan.burstKillsAtEach),
  )
  const leftOut = await runFaults(plan, environment, monitor, { signal, say })
  faultsAreOver = true
  await posting
  interrupted.throwIfAborted()
  const faultsEnded = Date.now()

  say('the faults are over; waiting until all work has ended')
  await endFaults(environment)
  const disk = fullDisk(environment, onCleanUp)
  // It is awaited below. Until then a rejection must not end the process.
  disk.catch(() => {})
  await traffic.finished()
  const undelivered = () => fake.deliveries().filter(({ state }) => state !== 'delivered')
  const pending = () => ({
    'records not acknowledged': sender.stats.unanswered,
    'webhooks of WhatsApp not acknowledged': undelivered().length,
  })
  const open = await settled(database, pending, SETTLE_LIMIT_MS, interrupted, now => {
    left = now
  })
  interrupted.throwIfAborted()
  const healthy = await Promise.all(instances.map(({ port }) => isHealthy(port)))
  await sleep(2 * SECOND)
  await stopWatching()

  say('comparing both ends')
  const stopping = Date.now()
  const codes = await Promise.all(instances.map(instance => instance.halt()))
  const stopMs = Date.now() - stopping
  const { violations, counts } = await compareEnds({
    sender,
    traffic,
    monitor,
    database,
    fake,
    tenants,
    logs: instances.map(({ log }) => log),
    secrets: environment.secrets,
  })
  const full = await disk
  const { faults, kills, outages } = journal
  const kinds = new Map<string, number>()
  for (const { kind } of faults) count(kinds, kind)
  const { posts, answers, wrongAnswers, acknowledgedIn } = sender.stats
  const requests = fake.requests()
  const failed = requests.filter(({ outcome, status }) => outcome !== 'accept' || status !== 200)
  const ended = faults.map(fault => ({ ...fault, back: Math.min(fault.back, faultsEnded) }))
  const delays = recoveries(ended, monitor.work, outages)
  const slowest = Math.max(...delays)
  const slowestFault = ended.find(
    fault => recoveries([fault], monitor.work, outages)[0] === slowest,
  )
  const claims = monitor.claims.map(({ since, done }) => outside(since, done, outages))
  const missing = plan.kills > 0 ? FAILPOINTS.filter(point => !kills.has(point)) : []
  const tooSlow = (what: string, value: number, goal: number) =>
    value > goal ? [`${what} after ${ms(value)}; the goal is ${ms(goal)}`] : []
  return {
    rows: [
      ['seed', plan.seed],
      ['records sent (repeats and hostile bodies included)', posts],
      ['requests it took (repeated until answered)', sum(answers)],
      ['acknowledged: 200, or 400', (answers.get('200') ?? 0) + (answers.get('400') ?? 0)],
      ['records stored', counts.stored],
      ['bodies in rejected_deliveries', counts.rejected],
      ['missed calls', counts.missedCalls],
      ['requests to the Graph API, failed or lost', `${requests.length}, ${failed.length}`],
      ['messages accepted by WhatsApp', counts.accepted],
      ['replies and opt-outs by callers', traffic.replies()],
      ['replies by hand on the page', traffic.byHand.length],
      ['events of the Pop-Up Screen sent', traffic.popupEvents()],
      ['calls with a person that was seen on the line', monitor.busy.size],
      ['missed calls on WhatsApp', traffic.whatsAppCalls.length],
      ['acknowledged but missing', counts.lost],
      ['stored twice', counts.storedTwice],
      ['sent twice', counts.sentTwice],
      ['accepted although WhatsApp answered that it was not', counts.answeredFalsely],
      ['answer lost, settled by a status', counts.settledByStatus],
      ['unknown in the end, each listed', counts.unknown.length],
      [
        'kills of the program at failpoints',
        `${sum(kills)} at ${kills.size} of ${FAILPOINTS.length}`,
      ],
      ...[...kinds].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      ['disk full', full.line],
      [
        'recovery after a fault',
        `${spread(delays)} (${delays.length} single faults; the slowest: ${slowestFault?.kind ?? 'none'})`,
      ],
      ['a claim is settled or unknown', spread(claims)],
      ['a record is acknowledged, under faults', spread(acknowledgedIn)],
      ['SIGTERM until both instances had ended', ms(stopMs)],
      ['duration', `${Math.round((Date.now() - started) / SECOND)} s`],
    ],
    kills,
    unknown: counts.unknown,
    postgres: environment.cluster.version,
    violations: [
      ...violations,
      ...open.map(what => `not settled: ${what}`),
      ...[...wrongAnswers, ...traffic.refusedByHand].map(what => `answered ${what}`),
      ...(leftOut > 0 ? [`too slow: ${leftOut} faults were left out`] : []),
      ...missing.map(point => `no kill at ${point}`),
      ...journal.unexpectedExits,
      ...(healthy.every(Boolean) ? [] : ['/healthz does not answer 200 in the end']),
      ...codes.filter(code => code !== 0).map(code => `after SIGTERM exit code ${code}`),
      ...tooSlow('SIGTERM ended the program', stopMs, STOP_GOAL_MS),
      ...tooSlow('the work was done (p99)', percentile(delays, 0.99), RECOVERY_GOAL_MS),
      ...tooSlow('a claim was settled', percentile(claims, 1), CLAIM_GOAL_MS),
      ...full.violations,
    ],
  }
}

export const ms = (value: number): string => `${Math.round(value)} ms`
export const spread = (values: readonly number[]): string => {
  const [p50, p99, max] = [0.5, 0.99, 1].map(share => ms(percentile(values, share)))
  return values.length === 0 ? 'none' : `p50 ${p50}, p99 ${p99}, max ${max}`
}

export const table = (rows: Row[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, figure]) => `${name.padEnd(width)}  ${figure}`).join('\n')
}

export const verdict = (violations: string[]): string =>
  violations.length > 0
    ? [`${violations.length} VIOLATIONS`, ...violations.slice(0, 100)].join('\n  ')
    : 'every promise was kept'

export const print = ({ rows, kills, unknown, violations }: Report): string => {
  const kinds = Map.groupBy(unknown, ({ kind, reason }) => `\n  ${kind} ${reason ?? ''}: `)
  const ids = [...kinds].map(([kind, messages]) => kind + messages.map(({ id }) => id).join(' '))
  return [
    table(rows),
    `kills by failpoint:\n${table(FAILPOINTS.map(point => [`  ${point}`, kills.get(point) ?? 0]))}`,
    `messages unknown in the end: ${ids.join('') || 'none'}`,
    verdict(violations),
  ].join('\n\n')
}

/** @param marks the name in the marks between which the block stands */
export const withBlock = (text: string, block: string, marks = 'chaos'): string =>
  text.replace(
    new RegExp(`(?<=<!-- ${marks}:begin -->\\n)[^]*(?=<!-- ${marks}:end -->)`),
    () => `\n${block}\n\n`,
  )

/** When, where and with which versions a run took place. */
export const circumstances = async (postgres: string): Promise<Row[]> => {
  const { at, commit, machine, versions } = await describeMachine({ Postgres: postgres })
  return [
    ['commit', commit.slice(0, 12)],
    ['date', at.slice(0, 10)],
    ['machine', `${machine.cores} x ${machine.cpu}, ${Math.round(machine.memoryMb / 1024)} GB`],
    ['Node, Postgres', `${versions.node}, ${postgres} (fsync on)`],
  ]
}

/** With padded cells, as prettier writes them. */
export const markdown = (header: string[], rows: (string | number)[][]): string => {
  const cells = [header, ...rows].map(row => row.map(String))
  const widths = header.map((_, at) => Math.max(3, ...cells.map(row => row[at]?.length ?? 0)))
  const line = (row: string[]) =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const [head, ...body] = cells.map(line)
  return [head, line(widths.map(width => '-'.repeat(width))), ...body].join('\n')
}

export const writeReport = async (file: string, report: Report): Promise<void> => {
  const { rows, kills, unknown, violations, postgres } = report
  const counts = Map.groupBy(unknown, ({ kind, reason }) => `${kind} (${reason ?? 'no reason'})`)
  const block = [
    violations.length
      ? `\`\`\`text\n${verdict(violations)}\n\`\`\``
      : '**Every promise was kept.**',
    markdown(['', ''], [...(await circumstances(postgres)), ...rows]),
    `Kills by failpoint: ${FAILPOINTS.map(point => `\`${point}\` ${kills.get(point) ?? 0}`).join(', ')}.`,
    `Unknown in the end: ${[...counts].map(([kind, messages]) => `${messages.length} ${kind}`).join(', ') || 'none'}.`,
  ].join('\n\n')
  await writeFile(file, withBlock(await readFile(file, 'utf8'), block))
}
