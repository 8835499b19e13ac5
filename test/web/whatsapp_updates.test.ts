/** What comes through the door for WhatsApp: a row and a job for each update, or nothing at all. */
import { sql } from 'kysely'
import { test } from 'tap'
import { business, contents, customer, db, fake, jobs, work } from '../support/ringback.ts'
import { change, deliver, envelope, eventsOf } from '../support/whatsapp.ts'

const text = (id: string, from = '972521112222') => ({
  id,
  from,
  type: 'text',
  text: { body: 'שלום' },
})
const jobsFor = async (events: { id: string }[]) => {
  const waiting = new Set((await jobs('whatsapp_event')).map(({ key }) => key))
  return events.filter(({ id }) => waiting.has(`whatsapp_event:${id}`)).length
}

await test('a POST of 1,000 updates for two tenants is stored, each with a job', async t => {
  const shops = [await business(), await business()]
  const people = Array.from({ length: 500 }, () => customer().e164)
  const started = performance.now()
  const { deliveries } = await fake.inbound(
    people.flatMap(from =>
      shops.map(({ phoneNumberId }) => ({
        kind: 'text' as const,
        text: `אני ${from}`,
        from,
        phoneNumberId,
      })),
    ),
  )
  t.strictSame(
    deliveries.map(({ updates, attempts }) => [updates, attempts[0]?.status]),
    [[1000, 200]],
    'one POST',
  )
  t.ok(performance.now() - started < 5000, 'well within the sender’s patience')
  for (const { tenantId, phoneNumberId } of shops) {
    const events = await eventsOf(tenantId)
    t.equal(events.length, 500)
    t.equal(new Set(events.map(({ payload }) => JSON.stringify(payload))).size, 500, 'each its own')
    t.equal(await jobsFor(events), 500)
    t.ok(events.every(event => event.phone_number_id === phoneNumberId))
    const longest = Math.max(...events.map(({ payload }) => JSON.stringify(payload).length))
    t.ok(longest < 1000, 'with the contact of its sender, and nobody else’s')
  }
  await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs`.execute(
    db,
  )
})

await test('what comes again is counted, however often and at once', async t => {
  const { tenantId, phoneNumberId } = await business()
  const status = { id: 'wamid.s', status: 'sent', timestamp: '1' }
  const body = envelope(
    change(phoneNumberId, { messages: [text('wamid.m'), text('wamid.m'), text('wamid.n')] }),
    change(phoneNumberId, { statuses: [status, { ...status, status: 'read' }] }),
    change(phoneNumberId, { event: 'VERIFIED' }, 'account_update'),
  )
  const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(body)))
  t.ok(answers.every(answer => answer.status === 200))
  const events = await eventsOf(tenantId)
  t.equal(events.length, 5)
  t.equal(await jobsFor(events), 5)
  const counted = await sql<{ key: string; deliveries: number }>`
    select coalesce(payload -> 'item' ->> 'status', payload -> 'item' ->> 'id', field) as key, deliveries
    from whatsapp_events where tenant_id = ${tenantId} order by 1`.execute(db)
  t.strictSame(
    counted.rows.map(({ key, deliveries }) => [key, deliveries]),
    [
      ['account_update', 20],
      ['read', 20],
      ['sent', 20],
      ['wamid.m', 40],
      ['wamid.n', 20],
    ],
  )

  await work()
  await deliver(body)
  t.equal(await jobsFor(await eventsOf(tenantId)), 0, 'nor is it handled again, days later')
  t.equal((await eventsOf(tenantId)).length, 5)
})

await test('the same ids at two numbers are two updates', async t => {
  const shops = [await business(), await business()]
  for (const { phoneNumberId } of shops)
    await deliver(envelope(change(phoneNumberId, { messages: [text('wamid.same')] })))
  for (const { tenantId } of shops) t.match(await eventsOf(tenantId), [{ deliveries: 1 }])
})

await test('overlapping batches in opposite orders do not wait for each other', async t => {
  const { tenantId, phoneNumberId } = await business()
  const messages = Array.from({ length: 60 }, (_, n) => text(`wamid.o${n}`))
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      deliver(
        envelope(change(phoneNumberId, { messages: n % 2 ? messages : messages.toReversed() })),
      ),
    ),
  )
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([200]))
  const events = await eventsOf(tenantId)
  t.equal(events.length, 60)
  t.ok(events.every(({ deliveries }) => deliveries === 12))
})

await test('an update that makes no sense spoils no other', async t => {
  const { tenantId, phoneNumberId } = await business()
  const strange = [
    { id: 17, from: {}, type: [] },
    { id: 'wamid.bad', type: 'text', text: 'not an object' },
    { id: 'wamid.nul\0', text: { body: 'a\0b\ud800' } },
    {},
    'a word',
    null,
  ]
  const body = envelope(
    change(phoneNumberId, { messages: [...strange, text('wamid.good')] }),
    change(phoneNumberId, { statuses: [{ id: 'wamid.x', status: 12 }, { status: 'sent' }] }),
    { field: 'messages' },
    'not a change',
    null,
  )
  t.match(await deliver(body), { status: 200 })
  await work()
  t.match(await deliver({ ...body, entry: [null, 3, ...body.entry] }), { status: 200 })
  const outcomes = (await eventsOf(tenantId)).map(({ outcome }) => outcome)
  t.ok(
    outcomes.every(outcome => outcome !== null),
    'each has been handled',
  )
  t.strictSame(
    await db
      .selectFrom('messages')
      .select('wamid')
      .where('tenant_id', '=', tenantId)
      .where('text', '=', 'שלום')
      .execute(),
    [{ wamid: 'wamid.good' }],
  )
  for (const kept of ['a word', 'not an object', '"status": 12'])
    t.ok(
      (await eventsOf(tenantId)).some(({ payload }) =>
        JSON.stringify(payload).includes(kept.replace(': ', ':')),
      ),
      `"${kept}" is kept`,
    )
})

for (const body of [[], {}, 7, 'text', null, { entry: 'x' }, { entry: [{ changes: [] }] }])
  await test(`a signed body that holds no update is kept: ${JSON.stringify(body)}`, async t => {
    const before = (await eventsOf(null)).length
    t.match(await deliver(JSON.stringify(body)), { status: 200 })
    t.equal((await eventsOf(null)).length, before + 1)
    await work()
    t.match((await eventsOf(null)).at(-1), { kind: 'other', outcome: 'kept', payload: { body } })
  })

await test('updates of a number that is nobody’s are kept without a tenant', async t => {
  const { tenantId, phoneNumberId } = await business()
  const before = (await eventsOf(null)).length
  const body = envelope(
    change('999000999', { messages: [text('wamid.lost')] }),
    change(phoneNumberId, { messages: [text('wamid.found')] }),
  )
  t.match(await deliver(body), { status: 200 })
  await work()
  t.match((await eventsOf(null)).slice(before), [
    { phone_number_id: '999000999', outcome: 'number_unknown' },
  ])
  t.match(await eventsOf(tenantId), [{ outcome: 'unassigned' }])
})

await test('when a job cannot be added nothing is stored, and Meta comes again', async t => {
  const { tenantId, phoneNumberId } = await business()
  const body = envelope(change(phoneNumberId, { messages: [text('wamid.a'), text('wamid.b')] }))
  const before = await contents()
  const run = (statement: string) => sql.raw(statement).execute(db)
  await run(`create function out_of_order() returns trigger language plpgsql
             as $$ begin raise exception 'out of order'; end $$`)
  await run(`create trigger out_of_order before insert on graphile_worker._private_jobs
             for each row execute function out_of_order()`)
  const answer = await deliver(body)
  await run('drop function out_of_order() cascade')
  t.equal(answer.status, 503)
  t.strictSame(await contents(), before)

  t.match(await deliver(body), { status: 200 })
  t.equal(await jobsFor(await eventsOf(tenantId)), 2)
})
