/** Reading JSON, and its canonical form. */
import fc from 'fast-check'
import assert from 'node:assert/strict'
import t from 'tap'
import { canonical, isObject, type Json, LosslessNumber, readJson, storable } from '../app/json.ts'

const valueOf = (text: string): Json => {
  const json = readJson(text)
  if ('wrong' in json) throw new Error(json.wrong)
  return json.value
}
const elementsOf = (text: string): string[] | undefined => {
  const json = readJson(text)
  return 'wrong' in json ? undefined : json.elements?.map(element => element.text)
}
/** The form that is hashed and stored. */
const written = (text: string): string => canonical(valueOf(text))

const TOO_DEEP = { wrong: 'the JSON is nested deeper than 32 levels' }
const NO_JSON = { wrong: 'the body is not valid JSON' }

await t.test('a number keeps its digits as written', async t => {
  const kept = [
    '9007199254740993',
    '2026111810200200000000000001',
    '1.0',
    '0.10',
    '-0',
    '1e5',
    '1E5',
    '1e400',
    '-1e-400',
    '3.141592653589793238',
  ]
  for (const number of kept) t.strictSame(valueOf(number), new LosslessNumber(number), number)
  for (const number of ['0', '12', '-7', '1.5', '9007199254740991'])
    t.strictSame(valueOf(number), Number(number), number)
  t.strictSame(
    valueOf('{"a":[{"b":1.0}]}'),
    { a: [{ b: new LosslessNumber('1.0') }] },
    'at any level',
  )
})

await t.test('nesting is accepted down to 32 levels', async t => {
  const arrays = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
  for (const nested of [arrays, objects]) {
    t.notOk('wrong' in readJson(nested(32)), `${nested.name} 32`)
    for (const depth of [33, 5_000, 40_000, 1_000_000])
      t.match(readJson(nested(depth)), TOO_DEEP, `${nested.name} ${depth}`)
  }
  t.strictSame(readJson('['.repeat(1_000_000)), TOO_DEEP, 'never closed')
})

await t.test(
  'an array that is nested too deeply still gives the texts of its elements',
  async t => {
    const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    const rows: [text: string, ...texts: string[]][] = [
      [`[${deep}]`, deep],
      [` [ {"a":1} , ${deep},\n2 ] `, '{"a":1}', deep, '2'],
      [`[${deep},]`, deep, ''],
    ]
    for (const [text, ...texts] of rows)
      t.strictSame(readJson(text), { ...TOO_DEEP, texts }, text.slice(0, 20))
    // Here the start or end of the array is not certain, so there are no texts.
    for (const text of [`{"x":${deep}}`, `[${deep}`, `[${deep}],[1]`, `[${deep}] 1`, `1 [${deep}]`])
      t.strictSame(readJson(text), TOO_DEEP, `${text.slice(0, 8)} ... ${text.slice(-8)}`)
  },
)

await t.test('more values than the limit are rejected', async t => {
  const TOO_MANY = { wrong: 'the JSON holds more than 100 values' }
  const numbers = (length: number) => `[${Array.from({ length }, () => 1).join()}]`
  const objects = (length: number) => `[${Array.from({ length }, () => '{}').join()}]`
  t.notOk('wrong' in readJson(numbers(100), 100))
  t.strictSame(readJson(numbers(101), 100), TOO_MANY)
  t.notOk('wrong' in readJson(objects(50), 100))
  t.strictSame(readJson(objects(51), 100), TOO_MANY)
  const decimals = (length: number) => `[${Array.from({ length }, () => 1.5).join()}]`
  t.notOk('wrong' in readJson(decimals(20), 100))
  t.strictSame(
    readJson(decimals(21), 100),
    { wrong: 'the JSON holds more than 20 values' },
    'what is parsed slowly has a lower limit',
  )
  const deep = '['.repeat(40) + ']'.repeat(40)
  t.strictSame(readJson(`[${deep},${numbers(100)}]`, 100), TOO_DEEP, 'nor are its elements read')
  t.notOk(
    'wrong' in readJson(JSON.stringify(',[{'.repeat(100)), 100),
    'brackets and commas in a string do not count',
  )
  t.notOk('wrong' in readJson(numbers(1_000_000)), 'by default there is no limit')
})

await t.test('brackets side by side or in a string are not nesting', async t => {
  const many = Array.from({ length: 100 }, () => '{"a":[[]]}')
  t.equal(elementsOf(`[${many.join()}]`)?.length, 100)
  for (const text of ['[{'.repeat(50), '\\"[{'.repeat(50), '\\\\', '\\\\\\"['.repeat(40)])
    t.strictSame(valueOf(`{"a":"${text}"}`), { a: JSON.parse(`"${text}"`) }, text.slice(0, 8))
})

await t.test('each element of an array comes with its own text', async t => {
  const rows: [text: string, elements: string[]][] = [
    ['[]', []],
    ['[ \n]', []],
    ['[1]', ['1']],
    ['[ {"a": 1} ,\n\t{"b":[2, 3]}\r\n]', ['{"a": 1}', '{"b":[2, 3]}']],
    ['["a,b]","c\\"],[{","\\\\"]', ['"a,b]"', '"c\\"],[{"', '"\\\\"']],
    ['[{"a":"}],["},null]', ['{"a":"}],["}', 'null']],
    ['[[1,2],[[3]],{}]', ['[1,2]', '[[3]]', '{}']],
    ['[1.0,1e400,"תור"]', ['1.0', '1e400', '"תור"']],
    ['["\\u005d","\\ud83d"]', ['"\\u005d"', '"\\ud83d"']],
    [' [1 , 2] ', ['1', '2']],
  ]
  for (const [text, elements] of rows) {
    t.strictSame(elementsOf(text), elements, text)
    const values = elements.map(valueOf)
    t.strictSame(valueOf(text), values, `${text}: the value and the text agree`)
  }
  const paired = readJson('[{"a":1.0},2]')
  t.match(paired, {
    elements: [{ value: { a: new LosslessNumber('1.0') }, text: '{"a":1.0}' }, { value: 2 }],
  })
})

await t.test('only an array has elements', async t => {
  for (const text of ['{"a":[1,2]}', '"[1,2]"', 'null', '1']) {
    const json = readJson(text)
    t.equal('elements' in json ? json.elements : undefined, null, text)
  }
})

await t.test('invalid JSON is rejected', async t => {
  const texts = ['', '{', '[1,]', ']]]]', '}{', '{"a":1}}', '"', '"\\', "{'a':1}", '[1 2]', '{a:1}']
  for (const text of [...texts, 'NaN', '01', '{"a":"\n"}', '{"a":"\0"}', '\ufeff{}'])
    t.strictSame(readJson(text), NO_JSON, JSON.stringify(text))
})

await t.test('the canonical form does not depend on the layout of a record', async t => {
  const rows: [name: string, canonical: string, ...texts: string[]][] = [
    ['order of names', '{"a":1,"b":2}', '{"a":1,"b":2}', '{"b":2,"a":1}', ' { "b" : 2,\n"a":1}'],
    ['deep inside', '[{"a":{"c":1,"d":2}}]', '[{"a":{"d":2,"c":1}}]'],
    ['escapes', '{"a":"é/"}', '{"a":"\\u00e9\\/"}', '{"\\u0061":"é/"}'],
    ['numbers as names', '{"10":1,"9":2,"a":3}', '{"9":2,"a":3,"10":1}'],
    ['by code unit, not by language', '{"B":1,"a":2,"ב":3}', '{"ב":3,"a":2,"B":1}'],
    ['the last of two names', '{"a":2}', '{"a":2}', '{"a":1,"a":2}', '{"a":[1.0],"a":2}'],
    ['nothing', '[null,true,false,"",[],{}]', '[ null, true, false, "", [ ], { } ]'],
  ]
  for (const [name, form, ...texts] of rows)
    for (const text of texts) t.equal(written(text), form, `${name}: ${text}`)
})

await t.test(
  'an object has the names in order, each with the canonical form of its value',
  async () => {
    const name = fc.oneof(
      fc.constantFrom(
        'did',
        'DID',
        'time',
        '9',
        '10',
        '01',
        '__proto__',
        'toJSON',
        '',
        'a\0',
        '\ud800',
      ),
      fc.string({ unit: 'binary' }),
    )
    const value = fc.oneof(
      fc.constantFrom<Json>(
        '',
        'a\0b',
        '\ud800',
        '"\\/\u2028',
        '\u0001',
        new LosslessNumber('1.0'),
      ),
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.dictionary(name, fc.string(), { maxKeys: 3 }),
      fc.array(fc.integer(), { maxLength: 3 }),
    )
    const objects = fc.oneof(
      fc.dictionary(name, value, { maxKeys: 8 }),
      fc.dictionary(fc.constantFrom('did', 'status', 'type', 'a', '\ud800'), value),
    )
    fc.assert(
      fc.property(objects, object => {
        const fields = Object.keys(object)
          .sort()
          .map(name => `${JSON.stringify(storable(name))}:${canonical(object[name] ?? null)}`)
        assert.equal(canonical(object), `{${fields.join()}}`)
      }),
      { numRuns: 2000, includeErrorInReport: true },
    )
  },
)

await t.test('different records have different canonical forms', async t => {
  const pairs: [string, string][] = [
    ['[1,2]', '[2,1]'],
    ['{"a":1}', '{"a":1.0}'],
    ['{"a":1}', '{"a":"1"}'],
    ['{"a":1.0}', '{"a":1.00}'],
    ['{"a":9007199254740992}', '{"a":9007199254740993}'],
    ['{"a":1e5}', '{"a":100000}'],
    ['{"a":null}', '{}'],
    ['{"a":""}', '{"a":null}'],
    ['{"a":"x"}', '{"A":"x"}'],
    ['{"a":"x"}', '{"a":"x "}'],
    ['{"a":{"b":1}}', '{"a":[{"b":1}]}'],
  ]
  for (const [one, other] of pairs) t.not(written(one), written(other), `${one} and ${other}`)
})

await t.test(
  'the canonical form has numbers as written, or as text if JavaScript would lose digits',
  async t => {
    const rows: Record<string, string> = {
      '0': '0',
      '-7': '-7',
      '1.5': '1.5',
      '1.0': '1.0',
      '0.10': '0.10',
      '-0': '"-0"',
      '9007199254740993': '"9007199254740993"',
      '2026111810200200000000000001': '"2026111810200200000000000001"',
      '1e5': '"1e5"',
      '1e400': '"1e400"',
      '1e200000': '"1e200000"',
      [`0.${'1'.repeat(400)}`]: `"0.${'1'.repeat(400)}"`,
    }
    for (const [number, form] of Object.entries(rows))
      t.equal(written(number), form, number.slice(0, 40))
  },
)

await t.test('Postgres accepts the canonical form', async t => {
  const rows: [text: string, form: string][] = [
    ['{"a":"x\\u0000y"}', '{"a":"xy"}'],
    ['{"a\\u0000":"x"}', '{"a":"x"}'],
    ['{"a":"\\ud800"}', '{"a":"\ufffd"}'],
    ['{"a":"x\\udc00y"}', '{"a":"x\ufffdy"}'],
    ['{"\\ud800":"x"}', '{"\ufffd":"x"}'],
    ['{"a":["\\u0000",{"b\\u0000":"\\udfff"}]}', '{"a":["",{"b":"\ufffd"}]}'],
    ['{"a":"\\ud83d\\ude00"}', '{"a":"😀"}'],
  ]
  for (const [text, form] of rows) t.equal(written(text), form, text)
  t.equal(canonical({ 'a\0': 'b\0' }), '{"a":"b"}', 'also for a record from a form')
})

await t.test('a name is read as it is stored', async t => {
  t.strictSame(valueOf('{"did\\u0000":1}'), { did: 1 })
  t.strictSame(valueOf('{"a":[{"b\\ud800":1}]}'), { a: [{ 'b\ufffd': 1 }] })
  t.strictSame(valueOf('{"did":1,"did\\u0000":2}'), { did: 2 }, 'the last one counts')
  t.strictSame(valueOf('{"did\\u0000":2,"did":1}'), { did: 1 }, 'the last one counts')
  t.strictSame(
    valueOf('{"a":"x\\u0000"}'),
    { a: 'x\0' },
    'a value keeps its NUL, so that an id can be rejected',
  )
})

await t.test('names such as __proto__ and constructor are ordinary names', async t => {
  const text = '{"__proto__":{"admin":true},"constructor":1.0,"toString":2,"toPostgres":3}'
  t.equal(
    written(text),
    '{"__proto__":{"admin":true},"constructor":1.0,"toPostgres":3,"toString":2}',
  )
  const value = valueOf(text)
  t.ok(isObject(value) && Object.hasOwn(value, '__proto__'))
  t.equal(isObject(value) && value['admin'], undefined)
  t.notOk('admin' in {}, 'no other object is affected')
  t.equal(written('{"__proto__\\u0000":{"admin":true}}'), '{"__proto__":{"admin":true}}')
  t.equal(written('{"__proto__":1,"__proto__":2}'), '{"__proto__":2}')
})

await t.test('reading the canonical form gives the same canonical form', async t => {
  const texts = [
    '{"b":1.0,"a":"x\\u0000\\ud800","n":9007199254740993,"e":1e400,"z":-0}',
    '{"__proto__":[1,{"a\\u0000":null}],"IVR":"[{\\"Dtmf\\":1}]"}',
  ]
  for (const text of texts) t.equal(written(written(text)), written(text), text)
})

await t.test('isObject', async t => {
  for (const value of [{}, { a: 1 }, Object.create(null)]) t.ok(isObject(value))
  for (const value of [null, undefined, [], 'x', 1, true, new LosslessNumber('1.0')])
    t.notOk(isObject(value), JSON.stringify(value))
})

await t.test('storable removes what Postgres cannot store and nothing else', async t => {
  t.equal(storable('a\0b\0'), 'ab')
  t.equal(storable('\ud800x\udc00'), '\ufffdx\ufffd')
  for (const text of ['', ' תור\n', '😀', '\u0001', '\ufeff']) t.equal(storable(text), text)
})
