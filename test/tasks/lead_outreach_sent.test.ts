/** What goes out over the wire, and what is written when it was accepted. */
import t from 'tap'
import { sql } from 'kysely'
import { business, customer, db, fake, jobs, outreachOf, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  secondsUntil,
} from './support.ts'
import { encrypt, tokenOwner } from '../../app/crypto.ts'

t.test('the request names the person with a plus, and the message by our id', async t => {
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
  t.equal(inbox?.template?.parameters[0], 'מספרת נועה', 'the template is told who writes')
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
  t.equal(requestsOf(shop)[0]?.authorization, shop.phoneNumberId, 'the token of this very number')
})

t.test('of two connections the one writes whose number she dialled', async t => {
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
  t.match(fake.inbox(tal.e164), [{ phoneNumberId: shop.phoneNumberId }], 'or one that is active')
})

t.test('once it is accepted, both reminders are written down with their jobs', async t => {
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

t.test('the delays are those of the tenant', async t => {
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
  'what was accepted is recorded whole, with the reminders and their jobs, or not at all',
  async t => {
    const shop = await business()
    const dana = customer()
    const { id, callId } = await miss(shop, dana.local)
    // The second reminder's job is the last thing written.
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
    t.equal(requestsOf(shop).length, 1, 'it is never sent again')
  },
)
