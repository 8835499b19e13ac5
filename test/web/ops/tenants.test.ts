/** /ops/tenants: every business in a list, and adding one. */
import t from 'tap'
import { push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, deedsOf } from '../../support/ops.ts'
import { windowFrom, windowText } from '../../../app/web/ops/window_text.ts'
import { spanFrom, spanText } from '../../../app/web/ops/span_text.ts'
import { fromNow } from '../../../app/web/ops/from_now.ts'
import { miss } from '../../tasks/support.ts'
import {
  business,
  contents,
  customer,
  db,
  OK,
  post,
  verdictsOf,
  work,
} from '../../support/ringback.ts'

const operator = await asOperator()

const tenantsCalled = (name: string) =>
  db.selectFrom('tenants').selectAll().where('name', '=', name).execute()

/** What stands in the row of a business. */
const rowOf = (text: string, tenantId: string): string =>
  text.split('<tr>').find(row => row.includes(`/ops/tenants/${tenantId}"`)) ?? ''

t.test('the list tells of each business how it stands', async t => {
  const live = await business({ columns: { name: 'Noa & "Sons" <b>' } })
  const trial = await business({ mode: 'shadow', connected: false })
  await miss(live, customer().local)
  const { text } = await operator.get('/ops/tenants')
  t.match(rowOf(text, live.tenantId), 'Noa &amp; &quot;Sons&quot; &lt;b&gt;')
  t.match(rowOf(text, live.tenantId), '>live<')
  t.match(rowOf(text, live.tenantId), '>connected<')
  t.match(rowOf(text, live.tenantId), /now|seconds? ago/)
  t.match(rowOf(text, live.tenantId), /data-label="Waiting">1</)
  t.match(rowOf(text, live.tenantId), live.did.slice(-4))
  t.match(rowOf(text, trial.tenantId), '>trial<')
  t.match(rowOf(text, trial.tenantId), 'not connected')
  t.match(rowOf(text, trial.tenantId), 'none yet')
  const hebrew = await (await asOperator('he')).get('/ops/tenants')
  t.match(rowOf(hebrew.text, live.tenantId), '>פעיל<')
})

t.test('a business is added; its URL works, and is shown this once', async t => {
  const numbers = `072${customer().local.slice(-7)}\r\n\r\n *2${customer().local.slice(-3)} \r\n`
  const { status, text } = await operator.submit('/ops/tenants/add', {
    name: ' Rami <accounts> ',
    numbers,
    ownerPhone: '050-234-5678',
    mode: 'shadow',
  })
  t.equal(status, 200)
  t.match(text, 'Rami &lt;accounts&gt; was added')
  t.match(text, 'CDR Notification')
  const [, token = ''] = /cdr\?token=([\w-]{43})/.exec(text) ?? []
  const [added] = await tenantsCalled('Rami <accounts>')
  t.match(added, { mode: 'shadow', owner_phone: '+972502345678' })
  const tenantId = added?.id ?? ''
  t.match(text, `/ops/tenants/${tenantId}/whatsapp`, 'and what comes next')

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

  const deeds = await deedsOf(tenantId)
  t.strictSame(
    deeds.map(({ who, action }) => [who, action]),
    [
      ['operator', 'tenant.add'],
      ['operator', 'number.add'],
      ['operator', 'number.add'],
      ['operator', 'webhook_token.add'],
    ],
  )
  t.notMatch(JSON.stringify(deeds), token)
  for (const path of ['/ops/tenants', `/ops/tenants/${tenantId}/webhook`, '/ops/log'])
    t.notMatch((await operator.get(path)).text, token, path)
})

t.test('what cannot be added comes back as it was entered', async t => {
  const taken = await business()
  const free = `072${customer().local.slice(-7)}`
  const cases: [string, Record<string, string>, RegExp][] = [
    ['no name', { name: ' ' }, /A name in one line/],
    ['no number', { numbers: ' \n ' }, /At least one number/],
    ['no number in a line', { numbers: `${free}\nshop` }, /Line 2: a telephone number/],
    ['a number of another', { numbers: `${free}\n${taken.did}` }, /belongs to another business/],
    ['no telephone', { ownerPhone: '12' }, /such as 0502345678, or nothing/],
    ['a mode of their own', { mode: 'dead' }, /Nothing was changed/],
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
  t.strictSame(await contents(), before, 'and nothing of it was stored')
  const hebrew = await (
    await asOperator('he')
  ).submit('/ops/tenants/add', { name: 'א', numbers: 'x' })
  t.match(hebrew.text, 'שורה 1: מספר טלפון')
})

t.test('a business finds its own, and adds none', async t => {
  const shop = await business({ columns: { name: 'Shop of mine' } })
  const other = await business({ columns: { name: 'Shop of another' } })
  const owner = await asTenant(shop.tenantId)
  const before = await contents()
  const { status, text } = await owner.get('/ops/tenants')
  t.equal(status, 200)
  t.match(text, 'Shop of mine')
  t.match(text, 'Is everything in place?')
  t.notMatch(text, 'Shop of another')
  t.notMatch(text, `/ops/tenants/${other.tenantId}`)
  t.equal((await owner.get('/ops/tenants/add')).status, 404)
  const fields = { name: 'Mine too', numbers: `072${customer().local.slice(-7)}`, mode: 'live' }
  t.equal((await owner.submit('/ops/tenants/add', fields)).status, 404)
  t.equal((await owner.post('/ops/tenants/add', fields)).status, 403)
  t.equal((await operator.post('/ops/tenants/add', fields)).status, 403)
  t.strictSame(await contents(), before)
})

t.test('spans are written and read in either language', async t => {
  t.equal(spanText('en', '1 hour 30 minutes'), '1 hour 30 minutes')
  t.equal(spanText('he', '3 days 1 hour 30 minutes 1 second'), '3 ימים 1 שעה 30 דקות 1 שנייה')
  const same: [string, string][] = [
    ['3 ימים 1 שעה 30 דקות 1 שנייה', '3 days 1 hours 30 minutes 1 seconds'],
    ['שעתיים', '2 hours'],
    ['שעה ו-30 דקות', '1 hours 30 minutes'],
    ['יומיים ושעה', '2 days 1 hours'],
    ['דקה', '1 minutes'],
    ['90s', '90s'],
  ]
  for (const [written, read] of same) t.equal(spanFrom(written), read, written)
})

t.test('quiet times are written and read in either language', async t => {
  t.equal(windowText('en', 'fri 15:00-sat 20:30'), 'fri 15:00-sat 20:30')
  t.equal(windowText('he', 'fri 15:00-sat 20:30'), 'ו׳ 15:00-ש׳ 20:30')
  const same: [string, string][] = [
    ...['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].map((day): [string, string] => [
      windowText('he', `${day} 09:00-${day} 10:00`),
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
  ]
  for (const [written, read] of same) t.equal(windowFrom(written), read, written)
})

t.test('how far a moment is, in words that a person would say', async t => {
  const DAY = 86_400
  const told: [number, string, string][] = [
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
  for (const [seconds, en, he] of told) {
    const at = new Date(now.getTime() + seconds * 1000)
    t.equal(fromNow(at, now, 'en'), en)
    t.equal(fromNow(at, now, 'he'), he)
  }
})
