import { test } from 'tap'
import { halves, windowOf } from '../../app/voicenter/call_log/entries.ts'

const at = (time: string) => new Date(`2026-11-${time}Z`)
const NOW = at('15T12:00')
const LONG_AGO = at('01T00:00')
const windowFrom = (checkedUntil: Date, watchedSince = LONG_AGO) =>
  windowOf({ watchedSince, checkedUntil }, NOW)

await test('a check looks six hours behind the one before, and up to five minutes ago', t => {
  t.strictSame(windowFrom(at('15T10:55')), {
    from: at('15T04:55'),
    until: at('15T11:55'),
    next: 'in_turn',
  })
  t.end()
})

await test('it never looks behind the time from which calls are watched', t => {
  t.match(windowFrom(at('15T10:55'), at('15T10:00')), { from: at('15T10:00') })
  t.end()
})

await test('after a time away the next check comes soon', t => {
  t.match(windowFrom(at('15T10:20')), { next: 'soon' })
  t.match(windowFrom(at('15T10:30')), { next: 'in_turn' })
  t.end()
})

await test('after days away it goes on by one day at a time', t => {
  t.strictSame(windowFrom(at('12T10:00')), {
    from: at('12T04:00'),
    until: at('13T10:00'),
    next: 'at_once',
  })
  t.match(windowFrom(at('14T11:55')), { until: at('15T11:55'), next: 'soon' }, 'exactly a day')
  t.match(windowFrom(at('14T11:54')), { until: at('15T11:54'), next: 'at_once' }, 'and a minute')
  t.end()
})

await test('a window is never empty, nor upside down', t => {
  for (const checked of [at('15T11:55'), at('15T12:00'), at('15T13:00')]) {
    const { from, until } = windowFrom(checked, checked)
    t.equal(until.getTime() - from.getTime(), 60_000)
    t.equal(until.getTime(), at('15T11:55').getTime())
  }
  t.end()
})

await test('the halves of a window meet in its middle', t => {
  t.strictSame(halves({ from: at('15T10:00'), until: at('15T12:00') }), [
    { from: at('15T10:00'), until: at('15T11:00') },
    { from: at('15T11:00'), until: at('15T12:00') },
  ])
  t.end()
})
