/** The call log of Voicenter: the window of a check, answers, entries, and requests over HTTP. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'tap'
import { reloadConfig } from '../../app/config.ts'
import { isObject, type Json, type JsonObject } from '../../app/json.ts'
import { callKind, transferKind } from '../../app/voicenter/call_kind.ts'
import { ask as request, callsBetween } from '../../app/voicenter/call_log/client.ts'
import {
  halves,
  MAX_RECORDS,
  readAnswer,
  readEntry,
  windowOf,
} from '../../app/voicenter/call_log/entries.ts'
import { answeredBy, reachedIn, statusOf } from '../../app/voicenter/classify.ts'
import { readActiveCalls } from '../../app/voicenter/live.ts'
import { type Cdr, readCdr, rootOf } from '../../app/voicenter/parse.ts'
import { startOf } from '../../app/voicenter/time.ts'
import { exchangeTime, newCallId, type Push, push } from '../../scripts/demo/cdr.ts'
import { logged, type LogRecord, startFakeVoicenter } from '../../scripts/fake_voicenter/server.ts'

const at = (time: string) => new Date(`2026-11-${time}Z`)
const NOW = at('15T12:00')
const LONG_AGO = at('01T00:00')
const windowFrom = (checkedUntil: Date, watchedSince = LONG_AGO) =>
  windowOf({ watchedSince, checkedUntil }, NOW)

await test('a window overlaps the previous one by six hours and ends five minutes ago', t => {
  t.strictSame(windowFrom(at('15T10:55')), {
    from: at('15T04:55'),
    until: at('15T11:55'),
    next: 'in_turn',
  })
  t.end()
})

await test('a window never begins before the access was granted', t => {
  t.match(windowFrom(at('15T10:55'), at('15T10:00')), { from: at('15T10:00') })
  t.end()
})

await test('after an outage, the next check comes soon', t => {
  t.match(windowFrom(at('15T10:20')), { next: 'soon' })
  t.match(windowFrom(at('15T10:30')), { next: 'in_turn' })
  t.end()
})

await test('after days without checks, a window has one day', t => {
  t.strictSame(windowFrom(at('12T10:00')), {
    from: at('12T04:00'),
    until: at('13T10:00'),
    next: 'at_once',
  })
  t.match(windowFrom(at('14T11:55')), { until: at('15T11:55'), next: 'soon' }, 'exactly a day')
  t.match(
    windowFrom(at('14T11:54')),
    { until: at('15T11:54'), next: 'at_once' },
    'a day and a minute',
  )
  t.end()
})

await test('a window has at least one minute', t => {
  for (const checked of [at('15T11:55'), at('15T12:00'), at('15T13:00')]) {
    const { from, until } = windowFrom(checked, checked)
    t.equal(until.getTime() - from.getTime(), 60_000)
    t.equal(until.getTime(), at('15T11:55').getTime())
  }
  t.end()
})

await test('the halves of a window', t => {
  t.strictSame(halves({ from: at('15T10:00'), until: at('15T12:00') }), [
    { from: at('15T10:00'), until: at('15T11:00') },
    { from: at('15T11:00'), until: at('15T12:00') },
  ])
  t.end()
})

const OK = { ERROR_NUMBER: 0, ERROR_DESCRIPTION: 'OK', STATUS_CODE: 200 }
const read = (answer: unknown, status = 200) =>
  readAnswer(status, typeof answer === 'string' ? answer : JSON.stringify(answer))

await test('an answer has records', t => {
  const answer = read({ ...OK, TOTAL_HITS: 1, RETURN_HITS: 1, CDR_LIST: [{ CallID: 'a' }] })
  t.strictSame(answer, { kind: 'records', records: [{ CallID: 'a' }], isComplete: true })
  t.match(read({ error_number: '0', total_hits: '0', cdr_list: [] }), {
    records: [],
    isComplete: true,
  })
  t.match(read({ ...OK, TOTAL_HITS: 0, CDR_LIST: null }), { records: [], isComplete: true })
  t.match(read({ CDR_LIST: [] }), { records: [], isComplete: true }, 'without an error number')
  t.end()
})

await test('an answer may be JSON inside a JSON string, after a byte order mark', async t => {
  const text = JSON.stringify(JSON.stringify({ ...OK, TOTAL_HITS: 1, CDR_LIST: [{ CallID: 'a' }] }))
  const active = JSON.stringify(JSON.stringify({ ERR: 0, EXTENSIONS: [] }))
  const server = createServer((_request, response) => response.end(`\ufeff${text}`)).listen(0)
  await once(server, 'listening')
  const address = server.address()
  const port = address && typeof address === 'object' ? address.port : 0
  const limits = { timeout: 5000, maxBytes: 10_000 }
  const answer = await request(
    `http://127.0.0.1:${port}`,
    { kind: 'code', secret: 'x' },
    {},
    limits,
  )
  t.strictSame(answer, { status: 200, text })
  t.match(readAnswer(200, text), { kind: 'records', records: [{ CallID: 'a' }] })
  t.strictSame(readActiveCalls(active), { calls: [] })
  server.close()
})

await test('an answer with only the first calls of the window is not complete', t => {
  t.match(read({ ...OK, TOTAL_HITS: 2, CDR_LIST: [{}] }), { isComplete: false })
  const full = Array.from({ length: MAX_RECORDS }, () => 1)
  t.match(read({ ...OK, TOTAL_HITS: MAX_RECORDS, CDR_LIST: full }), { isComplete: false })
  t.match(read({ ...OK, CDR_LIST: full.slice(1) }), { isComplete: true })
  t.end()
})

await test('each error has a word, and some are retried soon', t => {
  const cases: [unknown, number, why: string, retrySoon: boolean][] = [
    [{ ERROR_NUMBER: 1, STATUS_CODE: 403 }, 403, 'rate_limited', true],
    [{ ERROR_NUMBER: 2, STATUS_CODE: 403 }, 403, 'unauthorized', false],
    [{ ERROR_NUMBER: 2, CDR_LIST: [] }, 200, 'unauthorized', false],
    [{ ERROR_NUMBER: '4' }, 200, 'address_not_allowed', false],
    [{ error_number: 5 }, 404, 'date_range', false],
    [{ ERROR_NUMBER: 77 }, 200, 'error_77', false],
    [{ ERROR_NUMBER: -1 }, 200, 'refused', false],
    [{ ERROR_NUMBER: 'no such code: 4711' }, 200, 'refused', false],
    [{ ERROR_NUMBER: 1e300 }, 200, 'refused', false],
    ['', 401, 'unauthorized', false],
    ['<html>', 403, 'unauthorized', false],
    ['', 429, 'rate_limited', true],
    ['', 302, 'http_302', false],
    ['', 404, 'http_404', false],
    ['<html>', 502, 'http_502', true],
    [{ ...OK, CDR_LIST: [] }, 500, 'http_500', true],
    ['', 200, 'unreadable_answer', true],
    ['<html>', 200, 'unreadable_answer', true],
    ['[]', 200, 'unreadable_answer', true],
    [{ ...OK, TOTAL_HITS: 3, CDR_LIST: null }, 200, 'unreadable_answer', true],
    [{ ...OK, TOTAL_HITS: 0, CDR_LIST: 'none' }, 200, 'unreadable_answer', true],
    [{}, 200, 'unreadable_answer', true],
  ]
  for (const [answer, status, why, retrySoon] of cases) {
    const about = `${JSON.stringify(answer)} ${status}`
    t.strictSame(read(answer, status), { kind: 'failed', why, retrySoon }, about)
    t.match(why, /^[a-z0-9_]{1,40}$/, 'the database accepts it')
  }
  t.end()
})

const ENTRY_NOW = new Date('2026-11-15T12:00:00Z')
const HOUR = 3_600_000

const cdrOf = (record: JsonObject) => {
  const read = readCdr(record)
  if ('wrong' in read) throw new Error(read.wrong)
  return read.cdr
}
const asJson = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value))
/** The entry that a record of the log becomes. */
const entryOf = (record: unknown, until = ENTRY_NOW) => readEntry(asJson(record), until)
const taken = (record: unknown, until = ENTRY_NOW) => {
  const { element } = entryOf(record, until)
  if ('wrong' in element) throw new Error(element.wrong)
  return cdrOf(element.record)
}
const wrong = (record: unknown, until = ENTRY_NOW) => {
  const { element } = entryOf(record, until)
  return 'wrong' in element ? element.wrong : null
}
const startedAt = (record: unknown, until = ENTRY_NOW) => {
  const { callId, time } = taken(record, until)
  return startOf({ callId, time: time ?? null }, ENTRY_NOW)
}
/** What classification uses of a record. */
const summaryOf = (cdr: Cdr) => ({
  callId: cdr.callId,
  root: rootOf(cdr),
  status: statusOf(cdr),
  kind: callKind(cdr),
  transfer: transferKind(cdr),
  caller: cdr.caller,
  did: cdr.did,
  ring: cdr.ringSeconds,
  answered: answeredBy(cdr),
  reached: reachedIn(cdr),
})
/** The same call in two forms: pushed and logged. */
const both = (fields: Record<string, unknown>, at = new Date(ENTRY_NOW.getTime() - HOUR)) => {
  const webhook: Push = {
    ...push(fields),
    ivruniqueid: newCallId(at),
    time: exchangeTime(at),
    ...fields,
  }
  return { webhook, record: logged(webhook, at), at }
}

await test('an entry of the log classifies like the webhook of the same call', t => {
  const kinds: Record<string, Record<string, unknown>> = {
    missed: {},
    'missed in a queue': { type: 'Queue', status: 'ABANDONE', queuename: 'Service', queueid: 4 },
    'answered by an agent': { status: 'ANSWER', targetextension: 'SIP1', duration: 60 },
    'answered out of a queue': { type: 'Queue', status: 'ANSWER', targetextension: 'SIP1' },
    'answered by a machine': { status: 'ANSWER', representative_name: 'External IVR' },
    voicemail: { type: 'VoiceMail', status: 'VOICEMAIL' },
    withheld: { caller: '' },
    outgoing: {
      type: 'Extension Outgoing',
      status: 'ANSWER',
      caller: '0722776772',
      target: '972502345678',
      did: '',
      callerextension: 'SIP1',
    },
    'click to call, to the agent': { type: 'Click2Call leg1', status: 'ANSWER', did: '' },
    'click to call, to the customer': {
      type: 'Click2Call leg2',
      status: 'ANSWER',
      did: '',
      target: '972502345678',
    },
    dialer: { type: 'Click 2 IVR', did: '', target: '972502345678' },
    transfer: { type: 'XferCDR', status: 'ANSWER', OriginalIvrUniqueID: '20261115120000aa' },
  }
  for (const [name, fields] of Object.entries(kinds)) {
    const { webhook, record, at } = both(fields)
    const pushed = cdrOf(asJson(webhook))
    const fromLog = taken(record)
    t.strictSame(summaryOf(fromLog), summaryOf(pushed), name)
    t.strictSame(
      startedAt(record).at,
      startOf({ callId: pushed.callId, time: pushed.time ?? null }, ENTRY_NOW).at,
      `${name}: the same start`,
    )
    t.strictSame(startedAt(record), { at, clock: 'plain' }, name)
  }
  t.end()
})

await test('names in lower case and types as numbers are read', t => {
  const { record, webhook } = both({ type: 'Queue', status: 'ABANDONE' })
  const small = Object.fromEntries(
    Object.entries({ ...record, Type: '' }).map(([name, value]) => [name.toLowerCase(), value]),
  )
  t.equal(entryOf(small).callId, webhook.ivruniqueid)
  t.match(taken(small), { callId: webhook.ivruniqueid, type: '8', status: 'ABANDONE' })
  t.equal(callKind(taken(small)), 'inbound')
  t.end()
})

await test('the time of an entry is GMT in each form, whatever its call id', t => {
  const { record } = both({})
  const forms = [
    { Date: '2026-11-15T09:04:58Z' },
    { Date: '2026-11-15T09:04:58' },
    { Date: '2026-11-15 09:04:58' },
    { Date: '2026-11-15T09:04:58.1234567' },
    { Date: '2026-11-15T11:04:58+02:00' },
    { Date: '2026-11-15T11:04:58+0200' },
    { Date: null, DateEpoch: 1794733498 },
    { Date: '', DateEpoch: '1794733498' },
    { Date: '15/11/2026 09:04', DateEpoch: 1794733498 },
  ]
  // A call id that fits no clock, one that agrees with a shifted time, and one without a time.
  for (const CallID of ['20200101000000aa', '20261115090458aa', 'aa'])
    for (const form of forms) {
      const { at, clock } = startedAt({ ...record, DateEpoch: 0, ...form, CallID })
      t.equal(at.toISOString().slice(0, 19), '2026-11-15T09:04:58', JSON.stringify(form))
      t.equal(clock, 'plain')
    }
  t.end()
})

await test('an implausible entry is rejected with a reason', t => {
  const { record } = both({})
  t.match(wrong({ ...record, Date: null, DateEpoch: null }), /no time/)
  t.match(wrong({ ...record, Date: 'yesterday', DateEpoch: 12 }), /no time/)
  t.match(wrong({ ...record, Date: '2026-02-30T25:00:00Z', DateEpoch: '' }), /no time/)
  t.match(wrong({ ...record, Date: '2026-11-15T14:00:00Z' }), /later than what was asked for/)
  t.equal(wrong({ ...record, Date: ENTRY_NOW.toISOString() }), null, 'the last moment counts')
  t.match(wrong({ ...record, CallID: '' }), /call id/)
  t.match(wrong({ ...record, DialStatus: null }), /status/)
  const { DID: _, ...withoutDid } = record
  t.match(wrong(withoutDid), /number dialled/)
  t.match(wrong('text'), /not an object/)
  t.match(wrong(null), /not an object/)
  t.end()
})

await test('the bytes of an entry are those of the log', t => {
  const { record } = both({})
  const { element } = entryOf(record)
  t.strictSame(JSON.parse(element.bytes.toString()), asJson(record))
  t.strictSame(entryOf({ ...record }).element.bytes, element.bytes, 'the same each time')
  t.end()
})

await test('a call id is text or a number, and 0 is none', t => {
  const { record } = both({})
  const callIdOf = (text: string) =>
    readEntry(JSON.parse(text.replace('"$"', '12345')), ENTRY_NOW).callId
  t.equal(callIdOf(JSON.stringify({ ...record, CallID: '$' })), '12345')
  t.equal(entryOf({ ...record, CallID: ' a ' }).callId, 'a')
  for (const CallID of ['', ' ', '0', 0, null, {}, []])
    t.equal(entryOf({ ...record, CallID }).callId, null, JSON.stringify(CallID))
  t.end()
})

await test('a call id with a NUL character is none', t => {
  const { callId, element } = readEntry(
    { CallID: 'abc\0def', Date: '2024-06-10T09:04:58Z' },
    new Date('2024-06-10T10:00:00Z'),
  )
  t.equal(callId, null)
  t.ok('wrong' in element, 'the record is rejected')
  t.end()
})

const voicenter = await startFakeVoicenter()
process.env['VOICENTER_API_URL'] = voicenter.url
reloadConfig()
const WINDOW = { from: new Date('2026-11-15T06:00:00Z'), until: new Date('2026-11-15T12:00:00.5Z') }
const QUICK = { pause: 0, timeout: 5_000 }
type Credential = Parameters<typeof callsBetween>[0]

/** The records of a window, or why there are none. */
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

await test('a code and a bearer token give access', async t => {
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

await test('recordings and prices are not requested', async t => {
  const account = voicenter.addAccount()
  voicenter.log(account, { ...record('a', '2026-11-15T07:00:00Z'), RecordURL: 'u', Price: 7 })
  t.strictSame(await ask(code(account.code)), [
    { CallID: 'a', Date: '2026-11-15T07:00:00Z', DialStatus: 'CANCEL' },
  ])
})

await test('a code from an address that is not authorised has its own error', async t => {
  const account = voicenter.addAccount({ addressAllowed: false })
  t.strictSame(await ask(code(account.code)), { why: 'address_not_allowed', retrySoon: false })
  t.strictSame(await ask(bearer(account.bearer)), [])
})

await test('a window with more than 10,000 calls is halved, and no call is lost', async t => {
  const account = voicenter.addAccount()
  const all = Array.from({ length: 25_000 }, (_, i) =>
    record(`call ${i}`, new Date(WINDOW.from.getTime() + i * 864).toISOString()),
  )
  voicenter.log(account, ...all)
  const before = voicenter.requests().length
  const ids = idsOf(await ask(code(account.code)))
  t.equal(new Set(ids).size, all.length)
  t.equal(voicenter.requests().length - before, 7, '1 window, 2 halves, 4 quarters')
})

await test('there are at most ten requests', async t => {
  const account = voicenter.addAccount()
  const moment = Array.from({ length: 10_001 }, (_, i) => record(`${i}`, '2026-11-15T07:00:00Z'))
  voicenter.log(account, ...moment)
  const before = voicenter.requests().length
  t.strictSame(await ask(code(account.code)), { why: 'too_many_calls', retrySoon: false })
  t.equal(voicenter.requests().length - before, 10)
})

await test('there is a pause between two requests', async t => {
  const account = voicenter.addAccount()
  voicenter.script({ status: 200, body: '{"ERROR_NUMBER":0,"TOTAL_HITS":5,"CDR_LIST":[]}' })
  const start = performance.now()
  t.strictSame(await ask(code(account.code), { ...QUICK, pause: 60 }), [])
  t.ok(performance.now() - start > 118, 'one pause before each half')
})

await test('each failure has its own word', async t => {
  const { code: secret } = voicenter.addAccount()
  const failWith = async (fault: Parameters<typeof voicenter.script>[0], limits = QUICK) => {
    voicenter.script(fault)
    return ask(code(secret), limits)
  }
  t.strictSame(await failWith({ error: 1 }), { why: 'rate_limited', retrySoon: true })
  t.strictSame(await failWith({ error: 2 }), { why: 'unauthorized', retrySoon: false })
  t.strictSame(await failWith({ status: 503, body: '<html>' }), {
    why: 'http_503',
    retrySoon: true,
  })
  t.strictSame(await failWith({ cut: true }), { why: 'unreachable', retrySoon: true })
  t.strictSame(await failWith({ hang: true }, { pause: 0, timeout: 150 }), {
    why: 'timeout',
    retrySoon: true,
  })
  t.strictSame(await failWith({ bytes: 33 * 1024 * 1024 }), {
    why: 'answer_too_long',
    retrySoon: false,
  })
  t.strictSame(await ask(code(secret)), [], 'the next request succeeds')
  t.strictSame(
    await ask(bearer('a\nb')),
    { why: 'unreachable', retrySoon: true },
    'an invalid header',
  )
})

await test('more than 30 requests a minute are rejected', async t => {
  const { bearer: secret } = voicenter.addAccount()
  for (let i = 0; i < 30; i++) t.strictSame(await ask(bearer(secret)), [])
  t.strictSame(await ask(bearer(secret)), { why: 'rate_limited', retrySoon: true })
})

await test('a redirect is not followed, because it would send the credential elsewhere', async t => {
  const account = voicenter.addAccount()
  let requests = 0
  const elsewhere = createServer((_req, res) => {
    requests++
    res.end()
  }).listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const address = elsewhere.address()
  const port = address && typeof address === 'object' ? address.port : 0
  for (const status of [301, 302, 307, 308]) {
    voicenter.script({ status, location: `http://127.0.0.1:${port}/` })
    t.strictSame(await ask(bearer(account.bearer)), { why: `http_${status}`, retrySoon: false })
  }
  t.equal(requests, 0)
  elsewhere.close()
})

await test('without a server, it is unreachable', async t => {
  await voicenter.close()
  t.strictSame(await ask(code('x')), { why: 'unreachable', retrySoon: true })
})
