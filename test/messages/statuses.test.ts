/** Statuses from WhatsApp: in every order, before our own record, failures, lost answers, and what a person marked. */
import { sql } from 'kysely'
import t, { test } from 'tap'
import { recordOutcome } from '../../app/messages/record.ts'
import { applyStatus, resolveUnknown } from '../../app/messages/statuses.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  outreachOf,
  work,
} from '../support/ringback.ts'
import { connectionOf, sentTo, settled } from '../support/steps.ts'
import { contacted, eventsOf, happens, optOutsOf, reports, storyOf } from '../support/whatsapp.ts'
import {
  addStrayReminders,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  until,
  waitingFor,
} from '../tasks/support.ts'

type Status = 'sent' | 'delivered' | 'read' | 'failed'

/** All different orders of a list. */
const ordersOf = (list: Status[]): Status[][] => {
  if (list.length === 0) return [[]]
  return [...new Set(list)].flatMap(first => {
    const rest = list.toSpliced(list.indexOf(first), 1)
    return ordersOf(rest).map(order => [first, ...order])
  })
}

const OPEN = [
  ['reminder_1', 'scheduled', null],
  ['reminder_2', 'scheduled', null],
]
const UNDELIVERABLE = [
  ['reminder_1', 'cancelled', 'undeliverable'],
  ['reminder_2', 'cancelled', 'undeliverable'],
]
const SETS: { statuses: Status[]; ends: Status; story: string[]; reminders: unknown }[] = [
  {
    statuses: ['sent', 'sent', 'delivered', 'read', 'read'],
    ends: 'read',
    story: ['contacted', 'sent / accepted', 'open / '],
    reminders: OPEN,
  },
  {
    statuses: ['sent', 'failed', 'failed'],
    ends: 'failed',
    story: ['contacted', 'failed / refused', 'stopped / undeliverable'],
    reminders: UNDELIVERABLE,
  },
  {
    statuses: ['sent', 'delivered', 'failed', 'failed'],
    ends: 'delivered',
    story: ['contacted', 'sent / accepted', 'open / '],
    reminders: OPEN,
  },
  {
    statuses: ['sent', 'delivered', 'read', 'failed', 'delivered'],
    ends: 'read',
    story: ['contacted', 'sent / accepted', 'open / '],
    reminders: OPEN,
  },
]

for (const { statuses, ends, story, reminders } of SETS)
  await test(`${statuses.join(', ')}: the same result in every order`, async t => {
    const shop = await business()
    const connection = await connectionOf(shop)
    for (const order of ordersOf(statuses)) {
      const dana = customer()
      const { id, claimed } = await sentTo(shop, dana.e164)
      const { wamid } = await initialOf(id)
      for (const status of order)
        await settled(connection, {
          id: wamid ?? '',
          status,
          recipient_id: dana.e164.slice(1),
          ...(status === 'failed'
            ? { errors: [{ code: 131026 }] }
            : { pricing: { category: 'utility' } }),
        })
      const message = await initialOf(id)
      const waiting = (await waitingFor(shop.tenantId)).filter(key =>
        key.startsWith(`lead_reminder:${message.lead_conversation_id}:`),
      )
      t.strictSame(
        [message.state, message.error_code, await storyOf(shop, dana.e164), waiting.length],
        [ends, ends === 'failed' ? 131026 : null, story, ends === 'failed' ? 0 : 2],
        order.join(', '),
      )
      t.strictSame((await messagesAfter(id)).slice(1), reminders)
      t.equal(message.id, claimed.messageId)
      t.equal(message.price_category, 'utility')
    }
  })

// Statuses that come before the send is recorded.

const handled = (tenantId: string) =>
  until(async () => {
    const events = await eventsOf(tenantId)
    return events.length > 0 && events.every(({ outcome }) => outcome !== null)
  })

await test('a status that comes before the answer to the send is not lost', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  const early = { beforeResponse: true }
  fake.script({
    to: dana.e164,
    outcome: { kind: 'accept', delayMs: 400 },
    statuses: [
      { status: 'read', ...early },
      { status: 'sent', ...early },
    ],
  })
  const done = dueSince(id)
  await until(async () => (await eventsOf(shop.tenantId)).length === 2)
  await work()
  await handled(shop.tenantId)
  t.match(await initialOf(id), { state: 'read', price_category: 'utility' }, 'while it is sent')
  t.equal((await waitingFor(shop.tenantId)).length, 2)

  await done
  t.match(await initialOf(id), { state: 'read', wa_id: dana.e164.slice(1), attempts: 1 })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.strictSame(await messagesAfter(id), [
    ['initial', 'read', null],
    ['reminder_1', 'scheduled', null],
    ['reminder_2', 'scheduled', null],
  ])
  t.equal((await waitingFor(shop.tenantId)).length, 2, 'reminders once')
  t.match(await leadsOf(shop.tenantId), [{ state: 'contacted' }])
})

await test('without our id, a status waits until its wamid is recorded', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  fake.script({
    to: dana.e164,
    outcome: { kind: 'accept', delayMs: 400 },
    statuses: [{ status: 'delivered', beforeResponse: true, callbackData: false }],
  })
  const done = dueSince(id)
  await until(async () => (await eventsOf(shop.tenantId)).length === 1)
  await work()
  t.match(await initialOf(id), { state: 'sending' })
  await done
  const [event] = await eventsOf(shop.tenantId)
  t.match(event, { outcome: null })
  t.match(await initialOf(id), { state: 'accepted' })

  await runAtOnce(`whatsapp_event:${event?.id}`)
  await work()
  t.match(await initialOf(id), { state: 'delivered' })
  t.match(await eventsOf(shop.tenantId), [{ outcome: 'status' }])
})

await test('a message that was refused for the moment and yet arrived is not sent again', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  fake.script({
    to: dana.e164,
    outcome: { kind: 'error', code: 131000, accept: true },
  })
  await dueSince(id)
  t.match(await messagesAfter(id), [['initial', 'scheduled']])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  await reports(fake.inbox(dana.e164)[0]?.wamid ?? '', { status: 'sent' })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal((await waitingFor(shop.tenantId)).length, 3, 'two reminders, and the retry')

  await dueSince(id)
  t.equal(requestsOf(shop).length, 1)
  t.equal(fake.inbox(dana.e164).length, 1)
  t.match(await messagesAfter(id), [
    ['initial', 'sent'],
    ['reminder_1', 'scheduled'],
    ['reminder_2', 'scheduled'],
  ])
  t.equal((await waitingFor(shop.tenantId)).length, 2)
})

await test('the same for a reminder', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'sent' })
  fake.script({
    to: dana.e164,
    outcome: { kind: 'error', code: 131000, accept: true },
  })
  const { lead_conversation_id: conversation } = await initialOf(dana.id)
  const remind = async () => {
    await sql`update messages set due_at = now() where kind = 'reminder_1' and state = 'scheduled'
              and lead_conversation_id = ${conversation}`.execute(db)
    await runAtOnce(`lead_reminder:${conversation}:1`)
    await work()
  }
  await remind()
  t.match(await messagesAfter(dana.id), [['initial'], ['reminder_1', 'scheduled']])
  await reports(fake.inbox(dana.e164)[1]?.wamid ?? '', { status: 'delivered' })
  await remind()
  t.match(await messagesAfter(dana.id), [['initial'], ['reminder_1', 'delivered']])
  t.equal(requestsOf(shop).length, 2)
  t.equal(fake.inbox(dana.e164).length, 2)
})

// WhatsApp accepted a message and later reports that it failed.

for (const code of [131026, 131049, 131000, 130472])
  await test(`reported as failed with ${code}: nothing follows the first message`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await reports(dana.wamid, { status: 'failed', code })
    t.strictSame(await storyOf(shop, dana.e164), [
      'contacted',
      'failed / refused',
      'stopped / undeliverable',
    ])
    t.match(await initialOf(dana.id), { state: 'failed', reason: 'reported', error_code: code })
    t.strictSame((await messagesAfter(dana.id)).slice(1), [
      ['reminder_1', 'cancelled', 'undeliverable'],
      ['reminder_2', 'cancelled', 'undeliverable'],
    ])
    t.strictSame(await waitingFor(shop.tenantId), [])
    await dueSince(dana.id)
    t.equal(requestsOf(shop).length, 1, 'and it is not sent again')
  })

await test('reported as failed because the person stopped our messages: an opt-out', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'failed', code: 131050 })
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'whatsapp_131050']])
  t.strictSame(await storyOf(shop, dana.e164), [
    'opted_out',
    'failed / refused',
    'opted_out / opted_out',
  ])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.equal(requestsOf(shop).length, 1, 'without a confirmation')
})

await test('reported as failed because the token was revoked: only that connection is paused', async t => {
  const [shop, other] = [await business(), await business()]
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'failed', code: 190 })
  const connection = async (tenantId: string) =>
    db
      .selectFrom('whatsapp_connections')
      .select(['state', 'state_reason'])
      .where('tenant_id', '=', tenantId)
      .execute()
  t.strictSame(await connection(shop.tenantId), [
    { state: 'paused', state_reason: 'WhatsApp error 190' },
  ])
  t.strictSame(await connection(other.tenantId), [{ state: 'active', state_reason: null }])
})

for (const [what, event, ended] of [
  ['the person has replied', { kind: 'text', text: 'אני כאן' }, ['replied', 'replied / replied']],
  [
    'the owner has written',
    { kind: 'echo', text: 'היי' },
    ['contacted', 'stopped / owner_replied'],
  ],
] as const)
  await test(`failed, then delivered, but ${what} in between: no reminders`, async t => {
    const shop = await business()
    const { phoneNumberId } = shop
    const dana = await contacted(shop)
    await reports(dana.wamid, { status: 'failed' })
    await happens(
      event.kind === 'text'
        ? { ...event, from: dana.e164, phoneNumberId }
        : { ...event, to: dana.e164, phoneNumberId },
    )
    await reports(dana.wamid, { status: 'delivered' })
    const [lead, conversation] = ended
    t.strictSame(await storyOf(shop, dana.e164), [lead, 'sent / accepted', conversation])
    t.strictSame(await waitingFor(shop.tenantId), [])
    await addStrayReminders(dana.id)
    t.equal(requestsOf(shop).length, 1)
  })

// A send whose answer was lost is settled by a status, if only one message can be meant.

/** The message arrived, and its answer was lost. */
const lost = async (shop: Business, who = customer()) => {
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'cut' } })
  await dueSince(id)
  const wamid = fake
    .inbox(who.e164)
    .findLast(one => one.phoneNumberId === shop.phoneNumberId)?.wamid
  return { ...who, id, callId, wamid: wamid ?? '' }
}
const age = async (missedCallId: string, span: string) => {
  const { id } = await initialOf(missedCallId)
  await sql`update messages set claimed_at = now() - ${span}::interval where id = ${id}`.execute(db)
}
const UNKNOWN = ['unknown', 'no_answer']
const SENT = ['sent', 'accepted']
/** As for a template whose callback data Meta does not echo. */
const anonymous = { status: 'sent', callbackData: false } as const
const outcomes = async ({ tenantId }: Business) =>
  (await eventsOf(tenantId)).map(({ outcome }) => outcome)

await test('it is unknown, and nothing follows automatically', async t => {
  const shop = await business()
  const dana = await lost(shop)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN)
  await dueSince(dana.id)
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(await waitingFor(shop.tenantId), [])
})

await test('a status with our id settles it, and the reminders count from the claim', async t => {
  const shop = await business()
  const dana = await lost(shop)
  await age(dana.id, '10 minutes')
  await reports(dana.wamid, { status: 'delivered' })
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), SENT)
  const { claimed_at, lead_conversation_id, ...message } = await initialOf(dana.id)
  t.match(message, { state: 'delivered', wamid: dana.wamid, price_category: 'utility' })
  const reminders = await db
    .selectFrom('messages')
    .select('due_at')
    .where('lead_conversation_id', '=', lead_conversation_id)
    .where('state', '=', 'scheduled')
    .orderBy('id')
    .execute()
  t.strictSame(
    reminders.map(({ due_at }) => Number(due_at) - Number(claimed_at)),
    [2 * 3_600_000, 24 * 3_600_000],
  )
  t.match(await storyOf(shop, dana.e164), ['contacted'])

  await reports(dana.wamid, { status: 'sent' })
  await reports(dana.wamid, { status: 'read', callbackData: false })
  t.match(await initialOf(dana.id), { state: 'read' }, 'later statuses are matched by their wamid')
  t.equal((await messagesAfter(dana.id)).length, 3)
})

await test('a status of failure settles it too', async t => {
  const shop = await business()
  const dana = await lost(shop)
  await reports(dana.wamid, { status: 'failed', code: 131026 })
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['failed', 'refused'])
  t.strictSame(await waitingFor(shop.tenantId), [])
})

await test('a status without our id settles it after its claim has expired', async t => {
  const shop = await business()
  const dana = await lost(shop)
  await reports(dana.wamid, anonymous)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN, 'not within a minute')
  const [event] = await eventsOf(shop.tenantId)
  t.equal(event?.outcome, null)

  await age(dana.id, '61 seconds')
  await runAtOnce(`whatsapp_event:${event?.id}`)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), SENT)
  t.match(await initialOf(dana.id), { state: 'sent', wamid: dana.wamid })
  t.equal((await waitingFor(shop.tenantId)).length, 2)
})

const MISFITS: [string, Parameters<typeof fake.sendStatus>[1], string][] = [
  ['it happened before the send', { ...anonymous, agoSeconds: 600 }, '2 minutes'],
  ['it happened long after', anonymous, '16 minutes'],
  ['it has no time', { ...anonymous, fields: { timestamp: null } }, '2 minutes'],
  ['it has no price', { ...anonymous, fields: { pricing: null } }, '2 minutes'],
  [
    'it is priced as free text',
    { ...anonymous, fields: { pricing: { category: 'service' } } },
    '2 minutes',
  ],
  [
    'it is about another person',
    { ...anonymous, fields: { recipient_id: '972521110000' } },
    '2 minutes',
  ],
  ['it names no recipient', { ...anonymous, fields: { recipient_id: null } }, '2 minutes'],
  [
    'it has an id of another program',
    { ...anonymous, fields: { biz_opaque_callback_data: 'order-5512' } },
    '2 minutes',
  ],
  [
    'it has our id, and a user id of another person',
    { status: 'sent', fields: { recipient_id: null, recipient_user_id: 'IL.stranger' } },
    '2 minutes',
  ],
]
for (const [why, status, claimedAgo] of MISFITS)
  await test(`a status settles nothing if ${why}`, async t => {
    const shop = await business()
    const dana = await lost(shop)
    await sql`
      insert into lead_identities (tenant_id, identity, lead_id)
      select tenant_id, 'IL.theirs', id from leads where tenant_id = ${shop.tenantId}`.execute(db)
    await age(dana.id, claimedAgo)
    await reports(dana.wamid, status)
    t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN)
    t.match(await initialOf(dana.id), { state: 'unknown', wamid: null })
    const [outcome] = await outcomes(shop)
    t.ok(outcome === 'no_message' || outcome === 'unreadable', String(outcome))
  })

await test('if two messages are unknown, it settles neither', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const dana = await lost(shop)
  const again = await lost(shop, dana)
  for (const { id } of [dana, again]) await age(id, '2 minutes')
  await reports(again.wamid, anonymous)
  for (const { callId } of [dana, again])
    t.strictSame(await outreachOf(shop.tenantId, callId), UNKNOWN)
  t.strictSame(await outcomes(shop), ['no_message'])
})

await test('two statuses of different messages at once do not settle the same message', async t => {
  const shop = await business()
  const connection = await connectionOf(shop)
  for (let times = 0; times < 20; times++) {
    const dana = customer()
    fake.script({ to: dana.e164, outcome: { kind: 'cut' } })
    const { id } = await sentTo(shop, dana.e164)
    await age(id, '2 minutes')
    const report = {
      timestamp: Math.floor(Date.now() / 1000),
      recipient_id: dana.e164.slice(1),
      pricing: { category: 'utility' },
    }
    const told = await Promise.all([
      settled(connection, { ...report, id: `wamid.one.${times}`, status: 'delivered' }),
      settled(connection, { ...report, id: `wamid.other.${times}`, status: 'read' }),
    ])
    const { wamid, state } = await initialOf(id)
    t.equal(state, wamid === `wamid.one.${times}` ? 'delivered' : 'read')
    t.equal(told.filter(outcome => outcome === 'status').length, 1, told.join())
  }
})

await test('another tenant cannot settle it, whatever its status says', async t => {
  const [shop, other] = [await business(), await business()]
  const dana = await lost(shop)
  await age(dana.id, '2 minutes')
  const { id } = await initialOf(dana.id)
  const status = { kind: 'status', status: 'read', phoneNumberId: other.phoneNumberId } as const
  const recipientId = dana.e164.slice(1)
  const anonymously = {
    id: dana.wamid,
    status: 'read',
    recipient_id: recipientId,
    timestamp: Math.floor(Date.now() / 1000),
    pricing: { category: 'utility' },
  }
  t.equal(await settled(await connectionOf(other), anonymously), 'no_message')
  await happens([
    { ...status, wamid: dana.wamid, recipientId, callbackData: id },
    { ...status, wamid: dana.wamid, recipientId, callbackData: id, status: 'failed', code: 131050 },
  ])
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), UNKNOWN)
  t.match(await initialOf(dana.id), { state: 'unknown', wamid: null, price_category: null })
  t.strictSame(await outcomes(other), ['no_message', 'no_message'])
  t.match(await storyOf(shop, dana.e164), ['new'])
})

// What a person marked holds until WhatsApp reports.

/** A message whose answer was lost two minutes ago. A person has marked it as arrived or not. */
const said = async (arrived: boolean) => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'cut' } })
  await dueSince(id)
  const { id: messageId } = await initialOf(id)
  await sql`update messages set claimed_at = now() - interval '2 minutes' where id = ${messageId}`.execute(
    db,
  )
  const { tenantId } = shop
  await db
    .transaction()
    .execute(trx => resolveUnknown(trx, { as: 'operator' }, { tenantId, messageId, arrived }))
  const message = await initialOf(id)
  const report = (status: string, fields: object = {}) =>
    db.transaction().execute(trx =>
      applyStatus(
        trx,
        { tenantId, connectionId: message.whatsapp_connection_id ?? '' },
        {
          kind: 'status',
          id: `wamid.of${messageId}`,
          status,
          timestamp: Math.floor((message.claimed_at?.getTime() ?? 0) / 1000) + 2,
          recipient_id: who.e164.slice(1),
          pricing: { category: 'utility' },
          ...fields,
        },
      ),
    )
  return { shop, who, id, callId, messageId, report }
}

t.test('marked as arrived, then reported as failed', async t => {
  const { shop, who, id, messageId, report } = await said(true)
  t.match(await messagesAfter(id), [
    ['initial', 'delivered', 'by_operator'],
    ['reminder_1', 'scheduled'],
    ['reminder_2', 'scheduled'],
  ])
  const stopped = { biz_opaque_callback_data: messageId, errors: [{ code: 131050 }] }
  t.equal(await report('failed', stopped), 'status')
  t.match(await messagesAfter(id), [
    ['initial', 'failed', 'reported'],
    ['reminder_1', 'cancelled'],
    ['reminder_2', 'cancelled'],
  ])
  const optOuts = await db
    .selectFrom('opt_outs')
    .select('phone')
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(optOuts, [{ phone: who.e164 }], 'the error code is an opt-out')
})

for (const [how, fields] of [
  ['by our id', true],
  ['by the first status of an unknown wamid', false],
] as const)
  t.test(`marked as not arrived, then reported as arrived ${how}`, async t => {
    const { shop, id, callId, messageId, report } = await said(false)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
    t.equal(
      await report('delivered', fields ? { biz_opaque_callback_data: messageId } : {}),
      'status',
    )
    t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
    t.match(await messagesAfter(id), [
      ['initial', 'delivered', null],
      ['reminder_1', 'scheduled'],
      ['reminder_2', 'scheduled'],
    ])
  })

t.test('marked as not arrived, then accepted by its late sender', async t => {
  const { shop, who, id, callId, messageId } = await said(false)
  const { attempts } = await initialOf(id)
  const accepted = { kind: 'accepted', wamid: 'wamid.late', waId: null } as const
  await db.transaction().execute(trx => recordOutcome(trx, messageId, accepted, attempts))
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.match(await messagesAfter(id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'scheduled'],
    ['reminder_2', 'scheduled'],
  ])
  const again = await miss(shop, who.local)
  t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'already_contacted'])
  t.equal(requestsOf(shop).length, 1, 'and the person does not get a second message')
})
