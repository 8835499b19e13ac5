/** The clock of the machine is wrong or jumps: the clock of the database decides when a message is due. (Case 40) */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { reported } from '../outreach/support.ts'
import { ask, IN_ORDER, startProcess, waitUntil } from '../support/process.ts'
import { business, customer, db, fake, missedCall } from '../support/ringback.ts'
import { conversationOf } from '../tasks/support.ts'

const HOUR = 3_600_000
/** A preload: the clock is wrong by `first`, and after SIGUSR2 by `then`. */
const wrongClock = (first: number, then: number): string => `
  const RealDate = Date
  let offset = ${first}
  process.on('SIGUSR2', () => void (offset = ${then}))
  globalThis.Date = class Date extends RealDate {
    constructor(...parts) { super(...(parts.length ? parts : [RealDate.now() + offset])) }
    static now() { return RealDate.now() + offset }
  }`
const CLOCKS: [name: string, first: number, then: number][] = [
  ['an hour fast', HOUR, HOUR],
  ['an hour slow', -HOUR, -HOUR],
  ['two hours slow and then 25 hours fast', -2 * HOUR, 25 * HOUR],
]
for (const [name, first, then] of CLOCKS)
  await t.test(`with a clock that is ${name}, each message is sent once and in time`, async t => {
    const shop = await business({
      columns: {
        outreach_delay: '1 second',
        reminder_1_after: '2 seconds',
        reminder_2_after: '4 seconds',
        unresponsive_after: '1 second',
      },
    })
    const program = startProcess({}, wrongClock(first, then))
    await program.running()
    const caller = customer()
    const cdr = push({ caller: caller.local, did: shop.did })
    const url = `${await program.url()}/webhooks/voicenter/cdr?token=${shop.token}`
    t.match(await ask(url, cdr), { status: 200 })
    const recorded = () => missedCall(shop.tenantId, cdr.ivruniqueid)
    await waitUntil('the missed call is recorded', async () => (await recorded()) !== undefined)
    const call = await recorded()
    t.match(call, { outreach_state: 'scheduled', outreach_reason: 'waiting' })
    const began = call?.called_at.getTime() ?? 0
    t.ok(Math.abs(Date.now() - began - 30_000) < 15_000, 'the call has its real time')
    program.signal('SIGUSR2')

    const templates = () => fake.inbox(caller.e164).map(({ template }) => template?.name)
    for (const [n, kind] of (['initial', 'reminder_1', 'reminder_2'] as const).entries()) {
      await waitUntil(kind, () => templates().length > n)
      t.equal(templates().length, n + 1, kind)
      await waitUntil(`${kind} is accepted`, async () => {
        const { rows } = await sql`
          select from messages m join lead_conversations c on c.id = m.lead_conversation_id
          where c.missed_call_id = ${call?.id ?? null} and m.kind = ${kind} and m.state = 'accepted'`.execute(
          db,
        )
        return rows.length === 1
      })
      await reported((await conversationOf(call?.id ?? '')).id, kind, 'delivered')
    }
    const { rows } = await sql<{ kind: string; late: number }>`
      select m.kind, extract(epoch from m.claimed_at - m.due_at)::float8 as late
      from messages m join lead_conversations c on c.id = m.lead_conversation_id
      where c.missed_call_id = ${call?.id ?? null}`.execute(db)
    for (const { kind, late } of rows)
      t.ok(late >= 0 && late < 15, `${kind} ${late.toFixed(1)} s after it was due`)
    await sleep(1500)
    t.strictSame(templates(), [
      'ringback_missed_call',
      'ringback_reminder_1',
      'ringback_reminder_2',
    ])
    program.signal('SIGTERM')
    t.match(await program.ended(), IN_ORDER)
  })
