/** /ops/leads: the people who wait for an answer, the search, and the page of one person. */
import { sql } from 'kysely'
import t from 'tap'
import { answeredPush } from '../../../scripts/demo/cdr.ts'
import { contacted, reported, writes } from '../../outreach/support.ts'
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
import { dueSince, miss } from '../../tasks/support.ts'
import { doneTo, leadOf, toCall } from './support.ts'

t.test('callers wait until the business has talked with them, newest first', async t => {
  const shop = await business()
  const [dana, noa, answered] = [customer(), customer(), customer()]
  await miss(shop, dana.local, {}, 600)
  await miss(shop, answered.local, {}, 500)
  await miss(shop, '031234567', {}, 400)
  await miss(shop, null, {}, 350)
  await miss(shop, noa.local, {}, 300)
  const owner = await asTenant(shop.tenantId)
  const LANDLINE = '+97231234567'
  t.strictSame(toCall(await owner.get('/ops/leads')), [
    noa.e164,
    LANDLINE,
    answered.e164,
    dana.e164,
  ])

  await post(answeredPush({ caller: answered.local, did: shop.did }, 60), { token: shop.token })
  await miss(shop, dana.local, {}, 30)
  const page = await owner.get('/ops/leads')
  t.strictSame(toCall(page), [dana.e164, noa.e164, LANDLINE], 'each caller once')
  t.match(page.text, /2 missed calls/)
  t.match(page.text, /this is a landline/)

  await sql`update missed_calls set called_at = called_at - interval '8 days' where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.strictSame(toCall(await owner.get('/ops/leads')), [], 'for a week at most')
})

t.test('a reply is shown instead of the result of the call', async t => {
  const shop = await business()
  const dana = customer()
  const { id } = await miss(shop, dana.local)
  await dueSince(id)
  const owner = await asTenant(shop.tenantId)
  t.match((await owner.get('/ops/leads')).text, /A message was sent\. No reply yet/)
  fake.setPerson({ phone: dana.e164, name: '<b>"Dana" & co' })
  await happens({ kind: 'text', from: dana.e164, text: '<script>alert("מחר?")</script>' })
  const page = await owner.get('/ops/leads')
  t.strictSame(toCall(page), [dana.e164], 'a reply is not a conversation on the phone')
  t.match(page.text, '&lt;script&gt;alert(&quot;מחר?&quot;)&lt;/script&gt;')
  t.match(page.text, '&lt;b&gt;&quot;Dana&quot; &amp; co')

  // Two seconds later than the reply, because call records have whole seconds.
  await post(answeredPush({ caller: dana.local, did: shop.did }, -2), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/leads')), [])
  await sql`update messages set created_at = now() + interval '1 minute' where tenant_id = ${shop.tenantId} and direction = 'in'`.execute(
    db,
  )
  t.strictSame(
    toCall(await owner.get('/ops/leads')),
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
  t.strictSame(toCall(await owner.get('/ops/leads')), [])
  await miss(shop, dana.local, {}, 10)
  t.strictSame(toCall(await owner.get('/ops/leads')), [dana.e164])
  await db
    .updateTable('missed_calls')
    .set({
      called_at: sql<Date>`now() - interval '1 day'`,
      outreach_state: 'skipped',
      outreach_reason: 'too_late',
    })
    .where('tenant_id', '=', shop.tenantId)
    .execute()
  t.strictSame(toCall(await owner.get('/ops/leads')), [])
  await happens({ kind: 'text', from: dana.e164, text: 'אפשר תור?' })
  t.strictSame(toCall(await owner.get('/ops/leads')), [dana.e164], 'or after they wrote')
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
  t.equal(toCall(await owner.get('/ops/leads')).length, 3)
  const { phoneNumberId } = shop
  await happens({ kind: 'echo', to: written.e164, text: 'היי', phoneNumberId })
  t.strictSame(toCall(await owner.get('/ops/leads')), [palestinian.e164, misread.e164])
  // Another record of the same call, without the number of the caller.
  const answered = answeredPush({ ...record, ...ANSWERED, caller: '', callerphone: '' })
  await post(answered, { token: shop.token })
  await post(answeredPush({ caller: '0569876521', did: shop.did }, 0), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/leads')), [])
})

t.test('"Mark as called back" ends the waiting and cancels the messages', async t => {
  const shop = await business()
  const dana = customer()
  const { callId } = await miss(shop, dana.local, {}, 300)
  const { id: leadId } = await leadOf(shop.tenantId, dana.e164)
  const owner = await asTenant(shop.tenantId)
  const answer = await owner.submit(`/ops/leads/${leadId}/called-back`, {
    back: '/ops/leads',
  })
  t.match(answer, { status: 303, location: `/ops/leads?done=${leadId}` })
  const page = await owner.get(`/ops/leads?done=${leadId}`)
  const shown = dana.local.replace(/^(\d{3})(\d{3})/, '$1-$2-')
  t.match(page.text, `${shown}\u2069 is marked as called back. No more messages are sent`)
  t.strictSame(toCall(page), [])
  t.match(page.text, `action="/ops/leads/${leadId}/called-back/undo"`)
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
  t.equal(toCall(await owner.get('/ops/leads')).length, 1)
  await owner.submit(`/ops/leads/${landline}/called-back`)
  t.strictSame(toCall(await owner.get('/ops/leads')), [], 'also if there was no message to cancel')

  const { callId: before } = await miss(shop, dana.local, {}, 200)
  const known = await outreachOf(shop.tenantId, before)
  t.strictSame(known, ['cancelled', 'reached_by_phone'], 'an earlier call that is reported late')
  // Call records have whole seconds.
  await miss(shop, dana.local, {}, -2)
  t.strictSame(toCall(await owner.get('/ops/leads')), [dana.e164], 'until they call again')
})

/** The texts of the bubbles, in order, with their side. */
const bubbles = ({ text }: { text: string }) =>
  [...text.matchAll(/<li class="(in|out)[^"]*"[^]*?<p dir="auto">([^]*?)<\/p>/g)].map(
    ([, side, words = '']) => [side, words],
  )

t.test('first those who wrote, then those who asked for a call, then silent callers', async t => {
  const shop = await business()
  const [silent, asked, wrote, quiet] = [customer(), customer(), customer(), customer()]
  const { phoneNumberId, tenantId } = shop
  for (const { local } of [wrote, asked, quiet, silent]) await miss(shop, local, {}, 60)
  for (const { e164 } of [wrote, asked])
    await happens({ kind: 'text', from: e164, text: 'היי', phoneNumberId })
  await sql`
    update leads set callback_requested_at = heard_at where tenant_id = ${tenantId} and phone = ${asked.e164}`.execute(
    db,
  )
  const owner = await asTenant(tenantId)
  const waiting = async () => toCall(await owner.get('/ops/leads'))
  t.strictSame(await waiting(), [wrote.e164, asked.e164, silent.e164, quiet.e164])
  await happens({ kind: 'echo', to: asked.e164, text: 'מיד', phoneNumberId })
  await happens({ kind: 'echo', to: wrote.e164, text: 'בטח', phoneNumberId })
  t.strictSame(await waiting(), [asked.e164, silent.e164, quiet.e164], 'writing is no call')
  const { id } = await leadOf(tenantId, silent.e164)
  await owner.submit(`/ops/leads/${id}/outcome`, { outcome: 'lost' })
  t.strictSame(await waiting(), [asked.e164, quiet.e164])
  await sql`update leads set later_until = now() + interval '1 hour' where phone = ${quiet.e164}`.execute(
    db,
  )
  t.strictSame(await waiting(), [asked.e164])
  await happens({ kind: 'text', from: quiet.e164, text: 'אני פה', phoneNumberId })
  t.strictSame(await waiting(), [quiet.e164, asked.e164])
})

t.test('the undo of "called back" lists the person again', async t => {
  const { shop, who } = await contacted()
  const owner = await asTenant(shop.tenantId)
  const { id } = await leadOf(shop.tenantId, who.e164)
  const path = `/ops/leads/${id}`
  await owner.submit(`${path}/called-back`, { back: path })
  t.match((await owner.get(path)).text, `${path}/called-back/undo`)
  t.strictSame(toCall(await owner.get('/ops/leads')), [])
  const answer = await owner.submit(`${path}/called-back/undo`, { back: `/ops/leads?done=${id}` })
  t.match(answer, { status: 303, location: '/ops/leads' })
  t.strictSame(toCall(await owner.get('/ops/leads')), [who.e164])
  await post(answeredPush({ caller: who.local, did: shop.did }, -2), { token: shop.token })
  await work()
  t.strictSame(toCall(await owner.get('/ops/leads')), [], 'a real talk ends the waiting')
})

t.test('a talk on WhatsApp ends the waiting of a person who wrote', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, 'היי')
  const owner = await asTenant(shop.tenantId)
  t.strictSame(toCall(await owner.get('/ops/leads')), [who.e164])
  await happens({
    kind: 'field',
    field: 'calls',
    phoneNumberId: shop.phoneNumberId,
    value: {
      messaging_product: 'whatsapp',
      metadata: { display_phone_number: '', phone_number_id: shop.phoneNumberId },
      calls: [
        {
          id: `wacid.${who.e164}`,
          from: who.e164.slice(1),
          event: 'terminate',
          direction: 'USER_INITIATED',
          status: 'COMPLETED',
          duration: 60,
          end_time: Math.floor(Date.now() / 1000) + 2,
        },
      ],
    },
  })
  t.strictSame(toCall(await owner.get('/ops/leads')), [])
})

t.test('a second page follows the first, over all reasons to wait', async t => {
  const shop = await business()
  const people = Array.from({ length: 53 }, customer)
  for (const [n, { local }] of people.entries()) await miss(shop, local, {}, 1000 - n)
  await sql`
    update leads set heard_at = '2026-01-01', callback_requested_at = now() - id * interval '1 millisecond'
    where tenant_id = ${shop.tenantId} and id % 2 = 0`.execute(db)
  const owner = await asTenant(shop.tenantId)
  const seen: string[] = []
  let next: string | undefined = '/ops/leads'
  let pages = 0
  for (; next && pages < 5; pages++) {
    const page = await owner.get(next)
    if (pages === 0) t.match(page.text, '25+ people wait for your answer')
    seen.push(...toCall(page))
    next = /href="(\/ops\/leads\?before=[^"]+)"/.exec(page.text)?.[1]
  }
  t.equal(pages, 3)
  t.strictSame(seen.toSorted(), people.map(({ e164 }) => e164).toSorted())
  t.equal((await owner.get('/ops/leads?before=yesterday')).status, 400)
})

t.test('what came since the owner looked is marked as new', async t => {
  const { shop, who } = await contacted()
  const { tenantId } = shop
  const owner = await asTenant(tenantId)
  const isNew = async () => /class="person unread"/.test((await owner.get('/ops/leads')).text)
  t.ok(await isNew())
  const { id } = await leadOf(tenantId, who.e164)
  const operator = await asOperator()
  await operator.get(`/ops/leads/${id}`)
  t.ok(await isNew(), 'the operator is not the owner')
  await owner.get(`/ops/leads/${id}`)
  t.notOk(await isNew())
  await writes(who.e164, 'היי')
  t.ok(await isNew())
})

t.test('a row offers what the person waits for, and names the one who was called back', async t => {
  const { shop, who } = await contacted()
  fake.setPerson({ phone: who.e164, name: 'Rina' })
  const owner = await asTenant(shop.tenantId)
  const { id } = await leadOf(shop.tenantId, who.e164)
  const answer = `href="/ops/leads/${id}#reply"`
  t.notMatch((await owner.get('/ops/leads')).text, answer, 'nothing to answer in writing')
  await writes(who.e164, 'אפשר לבוא מחר?')
  t.match((await owner.get('/ops/leads')).text, answer)
  t.match((await owner.get(`/ops/leads/${id}`)).text, 'id="reply"')
  await owner.submit(`/ops/leads/${id}/called-back`, { back: '/ops/leads' })
  const done = await owner.get(`/ops/leads?done=${id}`)
  t.match(done.text, /Rina\u2069, \u2066[\d-]+\u2069 is marked as called back/)
  await owner.submit(`/ops/leads/${id}/outcome`, { outcome: 'won', value: '250' })
  t.match((await owner.get('/ops/leads?q=Rina')).text, /Won <bdi dir="ltr">₪250/)
})

t.test('the search finds names, numbers, texts and notes of all people', async t => {
  const { shop, who } = await contacted()
  fake.setPerson({ phone: who.e164, name: 'דנה 100%' })
  await writes(who.e164, 'אפשר תור ליום שלישי_?')
  const other = customer()
  await miss(shop, other.local)
  const owner = await asTenant(shop.tenantId)
  const { id } = await leadOf(shop.tenantId, who.e164)
  await owner.submit(`/ops/leads/${id}/called-back`)
  await owner.submit(`/ops/leads/${id}/note`, { note: 'prefers mornings' })
  const outsider = await asTenant((await business()).tenantId)
  const find = async (visitor: typeof owner, q: string) =>
    toCall(await visitor.get(`/ops/leads?${new URLSearchParams({ q }).toString()}`))
  for (const q of ['דנה', '100%', 'שלישי_', 'MORNINGS', who.local, who.e164, who.local.slice(-6)]) {
    t.strictSame(await find(owner, q), [who.e164], q)
    t.strictSame(await find(outsider, q), [], q)
  }
  for (const q of ['1%0', 'שלישי%', '%', '_', '99999999', "'; --", '\\']) {
    const found = await find(owner, q)
    t.notOk(q.length > 2 && found.length > 0, q)
  }
  t.equal((await owner.get(`/ops/leads?q=${'x'.repeat(500)}`)).status, 200)
})

t.test('the conversation shows calls, our texts, replies and what the owner wrote', async t => {
  const { shop, who, conversation } = await contacted()
  const { tenantId, phoneNumberId } = shop
  await reported(conversation, 'initial', 'read')
  await writes(who.e164, '<b>אפשר מחר?</b>\nתודה')
  await happens({ kind: 'echo', to: who.e164, text: 'בטח, ב־10:00', phoneNumberId })
  await happens({ kind: 'media', from: who.e164, media: 'audio' })
  await post(answeredPush({ caller: who.local, did: shop.did }, -2), { token: shop.token })
  await work()
  const { id } = await leadOf(tenantId, who.e164)
  const owner = await asTenant(tenantId)
  const page = await owner.get(`/ops/leads/${id}`)
  t.match(bubbles(page), [
    ['out', /^שלום, כאן .*ראינו שהתקשרת אלינו בשעה \d\d:\d\d/],
    ['in', '&lt;b&gt;אפשר מחר?&lt;/b&gt;\nתודה'],
    ['out', 'בטח, ב־10:00'],
    ['in', /without text/],
  ])
  t.match(page.text, /Missed call[^]*First message[^]*read · [^]*Answered call/)
  t.match(page.text, /You can write until (tomorrow )?\d\d:\d\d/)
  for (const link of [`href="tel:${who.e164}"`, `href="https://wa.me/${who.e164.slice(1)}"`])
    t.match(page.text, link)
  t.match((await asTenant(tenantId, 'he').then(one => one.get(`/ops/leads/${id}`))).text, 'נקראה')
})

t.test('the text of a message that was stored without one', async t => {
  const { shop, who, conversation } = await contacted()
  const { id } = await leadOf(shop.tenantId, who.e164)
  const owner = await asTenant(shop.tenantId)
  const shown = async () => bubbles(await owner.get(`/ops/leads/${id}`)).map(([, words]) => words)
  const set = (columns: { text?: null; template_name?: string }) =>
    db
      .updateTable('messages')
      .set(columns)
      .where('lead_conversation_id', '=', conversation)
      .where('kind', '=', 'initial')
      .execute()
  await set({ text: null })
  t.match(await shown(), [/ראינו שהתקשרת/], 'of the built-in template')
  await set({ template_name: 'our_own' })
  t.match(await shown(), [/The text is not known\. Template our_own/])
  await db
    .insertInto('whatsapp_templates')
    .values({
      tenant_id: shop.tenantId,
      whatsapp_connection_id: sql`(select id from whatsapp_connections where tenant_id = ${shop.tenantId})`,
      kind: 'initial',
      name: 'our_own',
      language: 'en',
      variables: ['caller_name', 'call_time'],
      body: 'Hello {{1}}, you called at {{2}}.',
    })
    .execute()
  t.match(await shown(), [/^Hello .+, you called at \d\d:\d\d\.$/])
})

t.test('a long conversation has pages', async t => {
  const { shop, who } = await contacted()
  const { id } = await leadOf(shop.tenantId, who.e164)
  await sql`
    insert into messages (tenant_id, lead_id, direction, kind, state, text, created_at)
    select ${shop.tenantId}, ${id}, 'in', 'inbound', 'received', 'text ' || n, now() - n * interval '1 second'
    from generate_series(1, 130) n`.execute(db)
  const owner = await asTenant(shop.tenantId)
  const seen: (string | undefined)[] = []
  let next: string | undefined = `/ops/leads/${id}`
  for (let pages = 0; next && pages < 5; pages++) {
    const page = await owner.get(next)
    seen.unshift(...bubbles(page).map(([, words]) => words))
    next = /href="(\/ops\/leads\/\d+\?before=[^"]+)"/.exec(page.text)?.[1]
  }
  t.strictSame(
    seen.filter(words => words?.startsWith('text ')),
    Array.from({ length: 130 }, (_, n) => `text ${130 - n}`),
  )
  t.equal((await owner.get(`/ops/leads/${id}?before=x`)).status, 400)
})

t.test('outcome and note are entered on the page', async t => {
  const { shop, who } = await contacted()
  const { id } = await leadOf(shop.tenantId, who.e164)
  const owner = await asTenant(shop.tenantId)
  const path = `/ops/leads/${id}`
  const save = (fields: Record<string, string>) =>
    owner.submit(`${path}/outcome`, { back: path, ...fields })
  for (const value of ['a lot', '-5', '1.234', '99999999999'])
    t.match(await save({ outcome: 'won', value }), { status: 400, text: /role="alert"/ }, value)
  const hebrew = await asOperator('he')
  const refused = await hebrew.submit(`${path}/outcome`, { outcome: 'won', value: 'מאתיים' })
  t.match(refused, { status: 400, text: /⚠ סכום כגון 350/ }, 'in the language of the page')
  t.equal((await save({ outcome: 'maybe' })).status, 400)
  t.equal((await leadOf(shop.tenantId, who.e164)).outcome, null)
  t.match(await save({ outcome: 'won', value: '1,200.50 ₪' }), { status: 303, location: path })
  t.match(await leadOf(shop.tenantId, who.e164), { outcome: 'won', outcome_value: '1200.50' })
  t.match((await owner.get(path)).text, /Won <bdi dir="ltr">₪1200\.50/)
  await save({ outcome: '', value: '5' })
  t.match(await leadOf(shop.tenantId, who.e164), { outcome: null, outcome_value: null })
  const long = await owner.submit(`${path}/note`, { back: path, note: 'x'.repeat(2001) })
  t.match(long, { status: 400, text: /x{2001}/ }, 'what was entered stays')
  t.match(long.text, '⚠ At most 2,000 characters.')
  await owner.submit(`${path}/note`, { back: path, note: '<i>VIP</i>' })
  t.match((await owner.get(path)).text, '&lt;i&gt;VIP&lt;/i&gt;')
})

t.test('an older tab does not undo the note or the outcome of another person', async t => {
  const { shop, who } = await contacted()
  const { id } = await leadOf(shop.tenantId, who.e164)
  const owner = await asTenant(shop.tenantId)
  const path = `/ops/leads/${id}`
  const shownIn = ({ text }: { text: string }, form: string): string =>
    /name="shown" value="([^"]*)"/
      .exec(text.slice(text.indexOf(`action="${path}/${form}"`)))?.[1]
      ?.replaceAll('&quot;', '"') ?? ''
  const tab = await owner.get(path)
  const note = (text: string, page = tab) =>
    owner.submit(`${path}/note`, { back: path, note: text, shown: shownIn(page, 'note') })
  t.equal((await note('asks for Dana')).status, 303)
  t.equal((await note('')).status, 303, 'nothing was changed in the older tab')
  t.equal((await leadOf(shop.tenantId, who.e164)).note, 'asks for Dana')
  const refused = await note('prefers mornings')
  t.match(refused, { status: 409, text: /stored now: <bdi>asks for Dana<\/bdi>/ })
  t.match(refused.text, '>\nprefers mornings</textarea>', 'what was entered stays')
  t.equal((await note('Dana, mornings', refused)).status, 303)
  t.equal((await leadOf(shop.tenantId, who.e164)).note, 'Dana, mornings')
  t.equal((await note('x', await owner.get(path))).status, 303)
  const he = await asOperator('he')
  const hebrew = await he.submit(`${path}/note`, { note: 'y', shown: shownIn(refused, 'note') })
  t.match(hebrew, { status: 409, text: /ששמור עכשיו: <bdi>x<\/bdi>/ })

  const outcome = (outcome: string, value: string, page = tab) =>
    owner.submit(`${path}/outcome`, { outcome, value, shown: shownIn(page, 'outcome') })
  t.equal((await outcome('won', '250')).status, 303)
  t.equal((await outcome('', '')).status, 303, 'nothing was changed in the older tab')
  const late = await outcome('lost', '')
  t.match(late, { status: 409, text: /stored now: <bdi>Won 250<\/bdi>/ })
  t.match(await leadOf(shop.tenantId, who.e164), { outcome: 'won', outcome_value: '250.00' })
  t.equal((await outcome('lost', '', late)).status, 303)
  t.equal((await leadOf(shop.tenantId, who.e164)).outcome, 'lost')
})

t.test('a person of another business does not exist', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, 'a secret')
  const { id } = await leadOf(shop.tenantId, who.e164)
  const outsider = await asTenant((await business()).tenantId)
  const pages = ['', `/${id}`, '?q=secret', `?done=${id}`]
  for (const page of pages) {
    const { text } = await outsider.get(`/ops/leads${page}`)
    t.notMatch(text, who.e164)
    t.notMatch(text, 'a secret')
  }
  t.equal((await outsider.get(`/ops/leads?tenant=${shop.tenantId}`)).status, 404)
  t.equal((await outsider.get('/ops/leads/999999999')).status, 404)
  const before = await contents()
  for (const act of ['called-back', 'called-back/undo', 'outcome', 'note']) {
    const path = `/ops/leads/${id}/${act}`
    t.equal((await outsider.submit(path, { outcome: 'lost', note: 'x' })).status, 404, act)
    t.equal((await outsider.post(path, {})).status, 403, act)
    t.equal((await browser().post(path, {})).status, 401, act)
  }
  t.strictSame(await contents(), before)
})
