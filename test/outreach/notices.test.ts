/** Of what the owner is told, once per occasion. How such a notice fares: owner_notice.test.ts. */
import { sql } from 'kysely'
import { test } from 'tap'
import { fill, UNKNOWN_NAME } from '../../app/whatsapp/templates.ts'
import { addStraySilence, contacted, noticesOf, owned, reported, writes } from './support.ts'
import {
  business,
  customer,
  db,
  fake,
  outreachOf,
  reminderDue,
  silenceDue,
  work,
} from '../support/ringback.ts'
import { happens, optOutsOf, storyOf } from '../support/whatsapp.ts'
import { dueSince, leadsOf, miss, requestsOf, runAtOnce } from '../tasks/support.ts'

/** Both reminders go out, and nothing comes back. */
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

await test('the owner hears of the first reply, with her number and her words', async t => {
  const { shop, who, told } = await owned()
  await writes(who.e164, 'מתי אפשר לבוא?')
  t.strictSame(told(), [['דנה', who.e164, 'כתב/ה: מתי אפשר לבוא?']])
  await writes(who.e164, 'הלו?')
  await happens({ kind: 'reaction', from: who.e164, emoji: '👍' })
  t.equal(told().length, 1, 'and of no other')
  t.strictSame(await noticesOf(shop), [['accepted', null, null]])
})

await test('a reply without words is told as that', async t => {
  const { who, told } = await owned()
  await happens({ kind: 'media', from: who.e164, media: 'audio' })
  t.strictSame(told(), [['דנה', who.e164, 'שלח/ה הודעה']])
})

await test('a reply in the next conversation is another occasion', async t => {
  const { shop, who, told } = await owned({ repeat_window: '0 seconds' })
  await writes(who.e164, 'היי')
  // A call of this very moment: one that began before she wrote is not written about.
  const { id, callId } = await miss(shop, who.local, {}, -2)
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  await writes(who.e164, 'שוב אני')
  t.strictSame(
    told().map(([, , what]) => what),
    ['כתב/ה: היי', 'כתב/ה: שוב אני'],
  )
})

await test('who opts out is nobody to call back', async t => {
  const { who, told } = await owned()
  await writes(who.e164, 'הסר')
  t.strictSame(told(), [])
})

await test('the owner hears once of a lead that stays silent', async t => {
  const { shop, who, conversation, told } = await owned()
  await staysSilent(conversation)
  t.match(await leadsOf(shop.tenantId), [{ state: 'unresponsive' }])
  t.match(told(), [[UNKNOWN_NAME, who.e164, /לא ענה/]])
  await addStraySilence(conversation)
  t.equal(told().length, 1)
  await writes(who.e164, 'סליחה, רק עכשיו ראיתי')
  t.equal(told()[1]?.[2], 'כתב/ה: סליחה, רק עכשיו ראיתי', 'a late reply is told as well')
})

await test('the owner hears once of somebody who calls a third time', async t => {
  const { shop, who, told } = await owned()
  await miss(shop, who.local)
  t.strictSame(told(), [], 'not of the second call')
  await miss(shop, who.local)
  t.match(told(), [[UNKNOWN_NAME, who.e164, /התקשר.* 3 /]])
  await miss(shop, who.local)
  t.equal(told().length, 1, 'nor of the fourth')
})

await test('calls of another time do not count', async t => {
  const { shop, who, told } = await owned()
  await miss(shop, who.local)
  await sql`update missed_calls set called_at = now() - interval '25 hours'
            where tenant_id = ${shop.tenantId}`.execute(db)
  await miss(shop, who.local)
  t.strictSame(told(), [])
})

await test('without a phone of the owner nobody is told anything', async t => {
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

/** How a notice to the owner fares: it fits its template, and its failure never disturbs a conversation. */

for (const code of [131026, 131050, 132001, 132015, 100, 131049])
  await test(`a notice that fails with ${code} disturbs nothing`, async t => {
    const { shop, who, owner, told } = await owned()
    const waiting = customer()
    const call = await miss(shop, waiting.local)
    fake.script({ to: owner, times: 'always', outcome: { kind: 'error', code } })
    await writes(who.e164, 'היי')
    t.strictSame(await storyOf(shop, who.e164), ['replied', 'sent / accepted', 'replied / replied'])
    const [[state, , error] = []] = await noticesOf(shop)
    t.strictSame([state, error], [code >= 132000 ? 'scheduled' : 'failed', code])
    t.strictSame(await optOutsOf(shop), [], 'nobody has opted out')
    await dueSince(call.id)
    t.equal(fake.inbox(waiting.e164).length, 1, 'others are written to')
    t.strictSame(told(), [])
  })

await test('a notice that nobody answers for disturbs nothing, and is not sent again', async t => {
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

await test('what people write fits into a template', async t => {
  const { who, told } = await owned()
  await writes(who.e164, `שלום\n\n\tרב\u2028  ${'      '}${'🙂'.repeat(2000)}`)
  const [[name, phone, what = ''] = []] = told()
  t.strictSame([name, phone], ['דנה', who.e164])
  t.match(what, /^כתב\/ה: שלום רב 🙂+$/u)
  t.ok(what.isWellFormed(), 'no character is cut in two')
  t.ok(what.length > 200 && what.length <= 300, 'and the whole stays within 1,024')
})

await test('no variable of a template is empty', async t => {
  const variables = ['business_name', 'caller_name', 'call_time'] as const
  const template = { name: 'x', language: 'he', variables }
  const blank = { business_name: ' \n', caller_name: '  ', call_time: '' }
  const filled = fill(template, { ...blank, caller_phone: '', what_happened: '' })
  t.strictSame(filled.variables, ['-', UNKNOWN_NAME, '-'])
})
