/** One run from the first record to the verdict. */
import { setTimeout as sleep } from 'node:timers/promises'
import { FAILPOINTS } from '../../app/failpoints.ts'
import { check } from './check.ts'
import { healthy } from './copy.ts'
import { newCustomers } from './customers.ts'
import { leaksIn, readDatabase, readFake } from './evidence.ts'
import { driving } from './drive.ts'
import { endFaults } from './faults.ts'
import { fullDisk } from './full_disk.ts'
import type { Ledger } from './ledger.ts'
import type { Plan } from './plan.ts'
import { seeded } from './random.ts'
import { settled } from './settle.ts'
import { setStage, type Stage } from './stage.ts'
import { outside, recoveries } from './times.ts'
import { count, newVendor, type Vendor } from './vendor.ts'
import { watch, type Watch } from './watch.ts'
import { doFaults } from './weather.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** How long everything may take to come to an end, once the faults are over. */
const SETTLE_WITHIN_MS = 4 * MINUTE
/** The rest of the time is for everything to come to an end. */
const FAULTS_SHARE = 0.6
const TELL_EVERY_MS = 5 * SECOND
/** The platform's patience after SIGTERM, less a reserve. */
const STOP_WITHIN_MS = 25 * SECOND

export const run = async (
  plan: Plan,
  {
    say,
    onCleanUp,
    signal,
    keep,
  }: {
    say: (text: string) => void
    onCleanUp: (task: () => Promise<void>) => void
    signal: AbortSignal
    /** The logs stay. */
    keep: boolean
  },
): Promise<Ledger> => {
  const started = Date.now()
  const random = seeded(plan.seed)
  say('setting the stage: Postgres with fsync on, two copies of the program, a fake WhatsApp')
  const stage = await setStage(onCleanUp, keep)
  const vendor = newVendor(stage.url)
  const customers = newCustomers(stage.fake)
  const seen = watch(stage.database)
  onCleanUp(async () => {
    vendor.stop()
    await customers.stop()
    await seen.stop()
  })

  const kills = () => stage.faults.filter(({ point }) => point !== null).length
  const missing = () => FAILPOINTS.filter(point => !stage.points.has(point))
  const deadline = AbortSignal.timeout(FAULTS_SHARE * plan.minutes * MINUTE)
  const ended = new AbortController()
  const either = AbortSignal.any([signal, deadline, ended.signal])
  const telling = setInterval(
    () => say(progress(stage, vendor, seen, kills(), missing().length)),
    TELL_EVERY_MS,
  )
  onCleanUp(async () => clearInterval(telling))

  say(`driving: ${plan.cdrs} records over ${plan.seconds} s`)
  const drive = driving(plan, stage, vendor, customers, seen, random.fork('stories'))
  let faultsAreOver = false
  const traffic = drive.traffic(
    () => !either.aborted && (vendor.posts() < plan.cdrs || !faultsAreOver),
    () => FAILPOINTS.filter(point => (stage.points.get(point) ?? 0) < plan.stormKillsAtEach),
  )
  const leftOut = await doFaults(plan, stage, seen, random, either, say)
  faultsAreOver = true
  const people = await traffic
  ended.abort()
  signal.throwIfAborted()
  const calm = Date.now()

  say('the faults are over; waiting until everything has come to an end')
  await endFaults(stage)
  const disk = fullDisk(stage, onCleanUp)
  // Waited for below; until then its failure is nobody's.
  disk.catch(() => {})
  await drive.told()
  const open = await settled(
    stage.database,
    () => [
      ...(vendor.unanswered() ? [`${vendor.unanswered()} records not acknowledged`] : []),
      ...(pendingWebhooks(stage)
        ? [`${pendingWebhooks(stage)} webhooks of WhatsApp not acknowledged`]
        : []),
    ],
    SETTLE_WITHIN_MS,
    signal,
  )
  signal.throwIfAborted()
  const health = await Promise.all(stage.copies.map(({ port }) => healthy(port)))
  await sleep(2 * SECOND)
  await customers.stop()
  await seen.stop()
  clearInterval(telling)

  say('counting at both ends')
  const halted = Date.now()
  const codes = await Promise.all(stage.copies.map(copy => copy.halt()))
  const stopMs = Date.now() - halted
  const customersOf = new Map(people)
  const phones = new Set([
    ...customersOf.keys(),
    ...stage.businesses.flatMap(({ ownerPhone }) => ownerPhone ?? []),
  ])
  const leaks = []
  for (const { log } of stage.copies) leaks.push(...(await leaksIn(log, phones, stage.secrets)))
  const { violations, counts } = check({
    promised: vendor.promised(),
    ...(await readDatabase(stage.database)),
    ...readFake(stage.fake),
    stops: seen.stops(),
    businesses: stage.businesses,
    customers: customersOf,
    leaks,
  })
  const { rows } = await stage.database.query<{ n: number }>(
    `select count(*)::int as n from messages where claimed_at is not null and accepted_at is null and state in ('sent', 'delivered', 'read')`,
  )
  const full = await disk
  const faultsByKind = new Map<string, number>()
  for (const { kind } of stage.faults) count(faultsByKind, kind)
  return {
    plan,
    violations: [
      ...violations,
      ...open.map(what => `not settled: ${what}`),
      ...vendor.wrongAnswers().map(what => `answered ${what}`),
      ...(leftOut > 0 ? [`too slow: ${leftOut} faults were left out`] : []),
      ...(plan.kills > 0 ? missing().map(point => `nobody was killed at ${point}`) : []),
      ...stage.unwanted,
      ...(health.every(Boolean) ? [] : ['/healthz does not answer 200 in the end']),
      ...codes.flatMap(code => (code === 0 ? [] : [`after SIGTERM exit code ${code}`])),
      ...(stopMs > STOP_WITHIN_MS ? [`SIGTERM took ${stopMs} ms`] : []),
      ...full.violations,
    ],
    counts: { ...counts, settledByReport: rows[0]?.n ?? 0 },
    posts: vendor.posts(),
    answers: vendor.answers(),
    acknowledgedIn: vendor.acknowledgedIn(),
    replies: customers.written(),
    requests: stage.fake.requests().length,
    failedRequests: stage.fake
      .requests()
      .filter(({ outcome, status }) => outcome !== 'accept' || status !== 200).length,
    faults: faultsByKind,
    points: stage.points,
    recoveries: recoveries(
      stage.faults.map(fault => ({ ...fault, back: Math.min(fault.back, calm) })),
      seen.work(),
      stage.absences.intervals(),
    ),
    claims: seen
      .claims()
      .map(({ since, done }) => outside(since, done, stage.absences.intervals())),
    fullDisk: full.line,
    stopMs,
    seconds: (Date.now() - started) / SECOND,
    postgres: stage.cluster.version,
  }
}

const pendingWebhooks = ({ fake }: Stage): number =>
  fake.deliveries().filter(({ state }) => state !== 'delivered').length

const progress = (
  stage: Stage,
  vendor: Vendor,
  seen: Watch,
  kills: number,
  missing: number,
): string =>
  [
    `${vendor.posts()} records (${vendor.unanswered()} unanswered)`,
    `${stage.fake.accepted().length} messages`,
    `${kills} kills at ${stage.points.size} points (${missing} missing)`,
    `${stage.faults.length - kills} other faults`,
    `${seen.waiting().length} waiting`,
    `copies ${stage.copies.map(copy => (copy.isReady() ? 'up' : 'down')).join('/')}`,
  ].join(', ')
