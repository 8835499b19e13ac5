/** The templates of a business at Meta: what Graph and webhooks tell, in both orders, and what customers then get. */
import { sql } from 'kysely'
import { DateTime } from 'luxon'
import { test } from 'tap'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { followGraph, type GraphTemplate } from '../../app/whatsapp/follow_graph.ts'
import { type Candidate, chooseTemplate, hoursAt } from '../../app/messages/template_choice.ts'
import { isStopPayload, parseKeyword } from '../../app/replies/keywords.ts'
import {
  DEFAULT_TEMPLATES,
  ownTemplate,
  ownTemplateNamed,
} from '../../app/whatsapp/own_templates.ts'
import { type Button, filledText, LANGUAGES, placeholdersIn } from '../../app/whatsapp/templates.ts'
import { contacted } from '../outreach/support.ts'
import { answered, tenant } from '../scripts/tenant.ts'
import { business, type Business, customer, db, fake, workAsIfDue } from '../support/ringback.ts'
import { deliver, happens } from '../support/whatsapp.ts'
import { work } from '../support/ringback.ts'
import { miss } from '../tasks/support.ts'

const { text: BODY } = DEFAULT_TEMPLATES.initial
const KINDS = ['initial', 'reminder_1', 'reminder_2', 'owner_notice'] as const

await test('a body is filled in', t => {
  t.equal(filledText('Hi, {{1}} at {{ 2 }}.', ['Noa', '14:05']), 'Hi, Noa at 14:05.')
  t.equal(filledText('{{2}} {{1}} {{1}}', ['a', 'b']), 'b a a')
  t.equal(filledText('{{1}}', ['{{2}}', 'x']), '{{2}}', 'a value is no body')
  t.equal(filledText('{{1}}', ['$&$1']), '$&$1')
  t.equal(filledText('{{1}} {{3}}', ['a']), 'a {{3}}')
  t.equal(placeholdersIn('{{1}} and {{3}}'), 3)
  t.equal(placeholdersIn('none'), 0)
  t.end()
})

const listed = (fields: Partial<GraphTemplate>): GraphTemplate => ({
  id: '1',
  name: 'a',
  language: 'he',
  status: 'APPROVED',
  category: 'UTILITY',
  rejectedReason: null,
  body: 'Hi {{1}}.',
  buttons: [],
  isNamed: false,
  ...fields,
})
const quick = (...labels: string[]) => labels.map(label => ({ isQuickReply: true, label }))
const link = { isQuickReply: false, label: 'Our page' }

const FOLLOWED: [
  name: string,
  known: { body?: string | null; buttons?: Button[] },
  graph: Partial<GraphTemplate>,
  buttons: Button[],
  differs: string[],
][] = [
  ['the same', {}, {}, [], []],
  ['other spaces', {}, { body: ' Hi  {{1}}.\n' }, [], []],
  ['another text', {}, { body: 'Hello {{1}}.' }, [], ['body']],
  ['a text that was not known', { body: null }, { body: 'Hello {{1}}.' }, [], []],
  ['a template without a body', {}, { body: null }, [], []],
  ['more variables', { body: null }, { body: '{{1}} {{2}}' }, [], ['variables']],
  ['fewer variables', { body: null }, { body: 'Hi' }, [], ['variables']],
  ['named variables', { body: null }, { body: '{{name}}', isNamed: true }, [], ['variables']],
  ['its first buttons', {}, { buttons: quick('חזרו אליי', 'להסרה') }, ['callback', 'stop'], []],
  [
    'known and unknown buttons',
    {},
    { buttons: [link, ...quick('?', ' STOP ')] },
    ['other', 'other', 'stop'],
    [],
  ],
  [
    'buttons that a person named',
    { buttons: ['callback'] },
    { buttons: quick('Yes') },
    ['callback'],
    [],
  ],
  ['no buttons any more', { buttons: ['callback'] }, {}, [], ['buttons']],
  [
    'one more button',
    { buttons: ['stop'] },
    { buttons: quick('stop', 'Yes') },
    ['stop', 'other'],
    ['buttons'],
  ],
  [
    'a link in place of a button',
    { buttons: ['stop'] },
    { buttons: [link] },
    ['other'],
    ['buttons'],
  ],
]
for (const [name, known, graph, buttons, differs] of FOLLOWED)
  await test(`Graph has ${name}`, t => {
    const stored = {
      body: 'Hi {{1}}.',
      buttons: [],
      variables: ['business_name'] as const,
      ...known,
    }
    const followed = followGraph(stored, listed(graph))
    t.strictSame([followed.buttons, followed.differs], [buttons, differs])
    t.end()
  })

const accountOf = ({ phoneNumberId }: Business): string => {
  const number = fake.numbers().find(one => one.phoneNumberId === phoneNumberId)
  if (!number) throw new Error('no such number')
  return number.wabaId
}
type Given = Partial<Parameters<typeof fake.addTemplate>[0]>

/** A business whose account has the default templates; `given` changes that of the first message. */
const shopWith = async (given: Given | null = {}, columns: Record<string, string> = {}) => {
  const shop = await business({ columns })
  const wabaId = accountOf(shop)
  for (const kind of KINDS) {
    const { name, text: body } = DEFAULT_TEMPLATES[kind]
    if (kind !== 'initial') fake.addTemplate({ wabaId, name, body })
    else if (given) fake.addTemplate({ wabaId, name, body, ...given })
  }
  return shop
}
const sync = async (shop: Business) => {
  const { json } = await answered(['template', 'sync', '--tenant', shop.tenantId, '--json'])
  return json
}
const initialOf = (shop: Business) =>
  db
    .selectFrom('whatsapp_templates')
    .selectAll()
    .where('tenant_id', '=', shop.tenantId)
    .where('kind', '=', 'initial')
    .executeTakeFirst()
const alertsOf = async ({ tenantId }: Business) => {
  await checkAlerts(600_000)
  const rows = await db
    .selectFrom('alerts')
    .select('kind')
    .where('tenant_id', '=', tenantId)
    .where('ended_at', 'is', null)
    .execute()
  return rows.map(({ kind }) => kind)
}
/** One POST of Meta's about the template of the first message. `after`: seconds from now. */
const told = async (
  shop: Business,
  event: string,
  after: number,
  {
    category = false,
    reason = 'NONE',
    name = 'ringback_missed_call',
    fields = {},
  }: { category?: boolean; reason?: string; name?: string; fields?: Record<string, unknown> } = {},
) => {
  const value = {
    message_template_name: name,
    message_template_language: 'he',
    ...(category ? { new_category: event } : { event, reason }),
    ...fields,
  }
  const field = category ? 'template_category_update' : 'message_template_status_update'
  const time = Math.floor(Date.now() / 1000) + after
  const entry = [{ id: accountOf(shop), time, changes: [{ field, value }] }]
  const { status } = await deliver({ object: 'whatsapp_business_account', entry })
  if (status !== 200) throw new Error(`not accepted: ${status}`)
  await work()
}

await test('sync stores what Meta has, and the message row has the text that the customer got', async t => {
  const body = 'שלום, כאן {{1}} מרחוב הרצל. התקשרת בשעה {{2}}, אפשר להשיב כאן.'
  const buttons = [{ text: 'חזרו אליי' }, { text: 'להסרה' }]
  const shop = await shopWith({ body, buttons })
  t.match(await sync(shop), {
    tenantId: shop.tenantId,
    problems: [],
    templates: KINDS.map(kind => ({
      kind,
      status: 'APPROVED',
      state: 'active',
      category: 'UTILITY',
      differs: kind === 'initial' ? ['body'] : [],
    })),
  })
  t.match(await initialOf(shop), {
    body,
    buttons: ['callback', 'stop'],
    button_labels: ['חזרו אליי', 'להסרה'],
    meta_status: 'APPROVED',
  })
  const who = customer()
  await miss(shop, who.local)
  await workAsIfDue()
  const [got] = fake.inbox(who.e164)
  t.match(got?.template?.buttons, [{ payload: 'ringback:callback' }, { payload: 'ringback:stop' }])
  const sent = await db
    .selectFrom('messages')
    .select(['text', 'template_name', 'template_language'])
    .where('tenant_id', '=', shop.tenantId)
    .where('kind', '=', 'initial')
    .executeTakeFirst()
  t.match(got?.text, /^שלום, כאן מספרת נועה מרחוב הרצל/)
  t.strictSame(sent, {
    text: got?.text,
    template_name: 'ringback_missed_call',
    template_language: 'he',
  })
})

await test('without a sync the text is that of the default template', async t => {
  const { shop, who } = await contacted()
  const { text } = await db
    .selectFrom('messages')
    .select('text')
    .where('tenant_id', '=', shop.tenantId)
    .where('kind', '=', 'initial')
    .executeTakeFirstOrThrow()
  const [got] = fake.inbox(who.e164)
  t.equal(text, filledText(BODY, got?.template?.parameters ?? []))
})

await test('sends follow Graph: fewer variables and no buttons, and an alert until a person has seen it', async t => {
  const shop = await shopWith({ body: 'שלום, כאן {{1}}. אפשר להשיב כאן.', parameters: 1 })
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, buttons)
    select tenant_id, id, 'initial', 'ringback_missed_call', 'he', '{business_name,call_time}', '{callback}'
    from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
  await sync(shop)
  t.match(await initialOf(shop), {
    state: 'active',
    buttons: [],
    differs: ['buttons', 'variables'],
  })
  t.strictSame(await alertsOf(shop), ['template_differs'])
  const who = customer()
  await miss(shop, who.local)
  await workAsIfDue()
  t.equal(fake.inbox(who.e164)[0]?.text, 'שלום, כאן מספרת נועה. אפשר להשיב כאן.')

  await sync(shop)
  t.strictSame(await alertsOf(shop), ['template_differs'], 'the buttons are the same now')
  const { json } = await answered(['template', 'resume', '--tenant', shop.tenantId, '--json'])
  t.match(json, { resumed: ['initial'] })
  t.strictSame(await alertsOf(shop), [])
})

await test('a template that the variables cannot fill is held, until Meta has another text', async t => {
  const shop = await shopWith({ body: 'שלום {{1}}, {{2}}, {{3}}.' })
  await sync(shop)
  t.match(await initialOf(shop), { state: 'paused', state_reason: 'template VARIABLES' })
  fake.addTemplate({ wabaId: accountOf(shop), name: 'ringback_missed_call', body: BODY })
  await sync(shop)
  t.match(await initialOf(shop), { state: 'active', state_reason: null })
})

const STATES: [given: Given | null, state: string, reason: string | null, alerts: string[]][] = [
  [{ status: 'APPROVED' }, 'active', null, []],
  [{ status: 'PENDING' }, 'paused', 'template PENDING', []],
  [{ status: 'REJECTED' }, 'paused', 'template REJECTED', ['template_paused']],
  [{ status: 'PAUSED' }, 'paused', 'template PAUSED', ['template_paused']],
  [{ status: 'NEW_WORD' }, 'active', null, []],
  [{ category: 'MARKETING' }, 'active', null, ['template_marketing']],
  [null, 'paused', 'template MISSING', ['template_paused']],
]
for (const [given, state, reason, alerts] of STATES)
  await test(`Graph says: ${JSON.stringify(given)}`, async t => {
    const shop = await shopWith(given)
    await sync(shop)
    t.match(await initialOf(shop), { state, state_reason: reason })
    t.strictSame(await alertsOf(shop), alerts)
  })

await test('messages wait for the approval, whether a webhook or Graph tells it', async t => {
  for (const how of ['webhook', 'Graph']) {
    const shop = await shopWith({ status: 'PENDING' })
    await sync(shop)
    const who = customer()
    await miss(shop, who.local)
    await workAsIfDue()
    t.equal(fake.inbox(who.e164).length, 0)
    fake.addTemplate({ wabaId: accountOf(shop), name: 'ringback_missed_call', body: BODY })
    if (how === 'webhook') await told(shop, 'APPROVED', 1)
    else await sync(shop)
    await workAsIfDue()
    t.equal(fake.inbox(who.e164).length, 1, how)
  }
})

type Told = [event: string, after: number]
const ORDERS: [name: string, status: string, before: Told[], after: Told[], state: string][] = [
  ['an older update comes after Graph', 'APPROVED', [], [['PAUSED', -60]], 'active'],
  ['a newer update comes after Graph', 'APPROVED', [], [['PAUSED', 1]], 'paused'],
  ['an update of the last seconds comes after Graph', 'PENDING', [], [['APPROVED', -2]], 'active'],
  ['an older update came before Graph', 'APPROVED', [['REJECTED', -60]], [], 'active'],
  ['an update came while Graph answered', 'PENDING', [['APPROVED', 0]], [], 'active'],
]
for (const [name, status, before, after, state] of ORDERS)
  await test(`${name}: the newest counts`, async t => {
    const shop = await shopWith({ status })
    await db
      .updateTable('whatsapp_connections')
      .set({ waba_id: accountOf(shop) })
      .where('tenant_id', '=', shop.tenantId)
      .execute()
    for (const [event, seconds] of before) await told(shop, event, seconds)
    await sync(shop)
    for (const [event, seconds] of after) await told(shop, event, seconds)
    t.equal((await initialOf(shop))?.state, state)
  })

await test('a rejection is stored with its reason', async t => {
  const shop = await shopWith({ status: 'REJECTED', rejectedReason: 'PROMOTIONAL' })
  await sync(shop)
  t.match(await initialOf(shop), { meta_status: 'REJECTED', meta_reason: 'PROMOTIONAL' })
  await told(shop, 'REJECTED', 1, { reason: 'INVALID_FORMAT' })
  t.match(await initialOf(shop), { meta_status: 'REJECTED', meta_reason: 'INVALID_FORMAT' })
  await told(shop, 'REINSTATED', 2)
  t.match(await initialOf(shop), { meta_status: 'APPROVED', meta_reason: null, state: 'active' })
})

const CATEGORIES: [name: string, category: string, before: Told[], after: Told[], is: string][] = [
  ['Graph after an older update', 'UTILITY', [['MARKETING', -60]], [], 'UTILITY'],
  ['Graph before an older update', 'UTILITY', [], [['MARKETING', -60]], 'UTILITY'],
  ['Graph before a newer update', 'UTILITY', [], [['MARKETING', 1]], 'MARKETING'],
  ['Graph alone', 'MARKETING', [], [], 'MARKETING'],
]
for (const [name, category, before, after, is] of CATEGORIES)
  await test(`the category: ${name}`, async t => {
    const shop = await shopWith({ category })
    await db
      .updateTable('whatsapp_connections')
      .set({ waba_id: accountOf(shop) })
      .where('tenant_id', '=', shop.tenantId)
      .execute()
    for (const [event, at] of before) await told(shop, event, at, { category: true })
    await sync(shop)
    for (const [event, at] of after) await told(shop, event, at, { category: true })
    t.equal((await initialOf(shop))?.category, is)
  })

/** What Meta tells about the category of a template that was UTILITY, in the fields of either update. */
const MARKETING_TOLD: [
  event: string,
  category: boolean,
  fields: Record<string, unknown>,
  is: string,
][] = [
  [
    'UTILITY',
    true,
    { correct_category: 'MARKETING', category_update_timestamp: 1_796_000_000 },
    'MARKETING',
  ],
  [
    'UTILITY',
    true,
    { correct_category: 'marketing', category_update_timestamp: null },
    'MARKETING',
  ],
  ['', true, { new_category: undefined, correct_category: 'MARKETING' }, 'MARKETING'],
  ['MARKETING', true, { previous_category: 'UTILITY' }, 'MARKETING'],
  ['MARKETING', true, { correct_category: 'UTILITY' }, 'MARKETING'],
  ['APPROVED', false, { message_template_category: 'MARKETING' }, 'MARKETING'],
  ['FLAGGED', false, { message_template_category: 'MARKETING' }, 'MARKETING'],
  ['UTILITY', true, { correct_category: 'UTILITY' }, 'UTILITY'],
  ['UTILITY', true, { correct_category: 7 }, 'UTILITY'],
  ['', true, { new_category: undefined, correct_category: 'UTILITY' }, 'UTILITY'],
  ['', true, { new_category: undefined }, 'UTILITY'],
  ['APPROVED', false, { message_template_category: 'UTILITY' }, 'UTILITY'],
  ['APPROVED', false, { message_template_category: null }, 'UTILITY'],
  ['FLAGGED', false, { message_template_category: 'UTILITY' }, 'UTILITY'],
]
for (const [event, category, fields, is] of MARKETING_TOLD)
  await test(`the category after ${event} with ${JSON.stringify(fields)}`, async t => {
    const shop = await shopWith({ category: 'UTILITY' })
    await sync(shop)
    await told(shop, event, 1, { category, fields })
    t.match(await initialOf(shop), { category: is, state: 'active', marketing_agreed: false })
    t.strictSame(await alertsOf(shop), is === 'MARKETING' ? ['template_marketing'] : [])
  })

await test('what a person agreed to is not asked again, and an approval does not take marketing back', async t => {
  const shop = await shopWith({ category: 'UTILITY' })
  await sync(shop)
  const approved = (after: number, category: string) =>
    told(shop, 'APPROVED', after, { fields: { message_template_category: category } })
  await told(shop, 'UTILITY', 1, { category: true, fields: { correct_category: 'MARKETING' } })
  await answered(['template', 'resume', '--tenant', shop.tenantId, '--json'])
  await told(shop, 'MARKETING', 2, { category: true })
  await approved(3, 'MARKETING')
  await approved(4, 'UTILITY')
  t.match(await initialOf(shop), { category: 'MARKETING', marketing_agreed: true })
  await told(shop, 'UTILITY', 5, { category: true })
  await approved(3, 'MARKETING')
  t.match(await initialOf(shop), { category: 'UTILITY' }, 'an older update changes nothing')
  await approved(6, 'MARKETING')
  t.match(await initialOf(shop), { category: 'MARKETING', marketing_agreed: false })
})

await test('a marketing price outweighs the category that Graph lists, and an agreement lasts', async t => {
  const shop = await shopWith({ category: 'UTILITY' })
  await sync(shop)
  const who = customer()
  await miss(shop, who.local)
  await workAsIfDue()
  const wamid = fake.inbox(who.e164)[0]?.wamid ?? ''
  await fake.sendStatus(wamid, { status: 'sent', fields: { pricing: { category: 'marketing' } } })
  await work()
  await sync(shop)
  t.match(await initialOf(shop), { category: 'MARKETING', marketing_agreed: false })
  await answered(['template', 'resume', '--tenant', shop.tenantId, '--json'])
  await sync(shop)
  t.match(await initialOf(shop), { category: 'MARKETING', marketing_agreed: true })
})

await test('a pause after an error of a send ends with an approval only if approval was the problem', async t => {
  for (const [code, state] of [
    [132001, 'active'],
    [132000, 'paused'],
  ] as const) {
    const shop = await shopWith()
    const who = customer()
    fake.script({ to: who.e164, outcome: { kind: 'error', code } })
    await miss(shop, who.local)
    await workAsIfDue()
    t.match(await initialOf(shop), { state: 'paused', state_reason: `WhatsApp error ${code}` })
    await sync(shop)
    t.equal((await initialOf(shop))?.state, state, String(code))
  }
})

await test('Graph lists many templates on several pages', async t => {
  const shop = await shopWith(null)
  const wabaId = accountOf(shop)
  for (let n = 0; n < 205; n++) fake.addTemplate({ wabaId, name: `other_${n}` })
  fake.addTemplate({ wabaId, name: 'ringback_missed_call', body: BODY })
  await sync(shop)
  t.match(await initialOf(shop), { meta_status: 'APPROVED' })
})

await test('Graph says nothing: the command says why, and nothing changes', async t => {
  const shop = await shopWith()
  const args = ['template', 'sync', '--tenant', shop.tenantId, '--json']
  const { token } = fake.addNumber({ phoneNumberId: shop.phoneNumberId, token: 'another one' })
  const refused = await tenant(args)
  t.match([refused.status, refused.stderr], [1, /does not accept the access token.* \(190\)/])
  t.equal(await initialOf(shop), undefined)
  t.notMatch(refused.stdout + refused.stderr, token)
  const none = await business({ connected: false })
  const unconnected = await tenant(['template', 'sync', '--tenant', none.tenantId])
  t.match([unconnected.status, unconnected.stderr], [1, /has no WhatsApp number/])
  t.equal((await tenant([...args, '--kind', 'initial'])).status, 2)
})

const submit = async (shop: Business) => {
  const { json } = await answered(['template', 'submit', '--tenant', shop.tenantId, '--json'])
  return json
}
const set = (shop: Business, ...args: string[]) =>
  answered(['set', '--tenant', shop.tenantId, ...args, '--json'])
const change = (shop: Business, ...args: string[]) =>
  answered(['template', '--tenant', shop.tenantId, ...args, '--json'])
const namesAt = (shop: Business) =>
  fake
    .templates(accountOf(shop))
    .map(({ name, language }) => `${name} ${language}`)
    .toSorted()

await test('submit creates each template once, also with two commands at once', async t => {
  const shop = await business()
  const results = await Promise.all([submit(shop), submit(shop)])
  for (const { problems } of results as { problems: unknown[] }[]) t.strictSame(problems, [])
  await submit(shop)
  t.strictSame(namesAt(shop), [
    'ringback_missed_call he',
    'ringback_owner_notice he',
    'ringback_reminder_1 he',
    'ringback_reminder_2 he',
  ])
  t.strictSame(
    fake
      .templates(accountOf(shop))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, category, ttlSeconds, body }) => [name, category, ttlSeconds, body]),
    [
      ['ringback_missed_call', 'UTILITY', 7200, DEFAULT_TEMPLATES.initial.text],
      ['ringback_owner_notice', 'UTILITY', 3600, DEFAULT_TEMPLATES.owner_notice.text],
      ['ringback_reminder_1', 'UTILITY', 43_200, DEFAULT_TEMPLATES.reminder_1.text],
      ['ringback_reminder_2', 'UTILITY', 43_200, DEFAULT_TEMPLATES.reminder_2.text],
    ],
  )
  t.match(await initialOf(shop), { meta_status: 'PENDING', state: 'paused', body: BODY })
  t.strictSame(await alertsOf(shop), [], 'to wait for a review is no problem')
})

await test('a call is held during the review, and answered after the approval', async t => {
  const shop = await business()
  await submit(shop)
  const who = customer()
  await miss(shop, who.local)
  await workAsIfDue()
  t.equal(fake.inbox(who.e164).length, 0)
  const { phoneNumberId } = shop
  await happens({
    kind: 'template_status',
    template: 'ringback_missed_call',
    event: 'APPROVED',
    phoneNumberId,
  })
  await workAsIfDue()
  t.match(fake.inbox(who.e164), [{ text: filledText(BODY, ['מספרת נועה']).slice(0, 20) }])
})

await test('submit creates the templates in every language, and the first is used', async t => {
  const shop = await business()
  await set(shop, '--languages', 'ar,en')
  const { submitted } = (await submit(shop)) as { submitted: object[] }
  t.equal(submitted.length, 8)
  t.equal(new Set(namesAt(shop)).size, 8)
  t.match(await initialOf(shop), { language: 'ar', body: /^مرحبًا/ })
  // The second language is ready: Graph tells its state within seconds.
  fake.addTemplate({
    wabaId: accountOf(shop),
    name: 'ringback_missed_call',
    language: 'en',
    body: 'Hello, this is {{1}}, {{2}}.',
  })
  await set(shop, '--languages', 'en')
  await work()
  t.match(await initialOf(shop), { language: 'en', meta_status: 'APPROVED', state: 'active' })
})

await test('a template with buttons is another one, with its own name and labels', async t => {
  const shop = await business()
  await change(shop, '--kind', 'initial', '--buttons', 'callback,stop')
  fake.setReview(accountOf(shop), { status: 'APPROVED' }, 'ringback_missed_call_callback_stop')
  await submit(shop)
  t.match(
    fake
      .templates(accountOf(shop))
      .find(({ name }) => name === 'ringback_missed_call_callback_stop'),
    { buttons: [{ text: 'חזרו אליי' }, { text: 'להסרה' }], body: /כאן ונחזור אליך\.$/ },
  )
  const who = customer()
  await miss(shop, who.local)
  await workAsIfDue()
  t.match(fake.inbox(who.e164)[0]?.template, {
    name: 'ringback_missed_call_callback_stop',
    buttons: [
      { text: 'חזרו אליי', payload: 'ringback:callback' },
      { text: 'להסרה', payload: 'ringback:stop' },
    ],
  })
  await change(shop, '--kind', 'initial', '--buttons', 'none')
  t.match(await initialOf(shop), { name: 'ringback_missed_call', buttons: [] })
})

await test('what Meta does not take is stored with its reason, and the rest is submitted', async t => {
  const shop = await business()
  await change(
    shop,
    '--kind',
    'initial',
    '--name',
    'our_own',
    '--body',
    'שלום, כאן {{1}}. התקשרת בשעה {{2}}, אפשר להשיב כאן.',
  )
  await sql`update whatsapp_templates set body = '{{1}} שלום' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const answer = await tenant(['template', 'submit', '--tenant', shop.tenantId, '--json'])
  t.equal(answer.status, 1)
  t.match(
    answer.stderr,
    /our_own \(he\): Meta did not take it \(100: Variables cannot be at the start/,
  )
  t.match(await initialOf(shop), { submit_error: /^100: Variables/, meta_status: 'MISSING' })
  t.equal(namesAt(shop).length, 3)
})

await test('a lost answer: the next command finds that Meta has the template', async t => {
  const shop = await business()
  await submit(shop)
  fake.removeTemplate(accountOf(shop), 'ringback_reminder_1')
  const { submitted } = (await submit(shop)) as { submitted: { name: string; result: string }[] }
  t.strictSame(submitted.map(({ result }) => result).toSorted(), [
    'exists',
    'exists',
    'exists',
    'submitted',
  ])
})

await test('a rejected template is resubmitted, with our text or another', async t => {
  const shop = await business()
  fake.setReview(
    accountOf(shop),
    { status: 'REJECTED', rejectedReason: 'PROMOTIONAL' },
    'ringback_missed_call',
  )
  await submit(shop)
  t.match(await initialOf(shop), { meta_status: 'REJECTED', meta_reason: 'PROMOTIONAL' })
  t.strictSame(await alertsOf(shop), ['template_paused'])
  fake.setReview(accountOf(shop), { status: 'PENDING' }, 'ringback_missed_call')
  const body = 'שלום, כאן {{1}}. התקשרת בשעה {{2}} ולא ענינו. אפשר להשיב כאן.'
  const args = ['template', 'resubmit', '--tenant', shop.tenantId, '--kind', 'initial']
  const { json } = await answered([...args, '--body', body, '--json'])
  t.match(json, { submitted: [{ name: 'ringback_missed_call', result: 'submitted' }] })
  t.match(await initialOf(shop), {
    body,
    meta_status: 'PENDING',
    meta_reason: null,
    state_reason: 'template PENDING',
    differs: [],
  })
  t.equal(
    fake.templates(accountOf(shop)).find(one => one.name === 'ringback_missed_call')?.body,
    body,
  )
  t.strictSame(await alertsOf(shop), [])
  const none = await tenant([...args.slice(0, -1), 'reminder_1'])
  t.equal(none.status, 1, 'Meta reviews it still')
})

const REFUSED: [args: string[], status: number, message: RegExp][] = [
  [['--kind', 'initial', '--body', 'שלום {{1}} ו-{{2}}.'], 1, /has a text of Ringback/],
  [['--kind', 'initial', '--name', 'a', '--body', '{{1}} שלום'], 2, /does not begin or end/],
  [['--kind', 'initial', '--name', 'a', '--body', 'א {{1}} {{2}} ב'], 2, /--body/],
  [['--kind', 'initial', '--name', 'a', '--body', 'א {{2}} ב'], 2, /in order/],
  [['--kind', 'initial', '--name', 'a', '--body', 'א {{1}} ב'], 1, /1 variables, and 2 are named/],
  [['--kind', 'initial', '--buttons', 'call'], 2, /--buttons: expected callback, stop/],
  [['--kind', 'initial', '--hours', 'noon'], 2, /--hours: expected open or closed/],
  [['--kind', 'initial', '--number', '0501234567', '--name', 'a'], 1, /is no number of tenant/],
  [['--kind', 'owner_notice', '--hours', 'open'], 2, /--kind: expected a kind of message for cust/],
  [['--body', 'a b c'], 2, /--kind: expected one of initial/],
]
await test('a template that cannot be like that is refused', async t => {
  const shop = await business()
  for (const [args, status, message] of REFUSED) {
    const answer = await tenant(['template', '--tenant', shop.tenantId, ...args])
    t.match(answer, { status, stderr: message }, args.join(' '))
  }
})

await test('the text of a template that Meta has is changed with resubmit only', async t => {
  const shop = await shopWith()
  const body = 'שלום, כאן {{1}}. התקשרת בשעה {{2}}, אפשר להשיב כאן.'
  fake.addTemplate({ wabaId: accountOf(shop), name: 'ours', body })
  await change(shop, '--kind', 'initial', '--name', 'ours', '--body', body)
  await sync(shop)
  const wish = ['--kind', 'initial', '--body', `${body} תודה.`]
  const { status, stderr } = await tenant(['template', '--tenant', shop.tenantId, ...wish])
  t.match([status, stderr], [1, /Meta has the template ours already/])
})

/** What Meta decides about a template, and what follows. */
const DECISIONS: [name: string, meta: Given, expected: object, alerts: string[]][] = [
  [
    'approved',
    { status: 'APPROVED' },
    { state: 'active', meta_status: 'APPROVED', state_reason: null },
    [],
  ],
  [
    'rejected',
    { status: 'REJECTED', rejectedReason: 'PROMOTIONAL' },
    { state: 'paused', state_reason: 'template REJECTED', meta_reason: 'PROMOTIONAL' },
    ['template_paused'],
  ],
  [
    'paused',
    { status: 'PAUSED' },
    { state: 'paused', state_reason: 'template PAUSED' },
    ['template_paused'],
  ],
  [
    'recategorised',
    { category: 'MARKETING' },
    { state: 'active', category: 'MARKETING', marketing_agreed: false },
    ['template_marketing'],
  ],
]
/** The nightly job. */
const night = async ({ tenantId }: Business) => {
  await sql`select graphile_worker.add_job('template_sync', json_build_object('tenantId', ${tenantId}::text))`.execute(
    db,
  )
  await work()
}
const PATHS = [['webhook'], ['night'], ['webhook', 'night'], ['night', 'webhook']] as const
for (const [name, meta, expected, alerts] of DECISIONS)
  for (const path of PATHS)
    await test(`${name}, told by ${path.join(', then ')}`, async t => {
      const shop = await business()
      await submit(shop)
      if (meta.status !== 'APPROVED') {
        for (const one of fake.templates(accountOf(shop)))
          fake.addTemplate({ ...one, status: 'APPROVED' })
        await night(shop)
      }
      const [template] = fake
        .templates(accountOf(shop))
        .filter(one => one.name === 'ringback_missed_call')
      if (!template) throw new Error('it was not submitted')
      // Meta has decided, whichever way tells it first.
      fake.addTemplate({ ...template, ...meta })
      for (const how of path)
        if (how === 'night') await night(shop)
        else
          await happens({
            ...(meta.category
              ? { kind: 'template_category', category: meta.category }
              : {
                  kind: 'template_status',
                  event: meta.status ?? '',
                  ...(meta.rejectedReason && { reason: meta.rejectedReason }),
                }),
            template: template.name,
            phoneNumberId: shop.phoneNumberId,
          })
      t.match(await initialOf(shop), expected)
      t.strictSame(await alertsOf(shop), alerts)
    })

await test('every night the templates of every business are asked for', async t => {
  const shop = await shopWith({ status: 'PAUSED' })
  const none = await business({ connected: false })
  await sql`select graphile_worker.add_job('template_sync', '{}', job_key := 'template_sync:all')`.execute(
    db,
  )
  await work()
  const { rows } = await sql<{ key: string }>`
    select key from graphile_worker.jobs where task_identifier = 'template_sync'`.execute(db)
  const keys = rows.map(({ key }) => key)
  t.ok(keys.includes(`template_sync:${shop.tenantId}`))
  t.notOk(keys.includes(`template_sync:${none.tenantId}`))
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs
            where key = ${`template_sync:${shop.tenantId}`}`.execute(db)
  await work()
  t.match(await initialOf(shop), { state: 'paused', state_reason: 'template PAUSED' })
})

const candidate = (name: string, fields: Partial<Candidate> = {}): Candidate => ({
  name,
  language: 'he',
  variables: [],
  number: null,
  hours: null,
  body: null,
  buttons: [],
  isActive: true,
  ...fields,
})
const north = '+97246001111'
const ALL = [
  candidate('any'),
  candidate('closed', { hours: 'closed' }),
  candidate('north', { number: north }),
  candidate('north closed', { number: north, hours: 'closed' }),
  candidate('south', { number: '+97286001111' }),
]
const without = (...names: string[]) =>
  ALL.map(one => ({ ...one, isActive: !names.includes(one.name) }))
type Moment = Parameters<typeof chooseTemplate>[3]
const CHOICES: [candidates: Candidate[], moment: Moment, chosen: string][] = [
  [ALL, { number: null, hours: null }, 'any'],
  [ALL, { number: null, hours: 'open' }, 'any'],
  [ALL, { number: null, hours: 'closed' }, 'closed'],
  [ALL, { number: north, hours: null }, 'north'],
  [ALL, { number: north, hours: 'open' }, 'north'],
  [ALL, { number: north, hours: 'closed' }, 'north closed'],
  [without('north closed'), { number: north, hours: 'closed' }, 'north'],
  [without('north closed', 'north'), { number: north, hours: 'closed' }, 'closed'],
  [without('north closed', 'north', 'closed'), { number: north, hours: 'closed' }, 'any'],
  [without('any', 'north', 'north closed', 'closed'), { number: north, hours: 'closed' }, 'any'],
  [
    [candidate('closed', { hours: 'closed' })],
    { number: null, hours: 'open' },
    'ringback_missed_call',
  ],
  [[], { number: north, hours: 'open' }, 'ringback_missed_call'],
]
await test('the most specific approved template is chosen', t => {
  for (const [candidates, moment, name] of CHOICES)
    t.equal(chooseTemplate(candidates, 'initial', 'he', moment).name, name, JSON.stringify(moment))
  t.equal(chooseTemplate([], 'reminder_1', 'ru', { number: null, hours: null }).language, 'ru')
  t.notOk(
    chooseTemplate([candidate('any', { isActive: false })], 'initial', 'he', {
      number: null,
      hours: null,
    }).isActive,
    'the message waits',
  )
  t.end()
})

// 2026-11-30 is a Monday.
const HOURS: [hours: string[], at: string, is: 'open' | 'closed' | null][] = [
  [[], '2026-11-30T10:00+02:00', null],
  [['09:00-18:00'], '2026-11-30T09:00+02:00', 'open'],
  [['09:00-18:00'], '2026-11-30T18:00+02:00', 'closed'],
  [['sun 09:00-sun 18:00'], '2026-11-30T10:00+02:00', 'closed'],
  [['mon 22:00-tue 02:00'], '2026-12-01T01:59+02:00', 'open'],
  // Summer time.
  [['09:00-18:00'], '2026-08-03T06:00Z', 'open'],
]
await test('open and closed hours follow the local time', t => {
  for (const [hours, at, is] of HOURS)
    t.equal(hoursAt(new Date(at), hours, 'Asia/Jerusalem'), is, `${hours.join()} ${at}`)
  t.end()
})

await test('two numbers and two times of day choose four templates', async t => {
  const shop = await business()
  const second = `073${shop.did.slice(3)}`
  await answered(['number', 'add', '--tenant', shop.tenantId, '--number', second, '--json'])
  const wabaId = accountOf(shop)
  const text = (word: string) => `שלום, כאן {{1}}, ${word}. התקשרת בשעה {{2}}, אפשר להשיב כאן.`
  const own = ['--kind', 'initial']
  await change(shop, ...own, '--hours', 'closed')
  await change(shop, ...own, '--number', second, '--name', 'second', '--body', text('סניף'))
  await change(
    shop,
    ...own,
    '--number',
    second,
    '--hours',
    'closed',
    '--name',
    'second_closed',
    '--body',
    text('סניף סגור'),
  )
  fake.setReview(wabaId, { status: 'APPROVED' })
  await submit(shop)
  t.equal(fake.templates(wabaId).length, 7)
  const sentTo = async (did: string) => {
    const who = customer()
    await miss({ ...shop, did }, who.local)
    await workAsIfDue()
    return fake.inbox(who.e164)[0]?.template?.name
  }
  // Now is within the one window, and not within the other.
  const minutes = (offset: number) =>
    DateTime.now().setZone('Asia/Jerusalem').plus({ minutes: offset }).toFormat('HH:mm')
  await set(shop, '--opening-hours', `${minutes(-30)}-${minutes(30)}`)
  t.strictSame([await sentTo(shop.did), await sentTo(second)], ['ringback_missed_call', 'second'])
  await set(shop, '--opening-hours', `${minutes(60)}-${minutes(90)}`)
  t.strictSame(
    [await sentTo(shop.did), await sentTo(second)],
    ['ringback_missed_call_closed', 'second_closed'],
  )
  await told(shop, 'PAUSED', 1, { name: 'second_closed' })
  t.equal(await sentTo(second), 'second', 'a template that is not approved is passed over')
  await change(shop, ...own, '--number', second, '--default')
  t.equal(await sentTo(second), 'ringback_missed_call_closed')
  await set(shop, '--no-opening-hours')
  t.equal(await sentTo(second), 'ringback_missed_call')
})

await test('opening hours are read and written by days', async t => {
  const shop = await business()
  const hours = ['Sun-Thu 09:00-18:00', 'fri 09:00-13:00', 'sat 20:00-02:00']
  const written = await set(shop, ...hours.flatMap(one => ['--opening-hours', one]))
  t.match(written.json, {
    after: { openingHours: ['sun-thu 09:00-18:00', 'fri 09:00-13:00', 'sat 20:00-02:00'] },
  })
  const { opening_hours } = await db
    .selectFrom('tenants')
    .select('opening_hours')
    .where('id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  t.equal(opening_hours.length, 7)
  t.equal(opening_hours.at(-1), 'sat 20:00-sun 02:00')
  for (const wrong of ['9:00-18:00', 'shabbat', 'sun', '25:00-26:00', 'sun-foo 09:00-18:00'])
    t.equal((await tenant(['set', '--tenant', shop.tenantId, '--opening-hours', wrong])).status, 2)
})

await test('our texts keep to the rules of Meta, in every language and variant', t => {
  for (const kind of KINDS)
    for (const language of LANGUAGES)
      for (const hours of [null, 'closed'] as const)
        for (const buttons of [[], ['callback'], ['stop'], ['callback', 'stop']] as const) {
          const { text, name, variables, labels } = ownTemplate(kind, { language, hours, buttons })
          t.notMatch(text, /^{{|}}$|}}\s*{{|\s\s/)
          t.equal(placeholdersIn(text), variables.length)
          t.ok(text.length < 550)
          t.ok(labels.every(label => label.length <= 20))
          t.same(ownTemplateNamed(kind, name, language)?.text, text)
          if (kind === 'owner_notice') continue
          const word = text.match(/[:：] ?(\S+)$/)?.[1]
          const isStop = word !== undefined && parseKeyword(word) === 'stop'
          t.equal(isStop, !(buttons as readonly string[]).includes('stop'), `${language}: ${text}`)
          t.ok(labels.every((label, at) => buttons[at] !== 'stop' || isStopPayload(label)))
        }
  t.end()
})

await test('who opts out is told so in the language of the business', async t => {
  for (const [language, word, text] of [
    ['ru', 'Стоп', /^Вы удалены/],
    ['ar', 'إيقاف', /^تمت إزالتك/],
    ['he', 'הסר', /^הוסרת/],
  ] as const) {
    const { shop, who } = await contacted()
    await set(shop, '--languages', language)
    await happens({ kind: 'text', from: who.e164, phoneNumberId: shop.phoneNumberId, text: word })
    t.match(fake.inbox(who.e164).at(-1)?.text, text)
  }
})
