/** Outgoing events: what is recorded, how it is sent, and what an endpoint cannot do. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { sql } from 'kysely'
import t from 'tap'
import { checkHost, isAllowedAddress, post, urlProblem } from '../../app/events/post.ts'
import { deliveriesOf, lastAttempts, resend, testEndpoint } from '../../app/events/deliveries.ts'
import {
  addEndpoint,
  listEndpoints,
  MAX_ENDPOINTS,
  newEndpoint,
  removeEndpoint,
  rotateSecret,
} from '../../app/events/endpoints.ts'
import {
  afterAttempt,
  claimDelivery,
  MAX_DELIVERY_ATTEMPTS,
  mayBegin,
  recordAttempt,
  wakeNext,
} from '../../app/events/outbox.ts'
import { newSecret, signatureHeaders } from '../../app/events/signing.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { cancelOutreach } from '../../app/outreach/operator_actions.ts'
import { markCalledBack, setOutcome, undoCalledBack } from '../../app/outreach/lead_actions.ts'
import { erase } from '../../app/privacy/erase.ts'
import { redactExpired } from '../../app/privacy/retention.ts'
import { requeueDueRows } from '../../app/worker/reconcile.ts'
import { contacted, writes } from '../outreach/support.ts'
import { business, type Business, customer, db, work } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { dueSince, miss, until } from '../tasks/support.ts'
import { clientOf } from '../web/api/support.ts'
import { leadOf } from '../web/ops/support.ts'
import {
  COMMAND_LINE,
  deliveriesTo,
  endpointOf,
  endpointRow,
  later,
  receiver,
  signatureBy,
} from './support.ts'

const inTransaction = <T>(act: (trx: Parameters<typeof addEndpoint>[0]) => Promise<T>) =>
  db.transaction().execute(act)

await t.test('signatures are those of the specification', t => {
  // The example of the specification of Standard Webhooks.
  const example = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: new Date(1614265330_000),
    body: '{"test": 2432232314}',
  }
  const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
  t.strictSame(signatureHeaders([SECRET], example), {
    'webhook-id': example.id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': SIGNATURE,
  })
  const both = signatureHeaders([newSecret(), SECRET], example)['webhook-signature'] ?? ''
  t.equal(both.split(' ').length, 2)
  t.equal(both.split(' ')[1], SIGNATURE)
  t.match(newSecret(), /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.not(newSecret(), newSecret())
  t.end()
})

await t.test('only addresses of the public internet are allowed', t => {
  const FORBIDDEN = [
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.9.9.9',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b::8.8.8.8',
    '100::1',
    'fc00::1',
    'fdff::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::1',
    '3fff::1',
    '5f00::1',
    'localhost',
    '127.1',
    '',
  ]
  for (const address of FORBIDDEN) t.notOk(isAllowedAddress(address, { production: true }), address)
  const ALLOWED = ['8.8.8.8', '100.63.255.255', '100.128.0.1', '172.32.0.1', '192.0.1.1']
  for (const address of [...ALLOWED, '223.255.255.255', '2606:4700::1111', '2a00::1'])
    t.ok(isAllowedAddress(address, { production: true }), address)
  for (const address of ['127.0.0.1', '127.8.8.8', '::1'])
    t.ok(isAllowedAddress(address, { production: false }), `${address} outside production`)
  for (const address of ['10.0.0.1', '169.254.169.254', '::ffff:127.0.0.1', 'fe80::1'])
    t.notOk(isAllowedAddress(address, { production: false }), `${address} outside production`)
  t.end()
})

await t.test('an address is checked when it is entered', t => {
  const GOOD = ['https://example.com/hook?a=1', 'https://example.com:8443/', 'https://8.8.8.8/']
  for (const url of GOOD) t.equal(urlProblem(url, { production: true }), null, url)
  const BAD = [
    '',
    'example.com',
    'http://example.com/',
    'ftp://example.com/',
    'javascript:alert(1)',
    'https://user@example.com/',
    'https://user:secret@example.com/',
    'https://example.com/#x',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.0.0.1/',
    'https://0177.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:7f00:1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://[fe80::1]/',
  ]
  for (const url of BAD) t.ok(urlProblem(url, { production: true }), url)
  for (const url of ['http://127.0.0.1:3000/', 'http://localhost:3000/', 'http://[::1]/'])
    t.equal(urlProblem(url, { production: false }), null, `${url} outside production`)
  for (const url of ['http://10.0.0.1/', 'http://169.254.169.254/'])
    t.ok(urlProblem(url, { production: false }), `${url} outside production`)
  const { url } = newEndpoint.shape
  for (const written of ['HTTPS://crm.example', ' https://crm.example/ ', 'https:crm.example'])
    t.equal(url.parse(written), 'https://crm.example/', 'it is stored as the program calls it')
  t.equal(url.parse('https://crm.example/\0x'), 'https://crm.example/%00x')
  t.notOk(url.safeParse(`https://crm.example/${'א'.repeat(700)}`).success, 'escaped it is too long')
  t.end()
})

await t.test('and so are the addresses of its name', async t => {
  const check = (...addresses: string[]) =>
    checkHost('https://hook.example/', { production: true }, () => Promise.resolve(addresses))
  await check('8.8.8.8', '2606:4700::1111')
  await t.rejects(check(), /this name has no address/)
  const silent = () => Promise.reject(new Error('ESERVFAIL'))
  await t.rejects(
    checkHost('https://hook.example/', { production: true }, silent),
    /no name server answered/,
  )
  for (const address of ['127.0.0.1', '169.254.169.254', '::1', '64:ff9b::7f00:1'])
    await t.rejects(check('8.8.8.8', address), /only sent to public addresses/, address)
})

await t.test('post', async t => {
  const to = await receiver()
  const PRODUCTION = { production: true }
  const HERE = { production: false }
  const body = JSON.stringify({
    type: 'webhook.test',
    timestamp: new Date().toISOString(),
    data: { tenant_id: '1' },
  })
  const message = (url: string) => ({ url, headers: {}, body })
  const named = `http://hook.example:${to.port}/hook`

  await t.test('connects to the address that was checked, under the name', async t => {
    let host = ''
    to.answerWith((request, response) => {
      host = request.headers.host ?? ''
      response.writeHead(200).end()
    })
    const resolve = () => Promise.resolve(['127.0.0.1'])
    t.strictSame(await post(message(named), { ...HERE, resolve }), { status: 200 })
    t.equal(host, `hook.example:${to.port}`)
    to.answerStatus(204)
  })

  await t.test('a name with a forbidden address is not connected to', async t => {
    const before = to.received.length
    const ADDRESSES = [
      ['127.0.0.1'],
      ['169.254.169.254'],
      ['8.8.8.8', '127.0.0.1'],
      ['::ffff:127.0.0.1'],
      ['not an address'],
    ]
    for (const found of ADDRESSES)
      t.strictSame(
        await post(message(`https://hook.example:${to.port}/`), {
          ...PRODUCTION,
          resolve: () => Promise.resolve(found),
        }),
        { error: 'forbidden_address' },
        found.join(),
      )
    t.strictSame(await post(message(named), { ...HERE, resolve: () => Promise.resolve([]) }), {
      error: 'not_resolved',
    })
    const silent = () => Promise.reject(new Error('ESERVFAIL'))
    t.strictSame(await post(message(named), { ...HERE, resolve: silent }), { error: 'connection' })
    for (const url of [to.url, `http://localhost:${to.port}/`, 'https://127.0.0.1/'])
      t.strictSame(await post(message(url), PRODUCTION), { error: 'forbidden_address' }, url)
    t.equal(to.received.length, before)
  })

  await t.test('a name may change its address between entry and delivery', async t => {
    const answers = [['127.0.0.1'], ['10.0.0.1']]
    const resolve = () => Promise.resolve(answers.shift() ?? [])
    t.strictSame(await post(message(named), { ...HERE, resolve }), { status: 204 })
    t.strictSame(await post(message(named), { ...HERE, resolve }), { error: 'forbidden_address' })
  })

  await t.test('follows no redirect', async t => {
    const elsewhere = await receiver()
    to.answerStatus(307, { location: elsewhere.url })
    t.strictSame(await post(message(to.url), HERE), { status: 307 })
    t.equal(elsewhere.received.length, 0)
    to.answerStatus(204)
  })

  await t.test('a slow or endless answer ends in time', async t => {
    const timeoutMs = 150
    const slow = async (write: (line: (text: string) => void) => void) => {
      const server = createServer(socket => {
        socket.on('error', () => {})
        write(text => socket.write(text))
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => server.close())
      const address = server.address()
      return `http://127.0.0.1:${address && typeof address === 'object' ? address.port : 0}/`
    }
    const within = async (url: string, expected: object) => {
      const start = performance.now()
      t.strictSame(await post(message(url), { ...HERE, timeoutMs }), expected)
      t.ok(performance.now() - start < 2000)
    }
    await within(await slow(() => {}), { error: 'timeout' })
    const timers: NodeJS.Timeout[] = []
    t.teardown(() => timers.forEach(clearInterval))
    const drip = await slow(line => {
      line('HTTP/1.1 200 OK\r\n')
      timers.push(setInterval(() => line('X-A: b\r\n'), 20))
    })
    await within(drip, { error: 'timeout' })
    const endless = await slow(line => {
      line('HTTP/1.1 200 OK\r\n\r\n')
      timers.push(setInterval(() => line('x'.repeat(1000)), 1))
    })
    await within(endless, { status: 200 })
    const never = new Promise<string[]>(() => {})
    t.strictSame(await post(message(named), { ...HERE, timeoutMs, resolve: () => never }), {
      error: 'timeout',
    })
    const garbage = await slow(line => line('SSH-2.0-OpenSSH\r\n'))
    await within(garbage, { error: 'connection' })
    await within(garbage.replace('http:', 'https:'), { error: 'tls' })
    await within('http://127.0.0.1:1/', { error: 'connection' })
  })
})

await t.test('whether an attempt may begin', t => {
  const now = new Date('2026-11-30T12:00:00Z')
  const seconds = (n: number) => new Date(now.getTime() + n * 1000)
  const active = { state: 'active' as const, failures: 0, pausedUntil: null }
  const due = {
    state: 'pending' as const,
    dueAt: now,
    claimedAt: null,
    isTest: false,
    endpoint: active,
    running: 0,
    now,
  }
  const failing = { ...active, failures: 5 }
  const disabled = { ...active, state: 'disabled' as const, failures: 10 }
  const CASES: [string, Partial<Parameters<typeof mayBegin>[0]>, ReturnType<typeof mayBegin>][] = [
    ['due', {}, 'now'],
    ['not due', { dueAt: seconds(5) }, seconds(5)],
    ['delivered', { state: 'delivered' }, 'never'],
    ['failed', { state: 'failed' }, 'never'],
    ['running', { state: 'sending', claimedAt: seconds(-29) }, seconds(1)],
    ['its process is dead', { state: 'sending', claimedAt: seconds(-30) }, 'now'],
    ['three others', { running: 3 }, 'now'],
    ['four others', { running: 4 }, 'never'],
    ['after four failures', { endpoint: { ...active, failures: 4 }, running: 3 }, 'now'],
    ['after five failures', { endpoint: failing }, 'now'],
    ['after five failures, with another', { endpoint: failing, running: 1 }, 'never'],
    ['in a pause', { endpoint: { ...failing, pausedUntil: seconds(1) } }, 'never'],
    ['after a pause', { endpoint: { ...failing, pausedUntil: now } }, 'now'],
    ['disabled', { endpoint: disabled }, 'never'],
    ['a test', { endpoint: disabled, isTest: true }, 'now'],
    ['a test, with another', { endpoint: failing, isTest: true, running: 1 }, seconds(5)],
  ]
  for (const [what, change, expected] of CASES)
    t.strictSame(mayBegin({ ...due, ...change }), expected, what)
  t.end()
})

await t.test('what follows from an attempt', t => {
  for (const status of [200, 201, 204, 299])
    t.strictSame(afterAttempt({ status }, 1, false), { do: 'deliver' })
  t.strictSame(afterAttempt({ status: 410 }, 1, false), { do: 'fail', disable: 'gone' })
  const waits = Array.from({ length: MAX_DELIVERY_ATTEMPTS }, (_, i) => {
    const next = afterAttempt({ error: 'timeout' }, i + 1, false)
    return next.do === 'retry' ? next.seconds : next
  })
  t.strictSame(waits, [
    5,
    300,
    1800,
    ...[2, 5, 10, 14, 20, 24].map(hours => hours * 3600),
    { do: 'fail', disable: 'failing' },
  ])
  for (const status of [199, 301, 307, 400, 404, 429, 500])
    t.strictSame(afterAttempt({ status }, 1, false), { do: 'retry', seconds: 5 })
  t.strictSame(afterAttempt({ status: 500 }, 1, true), { do: 'fail', disable: null })
  t.end()
})

/** A business with an endpoint for everything. */
const listening = async () => {
  const shop = await business()
  const to = await receiver()
  return { shop, to, ...(await endpointOf(shop, to.url)) }
}
let calls = 0
/** A withheld caller: call.missed and outreach.skipped are recorded, and nothing is sent yet. */
const missed = async (
  { tenantId }: Business,
  trx: Parameters<typeof addEndpoint>[0] | typeof db = db,
) => {
  await sql`
    insert into missed_calls (tenant_id, call_id, business_phone, status, called_at, outreach_state, outreach_reason)
    values (${tenantId}, ${`withheld ${++calls}`}, '072', 'ABANDONE', now(), 'skipped', 'withheld_number')`.execute(
    trx,
  )
}
/** A caller of the business who got the first message. */
const reach = async (shop: Business) => {
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  await dueSince(id)
  return { who, id, callId, lead: await leadOf(shop.tenantId, who.e164) }
}

await t.test('a tenant without an endpoint has no events', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, 'hello')
  const { rows } = await sql`select from events where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(rows, [])
})

await t.test('a conversation: each event once, signed, without a text', async t => {
  const { shop, to, endpointId, secret } = await listening()
  const { who, id, callId, lead } = await reach(shop)
  await writes(who.e164, 'a secret text')
  await writes(who.e164, 'another one')
  const leadKey = { tenantId: shop.tenantId, leadId: lead.id }
  await inTransaction(trx => markCalledBack(trx, COMMAND_LINE, leadKey))
  await inTransaction(trx =>
    setOutcome(trx, COMMAND_LINE, { ...leadKey, outcome: 'won', value: 350.5 }),
  )
  await inTransaction(trx => setOutcome(trx, COMMAND_LINE, { ...leadKey, outcome: null }))
  await writes(who.e164, 'stop')
  await work()
  t.strictSame(to.types().toSorted(), [
    'call.missed',
    'lead.opted_out',
    'lead.outcome',
    'lead.outcome',
    'lead.reached',
    'lead.replied',
    'lead.replied',
    'outreach.sent',
  ])
  const about = {
    tenant_id: shop.tenantId,
    lead_id: lead.id,
    phone: who.e164,
    missed_call_id: id,
    call_id: callId,
  }
  for (const { data } of to.received) t.match(data, about)
  const dataOf = (type: string) =>
    to.received.filter(one => one.type === type).map(({ data }) => data)
  t.match(dataOf('call.missed'), [
    { source: 'voicenter', business_phone: shop.line, called_at: /^\d{4}-.*\.\d{3}Z$/ },
  ])
  t.match(dataOf('outreach.sent'), [{ reason: 'accepted', message_id: /^\d+$/ }])
  t.equal(new Set(dataOf('lead.replied').map(({ message_id }) => message_id)).size, 2)
  const outcomes = dataOf('lead.outcome').map(({ outcome, value }) => [outcome, value])
  t.ok(outcomes.some(([outcome, value]) => outcome === 'won' && value === 350.5))
  t.ok(outcomes.some(([outcome, value]) => outcome === null && value === null))
  t.notMatch(to.received.map(({ body }) => body).join(), /secret text|another one|stop/)
  for (const one of to.received) {
    t.strictSame(one.signatures, [signatureBy(secret, one)])
    t.ok(Math.abs(one.timestampHeader - Date.now() / 1000) < 60)
  }
  t.equal(new Set(to.received.map(one => one.id)).size, to.received.length)
  t.ok((await deliveriesTo(endpointId)).every(({ state }) => state === 'delivered'))
})

await t.test('the other decisions, and an undo', async t => {
  const { shop, to } = await listening()
  await miss(shop, 'anonymous')
  const cancelled = await miss(shop, customer().local)
  await inTransaction(trx =>
    cancelOutreach(trx, COMMAND_LINE, { tenantId: shop.tenantId, missedCallId: cancelled.id }),
  )
  await work()
  t.strictSame(to.received.map(({ type, data }) => `${type} ${data.reason ?? ''}`).toSorted(), [
    'call.missed ',
    'call.missed ',
    'outreach.cancelled by_operator',
    'outreach.skipped withheld_number',
  ])
  t.ok(to.received.some(({ data }) => !('phone' in data) && !('lead_id' in data)))
  to.received.length = 0

  // A withheld caller becomes known.
  for (const _ of ['changed', 'the same again'])
    await sql`
      update missed_calls set outreach_state = 'skipped', outreach_reason = 'excluded'
      where tenant_id = ${shop.tenantId} and outreach_state = 'skipped'`.execute(db)
  await work()
  t.match(to.received, [{ type: 'outreach.skipped', data: { reason: 'excluded' } }])
  t.equal(to.received.length, 1)
  to.received.length = 0

  const { who, lead } = await reach(shop)
  await happens({
    kind: 'button',
    from: who.e164,
    payload: 'ringback:callback',
    text: 'call me',
  })
  const key = { tenantId: shop.tenantId, leadId: lead.id }
  await inTransaction(trx => markCalledBack(trx, COMMAND_LINE, key))
  await inTransaction(trx => undoCalledBack(trx, COMMAND_LINE, key))
  await work()
  t.strictSame(
    to.types().toSorted(),
    ['call.missed', 'lead.callback_requested', 'lead.reached', 'lead.replied', 'outreach.sent'],
    'no event for a request that the undo opened again',
  )
  to.received.length = 0

  const other = await reach(shop)
  const otherKey = { tenantId: shop.tenantId, leadId: other.lead.id }
  await inTransaction(trx => markCalledBack(trx, COMMAND_LINE, otherKey))
  await inTransaction(trx => undoCalledBack(trx, COMMAND_LINE, otherKey))
  await sql`update leads set state = 'unresponsive' where id = ${other.lead.id}`.execute(db)
  await work()
  t.strictSame(to.types().toSorted(), [
    'call.missed',
    'lead.reached',
    'lead.unresponsive',
    'outreach.sent',
  ])
  to.received.length = 0

  const again = await reach(shop)
  await sql`update leads set state = 'reached_by_phone' where id = ${again.lead.id}`.execute(db)
  const againKey = { tenantId: shop.tenantId, leadId: again.lead.id }
  await inTransaction(trx => markCalledBack(trx, COMMAND_LINE, againKey))
  await work()
  t.strictSame(
    to.types().toSorted(),
    ['call.missed', 'lead.reached', 'lead.reached', 'outreach.sent'],
    'a talk, and "called back" after it',
  )
})

await t.test('an endpoint gets the types that it wants, and nothing of others', async t => {
  const [shop, other] = [await business(), await business()]
  const to = await receiver()
  await endpointOf(shop, to.url, ['lead.replied'])
  const elsewhere = await receiver()
  await endpointOf(other, elsewhere.url)
  const { who } = await reach(shop)
  await writes(who.e164, 'hello')
  await work()
  t.strictSame(to.types(), ['lead.replied'])
  t.strictSame(elsewhere.types(), [])
})

await t.test('a job that a trigger adds is like one that the program adds', async t => {
  const { shop, endpointId } = await listening()
  await missed(shop)
  const jobsOf = async () => {
    const { rows } = await sql`
      select j.task_identifier, j.key, j.priority, j.max_attempts, j.flags
      from graphile_worker.jobs j join event_deliveries d on j.key = 'event_delivery:' || d.id
      where d.event_endpoint_id = ${endpointId} order by d.id`.execute(db)
    return rows
  }
  const added = await jobsOf()
  t.equal(added.length, 2)
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  await inTransaction(trx =>
    wakeNext(trx, { id: endpointId, tenantId: shop.tenantId, failures: 0, pausedUntil: null }),
  )
  t.strictSame(await jobsOf(), added)
})

await t.test('what is rolled back has no event', async t => {
  const { shop, endpointId } = await listening()
  await inTransaction(async trx => {
    await missed(shop, trx)
    throw new Error('no')
  }).catch(() => {})
  t.strictSame(await deliveriesTo(endpointId), [])
})

await t.test('an endpoint that is down for a day gets the event under the same id', async t => {
  const { shop, to, endpointId } = await listening()
  to.answerStatus(503)
  await missed(shop)
  await sql`delete from event_deliveries where event_id in (select id from events where type <> 'call.missed')`.execute(
    db,
  )
  for (const [n, time] of [
    '0',
    '5 seconds',
    '5 minutes',
    '30 minutes',
    '2 hours',
    '5 hours',
    '10 hours',
  ].entries()) {
    await later(endpointId, time)
    await work()
    t.match(await deliveriesTo(endpointId), [{ state: 'pending', attempts: n + 1, status: 503 }])
  }
  await work()
  t.equal(to.received.length, 7, 'not before it is due')
  to.answerStatus(204)
  await later(endpointId, '14 hours')
  await work()
  t.match(await deliveriesTo(endpointId), [{ state: 'delivered', attempts: 8, status: 204 }])
  t.equal(new Set(to.received.map(({ id }) => id)).size, 1)
  t.equal((await endpointRow(endpointId)).failures, 0)
})

await t.test('after the last attempt the endpoint is disabled, until it is enabled', async t => {
  const { shop, to, endpointId } = await listening()
  to.answerStatus(500)
  await missed(shop)
  for (let n = 0; n < MAX_DELIVERY_ATTEMPTS; n++) {
    await later(endpointId, '24 hours')
    await work()
  }
  t.match(await endpointRow(endpointId), { state: 'disabled', state_reason: 'failing' })
  await checkAlerts(60_000)
  const alerts = await db
    .selectFrom('alerts')
    .selectAll()
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.match(alerts, [
    { kind: 'endpoint_disabled', subject: `event_endpoints ${endpointId}`, ended_at: null },
  ])

  const before = to.received.length
  await missed(shop)
  await later(endpointId, '24 hours')
  await requeueDueRows()
  await work()
  t.equal(to.received.length, before, 'nothing is sent')
  const kept = await deliveriesTo(endpointId)
  t.equal(kept.length, 4, 'events are recorded')

  to.answerStatus(204)
  const key = { tenantId: shop.tenantId, endpointId }
  await t.rejects(
    inTransaction(trx => resend(trx, COMMAND_LINE, { ...key, deliveryId: kept[0]?.id ?? '' })),
    /this endpoint is disabled/,
  )
  const sent = await inTransaction(trx => resend(trx, COMMAND_LINE, key))
  t.strictSame(sent, { count: 2 }, 'the others were not tried')
  await work()
  t.ok((await deliveriesTo(endpointId)).every(({ state }) => state === 'delivered'))
  t.match(await endpointRow(endpointId), { state: 'active', failures: 0 })
  await checkAlerts(60_000)
  const { rows } =
    await sql`select from alerts where tenant_id = ${shop.tenantId} and ended_at is null`.execute(
      db,
    )
  t.strictSame(rows, [])
})

await t.test('410 disables at once', async t => {
  const { shop, to, endpointId } = await listening()
  to.answerStatus(410)
  await missed(shop)
  await work(1)
  t.equal(to.received.length, 1)
  t.match(await endpointRow(endpointId), { state: 'disabled', state_reason: 'gone' })
})

await t.test('one delivery is sent again under its id', async t => {
  const { shop, to, endpointId } = await listening()
  await missed(shop)
  await work()
  const key = { tenantId: shop.tenantId, endpointId }
  const [first] = await inTransaction(trx => deliveriesOf(trx, key, 10))
  const deliveryId = first?.deliveryId ?? ''
  await inTransaction(trx => resend(trx, COMMAND_LINE, { ...key, deliveryId }))
  await work()
  t.strictSame(
    to.received.filter(({ id }) => id === first?.webhookId).length,
    2,
    'a receiver that knows the id ignores it',
  )
  const stranger = await business()
  for (const act of [
    () => inTransaction(trx => resend(trx, COMMAND_LINE, { ...key, deliveryId: '99999999' })),
    () =>
      inTransaction(trx =>
        resend(trx, COMMAND_LINE, { tenantId: stranger.tenantId, endpointId, deliveryId }),
      ),
    () =>
      inTransaction(trx =>
        rotateSecret(trx, COMMAND_LINE, { tenantId: stranger.tenantId, endpointId }),
      ),
    () =>
      inTransaction(trx =>
        removeEndpoint(trx, COMMAND_LINE, { tenantId: stranger.tenantId, endpointId }),
      ),
    () =>
      inTransaction(trx =>
        testEndpoint(trx, COMMAND_LINE, { tenantId: stranger.tenantId, endpointId }),
      ),
    () => inTransaction(trx => deliveriesOf(trx, { tenantId: stranger.tenantId, endpointId }, 10)),
  ])
    await t.rejects(async () => void (await act()), /^there is no /)
})

await t.test('a test event is sent once, also to a disabled endpoint', async t => {
  const { shop, to, endpointId } = await listening()
  const key = { tenantId: shop.tenantId, endpointId }
  await sql`update event_endpoints set state = 'disabled', state_reason = 'gone' where id = ${endpointId}`.execute(
    db,
  )
  to.answerStatus(500)
  const { webhookId } = await inTransaction(trx => testEndpoint(trx, COMMAND_LINE, key))
  await work()
  t.match(to.received, [
    { id: webhookId, type: 'webhook.test', data: { tenant_id: shop.tenantId } },
  ])
  t.match(await deliveriesTo(endpointId), [{ state: 'failed', attempts: 1, status: 500 }])
  t.match(await endpointRow(endpointId), { state: 'disabled', state_reason: 'gone', failures: 0 })

  await inTransaction(trx => testEndpoint(trx, COMMAND_LINE, key))
  const next = () => inTransaction(trx => testEndpoint(trx, COMMAND_LINE, key))
  await later(endpointId, '4 minutes')
  await t.rejects(next(), /a test is on its way/)
  await later(endpointId, '2 minutes')
  await next()
})

await t.test('during a rotation both keys sign', async t => {
  const { shop, to, endpointId, secret } = await listening()
  const key = { tenantId: shop.tenantId, endpointId }
  const next = await inTransaction(trx => rotateSecret(trx, COMMAND_LINE, key))
  const sendTest = async () => {
    await inTransaction(trx => testEndpoint(trx, COMMAND_LINE, key))
    await work()
    const last = to.received.at(-1)
    if (!last) throw new Error('nothing came')
    return last
  }
  const first = await sendTest()
  t.strictSame(first.signatures, [signatureBy(next.secret, first), signatureBy(secret, first)])
  await sql`update event_endpoints set previous_until = now() where id = ${endpointId}`.execute(db)
  const second = await sendTest()
  t.strictSame(second.signatures, [signatureBy(next.secret, second)])
  const { rows } = await sql`
    select to_jsonb(e)::text as text from event_endpoints e union all select to_jsonb(a)::text from audit_log a`.execute(
    db,
  )
  for (const one of [secret, next.secret])
    t.notMatch(JSON.stringify(rows), one.slice('whsec_'.length), 'stored only encrypted')
})

await t.test('at most four attempts at once, and one after five failures', async t => {
  const { shop, endpointId } = await listening()
  for (let n = 0; n < 5; n++) await missed(shop)
  const waiting = await deliveriesTo(endpointId)
  t.equal(waiting.length, 10)
  const claim = ({ id }: { id: string }) => inTransaction(trx => claimDelivery(trx, id))
  const claimed = (await Promise.all(waiting.map(claim))).flatMap(one => one ?? [])
  t.equal(claimed.length, 4)
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  const jobs = async () => {
    const { rows } = await sql<{ key: string }>`
      select key from graphile_worker.jobs where task_identifier = 'event_delivery' order by id`.execute(
      db,
    )
    return rows.map(({ key }) => key)
  }
  const [first] = claimed
  if (!first) throw new Error('nothing claimed')
  await inTransaction(trx => recordAttempt(trx, first, { status: 204 }))
  t.equal((await jobs()).length, 1, 'the next one follows')
  // A second outcome of the same attempt changes nothing.
  await inTransaction(trx => recordAttempt(trx, first, { error: 'timeout' }))
  t.match(
    (await deliveriesTo(endpointId)).find(({ id }) => id === first.deliveryId),
    {
      state: 'delivered',
    },
  )
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  await sql`update event_endpoints set failures = 4 where id = ${endpointId}`.execute(db)
  for (const one of claimed.slice(1))
    await inTransaction(trx => recordAttempt(trx, one, { status: 500 }))
  t.equal((await endpointRow(endpointId)).failures, 7)
  const open = (await deliveriesTo(endpointId)).filter(({ attempts }) => attempts === 0)
  t.strictSame(
    (await jobs()).filter(key => open.some(({ id }) => key.endsWith(`:${id}`))),
    [`event_delivery:${open[0]?.id}`],
  )
  const probes = (await Promise.all(open.map(claim))).flatMap(one => one ?? [])
  t.equal(probes.length, 1)
})

await t.test('an attempt whose delivery has ended makes room for the next one', async t => {
  const ENDINGS = {
    erased: sql`delete from event_deliveries where id = `,
    abandoned: sql`update event_deliveries set state = 'failed' where id = `,
    expired: sql`update event_deliveries set attempts = 2 where id = `,
  }
  for (const [name, end] of Object.entries(ENDINGS)) {
    const { shop, endpointId } = await listening()
    await missed(shop)
    await sql`update event_endpoints set failures = 5 where id = ${endpointId}`.execute(db)
    const [first, second] = await deliveriesTo(endpointId)
    const attempt = await inTransaction(trx => claimDelivery(trx, first?.id ?? ''))
    if (!attempt) throw new Error('nothing claimed')
    t.equal(await inTransaction(trx => claimDelivery(trx, second?.id ?? '')), null)
    await sql`delete from graphile_worker._private_jobs`.execute(db)
    await sql`${end}${attempt.deliveryId}`.execute(db)
    await later(endpointId, '31 seconds')
    await inTransaction(trx => recordAttempt(trx, attempt, { status: 500 }))
    const { rows } = await sql<{ key: string }>`
      select key from graphile_worker.jobs where task_identifier = 'event_delivery'`.execute(db)
    const next = name === 'expired' ? first : second
    t.strictSame(rows, [{ key: `event_delivery:${next?.id}` }], name)
  }
})

await t.test('while an attempt runs, the sweep adds the one that lost its process', async t => {
  const { shop, endpointId } = await listening()
  await missed(shop)
  await missed(shop)
  const [lost, running] = await deliveriesTo(endpointId)
  await inTransaction(trx => claimDelivery(trx, lost?.id ?? ''))
  await later(endpointId, '5 minutes')
  await inTransaction(trx => claimDelivery(trx, running?.id ?? ''))
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  await requeueDueRows()
  const { rows } = await sql<{ key: string }>`
    select key from graphile_worker.jobs where task_identifier = 'event_delivery' and flags ? ${`events:${shop.tenantId}`}`.execute(
    db,
  )
  t.strictSame(rows, [{ key: `event_delivery:${lost?.id}` }])
})

await t.test('after five failures, an endpoint that hangs is tried every five minutes', async t => {
  const { shop, endpointId } = await listening()
  await missed(shop)
  const [first, second] = await deliveriesTo(endpointId)
  const claimNext = (id = '') => inTransaction(trx => claimDelivery(trx, id))
  const hang = async (failures: number) => {
    await sql`update event_endpoints set failures = ${failures} where id = ${endpointId}`.execute(
      db,
    )
    const attempt = await claimNext(first?.id)
    if (!attempt) throw new Error('nothing claimed')
    await inTransaction(trx => recordAttempt(trx, attempt, { error: 'timeout' }))
    await later(endpointId, '1 hour')
    return (await endpointRow(endpointId)).paused_until
  }
  t.equal(await hang(3), null)
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  const pausedUntil = await hang(4)
  t.ok(Math.abs(Number(pausedUntil) - Date.now() - 300_000) < 10_000)
  t.equal(await claimNext(second?.id), null)
  const jobs = async () => {
    const { rows } = await sql`
      select run_at + interval '1 hour' as at from graphile_worker.jobs
      where key = ${`event_delivery:${second?.id}`}`.execute(db)
    return rows
  }
  t.strictSame(await jobs(), [{ at: pausedUntil }])
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  await requeueDueRows()
  t.strictSame(await jobs(), [], 'nor does the sweep add a job')
  const key = { tenantId: shop.tenantId, endpointId }
  await inTransaction(trx => resend(trx, COMMAND_LINE, key))
  t.ok(await claimNext(second?.id), 'a person who sends everything again ends the pause')
})

await t.test('no statement reads all the events that wait', async t => {
  const { shop, endpointId } = await listening()
  const key = { tenantId: shop.tenantId, endpointId }
  const isUndone = new Error('undone')
  const attempt = inTransaction(async trx => {
    await sql`
      with event as (
        insert into events (tenant_id, type, data)
        select ${shop.tenantId}, 'call.missed', '{}' from generate_series(1, 10100) returning id)
      insert into event_deliveries (tenant_id, event_id, event_endpoint_id)
      select ${shop.tenantId}, id, ${endpointId} from event`.execute(trx)
    await sql`analyze event_deliveries`.execute(trx)
    const rowsRead = async () => {
      const { rows } = await sql<{ read: number }>`
        select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_xact_user_tables
        where relname = 'event_deliveries'`.execute(trx)
      return rows[0]?.read ?? 0
    }
    const readsFew = async (name: string, act: () => Promise<unknown>) => {
      const before = await rowsRead()
      await act()
      const read = (await rowsRead()) - before
      t.ok(read > 0 && read < 100, `${name}: ${read}`)
    }
    const [listed] = await listEndpoints(trx, shop.tenantId)
    t.equal(listed?.waiting, 10_001)
    await readsFew('list', () => deliveriesOf(trx, key, 10))
    const { rows: oldest } = await sql<{ id: string }>`
      select min(id) as id from event_deliveries where event_endpoint_id = ${endpointId}`.execute(
      trx,
    )
    await readsFew('claim and record', async () => {
      const claimed = await claimDelivery(trx, oldest[0]?.id ?? '')
      if (!claimed) throw new Error('nothing claimed')
      await recordAttempt(trx, claimed, { status: 500 })
    })
    await readsFew('last attempt', async () => {
      t.match(await lastAttempts(trx, shop.tenantId), [{ endpointId, status: 500 }])
    })
    await readsFew('send everything again', async () => {
      t.strictSame(await resend(trx, COMMAND_LINE, key), { count: 1 })
    })
    await removeEndpoint(trx, COMMAND_LINE, key)
    t.strictSame(await listEndpoints(trx, shop.tenantId), [])
    throw isUndone
  })
  await t.rejects(attempt, isUndone)
})

await t.test('after a crash the event is sent again under its id', async t => {
  const { shop, to, endpointId } = await listening()
  await missed(shop)
  const [first] = await deliveriesTo(endpointId)
  const claim = () => inTransaction(trx => claimDelivery(trx, first?.id ?? ''))
  const lost = await claim()
  if (!lost) throw new Error('nothing claimed')
  t.equal(await claim(), null)
  await later(endpointId, '31 seconds')
  t.match(await claim(), { attempt: 2, id: lost.id })
  await inTransaction(trx => recordAttempt(trx, lost, { status: 204 }))
  t.match(await deliveriesTo(endpointId), [{ state: 'sending' }, {}], 'an outcome that is too late')
  await later(endpointId, '61 seconds')
  await sql`delete from graphile_worker._private_jobs`.execute(db)
  t.ok((await requeueDueRows()) >= 2, 'the sweep adds the jobs')
  t.equal(await requeueDueRows(), 0)
  await work()
  t.ok(to.received.some(({ id }) => id === lost.id))
  t.ok((await deliveriesTo(endpointId)).every(({ state }) => state === 'delivered'))
})

await t.test('an erased person leaves no event, also none that waits', async t => {
  const { shop, to, endpointId } = await listening()
  to.answerStatus(500)
  const { who } = await reach(shop)
  const neighbour = await reach(shop)
  await writes(who.e164, 'hello')
  await work()
  // A call without a lead, and a first message that waits.
  const callOf = ({ tenantId }: Business) =>
    sql`select record_event(${tenantId}, 'call.missed', null, jsonb_build_object('phone', ${who.e164}::text))`.execute(
      db,
    )
  await callOf(shop)
  const other = await listening()
  await callOf(other.shop)
  const waiting = customer()
  await miss(shop, waiting.local)
  const eraseThem = ({ e164 }: { e164: string }) =>
    inTransaction(trx => erase(trx, COMMAND_LINE, { tenantId: shop.tenantId, number: e164 }))
  const erased = await eraseThem(who)
  t.ok(erased.events >= 4)
  t.equal((await eraseThem(waiting)).events, 2, 'also what the erasure caused')
  t.equal((await deliveriesTo(other.endpointId)).length, 1, 'another business keeps its event')
  const { rows } = await sql<{ data: { phone: string } }>`
    select data from events where tenant_id = ${shop.tenantId}`.execute(db)
  t.ok(rows.length >= 2)
  t.ok(rows.every(({ data }) => data.phone === neighbour.who.e164))
  to.received.length = 0
  await later(endpointId, '1 hour')
  await work()
  t.notMatch(JSON.stringify(to.received), who.e164.slice(1))
})

await t.test('events are deleted after 30 days, with their deliveries', async t => {
  const { shop, endpointId } = await listening()
  await missed(shop)
  await sql`update events set created_at = now() - interval '29 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await redactExpired(undefined, 90)
  t.equal((await deliveriesTo(endpointId)).length, 2)
  await sql`update events set created_at = now() - interval '31 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await redactExpired(undefined, 90)
  t.strictSame(await deliveriesTo(endpointId), [])
})

await t.test('the removal of an endpoint disturbs no decision', async t => {
  const { shop, endpointId } = await listening()
  const key = { tenantId: shop.tenantId, endpointId }
  const removed = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const removal = inTransaction(async trx => {
    await removeEndpoint(trx, COMMAND_LINE, key)
    removed.resolve()
    await commit.promise
  })
  await removed.promise
  const recording = inTransaction(trx => missed(shop, trx))
  await until(async () => {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
      db,
    )
    return rows.length > 0
  })
  commit.resolve()
  await Promise.all([removal, recording])
  const { rows } = await sql`select from missed_calls where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.equal(rows.length, 1)
  t.strictSame(await inTransaction(trx => listEndpoints(trx, shop.tenantId)), [])
})

await t.test('the API', async t => {
  const { shop, to } = await listening()
  const other = await clientOf(await business())
  const api = await clientOf(shop)
  const added = await api.post('/webhooks', {
    url: ` ${to.url.replace('http', 'HTTP')}`,
    events: ['lead.replied'],
  })
  t.match(added, { status: 200, json: { id: /^\d+$/, secret: /^whsec_/ } })
  const { id } = Object(added.json)
  const { json } = await api.get('/webhooks')
  t.match(json, {
    data: [
      { state: 'active' },
      { id, url: to.url, events: ['lead.replied'], state_reason: null, last_attempt: null },
    ],
    next_cursor: null,
  })
  t.notMatch(JSON.stringify(json), /whsec_|secret/)
  const { json: page } = await api.get('/webhooks?limit=1')
  const { next_cursor: cursor } = Object(page)
  t.equal(Object(page).data.length, 1)
  t.equal(cursor, Object(json).data[0].id)
  t.match(await api.get(`/webhooks?limit=200&cursor=${cursor}`), {
    json: { data: [{ id }], next_cursor: null },
  })
  for (const wrong of ['limit=0', 'limit=201', 'cursor=x', 'other=1'])
    t.match(await api.get(`/webhooks?${wrong}`), { status: 422 }, wrong)
  const sent = await api.post(`/webhooks/${id}/test`)
  t.match(sent, { status: 202, json: { id, event_id: /^evt_/ } })
  t.match(await api.post(`/webhooks/${id}/test`), { status: 409, json: { code: 'test_running' } })
  await work()
  const { event_id } = Object(sent.json)
  t.match(to.received, [{ id: event_id, type: 'webhook.test' }])
  const last = { event_id, type: 'webhook.test', at: /Z$/, status: 204, error: null }
  t.match((await api.get('/webhooks')).json, {
    data: [{ last_attempt: null }, { last_attempt: last }],
  })
  for (const [url, code] of [
    ['http://10.0.0.1/', 'forbidden_address'],
    ['https://user@example.com/', 'invalid_request'],
    ['ftp://example.com/', 'invalid_request'],
  ])
    t.match(await api.post('/webhooks', { url }), {
      status: 422,
      json: { code, errors: [{ pointer: '#/url' }] },
    })
  t.match(await api.post('/webhooks', { url: 'http://10.0.0.1/', events: [] }), {
    json: { code: 'invalid_request' },
  })
  for (const answer of [
    await other.del(`/webhooks/${id}`),
    await other.post(`/webhooks/${id}/test`),
  ])
    t.match(answer, { status: 404, json: { code: 'not_found' } })
  t.match(await api.del(`/webhooks/${id}`), { status: 200, json: { id } })
  t.match(await api.del(`/webhooks/${id}`), { status: 404 })
  for (let n = 1; n < MAX_ENDPOINTS; n++) await endpointOf(shop, to.url)
  t.match(await api.post('/webhooks', { url: to.url }), {
    status: 409,
    json: { code: 'too_many_endpoints' },
  })
})

await t.test('a business has a few endpoints at most', async t => {
  const shop = await business()
  for (let n = 0; n < MAX_ENDPOINTS; n++) await endpointOf(shop, 'http://127.0.0.1:1/')
  await t.rejects(endpointOf(shop, 'http://127.0.0.1:1/'), /at most 10 endpoints/)
  for (const change of [
    { url: 'ftp://x' },
    { events: [] },
    { events: ['no'] },
    { url: 'x'.repeat(3000) },
  ])
    t.notOk(
      newEndpoint.safeParse({ tenantId: shop.tenantId, url: 'http://127.0.0.1:1/', ...change })
        .success,
    )
})
