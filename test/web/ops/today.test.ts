/** Today and the log, and how dates and spans are shown. */
import { sql } from 'kysely'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { audit } from '../../../app/audit.ts'
import { refreshDailyFigures } from '../../../app/monitoring/daily_figures.ts'
import { axisTop } from '../../../app/web/ops/charts.ts'
import {
  formatSpan,
  formatWindow,
  parseSpan,
  parseWindow,
  relativeTime,
} from '../../../app/web/ops/format.ts'
import { callTexts } from '../../../app/web/ops/locales/call.ts'
import { logFieldTexts } from '../../../app/web/ops/locales/log_fields.ts'
import { logTexts } from '../../../app/web/ops/log.ts'
import { formatSettings, readSettings } from '../../../app/tenants/settings.ts'
import { answeredPush, push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, browser } from '../../support/ops.ts'
import {
  business,
  customer,
  db,
  fake,
  post,
  webhookToken,
  work,
  workAsIfDue,
} from '../../support/ringback.ts'

import { arm, fillArms } from '../../outreach/support.ts'
import { leadOf } from './support.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** The figures of a part of the page, by label. */
const figuresIn = (
  text: string,
  part = /<ul class="figures">[^]*?<\/ul>/,
): Record<string, number> =>
  Object.fromEntries(
    [...(part.exec(text)?.[0] ?? '').matchAll(/<strong>(\d+)<\/strong>\s+([^<]+?)\s*<\/a/g)].map(
      ([, count, label]) => [label, Number(count)],
    ),
  )
const funnelIn = (text: string) => figuresIn(text, /<ol class="funnel">[^]*?<\/ol>/)

// Before any business exists.
t.test('the first page says how to begin', async t => {
  for (const [language, words] of [
    ['en', 'Add a business'],
    ['he', 'ברוכים הבאים'],
  ] as const) {
    const { text } = await (await asOperator(language)).get('/ops')
    t.match(text, 'href="/ops/tenants/add"')
    t.match(text, words)
    t.match(text, 'npm run tenant -- add')
    t.notMatch(text, 'class="figures"', 'no figures of nothing')
  }
})

t.test('the figures count each missed call of today', async t => {
  const shop = await business()
  const other = await business()
  const replies = customer()
  const silent = customer()
  const call = (fields: Record<string, unknown>) =>
    // Just now, so that they are calls of today also after midnight.
    post(push({ did: shop.did, ...fields }, 0), { token: shop.token })
  for (const fields of [
    { caller: replies.local },
    { caller: silent.local },
    { caller: '031234567' },
    { caller: '' },
    { caller: '' },
  ])
    await call(fields)
  await post(answeredPush({ did: shop.did, caller: customer().local }), { token: shop.token })
  await post(push({ did: other.did, caller: customer().local }, 0), { token: other.token })
  await work()
  const owner = await asTenant(shop.tenantId)
  t.match(figuresIn((await owner.get('/ops')).text), {
    'missed calls': 5,
    'first messages to be sent': 2,
    'messages sent': 0,
  })

  await workAsIfDue()
  await fake.inbound({ kind: 'text', from: replies.e164, text: 'כן' })
  await work()
  const page = (await owner.get('/ops')).text
  t.match(figuresIn(page), {
    'missed calls': 5,
    'messages sent': 2,
    replied: 1,
    'reached by phone': 0,
    'first messages to be sent': 0,
  })
  t.match(page, /not a mobile number\s*<strong>1</)
  t.match(page, /number withheld\s*<strong>2</)
  t.match(page, /<td>5<\/td>\s*<td>1<\/td>/, 'the table of the chart: 5 missed, 1 answered')

  const operator = await asOperator()
  t.equal(figuresIn((await operator.get('/ops')).text)['missed calls'], 6, 'the operator sees all')
  const one = await operator.get(`/ops?tenant=${other.tenantId}`)
  t.equal(figuresIn(one.text)['missed calls'], 1, 'or one')
  t.equal((await operator.get('/ops?tenant=999999')).status, 404)
})

t.test('each figure leads to the list that it counts', async t => {
  const shop = await business()
  const replies = customer()
  for (const caller of [replies.local, customer().local, '031234567', ''])
    await post(push({ did: shop.did, caller }, 0), { token: shop.token })
  await work()
  await workAsIfDue()
  await fake.inbound({ kind: 'text', from: replies.e164, text: 'כן' })
  await post(push({ did: shop.did, caller: customer().local }, 0), { token: shop.token })
  await work()
  const lead = await leadOf(shop.tenantId, replies.e164)
  const owner = await asTenant(shop.tenantId)
  await owner.submit(`/ops/leads/${lead.id}/outcome`, { outcome: 'won', value: '350' })
  const { text } = await owner.get('/ops')
  t.match(text, /<strong>3<\/strong>\s*<span\s*>people wait for your answer\s*<small\s*>3 called</)
  t.match(text, /<strong>1<\/strong>\s*won, for ₪350/)
  t.match(
    funnelIn(text),
    { 'missed calls': 5, 'messages sent': 2, delivered: 1, read: 1, replied: 1 },
    'WhatsApp reported nothing, but who replied has read the message',
  )
  const links = [
    ...text.matchAll(/<a(?: [^>]*)? href="([^"]+)"[^>]*>(?:[^<]*)<strong>(\d+)<\/strong>/g),
  ]
  t.ok(links.length >= 15, String(links.length))
  for (const [, path = '', count] of links) {
    const list = await owner.get(path.replaceAll('&amp;', '&'))
    const rows = list.text.match(/<li class="person|<tr>(?=\s*<td)/g) ?? []
    t.equal(String(rows.length), count, path)
  }
  for (const wrong of ['outcome=great&from=2026-01-01', 'outcome=won&from=monday', 'outcome=won'])
    t.equal((await owner.get(`/ops/leads?${wrong}`)).status, 400, wrong)
})

t.test('the effect of the messages, in words and as a plot', async t => {
  const cardOf = async (tenantId: string) => {
    const owner = await asTenant(tenantId)
    const { text } = await owner.get('/ops')
    return /<figure class="card" id="lift">[^]*?<\/figure>/.exec(text)?.[0] ?? ''
  }
  t.equal(await cardOf((await business()).tenantId), '', 'without a control group')
  const cases: [outreach: number, holdout: number, all: number, words: RegExp][] = [
    [5, 2, 10, /<p>Not enough data yet\.<\/p>/],
    [90, 40, 100, /50 more of 100 callers came back\. .* between 38 and 60\./],
    [40, 90, 100, /50 fewer of 100 callers came back\. .* between 38 and 60\./],
    [1000, 1000, 2000, /no clear difference: between -3 and 3 of 100 callers/],
  ]
  for (const [outreach, holdout, all, words] of cases) {
    const { tenantId } = await business({ columns: { holdout_percent: 50 } })
    await fillArms([
      ...arm(tenantId, 'outreach', outreach, all),
      ...arm(tenantId, 'holdout', holdout, all),
    ])
    const card = await cardOf(tenantId)
    t.match(card, words)
    t.equal(card.includes('<svg'), all > 10, 'the plot')
    const cells = ['with messages', all, outreach, `${Math.round((100 * outreach) / all)}%`]
    t.match(card.replace(/\s+/g, ' '), cells.map(cell => `<td>${cell}</td>`).join(''))
    for (const [, x] of card.matchAll(/ (?:x|x1|x2|cx)="([^"]*)"/g))
      t.ok(Number(x) >= 0 && Number(x) <= 360, `x = ${x}`)
  }
})

t.test('calls from advertisements', async t => {
  const { tenantId } = await business()
  t.notMatch((await (await asTenant(tenantId)).get('/ops')).text, 'id="campaigns"')
  const shop = await business()
  const CustomData = { utm_source: '<b>', utm_campaign: 'spring' }
  await post(push({ did: shop.did, caller: customer().local, CustomData }), { token: shop.token })
  await work()
  const { text } = await (await asTenant(shop.tenantId)).get('/ops')
  const card = /<section class="card" id="campaigns">[^]*?<\/section>/.exec(text)?.[0] ?? ''
  t.match(card.replace(/<[^>]*>|\s/g, ' ').replace(/ +/g, ' '), ' Won &lt;b&gt; / spring 0 1 0 0 ')
})

t.test('a page that has not changed is not sent again', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const first = await owner.get('/ops')
  const etag = first.headers.get('etag') ?? ''
  const again = () => owner.ask('/ops', { headers: { 'if-none-match': etag } })
  const same = await again()
  t.match(same, { status: 304, text: '' })
  t.equal(same.headers.get('cache-control'), 'no-store')
  await post(push({ did: shop.did, caller: customer().local }), { token: shop.token })
  await work()
  t.equal((await again()).status, 200)
  const other = await asTenant((await business()).tenantId)
  t.equal((await other.ask('/ops', { headers: { 'if-none-match': etag } })).status, 200)
})

t.test('pages are compressed, except for requests that another site caused', async t => {
  const encoding = async (site?: string) => {
    const headers = { ...(site && { 'sec-fetch-site': site }), 'accept-encoding': 'gzip' }
    return (await browser().ask('/ops', { headers })).headers.get('content-encoding')
  }
  t.equal(await encoding('same-origin'), 'gzip')
  t.equal(await encoding('none'), 'gzip')
  for (const site of ['cross-site', 'same-site', undefined]) t.equal(await encoding(site), null)
})

t.test('the address of the service leads to the pages', async t => {
  const answer = await browser().get('/')
  t.match(answer, { status: 302, location: '/ops' })
})

t.test("a day begins at midnight in the business's time zone", async t => {
  const shop = await business({ columns: { timezone: 'Pacific/Kiritimati' } })
  const token = await webhookToken(shop.tenantId)
  await post(push({ did: shop.did, caller: customer().local }), { token })
  await work()
  const owner = await asTenant(shop.tenantId)
  const missedAt = (called_at: ReturnType<typeof midnight>) =>
    db
      .updateTable('missed_calls')
      .set({ called_at })
      .where('tenant_id', '=', shop.tenantId)
      .execute()
  const midnight = (off: string) =>
    sql<Date>`date_trunc('day', now() at time zone 'Pacific/Kiritimati') at time zone 'Pacific/Kiritimati' + ${off}::interval`
  await missedAt(midnight('-1 second'))
  t.equal(figuresIn((await owner.get('/ops')).text)['missed calls'], 0)
  await missedAt(midnight('0'))
  t.equal(figuresIn((await owner.get('/ops')).text)['missed calls'], 1)
})

t.test('earlier days are sums, which follow the calls', async t => {
  const shop = await business()
  const token = await webhookToken(shop.tenantId)
  const people = [customer(), customer()]
  const cdrs = people.map(({ local }) => push({ did: shop.did, caller: local }))
  for (const cdr of cdrs) await post(cdr, { token })
  await post(answeredPush({ did: shop.did, caller: customer().local }), { token })
  await work()
  const DAY = sql`((now() at time zone 'Asia/Jerusalem')::date - 5)`
  const at = sql<Date>`${DAY}::timestamp at time zone 'Asia/Jerusalem' + interval '9 hours'`
  for (const table of ['raw_cdrs', 'missed_calls'] as const)
    await db
      .updateTable(table)
      .set({ called_at: at })
      .where('tenant_id', '=', shop.tenantId)
      .execute()
  const owner = await asTenant(shop.tenantId)
  const month = async () => funnelIn((await owner.get('/ops')).text)
  const refresh = () => sql`select refresh_daily_figures(${DAY})`.execute(db)
  const rows = async () => {
    const { rows } = await sql<{ row: Record<string, unknown> }>`
      select to_jsonb(f) as row from daily_figures f where tenant_id = ${shop.tenantId} order by day`.execute(
      db,
    )
    return rows.map(({ row }) => row)
  }
  await refresh()
  t.match(await month(), { 'missed calls': 2, replied: 0 })
  t.match(await rows(), [
    { missed: 2, answered: 1, waiting: 2, hours: { 9: [2, 1] }, skipped: {}, won: 0 },
  ])

  await workAsIfDue()
  await fake.inbound({ kind: 'text', from: people[0]?.e164 ?? '', text: 'כן' })
  await work()
  await sql`
    update leads set outcome = 'won', outcome_value = 250, outcome_at = ${at}
    where tenant_id = ${shop.tenantId} and phone = ${people[0]?.e164}`.execute(db)
  await refresh()
  t.match(await month(), { 'missed calls': 2, 'messages sent': 2, replied: 1 })
  t.match(await rows(), [{ contacted: 2, replied: 1, waiting: 0, won: 1, won_value: 250 }])
  const before = await rows()
  await refresh()
  t.strictSame(await rows(), before, 'an unchanged day is not written')

  const { rows: sums } = await sql<{ total: number; sum: number }>`
    select sum(missed) filter (where tenant_id is null)::int as total,
           sum(missed) filter (where tenant_id is not null)::int as sum
    from daily_figures where day = ${DAY}`.execute(db)
  t.equal(sums[0]?.total, sums[0]?.sum, 'all together are the sum of the businesses')
  await sql`update tenants set timezone = 'Pacific/Kiritimati' where id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`update missed_calls set called_at = ${at} + interval '6 hours' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await refresh()
  // 9:00 in Israel is 20:00 or 21:00 there, as Israel has summer time.
  const answeredAt = await sql<{ hour: number }>`
    select extract(hour from (${at}) at time zone 'Pacific/Kiritimati')::int as hour`.execute(db)
  t.match(
    await rows(),
    [{ missed: 0, answered: 1, hours: { [answeredAt.rows[0]?.hour ?? '']: [2, 1] } }],
    'by the clock of the business',
  )
  await sql`delete from leads where tenant_id = ${shop.tenantId}`.execute(db)
  await sql`delete from raw_cdrs where tenant_id = ${shop.tenantId}`.execute(db)
  await refresh()
  t.strictSame(await rows(), [], 'a day without anything has no row')

  const age = (age: string) =>
    sql`update daily_figures set refreshed_at = now() - ${age}::interval where tenant_id is null`.execute(
      db,
    )
  await age('1 hour')
  // As on a day of very many calls.
  await sql`create table timeouts (value text)`.execute(db)
  await sql`
    create function note_timeout() returns trigger language plpgsql as $$
    begin
      insert into timeouts values (current_setting('statement_timeout'));
      return null;
    end $$`.execute(db)
  await sql`create trigger note after insert on daily_figures execute function note_timeout()`.execute(
    db,
  )
  const timers = t.capture(globalThis, 'setTimeout', setTimeout)
  t.equal(await refreshDailyFigures(0), 4, 'the days around today, and another')
  const waits = timers().map(({ args }) => args[1])
  const { rows: timeouts } = await sql<{
    value: string
  }>`select distinct value from timeouts`.execute(db)
  t.strictSame(timeouts, [{ value: '1min' }], 'a day may take a minute')
  t.equal(waits.filter(wait => wait === 63_000).length, 4, 'and the client waits for it')
  await sql`drop trigger note on daily_figures`.execute(db)
  await sql`drop function note_timeout`.execute(db)
  await sql`drop table timeouts`.execute(db)
  for (let n = 0; n < 40 && (await refreshDailyFigures()) > 0; n++);
  const { rows: days } = await sql<{ days: number; old: number }>`
    select count(*)::int as days, count(*) filter (where refreshed_at < now() - interval '30 minutes')::int as old
    from daily_figures where tenant_id is null`.execute(db)
  t.strictSame(days, [{ days: 33, old: 0 }], 'every day in turn')
  t.equal(await refreshDailyFigures(), 0, 'and none again at once')
})

t.test('names are escaped', async t => {
  const shop = await business()
  const name = `</bdi><script>alert("1")</script>'&`
  await db.updateTable('tenants').set({ name }).where('id', '=', shop.tenantId).execute()
  const { text } = await (await asOperator()).get(`/ops?tenant=${shop.tenantId}`)
  t.notMatch(text, '<script>alert')
  t.match(text, '&lt;/bdi&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;')
})

t.test('the axis of a chart ends in a round number', t => {
  const tops = [0, 1, 4, 5, 9, 11, 20, 21, 99, 100, 101, 4999].map(axisTop)
  t.strictSame(tops, [4, 4, 4, 6, 10, 12, 20, 30, 100, 100, 120, 5000])
  for (let most = 0; most < 2000; most++) {
    const top = axisTop(most)
    t.ok(top >= most && top % 2 === 0, String(most))
    t.ok(top <= Math.max(4, most * 1.5 + 1), `${most} fills the chart`)
  }
  t.end()
})

t.test('the log shows the action, its subject and the changes', async t => {
  const shop = await business()
  const dana = customer()
  await post(push({ did: shop.did, caller: dana.local }), { token: shop.token })
  await work()
  const call = await db
    .selectFrom('missed_calls')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  await db.transaction().execute(trx =>
    audit(
      trx,
      { as: 'tenant', tenantId: shop.tenantId },
      {
        tenantId: shop.tenantId,
        action: 'outreach.cancel',
        subject: `missed_calls ${call.id}`,
        before: { state: 'scheduled' },
        after: { state: '<cancelled>' },
      },
    ),
  )
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get('/ops/log')
  t.match(text, 'Cancelled a message')
  t.match(text, `<a href="/ops/calls/missed/${call.id}"><bdi dir="ltr">${dana.local.slice(0, 3)}-`)
  t.match(text, /planned<\/bdi\s*> →\s+<bdi\s*>&lt;cancelled&gt;/)
  const hebrew = (await (await asTenant(shop.tenantId, 'he')).get('/ops/log')).text
  t.match(hebrew, 'ביטול הודעה')
  t.match(hebrew, /מתוכנן<\/bdi\s*> ←/, 'the arrow points in the direction of reading')

  const other = await asTenant((await business()).tenantId)
  t.notMatch(
    (await other.get('/ops/log')).text,
    'Cancelled a message',
    'another business does not see it',
  )
})

t.test('paging through the log shows each entry once', async t => {
  const shop = await business()
  await db
    .insertInto('audit_log')
    .values(
      Array.from({ length: 120 }, (_, n) => ({
        who: 'operator',
        tenant_id: shop.tenantId,
        action: 'tenant.set',
        subject: `tenants ${shop.tenantId}`,
        after: JSON.stringify({ outreachDelay: `entry ${n}.` }),
      })),
    )
    .execute()
  const owner = await asTenant(shop.tenantId)
  const seen: string[] = []
  let path: string | undefined = '/ops/log'
  while (path) {
    const { text }: { text: string } = await owner.get(path)
    seen.push(...[...text.matchAll(/entry \d+\./g)].map(([entry]) => entry))
    path = /href="(\/ops\/log\?before=\d+)"/.exec(text)?.[1]
  }
  t.equal(seen.length, 120)
  t.equal(new Set(seen).size, 120)
})

t.test("the log has the times of the business's time zone", async t => {
  const { tenantId } = await business({ columns: { timezone: 'Pacific/Kiritimati' } })
  const at = new Date('2026-07-01T02:00:00Z')
  await db
    .insertInto('audit_log')
    .values({
      at,
      who: 'operator',
      tenant_id: tenantId,
      action: 'lead.later',
      subject: 'leads 1',
      after: JSON.stringify({ later_until: at }),
    })
    .execute()
  const times = (text: string) =>
    text.match(/<time datetime="2026-07-01T02:00:00.000Z">[^<]*16:00</g)?.length
  t.equal(times((await (await asTenant(tenantId)).get('/ops/log')).text), 2)
  const operator = await asOperator()
  t.equal(times((await operator.get(`/ops/log?tenant=${tenantId}`)).text), 2)
})

t.test('each action that is logged has a text', t => {
  const files = globSync('app/**/*.ts', { cwd: ROOT }).map(file =>
    readFileSync(join(ROOT, file), 'utf8'),
  )
  const actions = files.flatMap(text =>
    [...text.matchAll(/\baction: '([a-z_]+\.[a-z_]+)'/g)].map(([, action = '']) => action),
  )
  t.ok(actions.length > 15)
  for (const action of actions) t.ok(Object.hasOwn(logTexts.en.actions, action), action)
  // The page of a call shows these too: their subject is the lead.
  const onLeads = actions.filter(action => /^(lead\.|message\.refuse$)/.test(action))
  t.ok(onLeads.length > 4)
  for (const action of onLeads)
    t.ok(Object.hasOwn(callTexts.en.actions, action), `${action}, on the page of a call`)
  t.end()
})

t.test('the log names fields, values and subjects in words', async t => {
  const shop = await business({ columns: { name: 'Salon Noa' } })
  const { tenantId } = shop
  const entry = (action: string, subject: string, before: object | null, after: object | null) => ({
    who: `tenant ${tenantId}`,
    tenant_id: tenantId,
    action,
    subject,
    before: before && JSON.stringify(before),
    after: after && JSON.stringify(after),
  })
  await db
    .insertInto('audit_log')
    .values([
      entry('tenant.set', `tenants ${tenantId}`, { mode: 'shadow' }, { mode: 'live' }),
      entry(
        'tenant.set',
        `tenants ${tenantId}`,
        { quietWindows: [] },
        { quietWindows: ['shabbat'] },
      ),
      entry('tenant.set', `tenants ${tenantId}`, null, { outreachDelay: '2 minutes' }),
      entry('connection.set', 'whatsapp_connections 7', null, {
        accessToken: 'new',
        newerField: 1,
      }),
      entry('number.add', 'tenant_numbers +97237654321', null, { phone: '+97237654321' }),
    ])
    .execute()
  const rowsIn = async (language: 'en' | 'he') => {
    const { text } = await (await asTenant(tenantId, language)).get('/ops/log')
    return (/<tbody>[^]*<\/tbody>/.exec(text)?.[0] ?? '')
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
  }
  // One after the other: the second sign-in sets the password anew, which ends the first.
  const en = await rowsIn('en')
  const he = await rowsIn('he')
  for (const words of [
    'mode trial → live',
    'quiet times empty → Shabbat',
    'first message after 2 minutes',
    'newer field 1 access token new',
    'number 03-765-4321',
    'Salon Noa',
  ])
    t.match(en, words)
  for (const words of ['מצב ניסיון ← פעיל', 'שבת', 'הודעה ראשונה אחרי 2 דקות', 'אסימון גישה חדש'])
    t.match(he, words)
  for (const raw of ['tenants', 'accessToken', 'shadow', `tenant ${tenantId}`, '_'])
    for (const text of [en, he]) t.notMatch(text, raw)
})

t.test('each field of the settings and of the audit log has a word', async t => {
  const { fields } = logFieldTexts.en
  const shop = await business()
  const { before } = await db
    .transaction()
    .execute(async trx => ({ before: await readSettings(trx, shop.tenantId) }))
  const names = Object.keys(formatSettings(before))
  t.ok(names.length > 20)
  for (const name of names) t.ok(Object.hasOwn(fields, name), name)
  for (const file of globSync('app/**/*.ts', { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    for (const [, object = ''] of text.matchAll(/^ +(?:before|after): \{ ([^{}]*) \},?$/gm))
      for (const [, name = ''] of object.matchAll(/(?:^|, )(\w+)(?=[:,]|$)/g))
        t.ok(Object.hasOwn(fields, name), `${name} in ${file}`)
  }
})

t.test('spans are shown and parsed in both languages', async t => {
  t.equal(formatSpan('en', '1 hour 30 minutes'), '1 hour 30 minutes')
  t.equal(formatSpan('he', '3 days 1 hour 30 minutes 1 second'), '3 ימים 1 שעה 30 דקות 1 שנייה')
  const same: [string, string][] = [
    ['3 ימים 1 שעה 30 דקות 1 שנייה', '3 days 1 hours 30 minutes 1 seconds'],
    ['שעתיים', '2 hours'],
    ['שעה ו-30 דקות', '1 hours 30 minutes'],
    ['יומיים ושעה', '2 days 1 hours'],
    ['דקה', '1 minutes'],
    ['90s', '90s'],
  ]
  for (const [written, read] of same) t.equal(parseSpan(written), read, written)
})

t.test('quiet times are shown and parsed in both languages', async t => {
  t.equal(formatWindow('en', 'fri 15:00-sat 20:30'), 'fri 15:00-sat 20:30')
  t.equal(formatWindow('he', 'fri 15:00-sat 20:30'), 'ו׳ 15:00-ש׳ 20:30')
  t.equal(formatWindow('he', 'shabbat'), 'שבת')
  t.equal(formatWindow('he', 'holidays'), 'חגים')
  const same: [string, string][] = [
    ...['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].map((day): [string, string] => [
      formatWindow('he', `${day} 09:00-${day} 10:00`),
      `${day} 09:00-${day} 10:00`,
    ]),
    ['שישי 15:00 - שבת 20:30', 'fri 15:00 - sat 20:30'],
    ['יום ששי 15:00 עד יום ראשון 08:00', 'fri 15:00-sun 08:00'],
    ["ב'09:00-ג 10:00", 'mon 09:00-tue 10:00'],
    ['רביעי 09:00-חמישי 10:00', 'wed 09:00-thu 10:00'],
    ['שני 09:00-שלישי 10:00', 'mon 09:00-tue 10:00'],
    ['21:00-08:00', '21:00-08:00'],
    ['fri 15:00-sat 20:30', 'fri 15:00-sat 20:30'],
    ['אחרי שבת', 'אחרי שבת'],
    ['שבת', 'shabbat'],
    ['חגים', 'holidays'],
  ]
  for (const [written, read] of same) t.equal(parseWindow(written), read, written)
})

t.test('relative times read naturally', async t => {
  const DAY = 86_400
  const cases: [number, string, string][] = [
    [0, 'now', 'עכשיו'],
    [-1, '1 second ago', 'לפני שנייה'],
    [-2, '2 seconds ago', 'לפני שתי שניות'],
    [-60, '1 minute ago', 'לפני דקה'],
    [-120, '2 minutes ago', 'לפני 2 דקות'],
    [-3600, '1 hour ago', 'לפני שעה'],
    [-7200, '2 hours ago', 'לפני שעתיים'],
    [-DAY, '1 day ago', 'לפני יום אחד'],
    [-2 * DAY, '2 days ago', 'לפני יומיים'],
    [1, 'in 1 second', 'בעוד שנייה'],
    [2, 'in 2 seconds', 'בעוד שתי שניות'],
    [60, 'in 1 minute', 'בעוד דקה'],
    [120, 'in 2 minutes', 'בעוד 2 דקות'],
    [3600, 'in 1 hour', 'בעוד שעה'],
    [7200, 'in 2 hours', 'בעוד שעתיים'],
    [DAY, 'in 1 day', 'בעוד יום'],
    [2 * DAY, 'in 2 days', 'בעוד יומיים'],
    [12 * DAY, 'in 12 days', 'בעוד 12 ימים'],
  ]
  const now = new Date('2026-01-01T12:00:00Z')
  for (const [seconds, en, he] of cases) {
    const at = new Date(now.getTime() + seconds * 1000)
    t.equal(relativeTime(at, now, 'en'), en)
    t.equal(relativeTime(at, now, 'he'), he)
  }
})
