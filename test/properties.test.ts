/**
 * Somebody writes, gets through or is written to by hand, at any moment of the way of a message: whatever
 * the order, the story ends consistently. SEED=... repeats a run.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { business, customer, fake } from './support/ringback.ts'
import { assertStopped } from './support/consistent.ts'
import { intrude, type Intrusion, INTRUSIONS } from './support/intrude.ts'
import {
  claim,
  type Claimed,
  doorOf,
  due,
  missedBy,
  type Outcome,
  recorded,
  type Report,
  send,
  settled,
  type Step,
  TEMPLATE,
} from './support/steps.ts'

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)

/** Each is claimed, sent and recorded; the second time, if WhatsApp was busy the first. */
const TRIES = ['initial', 'initial', 'reminder_1', 'reminder_1', 'reminder_2'] as const
const PHASES = TRIES.flatMap(kind =>
  (['claim', 'send', 'record'] as const).map(phase => ({ kind, phase })),
)

const SENDS = {
  accepted: { kind: 'accept' },
  busy: { kind: 'error', code: 131000 },
  /** It says that it is busy, and has taken it nevertheless. */
  takenAnyway: { kind: 'error', code: 131000, accept: true },
  lost: { kind: 'cut' },
  refused: { kind: 'error', code: 131026 },
} as const

const moment = fc.nat(PHASES.length)
const story = fc.record({
  sends: fc.array(
    fc.oneof(
      { arbitrary: fc.constant('accepted' as const), weight: 4 },
      { arbitrary: fc.constantFrom('busy', 'takenAnyway', 'lost', 'refused'), weight: 3 },
    ),
    { minLength: TRIES.length, maxLength: TRIES.length },
  ),
  intrusions: fc.array(
    fc.record({
      what: fc.constantFrom(...INTRUSIONS),
      at: moment,
      /** At the same time as the step, not before it. */
      alongside: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  reports: fc.array(
    fc.record({
      kind: fc.constantFrom(...TRIES),
      status: fc.constantFrom('sent', 'delivered', 'read', 'failed'),
      at: moment,
      echo: fc.boolean(),
    }),
    { maxLength: 4 },
  ),
  /** Whether each message that was taken is also reported as delivered, as is usual. */
  usual: fc.boolean(),
})

type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

await test('whatever comes between, at any step, the end is consistent', async t => {
  t.comment(`SEED=${seed}`)
  const shop = await business()
  const door = await doorOf(shop)

  const run = async ({ sends, intrusions, reports, usual }: Story) => {
    const phone = customer().e164
    const missedCallId = await missedBy(shop, phone)
    let claimed: Claimed | null = null
    let outcome: Outcome | null = null
    let isStopped = false
    let later: Report[] = []

    const told = async (report: Report) => {
      if ((await settled(door, report)) === 'later') later.push(report)
    }
    const reportOn = async (kind: Step, status: string, echo: boolean) => {
      const message = fake.inbox(phone).find(({ template }) => template?.name === TEMPLATE[kind])
      if (!message) return
      await told({
        id: message.wamid,
        status,
        timestamp: Math.floor(Date.now() / 1000),
        recipient_id: phone.slice(1),
        pricing: { category: 'utility' },
        ...(status === 'failed' && { errors: [{ code: 131026 }] }),
        ...(echo && { biz_opaque_callback_data: message.biz_opaque_callback_data }),
      })
    }
    const take = async (n: number) => {
      const step = PHASES[n]
      if (!step) return
      const how = sends[Math.floor(n / 3)] ?? 'accepted'
      if (step.phase === 'claim') {
        await due(missedCallId, step.kind)
        claimed = await claim(missedCallId, step.kind)
        outcome = null
        assert.ok(!claimed || !isStopped, `${step.kind} was claimed after the stop`)
      } else if (step.phase === 'send' && claimed) {
        fake.script({ to: phone, template: TEMPLATE[step.kind], outcome: SENDS[how] })
        outcome = await send(claimed)
      } else if (claimed && outcome) {
        await recorded(claimed, outcome)
        if (how === 'takenAnyway' || (usual && how !== 'lost'))
          await reportOn(step.kind, 'delivered', true)
      }
    }

    const stops: Intrusion[] = []
    const come = async (what: Intrusion) => {
      if (await intrude(shop, { phone, missedCallId }, what)) stops.push(what)
    }
    for (let n = 0; n <= PHASES.length; n++) {
      for (const { kind, status, at, echo } of reports)
        if (at === n) await reportOn(kind, status, echo)
      const now = intrusions.filter(({ at }) => at === n)
      for (const { what, alongside } of now) if (!alongside) await come(what)
      isStopped = stops.length > 0
      const others = now.filter(({ alongside }) => alongside)
      await Promise.all([take(n), ...others.map(({ what }) => come(what))])
      isStopped = stops.length > 0
      const waiting = later
      later = []
      for (const report of waiting) await told(report)
    }
    if (!isStopped) await come('reply')
    await assertStopped(shop, { phone, missedCallId }, stops)
  }
  await fc.assert(fc.asyncProperty(story, run), {
    seed,
    numRuns: 80,
    includeErrorInReport: true,
  })
  t.pass()
})
