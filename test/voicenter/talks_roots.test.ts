/** How long a talk lasts, and which records are one call. */
import fc from 'fast-check'
import { test } from 'tap'
import { baseOf, type LinkedRecord, rootsOf } from '../../app/voicenter/roots.ts'
import { reachedUntil } from '../../app/voicenter/talks.ts'

const START = new Date('2026-11-16T12:00:00Z')

await test('a talk lasts from its start over the ringing and the talk, and its echo five seconds', t => {
  const none = { talkSeconds: null, duration: null, waitingSeconds: null, ringSeconds: null }
  const rows: [
    name: string,
    durations: Partial<typeof none> | Record<string, number>,
    seconds: number,
  ][] = [
    ['talk and ringing', { talkSeconds: 300, duration: 300, ringSeconds: 20 }, 325],
    ['talk alone', { talkSeconds: 300 }, 305],
    ['only duration', { talkSeconds: 90, duration: 90 }, 95],
    ['no talk time, but a duration', { talkSeconds: 0, duration: 90 }, 95],
    ['nothing', {}, 65],
    ['only ringing', { ringSeconds: 20 }, 85],
    ['zero everywhere', { talkSeconds: 0, duration: 0, ringSeconds: 0 }, 65],
    ['talk after waiting', { talkSeconds: 30, duration: 75, waitingSeconds: 45 }, 35],
    ['only waiting, rounded', { talkSeconds: 46, duration: 46, waitingSeconds: 45 }, 110],
    ['a talk as short as the waiting', { talkSeconds: 2, duration: 2, waitingSeconds: 1 }, 7],
    ['only waiting', { talkSeconds: 45, duration: 45, waitingSeconds: 45 }, 110],
    [
      'waiting and ringing',
      { talkSeconds: 45, duration: 45, waitingSeconds: 45, ringSeconds: 20 },
      110,
    ],
    ['a talk of three hours', { talkSeconds: 10_800 }, 10_805],
  ]
  const late = new Date(START.getTime() + 86_400_000)
  for (const [name, durations, seconds] of rows) {
    const until = reachedUntil({ ...none, ...durations }, START, late)
    t.equal((until.getTime() - START.getTime()) / 1000, seconds, name)
  }
  const received = new Date(START.getTime() + 100_000)
  const clamped = reachedUntil({ ...none, talkSeconds: 300 }, START, received)
  t.equal((clamped.getTime() - START.getTime()) / 1000, 105, 'a record arrives after the talk')
  t.end()
})

let at = 0
const record = (callId: string, fields: Partial<LinkedRecord> = {}): LinkedRecord => {
  const names = fields.names ?? null
  return {
    id: String(++at),
    callId,
    names,
    rootCallId: names ?? callId,
    caller: 'dana',
    isFirst: true,
    calledAt: new Date(START.getTime() + at * 1000),
    ...fields,
  }
}
const part = (callId: string, names: string, fields: Partial<LinkedRecord> = {}): LinkedRecord =>
  record(callId, { names, isFirst: false, caller: null, ...fields })
const roots = (...records: LinkedRecord[]): (string | undefined)[] => {
  const found = rootsOf(records)
  return records.map(({ id }) => found.get(id))
}

await test('a chain is followed to its end', t => {
  t.same(roots(record('1')), ['1'])
  t.same(roots(record('1'), part('2', '1'), part('3', '2'), part('4', '3')), ['1', '1', '1', '1'])
  t.same(roots(part('3', '2'), part('2', '1')), ['1', '1'], 'the end has not arrived')
  t.same(roots(part('3', '2')), ['2'])
  t.same(roots(part('1', '1')), ['1'], 'it names itself')
  t.same(roots(record('1'), record('1', { caller: null }), part('1', '0')), ['0', '0', '0'])
  const long = Array.from({ length: 5000 }, (_, i) => part(String(i + 1), String(i)))
  t.same([...new Set(roots(...long))], ['0'], 'five thousand')
  t.end()
})

await test('a circle ends at its earliest record', t => {
  const [a, b, c] = [part('a', 'c'), part('b', 'a'), part('c', 'b')]
  for (const order of [
    [a, b, c],
    [b, c, a],
    [c, b, a],
  ])
    t.same(roots(...order), ['a', 'a', 'a'])
  t.same(roots(a, b, c, part('d', 'c')), ['a', 'a', 'a', 'a'], 'with a tail')
  t.end()
})

await test('two first records with different callers are never one call', t => {
  const yael = { caller: 'yael' }
  t.same(roots(record('a', { names: 'x' }), record('b', { names: 'x', ...yael })), ['a', 'b'])
  t.same(roots(record('a', { names: 'x' }), record('b', { names: 'x' })), ['x', 'x'], 'one caller')
  t.same(
    roots(record('x'), record('b', { names: 'x', ...yael })),
    ['x', 'b'],
    'the root has its caller',
  )
  t.same(roots(record('x'), record('x', yael)), ['x', 'x#2'])
  t.same(roots(record('x'), record('x', yael), record('x'), record('x', { caller: 'noa' })), [
    'x',
    'x#2',
    'x',
    'x#3',
  ])
  t.same(roots(record('x'), record('x', { caller: null, isFirst: false })), ['x', 'x'], 'no caller')
  const moved = record('x', { ...yael, rootCallId: 'x#2' })
  t.same(roots(record('x'), moved, record('x', yael)), ['x', 'x#2', 'x#2'], 'it stays')
  const separated = record('a', { names: 'l', rootCallId: 'a' })
  t.same(roots(separated), ['a'], 'a record that was separated before stays alone')
  const [first, second] = [record('a', { names: 'x' }), record('b', { names: 'x', ...yael })]
  t.same(roots(first, second, part('c', 'b')), ['a', 'b', 'b'], 'a transfer follows its record')
  t.equal(baseOf('x#2'), 'x')
  t.end()
})

await test('the result does not depend on the order, and deciding again changes nothing', t => {
  const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const parts = fc.uniqueArray(fc.tuple(ids, ids), { selector: ([id]) => id, minLength: 1 })
  fc.assert(
    fc.property(parts, fc.infiniteStream(fc.integer({ min: 0, max: 4 })), (links, random) => {
      const records = links.map(([id, names]) => part(id, names))
      const found = rootsOf(records)
      const shuffled = records
        .map(one => ({ one, by: random.next().value ?? 0 }))
        .toSorted((a, b) => a.by - b.by)
        .map(({ one }) => one)
      const other = rootsOf(shuffled)
      const again = rootsOf(records.map(one => ({ ...one, rootCallId: found.get(one.id) ?? '' })))
      return records.every(
        ({ id }) => found.get(id) === other.get(id) && found.get(id) === again.get(id),
      )
    }),
  )
  t.pass()
  t.end()
})
