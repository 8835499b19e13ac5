/** How a notice to the owner fares: it fits its template, and its failure never disturbs a conversation. */
import { sql } from 'kysely'
import { test } from 'tap'
import { fill, UNKNOWN_NAME } from '../../app/whatsapp/templates.ts'
import { customer, db, fake, work } from '../support/ringback.ts'
import { optOutsOf, storyOf } from '../support/whatsapp.ts'
import { dueSince, miss, runAtOnce } from '../tasks/support.ts'
import { noticesOf, owned, writes } from './support.ts'

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
