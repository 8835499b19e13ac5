/** The tools of npm run chaos: each broken promise is found, faults happen as ordered, times are measured correctly. */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { FAILPOINTS } from '../../app/failpoints.ts'
import {
  type Accepted,
  check,
  type Evidence,
  leaksIn,
  type Message,
} from '../../scripts/chaos/ledger.ts'
import { outside, percentile, recoveries } from '../../scripts/chaos/monitor.ts'
import { startProxy } from '../../scripts/chaos/proxy.ts'
import { seeded } from '../../scripts/chaos/random.ts'
import { longestGap } from '../../scripts/chaos/failover.ts'
import { withBlock } from '../../scripts/chaos/run.ts'

const CALLER = '+972520000001'
const CALLED_AT = 1_000_000

const message = (changes: Partial<Message> = {}): Message => ({
  id: '7',
  tenantId: '1',
  phoneNumberId: '101',
  kind: 'initial',
  state: 'delivered',
  reason: null,
  conversationId: '3',
  callState: 'sent',
  calledAt: CALLED_AT,
  phone: CALLER,
  dueAt: CALLED_AT + 3000,
  claimedAt: CALLED_AT + 3000,
  answered: true,
  text: null,
  ...changes,
})
const accepted = (changes: Partial<Accepted> = {}): Accepted => ({
  messageId: '7',
  to: CALLER,
  template: 'ringback_missed_call',
  text: '',
  phoneNumberId: '101',
  answeredFalsely: false,
  statuses: ['sent', 'delivered'],
  ...changes,
})
const stored = { kept: 'raw' as const, tenantId: '1', hash: 'a', deliveries: 3 }
const call = { id: '5', tenantId: '1', callId: 'x' }
const stop = {
  tenantId: '1',
  phone: CALLER,
  why: 'replied',
  upTo: CALLED_AT + 1000,
  seenAt: CALLED_AT + 2000,
}
const busy = { tenantId: '1', phone: CALLER, seenAt: CALLED_AT + 2000, endedAt: Infinity }
/** A run without violations: one call was missed, and its message was delivered. */
const good: Evidence = {
  promised: [{ what: 'missed', kept: 'raw', tenantId: '1', hash: 'a', acknowledged: 2 }],
  stored: [stored],
  missedCalls: [call],
  messages: [message()],
  accepted: [accepted()],
  wrongTokens: 0,
  stops: [],
  busy: [],
  whatsAppCalls: [],
  byHand: [],
  tenants: [
    { tenantId: '1', phoneNumberId: '101' },
    { tenantId: '2', phoneNumberId: '102' },
  ],
  called: new Map([[CALLER, new Set(['1'])]]),
  failedJobs: [],
  lockedJobs: [],
  leaks: [],
}
const byHand = { tenantId: '1', to: CALLER, text: 'at ten' }
const reply = message({ id: '9', kind: 'manual', conversationId: null, text: 'at ten' })
const got = accepted({ messageId: '9', template: 'text', text: 'at ten' })
const replied = { byHand: [byHand], messages: [message(), reply], accepted: [accepted(), got] }
const twin = message({ id: '8', conversationId: '4' })
const other = accepted({ messageId: '8' })

/** What happened, and the violation that must be found; null = none. */
const RUNS: [what: string, changes: Partial<Evidence>, violation: RegExp | null][] = [
  ['a good run', {}, null],
  ['a record is missing', { stored: [] }, /acknowledged but missing/],
  ['it is of another tenant', { stored: [{ ...stored, tenantId: '2' }] }, /but missing/],
  ['it was rejected', { stored: [{ ...stored, kept: 'rejected' }] }, /but missing/],
  ['a repeat was not counted', { stored: [{ ...stored, deliveries: 1 }] }, /counted 1 times/],
  ['it is stored twice', { stored: [stored, stored] }, /stored 2 times/],
  ['a record was never sent', { stored: [stored, { ...stored, hash: 'b' }] }, /never sent/],
  ['a call is two missed calls', { missedCalls: [call, { ...call, id: '6' }] }, /5,6 are one call/],
  ['two tenants', { missedCalls: [call, { ...call, id: '6', tenantId: '2' }] }, null],
  ['a message twice', { messages: [message(), message({ id: '8' })] }, /7,8 are one message/],
  ['it is sent twice', { accepted: [accepted(), accepted()] }, /7,7 was accepted more than once/],
  [
    'its twin is sent',
    { messages: [message(), twin], accepted: [accepted(), other] },
    /received the same template twice/,
  ],
  [
    'its twin is sent after it failed',
    { messages: [message(), twin], accepted: [accepted({ statuses: ['failed'] }), other] },
    null,
  ],
  [
    'WhatsApp said that it had not accepted it',
    { accepted: [accepted({ answeredFalsely: true }), accepted()] },
    null,
  ],
  ['a reply by hand', replied, null],
  ['a reply by hand is missing', { byHand: [byHand] }, /is 0 messages/],
  [
    'it is two messages',
    { ...replied, messages: [reply, { ...reply, id: '10' }] },
    /is 2 messages/,
  ],
  ['its text comes twice', { ...replied, accepted: [got, { ...got, messageId: '10' }] }, /2 times/],
  [
    'it was cancelled',
    { ...replied, messages: [message(), { ...reply, state: 'cancelled' }], accepted: [accepted()] },
    /9 \(cancelled\) was acknowledged/,
  ],
  ['a message without a row', { messages: [] }, /without a row/],
  ...['scheduled', 'sending', 'cancelled', 'skipped', 'failed'].map(
    (state): [string, Partial<Evidence>, RegExp] => [
      `an accepted message is ${state}`,
      { messages: [message({ state })] },
      /was accepted by WhatsApp/,
    ],
  ),
  [
    'it failed later',
    {
      messages: [message({ state: 'failed' })],
      accepted: [accepted({ statuses: ['failed'] })],
    },
    null,
  ],
  ['its call is cancelled', { messages: [message({ callState: 'cancelled' })] }, /is cancelled/],
  [
    'an unknown message without a status',
    { messages: [message({ state: 'unknown' })], accepted: [accepted({ statuses: [] })] },
    null,
  ],
  ['and with one', { messages: [message({ state: 'unknown' })] }, /has sent a status/],
  [
    'the number of another tenant',
    { accepted: [accepted({ phoneNumberId: '102' })] },
    /in the name of another tenant/,
  ],
  ['another person', { accepted: [accepted({ to: '+972520000002' })] }, /to another person/],
  ['no caller', { called: new Map([[CALLER, new Set(['2'])]]) }, /never called that tenant/],
  ['the token of another number', { wrongTokens: 1 }, /token of another number/],
  ['a person who had replied', { stops: [stop] }, /claimed after the database said: replied/],
  ['who replied after the claim', { stops: [{ ...stop, seenAt: CALLED_AT + 4000 }] }, null],
  ['who called again after the reply', { stops: [{ ...stop, upTo: CALLED_AT - 1 }] }, null],
  ['who replied to another tenant', { stops: [{ ...stop, tenantId: '2' }] }, null],
  ['it was not due', { messages: [message({ dueAt: CALLED_AT + 3001 })] }, /before it was due/],
  ['a person on the line', { busy: [busy] }, /while the person was on the line/],
  ['the call had ended', { busy: [{ ...busy, endedAt: CALLED_AT + 2500 }] }, null],
  ['it began after the claim', { busy: [{ ...busy, seenAt: CALLED_AT + 3500 }] }, null],
  ['on the line with another tenant', { busy: [{ ...busy, tenantId: '2' }] }, null],
  [
    'a call on WhatsApp',
    { whatsAppCalls: [{ tenantId: '1', callId: 'wacid.1' }] },
    /acknowledged but is no missed call/,
  ],
  ['a failed job', { failedJobs: ['voicenter_cdr:x'] }, /failed for good/],
  ['a locked job', { lockedJobs: ['voicenter_cdr:x'] }, /locked/],
  ['a leak', { leaks: ['line 3 of instance-A.log: a phone number'] }, /a phone number/],
]

await t.test('each broken promise is found', t => {
  for (const [what, changes, violation] of RUNS) {
    const found = check({ ...good, ...changes }).violations.join('\n')
    if (violation) t.match(found, violation, what)
    else t.equal(found, '', what)
  }
  t.match(check(good).counts, { stored: 1, accepted: 1, lost: 0, sentTwice: 0 })
  t.equal(check({ ...good, stored: [] }).counts.lost, 1)
  const falsely = [accepted({ answeredFalsely: true }), accepted()]
  t.match(check({ ...good, accepted: falsely }).counts, { sentTwice: 0, answeredFalsely: 1 })
  t.end()
})

await t.test('phone numbers and secrets in a log are found, and not repeated', async t => {
  const leaks = async (line: string) => {
    const folder = t.testdir({ 'instance-A.log': `fine\n${line}\n` })
    return leaksIn(`${folder}/instance-A.log`, new Set([CALLER]), ['hunter2'])
  }
  for (const written of ['0520000001', '972520000001', '+972520000001', '"520000001"'])
    t.same(await leaks(`caller: ${written}`), ['line 2 of instance-A.log: a phone number'])
  t.same(await leaks('{"caller":"0520000002"}'), [], 'no caller of the run')
  t.same(await leaks('{"time":1520000001000}'), [], 'part of another number')
  t.same(await leaks('password=hunter2'), ['line 2 of instance-A.log: a secret'])
})

await t.test('recovery is measured without the outages', t => {
  t.equal(outside(0, 100, []), 100)
  t.equal(outside(0, 100, [{ from: 20, to: 50 }]), 70)
  const overlapping = [
    { from: 40, to: 60 },
    { from: 20, to: 50 },
  ]
  t.equal(outside(0, 100, overlapping), 60)
  t.equal(outside(30, 100, [{ from: 0, to: 40 }]), 60)
  t.equal(outside(0, 100, [{ from: 90, to: Infinity }]), 90)
  t.equal(outside(0, 100, [{ from: 0, to: 200 }]), 0)

  const fault = { kind: 'cut', at: 1000, back: 2000, inBurst: false }
  const work = (since: number, done: number) => ({ kind: 'cdr', since, done })
  t.same(recoveries([fault], [work(500, 2500), work(1500, 5000)], []), [3000])
  t.same(recoveries([fault], [work(500, 900)], []), [], 'done before the fault')
  t.same(recoveries([fault], [work(500, 1900)], []), [], 'done during the fault')
  t.same(recoveries([fault], [work(2100, 9000)], []), [], 'due after the fault')
  t.same(recoveries([fault], [work(500, 5000)], [{ from: 3000, to: 4000 }]), [2000])
  t.same(recoveries([{ ...fault, inBurst: true }], [work(500, 5000)], []), [])

  const values = Array.from({ length: 200 }, (_, i) => 200 - i)
  t.equal(percentile(values, 0.5), 100)
  t.equal(percentile(values, 0.99), 198)
  t.equal(percentile([], 0.99), 0)
  t.end()
})

await t.test('the time without a 200 begins with the last one before the loss', t => {
  const acknowledged = [900, 1200, 4000, 4100, 9000]
  t.equal(longestGap(acknowledged, 1000, 5000), 2800)
  t.equal(longestGap(acknowledged, 1300, 5000), 2800, 'the last one before')
  t.equal(longestGap(acknowledged, 4050, 8000), 3900, 'none until the end')
  t.equal(longestGap([], 1000, 5000), 4000)
  t.end()
})

await t.test('the same seed makes the same choices', t => {
  const drawn = (seed: number) => {
    const random = seeded(seed, 'scenarios')
    const weighted = random.weighted<string>([
      [1, 'a'],
      [9, 'b'],
      [90, 'c'],
    ])
    return [random.int(1, 1000), weighted, ...random.shuffled([1, 2, 3, 4])]
  }
  t.same(drawn(7), drawn(7))
  t.notSame(drawn(7), drawn(8))
  t.end()
})

await t.test('the report replaces only the text between the marks', t => {
  const before = '# Mine\n\n<!-- chaos:begin -->\n\nold\n\n<!-- chaos:end -->\n\nmine too\n'
  t.equal(withBlock(before, 'new'), before.replace('old', 'new'))
  t.equal(withBlock(before, 'new', 'failover'), before, 'other marks')
  const empty = '<!-- failover:begin -->\n<!-- failover:end -->\n'
  t.match(withBlock(empty, 'new', 'failover'), /begin -->\n\nnew\n\n<!--/)
  t.end()
})

const ARM = fileURLToPath(new URL('../../scripts/chaos/arm.ts', import.meta.url))
const POINTS_URL = new URL('../../app/failpoints.ts', import.meta.url).href
const PROGRAM = `
  import { failpoint, FAILPOINTS } from '${POINTS_URL}'
  setInterval(() => failpoint(FAILPOINTS[0]), 5)`

await t.test('an armed process dies at the failpoint that was ordered, and only there', async t => {
  const program = `${t.testdir({ 'program.mjs': PROGRAM })}/program.mjs`
  const [point, never] = FAILPOINTS
  const order = { points: [point], action: 'kill', skip: 2, afterMs: 20 }
  const start = () => {
    const child = fork(program, { execArgv: ['--import', ARM], stdio: 'ignore' })
    t.teardown(() => child.kill('SIGKILL'))
    const reports: unknown[] = []
    child.on('message', report => reports.push(report))
    return { child, reports, ended: once(child, 'exit') }
  }
  const { child, reports, ended } = start()
  child.send({ order })
  child.send({ order: null })
  child.send({ order: { ...order, points: [never] } })
  t.equal(await Promise.race([ended, sleep(1000, 'alive')]), 'alive')
  t.same(reports, [])
  child.send({ order })
  t.same(await ended, [null, 'SIGKILL'])
  t.same(reports, [{ hit: point, action: 'kill' }], 'it reports before it dies')

  const wrong = start()
  wrong.child.send({ order: { ...order, points: ['lunch'] } })
  const [code] = await wrong.ended
  t.not(code, 0, 'an unknown failpoint is an error')
  const run = promisify(execFile)
  await t.rejects(run(process.execPath, ['--import', ARM, '-e', '']), /npm run chaos/)
})

/** Well above the time that a chunk takes on the loopback of a busy machine. */
const NEVER_MS = 300

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
/** Answers every chunk in capitals. */
const echo = createServer(socket => {
  socket.on('error', () => {})
  socket.on('data', chunk => socket.write(chunk.toString().toUpperCase()))
}).listen(0, '127.0.0.1')
await once(echo, 'listening')
t.teardown(() => echo.close())

const ask = async (socket: Socket, text: string): Promise<string> => {
  socket.write(text)
  const [answer] = await once(socket, 'data')
  return String(answer)
}
const codeOf = (socket: Socket): Promise<unknown> =>
  new Promise(resolve => {
    socket.once('error', error => resolve('code' in error ? error.code : ''))
    socket.once('end', () => resolve('end'))
  })
/** A proxy, and a function that opens a connection through it. */
const proxied = async (t: Test, targets = () => [portOf(echo)]) => {
  const proxy = await startProxy(targets)
  t.teardown(proxy.close)
  const dial = async (): Promise<Socket> => {
    const socket = connect(proxy.port, '127.0.0.1')
    t.teardown(() => void socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  return { proxy, dial }
}

await t.test('the proxy passes data in both directions, and skips dead targets', async t => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const dead = portOf(closed)
  closed.close()
  const { dial } = await proxied(t, () => [dead, portOf(echo)])
  const socket = await dial()
  t.equal(await ask(socket, 'hello'), 'HELLO')
  const large = 'x'.repeat(1_000_000)
  let answered = 0
  socket.on('data', chunk => (answered += chunk.length))
  socket.write(large)
  while (answered < large.length) await sleep(5)
})

await t.test('the proxy cuts, resets, silences, refuses and delays', async t => {
  const { proxy, dial } = await proxied(t)
  for (const how of ['cut', 'reset'] as const) {
    const socket = await dial()
    await ask(socket, 'hello')
    const code = codeOf(socket)
    t.equal(proxy[how](), 1)
    t.equal(await code, how === 'cut' ? 'end' : 'ECONNRESET')
  }

  const silenced = await dial()
  await ask(silenced, 'hello')
  t.equal(proxy.silence(), 1)
  const answer = ask(silenced, 'hello').catch(() => 'closed')
  t.equal(await Promise.race([answer, sleep(NEVER_MS, 'silence')]), 'silence')
  t.notOk(silenced.destroyed, 'the connection stays open')
  t.equal(await ask(await dial(), 'hello'), 'HELLO', 'new connections work')

  proxy.refuse()
  await t.rejects(dial(), { code: 'ECONNREFUSED' })
  await proxy.accept()
  const socket = await dial()
  proxy.delay(100)
  const started = performance.now()
  t.equal(await ask(socket, 'hello'), 'HELLO')
  t.ok(performance.now() - started >= 190, 'in both directions')
})

await t.test('the proxy drops the answer to one request', async t => {
  const { proxy, dial } = await proxied(t)
  const received: string[] = []
  echo.once('connection', socket => socket.on('data', chunk => received.push(String(chunk))))
  const socket = await dial()
  proxy.dropAnswerTo('commit')
  t.equal(await ask(socket, 'begin'), 'BEGIN')
  const code = codeOf(socket)
  socket.write('commit')
  t.equal(await code, 'ECONNRESET')
  t.same(received, ['begin', 'commit'], 'the request arrived')
  t.equal(await ask(await dial(), 'commit'), 'COMMIT', 'only once')
})
