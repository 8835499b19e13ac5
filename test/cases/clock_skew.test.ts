/**
 * The dyno's clock is hours away from Postgres's, or jumps: every message goes out once, when the database says that
 * it is due. (Case 40; the clock change in Israel is in voicenter/time, outreach/timing and outreach/quiet.)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, fake, missedCall } from '../support/ringback.ts'
import { IN_ORDER, soon, startProcess } from '../support/process.ts'
import { reported } from '../outreach/support.ts'
import { conversationOf, until } from '../tasks/support.ts'

const HOUR = 3_600_000

/** Its clock is so far off, and after SIGUSR2 so far. */
const clockOff = (first: number, then: number): string => `
  const True = Date
  let off = ${first}
  process.on('SIGUSR2', () => void (off = ${then}))
  globalThis.Date = class Date extends True {
    constructor(...parts) { super(...(parts.length ? parts : [True.now() + off])) }
    static now() { return True.now() + off }
  }`

/** How late the database saw each of the messages start, in seconds. */
const lateness = async (missedCallId: string) => {
  const { rows } = await sql<{ kind: string; late: number }>`
    select m.kind, extract(epoch from m.claimed_at - m.due_at)::float8 as late
    from messages m join lead_conversations c on c.id = m.lead_conversation_id
    where c.missed_call_id = ${missedCallId} order by m.id`.execute(db)
  return rows
}

const CLOCKS: [name: string, first: number, then: number][] = [
  ['an hour ahead', HOUR, HOUR],
  ['an hour behind', -HOUR, -HOUR],
  ['two hours behind, and then 25 ahead', -2 * HOUR, 25 * HOUR],
]

for (const [name, first, then] of CLOCKS)
  await t.test(`with a clock that is ${name}, all three messages go out once, in time`, async t => {
    const shop = await business({
      columns: {
        outreach_delay: '2 seconds',
        reminder_1_after: '3 seconds',
        reminder_2_after: '6 seconds',
        unresponsive_after: '1 second',
      },
    })
    const program = startProcess({}, clockOff(first, then))
    await program.running()
    const who = customer()
    const record = push({ caller: who.local, did: shop.did })
    const response = await fetch(
      `${await program.url()}/webhooks/voicenter/cdr?token=${shop.token}`,
      {
        method: 'POST',
        body: JSON.stringify(record),
      },
    )
    t.equal(response.status, 200)
    const recorded = async () => (await missedCall(shop.tenantId, record.ivruniqueid)) !== undefined
    await soon('the call is judged', recorded)
    const call = await missedCall(shop.tenantId, record.ivruniqueid)
    t.match(call, { outreach_state: 'scheduled', outreach_reason: 'waiting' })
    const began = call?.called_at.getTime() ?? 0
    t.ok(Math.abs(Date.now() - began - 30_000) < 15_000, 'the call began when it began')
    program.signal('SIGUSR2')

    const got = () => fake.inbox(who.e164).map(({ template }) => template?.name)
    for (const [n, kind] of (['initial', 'reminder_1', 'reminder_2'] as const).entries()) {
      await soon(kind, () => got().length > n)
      t.equal(got().length, n + 1, `${kind} goes out`)
      await until(async () => {
        const { rows } =
          await sql`select from messages m join lead_conversations c on c.id = m.lead_conversation_id
          where c.missed_call_id = ${call?.id ?? null} and m.kind = ${kind} and m.state = 'accepted'`.execute(
            db,
          )
        return rows.length === 1
      })
      await reported((await conversationOf(call?.id ?? '')).id, kind, 'delivered')
    }
    for (const { kind, late } of await lateness(call?.id ?? ''))
      // Looked for within half a second, on a machine that tests other things too.
      t.ok(late >= 0 && late < 15, `${kind} ${late.toFixed(1)} s after it was due`)
    await sleep(1500)
    t.strictSame(got(), ['ringback_missed_call', 'ringback_reminder_1', 'ringback_reminder_2'])
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  })
