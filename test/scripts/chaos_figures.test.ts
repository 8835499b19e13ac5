/** The figures of npm run chaos: how long work waited, what the logs gave away, and what stays of the report. */
import t from 'tap'
import { leaksIn } from '../../scripts/chaos/evidence.ts'
import { seeded } from '../../scripts/chaos/random.ts'
import { withBlock } from '../../scripts/chaos/report.ts'
import { outside, percentile, recoveries } from '../../scripts/chaos/times.ts'

await t.test('time in which something was away does not count', t => {
  t.equal(outside(0, 100, []), 100)
  t.equal(outside(0, 100, [{ from: 20, to: 50 }]), 70)
  t.equal(
    outside(0, 100, [
      { from: 40, to: 60 },
      { from: 20, to: 50 },
    ]),
    60,
    'overlapping',
  )
  t.equal(outside(30, 100, [{ from: 0, to: 40 }]), 60)
  t.equal(outside(0, 100, [{ from: 90, to: Infinity }]), 90)
  t.equal(outside(0, 100, [{ from: 0, to: 200 }]), 0)
  t.end()
})

await t.test('a fault is over when all that waited when it ended is done', t => {
  const fault = { kind: 'cut', point: null, at: 1000, back: 2000, storm: false }
  const work = (since: number, done: number) => ({ kind: 'cdr', since, done })
  t.same(recoveries([fault], [work(500, 2500), work(1500, 5000)], []), [3000])
  t.same(recoveries([fault], [work(500, 900)], []), [], 'done before')
  t.same(recoveries([fault], [work(500, 1900)], []), [], 'done meanwhile')
  t.same(recoveries([fault], [work(2100, 9000)], []), [], 'came later')
  t.same(recoveries([fault], [work(500, 5000)], [{ from: 3000, to: 4000 }]), [2000])
  t.same(recoveries([{ ...fault, storm: true }], [work(500, 5000)], []), [])
  t.end()
})

await t.test('percentiles', t => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i)
  t.equal(percentile(values, 0.5), 100)
  t.equal(percentile(values, 0.99), 198)
  t.equal(percentile([7], 0.99), 7)
  t.equal(percentile([], 0.99), 0)
  t.end()
})

await t.test('phone numbers and secrets in the output are found, and not repeated', async t => {
  const phones = new Set(['+972520000001'])
  const leaks = async (line: string) => {
    const folder = t.testdir({ 'copy-A.log': `fine\n${line}\n` })
    return leaksIn(`${folder}/copy-A.log`, phones, ['hunter2'])
  }
  for (const written of ['0520000001', '972520000001', '+972520000001', '"520000001"', '(052)'])
    t.same(
      await leaks(`{"caller":"${written}"}`),
      written === '(052)' ? [] : ['line 2 of copy-A.log: a phone number'],
      written,
    )
  t.same(await leaks('{"caller":"0520000002"}'), [], 'nobody of the run')
  t.same(await leaks('{"time":1520000001000}'), [], 'part of another number')
  t.same(await leaks('password=hunter2'), ['line 2 of copy-A.log: a secret'])
})

await t.test('of the report only what stands between the marks is replaced', t => {
  const before = '# Mine\n\n<!-- chaos:begin -->\n\nold\n\n<!-- chaos:end -->\n\nmine too\n'
  t.equal(
    withBlock(before, 'new'),
    '# Mine\n\n<!-- chaos:begin -->\n\nnew\n\n<!-- chaos:end -->\n\nmine too\n',
  )
  t.equal(withBlock(withBlock(before, 'new'), 'old'), before)
  t.equal(
    withBlock('# Mine\n', 'new'),
    '# Mine\n\n<!-- chaos:begin -->\n\nnew\n\n<!-- chaos:end -->\n',
  )
  t.end()
})

await t.test('the same seed makes the same choices', t => {
  const drawn = (seed: number) => {
    const random = seeded(seed).fork('stories')
    return [random.int(1, 1000), random.pick(['a', 'b', 'c']), ...random.shuffled([1, 2, 3, 4])]
  }
  t.same(drawn(7), drawn(7))
  t.notSame(drawn(7), drawn(8))
  t.end()
})
