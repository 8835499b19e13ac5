/**
 * Every error code that puts a message off or ends it, answered by WhatsApp to a first message. What is
 * expected stands here on its own, as Meta's page tells it, and is not taken from the code under test.
 * Codes that pause something: error_table_pauses.test.ts.
 */
import { sql } from 'kysely'
import { test, type Test } from 'tap'
import { business, customer, db, fake, outreachOf, work } from '../support/ringback.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  runAtOnce,
  waitingFor,
} from '../tasks/support.ts'

/** From one try to the next, each the least and the most seconds it may be. */
type Waits = (readonly [least: number, most: number])[]
const exactly = (...seconds: number[]): Waits => seconds.map(wait => [wait, wait])
const doubling: Waits = [1, 2, 4, 8, 16, 32, 60].map(most => [1, most])
const aboutHalfAMinute: Waits = Array.from({ length: 5 }, () => [20, 30])

const RETRY: [meaning: string, codes: number[], waits: Waits][] = [
  ['limits of a rolling hour', [4, 80007], exactly(300, 900, 3600)],
  ['throughput', [130429], doubling],
  ['one person too often', [131056], exactly(1, 4, 16, 64, 256)],
  ['maintenance for a minute', [131057], aboutHalfAMinute],
  ['down, or they do not know', [2, 133004, 131000, 131016], exactly(30, 120, 600, 1800)],
  ['their fault or ours', [1], exactly(30, 120)],
]
const FAIL: [meaning: string, codes: number[]][] = [
  ['our own mistake', [100, 131008, 131009, 131051, 135000, 131030]],
  ['this message cannot go', [131047, 130472, 131062, 132005]],
  ['flows and media', [132068, 132069, 131052, 131053]],
  ['registration', [133000, 133005, 133006, 133008, 133009, 133015, 133016]],
  ['another API', [131055, 134100, 134101, 134102]],
  ['nothing more to this person for now', [131026, 131021, 130497, 131049]],
]
const OPT_OUT: [meaning: string, code: number][] = [
  ['stopped marketing', 131050],
  ['blocked the business', 130403],
]

/** A caller whose first message meets this error, so many times. */
const meets = async (code: number, times = 1, httpStatus?: number) => {
  const shop = await business()
  const who = customer()
  const call = await miss(shop, who.local)
  const outcome = { kind: 'error' as const, code, ...(httpStatus && { httpStatus }) }
  fake.script({ to: who.e164, times, outcome })
  await dueSince(call.id)
  return { shop, who, code, key: `lead_outreach:${call.id}`, ...call }
}
type Met = Awaited<ReturnType<typeof meets>>

/** For how long this job was put off, by the clock of the transaction that added it. */
const waitOf = async (key: string): Promise<number | undefined> => {
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from run_at - created_at)::float8 as seconds
    from graphile_worker.jobs where key = ${key}`.execute(db)
  return rows[0]?.seconds
}

const isPutOff = async (t: Test, met: Met, attempts: number, [least, most] = [0, 0]) => {
  t.strictSame(await outreachOf(met.shop.tenantId, met.callId), ['scheduled', 'waiting'])
  t.match(await initialOf(met.id), { state: 'scheduled', error_code: met.code, attempts })
  t.match(await conversationOf(met.id), { state: 'open' })
  const wait = (await waitOf(met.key)) ?? Number.NaN
  t.ok(wait >= least && wait <= most, `after ${wait} s, expected ${least} to ${most}`)
}

const hasFailed = async (t: Test, { shop, who, id, callId, code }: Met, requests = 1) => {
  t.strictSame(await outreachOf(shop.tenantId, callId), ['failed', 'refused'])
  t.match(await initialOf(id), { state: 'failed', error_code: code, wamid: null })
  t.equal((await messagesAfter(id)).length, 1, 'no reminders')
  t.strictSame(await waitingFor(shop.tenantId), [], 'and no job')
  await addStrayJobs(id)
  await work()
  const codes = requestsOf(shop).map(request => request.code)
  t.strictSame(codes, Array(requests).fill(code), 'it is never tried again')
  t.strictSame(fake.inbox(who.e164), [])
}

/** What happens to one message concerns no other of that business. */
const othersGoOn = async (t: Test, { shop }: Met) => {
  const other = customer()
  const { id } = await miss(shop, other.local)
  await dueSince(id)
  t.equal(fake.inbox(other.e164).length, 1, 'others are written to')
}

await test('every code stands in one row', async t => {
  const codes = [...RETRY, ...FAIL].flatMap(row => row[1]).concat(OPT_OUT.map(row => row[1]))
  t.equal(new Set(codes).size, codes.length)
})

for (const [meaning, codes, waits] of RETRY)
  for (const code of codes) {
    await test(`${code}, ${meaning}: it is tried again, and sent`, async t => {
      const met = await meets(code)
      const { shop, who, id, callId, key } = met
      await isPutOff(t, met, 1, waits[0] && [...waits[0]])
      const due = await db.selectFrom('missed_calls').selectAll().where('id', '=', id).execute()
      await runAtOnce(key)
      await work()
      t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
      t.match(await initialOf(id), {
        state: 'accepted',
        reason: null,
        error_code: null,
        attempts: 2,
        due_at: due[0]?.outreach_due_at,
      })
      t.equal(fake.inbox(who.e164).length, 1)
      t.equal((await messagesAfter(id)).length, 3, 'with its reminders')
    })

    await test(`${code}, ${meaning}: after ${waits.length} more tries it has failed`, async t => {
      const met = await meets(code, waits.length + 1)
      for (const [n, wait] of waits.entries()) {
        await isPutOff(t, met, n + 1, [...wait])
        await runAtOnce(met.key)
        await work()
      }
      await hasFailed(t, met, waits.length + 1)
    })
  }

for (const [meaning, [code = 0]] of RETRY)
  await test(`${code}, ${meaning}: it is tried within the grace, not after it`, async t => {
    const early = await meets(code)
    await dueSince(early.id, '29 minutes 50 seconds')
    t.strictSame(await outreachOf(early.shop.tenantId, early.callId), ['sent', 'accepted'])
    const late = await meets(code)
    await dueSince(late.id, '30 minutes 1 second')
    t.strictSame(await outreachOf(late.shop.tenantId, late.callId), ['skipped', 'too_late'])
    t.strictSame(await messagesAfter(late.id), [['initial', 'skipped', 'too_late']])
    t.match(await conversationOf(late.id), { state: 'stopped', reason: 'too_late' })
    t.equal(requestsOf(late.shop).length, 1)
  })

for (const [meaning, codes] of FAIL)
  for (const code of codes)
    await test(`${code}, ${meaning}: it has failed`, async t => {
      const met = await meets(code)
      await hasFailed(t, met)
      t.match(await conversationOf(met.id), { state: 'stopped', reason: 'undeliverable' })
      t.match(await leadsOf(met.shop.tenantId), [{ state: 'new' }], 'nobody was contacted')
      if (code === codes[0]) await othersGoOn(t, met)
    })

for (const [meaning, code] of OPT_OUT)
  await test(`${code}, ${meaning}: she is never written to again`, async t => {
    const met = await meets(code)
    const { shop, who, id } = met
    await hasFailed(t, met)
    const optOuts = db.selectFrom('opt_outs').selectAll().where('phone', '=', who.e164)
    t.match(await optOuts.execute(), [{ tenant_id: shop.tenantId, source: `whatsapp_${code}` }])
    t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])
    t.match(await conversationOf(id), { state: 'opted_out' })
    const again = await miss(shop, who.local)
    t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'opted_out'])
    const elsewhere = await business()
    const there = await miss(elsewhere, who.local)
    t.strictSame(await outreachOf(elsewhere.tenantId, there.callId), ['scheduled', 'waiting'])
    await othersGoOn(t, met)
  })

for (const httpStatus of [400, 401, 403, 404, 418])
  await test(`a code that nobody listed, with ${httpStatus}: it has failed`, async t => {
    await hasFailed(t, await meets(987_654, 1, httpStatus))
  })

await test('a code that nobody listed, with 429: as throughput', async t => {
  const met = await meets(987_654, doubling.length + 1, 429)
  for (const [n, wait] of doubling.entries()) {
    await isPutOff(t, met, n + 1, [...wait])
    await runAtOnce(met.key)
    await work()
  }
  await hasFailed(t, met, doubling.length + 1)
})

for (const httpStatus of [500, 502, 503])
  await test(`a code that nobody listed, with ${httpStatus}: nobody knows`, async t => {
    const { shop, id, callId } = await meets(987_654, 1, httpStatus)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['unknown', 'no_answer'])
    t.strictSame(await messagesAfter(id), [['initial', 'unknown', `http_${httpStatus}`]])
    await addStrayJobs(id)
    await work()
    t.equal(requestsOf(shop).length, 1, 'it is never sent again')
  })
