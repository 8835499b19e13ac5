/** The fake WhatsApp behaves as Meta does: its answers, its webhooks, and what people receive. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Script } from 'node:vm'
import { test, type Test } from 'tap'
import { z } from 'zod'
import type { WebhookEvent } from '../../scripts/fake_whatsapp/events.ts'
import { PAGE_SCRIPT } from '../../scripts/fake_whatsapp/page.ts'
import type { ScriptInput, StatusPlan } from '../../scripts/fake_whatsapp/scripts.ts'
import { type FakeWhatsApp, startFakeWhatsApp } from '../../scripts/fake_whatsapp/server.ts'
import type { NumberInput, WhatsAppNumber } from '../../scripts/fake_whatsapp/state.ts'
import { asciiJson } from '../../scripts/fake_whatsapp/webhooks.ts'

const dana = '+972501234567'
const yossi = '+972521112222'
const SECRET = 'an app secret'
const GREETING = 'שלום 😀 <a@b.il> 5% https://x.il/ä'

const mac = (bytes: Buffer | string) =>
  `sha256=${createHmac('sha256', SECRET).update(bytes).digest('hex')}`

/** A fake with one business number. */
const start = async (t: Test, input: NumberInput = {}) => {
  const fake = await startFakeWhatsApp()
  t.teardown(fake.close)
  return { fake, number: fake.addNumber({ appSecret: SECRET, ...input }) }
}

/** A template message as the program sends it. */
const template = (to: string, name = 'hello', texts: string[] = [], buttons: object[] = []) => ({
  messaging_product: 'whatsapp',
  recipient_type: 'individual',
  to,
  type: 'template',
  biz_opaque_callback_data: '17',
  template: {
    name,
    language: { code: 'he' },
    components: [
      { type: 'body', parameters: texts.map(text => ({ type: 'text', text })) },
      ...buttons,
    ],
  },
})
const button = (sub_type: string, index: number | string, payload: string) => ({
  type: 'button',
  sub_type,
  index,
  parameters: [{ type: 'payload', payload }],
})
const freeText = { messaging_product: 'whatsapp', to: dana, type: 'text', text: { body: 'hi' } }

/** Posts to /messages, as a client with a time limit. */
const post = (
  { url }: FakeWhatsApp,
  { phoneNumberId, token }: Pick<WhatsAppNumber, 'phoneNumberId' | 'token'>,
  body: unknown,
): Promise<Response> =>
  fetch(`${url}/v26.0/${phoneNumberId}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
    signal: AbortSignal.timeout(1500),
  })

const failure = z.object({ error: z.object({ code: z.number() }) })
/** [HTTP status, error code] of an answer. */
const refusal = async (answer: Response) => {
  const { data } = failure.safeParse(await answer.json())
  return [answer.status, data?.error.code]
}

type Seen = { status?: number; code?: number | undefined; body?: string; error?: string }
/** What a client learns from one call. */
const call = async (fake: FakeWhatsApp, number: WhatsAppNumber, to = dana): Promise<Seen> => {
  try {
    const answer = await post(fake, number, template(to))
    const body = await answer.text()
    const code = body.startsWith('{"error"') && failure.parse(JSON.parse(body)).error.code
    return { status: answer.status, body, ...(code && { code }) }
  } catch (error) {
    const { name, cause } = z
      .object({ name: z.string(), cause: z.object({ code: z.unknown() }).optional() })
      .parse(error)
    return { error: `${name} ${String(cause?.code)}` }
  }
}

const items = z.array(z.record(z.string(), z.unknown())).optional()
const value = z.looseObject({ contacts: items, messages: items, statuses: items })
const payload = z.object({
  object: z.literal('whatsapp_business_account'),
  entry: z.array(
    z.object({ id: z.string(), changes: z.array(z.object({ field: z.string(), value })) }),
  ),
})

/** A callback URL. It answers with the given statuses, then with 200. */
const startReceiver = async (
  t: Test,
  answers: number[] = [],
  onRequest: () => Promise<void> = async () => {},
) => {
  const received: { at: number; signature: unknown; bytes: Buffer }[] = []
  const server = createServer((req, res) => {
    const read = async () => {
      const bytes = Buffer.concat(await req.toArray())
      received.push({ at: Date.now(), signature: req.headers['x-hub-signature-256'], bytes })
      await onRequest()
      res.writeHead(answers.shift() ?? 200).end()
    }
    read().catch(() => res.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  const changes = () =>
    received.flatMap(({ bytes }) =>
      payload
        .parse(JSON.parse(bytes.toString()))
        .entry.flatMap(({ id, changes }) => changes.map(change => ({ ...change, waba: id }))),
    )
  return {
    callbackUrl: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/webhooks`,
    received,
    changes,
    statuses: () => changes().flatMap(change => change.value.statuses ?? []),
  }
}

/** A fake whose number reports to a receiver. */
const connected = async (
  t: Test,
  ...args: Parameters<typeof startReceiver> extends [Test, ...infer Rest] ? Rest : never
) => {
  const receiver = await startReceiver(t, ...args)
  const { fake, number } = await start(t, { callbackUrl: receiver.callbackUrl })
  const text = (body = 'hi', from = dana) => ({ kind: 'text', from, text: body }) as const
  return { receiver, fake, number, text }
}

// The Graph API.

await test('a template is accepted and reaches the person', async t => {
  const { fake, number } = await start(t, { displayNumber: '+97237654321' })
  const answer = await post(fake, number, template(dana, 'hello', ['Dana']))
  const [message] = fake.inbox(dana)
  t.equal(answer.status, 200)
  t.strictSame(await answer.json(), {
    messaging_product: 'whatsapp',
    contacts: [{ input: dana, wa_id: dana.slice(1), user_id: fake.people()[0]?.userId }],
    messages: [{ id: message?.wamid, message_status: 'accepted' }],
  })
  t.match(message, {
    to: dana,
    from: '+97237654321',
    type: 'template',
    text: 'hello · Dana',
    template: { name: 'hello', language: 'he', parameters: ['Dana'] },
    biz_opaque_callback_data: '17',
    received: true,
  })
})

await test('a request is logged with its result, and without its token', async t => {
  const { fake, number } = await start(t)
  await post(fake, number, template(dana))
  await post(fake, { ...number, token: 'other-secret' }, template(dana))
  const requests = fake.requests()
  const { phoneNumberId } = number
  t.match(requests, [
    {
      phoneNumberId,
      version: 'v26.0',
      authorization: phoneNumberId,
      body: { to: dana },
      headers: { 'content-type': /json/ },
      outcome: 'accept',
      accepted: true,
      status: 200,
    },
    { authorization: 'wrong', outcome: 'refused', accepted: false, status: 401, code: 190 },
  ])
  t.notMatch(JSON.stringify(requests), new RegExp(`${number.token}|other-secret`))
})

/** An account with templates. */
const withTemplates = async (t: Test) => {
  const { fake, number } = await start(t)
  const { wabaId } = number
  fake.addTemplate({
    wabaId,
    name: 'missed_call',
    parameters: 2,
    body: 'שלום {{1}}, כאן {{2}}.',
    buttons: [{ text: 'חזרו אליי' }, { text: 'הסר' }, { type: 'url', text: 'לאתר' }],
  })
  fake.addTemplate({ wabaId, name: 'long', body: '{{1}}' })
  return { fake, number }
}

await test('a template is filled in, with its buttons and their payloads', async t => {
  const { fake, number } = await withTemplates(t)
  const buttons = [button('quick_reply', '1', 'STOP')]
  await post(fake, number, template(dana, 'missed_call', ['דנה', 'מספרה'], buttons))
  const [message] = fake.inbox(dana)
  t.equal(message?.text, 'שלום דנה, כאן מספרה.')
  t.strictSame(message?.template?.buttons, [
    { text: 'חזרו אליי', payload: 'חזרו אליי' },
    { text: 'הסר', payload: 'STOP' },
  ])
  const other = await start(t)
  const unknown = [button('url', 0, 'x'), button('quick_reply', 1, 'STOP')]
  await post(other.fake, other.number, template(dana, 'hello', [], unknown))
  t.strictSame(other.fake.inbox(dana)[0]?.template?.buttons, [{ text: 'STOP', payload: 'STOP' }])
})

await test('requests that Meta refuses get its code and HTTP status, and are not delivered', async t => {
  const { fake, number: strict } = await withTemplates(t)
  const number = fake.addNumber({ displayNumber: '+97237654321' })
  const { to: _to, ...withoutTo } = template(dana)
  const english = { name: 'missed_call', language: { code: 'en' } }
  const cases: [string, Response | Promise<Response>, number[]][] = [
    ['wrong token', post(fake, { ...number, token: 'no' }, template(dana)), [401, 190]],
    ['unknown number', post(fake, { ...number, phoneNumberId: '9' }, template(dana)), [400, 100]],
    ["another's token", post(fake, { ...number, token: strict.token }, template(dana)), [400, 100]],
    ['no to', post(fake, number, withoutTo), [400, 131008]],
    ['empty to', post(fake, number, template('')), [400, 131008]],
    ['no template', post(fake, number, { ...template(dana), template: undefined }), [400, 131008]],
    ['to is a number', post(fake, number, { ...template(dana), to: 5 }), [400, 131009]],
    ['to is a word', post(fake, number, template('dana')), [400, 131009]],
    ['not JSON', post(fake, number, '{"messaging_product'), [400, 100]],
    ['unknown type', post(fake, number, { ...template(dana), type: 'fax' }), [400, 131051]],
    ['unknown template', post(fake, strict, template(dana, 'other')), [404, 132001]],
    ['not in English', post(fake, strict, { ...template(dana), template: english }), [404, 132001]],
    ['too few parameters', post(fake, strict, template(dana, 'missed_call', ['a'])), [400, 132000]],
    ['too long', post(fake, strict, template(dana, 'long', ['x'.repeat(1025)])), [400, 132005]],
    ['to itself', post(fake, number, template('+97237654321')), [400, 131021]],
    ['free text, window closed', post(fake, number, freeText), [400, 131047]],
    ['unknown path', fetch(`${fake.url}/messages`, { method: 'POST' }), [400, 2500]],
  ]
  for (const [name, answer, expected] of cases)
    t.strictSame(await refusal(await answer), expected, name)
  t.strictSame(fake.accepted(), [])
  t.equal(fake.requests().length, cases.length - 1)
})

await test('a number without + goes to a outsider in the country of the business', async t => {
  const { fake, number } = await start(t)
  await post(fake, number, template('972501234567'))
  await post(fake, number, template('+972 50-123 (4567)'))
  t.equal(fake.inbox('+972972501234567').length, 1)
  t.equal(fake.inbox(dana).length, 1)
})

await test('free text is allowed for 24 hours after the person wrote to this business', async t => {
  const { fake, number } = await start(t)
  const other = fake.addNumber()
  const statusOf = async (from = number) => (await post(fake, from, freeText)).status
  const { phoneNumberId } = number
  const from = { from: dana, phoneNumberId }
  await fake.inbound({ kind: 'edit', original: 'wamid.y', text: 'new', ...from })
  await fake.inbound({ kind: 'system', change: 'user_changed_user_id', ...from })
  t.equal(await statusOf(), 400, 'edits and system messages do not open the window')
  await fake.inbound({ kind: 'text', text: 'היי', ...from })
  t.equal(await statusOf(), 200)
  t.equal(await statusOf(other), 400, 'another business')
  await fake.inbound({ kind: 'text', text: 'היי', agoSeconds: 25 * 3600, ...from })
  t.equal(await statusOf(), 400, 'more than 24 hours ago')
  fake.openWindow({ phone: dana, phoneNumberId })
  t.equal(await statusOf(), 200)
})

// Scripts.

const error = (code: number, httpStatus?: number) =>
  ({ kind: 'error', code, ...(httpStatus && { httpStatus }) }) as const
const dropped = { error: /ECONNRESET|UND_ERR_SOCKET/ }
const OUTCOMES: [string, ScriptInput['outcome'], object, accepted: boolean][] = [
  ['rate limit', error(130429), { status: 400, code: 130429 }, false],
  ['server error', error(131000), { status: 500, code: 131000 }, false],
  ['permission range', error(230), { status: 403, code: 230 }, false],
  ['unlisted', error(777), { status: 400, code: 777 }, false],
  ['unlisted 429', error(777, 429), { status: 429, code: 777 }, false],
  ['unlisted 5xx', error(777, 503), { status: 503, code: 777 }, false],
  ['a page, 404', { kind: 'http', status: 404 }, { status: 404, body: /html/ }, false],
  ['redirect', { kind: 'http', status: 302, headers: { location: '/' } }, { status: 302 }, false],
  ['accepted, 502', { kind: 'http', status: 502, accept: true }, { status: 502 }, true],
  ['accepted, 500', { ...error(131000), accept: true }, { code: 131000 }, true],
  ['hang', { kind: 'hang' }, { error: /TimeoutError/ }, false],
  ['accepted, hang', { kind: 'hang', accept: true }, { error: /TimeoutError/ }, true],
  ['reset', { kind: 'reset' }, dropped, false],
  ['accepted, reset', { kind: 'reset', accept: true }, dropped, true],
  ['cut off', { kind: 'cut' }, { error: /TypeError (ECONNRESET|UND_ERR_SOCKET)/ }, true],
  ['garbled', { kind: 'garbled' }, { status: 200, body: '{"messaging_product":"what' }, true],
  ['no id', { kind: 'no_id' }, { status: 200, body: /"messages":\[{"message_status"/ }, true],
  ['no contacts', { kind: 'accept', contacts: false }, { body: /^(?!.*contacts).*wamid/ }, true],
  ['other wa_id', { kind: 'accept', waId: '5531' }, { body: /"wa_id":"5531"/ }, true],
]
await test('what one request meets', async t => {
  for (const [name, outcome, expected, accepted] of OUTCOMES) {
    const { fake, number } = await start(t)
    fake.script({ outcome })
    t.match(await call(fake, number), expected, name)
    t.equal(fake.inbox(dana).length, accepted ? 1 : 0, `${name}: the person`)
    t.match(fake.requests(), [{ outcome: outcome?.kind, accepted }], `${name}: the log`)
    t.match(await call(fake, number), { status: 200 }, `${name}: one request only`)
  }
})

await test('a message is accepted at once, also if the answer is slow', async t => {
  const { fake, number } = await start(t)
  fake.script({ outcome: { kind: 'accept', delayMs: 300 } })
  const started = Date.now()
  let answered = false
  const answer = call(fake, number).then(seen => {
    answered = true
    return seen
  })
  while (fake.inbox(dana).length === 0) await sleep(1)
  t.notOk(answered)
  t.match(await answer, { status: 200 })
  t.ok(Date.now() - started >= 295)
})

await test('scripts are chosen by recipient, suffix, template and number', async t => {
  const { fake, number } = await start(t)
  const other = fake.addNumber()
  const always = (code: number, which: ScriptInput) =>
    fake.script({ ...which, times: 'always', outcome: error(code) })
  always(1, { phoneNumberId: other.phoneNumberId })
  always(130429, { to: dana })
  always(131026, { toSuffix: '2222' })
  always(132015, { template: 'special' })
  const code = async (from: typeof number, body: unknown) =>
    (await refusal(await post(fake, from, body)))[1]
  t.equal(await code(number, template(dana)), 130429)
  t.equal(await code(number, template(yossi)), 131026)
  t.equal(await code(number, template('+972533333333', 'special')), 132015)
  t.equal(await code(other, template('+972533333333')), 1)
  t.equal(await code(number, template('+972533333333')), undefined)
})

await test('counted scripts play in their order, before a permanent one', async t => {
  const { fake, number } = await start(t)
  fake.script({ times: 'always', outcome: error(4) })
  fake.script({ times: 2, outcome: error(1) })
  fake.script({ outcome: error(2) })
  const codes = []
  for (let n = 0; n < 5; n++) codes.push((await call(fake, number)).code)
  t.strictSame(codes, [1, 1, 2, 4, 4])
  fake.clearScripts()
  t.match(await call(fake, number), { status: 200 })
})

await test('a script does not save a message that Meta refuses', async t => {
  const { fake, number } = await start(t)
  fake.script({ outcome: { kind: 'hang', accept: true } })
  t.equal((await post(fake, number, { ...template(dana), to: '' })).status, 400)
  t.strictSame(fake.accepted(), [])
})

await test('connections are refused while the port is closed', async t => {
  const { fake, number } = await start(t)
  const refused = { error: 'TypeError ECONNREFUSED' }
  t.match(await call(fake, number), { status: 200 }, 'a kept-alive connection is open')
  fake.script({ outcome: { kind: 'accept', delayMs: 200 } })
  const slow = call(fake, number)
  while (fake.requests().length < 2) await sleep(1)
  await fake.refuseConnections()
  t.match(await call(fake, number), refused)
  t.match(await slow, { status: 200 }, 'a request in progress is answered')
  t.match(await call(fake, number), refused, 'its connection is not used again')
  await fake.acceptConnections()
  t.match(await call(fake, number), { status: 200 }, 'on the same port')
  await fake.refuseConnections(100)
  t.match(await call(fake, number), refused)
  await sleep(200)
  t.match(await call(fake, number), { status: 200 })
})

await test('close ends a hanging request', async t => {
  const { fake, number } = await start(t)
  fake.script({ outcome: { kind: 'hang' } })
  const hanging = call(fake, number)
  while (fake.requests().length === 0) await sleep(1)
  await fake.close()
  t.match(await hanging, dropped)
})

// Statuses.

/** Sends one message and waits for all its statuses. */
const statusesOf = async (t: Test, plan?: StatusPlan) => {
  const { fake, number, receiver } = await connected(t)
  if (plan) fake.script({ statuses: plan })
  await post(fake, number, template(dana))
  const beforeResponse = receiver.received.length
  await fake.idle()
  const statuses = receiver.statuses()
  return {
    fake,
    number,
    receiver,
    beforeResponse,
    statuses,
    names: statuses.map(one => one['status']),
  }
}

await test('sent and delivered follow the response by themselves', async t => {
  const { statuses, names, receiver, beforeResponse, number, fake } = await statusesOf(t)
  t.equal(beforeResponse, 0)
  const [message] = fake.inbox(dana)
  const common = {
    id: message?.wamid,
    recipient_id: dana.slice(1),
    biz_opaque_callback_data: '17',
    timestamp: /^\d{10}$/,
    pricing: { billable: true, pricing_model: 'PMP', type: 'regular', category: 'utility' },
  }
  t.match(statuses, [common, common])
  t.strictSame(names, ['sent', 'delivered'])
  t.match(receiver.changes()[0]?.value, {
    messaging_product: 'whatsapp',
    metadata: {
      display_phone_number: number.displayNumber.slice(1),
      phone_number_id: number.phoneNumberId,
    },
  })
  t.match(message?.statuses, [{ status: 'sent' }, { status: 'delivered' }])
})

await test('statuses in any number and order, also before the response', async t => {
  t.strictSame((await statusesOf(t, [])).names, [])
  t.strictSame((await statusesOf(t, ['sent', 'read'])).names, ['sent', 'read'])
  const swapped = await statusesOf(t, [
    { status: 'sent', afterMs: 200 },
    { status: 'delivered', afterMs: 1 },
  ])
  t.strictSame(swapped.names, ['delivered', 'sent'])
  const early = await statusesOf(t, ['delivered', { status: 'sent', beforeResponse: true }])
  t.strictSame([early.names, early.beforeResponse], [['sent', 'delivered'], 1])
})

await test('the plan decides at once whether the person has the message', async t => {
  const { fake, number } = await start(t)
  fake.script({ statuses: [{ status: 'failed', code: 131049, afterMs: 100 }] })
  await post(fake, number, template(dana))
  t.equal(fake.inbox(dana).length, 0)
  fake.script({ statuses: ['failed', 'delivered'] })
  await post(fake, number, template(dana))
  t.equal(fake.inbox(dana).length, 1)
  await fake.idle()
  t.match(fake.accepted(), [{ received: false }, { received: true }])
})

await test('the error, the callback data, the time and other fields of a status', async t => {
  const { statuses } = await statusesOf(t, [
    { status: 'failed', code: 131049 },
    { status: 'sent', callbackData: false, agoSeconds: 3 * 86_400, fields: { pricing: null } },
  ])
  const [failed, sent] = statuses
  t.match(failed, { status: 'failed', errors: [{ code: 131049, title: String, href: String }] })
  t.notOk('pricing' in (failed ?? {}))
  t.notOk('biz_opaque_callback_data' in (sent ?? {}))
  t.equal(sent?.['pricing'], null)
  t.ok(Math.abs(Number(sent?.['timestamp']) + 3 * 86_400 - Date.now() / 1000) < 10)
})

await test('one more status, also of a message whose response was lost', async t => {
  const { fake, number, receiver } = await connected(t)
  fake.setStatuses([])
  fake.script({ outcome: { kind: 'reset', accept: true } })
  await t.rejects(post(fake, number, template(dana)))
  await fake.sendStatus(fake.inbox(dana)[0]?.wamid ?? '', { status: 'read' })
  t.match(receiver.statuses(), [{ status: 'read', biz_opaque_callback_data: '17' }])
  await t.rejects(fake.sendStatus('wamid.none', { status: 'read' }), /no such message/)
})

// Webhooks.

await test('the signature is over the ASCII-escaped bytes', async t => {
  const { fake, receiver, text } = await connected(t)
  await fake.inbound(text(GREETING))
  const [{ bytes, signature } = { bytes: Buffer.alloc(0), signature: '' }] = receiver.received
  t.match(bytes.toString(), /^[\x20-\x7e]+$/, 'all ASCII')
  const escaped = String.raw`\u05e9\u05dc\u05d5\u05dd \ud83d\ude00 \u003Ca\u0040b.il> 5\u0025 https:\/\/x.il\/\u00e4`
  t.ok(bytes.includes(`"${escaped}"`))
  t.equal(signature, mac(bytes))
  t.not(signature, mac(JSON.stringify(JSON.parse(bytes.toString()))), 'not over other JSON')
  t.match(receiver.changes()[0]?.value.messages, [{ text: { body: GREETING } }])
  const backslashes = { text: String.raw`\/ \\@ \u05e9 "%"` }
  t.strictSame(JSON.parse(asciiJson(backslashes)), backslashes)
})

await test('an answer other than 200 is retried with growing gaps', async t => {
  const { fake, receiver, text } = await connected(t, [500, 201])
  fake.setWebhooks({ firstGapMs: 40 })
  const { deliveries } = await fake.inbound(text())
  t.match(deliveries, [{ state: 'pending', attempts: [{ status: 500 }] }], 'after one answer')
  await fake.idle()
  t.match(fake.deliveries(), [{ state: 'delivered', url: receiver.callbackUrl, updates: 1 }])
  t.strictSame(
    fake.deliveries()[0]?.attempts.map(({ status }) => status),
    [500, 201, 200],
  )
  const [first, second, third] = receiver.received
  t.ok(first && second && third)
  if (!first || !second || !third) return
  t.ok(second.at - first.at >= 35 && third.at - second.at >= 75, 'gaps of 40 and 80 ms')
  t.equal(third.bytes.toString(), first.bytes.toString(), 'the same bytes')
})

await test('it gives up after the last try', async t => {
  const { fake, text } = await connected(t, [], () => new Promise(() => {}))
  fake.setWebhooks({ firstGapMs: 1, tries: 3, answerMs: 60 })
  await fake.inbound(text())
  await fake.idle()
  t.match(fake.deliveries(), [{ state: 'given_up', attempts: [{ error: /TimeoutError/ }, {}, {}] }])
})

await test('several events make one POST, also of two businesses with one app', async t => {
  const { fake, receiver, number, text } = await connected(t)
  const other = fake.addNumber({ callbackUrl: receiver.callbackUrl, appSecret: SECRET })
  const { phoneNumberId } = other
  await fake.inbound([
    text('one'),
    text('two', yossi),
    { ...text('three'), phoneNumberId },
    { kind: 'template_category', template: 'x', phoneNumberId },
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
    { waba: other.wabaId, field: 'template_category_update' },
  ])
  t.match(fake.deliveries(), [{ updates: 4 }])

  const own = fake.addNumber({ callbackUrl: receiver.callbackUrl, appSecret: 'another' })
  await fake.inbound([text(), { ...text(), phoneNumberId: own.phoneNumberId }])
  const right = receiver.received.slice(1).map(({ bytes, signature }) => signature === mac(bytes))
  t.strictSame(new Set(right), new Set([false, true]), 'numbers with their own apps share no POST')
})

await test('a POST holds at most 1,000 updates and about 3 MB', async t => {
  const { fake, receiver, text } = await connected(t)
  await fake.inbound(Array.from({ length: 1001 }, (_, n) => text(String(n))))
  t.strictSame(
    fake.deliveries().map(({ updates }) => updates),
    [1000, 1],
  )
  await fake.inbound(Array.from({ length: 40 }, () => text('ש'.repeat(20_000))))
  const sizes = receiver.received.slice(2).map(({ bytes }) => bytes.length)
  t.ok(sizes.length === 2 && sizes.every(size => size < 3_100_000), sizes.join())
})

await test('a burst is delivered a hundred at a time', async t => {
  let open = 0
  let most = 0
  const { fake, receiver, text } = await connected(t, [], async () => {
    most = Math.max(most, ++open)
    await sleep(30)
    open--
  })
  await fake.inbound(text(), { copies: 230 })
  t.equal(receiver.received.length, 230)
  t.ok(most > 1 && most <= 100, String(most))
})

await test('a number without a callback URL sends nothing, and close drops retries', async t => {
  const { fake } = await start(t)
  await fake.inbound({ kind: 'text', from: dana, text: 'hi' })
  t.strictSame(fake.deliveries(), [])
  const closed = await connected(t, [500, 500])
  await closed.fake.inbound(closed.text())
  await closed.fake.close()
  await closed.fake.idle()
  t.equal(closed.receiver.received.length, 1)
})

// Events.

/** A message of each kind, and its part of the payload. */
const MESSAGES: [WebhookEvent, object][] = [
  [
    { kind: 'text', from: dana, text: 'שלום 😀', context: 'wamid.x' },
    { type: 'text', text: { body: 'שלום 😀' }, context: { id: 'wamid.x', from: /^\d+$/ } },
  ],
  [
    { kind: 'interactive', from: dana, reply: { type: 'button_reply', id: '1', title: 'Yes' } },
    { interactive: { type: 'button_reply', button_reply: { id: '1', title: 'Yes' } } },
  ],
  [
    { kind: 'interactive', from: dana, reply: { type: 'nfm_reply', response_json: '{}' } },
    { interactive: { type: 'nfm_reply', nfm_reply: { response_json: '{}' } } },
  ],
  [
    { kind: 'media', from: dana, media: 'image', caption: 'look' },
    { type: 'image', image: { id: String, mime_type: 'image/jpeg', caption: 'look' } },
  ],
  [
    { kind: 'media', from: dana, media: 'audio' },
    { type: 'audio', audio: { voice: true } },
  ],
  [{ kind: 'media', from: dana, media: 'location' }, { location: { latitude: Number } }],
  [{ kind: 'media', from: dana, media: 'contacts' }, { contacts: [{ phones: [{}] }] }],
  [
    { kind: 'reaction', from: dana, context: 'wamid.x', emoji: '👍' },
    { type: 'reaction', reaction: { message_id: 'wamid.x', emoji: '👍' }, context: undefined },
  ],
  [
    { kind: 'unsupported', from: dana },
    { type: 'unsupported', errors: [{ code: 131051 }], unsupported: { type: String } },
  ],
  [
    { kind: 'edit', from: dana, original: 'wamid.y', text: 'new' },
    { type: 'edit', edit: { original_message_id: 'wamid.y' } },
  ],
  [
    { kind: 'revoke', from: dana, original: 'wamid.y' },
    { type: 'revoke', revoke: { original_message_id: 'wamid.y' } },
  ],
  [
    { kind: 'unknown_type', from: dana },
    { type: 'hologram', hologram: {} },
  ],
  [{ kind: 'text', from: dana, text: 'x', fields: { text: null } }, { text: null }],
  [{ kind: 'text', from: dana, text: 'x', id: 'wamid.same' }, { id: 'wamid.same' }],
]
/** All other events: the field, and its part of the value. */
const OTHERS: [WebhookEvent, field: string, value: object][] = [
  [
    { kind: 'user_preferences', from: dana, value: 'stop' },
    'user_preferences',
    {
      metadata: { phone_number_id: String },
      user_preferences: [
        { wa_id: dana.slice(1), category: 'marketing_messages', value: 'stop', timestamp: Number },
      ],
    },
  ],
  [
    { kind: 'echo', to: dana, text: 'מיד חוזרת' },
    'smb_message_echoes',
    { message_echoes: [{ to: dana.slice(1), id: /^wamid/, text: { body: 'מיד חוזרת' } }] },
  ],
  [
    { kind: 'template_category', template: 'x' },
    'template_category_update',
    { previous_category: 'UTILITY', new_category: 'MARKETING', metadata: undefined },
  ],
  [{ kind: 'errors', code: 130429 }, 'messages', { errors: [{ code: 130429 }] }],
  [{ kind: 'field', field: 'new', value: { a: 1 } }, 'new', { a: 1, metadata: undefined }],
  [
    { kind: 'status', wamid: 'wamid.z', status: 'failed', code: 131026, callbackData: '5' },
    'messages',
    { statuses: [{ id: 'wamid.z', biz_opaque_callback_data: '5', errors: [{ code: 131026 }] }] },
  ],
]

/** A fake whose webhooks are read one at a time. */
const observed = async (t: Test) => {
  const { fake, number, receiver } = await connected(t)
  fake.setStatuses([])
  const reported = async (event: WebhookEvent) => {
    receiver.received.length = 0
    await fake.inbound(event)
    const [change, ...others] = receiver.changes()
    if (!change || others.length > 0) throw new Error('expected one change')
    return { change, message: change.value.messages?.[0] }
  }
  return { fake, number, receiver, reported }
}

await test('each event is reported as Meta reports it', async t => {
  const { number, reported } = await observed(t)
  const contacts = [{ wa_id: dana.slice(1), user_id: /^IL\.\d+$/, profile: { name: String } }]
  const metadata = { phone_number_id: number.phoneNumberId }
  const head = { from: dana.slice(1), id: /^wamid\./, timestamp: /^\d{10}$/ }
  for (const [event, expected] of MESSAGES) {
    const { change, message } = await reported(event)
    const value = { messaging_product: 'whatsapp', metadata, contacts }
    t.match(change, { waba: number.wabaId, field: 'messages', value }, event.kind)
    t.match(message, { ...head, ...expected }, event.kind)
  }
  for (const [event, field, value] of OTHERS)
    t.match((await reported(event)).change, { field, value, waba: number.wabaId }, event.kind)
})

await test('a tap answers the last template, with the payload that was sent', async t => {
  const { fake, number, reported } = await observed(t)
  const { wabaId } = number
  fake.addTemplate({ wabaId, name: 'hello', buttons: [{ text: 'חזרו אליי' }, { text: 'הסר' }] })
  await post(fake, number, template(dana, 'hello', [], [button('quick_reply', 1, 'STOP')]))
  const context = { id: fake.inbox(dana)[0]?.wamid }
  const stop = { payload: 'STOP', text: 'הסר' }
  const tap = (text: string) => reported({ kind: 'button', from: dana, text })
  t.match((await tap('הסר')).message, { type: 'button', button: stop, context })
  t.match((await tap('חזרו אליי')).message, { button: { payload: 'חזרו אליי' } })
  const { message } = await reported({ kind: 'reaction', from: dana })
  t.strictSame(message?.['reaction'], { message_id: context.id }, 'a removed reaction has no emoji')
})

await test('people who hide or change their phone number', async t => {
  const { fake, reported } = await observed(t)
  const hi = { kind: 'text', from: dana, text: 'hi' } as const
  const hidden = await reported({ ...hi, bsuidOnly: true })
  const userId = fake.people()[0]?.userId
  t.match(hidden.message, { from_user_id: userId })
  t.match(hidden.change.value.contacts, [{ user_id: userId }])
  t.notMatch(JSON.stringify(hidden.change), dana.slice(1))

  const change = 'user_changed_number'
  const moved = await reported({ kind: 'system', from: dana, change, newPhone: yossi })
  t.notOk('contacts' in moved.change.value)
  const system = { type: change, body: String, wa_id: yossi.slice(1) }
  t.match(moved.message, { from: dana.slice(1), type: 'system', system })

  const renamed = await reported({ kind: 'system', from: dana, change: 'user_changed_user_id' })
  const after = (await reported(hi)).message?.['from_user_id']
  t.not(after, userId)
  t.match(renamed.message, { from_user_id: userId, system: { user_id: after } })

  fake.setPerson({ phone: dana, waId: '15550001111' })
  const other = await reported(hi)
  t.match(other.message, { from: '15550001111' })
  t.match(other.change.value.contacts, [{ wa_id: '15550001111' }])
})

await test('without a number, the business that wrote last is meant', async t => {
  const { fake, receiver, reported } = await observed(t)
  const other = fake.addNumber({ callbackUrl: receiver.callbackUrl })
  await post(fake, other, template(yossi))
  const waba = other.wabaId
  t.match(await reported({ kind: 'text', from: yossi, text: 'hi' }), { change: { waba } })
  t.match(await reported({ kind: 'echo', to: yossi, text: 'hi' }), { change: { waba } })
  const wrong = { kind: 'text', from: dana, text: 'hi', phoneNumberId: '404' } as const
  await t.rejects(fake.inbound(wrong), /no such business/)
  await t.rejects(fake.inbound({ kind: 'text', from: 'dana', text: 'hi' }), /E.164/)
})

// The page.

await test('the page shows what a person received and wrote, and acts for them', async t => {
  const { fake, number } = await start(t, { name: 'מספרת <b>דנה</b>' })
  const page = async (path = '/') => (await fetch(`${fake.url}${path}`)).text()
  const submit = (action: string, fields: Record<string, string>) =>
    fetch(`${fake.url}/page/${action}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      redirect: 'manual',
    })
  t.match(await page(), /No messages yet/)

  const buttons = [button('quick_reply', 0, 'STOP')]
  await post(fake, number, template(dana, 'hello', ['<script>"שלום"</script>'], buttons))
  t.equal((await submit('event', { kind: 'text', from: dana, text: 'היי & <i>' })).status, 303)
  await submit('event', { kind: 'echo', to: dana, text: 'from the owner' })
  const phones = await page('/page/phones')
  t.match(phones, /<p dir="auto">hello · &lt;script&gt;&quot;שלום&quot;&lt;\/script&gt;<\/p>/)
  for (const shown of [
    'היי &amp; &lt;i&gt;',
    'from the owner',
    'מספרת &lt;b&gt;דנה',
    'value="STOP"',
  ])
    t.match(phones, shown)
  t.match(await page(), /<html[^]*<main>[^]*היי &amp;/)

  const context = fake.inbox(dana)[0]?.wamid ?? ''
  await submit('event', { kind: 'button', from: dana, context, text: 'Stop', payload: 'STOP' })
  t.match(fake.people()[0]?.lines.at(-1), { by: 'person', text: 'Stop' })
  const [, quote = ''] = /<summary>Quote<\/summary>([^]*?)<\/details>/.exec(phones) ?? []
  t.match(quote, /name="kind" value="text"/)
  t.ok(quote.includes(`name="context" value="${context}"`), 'an answer may quote a message')
  t.equal((await submit('event', { kind: 'text', from: dana, context, text: '1' })).status, 303)
  t.equal((await submit('event', { kind: 'text', from: 'dana', text: 'x' })).status, 400)
  t.doesNotThrow(() => new Script(PAGE_SCRIPT))
})
