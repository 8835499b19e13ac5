/** Simulated calls: what would be sent and when, how two simulations differ, and records from a file. */
import t from 'tap'
import type { JsonObject } from '../../app/json.ts'
import { compare } from '../../app/replay/compare.ts'
import { readRecordLines } from '../../app/replay/inputs.ts'
import {
  type Rules,
  type Contacts,
  newSimulation,
  type ReceivedCdr,
  replay,
  type Simulation,
} from '../../app/replay/simulate.ts'
import { legOf } from '../../app/voicenter/classify.ts'
import { readCdr, rootOf } from '../../app/voicenter/parse.ts'
import { exchangeTime } from '../../scripts/demo/cdr.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const LINE = '0722776772'
const DANA = '0502345678'
const NOA = '0523456789'

/** The default settings of a business, live and connected. */
const RULES: Rules = {
  timezone: 'Asia/Jerusalem',
  location: 'Tel Aviv',
  quietWindows: [],
  reminderQuietWindows: [],
  outreachDelay: 2 * MINUTE,
  repeatWindow: 24 * HOUR,
  oldestCall: 2 * HOUR,
  grace: 30 * MINUTE,
  reminderGrace: 6 * HOUR,
  reminder1After: 2 * HOUR,
  reminder2After: 24 * HOUR,
  unresponsiveAfter: 24 * HOUR,
  mode: 'live',
  connected: true,
  contactForeign: false,
  missedStatuses: ['NOANSWER', 'ABANDONE', 'TIMEOUT'],
  minRingSeconds: 0,
  lines: new Set([`+972${LINE.slice(1)}`]),
}

/** `mon 10:30` in the week of July 6th 2026, Israel time (UTC+3 in summer); or an ISO date. */
const at = (written: string): Date => {
  if (/^\d/.test(written)) return new Date(written)
  const [day = '', time = ''] = written.split(' ')
  const number = 6 + ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'].indexOf(day)
  return new Date(`2026-07-${String(number).padStart(2, '0')}T${time}:00+03:00`)
}

/** A record of a customer's unanswered call that arrived a minute after the call began. */
const call = (id: string, began: string, fields: JsonObject = {}, minutes = 1): ReceivedCdr => {
  const read = readCdr({
    CallID: id,
    caller: DANA,
    DID: LINE,
    DialStatus: 'NOANSWER',
    type: 'Incoming Call',
    time: at(began).toISOString(),
    ...fields,
  })
  if ('wrong' in read) throw new Error(read.wrong)
  const receivedAt = new Date(at(began).getTime() + minutes * MINUTE)
  return {
    rootCallId: rootOf(read.cdr),
    receivedAt,
    leg: legOf(read.cdr, receivedAt),
    legCount: null,
  }
}
const answered = (id: string, began: string, fields: JsonObject = {}, minutes = 1): ReceivedCdr =>
  call(id, began, { DialStatus: 'ANSWER', targetextension: 'KGpK4iWq', ...fields }, minutes)
const calledBack = (id: string, began: string, fields: JsonObject = {}): ReceivedCdr =>
  call(id, began, {
    type: 'Extension Outgoing',
    DialStatus: 'ANSWER',
    caller: LINE,
    target: `972${DANA.slice(1)}`,
    DID: '',
    ...fields,
  })

/** By default no one is excluded, replied or opted out. */
const contacts = (
  about: { excluded?: boolean; optedOut?: string; wrote?: string[] } = {},
): Contacts => ({
  isExcluded: () => about.excluded ?? false,
  optedOutAt: () => (about.optedOut ? at(about.optedOut) : null),
  repliesOf: () => (about.wrote ?? []).map(at),
})

/** Plays the records until the end of the following week, unless `until` says otherwise. */
const play = async (
  records: ReceivedCdr[],
  {
    rules = {},
    about = contacts(),
    until = new Date(at('sun 23:00').getTime() + 7 * 24 * HOUR),
  }: { rules?: Partial<Rules>; about?: Contacts; until?: Date } = {},
): Promise<Simulation> => {
  const simulation = newSimulation({ ...RULES, ...rules }, about)
  await replay(records, [simulation], until)
  return simulation
}

const DAYS = new Intl.DateTimeFormat('en', {
  timeZone: 'Asia/Jerusalem',
  weekday: 'short',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})

/** The outcome of a call, and the times of its messages: `sent accepted`, `mon 10:03`, `mon 12:03`. */
const resultOf = ({ outcomes }: Simulation, id: string): string[] => {
  const outcome = outcomes.get(id)
  if (!outcome?.missed) return [`${outcome?.verdict} ${outcome?.reason}`]
  const { state, reason, sent } = outcome.missed
  return [`${state} ${reason}`, ...sent.map(({ at }) => DAYS.format(at).toLowerCase())]
}

await t.test('a missed call gives three messages if the caller never replies', async t => {
  const simulation = await play([call('1', 'mon 10:00')])
  t.strictSame(resultOf(simulation, '1'), ['sent accepted', 'mon 10:03', 'mon 12:03', 'tue 10:03'])
})

await t.test('the delay counts from the arrival of the record', async t => {
  const late = await play([call('1', 'mon 10:00', {}, 50)], { rules: { outreachDelay: 300_000 } })
  t.equal(resultOf(late, '1')[1], 'mon 10:55')
})

await t.test('a call whose record arrives too late gets no message', async t => {
  const calls = [call('1', 'mon 10:00', {}, 120), call('2', 'mon 10:00', { caller: NOA }, 121)]
  const simulation = await play(calls)
  t.equal(resultOf(simulation, '1')[0], 'sent accepted')
  t.strictSame(resultOf(simulation, '2'), ['skipped too_late'])
})

await t.test('one person gets one message, however often they call', async t => {
  const calls = [
    call('1', 'mon 10:00'),
    call('2', 'mon 10:01'),
    call('3', 'mon 15:00'),
    // The last reminder went out less than a day ago.
    call('4', 'wed 10:00'),
    call('5', 'wed 10:05', { caller: '+972 50-234-5678' }),
  ]
  const simulation = await play(calls)
  for (const id of ['2', '3', '4'])
    t.strictSame(resultOf(simulation, id), ['skipped already_contacted'], id)
  t.equal(resultOf(simulation, '5')[0], 'sent accepted', 'and again after the repeat window')
  const other = await play([
    calls[0] ?? call('1', 'mon 10:00'),
    call('2', 'mon 10:01', { caller: NOA }),
  ])
  t.equal(resultOf(other, '2')[0], 'sent accepted', 'another person gets a message')
})

await t.test('a talk with the caller cancels the outreach, in either order of arrival', async t => {
  const after = await play([call('1', 'mon 10:00'), answered('2', 'mon 10:01')])
  t.strictSame(resultOf(after, '1'), ['cancelled reached_by_phone'])
  const before = await play([answered('2', 'mon 10:01'), call('1', 'mon 10:00', {}, 5)])
  t.strictSame(resultOf(before, '1'), ['cancelled reached_by_phone'])
  const back = await play([call('1', 'mon 10:00'), calledBack('2', 'mon 11:00')])
  t.strictSame(resultOf(back, '1'), ['sent accepted', 'mon 10:03'], 'no reminder follows')
  const earlier = await play([answered('2', 'mon 09:00'), call('1', 'mon 10:00')])
  t.equal(resultOf(earlier, '1').length, 4, 'a talk before the call changes nothing')
  const later = await play([call('1', 'mon 10:00'), answered('2', 'mon 09:58', {}, 4)])
  t.equal(resultOf(later, '1').length, 4, 'also if its record arrives later')
})

await t.test('a reply and an opt-out cancel the outreach', async t => {
  const calls = [call('1', 'mon 10:00')]
  const play1 = (wrote: string) => play(calls, { about: contacts({ wrote: [wrote] }) })
  t.strictSame(resultOf(await play1('mon 10:02'), '1'), ['cancelled replied'])
  t.strictSame(resultOf(await play1('mon 12:02'), '1'), ['sent accepted', 'mon 10:03'])
  t.equal(resultOf(await play1('mon 09:00'), '1').length, 4, 'an earlier message does not')
  const play2 = (optedOut: string) => play(calls, { about: contacts({ optedOut }) })
  t.strictSame(resultOf(await play2('mon 09:00'), '1'), ['skipped opted_out'])
  t.strictSame(resultOf(await play2('mon 10:02'), '1'), ['cancelled opted_out'])
  t.strictSame(resultOf(await play2('mon 12:00'), '1'), ['sent accepted', 'mon 10:03'])
})

await t.test('a call after the reply gets its own message', async t => {
  const rules = { outreachDelay: 5 * 60_000 }
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 10:03')]
  const simulation = await play(calls, { rules, about: contacts({ wrote: ['mon 10:02'] }) })
  t.strictSame(resultOf(simulation, '1'), ['cancelled replied'])
  t.equal(resultOf(simulation, '2')[1], 'mon 10:09')
})

await t.test('the caller writes between the call and the arrival of its record', async t => {
  const simulation = await play([call('1', 'mon 10:00', {}, 9)], {
    about: contacts({ wrote: ['mon 10:05'] }),
  })
  t.strictSame(resultOf(simulation, '1'), ['cancelled replied'])
})

await t.test('a quiet window delays messages to its end', async t => {
  const rules = { quietWindows: ['21:00-08:00', 'fri 15:00-sat 20:30'] }
  const night = await play([call('1', 'mon 22:00')], { rules })
  t.strictSame(resultOf(night, '1'), ['sent accepted', 'tue 08:00', 'tue 10:00', 'wed 08:00'])
  const weekend = await play([call('1', 'fri 12:30')], { rules })
  t.strictSame(resultOf(weekend, '1'), ['sent accepted', 'fri 12:33', 'fri 14:33', 'sat 20:30'])
  const both = await play([call('1', 'thu 20:30')], {
    rules: { quietWindows: ['thu 21:00-fri 22:00'] },
  })
  t.strictSame(
    resultOf(both, '1'),
    ['sent accepted', 'thu 20:33', 'fri 22:00'],
    'only one reminder is sent',
  )
})

/** [what, location, candle-lighting, nightfall] of 2027. */
const HOLY: [string, string, string, string][] = [
  ['Yom Kippur in Jerusalem', 'Jerusalem', '2027-10-10T17:33+03:00', '2027-10-11T18:49+03:00'],
  ['Yom Kippur in Eilat', 'Eilat', '2027-10-10T17:57+03:00', '2027-10-11T18:51+03:00'],
  ['Pesach in Jerusalem', 'Jerusalem', '2027-04-21T18:32+03:00', '2027-04-22T19:51+03:00'],
  ['Pesach in Eilat', 'Eilat', '2027-04-21T18:52+03:00', '2027-04-22T19:48+03:00'],
  ['Yom Kippur in New York', '40.7128,-74.006', '2027-10-10T18:05-04:00', '2027-10-11T19:03-04:00'],
]

await t.test(
  'no message is sent on Yom Kippur and Pesach, and the first one after them',
  async t => {
    for (const [what, location, candles, nightfall] of HOLY) {
      const [start, end] = [at(candles).getTime(), at(nightfall).getTime()]
      const rules = {
        location,
        timezone: location.includes(',') ? 'America/New_York' : 'Asia/Jerusalem',
        quietWindows: ['shabbat', 'holidays'],
        reminderQuietWindows: ['21:00-08:00', 'shabbat', 'holidays'],
      }
      // A first message is due three minutes after its call began.
      const due: [string, number][] = [
        ['before', start - MINUTE],
        ['start', start],
        ['noon', start + 18 * HOUR],
        ['end', end - MINUTE],
        ['after', end],
      ]
      const calls = due.map(([id, ms], n) =>
        call(id, new Date(ms - 3 * MINUTE).toISOString(), { caller: `05023456${70 + n}` }),
      )
      const { outcomes } = await play(calls, { rules, until: new Date(end + 72 * HOUR) })
      const sent = (id: string) =>
        (outcomes.get(id)?.missed?.sent ?? []).map(one => one.at.getTime())
      t.equal(sent('before')[0], start - MINUTE, `${what}: before candle-lighting`)
      t.equal(sent('after')[0], end, `${what}: at nightfall`)
      for (const id of ['start', 'noon', 'end']) {
        const late = (sent(id)[0] ?? 0) - end
        t.ok(late >= 0 && late <= 5 * MINUTE, `${what}: ${id}, ${late / 1000} s after it`)
      }
      const all = due.flatMap(([id]) => sent(id))
      t.equal(all.length, 5 * 3 - 1, 'the two reminders of the first call are one')
      t.strictSame(
        all.filter(ms => ms >= start && ms < end),
        [],
        `${what}: none inside`,
      )
    }
  },
)

await t.test('a reminder due at 22:30 goes out at 08:00', async t => {
  for (const [timezone, location, offset] of [
    ['Asia/Jerusalem', 'Tel Aviv', '+03:00'],
    ['America/New_York', '40.7128,-74.006', '-04:00'],
  ] as const) {
    const rules = {
      timezone,
      location,
      reminderQuietWindows: ['21:00-08:00', 'shabbat', 'holidays'],
    }
    const simulation = await play([call('1', `2026-07-06T20:27${offset}`)], { rules })
    t.strictSame(
      simulation.outcomes.get('1')?.missed?.sent.map(({ at }) => at),
      [`07-06T20:30`, `07-07T08:00`, `07-07T20:30`].map(time => at(`2026-${time}${offset}`)),
      timezone,
    )
  }
})

await t.test(
  'a message that waits in a quiet window counts as pending and can be cancelled',
  async t => {
    const rules = { quietWindows: ['21:00-08:00'] }
    const calls = [call('1', 'mon 22:00'), call('2', 'mon 23:00')]
    const waiting = await play(calls, { rules, until: at('tue 07:00') })
    t.strictSame(resultOf(waiting, '1'), ['scheduled waiting'])
    t.strictSame(resultOf(waiting, '2'), ['skipped already_contacted'])
    const reached = await play([...calls, calledBack('3', 'tue 07:00')], { rules })
    t.strictSame(resultOf(reached, '1'), ['cancelled reached_by_phone'])
  },
)

await t.test('a skipped call is evaluated again when the pending message is cancelled', async t => {
  const simulation = await play([
    call('1', 'mon 10:00', {}, 1),
    call('3', 'mon 10:02', {}, 0),
    answered('2', 'mon 10:01', { duration: 20 }),
  ])
  t.strictSame(resultOf(simulation, '1'), ['cancelled reached_by_phone'])
  t.equal(resultOf(simulation, '3')[0], 'sent accepted')
  t.equal(resultOf(simulation, '3')[1], 'mon 10:04')
})

await t.test('a pending reminder counts even without a repeat window', async t => {
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 11:00')]
  const simulation = await play(calls, { rules: { repeatWindow: 0 } })
  t.strictSame(resultOf(simulation, '2'), ['skipped already_contacted'])
})

await t.test('a call is classified from all its records, each time one arrives', async t => {
  const part = (status: string, minutes: number) =>
    call(
      '1x',
      'mon 10:00',
      { OriginalIvrUniqueID: '1', type: 'XferCDR', DialStatus: status },
      minutes,
    )
  const root = call('1', 'mon 10:00', { type: 'Queue', DialStatus: 'TIMEOUT' })
  const simulation = await play([root, part('ANSWER', 2)])
  t.strictSame(resultOf(simulation, '1'), ['cancelled reached_by_phone'])
  t.match(simulation.outcomes.get('1'), { verdict: 'answered', reason: 'transfer' })
  t.strictSame(
    resultOf(await play([root, part('ANSWER', 30)]), '1'),
    ['sent accepted', 'mon 10:03'],
    'too late for the first message, but not for the reminders',
  )
  t.strictSame(
    resultOf(await play([part('NOANSWER', 1)]), '1').slice(0, 2),
    ['sent accepted', 'mon 10:05'],
    'two minutes for the root, and two minutes until the message',
  )
})

await t.test('a later record names the customer whom the first did not name', async t => {
  for (const caller of ['', LINE, 'KGpK4iWq', '101']) {
    const first = call('1', 'mon 10:00', { caller, type: 'Queue' })
    const simulation = await play([first, call('1', 'mon 10:00', {}, 2)])
    t.strictSame(resultOf(simulation, '1').slice(0, 2), ['sent accepted', 'mon 10:04'], caller)
  }
  const landline = call('1', 'mon 10:00', { caller: '031234567' })
  t.strictSame(resultOf(await play([landline, call('1', 'mon 10:00', {}, 2)]), '1'), [
    'skipped not_mobile',
  ])
})

await t.test(
  'a call that turns out to be answered is cancelled, also if its last leg shows another caller',
  async t => {
    const root = call('1', 'mon 10:00', { type: 'Queue', DialStatus: 'TIMEOUT' })
    const part = (minutes: number) =>
      call(
        '1x',
        'mon 10:00',
        { OriginalIvrUniqueID: '1', type: 'XferCDR', DialStatus: 'ANSWER', caller: NOA },
        minutes,
      )
    const soon = await play([root, part(2)])
    t.strictSame(resultOf(soon, '1'), ['cancelled reached_by_phone'])
    t.strictSame(resultOf(await play([root, part(30)]), '1'), ['sent accepted', 'mon 10:03'])
    const again = await play([root, call('2', 'mon 10:01', {}, 0.5), part(2)])
    t.equal(resultOf(again, '2')[1], 'mon 10:04', 'the next call of the caller is evaluated again')
  },
)

await t.test('callers who never get a message', async t => {
  const calls = [
    call('withheld', 'mon 10:00', { caller: 'anonymous' }),
    call('landline', 'mon 10:00', { caller: '031234567' }),
    call('foreign', 'mon 10:00', { caller: '40376300329' }),
    call('own', 'mon 10:00', { caller: '072-277-6772' }),
    call('other', 'mon 10:00', { DID: '0771234567' }),
    call('odd', 'mon 10:00', { DialStatus: 'VOEND' }),
  ]
  const simulation = await play(calls)
  t.strictSame(
    [...simulation.outcomes.keys()].map(id => resultOf(simulation, id)[0]),
    [
      'skipped withheld_number',
      'skipped not_mobile',
      'skipped not_mobile',
      'skipped own_number',
      'unmatched_number number_dialled',
      'unknown voend',
    ],
  )
  const foreign = await play(calls, { rules: { contactForeign: true } })
  t.equal(resultOf(foreign, 'foreign')[0], 'sent accepted')
  const odd = await play(calls, { rules: { missedStatuses: ['VOEND'] } })
  t.equal(resultOf(odd, 'odd')[0], 'sent accepted')
  t.equal(resultOf(odd, 'landline')[0], 'unknown noanswer')
})

await t.test('a business that is paused, in shadow or not connected sends nothing', async t => {
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 11:00')]
  const of = async (rules: Parameters<typeof play>[1]) => resultOf(await play(calls, rules), '2')
  t.strictSame(await of({ rules: { mode: 'paused' } }), ['skipped tenant_paused'])
  t.strictSame(await of({ rules: { mode: 'shadow' } }), ['skipped shadow'])
  t.strictSame(await of({ rules: { connected: false } }), ['skipped no_connection'])
})

await t.test('a message that is due after the end is still waiting', async t => {
  const simulation = await play([call('1', 'mon 10:00')], { until: at('mon 10:02') })
  t.strictSame(resultOf(simulation, '1'), ['scheduled waiting'])
  const later = await play([call('1', 'mon 10:00')], { until: at('mon 13:00') })
  t.strictSame(resultOf(later, '1'), ['sent accepted', 'mon 10:03', 'mon 12:03'])
})

await t.test('one number with two spellings is one person', async t => {
  const simulation = await play([
    call('1', 'mon 10:00', { caller: '+970599123456' }),
    call('2', 'mon 10:01', { caller: '0599123456' }),
  ])
  t.strictSame(resultOf(simulation, '2'), ['skipped already_contacted'])
})

const NIGHT = '21:00-08:00'
const compared = async (
  calls: ReceivedCdr[],
  changes: Partial<Rules>,
  { since = at('mon 00:00'), about = contacts(), night = NIGHT } = {},
) => {
  const before = await play(calls, { about })
  const after = await play(calls, { rules: changes, about })
  const receivedAt = new Map(calls.map(({ rootCallId, receivedAt }) => [rootCallId, receivedAt]))
  return compare(before, after, receivedAt, { counts: when => when >= since, night })
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
  t.strictSame([more, fewer, moved], [0, 0, 3], 'the other call does not change')
  t.match(changes, [
    {
      before: 'sent accepted, 2 reminders',
      after: 'sent accepted, 2 reminders, at another time',
      calls: 1,
      examples: [{ callId: '1', after: { messages: [{ at: at('tue 08:00') }, {}, {}] } }],
    },
  ])
})

await t.test('--night decides which hours count as night', async t => {
  const calls = [call('1', 'mon 10:00')]
  const { before } = await compared(calls, {}, { night: '10:03-10:04' })
  t.equal(before.atNight, 2, 'its start belongs to it')
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

await t.test(
  'with a longer delay, a caller who gets through meanwhile gets no message',
  async t => {
    const calls = [call('1', 'mon 10:00'), answered('2', 'mon 10:05')]
    const { before, after, more, fewer } = await compared(calls, { outreachDelay: 10 * 60_000 })
    t.equal(before.messages.total, 1)
    t.equal(after.messages.total, 0)
    t.strictSame([more, fewer], [0, 1])
  },
)

await t.test('only calls in the period are counted, but earlier calls affect them', async t => {
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 12:00')]
  const { calls: counted, before } = await compared(calls, {}, { since: at('mon 11:00') })
  t.equal(counted, 1)
  t.strictSame(before.outreach, { 'skipped already_contacted': 1 })
  t.equal(before.messages.total, 0)
})

await t.test('a message to a person who had opted out would be counted', async t => {
  const about = contacts({ optedOut: 'mon 11:00' })
  const calls = [call('1', 'mon 10:00')]
  const { before, after } = await compared(calls, {}, { about })
  t.strictSame(
    [before.messages.total, before.toOptedOut],
    [1, 0],
    'a message before the opt-out does not count',
  )

  const broken = await play(calls, { about })
  broken.outcomes.get('1')?.missed?.sent.push({ kind: 'reminder_1', at: at('mon 12:03') })
  const receivedAt = new Map([['1', at('mon 10:01')]])
  const seen = compare(broken, broken, receivedAt, { counts: () => true, night: NIGHT })
  t.equal(seen.after.toOptedOut, 1)
  t.equal(after.toOptedOut, 0)
})

await t.test('each change has some examples, and the most frequent change comes first', async t => {
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

const NOW = new Date('2026-07-10T00:00:00Z')
const BEGAN = new Date('2026-07-06T07:00:00Z')

async function* lines(...written: unknown[]) {
  for (const line of written) yield typeof line === 'string' ? line : JSON.stringify(line)
}
const readLines = async (...written: unknown[]) => {
  const wrong: [number, string][] = []
  const cdrs = await readRecordLines(
    lines(...written),
    NOW,
    (line, why) => wrong.push([line, why]),
    { timezone: 'Asia/Jerusalem', isOwnLine: () => false },
  )
  return { cdrs, wrong }
}
const record = (fields: object = {}) => ({
  ivruniqueid: '20260706100000abcdef',
  caller: '0502345678',
  did: '0722776772',
  status: 'NOANSWER',
  time: exchangeTime(BEGAN),
  dialtime: 24,
  duration: 0,
  ...fields,
})

await t.test('a record without received_at counts as received when its call ended', async t => {
  const { cdrs, wrong } = await readLines(record(), record({ status: 'ANSWER', duration: 90 }))
  t.strictSame(wrong, [])
  t.match(cdrs, [
    {
      rootCallId: '20260706100000abcdef',
      receivedAt: new Date('2026-07-06T07:00:24Z'),
      leg: { calledAt: BEGAN, caller: '0502345678' },
    },
    { receivedAt: new Date('2026-07-06T07:01:54Z'), leg: { calledAt: BEGAN } },
  ])
})

await t.test('received_at decides, and sorts the records', async t => {
  const { cdrs } = await readLines(
    { received_at: '2026-07-06T10:10:00+03:00', record: record({ CallID: '1' }) },
    { received_at: '2026-07-06T07:05:00.123456Z', record: record({ ivruniqueid: 'second' }) },
  )
  t.strictSame(
    cdrs.map(({ receivedAt }) => receivedAt.toISOString()),
    ['2026-07-06T07:05:00.123Z', '2026-07-06T07:10:00.000Z'],
  )
  t.equal(cdrs[0]?.leg.callId, 'second')
})

await t.test('a repeated record counts once, however it is written', async t => {
  const { cdrs } = await readLines(
    record(),
    JSON.stringify(record(), null, 1).replaceAll('\n', ' '),
    record({ dialtime: 25 }),
  )
  t.equal(cdrs.length, 2)
})

await t.test('a wrong line is reported by its number, and the others are read', async t => {
  const { cdrs, wrong } = await readLines(
    record(),
    '',
    '{"ivruniqueid": ',
    '[1, 2]',
    record({ status: '' }),
    { received_at: 'yesterday', record: record() },
    record({ ivruniqueid: 'x', time: '' }),
    record({ ivruniqueid: '28202607061000001234567890123', did: '0771234567' }),
  )
  t.equal(cdrs.length, 2)
  t.strictSame(
    wrong.map(([line]) => line),
    [3, 4, 5, 6, 7],
  )
  t.match(wrong.map(([, why]) => why).join('\n'), /JSON.*object.*status.*received_at.*time/s)
  t.notMatch(JSON.stringify(wrong), /0502345678/)
})

await t.test('long call ids keep all their digits', async t => {
  const { cdrs } = await readLines(
    JSON.stringify(record()).replace('"20260706100000abcdef"', '2026070610000012345678901234'),
  )
  t.equal(cdrs[0]?.rootCallId, '2026070610000012345678901234')
})
