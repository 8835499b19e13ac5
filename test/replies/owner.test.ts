/** What the owner writes to the business number: 1, 2 and 3 in answer to a notice, and everything else. */
import { sql } from 'kysely'
import { test } from 'tap'
import { decideAnswer, doneText, helpText, parseAnswer } from '../../app/replies/answers.ts'
import { localNumber } from '../../app/phone.ts'
import { LANGUAGES } from '../../app/whatsapp/templates.ts'
import { setOutcome } from '../../app/outreach/lead_actions.ts'
import { queueSummaries } from '../../app/outreach/owner_summaries.ts'
import { asTenant } from '../support/ops.ts'
import { auditOf, OPERATOR } from '../tenants/support.ts'
import { contacted, owned, writes } from '../outreach/support.ts'
import { customer, db, fake, work } from '../support/ringback.ts'
import { eventsOf, happens, optOutsOf, receivedBy, storyOf } from '../support/whatsapp.ts'
import { leadsOf, miss, dueSince, until } from '../tasks/support.ts'

const WON = [
  '1',
  '1.',
  ' 1 ',
  '1️⃣',
  '1 👍🏽',
  '*1*',
  '(1)',
  '1!',
  '١',
  '۱',
  '１',
  'א',
  "א'",
  '\u200f1',
  '"1"',
  '1\n',
]
const LOST = ['2', '2.', '2️⃣', '٢', '۲', 'ב', '👎 2']
const LATER = ['3', '3 🙏', '٣', '۳', 'ג', '3...']
const NONE = [
  '',
  ' ',
  '👍',
  '12',
  '1 2',
  '1/2',
  '4',
  '0',
  '+1',
  '1%',
  '1?',
  '1₪',
  '1 won',
  'אחת',
  'אב',
  '1st',
  '11',
  'ok',
]

await test('an answer is one number, and nothing else', async t => {
  for (const [answer, texts] of [
    ['won', WON],
    ['lost', LOST],
    ['later', LATER],
    [null, NONE],
  ] as const)
    for (const text of texts) t.equal(parseAnswer(text), answer, JSON.stringify(text))
})

const dana = { leadId: '7', occasion: 'reply:wamid.a' }
const avi = { leadId: '8', occasion: 'third_call:3' }
const digest = { leadId: null, occasion: 'digest:2026-11-30T12' }
const week = { leadId: null, occasion: 'week:2026-11-29' }
const none = { quoted: null, quotesOther: false, recent: [] }
const toList = { do: 'link', leadId: null }

await test('an answer counts for the quoted notice, or for the only one within a day, never for a digest', async t => {
  for (const [name, message, expected] of [
    [
      'quoted',
      { ...none, answer: 'won', quoted: dana, recent: [dana, avi] },
      { do: 'apply', leadId: '7', answer: 'won' },
    ],
    [
      'quoted, the only one is another',
      { ...none, answer: 'lost', quoted: avi, recent: [dana] },
      { do: 'apply', leadId: '8', answer: 'lost' },
    ],
    [
      'quoted, of last week',
      { ...none, answer: 'later', quoted: avi },
      { do: 'apply', leadId: '8', answer: 'later' },
    ],
    [
      'the only one',
      { ...none, answer: 'won', recent: [dana] },
      { do: 'apply', leadId: '7', answer: 'won' },
    ],
    ['two', { ...none, answer: 'won', recent: [dana, avi] }, toList],
    ['two of one person', { ...none, answer: 'won', recent: [dana, dana] }, toList],
    ['none', { ...none, answer: 'won' }, toList],
    ['a digest', { ...none, answer: 'won', recent: [digest] }, toList],
    ['one and a digest', { ...none, answer: 'won', recent: [dana, digest] }, toList],
    [
      'a quoted digest, and one notice',
      { ...none, answer: 'won', quoted: digest, recent: [dana] },
      toList,
    ],
    ['a quoted week', { ...none, answer: 'won', quoted: week, recent: [week] }, toList],
    [
      'a quoted alert',
      { ...none, answer: 'won', quoted: { leadId: '7', occasion: 'alert:3' } },
      { do: 'link', leadId: '7' },
    ],
    [
      'a quoted notice about an erased person',
      { ...none, answer: 'won', quoted: { leadId: null, occasion: null }, recent: [dana] },
      toList,
    ],
    [
      'quotes another message',
      { ...none, answer: 'won', quotesOther: true, recent: [dana] },
      toList,
    ],
    [
      'no answer, quoted',
      { ...none, answer: null, quoted: dana, recent: [dana] },
      { do: 'link', leadId: '7' },
    ],
    ['no answer', { ...none, answer: null, recent: [dana] }, toList],
  ] as const)
    t.strictSame(decideAnswer(message), expected, name)
})

// Through the endpoint.

const help = helpText('he')
/** The texts that Ringback wrote back to the owner: help and confirmations, and not the notices. */
const writtenTo = (owner: string) =>
  fake.inbox(owner).flatMap(({ template, text }) => (template ? [] : [text]))
const noticeTo = (owner: string) => fake.inbox(owner).findLast(({ template }) => template)

/** An owner who was notified that a person wrote. */
const notified = async () => {
  const met = await owned()
  const { shop, who, owner } = met
  await writes(who.e164, 'אפשר תור?')
  const says = (text: string, context?: string) =>
    happens({
      kind: 'text',
      from: owner,
      text,
      phoneNumberId: shop.phoneNumberId,
      ...(context && { context }),
    })
  const lead = async (phone = who.e164) =>
    (await leadsOf(shop.tenantId)).find(one => one.phone === phone)
  return { ...met, says, lead, wamid: noticeTo(owner)?.wamid ?? '' }
}

await test('1, 2 and 3 set the outcome of the person, and are no message of a person', async t => {
  const { shop, owner, says, lead, wamid } = await notified()
  const { tenantId } = shop
  await says('1')
  t.match(await lead(), { outcome: 'won', outcome_value: null })
  await sql`update leads set outcome_value = 350 where tenant_id = ${tenantId}`.execute(db)
  await says('1.', wamid)
  t.match(await lead(), { outcome: 'won', outcome_value: '350.00' }, 'the amount stays')
  await says('2️⃣', wamid)
  t.match(await lead(), { outcome: 'lost', later_until: null })
  await says('٣')
  t.match(await lead(), { later_until: Date })
  const { name, phone = '' } = (await lead()) ?? {}
  const confirmed = (['won', 'won', 'lost', 'later'] as const).map(
    answer => `${doneText('he', name ?? localNumber(phone), answer)} http`,
  )
  for (const [n, text] of writtenTo(owner).entries()) t.match(text, confirmed[n])
  t.equal(writtenTo(owner).length, 4, 'each answer is confirmed, with a link')
  t.strictSame(await receivedBy(shop), [['אפשר תור?', true]])
  t.equal((await leadsOf(tenantId)).length, 1)
  t.match((await eventsOf(tenantId)).slice(1), Array(4).fill({ outcome: 'owner_answer' }))
  const entries = (await auditOf(tenantId)).slice(-3)
  const who = `owner ${tenantId}`
  t.match(entries, [
    [who, 'lead.outcome'],
    [who, 'lead.outcome'],
    [who, 'lead.later'],
  ])
  const log = await (await asTenant(tenantId, 'he')).get('/ops/log')
  t.match(log.text, 'בעלי העסק, ב־WhatsApp')
})

await test('an amount that is entered at the moment of the answer stays', async t => {
  const { shop, says, lead } = await notified()
  const { tenantId } = shop
  const leadId = (await lead())?.id ?? ''
  let answered: Promise<unknown> | undefined
  await db.transaction().execute(async trx => {
    const won = { tenantId, leadId, outcome: 'won', value: 350 } as const
    await setOutcome(trx, OPERATOR, won)
    answered = says('1')
    await until(async () => {
      const { rows } = await sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
        db,
      )
      return rows.length > 0
    })
  })
  await answered
  t.match(await lead(), { outcome: 'won', outcome_value: '350.00' })
})

await test('where it is not clear whom the owner means, they get a link, and nothing changes', async t => {
  const { shop, who, owner, says, lead, wamid } = await notified()
  const other = customer()
  const { id } = await miss(shop, other.local)
  await dueSince(id)
  await happens({
    kind: 'button',
    text: 'Call me back',
    from: other.e164,
    phoneNumberId: shop.phoneNumberId,
  })
  await says('1')
  t.match(await lead(), { outcome: null })
  t.match(await lead(other.e164), { outcome: null })
  t.match(writtenTo(owner), [new RegExp(`^${help} http.*/l/[\\w-]{43}$`)])
  await says('נחזור אליה מחר', wamid)
  t.match(await lead(), { outcome: null, state: 'replied' })
  t.equal(writtenTo(owner).length, 2)
  await says('1', wamid)
  t.match(await lead(), { outcome: 'won' })
  t.match(await lead(other.e164), { outcome: null })
  t.match(writtenTo(owner)[2], doneText('he', (await lead())?.name ?? localNumber(who.e164), 'won'))
  t.equal(writtenTo(owner).length, 3)
  t.equal(fake.inbox(who.e164).length, 1, 'nothing is passed on')
  t.strictSame(await receivedBy(shop), [
    ['אפשר תור?', true],
    ['Call me back', true],
  ])
})

await test('a digest cannot be answered', async t => {
  const { shop, who, owner } = await owned({ timezone: 'UTC', grace: '9 days' })
  const { tenantId, phoneNumberId } = shop
  const noon = new Date(Math.floor(Date.now() / 86_400_000) * 86_400_000 - 43_190_000)
  await sql`update missed_calls set created_at = ${noon}::timestamptz - interval '1 hour' where tenant_id = ${tenantId}`.execute(
    db,
  )
  await queueSummaries(noon)
  await work()
  const digested = noticeTo(owner)
  t.match(digested?.template?.parameters[2], who.e164.slice(-4))
  for (const context of [digested?.wamid, undefined])
    await happens({
      kind: 'text',
      from: owner,
      text: '1',
      phoneNumberId,
      ...(context && { context }),
    })
  t.match(await leadsOf(tenantId), [{ outcome: null }])
  t.equal(writtenTo(owner).length, 2)
})

await test('an automatic reply on the owner’s phone gets few answers', async t => {
  const { owner, says } = await notified()
  for (let n = 0; n < 8; n++) await says('אני בנהיגה')
  t.equal(writtenTo(owner).length, 5)
})

await test('only the phone of the owner answers notices, also under a hidden number', async t => {
  const { shop, owner, lead, wamid } = await notified()
  const { phoneNumberId, tenantId } = shop
  await happens({ kind: 'text', from: customer().e164, text: '1', phoneNumberId })
  t.match(await lead(), { outcome: null })
  await happens({
    kind: 'text',
    from: owner,
    text: '2',
    phoneNumberId,
    context: wamid,
    bsuidOnly: true,
  })
  t.match(await lead(), { outcome: 'lost' })
  await sql`update tenants set owner_phone = ${customer().e164} where id = ${tenantId}`.execute(db)
  await happens({ kind: 'text', from: owner, text: '1', phoneNumberId, context: wamid })
  t.match(await lead(), { outcome: 'lost' }, 'the owner before is nobody')
})

await test('an owner who called the business answers as a caller', async t => {
  const { shop, owner } = await owned()
  const { tenantId, phoneNumberId } = shop
  const { id } = await miss(shop, owner.replace('+972', '0'))
  await dueSince(id)
  const first = fake.inbox(owner).at(-1)?.wamid ?? ''
  await happens({ kind: 'text', from: owner, text: '1', phoneNumberId })
  t.match(await storyOf(shop, owner), ['contacted'], '1 is an answer to a notice')
  await happens({ kind: 'text', from: owner, text: 'היי, זה רק ניסיון', phoneNumberId })
  t.match(await storyOf(shop, owner), ['replied', 'sent / accepted', 'replied / replied'])
  await happens({ kind: 'text', from: owner, text: '1', phoneNumberId, context: first })
  t.strictSame(await receivedBy(shop), [
    ['היי, זה רק ניסיון', true],
    ['1', true],
  ])
  t.match(await leadsOf(tenantId), [{ outcome: null }, { outcome: null }])
})

await test('the owner can opt out of notices, and a reaction is no message', async t => {
  const { shop, owner, says, wamid } = await notified()
  await happens({
    kind: 'reaction',
    from: owner,
    emoji: '👍',
    context: wamid,
    phoneNumberId: shop.phoneNumberId,
  })
  t.strictSame(writtenTo(owner), [])
  await says('הסר')
  t.strictSame(await optOutsOf(shop), [[owner, 'typed']])
})

await test('a tenant without an owner’s phone has no owner who could answer', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, '1')
  t.match(await storyOf(shop, who.e164), ['replied'])
})

await test('the help is in the language of the tenant', async t => {
  t.equal(new Set(LANGUAGES.map(helpText)).size, LANGUAGES.length)
  t.equal(helpText('xx'), helpText('he'))
})
