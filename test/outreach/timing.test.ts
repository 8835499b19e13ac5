import t from 'tap'
import { isTooLate, isTooOld } from '../../app/outreach/rules.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const THEN = new Date('2026-11-16T12:00:00Z')
const after = (ms: number): Date => new Date(THEN.getTime() + ms)

for (const [name, isTooMuch] of [
  ['a call is too old', isTooOld],
  ['a message is too late', isTooLate],
] as const)
  await t.test(`${name} once more than its limit has passed, and not before`, async t => {
    const rows: [passed: number, limit: number, wanted: boolean][] = [
      [0, 2 * HOUR, false],
      [2 * HOUR - 1, 2 * HOUR, false],
      [2 * HOUR, 2 * HOUR, false],
      [2 * HOUR + 1, 2 * HOUR, true],
      [30 * MINUTE, 30 * MINUTE, false],
      [30 * MINUTE + 1, 30 * MINUTE, true],
      [365 * 24 * HOUR, 6 * HOUR, true],
      [0, 0, false],
      [1, 0, true],
      // A moment that has not come yet, by the clock of whoever wrote it down.
      [-1, 0, false],
      [-HOUR, 30 * MINUTE, false],
    ]
    for (const [passed, limit, wanted] of rows)
      t.equal(isTooMuch(after(passed), THEN, limit), wanted, `${passed} ms of ${limit}`)
  })

await t.test('an hour that the clocks were set back in counts like any other', async t => {
  const before = new Date('2026-10-25T01:30:00+03:00')
  const now = new Date('2026-10-25T01:31:00+02:00')
  t.equal(isTooOld(now, before, HOUR), true)
  t.equal(isTooLate(now, before, 61 * MINUTE), false)
})
