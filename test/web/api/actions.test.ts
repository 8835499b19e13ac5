/** /api/v1: people, messages to them, actions, calls and the report. */
import { sql } from 'kysely'
import t from 'tap'
import { erase } from '../../../app/privacy/erase.ts'
import { redactExpired } from '../../../app/privacy/retention.ts'
import { answeredPush, callBackPush, push } from '../../../scripts/demo/cdr.ts'
import { arm, contacted, fillArms, writes } from '../../outreach/support.ts'
import { rowsSaying } from '../../privacy/support.ts'
import {
  business,
  contents,
  customer,
  db,
  fake,
  jobDue,
  outreachOf,
  work,
} from '../../support/ringback.ts'
import { happens, optOutsOf } from '../../support/whatsapp.ts'
import { dueSince, miss, requestsOf, tell } from '../../tasks/support.ts'
import { auditSince } from '../../tenants/support.ts'
import { doneTo, leadOf } from '../ops/support.ts'
import { allPages, clientOf, pageAt } from './support.ts'

const run = (statement: string) => sql.raw(statement).execute(db)

/** A person who wrote. */
const wrote = async (settings: Parameters<typeof contacted>[0] = {}) => {
  const { shop, who, id: missedCallId, callId } = await contacted(settings)
  await writes(who.e164, 'אפשר תור למחר?')
  const { id } = await leadOf(shop.tenantId, who.e164)
  const api = await clientOf(shop)
  const get = async () => Object((await api.get(`/leads/${id}`)).json)
  const repliesOf = () =>
    db
      .selectFrom('messages')
      .select(['id', 'state', 'reason', 'text', 'idempotency_key'])
      .where('lead_id', '=', id)
      .where('kind', '=', 'manual')
      .orderBy('id')
      .execute()
  /** The texts that the person got as free text. */
  const got = () =>
    fake.inbox(who.e164).flatMap(({ template, text }) => (template ? [] : (text ?? [])))
  return { shop, who, id, missedCallId, callId, api, get, repliesOf, got }
}

t.test('a person with their messages and calls', async t => {
  const { shop, who, id, get, missedCallId, callId, api } = await wrote()
  const lead = await get()
  t.match(lead, {
    id,
    phone: who.e164,
    state: 'replied',
    waiting: 'wrote',
    unread: true,
    missed_call_count: 1,
    opted_out: false,
    excluded: false,
    outcome: null,
    outcome_value: null,
    reply_refusal: null,
    calls: [{ verdict: 'missed', outreach_state: 'sent', conversation_state: 'replied' }],
  })
  t.match(
    lead.messages.map(({ direction, kind }: { direction: string; kind: string }) => [
      direction,
      kind,
    ]),
    [
      ['out', 'initial'],
      ['in', 'inbound'],
    ],
  )
  t.match(lead.messages[1], { text: 'אפשר תור למחר?', state: 'received', at: /^\d{4}-.*Z$/ })
  t.match(lead.messages[0].text, 'מספרת נועה', 'the text of the template')
  const open = Date.parse(lead.window_open_until) - Date.parse(lead.messages[1].at)
  t.equal(Math.round(open / 3_600_000), 24)
  t.match((await api.get(`/calls/${lead.calls[0].id}`)).json, {
    call_id: callId,
    missed_call_id: missedCallId,
    lead_id: id,
    caller: who.e164,
    business_phone: shop.line,
  })
  const before = await contents()
  await get()
  t.strictSame(await contents(), before, 'reading changes nothing')
})

t.test('the list of people, its filters and pages', async t => {
  const shop = await business()
  const api = await clientOf(shop)
  const people: { e164: string; id: string }[] = []
  for (let n = 0; n < 5; n++) {
    const { local, e164 } = customer()
    await miss(shop, local)
    people.push({ e164, id: (await leadOf(shop.tenantId, e164)).id })
  }
  const newest = people.map(({ id }) => id).toReversed()
  const idsOf = async (query: string) =>
    (await pageAt(api, `/leads?${query}`)).data.map(({ id }) => id)
  t.strictSame(await idsOf(''), newest)
  const paged = await allPages(api, '/leads?limit=2')
  t.strictSame([paged.rows.map(({ id }) => id), paged.pages], [newest, 3])
  const waiting = await allPages(api, '/leads?limit=2&waiting=true')
  t.strictSame(waiting.rows.map(({ id }) => id).toSorted(), newest.toSorted())

  const [first, second, third] = people
  if (!first || !second || !third) throw new Error('no people')
  await api.put(`/leads/${first.id}/outcome`, { outcome: 'won', value: 350.5 })
  await api.put(`/leads/${second.id}/called-back`)
  await api.put(`/leads/${third.id}/note`, { note: 'Dana 100%_' })
  t.strictSame(await idsOf('outcome=won'), [first.id])
  t.strictSame(await idsOf('outcome=none&limit=200'), newest.slice(0, 4))
  t.strictSame(await idsOf('waiting=false'), [second.id, first.id])
  t.strictSame(await idsOf('waiting=true&outcome=won'), [])
  t.strictSame(await idsOf('waiting=true&q=dana'), [third.id])
  t.strictSame(await idsOf('state=replied'), [])
  t.strictSame(await idsOf(`q=${encodeURIComponent('100%_')}`), [third.id])
  t.strictSame(await idsOf(`q=${encodeURIComponent(first.e164)}`), [first.id])
  t.strictSame(await idsOf('q=%25%25%25'), [])
  const allWaiting = await allPages(api, '/leads?waiting=false&limit=1')
  t.strictSame(
    allWaiting.rows.map(({ id }) => id),
    [second.id, first.id],
  )
  for (const [cursor, filter] of [
    ['x', ''],
    ['0', ''],
    ['0-1-1', ''],
    ['7', '&waiting=true'],
    ['9'.repeat(30), ''],
    ['0-1-1\0', '&waiting=true'],
    ['2-99999999999999999-1', ''],
  ])
    t.match(await api.get(`/leads?cursor=${encodeURIComponent(cursor ?? '')}${filter}`), {
      status: 422,
      json: { errors: [{ parameter: 'cursor' }] },
    })
  const far = '/leads?waiting=true&cursor=0-99999999999999999-999999999999999999'
  t.equal((await api.get(far)).status, 200)

  await run(`insert into opt_outs (tenant_id, phone_hash, source)
    select tenant_id, sha256('other'), 'typed' from leads where id = ${first.id}`)
  await api.put(`/leads/${second.id}/opt-out`)
  await api.put(`/leads/${third.id}/exclusion`)
  const { data } = await pageAt(api, '/leads')
  const listed = data.filter(lead => lead['opted_out'] || lead['excluded'])
  t.match(listed, [
    { id: third.id, opted_out: false, excluded: true },
    { id: second.id, opted_out: true, excluded: false },
  ])
})

t.test('a message is sent once for a key, also if it comes twice at once', async t => {
  const { shop, id, api, repliesOf, got, get } = await wrote()
  const answers = await Promise.all([1, 2, 3, 4].map(() => api.write(id, 'כן, בעשר', 'key-1')))
  const [reply] = await repliesOf()
  for (const { status, json } of answers)
    t.strictSame([status, json], [202, { id: reply?.id, state: 'scheduled' }])
  await Promise.all([work(), work()])
  t.strictSame(got(), ['כן, בעשר'])
  t.match(await api.write(id, 'כן, בעשר', 'key-1'), {
    status: 202,
    json: { id: reply?.id, state: 'accepted' },
  })
  const other = await api.write(id, 'לא', 'key-1')
  t.match(other, { status: 422, json: { code: 'key_used' } })
  const { id: otherLead } = await leadFor(shop)
  t.match(await api.write(otherLead, 'כן, בעשר', 'key-1'), {
    status: 422,
    json: { code: 'key_used' },
  })
  await work()
  t.equal((await repliesOf()).length, 1)
  t.equal(got().length, 1)
  t.match((await get()).messages.at(-1), {
    id: reply?.id,
    kind: 'manual',
    text: 'כן, בעשר',
    state: 'accepted',
  })

  const neighbour = await wrote()
  t.match(
    await neighbour.api.write(neighbour.id, 'שלום', 'key-1'),
    { status: 202 },
    'the key of another business',
  )
  t.strictSame(
    (await doneTo(shop)).map(({ who, action }) => [who, action]),
    [[`api token ${api.tokenId}`, 'message.send']],
  )

  const noKey = await api.post(`/leads/${id}/messages`, { text: 'x' })
  t.match(noKey, { status: 400, json: { code: 'missing_idempotency_key' } })
  t.match(await api.write(id, 'x', ''), { status: 400 })
  t.match(await api.write(id, 'x', 'k'.repeat(256)), { status: 422 })
  for (const text of ['', ' \n', '\u200f', 'x'.repeat(4097), 7, null, 'a\0b'])
    t.match(await api.write(id, text, 'key-2'), {
      status: 422,
      json: { errors: [{ pointer: '#/text' }] },
    })
  t.equal((await repliesOf()).length, 1)
  t.match(await api.write(id, 'x'.repeat(4096), 'k'.repeat(255)), { status: 202 })
})
const leadFor = async (shop: Parameters<typeof miss>[0]) => {
  const { local, e164 } = customer()
  await miss(shop, local)
  return leadOf(shop.tenantId, e164)
}

t.test('a lost answer: the message is unknown and never repeated', async t => {
  const { shop, who, id, api, repliesOf } = await wrote()
  fake.script({ to: who.e164, outcome: { kind: 'http', status: 502, body: 'x', accept: true } })
  await api.write(id, 'שלום', 'lost')
  await work()
  t.match(await repliesOf(), [{ state: 'unknown' }])
  const requests = requestsOf(shop).length
  t.match(await api.write(id, 'שלום', 'lost'), { status: 202, json: { state: 'unknown' } })
  await work()
  t.equal(requestsOf(shop).length, requests)
})

const CLOSED: Record<string, (tenantId: string, leadId: string, phone: string) => unknown> = {
  window_closed: (_tenantId, leadId) =>
    run(`update leads set heard_at = now() - interval '24 hours' where id = ${leadId}`),
  not_live: tenantId => run(`update tenants set mode = 'shadow' where id = ${tenantId}`),
  no_connection: tenantId =>
    run(`update whatsapp_connections set state = 'paused' where tenant_id = ${tenantId}`),
  opted_out: (_tenantId, _leadId, phone) => writes(phone, 'הסר'),
}
for (const [why, close] of Object.entries(CLOSED))
  t.test(`${why}: the message is refused, or not sent if it was queued`, async t => {
    const { shop, who, id, api, repliesOf, get } = await wrote()
    t.match(await api.write(id, 'queued before', 'before'), { status: 202 })
    await close(shop.tenantId, id, who.e164)
    await jobDue(`manual:${(await repliesOf())[0]?.id}`)
    await work()
    t.match(await repliesOf(), [{ state: 'skipped', reason: why }])
    const written = await auditSince(shop.tenantId)
    const requests = requestsOf(shop).length
    const before = await repliesOf()
    t.match(await api.write(id, 'too late', 'after'), { status: 409, json: { code: why } })
    await work()
    t.strictSame(await repliesOf(), before)
    t.equal(requestsOf(shop).length, requests, 'no request to Graph')
    t.match(await written(), [
      [`api token ${api.tokenId}`, 'message.refuse', `leads ${id}`, null, { refused: why }],
    ])
    const lead = await get()
    t.equal(lead.reply_refusal, why)
    const skipped = lead.messages.find(({ kind }: { kind: string }) => kind === 'manual')
    t.match(skipped, { state: 'skipped', reason: why })
    t.match(await api.write(id, 'queued before', 'before'), {
      status: 202,
      json: { state: 'skipped' },
    })
  })

t.test('after erasure and retention, nothing of the person or the key is left', async t => {
  const { shop, who, id, api, got } = await wrote()
  await api.write(id, 'שלום', 'key of Dana')
  const { tenantId } = shop
  await db
    .transaction()
    .execute(trx => erase(trx, { as: 'command line' }, { tenantId, number: who.e164 }))
  await work()
  t.strictSame(got(), [], 'a queued message is not sent')
  t.strictSame(await rowsSaying('key of Dana'), [])
  const before = await contents()
  t.match(await api.write(id, 'שלום', 'another key'), { status: 404 })
  t.strictSame(await contents(), before)

  const other = await wrote()
  await other.api.write(other.id, 'שלום', 'key of Ronit')
  await work()
  await run(
    `update messages set created_at = now() - interval '91 days' where tenant_id = ${other.shop.tenantId}`,
  )
  await redactExpired()
  t.strictSame(await rowsSaying('key of Ronit'), [])
})

t.test(
  'outcome, note, called back, opt-out and exclusion: idempotent, audited, as on the page',
  async t => {
    const { shop, who, id, api } = await wrote()
    const written = await auditSince(shop.tenantId)
    const actions = async () => (await written()).map(([by, action]) => [by, action])
    const twice = async (method: 'put' | 'del', path: string, body?: unknown) => {
      const ask = () =>
        method === 'put' ? api.put(`/leads/${id}${path}`, body) : api.del(`/leads/${id}${path}`)
      const first = await ask()
      const second = await ask()
      t.strictSame([second.status, second.json], [first.status, first.json], `${method} ${path}`)
      return first
    }
    const by = `api token ${api.tokenId}`
    t.match(await twice('put', '/outcome', { outcome: 'won', value: 19.99 }), {
      status: 200,
      json: { id, outcome: 'won', outcome_value: 19.99, waiting: null },
    })
    t.match(await twice('put', '/outcome', { outcome: 'lost' }), {
      json: { outcome: 'lost', outcome_value: null },
    })
    t.match(await twice('put', '/outcome', { outcome: null }), { json: { outcome: null } })
    const WRONG = [
      { outcome: 'lost', value: 5 },
      { outcome: 'won', value: -1 },
      { outcome: 'won', value: 1.234 },
      { outcome: 'won', value: 1e9 },
      { outcome: 'won', value: '5' },
    ]
    for (const body of WRONG)
      t.match(await api.put(`/leads/${id}/outcome`, body), {
        status: 422,
        json: { errors: [{ pointer: '#/value' }] },
      })
    t.match(await api.put(`/leads/${id}/outcome`, { outcome: 'maybe' }), { status: 422 })
    t.match(await twice('put', '/note', { note: ' asks for Dana ' }), {
      json: { note: 'asks for Dana' },
    })
    t.match(await twice('put', '/called-back'), { json: { called_back_at: /Z$/, waiting: null } })
    t.match(
      (await api.get('/report')).json,
      { missed: 1, replied: 1, reached: 0 },
      'a call has one end, and this person wrote before',
    )
    t.match(await twice('del', '/called-back'), {
      json: { called_back_at: null, waiting: 'wrote' },
    })
    t.match(await twice('put', '/opt-out'), { json: { opted_out: true } })
    t.strictSame(await optOutsOf(shop), [[who.e164, 'operator']])
    t.match(await twice('del', '/opt-out'), { json: { opted_out: false, state: 'replied' } })
    t.match(await twice('put', '/exclusion', { note: 'the baker' }), { json: { excluded: true } })
    t.match(await api.put(`/leads/${id}/exclusion`), { json: { excluded: true } })
    t.match(await twice('del', '/exclusion'), { json: { excluded: false } })
    t.strictSame(await actions(), [
      ...['lead.outcome', 'lead.outcome', 'lead.outcome', 'lead.note'].map(action => [by, action]),
      ...['lead.called_back', 'lead.called_back_undo'].map(action => [by, action]),
      ...['opt_out.add', 'opt_out.remove', 'exclusion.add', 'exclusion.remove'].map(action => [
        by,
        action,
      ]),
    ])

    await writes(who.e164, 'הסר')
    const before = await contents()
    t.match(await api.del(`/leads/${id}/opt-out`), {
      status: 409,
      json: { code: 'opted_out_by_person' },
    })
    t.strictSame(await contents(), before)
  },
)

t.test('calls: all of them, their filters, pages and campaign', async t => {
  const shop = await business()
  const api = await clientOf(shop)
  const dana = customer()
  const CustomData = {
    utm_source: 'google',
    UTM_Campaign: 'spring',
    gclid: 'x'.repeat(150),
    OriginalIvrUniqueID: '',
  }
  const missed = await miss(shop, dana.local, { CustomData }, 600)
  const withText = await miss(
    shop,
    customer().local,
    { CustomData: JSON.stringify({ gclid: 'g1' }) },
    500,
  )
  const withheld = await miss(shop, null, {}, 400)
  await tell(shop.token, answeredPush({ did: shop.did, caller: customer().local }, 300))
  await tell(shop.token, callBackPush({ caller: shop.did, target: dana.e164.slice(1) }, 200))
  const onWhatsApp = customer()
  await happens({ kind: 'call', with: onWhatsApp.e164, phoneNumberId: shop.phoneNumberId })

  const { data } = await pageAt(api, '/calls')
  t.match(data, [
    {
      channel: 'whatsapp',
      verdict: 'missed',
      caller: onWhatsApp.e164,
      received_at: null,
      campaign: null,
    },
    { verdict: 'not_inbound', reason: 'outgoing', caller: dana.e164 },
    { verdict: 'answered', missed_call_id: null, outreach_state: null },
    {
      call_id: withheld.callId,
      caller: null,
      outreach_state: 'skipped',
      outreach_reason: 'withheld_number',
      lead_id: null,
    },
    { call_id: withText.callId, campaign: { gclid: 'g1' } },
    {
      call_id: missed.callId,
      missed_call_id: missed.id,
      caller: dana.e164,
      business_phone: shop.line,
      verdict: 'missed',
      reason: 'noanswer',
      outreach_state: 'cancelled',
      outreach_reason: 'reached_by_phone',
      campaign: { utm_source: 'google', utm_campaign: 'spring', gclid: 'x'.repeat(150) },
    },
  ])
  t.equal(data.length, 6)
  for (const call of data) t.strictSame((await api.get(`/calls/${call.id}`)).json, call)
  for (const limit of [1, 2, 4]) {
    const { rows } = await allPages(api, `/calls?limit=${limit}`)
    t.strictSame(rows, data)
  }
  const idsOf = async (query: string) =>
    (await pageAt(api, `/calls?${query}`)).data.map(({ id }) =>
      data.findIndex(call => call.id === id),
    )
  const at = (index: number) => encodeURIComponent(String(data[index]?.['called_at']))
  t.strictSame(await idsOf('verdict=missed'), [0, 3, 4, 5])
  t.strictSame(await idsOf('verdict=answered'), [2])
  t.strictSame(await idsOf('outreach_state=cancelled'), [5])
  t.strictSame(await idsOf('outreach_state=skipped&verdict=missed'), [3])
  t.strictSame(await idsOf('outreach_state=skipped&verdict=answered'), [])
  t.strictSame(await idsOf(`since=${at(4)}&until=${at(2)}`), [3, 4])
  t.strictSame(await idsOf(`since=${encodeURIComponent('2099-01-01T00:00:00+02:00')}`), [])
  t.strictSame(await idsOf(`caller=${encodeURIComponent(dana.e164)}`), [1, 5])
  t.strictSame(await idsOf(`caller=${dana.local.slice(-6)}`), [1, 5])
  t.match(await api.get('/calls?caller=1'), {
    status: 422,
    json: { errors: [{ parameter: 'caller' }] },
  })
  for (const cursor of ['x', '1', `${'9'.repeat(20)}.1`, '1.1.1'])
    t.match(await api.get(`/calls?cursor=${cursor}`), { status: 422 })
  t.strictSame((await pageAt(api, `/calls?cursor=${'9'.repeat(17)}.${'9'.repeat(18)}`)).data, data)
  for (const since of [
    '0000-01-01T00:00:00Z',
    '0000-01-01',
    '9999-12-31T23:59:59.999Z',
    '2026-11-30T08:00:00+23:59',
  ])
    t.equal((await api.get(`/calls?since=${encodeURIComponent(since)}`)).status, 200, since)

  // The transfer of a call has the campaign, or both have one: the call has the first.
  const leg = { did: shop.did, caller: '', type: 'XferCDR', originalIvrUniqueID: withheld.callId }
  for (const gclid of ['g2', 'g3']) await tell(shop.token, push({ ...leg, CustomData: { gclid } }))
  t.match((await pageAt(api, '/calls')).data[3], {
    call_id: withheld.callId,
    campaign: { gclid: 'g2' },
  })
})

t.test('cancel and send now, as on the page', async t => {
  const shop = await business()
  const api = await clientOf(shop)
  const { id, callId } = await miss(shop, customer().local)
  const written = await auditSince(shop.tenantId)
  t.match(await api.post(`/missed-calls/${id}/send-now`), {
    status: 200,
    json: { id, outreach_state: 'scheduled', outreach_reason: 'waiting', outreach_due_at: /Z$/ },
  })
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['sent', 'accepted'])
  t.match(await api.post(`/missed-calls/${id}/send-now`), {
    status: 409,
    json: { code: 'not_waiting' },
  })
  t.match(await api.post(`/missed-calls/${id}/cancel`), { json: { result: 'reminders_stopped' } })
  t.match(await api.post(`/missed-calls/${id}/cancel`), { json: { result: 'nothing_to_cancel' } })

  const second = await miss(shop, customer().local)
  await run(
    `update tenants set quiet_windows = '{00:00-12:00,12:00-23:59,23:59-00:00}' where id = ${shop.tenantId}`,
  )
  t.match(await api.post(`/missed-calls/${second.id}/send-now`), {
    status: 409,
    json: { code: 'quiet' },
  })
  t.match(await api.post(`/missed-calls/${second.id}/cancel`), {
    json: { result: 'cancelled', outreach_state: 'cancelled', outreach_reason: 'by_operator' },
  })
  t.match(
    (await written()).map(([by, action]) => [by, action]),
    ['outreach.send_now', 'outreach.cancel', 'outreach.cancel'].map(action => [
      `api token ${api.tokenId}`,
      action,
    ]),
  )
})

t.test('the report', async t => {
  const { shop, id, api } = await wrote()
  await miss(shop, null)
  const { local, e164 } = customer()
  const reached = await miss(shop, local, {}, 60)
  await dueSince(reached.id)
  await tell(shop.token, callBackPush({ caller: shop.did, target: e164.slice(1) }))
  await api.put(`/leads/${id}/outcome`, { outcome: 'won', value: 350.5 })
  const { json } = await api.get('/report')
  t.match(json, {
    missed: 3,
    written_to: 2,
    replied: 1,
    reached: 1,
    won: 1,
    value: 350.5,
    lift: null,
  })
  const { since, until } = Object(json)
  t.equal(Date.parse(until) - Date.parse(since), 30 * 86_400_000)
  await fillArms([
    ...arm(shop.tenantId, 'outreach', 40, 50),
    ...arm(shop.tenantId, 'holdout', 10, 50),
  ])
  const { lift } = Object((await api.get('/report')).json)
  t.match(lift, {
    // With the two of before, both of whom came back.
    outreach: { callers: 52, recovered: 42 },
    holdout: { callers: 50, recovered: 10, rate: 0.2 },
    enough: true,
  })
  const figures = [lift.low, lift.lift, lift.high].map(share => Number(share).toFixed(3))
  t.strictSame(figures, ['0.426', '0.608', '0.729'])
  t.match((await api.get('/report?until=2026-01-01')).json, { lift: null })
  t.match((await api.get('/report?until=2026-01-01')).json, { missed: 0, won: 0, value: 0 })
  t.match(await api.get('/report?since=2026-01-02&until=2026-01-01'), { status: 422 })
  for (const query of ['until=9999-12-31T23:59:59-01:00', 'since=0000-01-01T00:00:00%2B01:00'])
    t.match(
      await api.get(`/report?${query}`),
      { status: 422, json: { errors: [{ parameter: query.slice(0, 5) }] } },
      'a year of five digits, or before 0',
    )
  t.match(await api.get('/report?since=0000-01-01&until=9999-12-31'), { status: 200 })
})

t.test('filters that few of many calls fulfil look at some of them for each page', async t => {
  const shop = await business()
  const api = await clientOf(shop)
  const record = push({ did: shop.did, caller: customer().local })
  await tell(shop.token, record)
  await work()
  await sql`update missed_calls set called_at = now() - interval '2 days', outreach_state = 'skipped', outreach_reason = 'too_late'
    where tenant_id = ${shop.tenantId}`.execute(db)
  await sql`update raw_cdrs set verdict = 'answered' where tenant_id = ${shop.tenantId}`.execute(db)
  await sql`
    insert into missed_calls (tenant_id, call_id, business_phone, status, called_at, outreach_state, outreach_reason, source)
    select ${shop.tenantId}, 'many' || n, '+972722345678', 'NOANSWER', now() - n * interval '1 second', 'skipped', 'too_late', 'whatsapp'
    from generate_series(1, 5000) n`.execute(db)
  const path = '/calls?outreach_state=skipped&verdict=answered'
  const first = await pageAt(api, path)
  t.equal(first.data.length, 0)
  t.ok(first.next_cursor, 'there are more calls to look at')
  const { rows, pages } = await allPages(api, path)
  t.match(rows, [{ call_id: record.ivruniqueid }])
  t.equal(pages, 2)
})
