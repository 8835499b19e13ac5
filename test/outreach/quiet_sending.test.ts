/** Quiet windows on the way of a message: when it is recorded, claimed, tried again, and for reminders. */
import { sql } from 'kysely'
import { test } from 'tap'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobDue,
  jobs,
  messagesOf,
  missedCall,
  outreachOf,
  reminderDue,
} from '../support/ringback.ts'
import { dueSince, initialOf, messagesAfter, miss, requestsOf } from '../tasks/support.ts'
import { contacted, reported, templatesTo } from './support.ts'

const MINUTE = 60_000

/** A daily window of a tenant whose clock is UTC, from and to so many minutes from now, and its end. */
const quiet = (from: number, to: number) => {
  const at = (minutes: number) =>
    new Date(Math.floor(Date.now() / MINUTE + minutes) * MINUTE).toISOString()
  const window = `${at(from).slice(11, 16)}-${at(to).slice(11, 16)}`
  return { columns: { timezone: 'UTC', quiet_windows: [window] }, end: new Date(at(to)) }
}

const set = (
  { tenantId }: Business,
  { columns }: { columns: { timezone: string; quiet_windows: string[] } },
) => db.updateTable('tenants').set(columns).where('id', '=', tenantId).execute()

await test('a first message due in a window is due at its end', async t => {
  const night = quiet(-30, 180)
  const shop = await business({ columns: night.columns })
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame((await missedCall(shop.tenantId, callId))?.outreach_due_at, night.end)
  t.strictSame((await jobs(`lead_outreach:${id}`))[0]?.run_at, night.end)

  await set(shop, quiet(-240, 0))
  await dueSince(id, '29 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'], 'timely from there')
  t.match(await initialOf(id), { attempts: 1 })
  t.equal(fake.inbox(who.e164).length, 1)
})

await test('only the due moment counts, not that of the call', async t => {
  const shop = await business({ columns: quiet(-30, 1).columns })
  const { callId } = await miss(shop, customer().local)
  const call = await missedCall(shop.tenantId, callId)
  t.equal(Number(call?.outreach_due_at) - Number(call?.created_at), 2 * MINUTE)
})

await test('the window is on the clock of the tenant', async t => {
  const { columns } = quiet(-30, 30)
  const shop = await business({ columns: { ...columns, timezone: 'Asia/Kolkata' } })
  const { id, callId } = await miss(shop, customer().local)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

await test('a window put up after it was scheduled moves it when it is claimed', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const night = quiet(-60, 180)
  await set(shop, night)
  await dueSince(id, '29 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame((await missedCall(shop.tenantId, callId))?.outreach_due_at, night.end)
  t.strictSame((await jobs(`lead_outreach:${id}`))[0]?.run_at, night.end)
  t.strictSame(await messagesAfter(id), [], 'no try is spent')
  t.strictSame(requestsOf(shop), [])

  await set(shop, quiet(-240, 0))
  await dueSince(id, '29 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.match(await initialOf(id), { attempts: 1 })
})

await test('after its end the grace runs out as ever', async t => {
  const shop = await business({ columns: quiet(-30, 180).columns })
  const { id, callId } = await miss(shop, customer().local)
  await set(shop, quiet(-240, -33))
  await dueSince(id, '30 minutes 1 second')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
})

await test('a further try in a window is made at its end', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 130429 } })
  await dueSince(id)
  const night = quiet(-5, 180)
  await set(shop, night)
  await dueSince(id)
  t.match(await initialOf(id), { state: 'scheduled', attempts: 1 })
  t.strictSame((await missedCall(shop.tenantId, callId))?.outreach_due_at, night.end)
  await set(shop, quiet(-240, 0))
  await dueSince(id)
  t.match(await initialOf(id), { state: 'accepted', attempts: 2 })
  t.equal(fake.inbox(who.e164).length, 1)
})

await test('reminders due in a window are due at its end', async t => {
  const night = quiet(110, 150)
  const { shop, conversation } = await contacted({ columns: night.columns })
  const [initial, first, second] = await messagesOf(shop.tenantId)
  t.strictSame(first?.due_at, night.end)
  t.strictSame((await jobs(`lead_reminder:${conversation}:1`))[0]?.run_at, night.end)
  const day = Number(second?.due_at) - Number(initial?.accepted_at)
  t.equal(day, 24 * 60 * MINUTE, 'the other one is not')
})

await test('a window put up later moves a reminder when it is claimed', async t => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  const night = quiet(-360, 180)
  await set(shop, night)
  await reminderDue(conversation, 1, '5 hours')
  const [, first] = await messagesOf(shop.tenantId)
  t.match(first, { state: 'scheduled', attempts: 0, claimed_at: null })
  t.strictSame(first?.due_at, night.end)
  t.strictSame((await jobs(`lead_reminder:${conversation}:1`))[0]?.run_at, night.end)
  t.equal(requestsOf(shop).length, 1)

  await set(shop, quiet(-240, 0))
  await reminderDue(conversation, 1, '5 hours 59 minutes')
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'accepted', null])
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_1'])
})

await test('both reminders of one window do not go out together', async t => {
  const columns = { ...quiet(60, 180).columns, reminder_2_after: '2 hours 30 minutes' }
  const { shop, who, conversation } = await contacted({ columns })
  const [, first, second] = await messagesOf(shop.tenantId)
  t.strictSame(first?.due_at, second?.due_at, 'both are due at its end')
  await reported(conversation, 'initial', 'delivered')
  await set(shop, { columns: { timezone: 'UTC', quiet_windows: [] } })
  // The moment has come for both at once.
  await sql`update messages set due_at = now() where state = 'scheduled'
            and lead_conversation_id = ${conversation}`.execute(db)
  for (const reminder of [1, 2]) await jobDue(`lead_reminder:${conversation}:${reminder}`)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
  const [, skipped] = await messagesOf(shop.tenantId)
  t.match(skipped, { kind: 'reminder_1', state: 'skipped', reason: 'next_is_due' })
})
