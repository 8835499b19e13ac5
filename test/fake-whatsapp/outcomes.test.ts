import { beforeEach, test } from 'tap'
import type { ScriptInput } from '../../scripts/fake-whatsapp/outcomes.ts'
import { startFakeWhatsApp } from '../../scripts/fake-whatsapp/server.ts'
import { codeOf, dana, post, template, yossi } from './support.ts'

const fake = await startFakeWhatsApp()
beforeEach(fake.reset)
const number = fake.addNumber()

type Seen = { status?: number; code?: number; body?: string; error?: string }

/** What a client learns from one call: status and code, or the failure of its fetch. */
const seen = async (to = dana): Promise<Seen> => {
  try {
    const answer = await post(fake, number, template(to))
    const code = await codeOf(answer.clone())
    return { status: answer.status, body: await answer.text(), ...(code && { code }) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { cause } = error
    const code = cause instanceof Error && 'code' in cause ? ` ${String(cause.code)}` : ''
    return { error: `${error.name}${code}` }
  }
}

const dropped = { error: /ECONNRESET|UND_ERR_SOCKET/ }
const cases: [string, ScriptInput['outcome'], object, sent: boolean][] = [
  ['rate limit', { kind: 'error', code: 130429 }, { status: 400, code: 130429 }, false],
  ['server error', { kind: 'error', code: 131000 }, { status: 500, code: 131000 }, false],
  ['permission range', { kind: 'error', code: 230 }, { status: 403, code: 230 }, false],
  ['unlisted', { kind: 'error', code: 777 }, { status: 400, code: 777 }, false],
  [
    'unlisted 429',
    { kind: 'error', code: 777, httpStatus: 429 },
    { status: 429, code: 777 },
    false,
  ],
  [
    'unlisted 5xx',
    { kind: 'error', code: 777, httpStatus: 503 },
    { status: 503, code: 777 },
    false,
  ],
  ['4xx, no envelope', { kind: 'http', status: 404 }, { status: 404, body: /html/ }, false],
  ['redirect', { kind: 'http', status: 302, headers: { location: '/' } }, { status: 302 }, false],
  ['502', { kind: 'http', status: 502 }, { status: 502, body: /html/ }, false],
  ['accept, 502', { kind: 'http', status: 502, accept: true }, { status: 502 }, true],
  ['accept, 500', { kind: 'error', code: 131000, accept: true }, { code: 131000 }, true],
  ['hang', { kind: 'hang' }, { error: 'TimeoutError' }, false],
  ['accept, hang', { kind: 'hang', accept: true }, { error: 'TimeoutError' }, true],
  ['drop unread', { kind: 'reset' }, dropped, false],
  ['accept, reset', { kind: 'reset', accept: true }, dropped, true],
  ['cut off', { kind: 'cut' }, { error: /TypeError (ECONNRESET|UND_ERR_SOCKET)/ }, true],
  ['garbled', { kind: 'garbled' }, { status: 200, body: '{"messaging_product":"what' }, true],
  ['no id', { kind: 'no_id' }, { status: 200, body: /"messages":\[{"message_status"/ }, true],
  ['no contacts', { kind: 'accept', contacts: false }, { body: /^(?!.*contacts).*wamid/ }, true],
  ['other wa_id', { kind: 'accept', waId: '5531' }, { body: /"wa_id":"5531"/ }, true],
]
for (const [name, outcome, expected, sent] of cases)
  await test(name, async t => {
    fake.script({ outcome })
    t.match(await seen(), expected)
    t.equal(fake.inbox(dana).length, sent ? 1 : 0)
    t.match(fake.requests(), [{ outcome: outcome?.kind, accepted: sent }])
    t.match(await seen(), { status: 200 }, 'for one call only')
  })

await test('dropped unread means that the body was not read', async t => {
  fake.script({ outcome: { kind: 'reset' } })
  fake.script({ to: dana, outcome: { kind: 'reset' } })
  t.match(await seen(), dropped)
  t.match(await seen(), dropped)
  t.strictSame(
    fake.requests().map(({ body }) => body === undefined),
    [true, false],
  )
})

await test('a slow answer comes late, and the message is accepted at once', async t => {
  fake.script({ outcome: { kind: 'accept', delayMs: 120 } })
  const started = Date.now()
  const answer = seen()
  while (fake.inbox(dana).length === 0 && Date.now() - started < 100)
    await new Promise(setImmediate)
  t.equal(fake.inbox(dana).length, 1)
  t.match(await answer, { status: 200 })
  t.ok(Date.now() - started >= 115)
})

await test('a held message is released later, or dropped with 132015', async t => {
  fake.script({ outcome: { kind: 'accept', held: { end: 'released', afterMs: 500 } } })
  fake.script({ outcome: { kind: 'accept', held: { end: 'dropped', afterMs: 500 } } })
  t.match(await seen(), { body: /held_for_quality_assessment/ })
  t.match(await seen(yossi), { body: /held_for_quality_assessment/ })
  t.strictSame(fake.inbox(dana), [], 'nobody has it while it is held')
  await fake.idle()
  t.match(fake.inbox(dana), [{ statuses: [{ status: 'sent' }, { status: 'delivered' }] }])
  t.strictSame(fake.inbox(yossi), [])
  t.match(fake.accepted()[1]?.statuses, [{ status: 'failed', code: 132015 }])
})

await test('scripts are chosen by recipient, suffix, template and number', async t => {
  const fits = (code: number, how: Omit<ScriptInput, 'outcome'>) =>
    fake.script({ ...how, times: 'always', outcome: { kind: 'error', code } })
  const other = fake.addNumber()
  fits(1, { phoneNumberId: other.phoneNumberId })
  fits(130429, { to: dana })
  fits(131026, { toSuffix: '2222' })
  fits(132015, { template: 'special' })
  const code = async (of: typeof number, body: unknown) => codeOf(await post(fake, of, body))
  t.equal(await code(number, template(dana)), 130429)
  t.equal(await code(number, template(yossi)), 131026)
  t.equal(await code(number, template('+972533333333', 'special')), 132015)
  t.equal(await code(other, template('+972533333333')), 1)
  t.equal(await code(number, template('+972533333333')), undefined)
})

await test('counted scripts play in their order, before one that is for ever', async t => {
  fake.script({ times: 'always', outcome: { kind: 'error', code: 4 } })
  fake.script({ times: 2, outcome: { kind: 'error', code: 1 } })
  fake.script({ outcome: { kind: 'error', code: 2 } })
  const codes = []
  for (let call = 0; call < 5; call++) codes.push((await seen()).code)
  t.strictSame(codes, [1, 1, 2, 4, 4])
  fake.clearScripts()
  t.match(await seen(), { status: 200 })
})

await test('an outcome that accepts does not save a message that Meta refuses', async t => {
  fake.script({ outcome: { kind: 'hang', accept: true } })
  const answer = await post(fake, number, { ...template(dana), to: '' })
  t.equal(answer.status, 400)
  t.strictSame(fake.accepted(), [])
})

await test('connections are refused while the port is closed, and accepted again after', async t => {
  t.match(await seen(), { status: 200 }, 'a kept-alive connection is open')
  fake.script({ outcome: { kind: 'accept', delayMs: 80 } })
  const slow = seen()
  while (fake.requests().length < 2) await new Promise(setImmediate)
  await fake.refuseConnections()
  t.match(await seen(), { error: 'TypeError ECONNREFUSED' })
  t.match(await slow, { status: 200 }, 'what was being answered is answered')
  t.match(await seen(), { error: 'TypeError ECONNREFUSED' }, 'and its connection not used again')
  await fake.acceptConnections()
  t.match(await seen(), { status: 200 }, 'on the same port')
  await fake.refuseConnections(60)
  t.match(await seen(), { error: 'TypeError ECONNREFUSED' })
  await new Promise(resume => setTimeout(resume, 100))
  t.match(await seen(), { status: 200 })
})

await test('close ends at once, also with a hanging request', async t => {
  const doomed = await startFakeWhatsApp()
  const at = doomed.addNumber()
  doomed.script({ outcome: { kind: 'hang' } })
  const hanging = fetch(`${doomed.url}/v26.0/${at.phoneNumberId}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${at.token}` },
    body: JSON.stringify(template(dana)),
  }).then(
    () => 'answered',
    () => 'cut',
  )
  while (doomed.requests().length === 0) await new Promise(setImmediate)
  const started = Date.now()
  await doomed.close()
  t.ok(Date.now() - started < 100)
  t.equal(await hanging, 'cut')
})

await fake.close()
