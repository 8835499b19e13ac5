/** Jobs as a worker would have left them. */
import { sql } from 'kysely'
import { db } from '../support/ringback.ts'

/** A job that this worker holds, so long since; nobody runs it here. Its key. */
export const heldBy = async (
  poolId: string,
  since = '0 seconds',
  key: string = crypto.randomUUID(),
) => {
  await sql`select graphile_worker.add_job('lead_silence', '{"leadConversationId":"0"}', job_key := ${key}::text)`.execute(
    db,
  )
  await sql`
    update graphile_worker._private_jobs
    set locked_by = ${poolId}, locked_at = now() - ${since}::interval, attempts = 1 where key = ${key}`.execute(
    db,
  )
  return key
}

/** Who holds the job with this key; null = nobody, undefined = there is none. */
export const holderOf = async (key: string): Promise<string | null | undefined> => {
  const { rows } = await sql<{ locked_by: string | null }>`
    select locked_by from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows[0]?.locked_by
}
