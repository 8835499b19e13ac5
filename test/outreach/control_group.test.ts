/** The control group: who is in it, that they get no message, and what recovery_lift() makes of it. */
import { sql } from 'kysely'
import t from 'tap'
import { claim } from '../../app/messages/claim.ts'
import { firstMessage } from '../../app/messages/kinds.ts'
import { isHeldOut } from '../../app/outreach/control_group.ts'
import { callBackPush } from '../../scripts/demo/cdr.ts'
import { asTenant } from '../support/ops.ts'
import { type Business, business, customer, db, fake, work } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { arm, fillArms, type Member } from './support.ts'
import { dueSince, messagesAfter, miss, requestsOf, tell } from '../tasks/support.ts'
import { leadOf } from '../web/ops/support.ts'

type Outreach = { phone: string; state: string }
/** The decision about the last call of each caller. */
const outreachOfAll = async ({ tenantId }: Business): Promise<Outreach[]> => {
  const { rows } = await sql<Outreach>`
    select distinct on (caller_phone) caller_phone as phone, outreach_state || ' ' || outreach_reason as state
    from missed_calls where tenant_id = ${tenantId} order by caller_phone, id desc`.execute(db)
  return rows
}

await t.test('the group of a tenant', t => {
  const phones = Array.from({ length: 2000 }, () => customer().e164)
  const groupOf = (tenantId: string, percent: number) =>
    phones.filter(phone => isHeldOut(tenantId, phone, percent))
  t.strictSame(groupOf('1', 0), [])
  const [small, large] = [groupOf('1', 10), groupOf('1', 30)]
  t.strictSame(
    small.filter(phone => !large.includes(phone)),
    [],
    'a higher percentage only adds people',
  )
  t.ok(large.length > 500 && large.length < 700, `30 percent: ${large.length}`)
  const both = large.filter(phone => isHeldOut('2', phone, 30)).length
  t.ok(both > 120 && both < 240, `another tenant draws on its own: ${both} in both`)
  const thousand = phones.slice(0, 1000).filter(phone => isHeldOut('3', phone, 10))
  // Five standard deviations on each side, because the numbers and the key are random.
  t.ok(thousand.length >= 52 && thousand.length <= 150, `10 percent of 1,000: ${thousand.length}`)
  const palestinian = Array.from({ length: 200 }, (_, i) => `5${i % 2 ? 6 : 9}${1_000_000 + i}`)
  for (const digits of palestinian)
    t.equal(isHeldOut('1', `+970${digits}`, 50), isHeldOut('1', `+972${digits}`, 50), digits)
  t.end()
})

/** A caller who is in the control group of this tenant at 50 percent, or not. */
const callerIn = (shop: Business, wanted: boolean) => {
  for (let tries = 0; tries < 1000; tries++) {
    const caller = customer()
    if (isHeldOut(shop.tenantId, caller.e164, 50) === wanted) return caller
  }
  throw new Error('half of all people are in the group')
}

type Case = {
  before: (shop: Business, caller: ReturnType<typeof customer>, id: string) => Promise<unknown>
  end: string
}
const HALF = { columns: { holdout_percent: 50 } }
const set = (shop: Business, columns: Record<string, number | string>) =>
  db.updateTable('tenants').set(columns).where('id', '=', shop.tenantId).execute()

await t.test('only people who would be written to are held out', async t => {
  const cases: Record<string, Case> = {
    'nothing happened': { before: () => Promise.resolve(), end: 'skipped holdout' },
    'they opted out': {
      before: ({ tenantId }, { e164 }) =>
        sql`insert into opt_outs (tenant_id, phone, source) values (${tenantId}, ${e164}, 'operator')`.execute(
          db,
        ),
      end: 'skipped opted_out',
    },
    'they were reached': {
      before: ({ tenantId }, { e164 }) =>
        sql`update leads set called_back_at = now() where tenant_id = ${tenantId} and phone = ${e164}`.execute(
          db,
        ),
      end: 'cancelled reached_by_phone',
    },
    'the trial mode sends nothing': {
      before: shop => set(shop, { mode: 'shadow' }),
      end: 'skipped shadow',
    },
    'the connection is paused': {
      before: ({ tenantId }) =>
        sql`update whatsapp_connections set state = 'paused' where tenant_id = ${tenantId}`.execute(
          db,
        ),
      end: 'scheduled connection_paused',
    },
    'the group was closed': {
      before: shop => set(shop, { holdout_percent: 0 }),
      end: 'sent accepted',
    },
  }
  for (const [name, { before, end }] of Object.entries(cases)) {
    const shop = await business(HALF)
    const caller = callerIn(shop, true)
    const { id } = await miss(shop, caller.local)
    await before(shop, caller, id)
    await dueSince(id)
    t.strictSame(
      (await outreachOfAll(shop)).map(({ state }) => state),
      [end],
      name,
    )
    t.equal(requestsOf(shop).length, end.startsWith('sent') ? 1 : 0, name)
  }
})

await t.test(
  'an update that was not read yet may say "stop": the decision waits for it',
  async t => {
    const shop = await business(HALF)
    const caller = callerIn(shop, true)
    const { id } = await miss(shop, caller.local)
    await sql`
    insert into whatsapp_events (tenant_id, field, kind, payload, person_ids, content_key)
    values (${shop.tenantId}, 'messages', 'message', '{}', array[${caller.e164.slice(1)}], sha256('unread in a test'))`.execute(
      db,
    )
    await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
    t.equal(await claim(firstMessage(id, shop.tenantId)), null)
    t.strictSame(
      (await outreachOfAll(shop)).map(({ state }) => state),
      ['scheduled waiting'],
    )
    await sql`update whatsapp_events set outcome = 'not_a_reply' where tenant_id = ${shop.tenantId}`.execute(
      db,
    )
    t.equal(await claim(firstMessage(id, shop.tenantId)), null)
    t.strictSame(
      (await outreachOfAll(shop)).map(({ state }) => state),
      ['skipped holdout'],
    )
  },
)

await t.test('a person who was written to stays so when the message is tried again', async t => {
  const shop = await business()
  const caller = callerIn(shop, true)
  const { id } = await miss(shop, caller.local)
  fake.script({ to: caller.e164, outcome: { kind: 'error', code: 130429 } })
  await dueSince(id)
  await set(shop, { holdout_percent: 50 })
  await sql`update missed_calls set hold_until = now() where id = ${id}`.execute(db)
  await dueSince(id)
  t.strictSame(
    (await outreachOfAll(shop)).map(({ state }) => state),
    ['sent accepted'],
  )
  t.equal((await messagesAfter(id)).length, 3, 'with its reminders')
})

await t.test('a person of the group who writes is answered like all others', async t => {
  const shop = await business(HALF)
  const caller = callerIn(shop, true)
  const { id } = await miss(shop, caller.local)
  await dueSince(id)
  const { phoneNumberId } = shop
  await happens({ kind: 'text', from: caller.e164, phoneNumberId, text: 'אפשר תור?' })
  const lead = await leadOf(shop.tenantId, caller.e164)
  t.equal(lead.state, 'replied')
  const owner = await asTenant(shop.tenantId)
  const path = `/ops/leads/${lead.id}`
  const [, key = ''] = /name="key" value="([^"]+)"/.exec((await owner.get(path)).text) ?? []
  await owner.submit(`${path}/reply`, { back: path, text: 'כן', key })
  await work()
  t.match(
    await db
      .selectFrom('messages')
      .select(['direction', 'kind', 'state'])
      .where('tenant_id', '=', shop.tenantId)
      .orderBy('id')
      .execute(),
    [
      { direction: 'in', kind: 'inbound' },
      { direction: 'out', kind: 'manual', state: 'accepted' },
    ],
    'no other message, and no reminder',
  )
  t.match(fake.inbox(caller.e164), [{ text: 'כן', template: null }])
})

// recovery_lift()

type Row = {
  tenantId: string | null
  arm: string
  callers: number
  recovered: number
  rate: number | null
  lift: number | null
  low: number | null
  high: number | null
  enough: boolean
}
const liftOf = async (tenantIds: (string | null)[]): Promise<Row[]> => {
  const { rows } = await sql<Row>`
    select tenant_id as "tenantId", arm, callers::int, recovered::int, rate, lift, low, high, enough
    from recovery_lift('30 days')
    where tenant_id = any(${tenantIds}::bigint[]) or (tenant_id is null and ${tenantIds.includes(null)})
    order by tenant_id, arm desc`.execute(db)
  return rows
}

// Newcombe (1998), Statistics in Medicine 17, 873-890: table II, method 10.
const NEWCOMBE: [number, number, number, number, low: number, high: number][] = [
  [56, 70, 48, 80, 0.0524, 0.3339],
  [9, 10, 3, 10, 0.1705, 0.809],
  [6, 7, 2, 7, 0.0582, 0.8062],
  [5, 56, 0, 29, -0.0381, 0.1926],
  [0, 10, 0, 20, -0.1611, 0.2775],
  [0, 10, 0, 10, -0.2775, 0.2775],
  [10, 10, 0, 20, 0.6791, 1],
  [10, 10, 0, 10, 0.6075, 1],
]

await t.test('the interval is the one that Newcombe published', async t => {
  for (const [a, m, b, n, low, high] of NEWCOMBE) {
    const { tenantId } = await business({ connected: false })
    await fillArms([...arm(tenantId, 'outreach', a, m), ...arm(tenantId, 'holdout', b, n)])
    const [outreach, holdout] = await liftOf([tenantId])
    t.match(outreach, { arm: 'outreach', callers: m, recovered: a })
    t.match(holdout, { arm: 'holdout', callers: n, recovered: b })
    const shown = [outreach?.lift, outreach?.low, outreach?.high].map(one => one?.toFixed(4))
    t.strictSame(
      shown,
      [a / m - b / n, low, high].map(one => one.toFixed(4)),
      `${a}/${m} - ${b}/${n}`,
    )
  }
})

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
const randomFrom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

await t.test('of 100 simulations with a lift of 20 points, 90 intervals contain it', async t => {
  const { rows: tenants } = await sql<{ id: string }>`
    insert into tenants (name) select 'simulation ' || n from generate_series(1, 100) n returning id`.execute(
    db,
  )
  await fillArms(
    tenants.flatMap(({ id }, seed) => {
      const random = randomFrom(seed)
      const draw = (which: Member['arm'], count: number, rate: number): Member[] =>
        Array.from({ length: count }, () => ({
          tenantId: id,
          arm: which,
          isRecovered: random() < rate,
        }))
      return [...draw('outreach', 150, 0.6), ...draw('holdout', 50, 0.4)]
    }),
  )
  const rows = (await liftOf(tenants.map(({ id }) => id))).filter(row => row.arm === 'outreach')
  t.equal(rows.length, 100)
  const hits = rows.filter(
    ({ low, high }) => low !== null && high !== null && low <= 0.2 && high >= 0.2,
  )
  t.ok(hits.length >= 90, `${hits.length} of 100 intervals contain the lift`)
  t.ok(hits.length < 100, 'and some do not, as 95 percent mean')

  const { rows: pooled } = await sql<{ lift: number; low: number; high: number }>`
    select lift, low, high from recovery_lift('30 days') where tenant_id is null and arm = 'outreach'`.execute(
    db,
  )
  const [all] = pooled
  t.ok(all && all.low < 0.2 && all.high > 0.2 && all.high - all.low < 0.1, JSON.stringify(all))
})

await t.test('tenants of different kinds do not hide the effect of each other', async t => {
  // At the first, few callers come back and few are held out. At the second, most come back and half are held out. Both have
  // a lift of 10 points. All callers together would show the opposite.
  await sql`update missed_calls set called_at = called_at - interval '1 year'`.execute(db)
  const [first, second] = [
    await business({ connected: false }),
    await business({ connected: false }),
  ]
  await fillArms([
    ...arm(first.tenantId, 'outreach', 180, 900),
    ...arm(first.tenantId, 'holdout', 10, 100),
    ...arm(second.tenantId, 'outreach', 90, 100),
    ...arm(second.tenantId, 'holdout', 80, 100),
  ])
  const [outreach, holdout] = await liftOf([null])
  t.match(outreach, { callers: 1000, recovered: 270, enough: true })
  t.match(holdout, { callers: 200, recovered: 90 })
  t.equal(outreach?.lift?.toFixed(4), '0.1000')
  t.ok((outreach?.rate ?? 0) - (holdout?.rate ?? 0) > 0.0999, 'the rates fit the lift')
  t.ok((outreach?.low ?? 0) > 0, 'and 0 is not in the interval')
})

await t.test('for all tenants, only those with both arms are enough', async t => {
  await sql`update missed_calls set called_at = called_at - interval '1 year'`.execute(db)
  const columns = { holdout_percent: 5 }
  const [first, second] = [
    await business({ connected: false, columns }),
    await business({ connected: false, columns }),
  ]
  await fillArms([
    ...arm(first.tenantId, 'outreach', 100, 100),
    ...arm(second.tenantId, 'outreach', 5, 5),
    ...arm(second.tenantId, 'holdout', 0, 30),
  ])
  const [outreach] = await liftOf([null])
  t.match(outreach, { callers: 105, lift: 1, enough: false })
})

await t.test('few callers are not enough', async t => {
  // [hits, callers] with messages, the same without, enough
  const cases: [number, number, number, number, boolean][] = [
    [29, 29, 0, 29, false],
    [30, 30, 0, 30, true],
    [30, 30, 0, 29, false],
    [20, 40, 18, 40, false],
    [2000, 4000, 2000, 4000, true],
    [10, 100, 50, 100, true],
    [5, 5, 0, 0, false],
  ]
  for (const [a, m, b, n, enough] of cases) {
    const { tenantId } = await business({ connected: false, columns: { holdout_percent: 5 } })
    await fillArms([...arm(tenantId, 'outreach', a, m), ...arm(tenantId, 'holdout', b, n)])
    const rows = await liftOf([tenantId])
    t.strictSame(
      rows.map(row => row.enough),
      [enough, enough],
      `${a}/${m} - ${b}/${n}`,
    )
  }
  const none = await business({ connected: false })
  t.strictSame(await liftOf([none.tenantId]), [], 'without a control group there is no row')
})

await t.test('who came back, and who counts', async t => {
  type Scene = { shop: Business; e164: string; leadId: string; callId: string }
  const within = (hours: number) =>
    sql`now() - interval '5 days' + make_interval(hours => ${hours})`
  const wrote = (hours: number, keyword: string | null) => (scene: Scene) =>
    sql`insert into messages (tenant_id, lead_id, direction, kind, state, keyword, created_at)
        values (${scene.shop.tenantId}, ${scene.leadId}, 'in', 'inbound', 'received', ${keyword}, ${within(hours)})`.execute(
      db,
    )
  const talked = (hours: number) => async (scene: Scene) => {
    const record = { caller: scene.shop.did, target: scene.e164.slice(1) }
    await tell(scene.shop.token, callBackPush(record))
    await sql`update raw_cdrs set reached_until = ${within(hours)} where tenant_id = ${scene.shop.tenantId}
              and reached_phone is not null`.execute(db)
  }
  const onWhatsApp = (hours: number) => (scene: Scene) =>
    sql`insert into whatsapp_events (tenant_id, field, kind, outcome, received_at, content_key, payload)
        values (${scene.shop.tenantId}, 'calls', 'call', 'reached', ${within(hours)}, sha256(${scene.leadId}::bytea),
                jsonb_build_object('talk', jsonb_build_object('until', extract(epoch from ${within(hours)}),
                  'ids', jsonb_build_array(${scene.e164.slice(1)}::text))))`.execute(db)
  const calledBack = (hours: number) => (scene: Scene) =>
    sql`update leads set called_back_at = ${within(hours)} where id = ${scene.leadId}`.execute(db)
  const call = (columns: string, days: number) => (scene: Scene) =>
    sql`insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at, outreach_state,
                                  outreach_reason, outreach_due_at)
        select tenant_id, lead_id, 'further', caller_phone, business_phone, status, now() - make_interval(days => ${days}),
               split_part(${columns}, ' ', 1), split_part(${columns}, ' ', 2), now()
        from missed_calls where call_id = ${scene.callId}`.execute(db)

  const cases: Record<
    string,
    [(scene: Scene) => Promise<unknown>, callers: number, recovered: number]
  > = {
    'nothing happened': [() => Promise.resolve(), 1, 0],
    'they wrote': [wrote(47, null), 1, 1],
    'they wrote too late': [wrote(49, null), 1, 0],
    'they wrote before the call': [wrote(-1, null), 1, 0],
    'an opt-out': [wrote(1, 'stop'), 1, 0],
    'a message that takes back an opt-out': [wrote(1, 'start'), 1, 1],
    'a talk': [talked(47), 1, 1],
    'a talk that was too late': [talked(49), 1, 0],
    'a talk on WhatsApp': [onWhatsApp(47), 1, 1],
    'a talk on WhatsApp that was too late': [onWhatsApp(49), 1, 0],
    'marked as called back': [calledBack(47), 1, 1],
    'marked too late': [calledBack(49), 1, 0],
    'another call, in the other arm': [call('sent accepted', 1), 1, 0],
    'an earlier call decides': [
      scene => call('sent accepted', 6)(scene).then(() => wrote(1, null)(scene)),
      0,
      0,
    ],
    'an earlier call without a message does not count': [call('skipped too_late', 6), 1, 0],
    'the person was erased': [
      ({ callId }) =>
        sql`update missed_calls set lead_id = null where call_id = ${callId}`.execute(db),
      0,
      0,
    ],
  }
  for (const [name, [happens, callers, recovered]] of Object.entries(cases)) {
    const shop = await business({ connected: false, columns: { holdout_percent: 5 } })
    await fillArms(arm(shop.tenantId, 'holdout', 0, 1))
    const { rows } = await sql<{ leadId: string; callId: string; e164: string }>`
      select lead_id as "leadId", call_id as "callId", caller_phone as e164 from missed_calls where tenant_id = ${shop.tenantId}`.execute(
      db,
    )
    const [found] = rows
    if (!found) throw new Error('no call was added')
    await happens({ shop, ...found })
    const holdout = (await liftOf([shop.tenantId])).find(row => row.arm === 'holdout')
    t.match(holdout, { callers, recovered }, name)
  }
})

await t.test('all callers whose message was claimed count', async t => {
  // [the decision about the call, the state of a message that was claimed, callers]
  const cases: [string, string | null, number][] = [
    ['sending claimed', null, 1],
    ['sent accepted', null, 1],
    ['failed refused', null, 1],
    ['unknown no_answer', null, 1],
    ['cancelled replied', null, 0],
    ['cancelled replied', 'cancelled', 1],
    ['skipped too_late', null, 0],
    ['skipped too_late', 'skipped', 1],
    ['scheduled waiting', null, 0],
    ['scheduled waiting', 'scheduled', 1],
    ['skipped shadow', 'shadow', 0],
  ]
  for (const [decision, message, callers] of cases) {
    const { tenantId } = await business({ connected: false, columns: { holdout_percent: 5 } })
    await fillArms(arm(tenantId, 'outreach', 0, 1))
    await sql`
      update missed_calls set outreach_state = split_part(${decision}, ' ', 1), outreach_reason = split_part(${decision}, ' ', 2)
      where tenant_id = ${tenantId}`.execute(db)
    if (message)
      await sql`
        with conversation as (
          insert into lead_conversations (tenant_id, lead_id, missed_call_id)
          select tenant_id, lead_id, id from missed_calls where tenant_id = ${tenantId} returning id
        )
        insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at, claimed_at)
        select ${tenantId}, id, 'out', 'initial', ${message}, now(), now() from conversation`.execute(
        db,
      )
    t.match(await liftOf([tenantId]), [{ arm: 'outreach', callers }, {}], `${decision} ${message}`)
  }
})

await t.test('outreach of another season is not compared', async t => {
  const { tenantId } = await business({ connected: false })
  await fillArms([...arm(tenantId, 'holdout', 0, 2), ...arm(tenantId, 'outreach', 0, 5)])
  await sql`
    update missed_calls m set called_at = now() - make_interval(days => case outreach_state when 'skipped' then 14
      else (array[22, 20, 14, 8, 6])[n] end)
    from (select id, row_number() over (partition by outreach_state order by id) as n from missed_calls
          where tenant_id = ${tenantId}) o where o.id = m.id`.execute(db)
  t.match(await liftOf([tenantId]), [{ arm: 'outreach', callers: 3 }, { callers: 2 }])
})
