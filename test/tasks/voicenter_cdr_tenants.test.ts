/** No credential of one tenant changes anything of another, not even with its CallIDs and its customers. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  outreachOf,
  post,
  verdictsOf,
  work,
} from '../support/ringback.ts'
import { answeredPush, callBackPush, push } from '../../scripts/demo/cdr.ts'
import {
  dueSince,
  everythingOf,
  leadsOf,
  miss,
  runAtOnce,
  tell,
  unboundToken,
  waitingFor,
} from './support.ts'

t.test('whatever is told with another token leaves a business alone', async t => {
  const [shop, stranger] = [await business(), await business()]
  const dana = customer()
  const { callId, id, record } = await miss(shop, dana.local, {}, 300)
  const before = await everythingOf(shop.tenantId)
  await tell(
    stranger.token,
    answeredPush({ caller: dana.local, did: shop.did, ivruniqueid: callId, time: record.time }),
    answeredPush({ caller: dana.local, did: shop.did }),
    answeredPush({ caller: dana.local, did: stranger.did }),
    callBackPush({ caller: shop.did, target: dana.local }),
    answeredPush({ caller: dana.local, did: '', type: 'XferCDR', OriginalIvrUniqueID: callId }),
    push({ caller: customer().local, did: shop.did }),
  )
  t.strictSame(await everythingOf(shop.tenantId), before)
  t.strictSame(await leadsOf(stranger.tenantId), [])
  await dueSince(id)
  t.equal(fake.inbox(dana.e164).length, 1)
})

t.test("a record under somebody's call id does not draw an unbound transfer to it", async t => {
  const token = await unboundToken()
  const [shop, stranger] = [await business(), await business()]
  const dana = customer()
  const root = push({ caller: dana.local, did: shop.did, status: 'TIMEOUT', type: 'Queue' })
  const callId = root.ivruniqueid
  const transfer = answeredPush({
    caller: dana.local,
    did: '',
    type: 'XferCDR',
    OriginalIvrUniqueID: callId,
  })
  await tell(stranger.token, push({ did: stranger.did, ivruniqueid: callId }))
  await tell(token, transfer, root)
  t.strictSame(await verdictsOf(shop.tenantId, callId), Array(2).fill(['answered', 'agent']))
  t.strictSame(await verdictsOf(stranger.tenantId, callId), [['missed', 'noanswer']])
})

t.test('the same CallID in two tenants is two calls and two messages', async t => {
  const [one, two] = [await business(), await business()]
  const dana = customer()
  const record = push({ caller: dana.local, did: one.did })
  const callId = record.ivruniqueid
  await post(record, { token: one.token })
  await post({ ...record, did: two.did }, { token: two.token })
  t.equal((await jobs(`voicenter_cdr:${callId}`)).length, 1, 'one job serves both')
  await work()
  t.strictSame(await outreachOf(one.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame(await outreachOf(two.tenantId, callId), ['scheduled', 'waiting'])
  for (const key of [...(await waitingFor(one.tenantId)), ...(await waitingFor(two.tenantId))])
    await runAtOnce(key)
  await sql`update missed_calls set outreach_due_at = now() where call_id = ${callId}`.execute(db)
  await work()
  t.strictSame(
    fake
      .inbox(dana.e164)
      .map(({ phoneNumberId }) => phoneNumberId)
      .toSorted(),
    [one.phoneNumberId, two.phoneNumberId].toSorted(),
  )
})

for (const broken of [0, 1])
  t.test(`the call of tenant ${broken + 1} of two cannot be judged, the other's is`, async t => {
    const [one, two] = [await business(), await business()]
    const [bad, good] = broken === 0 ? [one, two] : [two, one]
    const dana = customer()
    await db.insertInto('leads').values({ tenant_id: bad.tenantId, phone: dana.e164 }).execute()
    const record = push({ caller: dana.local, did: one.did })
    const callId = record.ivruniqueid
    await post(record, { token: one.token })
    await post({ ...record, did: two.did }, { token: two.token })
    await db.transaction().execute(async trx => {
      // Somebody sits on her lead for longer than a task waits for a lock.
      await trx
        .selectFrom('leads')
        .select('id')
        .where('tenant_id', '=', bad.tenantId)
        .forUpdate()
        .execute()
      await work()
    })
    t.strictSame(await outreachOf(good.tenantId, callId), ['scheduled', 'waiting'])
    t.equal(await outreachOf(bad.tenantId, callId), undefined)
    t.match(await jobs(`voicenter_cdr:${callId}`), [{ attempts: 1 }], 'the job is tried again')
    const before = await everythingOf(good.tenantId)

    await runAtOnce(`voicenter_cdr:${callId}`)
    await work()
    t.strictSame(await outreachOf(bad.tenantId, callId), ['scheduled', 'waiting'])
    t.match(await leadsOf(bad.tenantId), [{ missed_call_count: 1 }])
    t.strictSame(await everythingOf(good.tenantId), before, 'nothing is done twice for the other')
  })
