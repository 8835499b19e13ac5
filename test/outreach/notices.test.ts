/** Notices to the owner: what they are about, once for each occasion, and their failures. */
import { sql } from 'kysely'
import { test } from 'tap'
import { callBackPush } from '../../scripts/demo/cdr.ts'
import { combine, shouldNotify } from '../../app/outreach/notices.ts'
import { collectNotice } from '../../app/outreach/notify_owner.ts'
import { firstAllowed, noticeWaits } from '../../app/outreach/quiet_hours.ts'
import { localNumber } from '../../app/phone.ts'
import { fill, unknownName } from '../../app/whatsapp/templates.ts'
import {
  addStraySilence,
  contacted,
  LINK,
  noticesOf,
  owned,
  reported,
  talksOnWhatsApp,
  writes,
} from './support.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  outreachOf,
  reminderDue,
  silenceDue,
  work,
} from '../support/ringback.ts'
import { asOperator, asTenant, browser } from '../support/ops.ts'
import { missedBy } from '../support/steps.ts'
import { happens, optOutsOf, storyOf } from '../support/whatsapp.ts'
import { dueSince, leadsOf, miss, requestsOf, runAtOnce, tell } from '../tasks/support.ts'
import { leadOf } from '../web/ops/support.ts'

/** Both reminders are sent, and the person does not answer. */
const staysSilent = async (conversation: string) => {
  for (const [before, n] of [
    ['initial', 1],
    ['reminder_1', 2],
  ] as const) {
    await reported(conversation, before, 'delivered')
    await reminderDue(conversation, n)
  }
  await silenceDue(conversation)
}

/** What a notice says of an unknown caller. */
const UNKNOWN = unknownName('he', true)

await test('the owner is notified of the first reply, with the number and the text', async t => {
  const { shop, who, told } = await owned()
  await writes(who.e164, 'מתי אפשר לבוא?')
  t.strictSame(told(), [['דנה', localNumber(who.e164), '– הודעה חדשה: מתי אפשר לבוא?']])
  t.match(told()[0]?.[1], /^05\d-\d{3}-\d{4}$/)
  await writes(who.e164, 'הלו?')
  await happens({ kind: 'reaction', from: who.e164, emoji: '👍' })
  t.equal(told().length, 1, 'and of no later reply')
  t.strictSame(await noticesOf(shop), [['accepted', null, null]])
})

await test('a reply without text has its own notice', async t => {
  const { who, told } = await owned()
  await happens({ kind: 'media', from: who.e164, media: 'audio' })
  t.strictSame(told(), [['דנה', localNumber(who.e164), '– התקבלה הודעה']])
})

await test('a notice is in the language of the tenant, and a foreign number keeps its plus', async t => {
  const owner = customer().e164
  const shop = await business({
    columns: { owner_phone: owner, languages: ['en'], contact_foreign: true },
  })
  const id = await missedBy(shop, '+447911123456')
  await dueSince(id)
  await happens({ kind: 'media', from: '+447911123456', media: 'audio' })
  const [notice] = fake.inbox(owner)
  t.match(notice?.template?.parameters.slice(1), ['\u200e+447911123456', /^– sent a message http/])
})

const AT = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute))

for (const [what, seen, expected] of [
  ['the first message', {}, true],
  ['the second message', { notifiedAt: AT(5) }, false],
  ['the owner had read it before the notice', { notifiedAt: AT(5), readAt: AT(4) }, false],
  ['the owner has read it since', { notifiedAt: AT(5), readAt: AT(6) }, true],
  ['a talk before the notice', { notifiedAt: AT(5), talkedAt: AT(4) }, false],
  ['a talk since', { notifiedAt: AT(5), talkedAt: AT(6) }, true],
  ['a message because of an earlier call', { notifiedAt: AT(5), conversationAt: AT(4) }, false],
  ['a message because of a later call', { notifiedAt: AT(5), conversationAt: AT(6) }, true],
] as const)
  await test(`whether a message is news: ${what}`, async t => {
    const never = { notifiedAt: null, readAt: null, talkedAt: null, conversationAt: null }
    t.equal(shouldNotify({ ...never, ...seen }), expected)
  })

const dana = { leadId: '1', name: 'דנה', phone: '052-345-6789', text: '– הודעה חדשה: היי' }
const another = (leadId: string) => ({
  leadId,
  name: null,
  phone: `052-345-678${leadId}`,
  text: '–',
})

for (const [what, collected, expected] of [
  ['nothing', [], null],
  ['one', [dana], { leadId: '1', text: dana.text }],
  [
    'two of one person',
    [dana, { ...dana, text: '– התקבלה בקשה לשיחה חוזרת' }],
    { leadId: '1', text: '– הודעה חדשה: היי – התקבלה בקשה לשיחה חוזרת' },
  ],
  [
    'of two people',
    [dana, another('2'), dana],
    { leadId: null, text: '– 2 פניות מחכות לתשובה: דנה, 052-345-6782' },
  ],
  [
    'of five people',
    [dana, ...['2', '3', '4', '5'].map(another)],
    {
      leadId: null,
      text: '– 5 פניות מחכות לתשובה: דנה, 052-345-6782, 052-345-6783, ועוד 2',
    },
  ],
] as const)
  await test(`notices that waited come as one: ${what}`, async t => {
    t.strictSame(combine(collected, 'he'), expected)
    t.equal(combine(collected, 'xx')?.text, expected?.text)
  })

await test('a reply in the next conversation is another occasion', async t => {
  const { shop, who, told } = await owned({ repeat_window: '0 seconds' })
  await writes(who.e164, 'היי')
  // A call of now: a call that began before the person wrote causes no message.
  const { id, callId } = await miss(shop, who.local, {}, -2)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  await writes(who.e164, 'שוב אני')
  t.strictSame(
    told().map(([, , what]) => what),
    ['– הודעה חדשה: היי', '– הודעה חדשה: שוב אני'],
  )
})

await test('an opt-out causes no notice', async t => {
  const { who, told } = await owned()
  await writes(who.e164, 'הסר')
  t.strictSame(told(), [])
})

await test('a lead who stays silent causes no notice at once, but a late reply does', async t => {
  const { shop, who, conversation, told } = await owned()
  await staysSilent(conversation)
  t.match(await leadsOf(shop.tenantId), [{ state: 'unresponsive' }])
  await addStraySilence(conversation)
  t.strictSame(told(), [])
  await writes(who.e164, 'סליחה, רק עכשיו ראיתי')
  t.equal(told()[0]?.[2], '– הודעה חדשה: סליחה, רק עכשיו ראיתי')
})

for (const [what, deal] of [
  [
    'opened the conversation',
    async (shop, lead) => (await asTenant(shop.tenantId)).get(`/ops/leads/${lead}`),
  ],
  [
    'answered in WhatsApp',
    async (_shop, _lead, phone) => happens({ kind: 'echo', to: phone, text: 'בוא מחר' }),
  ],
  [
    'called back',
    async (shop, lead) => (await asTenant(shop.tenantId)).submit(`/ops/leads/${lead}/called-back`),
  ],
  ['talked with them on WhatsApp', (shop, _lead, phone) => talksOnWhatsApp(shop, phone)],
  [
    'recorded an outcome',
    async (shop, lead) =>
      (await asTenant(shop.tenantId)).submit(`/ops/leads/${lead}/outcome`, { outcome: 'lost' }),
  ],
] as [string, (shop: Business, leadId: string, phone: string) => Promise<unknown>][])
  await test(`the next message is news again after the owner ${what}`, async t => {
    const { shop, who, told } = await owned()
    await writes(who.e164, 'היי')
    await writes(who.e164, 'הלו?')
    t.equal(told().length, 1)
    await deal(shop, (await leadOf(shop.tenantId, who.e164)).id, who.e164)
    await writes(who.e164, 'ומה עכשיו?')
    await writes(who.e164, 'הלו?')
    t.equal(told().length, 2)
  })

await test('the next message is news again if the notice was not sent', async t => {
  const { who, owner, told } = await owned()
  fake.script({ to: owner, outcome: { kind: 'error', code: 131026 } })
  await writes(who.e164, 'היי')
  t.strictSame(told(), [])
  await writes(who.e164, 'הלו?')
  await writes(who.e164, 'יש מישהו?')
  t.equal(told().length, 1)
})

await test('what the operator looks at is news for the owner still', async t => {
  const { shop, who, told } = await owned()
  await writes(who.e164, 'היי')
  await (await asOperator()).get(`/ops/leads/${(await leadOf(shop.tenantId, who.e164)).id}`)
  await writes(who.e164, 'הלו?')
  t.equal(told().length, 1)
})

const TEL_AVIV = { timezone: 'Asia/Jerusalem', location: 'Tel Aviv' }
const OWNER = '+972521234567'
const SHABBAT_ENDS = firstAllowed(
  new Date('2027-01-08T20:00Z'),
  { ...TEL_AVIV, windows: ['shabbat'] },
  OWNER,
)

for (const [what, now, due, windows, expected] of [
  ['on a weekday', '2027-01-07T20:00Z', '2027-01-07T20:00Z', ['shabbat'], null],
  ['on Shabbat', '2027-01-08T20:00Z', '2027-01-08T20:00Z', ['shabbat'], SHABBAT_ENDS],
  ['on Shabbat without that window', '2027-01-08T20:00Z', '2027-01-08T20:00Z', ['holidays'], null],
  ['due before Shabbat', '2027-01-08T20:00Z', '2027-01-08T09:00Z', ['shabbat'], SHABBAT_ENDS],
  ['after Shabbat', '2027-01-09T16:00Z', '2027-01-08T20:00Z', ['shabbat'], null],
  [
    'a second before the end',
    new Date(SHABBAT_ENDS.getTime() - 1000).toISOString(),
    '2027-01-08T20:00Z',
    ['shabbat'],
    SHABBAT_ENDS,
  ],
] as const)
  await test(`until when a notice waits: ${what}`, async t => {
    const quiet = { ...TEL_AVIV, windows }
    t.strictSame(noticeWaits(new Date(now), new Date(due), quiet, OWNER), expected)
  })

/** As the claim of a notice does in a quiet window, for the notices that are scheduled. */
const collectAll = async (tenantId: string, until: Date) => {
  const notices = await db
    .selectFrom('messages')
    .select(['id', 'to_phone', 'lead_id', 'occasion'])
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', 'owner_notice')
    .where('state', '=', 'scheduled')
    .where('lead_id', 'is not', null)
    .orderBy('id')
    .execute()
  const collected: boolean[] = []
  for (const { id, to_phone: to, lead_id: leadId, occasion } of notices)
    collected.push(
      await db
        .transaction()
        .execute(trx => collectNotice(trx, { id, tenantId, to, leadId, occasion }, until)),
    )
  return collected
}

/** Several people wrote during Shabbat, and nothing was sent. */
const duringShabbat = async (people: number) => {
  const { shop, owner, who } = await owned()
  const { tenantId } = shop
  const all = [who]
  while (all.length < people) {
    const next = customer()
    await dueSince((await miss(shop, next.local)).id)
    all.push(next)
  }
  const until = new Date(Date.now() + 60 * 60_000)
  fake.script({ to: owner, times: all.length, outcome: { kind: 'error', code: 131000 } })
  for (const { e164 } of all) await writes(e164, 'היי')
  const collected = await collectAll(tenantId, until)
  const ends = async () => {
    await sql`
      update messages set created_at = created_at - interval '2 hours', due_at = due_at - interval '1 hour 1 minute'
      where tenant_id = ${tenantId} and kind = 'owner_notice'`.execute(db)
    await sql`
      select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs
      where task_identifier = 'owner_notice' having count(*) > 0`.execute(db)
    await work()
  }
  return { shop, owner, all, until, collected, ends, told: () => fake.inbox(owner) }
}

await test('notices that waited come as one, at the end of the window', async t => {
  const { shop, collected, ends, told, until } = await duringShabbat(3)
  t.strictSame(collected, [true, true, true])
  t.match(await noticesOf(shop), [
    ['skipped', 'collected'],
    ['skipped', 'collected'],
    ['skipped', 'collected'],
    ['scheduled', null],
  ])
  const [job, another] = await jobs('owner_notice').then(found =>
    found.filter(({ run_at }) => run_at.getTime() === until.getTime()),
  )
  t.ok(job, 'one job, due at the end')
  t.notOk(another)
  await ends()
  t.equal(told().length, 1)
  const what = told()[0]?.template?.parameters[2] ?? ''
  t.match(what, /^– 3 פניות מחכות לתשובה: דנה, .+, .+ http/)
  const owner = browser('he')
  t.match(await owner.post(LINK.exec(what)?.[1] ?? '', {}), { location: '/ops/leads' })
  await ends()
  t.equal(told().length, 1)
})

await test('of those that waited only what the owner has not dealt with', async t => {
  const { shop, all, ends, told } = await duringShabbat(3)
  const [first, excluded, last] = all
  const { id } = await leadOf(shop.tenantId, first?.e164 ?? '')
  await sql`update leads set read_at = now() where id = ${id}`.execute(db)
  await db
    .insertInto('excluded_numbers')
    .values({ tenant_id: shop.tenantId, phone: excluded?.e164 ?? '' })
    .execute()
  await ends()
  const [, phone, what] = told()[0]?.template?.parameters ?? []
  t.equal(told().length, 1)
  t.equal(phone, localNumber(last?.e164 ?? ''), 'one person is left: the notice is about them')
  t.match(what, /^– הודעה חדשה: היי http/)
  const { id: lead } = await leadOf(shop.tenantId, last?.e164 ?? '')
  t.match(await browser().post(LINK.exec(what ?? '')?.[1] ?? '', {}), {
    location: `/ops/leads/${lead}#latest`,
  })
})

await test('if nothing is left of those that waited, there is no notice', async t => {
  const { shop, ends, told } = await duringShabbat(2)
  await sql`update leads set read_at = now() where tenant_id = ${shop.tenantId}`.execute(db)
  await ends()
  t.strictSame(told(), [])
  t.match((await noticesOf(shop)).at(-1), ['skipped', 'over'])
})

await test('a notice that comes when the one of the window was claimed is not lost', async t => {
  const { shop, all, until, ends, told } = await duringShabbat(1)
  await ends()
  t.equal(told().length, 1)
  await sql`update leads set read_at = now() where tenant_id = ${shop.tenantId}`.execute(db)
  fake.script({ to: told()[0]?.to ?? '', outcome: { kind: 'error', code: 131000 } })
  await writes(all[0]?.e164 ?? '', 'הלו?')
  t.strictSame(await collectAll(shop.tenantId, until), [false])
})

await test('the owner is notified once of a person who calls a third time', async t => {
  const { shop, who, told } = await owned()
  await miss(shop, who.local)
  t.strictSame(told(), [], 'not at the second call')
  await miss(shop, who.local)
  t.match(told(), [[UNKNOWN, localNumber(who.e164), /^– התקבלו 3 שיחות/]])
  await miss(shop, who.local)
  t.equal(told().length, 1, 'nor at the fourth')
})

await test('calls outside the repeat window do not count', async t => {
  const { shop, who, told } = await owned()
  await miss(shop, who.local)
  await sql`update missed_calls set called_at = now() - interval '25 hours'
            where tenant_id = ${shop.tenantId}`.execute(db)
  await miss(shop, who.local)
  t.strictSame(told(), [])
})

await test('without a phone of the owner there are no notices', async t => {
  const { shop, who, conversation } = await contacted()
  await miss(shop, who.local)
  await miss(shop, who.local)
  await staysSilent(conversation)
  await writes(who.e164, 'היי')
  t.strictSame(await noticesOf(shop), [])
  t.equal(requestsOf(shop).length, 3)
})

for (const [mode, notice] of [
  ['shadow', ['shadow', 'shadow', null]],
  ['paused', ['skipped', 'tenant_paused', null]],
] as const)
  await test(`a tenant that is ${mode} sends no notices`, async t => {
    const shop = await business({ mode, columns: { owner_phone: customer().e164 } })
    const who = customer()
    for (const _ of [1, 2, 3]) await miss(shop, who.local)
    t.strictSame(await noticesOf(shop), [notice])
    t.strictSame(requestsOf(shop), [])
  })

// A notice fits its template, and its failure does not affect the conversation.

for (const code of [131026, 131050, 132001, 132015, 100, 131049])
  await test(`a notice that fails with ${code} affects nothing else`, async t => {
    const { shop, who, owner, told } = await owned()
    const waiting = customer()
    const call = await miss(shop, waiting.local)
    fake.script({ to: owner, times: 'always', outcome: { kind: 'error', code } })
    await writes(who.e164, 'היי')
    t.strictSame(await storyOf(shop, who.e164), ['replied', 'sent / accepted', 'replied / replied'])
    const [[state, , error] = []] = await noticesOf(shop)
    t.strictSame([state, error], [code >= 132000 ? 'scheduled' : 'failed', code])
    t.strictSame(await optOutsOf(shop), [], 'there is no opt-out')
    await dueSince(call.id)
    t.equal(fake.inbox(waiting.e164).length, 1, 'other people get their messages')
    t.strictSame(told(), [])
  })

await test('a notice whose outcome is unknown affects nothing else, and is not sent again', async t => {
  const { shop, who, owner } = await owned()
  fake.script({ to: owner, outcome: { kind: 'http', status: 502, accept: true } })
  await writes(who.e164, 'היי')
  t.strictSame(await storyOf(shop, who.e164), ['replied', 'sent / accepted', 'replied / replied'])
  t.strictSame(await noticesOf(shop), [['unknown', 'http_502', null]])
  await work()
  t.equal(fake.inbox(owner).length, 1)
})

await test('a notice is tried again, but not for longer than the grace', async t => {
  for (const [ago, end] of [
    ['29 minutes', ['accepted', null, null]],
    ['31 minutes', ['skipped', 'too_late', null]],
  ] as const) {
    const { shop, who, owner } = await owned()
    fake.script({ to: owner, outcome: { kind: 'error', code: 131000 } })
    await writes(who.e164, 'היי')
    t.strictSame(await noticesOf(shop), [['scheduled', 'error_code', 131000]])
    const notice = await db
      .updateTable('messages')
      .set({ due_at: sql<Date>`now() - ${ago}::interval` })
      .where('tenant_id', '=', shop.tenantId)
      .where('kind', '=', 'owner_notice')
      .returning('id')
      .executeTakeFirstOrThrow()
    await runAtOnce(`owner_notice:${notice.id}`)
    await work()
    t.strictSame(await noticesOf(shop), [end])
  }
})

await test('the text of a person fits into a template', async t => {
  const { who, told } = await owned()
  await writes(who.e164, `שלום\n\n\tרב\u2028  ${'      '}${'🙂'.repeat(2000)}`)
  const [[name, phone, what = ''] = []] = told()
  t.strictSame([name, phone], ['דנה', localNumber(who.e164)])
  t.match(what, /^– הודעה חדשה: שלום רב 🙂+$/u)
  t.ok(what.isWellFormed(), 'no character is cut')
  t.ok(what.length > 200 && what.length <= 300, 'and the whole text, with the link, within 1,024')
})

await test('no variable of a template is empty', async t => {
  const variables = ['business_name', 'caller_name', 'call_time'] as const
  const template = { name: 'x', language: 'he', variables }
  const blank = { business_name: ' \n', caller_name: '  ', call_time: '' }
  const filled = fill(template, { ...blank, caller_phone: '', what_happened: '' })
  t.strictSame(filled.variables, ['-', unknownName('he'), '-'])
})

test('only calls since the last talk count as repeated', async t => {
  const { shop, who, told } = await owned()
  await miss(shop, who.local, {}, 28)
  const short = { dialtime: 1, duration: 2, actualCallDuration: 2 }
  await tell(shop.token, callBackPush({ caller: shop.did, target: who.local, ...short }, 25))
  t.strictSame(told(), [])
  await miss(shop, who.local, {}, 12)
  await miss(shop, who.local, {}, 9)
  t.strictSame(told(), [], 'the third and the fourth call')
  await miss(shop, who.local, {}, 6)
  t.match(told(), [[String, localNumber(who.e164), /3/]])
})
