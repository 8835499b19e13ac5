/** Whose call it is: a bound token fixes the tenant, with an unbound one the number dialled decides. */
import { randomInt } from 'node:crypto'
import t from 'tap'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  OK,
  outreachOf,
  post,
  verdictsOf,
  work,
} from '../support/ringback.ts'
import { answeredPush, callBackPush, type Push, push } from '../../scripts/demo/cdr.ts'
import { dueSince, leadsOf, miss, tell, unboundToken, waitingFor } from './support.ts'
import { encrypt, tokenOwner } from '../../app/crypto.ts'

/** [tenant, verdict, reason] of all records of a call, whoever's they are. */
const recordsOf = async (callId: string) => {
  const rows = await db
    .selectFrom('raw_cdrs')
    .select(['tenant_id', 'verdict', 'reason'])
    .where('root_call_id', '=', callId)
    .orderBy('id')
    .execute()
  return rows.map(({ tenant_id, verdict, reason }) => [tenant_id, verdict, reason])
}

const aNewLine = () => `073${randomInt(1_000_000, 9_999_999)}`
const addLine = ({ tenantId }: Business, local: string) =>
  db
    .insertInto('tenant_numbers')
    .values({ tenant_id: tenantId, phone: `+972${local.slice(1)}` })
    .execute()

t.test('a number that is not ours is unmatched, until it is added', async t => {
  const shop = await business()
  const dana = customer()
  const did = aNewLine()
  const record = push({ caller: dana.local, did })
  const callId = record.ivruniqueid
  await tell(shop.token, record)
  t.strictSame(await verdictsOf(shop.tenantId, callId), [['unmatched_number', 'number_dialled']])
  t.equal(await missedCall(shop.tenantId, callId), undefined)

  await addLine(await business(), aNewLine())
  await work()
  t.equal(await missedCall(shop.tenantId, callId), undefined, 'another number changes nothing')
  await addLine(shop, did)
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, callId), [['missed', 'noanswer']])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
})

t.test('the number that another business adds is not taken from under a bound token', async t => {
  const [shop, other] = [await business(), await business()]
  const did = aNewLine()
  const record = push({ caller: customer().local, did })
  await tell(shop.token, record)
  await addLine(other, did)
  t.strictSame(await jobs(`voicenter_cdr:${record.ivruniqueid}`), [], 'nothing to judge again')
  await work()
  t.strictSame(await recordsOf(record.ivruniqueid), [
    [shop.tenantId, 'unmatched_number', 'number_dialled'],
  ])
  t.strictSame(await leadsOf(other.tenantId), [])
})

t.test('the number that writes may be dialled, also when its connection comes later', async t => {
  const shop = await business({ connected: false })
  const did = aNewLine()
  const record = push({ caller: customer().local, did })
  await tell(shop.token, record)
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unmatched_number', String]])
  await db
    .insertInto('whatsapp_connections')
    .values({
      tenant_id: shop.tenantId,
      display_phone_number: `+972${did.slice(1)}`,
      phone_number_id: shop.phoneNumberId,
      access_token: encrypt('token', tokenOwner(shop.tenantId)),
    })
    .execute()
  await work()
  t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
})

t.test('an outgoing call is not inbound before it is unmatched', async t => {
  const shop = await business()
  const record = callBackPush({ caller: aNewLine(), target: customer().local })
  await tell(shop.token, record)
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['not_inbound', 'outgoing']])
})

t.test('with an unbound token each record goes to the business whose number it names', async t => {
  const token = await unboundToken()
  const [one, two] = [await business(), await business()]
  const [dana, yossi] = [customer(), customer()]
  const first = push({ caller: dana.local, did: one.did })
  const second = push({ caller: yossi.local, did: two.line })
  const nobodys = push({ caller: dana.local, did: aNewLine() })
  t.strictSame(await post([first, second, nobodys], { token }), OK)
  await work()
  t.strictSame(await outreachOf(one.tenantId, first.ivruniqueid), ['scheduled', 'waiting'])
  t.strictSame(await outreachOf(two.tenantId, second.ivruniqueid), ['scheduled', 'waiting'])
  t.strictSame(await recordsOf(nobodys.ivruniqueid), [[null, 'unmatched_number', 'number_dialled']])
  t.equal((await leadsOf(one.tenantId)).length, 1)

  await addLine(two, String(nobodys['did']))
  await work()
  t.strictSame(await recordsOf(nobodys.ivruniqueid), [[two.tenantId, 'missed', 'noanswer']])
  t.strictSame(await outreachOf(two.tenantId, nobodys.ivruniqueid), ['scheduled', 'waiting'])

  const call = await missedCall(one.tenantId, first.ivruniqueid)
  await dueSince(call?.id ?? '')
  t.match(fake.inbox(dana.e164), [{ phoneNumberId: one.phoneNumberId }], 'from the one she dialled')
})

/** A missed call, and the record of its transfer, in which no number of the business stands. */
const transferred = (shop: Business): { root: Push; transfer: Push } => {
  const caller = customer().local
  const root = push({ caller, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  const OriginalIvrUniqueID = root.ivruniqueid
  const transfer = answeredPush({ caller, did: '', type: 'XferCDR', OriginalIvrUniqueID }, 10)
  return { root, transfer }
}

for (const [name, order] of Object.entries({
  'that comes after its root': ({ root, transfer }: ReturnType<typeof transferred>) => [
    [root],
    [transfer],
  ],
  'that comes before its root': ({ root, transfer }) => [[transfer], [root]],
  'that comes together with its root': ({ root, transfer }) => [[transfer, root]],
} satisfies Record<string, (call: ReturnType<typeof transferred>) => Push[][]>))
  t.test(`a transfer without a number ${name} joins it`, async t => {
    const token = await unboundToken()
    const shop = await business()
    const call = transferred(shop)
    for (const delivery of order(call)) {
      t.strictSame(await post(delivery, { token }), OK)
      await work()
    }
    t.strictSame(
      await recordsOf(call.root.ivruniqueid),
      Array(2).fill([shop.tenantId, 'answered', 'agent']),
    )
    t.strictSame(await waitingFor(shop.tenantId), [])
  })

t.test('with an unbound token an outgoing call is that of the number it shows', async t => {
  const token = await unboundToken()
  const [shop, other] = [await business(), await business()]
  const dana = customer()
  const here = await miss(shop, dana.local, {}, 300)
  const there = await miss(other, dana.local, {}, 300)
  const record = callBackPush({ caller: shop.did, target: dana.local })
  await tell(token, record)
  t.strictSame(await recordsOf(record.ivruniqueid), [[shop.tenantId, 'not_inbound', 'outgoing']])
  t.strictSame(await outreachOf(shop.tenantId, here.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(other.tenantId, there.callId), ['scheduled', 'waiting'])
})

t.test('a call-back from a number that is added later counts from then on', async t => {
  const token = await unboundToken()
  const shop = await business()
  const dana = customer()
  const did = aNewLine()
  const record = push({ caller: dana.local, did })
  await tell(token, record)
  await tell(token, callBackPush({ caller: did, target: dana.local }))
  await addLine(shop, did)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), [
    'cancelled',
    'reached_by_phone',
  ])
})
