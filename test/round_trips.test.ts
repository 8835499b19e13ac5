/**
 * The number of queries for each step has a budget, because each query is a round trip to the database. The queries of
 * graphile-worker itself (two for each job) do not count.
 */
import pg from 'pg'
import t, { type Test } from 'tap'
import { sql } from 'kysely'
import { contacted, reported } from './outreach/support.ts'
import { business, customer, db, post, reminderDue, silenceDue, work } from './support/ringback.ts'
import { happens } from './support/whatsapp.ts'
import { conversationOf, dueSince, miss } from './tasks/support.ts'
import { push } from '../scripts/demo/cdr.ts'

let trips = 0
/** The queries of the test itself. */
const OF_THE_TEST =
  /^(select now\(\), |select from graphile_worker\._private_jobs|select from graphile_worker\.jobs|select graphile_worker\.reschedule_jobs|update \w+ set (outreach_)?due_at)/
const COUNTED = /^ringback (tasks|web)$/
// oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
pg.Client.prototype.query = new Proxy(pg.Client.prototype.query, {
  apply: (target, self: pg.Client & { connectionParameters: unknown }, args: unknown[]) => {
    const [first] = args
    const text = typeof first === 'object' && first && 'text' in first ? first.text : first
    const { connectionParameters: parameters } = self
    const name =
      typeof parameters === 'object' && parameters && 'application_name' in parameters
        ? String(parameters.application_name)
        : ''
    if (COUNTED.test(name) && !OF_THE_TEST.test(String(text).trim())) trips++
    return Reflect.apply(target, self, args)
  },
})

const during = async (step: () => Promise<unknown>): Promise<number> => {
  // New connections send queries too, so they are opened first.
  await Promise.all(Array.from({ length: 4 }, () => sql`select pg_sleep(0.01)`.execute(db)))
  trips = 0
  await step()
  return trips
}
/** The budget is the current number. A lower number is entered here; a higher one needs a good reason. */
const costs = async (t: Test, name: string, budget: number, step: () => Promise<unknown>) => {
  const cost = await during(step)
  t.ok(cost > 0 && cost <= budget, `${name}: ${cost} of ${budget}`)
}

const shop = await business()
const missed = (fields = {}) => push({ caller: customer().local, did: shop.did, ...fields })
const { token } = shop
// The first request and the first job prepare things.
await post(missed(), { token })
await work()

await t.test(
  'a record and its job are stored with one query, and a new token needs another',
  async t => {
    const record = missed()
    await costs(t, 'new', 1, () => post(record, { token }))
    await costs(t, 'again', 1, () => post(record, { token }))
    await costs(t, 'refused', 1, () => post({ no: 'record' }, { token }))
    const many = Array.from({ length: 50 }, () => missed())
    await costs(t, '50 in one array', 1, () => post(many, { token }))
    const other = await business()
    await costs(t, 'a new token', 2, () => post(missed(), other))
    await work()
  },
)

await t.test('classifying a call, and sixteen calls at the same time', async t => {
  const classified = async (name: string, budget: number, ...records: unknown[]) => {
    await post(records, { token })
    await costs(t, name, budget, () => work(16))
  }
  await classified('missed', 13, missed())
  await classified('withheld', 11, missed({ caller: 'anonymous' }))
  await classified(
    'answered',
    10,
    missed({ status: 'ANSWER', duration: 40, targetextension: 'SIP1' }),
  )
  await classified('outgoing', 8, missed({ type: 'Extension Outgoing', target: customer().local }))
  await classified('16 missed', 80, ...Array.from({ length: 16 }, () => missed()))
})

await t.test('claiming, sending and recording a message and a reminder', async t => {
  const { local } = customer()
  const { id } = await miss(shop, local)
  await costs(t, 'first message', 21, () => dueSince(id))
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  await costs(t, 'reminder', 15, () => reminderDue(conversation, 1))
  await reported(conversation, 'reminder_1', 'delivered')
  await reminderDue(conversation, 2)
  await costs(t, 'silence', 7, () => silenceDue(conversation))
})

await t.test('an event of WhatsApp, and what follows from it', async t => {
  const { who, shop } = await contacted()
  await costs(t, 'reply', 23, () =>
    happens({ from: who.e164, phoneNumberId: shop.phoneNumberId, kind: 'text', text: 'hello' }),
  )
})
