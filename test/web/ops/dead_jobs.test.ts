/** Jobs that failed to the end: tried again, or given up together with what they were for. */
import { sql } from 'kysely'
import t from 'tap'
import { asOperator, asTenant, deedsOf } from '../../support/ops.ts'
import { requeueDueRows } from '../../../app/worker/maintenance.ts'
import { deliver, change, envelope } from '../../support/whatsapp.ts'
import { reported } from '../../outreach/support.ts'
import { conversationOf, dueSince, messagesAfter, miss, requestsOf } from '../../tasks/support.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import {
  business,
  contents,
  customer,
  db,
  jobs,
  outreachOf,
  post,
  work,
} from '../../support/ringback.ts'

type Shop = Awaited<ReturnType<typeof business>>

/** The job with this key has been tried to its end; its id. */
const dies = async (key: string): Promise<string> => {
  const { rows } = await sql<{ id: string }>`
    select id from graphile_worker.permanently_fail_jobs(
      (select array_agg(id) from graphile_worker.jobs where key = ${key}), 'it <fails> & "fails"')`.execute(
    db,
  )
  const [job] = rows
  if (!job) throw new Error(`there is no job ${key}`)
  return job.id
}
const one = async (query: ReturnType<typeof sql<{ state: unknown }>>) =>
  (await query.execute(db)).rows[0]?.state

type Row = { key: string; state: () => Promise<unknown>; givenUp: unknown; tenantId: string | null }

/** Of each task a row that is long due. */
const KINDS: Record<string, (shop: Shop) => Promise<Row>> = {
  voicenter_cdr: async shop => {
    const record = push({ caller: customer().local, did: shop.did })
    await post(record, { token: shop.token })
    await sql`update raw_cdrs set received_at = now() - interval '2 hours' where call_id = ${record.ivruniqueid}`.execute(
      db,
    )
    return {
      key: `voicenter_cdr:${record.ivruniqueid}`,
      state: () =>
        one(
          sql`select verdict || ' ' || reason as state from raw_cdrs where call_id = ${record.ivruniqueid}`,
        ),
      givenUp: 'unknown given_up',
      tenantId: shop.tenantId,
    }
  },
  lead_outreach: async shop => {
    const { id, callId } = await miss(shop, customer().local)
    await sql`update missed_calls set outreach_due_at = now() - interval '2 hours' where id = ${id}`.execute(
      db,
    )
    return {
      key: `lead_outreach:${id}`,
      state: () => outreachOf(shop.tenantId, callId),
      givenUp: ['cancelled', 'by_operator'],
      tenantId: shop.tenantId,
    }
  },
  lead_reminder: async shop => {
    const { id } = await miss(shop, customer().local)
    await dueSince(id)
    const { id: conversation } = await conversationOf(id)
    await sql`update messages set due_at = now() - interval '2 hours' where lead_conversation_id = ${conversation} and kind = 'reminder_1'`.execute(
      db,
    )
    return {
      key: `lead_reminder:${conversation}:1`,
      state: async () => (await messagesAfter(id)).map(([, state]) => state),
      givenUp: ['accepted', 'cancelled', 'cancelled'],
      tenantId: shop.tenantId,
    }
  },
  lead_silence: async shop => {
    const { id } = await miss(shop, customer().local)
    await dueSince(id)
    const { id: conversation } = await conversationOf(id)
    for (const kind of ['reminder_1', 'reminder_2'] as const)
      await reported(conversation, kind, 'skipped')
    await sql`update messages set due_at = now() - interval '3 days' where lead_conversation_id = ${conversation}`.execute(
      db,
    )
    await sql`update messages set claimed_at = now() - interval '3 days' where lead_conversation_id = ${conversation} and claimed_at is not null`.execute(
      db,
    )
    await requeueDueRows()
    return {
      key: `lead_silence:${conversation}`,
      state: async () => (await conversationOf(id)).state,
      givenUp: 'stopped',
      tenantId: shop.tenantId,
    }
  },
  whatsapp_event: async shop => {
    const wamid = `wamid.${customer().local}`
    await deliver(
      envelope(
        change(shop.phoneNumberId, {
          messages: [
            { id: wamid, from: customer().e164.slice(1), type: 'text', text: { body: 'x' } },
          ],
        }),
      ),
    )
    const { rows } = await sql<{ id: string }>`
      update whatsapp_events set received_at = now() - interval '2 hours' where payload::text like ${`%${wamid}%`} returning id`.execute(
      db,
    )
    const id = rows[0]?.id ?? ''
    return {
      key: `whatsapp_event:${id}`,
      state: () => one(sql`select outcome as state from whatsapp_events where id = ${id}`),
      givenUp: 'given_up',
      tenantId: shop.tenantId,
    }
  },
  owner_notice: async shop => {
    const { rows } = await sql<{ id: string }>`
      insert into messages (tenant_id, direction, kind, state, due_at, to_phone, text)
      values (${shop.tenantId}, 'out', 'owner_notice', 'scheduled', now() - interval '2 hours', ${customer().e164}, 'x')
      returning id`.execute(db)
    const id = rows[0]?.id ?? ''
    await requeueDueRows()
    return {
      key: `owner_notice:${id}`,
      state: () => one(sql`select state from messages where id = ${id}`),
      givenUp: 'cancelled',
      tenantId: shop.tenantId,
    }
  },
}

for (const [task, make] of Object.entries(KINDS))
  t.test(`${task}: given up, nothing brings it back`, async t => {
    const shop = await business()
    const { key, state, givenUp, tenantId } = await make(shop)
    const id = await dies(key)
    const before = await state()
    const deeds = (await deedsOf(tenantId)).length
    await requeueDueRows()
    t.equal((await jobs(key)).length, 1, 'a dead job keeps its row from getting another')

    const operator = await asOperator()
    t.match((await operator.get('/ops/trouble')).text, key)
    t.equal((await operator.submit(`/ops/trouble/jobs/${id}/discard`)).status, 303)
    t.strictNotSame(await state(), before)
    t.strictSame(await state(), givenUp)
    await requeueDueRows()
    t.strictSame(await jobs(key), [])
    await work()
    t.strictSame(await state(), givenUp)
    t.match((await deedsOf(tenantId)).slice(deeds), [
      { who: 'operator', action: 'job.discard', subject: `jobs ${id}`, before: { task } },
    ])
    t.equal((await operator.submit(`/ops/trouble/jobs/${id}/discard`)).status, 404)
  })

t.test('tried again, one by one or all of a task', async t => {
  const shop = await business()
  const calls = [
    await miss(shop, customer().local),
    await miss(shop, customer().local),
    await miss(shop, customer().local),
  ]
  const ids: string[] = []
  for (const { id } of calls) {
    await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
    ids.push(await dies(`lead_outreach:${id}`))
  }
  await work()
  t.equal(requestsOf(shop).length, 0)
  const operator = await asOperator()
  const page = await operator.get('/ops/trouble')
  t.match(page.text, 'it &lt;fails&gt; &amp; &quot;fails&quot;')
  t.match(page.text, 'Try all 3 again')
  t.equal((await operator.submit(`/ops/trouble/jobs/${ids[0]}/retry`)).status, 303)
  await work()
  t.equal(requestsOf(shop).length, 1)
  t.equal((await operator.submit('/ops/trouble/jobs/retry', { task: 'lead_outreach' })).status, 303)
  await work()
  t.equal(requestsOf(shop).length, 3)
  t.equal((await operator.submit('/ops/trouble/jobs/retry', { task: 'lead_outreach' })).status, 404)
  t.match((await deedsOf(null)).slice(-2), [
    { action: 'job.retry', subject: `jobs ${ids[0]}`, after: { retried: 1 } },
    { action: 'job.retry', subject: 'jobs of lead_outreach', after: { retried: 2 } },
  ])
})

t.test('the comparing of a call log is not given up here', async t => {
  const { tenantId } = await business()
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${tenantId}::text), job_key := ${`call_log:${tenantId}`}, run_at := now() + interval '1 day')`.execute(
    db,
  )
  const id = await dies(`call_log:${tenantId}`)
  const operator = await asOperator()
  t.notMatch((await operator.get('/ops/trouble')).text, `/ops/trouble/jobs/${id}/discard`)
  const answer = await operator.submit(`/ops/trouble/jobs/${id}/discard`)
  t.match(answer, { status: 409, text: /compared for as long as we have access/ })
  t.equal((await jobs(`call_log:${tenantId}`)).length, 1)
})

t.test('no business sees them, or has a say', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  const jobId = await dies(`lead_outreach:${id}`)
  const owner = await asTenant(shop.tenantId)
  t.notMatch((await owner.get('/ops/trouble')).text, `lead_outreach:${id}`)
  const before = await contents()
  for (const path of [`${jobId}/retry`, `${jobId}/discard`, 'retry'])
    t.equal(
      (await owner.submit(`/ops/trouble/jobs/${path}`, { task: 'lead_outreach' })).status,
      404,
    )
  t.strictSame(await contents(), before)
})
