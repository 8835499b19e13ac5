import { sql } from 'kysely'
import { retryOnConflict } from '../../db/retry.ts'
import { MAX_ATTEMPTS } from '../../db/jobs.ts'
import { db } from '../../db/kysely.ts'

/** A call enters the log minutes after its end, and Voicenter may still bring by itself what we did not take. */
const SOON = sql`interval '10 minutes'`

/**
 * Brings every check of a call log forward. To be called when we were away, the program or its database:
 * webhooks may have come to a closed door, and an hour is long for somebody who waits for an answer.
 *
 * @returns how many were brought forward
 */
export const checkCallLogsSoon = async (): Promise<number> => {
  // Not all in one moment: each may bring a day's calls.
  const statement = sql<{ wanted: string }>`
    with soon as (
      update call_log_access set next_check_at = now() + ${SOON} + tenant_id % 60 * interval '1 second'
      where next_check_at > now() + ${SOON} + interval '1 minute'
      returning tenant_id, next_check_at
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('call_log', json_build_object('tenantId', tenant_id::text), null, next_check_at,
            ${MAX_ATTEMPTS.call_log}::smallint, 'call_log:' || tenant_id, null, null)::graphile_worker.job_spec
        order by tenant_id) as specs
      from soon
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs))) as wanted
    from jobs where wanted > 0`
  const { rows } = await retryOnConflict(() => statement.execute(db))
  return Number(rows[0]?.wanted ?? 0)
}
