/** Times as people write them. */
import fc from 'fast-check'
import { test } from 'tap'
import { readSpan, span, writeSpan } from '../../app/tenants/schema.ts'

const READ: Record<string, number> = {
  '2 minutes': 120,
  '90s': 90,
  '24h': 86_400,
  '1 day': 86_400,
  '1 Hour': 3600,
  ' 5  min ': 300,
  '1h30m': 5400,
  '1 hour 30 minutes 5 seconds': 5405,
  '2d 3 hrs': 183_600,
  '0': 0,
  '0 seconds': 0,
  '61 secs': 61,
}

await test('every common form is read', async t => {
  for (const [written, seconds] of Object.entries(READ))
    t.equal(readSpan(written), seconds, written)
})

await test('nothing else is', async t => {
  for (const written of [
    '',
    ' ',
    '5',
    '-5m',
    '-5 minutes',
    '1.5h',
    'soon',
    '2 minutes ago',
    '5 weeks',
    '1 month',
    '30m 1h',
    '5m5m',
    'm',
    '1:30',
    'infinity',
    '٥m',
  ])
    t.equal(readSpan(written), null, `"${written}"`)
})

await test('times are written as people say them', async t => {
  const written = [0, 1, 90, 120, 3600, 5400, 86_400, 90_000, 172_800, 180_061].map(writeSpan)
  t.strictSame(written, [
    '0 seconds',
    '1 second',
    '1 minute 30 seconds',
    '2 minutes',
    '1 hour',
    '1 hour 30 minutes',
    '24 hours',
    '25 hours',
    '2 days',
    '2 days 2 hours 1 minute 1 second',
  ])
})

await test('what is written is read as the same', async t => {
  fc.assert(fc.property(fc.nat(365 * 86_400), seconds => readSpan(writeSpan(seconds)) === seconds))
  t.pass()
})

await test('a year is enough', async t => {
  t.equal(span.safeParse('365 days').data, 365 * 86_400)
  t.match(span.safeParse('366 days').error?.issues, [{ message: /at most 365 days/ }])
  t.match(span.safeParse('9'.repeat(400) + 'h').error?.issues, [{ message: /at most 365 days/ }])
})
