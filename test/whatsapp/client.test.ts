import t from 'tap'
import { type Outcome, outcomeOf } from '../../app/whatsapp/client.ts'
import { type ErrorPolicy, errorPolicy, NOT_ACCEPTED } from '../../app/whatsapp/errors.ts'

const ANY_STATUS = [200, 302, 400, 401, 403, 404, 429, 500, 502, 503]

const FAIL: ErrorPolicy = { do: 'fail' }
const STOP_LEAD: ErrorPolicy = { do: 'stop_lead' }
const OPT_OUT: ErrorPolicy = { do: 'opt_out' }
const PAUSE_TEMPLATE: ErrorPolicy = { do: 'pause_template' }
const PAUSE_CONNECTION: ErrorPolicy = { do: 'pause_connection' }
const retry = (...after: number[]): ErrorPolicy => ({ do: 'retry', after })
const SOON = retry(30, 120, 600, 1800)
const THROUGHPUT = retry(1, 2, 4, 8, 16, 32, 60)

const ROWS: [meaning: string, codes: number[], remedy: ErrorPolicy][] = [
  ['the app user cannot be authenticated', [0], PAUSE_CONNECTION],
  ['a capability or a permission is missing', [3], PAUSE_CONNECTION],
  ['access is denied', [10, 131005, 200, 201, 250, 298, 299], PAUSE_CONNECTION],
  ['no token was sent', [104], PAUSE_CONNECTION],
  ['the token has expired', [190], PAUSE_CONNECTION],
  ['the account is restricted', [368], PAUSE_CONNECTION],
  ['the account is locked', [131031], PAUSE_CONNECTION],
  ['something about payment', [131042, 134011], PAUSE_CONNECTION],
  ['the number was deleted', [33], PAUSE_CONNECTION],
  ['the number is not approved or registered', [131037, 133010], PAUSE_CONNECTION],
  ['the number could not be registered', [131045], PAUSE_CONNECTION],
  ['limits of the app and the account', [4, 80007], retry(300, 900, 3600)],
  ['throughput of the number', [130429], THROUGHPUT],
  ['too many to one person', [131056], retry(1, 4, 16, 64, 256)],
  ['maintenance', [131057], retry(20, 20, 30, 30, 30)],
  ['down or overloaded', [2, 133004], SOON],
  ['try again later', [131000, 131016], SOON],
  ['an invalid request, or an error of Meta', [1], retry(30, 120)],
  ['taken for spam', [131048], PAUSE_CONNECTION],
  ['templates of a wrong category', [131064], PAUSE_CONNECTION],
  ['a country that may not be written to', [130497], STOP_LEAD],
  ['not on WhatsApp', [131026], STOP_LEAD],
  ['the recipient is the sender', [131021], STOP_LEAD],
  ['the 24 hours are over', [131047], FAIL],
  ['nothing more to this person for a day', [131049], STOP_LEAD],
  ['an experiment', [130472], FAIL],
  ['an id that does not serve for this message', [131062], FAIL],
  ['stopped marketing messages', [131050], OPT_OUT],
  ['blocked the business', [130403], OPT_OUT],
  ['parameters that do not fit the template', [132000, 132012, 132018], PAUSE_TEMPLATE],
  ['no such template', [132001], PAUSE_TEMPLATE],
  ['too long once it was filled in', [132005], FAIL],
  ['a template against the policy', [132007], PAUSE_TEMPLATE],
  ['a template that is paused', [132015], PAUSE_TEMPLATE],
  ['a template that is disabled', [132016], PAUSE_TEMPLATE],
  ['marketing switched off', [131063], PAUSE_TEMPLATE],
  ['a wrong or missing parameter', [131008, 131009], PAUSE_TEMPLATE],
  ['a fault that is not named', [100, 135000], FAIL],
  ['a type of message that there is not', [131051], FAIL],
  ['flows and media', [132068, 132069, 131052, 131053], FAIL],
  ['registration', [133000, 133005, 133006, 133008, 133009, 133015, 133016], FAIL],
  ['another API', [131055, 134100, 134101, 134102], FAIL],
  ['a recipient that a test number may not write to', [131030], FAIL],
]

for (const [meaning, codes, remedy] of ROWS)
  await t.test(`${codes.join(', ')}: ${meaning}`, async t => {
    for (const code of codes)
      for (const status of ANY_STATUS)
        t.strictSame(errorPolicy(code, status), remedy, `${code} with HTTP ${status}`)
  })

await t.test('every code is in exactly one row', async t => {
  const codes = ROWS.flatMap(([, codes]) => codes)
  t.equal(new Set(codes).size, codes.length)
})

await t.test('for an unlisted code, the HTTP status decides', async t => {
  for (const code of [5, -1, 199, 300, 999, 130000, 131999, 2_147_483_647]) {
    for (const status of [400, 401, 403, 404, 410, 499])
      t.strictSame(errorPolicy(code, status), FAIL, `${code} with HTTP ${status}`)
    t.strictSame(errorPolicy(code, 429), THROUGHPUT, `${code} with HTTP 429`)
    for (const status of [500, 502, 503, 504, 599])
      t.equal(errorPolicy(code, status), null, `${code} with HTTP ${status}: unknown`)
  }
})

await t.test('what was never sent is tried again like a server that is down', async t => {
  t.strictSame(NOT_ACCEPTED, errorPolicy(2, 503))
})

const GONE = "Unsupported post request. Object with ID '1' does not exist, cannot be loaded"
const NO_SUCH_NUMBER: ErrorPolicy = { do: 'pause_connection', subcode: 33 }
const TEXTS: [code: number, text: Parameters<typeof errorPolicy>[2], policy: ErrorPolicy][] = [
  [100, { subcode: 33 }, NO_SUCH_NUMBER],
  [100, { details: GONE }, NO_SUCH_NUMBER],
  [100, { subcode: 33, details: 'Parameter value is not valid' }, NO_SUCH_NUMBER],
  [100, { details: 'Parameter name is missing or empty' }, PAUSE_TEMPLATE],
  [100, { details: '(#100) Invalid parameter' }, PAUSE_TEMPLATE],
  [100, { details: 'Param template must be a JSON object.' }, PAUSE_TEMPLATE],
  [100, { subcode: 2494010, details: 'Invalid parameter' }, PAUSE_TEMPLATE],
  [100, { details: 'Param to must be a valid phone number' }, FAIL],
  [100, { details: "Parameter 'to' is not valid" }, FAIL],
  [100, { details: 'Recipient phone number not in allowed list' }, FAIL],
  [100, { details: 'The message could not be sent' }, FAIL],
  [100, { details: 'Buttons: index out of range' }, PAUSE_TEMPLATE],
  [100, { details: 'Button at index 0 is of another type' }, PAUSE_TEMPLATE],
  [100, { details: 'Invalid phone number. (#100) Invalid parameter' }, FAIL],
  [100, { details: 'Button parameter: phone number is not valid' }, PAUSE_TEMPLATE],
  [100, { details: 'Recipient of the button is not valid' }, FAIL],
  [131008, { details: 'Required parameter is missing' }, PAUSE_TEMPLATE],
  [131008, { details: "Required parameter 'to' is missing" }, FAIL],
  [131009, { details: 'Parameter value is not valid' }, PAUSE_TEMPLATE],
  [131009, { details: 'Recipient phone number is not valid' }, FAIL],
  [131009, { details: 'The phone number is not valid.' }, FAIL],
  [131009, { details: 'Phone number is not valid (#131009) Parameter value is not valid' }, FAIL],
  [131009, { details: 'The phone number ID is not valid.' }, PAUSE_TEMPLATE],
  [131009, { details: 'The business phone number is not valid.' }, PAUSE_TEMPLATE],
  [131009, { details: 'Component body: phone number is not valid' }, PAUSE_TEMPLATE],
  [131009, { details: 'The phone_number variable is not valid' }, PAUSE_TEMPLATE],
  [131008, { details: 'Phone number is missing' }, FAIL],
  [132012, { details: "Parameter 'to' is not valid" }, PAUSE_TEMPLATE],
  [190, { subcode: 33, details: 'Parameter' }, PAUSE_CONNECTION],
]
await t.test('of a code for many faults, the text tells which one', async t => {
  for (const [code, text, policy] of TEXTS)
    for (const status of ANY_STATUS.filter(one => one >= 400))
      t.strictSame(errorPolicy(code, status, text), policy, `${code} ${JSON.stringify(text)}`)
})

const WAMID = 'wamid.HBgLOTcyNTAyMzQ1Njc4'
const accepted = (waId: string | null = null): Outcome => ({ kind: 'accepted', wamid: WAMID, waId })
const unknown = (why: string): Outcome => ({ kind: 'unknown', why })
const notTaken = (status: number): Outcome => ({
  kind: 'refused',
  code: null,
  policy: NOT_ACCEPTED,
  why: `http_${status}`,
})
/** An error as Meta writes it. */
const refusal = (code: unknown): string =>
  JSON.stringify({
    error: { message: `(#${String(code)}) No`, type: 'OAuthException', code, fbtrace_id: 'x' },
  })

await t.test('an answer with an id is an acceptance, whatever else it holds', async t => {
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
    { contacts: [{ wa_id: 'x\0', user_id: 'x'.repeat(600) }] },
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

await t.test('a 2xx answer without an id is unknown', async t => {
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
    // Postgres could not store or index these.
    String.raw`{"messages":[{"id":"wamid.\u0000"}]}`,
    `{"messages":[{"id":"${'x'.repeat(600)}"}]}`,
    '{"messages":{"id":"x"}}',
    `{"messages":[{"id":"${WAMID}"}]`,
    refusal(131026),
  ]
  for (const answer of answers)
    t.strictSame(outcomeOf(200, answer), unknown('unreadable_answer'), answer)
})

await t.test('a listed code means not accepted, whatever the HTTP status', async t => {
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

await t.test('an unlisted code is a refusal only below 500', async t => {
  const fail = { kind: 'refused', code: 999, policy: { do: 'fail' }, why: 'error_code' }
  for (const status of [400, 403, 404]) t.strictSame(outcomeOf(status, refusal(999)), fail)
  t.match(outcomeOf(429, refusal(999)), { kind: 'refused', code: 999, policy: { do: 'retry' } })
  for (const status of [500, 502, 503])
    t.strictSame(outcomeOf(status, refusal(999)), unknown(`http_${status}`))
})

await t.test('an answer below 500 without a code means not accepted', async t => {
  const pages = ['', '<html>404</html>', '{}', '{"error":"nginx"}', '{"error":{}}']
  for (const page of [...pages, refusal('190'), refusal(1.5), refusal(null)])
    for (const status of [300, 301, 302, 307, 308, 400, 403, 404, 407, 429])
      t.strictSame(outcomeOf(status, page), notTaken(status), `${status} ${page}`)
  t.strictSame(outcomeOf(302, refusal(190)), notTaken(302), 'nor does a redirect with a code')
})

await t.test('a 5xx without a code is unknown', async t => {
  const pages = ['', '<html>502 Bad Gateway</html>', '{}', '{"error":{}}', '{"error":{"code":2']
  for (const page of [...pages, refusal('2')])
    for (const status of [500, 502, 503, 504])
      t.strictSame(outcomeOf(status, page), unknown(`http_${status}`), `${status} ${page}`)
  const odd = JSON.stringify({ messages: [{ id: WAMID }] })
  t.strictSame(outcomeOf(503, odd), unknown('http_503'), 'even with an id in it')
})
