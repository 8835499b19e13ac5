/** npm run tenant: as the command that an operator, or a script, runs. */
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import {
  contents,
  customer,
  db,
  fake,
  OK,
  outreachOf,
  url,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { type How, run } from './command.ts'
import { decrypt, tokenOwner } from '../../app/crypto.ts'

const SECRET = 'EAAG-a-very-secret-token'

const tenant = (args: string[], how: How = {}) =>
  run('tenant', args, { ...how, env: { PUBLIC_URL: url, ...how.env } })
const added = z.strictObject({
  tenantId: z.string().regex(/^[1-9]\d*$/),
  webhookToken: z.string().regex(/^[\w-]{43}$/),
  webhookUrl: z.url(),
})
/** Adds a business, and reads what a script would read: the last line of stdout. */
const add = async (args: string[], how: How = {}) => {
  const { status, stdout, stderr } = await tenant(['add', '--json', ...args], how)
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

await t.test('a business is added with a webhook URL that works', async t => {
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
    'the token is kept as a hash',
  )

  const record = push({ caller: customer().local, did: '0722000001' })
  t.strictSame(await postTo(business.webhookUrl, record), OK)
  await work()
  t.strictSame(await verdictsOf(business.tenantId, record.ivruniqueid), [['missed', 'noanswer']])
})

await t.test('for a person it prints the URL', async t => {
  const { status, stdout } = await tenant(['add', '--name', 'A', '--number', '0722000002'])
  t.equal(status, 0)
  t.match(stdout, /shown this once/)
  const printed = stdout.trimEnd().split('\n').at(-1) ?? ''
  t.strictSame(await postTo(printed, push()), OK)
})

await t.test('with an access token it can write to customers', async t => {
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

await t.test('the access token is read from a variable too, and nowhere to be seen', async t => {
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

await t.test('numbers are taken in any common form, also those that no list knows', async t => {
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
  t.strictSame(new Set(await numbersOf(tenantId)), new Set(Object.values(forms)), 'each once')
  const records = ['0702246666', '*2700', '1700700123', '972722000010'].map(did =>
    push({ caller: customer().local, did }),
  )
  t.strictSame(await postTo(webhookUrl, records), OK)
  await work()
  for (const { ivruniqueid, did } of records)
    t.strictSame(await verdictsOf(tenantId, ivruniqueid), [['missed', 'noanswer']], String(did))
})

await t.test('what belongs to another business cannot be given to a second one', async t => {
  const id = fake.addNumber().phoneNumberId
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
