/** Reading a body, and the fields of a record. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import {
  canonical,
  isObject,
  type Json,
  type JsonObject,
  LosslessNumber,
  readJson,
} from '../../app/json.ts'
import { readPhone } from '../../app/phone.ts'
import { type ParsedBody, readBody } from '../../app/voicenter/body.ts'
import { campaignOf } from '../../app/voicenter/campaign.ts'
import { partition } from '../../app/voicenter/ingest.ts'
import { type Cdr, factsOf, readCdr, readStored, rootOf } from '../../app/voicenter/parse.ts'
import { readTime } from '../../app/voicenter/time.ts'

const read = (body: string | Buffer): ParsedBody => readBody(Buffer.from(body))

/** The records of a body in which all elements are records. */
const recordsOf = (body: string | Buffer): JsonObject[] => {
  const read = readBody(Buffer.from(body))
  if (!('elements' in read)) throw new Error(JSON.stringify(read))
  return read.elements.map(element => {
    if ('wrong' in element) throw new Error(element.wrong)
    return { ...element.record }
  })
}
/** The record of each element, or what is wrong with it. */
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
const NEITHER = { wrong: 'the body is neither a JSON object, nor an array of them, nor a form' }
const NO_FORM = { wrong: 'the form is not percent-encoded' }
const TOO_DEEP = { wrong: 'the JSON is nested deeper than 32 levels' }

await t.test('a body has one record or an array of records', async t => {
  t.strictSame(recordsOf(CALL), [call])
  t.strictSame(recordsOf(`[${CALL}]`), [call])
  t.strictSame(recordsOf(`[${CALL},{"a":1}]`), [call, { a: 1 }])
  const folder = new URL('../fixtures/voicenter/', import.meta.url)
  const queue = await readFile(new URL('queue-answer.json', folder))
  t.strictSame(recordsOf(queue), [JSON.parse(queue.toString())])
})

await t.test('a form with plus signs, percent signs and Hebrew', async t => {
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
    ['a==b=%3D', { a: '=b==' }],
    ['a&b=', { a: '', b: '' }],
    ['%41%4a%4A=%6f%6F', { AJJ: 'oo' }],
    ['IVR=%5B%7B%22Dtmf%22%3A1%7D%5D&a=1', { IVR: '[{"Dtmf":1}]', a: '1' }],
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

await t.test('JSON that was sent as a form is read', async t => {
  const hebrew = CALL.replace('"did"', '"queuename":"תור + 100% = טוב & מהיר","did"')
  const encoded = encodeURIComponent(hebrew)
  for (const body of [
    encoded,
    `${encoded}=`,
    ` ${encoded}\n`,
    `data=${encoded}`,
    `CDR=${encoded}`,
  ]) {
    t.strictSame(recordsOf(body), [JSON.parse(hebrew)], body.slice(0, 20))
    t.strictSame(bytesOf(body), [Buffer.from(body)], 'with the bytes as received')
  }
  t.strictSame(recordsOf(`data=${CALL}`), [call])
  t.strictSame(recordsOf(encodeURIComponent(CALL).toLowerCase()).length, 1)
  t.strictSame(recordsOf(encodeURI(CALL.replace('"1"', '"https://x/?a=1&b=2"'))), [
    { ...call, did: 'https://x/?a=1&b=2' },
  ])
  for (const array of [`[${CALL},1]`, `data=[${CALL},1]`])
    t.strictSame(elementsOf(encodeURIComponent(array).replace('data%3D', 'data=')), [
      call,
      'not an object',
    ])
  t.strictSame(read('%7B%22a%22'), NO_JSON)
  t.strictSame(read('data=%7B'), NO_JSON)
  t.match(read('%7B%'), { wrong: String })
  t.match(read('%'), { wrong: String })
  t.strictSame(read(`${'%7B'.repeat(100_000)}`), TOO_DEEP)
})

await t.test('a form that is not percent-encoded is rejected', async t => {
  for (const form of ['a=%', 'a=%zz', 'a=%2', 'a=100%&b=1']) t.strictSame(read(form), NO_FORM, form)
  t.strictSame(read('a=x\0y'), { wrong: 'the form holds a NUL byte' })
})

await t.test('the first character decides whether a body is JSON', async t => {
  for (const space of ['', ' ', '\n', '\r\n\t  '])
    for (const body of [`${space}${CALL}${space}`, `${space}[${space}${CALL}${space}]${space}`])
      t.strictSame(recordsOf(body), [call], JSON.stringify(body.slice(0, 8)))
  const url = '{"record":"https://example.com/?a=1&b=2"}'
  t.strictSame(recordsOf(url), [JSON.parse(url)], 'JSON that contains = is not a form')
})

await t.test('a byte order mark changes nothing', async t => {
  for (const body of [CALL, `[${CALL}]`, 'ivruniqueid=1&name=תור'])
    t.strictSame(recordsOf(`\ufeff${body}`), recordsOf(body), body)
})

await t.test('each record keeps its bytes as received', async t => {
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

await t.test('each element of an array is read separately', async t => {
  const NOT = 'not an object'
  t.strictSame(elementsOf(`[${CALL},1,"x",null,[${CALL}],{}]`), [call, NOT, NOT, NOT, NOT, {}])
  t.strictSame(elementsOf('[]'), { wrong: 'the array is empty' })
  t.strictSame(elementsOf(' [ ] '), { wrong: 'the array is empty' })

  const many = Array.from({ length: 10_000 }, (_, i) => `{"ivruniqueid":"${i}"}`)
  t.equal(recordsOf(`[${many.join()}]`).length, 10_000)
  const withNull = elementsOf(`[${many.with(5_000, 'null').join()}]`)
  t.ok(Array.isArray(withNull) && withNull.length === 10_000)
  t.strictSame(Array.isArray(withNull) && withNull.filter(element => element === NOT), [NOT])
})

await t.test('a body that is not a record is rejected with a reason', async t => {
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
  // These two are objects, so readBody accepts them. readCdr rejects them.
  t.strictSame(elementsOf('{}'), [{}])
  t.strictSame(elementsOf('{"test":true}'), [{ test: true }])
})

await t.test('bytes that are not UTF-8 are read as windows-1255', async t => {
  const rows: [name: string, bytes: number[], text: string][] = [
    ['Hebrew', [0xfa, 0xe5, 0xf8], 'תור'],
    ['an en dash', [0x41, 0x96, 0x42], 'A–B'],
    ['a quote', [0x92], '’'],
    ['a shekel', [0xa4], '₪'],
    ['a space that does not break', [0x41, 0xa0, 0x42], 'A\u00a0B'],
    ['half a character of UTF-8', [0x41, 0xd7], 'A\u05f3'],
    ['a byte that is not defined', [0x41, 0xff], 'A\ufffd'],
  ]
  for (const [name, bytes, queuename] of rows) {
    const json = [Buffer.from('{"queuename":"'), Buffer.from(bytes), Buffer.from('"}')]
    t.match(readBody(Buffer.concat(json)), { elements: [{ record: { queuename } }] }, name)
    const raw = Buffer.concat([Buffer.from('queuename='), Buffer.from(bytes)])
    const escaped = bytes.map(byte => `%${byte.toString(16)}`).join('')
    for (const form of [raw, Buffer.from(`queuename=${escaped}`)])
      t.match(readBody(form), { elements: [{ record: { queuename } }] }, `${name} in a form`)
  }
})

await t.test('a body of another kind is rejected', async t => {
  const hebrew = CALL.replace('"did"', '"queuename":"תור","did"')
  const rows: [name: string, body: Buffer][] = [
    ['cut in the middle of a letter', Buffer.from(hebrew).subarray(0, hebrew.indexOf('ת') + 1)],
    ['UTF-16 with its mark', Buffer.from(`\ufeff${hebrew}`, 'utf16le')],
    ['UTF-16 of the other order', Buffer.from(`\ufeff${hebrew}`, 'utf16le').swap16()],
    ['an image', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
    ['a zip file', Buffer.from('1f8b0800000000000003ab562a', 'hex')],
  ]
  for (const [name, body] of rows) t.match(readBody(body), { wrong: String }, name)
  for (const body of [Buffer.from(CALL, 'utf16le'), Buffer.from(CALL, 'utf16le').swap16()])
    t.match(readBody(body), { wrong: String }, 'UTF-16 that is also valid UTF-8')
  for (const body of [Buffer.from('a=1&b=2', 'utf16le'), Buffer.from('a=1', 'utf16le').swap16()])
    t.match(readBody(body), { wrong: String }, 'a form in UTF-16')
})

await t.test('very deep nesting is rejected', async t => {
  for (const depth of [34, 40_000, 400_000]) {
    t.strictSame(elementsOf('['.repeat(depth) + ']'.repeat(depth)), [TOO_DEEP.wrong], `[ ${depth}`)
    t.strictSame(read(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`), TOO_DEEP, `{ ${depth}`)
    t.strictSame(read('['.repeat(depth)), TOO_DEEP, `never closed, ${depth}`)
  }
})

await t.test(
  'in an array, only the record that is nested too deeply is rejected, with its bytes',
  async t => {
    const deep = `{"a":${'['.repeat(40_000)}${']'.repeat(40_000)}}`
    const broken = '{"a":}'
    const body = `[${CALL}, ${deep} ,${CALL},${broken}]`
    t.strictSame(elementsOf(body), [call, TOO_DEEP.wrong, call, NO_JSON.wrong])
    t.strictSame(
      bytesOf(body),
      [CALL, deep, CALL, broken].map(text => Buffer.from(text)),
    )
    const many = `[${deep},${Array.from({ length: 10_000 }, () => '1').join()}]`
    t.strictSame(read(many), TOO_DEEP, 'an array with too many records is rejected as a whole')
  },
)

await t.test('a body with too many values or fields is rejected', async t => {
  const values = (length: number) => `{"a":[${Array.from({ length }, () => 1).join()}]}`
  t.match(read(values(499_000)), { elements: [{}] })
  t.strictSame(read(values(501_000)), { wrong: 'the JSON holds more than 500000 values' })
  const fields = (length: number) => Array.from({ length }, () => 'a=1').join('&')
  t.match(read(fields(10_000)), { elements: [{}] })
  t.strictSame(read(fields(10_001)), { wrong: 'the form has more than 10000 fields' })
})

await t.test('a call with NUL characters or unpaired surrogates is accepted', async t => {
  const [record = {}] = recordsOf(
    '{"CallID":"1","status":"NOANSWER","caller":"050\\u00002345678","did\\u0000":"07","queuename":"\\ud800"}',
  )
  t.match(readCdr(record), { cdr: { callId: '1', caller: '0502345678', did: '07' } })
  const stored: JsonObject = JSON.parse(canonical(record))
  t.match(stored, { caller: '0502345678', did: '07', queuename: '\ufffd' })
  t.strictSame(readCdr(stored), readCdr(record), 'the stored record reads the same')
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

await t.test('names such as __proto__ do no harm', async t => {
  const json =
    '{"__proto__":{"admin":true},"constructor":1,"toString":2,"toPostgres":3,"a":1,"a":2}'
  const [record = {}] = recordsOf(json)
  t.equal(record['a'], 2, 'the last one counts')
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
  t.notOk('admin' in {}, 'no other object is affected')
})

await t.test('XML-RPC is recognised, and other XML is not XML-RPC', async t => {
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

const GOOD = { ivruniqueid: 'id-1', status: 'NOANSWER', caller: '0502345678', did: '0722776772' }

/** A record with numbers as written. */
const parsed = (text: string): JsonObject => {
  const read = readJson(text)
  if (!('value' in read && isObject(read.value))) throw new Error(`no object: ${text}`)
  return read.value
}
const cdrOf = (record: JsonObject): Cdr => {
  const read = readCdr(record)
  if ('wrong' in read) throw new Error(read.wrong)
  return read.cdr
}
const wrongIn = (record: JsonObject): string | null => {
  const read = readCdr(record)
  return 'wrong' in read ? read.wrong : null
}
/** A valid record with fields added or changed. */
const good = (fields: JsonObject = {}): Cdr => cdrOf({ ...GOOD, ...fields })
/** A valid record without these fields. */
const without = (...names: string[]): JsonObject =>
  Object.fromEntries(Object.entries(GOOD).filter(([name]) => !names.includes(name)))

/** The names of one field in order of precedence, and two values that it can have. */
type Names = {
  meaning: keyof Cdr
  names: string[]
  a: Json
  b: Json
  read?: (value: Json) => unknown
}

const NAMES: Names[] = [
  { meaning: 'callId', names: ['ivruniqueid', 'ivrid', 'IVR_UNIQUE_ID', 'CallID'], a: 'A', b: 'B' },
  { meaning: 'status', names: ['status', 'DialStatus'], a: 'BUSY', b: 'CANCEL' },
  {
    meaning: 'caller',
    names: ['callerPhone', 'caller', 'CallerNumber', 'phone', 'CALLER_ID'],
    a: '0502345678',
    b: '0523456789',
  },
  { meaning: 'did', names: ['did'], a: '0722776772', b: '0732791800' },
  { meaning: 'target', names: ['target', 'TargetNumber'], a: '0502345678', b: 'KGpK4iWq' },
  { meaning: 'time', names: ['time', 'DateEpoch', 'Date'], a: '1794737706', b: '2026-11-15' },
  { meaning: 'type', names: ['type', 'CdrType'], a: 'Queue', b: '1' },
  { meaning: 'direction', names: ['direction'], a: 'incoming', b: 'outgoing' },
  { meaning: 'talkSeconds', names: ['actualCallDuration', 'duration'], a: 7, b: 0 },
  { meaning: 'actualTalkSeconds', names: ['actualCallDuration'], a: 7, b: 0 },
  { meaning: 'ringSeconds', names: ['actualCallDialtime', 'dialtime', 'RingTime'], a: 7, b: 0 },
  { meaning: 'agent', names: ['extenUser', 'targetextension'], a: 'KGpK4iWq', b: 'SIPSIP' },
  { meaning: 'callerExtension', names: ['callerextension'], a: 'KGpK4iWq', b: 'SIPSIP' },
  {
    meaning: 'isAnswer',
    names: ['isAnswer', 'isAnswered'],
    a: 1,
    b: 0,
    read: value => value === 1,
  },
  {
    meaning: 'representative',
    names: ['representative_name', 'RepresentativeName'],
    a: 'External IVR',
    b: 'John Doe',
  },
  { meaning: 'rootCallId', names: ['OriginalIvrUniqueID'], a: 'root-1', b: 'root-2' },
]

/** A valid record without the field of these names. */
const besides = (names: string[]): JsonObject => {
  const taken = new Set(names.map(name => name.toLowerCase()))
  return Object.fromEntries(Object.entries(GOOD).filter(([name]) => !taken.has(name)))
}

for (const { meaning, names, a, b, read = (value: Json): unknown => value } of NAMES)
  await t.test(
    `${meaning} is read under each of its names, and the first name takes precedence`,
    async t => {
      const rest = besides(names)
      for (const [i, name] of names.entries()) {
        for (const spelling of [name, name.toLowerCase(), name.toUpperCase()])
          for (const value of [a, b])
            t.equal(cdrOf({ ...rest, [spelling]: value })[meaning], read(value), spelling)
        for (const part of [`x${name}`, `${name}x`, `my.${name}`, `${name}.x`])
          t.strictSame(readCdr({ ...rest, [part]: a }), readCdr(rest), `${part} is another name`)
        for (const later of names.slice(i + 1)) {
          for (const record of [
            { [name]: a, [later]: b },
            { [later]: b, [name]: a },
          ])
            t.equal(cdrOf({ ...rest, ...record })[meaning], read(a), `${name} before ${later}`)
          for (const blank of ['', ' \n', null]) {
            const found = cdrOf({ ...rest, [name]: blank, [later]: b })[meaning]
            t.equal(found, read(b), `${later}, since ${name} is ${JSON.stringify(blank)}`)
          }
        }
      }
    },
  )

await t.test('a name must match as a whole', async t => {
  const cdr = good({ caller_country: 'x', StatusName: 'y', leg1DialStatusName: 'z' })
  t.match(cdr, { caller: GOOD.caller, status: GOOD.status })
  for (const [name, missing] of [
    ['StatusName', 'status'],
    ['leg1DialStatusName', 'status'],
    ['caller_country', 'caller'],
    ['queueid', 'ivruniqueid'],
    ['didx', 'did'],
  ] as const)
    t.type(wrongIn({ ...without(missing), [name]: 'x' }), 'string', `${name} is not ${missing}`)
})

await t.test('if a name occurs in two cases, the lower case takes precedence', async t => {
  for (const record of [
    { did: '0722776772', DID: '0732791800' },
    { DID: '0732791800', did: '0722776772' },
  ])
    t.equal(cdrOf({ ...without('did'), ...record }).did, '0722776772')
  t.equal(cdrOf({ ...without('did'), did: '', DID: '0732791800' }).did, '0732791800')
  for (const CustomData of [
    { originalivruniqueid: 'root-1', OriginalIvrUniqueID: 'root-2' },
    { OriginalIvrUniqueID: 'root-2', originalivruniqueid: 'root-1' },
  ])
    t.equal(rootOf(good({ CustomData })), 'root-1')
})

await t.test(
  '0 is blank in an id, a phone number or an extension, and a value elsewhere',
  async t => {
    const names = ['caller', 'did', 'target', 'targetextension', 'callerextension'] as const
    const meanings = ['caller', 'did', 'target', 'agent', 'callerExtension'] as const
    for (const [i, name] of names.entries())
      for (const zero of [0, '0', '', ' ', null]) {
        const meaning = meanings[i] ?? 'caller'
        t.equal(good({ [name]: zero })[meaning], null, `${name} ${JSON.stringify(zero)}`)
      }
    for (const zero of [0, '0']) {
      const cdr = good({
        duration: zero,
        dialtime: zero,
        isAnswer: zero,
        OriginalIvrUniqueID: zero,
      })
      t.match(cdr, { talkSeconds: 0, ringSeconds: 0, isAnswer: false, rootCallId: null })
      t.equal(rootOf(cdr), 'id-1')
      t.equal(cdrOf({ ...GOOD, ivruniqueid: zero, CallID: 'id-2' }).callId, 'id-2')
      t.match(wrongIn({ ...GOOD, ivruniqueid: zero }), /call id .* is missing/)
      t.equal(cdrOf({ ...GOOD, status: zero }).status, '0')
    }
    t.equal(good({ dialtime: 0, RingTime: 9 }).ringSeconds, 0, 'a ringing time of 0 is not blank')
  },
)

await t.test('if the caller has two names, the one with a phone number counts', async t => {
  const rows: [callerPhone: Json, caller: Json, found: string | null][] = [
    ['0502345678', '0523456789', '0502345678'],
    ['KGpK4iWq', '0523456789', '0523456789'],
    ['Queue Sales', '0523456789', '0523456789'],
    ['anonymous', '0523456789', '0523456789'],
    ['0502345678', 'anonymous', '0502345678'],
    ['100', '972523456789', '972523456789'],
    ['anonymous', 'KGpK4iWq', 'anonymous'],
    ['', '', null],
    [502345678, '', '502345678'],
  ]
  for (const [callerPhone, caller, found] of rows)
    t.equal(good({ callerPhone, caller }).caller, found, JSON.stringify([callerPhone, caller]))
})

const NOV_29 = Date.UTC(2026, 10, 29, 11, 50)

await t.test('a date and a clock may be in two fields', async t => {
  const rows: [fields: JsonObject, time: string][] = [
    [{ Date: '2026-11-29', time: '11:50:00' }, '11:50:00 2026-11-29'],
    [{ Date: '29/11/2026', time: '11:50' }, '11:50 29/11/2026'],
    [{ time: '2026-11-29', Date: '11:50:00' }, '2026-11-29 11:50:00'],
    [{ Date: '20261129', time: '11:50:00' }, '11:50:00 20261129'],
    [{ Date: '2026-11-29 11:50:00', time: '11:50:00' }, '2026-11-29 11:50:00'],
    [{ Date: '2026-11-29', time: '1794737706' }, '1794737706'],
    [{ Date: '2026-11-29', time: '11h50' }, '2026-11-29'],
    [{ Date: 'soon', time: '11:50:00' }, '11:50:00'],
    [{ Date: '', time: '11:50:00' }, '11:50:00'],
  ]
  for (const [fields, time] of rows) t.equal(good(fields).time, time, JSON.stringify(fields))
  for (const [{ Date = null, time = null }] of rows.slice(0, 4)) {
    const found = readTime(good({ Date, time }).time ?? '').map(({ ms, kind }) => [kind, ms])
    t.strictSame(found, [['wall', NOV_29]], JSON.stringify({ Date, time }))
  }
})

await t.test('all missing fields are named', async t => {
  const ID = 'call id (ivruniqueid or CallID) is missing'
  const STATUS = 'status (status or DialStatus) is missing'
  const CALLER = 'caller (caller, callerPhone or CallerNumber) is missing'
  const DID = 'number dialled (did or DID) is missing'
  t.equal(wrongIn({}), [ID, STATUS, CALLER, DID].join('; '))
  t.equal(wrongIn({ test: true }), [ID, STATUS, CALLER, DID].join('; '))
  const rows: [name: string, wrong: string][] = [
    ['ivruniqueid', ID],
    ['status', STATUS],
    ['caller', CALLER],
    ['did', DID],
  ]
  for (const [name, wrong] of rows) t.equal(wrongIn(without(name)), wrong, name)
  for (const blank of ['', '  ', null]) {
    t.equal(wrongIn({ ...GOOD, ivruniqueid: blank }), ID)
    t.equal(wrongIn({ ...GOOD, status: blank }), STATUS)
    t.equal(wrongIn({ ...GOOD, caller: blank }), null, 'a blank caller is withheld, not missing')
    t.equal(wrongIn({ ...GOOD, did: blank }), null)
  }
  t.equal(
    wrongIn(without('type', 'time', 'direction', 'duration')),
    null,
    'no other field is required',
  )
})

await t.test('a call that no customer made needs neither caller nor number dialled', async t => {
  const exempt = [
    { direction: 'outgoing' },
    { direction: ' Internal ' },
    { type: 'Extension Outgoing' },
    { type: 'Click2Call leg1' },
    { type: 'Click2Call leg2' },
    { type: 'Click 2 IVR' },
    { type: 'click 2 ivr incoming' },
    { type: 'ProductiveCall Leg1' },
    { type: 'ProductiveCall Leg2' },
    { type: 'CC' },
    { type: 'Callference' },
    { type: 'Scrubber' },
    { type: 'FaxCdr' },
    { CdrType: 4 },
    { CdrType: '17' },
    { type: 'Incoming Call', direction: 'outgoing' },
    { type: 'XferCDR', direction: 'outgoing' },
  ]
  for (const fields of exempt) {
    t.equal(wrongIn({ ...without('caller', 'did'), ...fields }), null, JSON.stringify(fields))
    t.match(wrongIn({ ...fields }), /^call id .*; status [^;]*$/, 'but it needs an id and a status')
  }
  const bound = [
    { type: 'Incoming Call' },
    { type: 'Queue' },
    { type: 'VoiceMail' },
    { type: 'XferCDR' },
    { type: 'Attended CDR leg1' },
    { type: 'Auto forward' },
    { type: 'Click 2 Queue Incoming' },
    { type: 'Something New' },
    { direction: 'incoming' },
    { direction: 'sideways' },
    { direction: 'incoming', type: 'Extension Outgoing' },
  ]
  for (const fields of bound) {
    t.match(wrongIn({ ...without('caller'), ...fields }), /^caller /, JSON.stringify(fields))
    t.match(wrongIn({ ...without('did'), ...fields }), /^number dialled /, JSON.stringify(fields))
  }
})

await t.test('a call id is text, or a whole number with all its digits', async t => {
  const rows: [json: string, callId: string][] = [
    ['"20261118102002001c41b"', '20261118102002001c41b'],
    ['"202611181020e41"', '202611181020e41'],
    ['" id-1\\r\\n"', 'id-1'],
    ['"1.5"', '1.5'],
    ['"-1"', '-1'],
    ['"תור"', 'תור'],
    ['"\\ud83d\\ude00"', '😀'],
    ['"a:b/c d"', 'a:b/c d'],
    ['7', '7'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740993', '9007199254740993'],
    ['2026111810200200000000000001', '2026111810200200000000000001'],
    [`${'9'.repeat(128)}`, '9'.repeat(128)],
    [`"${'x'.repeat(128)}"`, 'x'.repeat(128)],
    [`" ${'x'.repeat(128)} "`, 'x'.repeat(128)],
  ]
  for (const [json, callId] of rows)
    for (const name of ['ivruniqueid', 'CallID']) {
      const record = parsed(`{"${name}":${json},"status":"BUSY","caller":"","did":""}`)
      t.match(readCdr(record), { cdr: { callId } }, json.slice(0, 40))
    }
})

await t.test('an invalid call id is rejected without repeating it', async t => {
  const NOT_AN_ID = 'call id is neither text nor a whole number'
  const CONTROL = 'call id holds control characters'
  const LONG = 'call id is longer than 128 characters'
  const rows: [json: string, wrong: string][] = [
    ['1e400', NOT_AN_ID],
    ['1e5', NOT_AN_ID],
    ['1e21', NOT_AN_ID],
    ['1e+21', NOT_AN_ID],
    ['-0', NOT_AN_ID],
    ['-1', NOT_AN_ID],
    ['1.5', NOT_AN_ID],
    ['1.0', NOT_AN_ID],
    ['true', NOT_AN_ID],
    ['false', NOT_AN_ID],
    ['{}', NOT_AN_ID],
    ['{"a":1}', NOT_AN_ID],
    ['[]', NOT_AN_ID],
    ['["x"]', NOT_AN_ID],
    ['"a\\u0000b"', CONTROL],
    ['"a\\nb"', CONTROL],
    ['"a\\u001b[31m"', CONTROL],
    ['"a\\u007f"', CONTROL],
    ['"a\\u0085b"', CONTROL],
    ['"\\ud800"', CONTROL],
    ['"x\\udc00y"', CONTROL],
    [`"${'x'.repeat(129)}"`, LONG],
    [`"${'x'.repeat(10_000)}"`, LONG],
    ['9'.repeat(129), LONG],
  ]
  for (const [json, wrong] of rows) {
    t.equal(wrongIn({ ...GOOD, ...parsed(`{"ivruniqueid":${json}}`) }), wrong, json.slice(0, 40))
  }
  t.equal(
    wrongIn({ ...GOOD, ivruniqueid: true, CallID: 'id-2' }),
    NOT_AN_ID,
    'another name is not tried',
  )
})

await t.test('an invalid root id is ignored', async t => {
  for (const OriginalIvrUniqueID of [true, {}, [], 'a\0b', 'x'.repeat(129), -1, '', null]) {
    const cdr = good({ OriginalIvrUniqueID })
    t.equal(cdr.rootCallId, null, JSON.stringify(OriginalIvrUniqueID).slice(0, 40))
    t.equal(rootOf(cdr), 'id-1')
  }
  t.equal(good().rootCallId, undefined)
  t.equal(rootOf(good()), 'id-1')
  t.equal(rootOf(good({ OriginalIvrUniqueID: ' root-1 ' })), 'root-1')
  t.equal(rootOf(good({ OriginalIvrUniqueID: 20261118 })), '20261118')
  t.equal(
    rootOf(good({ OriginalIvrUniqueID: new LosslessNumber('9007199254740993') })),
    '9007199254740993',
  )
})

await t.test('the root id may be in CustomData, as an object or as JSON text', async t => {
  const custom = { OriginalIvrUniqueID: 'root-1', other: { deep: true } }
  for (const value of [custom, JSON.stringify(custom)])
    for (const name of ['CustomData', 'customdata', 'CUSTOMDATA', 'CUSTOM_DATA'])
      t.equal(rootOf(good({ [name]: value })), 'root-1', `${name} as ${typeof value}`)
  t.equal(rootOf(good({ CustomData: { originalivruniqueid: 'root-1' } })), 'root-1')
  t.equal(
    rootOf(good({ CustomData: custom, OriginalIvrUniqueID: 'root-2' })),
    'root-2',
    'the field of the record takes precedence',
  )
  t.equal(rootOf(good({ CustomData: custom, OriginalIvrUniqueID: '' })), 'root-1')
  for (const CustomData of [
    '',
    '{',
    'null',
    '[]',
    '"x"',
    null,
    7,
    true,
    [],
    [custom],
    '['.repeat(99),
  ])
    t.equal(rootOf(good({ CustomData })), 'id-1', JSON.stringify(CustomData).slice(0, 40))
  for (const name of ['ivruniqueid', 'status', 'caller', 'did', 'type'])
    t.strictSame(
      good({ CustomData: { [name]: 'x' } }),
      good(),
      `${name} is not read from CustomData`,
    )
})

await t.test('an absent agent field differs from an empty one', async t => {
  t.equal(good().agent, undefined)
  for (const name of ['extenUser', 'targetextension', 'TargetExtension'])
    for (const blank of ['', ' ', null, 0, '0'])
      t.equal(good({ [name]: blank }).agent, null, `${name} ${JSON.stringify(blank)}`)
  t.equal(good({ extenUser: '', targetextension: 'SIPSIP' }).agent, 'SIPSIP')
  t.equal(good({ extenUser: [], targetextension: 'SIPSIP' }).agent, 'SIPSIP')
  t.equal(good({ extenUser: 'SIPSIP', targetextension: '' }).agent, 'SIPSIP')
})

await t.test('a default value in a field that is filled only in some calls is blank', async t => {
  const fields = [
    ['extenUser', 'agent'],
    ['OriginalIvrUniqueID', 'rootCallId'],
    ['callerextension', 'callerExtension'],
    ['representative_name', 'representative'],
  ] as const
  const NIL = '00000000-0000-0000-0000-000000000000'
  const words =
    '-1 false FALSE unknown Unknown <unknown> (unknown) [] {} () "" <> N.A. n.a NA N/A #N/A #REF! #VALUE! #NAME? ' +
    '#DIV/0! \\N null (null) <null> [null] {null} nil none undefined NaN - ?'
  const values: Json[] = [-1, new LosslessNumber('-1.0'), false, [], {}, NIL, `{${NIL}}`]
  const defaults = values.concat(words.split(' '))
  for (const [name, field] of fields)
    for (const value of defaults)
      t.equal(good({ [name]: value })[field], null, `${name} ${JSON.stringify(value)}`)
  for (const name of ['extenUser', 'OriginalIvrUniqueID', 'callerextension'])
    for (const zero of ['0.0', new LosslessNumber('0.0'), '000'])
      t.equal(rootOf(good({ [name]: zero, did: '' })), 'id-1', name)
  // A name may look like these.
  for (const value of ['No', 'Nadav', 'Nil Cohen', 'Unknown2', '1-0', '#Sales', '10', '1.0', 'N'])
    for (const [name, field] of fields) t.equal(good({ [name]: value })[field], value, value)
  t.match(cdrOf({ ...GOOD, ivruniqueid: NIL, type: 'unknown' }), { callId: NIL, type: 'unknown' })
})

await t.test('a value is text or a number; anything else is blank', async t => {
  t.match(good({ caller: 502345678, did: new LosslessNumber('0722776772') }), {
    caller: '502345678',
    did: '0722776772',
  })
  t.equal(good({ time: 1794737706 }).time, '1794737706')
  t.equal(good({ time: new LosslessNumber('1794737706.0') }).time, '1794737706.0')
  for (const value of [{}, [], { a: 1 }])
    t.match(good({ caller: value, type: value, time: value }), {
      caller: null,
      type: null,
      time: null,
    })
  t.equal(good({ caller: ' a\0\ud800 ' }).caller, 'a\ufffd', 'made storable')
  t.equal(good({ type: 'x'.repeat(5_000) }).type, `${'x'.repeat(96)}…cut`, 'and shortened')

  const seconds: [Json, number | null][] = [
    [93, 93],
    ['93', 93],
    [' 93 ', 93],
    [0, 0],
    ['', null],
    [-1, null],
    [1.5, 1],
    ['00:01:33', 93],
    ['1:33', 93],
    ['1:93', null],
    ['1e3', null],
    ['long', null],
    [999_999_999, 999_999_999],
    [1_000_000_000, null],
    [true, null],
  ]
  for (const [duration, found] of seconds)
    t.equal(good({ duration }).talkSeconds, found, JSON.stringify(duration))

  const answers: [Json, boolean | null][] = [
    [1, true],
    ['1', true],
    [true, true],
    ['True', true],
    [0, false],
    ['0', false],
    [false, false],
    [2, false],
    ['yes', false],
    ['', null],
    [null, null],
  ]
  for (const [isAnswer, found] of answers)
    t.equal(good({ isAnswer }).isAnswer, found, JSON.stringify(isAnswer))
  t.equal(good().isAnswer, null)
})

await t.test('a record reads the same before and after it was stored', async t => {
  /** Postgres sorts the names of a jsonb by length, then by their bytes. */
  const stored = (record: JsonObject): JsonObject => {
    const parsed: JsonObject = JSON.parse(canonical(record))
    return Object.fromEntries(
      Object.entries(parsed).toSorted(([a], [b]) => a.length - b.length || (a < b ? -1 : 1)),
    )
  }
  const texts = [
    '{"CallID":9007199254740993,"DialStatus":"BUSY","caller":502345678,"DID":"07","time":1e9}',
    '{"callid":"a","CallID":"b","CALLID":true,"status":"BUSY","caller":"1","Caller":"2","did":""}',
    '{"CallID":"a","status":"BUSY","caller":"1","caller\\u0000":"2","DID":"3","did\\u0000":"4"}',
    '{"CallID":"a","ivruniqueid\\u0000":"b","status":"BUSY","caller":"1","did":"3"}',
    '{"CallID":"a","status":"BUSY","caller":"","did":"","customdata":{"OriginalIvrUniqueID":"b"},"CustomData":{"originalivruniqueid":"c"}}',
  ]
  for (const text of texts) {
    const record = parsed(text)
    t.type(cdrOf(record).callId, 'string')
    t.strictSame(readCdr(stored(record)), readCdr(record), text)
  }
})

await t.test('the sample records are read', async t => {
  const rows: [file: string, cdr: Partial<Cdr>][] = [
    [
      'missed-callid-shape',
      {
        callId: '202611151015030a3f1',
        status: 'NOANSWER',
        caller: '0502345678',
        time: '1794737706',
      },
    ],
    ['queue-answer', { type: 'Queue', agent: undefined, talkSeconds: 20, ringSeconds: null }],
    ['missed-noanswer', { agent: null, ringSeconds: 24, did: '0722776772' }],
    ['missed-withheld', { caller: null, did: '0722776772' }],
    [
      'answered-by-agent',
      { agent: 'KGpK4iWq', isAnswer: true, talkSeconds: 93, direction: 'incoming' },
    ],
    [
      'outgoing-answer',
      { did: null, callerExtension: 'SIPSIP', target: '0501234567', agent: null },
    ],
    ['transfer-leg', { rootCallId: '202611181020020c41b', agent: null, isAnswer: false }],
  ]
  for (const [file, cdr] of rows) {
    const url = new URL(`../fixtures/voicenter/${file}.json`, import.meta.url)
    const record: JsonObject = JSON.parse(await readFile(url, 'utf8'))
    const found = cdrOf(record)
    t.match(found, cdr, file)
    if ('agent' in cdr) t.equal(found.agent, cdr.agent, `${file}: agent`)
  }
})

await t.test('the facts of a record read as the record itself', t => {
  const fields = { ...call, type: 'Queue', dialtime: 20, targetextension: '', direction: null }
  const hostile = Object.fromEntries(
    'caller did target time type direction status targetextension callerextension representative_name'
      .split(' ')
      .map(name => [name, '\u05d0\0\ud800"'.repeat(50_000)]),
  )
  for (const record of [call, fields, { ...fields, ...hostile }]) {
    const result = readCdr(record)
    if ('wrong' in result) throw new Error(result.wrong)
    const facts = factsOf(result.cdr)
    t.ok(Buffer.byteLength(facts) < 6000, `${facts.length} characters`)
    const stored = { facts: JSON.parse(facts), payload: null }
    t.strictSame(readStored(stored), JSON.parse(JSON.stringify(result.cdr)))
    t.equal('agent' in readStored(stored), 'targetextension' in record, 'absent is not blank')
  }
  t.end()
})

await t.test('only a record with a long payload has facts', t => {
  const factsIn = (record: JsonObject) => {
    const body = Buffer.from(JSON.stringify(record))
    return partition([{ record, bytes: body }]).valid.map(({ facts }) => facts)
  }
  t.strictSame(factsIn(call), [null])
  t.match(factsIn({ ...call, aiData: 'x'.repeat(3000) }), [/"status":"NOANSWER"/])
  t.end()
})

await t.test('a text that is too long is cut, and is no other number or time then', t => {
  const good = (fields: JsonObject): Cdr => {
    const result = readCdr({ ...call, ...fields })
    if ('wrong' in result) throw new Error(result.wrong)
    return result.cdr
  }
  const INVISIBLE = '\u200e'
  for (const written of [
    `+9725${'0'.repeat(200)}`,
    `${INVISIBLE.repeat(90)}+972502345678${INVISIBLE.repeat(20)}`,
    `"${INVISIBLE.repeat(80)}" <sip:+972502345678@example.com>`,
    `${INVISIBLE.repeat(80)}2026-11-30 14:00:00.123456 +0200`,
  ]) {
    const { caller, time } = good({ caller: written, time: written })
    t.ok((caller?.length ?? 0) <= 100)
    t.not(readPhone(caller).kind, 'number', written)
    t.strictSame(readTime(time ?? ''), [], written)
  }
  t.end()
})

await t.test('the campaign of a call: utm_* and gclid of CustomData, and no more than fits', t => {
  const many = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`utm_${i}`, '€'.repeat(500)]),
  )
  const cases: [Json, Record<string, string> | null][] = [
    [
      { UTM_Source: ' google ', utm_id: 7, gclid: 'Cj0K', other: 'x' },
      { utm_source: 'google', utm_id: '7', gclid: 'Cj0K' },
    ],
    ['{"utm_campaign":"קיץ","GCLID":"1"}', { utm_campaign: 'קיץ', gclid: '1' }],
    [{ utm_id: new LosslessNumber('12345678901234567890') }, { utm_id: '12345678901234567890' }],
    [{ utm_term: 'a\0b\ud800', utm_source: '' }, { utm_term: 'ab\ufffd' }],
    [{ utm_term: 'x'.repeat(151) }, { utm_term: 'x'.repeat(150) }],
    [{ utm_source: { a: 1 }, utm_medium: null, utm_: 'x', 'utm_a b': 'x' }, null],
    [{ utm_source: 'first', UTM_SOURCE: 'second' }, { utm_source: 'first' }],
    [JSON.stringify({ utm_source: 'x'.repeat(60_000) }), null],
    ['no JSON', null],
    ['', null],
    [null, null],
    [[], null],
  ]
  for (const [customData, expected] of cases)
    for (const name of ['CustomData', 'customdata'])
      t.strictSame(
        campaignOf({ ...call, [name]: customData }),
        expected,
        JSON.stringify(customData).slice(0, 60),
      )
  t.equal(campaignOf(call), null)
  t.strictSame(campaignOf({ CustomData: {}, customdata: { gclid: 'g' } }), { gclid: 'g' })
  t.strictSame(campaignOf({ CUSTOM_DATA: { gclid: 'g' } }), { gclid: 'g' })
  const most = JSON.stringify(campaignOf({ CustomData: many }))
  t.ok(Buffer.byteLength(most) < 8192, `${Buffer.byteLength(most)} bytes`)
  const record = { ...call, CustomData: { gclid: 'g' } }
  const [stored] = partition([{ record, bytes: Buffer.from('{}') }]).valid
  t.equal(stored?.campaign, '{"gclid":"g"}')
  t.end()
})
