/** Notices to the owner: what they are about, once for each occasion, and their failures. */
import { sql } from 'kysely'
import { test } from 'tap'
import { fill, unknownName } from '../../app/whatsapp/templates.ts'

const UNKNOWN_NAME = unknownName('he')
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

await test('the owner is notified of the first reply, with the number and the text', async t => {
  const { shop, who, told } = await owned()
  await writes(who.e164, 'מתי אפשר לבוא?')
  t.strictSame(told(), [['דנה', who.e164, 'כתב/ה: מתי אפשר לבוא?']])
  await writes(who.e164, 'הלו?')
  await happens({ kind: 'reaction', from: who.e164, emoji: '👍' })
  t.equal(told().length, 1, 'and of no later reply')
  t.strictSame(await noticesOf(shop), [['accepted', null, null]])
})

await test('a reply without text has its own notice', async t => {
  const { who, told } = await owned()
  await happens({ kind: 'media', from: who.e164, media: 'audio' })
  t.strictSame(told(), [['דנה', who.e164, 'שלח/ה הודעה']])
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
    ['כתב/ה: היי', 'כתב/ה: שוב אני'],
  )
})

await test('an opt-out causes no notice', async t => {
  const { who, told } = await owned()
  await writes(who.e164, 'הסר')
  t.strictSame(told(), [])
})

await test('the owner is notified once of a lead who stays silent', async t => {
  const { shop, who, conversation, told } = await owned()
  await staysSilent(conversation)
  t.match(await leadsOf(shop.tenantId), [{ state: 'unresponsive' }])
  t.match(told(), [[UNKNOWN_NAME, who.e164, /לא ענה/]])
  await addStraySilence(conversation)
  t.equal(told().length, 1)
  await writes(who.e164, 'סליחה, רק עכשיו ראיתי')
  t.equal(told()[1]?.[2], 'כתב/ה: סליחה, רק עכשיו ראיתי', 'a late reply causes a notice too')
})

await test('the owner is notified once of a person who calls a third time', async t => {
  const { shop, who, told } = await owned()
  await miss(shop, who.local)
  t.strictSame(told(), [], 'not at the second call')
  await miss(shop, who.local)
  t.match(told(), [[UNKNOWN_NAME, who.e164, /התקשר.* 3 /]])
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
  t.strictSame([name, phone], ['דנה', who.e164])
  t.match(what, /^כתב\/ה: שלום רב 🙂+$/u)
  t.ok(what.isWellFormed(), 'no character is cut')
  t.ok(what.length > 200 && what.length <= 300, 'and the whole text stays within 1,024')
})

await test('no variable of a template is empty', async t => {
  const variables = ['business_name', 'caller_name', 'call_time'] as const
  const template = { name: 'x', language: 'he', variables }
  const blank = { business_name: ' \n', caller_name: '  ', call_time: '' }
  const filled = fill(template, { ...blank, caller_phone: '', what_happened: '' })
  t.strictSame(filled.variables, ['-', UNKNOWN_NAME, '-'])
})
