/** Every reason for which a caller is not written to, from the exchange's record to the row. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  missedCall,
  outreachOf,
} from '../support/ringback.ts'
import { dueSince, leadsOf, miss, waitingFor } from './support.ts'
import { phoneHash } from '../../app/crypto.ts'

/** [state, reason] of a missed call from this caller. */
const outcome = async (shop: Business, caller: string | null, secondsAgo?: number) =>
  outreachOf(shop.tenantId, (await miss(shop, caller, {}, secondsAgo)).callId)

const spelled = [
  '',
  '0',
  '000',
  '-1',
  'Anonymous',
  'restricted',
  'PRIVATE',
  'Unknown',
  'unavailable',
]
const withheld = [null, ...spelled, 'חסוי', '\u200fמספר חסוי', 'sip:anonymous@anonymous.invalid']
t.test('a withheld number is nobody to write to', async t => {
  const shop = await business()
  for (const caller of withheld) {
    const { callId } = await miss(shop, caller)
    t.match(
      await missedCall(shop.tenantId, callId),
      {
        caller_phone: null,
        lead_id: null,
        outreach_state: 'skipped',
        outreach_reason: 'withheld_number',
        outreach_due_at: null,
      },
      String(caller),
    )
  }
  t.strictSame(await leadsOf(shop.tenantId), [], 'and nobody to remember')
})

t.test('our own numbers are those that are dialled and the one that writes', async t => {
  const shop = await business()
  const display = customer()
  const owner = customer()
  await db
    .updateTable('whatsapp_connections')
    .set({ display_phone_number: display.e164 })
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  await db
    .updateTable('tenants')
    .set({ owner_phone: owner.e164 })
    .where('id', '=', shop.tenantId)
    .execute()
  t.strictSame(await outcome(shop, shop.did), ['skipped', 'own_number'])
  t.strictSame(await outcome(shop, shop.line), ['skipped', 'own_number'])
  t.strictSame(await outcome(shop, display.local), ['skipped', 'own_number'])
  t.strictSame(await leadsOf(shop.tenantId), [], 'none of them is a lead')
  t.strictSame(await outcome(shop, owner.local), ['scheduled', 'waiting'], "not the owner's phone")
  const { did } = await business()
  t.strictSame(await outcome(shop, did), ['skipped', 'not_mobile'], "nor another business's line")
})

t.test('a service number that is ours is our own too', async t => {
  const shop = await business()
  const service = `1700${String(Date.now()).slice(-6)}`
  await db
    .insertInto('tenant_numbers')
    .values({ tenant_id: shop.tenantId, phone: `+972${service}` })
    .execute()
  t.strictSame(await outcome(shop, service), ['skipped', 'own_number'])
  t.strictSame(await leadsOf(shop.tenantId), [])
})

const NOT_MOBILE = ['036001234', '0722776000', '1800200300', '*2700', '100', '2345']
const NO_NUMBER = ['Main queue 7', 'KGpK4iWq', '05223456', '+97252234567890', '0522345678#1']
t.test('whoever cannot get WhatsApp is not written to', async t => {
  const shop = await business()
  for (const caller of [...NOT_MOBILE, ...NO_NUMBER])
    t.strictSame(await outcome(shop, caller), ['skipped', 'not_mobile'], caller)
  const phones = (await leadsOf(shop.tenantId)).map(({ phone }) => phone)
  t.ok(phones.includes('+97236001234'), 'a landline is a lead all the same')
})

t.test('056 and 059 are written to in the form in which they came', async t => {
  const shop = await business()
  for (const [caller, e164] of [
    ['0569876541', '+972569876541'],
    ['972569876542', '+972569876542'],
    ['+970569876543', '+970569876543'],
    ['00970599876544', '+970599876544'],
  ] as const) {
    const { callId, id } = await miss(shop, caller)
    t.match(await missedCall(shop.tenantId, callId), {
      caller_phone: e164,
      outreach_state: 'scheduled',
    })
    await dueSince(id)
    t.equal(fake.inbox(e164).length, 1, e164)
  }
})

t.test('foreign numbers are written to where the business wants it, if they are valid', async t => {
  const shop = await business()
  const wants = await business({ columns: { contact_foreign: true } })
  t.strictSame(await outcome(shop, '+447400123456'), ['skipped', 'not_mobile'])
  t.strictSame(await outcome(wants, '+447400123456'), ['scheduled', 'waiting'])
  t.strictSame(await outcome(wants, '+447000000'), ['skipped', 'not_mobile'])
  t.strictSame(await outcome(wants, '036001234'), ['skipped', 'not_mobile'], 'no landline of ours')
})

t.test('whoever opted out is never written to', async t => {
  const [shop, other] = [await business(), await business()]
  const [dana, yossi] = [customer(), customer()]
  await sql`insert into opt_outs (tenant_id, phone, source)
            values (${shop.tenantId}, ${dana.e164}, 'operator'), (${shop.tenantId}, '+972569876511', 'operator')`.execute(
    db,
  )
  // What is left of somebody who was erased.
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone_hash: phoneHash(yossi.e164), source: 'keyword' })
    .execute()
  t.strictSame(await outcome(shop, dana.local), ['skipped', 'opted_out'])
  t.strictSame(await outcome(shop, yossi.local), ['skipped', 'opted_out'], 'known by the hash')
  t.strictSame(await outcome(shop, '+970569876511'), ['skipped', 'opted_out'], 'the other spelling')
  t.strictSame(await outcome(other, dana.local), ['scheduled', 'waiting'], 'by another business')
})

t.test('a tenant that is paused or not connected writes to nobody', async t => {
  const paused = await business({ mode: 'paused' })
  t.strictSame(await outcome(paused, customer().local), ['skipped', 'tenant_paused'])
  const unconnected = await business({ connected: false })
  t.strictSame(await outcome(unconnected, customer().local), ['skipped', 'no_connection'])
  t.strictSame(
    [...(await waitingFor(paused.tenantId)), ...(await waitingFor(unconnected.tenantId))],
    [],
  )
})

t.test('a call that began too long ago is not answered any more', async t => {
  const shop = await business({ columns: { oldest_call: '10 minutes' } })
  t.strictSame(await outcome(shop, customer().local, 9 * 60 + 50), ['scheduled', 'waiting'])
  t.strictSame(await outcome(shop, customer().local, 10 * 60 + 2), ['skipped', 'too_late'])
  const usual = await business()
  t.strictSame(await outcome(usual, customer().local, 2 * 3600 - 10), ['scheduled', 'waiting'])
  t.strictSame(await outcome(usual, customer().local, 2 * 3600 + 2), ['skipped', 'too_late'])
})

t.test('of several reasons the first of the list is written down', async t => {
  const shop = await business({ mode: 'paused', connected: false })
  const [dana, yossi] = [customer(), customer()]
  const LATE = 3 * 3600
  for (const phone of [shop.line, '+97236001234', dana.e164])
    await db
      .insertInto('opt_outs')
      .values({ tenant_id: shop.tenantId, phone, source: 'operator' })
      .execute()
  t.strictSame(await outcome(shop, '', LATE), ['skipped', 'withheld_number'])
  t.strictSame(await outcome(shop, shop.did, LATE), ['skipped', 'own_number'])
  t.strictSame(await outcome(shop, '036001234', LATE), ['skipped', 'not_mobile'])
  t.strictSame(await outcome(shop, dana.local, LATE), ['skipped', 'opted_out'])
  t.strictSame(await outcome(shop, yossi.local, LATE), ['skipped', 'tenant_paused'])
  await db.updateTable('tenants').set({ mode: 'live' }).where('id', '=', shop.tenantId).execute()
  t.strictSame(await outcome(shop, yossi.local, LATE), ['skipped', 'no_connection'])

  const connected = await business()
  t.strictSame(await outcome(connected, yossi.local, LATE), ['skipped', 'too_late'])
  t.strictSame(await outcome(connected, yossi.local), ['scheduled', 'waiting'])
  t.strictSame(await outcome(connected, yossi.local, LATE), ['skipped', 'already_contacted'])
})

t.test('a paused connection does not skip, it waits', async t => {
  const shop = await business()
  await db
    .updateTable('whatsapp_connections')
    .set({ state: 'paused' })
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(await outcome(shop, customer().local), ['scheduled', 'connection_paused'])
  t.equal((await waitingFor(shop.tenantId)).length, 1)
})
