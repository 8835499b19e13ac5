/** When a call began. */
import fc from 'fast-check'
import { DateTime } from 'luxon'
import { test } from 'tap'
import { startOf } from '../../app/voicenter/time.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const utc = (iso: string): Date => new Date(iso)
const later = (at: Date, ms: number): Date => new Date(at.getTime() + ms)
const seconds = (at: Date): string => String(at.getTime() / 1000)
/** The first 14 digits of a call id for a call that began when a clock showed this time. */
const headOf = (wall: Date): string => wall.toISOString().replace(/\D/g, '').slice(0, 14)

/** A winter day. In Israel it is 14:00. */
const NOON = utc('2026-11-16T12:00:00Z')
const NO_HEAD = 'dcDHFJcc804'
/** A published call id with ten digits: the hour. */
const SHORT_HEAD = '2020072818dcDHFJcc804'

/** The start of a record whose call id begins with the digits of `head` and whose time is `raw`. */
const withHead = (head: Date, raw: Date, receivedAt: Date) =>
  startOf({ callId: `${headOf(head)}0a3f1`, time: seconds(raw) }, receivedAt)

await test('the start of the sample records', t => {
  const rows: [file: string, callId: string, time: string, began: string][] = [
    ['queue-answer', '202007211213270124c', '1595333610', '2020-07-21T09:13:30Z'],
    ['missed-callid-shape', '202611151015030a3f1', '1794737706', '2026-11-15T08:15:06Z'],
    ['missed-noanswer', '2026071416421001c7d', '1784047333', '2026-07-14T13:42:13Z'],
    ['missed-abandone-queue', '202611161103370b92e', '1794827021', '2026-11-16T09:03:41Z'],
    ['missed-withheld', '2026111613275304e18', '1794835675', '2026-11-16T11:27:55Z'],
    ['missed-landline', '2026111709082709d05', '1794906510', '2026-11-17T07:08:30Z'],
    ['answered-by-agent', '202611171451170f6a2', '1794927080', '2026-11-17T12:51:20Z'],
    ['transfer-root', '202611181020020c41b', '1794997205', '2026-11-18T08:20:05Z'],
    ['transfer-leg', '202611181021010c4d0', '1794997262', '2026-11-18T08:21:02Z'],
    ['missed-form-encoded', '2026111917364507b3c', '1795109808', '2026-11-19T15:36:48Z'],
    ['outgoing-callback-answered', '2026071416440001c9a', '1784047442', '2026-07-14T13:44:02Z'],
  ]
  for (const [file, callId, time, began] of rows) {
    const at = utc(began)
    for (const receivedAt of [later(at, 4 * MINUTE), utc('2030-01-01T00:00:00Z')])
      t.same(startOf({ callId, time }, receivedAt), { at, clock: 'shifted' }, file)
  }
  t.end()
})

await test('ten digits of a call id tell a shifted epoch from a true one', t => {
  for (const receivedAt of [utc('2020-07-28T15:24:00Z'), utc('2026-11-16T12:00:00Z')]) {
    const at = utc('2020-07-28T15:19:10Z')
    t.same(startOf({ callId: SHORT_HEAD, time: '1595960350' }, receivedAt), {
      at,
      clock: 'shifted',
    })
    t.same(startOf({ callId: SHORT_HEAD, time: seconds(at) }, receivedAt), { at, clock: 'plain' })
  }
  t.end()
})

await test('without a readable time, the head of the call id counts', t => {
  const times = [
    null,
    '',
    'null',
    'soon',
    '0',
    '1999-12-31 23:59:59',
    '2026-11-16 14:11:00Z',
    '99999999999',
  ]
  const rows: [callId: string, start: string][] = [
    ['202611161358000a3f1', '2026-11-16T11:58:00Z'],
    ['202611151358000a3f1', '2026-11-15T11:58:00Z'],
    ['202611151358x', '2026-11-15T11:59:00Z'],
    // The end of the hour, or the time of arrival in this hour: an old call looks old, and a new one is not late.
    ['2026111513dcDHFJ', '2026-11-15T12:00:00Z'],
    ['2026111614dcDHFJ', '2026-11-16T12:00:00Z'],
  ]
  for (const [callId, start] of rows)
    for (const time of times)
      t.same(
        startOf({ callId, time }, NOON),
        { at: utc(start), clock: 'call_id' },
        `${callId} ${time}`,
      )
  const future = { callId: '202611161411000a3f1', time: '' }
  t.same(startOf(future, NOON), { at: NOON, clock: 'received' }, 'a head in the future')
  t.end()
})

await test('the call id decides the clock, within 15 minutes', t => {
  const head = utc('2026-11-16T14:00:00Z')
  const near = [-15 * MINUTE, 0, 15 * MINUTE]
  const far = [-15 * MINUTE - 1000, 15 * MINUTE + 1000]

  // The record arrived long after. Without the call id, its time would count as plain.
  const clock = (raw: Date) => withHead(head, raw, utc('2027-01-01T00:00:00Z')).clock
  for (const ms of near) t.equal(clock(later(head, ms)), 'shifted', `call id plus ${ms} ms`)
  for (const ms of far) t.equal(clock(later(head, ms)), 'plain', `call id plus ${ms} ms`)

  // The record arrived 12 minutes before. Without the call id, its time would count as shifted.
  const early = (raw: Date) => withHead(head, raw, later(raw, -12 * MINUTE)).clock
  const began = later(head, -2 * HOUR)
  for (const ms of near) t.equal(withHead(head, later(began, ms), later(began, ms)).clock, 'plain')
  for (const ms of far) t.equal(early(later(began, ms)), 'shifted', `2 h, ${ms} ms`)
  t.end()
})

await test('a call id that is no date or fits neither clock decides nothing', t => {
  const time = seconds(later(NOON, 2 * HOUR - 4 * MINUTE))
  for (const callId of [
    '',
    'abc',
    NO_HEAD,
    SHORT_HEAD,
    'x20261116135600',
    '20261316135600',
    '20260230135600',
    '20261116245600',
    '20261116136000',
    '00000000000000',
    '99999999999999',
    '20260101000000',
    '12345678901234567890',
    '2'.repeat(10_000),
  ]) {
    const name = callId.slice(0, 30)
    const wanted = { at: later(NOON, -4 * MINUTE), clock: 'shifted' }
    t.same(startOf({ callId, time }, NOON), wanted, name)
    const past = { at: later(NOON, 2 * HOUR - 4 * MINUTE), clock: 'plain' }
    t.same(startOf({ callId, time }, later(NOON, 12 * HOUR)), past, name)
  }
  t.end()
})

await test('without a usable call id, a time counts as shifted if it is more than 10 minutes ahead', t => {
  const start = (ahead: number) =>
    startOf({ callId: NO_HEAD, time: seconds(later(NOON, ahead)) }, NOON)
  t.same(start(-1000), { at: later(NOON, -1000), clock: 'plain' })
  t.same(start(0), { at: NOON, clock: 'plain' })
  t.same(start(1000), { at: NOON, clock: 'plain' }, 'clamped')
  t.same(start(10 * MINUTE), { at: NOON, clock: 'plain' }, 'clamped')
  const shifted = { at: later(NOON, 10 * MINUTE + 1000 - 2 * HOUR), clock: 'shifted' }
  t.same(start(10 * MINUTE + 1000), shifted)
  t.same(start(2 * HOUR), { at: NOON, clock: 'shifted' })
  t.same(start(2 * HOUR + 10 * MINUTE), { at: NOON, clock: 'shifted' }, 'clamped')
  t.same(start(2 * HOUR + 10 * MINUTE + 1000), { at: NOON, clock: 'received' })
  t.same(start(24 * HOUR), { at: NOON, clock: 'received' })
  t.end()
})

await test('a start more than 10 minutes ahead is not used', t => {
  const wall = later(NOON, 2 * HOUR)
  for (const raw of [wall, NOON]) {
    const clock = raw === wall ? 'shifted' : 'plain'
    const early = later(NOON, -10 * MINUTE)
    t.same(withHead(wall, raw, early), { at: early, clock }, `${clock}, clamped`)
    const tooEarly = later(NOON, -10 * MINUTE - 1000)
    t.same(withHead(wall, raw, tooEarly), { at: tooEarly, clock: 'received' }, clock)
  }
  t.end()
})

await test('in summer a time may be up to three hours ahead', t => {
  const receivedAt = utc('2026-07-14T12:00:00Z')
  const start = (ahead: number) =>
    startOf({ callId: NO_HEAD, time: seconds(later(receivedAt, ahead)) }, receivedAt)
  t.same(start(3 * HOUR), { at: receivedAt, clock: 'shifted' })
  t.same(start(3 * HOUR + 10 * MINUTE), { at: receivedAt, clock: 'shifted' })
  t.same(start(3 * HOUR + 10 * MINUTE + 1000), { at: receivedAt, clock: 'received' })
  t.end()
})

await test('both clock changes of 2026', t => {
  const rows: [wall: string, start: string, why: string][] = [
    ['2026-03-27T01:59:59Z', '2026-03-26T23:59:59Z', 'the last second of winter time'],
    ['2026-03-27T02:00:00Z', '2026-03-27T00:00:00Z', 'skipped hour, read with winter time'],
    ['2026-03-27T02:59:59Z', '2026-03-27T00:59:59Z', 'skipped hour'],
    ['2026-03-27T03:00:00Z', '2026-03-27T00:00:00Z', 'the first second of summer time'],
    ['2026-03-27T04:30:00Z', '2026-03-27T01:30:00Z', 'summer'],
    ['2026-10-25T00:59:59Z', '2026-10-24T21:59:59Z', 'still summer time'],
    ['2026-10-25T01:00:00Z', '2026-10-24T23:00:00Z', 'occurs twice, the later one'],
    ['2026-10-25T01:30:00Z', '2026-10-24T23:30:00Z', 'occurs twice, the later one'],
    ['2026-10-25T01:59:59Z', '2026-10-24T23:59:59Z', 'occurs twice, the later one'],
    ['2026-10-25T02:00:00Z', '2026-10-25T00:00:00Z', 'winter'],
    ['2026-01-01T00:30:00Z', '2025-12-31T22:30:00Z', 'across the end of a year'],
  ]
  for (const [wall, start, why] of rows) {
    const record = { callId: `${headOf(utc(wall))}0a3f1`, time: seconds(utc(wall)) }
    const receivedAt = later(utc(start), 4 * MINUTE)
    t.same(startOf(record, receivedAt), { at: utc(start), clock: 'shifted' }, `${wall}, ${why}`)
  }
  // In the hour that occurs twice, the later time counts unless it is in the future.
  const first = { callId: '202610250130000a3f1', time: seconds(utc('2026-10-25T01:30:00Z')) }
  const receivedAt = utc('2026-10-24T22:34:00Z')
  t.same(startOf(first, receivedAt), { at: utc('2026-10-24T22:30:00Z'), clock: 'shifted' })
  t.end()
})

await test('each half hour of 2026 is read correctly with either clock', t => {
  const summerBegins = utc('2026-03-27T00:00:00Z')
  const summerEnds = utc('2026-10-25T00:00:00Z').getTime() - HOUR
  for (let ms = Date.UTC(2026, 0, 1); ms < Date.UTC(2027, 0, 1); ms += 30 * MINUTE) {
    const at = new Date(ms)
    const summer = ms >= summerBegins.getTime() && ms < summerEnds
    const wall = later(at, (summer ? 3 : 2) * HOUR)
    const callId = `${headOf(wall)}0a3f1`
    const twice = summer && ms >= summerEnds - HOUR
    const shifted = startOf({ callId, time: seconds(wall) }, later(at, 2 * HOUR))
    if (shifted.at.getTime() !== ms + (twice ? HOUR : 0) || shifted.clock !== 'shifted')
      t.fail(`shifted ${at.toISOString()}`, { found: shifted })
    const plain = startOf({ callId, time: seconds(at) }, later(at, 2 * HOUR))
    if (plain.at.getTime() !== ms || plain.clock !== 'plain')
      t.fail(`plain ${at.toISOString()}`, { found: plain })
  }
  t.pass('17,520 half hours')
  t.end()
})

await test('each form of a time is read', t => {
  const receivedAt = utc('2026-11-16T15:00:00Z')
  const callId = '202611161358000a3f1'
  const rows: [time: string, start: string, clock: string][] = [
    ['1794837600', '2026-11-16T12:00:00Z', 'shifted'],
    [' 1794837600\n', '2026-11-16T12:00:00Z', 'shifted'],
    ['1794837600000', '2026-11-16T12:00:00Z', 'shifted'],
    ['1794837600.0', '2026-11-16T12:00:00Z', 'shifted'],
    ['1.7948376E9', '2026-11-16T12:00:00Z', 'shifted'],
    ['1794837600.5', '2026-11-16T12:00:00.500Z', 'shifted'],
    ['1794830400', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16 14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16T14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16T14:00:00.250', '2026-11-16T12:00:00Z', 'shifted'],
    ['1794837600,25', '2026-11-16T12:00:00.250Z', 'shifted'],
    ['1794830400000000', '2026-11-16T12:00:00Z', 'plain'],
    ['1794837600000000', '2026-11-16T12:00:00Z', 'shifted'],
    ['1794830400000000000', '2026-11-16T12:00:00Z', 'plain'],
    ['20261116140000', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026/11/16 14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026.11.16 14:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['16/11/2026 14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['16.11.2026, 14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['16-11-2026 14:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['16/11/26 14:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['14:00:00 16/11/2026', '2026-11-16T12:00:00Z', 'shifted'],
    ['11/16/2026 02:00:00 PM', '2026-11-16T12:00:00Z', 'shifted'],
    ['11/16/2026, 2:00:00\u202fPM', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16 02:00 p.m.', '2026-11-16T12:00:00Z', 'shifted'],
    ['Mon, 16 Nov 2026 14:00:00 +0200', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 2026 12:00:00 GMT', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon, 16 Nov 2026 14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['Mon Nov 16 14:00:00 2026', '2026-11-16T12:00:00Z', 'shifted'],
    ['Mon Nov 16 2026 14:00:00 GMT+0200 (Israel Standard Time)', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16T14:00:00+02:00[Asia/Jerusalem]', '2026-11-16T12:00:00Z', 'plain'],
    ['/Date(1794830400000)/', '2026-11-16T12:00:00Z', 'plain'],
    ['/Date(1794830400000+0200)/', '2026-11-16T12:00:00Z', 'plain'],
    ['\\/Date(1794837600000)\\/', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16 14:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16 12:00:00', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16T12:00:00Z', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16t12:00:00.000z', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16 12:00:00 Z', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16T14:00:00+02:00', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16T14:00:00+0200', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16 14:00:00+02', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-16T08:30:00-03:30', '2026-11-16T12:00:00Z', 'plain'],
    ['2026-11-17T02:00:00+14:00', '2026-11-16T12:00:00Z', 'plain'],
    // Other names of zones, and forms without separators.
    ['Mon, 16 Nov 2026 07:00:00 EST', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon, 16 Nov 2026 08:00:00 EDT', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 26 06:00 CST', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 2026 07:00:00 cdt', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 2026 05:00:00 MST', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 2026 06:00:00 MDT', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 2026 04:00:00 PST', '2026-11-16T12:00:00Z', 'plain'],
    ['16 Nov 2026 05:00:00 PDT', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon, 16 Nov 2026 12:00:00 UT', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon, 16 Nov 2026 12:00:00 Z', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon, 16 Nov 2026 14:00:00 IST', '2026-11-16T12:00:00Z', 'shifted'],
    ['Mon Nov 16 14:00:00 IST 2026', '2026-11-16T12:00:00Z', 'shifted'],
    ['Mon Nov 16 14:00:00 IDT 2026', '2026-11-16T12:00:00Z', 'shifted'],
    ['Mon Nov 16 07:00:00 EST 2026', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon Nov 16 14:00:00 GMT+02:00 2026', '2026-11-16T12:00:00Z', 'plain'],
    ['Mon Nov 16 14:00:00 2026 +0200', '2026-11-16T12:00:00Z', 'plain'],
    ['20261116T140000', '2026-11-16T12:00:00Z', 'shifted'],
    ['20261116T1400', '2026-11-16T12:00:00Z', 'shifted'],
    ['20261116T120000Z', '2026-11-16T12:00:00Z', 'plain'],
    ['20261116T140000.250+0200', '2026-11-16T12:00:00Z', 'plain'],
    ['20261116-140000', '2026-11-16T12:00:00Z', 'shifted'],
    ['20261116 14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['20261116140000250', '2026-11-16T12:00:00Z', 'shifted'],
    ['202611161400', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16_14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['2026-11-16-14:00', '2026-11-16T12:00:00Z', 'shifted'],
    ['16/11/2026_14:00:00', '2026-11-16T12:00:00Z', 'shifted'],
    // The zone counts, although the call id says that these digits are Israel time.
    ['2026-11-16T14:00:00Z', '2026-11-16T14:00:00Z', 'plain'],
    ['2026-11-16T14:00:00+00:00', '2026-11-16T14:00:00Z', 'plain'],
  ]
  for (const [time, start, clock] of rows)
    t.same(startOf({ callId, time }, receivedAt), { at: utc(start), clock }, time)
  t.end()
})

await test('a date without a clock is the end of that day, but the call id says more', t => {
  const receivedAt = utc('2026-12-01T09:00:00Z')
  const start = (time: string, callId = NO_HEAD, zone?: string) =>
    startOf({ callId, time }, receivedAt, zone)
  const yesterday = { at: utc('2026-11-30T21:59:59Z'), clock: 'shifted' }
  const today = { at: receivedAt, clock: 'received' }
  const rows: [time: string, start: typeof today][] = [
    ['2026-11-30', yesterday],
    ['2026/11/30', yesterday],
    ['20261130', yesterday],
    ['30/11/2026', yesterday],
    ['30.11.2026', yesterday],
    ['11/30/2026', yesterday],
    ['30 Nov 2026', yesterday],
    ['Mon, 30 Nov 2026', yesterday],
    ['Mon Nov 30 2026', yesterday],
    ['2026-12-01', today],
    // Day and month may be exchanged.
    ['01/12/2026', today],
    ['12/01/2026', today],
    ['05/10/2026', { at: utc('2026-10-05T20:59:59Z'), clock: 'shifted' }],
    // The future, no day, or perhaps a clock.
    ['2026-12-03', today],
    ['31/11/2026', today],
    ['11.05.26', today],
    ['1999-12-31', today],
  ]
  for (const [time, expected] of rows) t.same(start(time), expected, time)
  const newYork = start('2026-11-30', NO_HEAD, 'America/New_York').at
  t.same(newYork, utc('2026-12-01T04:59:59Z'), 'the day of the tenant')

  const at = utc('2026-11-30T11:58:00Z')
  for (const time of ['2026-11-30', '30/11/2026', '20261130'])
    t.same(start(time, '202611301358000a3f1'), { at, clock: 'call_id' }, `${time} and a call id`)
  t.same(start('2026-11-30', '2005111215dc'), yesterday, 'the digits of the id are another date')
  t.same(start('05/10/2026', '202605101358x').at, utc('2026-05-10T10:59:00Z'), 'month first')
  t.end()
})

await test('a date with a zone has the same limits', t => {
  const start = (at: Date) => startOf({ callId: NO_HEAD, time: at.toISOString() }, NOON)
  t.same(start(later(NOON, 10 * MINUTE)), { at: NOON, clock: 'plain' }, 'clamped')
  t.same(start(later(NOON, 10 * MINUTE + 1000)), { at: NOON, clock: 'received' })
  t.same(start(later(NOON, 2 * HOUR)), { at: NOON, clock: 'received' }, 'never shifted')
  t.end()
})

await test('instead of an implausible time, the time of arrival counts', t => {
  const times = [
    null,
    '',
    '   ',
    'now',
    'infinity',
    'Infinity',
    '-infinity',
    'tomorrow',
    'NaN',
    'null',
    'true',
    '[object Object]',
    '0',
    '1',
    '-0',
    '-1',
    '-1794837600',
    '+1794837600',
    '0x6AF9E0A0',
    '1e400',
    '1e300',
    '1e21',
    `1${'0'.repeat(400)}`,
    '1'.repeat(10_000),
    'x'.repeat(10_000),
    `${'1'.repeat(1_000_000)}x`,
    `1.${'1'.repeat(1_000_000)}x`,
    ' '.repeat(10_000),
    '8640000000000',
    '8640000000000001',
    '946684799', // the last second of 1999
    seconds(later(NOON, 240 * HOUR)), // 10 days ahead
    '0001-01-01T00:00:00Z',
    '0001-01-01 00:00:00',
    '0000-00-00 00:00:00',
    '1970-01-01T00:00:00Z',
    '+275760-09-13T00:00:00.000Z',
    '275760-09-13 00:00:00',
    '9999-12-31T23:59:59Z',
    '2026-02-30 10:00:00',
    '2026-11-16 24:00:00',
    '2026-11-16 10:60:00',
    '2026-11-16T10:00:00+15:00',
    '2026-11-16T10:00:00+02:60',
    '2026-11-16T10:00:00 Asia/Jerusalem',
    '2026-11-16',
  ]
  for (const callId of [NO_HEAD, 'KGpK4iWq'])
    for (const time of times)
      t.same(
        startOf({ callId, time }, NOON),
        { at: NOON, clock: 'received' },
        String(time).slice(0, 40),
      )
  const first = startOf({ callId: NO_HEAD, time: '946684800' }, NOON)
  t.same(first, { at: utc('2000-01-01T00:00:00Z'), clock: 'plain' }, 'the first second of 2000')
  t.end()
})

await test('a start is never in the future, and never later than its time', t => {
  const ids = [NO_HEAD, '202611161358000a3f1', '202611161200000a3f1', '202611151358000a3f1']
  for (const callId of ids)
    for (let ahead = -30 * HOUR; ahead <= 4 * HOUR; ahead += MINUTE) {
      const raw = later(NOON, ahead)
      const { at, clock } = startOf({ callId, time: seconds(raw) }, NOON)
      if (at > NOON) t.fail('in the future', { callId, ahead })
      if (at > raw) t.fail('made younger', { callId, ahead, clock })
      if (ahead <= 0 && clock === 'received') t.fail('a past time was not used', { callId, ahead })
    }
  t.pass('8,164 times')
  t.end()
})

await test('of two old dates, the one that the call id names; else the day comes first, but not with AM or PM', t => {
  const read = (time: string, callId: string) =>
    startOf({ callId, time }, utc('2026-12-20T00:00:00Z')).at.toISOString().slice(0, 10)
  t.equal(read('5/11/2026 14:00', NO_HEAD), '2026-11-05')
  t.equal(read('5/11/2026 2:00 PM', NO_HEAD), '2026-05-11')
  for (const time of ['5/11/2026 14:00', '5/11/2026 2:00 PM']) {
    t.equal(read(time, '202611051400000a3f1'), '2026-11-05', time)
    t.equal(read(time, '202605111400000a3f1'), '2026-05-11', time)
  }
  t.end()
})

await test('a date in the future is not read as another day if the call id says when', t => {
  const receivedAt = utc('2026-11-30T20:00:00Z')
  const start = (callId: string) => startOf({ callId, time: '01/12/2026 00:00:00' }, receivedAt)
  const at = utc('2026-11-30T19:58:00Z')
  t.same(start('202611302158000a3f1'), { at, clock: 'call_id' })
  t.same(start('202601120001000a3f1').at, utc('2026-01-11T22:00:00Z'), 'the call id names it')
  t.same(start(NO_HEAD).at, utc('2026-01-11T22:00:00Z'), 'nothing else says when')
  t.same(start('203001120001000a3f1').at, utc('2026-01-11T22:00:00Z'), 'the call id is wrong')
  t.end()
})

await test('without a date in the call id, a date of the last day counts, in both orders of day and month', t => {
  // The second id begins with digits that are no date of the call.
  const ids = [NO_HEAD, '2005111215dc']
  for (const [zone, late] of [
    ['Asia/Jerusalem', 4 * MINUTE],
    ['Pacific/Honolulu', 23 * HOUR],
    ['Pacific/Kiritimati', 23 * HOUR],
  ] as const)
    for (let day = Date.UTC(2026, 0, 1); day < Date.UTC(2027, 0, 1); day += 24 * HOUR) {
      const called = DateTime.fromMillis(day + 9 * HOUR, { zone })
      for (const form of ['dd/MM/yyyy', 'MM/dd/yyyy'])
        for (const clock of ['HH:mm:ss', 'hh:mm:ss a']) {
          const time = called.toFormat(`${form} ${clock}`)
          const receivedAt = later(called.toJSDate(), late)
          for (const callId of ids) {
            const { at } = startOf({ callId, time }, receivedAt, zone)
            if (at.getTime() !== called.toMillis())
              t.fail(`${time}: ${at.toISOString()}`, { zone, callId })
          }
        }
    }
  t.pass('365 days in three zones')
  t.end()
})

const ZONES = [
  'Asia/Jerusalem',
  'Europe/London',
  'America/New_York',
  'Asia/Kolkata',
  'Pacific/Auckland',
  'UTC',
]

/** What a clock in the zone shows, as an instant in UTC. */
const wallOf = (at: Date, zone: string): Date =>
  DateTime.fromJSDate(at, { zone }).setZone('utc', { keepLocalTime: true }).toJSDate()

await test('in every zone, each form gives the instant, also around a clock change', t => {
  const moment = fc
    .integer({ min: Date.UTC(2024, 0) / 1000, max: Date.UTC(2029, 0) / 1000 })
    .map(ms => new Date(ms * 1000))
  const change = fc.constantFrom(
    '2026-03-27T00:00:00Z',
    '2026-10-24T23:00:00Z',
    '2026-03-29T01:00:00Z',
    '2026-11-01T06:00:00Z',
  )
  const nearChange = fc
    .tuple(change, fc.integer({ min: -7200, max: 7200 }))
    .map(([iso, away]) => later(utc(iso), away * 1000))
  fc.assert(
    fc.property(
      fc.oneof(moment, nearChange),
      fc.constantFrom(...ZONES),
      fc.integer({ min: 0, max: 3 * 86_400 }),
      (at, zone, lateBy) => {
        const receivedAt = later(at, lateBy * 1000)
        const wall = wallOf(at, zone)
        const callId = `${headOf(wall)}0a3f1`
        const local = DateTime.fromJSDate(at, { zone })
        const forms = [
          seconds(wall),
          seconds(at),
          String(at.getTime()),
          `${at.getTime()}000`,
          `/Date(${at.getTime()})/`,
          local.toISO() ?? '',
          local.toRFC2822() ?? '',
          local.toFormat('yyyy/MM/dd HH:mm:ss'),
          local.toFormat('dd/MM/yyyy HH:mm:ss'),
          local.toFormat('MM/dd/yyyy hh:mm:ss a'),
          local.toFormat('yyyyMMddHHmmss'),
          local.toFormat("yyyyMMdd'T'HHmmss"),
          local.toFormat('yyyy-MM-dd_HH:mm:ss'),
          '',
        ]
        for (const time of forms) {
          const found = startOf({ callId, time }, receivedAt, zone)
          // A wall clock in the hour that occurs twice has two readings.
          const isSame = wallOf(found.at, zone).getTime() === wall.getTime()
          if (found.at.getTime() !== at.getTime() && !isSame)
            throw new Error(`${zone} ${time}: ${found.at.toISOString()} for ${at.toISOString()}`)
          if (found.at > receivedAt) throw new Error(`${zone} ${time}: in the future`)
        }
        const day = startOf({ callId: NO_HEAD, time: local.toISODate() }, receivedAt, zone).at
        const isSameDay = DateTime.fromJSDate(day, { zone }).hasSame(local, 'day')
        if (day < at || day > receivedAt || !(isSameDay || day === receivedAt))
          throw new Error(`${zone} ${local.toISODate()}: ${day.toISOString()}`)
      },
    ),
    { numRuns: 3000 },
  )
  t.pass('3,000 moments')
  t.end()
})

await test('any text gives a start that is not in the future', t => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.constantFrom(...ZONES), (callId, time, zone) => {
      const { at } = startOf({ callId, time }, NOON, zone)
      return at <= NOON && at >= utc('2000-01-01T00:00:00Z')
    }),
  )
  t.pass()
  t.end()
})
