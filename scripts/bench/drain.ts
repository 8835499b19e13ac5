/**
 * How fast a worker turns stored calls into missed calls with a message that is due in two minutes. All calls are missed and
 * have different callers and the same tenant. Ringback's worker is compared with BullMQ's.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Program, run, start, startWorker, waitUntil } from '../processes.ts'
import type { Database, Environment } from './environment.ts'
import { callBodies, meter, storeCalls } from './load.ts'
import { BULLMQ, countBullmqJobs, startRedis, whyNoBullmq } from './peers.ts'
import { figureOf, type Figures, interleave, InvalidTurn } from './results.ts'
import { median, ratios, type Section, type Turn } from './results.ts'

const CALLS = 5000
/** The number of jobs that BullMQ's worker runs at once: first that of the Redis design. */
const BULLMQ_CONCURRENCY = [5, 10, 20, 50, 100]
const MAX_ROUNDS = 3
const POLL_MS = 20
/** After two minutes the first messages are due. */
const DRAINED_WITHIN_MS = 100_000
const SETTLED_WITHIN_MS = 10_000

/** The database with the stored calls. Each turn of Ringback drains a copy. */
const FILLED = 'bench_drain_filled'
const DRAINED = 'bench_drain'

export const drain = async (environment: Environment): Promise<Section> => {
  const { postgres, say } = environment
  say(`  storing ${CALLS} calls`)
  await using filled = await postgres.newDatabase(FILLED)
  await storeCalls(environment, filled.url, CALLS)
  // Autovacuum would do so within a minute.
  await filled.query('vacuum analyze raw_cdrs')
  await filled.disconnect()

  const turns = [ringback(environment)]
  if (!whyNoBullmq()) turns.push(...BULLMQ_CONCURRENCY.map(n => bullmq(environment, n)))
  const { rows, notes } = await interleave(turns, environment, MAX_ROUNDS)

  const rate = (name: string) => figureOf(rows, name, 'calls/s')
  const bullmqAt = (n: number) => rate(`bullmq worker at ${n}`)
  const [best = []] = BULLMQ_CONCURRENCY.map(bullmqAt).toSorted(
    (a, b) => (median(b) ?? 0) - (median(a) ?? 0),
  )
  for (const { name, figures } of rows) {
    figures['x bullmq at 5'] = ratios(rate(name), bullmqAt(5))
    figures['x bullmq at its best'] = ratios(rate(name), best)
  }
  return { title: `Draining ${CALLS} missed calls, from the first to the last`, rows, notes }
}

const ringback = ({ postgres, signal }: Environment): Turn => ({
  name: 'ringback worker',
  take: async () => {
    await using database = await postgres.newDatabase(DRAINED, FILLED)
    return await measure(database, signal, {
      start: () => startWorker(postgres.envFor(database.url)),
      stores: { 'CPU ms per 1,000, postgres': postgres.cpuSeconds },
      check: async () => {
        await settled(async () => (await database.number(JOBS_LEFT)) === 0)
        const { rows } = await database.query<Record<string, string>>(RESULTS)
        for (const [what, found] of Object.entries(rows[0] ?? {})) expectAll(what, Number(found))
      },
    })
  },
})

const JOBS_LEFT = `select count(*) as n from graphile_worker.jobs where task_identifier = 'voicenter_cdr'`
/** Each column must be the number of calls. */
const RESULTS = `
  select (select count(*) from raw_cdrs where verdict = 'missed') as "classified calls",
         (select count(*) from missed_calls) as "missed calls",
         (select count(distinct call_id) from missed_calls
          where outreach_state = 'scheduled' and outreach_reason = 'waiting') as "scheduled calls",
         (select count(*) from leads) as leads,
         (select count(*) from graphile_worker.jobs j
          join missed_calls m on j.key = 'lead_outreach:' || m.id and j.run_at = m.outreach_due_at
          where j.attempts = 0 and m.outreach_due_at - m.created_at = interval '2 minutes') as "waiting jobs"`

const DISTINCT_CALLS = 'select count(distinct call_id) as n from missed_calls'

const bullmq = ({ postgres, signal }: Environment, concurrency: number): Turn => ({
  name: `bullmq worker at ${concurrency}`,
  take: async () => {
    await using database = await postgres.newDatabase(DRAINED, 'template1')
    await using redis = await startRedis()
    const settings = { REDIS_URL: redis.url, CONCURRENCY: `${concurrency}` }
    const env = { ...postgres.envFor(database.url), ...settings }
    const next = callBodies()
    const input = Array.from({ length: CALLS }, () => `${next()}\n`).join('')
    await run([BULLMQ, 'fill'], { env }, { input })
    return await measure(database, signal, {
      start: () => start([BULLMQ, 'worker'], env, /^ready\n/m),
      stores: {
        'CPU ms per 1,000, postgres': postgres.cpuSeconds,
        'CPU ms per 1,000, redis': redis.cpuSeconds,
      },
      check: async worker => {
        await settled(async () =>
          Object.values((await countBullmqJobs(env)).cdr).every(n => n === 0),
        )
        expectAll('missed calls', await database.number(DISTINCT_CALLS))
        expectAll('waiting jobs', (await countBullmqJobs(env)).outreach['delayed'] ?? 0)
        if (worker.errors()) throw new InvalidTurn(`the worker reported:\n${worker.errors()}`)
      },
    })
  },
})

type Run = {
  start: () => Promise<Program>
  /** CPU seconds of the stores that the worker uses, by the name of the figure. */
  stores: Record<string, () => Promise<number | null>>
  /** Throws InvalidTurn if the worker did not do what it should. */
  check: (worker: Program) => Promise<void>
}

const measure = async (
  database: Database,
  signal: AbortSignal,
  { start, stores, check }: Run,
): Promise<Figures> => {
  // Counting starts first, because the worker may drain calls before it reports that it is ready.
  const failed = new AbortController()
  const drained = drainRate(
    () => database.number('select count(*) as n from missed_calls'),
    CALLS,
    AbortSignal.any([failed.signal, signal]),
  )
  drained.catch(() => {}) // It is thrown below, unless the worker does not start.
  try {
    await using worker = await start()
    const cpu = await meter({ 'CPU ms per 1,000, worker': worker.cpuSeconds, ...stores })
    const figures = { 'calls/s': await drained, ...(await cpu(1e6 / CALLS)) }
    await check(worker)
    return figures
  } finally {
    failed.abort()
  }
}

/**
 * Waits until all calls are drained. The rate counts from the first call that is seen drained to the last, so that neither
 * the start of the worker nor its end counts.
 */
export const drainRate = async (
  countDrained: () => Promise<number>,
  calls: number,
  signal: AbortSignal,
): Promise<number> => {
  let first: { at: number; drained: number } | null = null
  for (const limit = performance.now() + DRAINED_WITHIN_MS; performance.now() < limit;) {
    const drained = await countDrained()
    const at = performance.now()
    if (drained > 0) first ??= { at, drained }
    if (first && drained >= calls) {
      if (first.drained >= calls) throw new InvalidTurn('all were drained at once: use more calls')
      return ((calls - first.drained) * 1000) / (at - first.at)
    }
    await sleep(POLL_MS, undefined, { signal })
  }
  throw new InvalidTurn(
    `${calls} calls were not drained within ${DRAINED_WITHIN_MS / 1000} s: use fewer`,
  )
}

/** Waits for jobs that end shortly after the last call is drained. */
const settled = async (isSettled: () => Promise<boolean>): Promise<void> => {
  if (!(await waitUntil(isSettled, SETTLED_WITHIN_MS)))
    throw new InvalidTurn('jobs are left in the queue')
}

const expectAll = (what: string, found: number): void => {
  if (found !== CALLS) throw new InvalidTurn(`${CALLS} calls, but ${found} ${what}`)
}
