/** When a call began. */
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
const NO_HEAD = '2020072818dcDHFJcc804'

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

await test('with a short call id, the time counts as written unless it is in the future', t => {
  const record = { callId: NO_HEAD, time: '1595960350' }
  t.same(startOf(record, utc('2020-07-28T15:24:00Z')), {
    at: utc('2020-07-28T15:19:10Z'),
    clock: 'shifted',
  })
  t.same(startOf(record, utc('2026-11-16T12:00:00Z')), {
    at: utc('2020-07-28T18:19:10Z'),
    clock: 'plain',
  })
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

  // The record arrived 6 minutes before. Without the call id, its time would count as shifted.
  const early = (raw: Date) => withHead(head, raw, later(raw, -6 * MINUTE)).clock
  for (const hours of [2, 3]) {
    const began = later(head, -hours * HOUR)
    for (const ms of near) t.equal(early(later(began, ms)), 'received', `${hours} h, ${ms} ms`)
    for (const ms of far) t.equal(early(later(began, ms)), 'shifted', `${hours} h, ${ms} ms`)
    t.equal(withHead(head, began, began).clock, 'plain', `${hours} h behind the call id`)
  }
  t.end()
})

await test('a call id that is no date or fits neither clock decides nothing', t => {
  const time = seconds(later(NOON, 2 * HOUR - 4 * MINUTE))
  for (const callId of [
    '',
    'abc',
    NO_HEAD,
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

await test('without a usable call id, a time counts as shifted if it is more than 5 minutes ahead', t => {
  const start = (ahead: number) =>
    startOf({ callId: NO_HEAD, time: seconds(later(NOON, ahead)) }, NOON)
  t.same(start(-1000), { at: later(NOON, -1000), clock: 'plain' })
  t.same(start(0), { at: NOON, clock: 'plain' })
  t.same(start(1000), { at: NOON, clock: 'plain' }, 'clamped')
  t.same(start(5 * MINUTE), { at: NOON, clock: 'plain' }, 'clamped')
  const shifted = { at: later(NOON, 5 * MINUTE + 1000 - 2 * HOUR), clock: 'shifted' }
  t.same(start(5 * MINUTE + 1000), shifted)
  t.same(start(2 * HOUR), { at: NOON, clock: 'shifted' })
  t.same(start(2 * HOUR + 5 * MINUTE), { at: NOON, clock: 'shifted' }, 'clamped')
  t.same(start(2 * HOUR + 5 * MINUTE + 1000), { at: NOON, clock: 'received' })
  t.same(start(24 * HOUR), { at: NOON, clock: 'received' })
  t.end()
})

await test('a start more than 5 minutes ahead is not used', t => {
  const wall = later(NOON, 2 * HOUR)
  for (const raw of [wall, NOON]) {
    const clock = raw === wall ? 'shifted' : 'plain'
    const early = later(NOON, -5 * MINUTE)
    t.same(withHead(wall, raw, early), { at: early, clock }, `${clock}, clamped`)
    const tooEarly = later(NOON, -5 * MINUTE - 1000)
    t.same(withHead(wall, raw, tooEarly), { at: tooEarly, clock: 'received' }, clock)
  }
  t.end()
})

await test('in summer a time may be up to three hours ahead', t => {
  const receivedAt = utc('2026-07-14T12:00:00Z')
  const start = (ahead: number) =>
    startOf({ callId: NO_HEAD, time: seconds(later(receivedAt, ahead)) }, receivedAt)
  t.same(start(3 * HOUR), { at: receivedAt, clock: 'shifted' })
  t.same(start(3 * HOUR + 5 * MINUTE), { at: receivedAt, clock: 'shifted' })
  t.same(start(3 * HOUR + 5 * MINUTE + 1000), { at: receivedAt, clock: 'received' })
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
  // In the hour that occurs twice, the earlier time looks an hour younger, but never in the future.
  const first = { callId: '202610250130000a3f1', time: seconds(utc('2026-10-25T01:30:00Z')) }
  const receivedAt = utc('2026-10-24T22:34:00Z')
  t.same(startOf(first, receivedAt), { at: receivedAt, clock: 'received' })
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
    // The zone counts, although the call id says that these digits are Israel time.
    ['2026-11-16T14:00:00Z', '2026-11-16T14:00:00Z', 'plain'],
    ['2026-11-16T14:00:00+00:00', '2026-11-16T14:00:00Z', 'plain'],
  ]
  for (const [time, start, clock] of rows)
    t.same(startOf({ callId, time }, receivedAt), { at: utc(start), clock }, time)
  t.end()
})

await test('a date with a zone has the same limits', t => {
  const start = (at: Date) => startOf({ callId: NO_HEAD, time: at.toISOString() }, NOON)
  t.same(start(later(NOON, 5 * MINUTE)), { at: NOON, clock: 'plain' }, 'clamped')
  t.same(start(later(NOON, 5 * MINUTE + 1000)), { at: NOON, clock: 'received' })
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
    '1e18',
    `1${'0'.repeat(400)}`,
    '1'.repeat(10_000),
    'x'.repeat(10_000),
    `${'1'.repeat(1_000_000)}x`,
    `1.${'1'.repeat(1_000_000)}x`,
    ' '.repeat(10_000),
    '8640000000000',
    '8640000000000001',
    '1794837600000000', // microseconds
    '1577836799', // the last second of 2019
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
    '16/11/2026 10:00:00',
  ]
  for (const callId of ['202611161358000a3f1', NO_HEAD])
    for (const time of times)
      t.same(
        startOf({ callId, time }, NOON),
        { at: NOON, clock: 'received' },
        String(time).slice(0, 40),
      )
  const first = startOf({ callId: NO_HEAD, time: '1577836800' }, NOON)
  t.same(first, { at: utc('2020-01-01T00:00:00Z'), clock: 'plain' }, 'the first second of 2020')
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
