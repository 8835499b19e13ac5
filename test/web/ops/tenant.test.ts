/** /ops/tenants/:id: what is missing, and everything that is done to one business. */
import t from 'tap'
import { push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, browser, deedsOf } from '../../support/ops.ts'
import { decrypt, tokenOwner } from '../../../app/crypto.ts'
import { miss } from '../../tasks/support.ts'
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
  work,
} from '../../support/ringback.ts'

type Business = Awaited<ReturnType<typeof business>>

const operator = await asOperator()

const at = ({ tenantId }: Business, rest = '') => `/ops/tenants/${tenantId}${rest}`

const tenantOf = ({ tenantId }: Business) =>
  db.selectFrom('tenants').selectAll().where('id', '=', tenantId).executeTakeFirstOrThrow()

const connectionOf = ({ phoneNumberId }: Business) =>
  db
    .selectFrom('whatsapp_connections')
    .selectAll()
    .where('phone_number_id', '=', phoneNumberId)
    .executeTakeFirstOrThrow()

const numbersOf = async ({ tenantId }: Business) => {
  const rows = await db
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .execute()
  return rows.map(({ phone }) => phone).toSorted()
}

/** [who, action] of the last deed about a business, with what changed. */
const lastDeed = async ({ tenantId }: Business) => (await deedsOf(tenantId)).at(-1)

/** What the settings form holds, as a browser would send it unchanged. */
const formOf = (text: string): Record<string, string | string[]> => {
  const fields: Record<string, string | string[]> = {}
  for (const [tag, name = ''] of text.matchAll(/<(?:input|textarea)\s[^>]*?name="(\w+)"[^>]*>/g)) {
    if (name === 'form') continue
    const value = /value="([^"]*)"/.exec(tag)?.[1] ?? ''
    if (!tag.includes('type="checkbox"')) fields[name] = value
    else if (/\schecked\s/.test(tag)) fields[name] = [...[fields[name] ?? []].flat(), value]
  }
  const [, windows = ''] = /name="quietWindows"[^>]*>\s*([^<]*)</.exec(text) ?? []
  return { ...fields, quietWindows: windows.trim() }
}

/** A form that is refused with these words, in a page like the one before, and without a trace. */
const isRefused = async (
  t: Tap,
  path: string,
  fields: Record<string, string | string[]>,
  words: RegExp,
) => {
  const before = await contents()
  const { status, text } = await operator.submit(path, fields)
  t.equal(status, 400, `${path} ${JSON.stringify(fields)}`)
  t.match(text, words)
  t.match(text, 'aria-current="page"', 'on the page itself')
  t.strictSame(await contents(), before, 'nothing was changed')
  return text
}
type Tap = Pick<typeof t, 'equal' | 'match' | 'strictSame'>

t.test('the head tells what is missing before it can go live', async t => {
  const shop = await business({ mode: 'shadow', connected: false })
  const states = async () => {
    const { text } = await operator.get(at(shop))
    return [...text.matchAll(/<b aria-hidden="true">(.)<\/b>/g)].map(([, mark]) => mark).join('')
  }
  t.equal(await states(), '○✓○○○○○', 'all but numbers that nobody knows')

  const record = push({ did: shop.did, caller: customer().local })
  t.strictSame(await post(record, { token: shop.token }), OK)
  await post(push({ did: '0729990001', caller: customer().local }), { token: shop.token })
  await work()
  const number = fake.addNumber()
  await operator.submit(at(shop, '/whatsapp/connect'), {
    whatsappNumber: shop.did,
    phoneNumberId: number.phoneNumberId,
    accessToken: number.token,
  })
  t.equal(await states(), '✓!✓✓○○○')
  t.match((await operator.get(at(shop))).text, 'one number that is not entered here')

  await db
    .updateTable('tenants')
    .set({ owner_phone: customer().e164 })
    .where('id', '=', shop.tenantId)
    .execute()
  await operator.submit(at(shop, '/overview/test'))
  t.equal(await states(), '✓!✓✓✓…○')
  await work()
  await db
    .updateTable('messages')
    .set({ state: 'read' })
    .where('tenant_id', '=', shop.tenantId)
    .where('kind', '=', 'owner_notice')
    .execute()
  await operator.submit(at(shop, '/numbers/add'), { phone: '0729990001' })
  await work()
  t.equal(await states(), '✓✓✓✓✓✓○')
  await operator.submit(at(shop, '/overview/mode'), { mode: 'live' })
  t.equal(await states(), '✓✓✓✓✓✓✓')
  t.match((await operator.get(at(shop))).text, 'Yes: everything is in place')
  await operator.submit(at(shop, '/overview/mode'), { mode: 'paused' })
  t.equal(await states(), '✓✓✓✓✓✓–', 'paused is not "to do"')
})

t.test('trial, live, paused, and on as before', async t => {
  const shop = await business({ mode: 'shadow' })
  const { text } = await operator.get(at(shop))
  t.match(text, /<details id="go-live">[\s\S]*2 minutes later[\s\S]*name="mode" value="live"/)
  const turn = async (path: string, fields: Record<string, string>, mode: string, said: RegExp) => {
    const { status, location } = await operator.submit(at(shop, path), fields)
    t.equal(status, 303)
    t.equal(location, at(shop))
    t.match((await operator.get(at(shop))).text, said)
    t.equal((await tenantOf(shop)).mode, mode)
  }
  await turn(
    '/overview/mode',
    { mode: 'live' },
    'live',
    /messages are sent to customers from now on/,
  )
  await turn('/overview/mode', { mode: 'paused' }, 'paused', /is paused: nothing is sent/)
  t.match(await lastDeed(shop), {
    who: 'operator',
    action: 'tenant.set',
    before: { mode: 'live' },
    after: { mode: 'paused' },
  })
  await turn('/overview/resume', {}, 'live', /messages are sent to customers/)
  await turn('/overview/mode', { mode: 'shadow' }, 'shadow', /nothing is sent/)
  await isRefused(t, at(shop, '/overview/resume'), {}, /It is not paused/)
  await isRefused(t, at(shop, '/overview/mode'), { mode: 'dead' }, /Nothing was changed/)
  await isRefused(t, at(shop, '/overview/mode'), {}, /Nothing was changed/)
})

t.test('a test message goes to the owner, and what became of it is shown', async t => {
  const shop = await business({ mode: 'shadow' })
  await isRefused(t, at(shop, '/overview/test'), {}, /The owner’s phone is not known/)
  const owner = customer()
  await db
    .updateTable('tenants')
    .set({ owner_phone: owner.e164 })
    .where('id', '=', shop.tenantId)
    .execute()
  t.equal((await operator.submit(at(shop, '/overview/test'))).status, 303)
  t.match((await operator.get(at(shop))).text, 'It is about to be sent')
  await isRefused(t, at(shop, '/overview/test'), {}, /less than a minute old/)
  await work()
  t.match((await operator.get(at(shop))).text, 'WhatsApp has accepted it')
  t.equal(fake.inbox(owner.e164).length, 1)
  t.match(await lastDeed(shop), { who: 'operator', action: 'test_message.send' })
})

t.test('settings are changed, and only what was changed is written down', async t => {
  const shop = await business({ columns: { quiet_windows: ['21:00-08:00', '13:00-14:00'] } })
  const { text } = await operator.get(at(shop, '/settings'))
  const form = formOf(text)
  t.match(form, {
    outreachDelay: '2 minutes',
    quietWindows: '13:00-14:00',
    commonWindows: ['21:00-08:00'],
    minRingSeconds: '0',
  })
  t.equal((await operator.submit(at(shop, '/settings/save'), form)).status, 303)
  t.match((await operator.get(at(shop, '/settings'))).text, 'Nothing was changed')
  t.not((await lastDeed(shop))?.action, 'tenant.set')

  const wanted = {
    ...form,
    name: 'מספרת "נועה" & בניה',
    ownerPhone: '050-2345678',
    outreachDelay: '90s',
    reminder1After: 'שעה ו-30 דקות',
    quietWindows: '13:00-16:00\r\nsun 9:00 - sun 09:30'.replace('9:00 -', '09:00 -'),
    commonWindows: ['fri 15:00-sat 20:30'],
    missedStatuses: ['NOANSWER', 'BUSY'],
    minRingSeconds: '5',
    contactForeign: 'yes',
    timezone: 'Europe/London',
  }
  t.equal((await operator.submit(at(shop, '/settings/save'), wanted)).status, 303)
  t.match(await tenantOf(shop), {
    name: 'מספרת "נועה" & בניה',
    owner_phone: '+972502345678',
    quiet_windows: ['13:00-16:00', 'sun 09:00-sun 09:30', 'fri 15:00-sat 20:30'],
    missed_statuses: ['NOANSWER', 'BUSY'],
    min_ring_seconds: 5,
    contact_foreign: true,
    timezone: 'Europe/London',
  })
  const deed = await lastDeed(shop)
  t.match(deed, { who: 'operator', action: 'tenant.set' })
  t.match(deed?.before, { outreachDelay: '2 minutes', reminder1After: '2 hours' })
  t.match(deed?.after, {
    outreachDelay: '1 minute 30 seconds',
    reminder1After: '1 hour 30 minutes',
  })
  t.notOk(Object.keys(Object(deed?.after)).includes('grace'), 'not what stayed as it was')

  const again = await operator.get(at(shop, '/settings'))
  t.match(again.text, 'מספרת &quot;נועה&quot; &amp; בניה')
  t.match(formOf(again.text), {
    outreachDelay: '1 minute 30 seconds',
    commonWindows: ['fri 15:00-sat 20:30'],
    contactForeign: ['yes'],
  })
  const hebrew = await (await asOperator('he')).get(at(shop, '/settings'))
  // As a browser sends it.
  const hebrewForm = { ...formOf(hebrew.text), name: wanted.name }
  t.match(hebrewForm, {
    outreachDelay: '1 דקה 30 שניות',
    quietWindows: '13:00-16:00\nא׳ 09:00-א׳ 09:30',
  })
  const inHebrew = await asOperator('he')
  const { tenantId } = shop
  const deeds = (await deedsOf(tenantId)).length
  await inHebrew.submit(at(shop, '/settings/save'), hebrewForm)
  t.equal((await deedsOf(tenantId)).length, deeds, 'the same in another language changes nothing')
  await inHebrew.submit(at(shop, '/settings/save'), {
    ...hebrewForm,
    quietWindows: 'שני 13:00-שלישי 14:00',
  })
  t.match(await tenantOf(shop), { quiet_windows: ['fri 15:00-sat 20:30', 'mon 13:00-tue 14:00'] })
})

t.test('wrong settings come back with what was entered', async t => {
  const shop = await business()
  const form = formOf((await operator.get(at(shop, '/settings'))).text)
  const cases: [Record<string, string | string[]>, RegExp][] = [
    [{ name: '' }, /A name in one line/],
    [{ ownerPhone: 'x' }, /such as 0502345678, or nothing/],
    [{ timezone: 'IST' }, /such as Asia\/Jerusalem/],
    [{ outreachDelay: 'soon' }, /A time such as 2 minutes/],
    [{ grace: '0' }, /and at least 1 minute/],
    [{ reminder1After: '3 days' }, /“First reminder” would come after “Last reminder”/],
    [{ missedStatuses: [] }, /no call would ever count as missed/],
    [{ missedStatuses: ['MAYBE'] }, /At least one/],
    [{ minRingSeconds: '-1' }, /from 0 to 600/],
    [{ quietWindows: '13:00-14:00\r\n1-2' }, /Line 2: a window such as/],
    [{ quietWindows: 'mon 00:00-sun 23:59\nsun 23:00-mon 01:00' }, /leave some time of the week/],
  ]
  for (const [wrong, words] of cases) {
    const fields = { ...form, contactForeign: 'yes', unresponsiveAfter: '7 hours', ...wrong }
    const text = await isRefused(t, at(shop, '/settings/save'), fields, words)
    t.match(text, 'value="7 hours"', 'what was right is kept too')
    t.match(text, /name="contactForeign"\s+value="yes"\s+checked/)
    t.match(text, 'class="problem"')
    const entered = Object.values(wrong).flat().at(-1)
    // A box that does not exist cannot be ticked again.
    if (entered && entered !== 'MAYBE')
      t.match(text, entered.split('\r\n').at(-1), 'what was wrong can be corrected')
  }
  const hebrew = await asOperator('he')
  const { status, text } = await hebrew.submit(at(shop, '/settings/save'), {
    ...form,
    reminder2After: 'דקה',
  })
  t.equal(status, 400)
  t.match(text, '״תזכורת ראשונה״ מאוחרת מ״תזכורת אחרונה״')
})

t.test('a number is added, and the calls to it are judged again', async t => {
  const shop = await business()
  const other = await business()
  const second = `073${customer().local.slice(-7)}`
  const record = push({ did: second, caller: customer().local })
  await post(record, { token: shop.token })
  await post(push({ did: other.did, caller: customer().local }), { token: shop.token })
  await work()
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unmatched_number']])
  const { text } = await operator.get(at(shop, '/numbers'))
  t.match(text, `value="+972${second.slice(1)}"`, 'it stands there to be added')
  t.notMatch(text, `value="${other.line}"`, 'unlike one that is another business’s')

  await operator.submit(at(shop, '/numbers/add'), { phone: `+972${second.slice(1)}` })
  t.match((await operator.get(at(shop, '/numbers'))).text, 'One earlier call is judged again')
  await work()
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed']])
  t.match(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
  t.match(await lastDeed(shop), { who: 'operator', action: 'number.add' })
  await operator.submit(at(shop, '/numbers/add'), { phone: second })
  t.match((await operator.get(at(shop, '/numbers'))).text, 'was there already')

  const wrong = await isRefused(t, at(shop, '/numbers/add'), { phone: 'shop "1' }, /such as 07227/)
  t.match(wrong, 'value="shop &quot;1"')
  await isRefused(t, at(shop, '/numbers/add'), { phone: other.did }, /another business/)

  await operator.submit(at(shop, '/numbers/remove'), { phone: shop.did })
  t.strictSame(await numbersOf(shop), [`+972${second.slice(1)}`])
  t.match(await lastDeed(shop), { action: 'number.remove', before: { phone: shop.line } })
  await isRefused(t, at(shop, '/numbers/remove'), { phone: second }, /This is the last number/)
  t.equal((await operator.submit(at(shop, '/numbers/remove'), { phone: other.did })).status, 404)
  t.strictSame(await numbersOf(other), [other.line])
})

t.test('WhatsApp is connected, paused, let go on, and given a new token', async t => {
  const shop = await business({ connected: false })
  const other = await business()
  const number = fake.addNumber()
  const fields = {
    whatsappNumber: '050-2345678',
    phoneNumberId: number.phoneNumberId,
    accessToken: 'SECRET-one',
  }
  const connect = at(shop, '/whatsapp/connect')
  const wrong = { ...fields, whatsappNumber: '12' }
  const text = await isRefused(t, connect, wrong, /A telephone number such as 0502345678/)
  t.match(text, `value="${number.phoneNumberId}"`)
  t.notMatch(text, 'SECRET', 'a secret is not shown, not even to whoever entered it')
  await isRefused(t, connect, { ...fields, accessToken: ' ' }, /The access token from Meta/)
  await isRefused(t, connect, { ...fields, phoneNumberId: 'x' }, /digits only/)
  await isRefused(t, connect, { ...fields, phoneNumberId: other.phoneNumberId }, /another business/)

  t.equal((await operator.submit(connect, fields)).status, 303)
  const mine = { ...shop, phoneNumberId: number.phoneNumberId }
  const opened = async () =>
    decrypt((await connectionOf(mine)).access_token, tokenOwner(shop.tenantId))
  t.equal(await opened(), 'SECRET-one')
  t.match(await lastDeed(shop), { who: 'operator', action: 'connection.add' })

  const state = (wanted: string) =>
    operator.submit(at(shop, '/whatsapp/state'), {
      phoneNumberId: number.phoneNumberId,
      state: wanted,
    })
  t.equal((await state('paused')).status, 303)
  t.match((await operator.get(at(shop, '/whatsapp'))).text, 'Paused by hand')
  t.equal((await connectionOf(mine)).state, 'paused')
  await state('active')
  t.equal((await connectionOf(mine)).state, 'active')
  t.match(await lastDeed(shop), { action: 'connection.resume' })

  const token = { phoneNumberId: number.phoneNumberId, accessToken: 'SECRET-two' }
  t.equal((await operator.submit(at(shop, '/whatsapp/token'), token)).status, 303)
  t.equal(await opened(), 'SECRET-two')
  const empty = { ...token, accessToken: '' }
  await isRefused(t, at(shop, '/whatsapp/token'), empty, /The access token from Meta/)
  for (const path of ['', '/whatsapp', '/templates'])
    t.notMatch((await operator.get(at(shop, path))).text, 'SECRET', path)
  t.notMatch(JSON.stringify(await deedsOf(shop.tenantId)), 'SECRET')
})

t.test('the template of one kind is changed, used again, and put back', async t => {
  const shop = await business()
  const save = at(shop, '/templates/save')
  const wanted = {
    kind: 'reminder_1',
    name: 'our_reminder',
    language: 'en_US',
    variable: ['call_time', 'business_name', ''],
  }
  t.equal((await operator.submit(save, wanted)).status, 303)
  const row = () =>
    db
      .selectFrom('whatsapp_templates as w')
      .innerJoin('whatsapp_connections as c', 'c.id', 'w.whatsapp_connection_id')
      .selectAll('w')
      .where('c.tenant_id', '=', shop.tenantId)
      .executeTakeFirst()
  t.match(await row(), {
    kind: 'reminder_1',
    name: 'our_reminder',
    language: 'en_US',
    variables: ['call_time', 'business_name'],
  })
  t.match(await lastDeed(shop), { who: 'operator', action: 'template.set' })
  t.match((await operator.get(at(shop, '/templates'))).text, 'value="our_reminder"')

  const wrong = { ...wanted, name: 'Our Reminder' }
  const text = await isRefused(t, save, wrong, /Small letters, digits and underscores/)
  t.match(text, 'value="Our Reminder"')
  t.match(text, 'value="ringback_missed_call"', 'the forms of the other kinds stay as they were')
  await isRefused(t, save, { ...wanted, language: 'hebrew' }, /A code such as he/)
  t.equal((await operator.submit(save, { ...wanted, kind: 'other' })).status, 400)

  await db
    .updateTable('whatsapp_templates')
    .set({ state: 'paused', state_reason: 'template PAUSED' })
    .where('name', '=', 'our_reminder')
    .execute()
  t.match((await operator.get(at(shop, '/templates'))).text, 'Meta has paused, disabled')
  await operator.submit(save, wanted)
  t.equal((await row())?.state, 'paused', 'saving it unchanged does not let it go on')
  await operator.submit(at(shop, '/templates/resume'), { kind: 'reminder_1' })
  t.equal((await row())?.state, 'active')
  await operator.submit(at(shop, '/templates/usual'), { kind: 'reminder_1' })
  t.equal(await row(), undefined)
  t.match((await operator.get(at(shop, '/templates'))).text, 'value="ringback_reminder_1"')

  const none = await business({ connected: false })
  t.match((await operator.get(at(none, '/templates'))).text, 'Connect WhatsApp first')
  await isRefused(t, at(none, '/templates/save'), wanted, /no WhatsApp number that is connected/)
})

t.test('a fresh URL works beside the old one, until that is revoked', async t => {
  const shop = await business()
  const { status, text } = await operator.submit(at(shop, '/webhook/fresh'))
  t.equal(status, 200)
  const [, fresh = ''] = /cdr\?token=([\w-]{43})/.exec(text) ?? []
  t.ok(fresh)
  const answerTo = async (token: string) =>
    (await post(push({ did: shop.did, caller: customer().local }), { token })).status
  t.equal(await answerTo(fresh), 200)
  t.equal(await answerTo(shop.token), 200)
  t.match(await lastDeed(shop), { who: 'operator', action: 'webhook_token.add' })
  for (const path of ['', '/webhook']) {
    const later = await operator.get(at(shop, path))
    t.notMatch(later.text, fresh, 'it is shown once')
    t.notMatch(later.text, shop.token)
  }
  t.notMatch(JSON.stringify(await deedsOf(shop.tenantId)), fresh)

  const tokens = await db
    .selectFrom('webhook_tokens')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .orderBy('id')
    .execute()
  const [old = '', last = ''] = tokens.map(({ id }) => id)
  const revoke = at(shop, '/webhook/revoke')
  t.equal((await operator.submit(revoke, { tokenId: old })).status, 303)
  t.equal(await answerTo(shop.token), 401)
  t.equal(await answerTo(fresh), 200)
  t.match(await lastDeed(shop), { who: 'operator', action: 'webhook_token.revoke' })
  await operator.submit(revoke, { tokenId: old })
  t.match((await operator.get(at(shop, '/webhook'))).text, 'It was revoked already')

  await isRefused(t, revoke, { tokenId: last }, /tick the box to confirm/)
  t.equal(await answerTo(fresh), 200)
  t.equal((await operator.submit(revoke, { tokenId: last, force: 'yes' })).status, 303)
  t.equal(await answerTo(fresh), 401)
})

t.test('a business gets a password, and changes it itself', async t => {
  const shop = await business()
  const set = at(shop, '/password/set')
  await isRefused(t, set, { password: 'short' }, /At least 12 characters/)
  const made = await operator.submit(set, { password: '' })
  t.equal(made.status, 200)
  const [, password = ''] = /<pre>([\w-]{20})<\/pre>/.exec(made.text) ?? []
  t.match(made.text, shop.did.replace(/^(\d{3})(\d{3})/, '$1-$2-'), 'and the name to enter with it')
  const owner = browser()
  t.equal((await owner.signIn(shop.did, password)).status, 303)
  t.notMatch((await operator.get(at(shop, '/password'))).text, password, 'it is shown once')
  t.notMatch(JSON.stringify(await deedsOf(shop.tenantId)), password)

  t.equal((await owner.submit(set, { password: 'the second password' })).status, 303)
  t.match(await lastDeed(shop), { who: `tenant ${shop.tenantId}`, action: 'password.set' })
  t.equal((await owner.get(at(shop))).status, 401, 'and has to sign in again')
  t.equal((await owner.signIn(shop.did, 'the second password')).status, 303)
  t.notMatch(
    (await owner.submit(set, { password: 'eleven char' })).text,
    'eleven char',
    'a wrong one is not shown either',
  )

  t.equal((await operator.submit(at(shop, '/password/end'))).status, 303)
  t.equal((await owner.get(at(shop))).status, 401)
  t.equal((await owner.signIn(shop.did, 'the second password')).status, 401)
})

/** Every deed, with fields that would be good for the business whose path it is. */
const DEEDS: Record<string, (shop: Business) => Record<string, string | string[]>> = {
  '/overview/mode': () => ({ mode: 'paused' }),
  '/overview/resume': () => ({}),
  '/overview/test': () => ({}),
  '/settings/save': () => ({ name: 'taken over', missedStatuses: 'BUSY', quietWindows: '' }),
  '/numbers/add': () => ({ phone: '0771231231' }),
  '/numbers/remove': ({ did }) => ({ phone: did }),
  '/whatsapp/connect': () => ({
    whatsappNumber: '0502345678',
    phoneNumberId: '123',
    accessToken: 'x',
  }),
  '/whatsapp/token': ({ phoneNumberId }) => ({ phoneNumberId, accessToken: 'x' }),
  '/whatsapp/state': ({ phoneNumberId }) => ({ phoneNumberId, state: 'paused' }),
  '/templates/save': () => ({ kind: 'initial', name: 'x', language: 'he', variable: '' }),
  '/templates/resume': () => ({ kind: 'initial' }),
  '/templates/usual': () => ({ kind: 'initial' }),
  '/webhook/fresh': () => ({}),
  '/webhook/revoke': () => ({ tokenId: '1' }),
  '/password/set': () => ({ password: 'a good new password' }),
  '/password/end': () => ({}),
}
const PAGES = ['', '/settings', '/numbers', '/whatsapp', '/templates', '/webhook', '/password']

t.test('of another business there is nothing to see and nothing to do', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const other = await business({ columns: { owner_phone: customer().e164 } })
  const owner = await asTenant(shop.tenantId)
  const before = await contents()
  for (const path of PAGES) {
    t.equal((await owner.get(at(other, path))).status, 404, path)
    t.equal((await owner.get(at(shop, path))).status, 200, path)
  }
  for (const [path, fields] of Object.entries(DEEDS)) {
    const { status, text } = await owner.submit(at(other, path), fields(other))
    t.equal(status, 404, path)
    t.notMatch(text, other.did, path)
  }
  t.strictSame(await contents(), before)
})

t.test('another business’s things in an own form are not there', async t => {
  const shop = await business()
  const other = await business()
  const owner = await asTenant(shop.tenantId)
  const { id: tokenId } = await db
    .selectFrom('webhook_tokens')
    .select('id')
    .where('tenant_id', '=', other.tenantId)
    .executeTakeFirstOrThrow()
  const { phoneNumberId } = other
  const before = await contents()
  for (const [path, fields] of [
    ['/webhook/revoke', { tokenId, force: 'yes' }],
    ['/whatsapp/token', { phoneNumberId, accessToken: 'x' }],
    ['/whatsapp/state', { phoneNumberId, state: 'paused' }],
  ] as const)
    t.equal((await owner.submit(at(shop, path), fields)).status, 404, path)
  t.strictSame(await contents(), before)
  // The path alone says whose form it is.
  await owner.submit(at(shop, '/overview/mode'), { mode: 'paused', tenantId: other.tenantId })
  t.equal((await tenantOf(other)).mode, 'live')
  t.equal((await tenantOf(shop)).mode, 'paused')
})

t.test('what decides whose calls are whose is the operator’s', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  await post(push({ did: '0729995551', caller: customer().local }), { token: shop.token })
  await work()
  const before = await contents()
  for (const path of ['/numbers/add', '/numbers/remove', '/whatsapp/connect', '/password/end']) {
    const fields = DEEDS[path]?.(shop) ?? {}
    t.equal((await owner.submit(at(shop, path), fields)).status, 404, path)
  }
  t.strictSame(await contents(), before)
  for (const path of ['/numbers', '/whatsapp', '/password']) {
    const { text } = await owner.get(at(shop, path))
    t.notMatch(text, /action="[^"]*\/(?:add|remove|connect|end)"/, `${path} does not offer it`)
  }
  t.match((await owner.get(at(shop, '/numbers'))).text, '072-999-5551', 'but tells of the number')
})

t.test('a business does the rest itself, under its own name', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const owner = await asTenant(shop.tenantId)
  const settings = formOf((await owner.get(at(shop, '/settings'))).text)
  const deeds: [string, Record<string, string | string[]>, string][] = [
    ['/overview/mode', { mode: 'paused' }, 'tenant.set'],
    ['/overview/resume', {}, 'tenant.set'],
    ['/overview/test', {}, 'test_message.send'],
    ['/settings/save', { ...settings, minRingSeconds: '3' }, 'tenant.set'],
    [
      '/whatsapp/token',
      { phoneNumberId: shop.phoneNumberId, accessToken: 'new' },
      'connection.set',
    ],
    ['/whatsapp/state', { phoneNumberId: shop.phoneNumberId, state: 'paused' }, 'connection.pause'],
    [
      '/templates/save',
      { kind: 'initial', name: 'own', language: 'he', variable: '' },
      'template.set',
    ],
    ['/webhook/fresh', {}, 'webhook_token.add'],
  ]
  for (const [path, fields, action] of deeds) {
    const { status } = await owner.submit(at(shop, path), fields)
    t.ok([200, 303].includes(status), path)
    t.match(await lastDeed(shop), { who: `tenant ${shop.tenantId}`, action }, path)
  }
})

t.test('without what our forms carry nothing is done', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const before = await contents()
  for (const [path, fields] of Object.entries(DEEDS)) {
    t.equal((await operator.post(at(shop, path), fields(shop))).status, 403, path)
    t.equal((await browser().post(at(shop, path), fields(shop))).status, 401, path)
  }
  t.strictSame(await contents(), before)
})

t.test('a business that is not there', async t => {
  const before = await contents()
  for (const id of ['0', 'x', '999999', '9'.repeat(30), '1%20or%201']) {
    t.equal((await operator.get(`/ops/tenants/${id}`)).status, 404, id)
    for (const [path, fields] of Object.entries(DEEDS)) {
      const shop = { tenantId: id, token: '', did: '0', line: '', phoneNumberId: '1' }
      const { status } = await operator.submit(at(shop, path), fields(shop))
      t.ok([400, 404].includes(status), `${id} ${path} ${status}`)
    }
  }
  t.strictSame(await contents(), before)
})

t.test('asked for anew, a refused form is its page', async t => {
  const shop = await business()
  const { status, text } = await operator.get(at(shop, '/settings/save'))
  t.equal(status, 200)
  t.match(text, 'name="outreachDelay"')
})

t.test('who waits is told before it goes live', async t => {
  const shop = await business({
    mode: 'shadow',
    columns: { quiet_windows: ['fri 15:00-sat 20:30'] },
  })
  await miss(shop, customer().local)
  t.match((await operator.get(at(shop))).text, 'So does the one person who is waiting now')
  const hebrew = await (await asOperator('he')).get(at(shop))
  t.match(hebrew.text, 'תישלח גם ההודעה האחת שממתינה עכשיו')
  t.match(hebrew.text, 'כעבור 2 דקות')
  t.match(hebrew.text, 'בזמנים השקטים (ו׳ 15:00-ש׳ 20:30)')
})
