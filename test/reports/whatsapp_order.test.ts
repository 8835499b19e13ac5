/** Meta delivers in any order, and may try for days: what people wrote counts in the order in which they wrote it. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { lockPeople, peopleOf } from '../../app/db/locks.ts'
import { markCalledBack, setOutcome } from '../../app/outreach/lead_actions.ts'
import { addOptOut } from '../../app/privacy/do_not_contact.ts'
import {
  type Business,
  business,
  customer,
  db,
  fake,
  outreachOf,
  work,
} from '../support/ringback.ts'
import {
  change,
  contacted,
  deliver,
  envelope,
  eventsOf,
  optOutsOf,
  receivedBy,
} from '../support/whatsapp.ts'
import { leadsOf, miss, runAtOnce } from '../tasks/support.ts'
import { OPERATOR } from '../tenants/support.ts'
import { ago, delivered, echo, from, preference, talk, text, wamid, written } from './support.ts'

const HOUR = 3600
/** So that a new call of theirs is decided for itself. */
const longAgo = async ({ tenantId }: Business) => {
  for (const column of ['created_at', 'claimed_at', 'accepted_at', 'due_at'])
    await sql`update messages set ${sql.ref(column)} = ${sql.ref(column)} - interval '3 days' where tenant_id = ${tenantId}`.execute(
      db,
    )
  await sql`update messages set state = 'cancelled', reason = 'by_operator' where tenant_id = ${tenantId} and state = 'scheduled'`.execute(
    db,
  )
  await sql`
    update missed_calls set created_at = created_at - interval '3 days', called_at = called_at - interval '3 days'
    where tenant_id = ${tenantId}`.execute(db)
}
const outcome = async (shop: Business, { callId }: { callId: string }) =>
  (await outreachOf(shop.tenantId, callId))?.join(' ')

/** How many people of a business wrote or called on WhatsApp in the last 24 hours. */
const heardToday = async ({ tenantId }: Business) => {
  const { rows } = await sql`
    select from leads where tenant_id = ${tenantId} and heard_at > now() - interval '24 hours'`.execute(
    db,
  )
  return rows.length
}

const [STOP, START] = [text('הסר'), text('התחל')]
const ORDERS: [
  name: string,
  first: object,
  second: object,
  secondsBetween: number,
  out: boolean,
][] = [
  ['stop, then start', STOP, START, 5, false],
  ['start, then stop', START, STOP, 5, true],
  ['stop, then start in the same second', STOP, START, 0, false],
  ['start, then stop in the same second', START, STOP, 0, true],
]
for (const [name, first, second, between, isOut] of ORDERS)
  for (const known of [true, false]) {
    t.test(`${name}, of a person who is ${known ? 'known' : 'unknown'}`, async t => {
      const shop = await business()
      const orders = between ? ['in order', 'the second first', 'in one POST'] : ['in order']
      for (const how of orders) {
        const who = known ? await contacted(shop) : customer()
        const values = [written(from(who), 10 + between, first), written(from(who), 10, second)]
        if (how === 'in one POST') await delivered(shop, values)
        else
          for (const value of how === 'in order' ? values : values.toReversed())
            await delivered(shop, [value])
        const out = (await optOutsOf(shop)).some(([phone]) => phone === who.e164)
        t.equal(out, isOut, how)
      }
    })
  }

t.test(
  'the switch in WhatsApp: a "resume" that was set before does not take back a stop',
  async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await delivered(shop, [preference(dana.e164, 10, 'stop')], 'user_preferences')
    await delivered(shop, [preference(dana.e164, 60, 'resume')], 'user_preferences')
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'user_preferences']])
    await delivered(shop, [preference(dana.e164, 5, 'resume')], 'user_preferences')
    t.strictSame(await optOutsOf(shop), [])
    await delivered(shop, [written(from(dana), 2, START)])
    await delivered(shop, [preference(dana.e164, 4, 'stop')], 'user_preferences')
    t.strictSame(await optOutsOf(shop), [], 'they wrote "start" after it')
  },
)

t.test(
  'the switch in WhatsApp: a "stop" that comes after the "resume" that followed it',
  async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await delivered(shop, [preference(dana.e164, 30, 'resume')], 'user_preferences')
    await delivered(shop, [preference(dana.e164, 60, 'stop')], 'user_preferences')
    t.strictSame(await optOutsOf(shop), [])
    await delivered(shop, [written(from(dana), 90, STOP)])
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']], 'it takes back no words')
  },
)

t.test('"start" that comes hours late takes back no opt-out that was set since', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await sql`insert into opt_outs (tenant_id, phone, source) values (${shop.tenantId}, ${dana.e164}, 'operator')`.execute(
    db,
  )
  await delivered(shop, [written(from(dana), 2 * HOUR, START)])
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'operator']])
})

t.test(
  '"start" that comes hours late: an opt-out was typed before it, and set by hand after',
  async t => {
    const shop = await business()
    const { tenantId } = shop
    const dana = await contacted(shop)
    await delivered(shop, [written(from(dana), 3 * HOUR, STOP)])
    await db.transaction().execute(trx => addOptOut(trx, OPERATOR, { tenantId, number: dana.e164 }))
    await delivered(shop, [written(from(dana), 2 * HOUR, START)])
    t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
    await delivered(shop, [written(from(dana), 0, START)])
    t.strictSame(await optOutsOf(shop), [], 'a "start" of now takes back both')
  },
)

t.test('what a stranger wrote with their number is not read again when they call', async t => {
  const shop = await business()
  const dana = customer()
  await delivered(shop, [written(from(dana), 2 * HOUR, text('שאלה ישנה'))])
  await contacted(shop, dana)
  await work()
  t.strictSame(await receivedBy(shop), [['שאלה ישנה', false]])
})

t.test('a reply by hand that was never sent leaves the first message', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await longAgo(shop)
  for (const state of ['skipped', 'cancelled', 'failed'])
    await sql`
      insert into messages (tenant_id, lead_id, whatsapp_connection_id, direction, kind, state, reason, text, due_at, idempotency_key)
      select tenant_id, lead_id, whatsapp_connection_id, 'out', 'manual', ${state}, 'by_operator', 'x', now(), ${state}
      from messages where tenant_id = ${shop.tenantId} and kind = 'initial'`.execute(db)
  t.equal(await outcome(shop, await miss(shop, dana.local, {}, 60)), 'scheduled waiting')
})

t.test('"start" takes back every opt-out before it, however it was set', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  for (const source of ['operator', 'import', 'whatsapp_131050']) {
    await sql`insert into opt_outs (tenant_id, phone, source) values (${shop.tenantId}, ${dana.e164}, ${source})`.execute(
      db,
    )
    await delivered(shop, [written(from(dana), 0, START)])
    t.strictSame(await optOutsOf(shop), [], source)
  }
})

const LATE: [name: string, value: (e164: string) => object, field?: string][] = [
  ['a text', e164 => written({ from: e164.slice(1) }, 26 * HOUR, text('כן'))],
  [
    '"call me back"',
    e164 =>
      written({ from: e164.slice(1) }, 26 * HOUR, {
        type: 'button',
        button: { text: 'x', payload: 'ringback:callback' },
      }),
  ],
  ['"start"', e164 => written({ from: e164.slice(1) }, 26 * HOUR, START)],
  ['the owner', e164 => echo(e164.slice(1), 26 * HOUR), 'smb_message_echoes'],
]
for (const [name, value, field] of LATE)
  t.test(`of yesterday: ${name} is no answer to a call of today, and opens no window`, async t => {
    const shop = await business()
    const dana = await contacted(shop)
    await longAgo(shop)
    const call = await miss(shop, dana.local)
    t.equal(await outcome(shop, call), 'scheduled waiting')
    await delivered(shop, [value(dana.e164)], field)
    t.equal(await outcome(shop, call), 'scheduled waiting')
    t.equal(await heardToday(shop), 0)
    t.match(await leadsOf(shop.tenantId), [{ state: 'new' }], 'of the call of today')
  })

for (const how of ['called back', 'an outcome'])
  t.test(`"call me back" from before "${how}" asks for nothing`, async t => {
    const shop = await business({ columns: { owner_phone: customer().e164 } })
    const { tenantId } = shop
    const dana = await contacted(shop)
    const [{ id: leadId } = { id: '' }] = await leadsOf(tenantId)
    await db.transaction().execute(async trx => {
      if (how === 'called back') await markCalledBack(trx, OPERATOR, { tenantId, leadId })
      else await setOutcome(trx, OPERATOR, { tenantId, leadId, outcome: 'won' })
    })
    const tap = (secondsAgo: number) =>
      delivered(shop, [
        written(from(dana), secondsAgo, {
          type: 'button',
          button: { text: 'x', payload: 'ringback:callback' },
        }),
      ])
    await tap(HOUR)
    t.match(await leadsOf(tenantId), [{ callback_requested_at: null }])
    await tap(0)
    t.match(await leadsOf(tenantId), [{ callback_requested_at: Date }])
  })

const CONCURRENT: [name: string, value: (e164: string) => object, field: string][] = [
  ['a talk', e164 => talk(e164, 5), 'calls'],
  ['the switch in WhatsApp', e164 => preference(e164, 5, 'stop'), 'user_preferences'],
]
for (const [name, value, field] of CONCURRENT)
  t.test(`${name} of a stranger waits while another transaction records their call`, async t => {
    const shop = await business()
    const dana = customer()
    const other = await db.startTransaction().execute()
    await lockPeople(other, peopleOf(shop.tenantId, [dana.e164]))
    const reading = delivered(shop, [value(dana.e164)], field)
    await sleep(500)
    t.match(await eventsOf(shop.tenantId), [{ outcome: null }])
    await other.commit().execute()
    await reading
    t.match(await eventsOf(shop.tenantId), [{ outcome: String }])
  })

t.test('a "stop" of last week is an opt-out', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  await longAgo(shop)
  const call = await miss(shop, dana.local)
  await delivered(shop, [written(from(dana), 6 * 24 * HOUR, STOP)])
  t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
  t.equal(await outcome(shop, call), 'cancelled opted_out')
})

t.test('an impossible time of a message counts as now', async t => {
  for (const timestamp of ['1603059201', '0', '-1', '9999999999', 'x', undefined]) {
    const shop = await business()
    const dana = customer()
    const call = await miss(shop, dana.local)
    await delivered(shop, [
      { messages: [{ ...from(dana), id: wamid(), ...text('כן'), timestamp }] },
    ])
    t.equal(await outcome(shop, call), 'cancelled replied', String(timestamp))
  }
})

t.test('a WhatsApp call of the day before opens no window', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const { phoneNumberId } = shop
  const call = { id: `wacid.O${randomInt(1e12)}`, from: dana.e164.slice(1), event: 'terminate' }
  for (const status of ['COMPLETED', 'FAILED']) {
    const calls = [
      { ...call, status, duration: 5, direction: 'USER_INITIATED', timestamp: ago(30 * HOUR) },
    ]
    await deliver(envelope(change(phoneNumberId, { calls }, 'calls')))
    await work()
  }
  t.equal(await heardToday(shop), 0)
})

t.test('before the CDR of their call arrives, a person with a hidden number writes', async t => {
  const shop = await business()
  const dana = customer()
  const userId = `IL.9${dana.e164.slice(5)}`
  fake.setPerson({ phone: dana.e164, userId })
  await contacted(shop, dana)
  await longAgo(shop)
  await delivered(shop, [written({ from_user_id: userId }, 60, text('אני כאן'))])
  t.equal(await outcome(shop, await miss(shop, dana.local, {}, 300)), 'cancelled replied')
  await longAgo(shop)
  t.equal(await outcome(shop, await miss(shop, dana.local, {}, 30)), 'scheduled waiting', 'earlier')
})

for (const known of [true, false])
  t.test(
    `before the CDR of a call arrives, the owner writes to a caller who is ${known ? 'known' : 'new'}`,
    async t => {
      const shop = await business()
      const call = async (secondsAgo: number) => {
        const dana = known ? await contacted(shop) : customer()
        await longAgo(shop)
        await delivered(shop, [echo(dana.e164.slice(1), 60)], 'smb_message_echoes')
        return outcome(shop, await miss(shop, dana.local, {}, secondsAgo))
      }
      t.equal(await call(300), 'cancelled owner_replied')
      t.equal(await call(30), 'scheduled waiting', 'before the call')
      const plus = customer()
      await delivered(shop, [echo(plus.e164, 60)], 'smb_message_echoes')
      t.equal(await outcome(shop, await miss(shop, plus.local, {}, 300)), 'cancelled owner_replied')
    },
  )

for (const inOnePost of [true, false])
  t.test(
    `"stop" under an id that a report explains later${inOnePost ? ', in one POST' : ''}`,
    async t => {
      const shop = await business()
      const dana = await contacted(shop)
      const userId = `IL.6${dana.e164.slice(5)}`
      const values = [
        written({ from_user_id: userId }, 20, STOP),
        {
          statuses: [
            {
              id: dana.wamid,
              status: 'delivered',
              timestamp: ago(25),
              recipient_id: dana.e164.slice(1),
              recipient_user_id: userId,
            },
          ],
        },
      ]
      if (inOnePost) await delivered(shop, values)
      else for (const value of values) await delivered(shop, [value])
      // Both may be read at the same moment. Then the message is read again.
      for (const { id, kind } of await eventsOf(shop.tenantId))
        if (kind === 'message') await runAtOnce(`whatsapp_event:${id}`)
      await work()
      t.strictSame(await optOutsOf(shop), [[dana.e164, 'typed']])
      t.strictSame(await receivedBy(shop), [['הסר', true]])
      const { rows } = await sql`
      select from messages where tenant_id = ${shop.tenantId} and kind in ('reminder_1', 'reminder_2') and state = 'scheduled'`.execute(
        db,
      )
      t.strictSame(rows, [])
    },
  )
