/** A record of the call log says of a call what its webhook would have said. */
import { test } from 'tap'
import { readEntry } from '../../app/voicenter/call_log/entries.ts'
import { answeredBy, reachedIn, statusOf } from '../../app/voicenter/classify.ts'
import { callKind, transferKind } from '../../app/voicenter/call_kind.ts'
import { type Cdr, readCdr, rootOf } from '../../app/voicenter/parse.ts'
import { startOf } from '../../app/voicenter/time.ts'
import { exchangeTime, newCallId, type Push, push } from '../../scripts/demo/cdr.ts'
import { logged } from '../../scripts/fake_voicenter/server.ts'
import type { JsonObject } from '../../app/json.ts'

const NOW = new Date('2026-11-15T12:00:00Z')
const HOUR = 3_600_000

const cdrOf = (record: JsonObject) => {
  const read = readCdr(record)
  if ('wrong' in read) throw new Error(read.wrong)
  return read.cdr
}
const asJson = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value))
/** What becomes of a record of the log. */
const read = (record: unknown, until = NOW) => readEntry(asJson(record), until)
const taken = (record: unknown, until = NOW) => {
  const { element } = read(record, until)
  if ('wrong' in element) throw new Error(element.wrong)
  return cdrOf(element.record)
}
const wrong = (record: unknown, until = NOW) => {
  const { element } = read(record, until)
  return 'wrong' in element ? element.wrong : null
}
const startedAt = (record: unknown, until = NOW) => {
  const { callId, time } = taken(record, until)
  return startOf({ callId, time: time ?? null }, NOW)
}
/** What judging asks of a record. */
const said = (cdr: Cdr) => ({
  callId: cdr.callId,
  root: rootOf(cdr),
  status: statusOf(cdr),
  kind: callKind(cdr),
  part: transferKind(cdr),
  caller: cdr.caller,
  did: cdr.did,
  ring: cdr.ringSeconds,
  answered: answeredBy(cdr),
  reached: reachedIn(cdr),
})
/** The same call twice: as pushed and as logged. */
const both = (fields: Record<string, unknown>, at = new Date(NOW.getTime() - HOUR)) => {
  const told: Push = {
    ...push(fields),
    ivruniqueid: newCallId(at),
    time: exchangeTime(at),
    ...fields,
  }
  return { told, record: logged(told, at), at }
}

await test('the log and the webhook tell the same of every kind of call', t => {
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
    const { told, record, at } = both(fields)
    const pushed = cdrOf(asJson(told))
    const fromLog = taken(record)
    t.strictSame(said(fromLog), said(pushed), name)
    t.strictSame(
      startedAt(record).at,
      startOf({ callId: pushed.callId, time: pushed.time ?? null }, NOW).at,
      `${name}: one start`,
    )
    t.strictSame(startedAt(record), { at, clock: 'plain' }, name)
  }
  t.end()
})

await test('names in small letters are read, and a number stands for the name of a type', t => {
  const { record, told } = both({ type: 'Queue', status: 'ABANDONE' })
  const small = Object.fromEntries(
    Object.entries({ ...record, Type: '' }).map(([name, value]) => [name.toLowerCase(), value]),
  )
  t.equal(read(small).callId, told.ivruniqueid)
  t.match(taken(small), { callId: told.ivruniqueid, type: '8', status: 'ABANDONE' })
  t.equal(callKind(taken(small)), 'inbound')
  t.end()
})

await test('its time is GMT in whatever form it comes, and whatever the head of the call id says', t => {
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
  // A head that fits no clock, one that agrees with a shifted time, and none.
  for (const CallID of ['20200101000000aa', '20261115090458aa', 'aa'])
    for (const form of forms) {
      const { at, clock } = startedAt({ ...record, DateEpoch: 0, ...form, CallID })
      t.equal(at.toISOString().slice(0, 19), '2026-11-15T09:04:58', JSON.stringify(form))
      t.equal(clock, 'plain')
    }
  t.end()
})

await test('what cannot be trusted is told, and not taken in as fresh', t => {
  const { record } = both({})
  t.match(wrong({ ...record, Date: null, DateEpoch: null }), /no time/)
  t.match(wrong({ ...record, Date: 'yesterday', DateEpoch: 12 }), /no time/)
  t.match(wrong({ ...record, Date: '2026-02-30T25:00:00Z', DateEpoch: '' }), /no time/)
  t.match(wrong({ ...record, Date: '2026-11-15T14:00:00Z' }), /later than what was asked for/)
  t.equal(wrong({ ...record, Date: NOW.toISOString() }), null, 'the last moment counts')
  t.match(wrong({ ...record, CallID: '' }), /call id/)
  t.match(wrong({ ...record, DialStatus: null }), /status/)
  const { DID: _, ...withoutDid } = record
  t.match(wrong(withoutDid), /number dialled/)
  t.match(wrong('text'), /not an object/)
  t.match(wrong(null), /not an object/)
  t.end()
})

await test('its bytes are those of the log', t => {
  const { record } = both({})
  const { element } = read(record)
  t.strictSame(JSON.parse(element.bytes.toString()), asJson(record))
  t.strictSame(read({ ...record }).element.bytes, element.bytes, 'the same every time')
  t.end()
})

await test('a call id is text, and 0 is none', t => {
  const { record } = both({})
  const callIdOf = (text: string) => readEntry(JSON.parse(text.replace('"$"', '12345')), NOW).callId
  t.equal(callIdOf(JSON.stringify({ ...record, CallID: '$' })), '12345')
  t.equal(read({ ...record, CallID: ' a ' }).callId, 'a')
  for (const CallID of ['', ' ', '0', 0, null, {}, []])
    t.equal(read({ ...record, CallID }).callId, null, JSON.stringify(CallID))
  t.end()
})

await test('a call id that Postgres cannot look for is none', t => {
  const { callId, element } = readEntry(
    { CallID: 'abc\0def', Date: '2024-06-10T09:04:58Z' },
    new Date('2024-06-10T10:00:00Z'),
  )
  t.equal(callId, null)
  t.ok('wrong' in element, 'and the record is kept aside')
  t.end()
})
