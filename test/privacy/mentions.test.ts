/** In which spellings a person is found, and in which not: by the rule, and by what Postgres lets through to it. */
import { sql } from 'kysely'
import fc from 'fast-check'
import t from 'tap'
import { db } from '../support/ringback.ts'
import { spellings } from '../../app/phone.ts'
import { mentions, readable, sieve } from '../../app/privacy/mentions.ts'

const of = (e164: string) => ({ phones: spellings(e164), others: ['US.13491208655302741918'] })
const HERS = of('+972521234567')

/** What Postgres lets through, of a text and of the bytes of a body. */
const passes = async (names: typeof HERS, written: string, bytes = Buffer.from(written)) => {
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
  'the rep said: call her at 052-1234567.',
  '{"from_user_id":"US.13491208655302741918"}',
]
const OTHERS = [
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

await t.test('every spelling of her number is hers', async t => {
  for (const written of WRITTEN) {
    t.ok(mentions(HERS)(written), written)
    t.strictSame(await passes(HERS, written), { text: true, bytes: true }, `the sieve: ${written}`)
  }
})

await t.test('a longer number, another one, or digits that stand apart are not', t => {
  for (const written of OTHERS) t.notOk(mentions(HERS)(written), written)
  t.end()
})

await t.test('a body is read whatever its encoding', async t => {
  for (const encoding of ['utf8', 'utf16le', 'latin1'] as const) {
    const body = Buffer.from('{"caller":"052-1234567"}', encoding)
    t.ok(mentions(HERS)(readable(body)), encoding)
    t.match(await passes(HERS, '', body), { bytes: true }, `the sieve: ${encoding}`)
  }
  const swapped = Buffer.from('0521234567', 'utf16le').swap16()
  t.ok(mentions(HERS)(readable(swapped)))
  t.match(await passes(HERS, '', swapped), { bytes: true })
})

await t.test('a landline without its area code’s 0 could be a date', t => {
  const landline = of('+97220261115')
  t.ok(mentions(landline)('02-026-1115'))
  t.ok(mentions(landline)('+97220261115'))
  t.notOk(mentions(landline)('20261115'))
  t.end()
})

await t.test('one subscriber of two countries is found under both', t => {
  for (const written of ['+970599123456', '0599123456', '972599123456', '00970-59-912-3456'])
    for (const e164 of ['+970599123456', '+972599123456'])
      t.ok(mentions(of(e164))(written), `${e164}: ${written}`)
  t.end()
})

await t.test('a foreign number is found with its country code, and not without', async t => {
  const foreign = of('+14155550123')
  for (const written of ['+1 (415) 555-0123', '0014155550123', '01214155550123', '14155550123']) {
    t.ok(mentions(foreign)(written), written)
    t.match(await passes(foreign, written), { text: true, bytes: true })
  }
  t.notOk(mentions(foreign)('4155550123'))
  t.end()
})

await t.test('what the rule finds, the sieve lets through', async t => {
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
      if (!mentions(HERS)(written)) return
      found++
      const through = await passes(HERS, written)
      if (!through?.text || !through.bytes) throw new Error(written)
    }),
    { numRuns: 300 },
  )
  t.ok(found > 100, String(found))
})
