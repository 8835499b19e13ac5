/** What may come of a send, and what each of it means: refused, unknown, and never twice. */
import t, { type Test } from 'tap'
import { sql } from 'kysely'
import type { ScriptInput } from '../../scripts/fake_whatsapp/scripts.ts'
import { business, customer, db, fake, outreachOf, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  until,
  waitingFor,
} from './support.ts'

/** A missed call whose message meets this outcome. */
const meets = async (outcome: ScriptInput['outcome'], unread = false) => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  fake.script({ ...(unread ? { phoneNumberId: shop.phoneNumberId } : { to: who.e164 }), outcome })
  await dueSince(missed.id)
  return { shop, who, ...missed }
}

/** The call's time comes once more, with more jobs than there should be. */
const everythingAgain = async (id: string) => {
  await addStrayJobs(id, 3)
  await dueSince(id)
}

t.test('a refusal is the end of it, with its code', async t => {
  for (const code of [131026, 131047, 100]) {
    const { shop, who, id, callId } = await meets({ kind: 'error', code })
    t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'], String(code))
    t.match(await initialOf(id), { state: 'failed', error_code: code, wamid: null })
    t.strictSame(await waitingFor(shop.tenantId), [])
    await everythingAgain(id)
    t.equal(requestsOf(shop).length, 1)
    t.strictSame(fake.inbox(who.e164), [])
    t.match(await leadsOf(shop.tenantId), [{ state: 'new' }], 'nobody has been contacted')
  }
})

t.test('a code that we do not know, with a 4xx, is a refusal too', async t => {
  const { shop, id, callId } = await meets({ kind: 'error', code: 987654, httpStatus: 400 })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.match(await initialOf(id), { error_code: 987654 })
})

/** Outcomes after which nobody can tell; `arrived` where the person has the message all the same. */
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
  t.equal(requestsOf(shop).length, 1, 'it is never sent again')
  t.equal(fake.inbox(who.e164).length, arrived ? 1 : 0)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
}

for (const [name, [outcome, arrived]] of Object.entries(unknowable))
  t.test(`nobody knows what came of it when ${name}`, async t => {
    await isUnknownForGood(t, await meets(outcome), arrived)
  })

t.test('nobody knows what came of it when the connection is dropped unread', async t => {
  await isUnknownForGood(t, await meets({ kind: 'reset' }, true), false)
})

t.test('nobody answers: others are written to meanwhile, and no connection is held', async t => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'hang', accept: true } })
  const hanging = dueSince(missed.id)
  await until(() => requestsOf(shop).length === 1)
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['sending', 'claimed'])

  const { rows } = await sql`select state from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`.execute(db)
  t.strictSame(rows, [], 'no transaction is open while we wait')
  const other = customer()
  await dueSince((await miss(await business(), other.local)).id)
  t.equal(fake.inbox(other.e164).length, 1)
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['sending', 'claimed'])

  await hanging
  await isUnknownForGood(t, { shop, who, ...missed }, true)
})

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

t.test('an answer without contacts, or for another id of hers, is an acceptance', async t => {
  const bare = await meets({ kind: 'accept', contacts: false })
  t.strictSame(await outreachOf(bare.shop.tenantId, bare.callId), ['sent', 'accepted'])
  t.match(await initialOf(bare.id), { state: 'accepted', wa_id: null })
  const other = await meets({ kind: 'accept', waId: '972501234' })
  t.match(await initialOf(other.id), { state: 'accepted', wa_id: '972501234' })
  await work()
})
