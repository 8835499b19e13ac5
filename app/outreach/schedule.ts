import { sql } from 'kysely'
import { MAX_ATTEMPTS } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import type { Wishes } from './history.ts'
import { afterQuiet } from './quiet.ts'

/**
 * A first message is due when the database's now() plus the tenant's delay has come; where that falls into a quiet
 * window, at the window's end, which is what is told here.
 */
export const quietUntil = (facts: Wishes & { now: Date }): Date | null => {
  const due = new Date(facts.now.getTime() + facts.outreachDelay)
  const allowed = afterQuiet(due, facts.quietWindows, facts.timezone)
  return allowed > due ? allowed : null
}

/** Adds the jobs of calls that have just been scheduled. A person whose last story has ended starts a new one. */
export const schedule = async (trx: Trx, missedCallIds: string[]): Promise<void> => {
  if (missedCallIds.length === 0) return
  await sql`
    /* schedule */
    with call as (
      select * from missed_calls where id = any(${missedCallIds}::bigint[]) and caller_phone is not null
    ), renewed as (
      update leads set state = 'new' where id in (select lead_id from call)
    ), jobs as (
      select count(*) as wanted, array_agg(
        row('lead_outreach', json_build_object(
              'tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone),
            null, outreach_due_at, ${MAX_ATTEMPTS.lead_outreach}::smallint, 'lead_outreach:' || id, null, null
        )::graphile_worker.job_spec order by id) as specs
      from call
    )
    select assert_all_queued(wanted, (select count(*) from graphile_worker.add_jobs(specs)))
    from jobs where wanted > 0`.execute(trx)
}
