/** Alerts: each problem is raised and reported once, and ends when the problem is gone. */
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, type Business, customer, db, fake, post, work } from '../support/ringback.ts'
import { dueSince, miss, requestsOf, tell, unboundToken } from '../tasks/support.ts'
import { alertsOf, callsCame } from './support.ts'
import { encrypt, tokenOwner } from '../../app/crypto.ts'
import { log } from '../../app/log.ts'
import { checkAlerts } from '../../app/monitoring/alerts.ts'
import { localNumber } from '../../app/phone.ts'

/** The program has been available for a day. */
const LONG = 24 * 60 * 60_000

/** Checks once, and runs the jobs that follow. */
const look = async (upForMs = LONG) => {
  await checkAlerts(upForMs)
  await work()
}

/** A business whose owner has a phone, in a time zone without holidays. `told` returns the owner's notices. */
const owned = async (settings: Parameters<typeof business>[0] = {}) => {
  const owner = customer().e164
  const columns = { owner_phone: owner, timezone: 'UTC', ...settings.columns }
  const shop = await business({ ...settings, columns })
  const told = () => fake.inbox(owner).map(({ template }) => template?.parameters.join(' | ') ?? '')
  return { ...shop, owner, told }
}

const dial = async ({ token }: Business, did: string) => tell(token, push({ did }))
const isOf = (text: string | undefined, ...parts: string[]) =>
  parts.every(part => text?.includes(part))

await t.test('a number that belongs to no business', async t => {
  const shop = await owned()
  await look()
  t.strictSame(await alertsOf(shop), [])
  await dial(shop, '0772000001')
  await dial(shop, '0772000001')
  await look()
  await look()
  t.strictSame(await alertsOf(shop), [['unmatched_number', '+972772000001', true, false]])
  t.equal(shop.told().length, 1, 'the owner gets one notice')
  t.ok(isOf(shop.told()[0], 'מספרת נועה', localNumber(shop.line), '+972772000001'))

  await db
    .insertInto('tenant_numbers')
    .values({ tenant_id: shop.tenantId, phone: '+972772000001' })
    .execute()
  await look()
  t.strictSame(
    await alertsOf(shop),
    [['unmatched_number', '+972772000001', true, false]],
    'the alert stays until the calls are classified again',
  )
  await look()
  t.strictSame(await alertsOf(shop), [['unmatched_number', '+972772000001', true, true]])
  await look()
  t.equal((await alertsOf(shop)).length, 1)
  t.equal(shop.told().length, 1)
})

await t.test('thirty numbers are thirty alerts, and one message a day', async t => {
  const shop = await owned()
  for (let n = 10; n < 40; n++) await post(push({ did: `07730000${n}` }), { token: shop.token })
  await work()
  await look()
  await dial(shop, '0773000050')
  await look()
  const told = async () => (await alertsOf(shop)).filter(([, , told]) => told).length
  t.equal((await alertsOf(shop)).length, 31)
  t.equal(await told(), 30)
  t.equal(shop.told().length, 1)
  t.ok(isOf(shop.told()[0], '30', '+972773000010', '+972773000012', 'ועוד'))
  t.notOk(isOf(shop.told()[0], '+972773000013'))

  await sql`update alerts set notified_at = notified_at - interval '25 hours' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await look()
  t.equal(await told(), 31)
  t.equal(shop.told().length, 2)
  t.ok(isOf(shop.told()[1], '+972773000050'))
})

await t.test('only the operator is notified of a number without a tenant', async t => {
  const shop = await owned()
  await tell(await unboundToken(), push({ did: '0772000009' }))
  await look()
  await dial(shop, '0772000009')
  await look()
  t.strictSame(await alertsOf(shop), [['unmatched_number', '+972772000009', true, false]])
  const { rows } =
    await sql`select from alerts where tenant_id is null and subject = '+972772000009'`.execute(db)
  t.equal(rows.length, 1)
  t.equal(shop.told().length, 1)
})

await t.test('above the limit of numbers, alerts that were raised stay', async t => {
  const shop = await owned()
  const dialled = async (numbers: string) =>
    sql`
      insert into raw_cdrs (tenant_id, call_id, root_call_id, payload, content_hash, verdict, reason, business_phone)
      select ${shop.tenantId}, phone, phone, '{}', sha256(phone::bytea), 'unmatched_number', 'number', phone
      from ${sql.raw(numbers)} n, lateral (select '+9727' || n as phone) p`.execute(db)
  await dialled('generate_series(2000, 2149)')
  await look()
  t.equal((await alertsOf(shop)).length, 100)
  await dialled('generate_series(1000, 1009)')
  await look()
  const alerts = await alertsOf(shop)
  t.equal(alerts.length, 110)
  t.notOk(
    alerts.some(([, , , ended]) => ended),
    'none ends because of the others',
  )
  await sql`delete from raw_cdrs where tenant_id = ${shop.tenantId}`.execute(db)
})

await t.test('a connection that WhatsApp refuses', async t => {
  const shop = await owned()
  const who = customer()
  const { id } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 190 } })
  await dueSince(id)
  await look()
  const [{ id: connection } = { id: '' }] = await db
    .selectFrom('whatsapp_connections')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  const subject = `whatsapp_connections ${connection}`
  t.strictSame(await alertsOf(shop), [['connection_paused', subject, false, false]])
  t.strictSame(shop.told(), [], 'there is no number to write to the owner from')

  const state = (state: string) =>
    db.updateTable('whatsapp_connections').set({ state }).where('id', '=', connection).execute()
  await state('active')
  await look()
  t.strictSame(await alertsOf(shop), [['connection_paused', subject, false, true]])

  // The next time, the owner is notified through another number.
  const second = fake.addNumber()
  await db
    .insertInto('whatsapp_connections')
    .values({
      tenant_id: shop.tenantId,
      display_phone_number: customer().e164,
      phone_number_id: second.phoneNumberId,
      access_token: encrypt(second.token, tokenOwner(shop.tenantId)),
    })
    .execute()
  await state('paused')
  await look()
  await look()
  t.strictSame((await alertsOf(shop))[1], ['connection_paused', subject, true, false])
  t.equal(shop.told().length, 1)
})

await t.test('a template that is paused', async t => {
  const shop = await owned()
  const who = customer()
  const { id } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'error', code: 132015 } })
  await dueSince(id)
  await look()
  const [alert] = await alertsOf(shop)
  t.match(alert, ['template_paused', /^whatsapp_templates \d+ initial$/, true, false])
  t.equal(shop.told().length, 1)
  await sql`update whatsapp_templates set state = 'active'`.execute(db)
  await look()
  t.equal((await alertsOf(shop))[0]?.[3], true)
})

await t.test('while the template for notices is paused, the notice waits', async t => {
  const shop = await owned()
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, state)
    select tenant_id, id, 'owner_notice', 'ringback_owner_notice', 'he', '{caller_name,caller_phone,what_happened}', 'paused'
    from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
  await dial(shop, '0772000003')
  await look()
  t.equal((await alertsOf(shop)).length, 2)
  t.strictSame(shop.told(), [])
  await sql`update whatsapp_templates set state = 'active'`.execute(db)
  await look()
  t.equal(shop.told().length, 1)
})

await t.test('of a failing call log only the operator is notified', async t => {
  const shop = await owned()
  const since = (ago: string) =>
    sql`
      insert into call_log_access (tenant_id, kind, credential, watched_since, checked_until, last_error, failing_since)
      values (${shop.tenantId}, 'code', 'v1:x', now(), now(), 'no_answer', now() - ${ago}::interval)
      on conflict on constraint call_log_access_key do update set failing_since = excluded.failing_since`.execute(
      db,
    )
  await since('2 hours')
  await look()
  t.strictSame(await alertsOf(shop), [])
  await since('4 hours')
  await look()
  t.strictSame(await alertsOf(shop), [
    ['call_log_failing', `tenants ${shop.tenantId}`, false, false],
  ])
  t.strictSame(shop.told(), [])
  await sql`delete from call_log_access`.execute(db)
  await look()
  t.equal((await alertsOf(shop))[0]?.[3], true)
})

/** Twenty calls between two and four hours ago; in each of these earlier weeks twenty more in the two hours after. */
const lively = (weeks: number[]): string[] =>
  [0, ...weeks].flatMap(week =>
    Array.from({ length: 40 }, (_, n) => `${week} weeks ${n * 6} minutes`).filter(
      (_, n) => week > 0 || n >= 20,
    ),
  )

await t.test('webhooks that fall silent', async t => {
  const shop = await owned()
  await callsCame(shop, lively([1, 2, 3, 4]))
  await look(59 * 60_000)
  t.strictSame(await alertsOf(shop), [], 'the program itself may have been unavailable')
  await look()
  await look()
  const subject = `tenants ${shop.tenantId}`
  t.strictSame(await alertsOf(shop), [['webhooks_silent', subject, true, false]])
  t.equal(shop.told().length, 1)
  t.match(shop.told()[0], /מאז יום \S+,? \d\d:\d\d/)
  // The alert stays open, although the earlier weeks no longer have calls.
  await sql`update raw_cdrs set received_at = received_at - interval '300 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await look()
  t.strictSame(await alertsOf(shop), [['webhooks_silent', subject, true, false]])

  await dial(shop, shop.did)
  await look()
  t.strictSame(await alertsOf(shop), [['webhooks_silent', subject, true, true]])
  t.equal(shop.told().length, 1)
})

await t.test('cases in which silence is not unusual', async t => {
  const none = async (name: string, shop: Business) => {
    await look()
    t.strictSame(await alertsOf(shop), [], name)
  }
  const young = await owned()
  await callsCame(young, lively([1, 2, 3]))
  await none('three weeks are too few', young)
  const varied = await owned()
  await callsCame(varied, lively([1, 2, 4, 5, 6]))
  await none('one week ago it was silent too', varied)
  const small = await owned()
  await callsCame(small, ['2 hours', ...[1, 2, 3, 4].flatMap(week => [`${week} weeks 1 hour`])])
  await none('a business of few calls', small)
  const short = await owned()
  await callsCame(short, [...lively([1, 2, 3, 4]), '50 minutes'])
  await none('less than an hour', short)
  const never = await owned()
  await none('no call ever came', never)
  const paused = await owned({ mode: 'paused' })
  await callsCame(paused, lively([1, 2, 3, 4]))
  await none('a business that is paused', paused)
  const legs = await owned()
  await callsCame(legs, lively([1, 2, 3, 4]))
  await sql`update raw_cdrs set root_call_id = 'one' where tenant_id = ${legs.tenantId} and received_at < now() - interval '6 days'`.execute(
    db,
  )
  await none('many records of one call are one call', legs)
  const pulled = await owned()
  await callsCame(pulled, lively([1, 2, 3, 4]))
  await sql`update raw_cdrs set source = 'call_log' where tenant_id = ${pulled.tenantId} and received_at < now() - interval '6 days'`.execute(
    db,
  )
  await none('calls from the call log do not count as webhooks', pulled)
})

await t.test('calls from the call log do not end a silence', async t => {
  const shop = await owned()
  await callsCame(shop, lively([1, 2, 3, 4]))
  await look()
  await callsCame(shop, ['0 seconds'])
  await sql`update raw_cdrs set source = 'call_log' where tenant_id = ${shop.tenantId} and received_at > now() - interval '1 hour'`.execute(
    db,
  )
  await look()
  t.equal((await alertsOf(shop))[0]?.[3], false)
})

for (const [name, settings] of [
  ['a business in shadow mode', { mode: 'shadow' }],
  ['a business without a WhatsApp number', { connected: false }],
] as const)
  await t.test(`${name}: only the operator is notified`, async t => {
    const shop = await owned(settings)
    await dial(shop, '0772000004')
    await look()
    t.strictSame(await alertsOf(shop), [['unmatched_number', '+972772000004', false, false]])
    t.strictSame(shop.told(), [])
  })

await t.test('an owner without a phone is not notified', async t => {
  const shop = await business()
  await dial(shop, '0772000005')
  await look()
  t.strictSame(await alertsOf(shop), [['unmatched_number', '+972772000005', false, false]])
  t.strictSame(requestsOf(shop), [])
})

await t.test('a notice waits for the end of a quiet window', async t => {
  const { rows } = await sql<{ windows: string[]; ends: Date }>`
    select array[to_char(n - interval '1 hour', 'HH24:MI') || '-' || to_char(n + interval '2 hours', 'HH24:MI')] as windows,
           date_trunc('minute', now()) + interval '2 hours' as ends
    from (select now() at time zone 'UTC') x (n)`.execute(db)
  const [quiet] = rows
  const shop = await owned({ columns: { quiet_windows: quiet?.windows ?? [] } })
  await dial(shop, '0772000006')
  await look()
  t.strictSame(shop.told(), [])
  const notice = await db
    .selectFrom('messages')
    .select(['state', 'due_at'])
    .where('tenant_id', '=', shop.tenantId)
    .where('kind', '=', 'owner_notice')
    .executeTakeFirstOrThrow()
  t.equal(notice.state, 'scheduled')
  t.ok(Math.abs((notice.due_at?.getTime() ?? 0) - (quiet?.ends.getTime() ?? 0)) <= 60_000)
})

await t.test('several checks at once raise and log one alert and send one notice', async t => {
  const shop = await owned()
  await dial(shop, '0772000007')
  const warned = t.capture(log, 'warn')
  await Promise.all(Array.from({ length: 5 }, () => checkAlerts(LONG)))
  await work()
  t.equal((await alertsOf(shop)).length, 1)
  t.equal(shop.told().length, 1)
  const logged = warned().map(({ args }) => args)
  t.match(logged, [
    [{ tenantId: shop.tenantId, kind: 'unmatched_number', alertId: /^\d+$/ }, /something is wrong/],
  ])
  t.equal(logged.length, 1)
  t.notMatch(JSON.stringify(logged), '72000007', 'the number is not logged')
})

await t.test('a notice is cancelled if the problem ends before it is sent', async t => {
  const shop = await owned({ columns: { quiet_windows: ['00:00-23:59', '23:58-00:01'] } })
  await dial(shop, '0772000009')
  await look()
  t.match(await alertsOf(shop), [['unmatched_number', '+972772000009', true, false]])
  await db
    .insertInto('tenant_numbers')
    .values({ tenant_id: shop.tenantId, phone: '+972772000009' })
    .execute()
  await work()
  await look()
  const notices = await db
    .selectFrom('messages')
    .select(['state', 'reason'])
    .where('tenant_id', '=', shop.tenantId)
    .where('occasion', 'like', 'alert:%')
    .execute()
  t.strictSame(notices, [{ state: 'cancelled', reason: 'over' }])
})

await t.test('while one check runs, another one does nothing', async t => {
  const shop = await owned()
  await dial(shop, '0772000008')
  // Otherwise the second could raise an alert again that the first has just ended.
  await db.transaction().execute(async trx => {
    await sql`select pg_advisory_xact_lock(hashtextextended('signals trouble', 0))`.execute(trx)
    await checkAlerts(LONG)
    t.strictSame(await alertsOf(shop), [])
  })
  await look()
  t.equal((await alertsOf(shop)).length, 1)
})
