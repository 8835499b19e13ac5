/**
 * How often the program asks the database for each call, for every question is a round trip. Counted by the server
 * itself (pg_stat_statements), which is told to look for this section only: a Postgres of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startRingback, startWorker } from './contender.ts'
import { CONNECTIONS } from './ingest.ts'
import { drive } from './load.ts'
import { type Database, startPostgres } from './postgres.ts'
import type { Row, Section } from './result.ts'
import { doorOf, envOf, type Stage } from './stage.ts'

const SECONDS = 3
const DRAINED_WITHIN_MS = 90_000
/** What comes less often has nothing to do with calls. */
const RARE = 0.005
/** Rows that say which statement it is. */
const LETTERS = 70

export const trips = async (stage: Stage): Promise<Section> => {
  const postgres = await startPostgres(stage.onCleanUp, {
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track_planning': 'on',
  })
  const columns: Record<string, Asked> = {}
  for (const connections of [1, CONNECTIONS]) {
    stage.say(`  calls over ${connections} connection${connections > 1 ? 's' : ''}`)
    const { ingest, draining } = await counted({ ...stage, postgres }, connections)
    columns[`ingest, ${connections}`] = ingest
    columns[`draining, ${connections}`] = draining
  }
  const queries = [...new Set(Object.values(columns).flatMap(asked => [...asked.keys()]))]
  const row = (name: string, mine: (query: string) => boolean): Row => ({
    name,
    figures: Object.fromEntries(
      Object.entries(columns).flatMap(([title, asked]) => {
        const found = [...asked].filter(([query]) => mine(query)).map(([, cost]) => cost)
        const sum = (what: keyof Cost) => found.reduce((sum, cost) => sum + cost[what], 0) || null
        return [
          [title, [sum('trips')]],
          [`${title}: ms`, [sum('ms')]],
        ]
      }),
    ),
  })
  return {
    section: 'trips',
    title: 'Round trips to the database per call, by how many connections the calls come over',
    rows: [row('all', () => true), ...queries.map(query => row(query, one => one === query))],
    notes: [
      'Every statement that the program sent counts as one, begin and commit too; ms: of the server, planning included, waiting for the disk at commit not. The worker drains while calls come in.',
    ],
  }
}

/** The web comes as another user than the worker, so that it can be told who asked. */
const counted = async (stage: Stage, connections: number) => {
  const { postgres, signal } = stage
  const database = await postgres.newDatabase('contender')
  await database.query('create extension pg_stat_statements')
  const web = await startRingback('web', envOf(stage, postgres.adminUrl(database.name)))
  try {
    const worker = await startWorker(envOf(stage, database.url))
    try {
      const door = doorOf(stage, web.url)
      await drive(door, { connections, seconds: 1, signal })
      await drained(database)
      await database.query('select pg_stat_statements_reset()')
      const { requests, wrong, failed } = await drive(door, {
        connections,
        seconds: SECONDS,
        signal,
      })
      if (wrong + failed) throw new Error(`${wrong + failed} calls were not taken in`)
      const ingest = await asked(database, 'postgres', requests)
      await drained(database)
      return { ingest, draining: await asked(database, 'ringback', requests) }
    } finally {
      await worker.stop()
    }
  } finally {
    await web.stop()
  }
}

const drained = async (database: Database): Promise<void> => {
  const waiting = `select count(*)::int as n from raw_cdrs where verdict is null`
  for (const until = Date.now() + DRAINED_WITHIN_MS; Date.now() < until; await sleep(100)) {
    const { rows } = await database.query<{ n: number }>(waiting)
    if (rows[0]?.n === 0) return
  }
  throw new Error('the worker did not judge all calls')
}

/** For each call: how many round trips, and how many milliseconds of the server. */
type Cost = { trips: number; ms: number }
/** By statement. */
type Asked = Map<string, Cost>

const asked = async (database: Database, user: string, calls: number): Promise<Asked> => {
  const { rows } = await database.query<{ query: string; n: number; ms: number }>(
    `select query, sum(calls)::int as n, sum(total_exec_time + total_plan_time) as ms from pg_stat_statements
     where userid = $1::regrole and dbid = (select oid from pg_database where datname = current_database())
       and query !~ 'verdict is null|pg_stat_statements'
     group by query order by ms desc`,
    [user],
  )
  const costs: Asked = new Map()
  for (const { query, n, ms } of rows) {
    const name = n / calls < RARE ? 'rare ones' : `  ${shortened(query)}`
    const { trips = 0, ms: before = 0 } = costs.get(name) ?? {}
    costs.set(name, { trips: trips + n / calls, ms: before + ms / calls })
  }
  return costs
}

const shortened = (query: string): string =>
  query.replace(/--.*/g, '').replace(/\s+/g, ' ').trim().slice(0, LETTERS)
