/** What the business says about a person: called back, later, the outcome, a note. */
import { sql } from 'kysely'
import t from 'tap'
import {
  type LeadKey,
  markCalledBack,
  markLater,
  markRead,
  noteInput,
  outcomeInput,
  setNote,
  setOutcome,
  undoCalledBack,
} from '../../app/outreach/lead_actions.ts'
import type { Trx } from '../../app/db/kysely.ts'
import { callBackPush } from '../../scripts/demo/cdr.ts'
import { auditLogOf } from '../support/ops.ts'
import { business, customer, db, outreachOf } from '../support/ringback.ts'
import { happens } from '../support/whatsapp.ts'
import { miss, tell } from '../tasks/support.ts'
import { leadOf } from '../web/ops/support.ts'
import { talksOnWhatsApp } from './support.ts'

const OPERATOR = { as: 'operator' } as const

/** A person who was missed. */
const missed = async (secondsAgo = 300) => {
  const shop = await business()
  const who = customer()
  const { callId } = await miss(shop, who.local, {}, secondsAgo)
  const { tenantId } = shop
  const lead = () => leadOf(tenantId, who.e164)
  const { id: leadId } = await lead()
  const key = { tenantId, leadId }
  const actions = async () =>
    (await auditLogOf(tenantId)).filter(({ subject }) => subject === `leads ${leadId}`)
  return { shop, who, callId, key, lead, actions }
}

const writes = ({ shop, who }: Awaited<ReturnType<typeof missed>>) =>
  happens({ kind: 'text', from: who.e164, text: 'היי', phoneNumberId: shop.phoneNumberId })

const run = (act: (trx: Trx) => Promise<unknown>) => db.transaction().execute(act)

const requestCall = (key: LeadKey) =>
  sql`update leads set callback_requested_at = now() where id = ${key.leadId}`.execute(db)

t.test('called back and its undo', async t => {
  const { shop, callId, key, lead, actions } = await missed()
  await requestCall(key)
  const { callback_requested_at: requestedAt } = await lead()
  await run(trx => markCalledBack(trx, OPERATOR, key))
  t.match(await lead(), {
    state: 'reached_by_phone',
    called_back_at: Date,
    callback_requested_at: null,
    read_at: Date,
  })
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'reached_by_phone'])
  await run(trx => markCalledBack(trx, OPERATOR, key))
  t.equal((await actions()).length, 1, 'the second time changes nothing')

  await run(trx => undoCalledBack(trx, OPERATOR, key))
  t.match(await lead(), {
    called_back_at: null,
    callback_requested_at: requestedAt,
    reopened_at: Date,
  })
  t.strictSame(
    await outreachOf(shop.tenantId, callId),
    ['cancelled', 'reached_by_phone'],
    'cancelled messages stay cancelled',
  )
  await run(trx => undoCalledBack(trx, OPERATOR, key))
  t.match(await actions(), [
    {
      who: 'operator',
      action: 'lead.called_back',
      before: { state: 'new', called_back_at: null, callback_requested_at: String },
      after: { state: 'reached_by_phone', called_back_at: String, callback_requested_at: null },
    },
    { action: 'lead.called_back_undo', after: { callback_requested_at: String } },
  ])
  t.equal((await actions()).length, 2)
  await run(trx => markCalledBack(trx, OPERATOR, key))
  t.match(await lead(), { called_back_at: Date, callback_requested_at: null, reopened_at: null })
})

for (const [what, from, meanwhile, expected] of [
  ['a new lead', 'new', null, 'new'],
  ['a lead with a message', 'contacted', null, 'contacted'],
  ['a silent lead', 'unresponsive', null, 'unresponsive'],
  ['a lead who replied', 'replied', null, 'replied'],
  ['a lead who opted out', 'opted_out', null, 'opted_out'],
  ['a lead who was reached before', 'reached_by_phone', null, 'reached_by_phone'],
  ['a lead who wrote meanwhile', 'contacted', 'writes', 'replied'],
  ['a lead who was reached meanwhile', 'contacted', 'answers', 'reached_by_phone'],
  ['a lead who was reached on WhatsApp meanwhile', 'contacted', 'talks', 'reached_by_phone'],
] as const)
  t.test(`the undo of "called back" restores the state: ${what}`, async t => {
    const met = await missed()
    const { shop, who, key, lead } = met
    await db.updateTable('leads').set({ state: from }).where('id', '=', key.leadId).execute()
    await run(trx => markCalledBack(trx, OPERATOR, key))
    if (meanwhile === 'writes') await writes(met)
    if (meanwhile === 'answers')
      await tell(shop.token, callBackPush({ did: shop.did, target: who.local }))
    if (meanwhile === 'talks') await talksOnWhatsApp(shop, who.e164)
    await run(trx => undoCalledBack(trx, OPERATOR, key))
    t.match(await lead(), { state: expected, called_back_at: null, called_back_from: null })
  })

t.test('a call or a message after "called back" can be marked again', async t => {
  const { shop, who, key, actions } = await missed()
  await run(trx => markCalledBack(trx, OPERATOR, key))
  await miss(shop, who.local, {}, -2)
  await run(trx => markCalledBack(trx, OPERATOR, key))
  t.equal((await actions()).length, 2)
})

t.test('the outcome: with a value, replaced, taken back', async t => {
  const { shop, callId, key, lead, actions } = await missed()
  await requestCall(key)
  const steps = [
    { outcome: 'won', value: 350.5 },
    { outcome: 'won', value: 350.5 },
    { outcome: 'won', value: 400 },
    { outcome: 'lost' },
    { outcome: null },
    { outcome: null },
  ] as const
  const found = []
  for (const step of steps) {
    await run(trx => setOutcome(trx, OPERATOR, outcomeInput.parse({ ...key, ...step })))
    const { outcome, outcome_value, outcome_at, callback_requested_at } = await lead()
    t.equal(callback_requested_at, null)
    found.push([outcome, outcome_value, outcome_at !== null])
  }
  t.strictSame(found, [
    ['won', '350.50', true],
    ['won', '350.50', true],
    ['won', '400.00', true],
    ['lost', null, true],
    [null, null, false],
    [null, null, false],
  ])
  t.strictSame(await outreachOf(shop.tenantId, callId), ['cancelled', 'by_operator'])
  const log = await actions()
  t.strictSame(
    log.map(({ before, after }) => [before, after]),
    [
      [{ outcome: null }, { outcome: 'won' }],
      [{ outcome: 'won' }, { outcome: 'won' }],
      [{ outcome: 'won' }, { outcome: 'lost' }],
      [{ outcome: 'lost' }, { outcome: null }],
    ],
  )
})

t.test('outcomes and notes that are not valid', t => {
  const key = { tenantId: '1', leadId: '1' }
  const isOutcome = (fields: object) => outcomeInput.safeParse({ ...key, ...fields }).success
  for (const fields of [
    { outcome: 'maybe' },
    {},
    { outcome: 'won', value: -1 },
    { outcome: 'won', value: 0.001 },
    { outcome: 'won', value: 1_000_000_000 },
    { outcome: 'won', value: '5' },
    { outcome: 'won', value: NaN },
    { outcome: 'lost', value: 5 },
    { outcome: null, value: 5 },
  ])
    t.notOk(isOutcome(fields), JSON.stringify(fields))
  t.ok(isOutcome({ outcome: 'won', value: 19.99 }))
  t.ok(isOutcome({ outcome: 'lost', value: null }))
  const isNote = (note: unknown) => noteInput.safeParse({ ...key, note }).success
  t.strictSame(['x'.repeat(2000), '', 'x'.repeat(2001), 'a\0b', 5].map(isNote), [
    true,
    true,
    false,
    false,
    false,
  ])
  t.end()
})

t.test('a note is stored, and not in the audit log', async t => {
  const { key, lead, actions } = await missed()
  for (const note of [' likes mornings\r\n050-1234567 ', 'likes mornings\n050-1234567', ''])
    await run(trx => setNote(trx, OPERATOR, noteInput.parse({ ...key, note })))
  t.equal((await lead()).note, null)
  t.strictSame(
    (await actions()).map(({ before, after }) => [before, after]),
    [
      [{ has_note: false }, { has_note: true }],
      [{ has_note: true }, { has_note: false }],
    ],
  )
})

t.test('later: until nine the next day, or the next message', async t => {
  const met = await missed()
  const { key, lead, actions } = met
  await run(trx => markLater(trx, OPERATOR, key))
  await run(trx => markLater(trx, OPERATOR, key))
  const { later_until: until } = await lead()
  t.match(until?.toLocaleString('en-GB', { timeZone: 'Asia/Jerusalem' }), /, 09:00:00$/)
  t.ok(until && until.getTime() > Date.now())
  t.equal((await actions()).length, 1)
  await writes(met)
  t.equal((await lead()).later_until, null)
})

t.test('seen: only what came since is unread', async t => {
  const met = await missed()
  const { key, lead, actions } = met
  const readAt = async () => {
    await run(trx => markRead(trx, key))
    return (await lead()).read_at
  }
  const first = await readAt()
  t.strictSame(await readAt(), first, 'nothing new, nothing written')
  await writes(met)
  t.not((await readAt())?.getTime(), first?.getTime())
  t.strictSame(await actions(), [])
})

t.test('a lead of another tenant does not exist', async t => {
  const { key, lead, actions } = await missed()
  const other = await business()
  const foreign = { tenantId: other.tenantId, leadId: key.leadId }
  const before = await lead()
  const acts = [
    (trx: Trx) => markCalledBack(trx, OPERATOR, foreign),
    (trx: Trx) => undoCalledBack(trx, OPERATOR, foreign),
    (trx: Trx) => setOutcome(trx, OPERATOR, { ...foreign, outcome: 'lost' }),
    (trx: Trx) => setNote(trx, OPERATOR, { ...foreign, note: 'x' }),
    (trx: Trx) => markLater(trx, OPERATOR, foreign),
  ]
  for (const act of acts) await t.rejects(run(act), /there is no lead/)
  await run(trx => markRead(trx, foreign))
  t.strictSame(await lead(), before)
  t.strictSame(await actions(), [])
})
