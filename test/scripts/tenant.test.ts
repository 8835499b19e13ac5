/** What each command of npm run tenant does, and npm run export. */
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { callLogOwner, decrypt, sha256, tokenOwner } from '../../app/crypto.ts'
import { isPassword } from '../../app/tenants/credentials.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { receiver } from '../events/support.ts'
import { rowsWith } from '../privacy/support.ts'
import {
  business,
  contents,
  customer,
  db,
  fake,
  jobs,
  OK,
  outreachOf,
  post,
  url,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { accessRow, call, checksOf, voicenter, webhook } from '../support/voicenter.ts'
import { change, envelope, happens, optOutsOf } from '../support/whatsapp.ts'
import { leadsOf, miss, requestsOf, secondsUntil, tell, until } from '../tasks/support.ts'
import { auditOf, auditSince } from '../tenants/support.ts'
import { answered, exportRows, type Options, tenant } from './tenant.ts'

const SECRET = 'EAAG-a-very-secret-token'

const listed = z.object({ tenants: z.array(z.looseObject({ tenantId: z.string() })) })
const added = z.strictObject({
  tenantId: z.string().regex(/^[1-9]\d*$/),
  webhookToken: z.string().regex(/^[\w-]{43}$/),
  webhookUrl: z.url(),
})
/** Adds a business, and reads the last line of stdout, as a script would. */
const add = async (args: string[], options: Options = {}) => {
  const { status, stdout, stderr } = await tenant(['add', '--json', ...args], options)
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`)
  return { ...added.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')), stdout, stderr }
}
const numbersOf = async (tenantId: string) =>
  (
    await db
      .selectFrom('tenant_numbers')
      .select('phone')
      .where('tenant_id', '=', tenantId)
      .execute()
  ).map(({ phone }) => phone)
const connectionsOf = (tenantId: string) =>
  db.selectFrom('whatsapp_connections').selectAll().where('tenant_id', '=', tenantId).execute()
const postTo = async (webhookUrl: string, record: unknown) => {
  const response = await fetch(webhookUrl, { method: 'POST', body: JSON.stringify(record) })
  return { status: response.status, body: await response.json() }
}

await t.test('add creates a business with a working webhook URL', async t => {
  const business = await add(['--name', 'מספרת נועה', '--number', '0722000001'])
  t.equal(business.webhookUrl, `${url}/webhooks/voicenter/cdr?token=${business.webhookToken}`)
  t.equal(business.stdout.split('\n').length, 2, 'stdout is one line of JSON and nothing else')
  t.match(business.stderr, /added מספרת נועה as tenant \d+, mode shadow/)
  t.match(business.stderr, /no WhatsApp connection/)
  t.match(
    await db.selectFrom('tenants').selectAll().where('id', '=', business.tenantId).execute(),
    [{ name: 'מספרת נועה', mode: 'shadow', owner_phone: null, timezone: 'Asia/Jerusalem' }],
  )
  t.strictSame(await connectionsOf(business.tenantId), [])
  const { rows } = await sql<{ text: string }>`select t::text from webhook_tokens t`.execute(db)
  t.notMatch(
    rows.map(({ text }) => text).join(),
    business.webhookToken,
    'only the hash of the token is stored',
  )

  const record = push({ caller: customer().local, did: '0722000001' })
  t.strictSame(await postTo(business.webhookUrl, record), OK)
  await work()
  t.strictSame(await verdictsOf(business.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
})

await t.test('without --json, add prints the URL', async t => {
  const { status, stdout } = await tenant(['add', '--name', 'A', '--number', '0722000002'])
  t.equal(status, 0)
  t.match(stdout, /shown this once/)
  const printed = stdout.trimEnd().split('\n').at(-1) ?? ''
  t.strictSame(await postTo(printed, push()), OK)
})

await t.test('with an access token, the business can send to customers', async t => {
  const { phoneNumberId, token } = fake.addNumber()
  const business = await add(
    [
      '--name',
      'A',
      '--number',
      '0722000003',
      '--phone-number-id',
      phoneNumberId,
      '--mode',
      'live',
      '--owner-phone',
      '050-234-5678',
      '--access-token-stdin',
    ],
    { input: `${token}\n` },
  )
  t.match(
    await db.selectFrom('tenants').selectAll().where('id', '=', business.tenantId).execute(),
    [{ mode: 'live', owner_phone: '+972502345678' }],
  )
  t.match(await connectionsOf(business.tenantId), [
    { display_phone_number: '+972722000003', phone_number_id: phoneNumberId, state: 'active' },
  ])
  const dana = customer()
  const record = push({ caller: dana.local, did: '0722000003' })
  await postTo(business.webhookUrl, record)
  await work()
  await workAsIfDue()
  t.strictSame(await outreachOf(business.tenantId, record.ivruniqueid), ['sent', 'accepted'])
  t.match(fake.inbox(dana.e164), [{ phoneNumberId }])
})

await t.test('the access token may come from a variable, and is never shown', async t => {
  fake.addNumber({ phoneNumberId: '777', token: SECRET })
  const business = await add(
    [
      '--name',
      'A',
      '--number',
      '0722000004',
      '--whatsapp-number',
      '+972 50-234-5679',
      '--phone-number-id',
      '777',
      '--access-token-env',
      'OUR_TOKEN',
    ],
    { env: { OUR_TOKEN: ` ${SECRET}\n` } },
  )
  const [connection] = await connectionsOf(business.tenantId)
  t.match(connection, { display_phone_number: '+972502345679', phone_number_id: '777' })
  t.equal(decrypt(connection?.access_token ?? '', tokenOwner(business.tenantId)), SECRET)
  const { rows } = await sql<{
    text: string
  }>`select c::text as text from whatsapp_connections c`.execute(db)
  t.notMatch(rows.map(({ text }) => text).join() + business.stdout + business.stderr, SECRET)
})

await t.test('connect and add ask Graph about the number', async t => {
  const number = fake.addNumber({ displayNumber: '+972722000031' })
  const { tenantId } = await add(['--name', 'A', '--number', '0722000030'])
  const connect = (args: string[], token = number.token) =>
    tenant(['connect', '--tenant', tenantId, '--json', ...args, '--access-token-stdin'], {
      input: token,
      env: { APP: 'own-secret' },
    })
  const before = await contents()
  const no = await connect(['--phone-number-id', number.phoneNumberId], 'wrong-token')
  t.match(no, {
    status: 1,
    stdout: '',
    stderr: /WhatsApp does not accept this access token \(190\)/,
  })
  const unknown = await connect(['--phone-number-id', '999'])
  t.match(unknown, { status: 1, stderr: /WhatsApp knows no number 999.*\(100\)/ })
  for (const token of ['a\u200bb', 'tok\u05d0n', 'two\nlines'])
    t.match(await connect(['--phone-number-id', '999'], token), {
      status: 2,
      stderr: /printable ASCII/,
    })
  t.strictSame(await contents(), before, 'nothing changed')

  const app = ['--app-secret-env', 'APP']
  const yes = await connect(['--phone-number-id', number.phoneNumberId, ...app])
  t.match(JSON.parse(yes.stdout), { confirmed: true, wabaId: number.wabaId, retired: [] })
  t.match(await connectionsOf(tenantId), [
    { display_phone_number: '+972722000031', waba_id: number.wabaId, app_secret: /^v1:/ },
  ])
  const moved = fake.addNumber({ ...number, phoneNumberId: '998' })
  const again = await connect(['--phone-number-id', moved.phoneNumberId])
  t.match(JSON.parse(again.stdout), { confirmed: true, retired: [number.phoneNumberId] })

  await fake.refuseConnections()
  const away = ['--phone-number-id', '997', '--whatsapp-number', '0722000032', '--waba-id', '55']
  t.match(JSON.parse((await connect(away)).stdout), { confirmed: false, wabaId: '55' })
  await fake.acceptConnections()

  const added = await add(
    ['--name', 'B', '--number', '0722000033', '--phone-number-id', '1', '--access-token-stdin'],
    { input: 'wrong-token' },
  )
  t.match(added.stderr, /WhatsApp refuses the number or the token \(190\)/)
  t.strictSame(await connectionsOf(added.tenantId), [], 'the business is added without it')
})

await t.test('numbers are accepted in every common form, including unlisted ones', async t => {
  const forms = {
    '0722000010': '+972722000010',
    '072-200-0011': '+972722000011',
    '(072) 2000012': '+972722000012',
    '+972722000013': '+972722000013',
    '972722000014': '+972722000014',
    '00972-72-2000015': '+972722000015',
    '\u202a072 200 0016\u202c': '+972722000016',
    '0702246666': '+972702246666',
    '03-1234567': '+97231234567',
    '1-700-700-123': '+9721700700123',
    '*2700': '*2700',
  }
  const args = Object.keys(forms).flatMap(form => ['--number', form])
  const { tenantId, webhookUrl } = await add(['--name', 'A', ...args, '--number', '+972702246666'])
  t.strictSame(
    new Set(await numbersOf(tenantId)),
    new Set(Object.values(forms)),
    'each number once',
  )
  const records = ['0702246666', '*2700', '1700700123', '972722000010'].map(did =>
    push({ caller: customer().local, did }),
  )
  t.strictSame(await postTo(webhookUrl, records), OK)
  await work()
  for (const { ivruniqueid, did } of records)
    t.strictSame(await verdictsOf(tenantId, ivruniqueid), [['missed', 'noanswer']], String(did))
})

await t.test('a number or a connection of another business is rejected', async t => {
  const id = fake.addNumber({ token: SECRET }).phoneNumberId
  const token = ['--phone-number-id', id, '--access-token-stdin']
  await add(['--name', 'A', '--number', '0722000020', ...token], { input: SECRET })
  const before = await contents()
  const taken = await tenant([
    'add',
    '--name',
    'B',
    '--number',
    '0722000021',
    '--number',
    '072 2000020',
  ])
  t.match(taken, { status: 1, stdout: '', stderr: /\+972722000020 belongs to another business/ })
  const sameId = await tenant(['add', '--name', 'B', '--number', '0722000022', ...token], {
    input: SECRET,
  })
  t.match(sameId, { status: 1, stdout: '', stderr: /belongs to another business/ })
  t.notMatch(sameId.stderr, SECRET)
  const { 'public.tenants': tenants, 'public.tenant_numbers': numbers } = await contents()
  t.strictSame([tenants, numbers], [before['public.tenants'], before['public.tenant_numbers']])
})

await t.test('list and show print the state as JSON and as text', async t => {
  const shop = await business({ columns: { quiet_windows: ['21:00-08:00'] } })
  const line = {
    tenantId: shop.tenantId,
    name: 'מספרת נועה',
    mode: 'live',
    numbers: [shop.line],
    connection: 'active',
    lastWebhookAt: null,
    waiting: 0,
  }
  const { tenants } = listed.parse((await answered(['list'])).json)
  t.match(tenants.at(-1), line)
  const { json } = await answered(['show', '--tenant', shop.tenantId])
  t.match(json, {
    tenantId: shop.tenantId,
    outreachDelay: '2 minutes',
    quietWindows: ['21:00-08:00'],
    hasPassword: false,
    numbers: [{ phone: shop.line }],
    connections: [{ phoneNumberId: shop.phoneNumberId, state: 'active' }],
    webhookTokens: [{ revokedAt: null }],
    callLog: null,
  })
  const list = await tenant(['list'])
  t.match(list, { status: 0, stderr: '', stdout: shop.line })
  const shown = await tenant(['show', '--tenant', shop.tenantId])
  t.match(shown, { status: 0, stderr: '', stdout: /^outreachDelay +2 minutes$/m })
  for (const said of [
    /^quietWindows +21:00-08:00$/m,
    /^ownerPhone +none$/m,
    /^contactForeign +no$/m,
    /^callLog: not compared$/m,
    shop.phoneNumberId,
  ])
    t.match(shown.stdout, said)
})

await t.test('set changes the named settings and prints the old values', async t => {
  const { tenantId } = await business({ mode: 'shadow', columns: { owner_phone: customer().e164 } })
  const written = await auditSince(tenantId)
  const flags = {
    '--mode': 'live',
    '--name': 'Dana',
    '--owner-phone': 'none',
    '--timezone': 'Europe/Paris',
    '--outreach-delay': '90s',
    '--reminder-1-after': '3 hours',
    '--reminder-2-after': '2 days',
    '--unresponsive-after': '12h',
    '--repeat-window': '12h',
    '--oldest-call': '1h',
    '--grace': '20 minutes',
    '--reminder-grace': '4h',
    '--missed-statuses': 'NOANSWER, busy',
    '--min-ring-seconds': '7',
    '--contact-foreign': 'yes',
    '--holdout-percent': '10',
  }
  const windows = ['--quiet', '21:00-08:00', '--quiet', 'fri 15:00-sat 20:30']
  const args = [...Object.entries(flags).flat(), ...windows]
  const { json, stderr } = await answered(['set', '--tenant', tenantId, ...args])
  t.match(json, {
    tenantId,
    before: { mode: 'shadow', outreachDelay: '2 minutes', quietWindows: [], contactForeign: false },
    after: {
      mode: 'live',
      name: 'Dana',
      ownerPhone: null,
      timezone: 'Europe/Paris',
      outreachDelay: '1 minute 30 seconds',
      reminder1After: '3 hours',
      reminder2After: '2 days',
      unresponsiveAfter: '12 hours',
      repeatWindow: '12 hours',
      oldestCall: '1 hour',
      grace: '20 minutes',
      reminderGrace: '4 hours',
      missedStatuses: ['NOANSWER', 'BUSY'],
      minRingSeconds: 7,
      contactForeign: true,
      holdoutPercent: 10,
      quietWindows: ['21:00-08:00', 'fri 15:00-sat 20:30'],
    },
  })
  t.match(stderr, /^ {2}mode: "shadow" -> "live"$/m)
  t.match(await written(), [['command line', 'tenant.set', `tenants ${tenantId}`]])
  const off = await answered(['set', '--tenant', tenantId, '--no-quiet', '--contact-foreign', 'no'])
  t.match(off.json, { after: { quietWindows: [], contactForeign: false } })
  const same = await answered(['set', '--tenant', tenantId, '--mode', 'live', '--no-quiet'])
  t.strictSame(same.json, { tenantId, before: {}, after: {} })
  t.match(same.stderr, /nothing changed/)
  t.equal((await written()).length, 2, 'setting the same value again is not audited')
})

await t.test('going live warns on stderr and proceeds', async t => {
  const shop = await business({ mode: 'shadow', columns: { owner_phone: customer().e164 } })
  const { tenantId } = shop
  const live = (how = {}) => answered(['set', '--tenant', tenantId, '--mode', 'live'], how)
  const warnings = (stderr: string) =>
    ['test message', 'APP_SECRET', 'webhook from Meta', 'quiet windows'].filter(part =>
      stderr.split('\n').some(line => line.startsWith('warning: ') && line.includes(part)),
    )
  const first = await live()
  t.match(first.json, { after: { mode: 'live' } })
  t.strictSame(warnings(first.stderr), ['test message', 'webhook from Meta', 'quiet windows'])
  const insert = (state: 'failed' | 'accepted' | 'delivered') =>
    db
      .insertInto('messages')
      .values({
        tenant_id: tenantId,
        direction: 'out',
        kind: 'owner_notice',
        state,
        occasion: `test:${state}`,
        claimed_at: new Date(),
        ...(state === 'failed' && { reason: 'refused' }),
      })
      .execute()
  await insert('failed')
  t.strictSame(warnings((await live()).stderr), [
    'test message',
    'webhook from Meta',
    'quiet windows',
  ])
  await insert('accepted')
  t.strictSame(warnings((await live()).stderr), [
    'test message',
    'webhook from Meta',
    'quiet windows',
  ])
  await insert('delivered')
  t.strictSame(warnings((await live()).stderr), ['quiet windows'])
  await answered(['set', '--tenant', tenantId, '--quiet', '21:00-08:00'])
  t.strictSame(warnings((await live()).stderr), [])
  t.strictSame(
    warnings((await answered(['set', '--tenant', tenantId, '--mode', 'shadow'])).stderr),
    [],
  )
  const added = await add(['--name', 'A', '--number', '0722000077', '--mode', 'live'])
  t.strictSame(warnings(added.stderr), ['test message', 'webhook from Meta', 'quiet windows'])
})

await t.test('sign-out names a business that exists', async t => {
  const { tenantId } = await business()
  const { json, stderr } = await answered(['sign-out', '--tenant', tenantId])
  t.strictSame(json, { tenantId, sessions: 0, links: 0 })
  t.match(stderr, '0 sessions ended, 0 links revoked')
  t.match(await tenant(['sign-out', '--tenant', '999999']), { status: 1, stderr: /no tenant/ })
  t.match(await tenant(['sign-out']), { status: 2 })
})

await t.test('quiet windows by the calendar are set, and going live asks for a choice', async t => {
  const { tenantId } = await business({ mode: 'shadow' })
  const set = (...args: string[]) => answered(['set', '--tenant', tenantId, ...args])
  const warning = /^warning: no quiet windows were chosen, .* choose with --quiet or --no-quiet$/m
  const live = await set('--mode', 'live')
  t.match(live.json, { after: { mode: 'live' } })
  t.match(live.stderr, warning)
  t.notMatch((await set('--mode', 'shadow')).stderr, warning)
  const none = await set('--mode', 'live', '--no-quiet')
  t.match(none.json, { after: { mode: 'live', quietChosen: true } })
  t.notMatch(none.stderr, warning)

  const days = ['shabbat', 'holidays', '21:00-08:00']
  const windows = await set(
    ...days.flatMap(day => ['--quiet', day]),
    '--reminder-quiet',
    '20:00-09:00',
    '--reminder-quiet',
    'shabbat',
    '--location',
    'ירושלים',
  )
  t.match(windows.json, {
    before: { location: 'Tel Aviv', quietWindows: [], reminderQuietWindows: [] },
    after: {
      location: 'Jerusalem',
      quietWindows: days,
      reminderQuietWindows: ['20:00-09:00', 'shabbat'],
    },
  })
  const off = await set('--no-reminder-quiet', '--location', '31.7054,35.2024')
  t.match(off.json, { after: { location: '31.7054,35.2024', reminderQuietWindows: [] } })
  const shown = await tenant(['show', '--tenant', tenantId])
  t.match(shown.stdout, /^location +31\.7054,35\.2024$/m)
  t.match(shown.stdout, /^quietChosen +yes$/m)
  const { rows } = await sql<{ location: string }>`
    select distinct location from quiet_days order by 1`.execute(db)
  t.strictSame(
    rows.map(({ location }) => location),
    ['31.7054,35.2024', 'Tel Aviv'],
    'SQL knows the days of each location that a business has',
  )

  const added = await answered(['add', '--name', 'A', '--number', '0722999001', '--mode', 'live'])
  t.match(added.stderr, warning)
  const { json } = await answered(['show', '--tenant', String(Object(added.json).tenantId)])
  t.match(json, {
    quietWindows: [],
    reminderQuietWindows: ['21:00-08:00', 'shabbat', 'holidays'],
    location: 'Tel Aviv',
    quietChosen: false,
  })
})

await t.test('a token for the Pop-Up Screen, and the last look', async t => {
  const { tenantId } = await business()
  const added = await answered(['token', 'add', '--tenant', tenantId, '--kind', 'popup'])
  const json = z
    .object({ tenantId: z.string(), webhookToken: z.string(), webhookUrl: z.string() })
    .parse(added.json)
  t.match(json.webhookUrl, `/webhooks/voicenter/popup?token=${json.webhookToken}`)
  const kinds = async () =>
    (
      await db
        .selectFrom('webhook_tokens')
        .select('kind')
        .where('tenant_id', '=', tenantId)
        .orderBy('id')
        .execute()
    ).map(({ kind }) => kind)
  t.strictSame(await kinds(), ['cdr', 'popup'])
  t.match((await answered(['token', 'list', '--tenant', tenantId])).json, {
    webhookTokens: [{ kind: 'cdr' }, { kind: 'popup' }],
  })
  const wrong = await tenant(['token', 'add', '--tenant', tenantId, '--kind', 'api2'])
  t.match(wrong, { status: 2, stderr: /^--kind: expected cdr or popup/ })

  const on = await answered(['set', '--tenant', tenantId, '--last-look', 'on'])
  t.match(on.json, { before: { lastLook: false }, after: { lastLook: true } })
  const off = await answered(['set', '--tenant', tenantId, '--last-look', 'off'])
  t.match(off.json, { after: { lastLook: false } })
})

await t.test('API tokens', async t => {
  const { tenantId, token } = await business()
  const written = await auditSince(tenantId)
  const added = await answered(['api-token', 'add', '--tenant', tenantId])
  const { tokenId, apiToken } = z
    .strictObject({ tenantId: z.literal(tenantId), tokenId: z.string(), apiToken: z.string() })
    .parse(added.json)
  const stored = await db
    .selectFrom('webhook_tokens')
    .select(['hash', 'kind'])
    .where('id', '=', tokenId)
    .executeTakeFirstOrThrow()
  t.strictSame(stored, { hash: sha256(apiToken), kind: 'api' })
  const listed = await answered(['api-token', 'list', '--tenant', tenantId])
  t.match(listed.json, { apiTokens: [{ tokenId, tenantId, revokedAt: null }] })
  t.notMatch(listed.line, apiToken)
  const { json: webhooks } = await answered(['token', 'list', '--tenant', tenantId])
  t.equal(Object(webhooks).webhookTokens.length, 1, 'it is no webhook token')
  t.match(await tenant(['token', 'revoke', '--tenant', tenantId, '--id', tokenId]), { status: 1 })

  t.equal((await post(push(), { token: apiToken })).status, 401)
  t.equal((await post(push(), { token })).status, 200)

  const { tenantId: other } = await business()
  const foreign = ['api-token', 'revoke', '--tenant', other, '--id', tokenId]
  t.match(await tenant(foreign), { status: 1, stderr: `there is no API token ${tokenId}\n` })
  const revoke = ['api-token', 'revoke', '--id', tokenId]
  t.strictSame((await answered(revoke)).json, { tenantId, tokenId, revoked: true })
  t.strictSame((await answered(revoke)).json, { tenantId, tokenId, revoked: false })
  t.match(await written(), [
    ['command line', 'api_token.add'],
    ['command line', 'api_token.revoke'],
  ])
  t.match(await tenant(['api-token', 'revoke']), { status: 2, stderr: /^--id: expected the id/ })
  t.match(await tenant(['api-token', 'add']), { status: 2, stderr: /^--tenant: expected the id/ })
})

await t.test('webhooks: what another program gets', async t => {
  const { tenantId } = await business()
  const { tenantId: other } = await business()
  const written = await auditSince(tenantId)
  const to = await receiver()
  const ours = ['--tenant', tenantId]
  const added = await answered([
    'webhook',
    'add',
    ...ours,
    '--url',
    to.url,
    '--event',
    'lead.replied',
  ])
  const { endpointId, secret } = z
    .strictObject({ endpointId: z.string(), secret: z.string().startsWith('whsec_') })
    .parse(added.json)
  const id = [...ours, '--id', endpointId]
  const listed = await answered(['webhook', ...ours])
  t.match(listed.json, {
    tenantId,
    endpoints: [{ endpointId, url: to.url, events: ['lead.replied'], state: 'active', waiting: 0 }],
  })
  t.notMatch(listed.line, secret)
  const { json: sent } = await answered(['webhook', 'test', ...id])
  const { deliveryId, webhookId } = z
    .strictObject({ deliveryId: z.string(), webhookId: z.string() })
    .parse(sent)
  await work()
  t.match(to.received, [{ type: 'webhook.test', id: webhookId }])
  t.match((await answered(['webhook', 'deliveries', ...id])).json, {
    deliveries: [{ deliveryId, webhookId, state: 'delivered', status: 204, attempts: 1 }],
  })
  const again = await answered(['webhook', 'resend', ...id, '--delivery', deliveryId])
  t.strictSame(again.json, { count: 1 })
  await work()
  t.equal(to.received.length, 2)
  t.strictSame((await answered(['webhook', 'resend', ...id])).json, { count: 0 })
  const rotated = await answered(['webhook', 'rotate', ...id])
  t.match(rotated.json, { endpointId, secret: /^whsec_/ })
  t.not(Object(rotated.json).secret, secret)
  for (const action of ['test', 'rotate', 'remove', 'deliveries', 'resend'])
    t.match(await tenant(['webhook', action, '--tenant', other, '--id', endpointId]), {
      status: 1,
      stderr: `there is no endpoint ${endpointId} of tenant ${other}\n`,
    })
  t.strictSame((await answered(['webhook', 'remove', ...id])).json, { endpointId })
  t.match((await answered(['webhook', ...ours])).json, { endpoints: [] })
  t.match(await written(), [
    ['command line', 'event_endpoint.add'],
    ['command line', 'event_endpoint.test'],
    ['command line', 'event_endpoint.resend'],
    ['command line', 'event_endpoint.resend'],
    ['command line', 'event_endpoint.rotate'],
    ['command line', 'event_endpoint.remove'],
  ])
})

await t.test('pause stops a business, and resume restores the previous mode', async t => {
  const { tenantId } = await business({ mode: 'shadow' })
  const written = await auditSince(tenantId)
  const paused = await answered(['pause', '--tenant', tenantId])
  t.strictSame(paused.json, { tenantId, before: { mode: 'shadow' }, after: { mode: 'paused' } })
  const resumed = await answered(['resume', '--tenant', tenantId])
  t.strictSame(resumed.json, { tenantId, before: { mode: 'paused' }, after: { mode: 'shadow' } })
  t.match(await written(), [
    ['command line', 'tenant.set'],
    ['command line', 'tenant.set'],
  ])
  t.match(await tenant(['resume', '--tenant', tenantId]), {
    status: 1,
    stdout: '',
    stderr: /is not paused, its mode is shadow/,
  })
})

await t.test(
  'a number is added, listed and removed, and earlier calls to it are classified again',
  async t => {
    const shop = await business()
    const written = await auditSince(shop.tenantId)
    const record = push({ caller: customer().local, did: '0739000001' })
    await tell(shop.token, record)
    const number = ['--tenant', shop.tenantId, '--number', '073-900-0001']
    const added = await answered(['number', 'add', ...number])
    t.strictSame(added.json, {
      tenantId: shop.tenantId,
      phone: '+972739000001',
      added: true,
      reclassified: 1,
    })
    t.match(added.stderr, /1 call is classified again/)
    await work()
    t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
    t.match((await answered(['number', 'add', ...number])).json, { added: false, reclassified: 0 })
    for (const list of [['number', 'list'], ['number']])
      t.match((await answered([...list, '--tenant', shop.tenantId])).json, {
        tenantId: shop.tenantId,
        numbers: [{ phone: shop.line }, { phone: '+972739000001' }],
      })
    const removed = await answered(['number', 'remove', ...number])
    t.strictSame(removed.json, { tenantId: shop.tenantId, phone: '+972739000001' })
    t.match(await written(), [
      ['command line', 'number.add'],
      ['command line', 'number.remove'],
    ])
  },
)

await t.test('a template is set and shown', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const { json } = await answered([
    'template',
    '--tenant',
    tenantId,
    '--kind',
    'reminder_1',
    '--name',
    'again',
    '--language',
    'en',
  ])
  t.match(json, {
    templates: [
      { kind: 'initial', name: 'ringback_missed_call' },
      { kind: 'reminder_1', name: 'again', language: 'en' },
    ],
  })
  t.match(await written(), [
    [
      'command line',
      'template.set',
      /^whatsapp_connections/,
      { kind: 'reminder_1' },
      { name: 'again' },
    ],
  ])
})

await t.test('a webhook token is added and listed, and the old one is revoked', async t => {
  const shop = await business()
  const { tenantId } = shop
  const written = await auditSince(tenantId)
  const added = await answered(['token', 'add', '--tenant', tenantId])
  t.match(added.json, {
    tenantId,
    tokenId: /^\d+$/,
    webhookToken: /^[\w-]{43}$/,
    webhookUrl: /\/webhooks\/voicenter\/cdr\?token=/,
  })
  const { webhookUrl = '' } = /"webhookUrl":"(?<webhookUrl>[^"]+)"/.exec(added.line)?.groups ?? {}
  const deliver = async () =>
    (await fetch(webhookUrl, { method: 'POST', body: JSON.stringify(push({ did: shop.did })) }))
      .status
  t.equal(await deliver(), 200)
  const person = await tenant(['token', 'add', '--tenant', tenantId])
  t.match(person, { status: 0, stdout: /shown this once/ })
  t.match((await answered(['token', '--tenant', tenantId])).json, { webhookTokens: { length: 3 } })

  const [old] = await db
    .selectFrom('webhook_tokens')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  const revoke = ['token', 'revoke', '--tenant', tenantId, '--id', old?.id ?? '']
  t.strictSame((await answered(revoke)).json, { tenantId, tokenId: old?.id, revoked: true })
  t.match(await post(push({ did: shop.did }), { token: shop.token }), { status: 401 })
  t.equal(await deliver(), 200)
  t.match((await answered(revoke)).json, { revoked: false })
  t.match(
    (await written()).map(([who, action]) => [who, action]),
    [
      ['command line', 'webhook_token.add'],
      ['command line', 'webhook_token.add'],
      ['command line', 'webhook_token.revoke'],
    ],
  )
})

await t.test('the last token is revoked only with --force', async t => {
  const { tenantId } = await business()
  const [token] = await db
    .selectFrom('webhook_tokens')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .execute()
  const revoke = ['token', 'revoke', '--tenant', tenantId, '--id', token?.id ?? '']
  const before = await contents()
  t.match(await tenant(revoke), {
    status: 1,
    stdout: '',
    stderr: /^--id: webhook token \d+ is the last valid one/,
  })
  t.strictSame(await contents(), before)
  t.match((await answered([...revoke, '--force'])).json, { revoked: true })
})

await t.test('a WhatsApp number is paused and resumed', async t => {
  const { tenantId, phoneNumberId } = await business()
  const written = await auditSince(tenantId)
  const number = ['--tenant', tenantId, '--phone-number-id', phoneNumberId]
  t.strictSame((await answered(['connection', 'pause', ...number])).json, {
    tenantId,
    phoneNumberId,
    state: 'paused',
    changed: true,
  })
  t.match((await answered(['connection', '--tenant', tenantId])).json, {
    tenantId,
    connections: [{ phoneNumberId, state: 'paused', reason: 'by_operator' }],
  })
  t.match((await answered(['connection', 'pause', ...number])).json, { changed: false })
  t.match((await answered(['connection', 'resume', ...number])).json, {
    state: 'active',
    changed: true,
  })
  t.match(await written(), [
    ['command line', 'connection.pause'],
    ['command line', 'connection.resume'],
  ])
})

await t.test('a password is set, generated and cleared', async t => {
  const { tenantId } = await business()
  const written = await auditSince(tenantId)
  const stored = async () =>
    (
      await db
        .selectFrom('tenants')
        .select('ops_password')
        .where('id', '=', tenantId)
        .executeTakeFirstOrThrow()
    ).ops_password
  const set = (args: string[], how = {}) =>
    answered(['password', '--tenant', tenantId, ...args], how)
  t.strictSame(
    (await set(['--password-env', 'OURS'], { env: { OURS: 'out of a variable' } })).json,
    { tenantId, changed: true },
  )
  t.ok(await isPassword('out of a variable', await stored()))
  await set(['--password-stdin'], { input: 'from standard input\n' })
  t.ok(await isPassword('from standard input', await stored()))
  const { line, stderr } = await set(['--generate'])
  const { password = '' } = /"password":"(?<password>[\w-]{20})"/.exec(line)?.groups ?? {}
  t.ok(await isPassword(password, await stored()))
  t.notMatch(stderr, password)
  t.match(await tenant(['password', '--tenant', tenantId, '--generate']), {
    status: 0,
    stdout: /shown this once/,
  })
  t.strictSame((await set(['--clear'])).json, { tenantId, changed: true })
  t.equal(await stored(), null)
  t.match(await set(['--clear']), { json: { changed: false }, stderr: /was not set/ })
  const rows = await written()
  t.strictSame(
    rows.map(([who, action]) => [who, action]),
    Array.from({ length: 5 }, () => ['command line', 'password.set']),
  )
  t.notMatch(JSON.stringify(rows), password)
})

await t.test('a test message is sent, and the command prints its result', async t => {
  const owner = customer().e164
  const { tenantId, phoneNumberId } = await business({
    mode: 'shadow',
    columns: { owner_phone: owner },
  })
  const command = answered(['test-message', '--tenant', tenantId, '--wait', '60'])
  await until(async () => {
    await work()
    return fake.inbox(owner).length === 1
  })
  const { json, stderr } = await command
  t.match(json, {
    tenantId,
    messageId: /^\d+$/,
    state: 'accepted',
    reason: null,
    code: null,
    phoneNumberId,
  })
  t.match(stderr, /accepted; look at the owner's phone/)
  t.match(await auditOf(tenantId), [
    ...Array.from({ length: 4 }, () => []),
    ['command line', 'test_message.send'],
  ])
  const again = await tenant(['test-message', '--tenant', tenantId])
  t.match(again, {
    status: 1,
    stdout: '',
    stderr: /the previous test message is less than a minute old/,
  })
})

await t.test('a test message that fails ends with 1 and the reason', async t => {
  const owner = customer().e164
  const shop = await business({ columns: { owner_phone: owner } })
  fake.script({ to: owner, outcome: { kind: 'error', code: 132001 } })
  const command = tenant(['test-message', '--tenant', shop.tenantId, '--wait', '60', '--json'])
  await until(async () => {
    await work()
    return requestsOf(shop).length === 1
  })
  const { status, stdout, stderr } = await command
  t.equal(status, 1)
  t.match(stderr, /failed \(error_code, WhatsApp error 132001\)/)
  t.match(JSON.parse(stdout), { state: 'failed', code: 132001 })
})

await t.test('without a worker the test message stays queued', async t => {
  const { tenantId } = await business({ columns: { owner_phone: customer().e164 } })
  const { json, stderr } = await answered(['test-message', '--tenant', tenantId, '--wait', '0'])
  t.match(json, { state: 'scheduled' })
  t.match(stderr, /still queued; is a worker running\?/)
})

const callLog = (tenantId: string, args: string[], options: Options = {}) =>
  tenant(['call-log', '--tenant', tenantId, ...args], options)
const lastLine = ({ stdout }: { stdout: string }): unknown =>
  JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')

await t.test(
  'an API code from a variable starts the comparison with the Call Log at once',
  async t => {
    const shop = await business()
    const account = voicenter.addAccount()
    await webhook(shop, call({ caller: customer().local, did: shop.did }).push)
    const answer = await callLog(shop.tenantId, ['--code-env', 'OUR_CODE', '--json'], {
      env: { OUR_CODE: ` ${account.code}\n` },
    })
    t.match(answer, { status: 0, stderr: /its call log is compared from now on/ })
    t.equal(answer.stdout.split('\n').length, 2, 'stdout is one line')
    t.match(lastLine(answer), {
      tenantId: shop.tenantId,
      callLog: { kind: 'code', lastError: null, calls: '0', lost: '0' },
    })
    const row = await accessRow(shop)
    t.equal(decrypt(row.credential, callLogOwner(shop.tenantId)), account.code)
    t.throws(() => decrypt(row.credential, callLogOwner('0')), /cannot be decrypted/)
    const { rows } = await sql<{ text: string }>`
    select to_jsonb(a)::text as text from call_log_access a
    union all select to_jsonb(j)::text from graphile_worker.jobs j`.execute(db)
    const seen = rows.map(({ text }) => text).join() + answer.stdout + answer.stderr
    t.notMatch(seen, account.code, 'the code is never shown')
    await work()
    t.strictSame(await checksOf(shop), [[0, 0, 0]])
  },
)

await t.test('a bearer token from standard input replaces the code', async t => {
  const shop = await business()
  const account = voicenter.addAccount({ addressAllowed: false })
  await callLog(shop.tenantId, ['--code-stdin'], { input: account.code })
  await work()
  t.match(await accessRow(shop), { kind: 'code', last_error: 'address_not_allowed' })
  const shown = await callLog(shop.tenantId, ['--json'])
  t.match(lastLine(shown), { callLog: { kind: 'code', lastError: 'address_not_allowed' } })
  t.notMatch(shown.stdout + shown.stderr, account.code)
  const before = await accessRow(shop)
  const { status } = await callLog(shop.tenantId, ['--bearer-stdin'], { input: account.bearer })
  t.equal(status, 0)
  t.match(await accessRow(shop), { kind: 'bearer', last_error: null })
  t.strictSame((await accessRow(shop)).checked_until, before.checked_until)
  await work()
  t.match(await accessRow(shop), { last_error: null })
  t.equal((await checksOf(shop)).length, 1)
})

await t.test('the comparison does not look back further than the first webhook', async t => {
  const since = async (age: string | null) => {
    const shop = await business()
    if (age) {
      await webhook(shop, call({ did: shop.did }).push)
      await sql`update raw_cdrs set received_at = now() - ${age}::interval
                where tenant_id = ${shop.tenantId}`.execute(db)
    }
    await callLog(shop.tenantId, ['--code-stdin'], { input: 'x' })
    return secondsUntil((await accessRow(shop)).watched_since)
  }
  const near = (found: number, wanted: number) => t.ok(Math.abs(found - wanted) < 30, String(found))
  near(await since('3 days'), -24 * 3600)
  near(await since('3 hours'), -3 * 3600)
  near(await since(null), -600)
})

await t.test('--off deletes the credential and ends the comparison', async t => {
  const shop = await business()
  await callLog(shop.tenantId, ['--code-stdin'], { input: 'x' })
  t.equal((await jobs(`call_log:${shop.tenantId}`)).length, 1)
  const off = await callLog(shop.tenantId, ['--off', '--json'])
  t.strictSame(lastLine(off), { tenantId: shop.tenantId, callLog: null })
  t.match(off.stderr, /its call log is not compared/)
  t.strictSame(await jobs(`call_log:${shop.tenantId}`), [])
  await t.rejects(accessRow(shop))
})

const folder = mkdtempSync(join(tmpdir(), 'ringback-privacy-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

const withoutAudit = async () => ({ ...(await contents()), 'public.audit_log': null })

await t.test('forget --dry-run only counts, and forget --yes erases', async t => {
  const shop = await business()
  const who = customer()
  await miss(shop, who.local)
  const forget = (...args: string[]) =>
    tenant(['forget', '--tenant', shop.tenantId, '--number', who.local, ...args])

  const before = await contents()
  const unsure = await forget()
  t.match(unsure, { status: 2, stdout: '', stderr: /cannot be undone: use --yes if you are sure/ })
  const rehearsal = await forget('--dry-run', '--json')
  t.equal(rehearsal.status, 0, rehearsal.stderr)
  const erased = { leads: 1, missed_calls: 1, raw_cdrs: 1, jobs: 1, messages: 0 }
  t.match(lastLine(rehearsal), { tenantId: shop.tenantId, dryRun: true, erased })
  t.match(rehearsal.stderr, /nothing was changed/)
  t.strictSame(await contents(), before)

  const done = await forget('--yes', '--json')
  t.equal(done.status, 0, done.stderr)
  t.match(lastLine(done), { tenantId: shop.tenantId, dryRun: false, erased })
  t.strictSame(await rowsWith(who.e164), [])
  for (const { stdout, stderr } of [unsure, rehearsal, done])
    t.notMatch(stdout + stderr, who.local.slice(1), 'the number is not printed')
  t.match(
    await db.selectFrom('audit_log').selectAll().where('action', '=', 'person.forget').execute(),
    [{ who: 'command line', tenant_id: shop.tenantId, after: erased }],
  )
  t.match(await forget('--yes'), { status: 0, stdout: /raw_cdrs\s+│ 0/ })
})

await t.test('opt-outs imports a list from a file or from standard input', async t => {
  const shop = await business()
  const [one, two] = [customer(), customer()]
  await miss(shop, one.local)
  const file = join(folder, 'numbers.txt')
  writeFileSync(file, `${one.local}\nלא מספר 52x\n${two.local}\n`)
  const imported = await tenant(['opt-outs', '--tenant', shop.tenantId, '--file', file, '--json'])
  t.equal(imported.status, 1, 'because one line has no number')
  t.strictSame(lastLine(imported), { tenantId: shop.tenantId, added: 2, known: 0, badLines: [2] })
  t.match(imported.stderr, /^2 people are new.*\nline 2: not a telephone number\n$/)
  t.strictSame(
    await optOutsOf(shop),
    [one, two].map(({ e164 }) => [e164, 'import']),
  )
  t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])

  const piped = await tenant(['opt-outs', '--tenant', shop.tenantId, '--file', '-'], {
    input: two.e164,
  })
  t.match(piped, { status: 0, stderr: /^0 people are new .*, 1 were known\n$/ })
  const before = await withoutAudit()
  t.match(await tenant(['opt-outs', '--tenant', shop.tenantId]), {
    status: 2,
    stderr: /^--file: expected/,
  })
  t.match(await tenant(['opt-outs', '--tenant', shop.tenantId, '--file', join(folder, 'none')]), {
    status: 2,
    stderr: /^--file: ENOENT/,
  })
  t.strictSame(await withoutAudit(), before)
})

await t.test('opt-out and exclusion print JSON, and an opt-out by the person stays', async t => {
  const shop = await business()
  const { tenantId, phoneNumberId } = shop
  const [dana, guard] = [customer(), customer()]
  const at = ['--tenant', tenantId]
  const number = ['--number', dana.local]
  const opted = { tenantId, phone: dana.e164 }
  for (const added of [true, false])
    t.strictSame((await answered(['opt-out', 'add', ...at, ...number])).json, { ...opted, added })
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'operator']])
  for (const removed of [true, false])
    t.strictSame((await answered(['opt-out', 'remove', ...at, ...number])).json, {
      ...opted,
      removed,
    })
  await happens({ kind: 'text', text: 'הסר', from: dana.e164, phoneNumberId })
  t.match(await tenant(['opt-out', 'remove', ...at, ...number]), {
    status: 1,
    stdout: '',
    stderr: /^this person asked for no messages: .*START.*\(opted_out_by_person\)\n$/,
  })
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])

  const excluded = { tenantId, phone: guard.e164 }
  const add = ['exclusion', 'add', ...at, '--number', guard.local, '--note', 'night guard']
  t.strictSame((await answered(add)).json, { ...excluded, added: true })
  const file = join(folder, 'staff.csv')
  writeFileSync(file, 'name,phone\nDana,03-6123456\nnobody,x\n')
  const imported = await tenant([
    'exclusion',
    'import',
    ...at,
    '--file',
    file,
    '--note',
    'staff',
    '--json',
  ])
  t.equal(imported.status, 1, 'because one line has no number')
  t.strictSame(lastLine(imported), { tenantId, added: 1, known: 0, badLines: [3] })
  t.match((await answered(['exclusion', 'list', ...at])).json, {
    tenantId,
    exclusions: [
      { phone: '+97236123456', note: 'staff' },
      { phone: guard.e164, note: 'night guard' },
    ],
  })
  t.match(await tenant(['exclusion', ...at]), { status: 0, stdout: /night guard/ })
  const remove = ['exclusion', 'remove', ...at, '--number', guard.local]
  t.strictSame((await answered(remove)).json, { ...excluded, removed: true })
  t.match(await tenant(remove), { status: 0, stderr: /did not exclude/ })
})

await t.test('export writes to a file with mode 0600, or to standard output', async t => {
  const shop = await business()
  const who = customer()
  const { callId } = await miss(shop, who.local)
  const args = ['--tenant', shop.tenantId, '--what', 'calls']
  const file = join(folder, 'calls.csv')
  const { status, stdout, stderr } = await exportRows([...args, '--output', file])
  t.strictSame(
    { status, stdout, stderr },
    { status: 0, stdout: '', stderr: `1 calls of tenant ${shop.tenantId}\n` },
  )
  t.equal(statSync(file).mode & 0o777, 0o600)
  const written = readFileSync(file)
  t.match(parse(written, { bom: true, columns: true }), [
    { call_id: callId, customer_phone: `'${who.e164}` },
  ])
  const piped = await exportRows(args)
  t.equal(piped.status, 0)
  t.equal(piped.stdout, written.toString())
  t.match(await exportRows([...args, '--until', '2020-01-01']), {
    status: 0,
    stderr: /^0 calls/,
  })
})

/** A delivery that an earlier version could not read, as it was kept then. */
const refusedEarlier = async (
  tenantId: string | null,
  body: string | Uint8Array,
  source: 'voicenter' | 'whatsapp' | 'call_log' = 'voicenter',
  hoursAgo = 0,
): Promise<string> => {
  const bytes = Buffer.from(body)
  const { id } = await db
    .insertInto('rejected_deliveries')
    .values({
      tenant_id: tenantId,
      source,
      reason: 'the program could not read it',
      content_type: 'application/json',
      body: bytes,
      body_hash: sha256(bytes),
      received_at: sql<Date>`now() - make_interval(hours => ${hoursAgo})`,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}
const rereadState = (id: string) =>
  db
    .selectFrom('rejected_deliveries')
    .select(['reread_result', 'reason', 'tenant_id', 'deliveries'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
/** דנה in windows-1255. */
const DANA = Buffer.from([0xe3, 0xf0, 0xe4])

await t.test('refused reread stores what is readable now, and nothing twice', async t => {
  const shop = await business()
  const [json, form, one, two, undated] = Array.from({ length: 5 }, () =>
    push({ caller: customer().local, did: shop.did }),
  )
  const [before = '', after = ''] = JSON.stringify({ ...json, callername: 'X' }).split('X')
  const writer = customer().e164
  const message = change(shop.phoneNumberId, {
    messages: [{ id: 'wamid.REREAD', from: writer.slice(1), type: 'text', text: { body: 'STOP' } }],
  })
  const { time: _, ...withoutTime } = { ...undated, ivruniqueid: 'no-date-in-this-id' }
  const entry = call({ did: shop.did, caller: customer().local })
  const stored = {
    'JSON in windows-1255': await refusedEarlier(
      shop.tenantId,
      Buffer.concat([Buffer.from(before), DANA, Buffer.from(after)]),
    ),
    'a form in windows-1255': await refusedEarlier(
      shop.tenantId,
      `${new URLSearchParams(Object.entries(form ?? {}).map(([k, v]): [string, string] => [k, String(v)])).toString()}&callername=%E3%F0%E4`,
    ),
    'an array': await refusedEarlier(shop.tenantId, JSON.stringify([one, { no: 'id' }, two])),
    'an entry of the call log': await refusedEarlier(
      shop.tenantId,
      JSON.stringify(entry.record),
      'call_log',
    ),
    'an old call without a time': await refusedEarlier(
      shop.tenantId,
      JSON.stringify(withoutTime),
      'voicenter',
      3,
    ),
    'an event of WhatsApp': await refusedEarlier(
      null,
      JSON.stringify(envelope(message)),
      'whatsapp',
      3,
    ),
  }
  const rejected = {
    nonsense: await refusedEarlier(shop.tenantId, 'nonsense'),
    'the question of an IVR': await refusedEarlier(
      shop.tenantId,
      JSON.stringify({ METHOD: 'IVR_LAYER_INPUT', did: shop.did }),
    ),
    'half an event': await refusedEarlier(null, '{"entry":', 'whatsapp'),
  }
  // One of them came again meanwhile, in a form that could be read.
  await webhook(shop, two ?? entry.push)

  const listed = await answered(['refused', 'list', '--tenant', shop.tenantId])
  t.equal(z.object({ deliveries: z.array(z.unknown()) }).parse(listed.json).deliveries.length, 7)
  const first = await answered(['refused', 'reread'])
  t.strictSame(first.json, { stored: 6, rejected: 3 })
  for (const [name, id] of Object.entries(stored))
    t.match(await rereadState(id), { reread_result: 'stored', deliveries: 1 }, name)
  t.match(await rereadState(rejected.nonsense), { reread_result: 'rejected', reason: /neither/ })
  t.match(await rereadState(rejected['the question of an IVR']), { reason: /^IVR_LAYER_INPUT/ })
  t.match(await rereadState(rejected['half an event']), { reason: /not valid JSON/ })

  await work()
  const rows = await db
    .selectFrom('raw_cdrs')
    .select(['call_id', 'token_tenant_id', 'source', 'verdict', 'deliveries', 'payload'])
    .where('tenant_id', '=', shop.tenantId)
    .orderBy('id')
    .execute()
  t.equal(rows.length, 6, 'each record once')
  t.ok(rows.every(one => one.token_tenant_id === shop.tenantId && one.verdict === 'missed'))
  t.strictSame(
    rows.flatMap(
      ({ payload }) =>
        z.object({ callername: z.string() }).safeParse(payload).data?.callername ?? [],
    ),
    ['דנה', 'דנה'],
  )
  t.strictSame(
    rows.filter(one => one.deliveries === 2).map(one => one.call_id),
    [two?.ivruniqueid],
  )
  t.strictSame(
    rows.filter(one => one.source === 'call_log').map(one => one.call_id),
    [entry.callId],
  )
  t.strictSame(await outreachOf(shop.tenantId, 'no-date-in-this-id'), ['skipped', 'too_late'])
  t.strictSame(await optOutsOf(shop), [[writer, 'typed']])
  const kept = await answered(['refused', '--tenant', shop.tenantId])
  t.match(kept.line, /call id \(.*?\) is missing/, 'the record of the array that is not readable')

  const now = await contents()
  const again = await answered(['refused', 'reread'])
  t.strictSame(again.json, { stored: 0, rejected: 4 })
  const id = stored['an array']
  t.strictSame((await answered(['refused', 'reread', '--id', id])).json, { stored: 0, rejected: 0 })
  const { 'public.rejected_deliveries': __, 'public.audit_log': ___, ...rest } = await contents()
  t.match(now, rest, 'nothing else has changed')
  t.match(
    (await auditOf(shop.tenantId)).find(([, action]) => action === 'delivery.reread'),
    ['command line', 'delivery.reread', /^rejected_deliveries /, null, { stored: 5, rejected: 2 }],
  )
})

await t.test('refused reread refuses an unknown or emptied delivery', async t => {
  const shop = await business()
  const other = await business()
  const id = await refusedEarlier(shop.tenantId, JSON.stringify(push({ did: shop.did })))
  t.match(await tenant(['refused', 'reread', '--id', id, '--tenant', other.tenantId]), {
    status: 1,
    stderr: `there is no rejected delivery ${id}`,
  })
  await sql`update rejected_deliveries set body = null where id = ${id}`.execute(db)
  t.match(await tenant(['refused', 'reread', '--id', id]), { status: 1, stderr: /was deleted/ })
  t.match(await tenant(['refused', 'reread', '--id', 'x']), { status: 2, stderr: /--id/ })
})

await t.test('without any business, list is empty', async t => {
  await db.deleteFrom('tenants').execute()
  t.strictSame((await answered(['list'])).json, { tenants: [] })
  t.match(await tenant(['list']), { status: 0, stdout: '', stderr: /there is no business yet/ })
})
