/** Businesses: their list, numbers, tokens and settings, and the audit of changes. */
import fc from 'fast-check'
import { sql } from 'kysely'
import { test } from 'tap'
import type { z } from 'zod'
import {
  endAccess,
  grantAccess,
  addToken,
  generatePassword,
  isPassword,
  passwordChange,
  revokeToken,
  setPassword,
  tokensOf,
} from '../../app/tenants/credentials.ts'
import {
  addNumber,
  removeNumber,
  tenantNumber,
  addTenant,
  listTenants,
  newTenant,
  showTenant,
} from '../../app/tenants/tenants.ts'
import { CITY_NAMES } from '../../app/outreach/calendar.ts'
import { parseInterval, interval, formatInterval } from '../../app/tenants/schema.ts'
import { resumeTenant, setTenant, settingsChange } from '../../app/tenants/settings.ts'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  contents,
  customer,
  db,
  fake,
  OK,
  outreachOf,
  post,
  verdictsOf,
  webhookToken,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { voicenter, withCallLog } from '../support/voicenter.ts'
import { dueSince, miss, tell } from '../tasks/support.ts'
import { act, auditOf, auditSince, OPERATOR, refusalOf } from './support.ts'

const show = (tenantId: string) => act(trx => showTenant(trx, tenantId))
const line = async (tenantId: string) =>
  (await act(listTenants)).find(tenant => tenant.tenantId === tenantId)

await test('showTenant returns everything about a business except its secrets', async t => {
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

await test('pending messages, unknown messages and the last webhook are those of this business', async t => {
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

await test('the list shows a missing or paused WhatsApp connection', async t => {
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

await test('showing an unknown business is not found', async t => {
  for (const id of ['999999', '9'.repeat(30), 'x', '-1', ''])
    t.strictSame(await refusalOf(trx => showTenant(trx, id)), ['not_found', null], id)
})

await test('adding a business is audited without its secrets', async t => {
  const { phoneNumberId } = fake.addNumber()
  const change = {
    name: 'A',
    numbers: ['0732999001', '0732999002', '073-2999001'],
    phoneNumberId,
    accessToken: 'very-secret',
  }
  const { tenantId, webhookToken } = await act(trx =>
    addTenant(trx, OPERATOR, newTenant.parse(change)),
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

await test('a password is set, replaced and cleared', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const set = (password: string | null) =>
    act(trx => setPassword(trx, OPERATOR, passwordChange.parse({ tenantId, password })))
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
  t.match(passwordChange.safeParse({ tenantId, password: 'too short' }).error?.issues, [
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

await test('access to the Call Log is granted, replaced and ended', async t => {
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

let last = 0
/** A number that no other test uses. */
const lineNumber = () => {
  const local = `073${String(2_000_000 + ++last)}`
  return { local, e164: `+972${local.slice(1)}` }
}
const add = (tenantId: string, phone: string) =>
  act(trx => addNumber(trx, OPERATOR, tenantNumber.parse({ tenantId, phone })))
const remove = (tenantId: string, phone: string) =>
  act(trx => removeNumber(trx, OPERATOR, tenantNumber.parse({ tenantId, phone })))
const numbersOf = async (tenantId: string) => {
  const rows = await db
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .execute()
  return rows.map(({ phone }) => phone)
}

await test('a number is added once, and earlier calls to it are classified again', async t => {
  const shop = await business()
  const branch = lineNumber()
  const unbound = await webhookToken(null)
  const calls = [1, 2].map(() => push({ caller: customer().local, did: branch.local }))
  const elsewhere = push({ caller: customer().local, did: lineNumber().local })
  await tell(shop.token, ...calls, elsewhere)
  const [first, second] = calls
  const other = await business()
  const theirs = push({ caller: customer().local, did: branch.local })
  await tell(other.token, theirs)
  const open = push({ caller: customer().local, did: branch.local })
  await tell(unbound, open)
  t.strictSame(await verdictsOf(shop.tenantId, first?.ivruniqueid ?? ''), [
    ['unmatched_number', 'number_dialled'],
  ])

  const written = await auditSince(shop.tenantId)
  // The third call has the token of another business, so it belongs to that business.
  t.strictSame(await add(shop.tenantId, branch.local), {
    phone: branch.e164,
    added: true,
    reclassified: 3,
  })
  await work()
  for (const record of [first, second, open])
    t.strictSame(await verdictsOf(shop.tenantId, record?.ivruniqueid ?? ''), [
      ['missed', 'noanswer'],
    ])
  t.strictSame(await verdictsOf(shop.tenantId, elsewhere.ivruniqueid), [
    ['unmatched_number', 'number_dialled'],
  ])

  t.strictSame(await add(shop.tenantId, branch.e164), {
    phone: branch.e164,
    added: false,
    reclassified: 0,
  })
  t.strictSame(await written(), [
    ['operator', 'number.add', `tenant_numbers ${branch.e164}`, null, { phone: branch.e164 }],
  ])
})

await test("another business's number is rejected without naming that business", async t => {
  const [mine, theirs] = [await business(), await business()]
  const before = await contents()
  const taken = (trx: Parameters<typeof addNumber>[0]) =>
    addNumber(trx, OPERATOR, { tenantId: mine.tenantId, phone: theirs.line })
  t.strictSame(await refusalOf(taken), ['number_taken', 'phone'])
  await t.rejects(act(taken), { message: `${theirs.line} belongs to another business already` })
  t.strictSame(await contents(), before)
})

await test('calls to a removed number match no business', async t => {
  const shop = await business()
  const branch = lineNumber()
  await add(shop.tenantId, branch.local)
  const written = await auditSince(shop.tenantId)
  await remove(shop.tenantId, branch.local)
  t.strictSame(await numbersOf(shop.tenantId), [shop.line])
  const record = push({ caller: customer().local, did: branch.local })
  await tell(shop.token, record)
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [
    ['unmatched_number', 'number_dialled'],
  ])
  t.strictSame(await written(), [
    ['operator', 'number.remove', `tenant_numbers ${branch.e164}`, { phone: branch.e164 }, null],
  ])
})

await test('the last number and the numbers of other businesses cannot be removed', async t => {
  const [mine, theirs] = [await business(), await business()]
  await add(theirs.tenantId, lineNumber().local)
  const before = await contents()
  const refusal = (phone: string, tenantId = mine.tenantId) =>
    refusalOf(trx => removeNumber(trx, OPERATOR, { tenantId, phone }))
  t.strictSame(await refusal(mine.line), ['last_number', 'phone'])
  t.strictSame(await refusal(theirs.line), ['not_found', null])
  t.strictSame(await refusal(lineNumber().e164), ['not_found', null])
  t.strictSame(await refusal(mine.line, '999999'), ['not_found', null])
  t.strictSame(await contents(), before)
})

await test('if the last two numbers are removed at once, one removal is rejected', async t => {
  const shop = await business()
  const branch = lineNumber()
  await add(shop.tenantId, branch.e164)
  const ends = await Promise.allSettled([
    remove(shop.tenantId, shop.line),
    remove(shop.tenantId, branch.e164),
  ])
  t.strictSame(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  t.equal((await numbersOf(shop.tenantId)).length, 1)
})

const tokens = (tenantId: string) => act(trx => tokensOf(trx, tenantId))
const statusWith = async (token: string, did: string) =>
  (await post(push({ did }), { token })).status

await test('a new token and the old one are valid until the old one is revoked', async t => {
  const shop = await business()
  const written = await auditSince(shop.tenantId)
  const { tokenId, webhookToken } = await act(trx => addToken(trx, OPERATOR, shop.tenantId))
  t.equal(await statusWith(webhookToken, shop.did), OK.status)
  t.equal(await statusWith(shop.token, shop.did), OK.status)
  const [old, fresh] = await tokens(shop.tenantId)
  t.match(fresh, { tokenId, revokedAt: null })
  t.strictSame(
    Object.keys(fresh ?? {}),
    ['tokenId', 'kind', 'createdAt', 'revokedAt'],
    'without the hash',
  )

  const change = { tenantId: shop.tenantId, tokenId: old?.tokenId ?? '' }
  t.strictSame(await act(trx => revokeToken(trx, OPERATOR, change)), { revoked: true })
  t.equal(await statusWith(shop.token, shop.did), 401)
  t.equal(await statusWith(webhookToken, shop.did), OK.status)
  t.strictSame(await act(trx => revokeToken(trx, OPERATOR, change)), { revoked: false }, 'once')
  t.strictSame(await written(), [
    ['operator', 'webhook_token.add', `webhook_tokens ${tokenId}`, null, { state: 'valid' }],
    [
      'operator',
      'webhook_token.revoke',
      `webhook_tokens ${change.tokenId}`,
      { state: 'valid' },
      { state: 'revoked' },
    ],
  ])
  t.notMatch(JSON.stringify(await db.selectFrom('audit_log').selectAll().execute()), webhookToken)
})

await test('the last valid token is revoked only with force', async t => {
  const shop = await business()
  const [token] = await tokens(shop.tenantId)
  const change = { tenantId: shop.tenantId, tokenId: token?.tokenId ?? '' }
  const before = await contents()
  t.strictSame(await refusalOf(trx => revokeToken(trx, OPERATOR, change)), [
    'last_token',
    'tokenId',
  ])
  t.strictSame(await contents(), before)
  await act(trx => revokeToken(trx, OPERATOR, { ...change, force: true }))
  t.equal(await statusWith(shop.token, shop.did), 401)
})

await test("another business's token is not found", async t => {
  const [mine, theirs] = [await business(), await business()]
  const [token] = await tokens(theirs.tenantId)
  const tokenId = token?.tokenId ?? ''
  const before = await contents()
  const change = { tenantId: mine.tenantId, tokenId, force: true }
  t.strictSame(await refusalOf(trx => revokeToken(trx, OPERATOR, change)), ['not_found', null])
  t.strictSame(await refusalOf(trx => addToken(trx, OPERATOR, '999999')), ['not_found', null])
  t.strictSame(await contents(), before)
})

await test('if the last two tokens are revoked at once, one revocation is rejected', async t => {
  const { tenantId } = await business()
  await act(trx => addToken(trx, OPERATOR, tenantId))
  const ends = await Promise.allSettled(
    (await tokens(tenantId)).map(({ tokenId }) =>
      act(trx => revokeToken(trx, OPERATOR, { tenantId, tokenId })),
    ),
  )
  t.strictSame(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

const READ: Record<string, number> = {
  '2 minutes': 120,
  '90s': 90,
  '24h': 86_400,
  '1 day': 86_400,
  '1 Hour': 3600,
  ' 5  min ': 300,
  '1h30m': 5400,
  '1 hour 30 minutes 5 seconds': 5405,
  '2d 3 hrs': 183_600,
  '0': 0,
  '0 seconds': 0,
  '61 secs': 61,
}

await test('every common form of an interval is read', async t => {
  for (const [written, seconds] of Object.entries(READ))
    t.equal(parseInterval(written), seconds, written)
})

await test('other texts are not read as intervals', async t => {
  for (const written of [
    '',
    ' ',
    '5',
    '-5m',
    '-5 minutes',
    '1.5h',
    'soon',
    '2 minutes ago',
    '5 weeks',
    '1 month',
    '30m 1h',
    '5m5m',
    'm',
    '1:30',
    'infinity',
    '٥m',
  ])
    t.equal(parseInterval(written), null, `"${written}"`)
})

await test('intervals are formatted as people write them', async t => {
  const written = [0, 1, 90, 120, 3600, 5400, 86_400, 90_000, 172_800, 180_061].map(formatInterval)
  t.strictSame(written, [
    '0 seconds',
    '1 second',
    '1 minute 30 seconds',
    '2 minutes',
    '1 hour',
    '1 hour 30 minutes',
    '24 hours',
    '25 hours',
    '2 days',
    '2 days 2 hours 1 minute 1 second',
  ])
})

await test('a formatted interval is read as the same interval', async t => {
  fc.assert(
    fc.property(
      fc.nat(365 * 86_400),
      seconds => parseInterval(formatInterval(seconds)) === seconds,
    ),
  )
  t.pass()
})

await test('an interval is at most a year', async t => {
  t.equal(interval.safeParse('365 days').data, 365 * 86_400)
  t.match(interval.safeParse('366 days').error?.issues, [{ message: /at most 365 days/ }])
  t.match(interval.safeParse('9'.repeat(400) + 'h').error?.issues, [
    { message: /at most 365 days/ },
  ])
})

type Change = Omit<z.input<typeof settingsChange>, 'tenantId'>
const set = (tenantId: string, change: Change) =>
  act(trx => setTenant(trx, OPERATOR, settingsChange.parse({ tenantId, ...change })))
/** The errors of a change, as [field, message]. */
const complaints = (change: Change) =>
  settingsChange
    .safeParse({ tenantId: '1', ...change })
    .error?.issues.map(({ path, message }) => [path[0], message])
const row = (id: string) =>
  db.selectFrom('tenants').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

await test('every setting can be changed, and only the changes are audited', async t => {
  const { tenantId } = await business({ mode: 'shadow' })
  const written = await auditSince(tenantId)
  const changed = await set(tenantId, {
    name: ' מספרת דנה ',
    mode: 'live',
    ownerPhone: '050-234-5678',
    timezone: 'Europe/Paris',
    outreachDelay: '90s',
    reminder1After: '3h',
    reminder2After: '2 days',
    unresponsiveAfter: '24h',
    repeatWindow: '12 hours',
    oldestCall: '1h',
    grace: '20 minutes',
    reminderGrace: '4h',
    missedStatuses: ['noanswer', 'ABANDONED', 'NOANSWER'],
    minRingSeconds: '7',
    contactForeign: true,
    holdoutPercent: '50',
    quietWindows: ['21:00-08:00', 'Fri 15:00 - Sat 20:30', ' Shabbat '],
    reminderQuietWindows: ['holidays', '20:00-09:00'],
    location: 'באר שבע',
  })
  t.match(await row(tenantId), {
    name: 'מספרת דנה',
    mode: 'live',
    owner_phone: '+972502345678',
    timezone: 'Europe/Paris',
    outreach_delay: { minutes: 1, seconds: 30 },
    reminder_2_after: { hours: 48 },
    missed_statuses: ['NOANSWER', 'ABANDONE'],
    min_ring_seconds: 7,
    contact_foreign: true,
    holdout_percent: 50,
    quiet_windows: ['21:00-08:00', 'fri 15:00-sat 20:30', 'shabbat'],
    reminder_quiet_windows: ['holidays', '20:00-09:00'],
    location: 'Beer Sheva',
  })
  t.match(changed.before, {
    outreachDelay: '2 minutes',
    reminder2After: '24 hours',
    mode: 'shadow',
  })
  t.match(changed.after, {
    outreachDelay: '1 minute 30 seconds',
    reminder2After: '2 days',
    mode: 'live',
  })
  t.notOk('unresponsiveAfter' in changed.after, 'it was 24 hours before')
  t.equal(Object.keys(changed.after).length, 19, 'with quietChosen')
  t.strictSame(await written(), [
    ['operator', 'tenant.set', `tenants ${tenantId}`, changed.before, changed.after],
  ])
})

await test('that there are no quiet windows is a choice', async t => {
  const { tenantId } = await business()
  t.equal((await row(tenantId)).quiet_chosen_at, null)
  t.strictSame(await set(tenantId, { quietWindows: [] }), {
    before: { quietChosen: false },
    after: { quietChosen: true },
  })
  t.ok((await row(tenantId)).quiet_chosen_at)
})

await test('setting the same values is not audited', async t => {
  const { tenantId } = await business()
  await set(tenantId, { quietWindows: [] })
  const written = await auditSince(tenantId)
  t.strictSame(await set(tenantId, {}), { before: {}, after: {} })
  const same: Change = {
    mode: 'live',
    outreachDelay: '120 seconds',
    quietWindows: [],
    ownerPhone: '',
  }
  t.strictSame(await set(tenantId, same), { before: {}, after: {} })
  t.strictSame(await written(), [])
})

await test("the owner's phone can be removed", async t => {
  const { tenantId } = await business({ columns: { owner_phone: customer().e164 } })
  await set(tenantId, { ownerPhone: '' })
  t.equal((await row(tenantId)).owner_phone, null)
})

await test('an interval that is not changed keeps its exact form', async t => {
  const { tenantId } = await business({ columns: { reminder_2_after: '1 day' } })
  await set(tenantId, { reminder1After: '1h' })
  t.match(await row(tenantId), { reminder_2_after: { days: 1 }, reminder_1_after: { hours: 1 } })
})

await test('the first reminder cannot be later than the second', async t => {
  const { tenantId } = await business()
  const before = await contents()
  const refusal = (change: Change) =>
    refusalOf(trx => setTenant(trx, OPERATOR, settingsChange.parse({ tenantId, ...change })))
  t.strictSame(await refusal({ reminder1After: '25h' }), [
    'reminders_out_of_order',
    'reminder1After',
  ])
  t.strictSame(await refusal({ reminder2After: '1h' }), [
    'reminders_out_of_order',
    'reminder2After',
  ])
  t.strictSame(await contents(), before)
  await set(tenantId, { reminder1After: '30h', reminder2After: '30h' })
})

const WRONG: [change: Change, field: string, said: RegExp][] = [
  [{ name: ' ' }, 'name', /a name/],
  [{ name: 'A\nB' }, 'name', /in one line/],
  [{ name: 'A'.repeat(101) }, 'name', /at most 100/],
  [{ mode: 'off' as 'live' }, 'mode', /live, shadow or paused/],
  [{ ownerPhone: '*2700' }, 'ownerPhone', /a telephone number/],
  [{ ownerPhone: 'me' }, 'ownerPhone', /a telephone number/],
  [{ timezone: 'Mars/Base' }, 'timezone', /such as Asia\/Jerusalem/],
  [{ timezone: 'IST' }, 'timezone', /such as Asia\/Jerusalem/],
  [{ timezone: '+02:00' }, 'timezone', /such as Asia\/Jerusalem/],
  [{ outreachDelay: '-2 minutes' }, 'outreachDelay', /2 minutes, 90s/],
  [{ repeatWindow: 'long' }, 'repeatWindow', /2 minutes, 90s/],
  [{ grace: '0' }, 'grace', /at least 1 minute/],
  [{ reminderGrace: '59s' }, 'reminderGrace', /at least 1 minute/],
  [{ oldestCall: '0s' }, 'oldestCall', /at least 1 minute/],
  [
    { missedStatuses: ['NOANSWER', 'NEVER'] },
    'missedStatuses',
    /statuses from this list: ANSWER, NOANSWER/,
  ],
  [{ missedStatuses: [] }, 'missedStatuses', /at least one status/],
  [{ minRingSeconds: '-1' }, 'minRingSeconds', /from 0 to 600/],
  [{ minRingSeconds: '' }, 'minRingSeconds', /from 0 to 600/],
  [{ minRingSeconds: 601 }, 'minRingSeconds', /from 0 to 600/],
  [{ minRingSeconds: 1.5 }, 'minRingSeconds', /from 0 to 600/],
  [{ holdoutPercent: '51' }, 'holdoutPercent', /percent from 0 to 50/],
  [{ quietWindows: ['21:00'] }, 'quietWindows', /such as 21:00-08:00/],
  [{ quietWindows: ['21:00-21:00'] }, 'quietWindows', /such as 21:00-08:00/],
  [{ quietWindows: ['fri 15:00-20:30'] }, 'quietWindows', /such as 21:00-08:00/],
  [{ quietWindows: ['sabbath'] }, 'quietWindows', /shabbat or holidays/],
  [{ reminderQuietWindows: ['21:00'] }, 'reminderQuietWindows', /such as 21:00-08:00/],
  [{ location: 'Atlantis' }, 'location', /Tel Aviv, Jerusalem, Haifa/],
  [{ location: '31.77' }, 'location', /31\.77,35\.21/],
  [{ location: '91,35' }, 'location', /Tel Aviv/],
  [{ location: '31,181' }, 'location', /Tel Aviv/],
  [
    { quietWindows: Array.from({ length: 21 }, (_, n) => `0${n % 10}:00-0${n % 10}:3${n % 10}`) },
    'quietWindows',
    /at most 20/,
  ],
]

await test('every invalid value is reported with its field', async t => {
  for (const [change, field, said] of WRONG) {
    const [[name, message] = []] = complaints(change) ?? []
    t.equal(name, field, JSON.stringify(change))
    t.match(message, said)
  }
})

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

await test('quiet windows must leave some time of the week', async t => {
  const never = [
    ['00:00-12:00', '12:00-00:00'],
    ['20:00-10:00', '10:00-20:00'],
    ['sun 00:00-sat 00:00', 'fri 23:00-sun 00:00'],
    ['sat 12:00-wed 12:00', 'tue 00:00-sat 12:00'],
    DAYS.map((day, n) => `${day} 06:00-${DAYS[(n + 1) % 7]} 06:00`),
    ['shabbat', 'sat 17:00-fri 20:00'],
  ]
  for (const windows of never)
    t.match(
      complaints({ quietWindows: windows }),
      [['quietWindows', /no message is ever sent/]],
      windows.join(),
    )
  const some = [
    [],
    ['21:00-08:00', 'fri 15:00-sat 20:30'],
    ['00:00-23:59'],
    ['12:00-11:59'],
    ['sun 00:00-sat 23:59'],
    ['fri 15:01-fri 15:00'],
    ['shabbat', 'holidays', 'sat 20:30-fri 15:00'],
    DAYS.slice(1).map((day, n) => `${day} 06:00-${DAYS[(n + 2) % 7]} 06:00`),
  ]
  for (const windows of some)
    t.strictSame(complaints({ quietWindows: windows }), undefined, windows.join())
})

await test('the two lists of windows must leave some time for reminders', async t => {
  const { tenantId } = await business({ columns: { reminder_quiet_windows: ['21:00-08:00'] } })
  const refusal = (change: Change) =>
    refusalOf(trx => setTenant(trx, OPERATOR, settingsChange.parse({ tenantId, ...change })))
  const day = { quietWindows: ['08:00-21:00'] }
  t.strictSame(await refusal(day), ['no_time_for_reminders', 'quietWindows'])
  await set(tenantId, { ...day, reminderQuietWindows: [] })
  t.strictSame(await refusal({ reminderQuietWindows: ['20:00-09:00'] }), [
    'no_time_for_reminders',
    'reminderQuietWindows',
  ])
})

await test('the database accepts every valid setting', async t => {
  const { tenantId } = await business()
  for (const zone of ['UTC', 'Asia/Jerusalem', 'America/Argentina/Buenos_Aires', 'Asia/Kolkata'])
    await set(tenantId, { timezone: zone })
  for (const windows of [['00:00-23:59'], ['mon 09:00-mon 17:00'], ['holidays', 'shabbat'], []])
    await set(tenantId, { quietWindows: windows, reminderQuietWindows: windows })
  for (const location of [...CITY_NAMES, '-33.8688, 151.2093', '90,-180', '0,0', '-0.00001,0.1'])
    await set(tenantId, { location })
  t.equal((await row(tenantId)).location, '0,0.1')
  t.equal((await row(tenantId)).timezone, 'Asia/Kolkata')
})

await test('changing an unknown business is not found', async t => {
  for (const tenantId of ['999999', '999999999999999999'])
    t.strictSame(await refusalOf(trx => setTenant(trx, OPERATOR, { tenantId, mode: 'live' })), [
      'not_found',
      null,
    ])
})

await test('the mode at the due time decides about a pending message', async t => {
  for (const [mode, end] of [
    ['paused', ['skipped', 'tenant_paused']],
    ['shadow', ['skipped', 'shadow']],
  ] as const) {
    const shop = await business()
    const { callId } = await miss(shop, customer().local)
    await set(shop.tenantId, { mode })
    t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'])
    await workAsIfDue()
    t.strictSame(await outreachOf(shop.tenantId, callId), end)
  }
  const shop = await business({ mode: 'shadow' })
  const { callId } = await miss(shop, customer().local)
  await set(shop.tenantId, { mode: 'live' })
  await workAsIfDue()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
})

await test('resume restores the mode before the pause', async t => {
  const resume = (tenantId: string) => act(trx => resumeTenant(trx, OPERATOR, tenantId))
  for (const mode of ['shadow', 'live'] as const) {
    const { tenantId } = await business({ mode })
    t.strictSame(await refusalOf(trx => resumeTenant(trx, OPERATOR, tenantId)), [
      'not_paused',
      null,
    ])
    await set(tenantId, { mode: 'paused' })
    await set(tenantId, { name: 'another' })
    t.strictSame(await resume(tenantId), { before: { mode: 'paused' }, after: { mode } })
    t.equal((await row(tenantId)).mode, mode)
  }
})

await test('resume is rejected if the previous mode is not known', async t => {
  const { tenantId } = await business({ mode: 'paused' })
  const unknown = ['mode_before_unknown', null]
  t.strictSame(await refusalOf(trx => resumeTenant(trx, OPERATOR, tenantId)), unknown)
  await set(tenantId, { mode: 'live' })
  await sql`update tenants set mode = 'paused' where id = ${tenantId}`.execute(db)
  t.strictSame(await refusalOf(trx => resumeTenant(trx, OPERATOR, tenantId)), unknown)
})

await test('changes at the same time are each audited', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  await Promise.all(['A', 'B', 'C'].map(name => set(tenantId, { name })))
  const names = (await written()).map(([, , , before, after]) => ({ before, after }))
  t.equal(names.length, 3)
  t.strictSame(
    names.slice(1).map(({ before }) => before),
    names.slice(0, -1).map(({ after }) => after),
    'each entry starts with the result of the previous one',
  )
})
