/** WhatsApp numbers, their templates, and the test message. */
import { sql } from 'kysely'
import { test } from 'tap'
import { localNumber } from '../../app/phone.ts'
import { connect, newConnection, setConnectionState } from '../../app/tenants/connections.ts'
import { templateChange } from '../../app/tenants/template_change.ts'
import { changeTemplate } from '../../app/tenants/templates.ts'
import { sendTestMessage, testMessageState } from '../../app/tenants/test_message.ts'
import {
  business,
  type Business,
  contents,
  customer,
  db,
  fake,
  jobDue,
  messagesOf,
  outreachOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { reports } from '../support/whatsapp.ts'
import { miss, requestsOf, runAtOnce, until } from '../tasks/support.ts'
import { act, auditSince, OPERATOR, refusalOf } from './support.ts'

const connectionOf = (tenantId: string) =>
  db
    .selectFrom('whatsapp_connections')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
type Kind = Parameters<typeof changeTemplate>[2]['kind']
const template = (tenantId: string, kind: Kind, wish: object) =>
  act(trx =>
    changeTemplate(trx, OPERATOR, { ...templateChange.parse({ tenantId, kind, ...wish }), kind }),
  )

await test('messages of a paused number are held, and sent after it is resumed', async t => {
  const shop = await business()
  const { tenantId, phoneNumberId } = shop
  const written = await auditSince(tenantId)
  const set = (state: 'paused' | 'active') =>
    act(trx => setConnectionState(trx, OPERATOR, { tenantId, phoneNumberId, state }))
  t.strictSame(await set('paused'), { changed: true })
  t.strictSame(await set('paused'), { changed: false })
  const { id, state, state_reason } = await connectionOf(tenantId)
  t.strictSame([state, state_reason], ['paused', 'by_operator'])
  const call = await miss(shop, customer().local)
  await workAsIfDue()
  t.strictSame(await outreachOf(tenantId, call.callId), ['scheduled', 'connection_paused'])
  t.strictSame(await set('active'), { changed: true })
  await jobDue(`lead_outreach:${call.id}`)
  t.strictSame(await outreachOf(tenantId, call.callId), ['sent', 'accepted'])
  const paused = { state: 'paused', reason: 'by_operator' }
  const active = { state: 'active', reason: null }
  t.strictSame(await written(), [
    ['operator', 'connection.pause', `whatsapp_connections ${id}`, active, paused],
    ['operator', 'connection.resume', `whatsapp_connections ${id}`, paused, active],
  ])
})

await test('a number that was paused after a WhatsApp error keeps its reason, and can be resumed', async t => {
  const { tenantId, phoneNumberId } = await business()
  await db
    .updateTable('whatsapp_connections')
    .set({ state: 'paused', state_reason: 'WhatsApp error 190' })
    .where('tenant_id', '=', tenantId)
    .execute()
  const set = (state: 'paused' | 'active') =>
    act(trx => setConnectionState(trx, OPERATOR, { tenantId, phoneNumberId, state }))
  t.strictSame(await set('paused'), { changed: false })
  t.equal((await connectionOf(tenantId)).state_reason, 'WhatsApp error 190')
  await set('active')
  t.match(await connectionOf(tenantId), { state: 'active', state_reason: null })
})

await test("another business's WhatsApp number cannot be changed", async t => {
  const [mine, theirs] = [await business(), await business()]
  const before = await contents()
  const { phoneNumberId } = theirs
  const wish = { tenantId: mine.tenantId, phoneNumberId, state: 'paused' } as const
  t.strictSame(await refusalOf(trx => setConnectionState(trx, OPERATOR, wish)), ['not_found', null])
  const taken = newConnection.parse({ tenantId: mine.tenantId, phoneNumberId, accessToken: 'x' })
  t.strictSame(await refusalOf(trx => connect(trx, OPERATOR, taken)), [
    'connection_taken',
    'phoneNumberId',
  ])
  t.strictSame(await contents(), before)
})

await test('of two businesses that connect one number at the same time, the second is refused', async t => {
  const [first, second] = [
    await business({ connected: false }),
    await business({ connected: false }),
  ]
  const { phoneNumberId, token } = fake.addNumber()
  const wish = ({ tenantId }: Business) =>
    newConnection.parse({
      tenantId,
      phoneNumberId,
      accessToken: token,
      whatsappNumber: '0502345678',
    })
  const refused = await db.transaction().execute(async trx => {
    await connect(trx, OPERATOR, wish(first))
    const refusal = refusalOf(other => connect(other, OPERATOR, wish(second)))
    await until(async () => {
      const { rows } = await sql`
        select from pg_stat_activity
        where datname = current_database() and wait_event = 'transactionid' and query like 'insert into%'`.execute(
        db,
      )
      return rows.length > 0
    })
    return { refusal }
  })
  t.strictSame(await refused.refusal, ['connection_taken', 'phoneNumberId'])
  t.equal((await connectionOf(first.tenantId)).phone_number_id, phoneNumberId)
})

await test('connecting a number and replacing its access token is audited without the token', async t => {
  const { tenantId } = await business({ connected: false })
  const written = await auditSince(tenantId)
  const { phoneNumberId } = fake.addNumber()
  const give = (wish: object) =>
    act(trx => connect(trx, OPERATOR, newConnection.parse({ tenantId, phoneNumberId, ...wish })))
  const unknown = newConnection.parse({ tenantId, phoneNumberId, accessToken: 'x' })
  t.strictSame(await refusalOf(trx => connect(trx, OPERATOR, unknown)), [
    'number_missing',
    'whatsappNumber',
  ])
  const { connectionId: id } = await give({
    accessToken: 'first-secret',
    whatsappNumber: '0502345678',
  })
  await act(trx => setConnectionState(trx, OPERATOR, { tenantId, phoneNumberId, state: 'paused' }))
  await give({ accessToken: 'second-secret' })
  const rows = await written()
  t.strictSame(
    rows.map(([, action, subject]) => [action, subject]),
    ['connection.add', 'connection.pause', 'connection.set'].map(action => [
      action,
      `whatsapp_connections ${id}`,
    ]),
  )
  t.strictSame(rows[0]?.slice(3), [
    null,
    {
      phoneNumberId,
      displayNumber: '+972502345678',
      state: 'active',
      reason: null,
      accessToken: 'new',
    },
  ])
  t.strictSame(rows[2]?.slice(3), [
    { state: 'paused', reason: 'by_operator' },
    { state: 'active', reason: null, accessToken: 'new' },
  ])
  t.notMatch(JSON.stringify(rows), /secret/)
})

await test('a template is changed for every number, and only the changes are audited', async t => {
  const shop = await business()
  const { tenantId } = shop
  const second = fake.addNumber()
  const added = {
    tenantId,
    phoneNumberId: second.phoneNumberId,
    whatsappNumber: '0502345670',
    accessToken: 'x',
  }
  await act(trx => connect(trx, OPERATOR, newConnection.parse(added)))
  const written = await auditSince(tenantId)
  await template(tenantId, 'initial', { name: 'hello', variables: ['business_name', 'call_time'] })
  await template(tenantId, 'initial', { name: 'hello' })
  const before = { kind: 'initial', name: 'ringback_missed_call' }
  const after = { kind: 'initial', name: 'hello' }
  const first = await written()
  t.strictSame(
    first.map(([, action, , ...change]) => [action, ...change]),
    [1, 2].map(() => ['template.set', before, after]),
  )
  t.equal(new Set(first.map(([, , subject]) => subject)).size, 2, 'one entry for each number')
  await template(tenantId, 'initial', { backToDefault: true })
  t.strictSame(
    (await written()).slice(2).map(([, , , ...change]) => change),
    [1, 2].map(() => [after, before]),
  )
})

await test('without a WhatsApp number no template can be set', async t => {
  const { tenantId } = await business({ connected: false })
  const wish = {
    ...templateChange.parse({ tenantId, kind: 'initial', name: 'a' }),
    kind: 'initial' as const,
  }
  t.strictSame(await refusalOf(trx => changeTemplate(trx, OPERATOR, wish)), ['no_connection', null])
  const unknown = { ...wish, tenantId: '999999' }
  t.strictSame(await refusalOf(trx => changeTemplate(trx, OPERATOR, unknown)), ['not_found', null])
})

/** A business with an owner's phone. */
const owned = async (mode: 'live' | 'shadow' | 'paused' = 'live') => {
  const owner = customer().e164
  const shop = await business({ mode, columns: { owner_phone: owner } })
  return { shop, owner, got: () => fake.inbox(owner).map(({ template }) => template) }
}
const queue = ({ tenantId }: Business) => act(trx => sendTestMessage(trx, OPERATOR, tenantId))
const send = async (shop: Business) => {
  const { messageId } = await queue(shop)
  await work()
  return messageId
}
/** [state, reason, code] of a test message. */
const stateOf = async ({ tenantId }: Business, messageId: string) => {
  const { state, reason, code } = await act(trx => testMessageState(trx, { tenantId, messageId }))
  return [state, reason, code]
}
const refusal = ({ tenantId }: Business) =>
  refusalOf(trx => sendTestMessage(trx, OPERATOR, tenantId))
/** Moves the messages of a business one minute into the past. */
const later = ({ tenantId }: Business) =>
  sql`update messages set created_at = created_at - interval '1 minute' where tenant_id = ${tenantId}`.execute(
    db,
  )

for (const mode of ['live', 'shadow', 'paused'] as const)
  await test(`in mode ${mode} the test message arrives as customers would get it`, async t => {
    const { shop, owner, got } = await owned(mode)
    const written = await auditSince(shop.tenantId)
    const id = await send(shop)
    t.strictSame(await stateOf(shop, id), ['accepted', null, null])
    t.match(got(), [{ name: 'ringback_missed_call', parameters: ['מספרת נועה', /^\d\d:\d\d$/] }])
    t.match(fake.inbox(owner), [{ phoneNumberId: shop.phoneNumberId }])
    t.strictSame(await written(), [
      [
        'operator',
        'test_message.send',
        `messages ${id}`,
        null,
        { phoneNumberId: shop.phoneNumberId },
      ],
    ])
  })

await test('a business in shadow sends only the test message', async t => {
  const { shop } = await owned('shadow')
  const who = customer()
  const { callId } = await miss(shop, who.local)
  await send(shop)
  await workAsIfDue()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'shadow'])
  t.strictSame(fake.inbox(who.e164), [])
  t.equal(requestsOf(shop).length, 1)
})

await test("the test message uses the business's own template", async t => {
  const { shop, owner, got } = await owned()
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables)
    select tenant_id, id, 'initial', 'hello', 'en', '{caller_phone,caller_name,business_name}' from whatsapp_connections
    where tenant_id = ${shop.tenantId}`.execute(db)
  await send(shop)
  t.match(got(), [{ name: 'hello', parameters: [localNumber(owner), 'a customer', 'מספרת נועה'] }])
})

await test('a job that runs again does not send the test message again', async t => {
  const { shop, got } = await owned()
  const id = await send(shop)
  for (const _ of [1, 2])
    await sql`select graphile_worker.add_job('owner_notice', json_build_object('messageId', ${id}::text))`.execute(
      db,
    )
  await work()
  t.equal(got().length, 1)
})

await test('without an answer the test message is unknown, until WhatsApp reports its state', async t => {
  const { shop, owner, got } = await owned()
  fake.script({ to: owner, outcome: { kind: 'http', status: 502, accept: true } })
  const id = await send(shop)
  t.strictSame(await stateOf(shop, id), ['unknown', 'http_502', null])
  await later(shop)
  await work()
  t.equal(got().length, 1, 'it is not sent again')
  await reports(fake.inbox(owner)[0]?.wamid ?? '', { status: 'delivered' })
  t.strictSame(await stateOf(shop, id), ['delivered', null, null])
})

await test('if the sender dies, the test message is unknown', async t => {
  const { shop, got } = await owned()
  const { messageId } = await queue(shop)
  await sql`update messages set state = 'sending', claimed_at = now() - interval '1 minute', attempts = 1
            where id = ${messageId}`.execute(db)
  await work()
  t.strictSame(await stateOf(shop, messageId), ['unknown', 'sender_died', null])
  t.strictSame(got(), [])
})

for (const code of [190, 132001, 131026, 131000, 130429, 131050])
  await test(`WhatsApp error ${code} fails the test message and changes nothing else`, async t => {
    const { shop, owner } = await owned()
    fake.script({ to: owner, times: 'always', outcome: { kind: 'error', code } })
    const id = await send(shop)
    t.strictSame(await stateOf(shop, id), ['failed', 'error_code', code])
    await runAtOnce(`owner_notice:${id}`)
    await work()
    t.equal(requestsOf(shop).length, 1)
    const who = customer()
    const { callId } = await miss(shop, who.local)
    await workAsIfDue()
    t.strictSame(
      await outreachOf(shop.tenantId, callId),
      ['sent', 'accepted'],
      'customers still get messages',
    )
    t.strictSame(
      await db.selectFrom('opt_outs').select('id').where('tenant_id', '=', shop.tenantId).execute(),
      [],
    )
  })

await test('a report that the test message failed pauses nothing', async t => {
  const { shop, owner } = await owned()
  const id = await send(shop)
  const wamid = fake.inbox(owner)[0]?.wamid ?? ''
  for (const code of [190, 132015]) await reports(wamid, { status: 'failed', code })
  t.strictSame(await stateOf(shop, id), ['failed', 'reported', 190])
  t.match(
    await db
      .selectFrom('whatsapp_connections')
      .select('state')
      .where('tenant_id', '=', shop.tenantId)
      .execute(),
    [{ state: 'active' }],
  )
  t.strictSame(
    await db
      .selectFrom('whatsapp_templates')
      .selectAll()
      .where('name', '=', 'ringback_missed_call')
      .execute(),
    [],
  )
})

await test('at most one test message a minute is sent', async t => {
  const { shop, got } = await owned()
  await queue(shop)
  const before = await contents()
  t.strictSame(await refusal(shop), ['too_soon', null])
  t.strictSame(await contents(), before)
  await later(shop)
  await queue(shop)
  await work()
  t.equal(got().length, 2)
  await later(shop)
  const ends = await Promise.allSettled([queue(shop), queue(shop), queue(shop)])
  t.strictSame(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected', 'rejected'])
})

await test('without an owner’s phone, an active number or an active template, no test message is queued', async t => {
  t.strictSame(await refusal(await business()), ['no_owner_phone', null])
  const columns = { owner_phone: customer().e164 }
  t.strictSame(await refusal(await business({ connected: false, columns })), [
    'no_connection',
    null,
  ])
  const { shop } = await owned()
  const connections = db.updateTable('whatsapp_connections').where('tenant_id', '=', shop.tenantId)
  await connections.set({ state: 'paused' }).execute()
  t.strictSame(await refusal(shop), ['no_connection', null])
  await connections.set({ state: 'active' }).execute()
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, state, state_reason)
    select tenant_id, id, 'initial', 'a', 'he', '{business_name}', 'paused', 'template PAUSED' from whatsapp_connections
    where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(await refusal(shop), ['template_paused', null])
  t.strictSame(await messagesOf(shop.tenantId), [])
  t.strictSame(await refusal({ ...shop, tenantId: '999999' }), ['not_found', null])
})

await test('an owner who wrote "stop" gets no test message', async t => {
  const { shop, owner, got } = await owned()
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone: owner, source: 'typed' })
    .execute()
  t.strictSame(await stateOf(shop, await send(shop)), ['skipped', 'opted_out', null])
  t.strictSame(got(), [])
})

await test('a test message that waited too long for a worker is not sent', async t => {
  const { shop, got } = await owned()
  const { messageId } = await queue(shop)
  await sql`update messages set due_at = now() - interval '31 minutes' where id = ${messageId}`.execute(
    db,
  )
  await work()
  t.strictSame(await stateOf(shop, messageId), ['skipped', 'too_late', null])
  t.strictSame(got(), [])
})

await test('only test messages of the business itself can be read', async t => {
  const [mine, theirs] = [await owned(), await owned()]
  const messageId = await send(theirs.shop)
  const look = (tenantId: string, id: string) =>
    refusalOf(trx => testMessageState(trx, { tenantId, messageId: id }))
  t.strictSame(await look(mine.shop.tenantId, messageId), ['not_found', null])
  const { id } = await db
    .insertInto('messages')
    .values({
      tenant_id: mine.shop.tenantId,
      direction: 'out',
      kind: 'owner_notice',
      state: 'skipped',
      occasion: 'reply:1',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  t.strictSame(
    await look(mine.shop.tenantId, id),
    ['not_found', null],
    'an owner notice is no test message',
  )
})
