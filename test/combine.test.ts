/** What many ask for at the same moment is done together; each is answered, or fails, for itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { batcher } from '../app/batcher.ts'

const busy = (why: string) => Object.assign(new Error(why), { status: 503 })
const LIMITS = { most: 100, waiting: 100, patienceMs: 10_000 }

const failure = (code: string) => Object.assign(new Error('failed'), { code })

/** Batches that end when they are told to; `batches` is what each was asked. */
const held = () => {
  const batches: number[][] = []
  const ends: (() => void)[] = []
  const work = async (asks: number[]) => {
    batches.push(asks)
    await new Promise<void>(resolve => ends.push(resolve))
    return asks.map(ask => ask * 2)
  }
  const end = async () => {
    ends.shift()?.()
    await sleep(5)
  }
  return { batches, work, end }
}

await t.test('who asks alone waits for nobody', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, LIMITS)
  const answer = ask(1)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  t.strictSame(batches, [[1]])
  await end()
  t.equal(await answer, 2)
})

await t.test('what is asked for during a batch is the next one, in its order', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, LIMITS)
  const first = ask(1)
  await sleep(5)
  const others = [2, 3, 4].map(ask)
  await sleep(5)
  t.strictSame(batches, [[1]], 'they wait')
  await end()
  t.strictSame(batches, [[1], [2, 3, 4]])
  await end()
  t.strictSame(await Promise.all([first, ...others]), [2, 4, 6, 8], 'to each his own answer')
})

await t.test('what is asked for in one turn goes together', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, LIMITS)
  const answers = [1, 2, 3].map(ask)
  await sleep(5)
  t.strictSame(batches, [[1, 2, 3]])
  await end()
  await Promise.all(answers)
})

await t.test('a batch takes no more than it bears, and at least one', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, { ...LIMITS, most: 10, weigh: weight => weight })
  const answers = [4, 4, 4, 30, 1].map(ask)
  await sleep(5)
  for (let i = 0; i < 4; i++) await end()
  t.strictSame(batches, [[4, 4], [4], [30], [1]])
  t.strictSame(await Promise.all(answers), [8, 8, 8, 60, 2])
})

await t.test('a batch that takes long does not keep the others waiting', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, LIMITS)
  const first = ask(1)
  await sleep(5)
  const others = [2, 3].map(ask)
  await sleep(5)
  t.strictSame(batches, [[1]], 'not at once')
  await sleep(100)
  t.strictSame(batches, [[1], [2, 3]])
  const more = ask(4)
  await sleep(100)
  t.strictSame(batches, [[1], [2, 3]], 'but there are never more than two')
  for (let i = 0; i < 3; i++) await end()
  t.strictSame(await Promise.all([first, ...others, more]), [2, 4, 6, 8])
})

await t.test('nor those who ask right after another batch has ended beside it', async t => {
  const ends: (() => void)[] = []
  const ask = batcher(async (asks: number[]) => {
    if (asks.includes(1)) await new Promise<void>(resolve => ends.push(resolve))
    return asks
  }, LIMITS)
  const stuck = ask(1)
  await sleep(10)
  const from = performance.now()
  t.equal(await ask(2), 2)
  t.equal(await ask(3), 3, 'at once')
  t.ok(performance.now() - from < 1000)
  ends[0]?.()
  t.equal(await stuck, 1)
})

await t.test('a bad one that takes long is not waited for twice', async t => {
  const ask = batcher(async (asks: number[]) => {
    if (asks.includes(2)) {
      await sleep(300)
      throw failure('55P03')
    }
    return asks
  }, LIMITS)
  const from = performance.now()
  const slow = t.rejects(ask(2), failure('55P03'))
  await Promise.all([ask(1), ask(3), ask(4), ask(5)])
  t.ok(performance.now() - from < 500, 'the others: the batch, and not the bad one again')
  await slow
})

await t.test('nor one that comes only when it has taken long already', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, LIMITS)
  const first = ask(1)
  await sleep(100)
  const second = ask(2)
  await sleep(5)
  t.strictSame(batches, [[1], [2]])
  for (let i = 0; i < 2; i++) await end()
  t.strictSame(await Promise.all([first, second]), [2, 4])
  const third = ask(3)
  await sleep(5)
  await end()
  t.equal(await third, 6)
})

await t.test('who is in a batch that never ends hears so in time', async t => {
  const ask = batcher(() => new Promise<number[]>(() => {}), { ...LIMITS, patienceMs: 30 })
  await t.rejects(ask(1), busy('the work took too long'))
})

await t.test('a bad one fails alone', async t => {
  const batches: number[][] = []
  const ask = batcher(async (asks: number[]) => {
    batches.push(asks)
    await sleep(1)
    if (asks.includes(3)) throw new Error('three is bad')
    return asks
  }, LIMITS)
  const results = await Promise.allSettled([1, 2, 3, 4].map(ask))
  t.strictSame(batches, [[1, 2, 3, 4], [1], [2], [3], [4]])
  t.strictSame(
    results.map(result => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    [1, 2, 'Error: three is bad', 4],
  )
  t.equal(await ask(5), 5, 'and the next batch begins anew')
})

await t.test('where the database is away nobody is asked again', async t => {
  for (const code of ['ECONNREFUSED', '57P01', '53300', '08006', '25006']) {
    let batches = 0
    const ask = batcher((): Promise<number[]> => {
      batches++
      return Promise.reject(failure(code))
    }, LIMITS)
    const results = await Promise.allSettled([1, 2, 3].map(ask))
    t.strictSame(new Set(results.map(({ status }) => status)), new Set(['rejected']), code)
    t.equal(batches, 1, code)
  }
})

await t.test(
  'a lock or memory that one of them waits for in vain takes no other with it',
  async t => {
    for (const code of ['55P03', '57014', '40P01', '53200']) {
      const ask = batcher(async (asks: number[]) => {
        await sleep(1)
        if (asks.includes(2)) throw failure(code)
        return asks
      }, LIMITS)
      const results = await Promise.allSettled([1, 2, 3].map(ask))
      t.strictSame(
        results.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled'],
        code,
      )
    }
  },
)

await t.test('when too many wait, the next is sent away at once', async t => {
  const { work, end } = held()
  const ask = batcher(work, { ...LIMITS, waiting: 2 })
  const first = ask(1)
  await sleep(5)
  const waiting = [ask(2), ask(3)]
  await t.rejects(ask(4), busy('too many requests are waiting'))
  await end()
  await end()
  t.strictSame(await Promise.all([first, ...waiting]), [2, 4, 6])
})

await t.test('who has waited too long is left out of the batch', async t => {
  const { batches, work, end } = held()
  const ask = batcher(work, { ...LIMITS, patienceMs: 30 })
  const sentAway = [1, 2].map(n => t.rejects(ask(n), busy('the work took too long')))
  await sleep(5)
  const waiting = t.rejects(ask(3), busy('the work took too long'))
  await Promise.all([...sentAway, waiting])
  const fresh = ask(4)
  await end()
  t.strictSame(batches, [[1, 2], [4]])
  await end()
  t.equal(await fresh, 8)
})

await t.test('nobody is left without an answer', async t => {
  const ask = batcher(async (asks: number[]) => asks.slice(1), LIMITS)
  const results = await Promise.allSettled([1, 2].map(ask))
  t.match(results, [{ status: 'fulfilled' }, { status: 'rejected' }])
})
