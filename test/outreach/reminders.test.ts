/** Both reminders: when they are due, what they wait for, and how it ends when nobody answers. */
import { sql } from 'kysely'
import { test } from 'tap'
import { contacted, reported, templatesTo } from './support.ts'
import {
  customer,
  db,
  fake,
  jobs,
  messagesOf,
  reminderDue,
  silenceDue,
} from '../support/ringback.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  secondsUntil,
} from '../tasks/support.ts'

await test('both are written down when the first message is accepted', async t => {
  const { shop, id, conversation } = await contacted()
  const initial = await initialOf(id)
  t.strictSame(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'scheduled', null],
    ['reminder_2', 'scheduled', null],
  ])
  const [, ...reminders] = await messagesOf(shop.tenantId)
  const [lead] = await leadsOf(shop.tenantId)
  for (const [n, hours] of [
    [1, 2],
    [2, 24],
  ] as const) {
    const due = reminders[n - 1]?.due_at
    t.equal(Number(due) - Number(initial.accepted_at), hours * 3_600_000, `after ${hours} hours`)
    const key = `lead_reminder:${conversation}:${n}`
    t.strictSame(
      (await jobs(key)).map(job => [job.task_identifier, job.run_at]),
      [['lead_reminder', due]],
    )
    const { rows } = await sql`select payload from graphile_worker._private_jobs
                               where key = ${key}`.execute(db)
    t.strictSame(rows, [
      { payload: { leadId: lead?.id, leadConversationId: conversation, reminderNumber: n } },
    ])
  }
})

await test('after both, and a day of silence, she is left alone', async t => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 1)
  await reported(conversation, 'reminder_1', 'read')
  t.strictSame(await jobs(`lead_silence:${conversation}`), [])
  await reminderDue(conversation, 2)
  t.strictSame(templatesTo(who.e164), [
    'ringback_missed_call',
    'ringback_reminder_1',
    'ringback_reminder_2',
  ])
  const parameters = fake.inbox(who.e164).map(message => message.template?.parameters)
  t.match(parameters[0], ['מספרת נועה', /^\d\d:\d\d$/])
  t.strictSame(parameters, [parameters[0], parameters[0], parameters[0]], 'about the same call')

  const [job] = await jobs(`lead_silence:${conversation}`)
  t.ok(Math.abs((await secondsUntil(job?.run_at)) - 24 * 3600) < 30, 'a day after the last one')
  t.match(await conversationOf(id), { state: 'open' })
  await silenceDue(conversation)
  t.match(await conversationOf(id), { state: 'unresponsive', reason: 'unresponsive' })
  t.match(await leadsOf(shop.tenantId), [{ state: 'unresponsive' }])
  t.equal(requestsOf(shop).length, 3)
})

await test('each state of the message before it: the reminder goes, or waits', async t => {
  for (const [state, goes] of [
    ['accepted', false],
    ['unknown', false],
    ['sending', false],
    ['sent', true],
    ['delivered', true],
    ['read', true],
  ] as const) {
    const { shop, id, conversation } = await contacted()
    await reported(conversation, 'initial', state)
    await reminderDue(conversation, 1)
    t.equal(requestsOf(shop).length, goes ? 2 : 1, `${state}: ${goes ? 'it goes' : 'it waits'}`)
    const after = await messagesAfter(id)
    t.strictSame(after[1], ['reminder_1', goes ? 'accepted' : 'scheduled', null])
    if (goes) continue

    const [job] = await jobs(`lead_reminder:${conversation}:1`)
    const seconds = await secondsUntil(job?.run_at)
    t.ok(seconds > 0 && seconds <= 120, `and looks again in ${seconds} s`)
    await reported(conversation, 'initial', 'sent')
    await reminderDue(conversation, 1, '5 hours 59 minutes')
    t.equal(requestsOf(shop).length, 2, 'it goes as soon as that has been sent')
  }
})

await test('it does not wait longer than the grace for reminders', async t => {
  for (const state of ['accepted', 'unknown']) {
    const { shop, who, id, conversation } = await contacted()
    await reported(conversation, 'initial', state)
    await reminderDue(conversation, 1)
    await reminderDue(conversation, 1, '6 hours 1 second')
    t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'skipped', 'previous_not_sent'])
    t.strictSame(await jobs(`lead_reminder:${conversation}:1`), [])
    await reported(conversation, 'initial', 'delivered')
    await reminderDue(conversation, 1)
    t.equal(fake.inbox(who.e164).length, 1, 'nor does it come back')
    await reminderDue(conversation, 2)
    t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
    t.equal(requestsOf(shop).length, 2)
  }
})

await test('a reminder that could not start in time is too late', async t => {
  const { shop, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 1, '6 hours 1 second')
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'skipped', 'too_late'])
  await reminderDue(conversation, 2, '5 hours 59 minutes')
  t.strictSame((await messagesAfter(id))[2], ['reminder_2', 'accepted', null])
  t.equal(requestsOf(shop).length, 2)
})

await test('the second waits for the first, and goes out alone where both are due', async t => {
  const { who, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 2)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call'], 'the first is still to come')
  await reminderDue(conversation, 1, '1 minute')
  t.strictSame(
    templatesTo(who.e164),
    ['ringback_missed_call'],
    'it comes too late to be one of two',
  )
  await reminderDue(conversation, 2)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
})

await test('the second goes out once the first has been sent', async t => {
  const { who, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 1)
  await reminderDue(conversation, 2)
  t.equal(fake.inbox(who.e164).length, 2, 'the first has only been accepted')
  await reported(conversation, 'reminder_1', 'sent')
  await reminderDue(conversation, 2)
  t.equal(templatesTo(who.e164)[2], 'ringback_reminder_2')
})

await test('a first one that was tried and then given up does not keep the second back', async t => {
  const { who, conversation, id } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 130429 } })
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'scheduled', 'error_code'])
  await reminderDue(conversation, 1, '6 hours 1 second')
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'skipped', 'too_late'])
  await reminderDue(conversation, 2)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
})

await test('changed delays hold for what is scheduled after the change', async t => {
  const { shop, conversation } = await contacted()
  const dues = async (tenantId: string) =>
    (await messagesOf(tenantId)).slice(1, 3).map(({ due_at }) => Number(due_at))
  const old = await dues(shop.tenantId)
  const changed = { reminder_1_after: '1 hour', reminder_2_after: '3 hours' }
  await db.updateTable('tenants').set(changed).where('id', '=', shop.tenantId).execute()
  t.strictSame(await dues(shop.tenantId), old)

  const next = await miss(shop, customer().local)
  await dueSince(next.id)
  const accepted = Number((await initialOf(next.id)).accepted_at)
  const rows = (await messagesOf(shop.tenantId)).slice(4).map(({ due_at }) => Number(due_at))
  t.strictSame(rows, [accepted + 3_600_000, accepted + 3 * 3_600_000])

  await db
    .updateTable('tenants')
    .set({ unresponsive_after: '10 minutes' })
    .where('id', '=', shop.tenantId)
    .execute()
  await reported(conversation, 'initial', 'read')
  await reminderDue(conversation, 1)
  await reported(conversation, 'reminder_1', 'read')
  await reminderDue(conversation, 2)
  const [job] = await jobs(`lead_silence:${conversation}`)
  t.ok(Math.abs((await secondsUntil(job?.run_at)) - 600) < 30, 'the silence, too')
})
