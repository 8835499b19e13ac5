import { readFile } from 'node:fs/promises'
import t from 'tap'
import { type ParsedBody, readBody, readCdr } from '../../app/voicenter/parse.ts'
import { canonical, LosslessNumber, type JsonObject } from '../../app/json.ts'

const read = (body: string | Buffer): ParsedBody => readBody(Buffer.from(body))

/** The records of a body that has nothing but records. */
const recordsOf = (body: string | Buffer): JsonObject[] => {
  const read = readBody(Buffer.from(body))
  if (!('elements' in read)) throw new Error(JSON.stringify(read))
  return read.elements.map(element => {
    if ('wrong' in element) throw new Error(element.wrong)
    return { ...element.record }
  })
}
/** What is said about each element: its record, or what is wrong with it. */
const elementsOf = (body: string | Buffer) => {
  const read = readBody(Buffer.from(body))
  return 'elements' in read
    ? read.elements.map(element => ('wrong' in element ? element.wrong : { ...element.record }))
    : read
}
const bytesOf = (body: string | Buffer): Buffer[] | undefined => {
  const read = readBody(Buffer.from(body))
  return 'elements' in read ? read.elements.map(element => element.bytes) : undefined
}

const CALL = '{"ivruniqueid":"20261116140001","status":"NOANSWER","caller":"0502345678","did":"1"}'
const call: JsonObject = JSON.parse(CALL)

const NO_JSON = { wrong: 'the body is not valid JSON' }
const NO_UTF8 = { wrong: 'the body is not valid UTF-8' }
const NEITHER = { wrong: 'the body is neither a JSON object, nor an array of them, nor a form' }
const NO_FORM = { wrong: 'the form is not percent-encoded UTF-8' }
const TOO_DEEP = { wrong: 'the JSON is nested deeper than 32 levels' }

await t.test('one record, or several in an array, are read', async t => {
  t.strictSame(recordsOf(CALL), [call])
  t.strictSame(recordsOf(`[${CALL}]`), [call])
  t.strictSame(recordsOf(`[${CALL},{"a":1}]`), [call, { a: 1 }])
  const folder = new URL('../fixtures/voicenter/', import.meta.url)
  const queue = await readFile(new URL('queue-answer.json', folder))
  t.strictSame(recordsOf(queue), [JSON.parse(queue.toString())])
})

await t.test('a form is read, with plus signs, percent signs and Hebrew', async t => {
  const rows: [form: string, record: JsonObject][] = [
    ['a=1', { a: '1' }],
    ['a=1&b=2', { a: '1', b: '2' }],
    ['a=&b', { a: '', b: '' }],
    ['a=b=c', { a: 'b=c' }],
    ['type=Incoming+Call&x=%2B1', { type: 'Incoming Call', x: '+1' }],
    ['a+b=1', { 'a b': '1' }],
    ['name=%D7%AA%D7%95%D7%A8', { name: 'תור' }],
    ['name=תור', { name: 'תור' }],
    ['a=1&a=2', { a: '2' }],
    ['&&a=1&=2&', { a: '1' }],
    ['a=1\r\n', { a: '1' }],
    ['a=x%00y', { a: 'x\0y' }],
    ['a%00=1', { a: '1' }],
    ['IVR=%5B%7B%22Dtmf%22%3A1%7D%5D', { IVR: '[{"Dtmf":1}]' }],
    ['caller=0502345678&time=1795109808', { caller: '0502345678', time: '1795109808' }],
  ]
  for (const [form, record] of rows) t.strictSame(recordsOf(form), [record], form)

  const file = new URL('../fixtures/voicenter/missed-form-encoded.txt', import.meta.url)
  const [record] = recordsOf(await readFile(file))
  t.match(record, {
    ivruniqueid: '2026111917364507b3c',
    type: 'Incoming Call',
    targetextension: '',
  })
  const layers = record?.['IVR']
  t.match(typeof layers === 'string' && JSON.parse(layers), [{ layer_name: 'תפריט ראשי' }])
})

await t.test('a form with anything but percent-encoded UTF-8 is refused', async t => {
  // %F9%E5%EC%E4 is a Hebrew word in windows-1255.
  for (const form of [
    'a=%',
    'a=%zz',
    'a=%2',
    'a=100%&b=1',
    'a=%F9%E5%EC%E4',
    '%ff=1',
    'a=%ed%a0%80',
  ])
    t.strictSame(read(form), NO_FORM, form)
  t.strictSame(read('a=x\0y'), { wrong: 'the form holds a NUL byte' })
})

await t.test('JSON is known by its first sign, whatever stands around it', async t => {
  for (const space of ['', ' ', '\n', '\r\n\t  '])
    for (const body of [`${space}${CALL}${space}`, `${space}[${space}${CALL}${space}]${space}`])
      t.strictSame(recordsOf(body), [call], JSON.stringify(body.slice(0, 8)))
  const url = '{"record":"https://example.com/?a=1&b=2"}'
  t.strictSame(recordsOf(url), [JSON.parse(url)], 'an = in JSON makes no form')
})

await t.test('a byte order mark changes nothing', async t => {
  for (const body of [CALL, `[${CALL}]`, 'ivruniqueid=1&name=תור'])
    t.strictSame(recordsOf(`\ufeff${body}`), recordsOf(body), body)
})

await t.test('every record keeps its bytes as they came', async t => {
  const rows: [body: string, ...bytes: string[]][] = [
    [CALL, CALL],
    [` ${CALL}\n`, ` ${CALL}\n`],
    [`\ufeff${CALL}`, `\ufeff${CALL}`],
    ['\ufeffa=1&b=תור\n', '\ufeffa=1&b=תור\n'],
    ['{"a":"\\u0000\\ud800", "n":1.0}', '{"a":"\\u0000\\ud800", "n":1.0}'],
    [`[ {"a": "תור"} , {"b":[1,{"c":"]"}]}\n]`, '{"a": "תור"}', '{"b":[1,{"c":"]"}]}'],
    [`\ufeff[${CALL}, {"a":"\\ud800"}]`, CALL, '{"a":"\\ud800"}'],
    ['[1, "x" ,null]', '1', '"x"', 'null'],
  ]
  for (const [body, ...bytes] of rows)
    t.strictSame(
      bytesOf(body),
      bytes.map(text => Buffer.from(text)),
      body,
    )
})

await t.test('of an array each element stands for itself', async t => {
  const NOT = 'not an object'
  t.strictSame(elementsOf(`[${CALL},1,"x",null,[${CALL}],{}]`), [call, NOT, NOT, NOT, NOT, {}])
  t.strictSame(elementsOf('[]'), { wrong: 'the array is empty' })
  t.strictSame(elementsOf(' [ ] '), { wrong: 'the array is empty' })

  const many = Array.from({ length: 10_000 }, (_, i) => `{"ivruniqueid":"${i}"}`)
  t.equal(recordsOf(`[${many.join()}]`).length, 10_000)
  const spoilt = elementsOf(`[${many.with(5_000, 'null').join()}]`)
  t.ok(Array.isArray(spoilt) && spoilt.length === 10_000)
  t.strictSame(Array.isArray(spoilt) && spoilt.filter(element => element === NOT), [NOT])
})

await t.test('what is no record is refused, and says why', async t => {
  const rows: [body: string, wrong: ParsedBody][] = [
    ['', { wrong: 'the body is empty' }],
    [' \n', NEITHER],
    ['null', NEITHER],
    ['"x"', NEITHER],
    ['123', NEITHER],
    ['true', NEITHER],
    ['hello', NEITHER],
    ['\ufeff', NEITHER],
    ['{', NO_JSON],
    ['{"a":1', NO_JSON],
    ['{"a":1}{"a":2}', NO_JSON],
    [`[${CALL}`, NO_JSON],
    [`[${CALL},]`, NO_JSON],
    ['{"a":"\n"}', NO_JSON],
    ['{"a":"x\0y"}', NO_JSON],
    ['{"a":1}\0', NO_JSON],
    ['[1 2]', NO_JSON],
  ]
  for (const [body, wrong] of rows) t.strictSame(read(body), wrong, JSON.stringify(body))
  // These two are objects: that they are no call records is for others to say.
  t.strictSame(elementsOf('{}'), [{}])
  t.strictSame(elementsOf('{"test":true}'), [{ test: true }])
})

await t.test('what is not UTF-8 is refused, never guessed at', async t => {
  const hebrew = CALL.replace('"did"', '"queuename":"תור","did"')
  const latin = (bytes: number[]) =>
    Buffer.concat([Buffer.from('{"queuename":"'), Buffer.from(bytes), Buffer.from('"}')])
  const rows: [name: string, body: Buffer][] = [
    ['windows-1255', latin([0xfa, 0xe5, 0xf8])],
    ['iso-8859-8', latin([0xfa, 0xe5, 0xf8, 0x20, 0xe0])],
    ['a form in windows-1255', Buffer.concat([Buffer.from('a='), Buffer.from([0xfa, 0xe5])])],
    ['cut in the middle of a letter', Buffer.from(hebrew).subarray(0, hebrew.indexOf('ת') + 1)],
    ['an encoded surrogate', latin([0xed, 0xa0, 0x80])],
    ['an overlong slash', latin([0xc0, 0xaf])],
    ['UTF-16 with its mark', Buffer.from(`\ufeff${hebrew}`, 'utf16le')],
    ['UTF-16 of the other order', Buffer.from(`\ufeff${hebrew}`, 'utf16le').swap16()],
  ]
  for (const [name, body] of rows) t.strictSame(readBody(body), NO_UTF8, name)
  for (const body of [Buffer.from(CALL, 'utf16le'), Buffer.from(CALL, 'utf16le').swap16()])
    t.match(readBody(body), { wrong: String }, 'UTF-16 that happens to be UTF-8')
  for (const body of [Buffer.from('a=1&b=2', 'utf16le'), Buffer.from('a=1', 'utf16le').swap16()])
    t.match(readBody(body), { wrong: String }, 'a form in UTF-16')
})

await t.test('nesting without end is refused like any other bad body', async t => {
  for (const depth of [34, 40_000, 1_000_000]) {
    t.strictSame(elementsOf('['.repeat(depth) + ']'.repeat(depth)), [TOO_DEEP.wrong], `[ ${depth}`)
    t.strictSame(read(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`), TOO_DEEP, `{ ${depth}`)
    t.strictSame(read('['.repeat(depth)), TOO_DEEP, `never closed, ${depth}`)
  }
})

await t.test('of an array only the record that is too deep is refused, with its bytes', async t => {
  const deep = `{"a":${'['.repeat(40_000)}${']'.repeat(40_000)}}`
  const broken = '{"a":}'
  const body = `[${CALL}, ${deep} ,${CALL},${broken}]`
  t.strictSame(elementsOf(body), [call, TOO_DEEP.wrong, call, NO_JSON.wrong])
  t.strictSame(
    bytesOf(body),
    [CALL, deep, CALL, broken].map(text => Buffer.from(text)),
  )
  const many = `[${deep},${Array.from({ length: 10_000 }, () => '1').join()}]`
  t.strictSame(read(many), TOO_DEEP, 'too many of them are refused together')
})

await t.test('a body of more values or fields than any record has is refused unread', async t => {
  const values = (length: number) => `{"a":[${Array.from({ length }, () => 1).join()}]}`
  t.match(read(values(499_000)), { elements: [{}] })
  t.strictSame(read(values(501_000)), { wrong: 'the JSON holds more than 500000 values' })
  const fields = (length: number) => Array.from({ length }, () => 'a=1').join('&')
  t.match(read(fields(10_000)), { elements: [{}] })
  t.strictSame(read(fields(10_001)), { wrong: 'the form has more than 10000 fields' })
})

await t.test('escaped NUL characters and halves of pairs do not keep a call away', async t => {
  const [record = {}] = recordsOf(
    '{"CallID":"1","status":"NOANSWER","caller":"050\\u00002345678","did\\u0000":"07","queuename":"\\ud800"}',
  )
  t.match(readCdr(record), { cdr: { callId: '1', caller: '0502345678', did: '07' } })
  const stored: JsonObject = JSON.parse(canonical(record))
  t.match(stored, { caller: '0502345678', did: '07', queuename: '\ufffd' })
  t.strictSame(readCdr(stored), readCdr(record), 'what is read back is the same call')
  t.match(recordsOf('{"CallID":"a\\u0000b"}').map(readCdr), [{ wrong: /call id holds control/ }])
  t.match(recordsOf('CallID=a%00b').map(readCdr), [{ wrong: /call id holds control/ }])
})

await t.test('numbers keep their digits', async t => {
  t.strictSame(recordsOf('{"CallID":2026111810200200000000000001,"price":0.0}'), [
    {
      CallID: new LosslessNumber('2026111810200200000000000001'),
      price: new LosslessNumber('0.0'),
    },
  ])
})

await t.test('names that objects have anyway do no harm', async t => {
  const json =
    '{"__proto__":{"admin":true},"constructor":1,"toString":2,"toPostgres":3,"a":1,"a":2}'
  const [record = {}] = recordsOf(json)
  t.equal(record['a'], 2, 'of two the last')
  t.equal(record['toString'], 2)
  t.equal(record['admin'], undefined)
  const form = readBody(
    Buffer.from('__proto__=x&constructor=1&toString=2&hasOwnProperty=3&a=1&a=2'),
  )
  const [element] = 'elements' in form ? form.elements : []
  t.ok(element && 'record' in element)
  t.equal(
    element && 'record' in element && canonical(element.record),
    '{"__proto__":"x","a":"2","constructor":"1","hasOwnProperty":"3","toString":"2"}',
  )
  t.notOk('admin' in {}, 'nobody else has got any of it')
})

await t.test('XML-RPC is known, and told from other pages', async t => {
  const xmlRpc = { xmlRpc: true }
  const HTML = { wrong: 'the body is XML or HTML; JSON or a form was expected' }
  const rows: [body: string, found: unknown][] = [
    ['<?xml version="1.0"?>\n<methodCall><methodName>cdr</methodName></methodCall>', xmlRpc],
    ['<methodCall>', xmlRpc],
    ['\ufeff <methodCall xmlns="x">', xmlRpc],
    ['<?xml version="1.0"?><params/>', HTML],
    ['<!doctype html><p>a=b', HTML],
    ['<methodCalls>', HTML],
    ['a=<methodCall>', { elements: [] }],
  ]
  for (const [body, found] of rows) t.match(read(body), found, body)
})
