/** Rows are the truth: whatever is due gets a job, however its job came to be lost; and what has one is left alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, jobs, post, type Business, work } from '../support/ringback.ts'
import { missedBy } from '../support/steps.ts'
import { contacted, deliver, change, envelope } from '../support/whatsapp.ts'
import { conversationOf } from '../tasks/support.ts'
import { requeueDueRows } from '../../app/worker/maintenance.ts'

type Row = {
  /** Of the job that it should have. */
  key: string
  /** What becomes of the row once its job has run. */
  end: () => Promise<unknown>
  ended: unknown
}

const one = async (query: ReturnType<typeof sql<{ state: unknown }>>) =>
  (await query.execute(db)).rows[0]?.state
const messageState = (id: string) => one(sql`select state from messages where id = ${id}`)

/** A confirmation or a notice, due for two minutes. */
const note = async (shop: Business, kind: string) => {
  const { rows } = await sql<{ id: string }>`
    insert into messages (tenant_id, direction, kind, state, due_at, to_phone, text)
    values (${shop.tenantId}, 'out', ${kind}, 'scheduled', now() - interval '2 minutes', ${customer().e164}, 'אין')
    returning id`.execute(db)
  return rows[0]?.id ?? ''
}

/** Of each kind a row that has been due for two minutes, without a job. */
const KINDS: Record<string, (shop: Business) => Promise<Row>> = {
  'a record that nobody has judged': async ({ token, tenantId }) => {
    const record = push({ caller: 'anonymous' })
    await post(record, { token })
    await sql`update raw_cdrs set received_at = now() - interval '2 minutes' where tenant_id = ${tenantId}`.execute(
      db,
    )
    const { ivruniqueid } = record
    return {
      key: `voicenter_cdr:${ivruniqueid}`,
      end: () =>
        one(sql`select verdict is not null as state from raw_cdrs where call_id = ${ivruniqueid}`),
      ended: true,
    }
  },
  'a first message': async shop => {
    const id = await missedBy(shop, customer().e164)
    await sql`update missed_calls set outreach_due_at = now() - interval '2 minutes' where id = ${id}`.execute(
      db,
    )
    return {
      key: `lead_outreach:${id}`,
      end: () => one(sql`select outreach_state as state from missed_calls where id = ${id}`),
      ended: 'sent',
    }
  },
  'a first message whose sender died': async shop => {
    const id = await missedBy(shop, customer().e164)
    await sql`
      with c as (insert into lead_conversations (lead_id, missed_call_id) select lead_id, id from missed_calls where id = ${id} returning id)
      insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at, claimed_at, attempts)
      select ${shop.tenantId}, id, 'out', 'initial', 'sending', now() - interval '2 minutes', now() - interval '2 minutes', 1 from c`.execute(
      db,
    )
    await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed', outreach_due_at = now() - interval '2 minutes' where id = ${id}`.execute(
      db,
    )
    return {
      key: `lead_outreach:${id}`,
      end: () => one(sql`select outreach_state as state from missed_calls where id = ${id}`),
      ended: 'unknown',
    }
  },
  'a reminder': async shop => {
    const { id } = await contacted(shop)
    const conversation = (await conversationOf(id)).id
    await sql`update messages set state = 'delivered' where lead_conversation_id = ${conversation} and kind = 'initial'`.execute(
      db,
    )
    await sql`update messages set due_at = now() - interval '2 minutes' where lead_conversation_id = ${conversation} and kind = 'reminder_1'`.execute(
      db,
    )
    return {
      key: `lead_reminder:${conversation}:1`,
      end: () =>
        one(
          sql`select state from messages where lead_conversation_id = ${conversation} and kind = 'reminder_1'`,
        ),
      ended: 'accepted',
    }
  },
  'the confirmation of an opt-out': async shop => {
    const id = await note(shop, 'opt_out_confirmation')
    // Nobody has written to this number, so WhatsApp refuses free text.
    return { key: `opt_out_confirmation:${id}`, end: () => messageState(id), ended: 'failed' }
  },
  'a notice to the owner': async shop => {
    const id = await note(shop, 'owner_notice')
    return { key: `owner_notice:${id}`, end: () => messageState(id), ended: 'accepted' }
  },
  'an update from WhatsApp': async shop => {
    const item = {
      id: `wamid.${crypto.randomUUID()}`,
      status: 'sent',
      timestamp: '1',
      recipient_id: '1',
    }
    await deliver(envelope(change(shop.phoneNumberId, { statuses: [item] })))
    const { rows } = await sql<{ id: string }>`
      update whatsapp_events set received_at = now() - interval '20 minutes' where tenant_id = ${shop.tenantId} returning id`.execute(
      db,
    )
    const id = rows[0]?.id ?? ''
    return {
      key: `whatsapp_event:${id}`,
      end: () => one(sql`select outcome as state from whatsapp_events where id = ${id}`),
      ended: 'no_message',
    }
  },
  'a conversation without an answer': async shop => {
    const { id } = await contacted(shop)
    const conversation = (await conversationOf(id)).id
    await sql`update messages set state = 'delivered', due_at = now() - interval '3 days', claimed_at = now() - interval '2 days' where lead_conversation_id = ${conversation}`.execute(
      db,
    )
    return {
      key: `lead_silence:${conversation}`,
      end: () => one(sql`select state from lead_conversations where id = ${conversation}`),
      ended: 'unresponsive',
    }
  },
}

const wipe = () => sql`delete from graphile_worker._private_jobs`.execute(db)
const revision = async (key: string) => {
  const { rows } = await sql<{ id: string; revision: number; run_at: Date; attempts: number }>`
    select id, revision, run_at, attempts from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows
}

for (const [name, make] of Object.entries(KINDS))
  await t.test(`${name}`, async t => {
    const shop = await business()
    const row = await make(shop)
    await wipe()

    t.equal(await requeueDueRows(), 1)
    const added = await revision(row.key)
    t.equal(added.length, 1, 'gets its job')
    t.equal(await requeueDueRows(), 0, 'once')
    t.strictSame(await revision(row.key), added)

    const leftAlone = async (what: string, change: string) => {
      await sql`update graphile_worker._private_jobs set ${sql.raw(change)} where key = ${row.key}`.execute(
        db,
      )
      const before = await revision(row.key)
      t.equal(await requeueDueRows(), 0, `${what} is left alone`)
      t.strictSame(await revision(row.key), before)
    }
    await leftAlone('a job for later', `run_at = now() + interval '1 hour'`)
    await leftAlone('a job that failed and will be tried again', `attempts = 3`)
    await leftAlone('a job that was tried to the end', `attempts = max_attempts, last_error = 'no'`)
    await leftAlone(
      'a job that runs',
      `attempts = 1, run_at = now(), locked_by = 'pool-other', locked_at = now()`,
    )
    await leftAlone('a job that runs for long', `locked_at = now() - interval '4 minutes'`)

    await sql`update graphile_worker._private_jobs set locked_at = now() - interval '6 minutes' where key = ${row.key}`.execute(
      db,
    )
    t.equal(await requeueDueRows(), 1, 'a job that will never end is replaced')
    t.not((await revision(row.key))[0]?.id, added[0]?.id)
    t.equal(await requeueDueRows(), 0)
    await sql`delete from graphile_worker._private_jobs where key is null`.execute(db)

    await work()
    t.equal(await row.end(), row.ended, 'it runs to its end')
    await wipe()
    t.equal(await requeueDueRows(), 0, 'and then never gets one again')
  })

await t.test('what is not due, or only just, gets none', async t => {
  const shop = await business()
  await missedBy(shop, customer().e164)
  await post(push({ caller: 'anonymous' }), { token: shop.token })
  await wipe()
  t.equal(await requeueDueRows(), 0)
})

await t.test('the whole queue is lost: everything goes on', async t => {
  const shop = await business()
  const rows: Row[] = []
  for (const make of Object.values(KINDS)) {
    rows.push(await make(shop))
    await wipe()
  }
  // Two copies go round at once.
  const added = await Promise.all([requeueDueRows(), requeueDueRows(), requeueDueRows()])
  t.ok(added.includes(rows.length))
  for (const { key } of rows) t.equal((await jobs(key)).length, 1, key)
  await work()
  for (const { key, end, ended } of rows) t.equal(await end(), ended, key)
})

await t.test('ten thousand open rows, a hundred thousand old ones: it takes no time', async t => {
  const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] })
  await client.connect()
  t.teardown(() => client.end())
  await client.query(`
    insert into raw_cdrs (call_id, root_call_id, payload, content_hash, verdict, reason, received_at)
    select 'old' || n, 'old' || n, '{}', sha256(('old' || n)::bytea), 'answered', 'person', now() - interval '1 day'
    from generate_series(1, 100000) n;
    insert into raw_cdrs (call_id, root_call_id, payload, content_hash, received_at)
    select 'open' || n, 'open' || n, '{}', sha256(('open' || n)::bytea), now() - interval '2 minutes'
    from generate_series(1, 10000) n;
    analyze raw_cdrs, missed_calls, messages, whatsapp_events, lead_conversations`)
  const readWhole = async () => {
    const { rows } = await client.query<{ scans: number }>(
      `select seq_scan::int as scans from pg_stat_user_tables where relname = 'raw_cdrs'`,
    )
    return rows[0]?.scans ?? 0
  }
  // What a session has done is counted once it does something more than a second later.
  const counted = () => sleep(1200)
  await counted()
  await requeueDueRows()
  const before = await readWhole()
  for (let times = 0; times < 3; times++) {
    await counted()
    const from = performance.now()
    t.equal(await requeueDueRows(), 1000, 'in portions')
    const took = performance.now() - from
    t.ok(took < 3000, `within ${took.toFixed(0)} ms`)
  }
  t.equal(await readWhole(), before, 'the old records are not read')

  await sql`select count(*) from raw_cdrs where payload = '{"a":1}'`.execute(db)
  await counted()
  await requeueDueRows()
  t.ok((await readWhole()) > before, 'or it would be seen')
})
