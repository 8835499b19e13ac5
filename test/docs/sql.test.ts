/** Every query of docs/sql.md runs, and finds rows after a day of calls, except those listed below. */
import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import { test } from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, fake, post, work, workAsIfDue } from '../support/ringback.ts'
import { call, checkNow, voicenter, withCallLog } from '../support/voicenter.ts'

const page = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8')
const queries = [...page.matchAll(/^```sql\n(.+?)^```/gms)].map(([, query = '']) => query)

// The page uses tenant 1, the first one that is added here.
const shop = await business()
const { tenantId, token, did, phoneNumberId } = shop
const caller = customer()
await post(push({ caller: caller.local, did }), { token })
await post(push({ caller: 'anonymous', did }), { token })
await post(push({ caller: caller.local, did: '0772345678' }), { token })
await post(push({ caller: caller.local, did, status: 'VOEND' }), { token })
await post({ did }, { token })
await work()
await workAsIfDue()
await fake.inbound([
  { kind: 'text', from: caller.e164, text: 'אשמח שתחזרו אליי' },
  { kind: 'text', from: customer().e164, phoneNumberId, text: 'מי זה?' },
])
await post(push({ caller: customer().local, did }), { token })
await work()
voicenter.log(await withCallLog(shop), call({ caller: customer().local, did }).record)
await checkNow(shop)

await test('the page has at least a dozen queries', async t => {
  t.ok(queries.length >= 12, String(queries.length))
  t.equal(tenantId, '1', 'the test uses the tenant of the page')
})

/** Queries that find nothing if nothing went wrong, or that change rows. */
const MAY_BE_EMPTY = [
  /202611151015030a3f1/,
  /state = 'unknown'/,
  /state = 'failed'/,
  /state = 'paused'/,
  /from opt_outs/,
  /from alerts/,
  /^insert/,
  /^update/,
  /reschedule_jobs/,
]

for (const query of queries) {
  const title = query.split('\n').slice(0, 2).join(' ')
  await test(title, async t => {
    // Rolled back, so that no query depends on the ones above it.
    const undo = new Error('undo')
    const found = db.transaction().execute(async trx => {
      const { rows, numAffectedRows } = await sql
        .raw(query.replaceAll('+972502345678', caller.e164))
        .execute(trx)
      if (!MAY_BE_EMPTY.some(pattern => pattern.test(query))) t.ok(rows.length > 0, 'finds rows')
      if (/^(insert|update)/.test(query)) t.equal(numAffectedRows, 1n, 'changes one row')
      throw undo
    })
    await t.rejects(found, undo)
  })
}
