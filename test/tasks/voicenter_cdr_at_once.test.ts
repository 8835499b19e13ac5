/** Several jobs of one call at the same moment. */
import t from 'tap'
import { sql } from 'kysely'
import {
  business,
  customer,
  db,
  jobs,
  missedCall,
  outreachOf,
  post,
  verdictsOf,
  work,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { leadsOf, until } from './support.ts'

t.test('many jobs of one call at once, on two workers, record it once', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  const callId = record.ivruniqueid
  await post([record, { ...record, dialtime: 25 }, { ...record, dialtime: 26 }], { token })
  await sql`
    select graphile_worker.add_job('voicenter_cdr', json_build_object('callId', ${callId}::text))
    from generate_series(1, 20)`.execute(db)
  await Promise.all([work(), work()])
  // Done is what has no job any more; graphile-worker removes it a moment after the run's end.
  await until(async () => (await jobs('voicenter_cdr')).length === 0)
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }])
  const call = await missedCall(tenantId, callId)
  t.equal((await jobs(`lead_outreach:${call?.id}`)).length, 1)
})

/** How many connections wait for a lock. */
const waiting = async (): Promise<number> => {
  const { rows } = await sql`select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
  return rows.length
}

t.test('a leg that comes while its call is being judged is not overlooked', async t => {
  // Which of two jobs that go on at the same moment comes first is chance, so several times.
  for (let round = 0; round < 8; round++) {
    const { tenantId, token, did } = await business()
    const root = push({ caller: customer().local, did, type: 'Queue', status: 'TIMEOUT' })
    const callId = root.ivruniqueid
    await post(root, { token })
    const judging = await db.transaction().execute(async trx => {
      // The first job has read the legs, and is held before it writes what it makes of them.
      await sql`lock table tenant_numbers in access exclusive mode`.execute(trx)
      const first = work()
      await until(async () => (await waiting()) === 1)
      await post({ ...root, status: 'ANSWER', targetextension: 'SIP1' }, { token })
      const second = work()
      await until(async () => (await waiting()) === 2)
      return [first, second]
    })
    await Promise.all(judging)
    t.strictSame(await verdictsOf(tenantId, callId), Array(2).fill(['answered', 'agent']))
    t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'reached_by_phone'])
  }
})
