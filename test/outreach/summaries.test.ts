/** The digest of silent callers and the week in a line: when they are due, what they say, and that they go out once. */
import { sql } from 'kysely'
import { test } from 'tap'
import { markCalledBack } from '../../app/outreach/lead_actions.ts'
import { queueSummaries } from '../../app/outreach/owner_summaries.ts'
import {
  digestText,
  dueSummaries,
  type Lift,
  MAX_LISTED,
  type SummarySettings,
  weekText,
} from '../../app/outreach/summaries.ts'
import { LANGUAGES } from '../../app/whatsapp/templates.ts'
import { business, type Business, customer, db, fake, work } from '../support/ringback.ts'
import { act, OPERATOR } from '../tenants/support.ts'
import { leadsOf, runAtOnce } from '../tasks/support.ts'
import { noticesOf } from './support.ts'

const MINUTE = 60_000

// When they are due.

const SETTINGS: SummarySettings = {
  timezone: 'Asia/Jerusalem',
  location: 'Tel Aviv',
  quietWindows: ['21:00-08:00', '11:00-13:00'],
  reminderQuietWindows: [],
  ownerPhone: '+972502223344',
  grace: 30 * MINUTE,
}
const HOLY = { reminderQuietWindows: ['shabbat', 'holidays'] }
const AMERICA = { timezone: 'America/New_York' }

/** [now, settings, the occasions] */
const TIMES: [string, Partial<SummarySettings>, string[]][] = [
  ['2026-11-30T11:59:59+02:00', {}, []],
  ['2026-11-30T12:00:00+02:00', {}, ['digest:2026-11-30T12']],
  ['2026-11-30T12:30:00+02:00', {}, ['digest:2026-11-30T12']],
  ['2026-11-30T12:30:01+02:00', {}, []],
  ['2026-11-30T18:29:00+02:00', {}, ['digest:2026-11-30T18']],
  ['2026-11-30T23:00:00+02:00', {}, []],
  ['2026-12-01T02:00:00+02:00', { grace: 9 * 60 * MINUTE }, ['digest:2026-11-30T18']],
  ['2026-11-30T12:10:00-05:00', AMERICA, ['digest:2026-11-30T12']],
  ['2026-11-30T12:10:00+02:00', AMERICA, []],
  ['2026-11-29T08:59:59+02:00', {}, []],
  ['2026-11-29T09:00:00+02:00', {}, ['week:2026-11-29']],
  ['2026-11-29T09:31:00+02:00', {}, []],
  ['2026-11-28T09:10:00+02:00', {}, []],
  // The clocks change in the night before.
  ['2026-03-27T12:01:00+03:00', {}, ['digest:2026-03-27T12']],
  ['2026-10-25T09:01:00+02:00', {}, ['week:2026-10-25']],
  // Shabbat from 16:18 to 17:13.
  ['2026-11-27T18:05:00+02:00', {}, ['digest:2026-11-27T18']],
  ['2026-11-27T18:05:00+02:00', HOLY, []],
  ['2026-11-28T12:05:00+02:00', HOLY, []],
  ['2026-11-28T17:25:00+02:00', HOLY, ['digest:2026-11-28T12']],
  ['2026-11-28T18:05:00+02:00', HOLY, ['digest:2026-11-28T18']],
  ['2026-11-28T17:25:00+02:00', { quietWindows: ['shabbat'] }, ['digest:2026-11-28T12']],
  // In summer it ends after 20:00, and what waited comes as one.
  ['2026-06-27T18:05:00+03:00', HOLY, []],
  ['2026-06-27T20:40:00+03:00', HOLY, ['digest:2026-06-27T18']],
  // Rosh Hashana, Saturday and Sunday.
  ['2026-09-13T09:05:00+03:00', HOLY, []],
  ['2026-09-13T19:40:00+03:00', HOLY, ['digest:2026-09-13T18', 'week:2026-09-13']],
  ['2026-09-13T21:00:00+03:00', HOLY, []],
]

await test('the digest is due at 12:00 and 18:00, the week on Sunday at 09:00, and neither on Shabbat', async t => {
  for (const [now, settings, expected] of TIMES)
    t.strictSame(
      dueSummaries(new Date(now), { ...SETTINGS, ...settings }).map(({ occasion }) => occasion),
      expected,
      `${now} ${JSON.stringify(settings)}`,
    )
})

await test('a summary counts as late from the end of Shabbat, and the week is the one before', async t => {
  const [digest] = dueSummaries(new Date('2026-11-28T17:40:00+02:00'), { ...SETTINGS, ...HOLY })
  const end = new Date('2026-11-28T17:13:00+02:00').getTime()
  const after = (digest?.dueAt.getTime() ?? 0) - end
  t.ok(after >= 0 && after <= 10 * MINUTE, String(after / MINUTE))
  const [week] = dueSummaries(new Date('2026-11-29T09:00:00+02:00'), SETTINGS)
  t.match(week, {
    dueAt: new Date('2026-11-29T09:00:00+02:00'),
    from: new Date('2026-11-22T00:00:00+02:00'),
    until: new Date('2026-11-29T00:00:00+02:00'),
  })
})

// What they say.

const people = (count: number, name: string | null = null) =>
  Array.from({ length: count }, (_, n) => ({ name, phone: `+9725${23456789 + n}` }))
const LINK = 'https://ringback.example/l/0123456789012345678901234567890123456789012'

await test('the digest counts all people, and names as many as fit', async t => {
  t.equal(
    digestText(people(1), 'he', LINK),
    `– פנייה טלפונית אחת מחכה לתשובה: 052-345-6789. ${LINK}`,
  )
  t.equal(
    digestText([...people(1, 'דנה\nכהן'), { name: null, phone: '+15005550006' }], 'en', 'x'),
    '– 2 callers wait for an answer: דנה כהן 052-345-6789, +15005550006. x',
  )
  for (const language of [...LANGUAGES, 'unknown'])
    for (const count of [1, 3, 30, MAX_LISTED])
      for (const name of [null, 'דנה', '👩‍👩‍👧'.repeat(30)]) {
        const text = digestText(people(count, name), language, LINK)
        t.ok(text.length <= 300 && text.isWellFormed(), `${text.length}: ${text}`)
        t.ok(text.endsWith(`. ${LINK}`))
        t.match(text, /052-345-6789/)
        t.ok(count === 1 || text.includes(String(count)))
      }
  t.match(digestText(people(30), 'he', LINK), /: 052-345-6789, 052-345-6790, .* ועוד \d\d\. /)
  t.match(digestText(people(MAX_LISTED), 'en', LINK), /1000\+ callers .* and 9\d\d\+ more/)
})

await test('the week in a line', async t => {
  const figures = { missed: 1234, contacted: 18, replied: 9, reached: 6, won: 3, value: 1250.5 }
  t.equal(
    weekText(figures, 'he'),
    '– סיכום השבוע: שיחות שלא נענו 1,234, הודעות שנשלחו 18, השיבו 9, שוחחו בטלפון 6, נסגרו 3 (₪1,250.5)',
  )
  for (const language of LANGUAGES) {
    const text = weekText(figures, language) ?? ''
    for (const shown of ['1,234', '18', '9', '6', '3', '₪1,250.5']) t.ok(text.includes(shown), text)
    t.ok(text.length <= 300)
  }
  const arm = { callers: 100, recovered: 50, rate: 0.5 }
  const lift = { outreach: arm, holdout: arm, lift: 0.206, low: 0.12, high: 0.3, enough: true }
  const effects: [Partial<Lift>, string][] = [
    [{}, 'because of the messages, 21 more of 100 callers came back (between 12 and 30)'],
    [
      { lift: -0.2, low: -0.3, high: -0.1 },
      'with the messages, 20 fewer of 100 callers came back (between 10 and 30)',
    ],
    [
      { lift: 0.01, low: -0.031, high: 0.049 },
      'the messages make no clear difference (between -3 and 5 of 100 callers)',
    ],
    [{ enough: false }, 'effect of the messages: not enough data yet'],
    [
      { enough: false, lift: null, low: null, high: null },
      'effect of the messages: not enough data yet',
    ],
  ]
  for (const [change, expected] of effects) {
    t.equal(
      weekText(figures, 'en', { ...lift, ...change })
        ?.split('. ')
        .at(-1),
      expected,
    )
    // With the link.
    for (const language of LANGUAGES)
      t.ok(
        (weekText(figures, language, { ...lift, ...change }) ?? '').length <= 300 - LINK.length - 1,
      )
  }
  t.match(
    weekText(figures, 'he', lift),
    /תרומת ההודעות: מכל 100 מתקשרים חזרו עוד 21 \(בין 12 ל־30\)$/,
  )
  const none = { missed: 0, contacted: 0, replied: 0, reached: 0, won: 0, value: 0 }
  t.equal(weekText(none, 'he'), null)
  t.match(weekText({ ...none, won: 1 }, 'he'), /נסגרו 1$/)
})

// That they go out once. The time is that of yesterday, and the grace is long enough for it.

const DAY = 24 * 60 * MINUTE
const midnight = Math.floor(Date.now() / DAY) * DAY
const yesterday = (time: string) =>
  new Date(`${new Date(midnight - DAY).toISOString().slice(0, 10)}T${time}Z`)
const NOON = yesterday('12:00:20')
const EVENING = yesterday('18:00:20')

const owned = async (
  columns: Record<string, string | string[]> = {},
  settings: Parameters<typeof business>[0] = {},
) => {
  const owner = customer().e164
  const shop = await business({
    columns: { owner_phone: owner, timezone: 'UTC', grace: '9 days', ...columns },
    ...settings,
  })
  const told = () => fake.inbox(owner).map(({ template }) => template?.parameters[2] ?? '')
  return { shop, owner, told }
}

/** People whose call was missed yesterday at this time, and who got a message. */
const silent = async (
  { tenantId, line }: Business,
  count: number,
  { time = '10:00:00', state = 'sent', reason = 'accepted', who = [] as string[] } = {},
): Promise<string[]> => {
  const phones = who.length ? who : Array.from({ length: count }, () => customer().e164)
  await sql`
    with people as (
      insert into leads (tenant_id, phone, missed_call_count, state)
      select ${tenantId}, phone, 1, 'contacted' from unnest(${phones}::text[]) phone
      on conflict (tenant_id, phone) do update set missed_call_count = leads.missed_call_count + 1
      returning id, phone)
    insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at, created_at,
      outreach_state, outreach_reason, outreach_due_at)
    select ${tenantId}, id, gen_random_uuid(), phone, ${line}, 'NOANSWER', ${yesterday(time)}, ${yesterday(time)},
           ${state}, ${reason}, ${yesterday(time)} from people`.execute(db)
  return phones
}

/** Several processes look at the same time. */
const summarised = async (at: Date): Promise<void> => {
  await Promise.all([1, 2, 3].map(() => queueSummaries(at)))
  await work()
}

await test('thirty silent people cause one digest at noon and one in the evening, each person in one', async t => {
  const { shop, told } = await owned()
  const phones = await silent(shop, 30)
  await summarised(yesterday('11:59:00'))
  t.strictSame(told(), [])
  await summarised(NOON)
  await summarised(yesterday('12:10:00'))
  t.equal(told().length, 1)
  t.match(told()[0], /^– 30 פניות .* ועוד \d+\. http.*\/l\/[\w-]{43}$/)
  t.match(
    (await leadsOf(shop.tenantId)).map(one => one.digested_at),
    phones.map(() => yesterday('12:00:00')),
  )

  const [again = '', done = ''] = phones
  await silent(shop, 0, { who: [again, done], time: '15:00:00' })
  const late = await silent(shop, 1, { time: '17:59:00' })
  const later = await silent(shop, 1, { time: '18:00:10' })
  const lead = (await leadsOf(shop.tenantId)).find(({ phone }) => phone === done)
  await act(trx =>
    markCalledBack(trx, OPERATOR, { tenantId: shop.tenantId, leadId: lead?.id ?? '' }),
  )
  await summarised(EVENING)
  await summarised(EVENING)
  t.equal(told().length, 2)
  const shown = told()[1] ?? ''
  const local = (phone = '') => phone.replace(/^\+972(..)(...)(....)$/, '0$1-$2-$3')
  t.match(shown, /^– 2 פניות/)
  for (const phone of [again, ...late]) t.ok(shown.includes(local(phone)), phone)
  for (const phone of [done, ...later]) t.notOk(shown.includes(local(phone)), phone)
  t.strictSame(await noticesOf(shop), [
    ['accepted', null, null],
    ['accepted', null, null],
  ])
  const { rows } = await sql`
    select from messages where tenant_id = ${shop.tenantId} and kind = 'owner_notice' and text is not null`.execute(
    db,
  )
  t.equal(rows.length, 0, 'no row holds the names and numbers')
})

await test('people who were answered, excluded or opted out, and pending calls, are in no digest', async t => {
  const { shop, told } = await owned()
  const { tenantId } = shop
  const [excluded, optedOut, wrote] = await silent(shop, 3)
  await silent(shop, 1, { state: 'scheduled', reason: 'waiting' })
  await silent(shop, 1, { state: 'cancelled', reason: 'reached_by_phone' })
  await silent(shop, 1, { state: 'cancelled', reason: 'owner_replied' })
  await sql`insert into excluded_numbers (tenant_id, phone) values (${tenantId}, ${excluded})`.execute(
    db,
  )
  await sql`insert into opt_outs (tenant_id, phone, source) values (${tenantId}, ${optedOut}, 'typed')`.execute(
    db,
  )
  await fake.inbound({
    kind: 'text',
    from: wrote ?? '',
    text: 'היי',
    phoneNumberId: shop.phoneNumberId,
  })
  await work()
  const before = told().length
  await summarised(NOON)
  t.equal(told().length, before)
  t.equal((await noticesOf(shop)).length, before, 'nothing to say: no row')
})

await test('each time is looked at once, also if nobody waited', async t => {
  const { shop, told } = await owned()
  await summarised(NOON)
  await silent(shop, 1)
  await summarised(yesterday('12:10:00'))
  t.strictSame(told(), [])
  await summarised(EVENING)
  t.equal(told().length, 1)
})

await test('a digest that lists nobody any more is skipped', async t => {
  const { shop, told } = await owned()
  await silent(shop, 1)
  await queueSummaries(NOON)
  const [lead] = await leadsOf(shop.tenantId)
  await act(trx =>
    markCalledBack(trx, OPERATOR, { tenantId: shop.tenantId, leadId: lead?.id ?? '' }),
  )
  await work()
  t.strictSame([told(), await noticesOf(shop)], [[], [['skipped', 'nobody_waits', null]]])
})

await test('a digest that WhatsApp refuses for the moment lists the same people again', async t => {
  const { shop, owner, told } = await owned()
  await silent(shop, 2)
  fake.script({ to: owner, outcome: { kind: 'error', code: 131000 } })
  await summarised(NOON)
  t.strictSame(await noticesOf(shop), [['scheduled', 'error_code', 131000]])
  const { id } = await db
    .selectFrom('messages')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  await sql`update messages set hold_until = now() where id = ${id}`.execute(db)
  await runAtOnce(`owner_notice:${id}`)
  await work()
  t.match(told(), [/^– 2 פניות/])
})

await test('a digest that could not go out in time is skipped, and the next one lists its people', async t => {
  const { shop, told } = await owned()
  const { tenantId } = shop
  await silent(shop, 2)
  await queueSummaries(NOON)
  await db.updateTable('tenants').set({ grace: '30 minutes' }).where('id', '=', tenantId).execute()
  await work()
  t.strictSame(await noticesOf(shop), [['skipped', 'too_late', null]])
  // No process was at work at 18:00.
  await summarised(yesterday('18:40:00'))
  t.equal((await noticesOf(shop)).length, 1)
  await db.updateTable('tenants').set({ grace: '9 days' }).where('id', '=', tenantId).execute()
  await summarised(EVENING)
  t.match(told(), [/^– 2 פניות/])
})

await test('a digest that was refused and not sent is no digest: the next one lists its people', async t => {
  for (const [code, end] of [
    [131026, ['failed', 'error_code', 131026]],
    [131000, ['skipped', 'too_late', null]],
  ] as const) {
    const { shop, owner, told } = await owned()
    const { tenantId } = shop
    await silent(shop, 2)
    fake.script({ to: owner, outcome: { kind: 'error', code } })
    await summarised(NOON)
    await db
      .updateTable('tenants')
      .set({ grace: '30 minutes' })
      .where('id', '=', tenantId)
      .execute()
    await sql`update messages set hold_until = now() where tenant_id = ${tenantId} and state = 'scheduled'`.execute(
      db,
    )
    await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs
              where task_identifier = 'owner_notice' having count(*) > 0`.execute(db)
    await work()
    t.strictSame(await noticesOf(shop), [end])
    await db.updateTable('tenants').set({ grace: '9 days' }).where('id', '=', tenantId).execute()
    await summarised(EVENING)
    t.match(told(), [/^– 2 פניות/])
  }
})

for (const [name, settings, columns] of [
  ['is in shadow', { mode: 'shadow' }, {}],
  ['is paused', { mode: 'paused' }, {}],
  ['has no connection', { connected: false }, {}],
  ['has no phone of the owner', {}, { owner_phone: null }],
] as const)
  await test(`a tenant that ${name} gets no summaries`, async t => {
    const { shop } = await owned({}, settings)
    const change = { timezone: 'UTC', grace: '9 days', owner_phone: customer().e164, ...columns }
    await db.updateTable('tenants').set(change).where('id', '=', shop.tenantId).execute()
    await silent(shop, 2)
    await summarised(NOON)
    t.strictSame(await noticesOf(shop), [])
  })

await test('the week in a line goes out once', async t => {
  const { shop, told } = await owned()
  const { tenantId } = shop
  const now = new Date(midnight + DAY / 2)
  const sunday = new Date(midnight - (now.getUTCDay() || 7) * DAY + 9.1 * 60 * 60_000)
  const before = new Date(sunday.getTime() - DAY)
  await silent(shop, 3)
  await sql`update missed_calls set called_at = ${before} where tenant_id = ${tenantId}`.execute(db)
  const [first, second] = await leadsOf(tenantId)
  await sql`
    update leads set outcome = 'won', outcome_at = ${before}, outcome_value = case id when ${first?.id} then 350.5 end
    where id in (${first?.id}, ${second?.id})`.execute(db)
  // Outside the week.
  const others = await silent(shop, 2)
  await sql`
    update missed_calls set called_at = case caller_phone when ${others[0]} then ${sunday}::timestamptz else ${sunday}::timestamptz - interval '8 days' end
    where tenant_id = ${tenantId} and caller_phone = any(${others}::text[])`.execute(db)
  await summarised(sunday)
  await summarised(sunday)
  const lines = told().map(text => text.replace(/ http\S+\/l\/[\w-]{43}$/, ''))
  t.strictSame(lines, [
    '– סיכום השבוע: שיחות שלא נענו 3, הודעות שנשלחו 3, השיבו 0, שוחחו בטלפון 0, נסגרו 2 (₪350.5)',
  ])
})

await test('a week in which nothing happened causes no notice', async t => {
  const { shop } = await owned()
  const now = new Date(midnight + DAY / 2)
  await summarised(new Date(midnight - (now.getUTCDay() || 7) * DAY + 9.1 * 60 * 60_000))
  t.strictSame(await noticesOf(shop), [])
})
