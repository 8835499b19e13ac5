/** One person, one lead, one conversation within the repeat window. */
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
  post,
  work,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { dueSince, leadsOf, messagesAfter, miss, waitingFor } from './support.ts'

/** [state, reason] of one more missed call of hers. */
const callsAgain = async (shop: Business, caller: string) =>
  outreachOf(shop.tenantId, (await miss(shop, caller)).callId)

const CONTACTED = ['skipped', 'already_contacted']
const SCHEDULED = ['scheduled', 'waiting']

/** Moves all that was sent or is to be sent to her into the past. */
const timePasses = async (missedCallId: string, interval: string) => {
  await sql`
    update messages m set claimed_at = m.claimed_at - ${interval}::interval, due_at = m.due_at - ${interval}::interval
    from lead_conversations c
    where c.id = m.lead_conversation_id and c.missed_call_id = ${missedCallId}`.execute(db)
}

/** The reminder as if it had gone out so long ago. */
const reminderWentOut = async (missedCallId: string, kind: string, ago: string) => {
  await sql`
    update messages m set state = 'delivered', claimed_at = now() - ${ago}::interval
    from lead_conversations c
    where c.id = m.lead_conversation_id and c.missed_call_id = ${missedCallId} and m.kind = ${kind}`.execute(
    db,
  )
}

t.test('a pending message counts', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local)
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  t.strictSame(await callsAgain(shop, dana.e164), CONTACTED, 'in any spelling of her number')
  t.strictSame(await waitingFor(shop.tenantId), [`lead_outreach:${first.id}`])
  t.strictSame(await callsAgain(shop, customer().local), SCHEDULED, 'not for somebody else')
  t.strictSame(
    await callsAgain(await business(), dana.local),
    SCHEDULED,
    'nor for another business',
  )
  await dueSince(first.id)
  t.equal(fake.inbox(dana.e164).length, 1)
})

t.test('a message that went out counts for the repeat window, from the last one', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  await timePasses(id, '24 hours 1 minute')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED, 'its reminders are pending')
  await reminderWentOut(id, 'reminder_1', '22 hours')
  await reminderWentOut(id, 'reminder_2', '23 hours 59 minutes')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED, 'a reminder is a message too')
  await reminderWentOut(id, 'reminder_1', '25 hours')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED, 'a minute before it is over')
  await reminderWentOut(id, 'reminder_2', '24 hours 1 second')
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED, 'then a new story begins')
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 6, state: 'new' }])
})

t.test('the repeat window is the one of the tenant', async t => {
  const shop = await business({ columns: { repeat_window: '10 minutes' } })
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  for (const kind of ['initial', 'reminder_1', 'reminder_2'])
    await reminderWentOut(id, kind, '9 minutes 50 seconds')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  for (const kind of ['initial', 'reminder_1', 'reminder_2'])
    await reminderWentOut(id, kind, '10 minutes 1 second')
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

t.test('a message of which nobody knows counts', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({ to: dana.e164, outcome: { kind: 'garbled' } })
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  await timePasses(id, '24 hours 1 minute')
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

t.test('a message that was refused does not count', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({ to: dana.e164, outcome: { kind: 'error', code: 131026 } })
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

t.test('a message that failed after it was accepted does not count', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  await sql`update messages set state = case kind when 'initial' then 'failed' else 'cancelled' end
            where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

t.test('a message that was only shadowed does not count', async t => {
  const shop = await business({ mode: 'shadow' })
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  t.strictSame(await messagesAfter(id), [['initial', 'shadow', null]])
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

t.test('a cancelled call does not count', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await sql`select cancel_outreach(${id})`.execute(db)
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

t.test('there is one lead for every person, whatever was decided', async t => {
  const shop = await business({ mode: 'paused' })
  const dana = customer()
  for (const caller of [dana.local, dana.e164, dana.e164.slice(1), `00${dana.e164.slice(1)}`])
    await miss(shop, caller)
  await miss(shop, '+970569876521')
  await miss(shop, '0569876521')
  t.match(
    await leadsOf(shop.tenantId),
    [
      { phone: dana.e164, missed_call_count: 4, state: 'new' },
      { phone: '+970569876521', missed_call_count: 2, state: 'new' },
    ],
    'a Palestinian mobile is one person under both country codes',
  )
  t.equal((await leadsOf(shop.tenantId)).length, 2)
})

t.test('both spellings of a Palestinian mobile are one conversation', async t => {
  const shop = await business()
  await miss(shop, '+970599876531')
  t.strictSame(await callsAgain(shop, '0599876531'), CONTACTED)
})

t.test('first calls under both spellings that are judged at once are of one person', async t => {
  const shop = await business()
  for (let round = 0; round < 5; round++) {
    const number = `5998765${10 + round}`
    const [one, two] = [`+970${number}`, `0${number}`].map(caller =>
      push({ caller, did: shop.did }),
    )
    await post([one, two], { token: shop.token })
    await Promise.all([work(), work()])
    t.equal((await leadsOf(shop.tenantId)).length, round + 1)
    t.equal((await waitingFor(shop.tenantId)).length, round + 1)
  }
})

t.test('calls of one person that are judged at once lead to one message', async t => {
  const shop = await business()
  const dana = customer()
  const calls = Array.from({ length: 8 }, (_, n) =>
    push({ caller: dana.local, did: shop.did }, 60 + n),
  )
  await post(calls, { token: shop.token })
  await Promise.all([work(), work()])
  const states = await Promise.all(calls.map(call => missedCall(shop.tenantId, call.ivruniqueid)))
  t.equal(states.filter(call => call?.outreach_state === 'scheduled').length, 1)
  t.equal(states.filter(call => call?.outreach_reason === 'already_contacted').length, 7)
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 8 }])
})

t.test('a call is counted once, however often it is told', async t => {
  const shop = await business()
  const { record } = await miss(shop, customer().local)
  await post(record, { token: shop.token })
  await post({ ...record, dialtime: 99 }, { token: shop.token })
  await work()
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
})
