/** /ops/waiting: callbacks and upcoming messages, and the actions on them. */
import { sql } from 'kysely'
import t from 'tap'
import { answeredPush } from '../../../scripts/demo/cdr.ts'
import { reported } from '../../outreach/support.ts'
import { asOperator, asTenant, browser } from '../../support/ops.ts'
import {
  business,
  contents,
  customer,
  db,
  fake,
  outreachOf,
  post,
  work,
} from '../../support/ringback.ts'
import { happens } from '../../support/whatsapp.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
} from '../../tasks/support.ts'
import { doneTo, leadOf, partOf, toCall } from './support.ts'

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

t.test('a second page follows the first', async t => {
  const shop = await business()
  const people = Array.from({ length: 27 }, customer)
  for (const [n, { local }] of people.entries()) await miss(shop, local, {}, 1000 - n)
  const owner = await asTenant(shop.tenantId)
  const first = await owner.get('/ops/waiting')
  t.match(first.text, /<strong>25\+<\/strong> waiting for a callback/)
  const next = /href="(\/ops\/waiting\?before=[^"]+)"/.exec(first.text)?.[1] ?? ''
  const second = await owner.get(next)
  t.strictSame([...toCall(first), ...toCall(second)], people.map(({ e164 }) => e164).toReversed())
  const later = /href="(\/ops\/waiting\?after=[^"#]+)#due"/.exec(first.text)?.[1] ?? ''
  const rows = (page: { text: string }) => partOf(page, 'due').match(/first message</g)?.length
  t.strictSame([rows(first), rows(await owner.get(later))], [25, 2])
  t.equal((await owner.get('/ops/waiting?before=yesterday')).status, 404)
})

t.test('only the operator sees the background jobs', async t => {
  const shop = await business()
  await sql`select graphile_worker.add_job('owner_notice', '{"messageId":"0"}', job_key := 'owner_notice:0', run_at := now() - interval '3 hours')`.execute(
    db,
  )
  const operator = await asOperator()
  const page = await operator.get('/ops/waiting')
  t.match(page.text, /<strong>3 hours<\/strong> longest wait of a background job/)
  t.match(partOf(page, 'queue'), /owner_notice<\/code>[^]*3 hours/)
  const owner = await asTenant(shop.tenantId)
  t.equal(partOf(await owner.get('/ops/waiting'), 'queue'), '')
  await work()
})

t.test('the page is available in Hebrew', async t => {
  const shop = await business()
  await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId, 'he')
  const { text } = await owner.get('/ops/waiting')
  t.match(text, 'dir="rtl"')
  t.match(text, 'ממתינים לשיחה חוזרת')
  t.match(text, 'סימון: חזרנו')
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
  const { id: leadId } = await leadOf(shop.tenantId, dana.e164)
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
  const rows = [
    `called-back/${leadId}`,
    `cancel/${id}`,
    `send-now/${id}`,
    `remind-now/${reminder.id}`,
  ]
  for (const row of rows) {
    for (const { tenantId } of [shop, other])
      t.equal((await outsider.submit(`/ops/waiting/${tenantId}/${row}`)).status, 404, row)
    t.equal((await outsider.post(`/ops/waiting/${shop.tenantId}/${row}`, {})).status, 403, row)
    t.equal((await browser().post(`/ops/waiting/${shop.tenantId}/${row}`, {})).status, 401, row)
  }
  t.strictSame(await contents(), before)
})

t.test('callers wait until somebody talked with them, newest first', async t => {
  const shop = await business()
  const [dana, noa, answered] = [customer(), customer(), customer()]
  await miss(shop, dana.local, {}, 600)
  await miss(shop, answered.local, {}, 500)
  await miss(shop, '031234567', {}, 400)
  await miss(shop, null, {}, 350)
  await miss(shop, noa.local, {}, 300)
  const owner = await asTenant(shop.tenantId)
  const LANDLINE = '+97231234567'
  t.strictSame(toCall(await owner.get('/ops/waiting')), [
    noa.e164,
    LANDLINE,
    answered.e164,
    dana.e164,
  ])

  await post(answeredPush({ caller: answered.local, did: shop.did }, 60), { token: shop.token })
  await miss(shop, dana.local, {}, 30)
  const page = await owner.get('/ops/waiting')
  t.strictSame(toCall(page), [dana.e164, noa.e164, LANDLINE], 'each caller once')
  t.match(partOf(page, 'call-back'), /2 missed calls/)
  t.match(partOf(page, 'call-back'), /this is a landline/)

  await sql`update missed_calls set called_at = called_at - interval '8 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.strictSame(toCall(await owner.get('/ops/waiting')), [], 'for a week at most')
})

t.test('a reply is shown instead of the result of the call', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  const owner = await asTenant(shop.tenantId)
  t.match(partOf(await owner.get('/ops/waiting'), 'call-back'), /A message was sent\. No reply yet/)
  fake.setPerson({ phone: dana.e164, name: '<b>"Dana" & co' })
  await happens({ kind: 'text', from: dana.e164, text: '<script>alert("מחר?")</script>' })
  const page = await owner.get('/ops/waiting')
  t.strictSame(toCall(page), [dana.e164], 'a reply is not a conversation on the phone')
  t.match(page.text, '&lt;script&gt;alert(&quot;מחר?&quot;)&lt;/script&gt;')
  t.match(page.text, '&lt;b&gt;&quot;Dana&quot; &amp; co')

  // Two seconds later than the reply, because call records have whole seconds.
  await post(answeredPush({ caller: dana.local, did: shop.did }, -2), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/waiting')), [])
  await sql`update messages set created_at = now() + interval '1 minute' where tenant_id = ${shop.tenantId} and direction = 'in'`.execute(
    db,
  )
  t.strictSame(
    toCall(await owner.get('/ops/waiting')),
    [dana.e164],
    'they wrote after the conversation',
  )
})

t.test('a caller who opted out is listed again only after a new call', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local, {}, 60)
  await dueSince(id)
  await happens({ kind: 'text', from: dana.e164, text: 'הסר' })
  const owner = await asTenant(shop.tenantId)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [])
  await miss(shop, dana.local, {}, 10)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [dana.e164])
})

/** The fields of `answeredPush`. */
const ANSWERED = {
  status: 'ANSWER',
  duration: 95,
  targetextension: 'KGpK4iWq',
  representative_name: 'Noa',
}

t.test('a caller is no longer listed after any kind of answer', async t => {
  const shop = await business()
  const [written, misread, palestinian] = [customer(), customer(), { e164: '+970569876521' }]
  await miss(shop, written.local)
  const { record } = await miss(shop, misread.local)
  const { id } = await miss(shop, palestinian.e164)
  // No message can be cancelled, so only the answered call ends the waiting.
  await sql`update missed_calls set outreach_state = 'skipped', outreach_reason = 'too_late' where id = ${id}`.execute(
    db,
  )
  const owner = await asTenant(shop.tenantId)
  t.equal(toCall(await owner.get('/ops/waiting')).length, 3)
  const { phoneNumberId } = shop
  await happens({ kind: 'echo', to: written.e164, text: 'היי', phoneNumberId })
  t.strictSame(toCall(await owner.get('/ops/waiting')), [palestinian.e164, misread.e164])
  // Another record of the same call, without the number of the caller.
  const answered = answeredPush({ ...record, ...ANSWERED, caller: '', callerphone: '' })
  await post(answered, { token: shop.token })
  await post(answeredPush({ caller: '0569876521', did: shop.did }, 0), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/waiting')), [])
})

t.test('"Mark as called back" ends the waiting and cancels the messages', async t => {
  const shop = await business()
  const dana = customer()
  const { callId } = await miss(shop, dana.local, {}, 300)
  const { id: leadId } = await leadOf(shop.tenantId, dana.e164)
  const owner = await asTenant(shop.tenantId)
  const answer = await owner.submit(`/ops/waiting/${shop.tenantId}/called-back/${leadId}`, {
    back: '/ops/waiting',
  })
  t.match(answer, { status: 303, location: '/ops/waiting' })
  const page = await owner.get('/ops/waiting')
  const shown = dana.local.replace(/^(\d{3})(\d{3})/, '$1-$2-')
  t.match(page.text, `${shown}\u2069 is marked as called back. No more messages are sent`)
  t.strictSame(toCall(page), [])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  t.match(await leadOf(shop.tenantId, dana.e164), {
    state: 'reached_by_phone',
    called_back_at: Date,
  })
  t.notMatch(JSON.stringify(await doneTo(shop)), dana.e164.slice(-9))
  t.match(await doneTo(shop), [
    {
      who: `tenant ${shop.tenantId}`,
      action: 'lead.called_back',
      subject: `leads ${leadId}`,
      before: { state: 'new', called_back_at: null },
      after: { state: 'reached_by_phone' },
    },
  ])

  const { id: landline } = await miss(shop, '031234567').then(() =>
    leadOf(shop.tenantId, '+97231234567'),
  )
  t.equal(toCall(await owner.get('/ops/waiting')).length, 1)
  await owner.submit(`/ops/waiting/${shop.tenantId}/called-back/${landline}`)
  t.strictSame(
    toCall(await owner.get('/ops/waiting')),
    [],
    'also if there was no message to cancel',
  )

  const { callId: before } = await miss(shop, dana.local, {}, 200)
  const known = await outreachOf(shop.tenantId, before)
  t.strictSame(known, ['cancelled', 'reached_by_phone'], 'an earlier call that is reported late')
  // Call records have whole seconds.
  await miss(shop, dana.local, {}, -2)
  t.strictSame(toCall(await owner.get('/ops/waiting')), [dana.e164], 'until they call again')
})
