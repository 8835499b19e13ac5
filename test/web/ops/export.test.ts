/** A business takes its calls along, as a file. */
import { parse } from 'csv-parse/sync'
import t from 'tap'
import { asOperator, asTenant, browser, deedsOf } from '../../support/ops.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { business, contents, customer, post, work } from '../../support/ringback.ts'

t.test('its own calls, and that they were taken', async t => {
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
  t.match((await deedsOf(shop.tenantId)).at(-1), {
    who: `tenant ${shop.tenantId}`,
    action: 'export.calls',
    after: { since: null, until: null },
  })
  const none = await owner.submit(path, { what: 'calls', until: '2020-01-01' })
  t.strictSame(parse(none.text, { bom: true, columns: true }), [])
})

t.test("nothing of another's, and nothing that is not asked for rightly", async t => {
  const shop = await business()
  const other = await business()
  const owner = await asTenant(shop.tenantId)
  const before = await contents()
  const path = `/ops/tenants/${shop.tenantId}/export/csv`
  const theirs = `/ops/tenants/${other.tenantId}/export/csv`
  t.equal((await owner.submit(theirs, { what: 'calls' })).status, 404)
  t.equal((await owner.submit(path, { what: 'tokens' })).status, 400)
  t.equal((await owner.submit(path, { what: 'calls', since: 'yesterday' })).status, 400)
  t.equal((await owner.post(path, { what: 'calls' })).status, 403)
  t.equal((await browser().post(path, { what: 'calls' })).status, 401)
  const gone = await (
    await asOperator()
  ).submit('/ops/tenants/999999/export/csv', { what: 'calls' })
  t.equal(gone.status, 404)
  t.equal(gone.headers.get('content-disposition'), null)
  t.strictSame(await contents(), before)
})
