/**
 * A tenant with thousands of due messages and a slow WhatsApp: the messages, calls and opt-outs of another tenant are not
 * delayed, and no message goes out after a "stop" was answered with 200.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { scheduleOutreach } from '../../../app/outreach/missed_calls.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { reported } from '../../outreach/support.ts'
import { startProcess, waitUntil } from '../../support/process.ts'
import { business, type Business, customer, db, fake, OK, post } from '../../support/ringback.ts'
import { dueMessage } from '../../support/sending.ts'
import { due, sentTo } from '../../support/steps.ts'
import { change, deliver, envelope, eventsOf } from '../../support/whatsapp.ts'
import { conversationOf, requestsOf, runAtOnce } from '../../tasks/support.ts'

const ANSWER_MS = 400
/** Two minutes of work for the 16 messages that one tenant sends at once. */
const BURST = 5000
const CDRS = 2000

/** Calls whose first messages are due, one after the other within the last seconds. */
const addDueMessages = async ({ tenantId, line }: Business, count: number): Promise<void> => {
  await db.transaction().execute(async trx => {
    const { rows } = await sql<{ id: string }>`
      with people as (
        insert into leads (tenant_id, phone, missed_call_count)
        select ${tenantId}, '+97254' || (3000000 + n), 1 from generate_series(1, ${count}::int) n
        returning id, phone
      )
      insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                                outreach_state, outreach_reason, outreach_due_at)
      select ${tenantId}, id, 'burst ' || id, phone, ${line}, 'NOANSWER', now() - interval '3 minutes',
             'scheduled', 'waiting', now() - interval '5 seconds' + id % 1000 * interval '1 ms'
      from people returning id`.execute(trx)
    await scheduleOutreach(
      trx,
      rows.map(({ id }) => id),
    )
  })
}

/** A person whose reminder waits. */
const remindable = async (shop: Business) => {
  const who = customer()
  const { id } = await sentTo(shop, who.e164)
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  const remind = async () => {
    await due(id, 'reminder_1')
    await runAtOnce(`lead_reminder:${conversation}:1`)
  }
  return { ...who, id, remind }
}

/** @returns when the "stop" was answered, by the clock of the fake WhatsApp */
const stops = async ({ phoneNumberId }: Business, who: { e164: string }): Promise<number> => {
  const message = {
    id: `wamid.${randomUUID()}`,
    from: who.e164.slice(1),
    type: 'text',
    text: { body: 'הסר' },
  }
  const { status } = await deliver(envelope(change(phoneNumberId, { messages: [message] })))
  if (status !== 200) throw new Error(`answered ${status}`)
  return Date.now()
}
const isRead = async ({ tenantId }: Business) =>
  (await eventsOf(tenantId)).every(({ kind, outcome }) => kind !== 'message' || outcome !== null)
/** The templates that a person received after this time. */
const sentAfter = (who: { e164: string }, time: number) =>
  fake
    .inbox(who.e164)
    .filter(({ template, acceptedAt }) => template && Date.parse(acceptedAt) > time)

const isWithin = (t: Test, what: string, seconds: number, limit: number) => {
  t.comment(`${what}: ${seconds.toFixed(2)} s`)
  t.ok(seconds < limit, `${what} within ${limit} s: ${seconds.toFixed(2)} s`)
}
const firstMessage = async (t: Test, shop: Business) => {
  const message = await dueMessage(shop)
  await message.begin()
  isWithin(t, 'first message', await waitUntil('sent', () => message.received() > 0), 5)
}

const [busy, quiet] = [await business(), await business()]
// Before WhatsApp is slow.
const [busyCaller, quietCaller] = [await remindable(busy), await remindable(quiet)]
fake.script({ times: 'always', outcome: { kind: 'accept', delayMs: ANSWER_MS } })
await addDueMessages(busy, BURST)
const program = startProcess({ ROLE: 'worker' })
await program.running()
await waitUntil('the burst is under way', () => requestsOf(busy).length > 50)

await t.test('the busy tenant sends as many messages as all workers can', async t => {
  const before = requestsOf(busy).length
  await sleep(3000)
  const rate = (requestsOf(busy).length - before) / 3
  t.comment(`${rate.toFixed(0)} messages a second`)
  t.ok(rate > (16 / ANSWER_MS) * 1000 * 0.5)
})

await t.test('a first message of the quiet tenant', t => firstMessage(t, quiet))

await t.test('its calls are classified, also while the other posts thousands', async t => {
  const missed = ({ did }: Business) => push({ caller: customer().local, did })
  for (let n = 0; n < CDRS / 100; n++)
    await post(
      Array.from({ length: 100 }, () => missed(busy)),
      busy,
    )
  const record = missed(quiet)
  t.strictSame(await post(record, quiet), OK)
  const isClassified = async () => {
    const rows = db
      .selectFrom('missed_calls')
      .select('id')
      .where('call_id', '=', record.ivruniqueid)
    return (await rows.execute()).length > 0
  }
  isWithin(t, 'classified', await waitUntil('classified', isClassified), 3)
  await firstMessage(t, quiet)
})

for (const [name, shop, who] of [
  ['the busy', busy, busyCaller],
  ['the quiet', quiet, quietCaller],
] as const)
  await t.test(`a "stop" to ${name} tenant, whose reminder is due`, async t => {
    // The reminder waits behind the burst of its own tenant. The quiet one is due only after the "stop".
    if (shop === busy) await who.remind()
    const at = await stops(shop, who)
    if (shop === quiet) await who.remind()
    isWithin(t, 'read', await waitUntil('read', () => isRead(shop)), 2)
    await sleep(1000)
    t.strictSame(sentAfter(who, at), [], 'no reminder after the 200')
  })

await t.test('WhatsApp does not answer the busy tenant at all', async t => {
  fake.script({ phoneNumberId: busy.phoneNumberId, times: 'always', outcome: { kind: 'hang' } })
  await waitUntil('nothing more is sent', async () => {
    const before = requestsOf(busy).length
    await sleep(1000)
    return requestsOf(busy).length === before
  })
  const late = customer()
  await sentTo(quiet, late.e164)
  await firstMessage(t, quiet)
  await stops(quiet, late)
  isWithin(t, 'read', await waitUntil('read', () => isRead(quiet)), 2)
})
