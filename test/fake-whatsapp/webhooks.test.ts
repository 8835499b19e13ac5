import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { beforeEach, test } from 'tap'
import type { Test } from 'tap'
import { startFakeWhatsApp } from '../../scripts/fake-whatsapp/server.ts'
import { asciiJson } from '../../scripts/fake-whatsapp/signature.ts'
import { dana, startReceiver, yossi } from './support.ts'
import type { Received } from './support.ts'

const fake = await startFakeWhatsApp()
beforeEach(fake.reset)

const secret = 'an app secret'
const mac = (bytes: Buffer | string, key = secret) =>
  `sha256=${createHmac('sha256', key).update(bytes).digest('hex')}`

/** A callback URL, and a business number that reports to it. */
const connected = async (t: Test, ...args: Parameters<typeof startReceiver>) => {
  const receiver = await startReceiver(...args)
  t.teardown(receiver.close)
  return { receiver, number: fake.addNumber({ callbackUrl: receiver.url, appSecret: secret }) }
}

const gap = (from?: Received, to?: Received) => (to?.at ?? 0) - (from?.at ?? 0)

const greeting = 'שלום 😀 <a@b.il> 5% https://x.il/ä'

await test('the signature is over the ASCII-escaped bytes', async t => {
  const { receiver, number } = await connected(t)
  const { phoneNumberId } = number
  await fake.inbound({ kind: 'text', from: dana, text: greeting, phoneNumberId })
  const [one] = receiver.received
  t.ok(one)
  if (!one) return
  t.match(one.bytes.toString(), /^[\x20-\x7e]+$/, 'all ASCII')
  const escaped = String.raw`\u05e9\u05dc\u05d5\u05dd \ud83d\ude00 \u003Ca\u0040b.il> 5\u0025 https:\/\/x.il\/\u00e4`
  t.ok(one.bytes.includes(`"${escaped}"`))
  t.equal(one.signature, mac(one.bytes))
  t.not(one.signature, mac(JSON.stringify(JSON.parse(one.bytes.toString()))), 'not over JSON anew')
  t.equal(receiver.changes()[0]?.value.messages?.[0]?.type, 'text')
  t.match(receiver.changes()[0]?.value.messages, [{ text: { body: greeting } }])
})

await test('a backslash before an escaped character stays a backslash', t => {
  const value = { text: String.raw`\/ \\@ \u05e9 "%"` }
  t.strictSame(JSON.parse(asciiJson(value)), value)
  t.end()
})

await test('the other ways of signing', async t => {
  const { receiver, number } = await connected(t)
  const { phoneNumberId } = number
  const say = { kind: 'text', from: dana, text: greeting, phoneNumberId } as const
  await fake.inbound(say, { signature: 'unsigned' })
  await fake.inbound(say, { signature: 'wrong_secret' })
  await fake.inbound(say, { signature: 'altered' })
  fake.setWebhooks({ signature: 'raw_utf8' })
  await fake.inbound(say)
  const [unsigned, wrongSecret, altered, raw] = receiver.received
  t.equal(unsigned?.signature, undefined)
  t.match(wrongSecret?.signature, /^sha256=[0-9a-f]{64}$/)
  t.not(wrongSecret?.signature, mac(wrongSecret?.bytes ?? ''))
  t.not(altered?.signature, mac(altered?.bytes ?? ''))
  t.match(JSON.parse(altered?.bytes.toString() ?? ''), { object: 'whatsapp_business_account' })
  t.ok(raw?.bytes.includes('שלום 😀'))
  t.equal(raw?.signature, mac(raw?.bytes ?? ''))
  t.strictSame(
    fake.deliveries().map(({ signature }) => signature),
    ['unsigned', 'wrong_secret', 'altered', 'raw_utf8'],
  )
})

await test('anything but 200 is resent, in growing gaps, until there is a 200', async t => {
  fake.setWebhooks({ firstGapMs: 40 })
  const { receiver, number } = await connected(t, [500, 201])
  const { phoneNumberId } = number
  const { deliveries } = await fake.inbound({ kind: 'text', from: dana, text: 'hi', phoneNumberId })
  t.match(deliveries, [{ state: 'pending', attempts: [{ status: 500 }] }], 'after one answer')
  await fake.idle()
  t.match(fake.deliveries(), [
    { state: 'delivered', url: receiver.url, updates: 1, attempts: [{}, { status: 201 }, {}] },
  ])
  t.equal(fake.deliveries()[0]?.attempts.length, 3)
  const [first, second, third] = receiver.received
  t.ok(gap(first, second) >= 35 && gap(second, third) >= 75, 'gaps of 40 and 80 ms')
  t.equal(third?.bytes.toString(), first?.bytes.toString(), 'the same bytes')
})

await test('after the last try it gives up', async t => {
  fake.setWebhooks({ firstGapMs: 1, tries: 3, answerMs: 60 })
  const { receiver, number } = await connected(t, [], () => new Promise(() => {}))
  const { phoneNumberId } = number
  await fake.inbound({ kind: 'text', from: dana, text: 'hi', phoneNumberId })
  await fake.idle()
  t.equal(receiver.received.length, 3)
  t.match(fake.deliveries(), [{ state: 'given_up', attempts: [{ error: /TimeoutError/ }, {}, {}] }])
})

await test('one POST carries the updates of two businesses', async t => {
  const { receiver, number } = await connected(t)
  const { url: callbackUrl } = receiver
  const other = fake.addNumber({ callbackUrl, appSecret: secret })
  const text = (from: string, { phoneNumberId }: typeof number, body: string) =>
    ({ kind: 'text', from, text: body, phoneNumberId }) as const
  await fake.inbound([
    text(dana, number, 'one'),
    text(yossi, number, 'two'),
    text(dana, other, 'three'),
    { kind: 'template_status', event: 'PAUSED', template: 'x', phoneNumberId: other.phoneNumberId },
  ])
  t.equal(receiver.received.length, 1)
  t.match(receiver.changes(), [
    {
      waba: number.wabaId,
      value: {
        metadata: { phone_number_id: number.phoneNumberId },
        contacts: [{ wa_id: dana.slice(1) }, { wa_id: yossi.slice(1) }],
        messages: [{ text: { body: 'one' } }, { text: { body: 'two' } }],
      },
    },
    { waba: other.wabaId, value: { messages: [{ text: { body: 'three' } }] } },
    { waba: other.wabaId, field: 'message_template_status_update' },
  ])
  t.match(fake.deliveries(), [{ updates: 4 }])
})

await test('businesses with apps of their own never share a POST', async t => {
  const { receiver, number } = await connected(t)
  const other = fake.addNumber({ callbackUrl: receiver.url, appSecret: 'another' })
  await fake.inbound(
    [number, other].map(({ phoneNumberId }) => ({
      kind: 'text' as const,
      from: dana,
      text: 'hi',
      phoneNumberId,
    })),
  )
  t.strictSame(
    new Set(receiver.received.map(({ bytes, signature }) => signature === mac(bytes))),
    new Set([true, false]),
  )
})

await test('a POST holds at most 1,000 updates, and about 3 MB', async t => {
  const { receiver, number } = await connected(t)
  const { phoneNumberId } = number
  const text = (body: string) => ({ kind: 'text', from: dana, text: body, phoneNumberId }) as const
  await fake.inbound(Array.from({ length: 1001 }, (_, index) => text(String(index))))
  t.strictSame(
    fake.deliveries().map(({ updates }) => updates),
    [1000, 1],
  )
  await fake.inbound(Array.from({ length: 40 }, () => text('ש'.repeat(20_000))))
  t.strictSame(
    receiver.received.slice(2).map(({ bytes }) => bytes.length < 3_100_000),
    [true, true],
  )
})

await test('what is held is delivered together, in its order or the reverse', async t => {
  const { receiver, number } = await connected(t)
  const { phoneNumberId } = number
  fake.holdWebhooks()
  for (const text of ['one', 'two'])
    await fake.inbound({ kind: 'text', from: dana, text, phoneNumberId })
  await fake.idle()
  t.equal(receiver.received.length, 0)
  await fake.releaseWebhooks({ order: 'reversed', copies: 2 })
  const bodies = [{ text: { body: 'two' } }, { text: { body: 'one' } }]
  t.match(receiver.changes(), [{ value: { messages: bodies } }, { value: { messages: bodies } }])
  await fake.inbound({ kind: 'text', from: dana, text: 'three', phoneNumberId })
  t.equal(receiver.received.length, 3, 'and no longer held')
})

await test('a burst is delivered a hundred at a time', async t => {
  let open = 0
  let most = 0
  const { receiver, number } = await connected(t, [], async () => {
    most = Math.max(most, ++open)
    await new Promise(resume => setTimeout(resume, 30))
    open--
  })
  const { phoneNumberId } = number
  await fake.inbound({ kind: 'text', from: dana, text: 'hi', phoneNumberId }, { copies: 230 })
  t.strictSame([receiver.received.length, most <= 100], [230, true])
})

await test('a number without callback URL reports nothing', async t => {
  const { phoneNumberId } = fake.addNumber()
  await fake.inbound({ kind: 'text', from: dana, text: 'hi', phoneNumberId })
  t.strictSame(fake.deliveries(), [])
})

await test('the GET verification wants the bare challenge and the right token', async t => {
  const server = createServer((req, res) => {
    const { searchParams } = new URL(req.url ?? '', 'http://localhost')
    const right = searchParams.get('hub.verify_token') === 'open sesame'
    const quoted = searchParams.has('quoted') ? '"' : ''
    const subscribes = searchParams.get('hub.mode') === 'subscribe'
    res.writeHead(right && subscribes ? 200 : 403)
    res.end(`${quoted}${searchParams.get('hub.challenge')}${quoted}`)
  }).listen(0, '127.0.0.1')
  await new Promise(resume => server.once('listening', resume))
  t.teardown(() => server.close().closeAllConnections())
  const address = server.address()
  const callbackUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/?a=b`
  const { phoneNumberId } = fake.addNumber({ callbackUrl, verifyToken: 'open sesame' })
  t.match(await fake.verify(phoneNumberId), { ok: true, status: 200 })
  t.match(await fake.verify(phoneNumberId, 'wrong'), { ok: false, status: 403 })
  fake.addNumber({ phoneNumberId, callbackUrl: `${callbackUrl}&quoted` })
  t.match(await fake.verify(phoneNumberId), { ok: false, status: 200 })
})

await test('reset drops what is pending', async t => {
  const { receiver, number } = await connected(t, [500, 500])
  fake.setWebhooks({ firstGapMs: 50 })
  const { phoneNumberId } = number
  await fake.inbound({ kind: 'text', from: dana, text: 'hi', phoneNumberId })
  await fake.reset()
  await fake.idle()
  await new Promise(resume => setTimeout(resume, 70))
  t.equal(receiver.received.length, 1)
  t.strictSame([fake.deliveries(), fake.people(), fake.lines(dana)], [[], [], []])
})

await fake.close()
