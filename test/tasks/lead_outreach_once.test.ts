/** No message twice, and none that was cancelled: runs at once, runs that died, cancelling during a send. */
import t from 'tap'
import { sql } from 'kysely'
import { answeredPush, push } from '../../scripts/demo/cdr.ts'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  post,
  work,
} from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  secondsUntil,
  tell,
  until,
  waitingFor,
} from './support.ts'

/** A message that is being sent: the answer takes its time. `done` settles when all is recorded. */
const beingSent = async (outcome: Parameters<typeof fake.script>[0]['outcome']) => {
  const shop = await business()
  const who = customer()
  const missed = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome })
  const done = dueSince(missed.id)
  await until(() => requestsOf(shop).length === 1)
  return { shop, who, ...missed, done }
}
const SLOW = 500

t.test('running again changes nothing', async t => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  await dueSince(id)
  const before = await messagesAfter(id)
  for (let runs = 0; runs < 3; runs++) {
    await addStrayJobs(id)
    await work()
  }
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(await messagesAfter(id), before)
  t.equal((await waitingFor(shop.tenantId)).length, 2, 'two reminders')
})

t.test('twenty runs at once send once', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'accept', delayMs: SLOW } })
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await addStrayJobs(id, 20)
  await Promise.all(Array.from({ length: 5 }, () => work()))
  t.equal(requestsOf(shop).length, 1)
  t.equal(fake.inbox(who.e164).length, 1)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal((await messagesAfter(id)).length, 3)
  // One that failed would stay.
  await until(async () => (await jobs('lead_outreach')).every(({ attempts }) => attempts === 0))
})

t.test('a run that finds a young claim comes back later', async t => {
  const { shop, id, done } = await beingSent({ kind: 'accept', delayMs: SLOW })
  await addStrayJobs(id)
  await work()
  const [job] = await jobs(`lead_outreach:${id}`)
  const seconds = await secondsUntil(job?.run_at)
  t.ok(seconds > 30 && seconds <= 61, `in ${seconds} s`)
  t.equal(requestsOf(shop).length, 1)
  await done
  await runAtOnce(`lead_outreach:${id}`)
  await work()
  t.equal(requestsOf(shop).length, 1)
})

t.test('a claim that its sender did not survive is given up as unknown', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const died = async (secondsAgo: number) => {
    await sql`
      with c as (insert into lead_conversations (lead_id, missed_call_id) select lead_id, id from missed_calls where id = ${id}
                 on conflict (missed_call_id) do update set state = 'open' returning id)
      insert into messages (tenant_id, lead_conversation_id, direction, kind, state, claimed_at, attempts)
      select ${shop.tenantId}, id, 'out', 'initial', 'sending', now() - make_interval(secs => ${secondsAgo}), 1 from c
      on conflict (lead_conversation_id, kind) where kind in ('initial', 'reminder_1', 'reminder_2')
        do update set claimed_at = excluded.claimed_at`.execute(db)
    await sql`update missed_calls set outreach_state = 'sending', outreach_reason = 'claimed' where id = ${id}`.execute(
      db,
    )
    await dueSince(id)
  }
  await died(35)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sending', 'claimed'])
  t.equal((await waitingFor(shop.tenantId)).length, 1, 'too young: looked at again')
  await died(61)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.match(await initialOf(id), { state: 'unknown', wamid: null })
  t.strictSame(requestsOf(shop), [], 'nothing is sent in its place')
  t.strictSame(await waitingFor(shop.tenantId), [])
})

t.test('the word of a sender that had been given up counts', async t => {
  const { shop, id, callId, done } = await beingSent({ kind: 'accept', delayMs: SLOW })
  await sql`update messages set claimed_at = now() - interval '2 minutes' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await addStrayJobs(id)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal((await waitingFor(shop.tenantId)).length, 2, 'the reminders follow')
})

t.test('whoever gets through during the send has her message, and no reminders', async t => {
  const { shop, who, id, callId, done } = await beingSent({ kind: 'accept', delayMs: SLOW })
  await tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5))
  t.strictSame(
    await outreachOf(shop.tenantId, callId),
    ['sending', 'claimed'],
    'too late to cancel',
  )
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [['initial', 'accepted', null]])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.match(await conversationOf(id), { state: 'reached_by_phone' })
  t.match(await leadsOf(shop.tenantId), [{ state: 'reached_by_phone' }])
})

t.test('what is cancelled during a send that is refused is not tried again', async t => {
  const outcome = { kind: 'error', code: 130429, delayMs: SLOW } as const
  const { shop, who, id, callId, done } = await beingSent(outcome)
  await sql`select cancel_outreach(${id})`.execute(db)
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(await waitingFor(shop.tenantId), [])
  await addStrayJobs(id)
  await work()
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(fake.inbox(who.e164), [])
})

t.test('an operator and the clock at once: cancelled or sent, never both', async t => {
  const shop = await business()
  const calls = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const record = push({ caller: customer().local, did: shop.did })
      await post(record, { token: shop.token })
      return record
    }),
  )
  await work()
  await sql`update missed_calls set outreach_due_at = now() where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await Promise.all((await waitingFor(shop.tenantId)).map(runAtOnce))
  const working = work()
  const ends = new Set<string | undefined>()
  for (const { ivruniqueid } of calls) {
    const id = (await missedCall(shop.tenantId, ivruniqueid))?.id
    await sql`select cancel_outreach(${id})`.execute(db)
  }
  await working
  for (const { ivruniqueid, caller } of calls) {
    const call = await missedCall(shop.tenantId, ivruniqueid)
    const got = fake.inbox(`+972${String(caller).slice(1)}`).length
    ends.add(call?.outreach_state)
    t.equal(got, call?.outreach_state === 'sent' ? 1 : 0, String(call?.outreach_state))
  }
  t.strictSame(
    [...ends].filter(state => state !== 'sent' && state !== 'cancelled'),
    [],
  )
  t.strictSame(await waitingFor(shop.tenantId), [], 'and no reminders either way')
})
