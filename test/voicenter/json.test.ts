import t from 'tap'
import {
  canonical,
  LosslessNumber,
  isObject,
  type Json,
  readJson,
  storable,
} from '../../app/json.ts'

const valueOf = (text: string): Json => {
  const json = readJson(text)
  if ('wrong' in json) throw new Error(json.wrong)
  return json.value
}
const elementsOf = (text: string): string[] | undefined => {
  const json = readJson(text)
  return 'wrong' in json ? undefined : json.elements?.map(element => element.text)
}
/** As it is hashed and stored. */
const written = (text: string): string => canonical(valueOf(text))

const TOO_DEEP = { wrong: 'the JSON is nested deeper than 32 levels' }
const NO_JSON = { wrong: 'the body is not valid JSON' }

await t.test('a number keeps the digits it was written with', async t => {
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

await t.test('nesting is followed down to 32 levels', async t => {
  const arrays = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
  for (const nested of [arrays, objects]) {
    t.notOk('wrong' in readJson(nested(32)), `${nested.name} 32`)
    for (const depth of [33, 5_000, 40_000, 1_000_000])
      t.match(readJson(nested(depth)), TOO_DEEP, `${nested.name} ${depth}`)
  }
  t.strictSame(readJson('['.repeat(1_000_000)), TOO_DEEP, 'never closed')
})

await t.test('of an array that is too deep the texts of its elements are still told', async t => {
  const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
  const rows: [text: string, ...texts: string[]][] = [
    [`[${deep}]`, deep],
    [` [ {"a":1} , ${deep},\n2 ] `, '{"a":1}', deep, '2'],
    [`[${deep},]`, deep, ''],
  ]
  for (const [text, ...texts] of rows)
    t.strictSame(readJson(text), { ...TOO_DEEP, texts }, text.slice(0, 20))
  // Where it begins or ends is not sure, so nothing of it is.
  for (const text of [`{"x":${deep}}`, `[${deep}`, `[${deep}],[1]`, `[${deep}] 1`, `1 [${deep}]`])
    t.strictSame(readJson(text), TOO_DEEP, `${text.slice(0, 8)} ... ${text.slice(-8)}`)
})

await t.test('values are counted where there is a limit', async t => {
  const TOO_MANY = { wrong: 'the JSON holds more than 100 values' }
  const numbers = (length: number) => `[${Array.from({ length }, () => 1).join()}]`
  const objects = (length: number) => `[${Array.from({ length }, () => '{}').join()}]`
  t.notOk('wrong' in readJson(numbers(100), 100))
  t.strictSame(readJson(numbers(101), 100), TOO_MANY)
  t.notOk('wrong' in readJson(objects(50), 100))
  t.strictSame(readJson(objects(51), 100), TOO_MANY)
  t.notOk('wrong' in readJson(JSON.stringify(',[{'.repeat(100)), 100), 'in a text they are none')
  t.notOk('wrong' in readJson(numbers(1_000_000)), 'elsewhere there is none')
})

await t.test('brackets beside each other or in a string are not nesting', async t => {
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
    t.strictSame(valueOf(text), values, `${text}: value and text belong together`)
  }
  const paired = readJson('[{"a":1.0},2]')
  t.match(paired, {
    elements: [{ value: { a: new LosslessNumber('1.0') }, text: '{"a":1.0}' }, { value: 2 }],
  })
})

await t.test('what is no array has no elements', async t => {
  for (const text of ['{"a":[1,2]}', '"[1,2]"', 'null', '1']) {
    const json = readJson(text)
    t.equal('elements' in json ? json.elements : undefined, null, text)
  }
})

await t.test('what is not JSON is said not to be, whatever its brackets look like', async t => {
  const texts = ['', '{', '[1,]', ']]]]', '}{', '{"a":1}}', '"', '"\\', "{'a':1}", '[1 2]', '{a:1}']
  for (const text of [...texts, 'NaN', '01', '{"a":"\n"}', '{"a":"\0"}', '\ufeff{}'])
    t.strictSame(readJson(text), NO_JSON, JSON.stringify(text))
})

await t.test('the canonical form does not depend on how a record was laid out', async t => {
  const rows: [name: string, canonical: string, ...texts: string[]][] = [
    ['order of names', '{"a":1,"b":2}', '{"a":1,"b":2}', '{"b":2,"a":1}', ' { "b" : 2,\n"a":1}'],
    ['deep inside', '[{"a":{"c":1,"d":2}}]', '[{"a":{"d":2,"c":1}}]'],
    ['escapes', '{"a":"é/"}', '{"a":"\\u00e9\\/"}', '{"\\u0061":"é/"}'],
    ['by code unit, not by language', '{"B":1,"a":2,"ב":3}', '{"ב":3,"a":2,"B":1}'],
    ['the last of two names', '{"a":2}', '{"a":2}', '{"a":1,"a":2}', '{"a":[1.0],"a":2}'],
    ['nothing', '[null,true,false,"",[],{}]', '[ null, true, false, "", [ ], { } ]'],
  ]
  for (const [name, form, ...texts] of rows)
    for (const text of texts) t.equal(written(text), form, `${name}: ${text}`)
})

await t.test('the canonical form keeps what tells two records apart', async t => {
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
  'numbers are written as they came, or as text where a reader would lose them',
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

await t.test('nothing that Postgres refuses is left in the canonical form', async t => {
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
  t.equal(canonical({ 'a\0': 'b\0' }), '{"a":"b"}', 'also of a record that was no JSON')
})

await t.test('a name is read as it will be stored', async t => {
  t.strictSame(valueOf('{"did\\u0000":1}'), { did: 1 })
  t.strictSame(valueOf('{"a":[{"b\\ud800":1}]}'), { a: [{ 'b\ufffd': 1 }] })
  t.strictSame(valueOf('{"did":1,"did\\u0000":2}'), { did: 2 }, 'the last of two')
  t.strictSame(valueOf('{"did\\u0000":2,"did":1}'), { did: 1 }, 'the last of two')
  t.strictSame(
    valueOf('{"a":"x\\u0000"}'),
    { a: 'x\0' },
    'values stay as they are: an id may be refused',
  )
})

await t.test('names that objects have anyway are names like any other', async t => {
  const text = '{"__proto__":{"admin":true},"constructor":1.0,"toString":2,"toPostgres":3}'
  t.equal(
    written(text),
    '{"__proto__":{"admin":true},"constructor":1.0,"toPostgres":3,"toString":2}',
  )
  const value = valueOf(text)
  t.ok(isObject(value) && Object.hasOwn(value, '__proto__'))
  t.equal(isObject(value) && value['admin'], undefined)
  t.notOk('admin' in {}, 'and nobody else has got any')
  t.equal(written('{"__proto__\\u0000":{"admin":true}}'), '{"__proto__":{"admin":true}}')
  t.equal(written('{"__proto__":1,"__proto__":2}'), '{"__proto__":2}')
})

await t.test('a record read back from its canonical form has the same canonical form', async t => {
  const texts = [
    '{"b":1.0,"a":"x\\u0000\\ud800","n":9007199254740993,"e":1e400,"z":-0}',
    '{"__proto__":[1,{"a\\u0000":null}],"IVR":"[{\\"Dtmf\\":1}]"}',
  ]
  for (const text of texts) t.equal(written(written(text)), written(text), text)
})

await t.test('only what has names is an object', async t => {
  for (const value of [{}, { a: 1 }, Object.create(null)]) t.ok(isObject(value))
  for (const value of [null, undefined, [], 'x', 1, true, new LosslessNumber('1.0')])
    t.notOk(isObject(value), JSON.stringify(value))
})

await t.test('text is made storable and otherwise left alone', async t => {
  t.equal(storable('a\0b\0'), 'ab')
  t.equal(storable('\ud800x\udc00'), '\ufffdx\ufffd')
  for (const text of ['', ' תור\n', '😀', '\u0001', '\ufeff']) t.equal(storable(text), text)
})
