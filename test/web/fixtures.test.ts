/** The sample records, through the door: what each is judged to be, and who its caller is. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import {
  business,
  type Business,
  db,
  jobs,
  OK,
  outreachOf,
  post,
  verdictsOf,
  webhookToken,
  work,
} from '../support/ringback.ts'

/** 0722776772 in the records. */
const E164 = '+972722776772'

const read = (file: string) =>
  readFile(new URL(`../fixtures/voicenter/${file}`, import.meta.url), 'utf8')

/** The line can belong to one business at a time, so it goes from each test to the next. */
const owner = async (columns = {}): Promise<Business> => {
  const owner = await business({ columns })
  await db.deleteFrom('tenant_numbers').where('phone', '=', E164).execute()
  await db.insertInto('tenant_numbers').values({ tenant_id: owner.tenantId, phone: E164 }).execute()
  return owner
}
const deliver = async ({ token }: Business, file: string) => {
  const type = file.endsWith('.txt') ? 'application/x-www-form-urlencoded' : 'application/json'
  return post(await read(file), { token, headers: { 'content-type': type } })
}

type Expected = { verdict: [string, string]; caller?: string | null; outreach?: [string, string] }
const TOO_LATE: [string, string] = ['skipped', 'too_late']
const EXPECTED: Record<string, Expected> = {
  'queue-answer.json': { verdict: ['answered', 'answer'] },
  'outgoing-answer.json': { verdict: ['not_inbound', 'outgoing'] },
  'missed-callid-shape.json': {
    verdict: ['missed', 'noanswer'],
    caller: '+972502345678',
    outreach: TOO_LATE,
  },
  'missed-noanswer.json': {
    verdict: ['missed', 'noanswer'],
    caller: '+972523456789',
    outreach: TOO_LATE,
  },
  'missed-abandone-queue.json': {
    verdict: ['missed', 'abandone'],
    caller: '+972542345678',
    outreach: TOO_LATE,
  },
  'missed-withheld.json': {
    verdict: ['missed', 'noanswer'],
    caller: null,
    outreach: ['skipped', 'withheld_number'],
  },
  'missed-landline.json': {
    verdict: ['missed', 'cancel'],
    caller: '+97231234567',
    outreach: ['skipped', 'not_mobile'],
  },
  'missed-form-encoded.txt': {
    verdict: ['missed', 'busy'],
    caller: '+972542345678',
    outreach: TOO_LATE,
  },
  'answered-by-agent.json': { verdict: ['answered', 'agent'] },
  'transfer-root.json': { verdict: ['answered', 'agent'] },
  'transfer-leg.json': { verdict: ['unknown', 'waiting_for_root'] },
  'outgoing-callback-answered.json': { verdict: ['not_inbound', 'outgoing'] },
}

const missedCallsOf = (tenantId: string) =>
  db.selectFrom('missed_calls').selectAll().where('tenant_id', '=', tenantId).execute()

for (const [file, { verdict, caller, outreach }] of Object.entries(EXPECTED))
  await t.test(`${file} is ${verdict.join(', ')}`, async t => {
    const sender = await owner()
    t.strictSame(await deliver(sender, file), OK)
    await work()
    const rows = await db
      .selectFrom('raw_cdrs')
      .selectAll()
      .where('tenant_id', '=', sender.tenantId)
      .execute()
    t.strictSame(
      rows.map(row => [row.verdict, row.reason]),
      [verdict],
    )
    t.strictSame(rows[0]?.body?.toString(), await read(file), 'and kept as it came')
    const calls = await missedCallsOf(sender.tenantId)
    t.strictSame(
      calls.map(call => [call.caller_phone, call.business_phone]),
      caller === undefined ? [] : [[caller, E164]],
    )
    t.strictSame(
      calls.map(call => [call.outreach_state, call.outreach_reason]),
      outreach ? [outreach] : [],
    )
  })

await t.test('each of them is recognised by an unbound token through the number alone', async t => {
  const { tenantId } = await owner()
  const token = await webhookToken(null)
  for (const file of Object.keys(EXPECTED))
    t.strictSame(await post(await read(file), { token }), OK, file)
  await work()
  const rows = await db
    .selectFrom('raw_cdrs')
    .select('verdict')
    .where('tenant_id', '=', tenantId)
    .execute()
  t.equal(rows.length, Object.keys(EXPECTED).length)
  t.notOk(rows.some(({ verdict }) => verdict === 'unmatched_number'))
})

const ROOT = '202611181020020c41b'
for (const [first, second] of [
  ['transfer-root.json', 'transfer-leg.json'],
  ['transfer-leg.json', 'transfer-root.json'],
] as const)
  for (const workBetween of [true, false])
    await t.test(
      `${first}, then ${second}${workBetween ? '' : ' at once'}: one answered call`,
      async t => {
        const sender = await owner()
        t.strictSame(await deliver(sender, first), OK)
        if (workBetween) await work()
        t.strictSame(await missedCallsOf(sender.tenantId), [])
        t.strictSame(await deliver(sender, second), OK)
        await work()
        t.strictSame(await verdictsOf(sender.tenantId, ROOT), [
          ['answered', 'agent'],
          ['answered', 'agent'],
        ])
        t.strictSame(await missedCallsOf(sender.tenantId), [])
      },
    )

const MISSED = '2026071416421001c7d'
for (const [first, second] of [
  ['missed-noanswer.json', 'outgoing-callback-answered.json'],
  ['outgoing-callback-answered.json', 'missed-noanswer.json'],
] as const)
  await t.test(`${first}, then ${second}: she was reached, and is not written to`, async t => {
    // The records are months old: what is tested is not their age.
    const sender = await owner({ oldest_call: '100 years' })
    t.strictSame(await deliver(sender, first), OK)
    await work()
    if (first === 'missed-noanswer.json')
      t.strictSame(await outreachOf(sender.tenantId, MISSED), ['scheduled', 'waiting'])
    t.strictSame(await deliver(sender, second), OK)
    await work()
    t.strictSame(await outreachOf(sender.tenantId, MISSED), ['cancelled', 'reached_by_phone'])
    t.match(await missedCallsOf(sender.tenantId), [{ caller_phone: '+972523456789' }])
    t.strictSame(await jobs('lead_outreach'), [], 'nothing waits for her')
  })
