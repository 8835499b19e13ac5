/** What is too large, or in a wrapping that is not read here. */
import { deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { business, CDR, contents, db, OK, post, rejectedOf } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const LIMIT = 5 * 1024 * 1024
/** A record of exactly so many bytes, as one with an AI transcript may be. */
const recordOf = (bytes: number): string => {
  const record = JSON.stringify(push({ aiData: { transcript: '' } }))
  return record.replace('"transcript":""', `"transcript":"${'x'.repeat(bytes - record.length)}"`)
}
const storedOf = async (tenantId: string) =>
  (await db.selectFrom('raw_cdrs').select('body').where('tenant_id', '=', tenantId).execute()).map(
    ({ body }) => body?.length,
  )

await t.test('five megabytes are stored, one byte more is too large', async t => {
  const { tenantId, token } = await business()
  t.strictSame(await post(recordOf(LIMIT - 1), { token }), OK)
  t.strictSame(await post(recordOf(LIMIT), { token }), OK)
  t.strictSame(await storedOf(tenantId), [LIMIT - 1, LIMIT])

  const before = await contents()
  const tooLarge = { status: 413, body: { Err: 1, Errdesc: /larger than 5 MB/ } }
  t.match(await post(recordOf(LIMIT + 1), { token }), tooLarge)
  t.match(await post('x'.repeat(LIMIT + 1), { token }), tooLarge, 'whatever it is')
  t.strictSame(await contents(), before, 'of which nothing is stored')
  t.strictSame(await post(push(), { token }), OK, 'the next one is read')
})

await t.test('a large body that is wrong is kept up to the same limit', async t => {
  const { tenantId, token } = await business()
  const body = '['.repeat(LIMIT)
  t.match(await post(body, { token }), { status: 400 })
  const [kept] = await rejectedOf(tenantId)
  t.equal(kept?.body?.equals(Buffer.from(body)), true)
})

await t.test('a body without a length is cut at the limit too', async t => {
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

await t.test('a compressed body is refused, and not unpacked', async t => {
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

await t.test('XML-RPC is refused with the setting to change, and kept', async t => {
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
  t.match(await post(bodies[0], { token }), { status: 415 }, 'whatever it is said to be')
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

await t.test('an External Layer that points here by mistake lets the caller go on', async t => {
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
  // It comes alone. In an array it is one bad record among others, which are not to be lost with it.
  t.match(await post([layer, push()], { token }), { status: 400 })
  t.equal((await storedOf(tenantId)).length, 1)
})

await t.test(
  'of ten bodies near the limit at once each is stored, or its sender told to come again',
  async t => {
    const { tenantId, token } = await business()
    const bodies = Array.from({ length: 10 }, () => recordOf(LIMIT - 100))
    const answers = await Promise.all(bodies.map(body => post(body, { token })))
    t.ok(answers.every(({ status }) => status === 200 || status === 503))
    t.equal(
      (await storedOf(tenantId)).length,
      answers.filter(({ status }) => status === 200).length,
    )
    const again = bodies.filter((_, i) => answers[i]?.status === 503)
    for (const body of again) t.strictSame(await post(body, { token }), OK)
    t.equal((await storedOf(tenantId)).length, 10)
  },
)
