import { readFile } from 'node:fs/promises'
import t from 'tap'
import { type Cdr, readCdr, rootOf } from '../../app/voicenter/parse.ts'
import {
  canonical,
  LosslessNumber,
  isObject,
  type Json,
  type JsonObject,
  readJson,
} from '../../app/json.ts'

const GOOD = { ivruniqueid: 'id-1', status: 'NOANSWER', caller: '0502345678', did: '0722776772' }

/** A record as it comes, with numbers as written. */
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
/** A good record, with fields added or changed. */
const good = (fields: JsonObject = {}): Cdr => cdrOf({ ...GOOD, ...fields })
/** A good record without the fields named. */
const without = (...names: string[]): JsonObject =>
  Object.fromEntries(Object.entries(GOOD).filter(([name]) => !names.includes(name)))

/** The names of one meaning, the first that is not blank wins; `a` and `b` are two values it can have. */
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

/** A record that lacks only what is asked for. */
const besides = (names: string[]): JsonObject => {
  const taken = new Set(names.map(name => name.toLowerCase()))
  return Object.fromEntries(Object.entries(GOOD).filter(([name]) => !taken.has(name)))
}

for (const { meaning, names, a, b, read = (value: Json): unknown => value } of NAMES)
  await t.test(`${meaning} is read under every name, and the first name wins`, async t => {
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
  })

await t.test('a name counts only as a whole', async t => {
  const cdr = good({ caller_country: 'x', StatusName: 'y', leg1DialStatusName: 'z' })
  t.match(cdr, { caller: GOOD.caller, status: GOOD.status })
  for (const [name, missing] of [
    ['StatusName', 'status'],
    ['leg1DialStatusName', 'status'],
    ['callerextension', 'caller'],
    ['caller_country', 'caller'],
    ['queueid', 'ivruniqueid'],
    ['didx', 'did'],
  ] as const)
    t.type(wrongIn({ ...without(missing), [name]: 'x' }), 'string', `${name} is not ${missing}`)
})

await t.test('of one name in two spellings the smaller letters win, in any order', async t => {
  for (const record of [
    { did: '0722776772', DID: '0732791800' },
    { DID: '0732791800', did: '0722776772' },
  ])
    t.equal(cdrOf({ ...without('did'), ...record }).did, '0722776772')
  t.equal(cdrOf({ ...without('did'), did: '', DID: '0732791800' }).did, '0732791800')
})

await t.test(
  '0 is nothing in an id, a phone number or an extension, and something elsewhere',
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
    t.equal(good({ dialtime: 0, RingTime: 9 }).ringSeconds, 0, 'rang for no second: not blank')
  },
)

await t.test('of two names for the caller the one with a number is meant', async t => {
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

await t.test('what is missing is named, all of it', async t => {
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
    t.equal(wrongIn({ ...GOOD, caller: blank }), null, 'a withheld caller is there')
    t.equal(wrongIn({ ...GOOD, did: blank }), null)
  }
  t.equal(wrongIn(without('type', 'time', 'direction', 'duration')), null, 'nothing else is needed')
})

await t.test('a call that no customer made needs no caller and no number dialled', async t => {
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
    t.match(wrongIn({ ...fields }), /^call id .*; status [^;]*$/, 'an id and a status it does')
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

await t.test('what can be no call id is refused, in words that do not repeat it', async t => {
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
    'and no other name is tried',
  )
})

await t.test('a root that can be no id joins nothing', async t => {
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

await t.test('the root may stand in CustomData, as an object or as JSON text', async t => {
  const custom = { OriginalIvrUniqueID: 'root-1', other: { deep: true } }
  for (const value of [custom, JSON.stringify(custom)])
    for (const name of ['CustomData', 'customdata', 'CUSTOMDATA'])
      t.equal(rootOf(good({ [name]: value })), 'root-1', `${name} as ${typeof value}`)
  t.equal(rootOf(good({ CustomData: { originalivruniqueid: 'root-1' } })), 'root-1')
  t.equal(
    rootOf(good({ CustomData: custom, OriginalIvrUniqueID: 'root-2' })),
    'root-2',
    'its own wins',
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
    t.strictSame(good({ CustomData: { [name]: 'x' } }), good(), `${name} is not looked for there`)
})

await t.test('an agent who is not there is told from an agent field that is empty', async t => {
  t.equal(good().agent, undefined)
  for (const name of ['extenUser', 'targetextension', 'TargetExtension'])
    for (const blank of ['', ' ', null, 0, '0'])
      t.equal(good({ [name]: blank }).agent, null, `${name} ${JSON.stringify(blank)}`)
  t.equal(good({ extenUser: '', targetextension: 'SIPSIP' }).agent, 'SIPSIP')
  t.equal(good({ extenUser: 'SIPSIP', targetextension: '' }).agent, 'SIPSIP')
})

await t.test('values come as text or as numbers, and whatever else is none', async t => {
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
  t.equal(good({ caller: ' a\0\ud800 ' }).caller, 'a\ufffd', 'fit to be stored')
  t.equal(good({ type: 'x'.repeat(5_000) }).type?.length, 4_096, 'and of a sane length')

  const seconds: [Json, number | null][] = [
    [93, 93],
    ['93', 93],
    [' 93 ', 93],
    [0, 0],
    ['', null],
    [-1, null],
    [1.5, null],
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
  /** Postgres gives the names of a jsonb back by length, then by their bytes. */
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
