/**
 * As properties.test.ts, with the real tasks and the real webhooks at the same time, and the moment chosen
 * by the clock. SEED=... repeats the choices, not the races.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { sql } from 'kysely'
import { test } from 'tap'
import { answeredPush } from '../scripts/demo/cdr.ts'
import { business, customer, db, fake, work } from './support/ringback.ts'
import { assertStopped } from './support/consistent.ts'
import { type Intrusion, INTRUSIONS } from './support/intrude.ts'
import { doorOf, due, missedBy, sentTo, settled, TEMPLATE } from './support/steps.ts'
import { happens } from './support/whatsapp.ts'
import { initialOf, runAtOnce, tell } from './tasks/support.ts'

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)

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

await test('whatever comes at any moment of a real task, the end is consistent', async t => {
  t.comment(`SEED=${seed}`)
  const shop = await business()
  const door = await doorOf(shop)
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
      await settled(door, { id: wamid ?? '', status: 'delivered' })
      key = `lead_reminder:${lead_conversation_id}:1`
    }
    fake.script({ to: who.e164, template: TEMPLATE[step], outcome: { ...outcome, delayMs } })
    await due(id, step)
    await runAtOnce(key)
    await Promise.all([work(), sleep(afterMs).then(() => come(what, who, id))])
    fake.clearScripts()
    const stops: Intrusion[] = [what]
    // When it came too late for an operator to cancel anything.
    if (what === 'operator') {
      await happens({ kind: 'text', text: 'אני כאן', from: who.e164, phoneNumberId })
      stops.push('reply')
    }
    await assertStopped(shop, { phone: who.e164, missedCallId: id }, stops)
  }
  await fc.assert(fc.asyncProperty(race, run), { seed, numRuns: 25, includeErrorInReport: true })
  t.pass()
})
