/** /ops/trouble: everything that needs attention is listed, and the actions on the page solve it. */
import { sql } from 'kysely'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { rejectionText } from '../../../app/web/ops/locales/alerts.ts'
import { requeueDueRows } from '../../../app/worker/reconcile.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { sha256 } from '../../../app/crypto.ts'
import { reported } from '../../outreach/support.ts'
import { asOperator, asTenant, browser, auditLogOf } from '../../support/ops.ts'
import {
  business,
  contents,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  post,
  verdictsOf,
  webhookToken,
  work,
} from '../../support/ringback.ts'
import { change, deliver, envelope } from '../../support/whatsapp.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  messagesAfter,
  miss,
  requestsOf,
  waitingFor,
} from '../../tasks/support.ts'
import { doneTo, partOf } from './support.ts'

type Shop = Awaited<ReturnType<typeof business>>
const newLine = () => {
  const local = `073${randomInt(1_000_000, 9_999_999)}`
  return { local, e164: `+972${local.slice(1)}` }
}
/** A message that arrived ten minutes ago, but WhatsApp's answer was lost. */
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

t.test('without alerts the page says "All clear"', async t => {
  const shop = await business()
  await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get('/ops/trouble')
  t.match(text, 'All clear')
  t.notMatch(text, '<section', 'no headings of empty sections')
  t.notMatch(text, 'Everything else')
  const he = await asTenant(shop.tenantId, 'he')
  t.match((await he.get('/ops/trouble')).text, 'הכול תקין')
})

t.test('what came over the Pop-Up Screen and may be forged', async t => {
  const shop = await business()
  const who = customer()
  await miss(shop, who.local)
  await sql`
    insert into alerts (tenant_id, kind, subject)
    select tenant_id, 'popup_unconfirmed', 'leads ' || id from leads where tenant_id = ${shop.tenantId}
    union all select ${shop.tenantId}, 'popup_lookups', 'webhook_tokens 17'`.execute(db)
  for (const [language, unconfirmed, lookups] of [
    ['en', 'because of a call that no call report confirms', 'URL no. 17'],
    ['he', 'שאף דיווח שיחה לא אישר', 'כתובת מס׳ 17'],
  ] as const) {
    const owner = await asTenant(shop.tenantId, language)
    const part = partOf(await owner.get('/ops/trouble'), 'popup')
    t.match(part, unconfirmed)
    t.match(part, who.local.replace(/^(...)(...)(....)$/, '$1-$2-$3'))
    t.match(part, lookups)
  }
})

t.test('the operator adds an unknown number with one click', async t => {
  const shop = await business()
  const line = newLine()
  const record = push({ caller: customer().local, did: line.local }, 20)
  await post(record, { token: shop.token })
  await post(push({ caller: customer().local, did: line.local }, 10), { token: shop.token })
  await work()
  t.match(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unmatched_number']])
  const owner = await asTenant(shop.tenantId)
  const seen = await owner.get('/ops/trouble')
  t.match(seen.text, /One thing needs attention\.[^]*Everything else is fine/)
  t.equal(seen.text.match(/<section/g)?.length, 1)
  t.match(partOf(seen, 'numbers'), /<div>2<\/div>[^]*Ask the operator/)
  const before = await contents()
  const wish = { phone: line.e164, tenant: shop.tenantId }
  t.equal(
    (await owner.submit('/ops/trouble/numbers', wish)).status,
    404,
    'a business could post any number, so it cannot add one',
  )
  t.strictSame(await contents(), before)

  const operator = await asOperator()
  const page = await operator.get(`/ops/trouble?tenant=${shop.tenantId}`)
  t.match(partOf(page, 'numbers'), /073-\d{3}-\d{4}[^]*<div>2<\/div>[^]*Add to מספרת נועה/)

  const answer = await operator.submit('/ops/trouble/numbers', {
    ...wish,
    back: '/ops/trouble',
  })
  t.match(answer, { status: 303, location: '/ops/trouble' })
  t.match((await operator.get('/ops/trouble')).text, '2 calls will be decided again')
  await work()
  t.match(await missedCall(shop.tenantId, record.ivruniqueid), { outreach_state: 'scheduled' })
  t.match((await owner.get('/ops/trouble')).text, 'All clear')
  t.match(await doneTo(shop), [
    { who: 'operator', action: 'number.add', after: { phone: line.e164 } },
  ])
})

t.test(
  'the operator chooses the business for a number that came with an unbound token',
  async t => {
    const shop = await business()
    const other = await business()
    const line = newLine()
    const record = push({ caller: customer().local, did: line.local }, 20)
    await post(record, { token: await webhookToken(null) })
    await work()
    const operator = await asOperator()
    const section = partOf(await operator.get('/ops/trouble'), 'numbers')
    t.match(section, line.e164)
    t.match(section, `<option value="${shop.tenantId}">`)

    const outsider = await asTenant(other.tenantId)
    t.notMatch((await outsider.get('/ops/trouble')).text, line.e164)
    const claim = { phone: line.e164, tenant: other.tenantId }
    t.equal(
      (await outsider.submit('/ops/trouble/numbers', claim)).status,
      404,
      'a business cannot take it',
    )

    await operator.submit('/ops/trouble/numbers', { phone: line.e164, tenant: shop.tenantId })
    await work()
    t.match(await missedCall(shop.tenantId, record.ivruniqueid), { outreach_state: 'scheduled' })
    const taken = await operator.submit('/ops/trouble/numbers', claim)
    t.match(taken, { status: 409, text: /already belongs to another business/ })
    t.equal((await operator.submit('/ops/trouble/numbers', { ...claim, phone: 'x' })).status, 400)
  },
)

t.test('an unknown message is marked as arrived', async t => {
  const shop = await business()
  const dana = await lost(shop)
  const owner = await asTenant(shop.tenantId)
  const section = partOf(await owner.get('/ops/trouble'), 'unknown')
  t.match(section, 'the connection was cut')
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
  t.equal(rows[0]?.after, 2 * 3600, 'reminders count from the claim')
  t.match(await doneTo(shop), [
    {
      action: 'message.settle',
      subject: `messages ${dana.messageId}`,
      before: { state: 'unknown' },
      after: { state: 'delivered' },
    },
  ])
  t.match((await owner.get('/ops/trouble')).text, 'All clear')

  const late = await owner.submit(`${path}/lost`)
  t.match(late, { status: 409, text: /already known whether this message arrived/ })
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['sent', 'accepted'])
  t.equal((await owner.submit(`${path}/perhaps`)).status, 404)
})

t.test('an unknown message is marked as lost', async t => {
  const shop = await business()
  const dana = await lost(shop)
  const owner = await asTenant(shop.tenantId)
  await owner.submit(`/ops/trouble/${shop.tenantId}/messages/${dana.messageId}/lost`)
  t.strictSame(await outreachOf(shop.tenantId, dana.callId), ['failed', 'refused'])
  await dueSince(dana.id)
  t.equal(requestsOf(shop).length, 1, 'the message is not sent again')
  t.strictSame(await waitingFor(shop.tenantId), [])

  const { id } = await miss(shop, dana.local, {}, 5)
  await dueSince(id)
  t.equal(requestsOf(shop).length, 2, 'the next call gets a message')
})

t.test('each reason to reject a delivery has a Hebrew text', t => {
  const files = [
    'json.ts',
    'rejected_deliveries.ts',
    'voicenter/body.ts',
    'voicenter/parse.ts',
    'voicenter/call_log/entries.ts',
    'web/whatsapp.ts',
  ]
  const reasons = files.flatMap(file => {
    const text = readFileSync(new URL(`../../../app/${file}`, import.meta.url), 'utf8')
    return [
      ...text.matchAll(/(?:wrong(?: =|:)|reason =|wrong\.push\(|[?n] \[)\s*(['`])(\w.+?)\1/g),
    ].map(([, , reason = '']) => reason.replace(/\$\{\w+\}/g, '10'))
  })
  t.ok(reasons.length > 20, reasons.join(' | '))
  const missing = [
    'call id (ivruniqueid or CallID) is missing',
    'status (status or DialStatus) is missing',
  ]
  for (const reason of [...reasons, missing.join('; ')]) {
    const text = rejectionText('he', reason)
    t.match(text, /[א-ת]/, reason)
    const words = text
      .replace(/ivruniqueid|CallID|DialStatus|status|CallerNumber|callerPhone|caller|DID|did/g, '')
      .replace(/POST-JSON|JSON|XML-RPC|XML|HTML|UTF-8|windows-1255|External Layer|IVR/g, '')
      .replace(/CPanel|Voicenter|Integrations|CDR Notification/g, '')
    t.notMatch(words, /[a-z]/i, text)
  }
  t.equal(rejectionText('he', 'a new reason; the body is empty'), 'a new reason; התקבל דיווח ריק')
  t.end()
})

t.test('a rejected delivery can be viewed and discarded', async t => {
  const shop = await business()
  const bad = { caller: '0521234567', note: '<img src=x> & "co"' }
  await post(bad, { token: shop.token })
  await post(bad, { token: shop.token })
  await post({ ...bad, note: 'another' }, { token: shop.token })
  await post('<methodCall>x</methodCall>', { token: shop.token })
  const owner = await asTenant(shop.tenantId)
  const page = await owner.get('/ops/trouble')
  const section = partOf(page, 'deliveries')
  t.match(page.text, '2 things need attention.', 'grouped by reason')
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
  t.match(section, `/ops/trouble/deliveries/${second.id}"`, 'a link to the newest')

  t.equal(
    (await owner.submit(`/ops/trouble/deliveries/${second.id}/discard`, { alike: 'yes' })).status,
    303,
  )
  t.match((await owner.get('/ops/trouble')).text, '2 reports were discarded')
  await post(bad, { token: shop.token })
  const after = await owner.get('/ops/trouble')
  t.match(after.text, 'One thing needs attention.', 'a repeated delivery is no new alert')
  t.match((await owner.get(`/ops/trouble/deliveries/${first.id}`)).text, 'The content was deleted')
  t.equal((await owner.submit(`/ops/trouble/deliveries/${first.id}/discard`)).status, 404)
  await owner.submit(`/ops/trouble/deliveries/${xml.id}/discard`)
  t.match((await owner.get('/ops/trouble')).text, 'All clear')
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

t.test('rejected deliveries are read again, one or all of the same reason', async t => {
  const shop = await business()
  const bodies = [0, 1, 2].map(() => push({ caller: customer().local, did: shop.did }))
  const insert = (body: string) =>
    sql<{ id: string }>`
      insert into rejected_deliveries (tenant_id, source, reason, body, body_hash)
      values (${shop.tenantId}, 'voicenter', 'not readable then', ${Buffer.from(body)}, ${sha256(body)}) returning id`.execute(
      db,
    )
  const ids: string[] = []
  for (const body of [...bodies.map(one => JSON.stringify(one)), 'nonsense'])
    ids.push((await insert(body)).rows[0]?.id ?? '')
  const [first = '', , , nonsense = ''] = ids
  const owner = await asTenant(shop.tenantId)
  t.match(partOf(await owner.get('/ops/trouble'), 'deliveries'), /Read again/)
  await owner.submit(`/ops/trouble/deliveries/${first}/reread`)
  t.match((await owner.get('/ops/trouble')).text, 'Read again: 1 stored, 0 still not readable.')
  t.match((await owner.get(`/ops/trouble/deliveries/${first}`)).text, 'it is stored')
  await owner.submit(`/ops/trouble/deliveries/${nonsense}/reread`, { alike: 'yes' })
  t.match((await owner.get('/ops/trouble')).text, 'Read again: 2 stored, 1 still not readable.')
  const one = await owner.get(`/ops/trouble/deliveries/${nonsense}`)
  t.match(one.text, 'it is still not readable')
  t.match(partOf(await owner.get('/ops/trouble'), 'deliveries'), /neither a JSON object/)
  await work()
  for (const { ivruniqueid } of bodies)
    t.strictSame(await outreachOf(shop.tenantId, ivruniqueid), ['scheduled', 'waiting'])
})

t.test('a paused number and a paused template can be resumed', async t => {
  const shop = await business()
  await sql`update whatsapp_connections set state = 'paused', state_reason = 'WhatsApp error 131042' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  await sql`
    insert into whatsapp_templates (tenant_id, whatsapp_connection_id, kind, name, language, variables, state, state_reason)
    select tenant_id, id, 'initial', 'ringback_missed_call', 'he', '{business_name,call_time}', 'paused', 'template PAUSED'
    from whatsapp_connections where tenant_id = ${shop.tenantId}`.execute(db)
  const { id } = await miss(shop, customer().local)
  await dueSince(id)
  const owner = await asTenant(shop.tenantId)
  const section = partOf(await owner.get('/ops/trouble'), 'paused')
  t.match(section, /WhatsApp cannot charge the account\. \(131042\)/)
  t.match(section, /Meta has paused the template, because people blocked or reported it/)
  const path = `/ops/trouble/${shop.tenantId}/resume`
  t.equal((await owner.submit(path, { phoneNumberId: shop.phoneNumberId })).status, 303)
  t.equal((await owner.submit(path, { kind: 'initial' })).status, 303)
  t.match((await owner.get('/ops/trouble')).text, 'All clear')
  await dueSince(id)
  t.equal(requestsOf(shop).length, 1)
  t.strictSame(
    (await doneTo(shop)).map(({ action }) => action),
    ['connection.resume', 'template.set'],
  )
  t.equal((await owner.submit(path, { kind: 'poem' })).status, 400)
  t.equal((await owner.submit(path, { phoneNumberId: '1' })).status, 404)
})

t.test('silent webhooks, a failing call log and unknown WhatsApp numbers are alerts', async t => {
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
  const unknownId = `${randomInt(1e9)}`
  await deliver(
    envelope(
      change(unknownId, {
        messages: [
          { id: `wamid.${unknownId}`, from: '972521111111', type: 'text', text: { body: 'x' } },
        ],
      }),
    ),
  )
  await work()
  const owner = await asTenant(tenantId)
  const page = await owner.get('/ops/trouble')
  t.match(page.text, '2 things need attention.')
  t.match(partOf(page, 'silent'), /Check in Voicenter that/)
  t.match(partOf(page, 'call-log'), /does not allow our IP address/)
  t.equal(partOf(page, 'unknown-senders'), '')
  const operator = await asOperator()
  t.match(partOf(await operator.get('/ops/trouble'), 'unknown-senders'), unknownId)
  await sql`update alerts set ended_at = now() where tenant_id = ${tenantId}`.execute(db)
  await sql`update call_log_access set last_error = null, failing_since = null where tenant_id = ${tenantId}`.execute(
    db,
  )
  t.match((await owner.get('/ops/trouble')).text, 'All clear')
})

t.test('a business sees no alerts of another and cannot act on them', async t => {
  const shop = await business()
  const other = await business()
  const { messageId } = await lost(shop)
  await post({ bad: 1 }, { token: shop.token })
  const line = newLine()
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
  const outsider = await asTenant(other.tenantId)
  t.match((await outsider.get('/ops/trouble')).text, 'All clear')
  t.equal((await outsider.get(`/ops/trouble?tenant=${shop.tenantId}`)).status, 404)
  t.equal((await outsider.get(`/ops/trouble/deliveries/${id}`)).status, 404)

  const before = await contents()
  const [ours, theirs] = [shop.tenantId, other.tenantId]
  const forms: [string, Record<string, string>][] = [
    [`/ops/trouble/${ours}/messages/${messageId}/arrived`, {}],
    [`/ops/trouble/${theirs}/messages/${messageId}/lost`, {}],
    [`/ops/trouble/deliveries/${id}/discard`, { alike: 'yes' }],
    [`/ops/trouble/deliveries/${id}/reread`, { alike: 'yes' }],
    [`/ops/trouble/${ours}/resume`, { phoneNumberId: shop.phoneNumberId }],
    [`/ops/trouble/${theirs}/resume`, { phoneNumberId: shop.phoneNumberId }],
    ['/ops/trouble/numbers', { phone: line.e164, tenant: ours }],
    ['/ops/trouble/numbers', { phone: line.e164, tenant: theirs }],
  ]
  for (const [path, fields] of forms) {
    t.equal((await outsider.submit(path, fields)).status, 404, path)
    t.equal((await outsider.post(path, fields)).status, 403, path)
    t.equal((await browser().post(path, fields)).status, 401, path)
  }
  t.strictSame(await contents(), before)
})

/** Makes the job with this key fail for good. Returns its id. */
const failForGood = async (key: string, error = 'it <fails> & "fails"'): Promise<string> => {
  const { rows } = await sql<{ id: string }>`
    select id from graphile_worker.permanently_fail_jobs(
      (select array_agg(id) from graphile_worker.jobs where key = ${key}), ${error})`.execute(db)
  const [job] = rows
  if (!job) throw new Error(`there is no job ${key}`)
  return job.id
}
const one = async (query: ReturnType<typeof sql<{ state: unknown }>>) =>
  (await query.execute(db)).rows[0]?.state

type Row = {
  key: string
  state: () => Promise<unknown>
  discarded: unknown
  tenantId: string | null
}

/** For each task, a row that has been due for hours. */
const ROWS: Record<string, (shop: Shop) => Promise<Row>> = {
  voicenter_cdr: async shop => {
    const record = push({ caller: customer().local, did: shop.did })
    await post(record, { token: shop.token })
    await sql`update raw_cdrs set received_at = now() - interval '2 hours' where call_id = ${record.ivruniqueid}`.execute(
      db,
    )
    return {
      key: `voicenter_cdr:${record.ivruniqueid}`,
      state: () =>
        one(
          sql`select verdict || ' ' || reason as state from raw_cdrs where call_id = ${record.ivruniqueid}`,
        ),
      discarded: 'unknown given_up',
      tenantId: shop.tenantId,
    }
  },
  lead_outreach: async shop => {
    const { id, callId } = await miss(shop, customer().local)
    await sql`update missed_calls set outreach_due_at = now() - interval '2 hours' where id = ${id}`.execute(
      db,
    )
    return {
      key: `lead_outreach:${id}`,
      state: () => outreachOf(shop.tenantId, callId),
      discarded: ['cancelled', 'by_operator'],
      tenantId: shop.tenantId,
    }
  },
  lead_reminder: async shop => {
    const { id } = await miss(shop, customer().local)
    await dueSince(id)
    const { id: conversation } = await conversationOf(id)
    await sql`update messages set due_at = now() - interval '2 hours' where lead_conversation_id = ${conversation} and kind = 'reminder_1'`.execute(
      db,
    )
    return {
      key: `lead_reminder:${conversation}:1`,
      state: async () => (await messagesAfter(id)).map(([, state]) => state),
      discarded: ['accepted', 'cancelled', 'cancelled'],
      tenantId: shop.tenantId,
    }
  },
  lead_silence: async shop => {
    const { id } = await miss(shop, customer().local)
    await dueSince(id)
    const { id: conversation } = await conversationOf(id)
    for (const kind of ['reminder_1', 'reminder_2'] as const)
      await reported(conversation, kind, 'skipped')
    await sql`update messages set due_at = now() - interval '3 days' where lead_conversation_id = ${conversation}`.execute(
      db,
    )
    await sql`update messages set claimed_at = now() - interval '3 days' where lead_conversation_id = ${conversation} and claimed_at is not null`.execute(
      db,
    )
    await requeueDueRows()
    return {
      key: `lead_silence:${conversation}`,
      state: async () => (await conversationOf(id)).state,
      discarded: 'stopped',
      tenantId: shop.tenantId,
    }
  },
  whatsapp_event: async shop => {
    const wamid = `wamid.${customer().local}`
    await deliver(
      envelope(
        change(shop.phoneNumberId, {
          messages: [
            { id: wamid, from: customer().e164.slice(1), type: 'text', text: { body: 'x' } },
          ],
        }),
      ),
    )
    const { rows } = await sql<{ id: string }>`
      update whatsapp_events set received_at = now() - interval '2 hours' where payload::text like ${`%${wamid}%`} returning id`.execute(
      db,
    )
    const id = rows[0]?.id ?? ''
    return {
      key: `whatsapp_event:${id}`,
      state: () => one(sql`select outcome as state from whatsapp_events where id = ${id}`),
      discarded: 'given_up',
      tenantId: shop.tenantId,
    }
  },
  owner_notice: async shop => {
    const { rows } = await sql<{ id: string }>`
      insert into messages (tenant_id, direction, kind, state, due_at, to_phone, text)
      values (${shop.tenantId}, 'out', 'owner_notice', 'scheduled', now() - interval '2 hours', ${customer().e164}, 'x')
      returning id`.execute(db)
    const id = rows[0]?.id ?? ''
    await requeueDueRows()
    return {
      key: `owner_notice:${id}`,
      state: () => one(sql`select state from messages where id = ${id}`),
      discarded: 'cancelled',
      tenantId: shop.tenantId,
    }
  },
}

for (const [task, make] of Object.entries(ROWS))
  t.test(`${task}: a discarded job does not come back`, async t => {
    const shop = await business()
    const { key, state, discarded, tenantId } = await make(shop)
    const id = await failForGood(key)
    const before = await state()
    const entries = (await auditLogOf(tenantId)).length
    await requeueDueRows()
    t.equal((await jobs(key)).length, 1, 'a failed job prevents a second one for its row')

    const operator = await asOperator()
    t.match((await operator.get('/ops/trouble')).text, key)
    const { text } = await operator.get(`/ops/queue?task=${task}&state=failed`)
    const row = text.split('<tr>').find(one => one.includes(`<code>${key}</code>`)) ?? ''
    t.match(row, `href="/ops/tenants/${shop.tenantId}"`, 'the business of the job')
    const [, about = ''] = /href="(\/ops\/(?:calls|leads)[^"]+)"/.exec(row) ?? []
    if (!['owner_notice', 'whatsapp_event'].includes(task))
      t.equal((await operator.get(about)).status, 200, 'the call of the job')
    t.equal((await operator.submit(`/ops/trouble/jobs/${id}/discard`)).status, 303)
    t.strictNotSame(await state(), before)
    t.strictSame(await state(), discarded)
    await requeueDueRows()
    t.strictSame(await jobs(key), [])
    await work()
    t.strictSame(await state(), discarded)
    t.match((await auditLogOf(tenantId)).slice(entries), [
      { who: 'operator', action: 'job.discard', subject: `jobs ${id}`, before: { task } },
    ])
    t.equal((await operator.submit(`/ops/trouble/jobs/${id}/discard`)).status, 404)
  })

t.test('failed jobs can be retried one by one, or all of a task', async t => {
  const shop = await business()
  const calls = [
    await miss(shop, customer().local),
    await miss(shop, customer().local),
    await miss(shop, customer().local),
  ]
  const ids: string[] = []
  for (const { id } of calls) {
    await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
    ids.push(await failForGood(`lead_outreach:${id}`))
  }
  await work()
  t.equal(requestsOf(shop).length, 0)
  const operator = await asOperator()
  const page = await operator.get('/ops/trouble')
  t.match(page.text, 'it &lt;fails&gt; &amp; &quot;fails&quot;')
  t.match(page.text, 'Retry all 3')
  t.equal((await operator.submit(`/ops/trouble/jobs/${ids[0]}/retry`)).status, 303)
  await work()
  t.equal(requestsOf(shop).length, 1)
  t.equal((await operator.submit('/ops/trouble/jobs/retry', { task: 'lead_outreach' })).status, 303)
  await work()
  t.equal(requestsOf(shop).length, 3)
  t.equal((await operator.submit('/ops/trouble/jobs/retry', { task: 'lead_outreach' })).status, 404)
  t.match((await auditLogOf(null)).slice(-2), [
    { action: 'job.retry', subject: `jobs ${ids[0]}`, after: { retried: 1 } },
    { action: 'job.retry', subject: 'jobs of lead_outreach', after: { retried: 2 } },
  ])
})

t.test(
  'the queue is listed by task, state and error, and what failed alike is solved at once',
  async t => {
    const shop = await business({ columns: { name: 'Queue & Sons' } })
    const fail = async (error: string) => {
      const { id } = await miss(shop, customer().local)
      await sql`update missed_calls set outreach_due_at = now() where id = ${id}`.execute(db)
      return { call: id, job: await failForGood(`lead_outreach:${id}`, error) }
    }
    const refused = []
    for (let n = 1; n <= 27; n++) refused.push(await fail(`connect ECONNREFUSED 10.0.0.${n}:5432`))
    const other = await fail('no such template')
    const waits = await miss(shop, customer().local)
    await sql`
    update graphile_worker._private_jobs set attempts = 3, last_error = 'timeout', run_at = now() + interval '1 hour'
    where key = ${`lead_outreach:${waits.id}`}`.execute(db)
    const operator = await asOperator()
    const keys = (text: string) =>
      [...text.matchAll(/<code>lead_outreach:(\d+)<\/code>/g)].map(([, id]) => id)
    const queue = async (query: string) => (await operator.get(`/ops/queue?${query}`)).text
    const retrying = partOf({ text: await queue('state=retrying') }, 'jobs')
    t.strictSame(keys(retrying), [waits.id])
    t.match(retrying, /attempt 3 of 10[^]*timeout[^]*\/retry"/)
    t.notMatch(retrying, '/discard"', 'a job that will run again is not discarded')

    const all = await queue('')
    t.match(
      partOf({ text: all }, 'errors'),
      /connect ECONNREFUSED 10\.0\.0\.27:5432[^]*Retry all 27/,
    )
    const [, alike = ''] =
      /href="\/ops\/queue\?(task=lead_outreach&amp;state=failed&amp;error=[0-9a-f]{32})#jobs"/.exec(
        all,
      ) ?? []
    const query = alike.replaceAll('&amp;', '&')
    const error = query.slice(-32)
    const first = partOf({ text: await queue(query) }, 'jobs')
    const [, before = ''] = /before=(\d+)#jobs"/.exec(first) ?? []
    const second = partOf({ text: await queue(`${query}&before=${before}`) }, 'jobs')
    t.strictSame(
      [...keys(first), ...keys(second)],
      refused.map(({ call }) => call).toReversed(),
      'each once, the newest first',
    )
    t.notMatch(second, 'Older jobs')
    t.strictSame(keys(partOf({ text: await queue('task=retention') }, 'jobs')), [])
    for (const wrong of ['state=dead', 'task=a%20b', 'error=1', 'before=x'])
      t.equal((await operator.get(`/ops/queue?${wrong}`)).status, 400, wrong)
    t.match((await (await asOperator('he')).get('/ops/queue')).text, 'נכשלו, לפי שגיאה')
    t.match(
      partOf({ text: all }, 'hour'),
      /missed calls: from the report to the decision[^]*>(29|[3-9]\d|\d{3,})</,
    )

    const both = { task: 'lead_outreach', error }
    const owner = await asTenant(shop.tenantId)
    const stored = await contents()
    t.equal((await owner.submit('/ops/trouble/jobs/discard', both)).status, 404)
    t.strictSame(await contents(), stored)
    t.equal(
      (await operator.submit(`/ops/trouble/jobs/${waits.id}/retry`)).status,
      404,
      'no such job',
    )
    await operator.submit('/ops/trouble/jobs/retry', both)
    await work()
    t.equal(requestsOf(shop).length, 27, 'only those with the error')
    t.match((await auditLogOf(null)).at(-1), {
      subject: 'jobs of lead_outreach',
      after: { retried: 27, error },
    })

    const more = [await fail('boom 1'), await fail('boom 22'), await fail('boom')]
    const [, boom = ''] = /error=([0-9a-f]{32})#jobs"\s*><bdi>boom 22</.exec(await queue('')) ?? []
    await operator.submit('/ops/trouble/jobs/discard', { task: 'lead_outreach', error: boom })
    const { rows } = await sql<{ id: string }>`
    select id from missed_calls where tenant_id = ${shop.tenantId} and outreach_reason = 'by_operator' order by id`.execute(
      db,
    )
    t.strictSame(
      rows.map(({ id }) => id),
      more.slice(0, 2).map(({ call }) => call),
    )
    t.match((await doneTo(shop)).filter(({ action }) => action === 'job.discard').length, 2)
    t.equal(
      (await operator.submit('/ops/trouble/jobs/discard', { task: 'lead_outreach', error: boom }))
        .status,
      404,
    )
    const jobOfWaiting = await sql<{
      id: string
    }>`select id from graphile_worker.jobs where key = ${`lead_outreach:${waits.id}`}`.execute(db)
    t.equal(
      (await operator.submit(`/ops/trouble/jobs/${jobOfWaiting.rows[0]?.id}/retry`)).status,
      303,
      'now, not in an hour',
    )
    for (const id of [other.job, more[2]?.job])
      await operator.submit(`/ops/trouble/jobs/${id}/discard`)
  },
)

t.test('jobs that end together are discarded together', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  const reminders = [1, 2].map(n => `lead_reminder:${conversation}:${n}`)
  for (const key of reminders) await failForGood(key, 'both of them failed')
  const operator = await asOperator()
  const { text } = await operator.get('/ops/queue')
  const [, error = ''] = /error=([0-9a-f]{32})#jobs"\s*><bdi>both of them failed</.exec(text) ?? []
  const path = '/ops/trouble/jobs/discard'
  t.equal((await operator.submit(path, { task: 'lead_reminder', error })).status, 303)
  t.match((await operator.get('/ops/queue')).text, 'Discarded.')
  for (const key of reminders) t.strictSame(await jobs(key), [])
  t.strictSame(
    (await messagesAfter(id)).map(([, state]) => state),
    ['accepted', 'cancelled', 'cancelled'],
  )
})

t.test('failed jobs of an unknown task can only be discarded', async t => {
  await sql`select graphile_worker.add_job('task_of_an_old_deploy', job_key := 'task_of_an_old_deploy:1')`.execute(
    db,
  )
  await failForGood('task_of_an_old_deploy:1', 'it is unknown')
  const operator = await asOperator()
  const errors = partOf(await operator.get('/ops/queue'), 'errors')
  const row = errors.split('<tr>').find(one => one.includes('it is unknown')) ?? ''
  t.match(row, '/trouble/jobs/discard')
  t.notMatch(row, '/trouble/jobs/retry')
  const [, error = ''] = /error=([0-9a-f]{32})/.exec(row) ?? []
  await operator.submit('/ops/trouble/jobs/discard', { task: 'task_of_an_old_deploy', error })
  t.strictSame(await jobs('task_of_an_old_deploy:1'), [])
})

t.test('the job that checks a call log cannot be discarded', async t => {
  const { tenantId } = await business()
  await sql`select graphile_worker.add_job('call_log', json_build_object('tenantId', ${tenantId}::text), job_key := ${`call_log:${tenantId}`}, run_at := now() + interval '1 day')`.execute(
    db,
  )
  const id = await failForGood(`call_log:${tenantId}`)
  const operator = await asOperator()
  t.notMatch((await operator.get('/ops/trouble')).text, `/ops/trouble/jobs/${id}/discard`)
  const answer = await operator.submit(`/ops/trouble/jobs/${id}/discard`)
  t.match(answer, { status: 409, text: /as long as we have access/ })
  t.equal((await jobs(`call_log:${tenantId}`)).length, 1)
})

t.test('only the operator sees failed jobs and acts on them', async t => {
  const shop = await business()
  const { id } = await miss(shop, customer().local)
  const jobId = await failForGood(`lead_outreach:${id}`)
  const owner = await asTenant(shop.tenantId)
  t.notMatch((await owner.get('/ops/trouble')).text, `lead_outreach:${id}`)
  const before = await contents()
  for (const path of [`${jobId}/retry`, `${jobId}/discard`, 'retry', 'discard'])
    t.equal(
      (await owner.submit(`/ops/trouble/jobs/${path}`, { task: 'lead_outreach' })).status,
      404,
    )
  t.strictSame(await contents(), before)
})
