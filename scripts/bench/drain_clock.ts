/** From the first call that is done to the last: so neither the start of a worker counts nor how it ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from './postgres.ts'
import { invalid } from './rounds.ts'

const LOOK_EVERY_MS = 20
/** After two minutes the first messages fall due. */
const DONE_WITHIN_MS = 100_000
const SETTLED_WITHIN_MS = 10_000

type Cpu = () => Promise<number | null>
type Run = {
  /** Where the missed calls appear. */
  database: Database
  calls: number
  /** Resolves when the worker is at work. */
  start: () => Promise<{ cpuSeconds: Cpu; stop: () => Promise<void> }>
  /** Who else works for it. */
  cpu: Record<string, Cpu>
  /** @throws invalid when the outcome is not what it must be */
  check: () => Promise<void>
  signal: AbortSignal
}

export const timed = async ({ database, calls, start, cpu, check, signal }: Run) => {
  const giveUp = new AbortController()
  const watched = watch(database, calls, AbortSignal.any([giveUp.signal, signal]))
  // Awaited below; until then a failure is nobody's.
  watched.catch(() => {})
  let worker
  try {
    worker = await start()
    const meters = { worker: worker.cpuSeconds, ...cpu }
    const before = await readAll(meters)
    const rate = await watched
    const after = await readAll(meters)
    await check()
    const spent = Object.keys(meters).map(name => {
      const [from = null, to = null] = [before[name], after[name]]
      const ms = from === null || to === null ? null : ((to - from) * 1000 * 1000) / calls
      return [`CPU ms per 1,000, ${name}`, ms]
    })
    return { 'calls/s': rate, ...Object.fromEntries(spent) }
  } finally {
    giveUp.abort()
    await worker?.stop()
  }
}

const readAll = async (meters: Record<string, Cpu>): Promise<Record<string, number | null>> =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(meters).map(async ([name, read]) => [name, await read()] as const),
    ),
  )

/** @returns calls a second, not counting those that were seen done first */
const watch = async (database: Database, calls: number, signal: AbortSignal): Promise<number> => {
  let first: { at: number; done: number } | null = null
  for (const until = performance.now() + DONE_WITHIN_MS; performance.now() < until;) {
    const done = await missedCalls(database)
    const at = performance.now()
    if (done > 0) first ??= { at, done }
    if (first && done >= calls) {
      if (first.done >= calls) throw invalid('all were done at once: take more calls')
      return ((calls - first.done) * 1000) / (at - first.at)
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal })
  }
  throw invalid(`${calls} calls were not done within ${DONE_WITHIN_MS / 1000} s: take fewer`)
}

/** None while the table is still to be made. */
const missedCalls = async (database: Database): Promise<number> => {
  const { rows } = await database.query<{ there: boolean }>(
    `select to_regclass('missed_calls') is not null as there`,
  )
  return rows[0]?.there ? count(database, 'select count(*)::int as n from missed_calls') : 0
}

/** @param text selects one number as n */
export const count = async (database: Database, text: string): Promise<number> => {
  const { rows } = await database.query<{ n: number }>(text)
  return rows[0]?.n ?? 0
}

/** Waits for what follows within a moment. */
export const settled = async (is: () => Promise<boolean>): Promise<void> => {
  for (const until = performance.now() + SETTLED_WITHIN_MS; !(await is()); await sleep(50))
    if (performance.now() > until) throw invalid('jobs are left in the queue')
}

/** @throws invalid when there are more or fewer of something than calls */
export const expectAll = (calls: number, found: Record<string, number>): void => {
  const wrong = Object.entries(found).filter(([, n]) => n !== calls)
  if (wrong.length)
    throw invalid(`of ${calls} calls: ${wrong.map(([what, n]) => `${n} ${what}`).join(', ')}`)
}
