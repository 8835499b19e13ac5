/** Ringback's side of the draining: its worker as it is shipped. */
import { startWorker } from './contender.ts'
import { count, expectAll, settled, timed } from './drain_clock.ts'
import type { Database } from './postgres.ts'
import type { Turn } from './rounds.ts'
import { envOf, type Stage } from './stage.ts'
import { storeCalls } from './store_calls.ts'

/** The calls wait in the first, and every round begins with a copy of it. */
const FILLED = 'bench_drain_filled'
const DRAINED = 'bench_drain_ringback'

/** @returns what takes it away again */
export const storeForDraining = async (stage: Stage, calls: number) => {
  const { postgres } = stage
  const database = await postgres.newDatabase(FILLED)
  await storeCalls(stage, database.url, calls)
  // As autovacuum does within the minute.
  await database.query('vacuum analyze raw_cdrs')
  return async () => {
    for (const name of [FILLED, DRAINED]) await postgres.dropDatabase(name)
  }
}

export const ringbackDrains = (stage: Stage, calls: number): Turn => ({
  name: 'ringback worker',
  take: async () => {
    const database = await stage.postgres.newDatabase(DRAINED, FILLED)
    return timed({
      database,
      calls,
      start: () => startWorker(envOf(stage, database.url)),
      cpu: { postgres: stage.postgres.cpuSeconds },
      check: () => check(database, calls),
      signal: stage.signal,
    })
  },
})

/** Each call judged, recorded and scheduled once, and nothing left to do. */
const check = async (database: Database, calls: number): Promise<void> => {
  await settled(async () => {
    const left = await count(
      database,
      `select count(*)::int as n from graphile_worker.jobs where task_identifier = 'voicenter_cdr'`,
    )
    return left === 0
  })
  expectAll(calls, {
    'records judged': await count(
      database,
      `select count(*)::int as n from raw_cdrs where verdict = 'missed'`,
    ),
    'missed calls': await count(database, 'select count(*)::int as n from missed_calls'),
    'calls scheduled': await count(
      database,
      `select count(distinct call_id)::int as n from missed_calls
       where outreach_state = 'scheduled' and outreach_reason = 'waiting'`,
    ),
    leads: await count(database, 'select count(*)::int as n from leads'),
    'jobs that wait': await count(
      database,
      `select count(*)::int as n from graphile_worker.jobs j
       join missed_calls m on j.key = 'lead_outreach:' || m.id and j.run_at = m.outreach_due_at
       where j.attempts = 0 and m.outreach_due_at - m.created_at = interval '2 minutes'`,
    ),
  })
}
