/** More inputs of each kind that the cases in whatsapp/ stand for, through the endpoint, in the orders that may occur. */
import { randomInt } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { reloadConfig } from '../../app/config.ts'
import { encrypt, appSecretOwner } from '../../app/crypto.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { connect, newConnection, setConnectionState } from '../../app/tenants/connections.ts'
import { resumeTemplates } from '../../app/tenants/templates.ts'
import { askGraph } from '../../app/whatsapp/account.ts'
import { asciiJson } from '../../scripts/fake_whatsapp/webhooks.ts'
import { createHmac } from 'node:crypto'
import {
  type Business,
  business,
  customer,
  db,
  fake,
  jobDue,
  messagesOf,
  missedCall,
  outreachOf,
  reminderDue,
  WHATSAPP,
  work,
} from '../support/ringback.ts'
import {
  contacted,
  eventsOf,
  happens,
  optOutsOf,
  outcomesOf,
  receivedBy,
  reports,
  storyOf,
} from '../support/whatsapp.ts'
import { conversationOf, dueSince, initialOf, miss, requestsOf } from '../tasks/support.ts'

const OPERATOR = { as: 'command line' } as const
const OPEN = ['contacted', 'sent / accepted', 'open / ']
const REPLIED = ['replied', 'sent / accepted', 'replied / replied']
const REACHED = ['reached_by_phone', 'sent / accepted', 'reached_by_phone / reached_by_phone']

const MISSED_AGAIN = ['contacted', 'skipped / already_contacted', null]

const numberOf = ({ phoneNumberId }: Business) => {
  const number = fake.numbers().find(one => one.phoneNumberId === phoneNumberId)
  if (!number) throw new Error('no such number')
  return number
}
const now = () => Math.floor(Date.now() / 1000)
const wamid = () => `wamid.K${randomInt(1e12)}`

/** One POST of an account, signed. @returns the HTTP status */
const posts = async (
  account: string,
  changes: object[],
  { secret, time = now() }: { secret?: string; time?: number | string | null } = {},
): Promise<number> => {
  const entry = { id: account, ...(time !== null && { time }), changes }
  const body = asciiJson({ object: 'whatsapp_business_account', entry: [entry] })
  const key = secret ?? 'the secret of our Meta app'
  const signature = createHmac('sha256', key).update(body).digest('hex')
  const { status } = await fetch(WHATSAPP, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-hub-signature-256': `sha256=${signature}`,
    },
    body,
  })
  await work()
  return status
}
const ofNumber = (shop: Business, field: string, value: object) => ({
  field,
  value: { metadata: { phone_number_id: shop.phoneNumberId }, ...value },
})
const message = (shop: Business, from: string, fields: object, field = 'messages') =>
  ofNumber(shop, field, {
    contacts: [{ wa_id: from.slice(1) }],
    messages: [{ from: from.slice(1), id: wamid(), timestamp: String(now()), ...fields }],
  })

// W1

const connectionState = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ state: string; reason: string | null }>`
    select state, state_reason as reason from whatsapp_connections where tenant_id = ${tenantId} order by id`.execute(
    db,
  )
  return rows.map(({ state, reason }) => `${state} ${reason}`)
}
const templateStates = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ kind: string; state: string; reason: string | null }>`
    select w.kind, w.state, w.state_reason as reason from whatsapp_templates w
    join whatsapp_connections c on c.id = w.whatsapp_connection_id where c.tenant_id = ${tenantId} order by w.kind`.execute(
    db,
  )
  return rows.map(({ kind, state, reason }) => `${kind} ${state} ${reason}`)
}
const alertsOf = async ({ tenantId }: Business) => {
  await checkAlerts(600_000)
  const alerts = await db
    .selectFrom('alerts')
    .select('kind')
    .where('tenant_id', '=', tenantId)
    .where('ended_at', 'is', null)
    .execute()
  return alerts.map(({ kind }) => kind)
}

/** The next first message of this business gets this answer. @returns the outreach of its call */
const refusedWith = async (shop: Business, error: object, status = 400, who = customer()) => {
  fake.script({
    phoneNumberId: shop.phoneNumberId,
    outcome: {
      kind: 'http',
      status,
      body: JSON.stringify({ error }),
      headers: { 'content-type': 'application/json' },
    },
  })
  const { id, callId } = await miss(shop, who.local)
  await dueSince(id)
  return { id, callId, outreach: (await outreachOf(shop.tenantId, callId))?.join(' ') }
}

const HELD = 'scheduled connection_paused'
const details = (text: string) => ({ error_data: { details: text } })
const SETUP: [name: string, error: object, state: string, template: string[]][] = [
  ['33', { code: 33 }, 'paused WhatsApp error 33', []],
  ['100/33', { code: 100, error_subcode: 33 }, 'paused WhatsApp error 100/33', []],
  [
    '131008',
    { code: 131008, ...details('Required parameter is missing') },
    'active null',
    ['131008'],
  ],
  [
    '131009',
    { code: 131009, ...details('Parameter value is not valid') },
    'active null',
    ['131009'],
  ],
  ['132012', { code: 132012 }, 'active null', ['132012']],
  [
    '100 with a parameter',
    { code: 100, message: '(#100) Invalid parameter' },
    'active null',
    ['100'],
  ],
]
for (const [name, error, state, templates] of SETUP)
  t.test(`${name} pauses at once, and the message goes out after the fix`, async t => {
    const shop = await business()
    const { id, callId, outreach } = await refusedWith(shop, error)
    t.equal(outreach, HELD)
    t.strictSame(await connectionState(shop), [state])
    t.strictSame(
      await templateStates(shop),
      templates.map(code => `initial paused WhatsApp error ${code}`),
    )
    t.strictSame(await alertsOf(shop), [templates.length ? 'template_paused' : 'connection_paused'])

    await jobDue(`lead_outreach:${id}`)
    t.equal((await outreachOf(shop.tenantId, callId))?.join(' '), HELD, 'it waits')
    await db.transaction().execute(async trx => {
      if (templates.length) await resumeTemplates(trx, OPERATOR, { tenantId: shop.tenantId })
      else
        await setConnectionState(trx, OPERATOR, {
          tenantId: shop.tenantId,
          phoneNumberId: shop.phoneNumberId,
          state: 'active',
        })
    })
    await jobDue(`lead_outreach:${id}`)
    t.equal((await outreachOf(shop.tenantId, callId))?.join(' '), 'sent accepted')
    t.strictSame(await alertsOf(shop), [])
  })

const ROWS: [name: string, codes: (number | null)[], outcome: string][] = [
  ['the same unlisted code', [999_123, 999_123, 999_123], 'paused'],
  ['the same code of the set-up', [135_000, 135_000, 135_000], 'paused'],
  ['100 without a parameter', [100, 100, 100], 'paused'],
  ['two only', [131_051, 131_051], 'active'],
  ['errors about the person', [131_026, 131_026, 131_026, 131_026], 'active'],
  ['numbers that a test number may not write to', [131_030, 131_030, 131_030], 'active'],
  ['experiments', [130_472, 130_472, 130_472], 'active'],
  ['an error about the person in between', [999_124, 999_124, 131_026, 999_124], 'paused'],
  ['an accepted message in between', [999_125, 999_125, null, 999_125], 'active'],
  ['another code in between', [999_126, 999_126, 135_000, 999_126], 'active'],
  ['different unlisted codes', [999_127, 999_128, 999_129], 'active'],
]
for (const [name, codes, state] of ROWS)
  t.test(`in a row, ${name}: ${state}`, async t => {
    const shop = await business()
    let last: string | undefined
    for (const code of codes) {
      if (code === null) await contacted(shop)
      else last = (await refusedWith(shop, { code, message: 'No' })).outreach
    }
    t.match(await connectionState(shop), [new RegExp(`^${state}`)])
    t.equal(last, state === 'paused' ? HELD : 'failed refused')
    t.strictSame(await alertsOf(shop), state === 'paused' ? ['connection_paused'] : [])
  })

t.test('one person three times is no row, and three reported failures are', async t => {
  const shop = await business({ columns: { repeat_window: '0 seconds' } })
  const dana = customer()
  for (let call = 0; call < 3; call++)
    t.equal((await refusedWith(shop, { code: 999_130 }, 400, dana)).outreach, 'failed refused')
  t.strictSame(await connectionState(shop), ['active null'])

  const other = await business()
  const people = [await contacted(other), await contacted(other), await contacted(other)]
  // In any order: they were all accepted before the first report.
  for (const one of people.toReversed())
    await reports(one.wamid, { status: 'failed', code: 999_131 })
  t.strictSame(await connectionState(other), ['paused WhatsApp error 999131'])
})

// W2

const template = (event: string, name = 'ringback_missed_call') => ({
  field: 'message_template_status_update',
  value: { event, message_template_name: name, message_template_language: 'he' },
})
const SEQUENCES: [name: string, updates: [event: string, after: number | null][], state: string][] =
  [
    [
      'approved, paused, approved',
      [
        ['APPROVED', 0],
        ['PAUSED', 1],
        ['APPROVED', 2],
      ],
      'active null',
    ],
    [
      'all in one second',
      [
        ['APPROVED', 0],
        ['PAUSED', 0],
        ['APPROVED', 0],
      ],
      'active null',
    ],
    [
      'without a time',
      [
        ['APPROVED', null],
        ['PAUSED', null],
        ['APPROVED', null],
      ],
      'active null',
    ],
    [
      'an old one comes late',
      [
        ['APPROVED', 5],
        ['PAUSED', 1],
      ],
      'active null',
    ],
    [
      'a repeat of an old one',
      [
        ['APPROVED', 0],
        ['PAUSED', 1],
        ['APPROVED', 0],
      ],
      'paused template PAUSED',
    ],
    ['archived', [['ARCHIVED', 0]], 'paused template ARCHIVED'],
    [
      'unarchived',
      [
        ['ARCHIVED', 0],
        ['UNARCHIVED', 1],
      ],
      'active null',
    ],
    [
      'paused twice',
      [
        ['PAUSED', 0],
        ['REINSTATED', 1],
        ['PAUSED', 2],
      ],
      'paused template PAUSED',
    ],
    [
      'nothing to do with the state',
      [
        ['PAUSED', 0],
        ['FLAGGED', 1],
      ],
      'paused template PAUSED',
    ],
  ]
for (const [name, updates, state] of SEQUENCES)
  t.test(`updates of a template: ${name}`, async t => {
    const shop = await business()
    const start = now()
    for (const [event, after] of updates)
      await posts(numberOf(shop).wabaId, [template(event)], {
        time: after === null ? null : start + after,
      })
    t.strictSame(await templateStates(shop), [`initial ${state}`])
  })

const category = (new_category: string, name = 'ringback_missed_call', fields: object = {}) => ({
  field: 'template_category_update',
  value: {
    message_template_name: name,
    message_template_language: 'he',
    previous_category: 'UTILITY',
    new_category,
    ...fields,
  },
})
const CATEGORIES: [name: string, changes: object[], isHeld: boolean][] = [
  ['of the first message', [category('MARKETING')], true],
  ['of a reminder', [category('MARKETING', 'ringback_reminder_1')], true],
  ['in small letters', [category('marketing')], true],
  [
    'without a language',
    [category('MARKETING', undefined, { message_template_language: undefined })],
    true,
  ],
  ['and back', [category('MARKETING'), category('UTILITY')], false],
  ['of another template', [category('MARKETING', 'somebody_elses')], false],
  ['to another category', [category('AUTHENTICATION')], false],
]
for (const [name, changes, isHeld] of CATEGORIES)
  t.test(`a new category ${name}`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await reports(dana.wamid, { status: 'sent' })
    let time = now()
    for (const one of changes) await posts(numberOf(shop).wabaId, [one], { time: ++time })
    const { id } = await conversationOf(dana.id)
    await reminderDue(id, 1)
    const stateOf = async () =>
      (await messagesOf(shop.tenantId)).find(({ kind }) => kind === 'reminder_1')?.state
    t.equal(await stateOf(), isHeld ? 'scheduled' : 'accepted')
    t.strictSame(
      (await alertsOf(shop)).filter(kind => kind === 'template_marketing').length > 0,
      isHeld,
    )
    if (!isHeld) return
    await db
      .transaction()
      .execute(trx => resumeTemplates(trx, OPERATOR, { tenantId: shop.tenantId }))
    await jobDue(`lead_reminder:${id}:1`)
    t.equal(await stateOf(), 'accepted', 'after a person has agreed')
    t.notOk((await alertsOf(shop)).includes('template_marketing'))
  })

t.test('a price of marketing holds reminders, until a person agrees for good', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const priced = { status: 'sent', fields: { pricing: { category: 'marketing' } } } as const
  await reports(dana.wamid, priced)
  t.ok((await alertsOf(shop)).includes('template_marketing'))
  await db.transaction().execute(trx => resumeTemplates(trx, OPERATOR, { tenantId: shop.tenantId }))
  await reports(dana.wamid, { ...priced, status: 'delivered' })
  t.notOk((await alertsOf(shop)).includes('template_marketing'), 'asked once')
  // Paused, so that the owner's notices of this test end here.
  await db.updateTable('tenants').set({ mode: 'paused' }).where('id', '=', shop.tenantId).execute()
})

// W3

t.test('the account is learned from every event that names a number', async t => {
  const events: [string, object][] = [
    ['messages', { messages: [{ id: wamid(), from: '972541111111', type: 'request_welcome' }] }],
    ['messages', { statuses: [{ id: wamid(), status: 'sent' }] }],
    ['messages', { errors: [{ code: 131000 }] }],
    ['calls', { calls: [{ id: 'wacid.1', event: 'connect', from: '972541111111' }] }],
    ['history', { history: [] }],
    ['a_new_field', { any: 'thing' }],
  ]
  for (const [field, value] of events) {
    const shop = await business()
    const account = String(randomInt(1e12))
    await posts(account, [ofNumber(shop, field, value)])
    const { rows } = await sql`
      select waba_id from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
    t.strictSame(rows, [{ waba_id: account }], field)
  }
})

t.test(
  'an update of an unknown account asks Graph, and claims nothing if nothing changed',
  async t => {
    const shop = await business()
    const { wabaId } = numberOf(shop)
    const outcomes = async (account: string) => {
      const rows = await db
        .selectFrom('whatsapp_events')
        .select('outcome')
        .where('waba_id', '=', account)
        .orderBy('id')
        .execute()
      return rows.map(({ outcome }) => outcome)
    }
    await posts(wabaId, [template('PAUSED')])
    t.strictSame(await outcomes(wabaId), ['template_paused'])
    await posts(wabaId, [template('PAUSED', 'not_ours')])
    t.strictSame(await outcomes(wabaId), ['template_paused', 'no_change'])
    const stranger = String(randomInt(1e12))
    await posts(stranger, [template('PAUSED'), category('MARKETING')])
    t.strictSame(await outcomes(stranger), ['account_unknown', 'account_unknown'])
  },
)

t.test('an update that came while Graph was away is read when it is back', async t => {
  const shop = await business()
  const { wabaId } = numberOf(shop)
  await fake.refuseConnections()
  await posts(wabaId, [template('PAUSED')])
  t.strictSame(await templateStates(shop), [])
  await fake.acceptConnections()
  await sql`update whatsapp_connections set checked_at = now() - interval '1 minute' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where task_identifier = 'whatsapp_event' having count(*) > 0`.execute(
    db,
  )
  await work()
  t.strictSame(await templateStates(shop), ['initial paused template PAUSED'])
})

// W4

t.test("another app's report is not about our message", async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await reports(dana.wamid, { status: 'sent' })
  const { id } = await initialOf(dana.id)
  const stranger = '+972541111112'
  const report = (fields: object) =>
    posts(numberOf(shop).wabaId, [
      ofNumber(shop, 'messages', {
        statuses: [
          {
            id: wamid(),
            status: 'failed',
            timestamp: String(now()),
            biz_opaque_callback_data: id,
            errors: [{ code: 131026 }],
            ...fields,
          },
        ],
      }),
    ])
  await report({ recipient_id: stranger.slice(1) })
  await report({ recipient_id: dana.e164.slice(1) })
  await report({ recipient_user_id: 'IL.stranger' })
  await report({ status: 'read', recipient_id: stranger.slice(1) })
  await report({ biz_opaque_callback_data: 'another text', recipient_id: dana.e164.slice(1) })
  t.strictSame(await storyOf(shop, dana.e164), OPEN)
  t.equal((await initialOf(dana.id)).state, 'sent')
  await posts(numberOf(shop).wabaId, [
    message(shop, stranger, { type: 'text', text: { body: 'הסר' } }),
  ])
  t.strictSame(await optOutsOf(shop), [[stranger, 'typed']], 'only the stranger')
  t.strictSame(await storyOf(shop, dana.e164), OPEN)
})

const LOST: [name: string, fields: (phone: string) => object, state: string][] = [
  ['to the person', phone => ({ recipient_id: phone.slice(1) }), 'delivered'],
  ['with a plus', phone => ({ recipient_id: phone }), 'delivered'],
  ['without a recipient', () => ({}), 'delivered'],
  ['to a user id only', () => ({ recipient_user_id: 'IL.77' }), 'delivered'],
  ['to another person', () => ({ recipient_id: '972541111113' }), 'unknown'],
]
for (const [name, fields, state] of LOST)
  t.test(`a report ${name} for a send whose answer was lost: ${state}`, async t => {
    const shop = await business()
    const dana = customer()
    fake.script({ phoneNumberId: shop.phoneNumberId, outcome: { kind: 'garbled' } })
    const { id } = await miss(shop, dana.local)
    await dueSince(id)
    const { id: messageId } = await initialOf(id)
    await posts(numberOf(shop).wabaId, [
      ofNumber(shop, 'messages', {
        statuses: [
          {
            id: wamid(),
            status: 'delivered',
            timestamp: String(now()),
            biz_opaque_callback_data: messageId,
            ...fields(dana.e164),
          },
        ],
      }),
    ])
    t.equal((await initialOf(id)).state, state)
  })

// W5 and W6

const permission = (response_source: string) => ({
  type: 'interactive',
  interactive: {
    type: 'call_permission_reply',
    call_permission_reply: { response: 'accept', response_source },
  },
})
const MESSAGES: [name: string, field: string, fields: object, story: string[], stored: boolean][] =
  [
    ['standby: a text', 'standby', { type: 'text', text: { body: 'כן' } }, REPLIED, true],
    ['standby: a picture', 'standby', { type: 'image', image: {} }, REPLIED, true],
    ['standby: a reaction taken off', 'standby', { type: 'reaction', reaction: {} }, OPEN, false],
    ['standby: an edit', 'standby', { type: 'edit', edit: {} }, OPEN, false],
    ['a permission by the person', 'messages', permission('user_action'), REPLIED, true],
    ['a permission by WhatsApp', 'messages', permission('automatic'), OPEN, false],
    ['standby: a permission by WhatsApp', 'standby', permission('automatic'), OPEN, false],
    ['the chat was opened', 'messages', { type: 'request_welcome' }, OPEN, false],
    [
      'in a group',
      'messages',
      { type: 'text', text: { body: 'כן' }, group_id: 'G.1' },
      OPEN,
      false,
    ],
    [
      'stop in a group',
      'messages',
      { type: 'text', text: { body: 'הסר' }, group_id: 'G.1' },
      OPEN,
      false,
    ],
    ['an unknown type', 'messages', { type: 'hologram' }, REPLIED, true],
  ]
for (const [name, field, fields, story, stored] of MESSAGES)
  t.test(`what counts as a reply: ${name}`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await posts(numberOf(shop).wabaId, [message(shop, dana.e164, fields, field)])
    t.strictSame(await storyOf(shop, dana.e164), story)
    t.equal((await receivedBy(shop)).length, stored ? 1 : 0)
  })

t.test('a stop in standby opts out, and is not answered', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const before = requestsOf(shop).length
  await posts(numberOf(shop).wabaId, [
    message(shop, dana.e164, { type: 'text', text: { body: 'הסר' } }, 'standby'),
  ])
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.equal(requestsOf(shop).length, before)
})

const ECHOES: [name: string, fields: object, story: string][] = [
  ['a text', { type: 'text', text: { body: 'x' } }, 'stopped / owner_replied'],
  ['a picture', { type: 'image' }, 'stopped / owner_replied'],
  ['a reaction', { type: 'reaction', reaction: { emoji: '👍' } }, 'stopped / owner_replied'],
  ['a deleted message', { type: 'revoke', revoke: {} }, 'open / '],
  ['a changed message', { type: 'edit', edit: {} }, 'open / '],
  ['a reaction taken off', { type: 'reaction', reaction: {} }, 'open / '],
  ['in a group', { type: 'text', group_id: 'G.1' }, 'open / '],
]
for (const [name, fields, conversation] of ECHOES)
  t.test(`the owner's own message: ${name}`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    const echo = { from: '972', to: dana.e164.slice(1), id: wamid(), ...fields }
    await posts(numberOf(shop).wabaId, [
      ofNumber(shop, 'smb_message_echoes', { message_echoes: [echo] }),
    ])
    t.strictSame((await storyOf(shop, dana.e164))[2], conversation)
  })

// W7

const hidden = (shop: Business, userId: string, fields: object = {}) =>
  ofNumber(shop, 'messages', {
    messages: [
      {
        from_user_id: userId,
        id: wamid(),
        timestamp: String(now()),
        type: 'text',
        text: { body: 'הסר' },
        ...fields,
      },
    ],
  })
const KNOWN_BY: [
  name: string,
  tell: (shop: Business, phone: string, id: string) => object | null,
][] = [
  ['the answer to our message', () => null],
  [
    'a report',
    (shop, phone, id) =>
      ofNumber(shop, 'messages', {
        statuses: [
          {
            id: fake.inbox(phone)[0]?.wamid,
            status: 'delivered',
            recipient_id: phone.slice(1),
            recipient_user_id: id,
          },
        ],
      }),
  ],
  [
    'the contact of a report',
    (shop, phone, id) =>
      ofNumber(shop, 'messages', {
        contacts: [{ wa_id: phone.slice(1), user_id: id }],
        statuses: [
          { id: fake.inbox(phone)[0]?.wamid, status: 'delivered', recipient_id: phone.slice(1) },
        ],
      }),
  ],
  [
    'a parent id',
    (shop, phone, id) =>
      ofNumber(shop, 'messages', {
        contacts: [{ wa_id: phone.slice(1), user_id: 'IL.1', parent_user_id: id }],
        messages: [{ from: phone.slice(1), id: wamid(), type: 'image' }],
      }),
  ],
  [
    'a new id after the old one',
    (shop, phone, id) =>
      ofNumber(shop, 'messages', {
        messages: [
          {
            id: wamid(),
            type: 'system',
            system: {
              type: 'user_changed_user_id',
              previous_user_id: `IL.7${phone.slice(5)}`,
              user_id: id,
            },
          },
        ],
      }),
  ],
  [
    'a changed number',
    (shop, phone, id) =>
      ofNumber(shop, 'messages', {
        messages: [
          {
            from: phone.slice(1),
            id: wamid(),
            type: 'system',
            system: { type: 'user_changed_number', wa_id: '972540000001', user_id: id },
          },
        ],
      }),
  ],
]
for (const [name, tell] of KNOWN_BY)
  for (const form of ['from_user_id', 'from'])
    t.test(`a user id that is known by ${name}, in the field ${form}`, async t => {
      const shop = await business()
      const dana = customer()
      const own = `IL.7${dana.e164.slice(5)}`
      fake.setPerson({ phone: dana.e164, userId: own })
      await contacted(shop, dana)
      const id = `IL.8${dana.e164.slice(5)}`
      const event = tell(shop, dana.e164, id)
      if (event) await posts(numberOf(shop).wabaId, [event])
      const writes = hidden(shop, event ? id : own)
      const text = JSON.stringify(writes).replace('"from_user_id"', `"${form}"`)
      const change: object = JSON.parse(text)
      await posts(numberOf(shop).wabaId, [change])
      t.ok((await optOutsOf(shop)).some(([phone]) => phone === dana.e164))
    })

t.test('the digits of a user id are no number', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await posts(numberOf(shop).wabaId, [
    hidden(shop, 'unused', { from: `US.${dana.e164.slice(1)}`, from_user_id: undefined }),
  ])
  t.strictSame(await optOutsOf(shop), [])
  t.strictSame(await storyOf(shop, dana.e164), OPEN)
})

// W8

t.test('several app secrets, and a secret of one connection', async t => {
  process.env['WHATSAPP_APP_SECRET'] = 'the secret of our Meta app, second ,,third'
  reloadConfig()
  const shop = await business()
  const other = await business()
  const { wabaId } = numberOf(shop)
  const account = numberOf(other).wabaId
  await sql`update whatsapp_connections set app_secret = ${encrypt('own', appSecretOwner(shop.tenantId))}
            where tenant_id = ${shop.tenantId}`.execute(db)
  const text = { type: 'text', text: { body: 'כן' } }
  const ours = () => message(shop, customer().e164, text)
  const theirs = () => message(other, customer().e164, text)
  for (const secret of ['the secret of our Meta app', 'second', 'third'])
    t.equal(await posts(wabaId, [ours(), theirs()], { secret }), 200, secret)
  for (const secret of ['', 'second ,', 'the secret of our Meta app, second'])
    t.equal(await posts(wabaId, [ours()], { secret }), 401, secret)
  await sql`update whatsapp_connections set waba_id = null where tenant_id in (${shop.tenantId}, ${other.tenantId})`.execute(
    db,
  )

  const own = { secret: 'own' }
  t.equal(await posts(account, [ours()], own), 200, 'its own number')
  const { rows } = await sql`
    select waba_id from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(rows, [{ waba_id: null }], 'but it names no account')
  t.equal(await posts(account, [template('PAUSED')], own), 401, 'no account at all')
  t.equal(await posts(wabaId, [ours(), theirs()], own), 401, "another's number beside its own")
  t.equal(await posts(wabaId, [theirs()], own), 401, "another's number")
  await sql`update whatsapp_connections set waba_id = ${wabaId} where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.equal(await posts(wabaId, [template('PAUSED'), ours()], own), 200, 'its own account')
  t.equal(await posts(account, [template('PAUSED')], own), 401, "another's account")
  t.equal(await posts(wabaId, [theirs()], own), 401, "another's number in its own account")
  t.equal(await posts(wabaId, [], own), 401, 'nothing')
  t.strictSame(await templateStates(other), [])

  // Both have numbers in one account. Only the operator's app speaks for both.
  await sql`update whatsapp_connections set waba_id = ${wabaId} where tenant_id = ${other.tenantId}`.execute(
    db,
  )
  const changes = [template('APPROVED'), category('MARKETING')]
  const time = now() + 10
  t.equal(await posts(wabaId, changes, { ...own, time }), 200)
  t.strictSame(await templateStates(shop), ['initial active null'])
  t.strictSame(await templateStates(other), [], 'its own app changes only its own templates')
  t.equal(await posts(wabaId, changes, { time }), 200)
  t.strictSame(await templateStates(other), ['initial active null'], 'the same update by our app')
})

// W9 and W10

t.test('a number with a new id: the old connection is retired', async t => {
  const shop = await business()
  const old = numberOf(shop)
  const moved = fake.addNumber({
    ...old,
    phoneNumberId: String(randomInt(1e12)),
    token: 'new-token',
  })
  fake.addNumber({ phoneNumberId: old.phoneNumberId, displayNumber: shop.line })
  fake.addNumber({ phoneNumberId: moved.phoneNumberId, displayNumber: shop.line })
  const wanted = newConnection.parse({
    tenantId: shop.tenantId,
    phoneNumberId: moved.phoneNumberId,
    accessToken: 'new-token',
  })
  const answer = await askGraph(wanted)
  t.match(answer, { kind: 'confirmed', displayNumber: shop.line, wabaId: old.wabaId })
  const { retired } = await db.transaction().execute(trx => connect(trx, OPERATOR, wanted, answer))
  t.strictSame(retired, [shop.phoneNumberId])
  t.strictSame(await connectionState(shop), ['paused number_moved', 'active null'])
  t.strictSame(await alertsOf(shop), [], 'no alert')
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  t.equal(fake.inbox(dana.e164)[0]?.phoneNumberId, moved.phoneNumberId)

  const back = newConnection.parse({
    ...wanted,
    phoneNumberId: shop.phoneNumberId,
    accessToken: old.token,
  })
  await db.transaction().execute(async trx =>
    connect(trx, OPERATOR, back, {
      kind: 'confirmed',
      displayNumber: null,
      wabaId: null,
      isAccountWrong: false,
    }),
  )
  t.strictSame(await connectionState(shop), ['active null', 'paused number_moved'], 'and back')
})

t.test('events that came before the number are read when it is connected', async t => {
  const shop = await business({ connected: false })
  const phoneNumberId = String(randomInt(1e12))
  const early = { ...shop, phoneNumberId }
  const [dana, noa] = [customer(), customer()]
  await miss(shop, dana.local)
  const stop = { type: 'text', text: { body: 'הסר' } }
  await posts('1', [message(early, dana.e164, stop)])
  await posts('1', [message(early, noa.e164, { type: 'text', text: { body: 'שלום' } })])
  t.strictSame(await outcomesOf(shop), [])
  const wanted = {
    tenantId: shop.tenantId,
    phoneNumberId,
    accessToken: 'x',
    whatsappNumber: '0502345678',
  }
  await db.transaction().execute(trx => connect(trx, OPERATOR, newConnection.parse(wanted)))
  await work()
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.strictSame(new Set((await receivedBy(shop)).map(String)), new Set(['הסר,true', 'שלום,false']))
  t.equal((await eventsOf(null)).filter(one => one.phone_number_id === phoneNumberId).length, 0)
})

t.test('an event that is read late is no answer to a later call', async t => {
  const shop = await business({ connected: false })
  const phoneNumberId = String(randomInt(1e12))
  const dana = customer()
  await posts('1', [
    message({ ...shop, phoneNumberId }, dana.e164, { type: 'text', text: { body: 'שלום' } }),
  ])
  await sql`update whatsapp_events set received_at = now() - interval '1 hour' where phone_number_id = ${phoneNumberId}`.execute(
    db,
  )
  const other = fake.addNumber({ callbackUrl: WHATSAPP })
  const connects = (id: string, accessToken: string) =>
    db.transaction().execute(trx =>
      connect(
        trx,
        OPERATOR,
        newConnection.parse({
          tenantId: shop.tenantId,
          phoneNumberId: id,
          accessToken,
          whatsappNumber: '0502345678',
        }),
      ),
    )
  await connects(other.phoneNumberId, other.token)
  const { id, callId } = await miss(shop, dana.local)
  await connects(phoneNumberId, 'x')
  await work()
  t.strictSame(await receivedBy(shop), [['שלום', true]])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

// W11

const TAPS: [name: string, fields: object, isStop: boolean][] = [
  [
    'the label of Meta',
    { type: 'button', button: { text: 'Stop promotions', payload: 'Stop promotions' } },
    true,
  ],
  ['in Hebrew', { type: 'button', button: { text: 'הפסקת מבצעים', payload: 'x' } }, true],
  ['our payload', { type: 'button', button: { text: 'לא תודה', payload: 'ringback:stop' } }, true],
  ['STOP', { type: 'button', button: { text: 'לא תודה', payload: 'STOP' } }, true],
  ['stop', { type: 'button', button: { text: 'לא תודה', payload: ' stop ' } }, true],
  [
    'an interactive button',
    { type: 'interactive', interactive: { button_reply: { id: 'ringback:stop', title: 'די' } } },
    true,
  ],
  [
    'a list',
    { type: 'interactive', interactive: { list_reply: { id: 'STOP', title: 'x' } } },
    true,
  ],
  ['typed', { type: 'text', text: { body: '*Stop promotions*' } }, true],
  [
    'call me back',
    { type: 'button', button: { text: 'חזרו אליי', payload: 'ringback:callback' } },
    false,
  ],
  ['a longer payload', { type: 'button', button: { text: 'x', payload: 'STOPPER' } }, false],
  ['a question', { type: 'text', text: { body: 'do you stop promotions?' } }, false],
]
for (const [name, fields, isStop] of TAPS)
  t.test(`an opt-out by button: ${name}: ${isStop}`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await posts(numberOf(shop).wabaId, [message(shop, dana.e164, fields)])
    t.equal((await optOutsOf(shop)).length, isStop ? 1 : 0)
  })

// W12

const CALLS: [name: string, fields: Record<string, unknown>, story: string[]][] = [
  ['answered', {}, REACHED],
  ['answered, as text', { duration: '40', start_time: undefined, end_time: undefined }, REACHED],
  ['in small letters', { status: 'completed' }, REACHED],
  ['without times', { start_time: undefined, end_time: undefined, timestamp: undefined }, REACHED],
  ['still ringing', { event: 'connect', status: undefined, duration: undefined }, OPEN],
  ['not answered', { status: 'FAILED', duration: undefined }, OPEN],
  ['rejected', { status: 'REJECTED', duration: 0 }, OPEN],
  ['completed without a talk', { duration: 0 }, OPEN],
  ['completed without a duration', { duration: undefined }, OPEN],
]
for (const [name, fields, story] of CALLS)
  for (const by of ['person', 'business'] as const)
    t.test(`a call on WhatsApp by the ${by}: ${name}`, async t => {
      const shop = await business()
      const dana = await contacted(shop)
      await happens({
        kind: 'call',
        with: dana.e164,
        by,
        seconds: 40,
        phoneNumberId: shop.phoneNumberId,
        fields,
      })
      // A further missed call leaves the reminders in place.
      const isMissed = by === 'person' && story === OPEN && !('event' in fields)
      t.strictSame(await storyOf(shop, dana.e164), isMissed ? MISSED_AGAIN : story)
      const reminders = (await messagesOf(shop.tenantId)).filter(one => one.kind.startsWith('rem'))
      const state = story === OPEN ? 'scheduled' : 'cancelled'
      t.strictSame(
        reminders.map(one => one.state),
        [state, state],
      )
    })

t.test('a talk on WhatsApp before the CDR of the missed call arrives', async t => {
  for (const agoSeconds of [0, 200]) {
    const shop = await business()
    const dana = customer()
    const { phoneNumberId } = shop
    await happens({ kind: 'call', with: dana.e164, seconds: 20, agoSeconds, phoneNumberId })
    const { callId } = await miss(shop, dana.local, {}, 60)
    const outreach = (await outreachOf(shop.tenantId, callId))?.join(' ')
    t.equal(
      outreach,
      agoSeconds ? 'scheduled waiting' : 'cancelled reached_by_phone',
      `${agoSeconds} s ago`,
    )
  }
})

/** A person calls on WhatsApp, and nobody answers. @returns the id of the call */
const missOnWhatsApp = async (shop: Business, phone: string, fields: object = {}) => {
  const id = `wacid.K${randomInt(1e12)}`
  const { phoneNumberId } = shop
  await happens({ kind: 'call', with: phone, id, phoneNumberId, fields: { ...fields } })
  return id
}

t.test('a missed call on WhatsApp is a missed call', async t => {
  const shop = await business()
  const dana = customer()
  const callId = await missOnWhatsApp(shop, dana.e164)
  const call = await missedCall(shop.tenantId, callId)
  t.match(call, { source: 'whatsapp', caller_phone: dana.e164, status: 'NOANSWER' })
  t.equal(call?.business_phone, shop.line)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
  t.strictSame(await outcomesOf(shop), ['call missed_call'])
  await dueSince(call?.id ?? '')
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await storyOf(shop, dana.e164), OPEN)
  const { rows } = await sql<Record<string, unknown>>`
    select verdict, reason, outreach_state, message_state, records from call_report() where call_id = ${callId}`.execute(
    db,
  )
  t.match(rows, [
    { verdict: 'missed', outreach_state: 'sent', message_state: 'accepted', records: '0' },
  ])
  await happens({ kind: 'call', with: dana.e164, seconds: 9, phoneNumberId: shop.phoneNumberId })
  t.strictSame(await storyOf(shop, dana.e164), REACHED)
})

t.test('the rules for missed calls decide about it', async t => {
  const long = String(now() - 3 * 3600)
  const night = { quiet_windows: ['00:00-12:00', '12:00-23:59'] }
  const CASES: [string, object, Parameters<typeof business>[0], string][] = [
    ['it began long ago', { timestamp: long }, {}, 'skipped too_late'],
    ['no clock', { timestamp: undefined }, {}, 'scheduled waiting'],
    ['a clock that is ahead', { timestamp: String(now() + 3600) }, {}, 'scheduled waiting'],
    ['shadow', {}, { mode: 'shadow' }, 'scheduled waiting'],
    ['paused', {}, { mode: 'paused' }, 'skipped tenant_paused'],
    ['in a quiet window', {}, { columns: night }, 'scheduled waiting'],
  ]
  for (const [name, fields, settings, expected] of CASES) {
    const shop = await business(settings)
    const callId = await missOnWhatsApp(shop, customer().e164, fields)
    t.equal((await outreachOf(shop.tenantId, callId))?.join(' '), expected, name)
  }
  const shop = await business()
  const dana = customer()
  await sql`insert into opt_outs (tenant_id, phone, source) values (${shop.tenantId}, ${dana.e164}, 'operator')`.execute(
    db,
  )
  const callId = await missOnWhatsApp(shop, dana.e164)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
})

t.test('a person who hides their number and calls again is the same lead', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await happens({ from: dana.e164, phoneNumberId: shop.phoneNumberId, kind: 'text', text: 'hi' })
  const callId = await missOnWhatsApp(shop, dana.e164, { from: undefined })
  t.match(await missedCall(shop.tenantId, callId), { caller_phone: dana.e164 })
  const stranger = await missOnWhatsApp(shop, customer().e164, {
    from: undefined,
    from_user_id: undefined,
  })
  t.equal((await missedCall(shop.tenantId, stranger))?.source ?? 'whatsapp', 'whatsapp')
})

t.test('the last time that a person wrote or called on WhatsApp is stored', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const heardAt = async () =>
    (
      await db
        .selectFrom('leads')
        .select('heard_at')
        .where('phone', '=', dana.e164)
        .executeTakeFirstOrThrow()
    ).heard_at
  t.equal(await heardAt(), null)
  await happens({
    kind: 'call',
    with: dana.e164,
    by: 'business',
    seconds: 9,
    phoneNumberId: shop.phoneNumberId,
  })
  t.equal(await heardAt(), null, 'the business called')
  await missOnWhatsApp(shop, dana.e164)
  const called = await heardAt()
  t.ok(called)
  await happens({ from: dana.e164, phoneNumberId: shop.phoneNumberId, kind: 'text', text: 'hi' })
  const wrote = await heardAt()
  t.ok(called && wrote && wrote > called)
})

// W14

t.test('the address book and old chats are stored without contents', async t => {
  const shop = await business()
  for (const field of ['history', 'smb_app_state_sync'])
    for (const value of [
      { history: [{ threads: ['secret'] }] },
      { state_sync: [{ contact: 'secret' }] },
    ])
      await posts(numberOf(shop).wabaId, [ofNumber(shop, field, value)])
  const events = await eventsOf(shop.tenantId)
  t.equal(events.length, 4)
  t.notMatch(JSON.stringify(events.map(({ payload }) => payload)), /secret/)
})
