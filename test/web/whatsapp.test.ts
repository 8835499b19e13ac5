/** /webhooks/whatsapp: Meta's verification, signatures, and how updates are stored. */
import { sql } from 'kysely'
import { createHmac } from 'node:crypto'
import { test } from 'tap'
import { reloadConfig } from '../../app/config.ts'
import {
  APP_SECRET,
  business,
  contents,
  customer,
  db,
  fake,
  jobs,
  url,
  VERIFY_TOKEN,
  WHATSAPP,
  work,
} from '../support/ringback.ts'
import { change, deliver, envelope, eventsOf, hmac } from '../support/whatsapp.ts'

const verify = async (query: string) => {
  const response = await fetch(`${WHATSAPP}${query}`)
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    sniffed: response.headers.get('x-content-type-options') !== 'nosniff',
    text: await response.text(),
  }
}
const asked = (fields: Record<string, string>) =>
  `?${new URLSearchParams({ 'hub.mode': 'subscribe', 'hub.challenge': '1158201444', ...fields }).toString()}`

await test('with the right verify token, the answer is the challenge as plain text', async t => {
  t.strictSame(await verify(asked({ 'hub.verify_token': VERIFY_TOKEN })), {
    status: 200,
    type: 'text/plain; charset=utf-8',
    sniffed: false,
    text: '1158201444',
  })
  const html = '<script>alert(1)</script>'
  t.strictSame(
    await verify(asked({ 'hub.verify_token': VERIFY_TOKEN, 'hub.challenge': html })),
    { status: 200, type: 'text/plain; charset=utf-8', sniffed: false, text: html },
    'a challenge with HTML is not a page',
  )
})

await test('without the right verify token, the answer is 403', async t => {
  const token = encodeURIComponent(VERIFY_TOKEN)
  const queries = {
    'a wrong token': asked({ 'hub.verify_token': 'wrong' }),
    'the beginning of it': asked({ 'hub.verify_token': VERIFY_TOKEN.slice(0, -1) }),
    'an empty one': asked({ 'hub.verify_token': '' }),
    'no token': asked({}),
    'no query': '',
    'the token as a list': `${asked({})}&hub.verify_token[]=${token}`,
    'the token twice': `${asked({})}&hub.verify_token=${token}&hub.verify_token=${token}`,
    'another mode': asked({ 'hub.verify_token': VERIFY_TOKEN, 'hub.mode': 'unsubscribe' }),
    'no challenge': `?hub.mode=subscribe&hub.verify_token=${token}`,
    'the challenge as a list': `?hub.mode=subscribe&hub.verify_token=${token}&hub.challenge[]=1`,
  }
  for (const [name, query] of Object.entries(queries)) {
    const answer = await verify(query)
    t.equal(answer.status, 403, name)
    t.notMatch(answer.text, /1158201444/, name)
  }
})

await test('a signature over the bytes as Meta writes them is valid', async t => {
  const { phoneNumberId, tenantId } = await business()
  const text = 'היי, תחזרו אליי 🙏 https://example.com/a?b=100% <b>'
  const messages = [{ id: 'wamid.1', from: '972521112222', type: 'text', text: { body: text } }]
  t.strictSame(await deliver(envelope(change(phoneNumberId, { messages }))), {
    status: 200,
    body: { status: 'stored' },
  })
  t.match(await eventsOf(tenantId), [{ payload: { item: { text: { body: text } } } }])
})

await test('with a wrong signature, the answer is 401 and nothing is stored', async t => {
  const { phoneNumberId, tenantId } = await business()
  const value = { messages: [{ id: 'wamid.2', type: 'text', text: { body: 'שלום/👋' } }] }
  const body = JSON.stringify(envelope(change(phoneNumberId, value))).replace(
    /[\u0080-\uffff]/g,
    found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const right = hmac(body)
  const other = right.startsWith('0') ? `1${right.slice(1)}` : `0${right.slice(1)}`
  const headers = {
    'another digit': `sha256=${other}`,
    'upper case': `sha256=${right.toUpperCase()}`,
    'an odd number of digits': `sha256=${right.slice(0, -1)}`,
    'a digit too many': `sha256=${right}0`,
    'half of it': `sha256=${right.slice(0, 32)}`,
    'a letter that is no digit': `sha256=${right.slice(0, -1)}g`,
    'sha1=': `sha1=${right}`,
    'no name': right,
    'an empty one': '',
    'two of them': `sha256=${right}, sha256=${right}`,
    'a space': `sha256= ${right}`,
  }
  const stored = async () => {
    const { 'public.whatsapp_connections': seen, ...tables } = await contents()
    t.type(seen, 'string')
    return tables
  }
  const before = await stored()
  for (const [name, signature] of Object.entries(headers))
    t.match(await deliver(body, { 'x-hub-signature-256': signature }), { status: 401 }, name)

  const signed = { 'x-hub-signature-256': `sha256=${right}` }
  t.match(await deliver(body.replace('wamid.2', 'wamid.3'), signed), { status: 401 }, 'a byte')
  t.match(await deliver(`${body} `, signed), { status: 401 }, 'a space after it')
  t.match(
    await deliver(JSON.stringify(JSON.parse(body)), signed),
    { status: 401 },
    'parsed and written again',
  )
  const response = await fetch(WHATSAPP, { method: 'POST', body })
  t.equal(response.status, 401, 'none at all')
  t.strictSame(await stored(), before, 'only the time of a wrong signature')

  t.match(await deliver(body, signed), { status: 200 }, 'the signed bytes are stored')
  t.equal((await eventsOf(tenantId)).length, 1)
})

await test('a signed body that is not JSON is kept and acknowledged', async t => {
  const rejected = () =>
    db.selectFrom('rejected_deliveries').selectAll().where('source', '=', 'whatsapp').execute()
  for (const body of ['{"entry": [', '', '\0', 'entry=1', '['.repeat(5000)]) {
    const known = (await rejected()).length
    for (let times = 0; times < 2; times++)
      t.match(await deliver(body, { 'content-type': 'text/x-made-up' }), { status: 200 })
    const rows = await rejected()
    t.equal(rows.length, known + 1, 'once')
    t.match(rows.at(-1), {
      tenant_id: null,
      content_type: 'text/x-made-up',
      deliveries: 2,
      reason: /JSON/,
    })
    t.equal(rows.at(-1)?.body?.toString(), body, 'with its bytes')
  }
})

await test('up to 4 MiB are stored, and more is answered 413', async t => {
  const { phoneNumberId, tenantId } = await business()
  const ofBytes = (size: number, id: string) => {
    const frame = JSON.stringify(envelope(change(phoneNumberId, { messages: [{ id, pad: '' }] })))
    return frame.replace('"pad":""', `"pad":"${'x'.repeat(size - frame.length)}"`)
  }
  t.match(await deliver(ofBytes(3_500_000, 'wamid.large')), { status: 200 })
  t.match(await deliver(ofBytes(4 * 1024 * 1024, 'wamid.largest')), { status: 200 })
  const before = await contents()
  t.match(await deliver(ofBytes(4 * 1024 * 1024 + 1, 'wamid.larger')), { status: 413 })
  t.strictSame(await contents(), before)
  t.equal((await eventsOf(tenantId)).length, 2)
})

await test('other methods are answered 405 with the allowed ones', async t => {
  const before = await contents()
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const response = await fetch(`${url}/webhooks/whatsapp`, { method })
    t.equal(response.status, 405, method)
    t.equal(response.headers.get('allow'), 'GET, HEAD, POST')
  }
  t.equal((await fetch(WHATSAPP, { method: 'HEAD' })).status, 403)
  t.strictSame(await contents(), before)
})

await test('without an app secret and a verify token, every request is rejected', async t => {
  const { phoneNumberId } = await business()
  const before = await contents()
  t.teardown(() => {
    Object.assign(process.env, {
      WHATSAPP_APP_SECRET: APP_SECRET,
      WHATSAPP_VERIFY_TOKEN: VERIFY_TOKEN,
    })
    reloadConfig()
  })
  delete process.env['WHATSAPP_APP_SECRET']
  delete process.env['WHATSAPP_VERIFY_TOKEN']
  reloadConfig()
  for (const token of ['', 'undefined', VERIFY_TOKEN])
    t.match(await verify(asked({ 'hub.verify_token': token })), { status: 403 }, `token "${token}"`)
  const body = JSON.stringify(envelope(change(phoneNumberId, { messages: [{ id: 'wamid.1' }] })))
  for (const secret of ['', 'undefined', APP_SECRET]) {
    const signature = createHmac('sha256', secret).update(body).digest('hex')
    const answer = await deliver(body, { 'x-hub-signature-256': `sha256=${signature}` })
    t.match(answer, { status: 401 }, `secret "${secret}"`)
  }
  t.strictSame(await contents(), before)
})

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
  for (const { tenantId, phoneNumberId } of shops) {
    const events = await eventsOf(tenantId)
    t.equal(events.length, 500)
    t.equal(
      new Set(events.map(({ payload }) => JSON.stringify(payload))).size,
      500,
      'each update has its own payload',
    )
    t.equal(await jobsFor(events), 500)
    t.ok(events.every(event => event.phone_number_id === phoneNumberId))
    const longest = Math.max(...events.map(({ payload }) => JSON.stringify(payload).length))
    t.ok(longest < 1000, 'a payload contains only the contact of its sender')
  }
  await sql`select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs`.execute(
    db,
  )
})

await test('a repeat is counted and adds no job', async t => {
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
  t.equal(await jobsFor(await eventsOf(tenantId)), 0, 'a later repeat is not handled again')
  t.equal((await eventsOf(tenantId)).length, 5)
})

await test('the same ids at two numbers are two updates', async t => {
  const shops = [await business(), await business()]
  for (const { phoneNumberId } of shops)
    await deliver(envelope(change(phoneNumberId, { messages: [text('wamid.same')] })))
  for (const { tenantId } of shops) t.match(await eventsOf(tenantId), [{ deliveries: 1 }])
})

await test('overlapping batches in opposite orders do not deadlock', async t => {
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

await test('a malformed update does not affect the others', async t => {
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
    'every update has been handled',
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
  await test(`a signed body without an update is kept: ${JSON.stringify(body)}`, async t => {
    const before = (await eventsOf(null)).length
    t.match(await deliver(JSON.stringify(body)), { status: 200 })
    t.equal((await eventsOf(null)).length, before + 1)
    await work()
    t.match((await eventsOf(null)).at(-1), { kind: 'other', outcome: 'kept', payload: { body } })
  })

await test('updates for an unknown number are stored without a tenant', async t => {
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

await test('when a job cannot be added, nothing is stored and the answer is 503', async t => {
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
