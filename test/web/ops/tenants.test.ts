/** /ops/tenants: every business in a list, and adding one. */
import t from 'tap'
import { push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, deedsOf } from '../../support/ops.ts'

const { business, contents, customer, db, OK, post, verdictsOf, work } =
  await import('../../support/ringback.ts')
const { miss } = await import('../../tasks/support.ts')
const { spanFrom, spanText } = await import('../../../app/web/ops/span_text.ts')

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
  t.match(rowOf(text, live.tenantId), /seconds? ago/)
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
  t.match(text, 'On the way to going live')
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
