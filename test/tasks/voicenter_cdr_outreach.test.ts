/** What follows from a missed call: why a caller gets no message, and what cancels it. From the record to the row. */
import { sql } from 'kysely'
import t from 'tap'
import { phoneHash } from '../../app/crypto.ts'
import { answeredPush, callBackPush, push, type Push } from '../../scripts/demo/cdr.ts'
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
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  secondsUntil,
  tell,
  waitingFor,
} from './support.ts'

/** [state, reason] of a missed call from this caller. */
const outcome = async (shop: Business, caller: string | null, secondsAgo?: number) =>
  outreachOf(shop.tenantId, (await miss(shop, caller, {}, secondsAgo)).callId)

const spelled = [
  '',
  '0',
  '000',
  '-1',
  'Anonymous',
  'restricted',
  'PRIVATE',
  'Unknown',
  'unavailable',
]
const withheld = [null, ...spelled, 'חסוי', '\u200fמספר חסוי', 'sip:anonymous@anonymous.invalid']
await t.test('a withheld number gets no message and no lead', async t => {
  const shop = await business()
  for (const caller of withheld) {
    const { callId } = await miss(shop, caller)
    t.match(
      await missedCall(shop.tenantId, callId),
      {
        caller_phone: null,
        lead_id: null,
        outreach_state: 'skipped',
        outreach_reason: 'withheld_number',
        outreach_due_at: null,
      },
      String(caller),
    )
  }
  t.strictSame(await leadsOf(shop.tenantId), [], 'no lead')
})

await t.test('own numbers are the numbers that customers dial and the WhatsApp number', async t => {
  const shop = await business()
  const display = customer()
  const owner = customer()
  await db
    .updateTable('whatsapp_connections')
    .set({ display_phone_number: display.e164 })
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  await db
    .updateTable('tenants')
    .set({ owner_phone: owner.e164 })
    .where('id', '=', shop.tenantId)
    .execute()
  t.strictSame(await outcome(shop, shop.did), ['skipped', 'own_number'])
  t.strictSame(await outcome(shop, shop.line), ['skipped', 'own_number'])
  t.strictSame(await outcome(shop, display.local), ['skipped', 'own_number'])
  t.strictSame(await leadsOf(shop.tenantId), [], 'none of them is a lead')
  t.strictSame(await outcome(shop, owner.local), ['scheduled', 'waiting'], "not the owner's phone")
  const { did } = await business()
  t.strictSame(await outcome(shop, did), ['skipped', 'not_mobile'], 'a number of another business')
})

await t.test('a service number of the business is an own number', async t => {
  const shop = await business()
  const service = `1700${String(Date.now()).slice(-6)}`
  await db
    .insertInto('tenant_numbers')
    .values({ tenant_id: shop.tenantId, phone: `+972${service}` })
    .execute()
  t.strictSame(await outcome(shop, service), ['skipped', 'own_number'])
  t.strictSame(await leadsOf(shop.tenantId), [])
})

const NOT_MOBILE = ['036001234', '0722776000', '1800200300', '*2700', '100', '2345']
const NO_NUMBER = ['Main queue 7', 'KGpK4iWq', '05223456', '+97252234567890', '0522345678#1']
await t.test('a number without WhatsApp gets no message', async t => {
  const shop = await business()
  for (const caller of [...NOT_MOBILE, ...NO_NUMBER])
    t.strictSame(await outcome(shop, caller), ['skipped', 'not_mobile'], caller)
  const phones = (await leadsOf(shop.tenantId)).map(({ phone }) => phone)
  t.ok(phones.includes('+97236001234'), 'but a landline is a lead')
})

await t.test('056 and 059 get a message in the form in which the number arrived', async t => {
  const shop = await business()
  for (const [caller, e164] of [
    ['0569876541', '+972569876541'],
    ['972569876542', '+972569876542'],
    ['+970569876543', '+970569876543'],
    ['00970599876544', '+970599876544'],
  ] as const) {
    const { callId, id } = await miss(shop, caller)
    t.match(await missedCall(shop.tenantId, callId), {
      caller_phone: e164,
      outreach_state: 'scheduled',
    })
    await dueSince(id)
    t.equal(fake.inbox(e164).length, 1, e164)
  }
})

await t.test('a valid foreign number gets a message if the business allows it', async t => {
  const shop = await business()
  const wants = await business({ columns: { contact_foreign: true } })
  t.strictSame(await outcome(shop, '+447400123456'), ['skipped', 'not_mobile'])
  t.strictSame(await outcome(wants, '+447400123456'), ['scheduled', 'waiting'])
  t.strictSame(await outcome(wants, '+447000000'), ['skipped', 'not_mobile'])
  t.strictSame(await outcome(wants, '036001234'), ['skipped', 'not_mobile'], 'an Israeli landline')
})

await t.test('a caller who opted out gets no message', async t => {
  const [shop, other] = [await business(), await business()]
  const [dana, yossi] = [customer(), customer()]
  await sql`insert into opt_outs (tenant_id, phone, source)
            values (${shop.tenantId}, ${dana.e164}, 'operator'), (${shop.tenantId}, '+972569876511', 'operator')`.execute(
    db,
  )
  // The opt-out of an erased person has only the hash.
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone_hash: phoneHash(yossi.e164), source: 'keyword' })
    .execute()
  t.strictSame(await outcome(shop, dana.local), ['skipped', 'opted_out'])
  t.strictSame(await outcome(shop, yossi.local), ['skipped', 'opted_out'], 'found by the hash')
  t.strictSame(await outcome(shop, '+970569876511'), ['skipped', 'opted_out'], 'the other spelling')
  t.strictSame(await outcome(other, dana.local), ['scheduled', 'waiting'], 'at another business')
})

await t.test('a tenant that is paused or not connected sends nothing', async t => {
  const paused = await business({ mode: 'paused' })
  t.strictSame(await outcome(paused, customer().local), ['skipped', 'tenant_paused'])
  const unconnected = await business({ connected: false })
  t.strictSame(await outcome(unconnected, customer().local), ['skipped', 'no_connection'])
  t.strictSame(
    [...(await waitingFor(paused.tenantId)), ...(await waitingFor(unconnected.tenantId))],
    [],
  )
})

await t.test('a call that began too long ago is too late', async t => {
  const shop = await business({ columns: { oldest_call: '10 minutes' } })
  t.strictSame(await outcome(shop, customer().local, 9 * 60 + 50), ['scheduled', 'waiting'])
  t.strictSame(await outcome(shop, customer().local, 10 * 60 + 2), ['skipped', 'too_late'])
  const usual = await business()
  t.strictSame(await outcome(usual, customer().local, 2 * 3600 - 10), ['scheduled', 'waiting'])
  t.strictSame(await outcome(usual, customer().local, 2 * 3600 + 2), ['skipped', 'too_late'])
})

await t.test('of several reasons, the first of the list is stored', async t => {
  const shop = await business({ mode: 'paused', connected: false })
  const [dana, yossi] = [customer(), customer()]
  const LATE = 3 * 3600
  for (const phone of [shop.line, '+97236001234', dana.e164])
    await db
      .insertInto('opt_outs')
      .values({ tenant_id: shop.tenantId, phone, source: 'operator' })
      .execute()
  t.strictSame(await outcome(shop, '', LATE), ['skipped', 'withheld_number'])
  t.strictSame(await outcome(shop, shop.did, LATE), ['skipped', 'own_number'])
  t.strictSame(await outcome(shop, '036001234', LATE), ['skipped', 'not_mobile'])
  t.strictSame(await outcome(shop, dana.local, LATE), ['skipped', 'opted_out'])
  t.strictSame(await outcome(shop, yossi.local, LATE), ['skipped', 'tenant_paused'])
  await db.updateTable('tenants').set({ mode: 'live' }).where('id', '=', shop.tenantId).execute()
  t.strictSame(await outcome(shop, yossi.local, LATE), ['skipped', 'no_connection'])

  const connected = await business()
  t.strictSame(await outcome(connected, yossi.local, LATE), ['skipped', 'too_late'])
  t.strictSame(await outcome(connected, yossi.local), ['scheduled', 'waiting'])
  t.strictSame(await outcome(connected, yossi.local, LATE), ['skipped', 'already_contacted'])
})

await t.test('with a paused connection the message waits', async t => {
  const shop = await business()
  await db
    .updateTable('whatsapp_connections')
    .set({ state: 'paused' })
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(await outcome(shop, customer().local), ['scheduled', 'connection_paused'])
  t.equal((await waitingFor(shop.tenantId)).length, 1)
})

/** One person, one lead, one conversation within the repeat window. */

/** [state, reason] of one more missed call of the same caller. */
const callsAgain = async (shop: Business, caller: string) =>
  outreachOf(shop.tenantId, (await miss(shop, caller)).callId)

const CONTACTED = ['skipped', 'already_contacted']
const SCHEDULED = ['scheduled', 'waiting']

/** Moves the messages of a missed call into the past. */
const timePasses = async (missedCallId: string, interval: string) => {
  await sql`
    update messages m set claimed_at = m.claimed_at - ${interval}::interval, due_at = m.due_at - ${interval}::interval
    from lead_conversations c
    where c.id = m.lead_conversation_id and c.missed_call_id = ${missedCallId}`.execute(db)
}

/** Makes a reminder look delivered that long ago. */
const reminderSent = async (missedCallId: string, kind: string, ago: string) => {
  await sql`
    update messages m set state = 'delivered', claimed_at = now() - ${ago}::interval
    from lead_conversations c
    where c.id = m.lead_conversation_id and c.missed_call_id = ${missedCallId} and m.kind = ${kind}`.execute(
    db,
  )
}

await t.test('a pending message counts', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local)
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  t.strictSame(await callsAgain(shop, dana.e164), CONTACTED, 'in any spelling of the number')
  t.strictSame(await waitingFor(shop.tenantId), [`lead_outreach:${first.id}`])
  t.strictSame(await callsAgain(shop, customer().local), SCHEDULED, 'not for another person')
  t.strictSame(
    await callsAgain(await business(), dana.local),
    SCHEDULED,
    'not for another business',
  )
  await dueSince(first.id)
  t.equal(fake.inbox(dana.e164).length, 1)
})

await t.test('the repeat window counts from the last message', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  await timePasses(id, '24 hours 1 minute')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED, 'its reminders are pending')
  await reminderSent(id, 'reminder_1', '22 hours')
  await reminderSent(id, 'reminder_2', '23 hours 59 minutes')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED, 'a reminder is a message too')
  await reminderSent(id, 'reminder_1', '25 hours')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED, 'a minute before its end')
  await reminderSent(id, 'reminder_2', '24 hours 1 second')
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED, 'then a new conversation begins')
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 6, state: 'new' }])
})

await t.test('each tenant has its own repeat window', async t => {
  const shop = await business({ columns: { repeat_window: '10 minutes' } })
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  for (const kind of ['initial', 'reminder_1', 'reminder_2'])
    await reminderSent(id, kind, '9 minutes 50 seconds')
  t.strictSame(await callsAgain(shop, dana.local), CONTACTED)
  for (const kind of ['initial', 'reminder_1', 'reminder_2'])
    await reminderSent(id, kind, '10 minutes 1 second')
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

await t.test('a message with an unknown outcome counts', async t => {
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

await t.test('a message that was refused does not count', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({ to: dana.e164, outcome: { kind: 'error', code: 131026 } })
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

await t.test('a message that failed after it was accepted does not count', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  await sql`update messages set state = case kind when 'initial' then 'failed' else 'cancelled' end
            where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

await t.test('a shadow message does not count', async t => {
  const shop = await business({ mode: 'shadow' })
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  t.strictSame(await messagesAfter(id), [['initial', 'shadow', null]])
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

await t.test('a cancelled call does not count', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await sql`select cancel_outreach(${id})`.execute(db)
  t.strictSame(await callsAgain(shop, dana.local), SCHEDULED)
})

await t.test('each person has one lead, whatever was decided', async t => {
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
    'a Palestinian mobile is one person with both country codes',
  )
  t.equal((await leadsOf(shop.tenantId)).length, 2)
})

await t.test('both spellings of a Palestinian mobile are one conversation', async t => {
  const shop = await business()
  await miss(shop, '+970599876531')
  t.strictSame(await callsAgain(shop, '0599876531'), CONTACTED)
})

await t.test(
  'calls with both spellings that are classified at the same time are of one person',
  async t => {
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
  },
)

await t.test(
  'calls of one person that are classified at the same time give one message',
  async t => {
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
  },
)

await t.test('a call counts once, however often its record arrives', async t => {
  const shop = await business()
  const { record } = await miss(shop, customer().local)
  await post(record, { token: shop.token })
  await post({ ...record, dialtime: 99 }, { token: shop.token })
  await work()
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
})

type NewCall = (who: { local: string; e164: string }, did: string) => Push

/** Calls of thirty seconds ago in which someone at the business talked with the caller. */
const talks: Record<string, NewCall> = {
  'the caller calls again and an agent answers': ({ local }, did) =>
    answeredPush({ caller: local, did }),
  'the queue answers the caller': ({ local }, did) =>
    push({ caller: local, did, type: 'Queue', status: 'ANSWER' }),
  'the number has its country code': ({ e164 }, did) =>
    answeredPush({ caller: e164.slice(1), did }),
  'the number is written with dashes': ({ e164 }, did) =>
    answeredPush({ caller: e164.replace(/^(\+972)(..)(...)/, '$1-$2-$3-'), did }),
  'the caller is a SIP address': ({ local }, did) =>
    answeredPush({ caller: `sip:${local}@pbx.example`, did }),
  'the business calls back': ({ local }, did) => callBackPush({ caller: did, target: local }),
  'the business calls back with 00': ({ e164 }, did) =>
    callBackPush({ caller: did, target: `00${e164.slice(1)}` }),
  'the business calls back by click': ({ e164 }, did) =>
    callBackPush({ type: 'Click2Call leg2', caller: did, target: e164.slice(1) }),
}

for (const [name, talk] of Object.entries(talks))
  await t.test(`a talk cancels the outreach: ${name}`, async t => {
    const shop = await business()
    const [dana, yossi] = [customer(), customer()]
    const first = await miss(shop, dana.local, {}, 300)
    await tell(shop.token, talk(dana, shop.did))
    t.strictSame(await outreachOf(shop.tenantId, first.callId), ['cancelled', 'reached_by_phone'])
    t.strictSame(await waitingFor(shop.tenantId), [], 'its job is gone')
    await addStrayJobs(first.id)
    await work()
    t.strictSame(fake.inbox(dana.e164), [], 'a leftover job sends nothing')

    await tell(shop.token, talk(yossi, shop.did))
    const second = await miss(shop, yossi.local, {}, 300)
    t.strictSame(
      await outreachOf(shop.tenantId, second.callId),
      ['cancelled', 'reached_by_phone'],
      'the same if the record of the talk arrives first',
    )
    t.strictSame(await waitingFor(shop.tenantId), [])
  })

await t.test('a talk that began in the same second cancels the outreach', async t => {
  const shop = await business()
  const dana = customer()
  const { callId, record } = await miss(shop, dana.local)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did, time: record.time }))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
})

await t.test('a talk that had ended before the missed call does not cancel', async t => {
  const shop = await business()
  const [dana, yossi] = [customer(), customer()]
  const missed = await miss(shop, dana.local, {}, 60)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }, 200))
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['scheduled', 'waiting'])

  await tell(shop.token, callBackPush({ caller: shop.did, target: yossi.local }, 150))
  const later = await miss(shop, yossi.local, {}, 60)
  t.strictSame(await outreachOf(shop.tenantId, later.callId), ['scheduled', 'waiting'])
  t.equal((await waitingFor(shop.tenantId)).length, 2)
})

/** Calls of thirty seconds ago in which no one talked with the caller. */
const noTalks: Record<string, NewCall> = {
  'a machine answers': ({ local }, did) =>
    push({ caller: local, did, status: 'ANSWER', representative_name: 'External IVR' }),
  'the caller misses the call-back': ({ local }, did) =>
    callBackPush({ caller: did, target: local, status: 'NOANSWER' }),
  'only the agent answers the click': ({ local }, did) =>
    callBackPush({ type: 'Click2Call leg1', caller: did, target: local }),
  'a dialer reaches the caller': ({ local }, did) =>
    callBackPush({ type: 'Click 2 IVR', caller: did, target: local }),
  'colleagues talk': ({ local }, did) =>
    callBackPush({ caller: did, target: local, direction: 'internal' }),
  'another caller gets through': (_, did) => answeredPush({ caller: customer().local, did }),
}

for (const [name, call] of Object.entries(noTalks))
  await t.test(`nothing is cancelled when ${name}`, async t => {
    const shop = await business()
    const [dana, yossi] = [customer(), customer()]
    const first = await miss(shop, dana.local, {}, 300)
    await tell(shop.token, call(dana, shop.did), call(yossi, shop.did))
    const second = await miss(shop, yossi.local, {}, 300)
    t.strictSame(await outreachOf(shop.tenantId, first.callId), ['scheduled', 'waiting'])
    t.strictSame(await outreachOf(shop.tenantId, second.callId), ['scheduled', 'waiting'])
    await dueSince(first.id)
    t.equal(fake.inbox(dana.e164).length, 1, 'the message is sent')
  })

await t.test('a talk after the message cancels the reminders', async t => {
  const shop = await business()
  const dana = customer()
  const { callId, id } = await miss(shop, dana.local, {}, 300)
  await dueSince(id)
  await tell(shop.token, callBackPush({ caller: shop.did, target: dana.e164 }))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'cancelled', 'reached_by_phone'],
    ['reminder_2', 'cancelled', 'reached_by_phone'],
  ])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.match(await conversationOf(id), { state: 'reached_by_phone' })
  t.match(await leadsOf(shop.tenantId), [{ state: 'reached_by_phone' }])
})

await t.test(
  'a missed call and a talk that are classified at the same time see each other',
  async t => {
    const shop = await business()
    const { token, did } = shop
    for (let round = 0; round < 20; round++) {
      const dana = customer()
      const record = push({ caller: dana.local, did }, 60)
      await post(record, { token })
      await post(answeredPush({ caller: dana.local, did }), { token })
      await Promise.all([work(), work()])
      t.strictSame(await outreachOf(shop.tenantId, record.ivruniqueid), [
        'cancelled',
        'reached_by_phone',
      ])
    }
    t.strictSame(await waitingFor(shop.tenantId), [])
  },
)

/** Ten seconds later an agent answered the same call. */
const answeredLegOf = (record: Push): Push => ({
  ...record,
  status: 'ANSWER',
  targetextension: 'SIP1',
  time: record.time + 10,
})

await t.test(
  'if the pending call turns out to be answered, a later call is evaluated again',
  async t => {
    const shop = await business()
    const dana = customer()
    const first = await miss(shop, dana.local, { type: 'Queue' }, 300)
    const second = await miss(shop, dana.local, {}, 60)
    const third = await miss(shop, dana.local, {}, 40)
    t.strictSame(await outreachOf(shop.tenantId, second.callId), ['skipped', 'already_contacted'])

    await tell(shop.token, answeredLegOf(first.record))
    t.strictSame(await outreachOf(shop.tenantId, first.callId), ['cancelled', 'reached_by_phone'])
    t.strictSame(await outreachOf(shop.tenantId, second.callId), ['scheduled', 'waiting'])
    t.strictSame(
      await outreachOf(shop.tenantId, third.callId),
      ['skipped', 'already_contacted'],
      'one message for both later calls',
    )
    t.strictSame(await waitingFor(shop.tenantId), [`lead_outreach:${second.id}`])
    const call = await missedCall(shop.tenantId, second.callId)
    const seconds = await secondsUntil(call?.outreach_due_at ?? undefined)
    t.ok(seconds > 115 && seconds <= 120, 'due two minutes after the decision')
    await dueSince(second.id)
    t.equal(fake.inbox(dana.e164).length, 1)
  },
)

await t.test('after a talk between two missed calls, the later one is scheduled', async t => {
  const shop = await business()
  const dana = customer()
  const before = await miss(shop, dana.local, {}, 300)
  const after = await miss(shop, dana.local, {}, 60)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }, 220))
  t.strictSame(await outreachOf(shop.tenantId, before.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(shop.tenantId, after.callId), ['scheduled', 'waiting'])
})

await t.test('after a talk after both missed calls, none is scheduled', async t => {
  const shop = await business()
  const dana = customer()
  await miss(shop, dana.local, {}, 300)
  await miss(shop, dana.local, {}, 120)
  await tell(shop.token, answeredPush({ caller: dana.local, did: shop.did }))
  t.strictSame(await waitingFor(shop.tenantId), [])
})

await t.test('a later call that is too old by then stays skipped', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, {}, 300)
  const second = await miss(shop, dana.local, {}, 120)
  await db
    .updateTable('tenants')
    .set({ oldest_call: '1 minute' })
    .where('id', '=', shop.tenantId)
    .execute()
  await tell(shop.token, answeredLegOf(first.record))
  t.strictSame(await outreachOf(shop.tenantId, first.callId), ['cancelled', 'reached_by_phone'])
  t.strictSame(await outreachOf(shop.tenantId, second.callId), ['skipped', 'already_contacted'])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

await t.test('after the message was sent, a later call stays skipped', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, {}, 300)
  const second = await miss(shop, dana.local, {}, 120)
  await dueSince(first.id)
  await tell(shop.token, answeredLegOf(first.record))
  t.strictSame(
    await outreachOf(shop.tenantId, second.callId),
    ['skipped', 'already_contacted'],
    'the caller has a message',
  )
  t.strictSame(await waitingFor(shop.tenantId), [])
})
