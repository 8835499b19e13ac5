/** Erasing a person: how they are found, which data is erased, and which data stays. */
import fc from 'fast-check'
import { sql } from 'kysely'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { phoneHash } from '../../app/crypto.ts'
import { lockCalls, lockPeople, peopleOf } from '../../app/db/locks.ts'
import { recordMissedCalls } from '../../app/outreach/missed_calls.ts'
import { spellings } from '../../app/phone.ts'
import { erase, eraseInput, previewErase } from '../../app/privacy/erase.ts'
import { mentions, readable, sieve } from '../../app/privacy/mentions.ts'
import { addToken } from '../../app/tenants/credentials.ts'
import { answeredPush, callBackPush, push } from '../../scripts/demo/cdr.ts'
import { popupCall, sendPopup } from '../../scripts/fake_voicenter/popup.ts'
import { endpointOf } from '../events/support.ts'
import { everyRow, keysKept, rowsSaying, rowsWith, writtenBy } from './support.ts'
import {
  business,
  type Business,
  contents,
  customer,
  db,
  fake,
  jobs,
  missedCall,
  outreachOf,
  post,
  url,
  webhookToken,
  work,
} from '../support/ringback.ts'
import { claim, due, missedBy, recorded, send } from '../support/steps.ts'
import { change, deliver, envelope, happens, optOutsOf, reports } from '../support/whatsapp.ts'
import {
  conversationOf,
  dueSince,
  initialOf,
  leadsOf,
  messagesAfter,
  miss,
  tell,
  until,
} from '../tasks/support.ts'

// Unique tenant ids, so that a row shows which business it belongs to. Before the first test, because tap ends when it
// waits here between two tests.
await sql`alter table tenants alter column id restart with 4711001`.execute(db)

const of = (e164: string) => ({ phones: spellings(e164), others: ['US.13491208655302741918'] })
const PERSON = of('+972521234567')

/** Whether the sieve matches in Postgres, as text and as bytes. */
const passes = async (names: typeof PERSON, written: string, bytes = Buffer.from(written)) => {
  const { text, bytes: pattern } = sieve(names)
  const { rows } = await sql<{ text: boolean; bytes: boolean }>`
    select ${written}::text ~ ${text} as text, encode(${bytes}, 'escape') ~ ${pattern} as bytes`.execute(
    db,
  )
  return rows[0]
}

const WRITTEN = [
  '0521234567',
  '521234567',
  '972521234567',
  '+972521234567',
  '00972521234567',
  '012972521234567',
  '+972-52-123-4567',
  '+972 (0)52-123-4567',
  '052-1234567',
  '052 123 45 67',
  '(052)123.4567',
  '052\u2011123\u20114567',
  '\u200e052-1234567\u200f',
  '05\u20602123\u20604567',
  '０５２１２３４５６７',
  '٠٥٢١٢٣٤٥٦٧',
  '۰۵۲۱۲۳۴۵۶۷',
  'sip:0521234567@10.0.0.1',
  '{"caller":972521234567,"did":"0722776772"}',
  '{"caller":"\\u0030521234567"}',
  '{"caller":"\\u002b972\\u00a052\\u002d1234567"}',
  'caller=%2B972521234567&did=0722776772',
  'caller=%28052%29+123-4567',
  'caller=05%32123%34567',
  'the rep said: call them at 052-1234567.',
  '{"from_user_id":"US.13491208655302741918"}',
]
const OTPERSON = [
  '0521234568',
  '05212345678',
  '10521234567',
  '1521234567',
  '20261115521234567003',
  '5212345670',
  '052123456',
  '052,1234567',
  '"052","1234567"',
  'US.1349120865530274191',
]

await t.test('every spelling of a number is found', async t => {
  for (const written of WRITTEN) {
    t.ok(mentions(PERSON)(written), written)
    t.strictSame(
      await passes(PERSON, written),
      { text: true, bytes: true },
      `the sieve: ${written}`,
    )
  }
})

await t.test('a longer number, another number or separate digits are not found', t => {
  for (const written of OTPERSON) t.notOk(mentions(PERSON)(written), written)
  t.end()
})

await t.test('a number is found in every encoding of a body', async t => {
  for (const encoding of ['utf8', 'utf16le', 'latin1'] as const) {
    const body = Buffer.from('{"caller":"052-1234567"}', encoding)
    t.ok(mentions(PERSON)(readable(body)), encoding)
    t.match(await passes(PERSON, '', body), { bytes: true }, `the sieve: ${encoding}`)
  }
  const swapped = Buffer.from('0521234567', 'utf16le').swap16()
  t.ok(mentions(PERSON)(readable(swapped)))
  t.match(await passes(PERSON, '', swapped), { bytes: true })
})

await t.test('a landline number without its 0 is not found, because it could be a date', t => {
  const landline = of('+97220261115')
  t.ok(mentions(landline)('02-026-1115'))
  t.ok(mentions(landline)('+97220261115'))
  t.notOk(mentions(landline)('20261115'))
  t.end()
})

await t.test('a number that is valid with two country codes is found with both', t => {
  for (const written of ['+970599123456', '0599123456', '972599123456', '00970-59-912-3456'])
    for (const e164 of ['+970599123456', '+972599123456'])
      t.ok(mentions(of(e164))(written), `${e164}: ${written}`)
  t.end()
})

await t.test('a foreign number is found only with its country code', async t => {
  const foreign = of('+14155550123')
  for (const written of ['+1 (415) 555-0123', '0014155550123', '01214155550123', '14155550123']) {
    t.ok(mentions(foreign)(written), written)
    t.match(await passes(foreign, written), { text: true, bytes: true })
  }
  t.notOk(mentions(foreign)('4155550123'))
  t.end()
})

await t.test('the sieve matches everything that the rule finds', async t => {
  const between = fc.constantFrom('', '-', ' ', '.', '%2D', '\\u002d', '\u200e', '(', ')')
  const digit = (d: string) =>
    fc.constantFrom(d, String.fromCharCode(0xff10 + Number(d)), `%3${d}`, `\\u003${d}`)
  const spelled = fc
    .tuple(
      fc.constantFrom('', 'x ', '{"a":"', '١'),
      fc.constantFrom('0', '+972', '972 ', '00972-'),
      ...'521234567'.split('').flatMap(d => [between, digit(d)]),
      fc.constantFrom('', '"}', ' 1', '1'),
    )
    .map(parts => parts.join(''))
  let found = 0
  await fc.assert(
    fc.asyncProperty(spelled, async written => {
      if (!mentions(PERSON)(written)) return
      found++
      const through = await passes(PERSON, written)
      if (!through?.text || !through.bytes) throw new Error(written)
    }),
    { numRuns: 300 },
  )
  t.ok(found > 100, String(found))
})

const OPERATOR = { as: 'operator' } as const
const NAME = 'דנה כהן-לוי'
const TEXT = 'אפשר לקבוע תור לשבוע הבא?'

/** A number in groups of digits. */
const dashed = (local: string) => `${local.slice(0, 3)}-${local.slice(3, 6)}-${local.slice(6)}`
/** A wamid as Meta makes it: three bytes, then the number. */
const wamidOf = (e164: string) =>
  `wamid.${Buffer.from(`\x1c\x18\x0c${e164.slice(1)}`).toString('base64')}${randomUUID()}`

type Who = ReturnType<typeof customer>

/** Everything that can be stored about a person: calls, legs, replies, reminders, notices, rejected deliveries. */
const story = async (shop: Business, who: Who, { stops = true } = {}) => {
  fake.setPerson({ phone: who.e164, name: NAME })
  const first = await miss(shop, who.local, {
    customdata: { note: `ring ${dashed(who.local)}`, utm_content: dashed(who.local) },
  })
  await dueSince(first.id)
  const [initial] = fake.inbox(who.e164).filter(one => one.phoneNumberId === shop.phoneNumberId)
  await reports(initial?.wamid ?? '', { status: 'delivered' })
  // A leg of the call that names only a colleague and a recording.
  const leg = push({
    type: 'XferCDR',
    caller: '',
    did: shop.did,
    callerextension: 'SIP7',
    record: `https://recordings/${who.local.length}/${first.callId}`,
    originalIvrUniqueID: first.callId,
  })
  await tell(shop.token, leg)
  await happens({
    kind: 'text',
    from: who.e164,
    phoneNumberId: shop.phoneNumberId,
    text: TEXT,
    id: wamidOf(who.e164),
  })
  // An update that names only the message.
  await deliver(
    envelope(
      change(shop.phoneNumberId, {
        statuses: [{ id: initial?.wamid, status: 'read', recipient_user_id: 'US.1' }],
      }),
    ),
  )
  await tell(shop.token, callBackPush({ caller: shop.did, target: who.e164.slice(1) }, 0))
  const form = new URLSearchParams({
    CallID: `form-${randomUUID()}`,
    caller: `+972 (${who.local.slice(1, 3)}) ${who.local.slice(3)}`,
    DID: shop.did,
    DialStatus: 'ABANDONE',
    time: String(push().time),
  })
  await post(form.toString(), {
    token: shop.token,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  await work()
  // Rejected deliveries: without a call id, and invalid JSON in UTF-16.
  await post(
    { caller: dashed(who.local), did: shop.did, status: 'NOANSWER' },
    { token: shop.token },
  )
  await post(Buffer.from(`{"caller":"${who.local}`, 'utf16le'), { token: shop.token })
  if (stops)
    await happens({ kind: 'text', from: who.e164, phoneNumberId: shop.phoneNumberId, text: 'הסר' })
  return { ...who, ...first }
}

const eraseFor = (shop: Business, number: string, actor: Parameters<typeof erase>[1] = OPERATOR) =>
  db
    .transaction()
    .execute(trx => erase(trx, actor, eraseInput.parse({ tenantId: shop.tenantId, number })))

/** A job that a race or a crash may have left behind. The number in it is invented. */
const addStrayJob = async (
  task: 'lead_outreach' | 'lead_reminder',
  payload: Record<string, unknown>,
): Promise<void> => {
  await sql`select graphile_worker.add_job(${task}::text, ${JSON.stringify(payload)}::json)`.execute(
    db,
  )
}
const strayOutreach = ({ tenantId }: Business, missedCallId: string) =>
  addStrayJob('lead_outreach', { tenantId, missedCallId, callerPhone: '+972500000000' })

/** Waits until a session waits for an advisory lock. */
const waitForLock = () =>
  until(async () => {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`.execute(
      db,
    )
    return rows.length > 0
  })

await t.test('no data of the person is left, and no data of others is changed', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const other = await business()
  // Nothing listens there, so all events wait.
  await endpointOf(shop, 'http://127.0.0.1:1/')
  const who = customer()
  const person = await story(shop, who)
  const neighbour = await story(shop, customer(), { stops: false })
  await story(other, who)
  const unbound = await webhookToken(null)
  await post(push({ caller: who.local, did: '0721111111' }), { token: unbound })
  await deliver(Buffer.from(`not JSON of ${who.e164}`))
  await deliver(
    envelope(
      change('999', { messages: [{ id: 'wamid.x', from: who.e164.slice(1), type: 'text' }] }),
    ),
  )
  await work()
  // Another person mentions their number.
  await happens({
    kind: 'text',
    from: neighbour.e164,
    phoneNumberId: shop.phoneNumberId,
    text: `התקשרו לאחותי ${dashed(who.local)}`,
  })

  await db
    .insertInto('excluded_numbers')
    .values(
      [shop, other].map(({ tenantId }) => ({
        tenant_id: tenantId,
        phone: who.e164,
        note: `${NAME} ${who.local}`,
      })),
    )
    .execute()
  // A call to the person's number, as if it belonged to the business.
  await tell(shop.token, push({ caller: customer().local, did: who.local }))
  await db
    .insertInto('alerts')
    .values(
      [shop, other].map(({ tenantId }) => ({
        tenant_id: tenantId,
        kind: 'unmatched_number',
        subject: who.e164,
      })),
    )
    .execute()
  await post(push({ caller: who.local, did: shop.did }), { token: shop.token })

  // They are on the line, and call on WhatsApp.
  const { webhookToken: popupToken } = await db
    .transaction()
    .execute(trx => addToken(trx, { as: 'command line' }, shop.tenantId, 'popup'))
  await sendPopup(
    `${url}/webhooks/voicenter/popup?token=${popupToken}`,
    popupCall(who.local).ringing,
  )
  const { phoneNumberId: ours } = shop
  await happens({
    kind: 'call',
    with: who.e164,
    id: `wacid.${who.e164.slice(1)}`,
    phoneNumberId: ours,
  })

  const before = (await rowsWith(who.e164)).map(row => row.split(':')[0])
  for (const table of [
    'public.leads',
    'public.lead_identities',
    'public.missed_calls',
    'public.messages',
    'public.raw_cdrs',
    'public.rejected_deliveries',
    'public.whatsapp_events',
    'public.opt_outs',
    'public.excluded_numbers',
    'public.alerts',
    'public.live_calls',
    'public.popup_lookups',
    'public.events',
  ])
    t.ok(before.includes(table), `the story reaches ${table}`)
  t.ok((await rowsSaying(NAME)).length > 2)
  t.ok((await rowsSaying(TEXT)).length > 2)
  const elsewhere = await writtenBy(other.tenantId)
  const untouched = await everyRow()
  const keys = await keysKept()

  const erased = await eraseFor(shop, who.e164)

  t.strictSame(
    (await rowsWith(who.e164)).filter(row => !row.includes(other.tenantId)),
    [],
    'only rows of the other business contain the number',
  )
  t.strictSame(
    await writtenBy(other.tenantId),
    elsewhere,
    'the rows of the other business are unchanged',
  )
  t.strictSame(await keysKept(), keys, 'every row and key is still there')
  const now = new Set((await everyRow()).map(({ row }) => row))
  const changed = untouched.filter(({ row }) => !now.has(row))
  const counted = Object.entries(erased).filter(([table, count]) => table !== 'jobs' && count > 0)
  t.strictSame(
    Object.fromEntries(
      Map.groupBy(changed, ({ table }) => table.replace('public.', ''))
        .entries()
        .map(([table, rows]) => [table, rows.length]),
    ),
    Object.fromEntries(counted),
    'the result counts exactly the changed rows',
  )
  t.strictSame(
    new Set(
      changed.filter(({ row }) => row.includes(neighbour.e164.slice(4))).map(({ table }) => table),
    ),
    new Set(['public.messages', 'public.whatsapp_events']),
    'the other person loses only the text that names the person',
  )
  t.equal((await missedCall(shop.tenantId, person.callId))?.caller_phone, null)
  t.strictSame(await optOutsOf(shop), [[null, 'typed']])
  const entry = await db
    .selectFrom('audit_log')
    .selectAll()
    .where('action', '=', 'person.forget')
    .executeTakeFirstOrThrow()
  t.match(entry, { who: 'operator', tenant_id: shop.tenantId, after: erased })
  await work()
  t.strictSame(
    (await rowsWith(who.e164)).filter(row => !row.includes(other.tenantId)),
    [],
    'also after every job has run',
  )
})

await t.test(
  'pending messages are cancelled, and the jobs with the number are removed',
  async t => {
    const shop = await business()
    const waiting = customer()
    const { id } = await miss(shop, waiting.local)
    const reminded = customer()
    const sent = await miss(shop, reminded.local)
    await dueSince(sent.id)
    const { id: conversation } = await conversationOf(sent.id)
    t.equal((await jobs(`lead_outreach:${id}`)).length, 1)
    t.equal((await jobs('lead_reminder')).length, 2)

    t.match(await eraseFor(shop, waiting.local), { jobs: 1, missed_calls: 1 })
    t.match(await eraseFor(shop, reminded.local), { jobs: 2, missed_calls: 1, messages: 1 })
    const call = db.selectFrom('missed_calls').selectAll().where('id', '=', id)
    t.match(await call.executeTakeFirstOrThrow(), {
      outreach_state: 'cancelled',
      outreach_reason: 'by_operator',
      caller_phone: null,
      lead_id: null,
    })
    t.strictSame(await messagesAfter(sent.id), [
      ['initial', 'accepted', null],
      ['reminder_1', 'cancelled', 'by_operator'],
      ['reminder_2', 'cancelled', 'by_operator'],
    ])
    t.match(await conversationOf(sent.id), {
      state: 'stopped',
      reason: 'by_operator',
      lead_id: null,
    })
    for (const key of [`lead_outreach:${id}`, `lead_reminder:${conversation}:1`, 'lead_reminder'])
      t.strictSame(await jobs(key), [], key)
    for (const { e164 } of [waiting, reminded]) t.strictSame(await rowsWith(e164), [])

    await strayOutreach(shop, id)
    for (const reminderNumber of [1, 2])
      await addStrayJob('lead_reminder', {
        leadId: '1',
        leadConversationId: conversation,
        reminderNumber,
      })
    await work()
    t.equal(fake.inbox(waiting.e164).length, 0)
    t.equal(fake.inbox(reminded.e164).length, 1)
  },
)

await t.test('failed jobs, later jobs and owner notices are removed too', async t => {
  const shop = await business({ columns: { owner_phone: customer().e164 } })
  const who = customer()
  const { id } = await miss(shop, who.local)
  await dueSince(id)
  const { id: conversation } = await conversationOf(id)
  // A job that failed for good stays in the queue with the number.
  await sql`
    select graphile_worker.permanently_fail_jobs(array[j.id]) from graphile_worker.add_job('lead_outreach',
      ${JSON.stringify({ callerPhone: who.e164 })}::json, job_key := ${`lead_outreach:${id}`}::text) j`.execute(
    db,
  )
  await sql`
    select graphile_worker.add_job('lead_silence', run_at := now() + interval '1 day',
      job_key := ${`lead_silence:${conversation}`}::text)`.execute(db)
  const { id: notice } = await db
    .insertInto('messages')
    .values({
      tenant_id: shop.tenantId,
      lead_id: (await leadsOf(shop.tenantId))[0]?.id ?? null,
      direction: 'out',
      kind: 'owner_notice',
      state: 'scheduled',
      due_at: sql<Date>`now()`,
      text: TEXT,
      // The occasion of a reply contains its wamid.
      occasion: `reply:${wamidOf(who.e164)}`,
      to_phone: customer().e164,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await sql`
    select graphile_worker.add_job('owner_notice', ${JSON.stringify({ messageId: notice })}::json,
      run_at := now() + interval '1 hour', job_key := ${`owner_notice:${notice}`}::text)`.execute(
    db,
  )
  t.match(await eraseFor(shop, who.e164), { jobs: 5 })
  t.strictSame(await rowsWith(who.e164), [])
  for (const key of [
    `lead_outreach:${id}`,
    `lead_silence:${conversation}`,
    `owner_notice:${notice}`,
  ])
    t.strictSame(await jobs(key), [], key)
  const row = db.selectFrom('messages').selectAll().where('id', '=', notice)
  t.match(await row.executeTakeFirstOrThrow(), {
    state: 'cancelled',
    reason: 'by_operator',
    text: null,
  })
})

await t.test(
  'a message that is being sent is sent once, and its result writes no data back',
  async t => {
    for (const outcome of ['accepted', 'refused', 'died']) {
      const shop = await business()
      const who = customer()
      const id = await missedBy(shop, who.e164)
      await due(id, 'initial')
      const claimed = await claim(id, 'initial')
      if (!claimed) throw new Error('nothing to send')
      await eraseFor(shop, who.e164)
      if (outcome === 'refused')
        fake.script({ to: who.e164, times: 1, outcome: { kind: 'error', code: 131000 } })
      if (outcome !== 'died') await recorded(claimed, await send(claimed))
      await strayOutreach(shop, id)
      await sql`select graphile_worker.reschedule_jobs(array_agg(id), run_at := now()) from graphile_worker.jobs`.execute(
        db,
      )
      await work()
      t.strictSame(await rowsWith(who.e164), [], outcome)
      const call = db.selectFrom('missed_calls').selectAll().where('id', '=', id)
      const { outreach_state } = await call.executeTakeFirstOrThrow()
      const [message] = await messagesAfter(id)
      t.strictSame(
        [outreach_state, message?.[1]],
        outcome === 'accepted' ? ['sent', 'accepted'] : ['unknown', 'unknown'],
        outcome,
      )
      t.equal((await messagesAfter(id)).length, 1, 'no reminders')
      t.match(await initialOf(id), { wamid: null, wa_id: null }, 'these ids contain the number')
      t.equal(fake.inbox(who.e164).length, outcome === 'accepted' ? 1 : 0)
    }
  },
)

await t.test('a later status report does not find the message', async t => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  await dueSince(id)
  const [got] = fake.inbox(who.e164)
  await eraseFor(shop, who.e164)
  await reports(got?.wamid ?? '', { status: 'delivered' })
  t.strictSame((await messagesAfter(id))[0], ['initial', 'accepted', null])
  t.strictSame(
    (await rowsWith(who.e164)).map(row => row.split(':')[0]),
    ['public.whatsapp_events'],
    'the report itself contains the number until retention or another erasure',
  )
  await eraseFor(shop, who.e164)
  t.strictSame(await rowsWith(who.e164), [])
})

await t.test('a repeat of an erased record is counted and changes nothing', async t => {
  const shop = await business()
  const who = customer()
  const { record, callId } = await miss(shop, who.local)
  await eraseFor(shop, who.e164)
  await tell(shop.token, record)
  const [raw] = await db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', callId).execute()
  t.match(raw, { deliveries: 2, payload: null, body: null, verdict: 'missed', reason: 'erased' })
  t.strictSame(await jobs(`voicenter_cdr:${callId}`), [])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(await rowsWith(who.e164), [])
})

await t.test(
  'another record of an erased call is emptied and never classified as missed',
  async t => {
    const shop = await business()
    const who = customer()
    const answered = answeredPush({ caller: who.local, did: shop.did })
    await tell(shop.token, answered)
    await eraseFor(shop, who.e164)
    // Alone this record would be a missed call: the queue's record, without the agent's.
    const late = {
      ...answered,
      status: 'ABANDONE',
      type: 'Queue',
      targetextension: '',
      duration: 0,
    }
    await tell(shop.token, late)
    const records = db
      .selectFrom('raw_cdrs')
      .selectAll()
      .where('call_id', '=', answered.ivruniqueid)
    for (const row of await records.execute())
      t.match(row, { payload: null, body: null, verdict: 'answered', reason: 'erased' })
    t.equal(await missedCall(shop.tenantId, answered.ivruniqueid), undefined)
    t.strictSame(await rowsWith(who.e164), [])
  },
)

await t.test('an unclassified record gets a verdict, and its job ends', async t => {
  const shop = await business()
  const who = customer()
  const record = push({ caller: who.local, did: shop.did })
  await post(record, { token: shop.token })
  await eraseFor(shop, who.e164)
  await work()
  const row = db.selectFrom('raw_cdrs').selectAll().where('call_id', '=', record.ivruniqueid)
  t.match(await row.executeTakeFirstOrThrow(), { verdict: 'unknown', reason: 'erased' })
  t.equal(await missedCall(shop.tenantId, record.ivruniqueid), undefined)
})

await t.test('an opt-out survives the erasure; without one the person is new', async t => {
  const shop = await business()
  const [out, back] = [customer(), customer()]
  for (const { local } of [out, back]) await dueSince((await miss(shop, local)).id)
  await happens({ kind: 'text', from: out.e164, phoneNumberId: shop.phoneNumberId, text: 'הסר' })
  for (const { e164 } of [out, back]) await eraseFor(shop, e164)
  const { rows } =
    await sql`select phone, phone_hash from opt_outs where tenant_id = ${shop.tenantId}`.execute(db)
  t.strictSame(rows, [{ phone: null, phone_hash: phoneHash(out.e164) }])
  const again = await miss(shop, out.local)
  t.strictSame(await outreachOf(shop.tenantId, again.callId), ['skipped', 'opted_out'])
  const fresh = await miss(shop, back.local)
  t.strictSame(await outreachOf(shop.tenantId, fresh.callId), ['scheduled', 'waiting'])
  t.match(await leadsOf(shop.tenantId), [
    { phone: out.e164, missed_call_count: 1, name: null },
    { phone: back.e164, missed_call_count: 1, name: null },
  ])
})

await t.test(
  'an opt-out added by hand gets its hash, and two of the same person become one',
  async t => {
    const shop = await business()
    const [bare, twice] = [customer().e164, customer().e164]
    const optOuts = db.insertInto('opt_outs')
    const row = { tenant_id: shop.tenantId, source: 'operator' }
    await optOuts.values({ ...row, phone: bare }).execute()
    await optOuts.values({ ...row, phone: null, phone_hash: phoneHash(twice) }).execute()
    await optOuts.values({ ...row, phone: twice }).execute()
    t.match(await eraseFor(shop, bare), { opt_outs: 1 })
    t.match(await eraseFor(shop, twice), { opt_outs: 1 })
    const { rows } = await sql`
    select phone, phone_hash from opt_outs where tenant_id = ${shop.tenantId} order by id`.execute(
      db,
    )
    t.strictSame(rows, [
      { phone: null, phone_hash: phoneHash(bare) },
      { phone: null, phone_hash: phoneHash(twice) },
    ])
  },
)

await t.test('a person is found by every number and WhatsApp id that they have', async t => {
  const shop = await business()
  const [old, moved, last] = [customer(), customer(), customer()]
  const id = 'US.13491208655302741918'
  const words = 'זו אני, ממספר נסתר'
  const { id: callId } = await miss(shop, old.local)
  await dueSince(callId)
  const lead = (await leadsOf(shop.tenantId))[0]?.id ?? ''
  await db
    .insertInto('lead_identities')
    .values(
      [moved.e164.slice(1), id].map(identity => ({
        tenant_id: shop.tenantId,
        lead_id: lead,
        identity,
      })),
    )
    .execute()
  // They call from the new number, then change the number again.
  await miss(shop, moved.local)
  const second = (await leadsOf(shop.tenantId))[1]?.id ?? ''
  await db
    .insertInto('lead_identities')
    .values({ tenant_id: shop.tenantId, lead_id: second, identity: last.e164.slice(1) })
    .execute()
  // They hide their number and write a message.
  await deliver(
    envelope(
      change(shop.phoneNumberId, {
        messages: [{ id: 'wamid.hidden', from_user_id: id, type: 'text', text: { body: words } }],
      }),
    ),
  )
  await work()
  t.equal((await rowsSaying(words)).length, 2)
  t.match(await eraseFor(shop, last.local), { leads: 2 })
  for (const { e164 } of [old, moved, last]) t.strictSame(await rowsWith(e164), [])
  t.strictSame(await rowsSaying(id), [])
  t.strictSame(await rowsSaying(words), [])
})

await t.test('an unread message must be read first, because it may be “stop”', async t => {
  const shop = await business()
  const who = customer()
  await dueSince((await miss(shop, who.local)).id)
  await deliver(
    envelope(
      change(shop.phoneNumberId, {
        messages: [
          { id: 'wamid.stop', from: who.e164.slice(1), type: 'text', text: { body: 'הסר' } },
        ],
      }),
    ),
  )
  const before = await contents()
  await t.rejects(eraseFor(shop, who.e164), /has not been read yet/)
  t.strictSame(await contents(), before)
  await work()
  await eraseFor(shop, who.e164)
  t.strictSame(await optOutsOf(shop), [[null, 'typed']])
})

await t.test('erase waits for a call that is being classified', async t => {
  const shop = await business()
  const who = customer()
  const record = push({ caller: who.local, did: shop.did })
  await post(record, { token: shop.token })
  let erasing: Promise<unknown> = Promise.resolve()
  await db.transaction().execute(async trx => {
    await lockCalls(trx, [{ tenantId: shop.tenantId, rootCallId: record.ivruniqueid }])
    erasing = eraseFor(shop, who.e164)
    // It may be rejected before the test looks.
    erasing.catch(() => {})
    await waitForLock()
    await recordMissedCalls(trx, [
      {
        tenantId: shop.tenantId,
        callId: record.ivruniqueid,
        caller: who.local,
        businessPhone: shop.line,
        status: 'NOANSWER',
        calledAt: new Date(),
      },
    ])
  })
  // The transaction created a lead, so erase is rejected as a whole.
  await t.rejects(erasing, /has just arrived/)
  t.match(await eraseFor(shop, who.e164), { leads: 1, missed_calls: 1, jobs: 1 })
  t.strictSame(await rowsWith(who.e164), [])
})

await t.test('a call that arrives while erase waits is not left over', async t => {
  const shop = await business()
  const who = customer()
  await miss(shop, who.local)
  const callId = randomUUID()
  let erasing: Promise<unknown> = Promise.resolve()
  await db.transaction().execute(async trx => {
    await lockPeople(trx, peopleOf(shop.tenantId, [who.e164]))
    erasing = eraseFor(shop, who.e164)
    // It may be rejected before the test looks.
    erasing.catch(() => {})
    await waitForLock()
    await recordMissedCalls(trx, [
      {
        tenantId: shop.tenantId,
        callId,
        caller: who.local,
        businessPhone: shop.line,
        status: 'NOANSWER',
        calledAt: new Date(),
      },
    ])
  })
  await t.rejects(erasing, /has just arrived/)
  t.match(await missedCall(shop.tenantId, callId), { caller_phone: who.e164 })
  t.match(await eraseFor(shop, who.e164), { missed_calls: 2 })
  t.strictSame(await rowsWith(who.e164), [])
})

await t.test('a business can erase only in its own rows', async t => {
  const shop = await business()
  const who = customer()
  await miss(shop, who.local)
  await post(push({ caller: who.local, did: '0721111112' }), { token: await webhookToken(null) })
  await work()
  await eraseFor(shop, who.e164, { as: 'tenant', tenantId: shop.tenantId })
  t.equal((await rowsWith(who.e164)).length, 1, 'the record without a business is left')
  t.match(await eraseFor(shop, who.e164), { raw_cdrs: 1 })
  t.strictSame(await rowsWith(who.e164), [])
})

await t.test('its own number, the owner’s phone and an unknown business are rejected', async t => {
  const owner = customer().e164
  const shop = await business({ columns: { owner_phone: owner } })
  const before = await contents()
  await t.rejects(eraseFor(shop, shop.line), /a number of the business itself/)
  await t.rejects(eraseFor(shop, owner), /the owner's phone/)
  await t.rejects(eraseFor({ ...shop, tenantId: '999' }, owner), /there is no tenant 999/)
  t.strictSame(await contents(), before)
})

await t.test('a preview counts the same rows and changes nothing', async t => {
  const shop = await business()
  const known = await story(shop, customer())
  const before = await contents()
  const person = { tenantId: shop.tenantId, number: known.e164 }
  const would = await db.transaction().execute(trx => previewErase(trx, OPERATOR, person))
  t.strictSame(await contents(), before)
  t.strictSame(would, await eraseFor(shop, known.e164))
  const nothing = await eraseFor(shop, known.e164)
  t.ok(
    Object.values(nothing).every(count => count === 0),
    JSON.stringify(nothing),
  )
})

await t.test('large rows are searched and emptied in several statements', async t => {
  const shop = await business()
  const who = customer()
  for (let n = 0; n < 4; n++)
    await sql`
      insert into raw_cdrs (tenant_id, call_id, root_call_id, payload, facts, body, content_hash, verdict, reason)
      select ${shop.tenantId}, ${`large ${n}`}, 'large', '{}', '{}', convert_to(text, 'UTF8'), sha256(${String(n)}::bytea), 'missed', 'noanswer'
      from (select repeat('x', 4500000) || ${n === 2 ? who.local : ''} as text) as long`.execute(db)
  const searched: string[] = []
  const erased = await db
    .transaction()
    .execute(trx =>
      erase(
        trx,
        OPERATOR,
        eraseInput.parse({ tenantId: shop.tenantId, number: who.local }),
        (table, percent) => searched.push(`${table} ${percent}`),
      ),
    )
  t.match(erased, { raw_cdrs: 4 })
  const slices = searched.filter(one => one.startsWith('raw_cdrs'))
  t.ok(slices.length >= 4, searched.join())
  t.equal(slices.at(-1), 'raw_cdrs 100')
  t.strictSame(await rowsWith(who.e164), [])
})
