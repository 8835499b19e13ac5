/** The first message, to the owner's own phone: how a business is tried before it goes live. */
import { sql } from 'kysely'
import { test } from 'tap'
import {
  business,
  type Business,
  contents,
  customer,
  db,
  fake,
  messagesOf,
  outreachOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { reports } from '../support/whatsapp.ts'
import { miss, requestsOf, runAtOnce } from '../tasks/support.ts'
import { act, auditSince, OPERATOR, refusalOf } from './support.ts'
import { testMessage, testMessageState } from '../../app/tenants/test_message.ts'

/** A business whose owner can be written to. */
const owned = async (mode: 'live' | 'shadow' | 'paused' = 'live') => {
  const owner = customer().e164
  const shop = await business({ mode, columns: { owner_phone: owner } })
  return { shop, owner, got: () => fake.inbox(owner).map(({ template }) => template) }
}
const queue = ({ tenantId }: Business) => act(trx => testMessage(trx, OPERATOR, tenantId))
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
const refusal = ({ tenantId }: Business) => refusalOf(trx => testMessage(trx, OPERATOR, tenantId))
/** A minute passes. */
const later = ({ tenantId }: Business) =>
  sql`update messages set created_at = created_at - interval '1 minute' where tenant_id = ${tenantId}`.execute(
    db,
  )

for (const mode of ['live', 'shadow', 'paused'] as const)
  await test(`it arrives in mode ${mode}, as customers would get it`, async t => {
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

await test('a business in shadow sends its test and nothing else', async t => {
  const { shop } = await owned('shadow')
  const who = customer()
  const { callId } = await miss(shop, who.local)
  await send(shop)
  await workAsIfDue()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'shadow'])
  t.strictSame(fake.inbox(who.e164), [])
  t.equal(requestsOf(shop).length, 1)
})

await test("it is filled with the business's own template", async t => {
  const { shop, owner, got } = await owned()
  await sql`
    insert into whatsapp_templates (whatsapp_connection_id, kind, name, language, variables)
    select id, 'initial', 'hello', 'en', '{caller_phone,caller_name,business_name}' from whatsapp_connections
    where tenant_id = ${shop.tenantId}`.execute(db)
  await send(shop)
  t.match(got(), [{ name: 'hello', parameters: [owner, 'לקוח/ה', 'מספרת נועה'] }])
})

await test('nothing twice: a job that runs again finds it sent', async t => {
  const { shop, got } = await owned()
  const id = await send(shop)
  for (const _ of [1, 2])
    await sql`select graphile_worker.add_job('owner_notice', json_build_object('messageId', ${id}::text))`.execute(
      db,
    )
  await work()
  t.equal(got().length, 1)
})

await test('what nobody answers for is unknown, and settled when WhatsApp reports on it', async t => {
  const { shop, owner, got } = await owned()
  fake.script({ to: owner, outcome: { kind: 'http', status: 502, accept: true } })
  const id = await send(shop)
  t.strictSame(await stateOf(shop, id), ['unknown', 'http_502', null])
  await later(shop)
  await work()
  t.equal(got().length, 1, 'and not sent again')
  await reports(fake.inbox(owner)[0]?.wamid ?? '', { status: 'delivered' })
  t.strictSame(await stateOf(shop, id), ['delivered', null, null])
})

/** A claim whose sender has died. */
await test('a sender that dies leaves it unknown', async t => {
  const { shop, got } = await owned()
  const { messageId } = await queue(shop)
  await sql`update messages set state = 'sending', claimed_at = now() - interval '1 minute', attempts = 1
            where id = ${messageId}`.execute(db)
  await work()
  t.strictSame(await stateOf(shop, messageId), ['unknown', 'sender_died', null])
  t.strictSame(got(), [])
})

for (const code of [190, 132001, 131026, 131000, 130429, 131050])
  await test(`refused with ${code} it has failed, once, and nothing else is changed by it`, async t => {
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
      'customers are written to',
    )
    t.strictSame(
      await db.selectFrom('opt_outs').select('id').where('tenant_id', '=', shop.tenantId).execute(),
      [],
    )
  })

await test('reported as failed, it pauses nothing either', async t => {
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

await test('at most one a minute', async t => {
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

await test('without anybody to write to, or anything to write from, it says so', async t => {
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
    insert into whatsapp_templates (whatsapp_connection_id, kind, name, language, variables, state, state_reason)
    select id, 'initial', 'a', 'he', '{business_name}', 'paused', 'template PAUSED' from whatsapp_connections
    where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(await refusal(shop), ['template_paused', null])
  t.strictSame(await messagesOf(shop.tenantId), [])
  t.strictSame(await refusal({ ...shop, tenantId: '999999' }), ['not_found', null])
})

await test('an owner who wrote "stop" is left alone', async t => {
  const { shop, owner, got } = await owned()
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone: owner, source: 'typed' })
    .execute()
  t.strictSame(await stateOf(shop, await send(shop)), ['skipped', 'opted_out', null])
  t.strictSame(got(), [])
})

await test('one that waited too long for a worker is not sent any more', async t => {
  const { shop, got } = await owned()
  const { messageId } = await queue(shop)
  await sql`update messages set due_at = now() - interval '31 minutes' where id = ${messageId}`.execute(
    db,
  )
  await work()
  t.strictSame(await stateOf(shop, messageId), ['skipped', 'too_late', null])
  t.strictSame(got(), [])
})

await test('only a test of the business itself can be looked at', async t => {
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
  t.strictSame(await look(mine.shop.tenantId, id), ['not_found', null], 'another notice')
})
