import t from 'tap'
import { decide, type ContactContext, type SkipReason } from '../../app/outreach/rules.ts'
import { readPhone } from '../../app/phone.ts'

const withCaller = (written: string | null): Partial<ContactContext> => ({
  caller: readPhone(written),
})

/** A caller to whom nothing speaks against writing. */
const GOOD: ContactContext = {
  caller: readPhone('0502345678'),
  ownNumber: false,
  contactForeign: false,
  optedOut: false,
  mode: 'live',
  connection: 'active',
  contacted: false,
  late: false,
  reached: false,
  replied: false,
}
const decided = (...facts: Partial<ContactContext>[]): string => {
  const { state, reason } = decide(Object.assign({}, GOOD, ...facts))
  return `${state} / ${reason}`
}

/** In the order in which they are asked. */
const REASONS: [reason: SkipReason, facts: Partial<ContactContext>][] = [
  ['withheld_number', withCaller('')],
  ['own_number', { ownNumber: true }],
  ['not_mobile', withCaller('031234567')],
  ['opted_out', { optedOut: true }],
  ['tenant_paused', { mode: 'paused' }],
  ['no_connection', { connection: null }],
  ['already_contacted', { contacted: true }],
  ['too_late', { late: true }],
]
const REACHED = { reached: true }
const REPLIED = { replied: true }
const PAUSED: Partial<ContactContext> = { connection: 'paused' }

await t.test('a caller is written to if nothing speaks against it', async t => {
  t.equal(decided(), 'scheduled / waiting')
  t.equal(decided({ mode: 'shadow' }), 'scheduled / waiting', 'shadow decides like live')
})

await t.test('each reason alone is enough', async t => {
  for (const [reason, facts] of REASONS) t.equal(decided(facts), `skipped / ${reason}`)
  t.equal(decided(REACHED), 'cancelled / reached_by_phone')
  t.equal(decided(REPLIED), 'cancelled / replied')
  t.equal(decided(PAUSED), 'scheduled / connection_paused')
})

await t.test('of two reasons the first is told', async t => {
  let pairs = 0
  for (const [i, [first, facts]] of REASONS.entries())
    for (const [second, more] of REASONS.slice(i + 1)) {
      // One caller cannot be both.
      if (facts.caller && more.caller) continue
      t.equal(decided(facts, more), `skipped / ${first}`, `${first} before ${second}`)
      pairs++
    }
  t.equal(pairs, 27)
})

await t.test(
  'a reason to skip is told before a talk, a talk before a paused connection',
  async t => {
    for (const [reason, facts] of REASONS) {
      t.equal(decided(REACHED, facts), `skipped / ${reason}`, `${reason} before reached_by_phone`)
      t.equal(decided(REPLIED, facts), `skipped / ${reason}`, `${reason} before replied`)
      t.equal(decided(PAUSED, facts), `skipped / ${reason}`, `${reason} before connection_paused`)
    }
    t.equal(decided(PAUSED, REACHED), 'cancelled / reached_by_phone')
    t.equal(decided(REPLIED, REACHED), 'cancelled / reached_by_phone')
    t.equal(decided(PAUSED, REPLIED), 'cancelled / replied')
    t.equal(decided(PAUSED, { mode: 'shadow' }), 'scheduled / connection_paused')
  },
)

await t.test('all reasons at once fall away one by one', async t => {
  const all = REASONS.filter(([reason]) => reason !== 'not_mobile')
  for (const [i, [reason]] of all.entries()) {
    const facts = all.slice(i).map(([, facts]) => facts)
    t.equal(decided(REACHED, ...facts), `skipped / ${reason}`)
  }
})

await t.test('an Israeli mobile is written to, also one that libphonenumber refuses', async t => {
  const mobiles = ['0502345678', '972523456789', '+972-54-234-5678', '0501234567', '0571234567']
  const palestinian = ['0599123456', '0561234567', '+970599123456', '+970561234567', '972599123456']
  for (const written of [...mobiles, ...palestinian])
    for (const contactForeign of [false, true])
      t.equal(decided(withCaller(written), { contactForeign }), 'scheduled / waiting', written)
})

await t.test('a number abroad is written to only where the business wants it', async t => {
  for (const written of ['+40376300329', '40376300329', '+14155550123', '+442079460958']) {
    const kind = readPhone(written).kind
    t.equal(kind, 'number', `${written} is read`)
    t.equal(decided(withCaller(written)), 'skipped / not_mobile', written)
  }
  const foreign = { contactForeign: true }
  t.equal(decided(withCaller('+40376300329'), foreign), 'scheduled / waiting')
  t.equal(decided(withCaller('40376300329'), foreign), 'scheduled / waiting')
  for (const written of ['+999123456789', '+4012', '+14155', '+1555'])
    t.equal(decided(withCaller(written), foreign), 'skipped / not_mobile', `${written}: no number`)
  t.equal(
    decided({ caller: { kind: 'number', e164: '+40999999999' }, contactForeign: true }),
    'skipped / not_mobile',
    'not one that exists',
  )
})

await t.test('whatever else calls is no mobile', async t => {
  const landlines = ['031234567', '021234567', '0722776772', '0702246666', '+97231234567']
  const others = ['1800123456', '*2700', '2700', '100', 'KGpK4iWq', 'Queue 0501234567', '12345678']
  for (const written of [...landlines, ...others])
    for (const contactForeign of [false, true])
      t.equal(decided(withCaller(written), { contactForeign }), 'skipped / not_mobile', written)
})

await t.test('a withheld number is told from a number that is none', async t => {
  for (const written of ['', null, '0', '-1', 'anonymous', 'חסוי', '0000000000'])
    t.equal(decided(withCaller(written)), 'skipped / withheld_number', String(written))
})
