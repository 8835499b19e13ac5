/** select cancel_outreach(<missed call id>): what an operator does, and what it answers. */
import t from 'tap'
import { sql } from 'kysely'
import { business, customer, db, fake, outreachOf, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  until,
  waitingFor,
} from '../tasks/support.ts'

const cancel = async (id: string): Promise<string | null | undefined> => {
  const { rows } = await sql<{
    answer: string | null
  }>`select cancel_outreach(${id}) as answer`.execute(db)
  return rows[0]?.answer
}

t.test('a scheduled message is cancelled, and its job is gone', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const untouched = await miss(shop, customer().local)
  t.equal(await cancel(id), 'cancelled')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(await waitingFor(shop.tenantId), [`lead_outreach:${untouched.id}`])
  t.strictSame(await outreachOf(shop.tenantId, untouched.callId), ['scheduled', 'waiting'])

  t.equal(await cancel(id), 'nothing to cancel', 'only once')
  await addStrayJobs(id)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(requestsOf(shop), [])
})

t.test('a message that waits for its connection is cancelled', async t => {
  const shop = await business()
  await sql`update whatsapp_connections set state = 'paused' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const { id, callId } = await miss(shop, customer().local)
  t.equal(await cancel(id), 'cancelled')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
})

t.test('a message that waits for a further try is cancelled, with its row', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 130429 } })
  await dueSince(id)
  t.equal(await cancel(id), 'cancelled')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(await messagesAfter(id), [['initial', 'cancelled', 'by_operator']])
  t.match(await conversationOf(id), { state: 'stopped' })
  t.strictSame(await waitingFor(shop.tenantId), [])
})

t.test('after the message went out, the reminders are stopped', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  await dueSince(id)
  t.equal(await cancel(id), 'reminders stopped')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'cancelled', 'by_operator'],
    ['reminder_2', 'cancelled', 'by_operator'],
  ])
  t.match(await conversationOf(id), { state: 'stopped' })
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.equal(await cancel(id), 'nothing to cancel')
})

t.test('while the message is being sent, it goes out and nothing follows', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'accept', delayMs: 500 } })
  const done = dueSince(id)
  await until(() => requestsOf(shop).length === 1)
  t.equal(await cancel(id), 'reminders stopped')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sending', 'claimed'])
  await done
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [['initial', 'accepted', null]])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

t.test('what has ended already cannot be cancelled', async t => {
  const shop = await business({ mode: 'paused' })
  const skipped = await miss(shop, customer().local)
  const withheld = await miss(shop, '')
  t.equal(await cancel(skipped.id), 'nothing to cancel')
  t.equal(await cancel(withheld.id), 'nothing to cancel')
  t.strictSame(await outreachOf(shop.tenantId, skipped.callId), ['skipped', 'tenant_paused'])
  t.strictSame(await outreachOf(shop.tenantId, withheld.callId), ['skipped', 'withheld_number'])

  const live = await business()
  const who = customer()
  const refused = await miss(live, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 131026 } })
  await dueSince(refused.id)
  t.equal(await cancel(refused.id), 'nothing to cancel')
  t.strictSame(await outreachOf(live.tenantId, refused.callId), ['failed', 'refused'])

  const shadow = await business({ mode: 'shadow' })
  const shadowed = await miss(shadow, customer().local)
  await dueSince(shadowed.id)
  t.equal(await cancel(shadowed.id), 'nothing to cancel')
  t.strictSame(await messagesAfter(shadowed.id), [['initial', 'shadow', null]])
})

t.test('a call that is not there has no answer', async t => {
  t.equal(await cancel('999999999'), null)
})

t.test('it waits for whoever holds the lead', async t => {
  const shop = await business()
  const { id, callId } = await miss(shop, customer().local)
  let answered = false
  const answer = await db.transaction().execute(async trx => {
    await trx
      .selectFrom('leads')
      .select('id')
      .where('tenant_id', '=', shop.tenantId)
      .forUpdate()
      .execute()
    const cancelling = cancel(id).finally(() => {
      answered = true
    })
    await until(async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%cancel_outreach%'`.execute(
        db,
      )
      return rows.length > 0
    })
    t.notOk(answered)
    // What it finds when its turn comes is what counts.
    await sql`update missed_calls set outreach_state = 'cancelled', outreach_reason = 'replied' where id = ${id}`.execute(
      trx,
    )
    return { cancelling }
  })
  t.equal(await answer.cancelling, 'nothing to cancel')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'replied'])
})

t.test('a job that is removed alone is not a cancellation', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  await sql`select graphile_worker.remove_job(${`lead_outreach:${id}`})`.execute(db)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
  await addStrayJobs(id)
  await work()
  t.equal(fake.inbox(who.e164).length, 1)
})

t.test('a cancelled call opens the way for her next one', async t => {
  const shop = await business()
  const who = customer()
  const first = await miss(shop, who.local)
  await cancel(first.id)
  const second = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, second.callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 2 }])
})
