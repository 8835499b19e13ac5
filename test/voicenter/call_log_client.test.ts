/** What is asked of Voicenter's call log, and what comes back, over HTTP. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import { test } from 'tap'
import { type LogRecord, startFakeVoicenter } from '../../scripts/fake_voicenter/server.ts'
import { isObject, type Json } from '../../app/json.ts'
import { reloadConfig } from '../../app/config.ts'
import { callsBetween } from '../../app/voicenter/call_log/client.ts'

const voicenter = await startFakeVoicenter()
process.env['VOICENTER_API_URL'] = voicenter.url
reloadConfig()
const WINDOW = { from: new Date('2026-11-15T06:00:00Z'), until: new Date('2026-11-15T12:00:00.5Z') }
const QUICK = { pause: 0, timeout: 5_000 }
type Credential = Parameters<typeof callsBetween>[0]

/** All that comes of one check: the records, or why there are none. */
const ask = async (credential: Credential, limits = QUICK, window = WINDOW) => {
  const records: Json[] = []
  for await (const answer of callsBetween(credential, window, limits)) {
    if (answer.kind === 'failed') return { why: answer.why, retrySoon: answer.retrySoon }
    records.push(...answer.records)
  }
  return records
}
const code = (secret: string): Credential => ({ kind: 'code', secret })
const bearer = (secret: string): Credential => ({ kind: 'bearer', secret })
const record = (CallID: string, Date: string): LogRecord => ({ CallID, Date, DialStatus: 'CANCEL' })
const idsOf = (answer: Awaited<ReturnType<typeof ask>>): unknown[] =>
  Array.isArray(answer) ? answer.map(one => isObject(one) && one['CallID']) : [answer]

await test('a code opens the log, and so does a bearer token', async t => {
  const account = voicenter.addAccount()
  voicenter.log(
    account,
    record('before', '2026-11-15T05:59:59Z'),
    record('first', '2026-11-15T06:00:00Z'),
    record('last', '2026-11-15T12:00:00Z'),
    record('after', '2026-11-15T12:00:01Z'),
  )
  t.strictSame(idsOf(await ask(code(account.code))), ['first', 'last'])
  t.strictSame(idsOf(await ask(bearer(account.bearer))), ['first', 'last'])
  t.match(voicenter.requests().at(-1), {
    account: account.id,
    from: '2026-11-15T06:00:00',
    to: '2026-11-15T12:00:00',
  })
  t.strictSame(await ask(code(account.bearer)), { why: 'unauthorized', retrySoon: false })
  t.strictSame(await ask(bearer(account.code)), { why: 'unauthorized', retrySoon: false })
})

await test('neither recordings nor prices are asked for', async t => {
  const account = voicenter.addAccount()
  voicenter.log(account, { ...record('a', '2026-11-15T07:00:00Z'), RecordURL: 'u', Price: 7 })
  t.strictSame(await ask(code(account.code)), [
    { CallID: 'a', Date: '2026-11-15T07:00:00Z', DialStatus: 'CANCEL' },
  ])
})

await test('a code works from authorised addresses only, and that is told apart', async t => {
  const account = voicenter.addAccount({ addressAllowed: false })
  t.strictSame(await ask(code(account.code)), { why: 'address_not_allowed', retrySoon: false })
  t.strictSame(await ask(bearer(account.bearer)), [])
})

await test('more than 10,000 calls are asked for half by half, and none is left out', async t => {
  const account = voicenter.addAccount()
  const all = Array.from({ length: 25_000 }, (_, i) =>
    record(`call ${i}`, new Date(WINDOW.from.getTime() + i * 864).toISOString()),
  )
  voicenter.log(account, ...all)
  const before = voicenter.requests().length
  const ids = idsOf(await ask(code(account.code)))
  t.equal(new Set(ids).size, all.length)
  t.equal(voicenter.requests().length - before, 7, '4 quarters, after 2 halves and the whole')
})

await test('however many calls there are, requests have an end', async t => {
  const account = voicenter.addAccount()
  const moment = Array.from({ length: 10_001 }, (_, i) => record(`${i}`, '2026-11-15T07:00:00Z'))
  voicenter.log(account, ...moment)
  const before = voicenter.requests().length
  t.strictSame(await ask(code(account.code)), { why: 'too_many_calls', retrySoon: false })
  t.equal(voicenter.requests().length - before, 10)
})

await test('between two requests is the pause that Voicenter asks for', async t => {
  const account = voicenter.addAccount()
  voicenter.script({ status: 200, body: '{"ERROR_NUMBER":0,"TOTAL_HITS":5,"CDR_LIST":[]}' })
  const start = performance.now()
  t.strictSame(await ask(code(account.code), { ...QUICK, pause: 400 }), [])
  t.ok(performance.now() - start > 790, 'two pauses, before each half')
})

await test('whatever goes wrong is an answer of its own', async t => {
  const { code: secret } = voicenter.addAccount()
  const meets = async (fault: Parameters<typeof voicenter.script>[0], limits = QUICK) => {
    voicenter.script(fault)
    return ask(code(secret), limits)
  }
  t.strictSame(await meets({ error: 1 }), { why: 'rate_limited', retrySoon: true })
  t.strictSame(await meets({ error: 2 }), { why: 'unauthorized', retrySoon: false })
  t.strictSame(await meets({ status: 503, body: '<html>' }), { why: 'http_503', retrySoon: true })
  t.strictSame(await meets({ cut: true }), { why: 'unreachable', retrySoon: true })
  t.strictSame(await meets({ hang: true }, { pause: 0, timeout: 300 }), {
    why: 'timeout',
    retrySoon: true,
  })
  t.strictSame(await meets({ bytes: 33 * 1024 * 1024 }), {
    why: 'answer_too_long',
    retrySoon: false,
  })
  t.strictSame(await ask(code(secret)), [], 'and then it answers again')
  t.strictSame(await ask(bearer('a\nb')), { why: 'unreachable', retrySoon: true }, 'no header')
})

await test('more than 30 requests a minute are refused', async t => {
  const { bearer: secret } = voicenter.addAccount()
  for (let i = 0; i < 30; i++) t.strictSame(await ask(bearer(secret)), [])
  t.strictSame(await ask(bearer(secret)), { why: 'rate_limited', retrySoon: true })
})

await test('a redirect is not followed, for it would carry the credential along', async t => {
  const account = voicenter.addAccount()
  let came = 0
  const elsewhere = createServer((_req, res) => {
    came++
    res.end()
  }).listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const address = elsewhere.address()
  const port = address && typeof address === 'object' ? address.port : 0
  for (const status of [301, 302, 307, 308]) {
    voicenter.script({ status, location: `http://127.0.0.1:${port}/` })
    t.strictSame(await ask(bearer(account.bearer)), { why: `http_${status}`, retrySoon: false })
  }
  t.equal(came, 0)
  elsewhere.close()
})

await test('without anybody there, that is what is said', async t => {
  await voicenter.close()
  t.strictSame(await ask(code('x')), { why: 'unreachable', retrySoon: true })
})
