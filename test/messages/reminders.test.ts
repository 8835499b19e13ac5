/** Reminders: when they are due, what they wait for, what stops them, and quiet windows. */
import { sql } from 'kysely'
import { test, type Test } from 'tap'
import { remindNow } from '../../app/outreach/operator_actions.ts'
import { answeredPush } from '../../scripts/demo/cdr.ts'
import {
  addStrayReminders,
  addStraySilence,
  contacted,
  reported,
  templatesTo,
} from '../outreach/support.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobDue,
  jobs,
  messagesOf,
  missedCall,
  outreachOf,
  reminderDue,
  silenceDue,
} from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  secondsUntil,
  tell,
  waitingFor,
} from '../tasks/support.ts'

await test('both are scheduled when the first message is accepted', async t => {
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

await test('after both and a day of silence, the conversation ends', async t => {
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

await test('the reminder is sent or waits, by the state of the message before it', async t => {
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
    t.equal(requestsOf(shop).length, goes ? 2 : 1, `${state}: ${goes ? 'sent' : 'waits'}`)
    const after = await messagesAfter(id)
    t.strictSame(after[1], ['reminder_1', goes ? 'accepted' : 'scheduled', null])
    if (goes) continue

    const [job] = await jobs(`lead_reminder:${conversation}:1`)
    const seconds = await secondsUntil(job?.run_at)
    t.ok(seconds > 0 && seconds <= 120, `and looks again in ${seconds} s`)
    await reported(conversation, 'initial', 'sent')
    await reminderDue(conversation, 1, '5 hours 59 minutes')
    t.equal(requestsOf(shop).length, 2, 'it is sent when the message before it has been')
  }
})

await test('it does not wait longer than reminder_grace', async t => {
  for (const state of ['accepted', 'unknown']) {
    const { shop, who, id, conversation } = await contacted()
    await reported(conversation, 'initial', state)
    await reminderDue(conversation, 1)
    await reminderDue(conversation, 1, '6 hours 1 second')
    t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'skipped', 'previous_not_sent'])
    t.strictSame(await jobs(`lead_reminder:${conversation}:1`), [])
    await reported(conversation, 'initial', 'delivered')
    await reminderDue(conversation, 1)
    t.equal(fake.inbox(who.e164).length, 1, 'and it is not sent later')
    await reminderDue(conversation, 2)
    t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
    t.equal(requestsOf(shop).length, 2)
  }
})

await test('a reminder that was not claimed in time is too late', async t => {
  const { shop, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 1, '6 hours 1 second')
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'skipped', 'too_late'])
  await reminderDue(conversation, 2, '5 hours 59 minutes')
  t.strictSame((await messagesAfter(id))[2], ['reminder_2', 'accepted', null])
  t.equal(requestsOf(shop).length, 2)
})

await test('the second waits for the first, and is sent alone if both are due', async t => {
  const { who, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 2)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call'], 'the first reminder is pending')
  await reminderDue(conversation, 1, '1 minute')
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call'], 'only the second one is sent')
  await reminderDue(conversation, 2)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
})

await test('the second is sent after the first was reported as sent', async t => {
  const { who, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 1)
  await reminderDue(conversation, 2)
  t.equal(fake.inbox(who.e164).length, 2, 'the first was only accepted')
  await reported(conversation, 'reminder_1', 'sent')
  await reminderDue(conversation, 2)
  t.equal(templatesTo(who.e164)[2], 'ringback_reminder_2')
})

await test('a first one that was tried and then cancelled does not hold back the second', async t => {
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

await test('changed delays apply to reminders that are scheduled after the change', async t => {
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
  t.ok(Math.abs((await secondsUntil(job?.run_at)) - 600) < 30, 'also of lead_silence')
})

// What follows when a message of a conversation failed or is unknown.

/** It was claimed this long ago, and its outcome was not recorded. */
const claimed = (conversation: string, kind: string, ago: string) =>
  sql`update messages set state = 'sending', attempts = 1, claimed_at = now() - ${ago}::interval
      where lead_conversation_id = ${conversation} and kind = ${kind}`.execute(db)

await test('a reminder whose sender died is unknown, and is not sent again', async t => {
  const { shop, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await claimed(conversation, 'reminder_1', '10 seconds')
  await reminderDue(conversation, 1)
  t.strictSame(
    (await messagesAfter(id))[1],
    ['reminder_1', 'sending', null],
    'its sender may be alive',
  )
  const [job] = await jobs(`lead_reminder:${conversation}:1`)
  const seconds = await secondsUntil(job?.run_at)
  t.ok(seconds > 0 && seconds <= 120, `looked at again in ${seconds} s`)

  await claimed(conversation, 'reminder_1', '10 minutes')
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'unknown', 'sender_died'])
  await addStrayReminders(conversation)
  t.equal(requestsOf(shop).length, 1, 'and the second does not follow')

  await claimed(conversation, 'reminder_2', '10 minutes')
  await reminderDue(conversation, 2)
  t.strictSame((await messagesAfter(id))[2], ['reminder_2', 'unknown', 'sender_died'])
  t.equal((await jobs(`lead_silence:${conversation}`)).length, 1, 'it was the last')
})

await test('no reminder follows a first message that failed', async t => {
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

/** What becomes of the second reminder after the first one got this error. */
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

await test('a reminder that cannot reach the person cancels the next', async t => {
  for (const code of [131026, 131021, 130497, 131049]) {
    const { at, of } = await secondAfter(t, code)
    t.strictSame(at, ['reminder_2', 'cancelled', 'undeliverable'], String(code))
    t.match(of, { state: 'stopped', reason: 'undeliverable' })
  }
  const { at, of } = await secondAfter(t, 131050)
  t.strictSame(at, ['reminder_2', 'cancelled', 'opted_out'])
  t.match(of, { state: 'opted_out' })
})

await test('after a reminder that failed otherwise, the conversation stays open', async t => {
  for (const code of [100, 130472, 132005]) {
    const { at, end, of } = await secondAfter(t, code)
    t.strictSame(at, ['reminder_2', 'scheduled', null], String(code))
    t.strictSame(end, ['reminder_2', 'skipped', 'previous_failed'])
    t.match(of, { state: 'open' })
  }
})

// What stops the reminders: an action of the person, the owner or the operator, or the mode of the tenant.

type Contacted = Awaited<ReturnType<typeof contacted>>

type Stop = {
  reason: string
  /** The states of the conversation and the lead from then on. */
  conversation: string
  lead: string
  act: (who: Contacted) => Promise<unknown>
}
const STOPS: Record<string, Stop> = {
  'the person replies': {
    reason: 'replied',
    conversation: 'replied',
    lead: 'replied',
    act: ({ who }) => happens({ kind: 'text', from: who.e164, text: 'מתי אתם פתוחים?' }),
  },
  'the person opts out': {
    reason: 'opted_out',
    conversation: 'opted_out',
    lead: 'opted_out',
    act: ({ who }) => happens({ kind: 'text', from: who.e164, text: 'הסר' }),
  },
  'the person gets through by phone': {
    reason: 'reached_by_phone',
    conversation: 'reached_by_phone',
    lead: 'reached_by_phone',
    act: ({ shop, who }) => tell(shop.token, answeredPush({ caller: who.local, did: shop.did }, 5)),
  },
  'an operator says so': {
    reason: 'by_operator',
    conversation: 'stopped',
    lead: 'contacted',
    act: async ({ id }) => {
      await sql`select cancel_outreach(${id})`.execute(db)
    },
  },
  'the owner writes by hand': {
    reason: 'owner_replied',
    conversation: 'stopped',
    lead: 'contacted',
    act: ({ who }) => happens({ kind: 'echo', to: who.e164, text: 'כאן נועה' }),
  },
}

for (const [name, { reason, conversation: ended, lead, act }] of Object.entries(STOPS))
  for (const after of [0, 1] as const)
    await test(`when ${name} after reminder ${after}, no other is sent`, async t => {
      const met = await contacted()
      const { shop, who, id, conversation } = met
      await reported(conversation, 'initial', 'delivered')
      if (after) {
        await reminderDue(conversation, 1)
        await reported(conversation, 'reminder_1', 'read')
      }
      const before = templatesTo(who.e164)
      t.equal(before.length, 1 + after)
      await act(met)

      const reminders = (await messagesAfter(id)).filter(([kind]) => kind?.startsWith('reminder'))
      t.strictSame(reminders, [
        after ? ['reminder_1', 'read', null] : ['reminder_1', 'cancelled', reason],
        ['reminder_2', 'cancelled', reason],
      ])
      t.strictSame(await waitingFor(shop.tenantId), [], 'their jobs are gone')
      await addStrayReminders(conversation)
      await addStraySilence(conversation)
      t.match(await conversationOf(id), { state: ended, reason })
      t.match(await leadsOf(shop.tenantId), [{ state: lead }])
      t.strictSame(templatesTo(who.e164), [
        ...before,
        // The confirmation is free text.
        ...(reason === 'opted_out' ? [undefined] : []),
      ])
    })

for (const [mode, state, reason] of [
  ['paused', 'skipped', 'tenant_paused'],
  ['shadow', 'shadow', 'shadow'],
] as const)
  await test(`a tenant that is ${mode} when they are due sends no reminders`, async t => {
    const { shop, id, conversation } = await contacted()
    await reported(conversation, 'initial', 'read')
    await db.updateTable('tenants').set({ mode }).where('id', '=', shop.tenantId).execute()
    await reminderDue(conversation, 1)
    await reminderDue(conversation, 2)
    t.strictSame((await messagesAfter(id)).slice(1), [
      ['reminder_1', state, reason],
      ['reminder_2', state, reason],
    ])
    t.equal(requestsOf(shop).length, 1)
  })

await test('a person who opted out in another way gets none', async t => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'read')
  const operator = { tenant_id: shop.tenantId, phone: who.e164, source: 'operator' }
  await db.insertInto('opt_outs').values(operator).execute()
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'cancelled', 'opted_out'])
  t.equal(requestsOf(shop).length, 1)
})

// Quiet windows: when a message is scheduled, claimed or tried again, and for reminders.

const MINUTE = 60_000

/** A daily window, in minutes from now, of a tenant whose time zone is UTC; and its end. */
const quiet = (from: number, to: number) => {
  const at = (minutes: number) =>
    new Date(Math.floor(Date.now() / MINUTE + minutes) * MINUTE).toISOString()
  const window = `${at(from).slice(11, 16)}-${at(to).slice(11, 16)}`
  return { columns: { timezone: 'UTC', quiet_windows: [window] }, end: new Date(at(to)) }
}

const set = (
  { tenantId }: Business,
  { columns }: { columns: { timezone: string; quiet_windows: string[] } },
) => db.updateTable('tenants').set(columns).where('id', '=', tenantId).execute()

await test('a first message due in a window is due at its end', async t => {
  const night = quiet(-30, 180)
  const shop = await business({ columns: night.columns })
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame((await missedCall(shop.tenantId, callId))?.outreach_due_at, night.end)
  t.strictSame((await jobs(`lead_outreach:${id}`))[0]?.run_at, night.end)

  await set(shop, quiet(-240, 0))
  await dueSince(id, '29 minutes')
  t.strictSame(
    await outreachOf(shop.tenantId, callId),
    ['sent', 'accepted'],
    'in time, counting from the end',
  )
  t.match(await initialOf(id), { attempts: 1 })
  t.equal(fake.inbox(who.e164).length, 1)
})

await test('only the due time counts, not the time of the call', async t => {
  const shop = await business({ columns: quiet(-30, 1).columns })
  const { callId } = await miss(shop, customer().local)
  const call = await missedCall(shop.tenantId, callId)
  t.equal(Number(call?.outreach_due_at) - Number(call?.created_at), 2 * MINUTE)
})

await test('the window is in the local time of the tenant', async t => {
  const { columns } = quiet(-30, 30)
  const shop = await business({ columns })
  const { id, callId } = await miss(shop, customer().local)
  // Only now, because Voicenter writes times in the tenant's zone, and this call has Israel's.
  await db
    .updateTable('tenants')
    .set({ timezone: 'Asia/Kolkata' })
    .where('id', '=', shop.tenantId)
    .execute()
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

await test('a window that was set after it was scheduled moves it when it is claimed', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const night = quiet(-60, 180)
  await set(shop, night)
  await dueSince(id, '29 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame((await missedCall(shop.tenantId, callId))?.outreach_due_at, night.end)
  t.strictSame((await jobs(`lead_outreach:${id}`))[0]?.run_at, night.end)
  t.strictSame(await messagesAfter(id), [], 'no try is used')
  t.strictSame(requestsOf(shop), [])

  await set(shop, quiet(-240, 0))
  await dueSince(id, '29 minutes')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.match(await initialOf(id), { attempts: 1 })
})

await test('the grace counts from the end of the window', async t => {
  const shop = await business({ columns: quiet(-30, 180).columns })
  const { id, callId } = await miss(shop, customer().local)
  await set(shop, quiet(-240, -33))
  await dueSince(id, '30 minutes 1 second')
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'too_late'])
})

await test('a further try in a window is due at its end', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 130429 } })
  await dueSince(id)
  const night = quiet(-5, 180)
  await set(shop, night)
  await dueSince(id)
  t.match(await initialOf(id), { state: 'scheduled', attempts: 1 })
  t.strictSame((await missedCall(shop.tenantId, callId))?.outreach_due_at, night.end)
  await set(shop, quiet(-240, 0))
  await dueSince(id)
  t.match(await initialOf(id), { state: 'accepted', attempts: 2 })
  t.equal(fake.inbox(who.e164).length, 1)
})

await test('reminders due in a window are due at its end', async t => {
  const night = quiet(110, 150)
  const { shop, conversation } = await contacted({ columns: night.columns })
  const [initial, first, second] = await messagesOf(shop.tenantId)
  t.strictSame(first?.due_at, night.end)
  t.strictSame((await jobs(`lead_reminder:${conversation}:1`))[0]?.run_at, night.end)
  const day = Number(second?.due_at) - Number(initial?.accepted_at)
  t.equal(day, 24 * 60 * MINUTE, 'the other one is not moved')
})

await test('a window of reminders moves reminders, and no first message', async t => {
  const { columns, end } = quiet(-30, 180)
  const { shop, who, conversation } = await contacted({
    columns: { timezone: 'UTC', reminder_quiet_windows: columns.quiet_windows },
  })
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call'])
  const [, first] = await messagesOf(shop.tenantId)
  t.match(first, { kind: 'reminder_1', due_at: end })
  t.strictSame((await jobs(`lead_reminder:${conversation}:1`))[0]?.run_at, end)
  await reported(conversation, 'initial', 'delivered')
  const ids = { tenantId: shop.tenantId, messageId: first?.id ?? '' }
  const now = () => db.transaction().execute(trx => remindNow(trx, { as: 'operator' }, ids))
  await t.rejects(now(), /no messages are sent in quiet hours/)
  await reminderDue(conversation, 1)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call'], 'the claim checks it again')

  await db
    .updateTable('tenants')
    .set({ reminder_quiet_windows: [] })
    .where('id', '=', shop.tenantId)
    .execute()
  await now()
  await jobDue(`lead_reminder:${conversation}:1`)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_1'])
})

await test('a window that was set later moves a reminder when it is claimed', async t => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  const night = quiet(-360, 180)
  await set(shop, night)
  await reminderDue(conversation, 1, '5 hours')
  const [, first] = await messagesOf(shop.tenantId)
  t.match(first, { state: 'scheduled', attempts: 0, claimed_at: null })
  t.strictSame(first?.due_at, night.end)
  t.strictSame((await jobs(`lead_reminder:${conversation}:1`))[0]?.run_at, night.end)
  t.equal(requestsOf(shop).length, 1)

  await set(shop, quiet(-240, 0))
  await reminderDue(conversation, 1, '5 hours 59 minutes')
  t.strictSame((await messagesAfter(id))[1], ['reminder_1', 'accepted', null])
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_1'])
})

await test('both reminders of one window are not sent together', async t => {
  const columns = { ...quiet(60, 180).columns, reminder_2_after: '2 hours 30 minutes' }
  const { shop, who, conversation } = await contacted({ columns })
  const [, first, second] = await messagesOf(shop.tenantId)
  t.strictSame(first?.due_at, second?.due_at, 'both are due at its end')
  await reported(conversation, 'initial', 'delivered')
  await set(shop, { columns: { timezone: 'UTC', quiet_windows: [] } })
  // Both are due at the same time.
  await sql`update messages set due_at = now() where state = 'scheduled'
            and lead_conversation_id = ${conversation}`.execute(db)
  for (const reminder of [1, 2]) await jobDue(`lead_reminder:${conversation}:${reminder}`)
  t.strictSame(templatesTo(who.e164), ['ringback_missed_call', 'ringback_reminder_2'])
  const [, skipped] = await messagesOf(shop.tenantId)
  t.match(skipped, { kind: 'reminder_1', state: 'skipped', reason: 'next_is_due' })
})
