/** Records that are strange and yet records: taken, kept byte for byte, and judged without an error. */
import t from 'tap'
import {
  business,
  db,
  jobs,
  missedCall,
  OK,
  post,
  rejectedOf,
  verdictsOf,
  work,
} from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const FORM = 'application/x-www-form-urlencoded'
/** A record as JSON with something put in front of its last brace. */
const plus = (fields: string, record = push()) =>
  `${JSON.stringify(record).slice(0, -1)},${fields}}`
const form = (record = push()) =>
  new URLSearchParams(
    Object.entries(record).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString()
const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`

const TAKEN: Record<string, [body: string | Buffer, contentType?: string]> = {
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
  '32 levels': [plus(`"a":${nested(31)}`)],
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
  'a status nobody knows': [JSON.stringify(push({ status: 'x'.repeat(10_000) }))],
  'SQL, formulas, control codes': [
    JSON.stringify(
      push({ representative_name: "'; drop table leads; -- =cmd|x \r\n \u001b[31m \u202e" }),
    ),
  ],
  'a CustomData that is no JSON': [JSON.stringify(push({ CustomData: '{"a":' }))],
  'a CustomData that is a deep one': [JSON.stringify(push({ CustomData: nested(10_000) }))],
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

for (const [name, [body, contentType = 'application/json']] of Object.entries(TAKEN))
  await t.test(`${name} is taken, kept as it came, and judged`, async t => {
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
    t.ok(row?.verdict, 'judged')
    t.strictSame(await jobs(`voicenter_cdr:${row?.call_id}`), [], 'and its job is done')
    t.strictSame(await rejectedOf(tenantId), [])
    t.notOk('admin' in {}, 'no object of ours has changed')
  })

await t.test('ids of digits keep every one of them, as a number and as text', async t => {
  const { tenantId, token } = await business()
  // The last three are such that a double holds them exactly.
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
    t.ok(verdicts.length, `${id} is what it is found by`)
    for (const verdict of verdicts) t.strictSame(verdict, ['unmatched_number', 'number_dialled'])
  }
})

await t.test('of a name that comes twice the last one counts', async t => {
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

await t.test('a name is the same when it comes and when it is read again', async t => {
  const { tenantId, token, did } = await business()
  // Postgres stores no NUL, so this is a second status; what it says was found out only by the job.
  const broken = push({ did })
  t.match(await post(plus('"status\\u0000":{}', broken), { token }), { status: 400 })
  t.strictSame(await verdictsOf(tenantId, broken.ivruniqueid), [])
  const changed = push({ did })
  t.strictSame(await post(plus('"status\\u0000":"BUSY"', changed), { token }), OK)
  await work()
  t.match(await missedCall(tenantId, changed.ivruniqueid), { status: 'BUSY' })
})
