/** What is shown of a business: everything but its secrets. */
import { test } from 'tap'
import { business, customer, db, fake } from '../support/ringback.ts'
import { voicenter, withCallLog } from '../support/voicenter.ts'
import { dueSince, miss } from '../tasks/support.ts'
import { act, auditOf, auditSince, OPERATOR, refusalOf } from './support.ts'
import { endAccess, grantAccess } from '../../app/tenants/call_log.ts'
import {
  isPassword,
  generatePassword,
  newPassword,
  setPassword,
} from '../../app/tenants/credentials.ts'
import { listTenants, showTenant, addTenant, newTenant } from '../../app/tenants/tenants.ts'
const show = (tenantId: string) => act(trx => showTenant(trx, tenantId))
const line = async (tenantId: string) =>
  (await act(listTenants)).find(tenant => tenant.tenantId === tenantId)

await test('everything about a business is in one object, and no secret', async t => {
  const shop = await business({
    columns: { quiet_windows: ['21:00-08:00'], owner_phone: customer().e164 },
  })
  await withCallLog(shop)
  const secret = generatePassword()
  await act(trx => setPassword(trx, OPERATOR, { tenantId: shop.tenantId, password: secret }))
  const shown = await show(shop.tenantId)
  t.match(shown, {
    tenantId: shop.tenantId,
    name: 'מספרת נועה',
    mode: 'live',
    outreachDelay: '2 minutes',
    reminder1After: '2 hours',
    reminder2After: '24 hours',
    grace: '30 minutes',
    reminderGrace: '6 hours',
    quietWindows: ['21:00-08:00'],
    minRingSeconds: 0,
    contactForeign: false,
    hasPassword: true,
    lastWebhookAt: null,
    waiting: 0,
    unknown: 0,
    numbers: [{ phone: shop.line }],
    connections: [
      {
        phoneNumberId: shop.phoneNumberId,
        displayNumber: shop.line,
        state: 'active',
        reason: null,
      },
    ],
    webhookTokens: [{ revokedAt: null }],
    callLog: { kind: 'code', calls: '0', lost: '0' },
  })
  t.strictSame(
    shown.templates.map(({ kind, state }) => [kind, state]),
    [
      ['initial', 'active'],
      ['reminder_1', 'active'],
      ['reminder_2', 'active'],
      ['owner_notice', 'active'],
    ],
  )
  const text = JSON.stringify(shown)
  for (const hidden of [/v1:/, /scrypt/, /hash/i, /credential/, /accessToken/i, secret])
    t.notMatch(text, hidden)
})

await test('what waits, what is unknown and the last webhook are counted of this business alone', async t => {
  const [shop, other] = [await business(), await business()]
  await miss(shop, customer().local)
  const lost = customer()
  fake.script({ to: lost.e164, outcome: { kind: 'http', status: 502, accept: true } })
  const { id } = await miss(shop, lost.local)
  await dueSince(id)
  const { lastWebhookAt, ...counts } = await show(shop.tenantId)
  t.match(counts, { waiting: 1, unknown: 1 })
  t.ok(lastWebhookAt && Math.abs(Date.now() - lastWebhookAt.getTime()) < 60_000)
  t.match(await show(other.tenantId), { waiting: 0, unknown: 0, lastWebhookAt: null })
  t.strictSame(await line(shop.tenantId), {
    tenantId: shop.tenantId,
    name: 'מספרת נועה',
    mode: 'live',
    numbers: [shop.line],
    connection: 'active',
    lastWebhookAt,
    waiting: 1,
  })
})

await test('a business that cannot write to anybody shows that in its line', async t => {
  const [none, paused] = [await business({ connected: false }), await business()]
  await db
    .updateTable('whatsapp_connections')
    .set({ state: 'paused' })
    .where('tenant_id', '=', paused.tenantId)
    .execute()
  t.match(
    [await line(none.tenantId), await line(paused.tenantId)],
    [{ connection: null }, { connection: 'paused' }],
  )
})

await test('a business that is not there is not found', async t => {
  for (const id of ['999999', '9'.repeat(30), 'x', '-1', ''])
    t.strictSame(await refusalOf(trx => showTenant(trx, id)), ['not_found', null], id)
})

await test('what a new business is made of is written down', async t => {
  const { phoneNumberId } = fake.addNumber()
  const wish = {
    name: 'A',
    numbers: ['0732999001', '0732999002', '073-2999001'],
    phoneNumberId,
    accessToken: 'very-secret',
  }
  const { tenantId, webhookToken } = await act(trx =>
    addTenant(trx, OPERATOR, newTenant.parse(wish)),
  )
  const rows = await auditOf(tenantId)
  t.strictSame(
    rows.map(([who, action]) => [who, action]),
    ['tenant.add', 'number.add', 'number.add', 'connection.add', 'webhook_token.add'].map(
      action => ['operator', action],
    ),
  )
  t.strictSame(rows[0]?.slice(2), [
    `tenants ${tenantId}`,
    null,
    { name: 'A', mode: 'shadow', ownerPhone: null },
  ])
  for (const secret of ['very-secret', webhookToken]) t.notMatch(JSON.stringify(rows), secret)
})

await test('a password can be set, replaced and cleared', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const set = (password: string | null) =>
    act(trx => setPassword(trx, OPERATOR, newPassword.parse({ tenantId, password })))
  const stored = async () =>
    (
      await db
        .selectFrom('tenants')
        .select('ops_password')
        .where('id', '=', tenantId)
        .executeTakeFirstOrThrow()
    ).ops_password
  t.strictSame(await set(null), { changed: false })
  await set('twelve chars')
  t.ok(await isPassword('twelve chars', await stored()))
  await set('and another one')
  t.notOk(await isPassword('twelve chars', await stored()))
  await set(null)
  t.equal(await stored(), null)
  t.match(newPassword.safeParse({ tenantId, password: 'too short' }).error?.issues, [
    { path: ['password'], message: /at least 12/ },
  ])
  const rows = await written()
  t.strictSame(
    rows.map(([, action, ...rest]) => [action, ...rest]),
    [
      [{ password: 'none' }, { password: 'set anew' }],
      [{ password: 'set' }, { password: 'set anew' }],
      [{ password: 'set' }, { password: 'none' }],
    ].map(change => ['password.set', `tenants ${tenantId}`, ...change]),
  )
  t.notMatch(JSON.stringify(rows), /scrypt|twelve|another/)
})

await test('access to a call log is given, replaced and taken back', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const { code, bearer } = voicenter.addAccount()
  const end = () => act(trx => endAccess(trx, OPERATOR, tenantId))
  await end()
  await act(trx => grantAccess(trx, OPERATOR, { tenantId, kind: 'code', secret: code }))
  await act(trx => grantAccess(trx, OPERATOR, { tenantId, kind: 'bearer', secret: bearer }))
  await end()
  const rows = await written()
  t.strictSame(
    rows.map(([, ...rest]) => rest),
    [
      ['call_log.set', `call_log_access ${tenantId}`, null, { kind: 'code', credential: 'new' }],
      [
        'call_log.set',
        `call_log_access ${tenantId}`,
        { kind: 'code', credential: 'before' },
        { kind: 'bearer', credential: 'new' },
      ],
      ['call_log.end', `call_log_access ${tenantId}`, { kind: 'bearer' }, null],
    ],
  )
  for (const secret of [code, bearer]) t.notMatch(JSON.stringify(rows), secret)
  t.strictSame(await refusalOf(trx => endAccess(trx, OPERATOR, '999999')), ['not_found', null])
})
