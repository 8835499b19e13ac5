/** The faults are over: waits until there is nothing left to do, or says what is still open. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'

const LOOK_EVERY_MS = 250
/** Jobs further ahead belong to the calendar (a daily clean-up), not to the run. */
const AHEAD = '10 minutes'

const OPEN: Record<string, string> = {
  'records not judged': `select count(*)::int as n from raw_cdrs where verdict is null`,
  'events not handled': `select count(*)::int as n from whatsapp_events where outcome is null`,
  'calls scheduled or being sent': `select count(*)::int as n from missed_calls where outreach_state in ('scheduled', 'sending')`,
  'messages scheduled or being sent': `select count(*)::int as n from messages where state in ('scheduled', 'sending')`,
  'jobs waiting or running': `select count(*)::int as n from graphile_worker.jobs
    where attempts < max_attempts and run_at < now() + interval '${AHEAD}'`,
}

/** What is still open, in words; empty once nothing is. */
export const openWork = async (database: Pool): Promise<string[]> => {
  const open = []
  for (const [what, sql] of Object.entries(OPEN)) {
    const { rows } = await database.query<{ n: number }>(sql)
    const n = rows[0]?.n ?? 0
    if (n > 0) open.push(`${n} ${what}`)
  }
  return open
}

/**
 * @param more whether the harness itself still waits for something, such as an answer
 * @returns what did not come to an end
 */
export const settled = async (
  database: Pool,
  more: () => string[],
  withinMs: number,
  signal: AbortSignal,
): Promise<string[]> => {
  const until = Date.now() + withinMs
  for (;;) {
    const open = await openWork(database).then(
      rows => [...more(), ...rows],
      (error: unknown) => [`the database does not answer: ${String(error)}`],
    )
    if (open.length === 0 || Date.now() > until || signal.aborted) return open
    await sleep(LOOK_EVERY_MS)
  }
}
