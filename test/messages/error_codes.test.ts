/**
 * WhatsApp answers a first message with each error code. The expected results are written here, from Meta's page, and is not
 * taken from the code under test. First the codes after which a message is tried again or has failed.
 */
import { sql } from 'kysely'
import t, { test, type Test } from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  missedCall,
  outreachOf,
  post,
  reminderDue,
  work,
} from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  secondsUntil,
  waitingFor,
} from '../tasks/support.ts'

/** For each pause between two tries, the least and the most seconds. */
type Waits = (readonly [least: number, most: number])[]
const exactly = (...seconds: number[]): Waits => seconds.map(wait => [wait, wait])
const doubling: Waits = [1, 2, 4, 8, 16, 32, 60].map(most => [1, most])
const aboutHalfAMinute: Waits = Array.from({ length: 5 }, () => [20, 30])

const RETRY: [meaning: string, codes: number[], waits: Waits][] = [
  ['limits of a rolling hour', [4, 80007], exactly(300, 900, 3600)],
  ['throughput', [130429], doubling],
  ['one person too often', [131056], exactly(1, 4, 16, 64, 256)],
  ['maintenance for a minute', [131057], aboutHalfAMinute],
  ['down, or they do not know', [2, 133004, 131000, 131016], exactly(30, 120, 600, 1800)],
  ['their fault or ours', [1], exactly(30, 120)],
]
const FAIL: [meaning: string, codes: number[]][] = [
  ['our own error', [100, 131008, 131009, 131051, 135000, 131030]],
  ['this message cannot go', [131047, 130472, 131062, 132005]],
  ['flows and media', [132068, 132069, 131052, 131053]],
  ['registration', [133000, 133005, 133006, 133008, 133009, 133015, 133016]],
  ['another API', [131055, 134100, 134101, 134102]],
  ['nothing more to this person for now', [131026, 131021, 130497, 131049]],
]
const OPT_OUT: [meaning: string, code: number][] = [
  ['stopped marketing', 131050],
  ['blocked the business', 130403],
]

/** A caller whose first message gets this error, this many times. */
const meets = async (code: number, times = 1, httpStatus?: number) => {
  const shop = await business()
  const who = customer()
  const call = await miss(shop, who.local)
  const outcome = { kind: 'error' as const, code, ...(httpStatus && { httpStatus }) }
  fake.script({ to: who.e164, times, outcome })
  await dueSince(call.id)
  return { shop, who, code, key: `lead_outreach:${call.id}`, ...call }
}
type Met = Awaited<ReturnType<typeof meets>>

/** How long this job waits, by the clock of the transaction that added it. */
const waitOf = async (key: string): Promise<number | undefined> => {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from run_at - created_at)::float8 as seconds
    from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows[0]?.seconds
}

const isPutOff = async (t: Test, met: Met, attempts: number, [least, most] = [0, 0]) => {
  t.strictSame(await outreachOf(met.shop.tenantId, met.callId), ['scheduled', 'waiting'])
  t.match(await initialOf(met.id), { state: 'scheduled', error_code: met.code, attempts })
  t.match(await conversationOf(met.id), { state: 'open' })
  const wait = (await waitOf(met.key)) ?? Number.NaN
  t.ok(wait >= least && wait <= most, `after ${wait} s, expected ${least} to ${most}`)
}

const hasFailed = async (t: Test, { shop, who, id, callId, code }: Met, requests = 1) => {
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.match(await initialOf(id), { state: 'failed', error_code: code, wamid: null })
  t.equal((await messagesAfter(id)).length, 1, 'no reminders')
  t.strictSame(await waitingFor(shop.tenantId), [], 'and no job')
  await addStrayJobs(id)
  await work()
  const codes = requestsOf(shop).map(request => request.code)
  t.strictSame(codes, Array(requests).fill(code), 'it is not tried again')
  t.strictSame(fake.inbox(who.e164), [])
}

/** Other messages of this tenant are not affected. */
const othersGoOn = async (t: Test, { shop }: Met) => {
  const other = customer()
  const { id } = await miss(shop, other.local)
  await dueSince(id)
  t.equal(fake.inbox(other.e164).length, 1, 'other people get their messages')
}

await test('every code is in exactly one row', async t => {
  const codes = [...RETRY, ...FAIL].flatMap(row => row[1]).concat(OPT_OUT.map(row => row[1]))
  t.equal(new Set(codes).size, codes.length)
})

for (const [meaning, codes, waits] of RETRY)
  for (const code of codes) {
    await test(`${code}, ${meaning}: it is tried again and sent`, async t => {
      const met = await meets(code)
      const { shop, who, id, callId, key } = met
      await isPutOff(t, met, 1, waits[0] && [...waits[0]])
      const due = await db.selectFrom('missed_calls').selectAll().where('id', '=', id).execute()
      await runAtOnce(key)
      await work()
      t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
      t.match(await initialOf(id), {
        state: 'accepted',
        reason: null,
        error_code: null,
        attempts: 2,
        due_at: due[0]?.outreach_due_at,
      })
      t.equal(fake.inbox(who.e164).length, 1)
      t.equal((await messagesAfter(id)).length, 3, 'with its reminders')
    })

    await test(`${code}, ${meaning}: after ${waits.length} more tries it has failed`, async t => {
      const met = await meets(code, waits.length + 1)
      for (const [n, wait] of waits.entries()) {
        await isPutOff(t, met, n + 1, [...wait])
        await runAtOnce(met.key)
        await work()
      }
      await hasFailed(t, met, waits.length + 1)
    })
  }

for (const [meaning, [code = 0]] of RETRY)
  await test(`${code}, ${meaning}: it is tried again within the grace, and not after it`, async t => {
    const early = await meets(code)
    await dueSince(early.id, '29 minutes 50 seconds')
    t.strictSame(await outreachOf(early.shop.tenantId, early.callId), ['sent', 'accepted'])
    const late = await meets(code)
    await dueSince(late.id, '30 minutes 1 second')
    t.strictSame(await outreachOf(late.shop.tenantId, late.callId), ['skipped', 'too_late'])
    t.strictSame(await messagesAfter(late.id), [['initial', 'skipped', 'too_late']])
    t.match(await conversationOf(late.id), { state: 'stopped', reason: 'too_late' })
    t.equal(requestsOf(late.shop).length, 1)
  })

for (const [meaning, codes] of FAIL)
  for (const code of codes)
    await test(`${code}, ${meaning}: it has failed`, async t => {
      const met = await meets(code)
      await hasFailed(t, met)
      t.match(await conversationOf(met.id), { state: 'stopped', reason: 'undeliverable' })
      t.match(
        await leadsOf(met.shop.tenantId),
        [{ state: 'new' }],
        'the lead counts as not contacted',
      )
      if (code === codes[0]) await othersGoOn(t, met)
    })

for (const [meaning, code] of OPT_OUT)
  await test(`${code}, ${meaning}: the person gets no message ever again`, async t => {
    const met = await meets(code)
    const { shop, who, id } = met
    await hasFailed(t, met)
    const optOuts = db.selectFrom('opt_outs').selectAll().where('phone', '=', who.e164)
    t.match(await optOuts.execute(), [{ tenant_id: shop.tenantId, source: `whatsapp_${code}` }])
    t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])
    t.match(await conversationOf(id), { state: 'opted_out' })
    const again = await miss(shop, who.local)
    t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'opted_out'])
    const elsewhere = await business()
    const there = await miss(elsewhere, who.local)
    t.strictSame(await outreachOf(elsewhere.tenantId, there.callId), ['scheduled', 'waiting'])
    await othersGoOn(t, met)
  })

for (const httpStatus of [400, 401, 403, 404, 418])
  await test(`an unlisted code with ${httpStatus}: the message has failed`, async t => {
    await hasFailed(t, await meets(987_654, 1, httpStatus))
  })

await test('an unlisted code with 429 counts as a throughput limit', async t => {
  const met = await meets(987_654, doubling.length + 1, 429)
  for (const [n, wait] of doubling.entries()) {
    await isPutOff(t, met, n + 1, [...wait])
    await runAtOnce(met.key)
    await work()
  }
  await hasFailed(t, met, doubling.length + 1)
})

for (const httpStatus of [500, 502, 503])
  await test(`an unlisted code with ${httpStatus}: the outcome is unknown`, async t => {
    const { shop, id, callId } = await meets(987_654, 1, httpStatus)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
    t.strictSame(await messagesAfter(id), [['initial', 'unknown', `http_${httpStatus}`]])
    await addStrayJobs(id)
    await work()
    t.equal(requestsOf(shop).length, 1, 'it is not sent again')
  })

/**
 * The error codes after which a connection or a template is paused: what is due is held and not lost, and no other tenant
 * is affected.
 */

const PAUSE_CONNECTION = {
  'who are you': [0, 104, 190],
  'you may not': [3, 10, 131005, 200, 201, 240, 299],
  'the account is restricted or locked': [368, 131031],
  'it has not been paid': [131042, 134011],
  'the number is gone, or not ready': [33, 131037, 133010, 131045],
  'taken for spam, or for advertising': [131048, 131064],
}
const PAUSE_TEMPLATE = {
  'the parameters do not fit': [132000, 132012, 132018],
  'not there, or not approved': [132001],
  'against the policy': [132007],
  'paused or disabled': [132015, 132016],
  'marketing is off': [131063],
}

/** Two callers of one tenant. The message to the first gets this error; then both are due. */
const pauseWith = async (code: number) => {
  const shop = await business()
  const other = await business()
  const [dana, yossi] = [customer(), customer()]
  const first = await miss(shop, dana.local)
  const second = await miss(shop, yossi.local)
  fake.script({ to: dana.e164, outcome: { kind: 'error', code } })
  await dueSince(first.id)
  await dueSince(second.id)
  return { shop, other, code, dana, yossi, first, second }
}
type Paused = Awaited<ReturnType<typeof pauseWith>>

const connectionOf = ({ tenantId }: Business) =>
  db
    .selectFrom('whatsapp_connections')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()

const templatesOf = async (shop: Business) =>
  db
    .selectFrom('whatsapp_templates')
    .selectAll()
    .where('whatsapp_connection_id', '=', (await connectionOf(shop)).id)
    .execute()

const resume = async (shop: Business) => {
  const { id } = await connectionOf(shop)
  await sql`update whatsapp_connections set state = 'active', state_reason = null where id = ${id}`.execute(
    db,
  )
  await sql`update whatsapp_templates set state = 'active', state_reason = null
            where whatsapp_connection_id = ${id}`.execute(db)
}

const areHeld = async (t: Test, { shop, code, first, second }: Paused) => {
  for (const { callId, id } of [first, second]) {
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'connection_paused'])
    const job = await db
      .selectFrom('missed_calls')
      .select(
        sql<Date>`(select run_at from graphile_worker.jobs
        where key = 'lead_outreach:' || missed_calls.id)`.as('run_at'),
      )
      .where('id', '=', id)
      .executeTakeFirst()
    const seconds = await secondsUntil(job?.run_at)
    t.ok(seconds > 0 && seconds <= 120, `looked at again in ${seconds} s`)
  }
  t.match(await initialOf(first.id), { state: 'scheduled', error_code: code, attempts: 1 })
  t.strictSame(await messagesAfter(second.id), [], 'the message to the second was not tried')
  t.strictSame(
    requestsOf(shop).map(request => request.code),
    [code],
  )
}

/** Another tenant is not affected. */
const otherTenantsSend = async (t: Test, { other }: Paused) => {
  const who = customer()
  const { id, callId } = await miss(other, who.local)
  await dueSince(id)
  t.strictSame(await outreachOf(other.tenantId, callId), ['sent', 'accepted'])
  t.match(await connectionOf(other), { state: 'active', state_reason: null })
  t.strictSame(await templatesOf(other), [])
}

/** Within the grace, a message is sent with its reminders; after it, none is sent. */
const whatIsTimelyGoesOut = async (t: Test, { shop, dana, yossi, first, second }: Paused) => {
  await resume(shop)
  await runAtOnce(`lead_outreach:${first.id}`)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, first.callId), ['sent', 'accepted'])
  t.match(await initialOf(first.id), { state: 'accepted', error_code: null, attempts: 2 })
  t.equal((await messagesAfter(first.id)).length, 3)
  t.equal(fake.inbox(dana.e164).length, 1)

  await dueSince(second.id, '30 minutes 1 second')
  t.strictSame(await outreachOf(shop.tenantId, second.callId), ['skipped', 'too_late'])
  t.strictSame(fake.inbox(yossi.e164), [])
}

for (const [meaning, codes] of Object.entries(PAUSE_CONNECTION))
  for (const code of codes)
    await test(`${code}, ${meaning}: the connection is paused`, async t => {
      const met = await pauseWith(code)
      t.match(await connectionOf(met.shop), {
        state: 'paused',
        state_reason: new RegExp(`\\b${code}\\b`),
      })
      await areHeld(t, met)
      if (code === codes[0]) await otherTenantsSend(t, met)
      await whatIsTimelyGoesOut(t, met)
    })

for (const [meaning, codes] of Object.entries(PAUSE_TEMPLATE))
  for (const code of codes)
    await test(`${code}, ${meaning}: the template is paused`, async t => {
      const met = await pauseWith(code)
      t.match(await connectionOf(met.shop), { state: 'active', state_reason: null })
      t.match(await templatesOf(met.shop), [
        {
          kind: 'initial',
          name: 'ringback_missed_call',
          language: 'he',
          state: 'paused',
          state_reason: new RegExp(`\\b${code}\\b`),
        },
      ])
      t.equal((await templatesOf(met.shop)).length, 1, 'and no other template')
      await areHeld(t, met)
      if (code === codes[0]) await otherTenantsSend(t, met)
      await whatIsTimelyGoesOut(t, met)
    })

/** A person who got the first message. The next first message of the tenant gets this error. */
const remindedWhile = async (code: number) => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  await dueSince(id)
  await sql`update messages set state = 'delivered' where id = ${(await initialOf(id)).id}`.execute(
    db,
  )
  const next = await miss(shop, customer().local)
  fake.script({ phoneNumberId: shop.phoneNumberId, outcome: { kind: 'error', code } })
  await dueSince(next.id)
  const conversation = await conversationOf(id)
  await reminderDue(conversation.id, 1)
  return { shop, who, id, conversation }
}

await test('a reminder waits while the connection is paused, and is sent afterwards', async t => {
  const { shop, who, id, conversation } = await remindedWhile(190)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'scheduled', null])
  t.equal(fake.inbox(who.e164).length, 1)
  await resume(shop)
  await reminderDue(conversation.id, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'accepted', null])
  t.equal(fake.inbox(who.e164).length, 2)
})

await test('reminders are sent while the template of first messages is paused', async t => {
  const { who, id } = await remindedWhile(132015)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'accepted', null])
  t.equal(fake.inbox(who.e164).length, 2)
})

/** The token of one tenant is revoked while many messages are due. */

const MANY = 30

const missedCalls = async (shop: Business) => {
  const records = Array.from({ length: MANY }, () =>
    push({ caller: customer().local, did: shop.did }),
  )
  const { status } = await post(records, { token: shop.token })
  if (status !== 200) throw new Error(`not taken: ${status}`)
}
const states = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ state: string; calls: number }>`
    select outreach_state || ' / ' || outreach_reason as state, count(*)::int as calls
    from missed_calls where tenant_id = ${tenantId} group by 1 order by 1`.execute(db)
  return rows.map(({ state, calls }) => [state, calls])
}

await t.test('a revoked token pauses only its own connection; all others send', async t => {
  const [dead, ...others] = [await business(), await business(), await business()] as const
  for (const shop of [dead, ...others]) await missedCalls(shop)
  await work()
  fake.script({
    phoneNumberId: dead.phoneNumberId,
    times: 'always',
    outcome: { kind: 'error', code: 190 },
  })
  await sql`update missed_calls set outreach_due_at = now()`.execute(db)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where task_identifier = 'lead_outreach'`.execute(db)
  const started = performance.now()
  await work()
  t.comment(`${3 * MANY} messages in ${Math.round(performance.now() - started)} ms`)

  for (const shop of others) {
    t.strictSame(await states(shop), [['sent / accepted', MANY]])
    t.equal(requestsOf(shop).length, MANY)
  }
  t.strictSame(await states(dead), [['scheduled / connection_paused', MANY]])
  // Only those that were being sent when the first answer came.
  t.ok(requestsOf(dead).length <= 8, `${requestsOf(dead).length} were tried`)
  const { rows } = await sql<{ tenant_id: string; state: string; state_reason: string | null }>`
    select tenant_id, state, state_reason from whatsapp_connections
    where tenant_id = any(${[dead, ...others].map(({ tenantId }) => tenantId)}::bigint[]) order by id`.execute(
    db,
  )
  t.strictSame(rows, [
    { tenant_id: dead.tenantId, state: 'paused', state_reason: 'WhatsApp error 190' },
    ...others.map(({ tenantId }) => ({ tenant_id: tenantId, state: 'active', state_reason: null })),
  ])

  // With a new token, everything that is not too late is sent, once.
  fake.clearScripts()
  await sql`update whatsapp_connections set state = 'active', state_reason = null`.execute(db)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = any(${await waitingFor(dead.tenantId)}::text[])`.execute(
    db,
  )
  await work()
  t.strictSame(await states(dead), [['sent / accepted', MANY]])
  const theirs = [dead, ...others].map(({ phoneNumberId }) => phoneNumberId)
  const accepted = fake
    .accepted()
    .flatMap(({ to, phoneNumberId }) => (theirs.includes(phoneNumberId) ? to : []))
  t.equal(new Set(accepted).size, accepted.length, 'no person got two messages')
})

/** WhatsApp fails for hours, or its answer is too long. */

await t.test('an answer of ten megabytes is unknown, and is not held in memory', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const answer = { messaging_product: 'whatsapp', messages: [{ id: 'wamid.x' }], padding: '' }
  answer.padding = 'x'.repeat(10 * 1024 * 1024)
  const body = JSON.stringify(answer)
  fake.script({ to: who.e164, outcome: { kind: 'http', status: 200, body, accept: true } })
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.match(await initialOf(id), { state: 'unknown', wamid: null })
  await dueSince(id)
  t.equal(requestsOf(shop).length, 1)
})

/** The jobs of this tenant are due now. */
const allDue = async (tenantId: string) => {
  const keys = await waitingFor(tenantId)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = any(${keys}::text[]) having count(*) > 0`.execute(
    db,
  )
  await work()
}

for (const [name, outcome] of [
  ['says 500 for three hours', { kind: 'error', code: 131000 }],
  ['says for three hours that it is too much', { kind: 'error', code: 80007 }],
] as const)
  await t.test(
    `when WhatsApp ${name}, it is asked rarely, and no message is sent late`,
    async t => {
      const shop = await business()
      const records = Array.from({ length: 20 }, () =>
        push({ caller: customer().local, did: shop.did }),
      )
      t.equal((await post(records, { token: shop.token })).status, 200)
      await work()
      fake.script({ phoneNumberId: shop.phoneNumberId, times: 'always', outcome })
      await sql`update missed_calls set outreach_due_at = now() where tenant_id = ${shop.tenantId}`.execute(
        db,
      )
      await allDue(shop.tenantId)
      t.equal(requestsOf(shop).length, records.length)
      await work()
      t.equal(requestsOf(shop).length, records.length, 'and not again before the next try is due')
      await allDue(shop.tenantId)
      t.equal(requestsOf(shop).length, 2 * records.length)

      // Three hours later WhatsApp works again.
      fake.clearScripts()
      await sql`update missed_calls set outreach_due_at = now() - interval '3 hours' where tenant_id = ${shop.tenantId}`.execute(
        db,
      )
      await allDue(shop.tenantId)
      t.equal(requestsOf(shop).length, 2 * records.length, 'nothing is sent late')
      for (const { ivruniqueid } of records)
        t.match(await missedCall(shop.tenantId, ivruniqueid), {
          outreach_state: 'skipped',
          outreach_reason: 'too_late',
        })
      t.strictSame(await waitingFor(shop.tenantId), [])

      const dana = customer()
      const { id, callId } = await miss(shop, dana.local)
      await dueSince(id)
      t.strictSame(
        await outreachOf(shop.tenantId, callId),
        ['sent', 'accepted'],
        'the next call gets its message',
      )
      fake.clearScripts()
    },
  )
