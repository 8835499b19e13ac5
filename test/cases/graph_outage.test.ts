/** WhatsApp is ill for hours, or answers with too much: no storm, nothing twice, nothing late. (Cases 32 and 33) */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  customer,
  db,
  fake,
  missedCall,
  outreachOf,
  post,
  work,
} from '../support/ringback.ts'
import { dueSince, initialOf, miss, requestsOf, waitingFor } from '../tasks/support.ts'

await t.test('ten megabytes for an answer: unknown, and not kept in memory', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const answer = { messaging_product: 'whatsapp', messages: [{ id: 'wamid.x' }], padding: '' }
  answer.padding = 'x'.repeat(10 * 1024 * 1024)
  const body = JSON.stringify(answer)
  fake.script({ to: who.e164, outcome: { kind: 'http', status: 200, body, accept: true } })
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
  t.match(await initialOf(id), { state: 'unknown', wamid: null })
  await dueSince(id)
  t.equal(requestsOf(shop).length, 1)
})

/** What waits for this tenant is tried again at once, as if its moment had come. */
const allDue = async (tenantId: string) => {
  const keys = await waitingFor(tenantId)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = any(${keys}::text[]) having count(*) > 0`.execute(
    db,
  )
  await work()
}

for (const [name, outcome] of [
  ['says 500 for three hours', { kind: 'error', code: 131000 }],
  ['says for three hours that it is too much', { kind: 'error', code: 80007 }],
] as const)
  await t.test(
    `when WhatsApp ${name}, it is asked seldom, and nobody is written to late`,
    async t => {
      const shop = await business()
      const records = Array.from({ length: 20 }, () =>
        push({ caller: customer().local, did: shop.did }),
      )
      t.equal((await post(records, { token: shop.token })).status, 200)
      await work()
      fake.script({ phoneNumberId: shop.phoneNumberId, times: 'always', outcome })
      await sql`update missed_calls set outreach_due_at = now() where tenant_id = ${shop.tenantId}`.execute(
        db,
      )
      await allDue(shop.tenantId)
      t.equal(requestsOf(shop).length, records.length)
      await work()
      t.equal(requestsOf(shop).length, records.length, 'and not again before its time')
      await allDue(shop.tenantId)
      t.equal(requestsOf(shop).length, 2 * records.length)

      // Three hours later all is well again.
      fake.clearScripts()
      await sql`update missed_calls set outreach_due_at = now() - interval '3 hours' where tenant_id = ${shop.tenantId}`.execute(
        db,
      )
      await allDue(shop.tenantId)
      t.equal(requestsOf(shop).length, 2 * records.length, 'nothing is sent late')
      for (const { ivruniqueid } of records)
        t.match(await missedCall(shop.tenantId, ivruniqueid), {
          outreach_state: 'skipped',
          outreach_reason: 'too_late',
        })
      t.strictSame(await waitingFor(shop.tenantId), [])

      const dana = customer()
      const { id, callId } = await miss(shop, dana.local)
      await dueSince(id)
      t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'], 'the next one is')
      fake.clearScripts()
    },
  )
