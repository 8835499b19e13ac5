/** What a change of the settings would have changed, counted. */
import t from 'tap'
import { compare } from '../../app/replay/compare.ts'
import type { Heard, Rules } from '../../app/replay/simulate.ts'
import { answered, at, call, known, NOA, play } from './support.ts'

const NIGHT = '21:00-08:00'
const compared = async (
  calls: Heard[],
  changes: Partial<Rules>,
  { since = at('mon 00:00'), about = known(), night = NIGHT } = {},
) => {
  const before = await play(calls, { about })
  const after = await play(calls, { rules: changes, about })
  const heardAt = new Map(calls.map(({ rootCallId, receivedAt }) => [rootCallId, receivedAt]))
  return compare(before, after, heardAt, { counts: when => when >= since, night })
}

await t.test('the same settings change nothing', async t => {
  const { before, after, ...rest } = await compared([call('1', 'mon 22:00')], {})
  t.strictSame(after, before)
  t.strictSame(before, {
    verdicts: { missed: 1 },
    outreach: { 'sent accepted': 1 },
    messages: { initial: 1, reminder_1: 1, reminder_2: 1, total: 3 },
    atNight: 3,
    toOptedOut: 0,
  })
  t.strictSame(rest, { calls: 1, more: 0, fewer: 0, moved: 0, changedCalls: 0, changes: [] })
})

await t.test('quiet windows move messages out of the night', async t => {
  const calls = [call('1', 'mon 22:00'), call('2', 'tue 10:00', { caller: NOA })]
  const { before, after, moved, more, fewer, changes } = await compared(calls, {
    quietWindows: [NIGHT],
  })
  t.strictSame([before.atNight, after.atNight], [3, 0])
  t.strictSame([more, fewer, moved], [0, 0, 3], 'the other call is not touched')
  t.match(changes, [
    {
      before: 'sent accepted, 2 reminders',
      after: 'sent accepted, 2 reminders, at another time',
      calls: 1,
      examples: [{ callId: '1', after: { messages: [{ at: at('tue 08:00') }, {}, {}] } }],
    },
  ])
})

await t.test('the night is what is called so', async t => {
  const calls = [call('1', 'mon 10:00')]
  const { before } = await compared(calls, {}, { night: '10:03-10:04' })
  t.equal(before.atNight, 2, 'its beginning belongs to it')
  t.equal(
    (await compared(calls, {}, { night: '10:02-10:03' })).before.atNight,
    0,
    'its end does not',
  )
})

await t.test('other statuses make other calls missed', async t => {
  const calls = [
    call('1', 'mon 10:00', { DialStatus: 'VOEND' }),
    call('2', 'tue 10:00', { caller: NOA }),
    answered('3', 'wed 10:00'),
  ]
  const { before, after, more, fewer, changedCalls, changes } = await compared(calls, {
    missedStatuses: ['VOEND'],
  })
  t.strictSame(before.verdicts, { unknown: 1, missed: 1, answered: 1 })
  t.strictSame(after.verdicts, { missed: 1, unknown: 1, answered: 1 })
  t.strictSame([more, fewer, changedCalls], [3, 3, 2])
  t.match(
    new Set(changes.map(change => `${change.before} -> ${change.after}`)),
    new Set([
      'unknown voend -> sent accepted, 2 reminders',
      'sent accepted, 2 reminders -> unknown noanswer',
    ]),
  )
})

await t.test('a longer delay: who gets through meanwhile gets no message', async t => {
  const calls = [call('1', 'mon 10:00'), answered('2', 'mon 10:05')]
  const { before, after, more, fewer } = await compared(calls, { outreachDelay: 10 * 60_000 })
  t.equal(before.messages.total, 1)
  t.equal(after.messages.total, 0)
  t.strictSame([more, fewer], [0, 1])
})

await t.test(
  'only what came in the period is counted, and what came before plays its part',
  async t => {
    const calls = [call('1', 'mon 10:00'), call('2', 'mon 12:00')]
    const { calls: counted, before } = await compared(calls, {}, { since: at('mon 11:00') })
    t.equal(counted, 1)
    t.strictSame(before.outreach, { 'skipped already_contacted': 1 })
    t.equal(before.messages.total, 0)
  },
)

await t.test('a message to somebody who had opted out would be seen', async t => {
  const about = known({ optedOut: 'mon 11:00' })
  const calls = [call('1', 'mon 10:00')]
  const { before, after } = await compared(calls, {}, { about })
  t.strictSame([before.messages.total, before.toOptedOut], [1, 0], 'what went out before is none')

  const broken = await play(calls, { about })
  broken.calls.get('1')?.missed?.sent.push({ kind: 'reminder_1', at: at('mon 12:03') })
  const heardAt = new Map([['1', at('mon 10:01')]])
  const seen = compare(broken, broken, heardAt, { counts: () => true, night: NIGHT })
  t.equal(seen.after.toOptedOut, 1)
  t.equal(after.toOptedOut, 0)
})

await t.test('of each change some examples are named, the most frequent first', async t => {
  const calls = Array.from({ length: 9 }, (_, i) =>
    call(`c${i}`, 'mon 10:00', {
      caller: `05023456${70 + i}`,
      ...(i === 4 && { DialStatus: 'VOEND' }),
    }),
  )
  const { changes } = await compared(calls, { missedStatuses: ['VOEND'] })
  t.strictSame(
    changes.map(change => [change.calls, change.examples.length]),
    [
      [8, 3],
      [1, 1],
    ],
  )
})
