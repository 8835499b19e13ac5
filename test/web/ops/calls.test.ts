/** Every call, as a person looks for it: what became of it and why, found by business, state, day and number. */
import { sql } from 'kysely'
import t from 'tap'
import { asOperator, asTenant, browser } from '../../support/ops.ts'
import { answeredPush, callBackPush, push } from '../../../scripts/demo/cdr.ts'
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

type Shop = Awaited<ReturnType<typeof business>>

/** The rows of the list without their tags: the words of each. */
const rowsIn = (text: string): string[] =>
  [...(/<tbody>(.*?)<\/tbody>/s.exec(text)?.[1] ?? '').matchAll(/<tr>(.*?)<\/tr>/gs)].map(
    ([, row = '']) =>
      row
        .replace(/<[^>]*>/g, ' ')
        .replace(/\s+/g, ' ')
        .trim(),
  )

/** Posts records of a business, each judged before the next comes. */
const tell = async ({ token, did }: Shop, ...records: Record<string, unknown>[]) => {
  for (const record of records) {
    await post({ ...record, did: record['did'] && did }, { token })
    await work()
  }
}

/** As the page writes a mobile. */
const shown = (local: string) => local.replace(/^(...)(...)(....)$/, '$1-$2-$3')

t.test(
  'every call stands there, the newest first, with the reason why nothing was sent',
  async t => {
    const shop = await business()
    const dana = customer()
    const calledBack = customer()
    await tell(
      shop,
      push({ caller: '' }, 90),
      push({ caller: '031234567', status: 'ABANDONE' }, 80),
      answeredPush({ caller: customer().local }, 70),
      callBackPush({ caller: shop.did, target: calledBack.e164.slice(1), did: '' }, 60),
      push({ caller: customer().local, status: 'EXIT' }, 50),
      push({ caller: dana.local }, 40),
      push({ caller: dana.local }, 30),
    )
    await workAsIfDue()
    await fake.inbound({ kind: 'text', from: dana.e164, text: 'כן' })
    await work()
    await db
      .updateTable('leads')
      .set({ name: `Dana <b>"Bo's"</b>` })
      .where('phone', '=', dana.e164)
      .execute()
    const owner = await asTenant(shop.tenantId)
    const { status, text } = await owner.get('/ops/calls')
    t.equal(status, 200)
    const rows = rowsIn(text)
    t.match(rows, [
      /missed.*No other message was sent: the caller is already getting messages because of another call\.$/,
      /missed it rang and nobody answered A message was sent, and the caller replied\.$/,
      /undecided Nothing was sent: the caller left the queue, and that does not count as missed\.$/,
      /not incoming Nothing to send: the business made this call itself\.$/,
      /answered Nothing to send: somebody answered\.$/,
      /03-123-4567.*missed the caller hung up while waiting in the queue No message was sent: this is a landline/,
      /number withheld.*No message was sent: the caller&#39;s number is withheld\.$/,
    ])
    t.equal(rows.length, 7)
    t.match(rows[1], shown(dana.local))
    t.match(text, 'Dana &lt;b&gt;&quot;Bo&#39;s&quot;&lt;/b&gt;', 'a name stays a name')

    const outgoing = await owner.get(`/ops/calls?number=${calledBack.local}`)
    t.match(
      rowsIn(outgoing.text),
      [/the business made this call itself/],
      'whom the business called',
    )

    const hebrew = await asTenant(shop.tenantId, 'he')
    t.match(rowsIn((await hebrew.get('/ops/calls')).text)[1], 'נשלחה הודעה, והתקבלה תשובה.')
  },
)

t.test('a call with several records stands there once, by when it began', async t => {
  const shop = await business()
  const caller = customer().local
  const root = push({ caller, status: 'NOANSWER' }, 60)
  const leg = {
    ...answeredPush({ caller }, 30),
    type: 'XferCDR',
    originalivruniqueid: root.ivruniqueid,
  }
  await tell(shop, leg, root)
  const owner = await asTenant(shop.tenantId)
  const rows = rowsIn((await owner.get('/ops/calls')).text)
  t.equal(rows.length, 1)
  t.match(rows[0], /answered Nothing to send: /)
  t.equal(rowsIn((await owner.get(`/ops/calls?number=${caller}`)).text).length, 1)
})

t.test('what is asked for is found, and nothing else', async t => {
  const shop = await business()
  const waiting = customer()
  const written = customer()
  await tell(shop, push({ caller: written.local }))
  await workAsIfDue()
  await tell(
    shop,
    push({ caller: waiting.local }),
    push({ caller: '' }),
    push({ caller: customer().local, status: 'VOEND' }),
    answeredPush({ caller: customer().local }),
  )
  const owner = await asTenant(shop.tenantId)
  const found = async (asked: string) => rowsIn((await owner.get(`/ops/calls?${asked}`)).text)
  for (const [state, count] of Object.entries({
    missed: 3,
    answered: 1,
    not_inbound: 0,
    undecided: 1,
    waiting: 1,
    contacted: 1,
    replied: 0,
    not_contacted: 1,
    withheld_number: 1,
    too_late: 0,
    failed: 0,
  }))
    t.equal((await found(`state=${state}`)).length, count, state)
  t.match(await found('state=waiting'), [shown(waiting.local)])
  t.match(await found('state=contacted'), [shown(written.local)])

  const digits = written.local.slice(1)
  for (const number of [
    written.local,
    shown(written.local),
    written.e164,
    `972 ${digits.slice(0, 2)} ${digits.slice(2)}`,
    `00972-${digits}`,
    written.local.slice(-4),
    written.local.slice(-7),
  ]) {
    const asked = new URLSearchParams({ number })
    t.match(await found(asked.toString()), [shown(written.local)], number)
  }
  t.equal((await found(`state=waiting&number=${written.local}`)).length, 0, 'both at once')
  t.equal((await found(`state=contacted&number=${written.local}`)).length, 1)
  t.equal((await found('number=0529999999')).length, 0)

  const { text } = await owner.get('/ops/calls?number=12')
  t.match(text, 'at least its last 4 digits')
  t.equal(rowsIn(text).length, 0)
  t.match((await owner.get('/ops/calls?state=failed')).text, 'There are no such calls.<')
  t.match((await owner.get('/ops/calls?number=9999')).text, 'or by its last 4 digits or more')
  const backwards = await owner.get('/ops/calls?from=2026-02-02&until=2026-02-01')
  t.match(backwards.text, '“From” is later than “To”')
  for (const wrong of [
    'state=nonsense',
    'from=2026-02-31',
    'until=tomorrow',
    'from=0001-01-01',
    'before=1',
  ])
    t.equal((await owner.get(`/ops/calls?${wrong}`)).status, 400, wrong)
})

t.test("a day begins at midnight on the business's own clock", async t => {
  const shop = await business({ columns: { timezone: 'Pacific/Kiritimati' } })
  await tell(shop, push({ caller: customer().local }), push({ caller: customer().local }))
  // There it is 14 hours later than in London: the 10th begins while it is the 9th in Jerusalem, at noon.
  const noon = '2026-11-09T10:00:00Z'
  await sql`
    update raw_cdrs set called_at = ${noon}::timestamptz - (row_number - 1) * interval '1 second'
    from (select id as n, row_number() over (order by id) from raw_cdrs where tenant_id = ${shop.tenantId}) x
    where id = n`.execute(db)
  await sql`update missed_calls m set called_at = r.called_at from raw_cdrs r
            where r.root_call_id = m.call_id and m.tenant_id = ${shop.tenantId}`.execute(db)
  const owner = await asTenant(shop.tenantId)
  const count = async (asked: string) =>
    rowsIn((await owner.get(`/ops/calls?${asked}`)).text).length
  for (const also of ['', '&state=waiting']) {
    t.equal(await count(`from=2026-11-10&until=2026-11-10${also}`), 1, 'the very first moment')
    t.equal(await count(`from=2026-11-09&until=2026-11-09${also}`), 1, 'the last second before')
    t.equal(await count(`from=2026-11-09${also}`), 2)
    t.equal(await count(`until=2026-11-09${also}`), 1)
    t.equal(await count(`from=2026-11-11${also}`), 0)
  }
})

t.test('older calls follow page by page, each call once', async t => {
  const shop = await business()
  const many = Array.from({ length: 115 }, () => push({ did: shop.did, caller: '' }, 30))
  await post(many, { token: shop.token })
  await work()
  const owner = await asTenant(shop.tenantId)
  for (const state of ['', 'withheld_number']) {
    const seen: string[] = []
    let next: string | undefined = `/ops/calls?state=${state}`
    for (let pages = 0; next && pages < 5; pages++) {
      const { text } = await owner.get(next)
      seen.push(...[...text.matchAll(/<a href="\/ops\/calls\/(\d+)"/g)].map(([, id = '']) => id))
      next = /href="([^"]*before=[^"]*)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
    }
    t.equal(seen.length, 115, `${state}: all of them began within the same seconds`)
    t.equal(new Set(seen).size, 115)
  }
})

t.test('nobody sees the calls of another business', async t => {
  const shop = await business()
  const other = await business()
  const hers = customer()
  await tell(shop, push({ caller: hers.local }))
  const nobodys = customer()
  await post(push({ did: '037654321', caller: nobodys.local }), { token: await webhookToken(null) })
  await work()

  const stranger = await asTenant(other.tenantId)
  t.equal(rowsIn((await stranger.get('/ops/calls')).text).length, 0)
  t.match((await stranger.get('/ops/calls')).text, 'No call has come in yet.')
  for (const { local } of [hers, nobodys])
    t.equal(rowsIn((await stranger.get(`/ops/calls?number=${local}`)).text).length, 0)
  t.equal((await stranger.get(`/ops/calls?tenant=${shop.tenantId}`)).status, 404)

  const operator = await asOperator()
  t.match(rowsIn((await operator.get(`/ops/calls?number=${hers.local}`)).text), [/מספרת נועה/])
  t.match(rowsIn((await operator.get(`/ops/calls?number=${nobodys.local}`)).text), [
    /unknown number Nothing was sent: the number dialled belongs to no business/,
  ])
  const ofShop = `/ops/calls?tenant=${shop.tenantId}`
  t.equal(rowsIn((await operator.get(ofShop)).text).length, 1)
  t.equal((await operator.get('/ops/calls?tenant=999999')).status, 404)
  t.equal((await browser().get('/ops/calls')).status, 401)
})
