/** A claim that has lost its sender is settled within the minute, whatever became of the job that should do it. */
import { sql } from 'kysely'
import t from 'tap'
import { business, type Business, customer, db, outreachOf, work } from '../support/ringback.ts'
import { contacted } from '../support/whatsapp.ts'
import { conversationOf, miss, requestsOf } from '../tasks/support.ts'
import { requeueExpiredClaims } from '../../app/worker/maintenance.ts'

type Claim = { key: string; state: () => Promise<string | undefined> }

const stateOf = async (id: string | undefined) =>
  (
    await db
      .selectFrom('messages')
      .select('state')
      .where('id', '=', id ?? '0')
      .executeTakeFirst()
  )?.state

/** Of each kind a message claimed so many seconds ago, by somebody who says no more. */
const CLAIMS: Record<string, (shop: Business, secondsAgo: number) => Promise<Claim>> = {
  'a first message': async (shop, secondsAgo) => {
    const { id } = await miss(shop, customer().local)
    await sql`
      with c as (insert into lead_conversations (lead_id, missed_call_id) select lead_id, id from missed_calls where id = ${id} returning id)
      insert into messages (tenant_id, lead_conversation_id, direction, kind, state, claimed_at, attempts)
      select ${shop.tenantId}, id, 'out', 'initial', 'sending', now() - make_interval(secs => ${secondsAgo}), 1 from c`.execute(
      db,
    )
    await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed' where id = ${id}`.execute(
      db,
    )
    const { id: conversation } = await conversationOf(id)
    const initial = await db
      .selectFrom('messages')
      .select('id')
      .where('lead_conversation_id', '=', conversation)
      .executeTakeFirst()
    return { key: `lead_outreach:${id}`, state: () => stateOf(initial?.id) }
  },
  'a second reminder': async (shop, secondsAgo) => {
    const { id: conversationId } = await conversationOf((await contacted(shop)).id)
    const { rows } = await sql<{ id: string }>`
      update messages set state = 'sending', claimed_at = now() - make_interval(secs => ${secondsAgo}), attempts = 1
      where lead_conversation_id = ${conversationId} and kind = 'reminder_2' returning id`.execute(
      db,
    )
    return { key: `lead_reminder:${conversationId}:2`, state: () => stateOf(rows[0]?.id) }
  },
  'a notice to the owner': async (shop, secondsAgo) => {
    const { rows } = await sql<{ id: string }>`
      insert into messages (tenant_id, direction, kind, state, due_at, claimed_at, attempts, to_phone)
      values (${shop.tenantId}, 'out', 'owner_notice', 'sending', now(), now() - make_interval(secs => ${secondsAgo}), 1, ${customer().e164})
      returning id`.execute(db)
    return { key: `owner_notice:${rows[0]?.id}`, state: () => stateOf(rows[0]?.id) }
  },
}

const task = (key: string) => key.split(':')[0] ?? ''
const setJob = async (key: string, change: ReturnType<typeof sql>) => {
  await sql`select graphile_worker.add_job(${task(key)}, '{}', job_key := ${key}::text, max_attempts := 10)`.execute(
    db,
  )
  await sql`update graphile_worker._private_jobs set ${change} where key = ${key}`.execute(db)
}

/** What may have become of the job that would have looked again. */
const JOBS: Record<string, (key: string) => Promise<unknown>> = {
  'is lost': key => sql`select graphile_worker.remove_job(${key}::text)`.execute(db),
  'waits for another try': key =>
    setJob(key, sql`run_at = now() + interval '1 hour', attempts = 5`),
  'was tried to the end': key => setJob(key, sql`attempts = max_attempts`),
  'is held by a worker that does not run it': key =>
    setJob(key, sql`locked_by = 'somebody', locked_at = now(), attempts = 1`),
}

for (const [what, claim] of Object.entries(CLAIMS))
  for (const [fate, happen] of Object.entries(JOBS))
    t.test(`${what} whose job ${fate}`, async t => {
      const shop = await business()
      const { key, state } = await claim(shop, 46)
      await happen(key)
      const sent = requestsOf(shop).length
      t.equal(await requeueExpiredClaims(), 1)
      t.equal(await requeueExpiredClaims(), 0, 'once is enough')
      await work()
      t.equal(await state(), 'unknown')
      t.equal(requestsOf(shop).length, sent, 'and nothing is sent')
      t.equal(await requeueExpiredClaims(), 0)
    })

t.test('a claim whose sender may still be at it is left alone', async t => {
  for (const claim of Object.values(CLAIMS)) {
    const { key } = await claim(await business(), 35)
    await sql`select graphile_worker.remove_job(${key}::text)`.execute(db)
  }
  t.equal(await requeueExpiredClaims(), 0)
})

t.test('what the missed call says of it', async t => {
  const shop = await business()
  const { key } = (await CLAIMS['a first message']?.(shop, 46)) ?? {}
  const id = key?.split(':')[1] ?? ''
  await requeueExpiredClaims()
  await work()
  const call = await db
    .selectFrom('missed_calls')
    .select('call_id')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  t.strictSame(await outreachOf(shop.tenantId, call.call_id), ['unknown', 'no_answer'])
})
