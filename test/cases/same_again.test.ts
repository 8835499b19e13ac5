/** The same record once more, after its story has ended badly: no new call, no new message. (Case 18) */
import { sql } from 'kysely'
import t from 'tap'
import type { ScriptInput } from '../../scripts/fake_whatsapp/scripts.ts'
import {
  business,
  customer,
  db,
  fake,
  OK,
  outreachOf,
  post,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import { dueSince, everythingOf, leadsOf, miss, requestsOf } from '../tasks/support.ts'

const ENDS: Record<
  string,
  { outcome?: ScriptInput['outcome']; ago?: string; end: [string, string] }
> = {
  'it was refused for good': {
    outcome: { kind: 'error', code: 131026 },
    end: ['failed', 'refused'],
  },
  'nobody knows what came of it': { outcome: { kind: 'cut' }, end: ['unknown', 'no_answer'] },
  'it was too late': { ago: '31 minutes', end: ['skipped', 'too_late'] },
}

for (const [name, { outcome, ago, end }] of Object.entries(ENDS))
  await t.test(`the same record after ${name} changes nothing, also a day later`, async t => {
    const shop = await business()
    const who = customer()
    const { id, callId, record } = await miss(shop, who.local)
    if (outcome) fake.script({ to: who.e164, outcome })
    await dueSince(id, ago)
    t.strictSame(await outreachOf(shop.tenantId, callId), end)
    const sent = requestsOf(shop).length

    for (const later of ['0 hours', '25 hours']) {
      await sql`update missed_calls set called_at = called_at - ${later}::interval,
                created_at = created_at - ${later}::interval where id = ${id}`.execute(db)
      await sql`update messages set created_at = created_at - ${later}::interval,
                claimed_at = claimed_at - ${later}::interval where tenant_id = ${shop.tenantId}`.execute(
        db,
      )
      const { records: _, ...before } = await everythingOf(shop.tenantId)
      t.strictSame(await post(record, { token: shop.token }), OK)
      await work()
      await workAsIfDue()
      const { records, ...after } = await everythingOf(shop.tenantId)
      t.strictSame(after, before, `${later} later`)
      t.match(records, [{}], 'one record')
      t.strictSame(after.jobs, [])
    }
    t.equal(requestsOf(shop).length, sent)
    t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  })
