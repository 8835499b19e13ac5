/** A WhatsApp number is paused and goes on, its token and its templates change: by hand, and written down. */
import { test } from 'tap'
import {
  business,
  contents,
  customer,
  db,
  fake,
  jobDue,
  outreachOf,
  workAsIfDue,
} from '../support/ringback.ts'
import { miss } from '../tasks/support.ts'
import { act, auditSince, OPERATOR, refusalOf } from './support.ts'
import { change, changeTemplate } from '../../app/tenants/templates.ts'
import { connect, connection, setConnectionState } from '../../app/tenants/connections.ts'
const connectionOf = (tenantId: string) =>
  db
    .selectFrom('whatsapp_connections')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
type Kind = Parameters<typeof changeTemplate>[2]['kind']
const template = (tenantId: string, kind: Kind, wish: object) =>
  act(trx => changeTemplate(trx, OPERATOR, { ...change.parse({ tenantId, kind, ...wish }), kind }))

await test('what would go out through a paused number is held, and goes out after', async t => {
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

await test('one that WhatsApp made us pause keeps its reason, and can go on', async t => {
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

await test("another business's number is not there", async t => {
  const [mine, theirs] = [await business(), await business()]
  const before = await contents()
  const { phoneNumberId } = theirs
  const wish = { tenantId: mine.tenantId, phoneNumberId, state: 'paused' } as const
  t.strictSame(await refusalOf(trx => setConnectionState(trx, OPERATOR, wish)), ['not_found', null])
  const taken = connection.parse({ tenantId: mine.tenantId, phoneNumberId, accessToken: 'x' })
  t.strictSame(await refusalOf(trx => connect(trx, OPERATOR, taken)), [
    'connection_taken',
    'phoneNumberId',
  ])
  t.strictSame(await contents(), before)
})

await test('a number and a new token for it are written down, the token is not', async t => {
  const { tenantId } = await business({ connected: false })
  const written = await auditSince(tenantId)
  const { phoneNumberId } = fake.addNumber()
  const give = (wish: object) =>
    act(trx => connect(trx, OPERATOR, connection.parse({ tenantId, phoneNumberId, ...wish })))
  const unknown = connection.parse({ tenantId, phoneNumberId, accessToken: 'x' })
  t.strictSame(await refusalOf(trx => connect(trx, OPERATOR, unknown)), [
    'number_missing',
    'whatsappNumber',
  ])
  const id = await give({ accessToken: 'first-secret', whatsappNumber: '0502345678' })
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

await test('a template is changed for every number, and only what changed is written down', async t => {
  const shop = await business()
  const { tenantId } = shop
  const second = fake.addNumber()
  const added = {
    tenantId,
    phoneNumberId: second.phoneNumberId,
    whatsappNumber: '0502345670',
    accessToken: 'x',
  }
  await act(trx => connect(trx, OPERATOR, connection.parse(added)))
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
  t.equal(new Set(first.map(([, , subject]) => subject)).size, 2, 'of both numbers')
  await template(tenantId, 'initial', { backToDefault: true })
  t.strictSame(
    (await written()).slice(2).map(([, , , ...change]) => change),
    [1, 2].map(() => [after, before]),
  )
})

await test('a template needs a number to be written from', async t => {
  const { tenantId } = await business({ connected: false })
  const wish = {
    ...change.parse({ tenantId, kind: 'initial', name: 'a' }),
    kind: 'initial' as const,
  }
  t.strictSame(await refusalOf(trx => changeTemplate(trx, OPERATOR, wish)), ['no_connection', null])
  const nobody = { ...wish, tenantId: '999999' }
  t.strictSame(await refusalOf(trx => changeTemplate(trx, OPERATOR, nobody)), ['not_found', null])
})
