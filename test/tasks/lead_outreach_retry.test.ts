/** Not accepted for sure, and worth another try: after a delay, once, and only while it still makes sense. */
import t from 'tap'
import { sql } from 'kysely'
import { answeredPush } from '../../scripts/demo/cdr.ts'
import { business, customer, db, fake, jobs, outreachOf, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
  secondsUntil,
  tell,
  waitingFor,
} from './support.ts'

/** A message that met a moment's refusal. */
const refusedForNow = async (code: number, times: number | 'always' = 1, httpStatus?: number) => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  const outcome = { kind: 'error' as const, code, ...(httpStatus && { httpStatus }) }
  fake.script({ to: who.e164, times, outcome })
  await dueSince(missed.id)
  return { shop, who, ...missed }
}

/** In how many seconds it is tried again. */
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

t.test('when nobody listens it never arrived, and is tried again', async t => {
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

t.test('when the tries are used up it has failed', async t => {
  const { shop, who, id, callId } = await refusedForNow(1, 'always', 400)
  t.equal(await waits(id), 30)
  await dueSince(id)
  t.equal(await waits(id), 120, 'ever more rarely')
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.match(await initialOf(id), { state: 'failed', error_code: 1, attempts: 3 })
  t.strictSame(await waitingFor(shop.tenantId), [])
  await addStrayJobs(id)
  await work()
  t.equal(requestsOf(shop).length, 3)
  t.strictSame(fake.inbox(who.e164), [])
})

t.test('a further try that would start after the grace is too late', async t => {
  const { shop, id, callId } = await refusedForNow(130429)
  await dueSince(id, '31 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
  t.strictSame(await messagesAfter(id), [['initial', 'skipped', 'too_late']])
  t.equal(requestsOf(shop).length, 1)
})

t.test('a further try looks again, too', async t => {
  const { shop, who, id, callId } = await refusedForNow(130429)
  await sql`insert into opt_outs (tenant_id, phone, source)
            values (${shop.tenantId}, ${who.e164}, 'operator')`.execute(db)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
  t.strictSame(await messagesAfter(id), [['initial', 'skipped', 'opted_out']])
  t.equal(requestsOf(shop).length, 1)
})

t.test('while it waits to be tried again it can be cancelled', async t => {
  const { shop, who, id, callId } = await refusedForNow(130429)
  await tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await messagesAfter(id), [['initial', 'cancelled', 'reached_by_phone']])
  t.strictSame(await waitingFor(shop.tenantId), [])
  await addStrayJobs(id)
  await work()
  t.equal(requestsOf(shop).length, 1)
})

t.test('while it waits to be tried again, a further call of hers is already answered', async t => {
  const { shop, who } = await refusedForNow(130429)
  const { callId } = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'already_contacted'])
})

t.test('a try after a crash of the one before is not made', async t => {
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
