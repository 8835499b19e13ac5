/** The first message: the request, the checks before it, every outcome, retries, and that it is sent only once. */
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { encrypt, tokenOwner } from '../../app/crypto.ts'
import { answeredPush, push } from '../../scripts/demo/cdr.ts'
import type { ScriptInput } from '../../scripts/fake_whatsapp/scripts.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  post,
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
  tell,
  until,
  waitingFor,
} from '../tasks/support.ts'

/** The rest of the test of a send without an answer. It waits until the send is given up, so it is the last test. */
let givesUp = async (t: Test) => void t.fail('no send was without an answer')

t.test(
  'without an answer, other messages are sent meanwhile, and no connection is held',
  async t => {
    const shop = await business()
    const who = customer()
    const missed = await miss(shop, who.local)
    fake.script({ to: who.e164, outcome: { kind: 'hang', accept: true } })
    const hanging = dueSince(missed.id)
    await until(() => requestsOf(shop).length === 1)
    t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['sending', 'claimed'])

    const { rows } = await sql`select state from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`.execute(db)
    t.strictSame(rows, [], 'no transaction is open during the send')
    const other = customer()
    await dueSince((await miss(await business(), other.local)).id)
    t.equal(fake.inbox(other.e164).length, 1)
    t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['sending', 'claimed'])
    // All other tests run meanwhile.
    givesUp = async t => {
      await hanging
      await isUnknownForGood(t, { shop, who, ...missed }, true)
    }
  },
)

t.test('the request holds the number with a plus, and our message id', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  const message = await initialOf(id)
  const [request, ...more] = requestsOf(shop)
  t.strictSame(more, [])
  t.match(request, {
    version: 'v26.0',
    body: {
      messaging_product: 'whatsapp',
      to: dana.e164,
      type: 'template',
      biz_opaque_callback_data: message.id,
      template: { name: 'ringback_missed_call', language: { code: 'he' } },
    },
  })
  const [inbox] = fake.inbox(dana.e164)
  t.equal(inbox?.template?.parameters[0], 'מספרת נועה', 'the template names the business')
  t.match(message, {
    state: 'accepted',
    wamid: inbox?.wamid,
    wa_id: dana.e164.slice(1),
    direction: 'out',
    attempts: 1,
    error_code: null,
  })
})

t.test('the access token is encrypted in the database and sent in clear', async t => {
  const shop = await business()
  const token = fake
    .numbers()
    .find(({ phoneNumberId }) => phoneNumberId === shop.phoneNumberId)?.token
  const { rows } = await sql<{ everything: string }>`
    select (select string_agg(w::text, '') from whatsapp_connections w) || (select string_agg(x::text, '') from tenants x) as everything`.execute(
    db,
  )
  t.ok(token && rows[0]?.everything.includes('v1:'))
  t.notOk(rows[0]?.everything.includes(token ?? 'v1:'))
  const { id } = await miss(shop, customer().local)
  await dueSince(id)
  t.equal(requestsOf(shop)[0]?.authorization, shop.phoneNumberId, 'the token of this number')
})

t.test('a job with the call of another tenant sends nothing', async t => {
  const [mine, theirs] = [await business(), await business()]
  const who = customer()
  const { id, callId } = await miss(theirs, who.local)
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await sql`
    select graphile_worker.add_job('lead_outreach', ${JSON.stringify({
      tenantId: mine.tenantId,
      missedCallId: id,
      callerPhone: who.e164,
    })}::json)`.execute(db)
  await work()
  t.strictSame(await outreachOf(theirs.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame([...requestsOf(mine), ...requestsOf(theirs)], [])
})

t.test('of two connections, the one with the dialled number is used', async t => {
  const shop = await business()
  const other = fake.addNumber()
  const dialled = `073${shop.did.slice(3)}`
  await db
    .insertInto('whatsapp_connections')
    .values({
      tenant_id: shop.tenantId,
      display_phone_number: `+972${dialled.slice(1)}`,
      phone_number_id: other.phoneNumberId,
      access_token: encrypt(other.token, tokenOwner(shop.tenantId)),
    })
    .execute()
  const [dana, yossi] = [customer(), customer()]
  for (const [who, did] of [
    [dana, dialled],
    [yossi, shop.did],
  ] as const)
    await dueSince((await miss(shop, who.local, { did })).id)
  t.match(fake.inbox(dana.e164), [{ phoneNumberId: other.phoneNumberId }])
  t.match(fake.inbox(yossi.e164), [{ phoneNumberId: shop.phoneNumberId }])

  await sql`update whatsapp_connections set state = 'paused' where phone_number_id = ${other.phoneNumberId}`.execute(
    db,
  )
  const tal = customer()
  await dueSince((await miss(shop, tal.local, { did: dialled })).id)
  t.match(fake.inbox(tal.e164), [{ phoneNumberId: shop.phoneNumberId }], 'or an active one')
})

t.test('when it is accepted, both reminders are scheduled with their jobs', async t => {
  const shop = await business()
  const { id, callId } = await miss(shop, customer().local)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  const conversation = await conversationOf(id)
  t.equal(conversation.state, 'open')
  const [lead] = await leadsOf(shop.tenantId)
  t.match(lead, { state: 'contacted', id: conversation.lead_id })
  for (const [n, hours] of [
    [1, 2],
    [2, 24],
  ] as const) {
    const row = await db
      .selectFrom('messages')
      .selectAll()
      .where('lead_conversation_id', '=', conversation.id)
      .where('kind', '=', `reminder_${n}`)
      .executeTakeFirst()
    t.match(row, { state: 'scheduled', direction: 'out', wamid: null, claimed_at: null })
    const seconds = await secondsUntil(row?.due_at ?? undefined)
    t.ok(Math.abs(seconds - hours * 3600) < 5, `${hours} hours from now`)
    const key = `lead_reminder:${conversation.id}:${n}`
    const { rows } = await sql<{ payload: unknown; run_at: Date }>`
      select p.payload, j.run_at from graphile_worker.jobs j
      join graphile_worker._private_jobs p on p.id = j.id where j.key = ${key}`.execute(db)
    t.strictSame(
      rows,
      [
        {
          payload: { leadId: lead?.id, leadConversationId: conversation.id, reminderNumber: n },
          run_at: row?.due_at,
        },
      ],
      key,
    )
  }
})

t.test('the delays of the reminders are settings of the tenant', async t => {
  const shop = await business({
    columns: {
      outreach_delay: '7 seconds',
      reminder_1_after: '1 minute',
      reminder_2_after: '1 day 1 hour',
    },
  })
  const { id } = await miss(shop, customer().local)
  const [job] = await jobs(`lead_outreach:${id}`)
  t.ok((await secondsUntil(job?.run_at)) <= 7)
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  const [first] = await jobs(`lead_reminder:${conversation}:1`)
  const [second] = await jobs(`lead_reminder:${conversation}:2`)
  t.ok(Math.abs((await secondsUntil(first?.run_at)) - 60) < 5)
  t.ok(Math.abs((await secondsUntil(second?.run_at)) - 25 * 3600) < 5)
})

t.test(
  'an acceptance is recorded together with the reminders and their jobs, or not at all',
  async t => {
    const shop = await business()
    const dana = customer()
    const { id, callId } = await miss(shop, dana.local)
    // The job of the second reminder is written last.
    await sql`create function no_reminder() returns trigger language plpgsql as
    $$ begin raise exception 'no job today'; end $$`.execute(db)
    await sql`create trigger no_reminder before insert on graphile_worker._private_jobs for each row
    when (new.key like 'lead\\_reminder:%:2') execute function no_reminder()`.execute(db)
    await dueSince(id)
    t.equal(fake.inbox(dana.e164).length, 1, 'it did go out')
    t.strictSame(await messagesAfter(id), [['initial', 'sending', null]], 'no reminder rows')
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sending', 'claimed'])
    t.equal(
      (await jobs(`lead_reminder:${(await conversationOf(id)).id}:1`)).length,
      0,
      'and no job',
    )

    await sql`drop function no_reminder cascade`.execute(db)
    await sql`update messages set claimed_at = now() - interval '2 minutes' where tenant_id = ${shop.tenantId}`.execute(
      db,
    )
    await addStrayJobs(id)
    await work()
    t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
    t.equal(requestsOf(shop).length, 1, 'it is not sent again')
  },
)

// What the claim checks again, two minutes after the call.

type Person = ReturnType<typeof customer>

const setTenant =
  (column: string, value: string | boolean) =>
  async ({ tenantId }: Business) => {
    await sql`update tenants set ${sql.ref(column)} = ${value} where id = ${tenantId}`.execute(db)
  }
/** What may happen in the two minutes, and the outcome of the call. */
const meanwhile: Record<
  string,
  [(shop: Business, who: Person) => Promise<unknown>, [string, string]]
> = {
  'the number was added to the tenant': [
    ({ tenantId }, { e164 }) =>
      db.insertInto('tenant_numbers').values({ tenant_id: tenantId, phone: e164 }).execute(),
    ['skipped', 'own_number'],
  ],
  'an opt-out': [
    ({ tenantId }, { e164 }) =>
      sql`insert into opt_outs (tenant_id, phone, source) values (${tenantId}, ${e164}, 'operator')`.execute(
        db,
      ),
    ['skipped', 'opted_out'],
  ],
  'the tenant was paused': [setTenant('mode', 'paused'), ['skipped', 'tenant_paused']],
  'the connection was taken away': [
    ({ tenantId }) =>
      db.deleteFrom('whatsapp_connections').where('tenant_id', '=', tenantId).execute(),
    ['skipped', 'no_connection'],
  ],
  'another message to the same person': [
    async (shop, { local }) => {
      // As if an operator had scheduled a skipped call with SQL.
      const second = await miss(shop, local)
      const [first] = await db
        .selectFrom('missed_calls')
        .selectAll()
        .where('tenant_id', '=', shop.tenantId)
        .orderBy('id')
        .execute()
      await sql`update missed_calls set outreach_state = 'cancelled', outreach_reason = 'by_operator' where id = ${first?.id}`.execute(
        db,
      )
      await sql`update missed_calls set outreach_state = 'scheduled', outreach_reason = 'waiting', outreach_due_at = now()
                where id = ${second.id}`.execute(db)
      await addStrayJobs(second.id)
      await work()
      await sql`update missed_calls set outreach_state = 'scheduled', outreach_reason = 'waiting' where id = ${first?.id}`.execute(
        db,
      )
      await addStrayJobs(first?.id ?? '')
    },
    ['skipped', 'already_contacted'],
  ],
  'nothing of the kind': [() => Promise.resolve(), ['sent', 'accepted']],
}

for (const [name, [happens, end]] of Object.entries(meanwhile))
  t.test(`${name} meanwhile`, async t => {
    const shop = await business()
    const dana = customer()
    const { callId, id } = await miss(shop, dana.local)
    await happens(shop, dana)
    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), end)
    t.equal(
      fake.inbox(dana.e164).length,
      name.startsWith('nothing') || name.startsWith('another') ? 1 : 0,
    )
    if (end[0] === 'skipped') t.strictSame(await messagesAfter(id), [], 'no message was claimed')
    t.notOk((await waitingFor(shop.tenantId)).includes(`lead_outreach:${id}`))
  })

t.test('a foreign number gets no message if foreign numbers are no longer allowed', async t => {
  const shop = await business({ columns: { contact_foreign: true } })
  const { callId, id } = await miss(shop, '+447400123456')
  await setTenant('contact_foreign', false)(shop)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'not_mobile'])
  t.strictSame(requestsOf(shop), [])
})

t.test('a message that was not claimed within the grace is too late', async t => {
  const shop = await business()
  const [dana, yossi] = [customer(), customer()]
  const late = await miss(shop, dana.local)
  await dueSince(late.id, '30 minutes 1 second')
  t.strictSame(await outreachOf(shop.tenantId, late.callId), ['skipped', 'too_late'])
  const justInTime = await miss(shop, yossi.local)
  await dueSince(justInTime.id, '29 minutes 50 seconds')
  t.strictSame(await outreachOf(shop.tenantId, justInTime.callId), ['sent', 'accepted'])
  t.equal(requestsOf(shop).length, 1)

  const strict = await business({ columns: { grace: '10 seconds' } })
  const { callId, id } = await miss(strict, customer().local)
  await dueSince(id, '11 seconds')
  t.strictSame(await outreachOf(strict.tenantId, callId), ['skipped', 'too_late'])
})

t.test('a job that runs before the message is due is set for the due time', async t => {
  const shop = await business()
  const { callId, id } = await miss(shop, customer().local)
  await sql`select graphile_worker.remove_job(${`lead_outreach:${id}`})`.execute(db)
  await addStrayJobs(id)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  const [job] = await jobs(`lead_outreach:${id}`)
  t.strictSame(job?.run_at, (await missedCall(shop.tenantId, callId))?.outreach_due_at)
  t.strictSame(requestsOf(shop), [])
})

t.test('a job for a deleted call ends without an error', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  await addStrayJobs(id)
  await db.deleteFrom('missed_calls').where('id', '=', id).execute()
  await work()
  // A job that fails stays in the queue.
  await until(async () => {
    const { rows } =
      await sql`select from graphile_worker._private_jobs where payload ->> 'missedCallId' = ${id}`.execute(
        db,
      )
    return rows.length <= 1
  })
  t.strictSame(requestsOf(shop), [])
})

// A message that is held by a paused connection, or not sent in shadow mode.

const setConnection = async ({ tenantId }: Business, state: 'active' | 'paused') => {
  await sql`update whatsapp_connections set state = ${state} where tenant_id = ${tenantId}`.execute(
    db,
  )
}

t.test(
  'the message waits while the connection is paused, and is sent when it is active',
  async t => {
    const shop = await business()
    const dana = customer()
    const { callId, id } = await miss(shop, dana.local)
    await setConnection(shop, 'paused')
    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'connection_paused'])
    const [job] = await jobs(`lead_outreach:${id}`)
    const seconds = await secondsUntil(job?.run_at)
    t.ok(seconds > 0 && seconds <= 120, 'the job looks again soon')
    t.strictSame(requestsOf(shop), [])

    await setConnection(shop, 'active')
    await runAtOnce(`lead_outreach:${id}`)
    await work()
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.equal(fake.inbox(dana.e164).length, 1)
  },
)

t.test('the message is too late if the connection is paused for longer than the grace', async t => {
  const shop = await business()
  const { callId, id } = await miss(shop, customer().local)
  await setConnection(shop, 'paused')
  await dueSince(id)
  await dueSince(id, '31 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

for (const when of ['from the start', 'meanwhile'])
  t.test(`a tenant in shadow mode ${when} decides everything and sends nothing`, async t => {
    const shop = await business({ mode: when === 'meanwhile' ? 'live' : 'shadow' })
    const dana = customer()
    const { callId, id } = await miss(shop, dana.local)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
    await db
      .updateTable('tenants')
      .set({ mode: 'shadow' })
      .where('id', '=', shop.tenantId)
      .execute()
    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'shadow'])
    t.strictSame(await messagesAfter(id), [['initial', 'shadow', null]])
    t.strictSame(requestsOf(shop), [])
    t.strictSame(await waitingFor(shop.tenantId), [], 'no reminders')
    t.match(await leadsOf(shop.tenantId), [{ state: 'new' }], 'the lead counts as not contacted')
  })

// The outcomes of a send: refused or unknown, and never sent twice.

/** A missed call whose message has this outcome. */
const meets = async (outcome: ScriptInput['outcome'], unread = false) => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  fake.script({ ...(unread ? { phoneNumberId: shop.phoneNumberId } : { to: who.e164 }), outcome })
  await dueSince(missed.id)
  return { shop, who, ...missed }
}

/** The message is due again, with more jobs than there should be. */
const everythingAgain = async (id: string) => {
  await addStrayJobs(id, 3)
  await dueSince(id)
}

t.test('a refused message has failed, with its code', async t => {
  for (const code of [131026, 131047, 100]) {
    const { shop, who, id, callId } = await meets({ kind: 'error', code })
    t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'], String(code))
    t.match(await initialOf(id), { state: 'failed', error_code: code, wamid: null })
    t.strictSame(await waitingFor(shop.tenantId), [])
    await everythingAgain(id)
    t.equal(requestsOf(shop).length, 1)
    t.strictSame(fake.inbox(who.e164), [])
    t.match(await leadsOf(shop.tenantId), [{ state: 'new' }], 'the lead counts as not contacted')
  }
})

t.test('an unlisted code with a 4xx is a refusal', async t => {
  const { shop, id, callId } = await meets({ kind: 'error', code: 987654, httpStatus: 400 })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.match(await initialOf(id), { error_code: 987654 })
})

/** Outcomes that leave it unknown; `arrived` if the person got the message all the same. */
const unknowable: Record<string, [NonNullable<ScriptInput['outcome']>, arrived: boolean]> = {
  'the connection is reset after it was accepted': [{ kind: 'reset', accept: true }, true],
  'the connection is reset before it was accepted': [{ kind: 'reset' }, false],
  'the answer is cut off': [{ kind: 'cut' }, true],
  'the answer is garbled': [{ kind: 'garbled' }, true],
  'the answer has no id': [{ kind: 'no_id' }, true],
  'a proxy answers 502 with a page': [{ kind: 'http', status: 502 }, false],
  'a proxy answers 504 though it was accepted': [{ kind: 'http', status: 504, accept: true }, true],
  'a proxy answers 200 with a page': [{ kind: 'http', status: 200 }, false],
  'it answers 500 with a code that we do not know': [
    { kind: 'error', code: 987654, httpStatus: 500 },
    false,
  ],
  'it answers 500 without a code': [{ kind: 'http', status: 500, body: '{"error":{}}' }, false],
}

const isUnknownForGood = async (
  t: Test,
  { shop, who, id, callId }: Awaited<ReturnType<typeof meets>>,
  arrived: boolean,
) => {
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.match(await initialOf(id), { state: 'unknown', error_code: null, wamid: null })
  t.equal((await messagesAfter(id)).length, 1, 'no reminders')
  t.strictSame(await waitingFor(shop.tenantId), [], 'and no job')
  await everythingAgain(id)
  t.equal(requestsOf(shop).length, 1, 'it is not sent again')
  t.equal(fake.inbox(who.e164).length, arrived ? 1 : 0)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
}

for (const [name, [outcome, arrived]] of Object.entries(unknowable))
  t.test(`the message is unknown when ${name}`, async t => {
    await isUnknownForGood(t, await meets(outcome), arrived)
  })

t.test(
  'the message is unknown when the connection is dropped before the request is read',
  async t => {
    await isUnknownForGood(t, await meets({ kind: 'reset' }, true), false)
  },
)

t.test('a redirect is not followed', async t => {
  const trap = fake.addNumber()
  const { shop, id } = await meets({
    kind: 'http',
    status: 307,
    headers: { location: `${fake.url}/v26.0/${trap.phoneNumberId}/messages` },
  })
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(requestsOf({ ...shop, phoneNumberId: trap.phoneNumberId }), [])
  t.not((await initialOf(id)).state, 'accepted')
})

t.test('an answer without contacts, or with another wa_id, is an acceptance', async t => {
  const bare = await meets({ kind: 'accept', contacts: false })
  t.strictSame(await outreachOf(bare.shop.tenantId, bare.callId), ['sent', 'accepted'])
  t.match(await initialOf(bare.id), { state: 'accepted', wa_id: null })
  const other = await meets({ kind: 'accept', waId: '972501234' })
  t.match(await initialOf(other.id), { state: 'accepted', wa_id: '972501234' })
  await work()
})

// Certainly not accepted, and tried again: after a pause, and only while it is not too late.

/** A message that was refused for the moment. */
const refusedForNow = async (code: number, times: number | 'always' = 1, httpStatus?: number) => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  const outcome = { kind: 'error' as const, code, ...(httpStatus && { httpStatus }) }
  fake.script({ to: who.e164, times, outcome })
  await dueSince(missed.id)
  return { shop, who, ...missed }
}

/** In how many seconds the next try is due. */
const waits = async (id: string) => secondsUntil((await jobs(`lead_outreach:${id}`))[0]?.run_at)

for (const [name, code, httpStatus] of [
  ['too many messages', 130429, undefined],
  ['an unknown code with 429', 987654, 429],
  ['a fault of theirs', 131000, 500],
] as const)
  t.test(`after ${name} it is tried again, and sent once`, async t => {
    const { shop, who, id, callId } = await refusedForNow(code, 1, httpStatus)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
    t.match(await initialOf(id), { state: 'scheduled', error_code: code, attempts: 1 })
    const seconds = await waits(id)
    t.ok(seconds >= 0 && seconds <= 60, `after ${seconds} s`)
    t.strictSame(fake.inbox(who.e164), [])

    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.match(await initialOf(id), { state: 'accepted', attempts: 2, error_code: null })
    await addStrayJobs(id, 3)
    await work()
    t.equal(requestsOf(shop).length, 2)
    t.equal(fake.inbox(who.e164).length, 1)
    t.equal((await messagesAfter(id)).length, 3, 'with its reminders')
  })

t.test('when the connection is refused, the message is tried again', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  await fake.refuseConnections()
  await dueSince(id)
  await fake.acceptConnections()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  t.match(await initialOf(id), { state: 'scheduled', attempts: 1, error_code: null })
  t.equal(await waits(id), 30)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.match(await initialOf(id), { state: 'accepted', attempts: 2 })
  t.equal(fake.inbox(who.e164).length, 1)
})

t.test('after the last try it has failed', async t => {
  const { shop, who, id, callId } = await refusedForNow(1, 'always', 400)
  t.equal(await waits(id), 30)
  await dueSince(id)
  t.equal(await waits(id), 120, 'with a longer pause')
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.match(await initialOf(id), { state: 'failed', error_code: 1, attempts: 3 })
  t.strictSame(await waitingFor(shop.tenantId), [])
  await addStrayJobs(id)
  await work()
  t.equal(requestsOf(shop).length, 3)
  t.strictSame(fake.inbox(who.e164), [])
})

t.test('a try after the grace is too late', async t => {
  const { shop, id, callId } = await refusedForNow(130429)
  await dueSince(id, '31 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
  t.strictSame(await messagesAfter(id), [['initial', 'skipped', 'too_late']])
  t.equal(requestsOf(shop).length, 1)
})

t.test('a further try checks everything again', async t => {
  const { shop, who, id, callId } = await refusedForNow(130429)
  await sql`insert into opt_outs (tenant_id, phone, source)
            values (${shop.tenantId}, ${who.e164}, 'operator')`.execute(db)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
  t.strictSame(await messagesAfter(id), [['initial', 'skipped', 'opted_out']])
  t.equal(requestsOf(shop).length, 1)
})

t.test('it can be cancelled while it waits for the next try', async t => {
  const { shop, who, id, callId } = await refusedForNow(130429)
  await tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await messagesAfter(id), [['initial', 'cancelled', 'reached_by_phone']])
  t.strictSame(await waitingFor(shop.tenantId), [])
  await addStrayJobs(id)
  await work()
  t.equal(requestsOf(shop).length, 1)
})

t.test('while it waits for the next try, another call of the person is skipped', async t => {
  const { shop, who } = await refusedForNow(130429)
  const { callId } = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'already_contacted'])
})

t.test('after a crash during a try there is no further try', async t => {
  const { shop, id, callId } = await refusedForNow(130429)
  // The second try was claimed, and its process died.
  await sql`update messages set state = 'sending', attempts = 2, claimed_at = now() - interval '61 seconds'
            where tenant_id = ${shop.tenantId}`.execute(db)
  await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed' where id = ${id}`.execute(
    db,
  )
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.equal(requestsOf(shop).length, 1)
})

// Sent only once: jobs at the same time, senders that died, and cancels during a send.

/** A message that is being sent, with a slow answer. `done` resolves when it is recorded. */
const beingSent = async (outcome: Parameters<typeof fake.script>[0]['outcome']) => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome })
  const done = dueSince(missed.id)
  await until(() => requestsOf(shop).length === 1)
  return { shop, who, ...missed, done }
}
const SLOW = 500

t.test('running the job again changes nothing', async t => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  await dueSince(id)
  const before = await messagesAfter(id)
  for (let runs = 0; runs < 3; runs++) {
    await addStrayJobs(id)
    await work()
  }
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(await messagesAfter(id), before)
  t.equal((await waitingFor(shop.tenantId)).length, 2, 'two reminders')
})

t.test('twenty runs at once send once', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'accept', delayMs: SLOW } })
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await addStrayJobs(id, 20)
  await Promise.all(Array.from({ length: 5 }, () => work()))
  t.equal(requestsOf(shop).length, 1)
  t.equal(fake.inbox(who.e164).length, 1)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal((await messagesAfter(id)).length, 3)
  // A job that fails stays in the queue.
  await until(async () => {
    const { rows } =
      await sql`select from graphile_worker._private_jobs where payload ->> 'missedCallId' = ${id}`.execute(
        db,
      )
    return rows.length <= 1
  })
})

t.test('a job that finds a young claim runs again later', async t => {
  const { shop, id, done } = await beingSent({ kind: 'accept', delayMs: SLOW })
  await addStrayJobs(id)
  await work()
  const [job] = await jobs(`lead_outreach:${id}`)
  const seconds = await secondsUntil(job?.run_at)
  t.ok(seconds > 30 && seconds <= 61, `in ${seconds} s`)
  t.equal(requestsOf(shop).length, 1)
  await done
  await runAtOnce(`lead_outreach:${id}`)
  await work()
  t.equal(requestsOf(shop).length, 1)
})

t.test('a claim whose sender died becomes unknown', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const died = async (secondsAgo: number) => {
    await sql`
      with c as (insert into lead_conversations (tenant_id, lead_id, missed_call_id) select tenant_id, lead_id, id from missed_calls where id = ${id}
                 on conflict (missed_call_id) do update set state = 'open' returning id)
      insert into messages (tenant_id, lead_conversation_id, direction, kind, state, claimed_at, attempts)
      select ${shop.tenantId}, id, 'out', 'initial', 'sending', now() - make_interval(secs => ${secondsAgo}), 1 from c
      on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2')
        do update set claimed_at = excluded.claimed_at`.execute(db)
    await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed' where id = ${id}`.execute(
      db,
    )
    await dueSince(id)
  }
  await died(35)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sending', 'claimed'])
  t.equal((await waitingFor(shop.tenantId)).length, 1, 'too young: the job looks again')
  await died(61)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.match(await initialOf(id), { state: 'unknown', wamid: null })
  t.strictSame(requestsOf(shop), [], 'nothing is sent in its place')
  t.strictSame(await waitingFor(shop.tenantId), [])
})

t.test('an expired sender can still record its outcome', async t => {
  const { shop, id, callId, done } = await beingSent({ kind: 'accept', delayMs: SLOW })
  await sql`update messages set claimed_at = now() - interval '2 minutes' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await addStrayJobs(id)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal((await waitingFor(shop.tenantId)).length, 2, 'the reminders follow')
})

t.test('a caller who gets through during the send gets the message and no reminders', async t => {
  const { shop, who, id, callId, done } = await beingSent({ kind: 'accept', delayMs: SLOW })
  await tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5))
  t.strictSame(
    await outreachOf(shop.tenantId, callId),
    ['sending', 'claimed'],
    'too late to cancel',
  )
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [['initial', 'accepted', null]])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.match(await conversationOf(id), { state: 'reached_by_phone' })
  t.match(await leadsOf(shop.tenantId), [{ state: 'reached_by_phone' }])
})

t.test('a refused message is not tried again if it was cancelled during the send', async t => {
  const outcome = { kind: 'error', code: 130429, delayMs: SLOW } as const
  const { shop, who, id, callId, done } = await beingSent(outcome)
  await sql`select cancel_outreach(${id})`.execute(db)
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(await waitingFor(shop.tenantId), [])
  await addStrayJobs(id)
  await work()
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(fake.inbox(who.e164), [])
})

t.test('a cancel while the message is due: cancelled or sent, never both', async t => {
  const shop = await business()
  const calls = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const record = push({ caller: customer().local, did: shop.did })
      await post(record, { token: shop.token })
      return record
    }),
  )
  await work()
  await sql`update missed_calls set outreach_due_at = now() where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await Promise.all((await waitingFor(shop.tenantId)).map(runAtOnce))
  const working = work()
  const ends = new Set<string | undefined>()
  for (const { ivruniqueid } of calls) {
    const id = (await missedCall(shop.tenantId, ivruniqueid))?.id
    await sql`select cancel_outreach(${id})`.execute(db)
  }
  await working
  for (const { ivruniqueid, caller } of calls) {
    const call = await missedCall(shop.tenantId, ivruniqueid)
    const got = fake.inbox(`+972${String(caller).slice(1)}`).length
    ends.add(call?.outreach_state)
    t.equal(got, call?.outreach_state === 'sent' ? 1 : 0, String(call?.outreach_state))
  }
  t.strictSame(
    [...ends].filter(state => state !== 'sent' && state !== 'cancelled'),
    [],
  )
  t.strictSame(await waitingFor(shop.tenantId), [], 'and no reminders in either case')
})

t.test('a send without an answer is given up, and the message is unknown', t => givesUp(t))
