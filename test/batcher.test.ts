/** The batcher runs items together, and each item gets its own result or error. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { batcher } from '../app/batcher.ts'

const busy = (why: string) => Object.assign(new Error(why), { status: 503 })
const TOO_LATE = busy('the work took too long')
const LIMITS = { most: 100, waiting: 100, patienceMs: 10_000 }

const failure = (code: string) => Object.assign(new Error('failed'), { code })

/** Lets the batcher start what can start. */
const settle = () => sleep(5)

/** A batcher whose batches end when the test calls `end`. `batches` has the items of each. */
const controlled = (limits: Partial<Parameters<typeof batcher<number, number>>[1]> = {}) => {
  const batches: number[][] = []
  const ends: (() => void)[] = []
  const add = batcher(
    async (items: number[]) => {
      batches.push(items)
      await new Promise<void>(resolve => ends.push(resolve))
      return items.map(item => item * 2)
    },
    { ...LIMITS, ...limits },
  )
  const end = async () => {
    ends.shift()?.()
    await settle()
  }
  return { batches, add, end }
}

await t.test('a single item is not delayed', async t => {
  const { batches, add, end } = controlled()
  const result = add(1)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  t.strictSame(batches, [[1]])
  await end()
  t.equal(await result, 2)
})

await t.test('items that arrive during a batch are the next batch, in order', async t => {
  const { batches, add, end } = controlled()
  const first = add(1)
  await settle()
  const others = [2, 3, 4].map(add)
  await settle()
  t.strictSame(batches, [[1]], 'they wait')
  await end()
  t.strictSame(batches, [[1], [2, 3, 4]])
  await end()
  t.strictSame(await Promise.all([first, ...others]), [2, 4, 6, 8], 'each gets its own result')
})

await t.test('items of one turn of the event loop are one batch', async t => {
  const { batches, add, end } = controlled()
  const results = [1, 2, 3].map(add)
  await settle()
  t.strictSame(batches, [[1, 2, 3]])
  await end()
  await Promise.all(results)
})

await t.test('a batch takes items up to its limit, and at least one', async t => {
  const { batches, add, end } = controlled({ most: 10, weigh: item => item })
  const results = [4, 4, 4, 30, 1].map(add)
  await settle()
  for (let i = 0; i < 4; i++) await end()
  t.strictSame(batches, [[4, 4], [4], [30], [1]])
  t.strictSame(await Promise.all(results), [8, 8, 8, 60, 2])
})

await t.test(
  'a batch leaves half of many items, and the next starts before callers go on',
  async t => {
    const order: string[] = []
    const add = batcher(
      async (items: number[]) => {
        order.push(`batch ${items.join()}`)
        await new Promise(setImmediate)
        return items
      },
      { ...LIMITS, halveAbove: 2 },
    )
    const answers = [1, 2, 3, 4, 5, 6, 7].map(async item => order.push(`answer ${await add(item)}`))
    await Promise.all(answers)
    t.strictSame(order, [
      'batch 1,2,3,4',
      'batch 5,6',
      ...[1, 2, 3, 4].map(n => `answer ${n}`),
      'batch 7',
      ...[5, 6].map(n => `answer ${n}`),
      'answer 7',
    ])
  },
)

await t.test('a second batch starts beside a slow one, but not a third', async t => {
  const { batches, add, end } = controlled()
  const first = add(1)
  await settle()
  const others = [2, 3].map(add)
  await settle()
  t.strictSame(batches, [[1]], 'not at once')
  await sleep(100)
  t.strictSame(batches, [[1], [2, 3]])
  const more = add(4)
  await sleep(100)
  t.strictSame(batches, [[1], [2, 3]])
  for (let i = 0; i < 3; i++) await end()
  t.strictSame(await Promise.all([first, ...others, more]), [2, 4, 6, 8])
})

await t.test('an item that arrives after a batch has become slow starts at once', async t => {
  const { batches, add, end } = controlled()
  const first = add(1)
  await sleep(100)
  const second = add(2)
  await settle()
  t.strictSame(batches, [[1], [2]])
  for (let i = 0; i < 2; i++) await end()
  t.strictSame(await Promise.all([first, second]), [2, 4])
  const third = add(3)
  await settle()
  await end()
  t.equal(await third, 6)
})

await t.test('batches run beside one that hangs, one after the other', async t => {
  const ends: (() => void)[] = []
  const add = batcher(async (items: number[]) => {
    if (items.includes(1)) await new Promise<void>(resolve => ends.push(resolve))
    return items
  }, LIMITS)
  const stuck = add(1)
  await settle()
  t.equal(await add(2), 2)
  t.equal(await add(3), 3)
  ends[0]?.()
  t.equal(await stuck, 1)
})

await t.test('a bad item fails alone', async t => {
  const batches: number[][] = []
  const add = batcher(async (items: number[]) => {
    batches.push(items)
    await sleep(1)
    if (items.includes(3)) throw new Error('three is bad')
    return items
  }, LIMITS)
  const results = await Promise.allSettled([1, 2, 3, 4].map(add))
  t.strictSame(batches, [[1, 2, 3, 4], [1], [2], [3], [4]])
  t.strictSame(
    results.map(result => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    [1, 2, 'Error: three is bad', 4],
  )
  t.equal(await add(5), 5, 'the next batch is not affected')
})

await t.test('after a failed batch, the others do not wait for a bad item again', async t => {
  const ends: (() => void)[] = []
  const add = batcher(async (items: number[]) => {
    if (!items.includes(2)) return items
    await new Promise<void>(resolve => ends.push(resolve))
    throw failure('55P03')
  }, LIMITS)
  const bad = t.rejects(add(2), failure('55P03'))
  const others = Promise.all([1, 3, 4, 5].map(add))
  await settle()
  ends[0]?.() // The batch fails. Now item 2 runs alone, and does not end.
  t.strictSame(await others, [1, 3, 4, 5])
  t.equal(ends.length, 2)
  ends[1]?.()
  await bad
})

await t.test('an error that concerns one item does not fail the others', async t => {
  for (const code of ['55P03', '57014', '40P01', '53200']) {
    const add = batcher(async (items: number[]) => {
      await sleep(1)
      if (items.includes(2)) throw failure(code)
      return items
    }, LIMITS)
    const results = await Promise.allSettled([1, 2, 3].map(add))
    t.strictSame(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
      code,
    )
  }
})

await t.test('if the database is unavailable, no item runs again', async t => {
  for (const code of ['ECONNREFUSED', '57P01', '53300', '08006', '25006']) {
    let batches = 0
    const add = batcher((): Promise<number[]> => {
      batches++
      return Promise.reject(failure(code))
    }, LIMITS)
    const results = await Promise.allSettled([1, 2, 3].map(add))
    t.strictSame(new Set(results.map(({ status }) => status)), new Set(['rejected']), code)
    t.equal(batches, 1, code)
  }
})

await t.test('if too many items wait, the next is rejected at once', async t => {
  const { add, end } = controlled({ waiting: 2 })
  const first = add(1)
  await settle()
  const waiting = [add(2), add(3)]
  await t.rejects(add(4), busy('too many requests are waiting'))
  await end()
  await end()
  t.strictSame(await Promise.all([first, ...waiting]), [2, 4, 6])
})

await t.test('an item in a batch that never ends is rejected in time', async t => {
  const add = batcher(() => new Promise<number[]>(() => {}), { ...LIMITS, patienceMs: 30 })
  await t.rejects(add(1), TOO_LATE)
})

await t.test('an item that has waited too long is not in a later batch', async t => {
  const { batches, add, end } = controlled({ patienceMs: 30 })
  const rejected = [1, 2].map(n => t.rejects(add(n), TOO_LATE))
  await settle()
  const waiting = t.rejects(add(3), TOO_LATE)
  await Promise.all([...rejected, waiting])
  const fresh = add(4)
  await end()
  t.strictSame(batches, [[1, 2], [4]])
  await end()
  t.equal(await fresh, 8)
})

await t.test('an item without a result is rejected', async t => {
  const add = batcher(async (items: number[]) => items.slice(1), LIMITS)
  const results = await Promise.allSettled([1, 2].map(add))
  t.match(results, [{ status: 'fulfilled' }, { status: 'rejected' }])
})

await t.test('no timer is left when all items are done', async t => {
  const timers = () => process.getActiveResourcesInfo().filter(type => type === 'Timeout').length
  const { add, end } = controlled({ longMs: 60_000 })
  // Those of the tests before are over by then.
  await sleep(100)
  const before = timers()
  const first = add(1)
  await settle()
  // It waits until the first batch has taken long.
  const second = add(2)
  await settle()
  await end()
  await end()
  t.strictSame(await Promise.all([first, second]), [2, 4])
  t.equal(timers(), before)
})
