/** Outgoing events with real processes: kills, a proxy, and an endpoint that hangs while 10,000 events wait. */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { deliveriesTo, dueNow, endpointOf, later, receiver } from '../events/support.ts'
import { IN_ORDER, killAt, startProcess, waitUntil } from '../support/process.ts'
import { business, type Business, customer, db, post, webDb } from '../support/ringback.ts'
import { dueMessage } from '../support/sending.ts'

/** In production no event is sent to this machine. */
const WORKER = { ROLE: 'worker', NODE_ENV: 'development' }

let calls = 0
/** Withheld callers: two events for each. */
const missed = async ({ tenantId }: Business, count: number): Promise<void> => {
  await sql`
    insert into missed_calls (tenant_id, call_id, business_phone, status, called_at, outreach_state, outreach_reason)
    select ${tenantId}, 'withheld ' || ${++calls}::text || ' ' || n, '072', 'ABANDONE', now(), 'skipped', 'withheld_number'
    from generate_series(1, ${count}::int) n`.execute(db)
}

const areDelivered = async (endpointId: string) =>
  (await deliveriesTo(endpointId)).every(({ state }) => state === 'delivered')

await t.test('a process dies after the commit, and the next one delivers', async t => {
  const shop = await business()
  const to = await receiver()
  const { endpointId } = await endpointOf(shop, to.url)
  const killed = startProcess(WORKER, killAt('voicenter_cdr:committed'))
  await killed.running()
  await post(push({ caller: customer().local, did: shop.did }), { token: shop.token })
  t.match(await killed.ended(), { how: 'SIGKILL' })
  t.match(await deliveriesTo(endpointId), [{ state: 'pending', attempts: 0 }])
  const next = startProcess(WORKER)
  await waitUntil('delivered', () => areDelivered(endpointId))
  t.strictSame(to.types(), ['call.missed'])
  next.signal('SIGTERM')
  t.match(await next.ended(), IN_ORDER)
})

await t.test(
  'a process dies during an attempt, and the event comes again under its id',
  async t => {
    const shop = await business()
    const to = await receiver(() => {})
    const { endpointId } = await endpointOf(shop, to.url, ['call.missed'])
    const killed = startProcess(WORKER)
    await killed.running()
    await missed(shop, 1)
    await waitUntil('it is being sent', () => to.received.length === 1)
    killed.signal('SIGKILL')
    await killed.ended()
    t.match(await deliveriesTo(endpointId), [{ state: 'sending', attempts: 1 }])
    to.answerStatus(204)
    await later(endpointId, '61 seconds')
    const next = startProcess(WORKER)
    await waitUntil('delivered', () => areDelivered(endpointId))
    t.match(await deliveriesTo(endpointId), [{ state: 'delivered', attempts: 2, status: 204 }])
    t.equal(to.received.length, 2)
    t.equal(new Set(to.received.map(({ id }) => id)).size, 1)
    next.signal('SIGTERM')
    t.match(await next.ended(), IN_ORDER)
  },
)

await t.test('with two processes, kills and refusals, every id arrives', async t => {
  const shop = await business()
  let requests = 0
  const to = await receiver((_, response) => {
    response.writeHead(++requests % 7 === 0 ? 503 : 204).end()
  })
  const { endpointId } = await endpointOf(shop, to.url)
  const [one, two] = [startProcess(WORKER), startProcess(WORKER)]
  await Promise.all([one.running(), two.running()])
  await missed(shop, 50)
  await waitUntil('many came', () => to.received.length > 20)
  one.signal('SIGKILL')
  await one.ended()
  // Its claims expire.
  await later(endpointId, '61 seconds')
  await waitUntil('all are delivered', async () => {
    await dueNow(endpointId)
    return areDelivered(endpointId)
  })
  const { rows } = await sql<{ id: string }>`
    select webhook_id as id from events where tenant_id = ${shop.tenantId}`.execute(db)
  t.equal(rows.length, 100)
  t.strictSame(
    [...new Set(to.received.map(({ id }) => id))].toSorted(),
    rows.map(({ id }) => id).toSorted(),
    'a receiver that ignores the ids that it has gets each one once',
  )
  two.signal('SIGTERM')
  t.match(await two.ended(), IN_ORDER)
})

await t.test('no proxy is used, although the environment names one', async t => {
  const [to, proxy] = [await receiver(), await receiver()]
  // The request by node:http shows that the proxy is in effect.
  const program = `
    import http from 'node:http'
    import { once } from 'node:events'
    import { post } from './app/events/post.ts'
    const url = ${JSON.stringify(to.url)}
    const body = JSON.stringify({ type: 'webhook.test', timestamp: new Date(), data: { tenant_id: '1' } })
    const control = http.request(url, { method: 'POST' })
    control.end(body)
    const [answer] = await once(control, 'response')
    answer.resume()
    console.log(JSON.stringify(await post({ url, headers: {}, body }, { production: false })))`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: new URL(proxy.url).origin,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.strictSame(JSON.parse(await text(child.stdout)), { status: 204 })
  t.equal(proxy.received.length, 1, 'the control')
  t.equal(to.received.length, 1)
})

await t.test('10,000 events wait for an endpoint that hangs: nothing else is delayed', async t => {
  const [busy, quiet] = [await business(), await business()]
  let open = 0
  let most = 0
  const hanging = await receiver((request, response) => {
    most = Math.max(most, ++open)
    request.socket.on('close', () => open--)
    response.on('error', () => {})
  })
  const to = await receiver()
  const { endpointId: busyId } = await endpointOf(busy, hanging.url)
  const { endpointId: quietId } = await endpointOf(quiet, to.url, ['call.missed'])
  const program = startProcess(WORKER)
  await program.running()
  // Few at once, as in the program: a statement that takes 5 s is cancelled.
  for (let n = 0; n < 100; n++)
    await sql`
      select record_event(${busy.tenantId}, 'call.missed', null, '{}') from generate_series(1, 100)`.execute(
      webDb,
    )
  await waitUntil('four attempts run', () => open === 4)

  const isWithin = (what: string, seconds: number) => {
    t.comment(`${what}: ${seconds.toFixed(2)} s`)
    t.ok(seconds < 5, `${what}: ${seconds.toFixed(2)} s`)
  }
  await missed(quiet, 1)
  isWithin('an event of another business', await waitUntil('it came', () => areDelivered(quietId)))
  const message = await dueMessage(busy)
  await message.begin()
  isWithin('a first message', await waitUntil('it is sent', () => message.received() > 0))
  t.equal(most, 4, 'never more at once')
  t.ok((await deliveriesTo(busyId)).length >= 10_000)

  hanging.answerStatus(410)
  hanging.hangUp()
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
})
