/**
 * graphile-worker adds a job under a key and says nothing of it that it did not (a worker took the one with that key
 * in this moment). Then nothing of what was to wake it may stay either, and it is tried again. (Case 22)
 */
import { sql } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { business, customer, db, fake, jobs, missedCall, work } from '../support/ringback.ts'
import { contacted, eventsOf, happens, optOutsOf } from '../support/whatsapp.ts'
import { push } from '../../scripts/demo/cdr.ts'
import {
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  runAtOnce,
  tell,
} from '../tasks/support.ts'

const ADD_JOB =
  'graphile_worker.add_job(text, json, text, timestamptz, int, text, int, text[], text)'
const ADD_JOBS = 'graphile_worker.add_jobs(graphile_worker.job_spec[], boolean)'
const run = (statement: string) => sql.raw(statement).execute(db)

/** The next jobs with such a key are not added, and nobody says so. */
const withoutJobs = async (key: string, meanwhile: () => Promise<unknown>): Promise<void> => {
  await run(`alter function ${ADD_JOB} rename to real_add_job`)
  await run(`create function graphile_worker.add_job(identifier text, payload json default null, queue_name text default null,
      run_at timestamptz default null, max_attempts int default null, job_key text default null, priority int default null,
      flags text[] default null, job_key_mode text default 'replace')
    returns graphile_worker._private_jobs language sql as $$
      select case when job_key not like '${key}' then
        graphile_worker.real_add_job(identifier, payload, queue_name, run_at, max_attempts, job_key, priority, flags, job_key_mode) end $$`)
  await run(`alter function ${ADD_JOBS} rename to real_add_jobs`)
  await run(`create function graphile_worker.add_jobs(
      specs graphile_worker.job_spec[], job_key_preserve_run_at boolean default false)
    returns setof graphile_worker._private_jobs language sql as $$
      select * from graphile_worker.real_add_jobs(
        array(select s from unnest(specs) s where s.job_key not like '${key}'), job_key_preserve_run_at) $$`)
  try {
    await meanwhile()
  } finally {
    await run(`drop function ${ADD_JOBS}`)
    await run(`alter function ${ADD_JOBS.replace('add_jobs', 'real_add_jobs')} rename to add_jobs`)
    await run(`drop function ${ADD_JOB}`)
    await run(
      `alter function graphile_worker.real_add_job(text, json, text, timestamptz, int, text, int, text[], text) rename to add_job`,
    )
  }
}

await t.test('a missed call without the job of its message is no missed call yet', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ caller: customer().local, did })
  await withoutJobs('lead_outreach:%', () => tell(token, record))
  t.equal(await missedCall(tenantId, record.ivruniqueid), undefined)
  t.strictSame(await leadsOf(tenantId), [])
  t.match(await jobs(`voicenter_cdr:${record.ivruniqueid}`), [{ attempts: 1 }])
  await runAtOnce(`voicenter_cdr:${record.ivruniqueid}`)
  await work()
  const call = await missedCall(tenantId, record.ivruniqueid)
  t.match(call, { outreach_state: 'scheduled' })
  t.equal((await jobs(`lead_outreach:${call?.id}`)).length, 1)
  t.match(await leadsOf(tenantId), [{ missed_call_count: 1 }])
})

// `record` runs in a moment in which it cannot be done; what WhatsApp has said is known nowhere else.
await t.test('an acceptance is recorded as soon as the jobs of its reminders can be', async t => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  let done: Promise<void> | undefined
  await withoutJobs('lead_reminder:%:2', async () => {
    done = dueSince(id)
    await sleep(700)
    t.strictSame(await messagesAfter(id), [['initial', 'sending', null]], 'not half of it')
  })
  await done
  t.match(await initialOf(id), { state: 'accepted' }, 'recorded')
  t.equal((await messagesAfter(id)).length, 3, 'with both reminders')
  const { rows } =
    await sql`select from graphile_worker.jobs where key like 'lead_reminder:%'`.execute(db)
  t.equal(rows.length, 2, 'and their jobs')
  t.equal(fake.inbox(who.e164).length, 1)
})

await t.test('a "stop" whose confirmation has no job yet is heard a moment later', async t => {
  const shop = await business()
  const who = await contacted(shop)
  await withoutJobs('opt_out_confirmation:%', () =>
    happens({ kind: 'text', from: who.e164, text: 'הסר' }),
  )
  t.strictSame(await optOutsOf(shop), [], 'not half of it')
  const [event] = await eventsOf(shop.tenantId)
  t.equal(event?.outcome, null)
  await runAtOnce(`whatsapp_event:${event?.id}`)
  await work()
  t.strictSame(await optOutsOf(shop), [[who.e164, 'typed']])
  t.equal(fake.inbox(who.e164).length, 2, 'the first message and the confirmation')
})
