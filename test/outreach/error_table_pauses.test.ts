/**
 * Every error code upon which a connection or a template rests: what is due is held, not lost, and nobody
 * else is concerned. What is expected stands here on its own, as Meta's page tells it.
 */
import { sql } from 'kysely'
import { test, type Test } from 'tap'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  outreachOf,
  reminderDue,
  work,
} from '../support/ringback.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  secondsUntil,
} from '../tasks/support.ts'

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

/** Of two callers of one business, the first one's message meets this error; then both are due. */
const meets = async (code: number) => {
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
type Met = Awaited<ReturnType<typeof meets>>

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

const areHeld = async (t: Test, { shop, code, first, second }: Met) => {
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
  t.strictSame(await messagesAfter(second.id), [], 'the other one was not even tried')
  t.strictSame(
    requestsOf(shop).map(request => request.code),
    [code],
  )
}

/** Another tenant notices nothing. */
const othersGoOn = async (t: Test, { other }: Met) => {
  const who = customer()
  const { id, callId } = await miss(other, who.local)
  await dueSince(id)
  t.strictSame(await outreachOf(other.tenantId, callId), ['sent', 'accepted'])
  t.match(await connectionOf(other), { state: 'active', state_reason: null })
  t.strictSame(await templatesOf(other), [])
}

/** The one goes out with her reminders, within the grace; for the other it is over. */
const whatIsTimelyGoesOut = async (t: Test, { shop, dana, yossi, first, second }: Met) => {
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
    await test(`${code}, ${meaning}: the connection rests`, async t => {
      const met = await meets(code)
      t.match(await connectionOf(met.shop), {
        state: 'paused',
        state_reason: new RegExp(`\\b${code}\\b`),
      })
      await areHeld(t, met)
      if (code === codes[0]) await othersGoOn(t, met)
      await whatIsTimelyGoesOut(t, met)
    })

for (const [meaning, codes] of Object.entries(PAUSE_TEMPLATE))
  for (const code of codes)
    await test(`${code}, ${meaning}: the template rests`, async t => {
      const met = await meets(code)
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
      if (code === codes[0]) await othersGoOn(t, met)
      await whatIsTimelyGoesOut(t, met)
    })

/** Somebody who has got her first message, of a business whose next first message meets this error. */
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

await test('while the connection rests a reminder waits, and goes out after it', async t => {
  const { shop, who, id, conversation } = await remindedWhile(190)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'scheduled', null])
  t.equal(fake.inbox(who.e164).length, 1)
  await resume(shop)
  await reminderDue(conversation.id, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'accepted', null])
  t.equal(fake.inbox(who.e164).length, 2)
})

await test('while the template of first messages rests, reminders go out', async t => {
  const { who, id } = await remindedWhile(132015)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'accepted', null])
  t.equal(fake.inbox(who.e164).length, 2)
})
