/** Jobs as a worker would have left them. */
import { sql } from 'kysely'
import { db } from '../support/ringback.ts'

/** A job that this worker holds, and that nobody runs. Its key. */
export const heldBy = async (poolId: string): Promise<string> => {
  const key = `held:${crypto.randomUUID()}`
  // At once, or a real worker would take it.
  await db.transaction().execute(async trx => {
    await sql`select graphile_worker.add_job('lead_silence', '{"leadConversationId":"0"}', job_key := ${key}::text)`.execute(
      trx,
    )
    await sql`update graphile_worker._private_jobs set locked_by = ${poolId}, locked_at = now(), attempts = 1
              where key = ${key}`.execute(trx)
  })
  return key
}

/** Who holds the job with this key; null = nobody, undefined = there is none. */
export const holderOf = async (key: string): Promise<string | null | undefined> => {
  const { rows } = await sql<{ locked_by: string | null }>`
    select locked_by from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows[0]?.locked_by
}
