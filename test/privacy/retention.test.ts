/** Retention: expired data is emptied, rows and keys stay, and data that is still needed stays. */
import { setTimeout as sleep } from 'node:timers/promises'
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  type Business,
  customer,
  db,
  jobs,
  missedCall,
  post,
  work,
} from '../support/ringback.ts'
import { change, deliver, envelope, eventsOf, happens } from '../support/whatsapp.ts'
import { conversationOf, dueSince, miss, tell, until } from '../tasks/support.ts'
import { keysKept, rowsSaying } from './support.ts'
import { startWorker, cronItems } from '../../app/worker/run.ts'
import { redactExpired } from '../../app/privacy/retention.ts'
import { config } from '../../app/config.ts'

const NOTHING = {
  raw_cdrs: 0,
  whatsapp_events: 0,
  rejected_deliveries: 0,
  messages: 0,
  call_log_checks: 0,
  sessions: 0,
  events: 0,
}

/** Moves all stored data this far into the past. */
const age = async (time: string): Promise<void> => {
  for (const [table, column] of [
    ['raw_cdrs', 'received_at'],
    ['whatsapp_events', 'received_at'],
    ['rejected_deliveries', 'received_at'],
    ['messages', 'created_at'],
    ['call_log_checks', 'checked_at'],
  ] as const)
    await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${sql.ref(column)} - ${time}::interval`.execute(
      db,
    )
}

const recordsOf = ({ tenantId }: Business) =>
  db.selectFrom('raw_cdrs').selectAll().where('tenant_id', '=', tenantId).orderBy('id').execute()

/** A finished conversation with a reply, a rejected delivery, and a check of the Call Log. */
const finishedConversation = async (shop: Business, text: string) => {
  const who = customer()
  const missed = await miss(shop, who.local, { CustomData: { utm_term: text } })
  await dueSince(missed.id)
  await happens({ kind: 'text', from: who.e164, phoneNumberId: shop.phoneNumberId, text })
  await post({ caller: who.local, text }, { token: shop.token })
  await sql`
    insert into call_log_checks (tenant_id, from_at, until_at, in_log, missing, taken_in)
    values (${shop.tenantId}, now() - interval '1 hour', now(), 3, 1, 1)`.execute(db)
  return { ...missed, who }
}

/** Adds answered calls that are a hundred days old. */
const fill = async ({ tenantId }: Business, name: string, count: number): Promise<void> => {
  await sql`
    insert into raw_cdrs (tenant_id, token_tenant_id, call_id, root_call_id, payload, body, content_hash, verdict, reason, received_at)
    select ${tenantId}, ${tenantId}, ${name}::text || '-' || n, ${name}::text || '-' || n, '{}', '\\x7b7d', sha256(n::text::bytea),
           'answered', 'agent', now() - interval '100 days'
    from generate_series(1, ${count}::int) n`.execute(db)
}

await t.test('expired data is emptied and counted, and rows and keys stay', async t => {
  const shop = await business()
  const old = await finishedConversation(shop, 'מילים ישנות')
  await age('90 days 1 minute')
  const young = await finishedConversation(shop, 'מילים חדשות')
  const keys = await keysKept()
  t.ok((await rowsSaying('מילים ישנות')).length >= 3)
  const fresh = await rowsSaying('מילים חדשות')

  t.strictSame(await redactExpired(), {
    // Of the messages: the first one and the reply.
    emptied: {
      raw_cdrs: 1,
      whatsapp_events: 1,
      rejected_deliveries: 1,
      messages: 2,
      call_log_checks: 1,
      sessions: 0,
      events: 0,
    },
    more: false,
  })
  t.strictSame(await keysKept(), keys)
  t.strictSame(await rowsSaying('מילים ישנות'), [])
  t.strictSame(await rowsSaying('מילים חדשות'), fresh)
  const [first, second] = await recordsOf(shop)
  t.match(first, { payload: null, body: null, verdict: 'missed', reason: 'noanswer' })
  t.ok(second?.payload && second.body)
  t.match(await missedCall(shop.tenantId, old.callId), {
    caller_phone: old.who.e164,
    outreach_state: 'sent',
  })

  t.strictSame(
    await redactExpired(),
    { emptied: NOTHING, more: false },
    'a second run finds nothing',
  )
  t.strictSame((await conversationOf(young.id)).state, 'replied')
})

await t.test('expired sessions and links are deleted', async t => {
  const { tenantId } = await business()
  await sql`
    insert into sessions (kind, hash, tenant_id, scope, credential, created_at, expires_at)
    select kind, sha256((kind || ' ' || days)::bytea), ${tenantId}, 'leads', sha256(''),
           now() - interval '9 days', now() + make_interval(days => days)
    from unnest(array['session', 'link']) kind, unnest(array[-8, -1, 1]) days`.execute(db)
  const { emptied } = await redactExpired()
  t.equal(emptied.sessions, 4)
  const left = await sql<{ kind: string; valid: boolean }>`
    select kind, expires_at > now() as valid from sessions where tenant_id = ${tenantId} order by kind`.execute(
    db,
  )
  t.strictSame(left.rows, [
    { kind: 'link', valid: true },
    { kind: 'session', valid: true },
  ])
})

await t.test('a repeat of an emptied delivery is recognised and has no effect', async t => {
  const shop = await business()
  const { record, callId, who } = await finishedConversation(shop, 'שוב')
  const [event] = await eventsOf(shop.tenantId)
  await age('91 days')
  await redactExpired()
  await tell(shop.token, record)
  await post({ caller: who.local, text: 'שוב' }, { token: shop.token })
  const [raw] = await recordsOf(shop)
  t.match(raw, { deliveries: 2, payload: null, verdict: 'missed' })
  t.strictSame(await jobs(`voicenter_cdr:${callId}`), [])
  const refused = await db
    .selectFrom('rejected_deliveries')
    .selectAll()
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.match(refused, [{ deliveries: 2, body: null }])
  t.match(await eventsOf(shop.tenantId), [{ id: event?.id, payload: null, outcome: 'reply' }])

  // A new record of the call gets the verdict of the emptied ones.
  await tell(shop.token, { ...record, status: 'ANSWER', targetextension: 'SIP1', duration: 30 })
  const late = (await recordsOf(shop))[1]
  t.match(late, { verdict: 'missed', reason: 'noanswer' })
  t.ok(late?.payload, 'it is kept as long as any other record')
  t.match(await missedCall(shop.tenantId, callId), { outreach_state: 'sent' })
})

await t.test('data that is still needed is not emptied, whatever its age', async t => {
  await age('400 days')
  await redactExpired()
  const shop = await business()
  const open = await miss(shop, customer().local)
  await dueSince(open.id)
  await sql`update messages set text = 'חופשי' where lead_conversation_id = ${(await conversationOf(open.id)).id}`.execute(
    db,
  )
  const waiting = await miss(shop, customer().local)
  await post(push({ caller: customer().local, did: shop.did }), { token: shop.token })
  await deliver(
    envelope(
      change(shop.phoneNumberId, {
        messages: [
          { id: 'wamid.unread', from: customer().e164.slice(1), type: 'text', text: { body: 'א' } },
        ],
      }),
    ),
  )
  await sql`
    insert into messages (tenant_id, direction, kind, state, due_at, text)
    values (${shop.tenantId}, 'out', 'opt_out_confirmation', 'scheduled', now(), 'עוד לא נשלח')`.execute(
    db,
  )
  await age('400 days')
  t.strictSame((await redactExpired()).emptied, NOTHING)
  t.ok((await recordsOf(shop)).every(({ payload }) => payload !== null))

  // When nothing is pending any more, it is emptied.
  await sql`update lead_conversations set state = 'unresponsive' where state = 'open'`.execute(db)
  await sql`select cancel_outreach(${waiting.id})`.execute(db)
  await work()
  const { emptied } = await redactExpired()
  t.match(emptied, { raw_cdrs: 3, whatsapp_events: 1 })
})

await t.test('a batch of large rows is smaller', async t => {
  const shop = await business()
  for (let n = 0; n < 9; n++)
    await sql`
      insert into raw_cdrs (tenant_id, call_id, root_call_id, payload, facts, body, content_hash, verdict, reason, received_at)
      values (${shop.tenantId}, ${`large ${n}`}, 'large', '{}', '{}', ${randomBytes(9_000_000)}, sha256(${String(n)}::bytea),
              'missed', 'noanswer', now() - interval '400 days')`.execute(db)
  t.match(await redactExpired(), { emptied: { raw_cdrs: 9 }, more: false })
  const { rows } = await sql<{ count: number }>`
    select count(*)::int from raw_cdrs where tenant_id = ${shop.tenantId} group by xmin::text order by 1`.execute(
    db,
  )
  t.strictSame(
    rows.map(({ count }) => count),
    [1, 8],
  )
})

await t.test(
  'each batch is its own transaction, and a locked row is left for the next run',
  async t => {
    const shop = await business()
    await fill(shop, 'old', 1201)
    const holding = db.transaction().execute(async trx => {
      await sql`select from raw_cdrs where call_id = 'old-7' for update`.execute(trx)
      const { emptied } = await redactExpired()
      t.equal(emptied.raw_cdrs, 1200, 'all except the locked row, without waiting for it')
    })
    await holding
    const rows = await recordsOf(shop)
    const batches = new Map<unknown, number>()
    const { rows: writers } = await sql<{ xmin: string }>`
    select xmin::text from raw_cdrs where tenant_id = ${shop.tenantId} and payload is null`.execute(
      db,
    )
    for (const { xmin } of writers) batches.set(xmin, (batches.get(xmin) ?? 0) + 1)
    t.strictSame([...batches.values()], [200, 200, 200, 200, 200, 200])
    t.strictSame(
      rows.filter(({ payload }) => payload !== null).map(row => row.call_id),
      ['old-7'],
    )
    t.match((await redactExpired()).emptied, { raw_cdrs: 1 })
  },
)

await t.test('a run reads each index entry about once, even if many rows must stay', async t => {
  const shop = await business()
  await fill(shop, 'long', 3000)
  // One record for each second, and 2000 older ones that must stay.
  await sql`
    update raw_cdrs set received_at = received_at - id % 3000 * interval '1 second' where call_id like 'long-%'`.execute(
    db,
  )
  await fill(shop, 'open', 2000)
  await sql`
    with calls as (
      insert into missed_calls (tenant_id, call_id, business_phone, status, called_at, outreach_state, outreach_reason, outreach_due_at)
      select tenant_id, call_id, '', 'NOANSWER', received_at, 'scheduled', 'waiting', received_at from raw_cdrs where call_id like 'open-%'
      returning call_id)
    update raw_cdrs r set received_at = received_at - interval '1 day' from calls where r.call_id = calls.call_id`.execute(
    db,
  )
  await sql`vacuum analyze raw_cdrs`.execute(db)
  const entriesRead = async () => {
    const { rows } = await sql<{ read: number }>`
      select sum(idx_tup_read)::int as read from pg_stat_user_indexes where indexrelname = 'raw_cdrs_full'`.execute(
      db,
    )
    return rows[0]?.read ?? 0
  }
  const before = await entriesRead()
  t.match((await redactExpired()).emptied, { raw_cdrs: 3000 })
  // A session publishes its statistics with a later statement, about a second after the work.
  await until(async () => (await entriesRead()) - before >= 3000)
  const read = (await entriesRead()) - before
  t.ok(read < 8000, `${read} entries, for 5000 rows`)
  await sql`delete from missed_calls where tenant_id = ${shop.tenantId}`.execute(db)
  t.match(
    (await redactExpired()).emptied,
    { raw_cdrs: 2000 },
    'the next run starts at the oldest row again',
  )
})

await t.test('calls are stored while a run empties', async t => {
  const shop = await business()
  const other = await business()
  await fill(shop, 'mean', 5000)
  let isOver = false
  const emptying = redactExpired().finally(() => {
    isOver = true
  })
  let told = 0
  while (!isOver) {
    const record = push({ caller: customer().local, did: other.did })
    t.equal((await post(record, { token: other.token })).status, 200)
    told++
    await sleep(5)
  }
  t.match((await emptying).emptied, { raw_cdrs: 5000 })
  await work()
  t.ok(told > 0)
  t.equal((await recordsOf(other)).filter(({ verdict }) => verdict === 'missed').length, told)
})

await t.test('expired rows are found by an index', async t => {
  await sql`analyze`.execute(db)
  for (const [table, column, full] of [
    ['raw_cdrs', 'received_at', sql`payload is not null and verdict is not null`],
    ['whatsapp_events', 'received_at', sql`payload is not null`],
    ['rejected_deliveries', 'received_at', sql`body is not null`],
    ['messages', 'created_at', sql`text is not null`],
  ] as const) {
    const { rows } = await db.transaction().execute(async trx => {
      // The tables of this test are so small that Postgres would scan them.
      await sql`set local enable_seqscan = off`.execute(trx)
      await sql`set local enable_bitmapscan = off`.execute(trx)
      return sql<Record<string, string>>`
        explain select id from ${sql.table(table)}
        where ${full} and ${sql.ref(column)} < now() - interval '90 days'
        order by ${sql.ref(column)} limit 500`.execute(trx)
    })
    const plan = JSON.stringify(rows)
    t.match(plan, new RegExp(`Index (Only )?Scan using ${table}_full`), table)
    t.notMatch(plan, /Sort/, table)
  }
})

await t.test(
  'the task runs every night, with RETENTION_DAYS and the clock of the database',
  async t => {
    const shop = await business()
    await finishedConversation(shop, 'לפני שבוע')
    await age('7 days 1 minute')
    const run = async () => {
      await sql`select graphile_worker.add_job('retention', '{"_cron":{"ts":"2026-01-01"}}'::json, job_key := 'retention:old')`.execute(
        db,
      )
      await work()
    }
    await run()
    t.ok((await recordsOf(shop))[0]?.payload, 'within 90 days')
    config().RETENTION_DAYS = 7
    t.teardown(() => {
      config().RETENTION_DAYS = 90
    })
    await run()
    t.equal((await recordsOf(shop))[0]?.payload, null)
    t.strictSame(await jobs('retention'), [])
    const worker = await startWorker()
    try {
      await until(async () => {
        const { rows } = await sql`
          select from graphile_worker._private_known_crontabs where identifier = 'retention'`.execute(
          db,
        )
        return rows.length > 0
      })
    } finally {
      await worker.stop()
    }
    t.match(cronItems, [
      { task: 'retention', identifier: 'retention', options: { jobKey: 'retention:old' } },
    ])
  },
)

await t.test('a run is limited, and the rest gets another run', async t => {
  const shop = await business()
  await fill(shop, 'many', 10_100)
  t.match(
    await redactExpired(AbortSignal.abort()),
    { emptied: NOTHING, more: true },
    'an aborted run',
  )
  await sql`select graphile_worker.add_job('retention', job_key := 'retention:old')`.execute(db)
  await work()
  t.strictSame((await redactExpired()).emptied, NOTHING)
  await fill(shop, 'more', 10_100)
  t.match(await redactExpired(), { emptied: { raw_cdrs: 10_000 }, more: true })
  t.strictSame(await jobs('retention'), [])
})
