/** Bodies that are no call record: refused with their reason, kept byte for byte, counted when repeated. */
import t from 'tap'
import { z } from 'zod'
import { business, contents, db, post, rejectedOf } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const refusal = z.strictObject({ Err: z.literal(1), Errdesc: z.string() })
const FORM = 'application/x-www-form-urlencoded'
const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
const omit = (...names: string[]) =>
  Object.fromEntries(Object.entries(push()).filter(([name]) => !names.includes(name)))
const without = (...names: string[]) => JSON.stringify(omit(...names))
const withId = (id: unknown) => JSON.stringify(push({ ivruniqueid: id }))
/** JSON.stringify cannot write these. */
const withIdWritten = (id: string) => JSON.stringify(push({ ivruniqueid: 'X' })).replace('"X"', id)

const ID = /^call id \(ivruniqueid or CallID\) is missing$/
const NO_ID = /call id is neither text nor a whole number/
const LONG_ID = /call id is longer than 128 characters/
const CONTROL_ID = /call id holds control characters/
const JSON_WRONG = /not valid JSON/
const DEEP = /nested deeper than 32 levels/
const NOTHING = /neither a JSON object, nor an array of them, nor a form/
const UTF8 = /not valid UTF-8/
const ALL = /call id .*missing; status .*missing; caller .*missing; number dialled .*missing/

/** What comes, and what its sender is told. */
const REFUSED: Record<string, [body: string | Buffer, reason: RegExp, contentType?: string]> = {
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
  'an invalid byte': [Buffer.concat([Buffer.from(without()), Buffer.from([0xff])]), UTF8],
  'half a character': [Buffer.from(without('x') + 'ש').subarray(0, -1), UTF8],
  'UTF-16': [Buffer.from(`\ufeff${without()}`, 'utf16le'), UTF8],
  'UTF-16 without a mark': [Buffer.from(without(), 'utf16le'), JSON_WRONG],
  'windows-1255': [
    Buffer.from(without().replace('"queuename":""', '"queuename":"\xf9\xec\xe5\xed"'), 'latin1'),
    UTF8,
    'application/json; charset=windows-1255',
  ],
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
  'a form that is not UTF-8': ['ivruniqueid=1&caller=%ff&status=BUSY', /percent-encoded/, FORM],
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

for (const [name, [body, reason, contentType = 'application/json']] of Object.entries(REFUSED))
  await t.test(`${name} is refused with its reason, and kept`, async t => {
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

    t.strictSame(await send(), answer, 'the same again')
    t.strictSame(await rejectedOf(tenantId), [{ ...kept, deliveries: 2 }], 'is counted')
    const { 'public.rejected_deliveries': _, ...others } = await contents()
    const { 'public.rejected_deliveries': __, ...othersBefore } = before
    t.strictSame(others, othersBefore, 'nothing else is written')
  })

await t.test('the same wrong body of two businesses is kept for each', async t => {
  const a = await business()
  const b = await business()
  await post('{}', { token: a.token })
  await post('{}', { token: b.token })
  t.match(await rejectedOf(a.tenantId), [{ deliveries: 1 }])
  t.match(await rejectedOf(b.tenantId), [{ deliveries: 1 }])
})

await t.test('fifty at once of the same wrong body are one row', async t => {
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

await t.test('without a content type the body says itself what it is', async t => {
  const { tenantId, token } = await business()
  t.match(await post('{}', { token, headers: {} }), { status: 400 })
  t.match(await rejectedOf(tenantId), [{ content_type: null, reason: ALL }])
})
