/** What the tests of the tasks have in common: what they tell the program, and what they look at. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { exchangeTime, type Push, push } from '../../scripts/demo/cdr.ts'
import { type Business, db, fake, missedCall, OK, post, work } from '../support/ringback.ts'
import { sha256 } from '../../app/crypto.ts'

/** Posts records one after the other, each judged before the next comes. */
export const tell = async (token: string, ...records: Push[]): Promise<void> => {
  for (const record of records) {
    const answer = await post(record, { token })
    if (answer.status !== OK.status) throw new Error(`not taken: ${JSON.stringify(answer)}`)
    await work()
  }
}

/** A customer's call that was missed, stored and judged; its CallID, and the id of its missed call. */
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

/** The `time` of a call that began so long ago. */
export const began = (secondsAgo: number) => exchangeTime(new Date(Date.now() - secondsAgo * 1000))

/** The time of this first message has come, so long ago, and that of its job. Then works. */
export const dueSince = async (missedCallId: string, ago = '0 seconds'): Promise<void> => {
  await sql`update missed_calls set outreach_due_at = now() - ${ago}::interval where id = ${missedCallId}`.execute(
    db,
  )
  await runAtOnce(`lead_outreach:${missedCallId}`)
  await work()
}

/** Waits until the job with this key runs no longer: a failure is written a moment after the run's end. */
export const notRunning = (key: string): Promise<void> =>
  until(async () => {
    const { rows } =
      await sql`select from graphile_worker.jobs where key = ${key} and locked_at is not null`.execute(
        db,
      )
    return rows.length === 0
  })

/** As if the moment had come for which the job with this key is set. */
export const runAtOnce = async (key: string): Promise<void> => {
  await notRunning(key)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = ${key} having count(*) > 0`.execute(db)
}

/** Further jobs for one call, without a key: what a crash, a sweep or a race may leave behind. */
export const addStrayJobs = async (missedCallId: string, count = 1): Promise<void> => {
  await sql`
    select graphile_worker.add_job('lead_outreach', json_build_object(
      'tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone))
    from missed_calls, generate_series(1, ${count}) where id = ${missedCallId}`.execute(db)
}

/** All requests to send that came from this business, whatever became of them. */
export const requestsOf = ({ phoneNumberId }: Business) =>
  fake.requests().filter(request => request.phoneNumberId === phoneNumberId)

/** [kind, state, reason] of the messages of a missed call, in the order they were written. */
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

/** Waits for something that happens beside the test; long, for the machine may be busy with other tests. */
export const until = async (happened: () => boolean | Promise<boolean>): Promise<void> => {
  const end = performance.now() + 30_000
  while (performance.now() < end) {
    if (await happened()) return
    await sleep(10)
  }
  throw new Error('it has not happened for thirty seconds')
}

/** How many seconds from now, by the database's clock, and rounded. */
export const secondsUntil = async (moment: Date | undefined): Promise<number> => {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from ${moment ?? null}::timestamptz - now())::float8 as seconds`.execute(
    db,
  )
  return Math.round(rows[0]?.seconds ?? Number.NaN)
}

/** The keys of the jobs that wait to write to somebody for this tenant. */
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

/** Everything that judging a tenant's calls may change; to compare before and after. */
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

/** The credential of an operator's own account: the number dialled decides whose call it is. */
export const unboundToken = async (): Promise<string> => {
  const token = `unbound-${Math.random()}`
  await db
    .insertInto('webhook_tokens')
    .values({ tenant_id: null, hash: sha256(token) })
    .execute()
  return token
}

/** Reminders are due, and a job for each is there whatever was cancelled: as a sweep might leave it. Then works. */
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
