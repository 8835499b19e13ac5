/** The token of one business is revoked in the middle of a busy day: the others notice nothing. (Case 34) */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, type Business, customer, db, fake, post, work } from '../support/ringback.ts'
import { requestsOf, waitingFor } from '../tasks/support.ts'

const MANY = 30

const missedCalls = async (shop: Business) => {
  const records = Array.from({ length: MANY }, () =>
    push({ caller: customer().local, did: shop.did }),
  )
  const { status } = await post(records, { token: shop.token })
  if (status !== 200) throw new Error(`not taken: ${status}`)
}
const states = async ({ tenantId }: Business) => {
  const { rows } = await sql<{ state: string; calls: number }>`
    select outreach_state || ' / ' || outreach_reason as state, count(*)::int as calls
    from missed_calls where tenant_id = ${tenantId} group by 1 order by 1`.execute(db)
  return rows.map(({ state, calls }) => [state, calls])
}

await t.test('a dead token pauses its own connection, and all the others send', async t => {
  const [dead, ...others] = [await business(), await business(), await business()] as const
  for (const shop of [dead, ...others]) await missedCalls(shop)
  await work()
  fake.script({
    phoneNumberId: dead.phoneNumberId,
    times: 'always',
    outcome: { kind: 'error', code: 190 },
  })
  await sql`update missed_calls set outreach_due_at = now()`.execute(db)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where task_identifier = 'lead_outreach'`.execute(db)
  const started = performance.now()
  await work()
  t.comment(`${3 * MANY} messages in ${Math.round(performance.now() - started)} ms`)

  for (const shop of others) {
    t.strictSame(await states(shop), [['sent / accepted', MANY]])
    t.equal(requestsOf(shop).length, MANY)
  }
  t.strictSame(await states(dead), [['scheduled / connection_paused', MANY]])
  // As many as were under way when the first answer came, and no more.
  t.ok(requestsOf(dead).length <= 8, `${requestsOf(dead).length} were tried`)
  const { rows } = await sql<{ tenant_id: string; state: string; state_reason: string | null }>`
    select tenant_id, state, state_reason from whatsapp_connections order by id`.execute(db)
  t.strictSame(rows, [
    { tenant_id: dead.tenantId, state: 'paused', state_reason: 'WhatsApp error 190' },
    ...others.map(({ tenantId }) => ({ tenant_id: tenantId, state: 'active', state_reason: null })),
  ])

  // With a new token everything that is not too late by then goes out, once.
  fake.clearScripts()
  await sql`update whatsapp_connections set state = 'active', state_reason = null`.execute(db)
  await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now())
            from graphile_worker.jobs where key = any(${await waitingFor(dead.tenantId)}::text[])`.execute(
    db,
  )
  await work()
  t.strictSame(await states(dead), [['sent / accepted', MANY]])
  const accepted = fake.accepted().map(({ to }) => to)
  t.equal(new Set(accepted).size, accepted.length, 'nobody has two')
})
