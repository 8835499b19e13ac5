/** /ops/tenants: the list, adding a business, and the pages of one business. */
import { parse } from 'csv-parse/sync'
import { sql } from 'kysely'
import t from 'tap'
import { reloadConfig } from '../../../app/config.ts'
import { decrypt, tokenOwner } from '../../../app/crypto.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, browser, auditLogOf } from '../../support/ops.ts'
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
} from '../../support/ringback.ts'
import { receiver } from '../../events/support.ts'
import { miss } from '../../tasks/support.ts'

const operator = await asOperator()

const tenantsCalled = (name: string) =>
  db.selectFrom('tenants').selectAll().where('name', '=', name).execute()

/** The row of a business. */
const rowOf = (text: string, tenantId: string): string =>
  text.split('<tr>').find(row => row.includes(`/ops/tenants/${tenantId}"`)) ?? ''

t.test('the list shows the status of each business', async t => {
  const live = await business({ columns: { name: 'Noa & "Sons" <b>' } })
  const trial = await business({ mode: 'shadow', connected: false })
  await miss(live, customer().local)
  const { text } = await operator.get('/ops/tenants')
  t.match(rowOf(text, live.tenantId), 'Noa &amp; &quot;Sons&quot; &lt;b&gt;')
  t.match(rowOf(text, live.tenantId), '>live<')
  t.match(rowOf(text, live.tenantId), 'All clear')
  t.notMatch(rowOf(text, live.tenantId), 'not connected')
  t.match(rowOf(text, live.tenantId), /now|seconds? ago/)
  t.match(rowOf(text, live.tenantId), live.did.slice(-4))
  t.match(rowOf(text, trial.tenantId), '>trial<')
  t.match(rowOf(text, trial.tenantId), 'not connected')
  t.match(rowOf(text, trial.tenantId), 'none yet')
  const hebrew = await (await asOperator('he')).get('/ops/tenants')
  t.match(rowOf(hebrew.text, live.tenantId), '>פעיל<')
})

/** The names in the list, in order, without what they begin with. */
const namesIn = (text: string, prefix: string): string[] =>
  [...text.matchAll(/<bdi>([^<]+)<\/bdi><\/a\s*>/g)].map(([, name = '']) =>
    name.replace(prefix, ''),
  )

t.test('the worst businesses come first, and each problem is a filter', async t => {
  const named = (name: string) => business({ columns: { name: `Agency ${name}` } })
  const clear = await named('clear')
  const late = await named('late')
  const unread = await named('unread')
  const paused = await named('paused')
  const silent = await named('silent')
  await miss(late, customer().local)
  await sql`
    update missed_calls set outreach_due_at = now() - interval '10 minutes' where tenant_id = ${late.tenantId}`.execute(
    db,
  )
  const writer = customer()
  await miss(unread, writer.local)
  await sql`update leads set heard_at = now() - interval '3 hours' where tenant_id = ${unread.tenantId}`.execute(
    db,
  )
  await sql`
    insert into alerts (tenant_id, kind, subject)
    values (${silent.tenantId}, 'webhooks_silent', 'tenants 1'), (${paused.tenantId}, 'connection_paused', 'whatsapp_connections 1'),
           (${late.tenantId}, 'unmatched_number', '+972721234567')`.execute(db)
  const list = async (query: string) =>
    namesIn((await operator.get(`/ops/tenants?q=Agency&${query}`)).text, 'Agency ')
  t.strictSame(await list(''), ['silent', 'paused', 'unread', 'late', 'clear'])
  for (const problem of ['silent', 'paused', 'unread', 'late'])
    t.strictSame(await list(`show=${problem}`), [problem], problem)
  t.strictSame(await list('show=attention'), ['silent', 'paused', 'unread', 'late'])
  t.strictSame(await list('show=off'), [])
  t.strictSame(await list('sort=name'), ['clear', 'late', 'paused', 'silent', 'unread'])
  t.strictSame(await list('sort=newest'), ['silent', 'paused', 'unread', 'late', 'clear'])

  const { text } = await operator.get('/ops/tenants?q=Agency')
  t.match(text, '4 of 5 need attention')
  t.match(rowOf(text, unread.tenantId), '1 unread answer, for 3 hours')
  t.match(rowOf(text, late.tenantId), 'messages 10 minutes late')
  t.match(rowOf(text, late.tenantId), '1 alert')
  const hebrew = await (await asOperator('he')).get('/ops/tenants?q=Agency')
  t.match(rowOf(hebrew.text, silent.tenantId), 'אין דיווחי שיחות')

  await sql`update leads set read_at = now() where tenant_id = ${unread.tenantId}`.execute(db)
  await sql`update alerts set ended_at = now() where tenant_id = ${silent.tenantId}`.execute(db)
  await sql`
    update missed_calls set hold_until = now() + interval '1 hour', hold_reason = 'quiet'
    where tenant_id = ${late.tenantId}`.execute(db)
  t.strictSame(await list('show=attention'), ['paused', 'late'], 'what is solved is not listed')
  t.notMatch(
    rowOf((await operator.get('/ops/tenants?q=Agency')).text, late.tenantId),
    'minutes late',
  )

  const search = async (written: string) =>
    namesIn((await operator.get(`/ops/tenants?q=${encodeURIComponent(written)}`)).text, 'Agency ')
  t.strictSame(await search('agency CLEAR'), ['clear'])
  t.strictSame(await search(clear.did), ['clear'], 'a number')
  t.strictSame(await search(`+972${clear.did.slice(1)}`), ['clear'], 'a number in another form')
  t.strictSame(await search(clear.tenantId), ['clear'], 'an id')
  for (const written of ['Agency%', 'Agency_', "'; select"]) t.strictSame(await search(written), [])
  for (const wrong of [
    'show=x',
    'sort=x',
    'before=x',
    'before=a~1',
    'before=1~0',
    'sort=name&before=%00~5',
  ])
    t.equal((await operator.get(`/ops/tenants?${wrong}`)).status, 400, wrong)
})

t.test('a long list has pages, in every order', async t => {
  const COUNT = 60
  await sql`
    insert into tenants (name) select 'Chain ' || lpad(n::text, 2, '0') from generate_series(1, ${COUNT}::int) n`.execute(
    db,
  )
  await sql`
    insert into daily_figures (tenant_id, day, missed, contacted, delivered, read, replied, reached, waiting, failed, unknown,
                               skipped, hours, answered, won, won_value)
    select id, (now() at time zone 'Asia/Jerusalem')::date - 1, id % 7, 0, 0, 0, id % 3, 1, 0, 0, 0, '{}', '{}', id % 5, 1, id % 4 + 0.5
    from tenants where name like 'Chain %' and id % 2 = 0`.execute(db)
  for (const sort of ['attention', 'name', 'missed', 'answered', 'recovered', 'won', 'newest']) {
    const names: string[] = []
    let path = `/ops/tenants?q=Chain&sort=${sort}`
    for (let pages = 0; path !== '' && pages < 5; pages++) {
      const { text } = await operator.get(path)
      names.push(...namesIn(text, 'Chain '))
      const [, next = ''] = /href="([^"]*before=[^"]*)"/.exec(text) ?? []
      path = next.replaceAll('&amp;', '&')
    }
    t.equal(names.length, COUNT, sort)
    t.equal(new Set(names).size, COUNT, `${sort}: each once`)
    if (sort === 'name') t.strictSame(names, names.toSorted())
  }
  const { text } = await operator.get('/ops/tenants?q=Chain&sort=missed')
  const missed = [...text.matchAll(/data-label="Missed"><div>(\d+)</g)].map(([, n]) => Number(n))
  t.strictSame(
    missed,
    missed.toSorted((a, b) => b - a),
  )
  t.equal(missed[0], 6)
})

t.test('among very many businesses the operator searches for one', async t => {
  const shop = await business({ columns: { name: 'Needle' } })
  await sql`insert into tenants (name) select 'Hay ' || n from generate_series(1, 201) n`.execute(
    db,
  )
  const unmatched = push({ did: '0729999999', caller: customer().local })
  await post(unmatched, { token: await webhookToken(null) })
  await work()
  for (const path of ['/ops', '/ops/leads', '/ops/calls', '/ops/waiting', '/ops/trouble']) {
    const all = await operator.get(path)
    t.equal(all.status, 200, path)
    t.notMatch(all.text, '>Hay 7<', `${path} does not list them`)
    const [, link = ''] = /href="(\/ops\/tenants\?for=[^"]+)"/.exec(all.text) ?? []
    const { text } = await operator.get(`${link}&q=Needle`)
    t.match(text, `href="${path}?tenant=${shop.tenantId}"`)
    const one = await operator.get(`${path}?tenant=${shop.tenantId}`)
    t.match(one.text, 'Needle', path)
    t.match(one.text, `href="${path}">All businesses`, path)
  }
  t.match((await operator.get('/ops/trouble')).text, 'placeholder="Id of the business"')
  await operator.submit('/ops/trouble/numbers', { tenant: shop.tenantId, phone: '+972729999999' })
  t.match(rowOf((await operator.get('/ops/tenants?q=Needle')).text, shop.tenantId), '072-999-9999')
  t.match(
    (await operator.get('/ops/tenants?for=//evil.example&q=Needle')).text,
    `href="/ops/tenants/${shop.tenantId}"`,
  )
  await sql`delete from tenants where name like 'Hay %' or name like 'Chain %'`.execute(db)
})

t.test('a business is added, and its webhook URL is shown once', async t => {
  const numbers = `072${customer().local.slice(-7)}\r\n\r\n *2${customer().local.slice(-3)} \r\n`
  const made = await operator.submit('/ops/tenants/add', {
    name: ' Rami <accounts> ',
    numbers,
    ownerPhone: '050-234-5678',
    mode: 'shadow',
  })
  t.equal(made.status, 303)
  const { text } = await operator.get(made.location ?? '')
  t.match(text, 'Rami &lt;accounts&gt; was added')
  t.match(text, 'CDR Notification')
  const [, token = ''] = /cdr\?token=([\w-]{43})/.exec(text) ?? []
  const [added] = await tenantsCalled('Rami <accounts>')
  t.match(added, { mode: 'shadow', owner_phone: '+972502345678' })
  const tenantId = added?.id ?? ''
  t.match(text, `/ops/tenants/${tenantId}/whatsapp`, 'a link to the next step')

  const known = await db
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .execute()
  t.equal(known.length, 2)
  const did = numbers.slice(0, 10)
  const record = push({ did, caller: customer().local })
  t.strictSame(await post(record, { token }), OK)
  await work()
  t.match(await verdictsOf(tenantId, record.ivruniqueid), [['missed']])

  const entries = await auditLogOf(tenantId)
  t.strictSame(
    entries.map(({ who, action }) => [who, action]),
    [
      ['operator', 'tenant.add'],
      ['operator', 'number.add'],
      ['operator', 'number.add'],
      ['operator', 'webhook_token.add'],
    ],
  )
  t.notMatch(JSON.stringify(entries), token)
  for (const path of ['/ops/tenants', `/ops/tenants/${tenantId}/webhook`, '/ops/log'])
    t.notMatch((await operator.get(path)).text, token, path)
})

t.test('a form with wrong input keeps what was entered', async t => {
  const taken = await business()
  const free = `072${customer().local.slice(-7)}`
  const cases: [string, Record<string, string>, RegExp][] = [
    ['no name', { name: ' ' }, /A name in one line/],
    ['no number', { numbers: ' \n ' }, /At least one number/],
    ['no number in a line', { numbers: `${free}\nshop` }, /Line 2: a phone number/],
    [
      'a number of another business',
      { numbers: `${free}\n${taken.did}` },
      /belongs to another business/,
    ],
    ['no phone number', { ownerPhone: '12' }, /such as 0502345678, or empty/],
    ['an unknown mode', { mode: 'dead' }, /Nothing was changed/],
  ]
  const before = await contents()
  for (const [what, wrong, expected] of cases) {
    const fields = { name: 'Kept "&', numbers: free, ownerPhone: '0502345678', mode: 'live' }
    const { status, text } = await operator.submit('/ops/tenants/add', { ...fields, ...wrong })
    t.equal(status, 400, what)
    t.match(text, expected, what)
    t.match(text, 'role="alert"', what)
    if (!wrong['name']) t.match(text, 'value="Kept &quot;&amp;"', what)
    if (!wrong['mode']) t.match(text, /value="live"\s+selected/, what)
    t.match(text, wrong['numbers']?.trim() || 'name="numbers"', what)
  }
  t.strictSame(await contents(), before, 'nothing was stored')
  const hebrew = await (
    await asOperator('he')
  ).submit('/ops/tenants/add', { name: 'א', numbers: 'x' })
  t.match(hebrew.text, 'שורה 1: מספר טלפון')
})

t.test('a business sees only itself and cannot add another', async t => {
  const shop = await business({ columns: { name: 'Shop of mine' } })
  const other = await business({ columns: { name: 'Shop of another' } })
  const owner = await asTenant(shop.tenantId)
  const before = await contents()
  const { status, text } = await owner.get('/ops/tenants')
  t.equal(status, 200)
  t.match(text, 'Shop of mine')
  t.match(text, 'Checklist')
  t.notMatch(text, 'Shop of another')
  t.notMatch(text, `/ops/tenants/${other.tenantId}`)
  t.equal((await owner.get('/ops/tenants/add')).status, 404)
  const fields = { name: 'Mine too', numbers: `072${customer().local.slice(-7)}`, mode: 'live' }
  t.equal((await owner.submit('/ops/tenants/add', fields)).status, 404)
  t.equal((await owner.post('/ops/tenants/add', fields)).status, 403)
  t.equal((await operator.post('/ops/tenants/add', fields)).status, 403)
  t.strictSame(await contents(), before)
})

type Business = Awaited<ReturnType<typeof business>>

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

/** The last entry of the audit log. */
const lastEntry = async ({ tenantId }: Business) => (await auditLogOf(tenantId)).at(-1)

const unescaped = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')

/** The fields of the settings form, as a browser would send them without a change. */
const formOf = (text: string): Record<string, string | string[]> => {
  const fields: Record<string, string | string[]> = {}
  for (const [tag, name = ''] of text.matchAll(/<(?:input|textarea)\s[^>]*?name="(\w+)"[^>]*>/g)) {
    if (name === 'form') continue
    const value = unescaped(/value="([^"]*)"/.exec(tag)?.[1] ?? '')
    if (!tag.includes('type="checkbox"')) fields[name] = value
    else if (/\schecked\s/.test(tag)) fields[name] = [...[fields[name] ?? []].flat(), value]
  }
  const [, windows = ''] = /name="quietWindows"[^>]*>\s*([^<]*)</.exec(text) ?? []
  return { ...fields, quietWindows: windows.trim() }
}

/** The form is shown again with this text, and nothing was changed. */
const isRefused = async (
  t: Tap,
  path: string,
  fields: Record<string, string | string[]>,
  problem: RegExp,
) => {
  const before = await contents()
  const { status, text } = await operator.submit(path, fields)
  t.equal(status, 400, `${path} ${JSON.stringify(fields)}`)
  t.match(text, problem)
  t.match(text, 'aria-current="page"', 'on the same page')
  t.strictSame(await contents(), before, 'nothing was changed')
  return text
}
type Tap = Pick<typeof t, 'equal' | 'match' | 'strictSame'>

/** The warnings that the page shows beside the button to go live, and that the button confirms. */
const warningsOf = (text: string): string[] =>
  [...text.matchAll(/name="confirmed" value="(\w+)"/g)].map(([, warning = '']) => warning)

t.test('a business that goes live is asked for quiet times', async t => {
  const [choice, question] = [/name="quiet"/, /When should customers get no messages/]
  const cases: [string, string[], RegExp][] = [
    [
      'all',
      ['shabbat', 'holidays', '21:00-08:00'],
      /quiet times \(Shabbat, holidays, 21:00-08:00\)/,
    ],
    ['holy', ['shabbat', 'holidays'], /quiet times \(Shabbat, holidays\)/],
    ['none', [], /What will happen/],
  ]
  for (const [quiet, windows, said] of cases) {
    const shop = await business({
      mode: 'shadow',
      columns: { reminder_quiet_windows: ['shabbat'] },
    })
    const { text } = await operator.get(at(shop))
    t.match(text, question)
    t.match(text, /Next in Tel Aviv: .*: \w{3}.* \d\d:\d\d to \w{3}.* \d\d:\d\d/)
    t.match(text, 'Reminders also wait for the end of these times: Shabbat.')
    const confirmed = warningsOf(text)
    await operator.submit(at(shop, '/overview/mode'), { mode: 'live', quiet, confirmed })
    t.match(await tenantOf(shop), { mode: 'live', quiet_windows: windows })
    t.match((await lastEntry(shop))?.after, { quietChosen: true })
    await operator.submit(at(shop, '/overview/mode'), { mode: 'shadow' })
    const again = (await operator.get(at(shop))).text
    t.match(again, said)
    t.notMatch(again, choice, 'once is enough')
  }
  const shop = await business({ mode: 'shadow' })
  const form = formOf((await operator.get(at(shop, '/settings'))).text)
  await operator.submit(at(shop, '/settings/save'), { ...form, name: 'Noa' })
  t.match((await operator.get(at(shop))).text, question, 'another change is no choice')
  await operator.submit(at(shop, '/settings/save'), { ...form, commonWindows: ['holidays'] })
  t.notMatch((await operator.get(at(shop))).text, question)
  const hebrew = await (await asOperator('he')).get(at(await business({ mode: 'shadow' })))
  t.match(hebrew.text, 'מתי לא לשלוח הודעות ללקוחות?')
})

t.test('going live with warnings must be confirmed', async t => {
  const shop = await business({ mode: 'shadow' })
  const live = (confirmed: readonly string[], quiet = 'all') =>
    operator.submit(at(shop, '/overview/mode'), { mode: 'live', confirmed: [...confirmed], quiet })
  const shown = warningsOf((await operator.get(at(shop))).text)
  t.strictSame(shown, ['test_not_arrived', 'no_webhook_from_meta'])
  for (const [confirmed, quiet] of [
    [[], 'all'],
    [['test_not_arrived'], 'all'],
    [['no_webhook_from_meta', 'everything'], 'all'],
    // The answer to the question is missing.
    [shown, ''],
  ] as const) {
    const { status, text } = await live(confirmed, quiet)
    t.equal(status, 400)
    t.match(text, 'Please read the warnings and confirm')
    t.match(text, /<details id="go-live" open/)
    t.strictSame(warningsOf(text), shown)
    t.match(await tenantOf(shop), { mode: 'shadow', quiet_windows: [], quiet_chosen_at: null })
  }
  const without = { WHATSAPP_APP_SECRET: '', WHATSAPP_VERIFY_TOKEN: '' }
  const before = Object.keys(without).map(name => [name, process.env[name]])
  Object.assign(process.env, without)
  reloadConfig()
  t.equal((await live(shown)).status, 400, 'a warning that the visitor did not see')
  t.match(warningsOf((await operator.get(at(shop))).text), ['test_not_arrived', 'no_app_secret'])
  Object.assign(process.env, Object.fromEntries(before))
  reloadConfig()
  t.equal((await live(shown)).status, 303)
  t.equal((await tenantOf(shop)).mode, 'live')
})

t.test('a new business goes live only after a confirmation', async t => {
  const fields = {
    name: 'At once',
    numbers: `072${customer().local.slice(-7)}`,
    mode: 'live',
  }
  const asked = await operator.submit('/ops/tenants/add', fields)
  t.equal(asked.status, 400)
  t.match(asked.text, 'value="At once"')
  t.strictSame(await tenantsCalled('At once'), [])
  const confirmed = warningsOf(asked.text)
  t.strictSame(confirmed, ['test_not_arrived', 'no_webhook_from_meta', 'no_quiet_windows'])
  t.equal((await operator.submit('/ops/tenants/add', { ...fields, confirmed })).status, 303)
  t.match(await tenantsCalled('At once'), [{ mode: 'live' }])
})

t.test('the mode can be changed and resumed', async t => {
  const shop = await business({ mode: 'shadow' })
  const { text } = await operator.get(at(shop))
  t.match(
    text,
    /<details id="go-live">[\s\S]*message 2 minutes after[\s\S]*name="mode" value="live"/,
  )
  const change = async (
    path: string,
    fields: Record<string, string | string[]>,
    mode: string,
    flash: RegExp,
  ) => {
    const { status, location } = await operator.submit(at(shop, path), fields)
    t.equal(status, 303)
    t.equal(location, at(shop))
    t.match((await operator.get(at(shop))).text, flash)
    t.equal((await tenantOf(shop)).mode, mode)
  }
  await change(
    '/overview/mode',
    { mode: 'live', confirmed: warningsOf(text), quiet: 'none' },
    'live',
    /Messages are sent to customers from now on/,
  )
  await change('/overview/mode', { mode: 'paused' }, 'paused', /is paused\. No messages are sent/)
  t.match(await lastEntry(shop), {
    who: 'operator',
    action: 'tenant.set',
    before: { mode: 'live' },
    after: { mode: 'paused' },
  })
  await change('/overview/resume', {}, 'live', /Messages are sent to customers/)
  await change('/overview/mode', { mode: 'shadow' }, 'shadow', /No messages are sent/)
  await isRefused(t, at(shop, '/overview/resume'), {}, /The business is not paused/)
  await isRefused(t, at(shop, '/overview/mode'), { mode: 'dead' }, /Nothing was changed/)
  await isRefused(t, at(shop, '/overview/mode'), {}, /Nothing was changed/)
})

t.test('a test message is sent to the owner, and the page shows its result', async t => {
  const shop = await business({ mode: 'shadow' })
  await isRefused(t, at(shop, '/overview/test'), {}, /Enter the owner’s phone/)
  const owner = customer()
  await db
    .updateTable('tenants')
    .set({ owner_phone: owner.e164 })
    .where('id', '=', shop.tenantId)
    .execute()
  t.equal((await operator.submit(at(shop, '/overview/test'))).status, 303)
  t.match((await operator.get(at(shop))).text, 'It will be sent now')
  await isRefused(t, at(shop, '/overview/test'), {}, /less than a minute ago/)
  await work()
  t.match((await operator.get(at(shop))).text, 'WhatsApp accepted it')
  t.equal(fake.inbox(owner.e164).length, 1)
  t.match(await lastEntry(shop), { who: 'operator', action: 'test_message.send' })
})

t.test('settings are saved, and only the changes are logged', async t => {
  const shop = await business({ columns: { quiet_windows: ['21:00-08:00', '13:00-14:00'] } })
  const { text } = await operator.get(at(shop, '/settings'))
  const form = formOf(text)
  t.match(form, {
    outreachDelay: '2 minutes',
    quietWindows: '13:00-14:00',
    commonWindows: ['21:00-08:00'],
    minRingSeconds: '0',
    holdoutPercent: '0',
  })
  t.equal((await operator.submit(at(shop, '/settings/save'), form)).status, 303)
  t.match((await operator.get(at(shop, '/settings'))).text, 'No change.')
  t.not((await lastEntry(shop))?.action, 'tenant.set')

  const wanted = {
    ...form,
    name: 'מספרת "נועה" & בניה',
    ownerPhone: '050-2345678',
    outreachDelay: '90s',
    reminder1After: 'שעה ו-30 דקות',
    quietWindows: '13:00-16:00\r\nsun 9:00 - sun 09:30'.replace('9:00 -', '09:00 -'),
    commonWindows: ['shabbat'],
    commonReminderWindows: ['holidays', '21:00-08:00'],
    reminderQuietWindows: '',
    location: 'חיפה',
    missedStatuses: ['NOANSWER', 'BUSY'],
    minRingSeconds: '5',
    holdoutPercent: '10',
    contactForeign: 'yes',
    timezone: 'Europe/London',
  }
  t.equal((await operator.submit(at(shop, '/settings/save'), wanted)).status, 303)
  t.match(await tenantOf(shop), {
    name: 'מספרת "נועה" & בניה',
    owner_phone: '+972502345678',
    quiet_windows: ['13:00-16:00', 'sun 09:00-sun 09:30', 'shabbat'],
    reminder_quiet_windows: ['holidays', '21:00-08:00'],
    location: 'Haifa',
    missed_statuses: ['NOANSWER', 'BUSY'],
    min_ring_seconds: 5,
    holdout_percent: 10,
    contact_foreign: true,
    timezone: 'Europe/London',
  })
  const entry = await lastEntry(shop)
  t.match(entry, { who: 'operator', action: 'tenant.set' })
  t.match(entry?.before, { outreachDelay: '2 minutes', reminder1After: '2 hours' })
  t.match(entry?.after, {
    outreachDelay: '1 minute 30 seconds',
    reminder1After: '1 hour 30 minutes',
  })
  t.notOk(Object.keys(Object(entry?.after)).includes('grace'), 'unchanged settings are not logged')

  const again = await operator.get(at(shop, '/settings'))
  t.match(again.text, 'מספרת &quot;נועה&quot; &amp; בניה')
  t.match(formOf(again.text), {
    outreachDelay: '1 minute 30 seconds',
    commonWindows: ['shabbat'],
    commonReminderWindows: ['holidays', '21:00-08:00'],
    location: 'Haifa',
    contactForeign: ['yes'],
  })
  const hebrew = await (await asOperator('he')).get(at(shop, '/settings'))
  const hebrewForm = formOf(hebrew.text)
  t.match(hebrewForm, {
    outreachDelay: '1 דקה 30 שניות',
    quietWindows: '13:00-16:00\nא׳ 09:00-א׳ 09:30',
  })
  const inHebrew = await asOperator('he')
  const { tenantId } = shop
  const entries = (await auditLogOf(tenantId)).length
  await inHebrew.submit(at(shop, '/settings/save'), hebrewForm)
  t.equal((await auditLogOf(tenantId)).length, entries, 'the other language is no change')
  await inHebrew.submit(at(shop, '/settings/save'), {
    ...hebrewForm,
    quietWindows: 'שני 13:00-שלישי 14:00',
  })
  t.match(await tenantOf(shop), { quiet_windows: ['mon 13:00-tue 14:00', 'shabbat'] })
})

t.test('an older tab changes only what was changed in it', async t => {
  const shop = await business()
  const path = at(shop, '/settings/save')
  const tab = formOf((await operator.get(at(shop, '/settings'))).text)
  const save = (fields: object) => operator.submit(path, { ...tab, ...fields })
  await save({ ownerPhone: '0502345678', quietWindows: '13:00-14:00' })
  t.equal((await save({ name: 'Noa', missedStatuses: ['BUSY'] })).status, 303)
  const saved = {
    name: 'Noa',
    owner_phone: '+972502345678',
    quiet_windows: ['13:00-14:00'],
    missed_statuses: ['BUSY'],
  }
  t.match(await tenantOf(shop), saved)
  t.equal((await save({ name: 'Noa' })).status, 303, 'both changed it to the same')

  const clash = { name: 'Dana', grace: '1 hour', quietWindows: '15:00-16:00' }
  const refused = await save({ ...clash, missedStatuses: ['CANCEL'] })
  t.equal(refused.status, 409)
  t.match(refused.text, /Nothing was changed/)
  for (const stored of ['Noa', '13:00-14:00', 'BUSY'])
    t.match(refused.text, `replaces what is stored now: <bdi>${stored}</bdi>`)
  t.match(formOf(refused.text), clash, 'what was entered is kept')
  t.match(await tenantOf(shop), saved)
  t.equal((await operator.submit(path, { ...formOf(refused.text), name: '' })).status, 400)
  t.equal((await operator.submit(path, formOf(refused.text))).status, 303)
  t.match(await tenantOf(shop), {
    name: 'Dana',
    owner_phone: '+972502345678',
    quiet_windows: ['15:00-16:00'],
    missed_statuses: ['CANCEL'],
  })
  t.equal((await save({ shown: 'x' })).status, 400)
})

t.test('after a wrong setting, the form keeps what was entered', async t => {
  const shop = await business()
  const form = formOf((await operator.get(at(shop, '/settings'))).text)
  const cases: [Record<string, string | string[]>, RegExp][] = [
    [{ name: '' }, /A name in one line/],
    [{ ownerPhone: 'x' }, /such as 0502345678, or empty/],
    [{ timezone: 'IST' }, /such as Asia\/Jerusalem/],
    [{ outreachDelay: 'soon' }, /A time such as 2 minutes/],
    [{ grace: '0' }, /at least 1 minute/],
    [{ reminder1After: '3 days' }, /“First reminder” must be earlier than “Last reminder”/],
    [{ missedStatuses: [] }, /Otherwise no call counts as missed/],
    [{ missedStatuses: ['MAYBE'] }, /Select at least one/],
    [{ minRingSeconds: '-1' }, /from 0 to 600/],
    [{ holdoutPercent: '51' }, /from 0 to 50/],
    [{ quietWindows: '13:00-14:00\r\n1-2' }, /Line 2: a time such as/],
    [{ reminderQuietWindows: '1-2' }, /Line 1: a time such as/],
    [{ location: 'Atlantis' }, /A city from the list/],
    [
      { quietWindows: '08:00-21:00', commonReminderWindows: ['21:00-08:00'] },
      /leave no time for reminders/,
    ],
    [{ quietWindows: 'mon 00:00-sun 23:59\nsun 23:00-mon 01:00' }, /must not cover the whole week/],
  ]
  for (const [wrong, problem] of cases) {
    const fields = { ...form, contactForeign: 'yes', unresponsiveAfter: '7 hours', ...wrong }
    const text = await isRefused(t, at(shop, '/settings/save'), fields, problem)
    t.match(text, 'value="7 hours"', 'the other fields are kept')
    t.match(text, /name="contactForeign"\s+value="yes"\s+checked/)
    t.match(text, 'class="problem"')
    const entered = Object.values(wrong).flat().at(-1)
    // There is no checkbox for an unknown status.
    if (entered && entered !== 'MAYBE')
      t.match(text, entered.split('\r\n').at(-1), 'the wrong value is kept')
  }
  const hebrew = await asOperator('he')
  const { status, text } = await hebrew.submit(at(shop, '/settings/save'), {
    ...form,
    reminder2After: 'דקה',
  })
  t.equal(status, 400)
  t.match(text, '״תזכורת ראשונה״ צריכה להיות מוקדמת מ״תזכורת אחרונה״')
})

t.test('a number is added, and its calls are decided again', async t => {
  const shop = await business()
  const other = await business()
  const second = `073${customer().local.slice(-7)}`
  const record = push({ did: second, caller: customer().local })
  await post(record, { token: shop.token })
  await post(push({ did: other.did, caller: customer().local }), { token: shop.token })
  await work()
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unmatched_number']])
  const { text } = await operator.get(at(shop, '/numbers'))
  t.match(text, `value="+972${second.slice(1)}"`, 'the page offers to add it')
  t.notMatch(text, `value="${other.line}"`, 'but not a number of another business')

  await operator.submit(at(shop, '/numbers/add'), { phone: `+972${second.slice(1)}` })
  t.match((await operator.get(at(shop, '/numbers'))).text, 'One earlier call will be decided again')
  await work()
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed']])
  t.match(await outreachOf(shop.tenantId, record.ivruniqueid), ['scheduled', 'waiting'])
  t.match(await lastEntry(shop), { who: 'operator', action: 'number.add' })
  await operator.submit(at(shop, '/numbers/add'), { phone: second })
  t.match((await operator.get(at(shop, '/numbers'))).text, 'was already here')

  const wrong = await isRefused(t, at(shop, '/numbers/add'), { phone: 'shop "1' }, /such as 07227/)
  t.match(wrong, 'value="shop &quot;1"')
  await isRefused(t, at(shop, '/numbers/add'), { phone: other.did }, /another business/)

  await operator.submit(at(shop, '/numbers/remove'), { phone: shop.did })
  t.strictSame(await numbersOf(shop), [`+972${second.slice(1)}`])
  t.match(await lastEntry(shop), { action: 'number.remove', before: { phone: shop.line } })
  await isRefused(t, at(shop, '/numbers/remove'), { phone: second }, /This is the last number/)
  t.equal((await operator.submit(at(shop, '/numbers/remove'), { phone: other.did })).status, 404)
  t.strictSame(await numbersOf(other), [other.line])
})

t.test('WhatsApp is connected, paused, resumed and given a new token', async t => {
  const shop = await business({ connected: false })
  const other = await business()
  const number = fake.addNumber({ token: 'SECRET-one' })
  const fields = {
    whatsappNumber: '050-2345678',
    phoneNumberId: number.phoneNumberId,
    accessToken: 'SECRET-one',
  }
  const connect = at(shop, '/whatsapp/connect')
  const wrong = { ...fields, whatsappNumber: '12' }
  const text = await isRefused(t, connect, wrong, /A phone number such as 0502345678/)
  t.match(text, `value="${number.phoneNumberId}"`)
  t.notMatch(text, 'SECRET', 'a secret is never shown')
  await isRefused(t, connect, { ...fields, accessToken: ' ' }, /The access token from Meta/)
  await isRefused(t, connect, { ...fields, phoneNumberId: 'x' }, /digits only/)
  await isRefused(t, connect, { ...fields, phoneNumberId: other.phoneNumberId }, /another business/)

  await isRefused(
    t,
    connect,
    { ...fields, accessToken: 'no-token' },
    /does not accept this access token/,
  )
  await isRefused(
    t,
    connect,
    { ...fields, accessToken: 'two\u200bwords' },
    /The access token from Meta/,
  )

  t.equal((await operator.submit(connect, fields)).status, 303)
  const mine = { ...shop, phoneNumberId: number.phoneNumberId }
  const opened = async () =>
    decrypt((await connectionOf(mine)).access_token, tokenOwner(shop.tenantId))
  t.equal(await opened(), 'SECRET-one')
  t.match(await lastEntry(shop), { who: 'operator', action: 'connection.add' })

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
  t.match(await lastEntry(shop), { action: 'connection.resume' })

  fake.addNumber({ phoneNumberId: number.phoneNumberId, token: 'SECRET-two' })
  const token = { phoneNumberId: number.phoneNumberId, accessToken: 'SECRET-two' }
  t.equal((await operator.submit(at(shop, '/whatsapp/token'), token)).status, 303)
  t.equal(await opened(), 'SECRET-two')
  const empty = { ...token, accessToken: '' }
  await isRefused(t, at(shop, '/whatsapp/token'), empty, /The access token from Meta/)
  for (const path of ['', '/whatsapp', '/templates'])
    t.notMatch((await operator.get(at(shop, path))).text, 'SECRET', path)
  t.notMatch(JSON.stringify(await auditLogOf(shop.tenantId)), 'SECRET')
})

const wabaOf = ({ phoneNumberId }: Business): string =>
  fake.numbers().find(one => one.phoneNumberId === phoneNumberId)?.wabaId ?? ''

t.test('templates are submitted, followed and resubmitted on the page', async t => {
  const shop = await business()
  const wabaId = wabaOf(shop)
  const page = async (who = operator) => (await who.get(at(shop, '/templates'))).text
  const after = async (path: string, fields = {}) => {
    const answer = await operator.submit(at(shop, path), fields)
    t.equal(answer.status, 303, path)
    return page()
  }
  const first = await page()
  t.match(first, /שלום, כאן מספרת נועה\. ראינו שהתקשרת אלינו בשעה 14:05/, 'filled in')
  t.match(first, 'Meta has not been asked yet')

  fake.setReview(
    wabaId,
    { status: 'REJECTED', rejectedReason: 'PROMOTIONAL' },
    'ringback_reminder_2',
  )
  const submitted = await after('/templates/submit')
  t.match(submitted, '4 texts were submitted')
  t.match(submitted, 'Meta has not approved the template yet')
  t.match(submitted, /rejected the template[^<]*\(the text promotes something\)/)
  t.match(await page(await asOperator('he')), 'הנוסח מפרסם משהו')
  t.match(await after('/templates/submit'), 'Meta has all the texts already')
  t.equal(fake.templates(wabaId).length, 4)

  for (const one of fake.templates(wabaId))
    if (one.status === 'PENDING') fake.addTemplate({ ...one, status: 'APPROVED' })
  const followed = await after('/templates/sync')
  t.equal([...followed.matchAll(/badge good"[^>]*>\s*approved/g)].length, 3)

  const wrong = { kind: 'reminder_2', number: '', hours: '', body: '{{1}} 50%' }
  await isRefused(t, at(shop, '/templates/resubmit'), wrong, /At most 1,024 characters/)
  const body = 'שלום, כאן {{1}}, לגבי השיחה בשעה {{2}}. אפשר להשיב כאן.'
  fake.setReview(wabaId, { status: 'PENDING' }, 'ringback_reminder_2')
  t.match(await after('/templates/resubmit', { ...wrong, body }), 'The text was submitted')
  t.equal(fake.templates(wabaId).find(one => one.name === 'ringback_reminder_2')?.body, body)
  const none = { kind: 'initial', number: shop.line, hours: '', body }
  t.equal((await operator.submit(at(shop, '/templates/resubmit'), none)).status, 404)

  const owner = await asTenant(shop.tenantId)
  await owner.submit(at(shop, '/templates/resubmit'), { ...wrong, body: `${body} תודה.` })
  t.match(await page(), /Meta did not take the template: 100: Only approved/, 'during a review')
  const other = await business()
  await db
    .updateTable('whatsapp_connections')
    .set({ waba_id: wabaId })
    .where('tenant_id', 'in', [shop.tenantId, other.tenantId])
    .execute()
  const shared = await owner.submit(at(shop, '/templates/resubmit'), { ...wrong, body })
  t.match([shared.status, shared.text], [400, /Other businesses use this account/])

  fake.addNumber({ phoneNumberId: shop.phoneNumberId, token: 'another' })
  t.match(await after('/templates/sync'), 'Meta does not accept the access token')
})

t.test('marketing waits until a person agrees on the page, or submits another text', async t => {
  const shop = await business()
  fake.setReview(wabaOf(shop), { status: 'APPROVED', category: 'MARKETING' })
  await operator.submit(at(shop, '/templates/submit'))
  const owner = await asTenant(shop.tenantId)
  const page = async () => (await owner.get(at(shop, '/templates'))).text
  const first = await page()
  t.match(first, 'WhatsApp counts this template as marketing')
  t.equal([...first.matchAll(/>Send it as marketing</g)].length, 4)
  const agree = { kind: 'reminder_1', number: '', hours: '' }
  t.equal((await owner.submit(at(shop, '/templates/resume'), agree)).status, 303)
  t.equal([...(await page()).matchAll(/>Send it as marketing</g)].length, 3)
  t.match(await lastEntry(shop), { action: 'template.set', after: { isHeld: false } })

  fake.setReview(wabaOf(shop), { status: 'APPROVED', category: 'UTILITY' })
  const body = 'שלום, כאן {{1}}. התקשרת בשעה {{2}}, אפשר להשיב כאן.'
  await owner.submit(at(shop, '/templates/resubmit'), { ...agree, kind: 'initial', body })
  t.equal([...(await page()).matchAll(/>Send it as marketing</g)].length, 2)
})

t.test('a text for closed hours is added, and the languages are chosen, on the page', async t => {
  const shop = await business()
  const settings = at(shop, '/templates/settings')
  await isRefused(t, settings, { language: 'he', openingHours: 'always' }, /Line 1: hours such as/)
  const { status } = await operator.submit(settings, {
    language: 'en',
    languages: ['he'],
    openingHours: 'sun-thu 09:00-18:00\nfri 09:00-13:00',
  })
  t.equal(status, 303)
  const { languages, opening_hours } = await db
    .selectFrom('tenants')
    .select(['languages', 'opening_hours'])
    .where('id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  t.strictSame([languages, opening_hours.length], [['en', 'he'], 6])

  const add = at(shop, '/templates/add')
  const closed = {
    kind: 'initial',
    number: '',
    hours: 'closed',
    name: '',
    body: '',
    button: 'stop',
  }
  await isRefused(t, add, { ...closed, body: 'Hi, {{1}}.' }, /belongs to a text of Ringback/)
  t.equal((await operator.submit(add, closed)).status, 303)
  const { text } = await operator.get(at(shop, '/templates'))
  t.match(text, 'ringback_missed_call_closed_stop (en)')
  t.match(
    text,
    /when we were closed\. You can reply here and we will call you back when we open\.</,
  )
  t.match(text, 'Stop messages')
  t.equal((await operator.submit(at(shop, '/templates/usual'), closed)).status, 303)
  t.notMatch((await operator.get(at(shop, '/templates'))).text, 'closed_stop')

  const save = at(shop, '/templates/save')
  const form = {
    kind: 'initial',
    number: '',
    hours: '',
    name: 'ringback_missed_call',
    language: 'en',
    variable: ['business_name', 'call_time'],
    body: '',
  }
  t.equal((await operator.submit(save, { ...form, button: ['callback', 'stop'] })).status, 303)
  t.match((await operator.get(at(shop, '/templates'))).text, 'ringback_missed_call_callback_stop')
})

t.test('an older tab changes only what was changed in it, of the templates too', async t => {
  const shop = await business()
  const { text } = await operator.get(at(shop, '/templates'))
  const shownIn = (html: string, part: string): string =>
    unescaped(/name="shown" value="([^"]*)"/.exec(html.slice(html.indexOf(part)))?.[1] ?? '')
  const form = { language: 'he', languages: ['he'], openingHours: '' }
  const save = (fields: object) =>
    operator.submit(at(shop, '/templates/settings'), {
      ...form,
      shown: shownIn(text, '/templates/settings"'),
      ...fields,
    })
  await save({ openingHours: 'sun 09:00-18:00' })
  t.equal((await save({ languages: ['ru', 'en'] })).status, 303)
  const saved = { languages: ['he', 'ru', 'en'], opening_hours: ['sun 09:00-sun 18:00'] }
  t.match(await tenantOf(shop), saved)
  const refused = await save({ language: 'en', openingHours: 'fri 09:00-13:00' })
  t.equal(refused.status, 409)
  t.match(refused.text, /stored now: <bdi>Hebrew, Russian, English<\/bdi>/)
  t.match(refused.text, /stored now: <bdi>sun 09:00-18:00<\/bdi>/)
  t.match(await tenantOf(shop), saved)

  const template = {
    kind: 'initial',
    name: 'ringback_missed_call',
    language: 'he',
    variable: ['business_name', 'call_time'],
    shown: shownIn(text, '<details id="template-'),
  }
  const change = (fields: object) =>
    operator.submit(at(shop, '/templates/save'), { ...template, ...fields })
  const body = 'Hello from {{1}}, at {{2}} you called.'
  t.equal((await change({ name: 'our_text', body })).status, 303)
  t.equal((await change({ language: 'en' })).status, 303)
  const [first] = await db
    .selectFrom('whatsapp_templates')
    .select(['name', 'language'])
    .where('tenant_id', '=', shop.tenantId)
    .where('kind', '=', 'initial')
    .execute()
  t.strictSame(first, { name: 'our_text', language: 'en' })
  const late = await change({ name: 'other_text', body: 'Hi there.' })
  t.equal(late.status, 409)
  t.match(late.text, /stored now: <bdi>our_text<\/bdi>/)
})

t.test('a template is changed, resumed and reset', async t => {
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
  t.match(await lastEntry(shop), { who: 'operator', action: 'template.set' })
  t.match((await operator.get(at(shop, '/templates'))).text, 'value="our_reminder"')

  const wrong = { ...wanted, name: 'Our Reminder' }
  const text = await isRefused(t, save, wrong, /lowercase letters, digits and underscores/)
  t.match(text, 'value="Our Reminder"')
  t.match(text, 'value="ringback_missed_call"', 'the other forms do not change')
  await isRefused(t, save, { ...wanted, language: 'hebrew' }, /A code such as he/)
  t.equal((await operator.submit(save, { ...wanted, kind: 'other' })).status, 400)

  await db
    .updateTable('whatsapp_templates')
    .set({ state: 'paused', state_reason: 'template PAUSED' })
    .where('name', '=', 'our_reminder')
    .execute()
  t.match((await operator.get(at(shop, '/templates'))).text, 'Meta has paused the template')
  await operator.submit(save, wanted)
  t.equal((await row())?.state, 'paused', 'saving without a change does not resume it')
  await operator.submit(at(shop, '/templates/resume'), { kind: 'reminder_1' })
  t.equal((await row())?.state, 'active')
  await operator.submit(at(shop, '/templates/usual'), { kind: 'reminder_1' })
  t.equal(await row(), undefined)
  t.match((await operator.get(at(shop, '/templates'))).text, 'value="ringback_reminder_1"')

  const none = await business({ connected: false })
  t.match((await operator.get(at(none, '/templates'))).text, 'Connect WhatsApp first')
  await isRefused(t, at(none, '/templates/save'), wanted, /No active WhatsApp number is connected/)
})

t.test(
  'a URL for the Pop-Up Screen opens nothing else, and may be the last to be revoked',
  async t => {
    const shop = await business()
    for (const [signIn, title] of [
      [operator, 'URL for the Pop-Up Screen'],
      [await asOperator('he'), 'כתובת עבור Pop-Up Screen'],
    ] as const) {
      const { location } = await signIn.submit(at(shop, '/webhook/popup'))
      const { text } = await signIn.get(location ?? '')
      t.match(text, title)
      const [, token = ''] = /popup\?token=([\w-]{43})/.exec(text) ?? []
      t.equal((await post(push({ did: shop.did }), { token })).status, 401)
    }
    const { tokenId } = await db
      .selectFrom('webhook_tokens')
      .select(({ fn }) => fn.max('id').as('tokenId'))
      .where('tenant_id', '=', shop.tenantId)
      .executeTakeFirstOrThrow()
    await operator.submit(at(shop, '/webhook/revoke'), { tokenId })
    t.match(await lastEntry(shop), { action: 'webhook_token.revoke' })
  },
)

t.test('a new URL works beside the old one until the old one is revoked', async t => {
  const shop = await business()
  const { status, location } = await operator.submit(at(shop, '/webhook/fresh'))
  t.equal(status, 303)
  const { text } = await operator.get(location ?? '')
  t.match(text, 'data-copy="new-url"')
  t.match(text, 'Only this machine can reach')
  const [, fresh = ''] = /cdr\?token=([\w-]{43})/.exec(text) ?? []
  t.ok(fresh)
  const answerTo = async (token: string) =>
    (await post(push({ did: shop.did, caller: customer().local }), { token })).status
  t.equal(await answerTo(fresh), 200)
  t.equal(await answerTo(shop.token), 200)
  t.match(await lastEntry(shop), { who: 'operator', action: 'webhook_token.add' })
  for (const path of ['', '/webhook']) {
    const later = await operator.get(at(shop, path))
    t.notMatch(later.text, fresh, 'it is shown only once')
    t.notMatch(later.text, shop.token)
  }
  t.notMatch(JSON.stringify(await auditLogOf(shop.tenantId)), fresh)

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
  t.match(await lastEntry(shop), { who: 'operator', action: 'webhook_token.revoke' })
  await operator.submit(revoke, { tokenId: old })
  t.match((await operator.get(at(shop, '/webhook'))).text, 'the URL was already revoked')

  await isRefused(t, revoke, { tokenId: last }, /tick the box to confirm/)
  t.equal(await answerTo(fresh), 200)
  t.equal((await operator.submit(revoke, { tokenId: last, force: 'yes' })).status, 303)
  t.equal(await answerTo(fresh), 401)
})

const endpointsOf = ({ tenantId }: Business) =>
  db
    .selectFrom('event_endpoints')
    .select(['id', 'state'])
    .where('tenant_id', '=', tenantId)
    .execute()

/** The page answers 404 and changes nothing. */
const isMissing = async (t: Tap, path: string, fields: Record<string, string>) => {
  const before = await contents()
  t.equal((await operator.submit(path, fields)).status, 404)
  t.strictSame(await contents(), before)
}

t.test('an address for events is added, tested, disabled, enabled and removed', async t => {
  const shop = await business()
  const to = await receiver()
  const path = (action: string) => at(shop, `/events/${action}`)
  await isRefused(
    t,
    path('add'),
    { url: 'ftp://x', events: 'lead.replied' },
    /A public https address/,
  )
  await isRefused(t, path('add'), { url: to.url }, /At least one/)
  await isRefused(t, path('add'), { url: 'http://10.0.0.1/', events: 'lead.replied' }, /public/)
  const { location } = await operator.submit(path('add'), {
    url: to.url,
    events: ['lead.replied', 'call.missed'],
  })
  const made = await operator.get(location ?? '')
  t.match(made.text, /<code[^>]*>whsec_[\w+/]{43}=<\/code>/)
  const [{ id: endpointId } = { id: '' }] = await endpointsOf(shop)
  await operator.submit(path('test'), { endpointId })
  to.answerStatus(410)
  await work()
  const owner = await asTenant(shop.tenantId, 'he')
  const shown = await owner.get(at(shop, '/events'))
  t.match(shown.text, 'מושבתת')
  t.match(shown.text, '(תשובה 410)')
  t.notMatch(shown.text, 'whsec_')
  t.match(
    (await operator.get(`/ops/trouble?tenant=${shop.tenantId}`)).text,
    'It answered that it is gone',
  )
  const deliveryId = await db
    .selectFrom('event_deliveries')
    .select('id')
    .where('event_endpoint_id', '=', endpointId)
    .executeTakeFirstOrThrow()
  await isRefused(
    t,
    path('resend'),
    { endpointId, deliveryId: deliveryId.id },
    /This address is disabled/,
  )
  to.answerStatus(200)
  t.equal((await owner.submit(path('resend'), { endpointId })).status, 303)
  await work()
  t.match(await endpointsOf(shop), [{ state: 'active' }])
  t.equal(to.received.length, 1, 'a test is not sent again')
  const stranger = await business()
  await isMissing(t, at(stranger, '/events/remove'), { endpointId })
  await operator.submit(path('remove'), { endpointId })
  t.strictSame(await endpointsOf(shop), [])
  t.match(await lastEntry(shop), { who: 'operator', action: 'event_endpoint.remove' })
})

t.test(
  'a secret that is shown once survives a reload, and no other session can read it',
  async t => {
    const shop = await business()
    const other = await business()
    const visitor = await asOperator()
    const { location } = await visitor.submit(at(shop, '/webhook/fresh'))
    const path = location ?? ''
    const urlIn = ({ text }: { text: string }) => /cdr\?token=([\w-]{43})/.exec(text)?.[1]
    const token = urlIn(await visitor.get(path))
    t.ok(token)
    t.equal(urlIn(await visitor.get(path)), token, 'a reload shows the same one')
    const tokens = () =>
      db
        .selectFrom('webhook_tokens')
        .select(({ fn }) => fn.countAll<string>().as('n'))
        .where('tenant_id', '=', shop.tenantId)
        .executeTakeFirstOrThrow()
    t.strictSame(await tokens(), { n: '2' }, 'and makes no new one')
    const kept = visitor.cookies.get('ringback_once') ?? ''
    t.notMatch(decodeURIComponent(kept), token ?? '')
    t.notOk(urlIn(await visitor.get(at(shop, '/webhook/popup'))), 'not on another page')
    t.notOk(urlIn(await visitor.get(at(other, '/webhook/fresh'))), 'not of another business')
    const thief = await asOperator()
    thief.cookies.set('ringback_once', kept)
    t.notOk(urlIn(await thief.get(path)), 'not in another session')
    visitor.cookies.set('ringback_once', 'v1%3Anonsense')
    t.match(await visitor.get(path), { status: 200 })
    const owner = await asTenant(shop.tenantId)
    const { status, text } = await owner.submit(at(shop, '/password/set'), { password: '' })
    t.equal(status, 200, 'a business that changes its own password is signed out by that')
    t.match(text, 'data-copy="new-password"')
  },
)

t.test('a business gets a password and changes it', async t => {
  const shop = await business()
  const set = at(shop, '/password/set')
  await isRefused(t, set, { password: 'short' }, /At least 12 characters/)
  const { location } = await operator.submit(set, { password: '' })
  const made = await operator.get(location ?? '')
  const [, password = ''] = /<code[^>]*>([\w-]{20})<\/code>/.exec(made.text) ?? []
  t.match(made.text, shop.did.replace(/^(\d{3})(\d{3})/, '$1-$2-'), 'with the name to sign in')
  const owner = browser()
  t.equal((await owner.signIn(shop.did, password)).status, 303)
  t.notMatch((await operator.get(at(shop, '/password'))).text, password, 'it is shown only once')
  t.notMatch(JSON.stringify(await auditLogOf(shop.tenantId)), password)

  t.equal((await owner.submit(set, { password: 'the second password' })).status, 303)
  t.match(await lastEntry(shop), { who: `tenant ${shop.tenantId}`, action: 'password.set' })
  t.equal((await owner.get(at(shop))).status, 401, 'the session has ended')
  t.equal((await owner.signIn(shop.did, 'the second password')).status, 303)
  t.notMatch(
    (await owner.submit(set, { password: 'eleven char' })).text,
    'eleven char',
    'not even after wrong input',
  )

  t.equal((await operator.submit(at(shop, '/password/end'))).status, 303)
  t.equal((await owner.get(at(shop))).status, 401)
  t.equal((await owner.signIn(shop.did, 'the second password')).status, 401)
})

/** Each action, with valid fields for the business in its path. */
const ACTIONS: Record<string, (shop: Business) => Record<string, string | string[]>> = {
  '/overview/mode': () => ({ mode: 'paused' }),
  '/overview/resume': () => ({}),
  '/overview/test': () => ({}),
  '/overview/quiet': () => ({ quiet: 'holy' }),
  '/numbers/confirm': ({ line }) => ({ phone: line }),
  '/whatsapp/check': () => ({}),
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
  '/templates/add': () => ({ kind: 'initial', hours: 'closed' }),
  '/templates/settings': () => ({ language: 'en' }),
  '/templates/submit': () => ({}),
  '/templates/sync': () => ({}),
  '/templates/resubmit': () => ({ kind: 'initial', body: 'Hello, this is {{1}}, {{2}}.' }),
  '/webhook/fresh': () => ({}),
  '/webhook/revoke': () => ({ tokenId: '1' }),
  '/password/set': () => ({ password: 'a good new password' }),
  '/password/end': () => ({}),
  '/password/sign-out': () => ({}),
}
const PAGES = ['', '/settings', '/numbers', '/whatsapp', '/templates', '/webhook', '/password']

t.test('a business cannot see or change another one', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const other = await business({ columns: { owner_phone: customer().e164 } })
  const owner = await asTenant(shop.tenantId)
  const before = await contents()
  for (const path of PAGES) {
    t.equal((await owner.get(at(other, path))).status, 404, path)
    t.equal((await owner.get(at(shop, path))).status, 200, path)
  }
  for (const [path, fields] of Object.entries(ACTIONS)) {
    const { status, text } = await owner.submit(at(other, path), fields(other))
    t.equal(status, 404, path)
    t.notMatch(text, other.did, path)
  }
  t.strictSame(await contents(), before)
})

t.test('a form cannot name things of another business', async t => {
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
  // The tenant comes from the path, not from the form.
  await owner.submit(at(shop, '/overview/mode'), { mode: 'paused', tenantId: other.tenantId })
  t.equal((await tenantOf(other)).mode, 'live')
  t.equal((await tenantOf(shop)).mode, 'paused')
})

t.test('only the operator may do what decides who gets which calls', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  await post(push({ did: '0729995551', caller: customer().local }), { token: shop.token })
  await work()
  const before = await contents()
  for (const path of ['/numbers/add', '/numbers/remove', '/whatsapp/connect', '/password/end']) {
    const fields = ACTIONS[path]?.(shop) ?? {}
    t.equal((await owner.submit(at(shop, path), fields)).status, 404, path)
  }
  t.strictSame(await contents(), before)
  for (const path of ['/numbers', '/whatsapp', '/password']) {
    const { text } = await owner.get(at(shop, path))
    t.notMatch(text, /action="[^"]*\/(?:add|remove|connect|end)"/, `${path} has no such form`)
  }
  t.match((await owner.get(at(shop, '/numbers'))).text, '072-999-5551', 'the number is shown')
})

t.test('a business does everything else itself', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const owner = await asTenant(shop.tenantId)
  const settings = formOf((await owner.get(at(shop, '/settings'))).text)
  fake.addNumber({ phoneNumberId: shop.phoneNumberId, token: 'new' })
  const actions: [string, Record<string, string | string[]>, string][] = [
    ['/overview/mode', { mode: 'paused' }, 'tenant.set'],
    ['/overview/resume', {}, 'tenant.set'],
    ['/overview/test', {}, 'test_message.send'],
    ['/overview/quiet', { quiet: 'holy' }, 'tenant.set'],
    ['/numbers/confirm', { phone: shop.line }, 'number.confirm'],
    ['/whatsapp/check', {}, 'connection.check'],
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
    ['/templates/submit', {}, 'template.submit'],
    ['/templates/sync', {}, 'template.sync'],
    ['/templates/settings', { language: 'en' }, 'tenant.set'],
    ['/webhook/fresh', {}, 'webhook_token.add'],
  ]
  for (const [path, fields, action] of actions) {
    const { status } = await owner.submit(at(shop, path), fields)
    t.ok([200, 303].includes(status), path)
    t.match(await lastEntry(shop), { who: `tenant ${shop.tenantId}`, action }, path)
  }
})

t.test('an action needs the form token', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const before = await contents()
  for (const [path, fields] of Object.entries(ACTIONS)) {
    t.equal((await operator.post(at(shop, path), fields(shop))).status, 403, path)
    t.equal((await browser().post(at(shop, path), fields(shop))).status, 401, path)
  }
  t.strictSame(await contents(), before)
})

t.test('a business that does not exist', async t => {
  const before = await contents()
  for (const id of ['0', 'x', '999999', '9'.repeat(30), '1%20or%201']) {
    t.equal((await operator.get(`/ops/tenants/${id}`)).status, 404, id)
    for (const [path, fields] of Object.entries(ACTIONS)) {
      const shop = { tenantId: id, token: '', did: '0', line: '', phoneNumberId: '1' }
      const { status } = await operator.submit(at(shop, path), fields(shop))
      t.ok([400, 404].includes(status), `${id} ${path} ${status}`)
    }
  }
  t.strictSame(await contents(), before)
})

t.test('the address of a failed form can be reloaded', async t => {
  const shop = await business()
  const { status, text } = await operator.get(at(shop, '/settings/save'))
  t.equal(status, 200)
  t.match(text, 'name="outreachDelay"')
})

t.test('before going live, the page says which messages will be sent', async t => {
  const shop = await business({
    mode: 'shadow',
    columns: { quiet_windows: ['fri 15:00-sat 20:30'] },
  })
  await miss(shop, customer().local)
  t.match((await operator.get(at(shop))).text, 'The message that is waiting now will be sent')
  const hebrew = await (await asOperator('he')).get(at(shop))
  t.match(hebrew.text, 'תישלח ההודעה שממתינה עכשיו')
  t.match(hebrew.text, '2 דקות אחרי')
  t.match(hebrew.text, 'בזמנים השקטים (ו׳ 15:00-ש׳ 20:30)')
})

t.test('a business exports its own calls, and the export is logged', async t => {
  const shop = await business()
  const other = await business()
  const dana = customer()
  await post(push({ did: shop.did, caller: dana.local }), { token: shop.token })
  await post(push({ did: other.did, caller: customer().local }), { token: other.token })
  await work()
  const owner = await asTenant(shop.tenantId)
  const path = `/ops/tenants/${shop.tenantId}/export/csv`
  t.match((await owner.get(`/ops/tenants/${shop.tenantId}/export`)).text, `action="${path}"`)
  const file = await owner.submit(path, { what: 'calls', since: '', until: '' })
  t.match(file.headers.get('content-disposition'), `filename=ringback-${shop.tenantId}-calls.csv`)
  const rows: unknown[] = parse(file.text, { bom: true, columns: true })
  t.equal(rows.length, 1)
  t.match(file.text, dana.e164)
  t.match((await auditLogOf(shop.tenantId)).at(-1), {
    who: `tenant ${shop.tenantId}`,
    action: 'export.calls',
    after: { since: null, until: null },
  })
  const none = await owner.submit(path, { what: 'calls', until: '2020-01-01' })
  t.strictSame(parse(none.text, { bom: true, columns: true }), [])
})

t.test('an export is refused for another business and for wrong input', async t => {
  const shop = await business()
  const other = await business()
  const owner = await asTenant(shop.tenantId)
  const operator = await asOperator()
  const before = await contents()
  const path = `/ops/tenants/${shop.tenantId}/export/csv`
  const theirs = `/ops/tenants/${other.tenantId}/export/csv`
  t.equal((await owner.submit(theirs, { what: 'calls' })).status, 404)
  t.equal((await owner.submit(path, { what: 'tokens' })).status, 400)
  const wrong = await owner.submit(path, { what: 'leads', since: 'yesterday', until: '2026-12-01' })
  t.equal(wrong.status, 400)
  t.match(
    wrong.text,
    /name="since"[^>]*>\s*<small class="problem"[^>]*>⚠ A date such as 2026-12-01\.</,
  )
  t.match(wrong.text, /<option value="leads" selected>/, 'what was entered stays')
  t.match(wrong.text, 'value="2026-12-01"')
  t.notMatch(wrong.text, 'a moment such as')
  const period = { what: 'calls', since: '2026-12-05', until: '2026-12-01' }
  t.match(await owner.submit(path, period), { status: 400, text: /not before the first one/ })
  t.equal((await owner.get(path)).status, 200, 'the address of the form can be reloaded')
  t.equal((await owner.post(path, { what: 'calls' })).status, 403)
  t.equal((await browser().post(path, { what: 'calls' })).status, 401)
  const gone = await operator.submit('/ops/tenants/999999/export/csv', { what: 'calls' })
  t.equal(gone.status, 404)
  t.equal(gone.headers.get('content-disposition'), null)
  t.strictSame(await contents(), before)
})
