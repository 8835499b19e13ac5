/** Helpers for tests of tasks. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { exchangeTime, type Push, push } from '../../scripts/demo/cdr.ts'
import { type Business, db, fake, missedCall, OK, post, work } from '../support/ringback.ts'
import { sha256 } from '../../app/crypto.ts'

/** Posts records. Each is classified before the next one is posted. */
export const tell = async (token: string, ...records: Push[]): Promise<void> => {
  for (const record of records) {
    const answer = await post(record, { token })
    if (answer.status !== OK.status) throw new Error(`not accepted: ${JSON.stringify(answer)}`)
    await work()
  }
}

/** Posts a missed call and classifies it. Returns its CallID, the id of its missed call, and the record. */
export const miss = async (
  { tenantId, token, did }: Business,
  caller: string | null,
  fields: Record<string, unknown> = {},
  secondsAgo = 30,
): Promise<{ callId: string; id: string; record: Push }> => {
  const record = push({ caller, did, ...fields }, secondsAgo)
  await tell(token, record)
  const call = await missedCall(tenantId, record.ivruniqueid)
  if (!call) throw new Error('no missed call was recorded')
  return { callId: record.ivruniqueid, id: call.id, record }
}

/** The field `time` of a call that began this many seconds ago. */
export const began = (secondsAgo: number) => exchangeTime(new Date(Date.now() - secondsAgo * 1000))

/** Makes a first message and its job due, `ago` before now, and runs all due jobs. */
export const dueSince = async (missedCallId: string, ago = '0 seconds'): Promise<void> => {
  await sql`update missed_calls set outreach_due_at = now() - ${ago}::interval where id = ${missedCallId}`.execute(
    db,
  )
  await runAtOnce(`lead_outreach:${missedCallId}`)
  await work()
}

/** Waits until the job with this key no longer runs. graphile-worker stores a failure a moment after the end of the run. */
export const notRunning = (key: string): Promise<void> =>
  until(async () => {
    const { rows } =
      await sql`select from graphile_worker.jobs where key = ${key} and locked_at is not null`.execute(
        db,
      )
    return rows.length === 0
  })

/** Makes the job with this key due now. */
export const runAtOnce = async (key: string): Promise<void> => {
  await notRunning(key)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = ${key} having count(*) > 0`.execute(db)
}

/** Adds jobs for one call without a key, as a crash, the sweep or a race may leave behind. */
export const addStrayJobs = async (missedCallId: string, count = 1): Promise<void> => {
  await sql`
    select graphile_worker.add_job('lead_outreach', json_build_object(
      'tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone))
    from missed_calls, generate_series(1, ${count}) where id = ${missedCallId}`.execute(db)
}

/** All send requests of this business, whatever their outcome. */
export const requestsOf = ({ phoneNumberId }: Business) =>
  fake.requests().filter(request => request.phoneNumberId === phoneNumberId)

/** [kind, state, reason] of the messages of a missed call, in the order in which they were inserted. */
export const messagesAfter = async (missedCallId: string) => {
  const { rows } = await sql<{ kind: string; state: string; reason: string | null }>`
    select m.kind, m.state, m.reason from messages m
    join lead_conversations c on c.id = m.lead_conversation_id
    where c.missed_call_id = ${missedCallId} order by m.id`.execute(db)
  return rows.map(({ kind, state, reason }) => [kind, state, reason])
}

/** The first message of a missed call. */
export const initialOf = async (missedCallId: string) =>
  db
    .selectFrom('messages')
    .innerJoin('lead_conversations', 'lead_conversations.id', 'messages.lead_conversation_id')
    .selectAll('messages')
    .where('lead_conversations.missed_call_id', '=', missedCallId)
    .where('messages.kind', '=', 'initial')
    .executeTakeFirstOrThrow()

export const conversationOf = async (missedCallId: string) =>
  db
    .selectFrom('lead_conversations')
    .selectAll()
    .where('missed_call_id', '=', missedCallId)
    .executeTakeFirstOrThrow()

export const leadsOf = async (tenantId: string) =>
  db.selectFrom('leads').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()

/** Waits until the condition holds. The limit is long, because the machine may be busy with other tests. */
export const until = async (happened: () => boolean | Promise<boolean>): Promise<void> => {
  const end = performance.now() + 30_000
  while (performance.now() < end) {
    if (await happened()) return
    await sleep(10)
  }
  throw new Error('the condition did not hold within thirty seconds')
}

/** The seconds from now until this time, by the clock of the database, rounded. */
export const secondsUntil = async (moment: Date | undefined): Promise<number> => {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from ${moment ?? null}::timestamptz - now())::float8 as seconds`.execute(
    db,
  )
  return Math.round(rows[0]?.seconds ?? Number.NaN)
}

/** The keys of the waiting jobs that would send a message for this tenant. */
export const waitingFor = async (tenantId: string): Promise<string[]> => {
  const { rows } = await sql<{ key: string }>`
    select key from graphile_worker.jobs where locked_at is null and key in (
      select 'lead_outreach:' || id from missed_calls where tenant_id = ${tenantId}
      union all
      select 'lead_reminder:' || c.id || ':' || n
      from lead_conversations c join leads l on l.id = c.lead_id, generate_series(1, 2) n
      where l.tenant_id = ${tenantId})
    order by key`.execute(db)
  return rows.map(({ key }) => key)
}

/** All rows that classifying a tenant's calls may change, to compare before and after. */
export const everythingOf = async (tenantId: string) => {
  const { rows } = await sql<Record<'records' | 'calls' | 'leads' | 'messages', unknown>>`
    select (select json_agg(r order by id) from raw_cdrs r where tenant_id = ${tenantId}) as records,
           (select json_agg(m order by id) from missed_calls m where tenant_id = ${tenantId}) as calls,
           (select json_agg(l order by id) from leads l where tenant_id = ${tenantId}) as leads,
           (select json_agg(s order by id) from messages s where tenant_id = ${tenantId}) as messages`.execute(
    db,
  )
  return { ...rows[0], jobs: await waitingFor(tenantId) }
}

/** A token without a tenant: the number dialled decides which tenant a call belongs to. */
export const unboundToken = async (): Promise<string> => {
  const token = `unbound-${Math.random()}`
  await db
    .insertInto('webhook_tokens')
    .values({ tenant_id: null, hash: sha256(token) })
    .execute()
  return token
}

/** Makes the reminders due, adds a job for each, also for cancelled ones, and runs all due jobs. */
export const addStrayReminders = async (missedCallId: string): Promise<void> => {
  await sql`update messages set due_at = now() where state = 'scheduled' and lead_conversation_id in (
              select id from lead_conversations where missed_call_id = ${missedCallId})`.execute(db)
  await sql`
    select graphile_worker.add_job('lead_reminder', json_build_object(
      'leadId', lead_id::text, 'leadConversationId', id::text, 'reminderNumber', n))
    from lead_conversations, generate_series(1, 2) n where missed_call_id = ${missedCallId}`.execute(
    db,
  )
  await work()
}
