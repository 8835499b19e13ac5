/** What it costs to be full: ingest and draining beside two months of 300 businesses, and on an empty database. */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { burst } from './burst.ts'
import { startRingback, startWorker } from './contender.ts'
import { CONNECTIONS } from './ingest.ts'
import type { Database } from './postgres.ts'
import { ratios, type Section } from './result.ts'
import { interleaved, invalid } from './rounds.ts'
import { envOf, type Stage } from './stage.ts'
import { storeCalls } from './store_calls.ts'

const FILL = new URL('scale_fill.sql', import.meta.url)
const FULL = 'bench_full'
const EMPTY = 'contender'
/** Fewer are drained while the worker still warms up, and while every page that is written is written whole, as after each checkpoint. */
const CALLS = 10_000
/** After two minutes the first messages fall due. */
const DRAINED_WITHIN_MS = 100_000
const LOOK_EVERY_MS = 20
/** A table of a million rows has its mood too, but each round is long. */
const MOST_ROUNDS = 3

export const scale = async (stage: Stage): Promise<Section> => {
  const { postgres, say } = stage
  say('  storing 1,000,000 calls, 300,000 missed ones, 100,000 jobs')
  const full = await postgres.newDatabase(FULL)
  // What begins with a backslash is for psql.
  const fill = (await readFile(FILL, 'utf8')).replace(/^\\.*$/gm, '')
  // What it refers to is there: asking for each of millions of references would take as long as all the rest.
  await full.query(
    `set session_replication_role = replica; ${fill}; reset session_replication_role`,
  )
  await full.query('vacuum analyze')
  say('  stored')
  const { rows, notes } = await interleaved(
    [
      { name: 'empty', take: async () => await both(stage, await postgres.newDatabase(EMPTY)) },
      { name: 'full', take: () => both(stage, full) },
    ],
    { ...stage, rounds: Math.min(stage.rounds, MOST_ROUNDS) },
  )
  for (const name of [FULL, EMPTY]) await postgres.dropDatabase(name)
  const [empty, filled] = rows
  const loss = Object.keys(SPEEDS).map(speed => [
    SPEEDS[speed],
    ratios(filled?.figures[speed] ?? [], empty?.figures[speed] ?? []).map(ratio =>
      ratio === null ? null : 100 * (1 - ratio),
    ),
  ])
  return {
    section: 'scale',
    title: 'On an empty database, and beside 1,000,000 calls, 300,000 missed ones and 100,000 jobs',
    rows: [...rows, { name: 'loss', figures: Object.fromEntries(loss) }],
    notes: [...notes, 'The goal is a loss of at most 10 %; a negative one is a gain.'],
  }
}

const SPEEDS: Record<string, string> = {
  'requests/s': 'ingest: loss %',
  'calls drained/s': 'draining: loss %',
}

const both = async (stage: Stage, database: Database) => {
  const before = await newest(database)
  try {
    await storeCalls(stage, database.url, CALLS)
    const drained = await drainedPerSecond(stage, database, before)
    const taken = await takenIn(stage, database)
    return { ...taken, 'calls drained/s': drained }
  } finally {
    await asBefore(database, before)
  }
}

type Newest = { raw_cdrs: string; missed_calls: string; leads: string }

const newest = async (database: Database): Promise<Newest> => {
  const { rows } = await database.query<Newest>(
    `select (select coalesce(max(id), 0) from raw_cdrs) as raw_cdrs,
            (select coalesce(max(id), 0) from missed_calls) as missed_calls,
            (select coalesce(max(id), 0) from leads) as leads`,
  )
  const [found] = rows
  if (!found) throw new Error('the database tells nothing')
  return found
}

const count = async (database: Database, table: string, after: string): Promise<number> => {
  const { rows } = await database.query<{ n: number }>(
    `select count(*)::int as n from ${table} where id > $1`,
    [after],
  )
  return rows[0]?.n ?? 0
}

/** From the first call that is done to the last. */
const drainedPerSecond = async (
  stage: Stage,
  database: Database,
  before: Newest,
): Promise<number> => {
  await stage.postgres.checkpoint()
  const worker = await startWorker(envOf(stage, database.url))
  try {
    let first: { at: number; done: number } | null = null
    for (const until = performance.now() + DRAINED_WITHIN_MS; performance.now() < until;) {
      const done = await count(database, 'missed_calls', before.missed_calls)
      const at = performance.now()
      if (done > 0) first ??= { at, done }
      if (first && done === CALLS) return ((CALLS - first.done) * 1000) / (at - first.at)
      await sleep(LOOK_EVERY_MS, undefined, { signal: stage.signal })
    }
    throw invalid(`${CALLS} calls were not done within ${DRAINED_WITHIN_MS / 1000} s`)
  } finally {
    await worker.stop()
  }
}

const takenIn = async (stage: Stage, database: Database) => {
  const { raw_cdrs } = await newest(database)
  const contender = await startRingback('web', envOf(stage, database.url))
  const atWork = {
    contender,
    storeCpu: stage.postgres.cpuSeconds,
    stored: () => count(database, 'raw_cdrs', raw_cdrs),
    judged: async () => null,
    end: contender.stop,
  }
  try {
    return await burst(stage, atWork, CONNECTIONS)
  } finally {
    await atWork.end()
  }
}

/** So that the next round finds what this one has found. What waits of the full database is due in days. */
const asBefore = async (database: Database, { raw_cdrs, missed_calls, leads }: Newest) => {
  await database.query(
    `delete from graphile_worker._private_jobs where run_at < now() + interval '1 day'`,
  )
  await database.query('delete from missed_calls where id > $1', [missed_calls])
  await database.query('delete from leads where id > $1', [leads])
  await database.query('delete from raw_cdrs where id > $1', [raw_cdrs])
  for (const table of ['graphile_worker._private_jobs', 'missed_calls', 'leads', 'raw_cdrs'])
    await database.query(`vacuum analyze ${table}`)
}
