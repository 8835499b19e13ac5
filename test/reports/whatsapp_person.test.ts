/** One person has several numbers and ids. WhatsApp tells them in any update, and hides any of them. */
import { sql } from 'kysely'
import t from 'tap'
import { type Business, business, customer, db, outreachOf, work } from '../support/ringback.ts'
import { change, contacted, deliver, envelope, eventsOf, optOutsOf } from '../support/whatsapp.ts'
import { dueSince, miss, runAtOnce } from '../tasks/support.ts'
import { delivered, echo, from, preference, talk, text, written } from './support.ts'

type Dana = Awaited<ReturnType<typeof contacted>>
type Value = [value: object, field?: string]

const STOP = text('הסר')
const userIdOf = ({ e164 }: { e164: string }) => `IL.7${e164.slice(5)}`
const deliverAll = async (shop: Business, ...values: Value[]) => {
  for (const [value, field] of values) await delivered(shop, [value], field)
}
const moved = (before: object, to: object) =>
  written(before, 5, { type: 'system', system: { type: 'user_changed_number', ...to } })
const reminders = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ state: string }>`
    select distinct state from messages
    where tenant_id = ${tenantId} and kind in ('reminder_1', 'reminder_2')`.execute(db)
  return rows.map(({ state }) => state)
}
const callOf = async (shop: Business, caller: string) => {
  const { callId } = await miss(shop, caller)
  return (await outreachOf(shop.tenantId, callId))?.join(' ')
}

const OPT_OUTS: [name: string, how: (dana: Dana) => Value][] = [
  ['from the old number', dana => [written(from(dana), 2, STOP)]],
  ['under their user id', dana => [written({ from_user_id: userIdOf(dana) }, 2, STOP)]],
  [
    'with the switch in WhatsApp',
    dana => [
      { user_preferences: [{ user_id: userIdOf(dana), category: 'x', value: 'STOP' }] },
      'user_preferences',
    ],
  ],
  [
    'with a button, under an unknown id',
    dana => [
      written({ from_user_id: 'IL.unknown' }, 2, {
        context: { id: dana.wamid },
        type: 'button',
        button: { payload: 'ringback:stop', text: 'x' },
      }),
    ],
  ],
  [
    'as WhatsApp reports',
    dana => [
      {
        statuses: [
          {
            id: dana.wamid,
            status: 'failed',
            recipient_id: dana.e164.slice(1),
            errors: [{ code: 131000 }, { code: 131050 }],
          },
        ],
      },
    ],
  ],
]
for (const [name, how] of OPT_OUTS)
  t.test(`an opt-out ${name} holds for the new number of the person`, async t => {
    const shop = await business()
    const [dana, other] = [await contacted(shop), customer()]
    const system = moved(from(dana), { wa_id: other.e164.slice(1), user_id: userIdOf(dana) })
    await deliverAll(shop, [system], how(dana))
    const out = new Set((await optOutsOf(shop)).map(([phone]) => phone))
    t.strictSame(out, new Set([dana.e164, other.e164]))
    t.equal(await callOf(shop, other.local), 'skipped opted_out')
  })

t.test('an opt-out of a stranger holds for the number that they change to', async t => {
  const shop = await business()
  const [dana, other] = [customer(), customer()]
  await deliverAll(
    shop,
    [written(from(dana), 9, STOP)],
    [moved(from(dana), { wa_id: other.e164.slice(1) })],
  )
  t.equal(await callOf(shop, other.local), 'skipped opted_out')
  await deliverAll(shop, [written(from(other), 1, text('התחל'))])
  t.strictSame(
    (await optOutsOf(shop)).map(([phone]) => phone),
    [dana.e164],
  )
})

t.test('"start" from either number takes back the opt-out of both', async t => {
  const shop = await business()
  const [dana, other] = [await contacted(shop), customer()]
  await deliverAll(
    shop,
    [written(from(dana), 900, STOP)],
    [moved(from(dana), { wa_id: other.e164.slice(1) })],
    [written(from(other), 600, text('התחל'))],
  )
  t.strictSame(await optOutsOf(shop), [])
})

t.test('"stop" from the new number is read before the change of the number', async t => {
  const shop = await business()
  const [dana, other] = [await contacted(shop), customer()]
  await deliverAll(
    shop,
    [written(from(other), 2, STOP)],
    [moved(from(dana), { wa_id: other.e164.slice(1) })],
  )
  const out = new Set((await optOutsOf(shop)).map(([phone]) => phone))
  t.strictSame(out, new Set([dana.e164, other.e164]))
  t.strictSame(await reminders(shop), ['cancelled'])
})

t.test('the next owner of the old number writes "start" for themselves only', async t => {
  const shop = await business()
  const [dana, other] = [await contacted(shop), customer()]
  await deliverAll(
    shop,
    [moved(from(dana), { wa_id: other.e164.slice(1), user_id: userIdOf(dana) })],
    [written({ ...from(other), from_user_id: userIdOf(dana) }, 600, STOP)],
    [written({ ...from(dana), from_user_id: 'IL.222' }, 5, text('התחל'))],
  )
  t.strictSame(await optOutsOf(shop), [[other.e164, 'typed']])
})

const ANSWERS: [name: string, answer: (dana: Dana) => Value, outcome: string][] = [
  [
    'writes',
    dana => [written({ from_user_id: userIdOf(dana) }, 10, text('אני כאן'))],
    'cancelled replied',
  ],
  [
    'talks on WhatsApp',
    dana => {
      const { calls } = talk('', 10)
      const hidden = { from: undefined, from_user_id: userIdOf(dana) }
      return [{ calls: calls.map(one => ({ ...one, ...hidden })) }, 'calls']
    },
    'cancelled reached_by_phone',
  ],
  [
    'is written to',
    dana => {
      const { message_echoes: echoes } = echo('', 10)
      const hidden = { to: undefined, to_user_id: userIdOf(dana) }
      return [{ message_echoes: echoes.map(one => ({ ...one, ...hidden })) }, 'smb_message_echoes']
    },
    'cancelled owner_replied',
  ],
]
for (const [name, answer, outcome] of ANSWERS)
  t.test(`a person who called from their new number ${name} before the CDR comes`, async t => {
    const shop = await business({ columns: { repeat_window: '0' } })
    const [dana, other] = [await contacted(shop), customer()]
    const system = moved(from(dana), { wa_id: other.e164.slice(1), user_id: userIdOf(dana) })
    await deliverAll(shop, [system], answer(dana))
    const { callId } = await miss(shop, other.local, {}, 120)
    t.equal((await outreachOf(shop.tenantId, callId))?.join(' '), outcome)
  })

t.test('an unread message from the old number holds the message to the new one', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const [dana, other] = [await contacted(shop), customer()]
  await deliverAll(
    shop,
    [written(from(dana), 300, text('כן'))],
    [moved(from(dana), { wa_id: other.e164.slice(1) })],
  )
  const { id, callId } = await miss(shop, other.local)
  await deliver(envelope(change(shop.phoneNumberId, written(from(dana), 0, STOP))))
  await sql`update whatsapp_events set outcome = 'kept' where tenant_id = ${shop.tenantId} and outcome is null`.execute(
    db,
  )
  await work()
  await sql`update whatsapp_events set outcome = null where id = (
    select max(id) from whatsapp_events where tenant_id = ${shop.tenantId})`.execute(db)
  await dueSince(id)
  t.match(await outreachOf(shop.tenantId, callId), ['scheduled'])
})

t.test('a missed call on WhatsApp is answered to the number that called', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const [dana, other] = [await contacted(shop), customer()]
  const { calls } = talk(other.e164, 5)
  await deliverAll(
    shop,
    [moved(from(dana), { wa_id: other.e164.slice(1) })],
    [{ calls: calls.map(one => ({ ...one, status: 'FAILED' })) }, 'calls'],
  )
  const { rows } = await sql<{ phone: string }>`
    select caller_phone as phone from missed_calls
    where tenant_id = ${shop.tenantId} and source = 'whatsapp'`.execute(db)
  t.strictSame(rows, [{ phone: other.e164 }])
})

t.test('a reply under a hidden number stops the message to the other number', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const [dana, other] = [await contacted(shop), customer()]
  const system = moved(from(dana), { wa_id: other.e164.slice(1), user_id: userIdOf(dana) })
  await deliverAll(shop, [written(from(dana), 300, text('כן'))], [system])
  const { callId } = await miss(shop, other.local)
  t.match(await outreachOf(shop.tenantId, callId), ['scheduled'])
  await deliverAll(shop, [written({ from_user_id: userIdOf(dana) }, 0, text('תתקשרו אליי'))])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'replied'])
})

const TELLS: [name: string, tells: (dana: Dana) => Value][] = [
  [
    'a welcome request',
    dana => [
      written({ ...from(dana), from_user_id: userIdOf(dana) }, 5, { type: 'request_welcome' }),
    ],
  ],
  [
    'an edit',
    dana => [written({ ...from(dana), from_user_id: userIdOf(dana) }, 5, { type: 'edit' })],
  ],
  [
    'a message of the owner',
    dana => {
      const { message_echoes: echoes } = echo(dana.e164.slice(1), 5)
      return [
        { message_echoes: echoes.map(one => ({ ...one, to_user_id: userIdOf(dana) })) },
        'smb_message_echoes',
      ]
    },
  ],
  [
    'the switch in WhatsApp',
    dana => {
      const { user_preferences: switched } = preference(dana.e164, 5, 'resume')
      return [
        { user_preferences: switched.map(one => ({ ...one, user_id: userIdOf(dana) })) },
        'user_preferences',
      ]
    },
  ],
  [
    'a call that rings',
    dana => {
      const { calls } = talk(dana.e164, 5)
      return [
        { calls: calls.map(one => ({ ...one, event: 'connect', from_user_id: userIdOf(dana) })) },
        'calls',
      ]
    },
  ],
]
for (const [name, tells] of TELLS)
  t.test(`${name} tells the id of a person, who writes "stop" under it`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await deliverAll(shop, tells(dana), [written({ from_user_id: userIdOf(dana) }, 1, STOP)])
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
    t.strictSame(await reminders(shop), ['cancelled'])
  })

t.test('the owner writes to a person whom only the contact names', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const userId = userIdOf(dana)
  const { message_echoes: echoes } = echo('', 5)
  const value = {
    message_echoes: echoes.map(one => ({ ...one, to: undefined, to_user_id: userId })),
    contacts: [{ wa_id: dana.e164.slice(1), user_id: userId }],
  }
  await deliverAll(shop, [value, 'smb_message_echoes'])
  t.strictSame(await reminders(shop), ['cancelled'])
})

for (const status of ['COMPLETED', 'FAILED'])
  t.test(`a call on WhatsApp (${status}) under an id that is explained later`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    const [{ from: _, ...call } = { from: '' }] = talk(dana.e164, 3).calls
    const hidden = { ...call, status, from_user_id: userIdOf(dana) }
    const explained = {
      id: dana.wamid,
      status: 'delivered',
      recipient_id: dana.e164.slice(1),
      recipient_user_id: userIdOf(dana),
    }
    await deliverAll(shop, [{ calls: [hidden] }, 'calls'], [{ statuses: [explained] }])
    for (const { id, kind } of await eventsOf(shop.tenantId))
      if (kind === 'call') await runAtOnce(`whatsapp_event:${id}`)
    await work()
    const [event] = (await eventsOf(shop.tenantId)).filter(({ kind }) => kind === 'call')
    t.equal(event?.outcome, status === 'FAILED' ? 'missed_call' : 'reached')
    t.strictSame(await reminders(shop), [status === 'FAILED' ? 'scheduled' : 'cancelled'])
  })

const BUTTONS: [name: string, fields: object][] = [
  ['a payload without a label', { button: { payload: 'ringback:stop', text: null } }],
  ['a label without a payload', { button: { text: 'הסר', payload: null } }],
  ['a title without an id', { interactive: { button_reply: { id: null, title: 'הסר' } } }],
  ['an id beside another type', { interactive: { type: 7, list_reply: { id: 'ringback:stop' } } }],
  ['a text that belongs to no group', { ...STOP, group_id: '' }],
]
for (const [name, fields] of BUTTONS)
  t.test(`${name} says "stop"`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await deliverAll(shop, [written(from(dana), 1, fields)])
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  })

for (const id of [undefined, null, 17, 'x'.repeat(600)])
  t.test(`a message whose id is ${String(id).slice(0, 9)} counts as a reply`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await deliverAll(shop, [{ messages: [{ ...from(dana), ...STOP, id }] }])
    t.match(await eventsOf(shop.tenantId), [{ outcome: 'unreadable' }])
    t.strictSame(await reminders(shop), ['cancelled'])
  })
