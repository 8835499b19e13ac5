import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import type { Trx } from './kysely.ts'

/** An id of ours: a bigint in Postgres, decimal text everywhere else. */
const id = z.string().regex(/^\d+$/)

/**
 * Every job there is, by its task, and what it carries. Parsed on arrival, since a job may be a day
 * old and come from an earlier deploy: a new field is optional for as long as old jobs may be queued.
 */
export const payloads = {
  voicenter_cdr: z.object({ callId: z.string() }),
  // callerPhone is there for whoever looks at the queue; the task itself reads the row.
  lead_outreach: z.object({ tenantId: id, missedCallId: id, callerPhone: z.string() }),
  lead_reminder: z.object({
    leadId: id,
    leadConversationId: id,
    reminderNumber: z.union([z.literal(1), z.literal(2)]),
  }),
  lead_silence: z.object({ leadConversationId: id }),
  whatsapp_event: z.object({ eventId: id }),
  owner_notice: z.object({ messageId: id }),
  opt_out_confirmation: z.object({ messageId: id }),
  call_log: z.object({ tenantId: id }),
  retention: z.object({}),
}

type Payloads = { [K in keyof typeof payloads]: z.infer<(typeof payloads)[K]> }
export type TaskName = keyof Payloads

/**
 * How often a job is tried: 2.7 s after the first failure and ever more rarely, so that 9 tries take over an
 * hour, 10 three and a half, 12 sixteen. Long enough in each case for the try that finds it too late: a job
 * that gives up before leaves a row that is due for ever.
 */
export const MAX_ATTEMPTS = {
  voicenter_cdr: 12,
  lead_outreach: 10,
  lead_reminder: 12,
  lead_silence: 12,
  whatsapp_event: 12,
  owner_notice: 9,
  opt_out_confirmation: 9,
  call_log: 12,
  retention: 12,
} satisfies Record<TaskName, number>

/** As Postgres calls a transaction that must only be tried again (serialization failure), and as callers know it. */
const IN_A_RACE = '40001'

/**
 * Adds a job to the open transaction: it exists if and only if the transaction commits. Its key is
 * `<task>:<entity>`. A job with that key which is still waiting is replaced.
 *
 * @param at when it is due, by the database's clock and no other (an expression such as
 * sql`now() + interval '1 minute'`, or a moment read from a row); null or absent = at once
 * @throws Error when graphile-worker scheduled nothing, which it may when a worker takes the job of
 * that key at this very moment (graphile/worker#580). The transaction must roll back and be tried again.
 */
export const addJob = async <K extends TaskName>(
  trx: Trx,
  task: K,
  entity: string,
  payload: Payloads[K],
  { at = null }: { at?: Date | RawBuilder<Date> | null } = {},
): Promise<void> => {
  const { rows } = await sql<{ id: string | null }>`
    select id from graphile_worker.add_job(
      ${task}::text,
      payload := ${JSON.stringify(payload)}::json,
      run_at := (${at})::timestamptz,
      max_attempts := ${MAX_ATTEMPTS[task]}::int,
      job_key := ${`${task}:${entity}`}::text)`.execute(trx)
  if (!rows[0]?.id)
    throw Object.assign(new Error(`job ${task}:${entity} was not added`), { code: IN_A_RACE })
}

/**
 * Takes a waiting job out of the queue. Tidiness, not safety: one that is running goes on, and finds
 * in its row that there is nothing left to do.
 */
export const removeJob = async (trx: Trx, task: TaskName, entity: string): Promise<void> => {
  await sql`select graphile_worker.remove_job(${`${task}:${entity}`}::text)`.execute(trx)
}
