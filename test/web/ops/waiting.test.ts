/** /ops/waiting: upcoming messages, and the actions on them. */
import { sql } from 'kysely'
import t from 'tap'
import { queueByTask } from '../../../app/worker/queue.ts'
import { reported } from '../../outreach/support.ts'
import { asOperator, asTenant, browser } from '../../support/ops.ts'
import { business, contents, customer, db, outreachOf, work } from '../../support/ringback.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
} from '../../tasks/support.ts'
import { doneTo, partOf } from './support.ts'

const isUpcoming = (page: { text: string }, text: string) => partOf(page, 'due').includes(text)

t.test('"Send now" sends a message before its time', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  const operator = await asOperator()
  const page = await operator.get(`/ops/waiting?tenant=${shop.tenantId}`)
  t.match(partOf(page, 'due'), /in (1 minute|\d+ seconds)[^]*first message[^]*its time/)
  const path = `/ops/waiting/${shop.tenantId}/send-now/${id}`
  t.equal((await operator.submit(path)).status, 303)
  t.equal(requestsOf(shop).length, 0, 'the worker sends it, after all checks')
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.equal(requestsOf(shop).length, 1)
  t.match(await doneTo(shop), [
    { who: 'operator', action: 'outreach.send_now', subject: `missed_calls ${id}` },
  ])

  const again = await operator.submit(path)
  t.match(again, { status: 409, text: /no longer waiting/ })
  await work()
  t.equal(requestsOf(shop).length, 1)
  t.equal((await doneTo(shop)).length, 1)
})

t.test('"Send now" does not skip the checks', async t => {
  const shop = await business()
  const dana = customer()
  const { id, callId } = await miss(shop, dana.local)
  await db
    .insertInto('opt_outs')
    .values({ tenant_id: shop.tenantId, phone: dana.e164, source: 'operator' })
    .execute()
  const owner = await asTenant(shop.tenantId)
  await owner.submit(`/ops/waiting/${shop.tenantId}/send-now/${id}`)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'opted_out'])
})

t.test('"Send now" is refused in a quiet time', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  const { id: called } = await miss(shop, customer().local)
  await dueSince(called)
  const reminder = (
    await db
      .selectFrom('messages')
      .select('id')
      .where('tenant_id', '=', shop.tenantId)
      .where('kind', '=', 'reminder_1')
      .executeTakeFirstOrThrow()
  ).id
  await sql`update tenants set quiet_windows = '{00:00-12:00,12:00-00:00}' where id = ${shop.tenantId}`.execute(
    db,
  )
  const owner = await asTenant(shop.tenantId)
  for (const path of [`send-now/${id}`, `remind-now/${reminder}`]) {
    const answer = await owner.submit(`/ops/waiting/${shop.tenantId}/${path}`)
    t.match(answer, { status: 409, text: /has a quiet time now/ }, path)
  }
  t.strictSame(await doneTo(shop), [])
})

t.test('a reminder can be sent now or cancelled', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  const owner = await asTenant(shop.tenantId)
  t.ok(isUpcoming(await owner.get('/ops/waiting'), 'last reminder'))
  const reminders = await db
    .selectFrom('messages')
    .select(['id', 'kind'])
    .where('lead_conversation_id', '=', conversation)
    .where('state', '=', 'scheduled')
    .orderBy('kind')
    .execute()
  await owner.submit(`/ops/waiting/${shop.tenantId}/remind-now/${reminders[0]?.id}`)
  await work()
  t.equal(requestsOf(shop).length, 2)

  const answer = await owner.submit(`/ops/waiting/${shop.tenantId}/cancel/${id}`)
  t.equal(answer.status, 303)
  const page = await owner.get('/ops/waiting')
  t.match(page.text, 'The reminders are cancelled')
  t.notOk(isUpcoming(page, 'last reminder'))
  t.match(await messagesAfter(id), [
    ['initial', 'delivered', null],
    ['reminder_1', 'accepted', null],
    ['reminder_2', 'cancelled', 'by_operator'],
  ])
  t.strictSame(
    (await doneTo(shop)).map(({ action }) => action),
    ['outreach.send_now', 'outreach.cancel'],
  )
})

t.test('"Send now" on the last reminder skips the first one', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  await reported(conversation, 'initial', 'delivered')
  const last = await db
    .selectFrom('messages')
    .select('id')
    .where('lead_conversation_id', '=', conversation)
    .where('kind', '=', 'reminder_2')
    .executeTakeFirstOrThrow()
  const owner = await asTenant(shop.tenantId)
  await owner.submit(`/ops/waiting/${shop.tenantId}/remind-now/${last.id}`)
  await work()
  t.match(await messagesAfter(id), [
    ['initial', 'delivered', null],
    ['reminder_1', 'skipped', 'next_is_due'],
    ['reminder_2', 'accepted', null],
  ])
})

t.test('a cancelled message is not sent', async t => {
  const shop = await business()
  const { id, callId } = await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId)
  await owner.submit(`/ops/waiting/${shop.tenantId}/cancel/${id}`)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  await dueSince(id)
  t.equal(requestsOf(shop).length, 0)
})

t.test('the page says what an overdue message is waiting for', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  await sql`update missed_calls set outreach_due_at = now() - interval '5 minutes' where id = ${id}`.execute(
    db,
  )
  await sql`update whatsapp_connections set state = 'paused' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const owner = await asTenant(shop.tenantId)
  const due = partOf(await owner.get('/ops/waiting'), 'due')
  t.match(due, /5 minutes ago[^]*overdue[^]*the WhatsApp number, which is paused/)
})

t.test('only the operator sees the background jobs', async t => {
  const shop = await business()
  await sql`select graphile_worker.add_job('owner_notice', '{"messageId":"0"}', job_key := 'owner_notice:0', run_at := now() - interval '3 hours')`.execute(
    db,
  )
  const operator = await asOperator()
  const page = await operator.get('/ops/waiting')
  t.match(page.text, /<strong>3 hours<\/strong>\s+longest wait of a background job/)
  t.match(partOf(await operator.get('/ops/queue'), 'tasks'), /owner_notice<\/code>[^]*3 hours/)
  const owner = await asTenant(shop.tenantId)
  t.notMatch((await owner.get('/ops/waiting')).text, '/ops/queue')
  t.equal((await owner.get('/ops/queue')).status, 404)
  await sql`
    select graphile_worker.add_job('retention', '{}', job_key := 'retention:' || n, run_at := now() + n * interval '1 hour')
    from generate_series(-1, 2) n`.execute(db)
  const { tasks, isCut } = await db.transaction().execute(trx => queueByTask(trx, 1))
  t.ok(isCut)
  t.match(tasks[0], { task: 'owner_notice', due: 1 }, 'the most overdue job is always counted')
  t.ok(
    tasks.some(({ future }) => future === 1),
    'and jobs of each state',
  )
  await sql`select graphile_worker.remove_job('retention:' || n) from generate_series(-1, 2) n`.execute(
    db,
  )
  await work()
})

t.test('the page is available in Hebrew', async t => {
  const shop = await business()
  await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId, 'he')
  const { text } = await owner.get('/ops/waiting')
  t.match(text, 'dir="rtl"')
  t.match(text, 'הודעות שיישלחו')
  t.match(text, /בעוד (דקה|דקה 1|\d+ שניות)/)
  t.notMatch(text.replace(/<(style|script|code)[^]*?<\/\1>/g, ''), /undefined|\[object/)
})

t.test('the rows of another business do not exist', async t => {
  const shop = await business()
  const other = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  const { id: called } = await miss(shop, customer().local)
  await dueSince(called)
  const { lead_conversation_id: conversation } = await initialOf(called)
  const reminder = await db
    .selectFrom('messages')
    .select('id')
    .where('lead_conversation_id', '=', conversation)
    .where('kind', '=', 'reminder_1')
    .executeTakeFirstOrThrow()
  const outsider = await asTenant(other.tenantId)
  t.notMatch((await outsider.get('/ops/waiting')).text, dana.e164)
  t.equal((await outsider.get(`/ops/waiting?tenant=${shop.tenantId}`)).status, 404)
  const before = await contents()
  const rows = [`cancel/${id}`, `send-now/${id}`, `remind-now/${reminder.id}`]
  for (const row of rows) {
    for (const { tenantId } of [shop, other])
      t.equal((await outsider.submit(`/ops/waiting/${tenantId}/${row}`)).status, 404, row)
    t.equal((await outsider.post(`/ops/waiting/${shop.tenantId}/${row}`, {})).status, 403, row)
    t.equal((await browser().post(`/ops/waiting/${shop.tenantId}/${row}`, {})).status, 401, row)
  }
  t.strictSame(await contents(), before)
})

t.test('a second page of messages follows the first', async t => {
  const shop = await business()
  for (let n = 0; n < 27; n++) await miss(shop, customer().local, {}, 1000 - n)
  const owner = await asTenant(shop.tenantId)
  const first = await owner.get('/ops/waiting')
  const later = /href="(\/ops\/waiting\?after=[^"#]+)#due"/.exec(first.text)?.[1] ?? ''
  const rows = (page: { text: string }) => partOf(page, 'due').match(/first message</g)?.length
  t.strictSame([rows(first), rows(await owner.get(later))], [25, 2])
  t.equal((await owner.get('/ops/waiting?after=yesterday')).status, 400)
})
