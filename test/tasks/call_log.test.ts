/** The check of a call log: lost calls are found and ingested once, at the right time, also after failures. */
import { sql } from 'kysely'
import t from 'tap'
import { readJson } from '../../app/json.ts'
import { endAccess } from '../../app/tenants/credentials.ts'
import { checkCallLog, compareWithLog, scheduleChecks } from '../../app/voicenter/call_log/check.ts'
import {
  business,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  post,
  rejectedOf,
  verdictsOf,
  work,
  workAsIfDue,
} from '../support/ringback.ts'
import {
  accessRow,
  call,
  checkNow,
  checksOf,
  lossOf,
  sourcesOf,
  voicenter,
  webhook,
  withCallLog,
} from '../support/voicenter.ts'
import { leadsOf, secondsUntil, unboundToken, until } from './support.ts'

await t.test('a call whose webhook was lost is found, classified, and gets a message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const [dana, noa] = [customer(), customer()]
  const known = call({ caller: noa.local, did: shop.did })
  const lost = call({ caller: dana.local, did: shop.did })
  await webhook(shop, known.push)
  voicenter.log(account, known.record, lost.record)
  await checkNow(shop)

  t.strictSame(await checksOf(shop), [[2, 1, 1]])
  t.strictSame(await sourcesOf(shop), [
    [known.callId, 'push'],
    [lost.callId, 'call_log'],
  ])
  t.strictSame(await verdictsOf(shop.tenantId, lost.callId), [['missed', 'noanswer']])
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['scheduled', 'waiting'])
  const missed = await missedCall(shop.tenantId, lost.callId)
  t.equal(missed?.called_at.toISOString().slice(0, 19), lost.record.Date.slice(0, 19))
  t.equal(missed?.caller_phone, dana.e164)
  await workAsIfDue()
  t.equal(fake.inbox(dana.e164).length, 1)
  t.equal(fake.inbox(noa.e164).length, 1)
  t.strictSame(await lossOf(shop), [2, 1, 0, 50])
})

await t.test('a call that began too long ago is recorded without a message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const old = call({ caller: dana.local, did: shop.did }, 3 * 3600)
  voicenter.log(account, old.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, old.callId), ['skipped', 'too_late'])
  await workAsIfDue()
  t.strictSame(fake.inbox(dana.e164), [])
})

await t.test('an answered call that only the log has cancels the pending message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const missed = call({ caller: dana.local, did: shop.did }, 1200)
  await webhook(shop, missed.push)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['scheduled', 'waiting'])
  // The caller called again and got through. The webhook of that call was lost.
  const answered = call(
    {
      caller: dana.local,
      did: shop.did,
      status: 'ANSWER',
      targetextension: 'SIP1',
      duration: 60,
    },
    600,
  )
  voicenter.log(account, missed.record, answered.record)
  await checkNow(shop)
  t.strictSame(await verdictsOf(shop.tenantId, answered.callId), [['answered', 'agent']])
  t.strictSame(await outreachOf(shop.tenantId, missed.callId), ['cancelled', 'reached_by_phone'])
})

await t.test(
  'the entry of a queue and the entry of the agent who answered are one call',
  async t => {
    const shop = await business()
    const account = await withCallLog(shop)
    const queue = call({
      caller: customer().local,
      did: shop.did,
      type: 'Queue',
      status: 'TIMEOUT',
    })
    voicenter.log(account, queue.record)
    await checkNow(shop)
    t.strictSame(await outreachOf(shop.tenantId, queue.callId), ['scheduled', 'waiting'])
    // The second entry of a long call appears an hour later.
    voicenter.log(account, { ...queue.record, DialStatus: 'ANSWER', TargetExtension: 'SIP1' })
    await checkNow(shop)
    t.strictSame(
      await verdictsOf(shop.tenantId, queue.callId),
      Array(2).fill(['answered', 'agent']),
    )
    t.strictSame(await outreachOf(shop.tenantId, queue.callId), ['cancelled', 'reached_by_phone'])
    t.strictSame(await checksOf(shop), [
      [1, 1, 1],
      [1, 0, 0],
    ])
  },
)

await t.test('outgoing, internal and dialer calls are not missed calls', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const out = { caller: shop.did, did: '', target: customer().local }
  const calls = [
    call({ ...out, type: 'Extension Outgoing', status: 'NOANSWER' }),
    call({ ...out, type: 'Click2Call leg1', status: 'NOANSWER' }),
    call({ ...out, type: 'ProductiveCall Leg2', status: 'NOANSWER' }),
    call({ ...out, type: 'Click 2 IVR', status: 'NOANSWER' }),
  ]
  voicenter.log(account, ...calls.map(({ record }) => record))
  await checkNow(shop)
  for (const { callId } of calls)
    t.match(await verdictsOf(shop.tenantId, callId), [['not_inbound']])
  t.strictSame(await leadsOf(shop.tenantId), [])
})

await t.test(
  'an entry that cannot be read is kept, counted once, and does not affect others',
  async t => {
    const shop = await business()
    const account = await withCallLog(shop)
    const good = call({ caller: customer().local, did: shop.did })
    const bad = [
      { ...call({ did: shop.did }).record, DialStatus: '' },
      { ...call({ did: shop.did }).record, CallID: '' },
    ]
    // This call arrived by webhook, so its entry is not needed.
    const known = call({ caller: customer().local, did: shop.did })
    await webhook(shop, known.push)
    voicenter.log(account, ...bad, good.record, { ...known.record, DialStatus: null })
    await checkNow(shop)
    await checkNow(shop)
    t.strictSame(await checksOf(shop), [
      [4, 3, 1],
      [4, 0, 0],
    ])
    const rejected = (await rejectedOf(shop.tenantId)).map(
      ({ source, reason, deliveries }) => `${source}, ${deliveries}: ${reason}`,
    )
    t.strictSame(rejected.toSorted(), [
      'call_log, 1: call id (ivruniqueid or CallID) is missing',
      'call_log, 1: status (status or DialStatus) is missing',
    ])
  },
)

await t.test('names in lower case are read, as real accounts are said to have', async t => {
  voicenter.setLowerCase(true)
  t.teardown(() => voicenter.setLowerCase(false))
  const shop = await business()
  const account = await withCallLog(shop, { kind: 'bearer' })
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['scheduled', 'waiting'])
})

await t.test('a business in shadow decides and sends nothing', async t => {
  const shop = await business({ mode: 'shadow' })
  const account = await withCallLog(shop)
  const dana = customer()
  const lost = call({ caller: dana.local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  await workAsIfDue()
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['skipped', 'shadow'])
  t.strictSame(fake.inbox(dana.e164), [])
})

await t.test('a paused business is compared too', async t => {
  const shop = await business({ mode: 'paused' })
  const account = await withCallLog(shop)
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  t.strictSame(await outreachOf(shop.tenantId, lost.callId), ['skipped', 'tenant_paused'])
})

await t.test('the log of one business changes nothing at another', async t => {
  const [shop, other] = [await business(), await business()]
  const account = await withCallLog(shop)
  const dana = customer()
  // The same call id, and a number of the other business.
  const theirs = call({ caller: dana.local, did: other.did })
  const ours = { ...theirs.record, DID: shop.did }
  await webhook(other, theirs.push)
  await work()
  voicenter.log(account, ours, call({ caller: dana.local, did: other.did }).record)
  await checkNow(shop)
  t.match(await sourcesOf(other), [[theirs.callId, 'push']])
  t.equal((await sourcesOf(shop)).length, 2)
  t.strictSame(await outreachOf(shop.tenantId, theirs.callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(other.tenantId), [{ missed_call_count: 1 }])
})

await t.test('calls of an unbound token are known, for any tenant', async t => {
  const [shop, other] = [await business(), await business()]
  const token = await unboundToken()
  const account = await withCallLog(shop)
  const ours = call({ caller: customer().local, did: shop.did })
  const theirs = call({ caller: customer().local, did: other.did })
  const unassigned = call({ caller: customer().local, did: '0722000000' })
  for (const { push } of [ours, theirs, unassigned]) await webhook({ ...shop, token }, push)
  voicenter.log(account, ours.record, theirs.record, unassigned.record)
  await checkNow(shop)
  t.strictSame(await checksOf(shop), [[3, 0, 0]])
})

await t.test('an entry is ingested once', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  for (let hour = 0; hour < 3; hour++) await checkNow(shop)
  t.strictSame(await checksOf(shop), [
    [1, 1, 1],
    [1, 0, 0],
    [1, 0, 0],
  ])
  const [row] = await db
    .selectFrom('raw_cdrs')
    .select(['deliveries', 'source'])
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(row, { deliveries: 1, source: 'call_log' })
})

await t.test('a late webhook leaves one missed call and one message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const late = call({ caller: dana.local, did: shop.did })
  voicenter.log(account, late.record)
  await checkNow(shop)
  await workAsIfDue()
  await webhook(shop, late.push)
  await work()
  await workAsIfDue()
  t.strictSame(await sourcesOf(shop), [
    [late.callId, 'call_log'],
    [late.callId, 'push'],
  ])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await lossOf(shop), [1, 0, 1, 0], 'late, not lost')
  await checkNow(shop)
  t.strictSame((await sourcesOf(shop)).length, 2)
})

await t.test('after a webhook, the log adds nothing to the call', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const early = call({ caller: customer().local, did: shop.did })
  await webhook(shop, early.push)
  voicenter.log(account, early.record)
  // The call is not classified yet.
  await checkNow(shop)
  t.strictSame(await sourcesOf(shop), [[early.callId, 'push']])
  t.strictSame(await checksOf(shop), [[1, 0, 0]])
})

await t.test('a webhook at the same moment leaves one missed call and one message', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const dana = customer()
  const racing = call({ caller: dana.local, did: shop.did })
  voicenter.log(account, racing.record)
  const both = await db.transaction().execute(async trx => {
    // Reads continue, writes wait: the check has compared, and the webhook is accepted.
    await sql`lock table raw_cdrs in share row exclusive mode`.execute(trx)
    const running = Promise.all([checkNow(shop), webhook(shop, racing.push)])
    await until(async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      return rows.length === 2
    })
    return { running }
  })
  await both.running
  await work()
  const sources = (await sourcesOf(shop)).map(([, source]) => String(source))
  t.strictSame(sources.toSorted(), ['call_log', 'push'])
  await workAsIfDue()
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  t.equal(fake.inbox(dana.e164).length, 1)
  t.strictSame(await lossOf(shop), [1, 0, 1, 0], 'nothing was lost')
})

await t.test('several runs at the same time ingest a call once', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${shop.tenantId}::text))
            from generate_series(1, 3)`.execute(db)
  await checkNow(shop)
  t.strictSame(await sourcesOf(shop), [[lost.callId, 'call_log']])
  t.match(await leadsOf(shop.tenantId), [{ missed_call_count: 1 }])
  t.equal((await jobs(`call_log:${shop.tenantId}`)).length, 1)
})

await t.test('two answers may have the same call, or one record of it each', async t => {
  const shop = await business()
  await withCallLog(shop)
  const queue = call({ caller: customer().local, did: shop.did, type: 'Queue', status: 'TIMEOUT' })
  const agent = { ...queue.record, DialStatus: 'ANSWER', TargetExtension: 'SIP1' }
  const halves = async function* () {
    for (const record of [queue.record, queue.record, agent]) {
      const records = [readJson(JSON.stringify(record))].flatMap(json =>
        'value' in json ? [json.value] : [],
      )
      yield { kind: 'records' as const, records, isComplete: true }
    }
  }
  t.strictSame(await compareWithLog(shop.tenantId, halves(), new Date()), {
    inLog: 1,
    missing: 1,
    takenIn: 1,
  })
  await work()
  t.strictSame(await verdictsOf(shop.tenantId, queue.callId), Array(2).fill(['answered', 'agent']))
})

await t.test('a check runs every hour and overlaps the previous one by six hours', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  await checkNow(shop)
  const row = await accessRow(shop)
  t.equal(await secondsUntil(row.checked_until), -5 * 60)
  t.equal(await secondsUntil(row.next_check_at), 10 * 60, 'soon, after a day without checks')
  await checkNow(shop)
  const next = await accessRow(shop)
  t.equal(await secondsUntil(next.next_check_at), 60 * 60)
  const queued = await jobs(`call_log:${shop.tenantId}`)
  t.equal(queued.length, 1)
  t.equal(await secondsUntil(queued[0]?.run_at), 60 * 60)
  const requests = voicenter.requests().filter(request => request.account === account.id)
  t.equal(requests.length, 2)
  const behind = row.checked_until.getTime() - Date.parse(`${requests[1]?.from}Z`)
  t.ok(Math.abs(behind - 6 * 3_600_000) < 2_000)
})

await t.test('after days without checks, each day is one check', async t => {
  const shop = await business()
  const account = await withCallLog(shop, { since: '3 days' })
  const old = call({ caller: customer().local, did: shop.did }, 60 * 3600)
  const young = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, old.record, young.record)
  for (let day = 0; day < 3; day++) {
    await checkNow(shop)
    const { next_check_at: next } = await accessRow(shop)
    const seconds = await secondsUntil(next)
    if (day < 2) t.ok(seconds <= 5, `at once: ${seconds}`)
    else t.equal(seconds, 600)
  }
  t.strictSame(await checksOf(shop), [
    [1, 1, 1],
    [0, 0, 0],
    [1, 1, 1],
  ])
  t.strictSame(await outreachOf(shop.tenantId, old.callId), ['skipped', 'too_late'])
  t.strictSame(await outreachOf(shop.tenantId, young.callId), ['scheduled', 'waiting'])
})

await t.test('a job before its time, or without access, makes no request', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${shop.tenantId}::text))`.execute(
    db,
  )
  await work()
  await db.deleteFrom('call_log_access').where('tenant_id', '=', shop.tenantId).execute()
  await checkNow(shop)
  t.strictSame(
    voicenter.requests().filter(request => request.account === account.id),
    [],
  )
  t.strictSame(await jobs(`call_log:${shop.tenantId}`), [])
})

const HOUR = 3600
const TEN_MINUTES = 600

await t.test('a refusal is stored as a word and retried in an hour', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  voicenter.script({ error: 2 })
  const before = await accessRow(shop)
  await checkNow(shop)
  const row = await accessRow(shop)
  t.match(row, { last_error: 'unauthorized', checked_until: before.checked_until })
  t.equal(await secondsUntil(row.next_check_at), HOUR)
  t.strictSame(await checksOf(shop), [])
  const [job] = await jobs(`call_log:${shop.tenantId}`)
  t.equal(job?.attempts, 0)
  t.equal(await secondsUntil(job?.run_at), HOUR)

  voicenter.script({ error: 4 })
  await checkNow(shop)
  const again = await accessRow(shop)
  t.equal(again.last_error, 'address_not_allowed')
  t.strictSame(again.failing_since, row.failing_since, 'since the first failure')

  const lost = call({ caller: customer().local, did: shop.did })
  voicenter.log(account, lost.record)
  await checkNow(shop)
  t.match(await accessRow(shop), { last_error: null, failing_since: null })
  t.strictSame(await checksOf(shop), [[1, 1, 1]], 'nothing was skipped')
  const rows = await sql<{ text: string }>`
    select to_jsonb(a)::text as text from call_log_access a
    union all select to_jsonb(j)::text from graphile_worker.jobs j`.execute(db)
  for (const { text } of rows.rows) t.notMatch(text, account.code)
})

await t.test('a disturbance is retried in ten minutes', async t => {
  const shop = await business()
  await withCallLog(shop)
  for (const fault of [{ status: 500 }, { error: 1 }, { cut: true as const }]) {
    voicenter.script(fault)
    await checkNow(shop)
    const row = await accessRow(shop)
    t.match(row.last_error, /http_500|rate_limited|unreachable/)
    t.equal(await secondsUntil(row.next_check_at), TEN_MINUTES)
  }
})

await t.test('after a failure halfway, what was ingested stays and the rest follows', async t => {
  const shop = await business()
  const account = await withCallLog(shop)
  const calls = [20, 10].map(hours =>
    call({ caller: customer().local, did: shop.did }, hours * 3600),
  )
  voicenter.log(account, ...calls.map(({ record }) => record))
  const part = { ERROR_NUMBER: 0, TOTAL_HITS: 2, CDR_LIST: [calls[0]?.record] }
  const half = { ERROR_NUMBER: 0, TOTAL_HITS: 1, CDR_LIST: [calls[0]?.record] }
  voicenter.script(
    { status: 200, body: JSON.stringify(part) },
    { status: 200, body: JSON.stringify(half) },
    { status: 502 },
  )
  await sql`update call_log_access set next_check_at = now() where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await checkCallLog(shop.tenantId, { pause: 0 })
  await work()
  t.match(await accessRow(shop), { last_error: 'http_502' })
  t.ok(await outreachOf(shop.tenantId, calls[0]?.callId ?? ''))
  t.notOk(await outreachOf(shop.tenantId, calls[1]?.callId ?? ''))
  await checkNow(shop)
  t.ok(await outreachOf(shop.tenantId, calls[1]?.callId ?? ''))
  t.strictSame(await checksOf(shop), [[2, 1, 1]])
})

await t.test('a credential that cannot be decrypted fails alone and is retried', async t => {
  const shop = await business()
  const other = await business()
  await withCallLog(shop)
  await withCallLog(other)
  // A copy from another tenant: it was encrypted for that tenant.
  await sql`update call_log_access a set credential = b.credential from call_log_access b
            where a.tenant_id = ${shop.tenantId} and b.tenant_id = ${other.tenantId}`.execute(db)
  const before = voicenter.requests().length
  await checkNow(shop)
  t.match(await accessRow(shop), { last_error: 'unexpected_error' })
  t.equal(voicenter.requests().length, before, 'no request')
  t.equal((await jobs(`call_log:${shop.tenantId}`)).length, 1)
  await checkNow(other)
  t.match(await accessRow(other), { last_error: null })
})

await t.test('after an outage, every check is brought forward', async t => {
  const [shop, other] = [await business(), await business()]
  await withCallLog(shop)
  await withCallLog(other)
  for (const one of [shop, other, shop, other]) await checkNow(one)
  t.equal(await secondsUntil((await accessRow(shop)).next_check_at), HOUR)
  t.ok((await scheduleChecks()) >= 2)
  for (const one of [shop, other]) {
    const seconds = await secondsUntil((await accessRow(one)).next_check_at)
    t.ok(seconds >= TEN_MINUTES - 2 && seconds < TEN_MINUTES + 60, String(seconds))
    const queued = await jobs(`call_log:${one.tenantId}`)
    t.equal(queued.length, 1)
    t.equal(await secondsUntil(queued[0]?.run_at), seconds)
  }
  t.equal(await scheduleChecks(), 0, 'and only once')
})

await t.test('a check that was brought forward during a check keeps its time', async t => {
  const shop = await business()
  await withCallLog(shop)
  await checkNow(shop)
  voicenter.onRequest(async () => {
    voicenter.onRequest(null)
    await sql`update call_log_access set next_check_at = now() + interval '10 minutes'
              where tenant_id = ${shop.tenantId}`.execute(db)
  })
  await checkNow(shop)
  t.equal(await secondsUntil((await accessRow(shop)).next_check_at), TEN_MINUTES)
  const [job] = await jobs(`call_log:${shop.tenantId}`)
  t.equal(await secondsUntil(job?.run_at), TEN_MINUTES)
})

await t.test('access that ends during a check stays ended', async t => {
  const shop = await business()
  await withCallLog(shop)
  voicenter.onRequest(async () => {
    voicenter.onRequest(null)
    await db.transaction().execute(trx => endAccess(trx, { as: 'command line' }, shop.tenantId))
  })
  await checkNow(shop)
  await work()
  t.strictSame(await jobs(`call_log:${shop.tenantId}`), [])
  t.strictSame(await checksOf(shop), [])
})

const CALLS = 400
const ONE_IN = 20
/** The first began ten hours ago, the last ten minutes ago. */
const secondsAgo = (i: number) => 600 + Math.round(((CALLS - i) / CALLS) * 10 * 3600)
/** The default `oldest_call`. */
const OLDEST = 2 * 3600

await t.test(
  'with one webhook in twenty lost, each call is found, and recent callers get a message',
  async t => {
    const shop = await business()
    const account = await withCallLog(shop)
    const calls = Array.from({ length: CALLS }, (_, i) => {
      const who = customer()
      const ago = secondsAgo(i)
      // Every fifth call was answered, and every seventh was outgoing.
      const fields =
        i % 7 === 0
          ? { type: 'Extension Outgoing', caller: shop.did, did: '', target: who.local }
          : { caller: who.local, did: shop.did, ...(i % 5 === 1 && { status: 'ANSWER' }) }
      const isLost = i % ONE_IN === 3
      return { ...call(fields, ago), who, ago, isLost, isMissed: i % 7 !== 0 && i % 5 !== 1 }
    })
    const arrived = calls.filter(({ isLost }) => !isLost).map(({ push }) => push)
    t.match(await post(arrived, shop), { status: 200 })
    await work()
    voicenter.log(account, ...calls.map(({ record }) => record))
    await checkNow(shop)

    const lost = calls.filter(({ isLost }) => isLost)
    t.strictSame(await checksOf(shop), [[CALLS, lost.length, lost.length]])
    const sources = new Map((await sourcesOf(shop)).map(([id, source]) => [id, source]))
    for (const { callId, isLost } of calls)
      t.equal(sources.get(callId), isLost ? 'call_log' : 'push', 'each call is stored')
    const records = db.selectFrom('raw_cdrs').where('tenant_id', '=', shop.tenantId)
    t.strictSame(await records.where('verdict', 'is', null).select('id').execute(), [])

    await workAsIfDue()
    const missed = lost.filter(({ isMissed }) => isMissed)
    const timely = missed.filter(({ ago }) => ago < OLDEST)
    t.ok(timely.length > 1 && timely.length < missed.length, `${timely.length} of ${missed.length}`)
    for (const { callId, who, isMissed, ago } of lost) {
      const outreach = await outreachOf(shop.tenantId, callId)
      if (!isMissed) t.equal(outreach, undefined)
      else t.strictSame(outreach, ago < OLDEST ? ['sent', 'accepted'] : ['skipped', 'too_late'])
      t.equal(fake.inbox(who.e164).length, isMissed && ago < OLDEST ? 1 : 0)
    }
    t.strictSame(await lossOf(shop), [CALLS, lost.length, 0, 5])

    await checkNow(shop)
    t.match(await checksOf(shop), [[CALLS], [Number, 0, 0]], 'nothing is found twice')
  },
)
