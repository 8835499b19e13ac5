/** A message that is held: by a paused connection until it is active again, by shadow for good. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  outreachOf,
  work,
} from '../support/ringback.ts'
import {
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  secondsUntil,
  waitingFor,
} from './support.ts'

const setConnection = async ({ tenantId }: Business, state: 'active' | 'paused') => {
  await sql`update whatsapp_connections set state = ${state} where tenant_id = ${tenantId}`.execute(
    db,
  )
}

t.test(
  'while the connection is paused the message waits, and goes out when it is active',
  async t => {
    const shop = await business()
    const dana = customer()
    const { callId, id } = await miss(shop, dana.local)
    await setConnection(shop, 'paused')
    await dueSince(id)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'connection_paused'])
    const [job] = await jobs(`lead_outreach:${id}`)
    const seconds = await secondsUntil(job?.run_at)
    t.ok(seconds > 0 && seconds <= 120, 'it is looked at again soon')
    t.strictSame(requestsOf(shop), [])

    await setConnection(shop, 'active')
    await runAtOnce(`lead_outreach:${id}`)
    await work()
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.equal(fake.inbox(dana.e164).length, 1)
  },
)

t.test('a connection that stays paused for longer than the grace ends it', async t => {
  const shop = await business()
  const { callId, id } = await miss(shop, customer().local)
  await setConnection(shop, 'paused')
  await dueSince(id)
  await dueSince(id, '31 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

for (const when of ['from the start', 'meanwhile'])
  t.test(`a tenant that is in shadow ${when} decides everything and sends nothing`, async t => {
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
    t.match(await leadsOf(shop.tenantId), [{ state: 'new' }], 'nobody has been contacted')
  })
