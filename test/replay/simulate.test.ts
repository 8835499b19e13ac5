/** The time of a simulation passes as the program's own would: what is sent when, and what stops it. */
import t from 'tap'
import { answered, at, call, calledBack, known, NOA, play, storyOf } from './support.ts'

await t.test('a missed call is three messages to somebody who never answers', async t => {
  const world = await play([call('1', 'mon 10:00')])
  t.strictSame(storyOf(world, '1'), ['sent accepted', 'mon 10:03', 'mon 12:03', 'tue 10:03'])
})

await t.test('the delay counts from the moment the record came', async t => {
  const late = await play([call('1', 'mon 10:00', {}, 50)], { rules: { outreachDelay: 300_000 } })
  t.equal(storyOf(late, '1')[1], 'mon 10:55')
})

await t.test('a call that is told of too late is not written about', async t => {
  const calls = [call('1', 'mon 10:00', {}, 120), call('2', 'mon 10:00', { caller: NOA }, 121)]
  const world = await play(calls)
  t.equal(storyOf(world, '1')[0], 'sent accepted')
  t.strictSame(storyOf(world, '2'), ['skipped too_late'])
})

await t.test('one person is written to once, however often she calls', async t => {
  const calls = [
    call('1', 'mon 10:00'),
    call('2', 'mon 10:01'),
    call('3', 'mon 15:00'),
    // The last reminder went out less than a day ago.
    call('4', 'wed 10:00'),
    call('5', 'wed 10:05', { caller: '+972 50-234-5678' }),
  ]
  const world = await play(calls)
  for (const id of ['2', '3', '4'])
    t.strictSame(storyOf(world, id), ['skipped already_contacted'], id)
  t.equal(storyOf(world, '5')[0], 'sent accepted', 'and again when the window has passed')
  const other = await play([
    calls[0] ?? call('1', 'mon 10:00'),
    call('2', 'mon 10:01', { caller: NOA }),
  ])
  t.equal(storyOf(other, '2')[0], 'sent accepted', 'somebody else is somebody else')
})

await t.test('who gets through is not chased, in whichever order it becomes known', async t => {
  const after = await play([call('1', 'mon 10:00'), answered('2', 'mon 10:01')])
  t.strictSame(storyOf(after, '1'), ['cancelled reached_by_phone'])
  const before = await play([answered('2', 'mon 10:01'), call('1', 'mon 10:00', {}, 5)])
  t.strictSame(storyOf(before, '1'), ['cancelled reached_by_phone'])
  const back = await play([call('1', 'mon 10:00'), calledBack('2', 'mon 11:00')])
  t.strictSame(storyOf(back, '1'), ['sent accepted', 'mon 10:03'], 'no reminder follows')
  const earlier = await play([answered('2', 'mon 09:00'), call('1', 'mon 10:00')])
  t.equal(storyOf(earlier, '1').length, 4, 'a talk before the call changes nothing')
  const told = await play([call('1', 'mon 10:00'), answered('2', 'mon 09:58', {}, 4)])
  t.equal(storyOf(told, '1').length, 4, 'nor if it is told of later')
})

await t.test('a reply ends the chase, and an opt-out', async t => {
  const calls = [call('1', 'mon 10:00')]
  const play1 = (wrote: string) => play(calls, { about: known({ wrote: [wrote] }) })
  t.strictSame(storyOf(await play1('mon 10:02'), '1'), ['cancelled replied'])
  t.strictSame(storyOf(await play1('mon 12:02'), '1'), ['sent accepted', 'mon 10:03'])
  t.equal(storyOf(await play1('mon 09:00'), '1').length, 4, 'what she wrote before does not')
  const play2 = (optedOut: string) => play(calls, { about: known({ optedOut }) })
  t.strictSame(storyOf(await play2('mon 09:00'), '1'), ['skipped opted_out'])
  t.strictSame(storyOf(await play2('mon 10:02'), '1'), ['cancelled opted_out'])
  t.strictSame(storyOf(await play2('mon 12:00'), '1'), ['sent accepted', 'mon 10:03'])
})

await t.test('what she calls about after her reply is a matter of its own', async t => {
  const rules = { outreachDelay: 5 * 60_000 }
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 10:03')]
  const world = await play(calls, { rules, about: known({ wrote: ['mon 10:02'] }) })
  t.strictSame(storyOf(world, '1'), ['cancelled replied'])
  t.equal(storyOf(world, '2')[1], 'mon 10:09')
})

await t.test('she writes between the call and its record', async t => {
  const world = await play([call('1', 'mon 10:00', {}, 9)], {
    about: known({ wrote: ['mon 10:05'] }),
  })
  t.strictSame(storyOf(world, '1'), ['cancelled replied'])
})

await t.test('quiet windows move what is due to their end', async t => {
  const rules = { quietWindows: ['21:00-08:00', 'fri 15:00-sat 20:30'] }
  const night = await play([call('1', 'mon 22:00')], { rules })
  t.strictSame(storyOf(night, '1'), ['sent accepted', 'tue 08:00', 'tue 10:00', 'wed 08:00'])
  const weekend = await play([call('1', 'fri 12:30')], { rules })
  t.strictSame(storyOf(weekend, '1'), ['sent accepted', 'fri 12:33', 'fri 14:33', 'sat 20:30'])
  const both = await play([call('1', 'thu 20:30')], {
    rules: { quietWindows: ['thu 21:00-fri 22:00'] },
  })
  t.strictSame(
    storyOf(both, '1'),
    ['sent accepted', 'thu 20:33', 'fri 22:00'],
    'one reminder says it all',
  )
})

await t.test('what waits in a quiet window counts as pending, and can be cancelled', async t => {
  const rules = { quietWindows: ['21:00-08:00'] }
  const calls = [call('1', 'mon 22:00'), call('2', 'mon 23:00')]
  const waiting = await play(calls, { rules, until: at('tue 07:00') })
  t.strictSame(storyOf(waiting, '1'), ['scheduled waiting'])
  t.strictSame(storyOf(waiting, '2'), ['skipped already_contacted'])
  const reached = await play([...calls, calledBack('3', 'tue 07:00')], { rules })
  t.strictSame(storyOf(reached, '1'), ['cancelled reached_by_phone'])
})

await t.test(
  'a call that was passed over is decided again when the other one is cancelled',
  async t => {
    const world = await play([
      call('1', 'mon 10:00', {}, 1),
      call('3', 'mon 10:02', {}, 0),
      answered('2', 'mon 10:01'),
    ])
    t.strictSame(storyOf(world, '1'), ['cancelled reached_by_phone'])
    t.equal(storyOf(world, '3')[0], 'sent accepted')
    t.equal(storyOf(world, '3')[1], 'mon 10:04')
  },
)

await t.test('a pending reminder counts, whatever the repeat window', async t => {
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 11:00')]
  const world = await play(calls, { rules: { repeatWindow: 0 } })
  t.strictSame(storyOf(world, '2'), ['skipped already_contacted'])
})

await t.test('a call is judged from all its records, when each comes', async t => {
  const part = (status: string, minutes: number) =>
    call(
      '1x',
      'mon 10:00',
      { OriginalIvrUniqueID: '1', type: 'XferCDR', DialStatus: status },
      minutes,
    )
  const root = call('1', 'mon 10:00', { type: 'Queue', DialStatus: 'TIMEOUT' })
  const world = await play([root, part('ANSWER', 2)])
  t.strictSame(storyOf(world, '1'), ['cancelled reached_by_phone'])
  t.match(world.calls.get('1'), { verdict: 'answered', reason: 'transfer' })
  t.strictSame(
    storyOf(await play([root, part('ANSWER', 30)]), '1'),
    ['sent accepted', 'mon 10:03'],
    'too late for the first message, not for the reminders',
  )
  t.strictSame(storyOf(await play([part('NOANSWER', 1)]), '1'), ['unknown waiting_for_root'])
})

await t.test(
  'a call that turns out answered is not chased, whoever its last part shows',
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
    t.strictSame(storyOf(soon, '1'), ['cancelled reached_by_phone'])
    t.strictSame(storyOf(await play([root, part(30)]), '1'), ['sent accepted', 'mon 10:03'])
    const again = await play([root, call('2', 'mon 10:01', {}, 0.5), part(2)])
    t.equal(storyOf(again, '2')[1], 'mon 10:04', 'her next call is decided again')
  },
)

await t.test('who is never written to', async t => {
  const calls = [
    call('withheld', 'mon 10:00', { caller: 'anonymous' }),
    call('landline', 'mon 10:00', { caller: '031234567' }),
    call('foreign', 'mon 10:00', { caller: '40376300329' }),
    call('own', 'mon 10:00', { caller: '072-277-6772' }),
    call('other', 'mon 10:00', { DID: '0771234567' }),
    call('odd', 'mon 10:00', { DialStatus: 'VOEND' }),
  ]
  const world = await play(calls)
  t.strictSame(
    [...world.calls.keys()].map(id => storyOf(world, id)[0]),
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
  t.equal(storyOf(foreign, 'foreign')[0], 'sent accepted')
  const odd = await play(calls, { rules: { missedStatuses: ['VOEND'] } })
  t.equal(storyOf(odd, 'odd')[0], 'sent accepted')
  t.equal(storyOf(odd, 'landline')[0], 'unknown noanswer')
})

await t.test('a business that is paused, in shadow or not connected sends nothing', async t => {
  const calls = [call('1', 'mon 10:00'), call('2', 'mon 11:00')]
  const of = async (rules: Parameters<typeof play>[1]) => storyOf(await play(calls, rules), '2')
  t.strictSame(await of({ rules: { mode: 'paused' } }), ['skipped tenant_paused'])
  t.strictSame(await of({ rules: { mode: 'shadow' } }), ['skipped shadow'])
  t.strictSame(await of({ rules: { connected: false } }), ['skipped no_connection'])
})

await t.test('what is due after the end is still waiting then', async t => {
  const world = await play([call('1', 'mon 10:00')], { until: at('mon 10:02') })
  t.strictSame(storyOf(world, '1'), ['scheduled waiting'])
  const later = await play([call('1', 'mon 10:00')], { until: at('mon 13:00') })
  t.strictSame(storyOf(later, '1'), ['sent accepted', 'mon 10:03', 'mon 12:03'])
})

await t.test('one subscriber under two spellings is one person', async t => {
  const world = await play([
    call('1', 'mon 10:00', { caller: '+970599123456' }),
    call('2', 'mon 10:01', { caller: '0599123456' }),
  ])
  t.strictSame(storyOf(world, '2'), ['skipped already_contacted'])
})
