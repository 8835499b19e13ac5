/** Jobs that a worker has locked. */
import { sql } from 'kysely'
import { db } from '../support/ringback.ts'

/** Adds a job that this worker has locked for ten seconds and does not run. @returns its key */
export const lockedBy = async (poolId: string): Promise<string> => {
  const key = `held:${crypto.randomUUID()}`
  // In one transaction, or a real worker would take it.
  await db.transaction().execute(async trx => {
    await sql`select graphile_worker.add_job('lead_silence', '{"leadConversationId":"0"}', job_key := ${key}::text)`.execute(
      trx,
    )
    await sql`
      update graphile_worker._private_jobs
      set locked_by = ${poolId}, locked_at = now() - interval '10 seconds', attempts = 1
      where key = ${key}`.execute(trx)
  })
  return key
}

/** The worker that has locked this job; null = none, undefined = there is no such job. */
export const lockerOf = async (key: string): Promise<string | null | undefined> => {
  const { rows } = await sql<{ locked_by: string | null }>`
    select locked_by from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows[0]?.locked_by
}

/** The session that holds the advisory lock of this worker. */
export const sessionOf = async (poolId: string): Promise<number | undefined> => {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_locks where locktype = 'advisory' and granted
      and (classid::bigint << 32) | objid::bigint = hashtextextended(${poolId}, 0)
      and database = (select oid from pg_database where datname = current_database())`.execute(db)
  return rows[0]?.pid
}
