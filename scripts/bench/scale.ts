/** What a full database costs: ingest and draining with two months of data of 300 tenants, and on an empty database. */
import { readFile } from 'node:fs/promises'
import { startRingback, startWorker } from '../processes.ts'
import { drainRate } from './drain.ts'
import type { Database, Environment } from './environment.ts'
import { burst, CONNECTIONS, storeCalls } from './load.ts'
import { figureOf, interleave, ratios, type Section } from './results.ts'

/**
 * With fewer calls the figures show only the warm-up of the worker and the first writes after a checkpoint, in which Postgres
 * writes whole pages.
 */
const CALLS = 10_000
const MAX_ROUNDS = 3

export const scale = async (environment: Environment): Promise<Section> => {
  const { postgres, say } = environment
  say('  storing 1,000,000 calls, 300,000 missed ones, 100,000 jobs')
  await using full = await postgres.newDatabase('bench_full')
  const fill = await readFile(new URL('scale_fill.sql', import.meta.url), 'utf8')
  // To check millions of foreign keys would take as long as everything else.
  await full.query(
    `set session_replication_role = replica; ${fill}; reset session_replication_role`,
  )
  await full.query('vacuum analyze')
  say('  stored')
  const onEmpty = async () => {
    await using empty = await postgres.newDatabase('bench_empty')
    return await measure(environment, empty)
  }
  const onFull = () => measure(environment, full)
  const turns = [
    { name: 'empty', take: onEmpty },
    { name: 'full', take: onFull },
  ]
  const { rows, notes } = await interleave(turns, environment, MAX_ROUNDS)
  const loss = (figure: string) =>
    ratios(figureOf(rows, 'full', figure), figureOf(rows, 'empty', figure)).map(ratio =>
      ratio === null ? null : 100 * (1 - ratio),
    )
  const figures = {
    'ingest: loss %': loss('requests/s'),
    'draining: loss %': loss('calls drained/s'),
  }
  return {
    title:
      'On an empty database, and on one with 1,000,000 calls, 300,000 missed calls and 100,000 jobs',
    rows: [...rows, { name: 'loss', figures }],
    notes: [...notes, 'The goal is a loss of at most 10 %. A negative loss is a gain.'],
  }
}

const measure = async (environment: Environment, database: Database) => {
  const { postgres } = environment
  const before = await newestIds(database)
  const countSince = (table: string, id: string | undefined) => () =>
    database.number(`select count(*) as n from ${table} where id > $1`, [id])
  try {
    await storeCalls(environment, database.url, CALLS)
    const drained = await drain(
      environment,
      database,
      countSince('missed_calls', before['missed_calls']),
    )
    const stored = countSince('raw_cdrs', (await newestIds(database))['raw_cdrs'])
    const figures = await burst(environment, CONNECTIONS, async () => ({
      ...(await startRingback('web', postgres.envFor(database.url))),
      storeCpu: postgres.cpuSeconds,
      stored,
    }))
    return { ...figures, 'calls drained/s': drained }
  } finally {
    await restore(database, before)
  }
}

const drain = async (
  { postgres, signal }: Environment,
  database: Database,
  countDrained: () => Promise<number>,
): Promise<number> => {
  await postgres.checkpoint()
  await using _worker = await startWorker(postgres.envFor(database.url))
  return await drainRate(countDrained, CALLS, signal)
}

/** In an order in which rows can be deleted. */
const TABLES = ['missed_calls', 'leads', 'raw_cdrs']

const newestIds = async (database: Database): Promise<Record<string, string>> => {
  const ids = TABLES.map(table => `(select coalesce(max(id), 0) from ${table}) as ${table}`)
  const { rows } = await database.query<Record<string, string>>(`select ${ids.join()}`)
  return rows[0] ?? {}
}

/** Deletes what the turn added. The jobs of the full database are due in ten days or later. */
const restore = async (database: Database, before: Record<string, string>): Promise<void> => {
  await database.query(
    `delete from graphile_worker._private_jobs where run_at < now() + interval '1 day'`,
  )
  for (const table of TABLES)
    await database.query(`delete from ${table} where id > $1`, [before[table]])
  for (const table of ['graphile_worker._private_jobs', ...TABLES])
    await database.query(`vacuum analyze ${table}`)
}
