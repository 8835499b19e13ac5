/** The sweep adds the jobs that are missing, and a job that fails for good holds up no other. (Case 37) */
import { randomInt } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { markUnread, requeueDueRows, requeueExpiredClaims } from '../../app/worker/reconcile.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { endpointOf, receiver } from '../events/support.ts'
import {
  business,
  type Business,
  customer,
  db,
  jobs,
  OK,
  outreachOf,
  post,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { missedBy } from '../support/steps.ts'
import { change, contacted, deliver, envelope } from '../support/whatsapp.ts'
import {
  conversationOf,
  dueSince,
  miss,
  notRunning,
  requestsOf,
  runAtOnce,
} from '../tasks/support.ts'

type Row = {
  /** The key of its job. */
  key: string
  state: () => Promise<unknown>
  /** The state after its job has run. */
  expected: unknown
}

const one = async (query: ReturnType<typeof sql<{ state: unknown }>>) =>
  (await query.execute(db)).rows[0]?.state
const messageState = (id: string) => one(sql`select state from messages where id = ${id}`)

/** A message without a conversation, due for two minutes. */
const notice = async (shop: Business, kind: string) => {
  const { e164 } = customer()
  // A notice to another phone than the owner's is not sent.
  await sql`update tenants set owner_phone = ${e164} where id = ${shop.tenantId}`.execute(db)
  const { rows } = await sql<{ id: string }>`
    insert into messages (tenant_id, direction, kind, state, due_at, to_phone, text)
    values (${shop.tenantId}, 'out', ${kind}, 'scheduled', now() - interval '2 minutes', ${e164}, 'אין')
    returning id`.execute(db)
  return rows[0]?.id ?? ''
}

/** A row of each kind that has been due for two minutes. */
const KINDS: Record<string, (shop: Business) => Promise<Row>> = {
  'an unclassified CDR': async ({ token, tenantId }) => {
    const cdr = push({ caller: 'anonymous' })
    await post(cdr, { token })
    await sql`update raw_cdrs set received_at = now() - interval '2 minutes' where tenant_id = ${tenantId}`.execute(
      db,
    )
    const { ivruniqueid } = cdr
    return {
      key: `voicenter_cdr:${ivruniqueid}`,
      state: () =>
        one(sql`select verdict is not null as state from raw_cdrs where call_id = ${ivruniqueid}`),
      expected: true,
    }
  },
  'a CDR that was classified while its number was being added': async ({ token, did }) => {
    const cdr = push({ caller: 'anonymous', did })
    await post(cdr, { token })
    await work()
    const { ivruniqueid } = cdr
    await sql`update raw_cdrs set verdict = 'unmatched_number' where call_id = ${ivruniqueid}`.execute(
      db,
    )
    return {
      key: `voicenter_cdr:${ivruniqueid}`,
      state: () => one(sql`select verdict as state from raw_cdrs where call_id = ${ivruniqueid}`),
      expected: 'missed',
    }
  },
  'a first message': async shop => {
    const id = await missedBy(shop, customer().e164)
    await sql`update missed_calls set outreach_due_at = now() - interval '2 minutes' where id = ${id}`.execute(
      db,
    )
    return {
      key: `lead_outreach:${id}`,
      state: () => one(sql`select outreach_state as state from missed_calls where id = ${id}`),
      expected: 'sent',
    }
  },
  'a claimed first message': async shop => {
    const id = await missedBy(shop, customer().e164)
    await sql`
      with c as (insert into lead_conversations (tenant_id, lead_id, missed_call_id) select tenant_id, lead_id, id from missed_calls where id = ${id} returning id)
      insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at, claimed_at, attempts)
      select ${shop.tenantId}, id, 'out', 'initial', 'sending', now() - interval '2 minutes', now() - interval '2 minutes', 1 from c`.execute(
      db,
    )
    await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed', outreach_due_at = now() - interval '2 minutes' where id = ${id}`.execute(
      db,
    )
    return {
      key: `lead_outreach:${id}`,
      state: () => one(sql`select outreach_state as state from missed_calls where id = ${id}`),
      expected: 'unknown',
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
      state: () =>
        one(
          sql`select state from messages where lead_conversation_id = ${conversation} and kind = 'reminder_1'`,
        ),
      expected: 'accepted',
    }
  },
  'an opt-out confirmation': async shop => {
    const id = await notice(shop, 'opt_out_confirmation')
    // WhatsApp refuses free text, because this person never wrote.
    return { key: `opt_out_confirmation:${id}`, state: () => messageState(id), expected: 'failed' }
  },
  'an owner notice': async shop => {
    const id = await notice(shop, 'owner_notice')
    return { key: `owner_notice:${id}`, state: () => messageState(id), expected: 'accepted' }
  },
  'a WhatsApp event': async shop => {
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
      state: () => one(sql`select outcome as state from whatsapp_events where id = ${id}`),
      expected: 'no_message',
    }
  },
  'a WhatsApp event that was read while its number was being connected': async shop => {
    const item = { id: `wamid.${crypto.randomUUID()}`, status: 'sent', recipient_id: '1' }
    await deliver(envelope(change(shop.phoneNumberId, { statuses: [item] })))
    const { rows } = await sql<{ id: string }>`
      update whatsapp_events set outcome = 'number_unknown', received_at = now() - interval '20 minutes'
      where payload #>> '{item,id}' = ${item.id} returning id`.execute(db)
    await markUnread()
    const id = rows[0]?.id ?? ''
    return {
      key: `whatsapp_event:${id}`,
      state: () => one(sql`select outcome as state from whatsapp_events where id = ${id}`),
      expected: 'no_message',
    }
  },
  'an unanswered conversation': async shop => {
    const { id } = await contacted(shop)
    const conversation = (await conversationOf(id)).id
    await sql`update messages set state = 'delivered', due_at = now() - interval '3 days', claimed_at = now() - interval '2 days' where lead_conversation_id = ${conversation}`.execute(
      db,
    )
    return {
      key: `lead_silence:${conversation}`,
      state: () => one(sql`select state from lead_conversations where id = ${conversation}`),
      expected: 'unresponsive',
    }
  },
  'an event for another program': async shop => {
    const to = await receiver()
    const { endpointId } = await endpointOf(shop, to.url)
    const { rows } = await sql<{ id: string }>`
      with event as (
        insert into events (tenant_id, type, data) values (${shop.tenantId}, 'webhook.test', jsonb_build_object('tenant_id', ${shop.tenantId}::text))
        returning id)
      insert into event_deliveries (tenant_id, event_id, event_endpoint_id, due_at)
      select ${shop.tenantId}, id, ${endpointId}, now() - interval '2 minutes' from event returning id`.execute(
      db,
    )
    const id = rows[0]?.id ?? ''
    return {
      key: `event_delivery:${id}`,
      state: () => one(sql`select state from event_deliveries where id = ${id}`),
      expected: 'delivered',
    }
  },
}

const deleteJobs = () => sql`delete from graphile_worker._private_jobs`.execute(db)
const revision = async (key: string) => {
  const { rows } = await sql<{ id: string; revision: number; run_at: Date; attempts: number }>`
    select id, revision, run_at, attempts from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows
}
/** Its priority and its flags, which say how it shares the workers (worker/sharing.ts). */
const placeOf = async (key: string) => {
  const { rows } = await sql<{ priority: number; flags: Record<string, boolean> }>`
    select priority, flags from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows.map(({ priority, flags }) => [priority, ...Object.keys(flags)])
}
const PLACES: [RegExp, number, string][] = [
  [/^voicenter_cdr/, -20, 'calls'],
  // A status.
  [/^(whatsapp_event|lead_silence)/, -10, 'rest'],
  [/^event_delivery/, 5, 'events'],
  [/^call_log/, 10, 'chores'],
  [/./, 0, 'sends'],
]

for (const [name, make] of Object.entries(KINDS))
  await t.test(`${name} gets one job`, async t => {
    const shop = await business()
    const row = await make(shop)
    await deleteJobs()

    t.equal(await requeueDueRows(), 1)
    const added = await revision(row.key)
    t.equal(added.length, 1)
    const [, priority = 0, lane = ''] = PLACES.find(([key]) => key.test(row.key)) ?? []
    const ofTenant = lane === 'calls' ? [] : [`${lane}:${shop.tenantId}`]
    t.strictSame(await placeOf(row.key), [[priority, lane, ...ofTenant]])
    t.equal(await requeueDueRows(), 0)
    t.strictSame(await revision(row.key), added)

    const isKept = async (what: string, change: string) => {
      await sql`update graphile_worker._private_jobs set ${sql.raw(change)} where key = ${row.key}`.execute(
        db,
      )
      const before = await revision(row.key)
      t.equal(await requeueDueRows(), 0, `${what} is kept`)
      t.strictSame(await revision(row.key), before)
    }
    await isKept('a job for later', `run_at = now() + interval '1 hour'`)
    await isKept('a job that will be retried', `attempts = 3`)
    await isKept('a job that failed for good', `attempts = max_attempts, last_error = 'no'`)
    await isKept(
      'a running job',
      `attempts = 1, run_at = now(), locked_by = 'pool-other', locked_at = now()`,
    )
    await isKept('a job that has run for four minutes', `locked_at = now() - interval '4 minutes'`)

    await sql`update graphile_worker._private_jobs set locked_at = now() - interval '6 minutes' where key = ${row.key}`.execute(
      db,
    )
    t.equal(await requeueDueRows(), 1, 'a job that is locked for six minutes is replaced')
    t.not((await revision(row.key))[0]?.id, added[0]?.id)
    t.equal(await requeueDueRows(), 0)
    await sql`delete from graphile_worker._private_jobs where key is null`.execute(db)

    await work()
    t.equal(await row.state(), row.expected)
    await deleteJobs()
    t.equal(await requeueDueRows(), 0, 'then it needs no job any more')
  })

await t.test('a row that is not due, or was due just now, gets no job', async t => {
  const shop = await business()
  await missedBy(shop, customer().e164)
  await post(push({ caller: 'anonymous' }), { token: shop.token })
  await deleteJobs()
  t.equal(await requeueDueRows(), 0)
})

await t.test('if the whole queue is lost, all work continues', async t => {
  const shop = await business()
  const rows: Row[] = []
  for (const make of Object.values(KINDS)) {
    rows.push(await make(shop))
    await deleteJobs()
  }
  // Several processes sweep at once.
  const added = await Promise.all([requeueDueRows(), requeueDueRows(), requeueDueRows()])
  t.ok(added.includes(rows.length))
  for (const { key } of rows) t.equal((await jobs(key)).length, 1, key)
  await work()
  for (const { key, state, expected } of rows) t.equal(await state(), expected, key)
})

type Claim = { key: string; state: () => Promise<string | undefined> }

const stateOf = async (id: string | undefined) =>
  (
    await db
      .selectFrom('messages')
      .select('state')
      .where('id', '=', id ?? '0')
      .executeTakeFirst()
  )?.state

/** A message of each kind that was claimed some time ago by a worker that has died. */
const CLAIMS: Record<string, (shop: Business, secondsAgo: number) => Promise<Claim>> = {
  'a first message': async (shop, secondsAgo) => {
    const { id } = await miss(shop, customer().local)
    await sql`
      with c as (insert into lead_conversations (tenant_id, lead_id, missed_call_id) select tenant_id, lead_id, id from missed_calls where id = ${id} returning id)
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
  'an owner notice': async (shop, secondsAgo) => {
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

/** The state of its job. */
const JOBS: Record<string, (key: string) => Promise<unknown>> = {
  'is lost': key => sql`select graphile_worker.remove_job(${key}::text)`.execute(db),
  'waits for a retry': key => setJob(key, sql`run_at = now() + interval '1 hour', attempts = 5`),
  'failed for good': key => setJob(key, sql`attempts = max_attempts`),
  'is locked and does not run': key =>
    setJob(key, sql`locked_by = 'somebody', locked_at = now(), attempts = 1`),
}

for (const [what, claim] of Object.entries(CLAIMS))
  for (const [fate, happen] of Object.entries(JOBS))
    await t.test(`expired claim: ${what} whose job ${fate}`, async t => {
      const shop = await business()
      const { key, state } = await claim(shop, 46)
      await happen(key)
      const sent = requestsOf(shop).length
      t.equal(await requeueExpiredClaims(), 1)
      t.equal(await requeueExpiredClaims(), 0)
      await work()
      t.equal(await state(), 'unknown')
      t.equal(requestsOf(shop).length, sent, 'nothing is sent')
      t.equal(await requeueExpiredClaims(), 0)
    })

await t.test('a claim that has not expired is kept', async t => {
  for (const claim of Object.values(CLAIMS)) {
    const { key } = await claim(await business(), 35)
    await sql`select graphile_worker.remove_job(${key}::text)`.execute(db)
  }
  t.equal(await requeueExpiredClaims(), 0)
})

await t.test('the missed call becomes unknown with its message', async t => {
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

await t.test(
  'an unreadable CDR fails for good after twelve attempts, and other calls continue',
  async t => {
    const shop = await business()
    const broken = push({ caller: customer().local, did: shop.did })
    t.strictSame(await post(broken, { token: shop.token }), OK)
    await sql`update raw_cdrs set payload = '"x"' where call_id = ${broken.ivruniqueid}`.execute(db)
    const key = `voicenter_cdr:${broken.ivruniqueid}`

    for (let tries = 0; tries < 14; tries++) {
      await runAtOnce(key)
      await work()
      await notRunning(key)
      const other = customer()
      const { id, callId } = await miss(shop, other.local)
      await dueSince(id)
      t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    }
    const { rows } = await sql<{ attempts: number; max_attempts: number; last_error: string }>`
    select attempts, max_attempts, last_error from graphile_worker.jobs where key = ${key}`.execute(
      db,
    )
    t.match(rows, [{ attempts: 12, max_attempts: 12, last_error: /not classified/ }])
    t.notMatch(rows[0]?.last_error, /05\d{8}/, 'no phone number in the error')

    await sql`update raw_cdrs set payload = ${JSON.stringify(broken)}::jsonb where call_id = ${broken.ivruniqueid}`.execute(
      db,
    )
    await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now(), attempts := 0)
            from graphile_worker.jobs where key = ${key}`.execute(db)
    await work()
    t.strictSame(await jobs(key), [])
    t.strictSame(await outreachOf(shop.tenantId, broken.ivruniqueid), ['scheduled', 'waiting'])
  },
)

await t.test('200 messages of one business are due, and one of another: all are sent', async t => {
  const [busy, quiet] = [await business(), await business()]
  const missed = ({ did }: Business) => push({ caller: customer().local, did })
  const many = Array.from({ length: 200 }, () => missed(busy))
  const one = missed(quiet)
  await post(many, busy)
  await post(one, quiet)
  await work()
  await workAsIfDue()
  t.strictSame(await outreachOf(quiet.tenantId, one.ivruniqueid), ['sent', 'accepted'])
  t.equal(requestsOf(busy).length, 200)
})

await t.test('an emptied CDR to a number that was added just now is not read again', async t => {
  const { tenantId, token } = await business()
  const did = `0722${String(randomInt(1e6)).padStart(6, '0')}`
  const cdr = push({ caller: 'anonymous', did })
  await post(cdr, { token })
  await work()
  await sql`update raw_cdrs set payload = null, body = null, facts = null where call_id = ${cdr.ivruniqueid}`.execute(
    db,
  )
  await sql`insert into tenant_numbers (tenant_id, phone) values (${tenantId}, ${`+972${did.slice(1)}`})`.execute(
    db,
  )
  await work()
  await deleteJobs()
  t.equal(await requeueDueRows(), 0)
})
