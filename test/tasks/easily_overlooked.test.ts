/** Ways to be written to that nobody thinks of at first. */
import { sql } from 'kysely'
import { test } from 'tap'
import { business, customer, db, fake, jobs, outreachOf, work } from '../support/ringback.ts'
import { contacted, happens, optOutsOf } from '../support/whatsapp.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { dueSince, initialOf, miss, runAtOnce, tell, until } from './support.ts'
import { recordOutcome } from '../../app/messages/record.ts'

await test('who wrote before the exchange told of her call is not written to', async t => {
  const shop = await business()
  const dana = customer()
  const { phoneNumberId } = shop
  // She called three minutes ago, and wrote when nobody answered; only now the record comes.
  await happens({ kind: 'text', from: dana.e164, phoneNumberId, text: 'התקשרתי, אין מענה' })
  const { callId } = await miss(shop, dana.local, {}, 180)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'replied'])
  const lead = db.selectFrom('leads').select('state').where('phone', '=', dana.e164)
  t.match(await lead.execute(), [{ state: 'replied' }])
})

await test('a forwarded call whose root turns out to be a dialer call is not written about', async t => {
  const shop = await business()
  const dana = customer()
  const root = push({ caller: dana.local, did: shop.did, type: 'Click 2 IVR Incoming' })
  const forwarded = push({
    caller: dana.local,
    did: shop.did,
    type: 'Auto forward',
    direction: 'incoming',
    OriginalIvrUniqueID: root.ivruniqueid,
  })
  await tell(shop.token, forwarded)
  t.strictSame(await outreachOf(shop.tenantId, root.ivruniqueid), ['scheduled', 'waiting'])
  await tell(shop.token, root)
  const [state] = (await outreachOf(shop.tenantId, root.ivruniqueid)) ?? []
  t.equal(state, 'cancelled')
  t.strictSame(fake.inbox(dana.e164), [])
})

await test('what WhatsApp answered survives a lock that outlasts the time-out', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({ to: dana.e164, outcome: { kind: 'accept', delayMs: 300 } })
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await runAtOnce(`lead_outreach:${id}`)
  const done = work()
  await until(() => fake.inbox(dana.e164).length > 0)
  // Longer than lock_timeout (3 s): the first try to record fails.
  await db.transaction().execute(async trx => {
    await sql`select from leads where phone = ${dana.e164} for update`.execute(trx)
    await sql`select pg_sleep(4)`.execute(trx)
  })
  await done
  await until(async () => (await initialOf(id)).state === 'accepted')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(fake.inbox(dana.e164).length, 1)
})

await test('"remove me" is not taken back by a switch in WhatsApp', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const switched = (value: 'stop' | 'resume') =>
    happens({ kind: 'user_preferences', from: dana.e164, phoneNumberId: shop.phoneNumberId, value })
  await switched('stop')
  await happens({ kind: 'text', from: dana.e164, phoneNumberId: shop.phoneNumberId, text: 'הסר' })
  await switched('resume')
  t.equal((await optOutsOf(shop)).length, 1)
})

await test('a message that nobody sent in time counts as contact no more', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  // Its job is gone, as after ten failures, and nobody has looked for an hour.
  await sql`select graphile_worker.remove_job(${`lead_outreach:${id}`}::text)`.execute(db)
  await sql`update missed_calls set outreach_due_at = now() - interval '1 hour' where id = ${id}`.execute(
    db,
  )
  const next = await miss(shop, dana.local)
  t.strictSame(await outreachOf(shop.tenantId, next.callId), ['scheduled', 'waiting'])
  await dueSince(next.id)
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await jobs(`lead_outreach:${next.id}`), [])
})

await test('an owner who wrote "stop" hears no more', async t => {
  const owner = customer()
  const shop = await business({ columns: { owner_phone: owner.e164 } })
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone: owner.e164, source: 'typed' })
    .execute()
  const dana = await contacted(shop)
  await happens({ kind: 'text', from: dana.e164, phoneNumberId: shop.phoneNumberId, text: 'היי' })
  t.strictSame(fake.inbox(owner.e164), [])
  const notice = db
    .selectFrom('messages')
    .select(['state', 'reason'])
    .where('kind', '=', 'owner_notice')
  t.match(await notice.where('tenant_id', '=', shop.tenantId).execute(), [
    { state: 'skipped', reason: 'opted_out' },
  ])
})

await test('settings that no clock knows are refused by the database', async t => {
  const shop = await business()
  const set = (columns: Record<string, string | string[]>) =>
    db.updateTable('tenants').set(columns).where('id', '=', shop.tenantId).execute()
  for (const window of ['08:00-08:00', '25:00-08:00', '21:00-08:00,fri 15:00-sat 20:30', ''])
    await t.rejects(set({ quiet_windows: [window] }), /tenants_quiet_windows_form/, window)
  await t.rejects(set({ timezone: 'Asia/Jerusalm' }), /not recognized/)
  await set({ quiet_windows: ['21:00-08:00', 'fri 15:00-sat 20:30'], timezone: 'Europe/Berlin' })
})

await test('an outcome written down twice does not touch the try that followed it', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  fake.script({ phoneNumberId: shop.phoneNumberId, outcome: { kind: 'error', code: 130429 } })
  await dueSince(id)
  const message = await initialOf(id)
  // The next try has claimed it, when the first one, not knowing that it was heard, says it again.
  await sql`update messages set state = 'sending', attempts = 2 where id = ${message.id}`.execute(
    db,
  )
  await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed' where id = ${id}`.execute(
    db,
  )
  const refused = {
    kind: 'refused',
    code: 130429,
    policy: { do: 'retry', after: [1, 2] },
    why: 'error_code',
  } as const
  await db.transaction().execute(trx => recordOutcome(trx, message.id, refused, 1))
  t.match(await initialOf(id), { state: 'sending', attempts: 2 })
  await db.transaction().execute(trx => recordOutcome(trx, message.id, refused, 2))
  t.match(await initialOf(id), { state: 'scheduled' })
})
