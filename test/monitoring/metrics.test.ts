/** The metrics: some are counted in the process, others are read from the database at each scrape. */
import { EventEmitter } from 'node:events'
import express from 'express'
import { runOnce, type WorkerEvents } from 'graphile-worker'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, fake, post, url as program, work } from '../support/ringback.ts'
import { dueSince, miss, until } from '../tasks/support.ts'
import { callsCame, figuresIn } from './support.ts'
import { newPool } from '../../app/db/pool.ts'
import { countJobs } from '../../app/monitoring/metrics.ts'
import { logger } from '../../app/worker/run.ts'
import { whatsapp } from '../../app/web/whatsapp.ts'
import { voicenter } from '../../app/web/voicenter.ts'
import { metrics } from '../../app/web/monitoring.ts'

const app = express()
app.use(voicenter, whatsapp)
app.use('/metrics', metrics)
const server = app.listen(0)
t.teardown(() => server.close())
const address = server.address()
const url = `http://127.0.0.1:${address && typeof address === 'object' ? address.port : 0}`

const read = async () => {
  const response = await fetch(`${url}/metrics`)
  t.equal(response.status, 200)
  return response.text()
}
const figures = async () => figuresIn(await read())

await t.test('the answer has the format of Prometheus', async t => {
  const response = await fetch(`${url}/metrics`)
  t.match(response.headers.get('content-type'), 'text/plain; version=0.0.4')
  t.match(await response.text(), /^# HELP ringback_jobs .+\n# TYPE ringback_jobs gauge\n/m)
  t.match(await figures(), new Map([['ringback_database_up', 1]]))
  t.ok((await figures()).has('process_resident_memory_bytes'), 'with metrics of the process itself')
  t.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405)
})

await t.test('answers are counted by endpoint and status', async t => {
  const { token, did } = await business()
  const send = async (path: string, body: unknown) =>
    (await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) })).status
  const record = push({ did })
  t.equal(await send(`/webhooks/voicenter/cdr?token=${token}`, record), 200)
  t.equal(await send(`/webhooks/voicenter/cdr?token=${token}`, record), 200)
  t.equal(await send(`/webhooks/voicenter/cdr?token=${token}`, {}), 400)
  t.equal(await send('/webhooks/voicenter/cdr?token=wrong', record), 401)
  t.equal(await send('/webhooks/whatsapp', {}), 401)
  t.equal((await fetch(`${url}/webhooks/voicenter/cdr`)).status, 200)
  const cut = new AbortController()
  const body = new ReadableStream({ start: controller => controller.enqueue('{') })
  const gone = fetch(`${url}/webhooks/voicenter/cdr?token=${token}`, {
    method: 'POST',
    body,
    duplex: 'half',
    signal: cut.signal,
  })
  setTimeout(() => cut.abort(), 100)
  await t.rejects(gone)

  const count = (door: string, status: string) =>
    `ringback_webhook_answer_seconds_count{door="${door}",status="${status}"}`
  await until(async () => (await figures()).has(count('voicenter', 'cut')))
  const found = await figures()
  t.equal(found.get(count('voicenter', '200')), 2, 'a GET request is not a delivery')
  t.equal(found.get(count('voicenter', '400')), 1)
  t.equal(found.get(count('voicenter', '401')), 1)
  t.equal(found.get(count('whatsapp', '401')), 1)
  t.equal(found.get(count('voicenter', 'cut')), 1)
  t.equal(
    found.get('ringback_webhook_answer_seconds_bucket{le="10",door="voicenter",status="200"}'),
    2,
  )
})

await t.test('the worker counts how late jobs start, and how many fail', async t => {
  const events: WorkerEvents = new EventEmitter()
  countJobs(events)
  const pgPool = await newPool('test', 2)
  t.teardown(() => pgPool.end())
  await sql`select graphile_worker.add_job('lead_silence', '{}', run_at := now() - interval '20 seconds')`.execute(
    db,
  )
  await sql`select graphile_worker.add_job('owner_notice', '{}', run_at := now() - interval '2 hours', max_attempts := 1)`.execute(
    db,
  )
  const taskList = {
    lead_silence: async () => {},
    owner_notice: async () => {
      throw new Error('no')
    },
  }
  await runOnce({ pgPool, taskList, events, logger, noHandleSignals: true, parsedCronItems: [] })
  const found = await figures()
  const late = (task: string, le: string) =>
    found.get(`ringback_job_lateness_seconds_bucket{le="${le}",task="${task}"}`)
  t.strictSame([late('lead_silence', '10'), late('lead_silence', '60')], [0, 1])
  t.strictSame([late('owner_notice', '3600'), late('owner_notice', '+Inf')], [0, 1])
  t.equal(found.get('ringback_job_errors_total{task="owner_notice"}'), 1)
  t.equal(found.get('ringback_job_errors_total{task="lead_silence"}'), undefined)
  await until(
    async () => (await figures()).get('ringback_jobs{task="owner_notice",state="dead"}') === 1,
  )
  await sql`delete from graphile_worker._private_jobs`.execute(db)
})

await t.test('jobs in the queue are counted by state', async t => {
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  await sql`
    select graphile_worker.add_job('lead_reminder', '{}', run_at := now() + interval '2 hours'),
           graphile_worker.add_job('lead_reminder', '{}', run_at := now() - interval '100 seconds'),
           graphile_worker.add_job('lead_reminder', '{}', run_at := now() - interval '50 seconds'),
           graphile_worker.add_job('lead_silence', '{}', run_at := now() - interval '500 seconds')`.execute(
    db,
  )
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'x'
            where run_at < now() - interval '400 seconds'`.execute(db)
  const found = await figures()
  const jobs = (task: string) =>
    ['due', 'future', 'running', 'dead'].map(state =>
      found.get(`ringback_jobs{task="${task}",state="${state}"}`),
    )
  t.strictSame(jobs('lead_reminder'), [2, 1, 0, 0])
  t.strictSame(jobs('lead_silence'), [0, 0, 1, 0])
  t.strictSame(jobs('call_log'), [0, 0, 0, 0], 'a task without jobs has the value 0')
  const oldest = (task: string) =>
    found.get(`ringback_oldest_due_job_seconds{task="${task}"}`) ?? -1
  t.ok(oldest('lead_reminder') >= 100 && oldest('lead_reminder') < 160)
  t.equal(oldest('lead_silence'), 0)
  await sql`delete from graphile_worker._private_jobs`.execute(db)
})

await t.test('a morning of calls', async t => {
  await sql`delete from raw_cdrs`.execute(db)
  await sql`delete from rejected_deliveries`.execute(db)
  const shop = await business()
  const other = await business()
  const silent = await business()
  const [taken, lost] = [customer(), customer()]
  const first = await miss(shop, taken.local)
  await dueSince(first.id)
  const second = await miss(shop, lost.local)
  fake.script({ to: lost.e164, outcome: { kind: 'http', status: 502 } })
  await dueSince(second.id)
  await post(push({ did: '0772345678' }), { token: shop.token })
  await work()
  await post(push({ did: other.did }), { token: other.token })
  await post({ did: other.did }, { token: other.token })
  await db
    .updateTable('whatsapp_connections')
    .set({ state: 'paused' })
    .where('tenant_id', '=', other.tenantId)
    .execute()
  await sql`update raw_cdrs set received_at = now() - interval '50 minutes' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )

  // Calls from the call log do not count as webhooks.
  await callsCame(silent, ['1 minute'])
  await sql`update raw_cdrs set source = 'call_log' where tenant_id = ${silent.tenantId}`.execute(
    db,
  )

  const text = await read()
  const found = figuresIn(text)
  const calls = (verdict: string) => found.get(`ringback_calls_last_hour{verdict="${verdict}"}`)
  t.strictSame(['missed', 'unmatched_number', 'waiting', 'answered'].map(calls), [2, 1, 1, 0])
  const sends = (state: string) =>
    found.get(`ringback_sends_last_hour{kind="initial",state="${state}"}`)
  t.strictSame(['accepted', 'unknown', 'failed'].map(sends), [1, 1, 0])
  t.equal(found.get('ringback_unknown_messages'), 1)
  t.equal(found.get('ringback_rejected_last_day{source="voicenter"}'), 1)
  t.equal(found.get('ringback_connections{state="paused"}'), 1)
  const age = (tenantId: string) =>
    found.get(`ringback_last_webhook_age_seconds{tenant="${tenantId}"}`)
  t.ok(Math.abs((age(shop.tenantId) ?? 0) - 3000) < 60)
  t.ok((age(other.tenantId) ?? Infinity) < 60)
  t.equal(age(silent.tenantId), undefined, 'no webhook ever arrived')

  for (const secret of [
    taken.e164,
    lost.e164,
    shop.line,
    shop.did,
    'נועה',
    shop.token,
    shop.phoneNumberId,
  ])
    t.notOk(text.includes(secret.replace('+', '')), 'no number, name or token')
  // An hour later
  await sql`update raw_cdrs set received_at = received_at - interval '70 minutes'`.execute(db)
  await sql`update messages set claimed_at = claimed_at - interval '70 minutes'`.execute(db)
  const later = await figures()
  t.equal(later.get('ringback_calls_last_hour{verdict="missed"}'), 0)
  t.equal(later.get('ringback_sends_last_hour{kind="initial",state="unknown"}'), 0)
  t.equal(later.get('ringback_unknown_messages'), 1, 'until the outcome is known')
})

await t.test('without the database only the metrics of the process are reported', async t => {
  // Makes the query fail. Any other error of the database has the same effect.
  await sql`alter table alerts rename to away`.execute(db)
  const text = await read()
  await sql`alter table away rename to alerts`.execute(db)
  const found = figuresIn(text)
  t.equal(found.get('ringback_database_up'), 0)
  const told = [...found.keys()].filter(name => name.startsWith('ringback_'))
  t.strictSame(
    told.filter(
      name => !/^ringback_(database_up$|webhook_answer_|job_lateness_|job_errors_)/.test(name),
    ),
    [],
  )
  t.ok(told.length > 10)
  t.equal((await figures()).get('ringback_database_up'), 1, 'all metrics return with the database')
})

await t.test('simultaneous requests share one query', async t => {
  const answers = await Promise.all(Array.from({ length: 30 }, figures))
  for (const answer of answers) t.equal(answer.get('ringback_database_up'), 1)
})

await t.test('without OPS_PASSWORD only this machine gets them', async t => {
  const get = (headers: Record<string, string> = {}) => fetch(`${program}/metrics`, { headers })
  t.equal((await get()).status, 200)
  const other = await get({ 'x-forwarded-for': '203.0.113.7' })
  t.equal(other.status, 403)
  t.notMatch(await other.text(), 'ringback_')
})
