import t from 'tap'
import { type Outcome, outcomeOf } from '../../app/whatsapp/client.ts'
import { NOT_ACCEPTED, errorPolicy } from '../../app/whatsapp/errors.ts'

const WAMID = 'wamid.HBgLOTcyNTAyMzQ1Njc4'
const accepted = (waId: string | null = null): Outcome => ({ kind: 'accepted', wamid: WAMID, waId })
const unknown = (why: string): Outcome => ({ kind: 'unknown', why })
const notTaken = (status: number): Outcome => ({
  kind: 'refused',
  code: null,
  policy: NOT_ACCEPTED,
  why: `http_${status}`,
})
/** Meta's envelope, with what else is in it. */
const refusal = (code: unknown): string =>
  JSON.stringify({
    error: { message: `(#${String(code)}) No`, type: 'OAuthException', code, fbtrace_id: 'x' },
  })

await t.test('an id is an acceptance, whatever else the answer says', async t => {
  const messages = [{ id: WAMID, message_status: 'accepted' }]
  const contacts = [{ input: '+972502345678', wa_id: '972502345678' }]
  const full = { messaging_product: 'whatsapp', contacts, messages }
  for (const status of [200, 201, 202, 299])
    t.strictSame(outcomeOf(status, JSON.stringify(full)), accepted('972502345678'), String(status))
  const rest = [
    {},
    { contacts: [] },
    { contacts: [{}] },
    { contacts: [{ wa_id: null }] },
    { contacts: null },
    { contacts: 'x' },
    { contacts: [null] },
    { error: null },
    { news: { of: 'Meta' } },
  ]
  for (const fields of rest) {
    const answer = JSON.stringify({ messages, ...fields })
    t.strictSame(outcomeOf(200, answer), accepted(), answer)
  }
  const hidden = { messages, contacts: [{ user_id: 'IL.1', parent_user_id: 'IL.2' }] }
  t.strictSame(outcomeOf(200, JSON.stringify(hidden)), {
    ...accepted(),
    userIds: ['IL.1', 'IL.2'],
  })
})

await t.test('an answer without an id that says it was taken leaves it open', async t => {
  const answers = [
    '',
    '{',
    '{}',
    'null',
    '[]',
    '"ok"',
    '<html>',
    '{"messages":[]}',
    '{"messages":[{}]}',
    '{"messages":[{"id":""}]}',
    '{"messages":[{"id":7}]}',
    '{"messages":{"id":"x"}}',
    `{"messages":[{"id":"${WAMID}"}]`,
    refusal(131026),
  ]
  for (const answer of answers)
    t.strictSame(outcomeOf(200, answer), unknown('unreadable_answer'), answer)
})

await t.test("one of Meta's codes is taken at its word, whatever the HTTP status", async t => {
  for (const code of [0, 3, 4, 100, 131026, 131047, 131056, 132001, 250])
    for (const status of [400, 401, 403, 404, 429, 500, 503]) {
      const policy = errorPolicy(code, status)
      t.ok(policy)
      t.strictSame(
        outcomeOf(status, refusal(code)),
        { kind: 'refused', code, policy, why: 'error_code' },
        `${code} with HTTP ${status}`,
      )
    }
})

await t.test('a code that nobody has listed is a refusal only below 500', async t => {
  const fail = { kind: 'refused', code: 999, policy: { do: 'fail' }, why: 'error_code' }
  for (const status of [400, 403, 404]) t.strictSame(outcomeOf(status, refusal(999)), fail)
  t.match(outcomeOf(429, refusal(999)), { kind: 'refused', code: 999, policy: { do: 'retry' } })
  for (const status of [500, 502, 503])
    t.strictSame(outcomeOf(status, refusal(999)), unknown(`http_${status}`))
})

await t.test('an answer that is not from Meta took nothing if it is below 500', async t => {
  const pages = ['', '<html>404</html>', '{}', '{"error":"nginx"}', '{"error":{}}']
  for (const page of [...pages, refusal('190'), refusal(1.5), refusal(null)])
    for (const status of [300, 301, 302, 307, 308, 400, 403, 404, 407, 429])
      t.strictSame(outcomeOf(status, page), notTaken(status), `${status} ${page}`)
  t.strictSame(outcomeOf(302, refusal(190)), notTaken(302), 'nor a redirect with a code')
})

await t.test('a server error without a code leaves it open', async t => {
  const pages = ['', '<html>502 Bad Gateway</html>', '{}', '{"error":{}}', '{"error":{"code":2']
  for (const page of [...pages, refusal('2')])
    for (const status of [500, 502, 503, 504])
      t.strictSame(outcomeOf(status, page), unknown(`http_${status}`), `${status} ${page}`)
  const odd = JSON.stringify({ messages: [{ id: WAMID }] })
  t.strictSame(outcomeOf(503, odd), unknown('http_503'), 'even with an id in it')
})
