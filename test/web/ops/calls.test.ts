/** /ops/calls: the list with its search, the page of one call, and the sentence that explains its result. */
import { sql } from 'kysely'
import t from 'tap'
import { classify, KNOWN_STATUSES, legOf } from '../../../app/voicenter/classify.ts'
import { readCdr } from '../../../app/voicenter/parse.ts'
import { LANGUAGES } from '../../../app/web/ops/language.ts'
import { callTexts } from '../../../app/web/ops/locales/call.ts'
import { whyTexts } from '../../../app/web/ops/locales/why.ts'
import { type CallOutcome, explainCall, missedReason } from '../../../app/web/ops/why.ts'
import { answeredPush, callBackPush, push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, browser, auditLogOf } from '../../support/ops.ts'
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
  workAsIfDue,
} from '../../support/ringback.ts'
import { contacted, happens, reports } from '../../support/whatsapp.ts'
import { dueSince, miss, tell } from '../../tasks/support.ts'

type Shop = Awaited<ReturnType<typeof business>>

/** The text of each row. */
const rowsIn = (text: string): string[] =>
  [...(/<tbody>(.*?)<\/tbody>/s.exec(text)?.[1] ?? '').matchAll(/<tr>(.*?)<\/tr>/gs)].map(
    ([, row = '']) =>
      row
        .replace(/<[^>]*>/g, ' ')
        .replace(/\s+/g, ' ')
        .trim(),
  )

/** Posts call records. Each is classified before the next one is posted. */
const postAll = async ({ token, did }: Shop, ...records: Record<string, unknown>[]) => {
  for (const record of records) {
    await post({ ...record, did: record['did'] && did }, { token })
    await work()
  }
}

/** `050-234-5678`: a mobile number as the pages show it. */
const shown = (local: string) => local.replace(/^(...)(...)(....)$/, '$1-$2-$3')

t.test('the list shows each call with its result, newest first', async t => {
  const shop = await business()
  const dana = customer()
  const calledBack = customer()
  await postAll(
    shop,
    push({ caller: '' }, 90),
    push({ caller: '031234567', status: 'ABANDONE' }, 80),
    answeredPush({ caller: customer().local }, 70),
    callBackPush({ caller: shop.did, target: calledBack.e164.slice(1), did: '' }, 60),
    push({ caller: customer().local, status: 'EXIT' }, 50),
    push({ caller: dana.local }, 40),
    push({ caller: dana.local }, 30),
  )
  await workAsIfDue()
  await fake.inbound({ kind: 'text', from: dana.e164, text: 'כן' })
  await work()
  await db
    .updateTable('leads')
    .set({ name: `Dana <b>"Bo's"</b>` })
    .where('phone', '=', dana.e164)
    .execute()
  const owner = await asTenant(shop.tenantId)
  const { status, text } = await owner.get('/ops/calls')
  t.equal(status, 200)
  const rows = rowsIn(text)
  t.match(rows, [
    /missed.*No new message: the caller already gets messages for another call\.$/,
    /missed no answer A message was sent, and the caller replied\.$/,
    /undecided No message: the caller left the queue, and this does not count as missed\.$/,
    /not incoming No message needed: the business made this call\.$/,
    /answered No message needed: a person answered\.$/,
    /03-123-4567.*missed the caller hung up in the queue No message: this is a landline/,
    /number withheld.*No message: the number is withheld\.$/,
  ])
  t.equal(rows.length, 7)
  t.match(rows[1], shown(dana.local))
  t.match(text, 'Dana &lt;b&gt;&quot;Bo&#39;s&quot;&lt;/b&gt;', 'the name is escaped')

  const outgoing = await owner.get(`/ops/calls?number=${calledBack.local}`)
  t.match(
    rowsIn(outgoing.text),
    [/the business made this call/],
    'the search also finds outgoing calls',
  )

  const hebrew = await asTenant(shop.tenantId, 'he')
  t.match(rowsIn((await hebrew.get('/ops/calls')).text)[1], 'נשלחה הודעה, והתקבלה תשובה.')
})

t.test('a call with several call records is shown once', async t => {
  const shop = await business()
  const caller = customer().local
  const root = push({ caller, status: 'NOANSWER' }, 60)
  const leg = {
    ...answeredPush({ caller }, 30),
    type: 'XferCDR',
    originalivruniqueid: root.ivruniqueid,
  }
  await postAll(shop, leg, root)
  const owner = await asTenant(shop.tenantId)
  const rows = rowsIn((await owner.get('/ops/calls')).text)
  t.equal(rows.length, 1)
  t.match(rows[0], /answered No message needed: /)
  t.equal(rowsIn((await owner.get(`/ops/calls?number=${caller}`)).text).length, 1)
})

t.test('the search finds exactly the matching calls', async t => {
  const shop = await business()
  const waiting = customer()
  const written = customer()
  await postAll(shop, push({ caller: written.local }))
  await workAsIfDue()
  await postAll(
    shop,
    push({ caller: waiting.local }),
    push({ caller: '' }),
    push({ caller: customer().local, status: 'VOEND' }),
    answeredPush({ caller: customer().local }),
  )
  const owner = await asTenant(shop.tenantId)
  const found = async (asked: string) => rowsIn((await owner.get(`/ops/calls?${asked}`)).text)
  for (const [state, count] of Object.entries({
    missed: 3,
    answered: 1,
    not_inbound: 0,
    undecided: 1,
    waiting: 1,
    contacted: 1,
    replied: 0,
    not_contacted: 1,
    withheld_number: 1,
    too_late: 0,
    holdout: 0,
    failed: 0,
  }))
    t.equal((await found(`state=${state}`)).length, count, state)
  t.match(await found('state=waiting'), [shown(waiting.local)])
  t.match(await found('state=contacted'), [shown(written.local)])

  const digits = written.local.slice(1)
  for (const number of [
    written.local,
    shown(written.local),
    written.e164,
    `972 ${digits.slice(0, 2)} ${digits.slice(2)}`,
    `00972-${digits}`,
    written.local.slice(-4),
    written.local.slice(-7),
  ]) {
    const asked = new URLSearchParams({ number })
    t.match(await found(asked.toString()), [shown(written.local)], number)
  }
  t.equal(
    (await found(`state=waiting&number=${written.local}`)).length,
    0,
    'both conditions must match',
  )
  t.equal((await found(`state=contacted&number=${written.local}`)).length, 1)
  t.equal((await found('number=0529999999')).length, 0)

  const { text } = await owner.get('/ops/calls?number=12')
  t.match(text, 'at least its last 4 digits')
  t.equal(rowsIn(text).length, 0)
  t.match((await owner.get('/ops/calls?state=failed')).text, 'No such calls.<')
  // The numbers of this test follow each other.
  const unknown = String((Number(digits.slice(-4)) + 5000) % 10_000).padStart(4, '0')
  const none = await owner.get(`/ops/calls?number=${unknown}`)
  t.match(none.text, 'or for at least its last 4 digits')
  const backwards = await owner.get('/ops/calls?from=2026-02-02&until=2026-02-01')
  t.match(backwards.text, '“From” is later than “To”')
  for (const wrong of [
    'state=nonsense',
    'from=2026-02-31',
    'until=tomorrow',
    'from=0001-01-01',
    'before=1',
  ])
    t.equal((await owner.get(`/ops/calls?${wrong}`)).status, 400, wrong)
})

t.test('a wrong parameter is named on the error page, in the language of the visitor', async t => {
  const { tenantId } = await business()
  const paths = [
    'calls?from=bad',
    'calls?before=1.2.3',
    'calls?state=bogus',
    'leads?before=1.2.3',
    'leads?outcome=won&from=bad',
    'waiting?after=1.2.3',
    'log?before=1.2.3',
  ]
  for (const [language, sentence] of [
    ['en', 'This value cannot be used: NAME. Please go back and correct it.'],
    ['he', 'אי אפשר להשתמש בערך הזה: \u2066NAME\u2069. נא לחזור אחורה ולתקן אותו.'],
  ] as const) {
    const owner = await asTenant(tenantId, language)
    for (const path of paths) {
      const { status, text } = await owner.get(`/ops/${path}`)
      t.equal(status, 400, path)
      const [, name = ''] = /(\w+)=[^&]*$/.exec(path) ?? []
      t.match(text, `<p dir="auto">${sentence.replace('NAME', name)}</p>`, path)
    }
  }
})

t.test("a day begins at midnight in the business's time zone", async t => {
  const shop = await business({ columns: { timezone: 'Pacific/Kiritimati' } })
  // Voicenter's wall clock would be that of the business.
  const time = new Date().toISOString()
  const calls = [0, 1].map(() =>
    push({ caller: customer().local, time, ivruniqueid: `day ${Math.random()}` }),
  )
  await postAll(shop, ...calls)
  // UTC+14: November 10 begins there at 10:00 UTC on November 9.
  const noon = '2026-11-09T10:00:00Z'
  await sql`
    update raw_cdrs set called_at = ${noon}::timestamptz - (row_number - 1) * interval '1 second'
    from (select id as n, row_number() over (order by id) from raw_cdrs where tenant_id = ${shop.tenantId}) x
    where id = n`.execute(db)
  await sql`update missed_calls m set called_at = r.called_at from raw_cdrs r
            where r.root_call_id = m.call_id and m.tenant_id = ${shop.tenantId}`.execute(db)
  const owner = await asTenant(shop.tenantId)
  const count = async (asked: string) =>
    rowsIn((await owner.get(`/ops/calls?${asked}`)).text).length
  for (const also of ['', '&state=waiting']) {
    t.equal(await count(`from=2026-11-10&until=2026-11-10${also}`), 1, 'its first moment')
    t.equal(await count(`from=2026-11-09&until=2026-11-09${also}`), 1, 'the second before')
    t.equal(await count(`from=2026-11-09${also}`), 2)
    t.equal(await count(`until=2026-11-09${also}`), 1)
    t.equal(await count(`from=2026-11-11${also}`), 0)
  }
})

t.test('paging shows each call once', async t => {
  const shop = await business()
  const many = Array.from({ length: 115 }, () => push({ did: shop.did, caller: '' }, 30))
  await post(many, { token: shop.token })
  await work()
  const owner = await asTenant(shop.tenantId)
  for (const state of ['', 'withheld_number']) {
    const seen: string[] = []
    let next: string | undefined = `/ops/calls?state=${state}`
    for (let pages = 0; next && pages < 5; pages++) {
      const { text } = await owner.get(next)
      seen.push(...[...text.matchAll(/<a href="\/ops\/calls\/(\d+)"/g)].map(([, id = '']) => id))
      next = /href="([^"]*before=[^"]*)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
    }
    t.equal(seen.length, 115, `${state}: although all began in the same second`)
    t.equal(new Set(seen).size, 115)
  }
})

t.test('a business does not see the calls of another business', async t => {
  const shop = await business()
  const other = await business()
  const ours = customer()
  await postAll(shop, push({ caller: ours.local }))
  const nobodys = customer()
  await post(push({ did: '037654321', caller: nobodys.local }), { token: await webhookToken(null) })
  await work()

  const outsider = await asTenant(other.tenantId)
  t.equal(rowsIn((await outsider.get('/ops/calls')).text).length, 0)
  t.match((await outsider.get('/ops/calls')).text, 'There are no calls yet.')
  for (const { local } of [ours, nobodys])
    t.equal(rowsIn((await outsider.get(`/ops/calls?number=${local}`)).text).length, 0)
  t.equal((await outsider.get(`/ops/calls?tenant=${shop.tenantId}`)).status, 404)

  const operator = await asOperator()
  t.match(rowsIn((await operator.get(`/ops/calls?number=${ours.local}`)).text), [/מספרת נועה/])
  t.match(rowsIn((await operator.get(`/ops/calls?number=${nobodys.local}`)).text), [
    /unknown number No message: this number belongs to no business/,
  ])
  const ofShop = `/ops/calls?tenant=${shop.tenantId}`
  t.equal(rowsIn((await operator.get(ofShop)).text).length, 1)
  t.equal((await operator.get('/ops/calls?tenant=999999')).status, 404)
  t.equal((await browser().get('/ops/calls')).status, 401)
})

/** The text of each entry of the timeline. Planned ones begin with `(planned)`. */
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

/** Without the entries of the set-up. */
const doneOnPages = async (tenantId: string) =>
  (await auditLogOf(tenantId)).filter(({ who }) => who !== 'command line')

t.test('a missed call on WhatsApp is listed, and has a page without call records', async t => {
  const shop = await business()
  const dana = customer()
  await postAll(shop, push({ caller: customer().local }, 90))
  await happens({
    kind: 'call',
    with: dana.e164,
    id: 'wacid.ops',
    phoneNumberId: shop.phoneNumberId,
  })
  const owner = await asTenant(shop.tenantId)
  const rows = async (query: string) => rowsIn((await owner.get(`/ops/calls${query}`)).text)
  const all = await rows('')
  t.equal(all.length, 2)
  t.match(all[0], new RegExp(`${shown(dana.local)}.*missed.*A message will be sent`))
  t.equal((await rows('?state=missed')).length, 2)
  t.equal((await rows('?state=answered')).length, 0)
  t.equal((await rows(`?number=${dana.local}`)).length, 1)
  t.equal((await rows('?state=waiting')).length, 2)

  const { id } = await db
    .selectFrom('missed_calls')
    .select('id')
    .where('call_id', '=', 'wacid.ops')
    .executeTakeFirstOrThrow()
  t.match((await owner.get('/ops/calls')).text, `href="/ops/calls/missed/${id}"`)
  const { text } = await owner.get(`/ops/calls/missed/${id}`)
  t.equal(headingIn(text), 'A message will be sent.')
  t.match(text, 'A call on WhatsApp was not answered.')
  t.match((await owner.get('/ops/waiting')).text, `href="/ops/calls/missed/${id}"`)
})

t.test(
  'a message that WhatsApp did not take says why, and that it will be tried again',
  async t => {
    const shop = await business()
    const dana = customer()
    fake.script({ to: dana.e164, outcome: { kind: 'error', code: 131056 } })
    const { id } = await miss(shop, dana.local)
    await dueSince(id)
    const owner = await asTenant(shop.tenantId)
    const page = async () => (await owner.get(`/ops/calls/missed/${id}`)).text.split('</h1>')[1]
    t.match(
      await page(),
      /^[^]*<p>WhatsApp did not accept the last attempt \(WhatsApp error 131056: too many .*\)\. It will be tried again\.<\/p>/,
    )
    await sql`update messages set error_code = null, reason = 'never_arrived' where tenant_id = ${shop.tenantId}`.execute(
      db,
    )
    t.match(await page(), '<p>WhatsApp could not be reached. It will be tried again.</p>')
  },
)

t.test('a record with a long transcript is listed and shown', async t => {
  const shop = await business()
  const record = push({ caller: 'Reception', did: shop.did, aiData: 'x'.repeat(200_000) })
  await tell(shop.token, record)
  const owner = await asTenant(shop.tenantId)
  t.match(rowsIn((await owner.get('/ops/calls')).text), [/Reception/])
  const { text } = await owner.get(`/ops/calls/${await recordOf(record.ivruniqueid)}`)
  t.match(text, 'Reception')
  t.match(stepsIn(text)[1], /NOANSWER.*rang for 24 seconds/s)
  t.ok(text.length < 120_000, `${text.length} characters`)
})

t.test('the timeline shows everything that happened, in order', async t => {
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
    /The phone system reported: NOANSWER \(no answer\) ?\. incoming call · rang for 24 seconds$/,
    /Decision: missed/,
    /The message was due\.$/,
    /The message was sent to WhatsApp\.$/,
    /The message was sent to the phone\.$/,
    /The message was delivered\.$/,
    /The message was read\.$/,
    /The first reminder was sent to WhatsApp\.$/,
    /The caller wrote: yes, &lt;i&gt;please&lt;\/i&gt;$/,
    /The owner was told about the reply/,
    /^\(planned\) .*The last reminder will not be sent: the caller replied\.$/,
  ])
  t.match(text, `number=${encodeURIComponent(dana.e164)}`, 'a link to all calls of the caller')
  t.notMatch(text, 'Cancel messages to this caller', 'there is nothing to cancel')

  await sql`update whatsapp_events set payload = null, person_ids = null where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const emptied = await owner.get(`/ops/calls/${await recordOf(dana.callId)}`)
  t.match(
    stepsIn(emptied.text)[7],
    /^today \d\d:\d\d The message was read\.$/,
    'after retention the times are still shown',
  )

  const hebrew = await asTenant(shop.tenantId, 'he')
  const inHebrew = await hebrew.get(`/ops/calls/missed/${dana.id}`)
  t.equal(headingIn(inHebrew.text), 'נשלחה הודעה, והתקבלה תשובה.')
  t.match(stepsIn(inHebrew.text)[4], 'ההודעה נשלחה')
})

t.test('future messages are shown as planned', async t => {
  const shop = await business()
  const waiting = await miss(shop, customer().local)
  const owner = await asTenant(shop.tenantId)
  const before = await owner.get(`/ops/calls/missed/${waiting.id}`)
  t.equal(headingIn(before.text), 'A message will be sent.')
  t.match(stepsIn(before.text).at(-1), /^\(planned\) .*The message will be sent\.$/)
  t.match(before.text, 'It will be sent at')
  await dueSince(waiting.id)
  const after = await owner.get(`/ops/calls/missed/${waiting.id}`)
  t.match(stepsIn(after.text).slice(-2), [
    /^\(planned\) .*The first reminder will be sent\.$/,
    /^\(planned\) .*The last reminder will be sent\.$/,
  ])
})

t.test('the page shows the call records until retention deletes them', async t => {
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
  t.equal(headingIn(text), 'No message needed: a person answered.')
  t.equal([...text.matchAll(/<details id="record-/g)].length, 2)
  t.match(text, '&quot;queuename&quot;: &quot;&lt;script&gt;alert(', 'the parsed content')
  t.match(text, '&quot;queuename&quot;:&quot;&lt;script&gt;alert(', 'the original text')
  t.match(text, 'answered by <bdi>Noa</bdi>')
  t.notMatch(text, '<script>alert')

  await sql`update raw_cdrs set payload = null, body = null where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  const emptied = await owner.get(`/ops/calls/missed/${id}`)
  t.equal(emptied.status, 200)
  t.match(emptied.text, 'The content was deleted because its retention time has ended')
})

t.test('a call without a message links to the call that explains it', async t => {
  const shop = await business()
  const dana = customer()
  const first = await miss(shop, dana.local, {}, 60)
  const second = await miss(shop, dana.local)
  const owner = await asTenant(shop.tenantId)
  const { text } = await owner.get(`/ops/calls/missed/${second.id}`)
  t.match(headingIn(text), 'gets messages for another call')
  t.match(text, `/ops/calls/missed/${first.id}`)
  const talk = answeredPush({ did: shop.did, caller: dana.local }, 5)
  await tell(shop.token, talk)
  const cancelled = await owner.get(`/ops/calls/missed/${first.id}`)
  t.match(headingIn(cancelled.text), 'the caller was reached by phone')
  t.match(stepsIn(cancelled.text).join('\n'), 'The caller was reached by phone in this call')
  t.match(cancelled.text, `/ops/calls/${await recordOf(talk.ivruniqueid)}`)
})

t.test('the page explains a failed message, an unknown one and an opt-out', async t => {
  const shop = await business()
  const operator = await asOperator()
  const tamar = customer()
  fake.script({ to: tamar.e164, outcome: { kind: 'error', code: 131026 } })
  const refused = await contacted(shop, tamar)
  const failed = (await operator.get(`/ops/calls/missed/${refused.id}`)).text
  t.match(headingIn(failed), 'The message failed')
  t.match(stepsIn(failed).join('\n'), 'WhatsApp error 131026: the number has no WhatsApp')

  const gil = customer()
  fake.script({ to: gil.e164, outcome: { kind: 'cut' } })
  const lost = await contacted(shop, gil)
  const unknown = (await operator.get(`/ops/calls/missed/${lost.id}`)).text
  t.match(headingIn(unknown), 'The message may or may not have arrived')
  t.match(stepsIn(unknown).join('\n'), 'It may or may not have arrived')
  t.match(unknown, 'href="/ops/trouble"')

  const ruth = await contacted(shop)
  await fake.inbound({ kind: 'text', from: ruth.e164, text: 'הסר' })
  await work()
  const out = (await operator.get(`/ops/calls/missed/${ruth.id}`)).text
  t.match(stepsIn(out).join('\n'), 'The caller asked for no more messages.')
})

t.test('"Cancel messages" cancels what was not sent, and is logged', async t => {
  const shop = await business()
  const other = await business()
  const { callId, id } = await miss(shop, customer().local)
  const path = `/ops/calls/missed/${id}/cancel`
  const owner = await asTenant(shop.tenantId)
  const outsider = await asTenant(other.tenantId)
  t.match((await owner.get(`/ops/calls/missed/${id}`)).text, `action="${path}"`)

  t.equal((await browser().post(path, {})).status, 401, 'not signed in')
  t.equal((await owner.post(path, {})).status, 403, 'without a form token')
  t.equal((await outsider.submit(path)).status, 404, "another business's call")
  t.equal((await owner.submit('/ops/calls/missed/999999999/cancel')).status, 404)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['scheduled', 'waiting'], 'nothing changed')
  t.strictSame(await doneOnPages(shop.tenantId), [])

  const done = await owner.submit(path)
  t.equal(done.status, 303)
  const { text } = await owner.get(done.location ?? '')
  t.match(text, 'Cancelled. No messages are sent for this call.')
  t.equal(headingIn(text), 'No message: it was cancelled by hand.')
  t.match(stepsIn(text).join('\n'), /Cancelled by hand\. by the business/)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  const entry = {
    who: `tenant ${shop.tenantId}`,
    action: 'outreach.cancel',
    subject: `missed_calls ${id}`,
    before: { outreach: 'scheduled / waiting', conversation: null, messages_waiting: 0 },
    after: { outreach: 'cancelled / by_operator', conversation: null, messages_waiting: 0 },
  }
  t.strictSame(await doneOnPages(shop.tenantId), [entry])

  const again = await owner.submit(path)
  t.match((await owner.get(again.location ?? '')).text, 'there was nothing to cancel.')
  t.equal((await doneOnPages(shop.tenantId)).length, 1, 'nothing changed, so nothing is logged')
  await dueSince(id)
  t.strictSame(await messagesOf(shop.tenantId), [], 'nothing is sent')
})

t.test('after the first message, only the reminders are cancelled', async t => {
  const shop = await business()
  const dana = await contacted(shop)
  const operator = await asOperator()
  const done = await operator.submit(`/ops/calls/missed/${dana.id}/cancel`)
  const { text } = await operator.get(done.location ?? '')
  t.match(text, 'The reminders are cancelled')
  t.match(headingIn(text), 'The reminders were cancelled by hand')
  t.match(stepsIn(text).join('\n'), 'Cancelled by hand. by operator')
  t.match(await doneOnPages(shop.tenantId), [
    { who: 'operator', before: { messages_waiting: 2 }, after: { messages_waiting: 0 } },
  ])
})

t.test(
  'an undecided call can be decided again with the current settings, a decided one cannot',
  async t => {
    const shop = await business()
    const other = await business()
    const record = push({ did: shop.did, caller: customer().local, status: 'EXIT' })
    await tell(shop.token, record)
    const id = await recordOf(record.ivruniqueid)
    const owner = await asTenant(shop.tenantId)
    const path = `/ops/calls/${id}/reclassify`
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
      { action: 'calls.reclassify', who: `tenant ${shop.tenantId}` },
    ])
    const { text } = await owner.get(`/ops/calls/${id}`)
    t.equal(headingIn(text), 'A message will be sent.')
    t.match(stepsIn(text).join('\n'), 'Decided again by hand')
    t.notMatch(text, path)
    t.equal((await owner.submit(path)).status, 409)
  },
)

t.test('a business cannot open calls of another business or of none', async t => {
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
  const outsider = await asTenant(other.tenantId)
  const operator = await asOperator()
  for (const path of paths) {
    t.equal((await browser().get(path)).status, 401, path)
    t.equal((await outsider.get(path)).status, 404, path)
    t.equal((await operator.get(path)).status, 200, path)
  }
  t.equal((await outsider.submit(`/ops/calls/${nobodysId}/reclassify`)).status, 404)
  for (const path of [
    '/ops/calls/0',
    '/ops/calls/x',
    '/ops/calls/999999999',
    '/ops/calls/missed/999999999',
  ])
    t.equal((await operator.get(path)).status, 404, path)
})

const NOTHING: CallOutcome = {
  verdict: null,
  reason: null,
  outreachState: null,
  outreachReason: null,
  conversationState: null,
  conversationReason: null,
}
const texts = whyTexts.en

const TYPES =
  `Incoming Call|Queue|VoiceMail|XferCDR|Attended CDR leg1|Auto Forward|Click 2 Queue Incoming|Click 2 IVR|
Click2Call leg1|Click2Call leg2|Extension Outgoing|CC|`
    .replaceAll('\n', '')
    .split('|')

/** Call records of every kind that a phone system might send. */
const records = function* (): Generator<Record<string, unknown>> {
  for (const status of [...KNOWN_STATUSES, 'SOMETHING ELSE'])
    for (const type of TYPES)
      for (const direction of ['', 'Incoming', 'Outgoing', 'Internal'])
        for (const agent of [{}, { targetextension: '' }, { targetextension: 'SIP1' }])
          for (const rest of [
            {},
            { isanswer: '1', duration: 30, dialtime: 1 },
            { callerextension: '7' },
            { did: '' },
          ])
            yield {
              ivruniqueid: 'one',
              caller: '0521234567',
              did: '0721234567',
              target: '0521234567',
              dialtime: 1,
              status,
              type,
              direction,
              ...agent,
              ...rest,
            }
}

const legFor = (record: Record<string, unknown>) => {
  const read = readCdr(JSON.parse(JSON.stringify(record)))
  return 'cdr' in read ? legOf(read.cdr, new Date()) : null
}

const ROOT = { ivruniqueid: 'one', caller: '0521234567', did: '0721234567', type: 'Incoming Call' }

t.test(
  'each verdict that a call can get has a sentence, and each sentence belongs to a verdict',
  async t => {
    // The operator discards a failed job (app/worker/failed_jobs.ts).
    const given = new Set<string>(['unknown given_up'])
    const statuses = [...KNOWN_STATUSES]
    const answered = legFor({ ...ROOT, status: 'NOANSWER' })
    for (const record of records()) {
      const alone = legFor(record)
      const handedOn = legFor({ ...record, ivruniqueid: 'two', originalivruniqueid: 'one' })
      for (const legs of [[alone], [handedOn], [answered, handedOn]].map(legs =>
        legs.filter(leg => leg !== null),
      ))
        for (const missedStatuses of [[], statuses])
          for (const isOurs of [() => true, () => false]) {
            if (legs.length === 0) continue
            const { verdict, reason } = classify(legs, {
              missedStatuses,
              minRingSeconds: 5,
              isOurs,
              isOwnLine: () => false,
            })
            given.add(`${verdict} ${reason}`)
          }
    }
    for (const pair of given) {
      const [verdict = '', reason = ''] = pair.split(' ')
      const outcome = { ...NOTHING, verdict, reason }
      for (const language of LANGUAGES) {
        const sentence = explainCall(language, outcome)
        t.notMatch(sentence, /_|^answered:|^not_inbound:|^unmatched/, pair)
        const how = missedReason(language, outcome)
        t.notOk(sentence.includes(`: ${reason},`) || sentence.includes(`: ${reason}.`), pair)
        t.not(how, reason, pair)
      }
    }
    for (const verdict of ['answered', 'not_inbound', 'unmatched_number', 'unknown'] as const)
      for (const reason of Object.keys(texts[verdict]))
        t.ok(given.has(`${verdict} ${reason}`), `${verdict} ${reason} is possible`)
    t.strictSame(
      Object.keys(texts.statuses).toSorted(),
      [...statuses.map(status => status.toLowerCase()), 'unknown_status'].toSorted(),
    )
  },
)

t.test('the result of a conversation replaces "A message was sent"', async t => {
  const sent = {
    ...NOTHING,
    verdict: 'missed',
    reason: 'noanswer',
    outreachState: 'sent',
    outreachReason: 'accepted',
  }
  const state = (conversationState: string | null, conversationReason: string | null = null) =>
    explainCall('en', { ...sent, conversationState, conversationReason })
  t.equal(state('replied', 'replied'), texts.sent.replied)
  t.equal(state('stopped', 'by_operator'), texts.stopped.by_operator)
  t.equal(state('stopped', 'something new'), texts.sent.stopped)
  t.equal(state(null), texts.outreach['sent.accepted'])
  t.equal(
    explainCall('en', { ...sent, verdict: 'answered', reason: 'agent' }),
    `${texts.answered.agent} ${texts.sentBefore}`,
    'the verdict changed after the message was sent',
  )
  t.equal(
    explainCall('en', {
      ...NOTHING,
      verdict: 'answered',
      reason: 'agent',
      outreachState: 'cancelled',
      outreachReason: 'reached_by_phone',
    }),
    texts.answered.agent,
  )
})

t.test('a value that a newer version wrote is shown as it is', async t => {
  t.equal(explainCall('en', NOTHING), texts.unclassified)
  t.equal(
    explainCall('en', { ...NOTHING, verdict: 'answered', reason: 'by_robot' }),
    'answered: by_robot',
  )
  const outcome = {
    ...NOTHING,
    verdict: 'missed',
    reason: 'noanswer',
    outreachState: 'skipped',
    outreachReason: 'bored',
  }
  t.equal(explainCall('en', outcome), 'skipped.bored')
  t.equal(explainCall('en', { ...outcome, outreachReason: 'constructor' }), 'skipped.constructor')
  t.equal(explainCall('en', { ...NOTHING, verdict: 'missed', reason: 'erased' }), texts.erased)
})

t.test('a message without a stored reason is not explained by an empty one', async t => {
  for (const { notSent, willNotBeSent } of Object.values(callTexts))
    for (const text of [notSent, willNotBeSent]) {
      t.match(text('The message', 'why'), /: why\.$/)
      t.notMatch(text('The message', null), /:/)
    }
})
