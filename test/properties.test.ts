/**
 * A caller replies, opts out or is reached, or an operator cancels, at any time while a message is sent: the result is
 * always consistent. SEED=... repeats a run; in the second test it repeats the choices, but not the races.
 */
import fc from 'fast-check'
import { sql } from 'kysely'
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { answeredPush } from '../scripts/demo/cdr.ts'
import { assertStopped } from './support/consistent.ts'
import { intrude, type Intrusion, INTRUSIONS } from './support/intrude.ts'
import { business, customer, db, fake, work } from './support/ringback.ts'
import {
  claim,
  type Claimed,
  connectionOf,
  due,
  missedBy,
  type Outcome,
  recorded,
  type Report,
  send,
  sentTo,
  settled,
  type Step,
  TEMPLATE,
} from './support/steps.ts'
import { happens } from './support/whatsapp.ts'
import { initialOf, runAtOnce, tell } from './tasks/support.ts'

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)

/** The messages that are claimed, sent and recorded. The second attempt is for a busy WhatsApp. */
const TRIES = ['initial', 'initial', 'reminder_1', 'reminder_1', 'reminder_2'] as const
const PHASES = TRIES.flatMap(kind =>
  (['claim', 'send', 'record'] as const).map(phase => ({ kind, phase })),
)

const SENDS = {
  accepted: { kind: 'accept' },
  busy: { kind: 'error', code: 131000 },
  /** WhatsApp answers that it is busy, but sends the message. */
  takenAnyway: { kind: 'error', code: 131000, accept: true },
  lost: { kind: 'cut' },
  refused: { kind: 'error', code: 131026 },
} as const

const moment = fc.nat(PHASES.length)
const runs = fc.record({
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
  /** Whether each accepted message is reported as delivered. */
  usual: fc.boolean(),
})

type Run = typeof runs extends fc.Arbitrary<infer T> ? T : never

await test('an intrusion at any step gives a consistent result', async t => {
  t.comment(`SEED=${seed}`)
  const shop = await business()
  const connection = await connectionOf(shop)

  const run = async ({ sends, intrusions, reports, usual }: Run) => {
    const phone = customer().e164
    const missedCallId = await missedBy(shop, phone)
    let claimed: Claimed | null = null
    let outcome: Outcome | null = null
    let isStopped = false
    let later: Report[] = []

    const told = async (report: Report) => {
      if ((await settled(connection, report)) === 'later') later.push(report)
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
  await fc.assert(fc.asyncProperty(runs, run), {
    seed,
    numRuns: 80,
    includeErrorInReport: true,
  })
  t.pass()
})

const race = fc.record({
  step: fc.constantFrom('initial' as const, 'reminder_1' as const),
  what: fc.constantFrom(...INTRUSIONS),
  outcome: fc.constantFrom(
    { kind: 'accept' as const },
    { kind: 'error' as const, code: 131000 },
    { kind: 'error' as const, code: 131026 },
    { kind: 'cut' as const },
  ),
  delayMs: fc.nat(80),
  afterMs: fc.nat(120),
})
type Race = typeof race extends fc.Arbitrary<infer T> ? T : never

await test('an intrusion at any time during a real task gives a consistent result', async t => {
  t.comment(`SEED=${seed}`)
  const shop = await business()
  const connection = await connectionOf(shop)
  const { phoneNumberId } = shop

  const come = async (
    what: Intrusion,
    { local, e164 }: { local: string; e164: string },
    id: string,
  ) => {
    if (what === 'operator') await sql`select cancel_outreach(${id})`.execute(db)
    else if (what === 'owner') await happens({ kind: 'echo', to: e164, text: 'היי', phoneNumberId })
    else if (what === 'answered')
      await tell(shop.token, answeredPush({ caller: local, did: shop.did }, 5))
    else
      await happens({
        kind: 'text',
        text: what === 'stop' ? 'הסר' : 'אני כאן',
        from: e164,
        phoneNumberId,
      })
  }

  const run = async ({ step, what, outcome, delayMs, afterMs }: Race) => {
    const who = customer()
    let id = ''
    let key = ''
    if (step === 'initial') {
      id = await missedBy(shop, who.e164)
      key = `lead_outreach:${id}`
    } else {
      id = (await sentTo(shop, who.e164)).id
      const { wamid, lead_conversation_id } = await initialOf(id)
      await settled(connection, { id: wamid ?? '', status: 'delivered' })
      key = `lead_reminder:${lead_conversation_id}:1`
    }
    fake.script({ to: who.e164, template: TEMPLATE[step], outcome: { ...outcome, delayMs } })
    await due(id, step)
    await runAtOnce(key)
    await Promise.all([work(), sleep(afterMs).then(() => come(what, who, id))])
    fake.clearScripts()
    const stops: Intrusion[] = [what]
    // If it came too late, the operator cancelled nothing. Then a reply ends the conversation.
    if (what === 'operator') {
      await happens({ kind: 'text', text: 'אני כאן', from: who.e164, phoneNumberId })
      stops.push('reply')
    }
    await assertStopped(shop, { phone: who.e164, missedCallId: id }, stops)
  }
  await fc.assert(fc.asyncProperty(race, run), {
    seed,
    numRuns: 25,
    includeErrorInReport: true,
  })
  t.pass()
})
