/**
 * How many statements Ringback sends per call. Each is a round trip to the database. The server counts them with
 * pg_stat_statements. This section has a Postgres of its own, so that the counting slows down no other section.
 */
import { startRingback, startWorker, waitUntil } from '../processes.ts'
import { type Database, type Environment, startPostgres } from './environment.ts'
import { CONNECTIONS, drive } from './load.ts'
import type { Row, Section } from './results.ts'

const SECONDS = 3
const CLASSIFIED_WITHIN_MS = 90_000

export const trips = async ({ say, signal }: Environment): Promise<Section> => {
  await using postgres = await startPostgres({
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track_planning': 'on',
  })
  const rows: Row[] = []
  for (const connections of [1, CONNECTIONS]) {
    say(`  calls over ${connections} connection${connections > 1 ? 's' : ''}`)
    await using database = await postgres.newDatabase('bench_trips')
    await database.query('create extension pg_stat_statements')
    // The web connects as another user than the worker, so that their statements can be told apart.
    await using web = await startRingback('web', postgres.envFor(database.adminUrl))
    await using _worker = await startWorker(postgres.envFor(database.url))
    const url = postgres.webhookUrl(web.url)
    await drive(url, connections, 1, signal)
    await allClassified(database)
    await database.query('select pg_stat_statements_reset()')
    const { requests, failed } = await drive(url, connections, SECONDS, signal)
    if (failed) throw new Error(`${failed} calls were not acknowledged`)
    const ingest = await statementsOf(database, 'postgres', requests)
    rows.push({ name: `ingest, ${connections}`, figures: ingest })
    await allClassified(database)
    const draining = await statementsOf(database, 'ringback', requests)
    rows.push({ name: `draining, ${connections}`, figures: draining })
  }
  return {
    title: 'Round trips to the database per call, by the number of connections',
    rows,
    notes: [
      'Every statement counts as one, also begin and commit. ms: time of the server with planning, without the wait for the disk at commit. The worker drains while calls come in.',
    ],
  }
}

const allClassified = async (database: Database): Promise<void> => {
  const unclassified = 'select count(*) as n from raw_cdrs where verdict is null'
  const isDone = async () => (await database.number(unclassified)) === 0
  if (!(await waitUntil(isDone, CLASSIFIED_WITHIN_MS, { pollMs: 100 })))
    throw new Error('the worker did not classify all calls')
}

/** What a user sent per call, without the statements of this section. */
const statementsOf = async (database: Database, user: string, calls: number) => {
  const { rows } = await database.query<{ n: number; ms: number }>(
    `select sum(calls)::int as n, sum(total_exec_time + total_plan_time) as ms from pg_stat_statements
     where userid = $1::regrole and dbid = (select oid from pg_database where datname = current_database())
       and query !~ 'verdict is null|pg_stat_statements'`,
    [user],
  )
  const { n = 0, ms = 0 } = rows[0] ?? {}
  return { statements: [n / calls], ms: [ms / calls] }
}
