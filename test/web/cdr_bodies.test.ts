/** Bodies of deliveries: wrong ones, unusual ones, and large ones. */
import { deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { z } from 'zod'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  CDR,
  contents,
  db,
  jobs,
  missedCall,
  OK,
  post,
  rejectedOf,
  verdictsOf,
  work,
} from '../support/ringback.ts'

const refusal = z.strictObject({ Err: z.literal(1), Errdesc: z.string() })
const FORM = 'application/x-www-form-urlencoded'
const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
const omit = (...names: string[]) =>
  Object.fromEntries(Object.entries(push()).filter(([name]) => !names.includes(name)))
const without = (...names: string[]) => JSON.stringify(omit(...names))
const withId = (id: unknown) => JSON.stringify(push({ ivruniqueid: id }))
/** An id that JSON.stringify cannot write. */
const withIdWritten = (id: string) => JSON.stringify(push({ ivruniqueid: 'X' })).replace('"X"', id)

const ID = /^call id \(ivruniqueid or CallID\) is missing$/
const NO_ID = /call id is neither text nor a whole number/
const LONG_ID = /call id is longer than 128 characters/
const CONTROL_ID = /call id holds control characters/
const JSON_WRONG = /not valid JSON/
const DEEP = /nested deeper than 32 levels/
const NOTHING = /neither a JSON object, nor an array of them, nor a form/
const ALL = /call id .*missing; status .*missing; caller .*missing; number dialled .*missing/

/** Bodies that are not valid call records, and the answer. */
const REJECTED: Record<string, [body: string | Buffer, reason: RegExp, contentType?: string]> = {
  nothing: ['', /empty/],
  'white space': [' \n', NOTHING],
  'a byte order mark alone': [Buffer.from([0xef, 0xbb, 0xbf]), NOTHING],
  null: ['null', NOTHING],
  'a string': ['"x"', NOTHING],
  'a number': ['1', NOTHING],
  words: ['hello', NOTHING, 'text/plain'],
  HTML: ['<html></html>', /XML or HTML/, 'text/html'],
  'an empty array': ['[]', /the array is empty/],
  'an empty object': ['{}', ALL],
  'a ping': ['{"test":true}', ALL],
  'half an object': [without().slice(0, -1), JSON_WRONG],
  'two objects': [without() + without(), JSON_WRONG],
  'a comma too many': [`[${without()},]`, JSON_WRONG],
  'a raw NUL': [without().replace('NOANSWER', 'NO\0ANSWER'), JSON_WRONG],
  '33 levels': [nested(33), DEEP],
  '40,000 levels': [nested(40_000), DEEP],
  'a million levels': [nested(1_000_000), DEEP],
  'a million levels that never end': ['['.repeat(1_000_000), DEEP],
  'a byte too many': [Buffer.concat([Buffer.from(without()), Buffer.from([0xff])]), JSON_WRONG],
  'half a character too many': [Buffer.from(without('x') + 'ש').subarray(0, -1), JSON_WRONG],
  'UTF-16': [Buffer.from(`\ufeff${without()}`, 'utf16le'), NOTHING],
  'UTF-16 without a mark': [Buffer.from(without(), 'utf16le'), JSON_WRONG],
  'a form without a caller': [
    'ivruniqueid=1&status=BUSY&did=0722776772',
    /^caller .*missing$/,
    FORM,
  ],
  'a form with half an escape': [
    'ivruniqueid=1&caller=%E0%A4%A&status=BUSY',
    /percent-encoded/,
    FORM,
  ],
  'a multipart form': ['--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--', ALL],
  'no call id': [without('ivruniqueid'), ID],
  'no status': [without('status'), /^status \(status or DialStatus\) is missing$/],
  'no caller': [without('caller'), /^caller \(caller, callerPhone or CallerNumber\) is missing$/],
  'no number dialled': [without('did'), /^number dialled \(did or DID\) is missing$/],
  'no id and no status': [without('ivruniqueid', 'status'), /^call id .*; status .*missing$/],
  'an empty call id': [withId(''), ID],
  'a blank call id': [withId(' \t'), ID],
  'a call id of null': [withId(null), ID],
  'a call id of 0': [withId(0), ID],
  'a call id of true': [withId(true), NO_ID],
  'a call id that is an object': [withId({ $ne: 1 }), NO_ID],
  'a call id that is an array': [withId(['1']), NO_ID],
  'a negative call id': [withId(-1), NO_ID],
  'a call id of -0': [withIdWritten('-0'), NO_ID],
  'a call id with a fraction': [withId(1.5), NO_ID],
  'a call id of 1e400': [withIdWritten('1e400'), NO_ID],
  'a call id of 1e21': [withIdWritten('1e+21'), NO_ID],
  'a call id of 129 characters': [withId('x'.repeat(129)), LONG_ID],
  'a call id of 129 digits': [withIdWritten('1'.repeat(129)), LONG_ID],
  'a call id of 10 kB': [withId('x'.repeat(10_000)), LONG_ID],
  'a NUL in the call id': [withId('1\0'), CONTROL_ID],
  'a line feed in the call id': [withId('1\n2'), CONTROL_ID],
  'half a character in the call id': [withIdWritten('"1\\ud800"'), CONTROL_ID],
  'an empty status': [JSON.stringify(push({ status: ' ' })), /^status .*missing$/],
  'a status that is an object': [JSON.stringify(push({ status: {} })), /^status .*missing$/],
  'a status of NUL': [JSON.stringify(push({ status: '\0' })), /^status .*missing$/],
}

for (const [name, [body, reason, contentType = 'application/json']] of Object.entries(REJECTED))
  await t.test(`${name} is rejected with a reason and kept`, async t => {
    const { tenantId, token } = await business()
    const before = await contents()
    const send = () => post(body, { token, headers: { 'content-type': contentType } })
    const answer = await send()
    t.equal(answer.status, 400)
    const { Errdesc } = refusal.parse(answer.body)
    t.match(Errdesc, reason)
    const kept = {
      source: 'voicenter',
      reason: Errdesc,
      content_type: contentType,
      body: Buffer.from(body),
    }
    t.strictSame(await rejectedOf(tenantId), [{ ...kept, deliveries: 1 }], 'its exact bytes')

    t.strictSame(await send(), answer, 'a repeat gets the same answer')
    t.strictSame(await rejectedOf(tenantId), [{ ...kept, deliveries: 2 }], 'the repeat is counted')
    const { 'public.rejected_deliveries': _, ...others } = await contents()
    const { 'public.rejected_deliveries': __, ...othersBefore } = before
    t.strictSame(others, othersBefore, 'no other table has changed')
  })

await t.test('the same wrong body from two businesses is kept for each', async t => {
  const a = await business()
  const b = await business()
  await post('{}', { token: a.token })
  await post('{}', { token: b.token })
  t.match(await rejectedOf(a.tenantId), [{ deliveries: 1 }])
  t.match(await rejectedOf(b.tenantId), [{ deliveries: 1 }])
})

await t.test('the same wrong body fifty times at once is one row', async t => {
  const { tenantId, token } = await business()
  const answers = await Promise.all(Array.from({ length: 50 }, () => post('{}', { token })))
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([400]))
  t.match(await rejectedOf(tenantId), [{ deliveries: 50 }])
})

await t.test('an outgoing or internal call needs neither caller nor number dialled', async t => {
  const { tenantId, token } = await business()
  const outgoing = omit('caller', 'did', 'type')
  for (const which of [
    { direction: 'outgoing' },
    { direction: 'internal' },
    { type: 'Extension Outgoing' },
  ])
    t.match(await post({ ...outgoing, ...which }, { token }), { status: 200 })
  t.strictSame(await rejectedOf(tenantId), [])
  t.equal(
    (await db.selectFrom('raw_cdrs').select('id').where('tenant_id', '=', tenantId).execute())
      .length,
    3,
  )
})

await t.test('without a content type, the format is recognised by the body', async t => {
  const { tenantId, token } = await business()
  t.match(await post('{}', { token, headers: {} }), { status: 400 })
  t.match(await rejectedOf(tenantId), [{ content_type: null, reason: ALL }])
})

/** A record as JSON with further fields. */
const plus = (fields: string, record = push()) =>
  `${JSON.stringify(record).slice(0, -1)},${fields}}`
const form = (record = push()) =>
  new URLSearchParams(
    Object.entries(record).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString()
const array = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`

/** Unusual bodies that are valid call records. */
const ACCEPTED: Record<string, [body: string | Buffer, contentType?: string]> = {
  'NUL in a value': [JSON.stringify(push({ representative_name: 'a\0b' }))],
  'NUL in the caller and the type': [
    JSON.stringify(push({ caller: '050\0' + '2345678', type: 'Queue\0' })),
  ],
  'NUL in a name': [plus('"a\\u0000b":1,"ab":2')],
  'NUL in CustomData': [plus('"CustomData":{"x\\u0000":"\\u0000"}')],
  'half a character in a value': [plus('"queuename2":"\\ud800"')],
  'half a character in a name': [plus('"\\udfff":"\\udfff\\ud800"')],
  'a character above the BMP': [plus('"name":"😀 \\ud83d\\ude00"')],
  'a byte order mark': [`\ufeff${JSON.stringify(push())}`],
  'white space around it': [`\r\n\t ${JSON.stringify(push(), null, 2)} \n`],
  'numbers beyond a double': [plus('"a":1e400,"b":-1e400,"c":1e200000,"d":9007199254740993')],
  'numbers in every notation': [plus('"a":1.0,"b":-0,"c":1E5,"d":1e-7,"e":1e+21,"f":0.10')],
  'many digits': [plus(`"a":${'9'.repeat(1000)},"b":0.${'1'.repeat(1000)}`)],
  '32 levels': [plus(`"a":${array(31)}`)],
  __proto__: [plus('"__proto__":{"admin":true,"status":"ANSWER"}')],
  'names of the language': [
    plus(
      '"constructor":{"prototype":{"admin":true}},"toString":1,"hasOwnProperty":2,"toPostgres":"x"',
    ),
  ],
  'a type that is a name of the language': [JSON.stringify(push({ type: 'constructor' }))],
  'objects where text belongs': [JSON.stringify(push({ caller: {}, target: [], type: { a: 1 } }))],
  'booleans and numbers for text': [
    JSON.stringify(push({ type: 8, queuename: true, caller: 502345678 })),
  ],
  'null everywhere': [JSON.stringify(push({ caller: null, target: null, time: null, type: null }))],
  'a long name': [plus(`"${'x'.repeat(100_000)}":1`)],
  'a long caller': [JSON.stringify(push({ caller: '0'.repeat(10_000) }))],
  'an unknown status': [JSON.stringify(push({ status: 'x'.repeat(10_000) }))],
  'SQL, formulas, control codes': [
    JSON.stringify(
      push({ representative_name: "'; drop table leads; -- =cmd|x \r\n \u001b[31m \u202e" }),
    ),
  ],
  'a CustomData that is no JSON': [JSON.stringify(push({ CustomData: '{"a":' }))],
  'a CustomData that is a deep one': [JSON.stringify(push({ CustomData: array(10_000) }))],
  'an original call that is no id': [JSON.stringify(push({ OriginalIvrUniqueID: { a: 1 } }))],
  'an original call with a long id': [
    JSON.stringify(push({ OriginalIvrUniqueID: 'x'.repeat(1000) })),
  ],
  'an id of 128 characters': [JSON.stringify(push({ ivruniqueid: 'ש'.repeat(128) }))],
  'an id that is a job’s key': [JSON.stringify(push({ ivruniqueid: 'lead_outreach:1' }))],
  'JSON said to be a form': [JSON.stringify(push()), FORM],
  'JSON said to be text': [JSON.stringify(push()), 'text/plain; charset=iso-8859-8'],
  'JSON said to be something long': [
    JSON.stringify(push()),
    `application/json; x=${'y'.repeat(1000)}`,
  ],
  'a form': [form(), FORM],
  'a form said to be JSON': [form(), 'application/json'],
  'a form with odd fields': [
    `&&=1&__proto__=x&__proto__[admin]=1&a%00b=%00&${form()}&x&x=1=2`,
    FORM,
  ],
  ...Object.fromEntries(
    ['now', 'tomorrow', 'infinity', '0001-01-01', '275760-09-13', -1, 1e300, '1e400', NaN].map(
      time => [`a time of ${time}`, [JSON.stringify(push({ time })), 'application/json']],
    ),
  ),
}

for (const [name, [body, contentType = 'application/json']] of Object.entries(ACCEPTED))
  await t.test(`${name} is accepted, kept byte for byte and classified`, async t => {
    const { tenantId, token } = await business()
    t.strictSame(await post(body, { token, headers: { 'content-type': contentType } }), OK)
    t.strictSame(await post(body, { token, headers: { 'content-type': contentType } }), OK)
    const rows = () =>
      db.selectFrom('raw_cdrs').selectAll().where('tenant_id', '=', tenantId).execute()
    const stored = await rows()
    t.match(stored, [{ deliveries: 2, verdict: null }])
    t.strictSame(stored[0]?.body, Buffer.from(body), 'its exact bytes')
    await work()
    const [row] = await rows()
    t.ok(row?.verdict, 'classified')
    t.strictSame(await jobs(`voicenter_cdr:${row?.call_id}`), [], 'its job is done')
    t.strictSame(await rejectedOf(tenantId), [])
    t.notOk('admin' in {}, 'Object.prototype is unchanged')
  })

await t.test('an id of digits keeps all its digits, as a number and as text', async t => {
  const { tenantId, token } = await business()
  // A double can represent the last three exactly.
  for (const id of [
    '2026111510150312345678901234',
    '20261115101503123',
    '9007199254740993',
    '9007199254740991',
    '9007199254740992',
    '20261115101503124',
    '100000000000000000000',
  ]) {
    const written = JSON.stringify(push({ ivruniqueid: 'X' }))
    t.strictSame(await post(written.replace('"X"', id), { token }), OK, `${id} as a number`)
    t.strictSame(await post(written.replace('X', id), { token }), OK, `${id} as text`)
    await work()
    const verdicts = await verdictsOf(tenantId, id)
    t.ok(verdicts.length, `${id} is stored as it is`)
    for (const verdict of verdicts) t.strictSame(verdict, ['unmatched_number', 'number_dialled'])
  }
})

await t.test('if a name occurs twice, the last value counts', async t => {
  const { tenantId, token, did } = await business()
  const first = push({ did, status: 'ANSWER' })
  t.strictSame(await post(plus('"status":"BUSY"', first), { token }), OK)
  const second = push({ did, status: 'ANSWER' })
  t.strictSame(await post(`${form(second)}&status=CANCEL`, { token }), OK)
  await work()
  t.match(await missedCall(tenantId, first.ivruniqueid), { status: 'BUSY' })
  t.match(await missedCall(tenantId, second.ivruniqueid), { status: 'CANCEL' })
})

await t.test('__proto__ sets nothing', async t => {
  const { tenantId, token, did } = await business()
  const record = push({ did })
  const { status: _, ...rest } = record
  const hidden = JSON.stringify(rest).replace('{', '{"__proto__":{"status":"ANSWER"},')
  t.match(await post(hidden, { token }), { status: 400, body: { Errdesc: /^status .*missing$/ } })
  t.strictSame(await verdictsOf(tenantId, record.ivruniqueid), [])
})

await t.test('a name with a NUL is read the same way on arrival and by the job', async t => {
  const { tenantId, token, did } = await business()
  // Postgres cannot store NUL, so this name becomes a second `status`. Both must be read before the answer.
  const broken = push({ did })
  t.match(await post(plus('"status\\u0000":{}', broken), { token }), { status: 400 })
  t.strictSame(await verdictsOf(tenantId, broken.ivruniqueid), [])
  const changed = push({ did })
  t.strictSame(await post(plus('"status\\u0000":"BUSY"', changed), { token }), OK)
  await work()
  t.match(await missedCall(tenantId, changed.ivruniqueid), { status: 'BUSY' })
})

const LIMIT = 5 * 1024 * 1024
/** A record of this many bytes, such as one with an AI transcript. */
const recordOf = (bytes: number): string => {
  const record = JSON.stringify(push({ aiData: { transcript: '' } }))
  return record.replace('"transcript":""', `"transcript":"${'x'.repeat(bytes - record.length)}"`)
}
const storedOf = async (tenantId: string) =>
  (
    await db
      .selectFrom('raw_cdrs')
      .select('body')
      .where('tenant_id', '=', tenantId)
      .orderBy('id')
      .execute()
  ).map(({ body }) => body?.length)

await t.test('5 MiB are stored, and one byte more is answered 413', async t => {
  const { tenantId, token } = await business()
  t.strictSame(await post(recordOf(LIMIT - 1), { token }), OK)
  t.strictSame(await post(recordOf(LIMIT), { token }), OK)
  t.strictSame(await storedOf(tenantId), [LIMIT - 1, LIMIT])

  const before = await contents()
  const tooLarge = { status: 413, body: { Err: 1, Errdesc: /larger than 5 MB/ } }
  t.match(await post(recordOf(LIMIT + 1), { token }), tooLarge)
  t.match(await post('x'.repeat(LIMIT + 1), { token }), tooLarge, 'whatever the content')
  t.strictSame(await contents(), before, 'nothing is stored')
  t.strictSame(await post(push(), { token }), OK, 'the next delivery is stored')
})

await t.test('a wrong body is kept up to the same limit', async t => {
  const { tenantId, token } = await business()
  const body = '['.repeat(LIMIT)
  t.match(await post(body, { token }), { status: 400 })
  const [kept] = await rejectedOf(tenantId)
  t.equal(kept?.body?.equals(Buffer.from(body)), true)
})

await t.test('a body without a content length is cut at the same limit', async t => {
  const { token } = await business()
  const before = await contents()
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  const response = await fetch(`${CDR}?token=${token}`, {
    method: 'POST',
    duplex: 'half',
    body: ReadableStream.from(Array.from({ length: 6 }, () => chunk)),
  })
  t.equal(response.status, 413)
  t.strictSame(await contents(), before)
})

await t.test('a compressed body is rejected without unpacking it', async t => {
  const { token } = await business()
  const before = await contents()
  const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
  for (const [encoding, body] of [
    ['gzip', gzipSync(JSON.stringify(push()))],
    ['gzip', bomb],
    ['deflate', deflateSync(JSON.stringify(push()))],
    ['br', 'x'],
    ['nonsense', 'x'],
  ] as const)
    t.match(
      await post(body, { token, headers: { 'content-encoding': encoding } }),
      { status: 415, body: { Err: 1, Errdesc: /compressed/ } },
      encoding,
    )
  t.strictSame(await contents(), before)
  t.strictSame(await post(push(), { token, headers: { 'content-encoding': 'identity' } }), OK)
})

await t.test('XML-RPC is rejected with the setting to change, and kept', async t => {
  const { tenantId, token } = await business()
  const bodies = [
    '<?xml version="1.0"?><methodCall><methodName>cdr</methodName><params/></methodCall>',
    '\ufeff\n<methodCall >\n</methodCall>',
  ]
  for (const body of bodies)
    t.match(await post(body, { token, headers: { 'content-type': 'text/xml' } }), {
      status: 415,
      body: { Err: 1, Errdesc: /XML-RPC .*CPanel.*POST-JSON/ },
    })
  t.match(await post(bodies[0], { token }), { status: 415 }, 'whatever the content type')
  t.match(await rejectedOf(tenantId), [
    {
      body: Buffer.from(bodies[0] ?? ''),
      reason: 'XML-RPC',
      content_type: 'text/xml',
      deliveries: 2,
    },
    { body: Buffer.from(bodies[1] ?? ''), deliveries: 1 },
  ])
  t.strictSame(await storedOf(tenantId), [])
})

await t.test('an External Layer that points here by mistake lets the caller continue', async t => {
  const { tenantId, token } = await business()
  const layer = {
    METHOD: 'IVR_LAYER_INPUT',
    IVR_UNIQUE_ID: '1',
    DID: '0722776772',
    CALLER_ID: '05',
  }
  const bodies = [JSON.stringify(layer), new URLSearchParams(layer).toString()]
  for (const body of bodies)
    t.strictSame(await post(body, { token }), { status: 200, body: { STATUS: 1 } })
  t.strictSame(
    (await rejectedOf(tenantId)).map(({ body, reason }) => [
      body?.toString(),
      reason.startsWith('IVR_LAYER_INPUT'),
    ]),
    bodies.map(body => [body, true]),
  )
  t.strictSame(await storedOf(tenantId), [])
  t.match(await post(layer, { token: 'wrong' }), { status: 401 })
  // In an array it is one invalid element among records that must not be lost.
  t.match(await post([layer, push()], { token }), { status: 400 })
  t.equal((await storedOf(tenantId)).length, 1)
})
