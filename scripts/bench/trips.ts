/**
 * How many statements Ringback sends per call. Each is a round trip to the database. The server counts them with
 * pg_stat_statements. This section has a Postgres of its own, so that the counting slows down no other section.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Database, type Environment, startPostgres } from './environment.ts'
import { CONNECTIONS, drive } from './load.ts'
import { startRingback, startWorker } from './processes.ts'
import type { Row, Section } from './results.ts'

const SECONDS = 3
const CLASSIFIED_WITHIN_MS = 90_000
/** Statements with fewer executions per call do not depend on calls. */
const RARE = 0.005
const TITLE_LENGTH = 70

/** Per call: the number of executions, and the milliseconds of the server. */
type Cost = { trips: number; ms: number }
type Statements = Map<string, Cost>

export const trips = async (environment: Environment): Promise<Section> => {
  const postgres = await startPostgres(environment.onCleanUp, {
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track_planning': 'on',
  })
  const columns: Record<string, Statements> = {}
  for (const connections of [1, CONNECTIONS]) {
    environment.say(`  calls over ${connections} connection${connections > 1 ? 's' : ''}`)
    const { ingest, draining } = await measure({ ...environment, postgres }, connections)
    columns[`ingest, ${connections}`] = ingest
    columns[`draining, ${connections}`] = draining
  }
  const row = (name: string, includes: (statement: string) => boolean): Row => {
    const figures: Row['figures'] = {}
    for (const [title, statements] of Object.entries(columns)) {
      const costs = [...statements].filter(([statement]) => includes(statement))
      const sum = (what: keyof Cost) => costs.reduce((sum, [, cost]) => sum + cost[what], 0) || null
      figures[title] = [sum('trips')]
      figures[`${title}: ms`] = [sum('ms')]
    }
    return { name, figures }
  }
  const all = new Set(Object.values(columns).flatMap(statements => [...statements.keys()]))
  return {
    title: 'Round trips to the database per call, by the number of connections',
    rows: [
      row('all', () => true),
      ...[...all].map(name => row(name, statement => statement === name)),
    ],
    notes: [
      'Every statement counts as one, also begin and commit. ms: time of the server with planning, without the wait for the disk at commit. The worker drains while calls come in.',
    ],
  }
}

/** The web connects as another user than the worker, so that their statements can be told apart. */
const measure = async ({ postgres, signal }: Environment, connections: number) => {
  const database = await postgres.newDatabase('bench_trips')
  await database.query('create extension pg_stat_statements')
  const web = await startRingback('web', postgres.envFor(database.adminUrl))
  try {
    const worker = await startWorker(postgres.envFor(database.url))
    try {
      const url = postgres.webhookUrl(web.url)
      await drive(url, connections, 1, signal)
      await allClassified(database)
      await database.query('select pg_stat_statements_reset()')
      const load = await drive(url, connections, SECONDS, signal)
      const notStored = load.wrong + load.failed
      if (notStored) throw new Error(`${notStored} calls were not stored`)
      const ingest = await statements(database, 'postgres', load.requests)
      await allClassified(database)
      return { ingest, draining: await statements(database, 'ringback', load.requests) }
    } finally {
      await worker.stop()
    }
  } finally {
    await web.stop()
  }
}

const allClassified = async (database: Database): Promise<void> => {
  const unclassified = 'select count(*) as n from raw_cdrs where verdict is null'
  for (const limit = Date.now() + CLASSIFIED_WITHIN_MS; Date.now() < limit; await sleep(100))
    if ((await database.number(unclassified)) === 0) return
  throw new Error('the worker did not classify all calls')
}

/** What a user sent, without the statements of this section. */
const statements = async (database: Database, user: string, calls: number): Promise<Statements> => {
  const { rows } = await database.query<{ query: string; n: number; ms: number }>(
    `select query, sum(calls)::int as n, sum(total_exec_time + total_plan_time) as ms from pg_stat_statements
     where userid = $1::regrole and dbid = (select oid from pg_database where datname = current_database())
       and query !~ 'verdict is null|pg_stat_statements'
     group by query order by ms desc`,
    [user],
  )
  const costs: Statements = new Map()
  for (const { query, n, ms } of rows) {
    const name = n / calls < RARE ? 'rare ones' : `  ${shortened(query)}`
    const sum = costs.get(name) ?? { trips: 0, ms: 0 }
    costs.set(name, { trips: sum.trips + n / calls, ms: sum.ms + ms / calls })
  }
  return costs
}

const shortened = (query: string): string =>
  query.replace(/--.*/g, '').replace(/\s+/g, ' ').trim().slice(0, TITLE_LENGTH)
