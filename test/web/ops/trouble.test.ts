/** Trouble: whatever needs a person is there, in plain words, and ends by what is done on the page. */
import { randomInt } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { asOperator, asTenant, browser } from '../../support/ops.ts'
import { doneTo, partOf } from './support.ts'
import { deliver, envelope, change } from '../../support/whatsapp.ts'
import {
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
  waitingFor,
} from '../../tasks/support.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import {
  business,
  contents,
  customer,
  db,
  fake,
  missedCall,
  outreachOf,
  post,
  verdictsOf,
  webhookToken,
  work,
} from '../../support/ringback.ts'

type Shop = Awaited<ReturnType<typeof business>>
const aLine = () => {
  const local = `073${randomInt(1_000_000, 9_999_999)}`
  return { local, e164: `+972${local.slice(1)}` }
}
/** A message that arrived, and whose answer was lost, ten minutes ago. */
const lost = async (shop: Shop) => {
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'cut' } })
  await dueSince(id)
  const { id: messageId } = await initialOf(id)
  await sql`update messages set claimed_at = now() - interval '10 minutes' where id = ${messageId}`.execute(
    db,
  )
  return { ...who, id, callId, messageId }
}

t.test('where all is well, nothing needs anybody', async t => {
  const shop = await business()
  await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get('/ops/trouble')
  t.match(text, 'Nothing needs you.')
  t.notMatch(text, '<section', 'a title would read as an alarm')
  t.notMatch(text, 'All else')
  const he = await asTenant(shop.tenantId, 'he')
  t.match((await he.get('/ops/trouble')).text, 'אין דבר שדורש טיפול.')
})

t.test('a number that matches no business becomes one of hers by one click', async t => {
  const shop = await business()
  const line = aLine()
  const record = push({ caller: customer().local, did: line.local }, 20)
  await post(record, { token: shop.token })
  await post(push({ caller: customer().local, did: line.local }, 10), { token: shop.token })
  await work()
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unmatched_number']])
  const owner = await asTenant(shop.tenantId)
  const seen = await owner.get('/ops/trouble')
  t.match(seen.text, /One thing needs you\.[^]*All else is in order/)
  t.equal(seen.text.match(/<section/g)?.length, 1)
  t.match(partOf(seen, 'numbers'), /<div>2<\/div>[^]*Ask the operator/)
  const before = await contents()
  const wish = { phone: line.e164, tenant: shop.tenantId }
  t.equal(
    (await owner.submit('/ops/trouble/numbers', wish)).status,
    404,
    'a token names any number',
  )
  t.strictSame(await contents(), before)

  const operator = await asOperator()
  const page = await operator.get(`/ops/trouble?tenant=${shop.tenantId}`)
  t.match(
    partOf(page, 'numbers'),
    /073-\d{3}-\d{4}[^]*<div>2<\/div>[^]*This is a number of מספרת נועה/,
  )

  const answer = await operator.submit('/ops/trouble/numbers', {
    ...wish,
    back: '/ops/trouble',
  })
  t.match(answer, { status: 303, location: '/ops/trouble' })
  t.match((await operator.get('/ops/trouble')).text, '2 calls are judged again')
  await work()
  t.match(await missedCall(shop.tenantId, record.ivruniqueid), { outreach_state: 'scheduled' })
  t.match((await owner.get('/ops/trouble')).text, 'Nothing needs you.')
  t.match(await doneTo(shop), [
    { who: 'operator', action: 'number.add', after: { phone: line.e164 } },
  ])
})

t.test('of a token that is bound to nobody the operator says whose number it is', async t => {
  const shop = await business()
  const other = await business()
  const line = aLine()
  const record = push({ caller: customer().local, did: line.local }, 20)
  await post(record, { token: await webhookToken(null) })
  await work()
  const operator = await asOperator()
  const section = partOf(await operator.get('/ops/trouble'), 'numbers')
  t.match(section, line.e164)
  t.match(section, `<option value="${shop.tenantId}">`)

  const stranger = await asTenant(other.tenantId)
  t.notMatch((await stranger.get('/ops/trouble')).text, line.e164)
  const claim = { phone: line.e164, tenant: other.tenantId }
  t.equal(
    (await stranger.submit('/ops/trouble/numbers', claim)).status,
    404,
    'nobody helps himself',
  )

  await operator.submit('/ops/trouble/numbers', { phone: line.e164, tenant: shop.tenantId })
  await work()
  t.match(await missedCall(shop.tenantId, record.ivruniqueid), { outreach_state: 'scheduled' })
  const taken = await operator.submit('/ops/trouble/numbers', claim)
  t.match(taken, { status: 409, text: /belongs to another business already/ })
  t.equal((await operator.submit('/ops/trouble/numbers', { ...claim, phone: 'x' })).status, 400)
})

t.test('a message of which nobody knows: it arrived', async t => {
  const shop = await business()
  const dana = await lost(shop)
  const owner = await asTenant(shop.tenantId)
  const section = partOf(await owner.get('/ops/trouble'), 'unknown')
  t.match(section, 'the answer was cut off')
  const path = `/ops/trouble/${shop.tenantId}/messages/${dana.messageId}`
  t.equal((await owner.submit(`${path}/arrived`)).status, 303)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['sent', 'accepted'])
  t.match(await messagesAfter(dana.id), [
    ['initial', 'delivered', 'by_operator'],
    ['reminder_1', 'scheduled', null],
    ['reminder_2', 'scheduled', null],
  ])
  const { rows } = await sql<{ after: number }>`
    select extract(epoch from r.due_at - m.claimed_at)::int as after
    from messages m join messages r on r.lead_conversation_id = m.lead_conversation_id and r.kind = 'reminder_1'
    where m.id = ${dana.messageId}`.execute(db)
  t.equal(rows[0]?.after, 2 * 3600, 'reminders run from the claim')
  t.match(await doneTo(shop), [
    {
      action: 'message.settle',
      subject: `messages ${dana.messageId}`,
      before: { state: 'unknown' },
      after: { state: 'delivered' },
    },
  ])
  t.match((await owner.get('/ops/trouble')).text, 'Nothing needs you.')

  const late = await owner.submit(`${path}/lost`)
  t.match(late, { status: 409, text: /known what became of this message/ })
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['sent', 'accepted'])
  t.equal((await owner.submit(`${path}/perhaps`)).status, 404)
})

t.test('a message of which nobody knows: it did not arrive', async t => {
  const shop = await business()
  const dana = await lost(shop)
  const owner = await asTenant(shop.tenantId)
  await owner.submit(`/ops/trouble/${shop.tenantId}/messages/${dana.messageId}/lost`)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['failed', 'refused'])
  await dueSince(dana.id)
  t.equal(requestsOf(shop).length, 1, 'it is never sent again')
  t.strictSame(await waitingFor(shop.tenantId), [])

  const { id } = await miss(shop, dana.local, {}, 5)
  await dueSince(id)
  t.equal(requestsOf(shop).length, 2, 'her next call is answered')
})

t.test('what could not be read can be looked at, and put aside', async t => {
  const shop = await business()
  const bad = { caller: '0521234567', note: '<img src=x> & "co"' }
  await post(bad, { token: shop.token })
  await post(bad, { token: shop.token })
  await post({ ...bad, note: 'another' }, { token: shop.token })
  await post('<methodCall>x</methodCall>', { token: shop.token })
  const owner = await asTenant(shop.tenantId)
  const page = await owner.get('/ops/trouble')
  const section = partOf(page, 'deliveries')
  t.match(page.text, '2 things need you.', 'by what was wrong with them')
  t.match(section, /call id \(ivruniqueid or CallID\) is missing[^]*3 \(2 different\)/)
  t.match(section, /choose POST-JSON/)
  const hebrew = { headers: { 'accept-language': 'he' } }
  t.match((await owner.ask('/ops/trouble', hebrew)).text, 'חסר מזהה השיחה')

  const rows = await db
    .selectFrom('rejected_deliveries')
    .select(['id', 'reason'])
    .where('tenant_id', '=', shop.tenantId)
    .orderBy('id')
    .execute()
  const [first = { id: '' }, second = { id: '' }, xml = { id: '' }] = rows
  const body = await owner.get(`/ops/trouble/deliveries/${first.id}`)
  t.match(body.text, '&lt;img src=x&gt; &amp; \\&quot;co\\&quot;')
  t.match(section, `/ops/trouble/deliveries/${second.id}"`, 'the newest is a click away')

  t.equal(
    (await owner.submit(`/ops/trouble/deliveries/${second.id}/discard`, { alike: 'yes' })).status,
    303,
  )
  t.match((await owner.get('/ops/trouble')).text, '2 deliveries put aside')
  await post(bad, { token: shop.token })
  const after = await owner.get('/ops/trouble')
  t.match(after.text, 'One thing needs you.', 'the same again is no news')
  t.match(
    (await owner.get(`/ops/trouble/deliveries/${first.id}`)).text,
    'Its body has been removed',
  )
  t.equal((await owner.submit(`/ops/trouble/deliveries/${first.id}/discard`)).status, 404)
  await owner.submit(`/ops/trouble/deliveries/${xml.id}/discard`)
  t.match((await owner.get('/ops/trouble')).text, 'Nothing needs you.')
  const kept = await db
    .selectFrom('rejected_deliveries')
    .select(['body', 'deliveries'])
    .where('tenant_id', '=', shop.tenantId)
    .orderBy('id')
    .execute()
  t.strictSame(kept, [
    { body: null, deliveries: 3 },
    { body: null, deliveries: 1 },
    { body: null, deliveries: 1 },
  ])
  t.match(await doneTo(shop), [
    { action: 'delivery.discard', after: { discarded: 2 } },
    { action: 'delivery.discard', after: { discarded: 1 } },
  ])
})

t.test('a paused number, and a paused template, go on by hand', async t => {
  const shop = await business()
  await sql`update whatsapp_connections set state = 'paused', state_reason = 'WhatsApp error 131042' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`
    insert into whatsapp_templates (whatsapp_connection_id, kind, name, language, variables, state, state_reason)
    select id, 'initial', 'ringback_missed_call', 'he', '{business_name,call_time}', 'paused', 'template PAUSED'
    from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
  const { id } = await miss(shop, customer().local)
  await dueSince(id)
  const owner = await asTenant(shop.tenantId)
  const section = partOf(await owner.get('/ops/trouble'), 'paused')
  t.match(section, /WhatsApp cannot charge the account\. \(131042\)/)
  t.match(section, /Meta has paused, disabled or refused the template/)
  const path = `/ops/trouble/${shop.tenantId}/resume`
  t.equal((await owner.submit(path, { phoneNumberId: shop.phoneNumberId })).status, 303)
  t.equal((await owner.submit(path, { kind: 'initial' })).status, 303)
  t.match((await owner.get('/ops/trouble')).text, 'Nothing needs you.')
  await dueSince(id)
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(
    (await doneTo(shop)).map(({ action }) => action),
    ['connection.resume', 'template.set'],
  )
  t.equal((await owner.submit(path, { kind: 'poem' })).status, 400)
  t.equal((await owner.submit(path, { phoneNumberId: '1' })).status, 404)
})

t.test('silence, a call log that fails, and events for nobody', async t => {
  const shop = await business()
  const { tenantId } = shop
  await sql`insert into alerts (tenant_id, kind, subject) values (${tenantId}, 'webhooks_silent', ${`tenants ${tenantId}`})`.execute(
    db,
  )
  await sql`
    insert into call_log_access (tenant_id, kind, credential, watched_since, checked_until, next_check_at, last_error, failing_since)
    values (${tenantId}, 'code', 'v1:x', now(), now(), now() + interval '1 hour', 'address_not_allowed', now())`.execute(
    db,
  )
  const nobodys = `${randomInt(1e9)}`
  await deliver(
    envelope(
      change(nobodys, {
        messages: [
          { id: `wamid.${nobodys}`, from: '972521111111', type: 'text', text: { body: 'x' } },
        ],
      }),
    ),
  )
  await work()
  const owner = await asTenant(tenantId)
  const page = await owner.get('/ops/trouble')
  t.match(page.text, '2 things need you.')
  t.match(partOf(page, 'silent'), /Look in Voicenter whether/)
  t.match(partOf(page, 'call-log'), /does not let our address in/)
  t.equal(partOf(page, 'strangers'), '')
  const operator = await asOperator()
  t.match(partOf(await operator.get('/ops/trouble'), 'strangers'), nobodys)
  await sql`update alerts set ended_at = now() where tenant_id = ${tenantId}`.execute(db)
  await sql`update call_log_access set last_error = null, failing_since = null where tenant_id = ${tenantId}`.execute(
    db,
  )
  t.match((await owner.get('/ops/trouble')).text, 'Nothing needs you.')
})

t.test("another business's trouble is none of hers", async t => {
  const shop = await business()
  const other = await business()
  const { messageId } = await lost(shop)
  await post({ bad: 1 }, { token: shop.token })
  const line = aLine()
  await post(push({ caller: customer().local, did: line.local }), { token: shop.token })
  await work()
  await sql`update whatsapp_connections set state = 'paused' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const { id } = await db
    .selectFrom('rejected_deliveries')
    .select('id')
    .where('tenant_id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  const stranger = await asTenant(other.tenantId)
  t.match((await stranger.get('/ops/trouble')).text, 'Nothing needs you.')
  t.equal((await stranger.get(`/ops/trouble?tenant=${shop.tenantId}`)).status, 404)
  t.equal((await stranger.get(`/ops/trouble/deliveries/${id}`)).status, 404)

  const before = await contents()
  const [hers, his] = [shop.tenantId, other.tenantId]
  const forms: [string, Record<string, string>][] = [
    [`/ops/trouble/${hers}/messages/${messageId}/arrived`, {}],
    [`/ops/trouble/${his}/messages/${messageId}/lost`, {}],
    [`/ops/trouble/deliveries/${id}/discard`, { alike: 'yes' }],
    [`/ops/trouble/${hers}/resume`, { phoneNumberId: shop.phoneNumberId }],
    [`/ops/trouble/${his}/resume`, { phoneNumberId: shop.phoneNumberId }],
    ['/ops/trouble/numbers', { phone: line.e164, tenant: hers }],
    ['/ops/trouble/numbers', { phone: line.e164, tenant: his }],
  ]
  for (const [path, fields] of forms) {
    t.equal((await stranger.submit(path, fields)).status, 404, path)
    t.equal((await stranger.post(path, fields)).status, 403, path)
    t.equal((await browser().post(path, fields)).status, 401, path)
  }
  t.strictSame(await contents(), before)
})
