/**
 * A replay under the settings there are says what the program has done: whatever is told of calls, replies and
 * opt-outs, in whatever order. SEED=... repeats a run, RUNS=... makes it longer.
 */
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { answeredPush, callBackPush, push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, work } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { tell } from '../tasks/support.ts'
import { readKnown, readRules, storedRecords } from '../../app/replay/stored.ts'
import { newSimulation, replay } from '../../app/replay/simulate.ts'
const seed = Number(process.env['SEED']) || randomInt(2 ** 31)
const numRuns = Number(process.env['RUNS']) || 4

/** Somebody of a few people; how long ago her call began; and what happens. */
const step = fc.record({
  who: fc.nat(2),
  ago: fc.constantFrom(20, 90, 300, 3 * 3600),
  what: fc.constantFrom(
    'missed',
    'missed',
    'missed',
    'answered',
    'called back',
    'unknown status',
    'not our number',
    'withheld',
    'landline',
    'foreign',
    'our own line',
    'timed out, then transferred',
    'transferred before its root',
    'forwarded in vain',
    'reply',
    'stop',
  ),
})
type Step = { who: number; ago: number; what: string }

type Shop = Awaited<ReturnType<typeof business>>

const take = async (
  shop: Shop,
  people: ReturnType<typeof customer>[],
  { who, ago, what }: Step,
) => {
  const { token, did, phoneNumberId } = shop
  const her = people[who] ?? customer()
  const call = { caller: her.local, did }
  const part = (root: string, fields: Record<string, unknown>) =>
    push({ ...call, type: 'XferCDR', OriginalIvrUniqueID: root, ...fields }, ago)
  const root = push({ ...call, type: 'Queue', status: 'TIMEOUT' }, ago)
  switch (what) {
    case 'missed':
      return tell(token, push(call, ago))
    case 'answered':
      return tell(token, answeredPush(call, ago))
    case 'called back':
      return tell(token, callBackPush({ caller: did, target: her.e164.slice(1) }, ago))
    case 'unknown status':
      return tell(token, push({ ...call, status: 'VOEND' }, ago))
    case 'not our number':
      return tell(token, push({ ...call, did: '0771234567' }, ago))
    case 'withheld':
      return tell(token, push({ ...call, caller: 'anonymous' }, ago))
    case 'landline':
      return tell(token, push({ ...call, caller: '031234567' }, ago))
    case 'foreign':
      return tell(token, push({ ...call, caller: '40376300329' }, ago))
    case 'our own line':
      return tell(token, push({ ...call, caller: did }, ago))
    case 'timed out, then transferred':
      return tell(token, root, part(root.ivruniqueid, { status: 'ANSWER', duration: 20 }))
    case 'transferred before its root':
      return tell(token, part(root.ivruniqueid, { status: 'NOANSWER' }), root)
    case 'forwarded in vain': {
      const byMachine = push({ ...call, status: 'ANSWER', duration: 5 }, ago)
      return tell(token, byMachine, part(byMachine.ivruniqueid, { type: 'Auto forward' }))
    }
    default:
      await happens([
        { kind: 'text', from: her.e164, phoneNumberId, text: what === 'stop' ? 'הסר' : 'אני כאן' },
      ])
      return undefined
  }
}

/** Of every call its verdict, and what became of it: as the program has written it down. */
const done = async (tenantId: string) => {
  const rows = await db
    .selectFrom('raw_cdrs')
    .leftJoin('missed_calls', join =>
      join
        .onRef('missed_calls.tenant_id', '=', 'raw_cdrs.tenant_id')
        .onRef('missed_calls.call_id', '=', 'raw_cdrs.root_call_id'),
    )
    .leftJoin('lead_conversations', 'lead_conversations.missed_call_id', 'missed_calls.id')
    .leftJoin('messages', join =>
      join
        .onRef('messages.lead_conversation_id', '=', 'lead_conversations.id')
        .on('messages.kind', '=', 'initial')
        .on('messages.state', '=', 'accepted'),
    )
    .select(['root_call_id', 'verdict', 'raw_cdrs.reason', 'outreach_state', 'outreach_reason'])
    .select('messages.kind')
    .where('raw_cdrs.tenant_id', '=', tenantId)
    .orderBy('raw_cdrs.id')
    .execute()
  return Object.fromEntries(
    rows.map(row => [
      row.root_call_id,
      [row.verdict, row.reason, row.outreach_state, row.outreach_reason, row.kind],
    ]),
  )
}

/** The same as a replay says. */
const replayed = (tenantId: string) =>
  db
    .transaction()
    .setAccessMode('read only')
    .execute(async trx => {
      const [from, to] = [new Date(0), new Date(Date.now() + 1000)]
      const rules = await readRules(trx, tenantId)
      const simulation = newSimulation(rules, await readKnown(trx, tenantId, from))
      await replay(storedRecords(trx, tenantId, from, to), [simulation], to)
      return Object.fromEntries(
        [...simulation.calls].map(([callId, { verdict, reason, missed }]) => [
          callId,
          [
            verdict,
            reason,
            missed?.state ?? null,
            missed?.reason ?? null,
            missed?.sent[0]?.kind ?? null,
          ],
        ]),
      )
    })

await t.test(`what has happened is what a replay says (SEED=${seed})`, async t => {
  let stories = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 15, maxLength: 20, size: 'max' }),
      // Sent at once, or still waiting when the story ends.
      fc.constantFrom('0 seconds', '10 minutes'),
      fc.constantFrom('24 hours', '0 seconds'),
      fc.constantFrom<('live' | 'shadow' | 'paused')[]>('live', 'live', 'shadow', 'paused'),
      fc.boolean(),
      async (steps, outreach_delay, repeat_window, mode, contact_foreign) => {
        const columns = { outreach_delay, repeat_window, contact_foreign }
        const shop = await business({ mode, columns })
        const people = [customer(), customer(), customer()]
        for (const one of steps) await take(shop, people, one)
        await work()
        stories++
        const was = await done(shop.tenantId)
        t.not(Object.keys(was).length, 0, 'calls were made')
        const says = await replayed(shop.tenantId)
        if (JSON.stringify(says) !== JSON.stringify(was))
          t.strictSame(says, was, JSON.stringify({ columns, mode, steps }))
        return JSON.stringify(says) === JSON.stringify(was)
      },
    ),
    { seed, numRuns, endOnFailure: true },
  )
  t.equal(stories, numRuns, 'all stories were played')
})
