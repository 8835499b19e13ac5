/** People who must not get messages: excluded numbers, and opt-outs that are set by hand. */
import { sql } from 'kysely'
import { test } from 'tap'
import { phoneHash } from '../../app/crypto.ts'
import { waitingPeople } from '../../app/outreach/people.ts'
import {
  addExclusion,
  addOptOut,
  exclusionInput,
  importExclusions,
  listExclusions,
  optOutInput,
  removeExclusion,
  removeOptOut,
} from '../../app/privacy/do_not_contact.ts'
import { erase, eraseInput } from '../../app/privacy/erase.ts'
import { exportCsv, exportRequest } from '../../app/privacy/export.ts'
import { readContacts, readRules, storedRecords } from '../../app/replay/inputs.ts'
import { newSimulation, readingOf, replay } from '../../app/replay/simulate.ts'
import type { LeadState } from '../../app/states.ts'
import { callBackPush, push } from '../../scripts/demo/cdr.ts'
import { endpointOf } from '../events/support.ts'
import {
  addStrayReminders,
  addStraySilence,
  noticesOf,
  owned,
  reported,
  writes,
} from '../outreach/support.ts'
import { asOperator, asTenant } from '../support/ops.ts'
import {
  business,
  type Business,
  customer,
  db,
  fake,
  jobs,
  outreachOf,
  reminderDue,
  verdictsOf,
  work,
} from '../support/ringback.ts'
import { happens, optOutsOf, outcomesOf, receivedBy, storyOf } from '../support/whatsapp.ts'
import {
  addStrayJobs,
  conversationOf,
  dueSince,
  leadsOf,
  messagesAfter,
  miss,
  requestsOf,
  tell,
  until,
  waitingFor,
} from '../tasks/support.ts'
import { doneTo } from '../web/ops/support.ts'
import { collector } from './support.ts'

const OPERATOR = { as: 'operator' } as const
const exclude = ({ tenantId }: Business, number: string, note?: string) =>
  db
    .transaction()
    .execute(trx => addExclusion(trx, OPERATOR, exclusionInput.parse({ tenantId, number, note })))
const include = ({ tenantId }: Business, number: string) =>
  db
    .transaction()
    .execute(trx => removeExclusion(trx, OPERATOR, exclusionInput.parse({ tenantId, number })))
const optOut = ({ tenantId }: Business, number: string) =>
  db.transaction().execute(trx => addOptOut(trx, OPERATOR, optOutInput.parse({ tenantId, number })))
const optIn = ({ tenantId }: Business, number: string) =>
  db
    .transaction()
    .execute(trx => removeOptOut(trx, OPERATOR, optOutInput.parse({ tenantId, number })))
const eraseFor = ({ tenantId }: Business, number: string) =>
  db.transaction().execute(trx => erase(trx, OPERATOR, eraseInput.parse({ tenantId, number })))
/** The rows of the list, as they are stored. */
const excludedBy = ({ tenantId }: Business) =>
  db
    .selectFrom('excluded_numbers')
    .select(['phone', 'phone_hash', 'note'])
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
const listedTo = async ({ tenantId }: Business): Promise<string[]> => {
  const rows = await db
    .transaction()
    .execute(trx => waitingPeople(trx, { tenantId, before: null, limit: 50 }))
  return rows.map(({ phone }) => phone)
}
const actionsOf = async ({ tenantId }: Business) =>
  (await doneTo({ tenantId })).map(({ who, action, subject }) => [who, action, subject])

/** A call, as its record writes the caller. Returns the outreach. */
const callFrom = async (shop: Business, caller: string) => {
  const record = push({ caller, did: shop.did })
  await tell(shop.token, record)
  return (
    (await outreachOf(shop.tenantId, record.ivruniqueid)) ??
    (await verdictsOf(shop.tenantId, record.ivruniqueid))
  )
}

/** [the number as it is excluded, the caller as the record writes it] */
const FORMS: [excluded: string, caller: string][] = [
  ['052-123-4567', '972521234567'],
  ['+972 (0)52-123-4567', '0521234567'],
  ['00972521234567', 'sip:0521234567@pbx.example'],
  ['‎052 123 4567‏', '"Dana" <0521234567>'],
  ['03-612-3456', '036123456'],
  // A number that libphonenumber calls invalid.
  ['0702246666', '+972702246666'],
  ['072-277-6772', '0722776772'],
  ['1-700-123-456', '1700123456'],
  ['*2700', '*2700'],
  ['+970 59 912 3456', '0599123456'],
  ['0599123456', '+970599123456'],
  ['+1 415 555 0123', '14155550123'],
]
for (const [excluded, caller] of FORMS)
  test(`a call from ${caller} is skipped if ${excluded} is excluded`, async t => {
    const shop = await business()
    t.match(await exclude(shop, excluded), { added: true })
    t.strictSame(await callFrom(shop, caller), ['skipped', 'excluded'])
    t.match(await exclude(shop, caller.includes('"') ? excluded : caller), { added: false })
    t.equal((await excludedBy(shop)).length, 1, 'in whatever form it is entered again')
    t.strictSame(await waitingFor(shop.tenantId), [])
    t.strictSame(await listedTo(shop), [])
  })

test('what is no number is not excluded', async t => {
  for (const number of ['', 'דנה', '100', 'anonymous', '12345678'])
    t.notOk(exclusionInput.safeParse({ tenantId: '1', number }).success, number)
  for (const note of ['x'.repeat(201), 'two\nlines'])
    t.notOk(exclusionInput.safeParse({ tenantId: '1', number: '0521234567', note }).success)
  t.match(exclusionInput.parse({ tenantId: '1', number: '0521234567', note: ' ' }), {
    number: '+972521234567',
    note: undefined,
  })
})

test('only the business that excluded a number does not write to it', async t => {
  const [shop, other] = [await business(), await business()]
  const who = customer()
  await exclude(shop, who.local)
  t.strictSame(await callFrom(shop, who.local), ['skipped', 'excluded'])
  t.strictSame(await callFrom(other, who.local), ['scheduled', 'waiting'])
  const { rows } = await sql`
    select outreach_state, outreach_reason, job from call_report() where tenant_id = ${shop.tenantId}`.execute(
    db,
  )
  t.strictSame(rows, [{ outreach_state: 'skipped', outreach_reason: 'excluded', job: null }])
  await t.rejects(exclude({ ...shop, tenantId: '999999' }, who.local), /there is no tenant 999999/)
})

test('an exclusion cancels what is pending, and is audited without the number', async t => {
  const [shop, other] = [await business(), await business()]
  const [waiting, reminded] = [customer(), customer()]
  const { id, callId } = await miss(shop, waiting.local)
  const sent = await miss(shop, reminded.local)
  await dueSince(sent.id)
  const elsewhere = await miss(other, waiting.local)
  for (const { local } of [waiting, reminded])
    t.match(await exclude(shop, local, 'our technician'), { added: true })

  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  t.strictSame(await storyOf(shop, reminded.e164), [
    'contacted',
    'sent / accepted',
    'stopped / by_operator',
  ])
  t.strictSame(await messagesAfter(sent.id), [
    ['initial', 'accepted', null],
    ['reminder_1', 'cancelled', 'by_operator'],
    ['reminder_2', 'cancelled', 'by_operator'],
  ])
  t.strictSame(await jobs(`lead_outreach:${id}`), [])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.strictSame(await outreachOf(other.tenantId, elsewhere.callId), ['scheduled', 'waiting'])

  // As the sweep, a crash or a race may leave them behind.
  await addStrayJobs(id)
  await addStrayReminders((await conversationOf(sent.id)).id)
  t.equal(requestsOf(shop).length, 1)

  const [first, second] = await leadsOf(shop.tenantId)
  t.strictSame(await actionsOf(shop), [
    ['operator', 'exclusion.add', `leads ${first?.id}`],
    ['operator', 'exclusion.add', `leads ${second?.id}`],
  ])
  const log = JSON.stringify(await doneTo(shop))
  t.notMatch(log, waiting.local.slice(1))
  t.notMatch(log, 'technician')
  t.strictSame(await listedTo(shop), [])
})

test('a message that is being sent is not stopped, but nothing follows it', async t => {
  const shop = await business()
  const who = customer()
  const { id } = await miss(shop, who.local)
  fake.script({ to: who.e164, outcome: { kind: 'accept', delayMs: 150 } })
  const done = dueSince(id)
  await until(() => requestsOf(shop).length === 1)
  await exclude(shop, who.local)
  await done
  t.strictSame(await storyOf(shop, who.e164), [
    'contacted',
    'sent / accepted',
    'stopped / by_operator',
  ])
  t.strictSame(await messagesAfter(id), [['initial', 'accepted', null]])
})

test('the claim looks again: a number that was excluded in SQL gets nothing', async t => {
  const shop = await business()
  const [waiting, reminded] = [customer(), customer()]
  const { id, callId } = await miss(shop, waiting.local)
  const sent = await miss(shop, reminded.local)
  await dueSince(sent.id)
  const { id: conversation } = await conversationOf(sent.id)
  await reported(conversation, 'initial', 'delivered')
  for (const { e164 } of [waiting, reminded])
    await sql`insert into excluded_numbers (tenant_id, phone) values (${shop.tenantId}, ${e164})`.execute(
      db,
    )
  await dueSince(id)
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'excluded'])
  await reminderDue(conversation, 1)
  t.strictSame((await messagesAfter(sent.id)).slice(1), [
    ['reminder_1', 'cancelled', 'by_operator'],
    ['reminder_2', 'cancelled', 'by_operator'],
  ])
  t.equal(requestsOf(shop).length, 1)
})

test('an exclusion and a claim at the same time: the message is sent or cancelled, never both', async t => {
  for (let round = 0; round < 6; round++) {
    const shop = await business()
    const who = customer()
    const { id, callId } = await miss(shop, who.local)
    await Promise.all([dueSince(id), exclude(shop, who.local)])
    await work()
    const isSent = requestsOf(shop).length === 1
    t.strictSame(
      await outreachOf(shop.tenantId, callId),
      isSent ? ['sent', 'accepted'] : ['cancelled', 'by_operator'],
    )
    const [initial, ...reminders] = await messagesAfter(id)
    t.equal(initial?.[1], isSent ? 'accepted' : undefined)
    for (const [, state] of reminders) t.equal(state, 'cancelled', 'no reminder follows')
    t.strictSame(await waitingFor(shop.tenantId), [])
  }
})

test('an excluded person causes no notice: not by a third call, a reply, or silence', async t => {
  const { shop, who, conversation, told } = await owned()
  await sql`insert into excluded_numbers (tenant_id, phone) values (${shop.tenantId}, ${who.e164})`.execute(
    db,
  )
  for (const _ of [2, 3, 4]) await miss(shop, who.local)
  await reported(conversation, 'initial', 'delivered')
  await addStraySilence(conversation)
  await writes(who.e164, 'אני בדרך')
  t.match(await leadsOf(shop.tenantId), [{ state: 'replied', missed_call_count: 4 }])
  t.strictSame(told(), [])
  t.strictSame(await noticesOf(shop), [])
  t.strictSame(await listedTo(shop), [])
  t.strictSame(await receivedBy(shop), [['אני בדרך', true]], 'their message is stored')

  await include(shop, who.local)
  t.strictSame(await listedTo(shop), [who.e164], 'they wrote, and nobody has answered')
  await miss(shop, who.local)
  t.equal(told().length, 1, 'later calls count again')
})

test('a notice that waits is cancelled with the exclusion; the owner may exclude their own phone', async t => {
  const { shop, who, owner, told } = await owned()
  fake.script({ to: owner, outcome: { kind: 'error', code: 131000 } })
  await writes(who.e164, 'היי')
  t.match(await noticesOf(shop), [['scheduled']])
  await exclude(shop, who.local)
  t.match(await noticesOf(shop), [['cancelled', 'by_operator']])
  await work()
  t.strictSame(told(), [])

  const ruth = customer()
  await exclude(shop, owner)
  for (const _ of [1, 2, 3]) await miss(shop, ruth.local)
  t.equal(told().length, 1, 'notices about others go to an excluded owner')
})

test('an opt-out by an excluded person counts, and is not answered', async t => {
  const shop = await business()
  const who = customer()
  await exclude(shop, who.local)
  await callFrom(shop, who.local)
  const { phoneNumberId } = shop
  await happens({ kind: 'text', text: 'נא להסיר אותי מהרשימה', from: who.e164, phoneNumberId })
  t.strictSame(await optOutsOf(shop), [[who.e164, 'typed']])
  t.strictSame(await outcomesOf(shop), ['message opt_out'])
  t.equal(fake.inbox(who.e164).length, 0)
  await include(shop, who.local)
  t.strictSame(await callFrom(shop, who.local), ['skipped', 'opted_out'])
})

test('without the exclusion, only later calls cause messages', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const who = customer()
  await exclude(shop, who.local)
  const { id, callId } = await miss(shop, who.local)
  t.match(await include(shop, who.local), { removed: true })
  t.match(await include(shop, who.local), { removed: false })
  await addStrayJobs(id)
  await work()
  t.strictSame(await outreachOf(shop.tenantId, callId), ['skipped', 'excluded'])
  t.strictSame(await callFrom(shop, who.local), ['scheduled', 'waiting'])
  t.match(
    (await doneTo(shop)).map(({ action, after }) => [action, after]),
    [
      ['exclusion.add', { excluded: true }],
      ['exclusion.remove', { excluded: false }],
    ],
    'what changed nothing is not in the log',
  )
})

type Met = { shop: Business; who: ReturnType<typeof customer> }
const isSent = async ({ shop, who }: Met) => {
  const { id } = await miss(shop, who.local)
  await dueSince(id)
  return id
}
/** What happened to a person, and their state then. */
const BEFORE: [what: string, happens: (met: Met) => Promise<unknown>, state: LeadState][] = [
  ['a message that is not sent yet', ({ shop, who }) => miss(shop, who.local), 'new'],
  ['a message', isSent, 'contacted'],
  [
    'a reply',
    async met => {
      await isSent(met)
      await writes(met.who.e164, 'היי')
    },
    'replied',
  ],
  [
    'a talk',
    async met => {
      await isSent(met)
      await tell(met.shop.token, callBackPush({ did: met.shop.did, target: met.who.local }))
    },
    'reached_by_phone',
  ],
  [
    'silence',
    async met => {
      const { id } = await conversationOf(await isSent(met))
      await addStraySilence(id)
    },
    'unresponsive',
  ],
  [
    'a reply, and a later call',
    async met => {
      await isSent(met)
      await writes(met.who.e164, 'היי')
      await miss(met.shop, met.who.local, {}, -2)
    },
    'new',
  ],
]
for (const [what, happened, state] of BEFORE)
  test(`the end of an opt-out restores the state of the lead: ${what}`, async t => {
    const shop = await business({ columns: { repeat_window: '0' } })
    const who = customer()
    await happened({ shop, who })
    t.match(await leadsOf(shop.tenantId), [{ state }])
    await optOut(shop, who.local)
    t.match(await leadsOf(shop.tenantId), [{ state: 'opted_out' }])
    await endpointOf(shop, 'http://127.0.0.1:1/')
    const [sent, story] = [requestsOf(shop).length, await storyOf(shop, who.e164)]
    const waiting = await waitingFor(shop.tenantId)
    if (state !== 'unresponsive') t.strictSame(waiting, [])
    await optIn(shop, who.local)
    await work()
    t.strictSame(await storyOf(shop, who.e164), [state, ...story.slice(1)])
    t.strictSame(await waitingFor(shop.tenantId), waiting, 'what was cancelled stays cancelled')
    t.equal(requestsOf(shop).length, sent)
    const events = db.selectFrom('events').select('type').where('tenant_id', '=', shop.tenantId)
    t.strictSame(await events.execute(), [], 'nothing new has happened')
  })

test('the list shows notes, the newest first, and an import adds to it', async t => {
  const shop = await business()
  const { tenantId } = shop
  const [first, second, third] = [customer(), customer(), customer()]
  await exclude(shop, first.local, 'night guard')
  const { callId } = await miss(shop, second.local)
  const counts = await db.transaction().execute(trx =>
    importExclusions(trx, OPERATOR, {
      tenantId,
      numbers: [first.e164, second.e164, third.e164],
      note: 'from the list',
    }),
  )
  t.strictSame(counts, { added: 2, known: 1 })
  t.strictSame(await outreachOf(tenantId, callId), ['cancelled', 'by_operator'])
  t.match(await db.transaction().execute(trx => listExclusions(trx, tenantId)), [
    { phone: third.e164, note: 'from the list' },
    { phone: second.e164, note: 'from the list' },
    { phone: first.e164, note: 'from the list' },
  ])
  await exclude(shop, first.local, 'guard at night')
  const { out, bytes } = collector()
  await exportCsv(db, OPERATOR, exportRequest.parse({ tenantId, what: 'exclusions' }), out)
  const [heading, ...lines] = bytes().toString().replace('\ufeff', '').trimEnd().split('\r\n')
  t.equal(heading, 'phone,note,created_at,timezone')
  t.match(lines[0], `'${first.e164},guard at night,`)
  t.equal(lines.length, 3)
})

test('an erased exclusion stays as a keyed hash, and still holds', async t => {
  const shop = await business()
  const who = customer()
  await exclude(shop, who.local, 'Dana from accounting')
  await callFrom(shop, who.local)
  t.match(await eraseFor(shop, who.e164), { excluded_numbers: 1, opt_outs: 0, leads: 1 })
  const erased = [{ phone: null, phone_hash: phoneHash(who.e164), note: null }]
  t.strictSame(await excludedBy(shop), erased)
  t.strictSame(await callFrom(shop, who.local), ['skipped', 'excluded'])
  t.strictSame(await listedTo(shop), [])
  t.match(await eraseFor(shop, who.e164), { excluded_numbers: 0, leads: 1 })
  t.strictSame(await excludedBy(shop), erased)

  t.match(await exclude(shop, who.local), { added: false })
  t.match(await excludedBy(shop), [{ phone: who.e164 }], 'the business entered it again')
  t.match(await include(shop, who.local), { removed: true })
  t.strictSame(await callFrom(shop, who.local), ['scheduled', 'waiting'])
})

test('what-if knows the excluded numbers, also of erased people', async t => {
  const shop = await business()
  const { tenantId } = shop
  const [excluded, erased, dana] = [customer(), customer(), customer()]
  await exclude(shop, excluded.local)
  await exclude(shop, erased.local)
  await eraseFor(shop, erased.e164)
  for (const { local } of [excluded, erased, dana]) await callFrom(shop, local)
  const outcomes = await db
    .transaction()
    .setAccessMode('read only')
    .execute(async trx => {
      const [from, to] = [new Date(0), new Date(Date.now() + 60_000)]
      const rules = await readRules(trx, tenantId)
      const simulation = newSimulation(rules, await readContacts(trx, tenantId, from))
      await replay(storedRecords(trx, tenantId, from, to, readingOf(rules)), [simulation], to)
      return [...simulation.outcomes.values()]
    })
  t.strictSame(
    outcomes.map(({ missed }) => [missed?.state, missed?.reason]),
    [
      ['skipped', 'excluded'],
      ['skipped', 'excluded'],
      ['scheduled', 'waiting'],
    ],
  )
})

// Opt-outs by hand.

test('an opt-out by hand cancels what is pending without a confirmation, and can be taken back', async t => {
  const shop = await business({ columns: { repeat_window: '0' } })
  const [waiting, reminded, stranger] = [customer(), customer(), customer()]
  const { callId } = await miss(shop, waiting.local)
  const sent = await miss(shop, reminded.local)
  await dueSince(sent.id)
  for (const { local } of [waiting, reminded, stranger])
    t.match(await optOut(shop, local), { added: true })
  t.match(await optOut(shop, waiting.e164), { added: false })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'opted_out'])
  t.strictSame(await storyOf(shop, reminded.e164), [
    'opted_out',
    'sent / accepted',
    'opted_out / opted_out',
  ])
  t.strictSame(await waitingFor(shop.tenantId), [])
  t.equal(fake.inbox(waiting.e164).length, 0)
  t.strictSame(await callFrom(shop, stranger.local), ['skipped', 'opted_out'])

  t.match(await optIn(shop, waiting.local), { removed: true })
  t.match(await optIn(shop, waiting.local), { removed: false })
  t.strictSame(await callFrom(shop, waiting.local), ['scheduled', 'waiting'])
  const [first, second] = await leadsOf(shop.tenantId)
  t.match(await actionsOf(shop), [
    ['operator', 'opt_out.add', `leads ${first?.id}`],
    ['operator', 'opt_out.add', `leads ${second?.id}`],
    ['operator', 'opt_out.add', /^opt_outs \d+$/],
    ['operator', 'opt_out.remove', `leads ${first?.id}`],
  ])
  const log = JSON.stringify(await doneTo(shop))
  for (const { local } of [waiting, stranger]) t.notMatch(log, local.slice(1))
})

type Step = 'hand' | 'types' | 'switches' | 'resumes' | 'starts'
/** What happens in turn, the source that is stored then (null = may get messages), and whether it can be removed by hand. */
const STORIES: [steps: Step[], source: string | null, removable: boolean][] = [
  [['hand'], 'operator', true],
  [['types'], 'typed', false],
  [['switches'], 'user_preferences', false],
  [['hand', 'types'], 'typed', false],
  [['types', 'hand'], 'typed', false],
  [['hand', 'switches'], 'user_preferences', false],
  [['switches', 'hand'], 'user_preferences', false],
  [['hand', 'switches', 'resumes'], 'operator', true],
  [['switches', 'hand', 'resumes'], 'operator', true],
  [['switches', 'types', 'resumes'], 'typed', false],
  [['hand', 'resumes'], 'operator', true],
  [['types', 'hand', 'resumes'], 'typed', false],
  [['switches', 'resumes'], null, false],
  [['hand', 'starts'], null, false],
  [['types', 'hand', 'starts'], null, false],
]
for (const [steps, source, removable] of STORIES)
  test(`after "${steps.join(', ')}" an opt-out is ${source}`, async t => {
    const shop = await business({ columns: { repeat_window: '0' } })
    const { phoneNumberId } = shop
    const who = customer()
    await callFrom(shop, who.local)
    const act = {
      hand: () => optOut(shop, who.local),
      types: () => happens({ kind: 'text', text: 'הסר', from: who.e164, phoneNumberId }),
      starts: () => happens({ kind: 'text', text: 'START', from: who.e164, phoneNumberId }),
      switches: () =>
        happens({ kind: 'user_preferences', value: 'stop', from: who.e164, phoneNumberId }),
      resumes: () =>
        happens({ kind: 'user_preferences', value: 'resume', from: who.e164, phoneNumberId }),
    }
    for (const step of steps) await act[step]()
    t.strictSame(await optOutsOf(shop), source === null ? [] : [[who.e164, source]])
    const blocked = {
      userError: 'refused',
      why: 'opted_out_by_person',
      message: /only their own START/,
    }
    if (source === null) t.match(await optIn(shop, who.local), { removed: false })
    else if (removable) t.match(await optIn(shop, who.local), { removed: true })
    else await t.rejects(optIn(shop, who.local), blocked)
    const { callId } = await miss(shop, who.local, {}, -2)
    const isOut = source !== null && !removable
    t.strictSame(
      await outreachOf(shop.tenantId, callId),
      isOut ? ['skipped', 'opted_out'] : ['scheduled', 'waiting'],
    )
  })

// The pages.

test('on a caller’s page, a person is opted out and excluded, and both are taken back', async t => {
  const shop = await business()
  const who = customer()
  const { id, callId } = await miss(shop, who.local)
  const owner = await asTenant(shop.tenantId)
  const page = `/ops/calls/missed/${id}`
  const [lead] = await leadsOf(shop.tenantId)
  const path = `/ops/leads/${lead?.id}`
  t.match((await owner.get(page)).text, /Never send messages to this caller[^]*Exclude this number/)

  t.match(await owner.submit(`${path}/opt-out`, { back: page }), { status: 303, location: page })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'opted_out'])
  const out = await owner.get(page)
  t.match(out.text, 'No more messages are sent to this caller.')
  t.match(out.text, 'The business noted that this caller wants no messages.')
  t.match(out.text, 'Opted out by hand.')
  await owner.submit(`${path}/opt-out/remove`, { back: page })
  t.strictSame(await optOutsOf(shop), [])

  await owner.submit(`${path}/exclusion`, { back: page, note: 'the <guard>' })
  const excluded = await owner.get(page)
  t.match(excluded.text, /This number is excluded\.[^]*the &lt;guard&gt;/)
  t.match((await owner.get('/ops/calls?state=excluded')).text, 'No such calls')
  const { id: next } = await miss(shop, who.local)
  t.match(
    (await owner.get(`/ops/calls/missed/${next}`)).text,
    'No message: the business has excluded this number.',
  )
  t.match(
    (await owner.get('/ops/calls?state=excluded')).text,
    'the business has excluded this number',
  )
  t.match((await owner.get('/ops')).text, 'excluded number')
  await owner.submit(`${path}/exclusion/remove`, { back: page })
  t.strictSame(await excludedBy(shop), [])
  t.match(
    (await actionsOf(shop)).map(([who, action]) => [who, action]),
    ['opt_out.add', 'opt_out.remove', 'exclusion.add', 'exclusion.remove'].map(action => [
      `tenant ${shop.tenantId}`,
      action,
    ]),
  )
  t.match((await owner.get('/ops/log')).text, /Excluded a number[^]*Opted out a person/)

  await happens({ kind: 'text', text: 'stop', from: who.e164, phoneNumberId: shop.phoneNumberId })
  t.match((await owner.get(page)).text, 'Only the caller can end this')
  t.match(await owner.submit(`${path}/opt-out/remove`, { back: page }), {
    status: 409,
    text: /Only the caller can end this/,
  })
})

test('no business changes the lists of another', async t => {
  const [shop, other] = [await business(), await business()]
  await miss(shop, customer().local)
  const [lead] = await leadsOf(shop.tenantId)
  const stranger = await asTenant(other.tenantId)
  for (const action of ['opt-out', 'opt-out/remove', 'exclusion', 'exclusion/remove'])
    t.equal((await stranger.submit(`/ops/leads/${lead?.id}/${action}`)).status, 404, action)
  for (const action of ['add', 'remove'])
    t.equal(
      (
        await stranger.submit(`/ops/tenants/${shop.tenantId}/exclusions/${action}`, {
          numbers: '0521234567',
          number: '0521234567',
        })
      ).status,
      404,
      action,
    )
  t.strictSame(await excludedBy(shop), [])
  t.strictSame(await actionsOf(shop), [])
})

test('on its own page, a business sees, adds and removes excluded numbers', async t => {
  const shop = await business()
  const [one, two] = [customer(), customer()]
  const owner = await asTenant(shop.tenantId)
  const path = `/ops/tenants/${shop.tenantId}/exclusions`
  t.match((await owner.get(path)).text, 'No number is excluded.')
  const wrong = { numbers: `${one.local}\nDana`, note: 'staff' }
  t.match(await owner.submit(`${path}/add`, wrong), { status: 400, text: /Line 2: a phone number/ })
  t.strictSame(await excludedBy(shop), [], 'nothing is added')
  await owner.submit(`${path}/add`, { numbers: `${one.local}\r\n${two.e164}\r\n`, note: 'staff' })
  const shown = await owner.get(path)
  t.match(shown.text, '2 numbers are now excluded.')
  for (const { local } of [one, two]) t.match(shown.text, local.slice(-4))
  await owner.submit(`${path}/remove`, { number: one.e164 })
  t.match(await excludedBy(shop), [{ phone: two.e164, note: 'staff' }])
  const hebrew = await (await asOperator('he')).get(path)
  t.match(hebrew.text, 'מספרים מוחרגים')
})
