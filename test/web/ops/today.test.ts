/** Today, as the owner sees it: counted from real calls that came through the real door. */
import t from 'tap'
import { asOperator, asTenant } from '../../support/ops.ts'
import { sql } from 'kysely'
import { roundTop } from '../../../app/web/ops/plot.ts'
import { answeredPush, push } from '../../../scripts/demo/cdr.ts'
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

/** The figures of the page, by what they count. */
const figuresIn = (text: string): Record<string, number> =>
  Object.fromEntries(
    [...text.matchAll(/<strong>(\d+)<\/strong>\s+([^<]+?)\s*<\/a/g)].map(([, count, label]) => [
      label,
      Number(count),
    ]),
  )

t.test('every missed call of today is somewhere in the figures', async t => {
  const shop = await business()
  const other = await business()
  const replies = customer()
  const silent = customer()
  const call = (fields: Record<string, unknown>) =>
    post(push({ did: shop.did, ...fields }), { token: shop.token })
  for (const fields of [
    { caller: replies.local },
    { caller: silent.local },
    { caller: '031234567' },
    { caller: '' },
    { caller: '' },
  ])
    await call(fields)
  await post(answeredPush({ did: shop.did, caller: customer().local }), { token: shop.token })
  await post(push({ did: other.did, caller: customer().local }), { token: other.token })
  await work()
  const owner = await asTenant(shop.tenantId)
  t.match(figuresIn((await owner.get('/ops')).text), {
    'missed calls': 5,
    'messages still to be sent': 2,
    'sent a message': 0,
  })

  await workAsIfDue()
  await fake.inbound({ kind: 'text', from: replies.e164, text: 'כן' })
  await work()
  const page = (await owner.get('/ops')).text
  t.match(figuresIn(page), {
    'missed calls': 5,
    'sent a message': 2,
    replied: 1,
    'reached by phone': 0,
    'messages still to be sent': 0,
  })
  t.match(page, /not a mobile number<\/dt>\s*<dd>1</)
  t.match(page, /the number was withheld<\/dt>\s*<dd>2</)
  t.match(page, /<td>5<\/td>\s*<td>1<\/td>/, 'the plot has a table: 5 missed, 1 answered')

  const operator = await asOperator()
  t.equal(figuresIn((await operator.get('/ops')).text)['missed calls'], 6, 'the operator sees all')
  const one = await operator.get(`/ops?tenant=${other.tenantId}`)
  t.equal(figuresIn(one.text)['missed calls'], 1, 'or one')
  t.equal((await operator.get('/ops?tenant=999999')).status, 404)
})

t.test("a day begins at midnight on the business's own clock", async t => {
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

t.test('what a customer or a business is called cannot change the page', async t => {
  const shop = await business()
  const name = `</bdi><script>alert("1")</script>'&`
  await db.updateTable('tenants').set({ name }).where('id', '=', shop.tenantId).execute()
  const { text } = await (await asOperator()).get(`/ops?tenant=${shop.tenantId}`)
  t.notMatch(text, '<script>alert')
  t.match(text, '&lt;/bdi&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;')
})

t.test('the scale of a plot ends in a round number', t => {
  const tops = [0, 1, 4, 5, 9, 11, 20, 21, 99, 100, 101, 4999].map(roundTop)
  t.strictSame(tops, [4, 4, 4, 6, 10, 20, 20, 40, 100, 100, 200, 6000])
  t.end()
})
