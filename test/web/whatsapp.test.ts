/** The door for WhatsApp: Meta's verification, and who may come in. */
import { test } from 'tap'
import { business, contents, db, url, VERIFY_TOKEN, WHATSAPP } from '../support/ringback.ts'
import { change, deliver, envelope, eventsOf, hmac } from '../support/whatsapp.ts'

const verify = async (query: string) => {
  const response = await fetch(`${WHATSAPP}${query}`)
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    sniffed: response.headers.get('x-content-type-options') !== 'nosniff',
    text: await response.text(),
  }
}
const asked = (fields: Record<string, string>) =>
  `?${new URLSearchParams({ 'hub.mode': 'subscribe', 'hub.challenge': '1158201444', ...fields }).toString()}`

await test('the right verify token gets the challenge back, and nothing else', async t => {
  t.strictSame(await verify(asked({ 'hub.verify_token': VERIFY_TOKEN })), {
    status: 200,
    type: 'text/plain; charset=utf-8',
    sniffed: false,
    text: '1158201444',
  })
  const html = '<script>alert(1)</script>'
  t.strictSame(
    await verify(asked({ 'hub.verify_token': VERIFY_TOKEN, 'hub.challenge': html })),
    { status: 200, type: 'text/plain; charset=utf-8', sniffed: false, text: html },
    'a challenge with HTML in it is no page',
  )
})

await test('anything but the right token is told nothing', async t => {
  const token = encodeURIComponent(VERIFY_TOKEN)
  const queries = {
    'a wrong token': asked({ 'hub.verify_token': 'wrong' }),
    'the beginning of it': asked({ 'hub.verify_token': VERIFY_TOKEN.slice(0, -1) }),
    'an empty one': asked({ 'hub.verify_token': '' }),
    'no token': asked({}),
    'no query': '',
    'the token as a list': `${asked({})}&hub.verify_token[]=${token}`,
    'the token twice': `${asked({})}&hub.verify_token=${token}&hub.verify_token=${token}`,
    'another mode': asked({ 'hub.verify_token': VERIFY_TOKEN, 'hub.mode': 'unsubscribe' }),
    'no challenge': `?hub.mode=subscribe&hub.verify_token=${token}`,
    'the challenge as a list': `?hub.mode=subscribe&hub.verify_token=${token}&hub.challenge[]=1`,
  }
  for (const [name, query] of Object.entries(queries)) {
    const answer = await verify(query)
    t.equal(answer.status, 403, name)
    t.notMatch(answer.text, /1158201444/, name)
  }
})

await test('a signature over the bytes as Meta writes them is right', async t => {
  const { phoneNumberId, tenantId } = await business()
  const text = 'היי, תחזרו אליי 🙏 https://example.com/a?b=100% <b>'
  const messages = [{ id: 'wamid.1', from: '972521112222', type: 'text', text: { body: text } }]
  t.strictSame(await deliver(envelope(change(phoneNumberId, { messages }))), {
    status: 200,
    body: { status: 'stored' },
  })
  t.match(await eventsOf(tenantId), [{ payload: { item: { text: { body: text } } } }])
})

await test('a signature that is not right gets 401, and nothing is stored', async t => {
  const { phoneNumberId, tenantId } = await business()
  const value = { messages: [{ id: 'wamid.2', type: 'text', text: { body: 'שלום/👋' } }] }
  const body = JSON.stringify(envelope(change(phoneNumberId, value))).replace(
    /[\u0080-\uffff]/g,
    found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const right = hmac(body)
  const other = right.startsWith('0') ? `1${right.slice(1)}` : `0${right.slice(1)}`
  const headers = {
    'another digit': `sha256=${other}`,
    'upper case': `sha256=${right.toUpperCase()}`,
    'an odd number of digits': `sha256=${right.slice(0, -1)}`,
    'a digit too many': `sha256=${right}0`,
    'half of it': `sha256=${right.slice(0, 32)}`,
    'a letter that is no digit': `sha256=${right.slice(0, -1)}g`,
    'sha1=': `sha1=${right}`,
    'no name': right,
    'an empty one': '',
    'two of them': `sha256=${right}, sha256=${right}`,
    'a space': `sha256= ${right}`,
  }
  const before = await contents()
  for (const [name, signature] of Object.entries(headers))
    t.match(await deliver(body, { 'x-hub-signature-256': signature }), { status: 401 }, name)

  const signed = { 'x-hub-signature-256': `sha256=${right}` }
  t.match(await deliver(body.replace('wamid.2', 'wamid.3'), signed), { status: 401 }, 'a byte')
  t.match(await deliver(`${body} `, signed), { status: 401 }, 'a space after it')
  t.match(
    await deliver(JSON.stringify(JSON.parse(body)), signed),
    { status: 401 },
    'parsed and written again',
  )
  const response = await fetch(WHATSAPP, { method: 'POST', body })
  t.equal(response.status, 401, 'none at all')
  t.strictSame(await contents(), before)

  t.match(await deliver(body, signed), { status: 200 }, 'while these very bytes come in')
  t.equal((await eventsOf(tenantId)).length, 1)
})

await test('what is signed but no JSON is kept aside, and not asked for again', async t => {
  const rejected = () =>
    db.selectFrom('rejected_deliveries').selectAll().where('source', '=', 'whatsapp').execute()
  for (const body of ['{"entry": [', '', '\0', 'entry=1', '['.repeat(5000)]) {
    const known = (await rejected()).length
    for (let times = 0; times < 2; times++)
      t.match(await deliver(body, { 'content-type': 'text/x-made-up' }), { status: 200 })
    const rows = await rejected()
    t.equal(rows.length, known + 1, 'once')
    t.match(rows.at(-1), {
      tenant_id: null,
      content_type: 'text/x-made-up',
      deliveries: 2,
      reason: /JSON/,
    })
    t.equal(rows.at(-1)?.body?.toString(), body, 'with its bytes')
  }
})

await test('up to 4 MB are read, and more is refused', async t => {
  const { phoneNumberId, tenantId } = await business()
  const ofBytes = (size: number, id: string) => {
    const frame = JSON.stringify(envelope(change(phoneNumberId, { messages: [{ id, pad: '' }] })))
    return frame.replace('"pad":""', `"pad":"${'x'.repeat(size - frame.length)}"`)
  }
  t.match(await deliver(ofBytes(3_500_000, 'wamid.large')), { status: 200 })
  t.match(await deliver(ofBytes(4 * 1024 * 1024, 'wamid.largest')), { status: 200 })
  const before = await contents()
  t.match(await deliver(ofBytes(4 * 1024 * 1024 + 1, 'wamid.larger')), { status: 413 })
  t.strictSame(await contents(), before)
  t.equal((await eventsOf(tenantId)).length, 2)
})

await test('other methods are refused, and told which ones there are', async t => {
  const before = await contents()
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const response = await fetch(`${url}/webhooks/whatsapp`, { method })
    t.equal(response.status, 405, method)
    t.equal(response.headers.get('allow'), 'GET, HEAD, POST')
  }
  t.equal((await fetch(WHATSAPP, { method: 'HEAD' })).status, 403)
  t.strictSame(await contents(), before)
})
