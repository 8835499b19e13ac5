/** What follows when a message of a conversation failed, or nobody knows what became of it. */
import { sql } from 'kysely'
import { test, type Test } from 'tap'
import { business, customer, db, fake, jobs, reminderDue } from '../support/ringback.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
  secondsUntil,
} from '../tasks/support.ts'
import { addStrayReminders, contacted, reported } from './support.ts'

/** Its process claimed it so long ago, and has not been heard of. */
const claimed = (conversation: string, kind: string, ago: string) =>
  sql`update messages set state = 'sending', attempts = 1, claimed_at = now() - ${ago}::interval
      where lead_conversation_id = ${conversation} and kind = ${kind}`.execute(db)

await test('one whose sender died is unknown, and never sent again', async t => {
  const { shop, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await claimed(conversation, 'reminder_1', '10 seconds')
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'sending', null], 'it may be alive')
  const [job] = await jobs(`lead_reminder:${conversation}:1`)
  const seconds = await secondsUntil(job?.run_at)
  t.ok(seconds > 0 && seconds <= 120, `looked at again in ${seconds} s`)

  await claimed(conversation, 'reminder_1', '10 minutes')
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'unknown', 'sender_died'])
  await addStrayReminders(conversation)
  t.equal(requestsOf(shop).length, 1, 'nor does the second follow it')

  await claimed(conversation, 'reminder_2', '10 minutes')
  await reminderDue(conversation, 2)
  t.strictSame((await messagesAfter(id))[2], ['reminder_2', 'unknown', 'sender_died'])
  t.equal((await jobs(`lead_silence:${conversation}`)).length, 1, 'it was the last')
})

await test('a first message that failed is not followed by any', async t => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 131026 } })
  await dueSince(id)
  t.match(await initialOf(id), { state: 'failed' })
  await addStrayReminders((await conversationOf(id)).id)
  t.equal((await messagesAfter(id)).length, 1)
  t.equal(requestsOf(shop).length, 1)
})

/** What the second reminder is, after the first one met this error. */
const secondAfter = async (t: Test, code: number) => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  fake.script({ to: who.e164, outcome: { kind: 'error', code } })
  await reminderDue(conversation, 1)
  t.match((await messagesAfter(id))[1], ['reminder_1', 'failed'])
  const at = await messagesAfter(id)
  await reminderDue(conversation, 2)
  t.equal(requestsOf(shop).length, 2, `${code}: the second is not sent`)
  return { at: at[2], end: (await messagesAfter(id))[2], of: await conversationOf(id) }
}

await test('one that failed because of the person cancels the next', async t => {
  for (const code of [131026, 131021, 130497, 131049]) {
    const { at, of } = await secondAfter(t, code)
    t.strictSame(at, ['reminder_2', 'cancelled', 'undeliverable'], String(code))
    t.match(of, { state: 'stopped', reason: 'undeliverable' })
  }
  const { at, of } = await secondAfter(t, 131050)
  t.strictSame(at, ['reminder_2', 'cancelled', 'opted_out'])
  t.match(of, { state: 'opted_out' })
})

await test('after one that failed for another reason the conversation stays open', async t => {
  for (const code of [100, 130472, 132005]) {
    const { at, end, of } = await secondAfter(t, code)
    t.strictSame(at, ['reminder_2', 'scheduled', null], String(code))
    t.strictSame(end, ['reminder_2', 'skipped', 'previous_failed'])
    t.match(of, { state: 'open' })
  }
})
