/** The control group from the webhook to WhatsApp: 1,000 callers. */
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, post, work, workAsIfDue } from '../support/ringback.ts'
import { requestsOf } from '../tasks/support.ts'

const shop = await business({ columns: { holdout_percent: 10 } })

const recipient = z.object({ to: z.string() })
const sentTo = (): string[] =>
  requestsOf(shop).map(({ body }) => `+${recipient.parse(body).to.replace(/^\+/, '')}`)

const call = async (callers: { local: string }[]): Promise<void> => {
  const records = callers.map(({ local }) => push({ caller: local, did: shop.did }))
  for (let from = 0; from < records.length; from += 100)
    await post(records.slice(from, from + 100), { token: shop.token })
  await work(8)
  await workAsIfDue()
}

/** Of their last call. */
const heldOut = async (): Promise<string[]> => {
  const { rows } = await sql<{ phone: string; reason: string }>`
    select distinct on (caller_phone) caller_phone as phone, outreach_reason as reason
    from missed_calls where tenant_id = ${shop.tenantId} order by caller_phone, id desc`.execute(db)
  return rows.filter(({ reason }) => reason === 'holdout').map(({ phone }) => phone)
}

await t.test(
  'of 1,000 callers, 10 percent are held out, each time the same, and get no message',
  async t => {
    const callers = Array.from({ length: 1000 }, customer)
    await call(callers)
    const group = await heldOut()
    // 10 percent, and five standard deviations on each side.
    t.ok(group.length >= 52 && group.length <= 150, `${group.length} are held out`)
    t.equal(sentTo().length, 1000 - group.length)

    await call(callers.filter(({ e164 }) => group.includes(e164)))
    t.strictSame(await heldOut(), group, 'the same people')
    const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from missed_calls
    where tenant_id = ${shop.tenantId} and outreach_state = 'skipped' and outreach_reason = 'holdout'`.execute(
      db,
    )
    t.equal(rows[0]?.n, 2 * group.length)
    t.strictSame(
      sentTo().filter(to => group.includes(to)),
      [],
    )
    t.equal(sentTo().length, 1000 - group.length)
  },
)
