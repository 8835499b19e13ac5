import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'

/**
 * As many as are judged in a twentieth of a second. Each call and each person is a lock until then, and of those a
 * Postgres has 64 for each connection that it takes (max_locks_per_transaction), for everybody: the ten connections of a
 * process bring more than its two batches hold. With 200 a rush ends a fifth sooner, and takes more than its share.
 */
const AT_ONCE = 100

/**
 * Takes the jobs of calls that wait to be judged: they are done if and only if this transaction commits. Fetched and
 * written off one by one they would take as long as being judged together. The last to come first, for workers fetch
 * the first, and what cannot be judged stays at that end.
 *
 * Only jobs that nobody runs and that were never tried, so one that fails is left to itself from then on. The jobs go
 * first and the records are read after: whoever stores one more record of such a call adds its job anew, as soon as this
 * transaction has ended. No record is locked here, for whoever judges locks its call first.
 *
 * @returns the CallIDs
 */
export const takeWaiting = async (trx: Trx): Promise<string[]> => {
  const { rows } = await sql<{ callId: string }>`
    /* waiting */
    with waiting as (
      select call_id from raw_cdrs where verdict is null order by received_at desc limit ${AT_ONCE}
    )
    select substring(taken.key from length('voicenter_cdr:') + 1) as "callId"
    from (
      select array_agg(j.id order by j.id) as ids
      from (select distinct call_id from waiting) as w,
        -- One by one by their keys (offset), and never the whole queue.
        lateral (select * from graphile_worker.jobs where key = 'voicenter_cdr:' || w.call_id offset 0) as j
      where j.locked_at is null and j.attempts = 0 and j.run_at <= now()
    ) as found, graphile_worker.complete_jobs(found.ids) as taken`.execute(trx)
  return rows.map(({ callId }) => callId)
}
