/** The token of a delivery: who may post call records, and for which business. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { sha256 } from '../../app/crypto.ts'
import { ingest } from '../../app/voicenter/ingest.ts'
import { readDelivery } from '../../app/voicenter/body.ts'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  CDR,
  contents,
  customer,
  db,
  missedCall,
  OK,
  post,
  rejectedOf,
  verdictsOf,
  webhookToken,
  work,
} from '../support/ringback.ts'

const UNAUTHORIZED = { status: 401, body: { Err: 1, Errdesc: 'wrong or missing token' } }
const basic = (password: string, user = 'voicenter') =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const withAuthorization = (authorization: string, token?: string) => ({
  headers: { 'content-type': 'application/json', authorization },
  ...(token !== undefined && { token }),
})

const revoke = (token: string) =>
  db
    .updateTable('webhook_tokens')
    .set({ revoked_at: new Date() })
    .where('hash', '=', sha256(token))
    .execute()

// This must be the first test of the file, because no token may exist yet.
await t.test('until the first token exists, a delivery without a token is accepted', async t => {
  const record = push()
  t.strictSame(await post(record), OK)
  t.match(
    await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', record.ivruniqueid).execute(),
    [{ token_tenant_id: null, deliveries: 1 }],
  )
  t.strictSame(await post(push(), { token: '' }), UNAUTHORIZED, 'an empty token is rejected')
  t.strictSame(await post(push(), { token: 'x' }), UNAUTHORIZED, 'a wrong token is rejected')

  const token = await webhookToken(null)
  t.strictSame(await post(push()), UNAUTHORIZED, 'from the first token on, a token is required')
  await revoke(token)
  t.strictSame(await post(push()), UNAUTHORIZED, 'even if that token is revoked')
  t.strictSame(await post(push(), { token }), UNAUTHORIZED)
})

await t.test('the token is read from the URL, from Basic and from Bearer', async t => {
  const { tenantId, token } = await business()
  const forms = {
    'the URL': { token },
    Basic: withAuthorization(basic(token)),
    'Basic without a user': withAuthorization(basic(token, '')),
    Bearer: withAuthorization(`Bearer ${token}`),
    'Bearer in lower case': withAuthorization(`bearer ${token}`),
    'Basic in capitals': withAuthorization(basic(token).replace('Basic', 'BASIC')),
    'the URL and Bearer': withAuthorization(`Bearer ${token}`, token),
    'the URL, beside a scheme that is none of these': withAuthorization('Digest x', token),
  }
  for (const [name, how] of Object.entries(forms)) {
    const record = push()
    t.strictSame(await post(record, how), OK, name)
    t.equal((await verdictsOf(tenantId, record.ivruniqueid)).length, 1, `${name}: stored`)
  }
})

await t.test('without a valid token the answer is 401, and nothing is stored', async t => {
  const { tenantId, token } = await business()
  const other = await business()
  const revoked = await webhookToken(tenantId)
  await revoke(revoked)
  const changed = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
  const wrong = {
    none: {},
    empty: { token: '' },
    wrong: { token: 'wrong' },
    'nearly right': { token: changed },
    'one character short': { token: token.slice(0, -1) },
    'one character long': { token: `${token}A` },
    'in other case': { token: token.toLowerCase() },
    revoked: { token: revoked },
    'the hash itself': { token: Buffer.from(token).toString('hex') },
    'not ASCII': { token: encodeURIComponent('סוד') },
    'not UTF-8': { token: '%ff%fe' },
    'a NUL': { token: `${token}%00` },
    SQL: { token: encodeURIComponent("' or true --") },
    'ten thousand characters': { token: 'x'.repeat(10_000) },
    'Basic, wrong': withAuthorization(basic('wrong')),
    'Basic, the token as user': withAuthorization(basic('', token)),
    'Basic, not base64': withAuthorization('Basic ***'),
    'Basic, nothing': withAuthorization('Basic'),
    'Bearer, wrong': withAuthorization('Bearer wrong'),
    'Bearer, nothing': withAuthorization('Bearer'),
    'no scheme': withAuthorization(token),
    'two that disagree': withAuthorization('Bearer wrong', token),
    'two that disagree, both valid': withAuthorization(`Bearer ${other.token}`, token),
    'two in the URL': { token: `${token}&token=${other.token}` },
  }
  const before = await contents()
  for (const [name, how] of Object.entries(wrong))
    t.strictSame(await post(push(), how), UNAUTHORIZED, name)
  t.strictSame(
    await post('not even a record', { token: 'wrong' }),
    UNAUTHORIZED,
    'the body is not read',
  )
  t.strictSame(await contents(), before, 'no table has changed')

  const { headers } = await fetch(CDR, { method: 'POST', body: '{}' })
  t.match(headers.get('www-authenticate'), /^Basic /, 'the answer names the expected scheme')
})

await t.test('while a token is being replaced, both are valid', async t => {
  const { tenantId, token } = await business()
  const next = await webhookToken(tenantId)
  t.strictSame(await post(push(), { token }), OK)
  t.strictSame(await post(push(), { token: next }), OK)
  await revoke(token)
  t.strictSame(await post(push(), { token }), UNAUTHORIZED, 'until the old one is revoked')
  t.strictSame(await post(push(), { token: next }), OK)
})

await t.test(
  'a token that was just revoked is rejected, and deliveries stored at the same time are not',
  async t => {
    const [gone, stays] = [await business(), await business()]
    for (const { token } of [gone, stays]) t.strictSame(await post(push(), { token }), OK)
    await revoke(gone.token)
    const before = await contents()
    const ivr = { METHOD: 'IVR_LAYER_INPUT', IVR_UNIQUE_ID: '1' }
    for (const body of ['no record', '<methodCall>', { nothing: 1 }, ivr])
      t.strictSame(await post(body, { token: gone.token }), UNAUTHORIZED)
    t.strictSame(await contents(), before, 'nothing is stored')

    const another = await business()
    t.strictSame(await post(push(), { token: another.token }), OK)
    await revoke(another.token)
    const ten = Array.from({ length: 10 }, () => push({ did: stays.did }))
    const answers = await Promise.all(
      ten.flatMap(record => [
        post(record, { token: another.token }),
        post(record, { token: stays.token }),
      ]),
    )
    t.strictSame(
      answers,
      ten.flatMap(() => [UNAUTHORIZED, OK]),
    )
    for (const { ivruniqueid } of ten) {
      t.strictSame(await verdictsOf(another.tenantId, ivruniqueid), [])
      t.equal(
        (await verdictsOf(stays.tenantId, ivruniqueid)).length,
        1,
        'the delivery stored with it is kept',
      )
    }
  },
)

await t.test('of an array, nothing is stored if its token was just revoked', async t => {
  const { token, tenantId } = await business()
  const mixed = [push(), 'no record', push()]
  t.match(await post(mixed, { token }), { status: 400 })
  await revoke(token)
  const before = await contents()
  t.strictSame(await post([push(), 'another', push()], { token }), UNAUTHORIZED)
  t.strictSame(await contents(), before)
  t.equal((await rejectedOf(tenantId)).length, 1)
})

await t.test('a call log finds no calls for a business that was deleted', async t => {
  const { tenantId } = await business()
  await db.deleteFrom('tenants').where('id', '=', tenantId).execute()
  const { elements } = readDelivery(Buffer.from(JSON.stringify([push(), 'no record'])))
  const before = await contents()
  for (const some of [elements.slice(0, 1), elements])
    await t.rejects(ingest({ tenantId, source: 'call_log' }, some, null, db), {
      message: /not valid any more/,
    })
  t.strictSame(await contents(), before, 'nothing is stored')
})

await t.test('no record of a business is stored while it is deleted', async t => {
  const { token, tenantId } = await business()
  const [before, during] = [push(), push()]
  t.strictSame(await post(before, { token }), OK)
  const deletion = await db.startTransaction().execute()
  await sql`delete from tenants where id = ${tenantId}`.execute(deletion)
  const answer = post(during, { token })
  // It waits for the deletion.
  t.equal(await Promise.race([answer, sleep(150, 'waits')]), 'waits')
  await deletion.commit().execute()
  t.strictSame(await answer, UNAUTHORIZED)
  const { rows } = await sql`
    select from raw_cdrs where call_id in (${before.ivruniqueid}, ${during.ivruniqueid})`.execute(
    db,
  )
  t.strictSame(rows, [], 'and its earlier records are deleted')
})

await t.test(
  'after a rejected body, a revoked token is rejected before the body is read',
  async t => {
    const { token } = await business()
    t.strictSame(await post(push(), { token }), OK)
    await revoke(token)
    const compressed = () =>
      fetch(`${CDR}?token=${token}`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-encoding': 'gzip' },
      })
    t.equal((await compressed()).status, 415)
    t.equal((await compressed()).status, 401)
  },
)

await t.test('a token that now belongs to another business is looked up again', async t => {
  const [before, after] = [await business(), await business()]
  const { token } = before
  t.strictSame(await post(push(), { token }), OK)
  await db
    .updateTable('webhook_tokens')
    .set({ tenant_id: after.tenantId })
    .where('hash', '=', sha256(token))
    .execute()
  const record = push()
  t.strictSame(await post(record, { token }), UNAUTHORIZED, 'once, then the sender tries again')
  t.strictSame(await post(record, { token }), OK)
  t.strictSame(await verdictsOf(before.tenantId, record.ivruniqueid), [])
  t.equal((await verdictsOf(after.tenantId, record.ivruniqueid)).length, 1)
})

await t.test('the same record with two tokens of a business at once is one row', async t => {
  const { tenantId, token } = await business()
  const next = await webhookToken(tenantId)
  const record = push()
  const both = [post(record, { token }), post(record, { token: next })]
  t.strictSame(await Promise.all(both), [OK, OK])
  t.equal((await verdictsOf(tenantId, record.ivruniqueid)).length, 1)
})

await t.test('the business of the token wins over the number that was dialled', async t => {
  const a = await business()
  const b = await business()
  const record = push({ caller: customer().local, did: a.did })
  t.strictSame(await post(record, { token: b.token }), OK)
  t.match(await post('{"test":true}', { token: b.token }), { status: 400 })
  await work()
  t.strictSame(await verdictsOf(b.tenantId, record.ivruniqueid), [
    ['unmatched_number', 'number_dialled'],
  ])
  t.strictSame(
    await verdictsOf(a.tenantId, record.ivruniqueid),
    [],
    'the other business has no row',
  )
  t.equal(await missedCall(a.tenantId, record.ivruniqueid), undefined)
  t.equal(await missedCall(b.tenantId, record.ivruniqueid), undefined)
  t.strictSame(await rejectedOf(a.tenantId), [])
  t.match(await rejectedOf(b.tenantId), [{ deliveries: 1 }])
})

await t.test('with an unbound token, the number dialled decides', async t => {
  const a = await business()
  const token = await webhookToken(null)
  const record = push({ caller: customer().local, did: a.did })
  const unknown = push({ caller: customer().local, did: '0721111111' })
  t.strictSame(await post([record, unknown], { token }), OK)
  await work()
  t.strictSame(await verdictsOf(a.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
  t.ok(await missedCall(a.tenantId, record.ivruniqueid))
  t.match(
    await db
      .selectFrom('raw_cdrs')
      .selectAll()
      .where('call_id', '=', unknown.ivruniqueid)
      .execute(),
    [{ tenant_id: null, verdict: 'unmatched_number' }],
    'a call to an unknown number is stored without a business',
  )
})
