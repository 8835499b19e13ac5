/** What one sender may leave behind of rubbish in a day, and that the operator hears of it. */
import t from 'tap'
import { business, db, rejectedOf } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { program, soon } from './support.ts'

const app = await program()
const said = (message: RegExp) => app.lines.filter(line => message.test(line))
const FIRST = /a delivery was refused/
const ENOUGH = /counted and not kept/

/** Ten thousand records that are none: a tenth of what is kept in a day. */
const rubbish = (n: number) =>
  `[${Array.from({ length: 10_000 }, (_, i) => n * 10_000 + i).join()}]`
const send = async (token: string, body: string) => {
  const response = await fetch(`${app.url}/webhooks/voicenter/cdr?token=${token}`, {
    method: 'POST',
    body,
  })
  return response.status
}
const rowsOf = async (tenantId: string) => {
  const rows = db
    .selectFrom('rejected_deliveries')
    .select(({ fn }) => fn.countAll<string>().as('count'))
  return Number((await rows.where('tenant_id', '=', tenantId).executeTakeFirstOrThrow()).count)
}

await t.test('the first refusal of a sender is told, once', async t => {
  const { tenantId, token } = await business()
  const other = await business()
  for (let i = 0; i < 3; i++) t.equal(await send(token, `{"test":${i}}`), 400)
  t.equal(await send(other.token, '{}'), 400)
  await soon(() => said(FIRST).length >= 2)
  t.equal(said(FIRST).length, 2, 'for each sender')
  t.match(said(FIRST)[0], `"tenantId":"${tenantId}"`)
  t.notMatch(said(FIRST).join(), /"test"/)
})

await t.test('a hundred thousand are kept in a day, and from then on only counted', async t => {
  const { tenantId, token } = await business()
  for (let n = 0; n < 10; n++) t.equal(await send(token, rubbish(n)), 400)
  const kept = await rowsOf(tenantId)
  t.equal(kept, 100_000)
  await soon(() => said(ENOUGH).length > 0)
  t.equal(said(ENOUGH).length, 1, 'the operator hears of it once')

  t.equal(await send(token, rubbish(10)), 400, 'the answer is the same')
  t.equal(await send(token, '{"test":true}'), 400)
  t.equal(await rowsOf(tenantId), kept + 1)
  const counted = db.selectFrom('rejected_deliveries').select(['body', 'deliveries', 'reason'])
  t.match(await counted.where('tenant_id', '=', tenantId).where('body', 'is', null).execute(), [
    { deliveries: 10_001, reason: /counted, not kept/ },
  ])
  t.equal(said(ENOUGH).length, 1)

  const good = push()
  t.equal(await send(token, JSON.stringify([good, 1])), 400)
  const stored = db.selectFrom('raw_cdrs').select('id').where('tenant_id', '=', tenantId)
  t.equal((await stored.execute()).length, 1, 'what is sound is stored as ever')
  const other = await business()
  t.equal(await send(other.token, '{"a":1}'), 400)
  t.match(
    await rejectedOf(other.tenantId),
    [{ deliveries: 1 }],
    'and another sender has its own share',
  )
})
