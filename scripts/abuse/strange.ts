/** What breaks programs: texts, numbers, names and bytes, as fast-check generates them. */
import fc from 'fast-check'

const UNITS = fc.integer({ min: 0, max: 0xffff }).map(unit => String.fromCharCode(unit))

/** Texts of which some Postgres cannot store, some no log should print, and some look like something else. */
const TEXTS = [
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800x',
  '😀\ud83d',
  '\ufeff\ufffd\u2028\u202eבוקר טוב\u200f',
  `'; drop table leads; --`,
  `$1 \\' " \\ \\u0000 %s %n {{1}} \${jndi:ldap://x}`,
  '=cmd|/c calc!A1',
  'x\r\nSet-Cookie: a=b\r\n\u001b[31mred\u0007',
  '<script>alert(1)</script>&#0;',
  '../../etc/passwd%00',
  '__proto__',
  'constructor',
  '[object Object]',
  '',
  ' \t\n\u00a0',
  'null',
  'NaN',
  '-1',
  '0',
  '1e309',
  'infinity',
  '٠٥٠١٢٣٤٥٦٧',
  '+972 (50) 234-5678;ext=1',
  'sip:0502345678@voicenter.co',
  '0'.repeat(300),
  'ש'.repeat(5000),
  'x'.repeat(100_000),
]

export const strangeText: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constantFrom(...TEXTS), weight: 30 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 40 }), weight: 10 },
  { arbitrary: fc.string({ unit: UNITS, maxLength: 40 }), weight: 10 },
  // Random, so that no compression makes an index take it.
  { arbitrary: fc.string({ unit: UNITS, minLength: 3000, maxLength: 4000 }), weight: 1 },
)

/** Numbers as text, since a double would not keep them as they are written. */
const strangeNumber = fc.oneof(
  fc.constantFrom(
    '1e400',
    '-1e400',
    '1e200000',
    '1e-400',
    '-0',
    '0.0',
    '1.0',
    '1E5',
    '9007199254740993',
  ),
  fc.constantFrom('9'.repeat(1000), `0.${'1'.repeat(1000)}`, '2147483648', '-9223372036854775809'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => JSON.stringify(value)),
)

/** Names that mean something to the language, to the driver, or to a reader of the record. */
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'toPostgres',
  'toJSON',
  'then',
  '',
  '0',
  '$ne',
]
export const strangeName: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...NAMES),
  // None that by chance is a field of the record.
  strangeText.map(text => `~${text}`),
)

/** Times that a database takes for something, and that are no time of a call. */
export const strangeTime: fc.Arbitrary<string> = fc.oneof(
  fc
    .constantFrom(
      'now',
      'tomorrow',
      'infinity',
      '-infinity',
      'epoch',
      'allballs',
      '0001-01-01',
      '275760-09-13',
    )
    .map(time => JSON.stringify(time)),
  // The hour that March leaves out, the one that October has twice; no date; no zone; a zone nobody has.
  fc
    .constantFrom(
      '2027-03-26 02:30:00',
      '2026-10-25 01:30:00',
      '2026-02-30T00:00:00Z',
      '2026-11-15T10:15:03+99:00',
    )
    .map(time => JSON.stringify(time)),
  fc
    .integer({ min: -20, max: 20 })
    .map(days => String(Math.floor(Date.now() / 1000) + days * 86_400)),
  fc.integer({ min: -20, max: 20 }).map(days => String(Date.now() + days * 86_400_000)),
  strangeNumber,
)

const nest = (levels: number, inner: string): string =>
  `${'['.repeat(levels)}${inner}${']'.repeat(levels)}`

/** A JSON text, at most 28 levels deep. */
export const strangeJson: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: strangeText.map(text => JSON.stringify(text)), weight: 4 },
  { arbitrary: strangeNumber, weight: 2 },
  {
    arbitrary: fc.constantFrom(
      'null',
      'true',
      'false',
      '{}',
      '[]',
      '{"a":{"a":[{}]}}',
      nest(28, '1'),
    ),
    weight: 2,
  },
  {
    arbitrary: fc
      .tuple(strangeName, strangeText)
      .map(
        ([name, text]) => `{${JSON.stringify(name)}:{"admin":true,"x":${JSON.stringify(text)}}}`,
      ),
    weight: 1,
  },
)

/** What is no JSON, or too deep to be read: never to be taken for a record. */
export const brokenJson: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .constantFrom(
      '',
      ' \n',
      '{',
      '}',
      '[',
      '"',
      '{"a":',
      '{a:1}',
      "{'a':1}",
      '[1,]',
      '{"a":1}{"a":1}',
      'undefined',
    )
    .map(text => Buffer.from(text)),
  fc
    .constantFrom(33, 1000, 40_000, 200_000)
    .map(levels => Buffer.from(`{"a":${nest(levels, '')}}`)),
  fc.constantFrom(33, 200_000).map(levels => Buffer.from('['.repeat(levels))),
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map(bytes => Buffer.from([0xff, ...bytes])),
)

/** A few bytes changed, cut out, doubled or cut off: most of it stays what it was, and so it goes deep. */
export const mutated = (original: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> => {
  const change = fc.record({
    kind: fc.constantFrom('flip', 'set', 'cut', 'double', 'insert', 'truncate'),
    /** Where, as a share of the whole. */
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    length: fc.integer({ min: 1, max: 10 }),
    byte: fc.integer({ min: 0, max: 255 }),
    text: fc.oneof(
      strangeJson,
      fc.constantFrom(',', ':', '"', '}', ']', '[', '{', '\\', '\\u0000', '%00', '&', '='),
    ),
  })
  return fc
    .tuple(original, fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([bytes, changes]) =>
      changes.reduce<Buffer>((now, { kind, at, length, byte, text }) => {
        const start = Math.floor(at * now.length)
        const [before, meant, after] = [
          now.subarray(0, start),
          now.subarray(start, start + length),
          now.subarray(start + length),
        ]
        if (kind === 'truncate') return before
        if (kind === 'cut') return Buffer.concat([before, after])
        if (kind === 'double') return Buffer.concat([before, meant, meant, after])
        if (kind === 'insert') return Buffer.concat([before, Buffer.from(text), meant, after])
        const [first = 0] = meant
        const changed = kind === 'flip' ? first ^ (1 << (byte % 8)) : byte
        return Buffer.concat([before, Buffer.from([changed]), now.subarray(start + 1)])
      }, bytes),
    )
}
