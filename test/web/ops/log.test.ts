/** Who did what by hand, in words. */
import t from 'tap'
import { asTenant } from '../../support/ops.ts'
import { logWords } from '../../../app/web/ops/words/log.ts'
import { audit } from '../../../app/audit.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { business, customer, db, post, work } from '../../support/ringback.ts'

t.test('what was done, to whom, and what it was before', async t => {
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
  t.match(text, /scheduled<\/bdi> →\s+<bdi>&lt;cancelled&gt;/)
  t.match((await (await asTenant(shop.tenantId, 'he')).get('/ops/log')).text, 'ביטול הודעה')

  const other = await asTenant((await business()).tenantId)
  t.notMatch((await other.get('/ops/log')).text, 'Cancelled a message', 'nobody else reads it')
})

t.test('fifty at a time, and no deed twice', async t => {
  const shop = await business()
  await db
    .insertInto('audit_log')
    .values(
      Array.from({ length: 120 }, (_, n) => ({
        who: 'operator',
        tenant_id: shop.tenantId,
        action: 'tenant.set',
        subject: `tenants ${shop.tenantId}`,
        after: JSON.stringify({ outreachDelay: `deed ${n}.` }),
      })),
    )
    .execute()
  const owner = await asTenant(shop.tenantId)
  const seen: string[] = []
  let path: string | undefined = '/ops/log'
  while (path) {
    const { text }: { text: string } = await owner.get(path)
    seen.push(...[...text.matchAll(/deed \d+\./g)].map(([deed]) => deed))
    path = /href="(\/ops\/log\?before=\d+)"/.exec(text)?.[1]
  }
  t.equal(seen.length, 120)
  t.equal(new Set(seen).size, 120)
})

t.test('each deed has its words in both languages', t => {
  t.strictSame(Object.keys(logWords.he.actions), Object.keys(logWords.en.actions))
  t.end()
})
