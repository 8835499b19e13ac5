/** Quiet windows on the wall clock: when a due moment is moved, and to which. */
import { test } from 'tap'
import { firstAllowed, parseQuietWindow } from '../../app/outreach/quiet_hours.ts'

const NIGHT = '21:00-08:00'
const NOON = '13:00-15:00'
const SABBATH = 'fri 15:00-sat 20:30'
const ISRAEL = 'Asia/Jerusalem'

/** Moments with the offset that holds in that place on that day; a moment that stays has no second. */
type Case = [name: string, windows: string[], due: string, end?: string]

/** November 2026: the 20th is a Friday, Israel is at +02:00. */
const ORDINARY: Case[] = [
  ['without windows nothing moves', [], '2026-11-20T23:00+02:00'],
  ['in the evening, over midnight', [NIGHT], '2026-11-17T22:00+02:00', '2026-11-18T08:00+02:00'],
  ['after midnight, the same day', [NIGHT], '2026-11-18T03:00+02:00', '2026-11-18T08:00+02:00'],
  ['at the very start it is quiet', [NIGHT], '2026-11-17T21:00+02:00', '2026-11-18T08:00+02:00'],
  ['a moment before it is not', [NIGHT], '2026-11-17T20:59:59.999+02:00'],
  ['at the very end it is over', [NIGHT], '2026-11-18T08:00+02:00'],
  [
    'a moment before it is not over',
    [NIGHT],
    '2026-11-18T07:59:59.999+02:00',
    '2026-11-18T08:00+02:00',
  ],
  ['by day nothing moves', [NIGHT], '2026-11-17T12:00+02:00'],
  ['at noon, within a day', [NOON], '2026-11-17T14:59+02:00', '2026-11-17T15:00+02:00'],
  ['outside of noon', [NOON], '2026-11-17T12:59+02:00'],
  ['until midnight', ['18:00-00:00'], '2026-11-17T23:59+02:00', '2026-11-18T00:00+02:00'],
  ['from midnight', ['00:00-06:30'], '2026-11-18T00:00+02:00', '2026-11-18T06:30+02:00'],
  ['on Friday afternoon', [SABBATH], '2026-11-20T15:00+02:00', '2026-11-21T20:30+02:00'],
  ['on Saturday', [SABBATH], '2026-11-21T20:29+02:00', '2026-11-21T20:30+02:00'],
  ['on Saturday night it is over', [SABBATH], '2026-11-21T20:30+02:00'],
  ['on Friday before it begins', [SABBATH], '2026-11-20T14:59+02:00'],
  ['on any other day', [SABBATH], '2026-11-18T16:00+02:00'],
  [
    'over the end of the week',
    ['sun 22:00-mon 06:00'],
    '2026-11-22T23:00+02:00',
    '2026-11-23T06:00+02:00',
  ],
  [
    'and on its other side',
    ['sun 22:00-mon 06:00'],
    '2026-11-23T05:00+02:00',
    '2026-11-23T06:00+02:00',
  ],
  [
    'a week but for an hour',
    ['wed 10:00-wed 09:00'],
    '2026-11-18T10:00+02:00',
    '2026-11-25T09:00+02:00',
  ],
  ['and in that hour', ['wed 10:00-wed 09:00'], '2026-11-18T09:30+02:00'],
]

/** One window ends in another, or where another begins. */
const JOINED: Case[] = [
  [
    'the end of one is the start of the next',
    ['20:00-21:00', NIGHT],
    '2026-11-17T20:10+02:00',
    '2026-11-18T08:00+02:00',
  ],
  [
    'written the other way round',
    [NIGHT, '20:00-21:00'],
    '2026-11-17T20:10+02:00',
    '2026-11-18T08:00+02:00',
  ],
  [
    'one within the other',
    ['22:00-23:00', NIGHT],
    '2026-11-17T22:10+02:00',
    '2026-11-18T08:00+02:00',
  ],
  [
    'Saturday ends in the night',
    ['fri 15:00-sat 21:30', NIGHT],
    '2026-11-20T16:00+02:00',
    '2026-11-22T08:00+02:00',
  ],
  [
    'Saturday ends before the night',
    [SABBATH, NIGHT],
    '2026-11-20T22:00+02:00',
    '2026-11-21T20:30+02:00',
  ],
  [
    'a chain through several days',
    ['08:00-20:59', NIGHT],
    '2026-11-17T09:00+02:00',
    '2026-11-17T20:59+02:00',
  ],
]

/** Israel goes to summer time on 27 March at 02:00, and back on 25 October at 02:00. */
const CLOCKS: Case[] = [
  ['a night of ten hours', [NIGHT], '2026-03-26T22:00+02:00', '2026-03-27T08:00+03:00'],
  ['a night of twelve hours', [NIGHT], '2026-10-24T21:00+03:00', '2026-10-25T08:00+02:00'],
  ['the Sabbath into summer', [SABBATH], '2026-03-27T15:00+03:00', '2026-03-28T20:30+03:00'],
  [
    'over the change into summer',
    ['thu 20:00-sat 20:30'],
    '2026-03-26T21:00+02:00',
    '2026-03-28T20:30+03:00',
  ],
  [
    'over the change into winter',
    ['sat 20:00-sun 20:30'],
    '2026-10-24T21:00+03:00',
    '2026-10-25T20:30+02:00',
  ],
  // 02:30 is left out; by the clock of the day before it is 03:30.
  ['an end that is left out', ['22:00-02:30'], '2026-03-27T01:00+02:00', '2026-03-27T03:30+03:00'],
  // 01:30 comes twice, and the window is over when it first does.
  ['an end that comes twice', ['22:00-01:30'], '2026-10-25T01:10+03:00', '2026-10-25T01:30+03:00'],
  ['and the second time', ['22:00-01:30'], '2026-10-25T01:10+02:00'],
  ['within the hour that comes twice', [NIGHT], '2026-10-25T01:30+03:00', '2026-10-25T08:00+02:00'],
  ['and in its second half', [NIGHT], '2026-10-25T01:30+02:00', '2026-10-25T08:00+02:00'],
]

const check = (name: string, zone: string, cases: Case[]) =>
  test(name, async t => {
    for (const [what, windows, due, end = due] of cases)
      t.equal(
        firstAllowed(new Date(due), windows, zone).toISOString(),
        new Date(end).toISOString(),
        what,
      )
  })

await check('a moment in a quiet window becomes its end', ISRAEL, ORDINARY)
await check('windows that join are left through the last', ISRAEL, JOINED)
await check('on the nights the clocks change, eight stays eight', ISRAEL, CLOCKS)
await check("the windows are on the tenant's own clock", 'America/New_York', [
  ['evening there', [NIGHT], '2026-11-17T22:00-05:00', '2026-11-18T08:00-05:00'],
  ['evening in Israel', [NIGHT], '2026-11-17T22:00+02:00'],
  ['their change into winter', [NIGHT], '2026-10-31T22:00-04:00', '2026-11-01T08:00-05:00'],
  ['their Friday', [SABBATH], '2026-11-21T02:00+02:00', '2026-11-21T20:30-05:00'],
])

await test('what is not a window is refused, and shown', async t => {
  for (const written of [
    '',
    '21:00',
    '21:00-21:00',
    'fri 15:00-fri 15:00',
    '24:00-08:00',
    '21:60-08:00',
    '9:00-17:00',
    '21:00 - 08:00',
    'fri 15:00-20:30',
    '15:00-sat 20:30',
    'Fri 15:00-Sat 20:30',
    'xyz 15:00-sat 20:30',
    'friday 15:00-saturday 20:30',
    '21:00-08:00,13:00-15:00',
    '21:00-08:00\n',
    '-1:00-08:00',
  ])
    t.throws(
      () => parseQuietWindow(written),
      {
        message: `a quiet window: expected 21:00-08:00 or "fri 15:00-sat 20:30", found "${written}"`,
      },
      JSON.stringify(written),
    )
  t.throws(() => firstAllowed(new Date(), ['21:00'], ISRAEL), /quiet window/)
})

await test('windows that leave no moment put it off for weeks', async t => {
  const now = new Date('2026-11-22T10:00:00Z')
  for (const windows of [
    ['08:00-20:00', '20:00-08:00'],
    ['sun 00:00-thu 00:00', 'wed 00:00-sun 00:00'],
  ])
    t.ok(firstAllowed(now, windows, ISRAEL) > now, windows.join())
})
