/** The way of one call, and what a person can do about it. */
import { sql } from 'kysely'
import t from 'tap'
import { asOperator, asTenant, browser, deedsOf } from '../../support/ops.ts'
import { answeredPush, push } from '../../../scripts/demo/cdr.ts'
import { dueSince, miss, tell } from '../../tasks/support.ts'
import { contacted, reports } from '../../support/whatsapp.ts'
import {
  business,
  customer,
  db,
  fake,
  messagesOf,
  outreachOf,
  post,
  reminderDue,
  verdictsOf,
  webhookToken,
  work,
} from '../../support/ringback.ts'

/** The steps of the timeline without their tags; `(planned)` before those to come. */
const stepsIn = (text: string): string[] =>
  [
    ...(/<ol class="timeline">(.*?)<\/ol>/s.exec(text)?.[1] ?? '').matchAll(
      /<li(.*?)>(.*?)<\/li>/gs,
    ),
  ].map(([, planned = '', step = '']) =>
    `${planned.includes('planned') ? '(planned) ' : ''}${step.replace(/<[^>]*>/g, ' ')}`
      .replace(/\s+/g, ' ')
      .trim(),
  )
const headingIn = (text: string): string => /<h1>(.*?)<\/h1>/s.exec(text)?.[1] ?? ''

const recordOf = async (callId: string): Promise<string> => {
  const row = db.selectFrom('raw_cdrs').select('id').where('call_id', '=', callId).orderBy('id')
  return (await row.executeTakeFirstOrThrow()).id
}
const conversationOf = async (missedCallId: string): Promise<string> => {
  const row = db
    .selectFrom('lead_conversations')
    .select('id')
    .where('missed_call_id', '=', missedCallId)
  return (await row.executeTakeFirstOrThrow()).id
}

/** Apart from what set up the business. */
const doneOnPages = async (tenantId: string) =>
  (await deedsOf(tenantId)).filter(({ who }) => who !== 'command line')

t.test('the page tells the whole way of a call, in order', async t => {
  const shop = await business({ columns: { owner_phone: '+972501112233' } })
  const dana = await contacted(shop)
  for (const status of ['sent', 'delivered', 'read'] as const) await reports(dana.wamid, { status })
  await reminderDue(await conversationOf(dana.id), 1)
  await fake.inbound({ kind: 'text', from: dana.e164, text: 'yes, <i>please</i>' })
  await work()
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get(`/ops/calls/${await recordOf(dana.callId)}`)
  t.equal(headingIn(text), 'A message was sent, and the caller replied.')
  t.match(stepsIn(text), [
    /The call began\.$/,
    /The exchange reported: NOANSWER \(it rang and nobody answered\) ?\. incoming call · rang 24 seconds$/,
    /Judged: missed/,
    /The message was due\.$/,
    /The message was sent; WhatsApp took it\.$/,
    /The message was sent on\.$/,
    /The message reached the telephone\.$/,
    /The message was read\.$/,
    /The first reminder was sent; WhatsApp took it\.$/,
    /The caller wrote: yes, &lt;i&gt;please&lt;\/i&gt;$/,
    /The owner was told of the reply/,
    /^\(planned\) .*The last reminder will not be sent: the caller wrote\.$/,
  ])
  t.match(text, `number=${encodeURIComponent(dana.e164)}`, 'a way to her other calls')
  t.notMatch(text, 'Do not write to this caller', 'it has ended')

  await sql`update whatsapp_events set payload = null where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const emptied = await owner.get(`/ops/calls/${await recordOf(dana.callId)}`)
  t.match(
    stepsIn(emptied.text)[7],
    /^\d+ \w+, [\d:]+ The message was read\.$/,
    'times outlive what told them',
  )

  const hebrew = await asTenant(shop.tenantId, 'he')
  const inHebrew = await hebrew.get(`/ops/calls/missed/${dana.id}`)
  t.equal(headingIn(inHebrew.text), 'נשלחה הודעה, והתקבלה תשובה.')
  t.match(stepsIn(inHebrew.text)[4], 'ההודעה נשלחה')
})

t.test('what is still to come stands there as planned', async t => {
  const shop = await business()
  const waiting = await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId)
  const before = await owner.get(`/ops/calls/missed/${waiting.id}`)
  t.equal(headingIn(before.text), 'A message is waiting to be sent.')
  t.match(stepsIn(before.text).at(-1), /^\(planned\) .*The message is due\.$/)
  t.match(before.text, 'It is due at')
  await dueSince(waiting.id)
  const after = await owner.get(`/ops/calls/missed/${waiting.id}`)
  t.match(stepsIn(after.text).slice(-2), [
    /^\(planned\) .*The first reminder is planned\.$/,
    /^\(planned\) .*The last reminder is planned\.$/,
  ])
})

t.test('what the exchange sent stands there word for word, until it is emptied', async t => {
  const shop = await business()
  const { callId, id } = await miss(shop, customer().local, {
    queuename: '<script>alert("1")</script>',
  })
  await tell(
    shop.token,
    answeredPush({ did: shop.did, caller: '', originalivruniqueid: callId, type: 'XferCDR' }),
  )
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get(`/ops/calls/missed/${id}`)
  t.equal(headingIn(text), 'Nothing to send: somebody answered.')
  t.equal([...text.matchAll(/<details id="record-/g)].length, 2)
  t.match(text, '&quot;queuename&quot;: &quot;&lt;script&gt;alert(', 'as it was read')
  t.match(text, '&quot;queuename&quot;:&quot;&lt;script&gt;alert(', 'as it came')
  t.match(text, 'answered by <bdi>Noa</bdi>')
  t.notMatch(text, '<script>alert')

  await sql`update raw_cdrs set payload = null, body = null where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const emptied = await owner.get(`/ops/calls/missed/${id}`)
  t.equal(emptied.status, 200)
  t.match(emptied.text, 'Its content was deleted, like everything')
})

t.test('a call that was not written to says because of which other one', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, {}, 60)
  const second = await miss(shop, dana.local)
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get(`/ops/calls/missed/${second.id}`)
  t.match(headingIn(text), 'because of another call')
  t.match(text, `/ops/calls/missed/${first.id}`)
  const talk = answeredPush({ did: shop.did, caller: dana.local }, 5)
  await tell(shop.token, talk)
  const cancelled = await owner.get(`/ops/calls/missed/${first.id}`)
  t.match(headingIn(cancelled.text), 'somebody talked with the caller')
  t.match(stepsIn(cancelled.text).join('\n'), 'Somebody talked with the caller, in this call')
  t.match(cancelled.text, `/ops/calls/${await recordOf(talk.ivruniqueid)}`)
})

t.test('why a message did not arrive, and that nobody knows, is told in words', async t => {
  const shop = await business()
  const operator = await asOperator()
  const tamar = customer()
  fake.script({ to: tamar.e164, outcome: { kind: 'error', code: 131026 } })
  const refused = await contacted(shop, tamar)
  const failed = (await operator.get(`/ops/calls/missed/${refused.id}`)).text
  t.match(headingIn(failed), 'The message did not arrive')
  t.match(stepsIn(failed).join('\n'), 'WhatsApp error 131026: the number has no WhatsApp')

  const gil = customer()
  fake.script({ to: gil.e164, outcome: { kind: 'cut' } })
  const lost = await contacted(shop, gil)
  const unknown = (await operator.get(`/ops/calls/missed/${lost.id}`)).text
  t.match(headingIn(unknown), 'The message may or may not have arrived')
  t.match(stepsIn(unknown).join('\n'), 'it may or may not have arrived')
  t.match(unknown, 'href="/ops/trouble"')

  const ruth = await contacted(shop)
  await fake.inbound({ kind: 'text', from: ruth.e164, text: 'הסר' })
  await work()
  const out = (await operator.get(`/ops/calls/missed/${ruth.id}`)).text
  t.match(stepsIn(out).join('\n'), 'The caller asked for no more messages.')
})

t.test(
  '"do not write to this caller" stops what has not been sent, and is written down',
  async t => {
    const shop = await business()
    const other = await business()
    const { callId, id } = await miss(shop, customer().local)
    const path = `/ops/calls/missed/${id}/cancel`
    const owner = await asTenant(shop.tenantId)
    const stranger = await asTenant(other.tenantId)
    t.match((await owner.get(`/ops/calls/missed/${id}`)).text, `action="${path}"`)

    t.equal((await browser().post(path, {})).status, 401, 'not signed in')
    t.equal((await owner.post(path, {})).status, 403, 'without what our forms carry')
    t.equal((await stranger.submit(path)).status, 404, "another business's call")
    t.equal((await owner.submit('/ops/calls/missed/999999999/cancel')).status, 404)
    t.strictSame(
      await outreachOf(shop.tenantId, callId),
      ['scheduled', 'waiting'],
      'nothing changed',
    )
    t.strictSame(await doneOnPages(shop.tenantId), [])

    const done = await owner.submit(path)
    t.equal(done.status, 303)
    const { text } = await owner.get(done.location ?? '')
    t.match(text, 'Nothing is sent because of this call.')
    t.equal(headingIn(text), 'No message was sent: it was cancelled by hand.')
    t.match(stepsIn(text).join('\n'), /Cancelled by hand by the business/)
    t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
    const deed = {
      who: `tenant ${shop.tenantId}`,
      action: 'outreach.cancel',
      subject: `missed_calls ${id}`,
      before: { outreach: 'scheduled / waiting', conversation: null, messages_waiting: 0 },
      after: { outreach: 'cancelled / by_operator', conversation: null, messages_waiting: 0 },
    }
    t.strictSame(await doneOnPages(shop.tenantId), [deed])

    const again = await owner.submit(path)
    t.match((await owner.get(again.location ?? '')).text, 'There was nothing left to cancel.')
    t.equal((await doneOnPages(shop.tenantId)).length, 1, 'nothing changed, nothing to write down')
    await dueSince(id)
    t.strictSame(await messagesOf(shop.tenantId), [], 'and nothing is sent')
  },
)

t.test('once the message is out, what follows it is stopped', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const operator = await asOperator()
  const done = await operator.submit(`/ops/calls/missed/${dana.id}/cancel`)
  const { text } = await operator.get(done.location ?? '')
  t.match(text, 'nothing follows it')
  t.match(headingIn(text), 'what was to follow was cancelled by hand')
  t.match(stepsIn(text).join('\n'), 'Cancelled by hand by operator')
  t.match(await doneOnPages(shop.tenantId), [
    { who: 'operator', before: { messages_waiting: 2 }, after: { messages_waiting: 0 } },
  ])
})

t.test(
  'an undecided call is judged again, as the business is set by now; a decided one is not',
  async t => {
    const shop = await business()
    const other = await business()
    const record = push({ did: shop.did, caller: customer().local, status: 'EXIT' })
    await tell(shop.token, record)
    const id = await recordOf(record.ivruniqueid)
    const owner = await asTenant(shop.tenantId)
    const path = `/ops/calls/${id}/judge`
    t.match((await owner.get(`/ops/calls/${id}`)).text, `action="${path}"`)
    await sql`update tenants set missed_statuses = missed_statuses || '{EXIT}' where id = ${shop.tenantId}`.execute(
      db,
    )

    t.equal((await owner.post(path, {})).status, 403)
    t.equal((await (await asTenant(other.tenantId)).submit(path)).status, 404)
    await work()
    t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['unknown', 'exit']])

    t.equal((await owner.submit(path)).status, 303)
    await work()
    t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [['missed', 'exit']])
    t.match(await doneOnPages(shop.tenantId), [
      { action: 'calls.judge_again', who: `tenant ${shop.tenantId}` },
    ])
    const { text } = await owner.get(`/ops/calls/${id}`)
    t.equal(headingIn(text), 'A message is waiting to be sent.')
    t.match(stepsIn(text).join('\n'), 'Judged again, by hand')
    t.notMatch(text, path)
    t.equal((await owner.submit(path)).status, 409)
  },
)

t.test("another business's call, and nobody's, are not there", async t => {
  const shop = await business()
  const other = await business()
  const { callId, id } = await miss(shop, customer().local)
  const nobodys = push({ did: '037654321', caller: customer().local })
  await post(nobodys, { token: await webhookToken(null) })
  await work()
  const nobodysId = await recordOf(nobodys.ivruniqueid)
  const paths = [
    `/ops/calls/${await recordOf(callId)}`,
    `/ops/calls/missed/${id}`,
    `/ops/calls/${nobodysId}`,
  ]
  const stranger = await asTenant(other.tenantId)
  const operator = await asOperator()
  for (const path of paths) {
    t.equal((await browser().get(path)).status, 401, path)
    t.equal((await stranger.get(path)).status, 404, path)
    t.equal((await operator.get(path)).status, 200, path)
  }
  t.equal((await stranger.submit(`/ops/calls/${nobodysId}/judge`)).status, 404)
  for (const path of [
    '/ops/calls/0',
    '/ops/calls/x',
    '/ops/calls/999999999',
    '/ops/calls/missed/999999999',
  ])
    t.equal((await operator.get(path)).status, 404, path)
})
