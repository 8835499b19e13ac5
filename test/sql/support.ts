import { sql } from 'kysely'
import { db } from '../support/ringback.ts'

/** The columns that are looked at one by one; all are there. */
type Line = {
  tenant_id: string | null
  call_id: string
  called_at: Date | null
  outreach_due_at: Date | null
  job_state: string | null
  job_run_at: Date | null
  job_last_error: string | null
}

/** The lines of call_report: of one call, or of all. */
export const report = async (callId: string | null = null, since = '1 day') => {
  const { rows } = await sql<Line>`
    select * from call_report(${since}::interval) where ${callId}::text is null or call_id = ${callId}`.execute(
    db,
  )
  return rows
}
