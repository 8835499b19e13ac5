/** Who is on the line: the meaning of live events does not depend on the order in which they come. */
import fc from 'fast-check'
import t from 'tap'
import {
  dueAfterCall,
  heldBy,
  type Line,
  lineFrom,
  type LiveEvent,
  PHASES,
} from '../../app/outreach/line.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const START = Date.UTC(2026, 10, 30, 10)
const at = (ms: number) => new Date(START + ms)

const event = (
  phase: LiveEvent['phase'],
  ms: number,
  more: Partial<LiveEvent> = {},
): LiveEvent => ({
  callId: 'call',
  extension: 'SIP1',
  phase,
  answeredAt: phase === 'ringing' ? 0 : 5,
  isAnswered: phase !== 'ringing',
  source: 'popup',
  receivedAt: at(ms),
  ...more,
})
const unanswered = (ms: number, more: Partial<LiveEvent> = {}) =>
  event('hangup', ms, { answeredAt: 0, isAnswered: false, ...more })
const bare = { answeredAt: 0, isAnswered: false }

const line = (events: LiveEvent[], ms: number, limit = 30 * MINUTE) =>
  lineFrom(events, at(ms), limit)
/** busy until, reached until, settled at, in milliseconds after the start. */
const times = ({ busyUntil, reachedUntil, settledAt }: Line) =>
  [busyUntil, reachedUntil, settledAt].map(date => date && date.getTime() - START)

type Case = [
  name: string,
  events: LiveEvent[],
  now: number,
  busyUntil: number | null,
  reachedUntil: number | null,
  settledAt: number | null,
]
const CASES: Case[] = [
  ['nothing is known', [], 0, null, null, null],
  ['a phone rings', [event('ringing', 0)], 0, 10 * MINUTE, null, null],
  [
    'until ten minutes have passed',
    [event('ringing', 0)],
    10 * MINUTE - 1,
    10 * MINUTE,
    null,
    null,
  ],
  ['then its Hangup was lost', [event('ringing', 0)], 10 * MINUTE, null, null, 10 * MINUTE],
  ['a talk', [event('ringing', 0), event('talking', 5000)], 6000, 5000 + 30 * MINUTE, null, null],
  [
    'its Hangup was lost: somebody talked with them',
    [event('talking', 0)],
    30 * MINUTE,
    null,
    30 * MINUTE,
    null,
  ],
  [
    'the talk is over, and five seconds more',
    [event('ringing', 0), event('talking', 5000), event('hangup', 60_000)],
    60_000,
    null,
    65_000,
    null,
  ],
  [
    'the Hangup of a GET does not say that the call was answered, but a Talking came',
    [event('talking', 5000, bare), unanswered(60_000)],
    60_000,
    null,
    65_000,
    null,
  ],
  [
    'the Talking comes after the Hangup',
    [unanswered(60_000), event('talking', 61_000, bare)],
    61_000,
    null,
    65_000,
    null,
  ],
  [
    'only the Hangup comes, and says that it was answered',
    [event('hangup', 1000, { answeredAt: 0 })],
    1000,
    null,
    6000,
    null,
  ],
  ['not answered', [event('ringing', 0), unanswered(20_000)], 20_000, null, null, 50_000],
  [
    'the Ringing comes after the Hangup',
    [unanswered(20_000), event('ringing', 30_000)],
    30_000,
    null,
    null,
    50_000,
  ],
  [
    'it rings at the same extension again, and is answered',
    [event('ringing', 0), unanswered(20_000), event('talking', 30_000, { answeredAt: 9 })],
    30_000,
    30_000 + 30 * MINUTE,
    null,
    null,
  ],
  [
    'one phone of a ring group answers, the others stop',
    [
      event('ringing', 0),
      event('ringing', 0, { extension: 'SIP2' }),
      event('talking', 5000),
      unanswered(5000, { extension: 'SIP2' }),
    ],
    6000,
    5000 + 30 * MINUTE,
    null,
    null,
  ],
  [
    'one talk is over, and another phone still rings',
    [event('talking', 0), event('hangup', 1000), event('ringing', 2000, { callId: 'other' })],
    3000,
    2000 + 10 * MINUTE,
    null,
    null,
  ],
  [
    'both are over',
    [
      event('talking', 0),
      event('hangup', 1000),
      event('ringing', 2000, { callId: 'other' }),
      unanswered(9000, { callId: 'other' }),
    ],
    9000,
    null,
    6000,
    39_000,
  ],
  [
    'seen in an answer of Active Calls, which is asked again',
    [event('talking', 0, { source: 'active_calls' })],
    MINUTE,
    MINUTE + 30_000,
    null,
    null,
  ],
]

const shuffles = (events: LiveEvent[]): LiveEvent[][] =>
  events.length < 2
    ? [events]
    : events.flatMap((one, i) =>
        shuffles(events.filter((_, j) => j !== i)).map(rest => [one, ...rest]),
      )

for (const [name, events, now, ...expected] of CASES)
  t.test(name, async t => {
    for (const order of shuffles(events)) t.strictSame(times(line(order, now)), expected)
  })

t.test('a talk without a Hangup holds a reminder longer', async t => {
  const talk = [event('talking', 0)]
  t.strictSame(times(line(talk, HOUR, 6 * HOUR)), [6 * HOUR, null, null])
  t.strictSame(
    times(line(talk, 23 * HOUR, 1000 * HOUR)),
    [null, 23 * HOUR, null],
    'at most 23 hours',
  )
})

const anyEvent = fc.record({
  callId: fc.constantFrom('a', 'b'),
  extension: fc.constantFrom('SIP1', 'SIP2'),
  phase: fc.constantFrom(...PHASES),
  answeredAt: fc.constantFrom(0, 5, 9),
  isAnswered: fc.boolean(),
  source: fc.constantFrom('popup' as const, 'active_calls' as const),
  // Few different times, so that events often come at once.
  receivedAt: fc.constantFrom(0, 9, MINUTE, 30 * MINUTE).map(at),
})
const some = fc.array(anyEvent, { maxLength: 12 })
const moment = fc.integer({ min: 0, max: 2 * HOUR }).map(at)

t.test('any order of arrival, and any repeat, means the same', async () => {
  fc.assert(
    fc.property(
      some.chain(events =>
        fc.tuple(
          fc.constant(events),
          fc.shuffledSubarray([...events, ...events], { minLength: 2 * events.length }),
        ),
      ),
      moment,
      ([events, shuffled], now) => {
        const [one, other] = [events, shuffled].map(list => lineFrom(list, now, 30 * MINUTE))
        return JSON.stringify(one) === JSON.stringify(other)
      },
    ),
    { numRuns: 5000 },
  )
})

t.test('of two events at once, Active Calls is asked again in either order', async t => {
  const both = [event('talking', 0), event('talking', 0, { source: 'active_calls' })]
  for (const events of [both, both.toReversed()]) t.equal(line(events, SECOND).mustAskAgain, true)
})

t.test('no event makes a message earlier', async () => {
  fc.assert(
    fc.property(some, moment, moment, (events, now, dueAt) => {
      const known = lineFrom(events, now, 30 * MINUTE)
      const held = heldBy(known, dueAt, now)
      const isHeldLater = held === null || held.until > now
      return isHeldLater && dueAfterCall(known, dueAt) >= dueAt
    }),
    { numRuns: 5000 },
  )
})

t.test(
  'after a call without an answer a message waits thirty seconds, and is not late',
  async t => {
    const over = line([event('ringing', 0), unanswered(20_000)], 20_000)
    const held = (due: number) => heldBy(over, at(due), at(20_000))
    t.strictSame(held(10_000), { until: at(50_000), why: 'after_call' }, 'due during the call')
    t.equal(held(MINUTE), null, 'due later')
    t.strictSame(dueAfterCall(over, at(10_000)), at(50_000))
    t.strictSame(dueAfterCall(over, at(MINUTE)), at(MINUTE))
    const again = line([unanswered(HOUR)], HOUR)
    t.strictSame(dueAfterCall(again, at(0)), at(10.5 * MINUTE), 'not without limit')
  },
)
