import { isUnavailable } from './db/retry.ts'

type Limits<Item> = {
  /** The total weight of one batch. A batch takes at least one item. */
  most: number
  /** The weight of an item. Default 1. */
  weigh?: (item: Item) => number
  /** How many items may wait for a batch. */
  waiting: number
  /** Each caller gets an answer or an error within this time, however long its batch takes. */
  patienceMs: number
  /**
   * A batch that takes longer than this probably waits for a lock. The items that have collected meanwhile need not
   * wait for the same lock, so a second batch may start. Default 50.
   */
  longMs?: number
  /**
   * If more items than this wait, a batch leaves half of them for the next one, but has at least this many. So the
   * process answers the callers of one half while the store works on the other. Default: a batch takes all.
   */
  halveAbove?: number
}

const MAX_BATCHES = 2

/**
 * Runs the work of many callers in batches. While a batch runs, further items collect, and the next batch takes all of
 * them. So the cost of an item falls as the load rises. A single item is not delayed: a batch takes what arrives
 * within one turn of the event loop, and there is no timer.
 *
 * A batch does all of its work or none. If a batch fails, its items run again one by one, so that a bad item fails
 * alone.
 *
 * Not dataloader: it limits neither the number nor the weight of the items, and it would need a separate scheduler.
 * p-queue and similar packages run items in parallel, never together.
 *
 * @param run does the work of a batch and returns the results in the same order. If it throws, nothing was done.
 * @throws Error with status 503 (from the returned function) if too many items wait, or the work takes too long
 */
export const batcher = <Item, Result>(
  run: (items: Item[]) => Promise<Result[]>,
  { most, weigh = () => 1, waiting, patienceMs, longMs = 50, halveAbove = Infinity }: Limits<Item>,
): ((item: Item) => Promise<Result>) => {
  type Entry = Pick<PromiseWithResolvers<Result>, 'resolve' | 'reject'> & {
    item: Item
    timeout: NodeJS.Timeout
    hasTimedOut: boolean
  }
  const queue: Entry[] = []
  const running = new Set<{ since: number }>()
  let timer: NodeJS.Timeout | undefined

  const takeBatch = (): Entry[] => {
    const limit = Math.max(halveAbove, Math.ceil(queue.length / 2))
    let weight = 0
    let count = 0
    for (const { item } of queue) {
      weight += weigh(item)
      if (count > 0 && (weight > most || count === limit)) break
      count++
    }
    return queue.splice(0, count).filter(({ hasTimedOut }) => !hasTimedOut)
  }

  const runBatch = async (batch: Entry[]): Promise<void> => {
    if (batch.length === 0) return
    try {
      const results = await run(batch.map(({ item }) => item))
      // The callers continue one turn later, when the next batch is already on its way to the store.
      setImmediate(() => {
        for (const [i, { resolve, reject }] of batch.entries()) {
          const result = results[i]
          if (result === undefined) reject(new Error('the batch returned no result for this item'))
          else resolve(result)
        }
      })
    } catch (error) {
      // If the database is unavailable, the items would fail one by one as well, only later.
      if (batch.length === 1 || isUnavailable(error)) for (const { reject } of batch) reject(error)
      else await runOneByOne(batch)
    }
    for (const { timeout } of batch) clearTimeout(timeout)
  }

  /** Two at a time: the bad item may wait for a lock, and the others must not wait behind it again. */
  const runOneByOne = async (batch: Entry[]): Promise<void> => {
    const rest = [...batch]
    const runRest = async () => {
      for (let entry = rest.shift(); entry; entry = rest.shift())
        if (!entry.hasTimedOut) await runBatch([entry])
    }
    await Promise.all([runRest(), runRest()])
  }

  /** Runs batch after batch until the queue is empty. */
  const drain = async (): Promise<void> => {
    const batch = { since: performance.now() }
    running.add(batch)
    // So that everything that arrives in this turn of the event loop is in the batch.
    await new Promise(setImmediate)
    while (queue.length > 0) {
      batch.since = performance.now()
      await runBatch(takeBatch())
    }
    running.delete(batch)
    // The queue is empty. A timer that is left would keep a process alive that wants to end.
    clearTimeout(timer)
    timer = undefined
  }

  /** Starts a batch if one may start, or tries again when one may. */
  const start = (): void => {
    // If there is a timer, it starts the next batch.
    if (queue.length === 0 || running.size === MAX_BATCHES || timer) return
    const last = Math.max(...[...running].map(({ since }) => since))
    const wait = running.size === 0 ? 0 : last + longMs - performance.now()
    if (wait <= 0) void drain()
    else
      timer = setTimeout(() => {
        timer = undefined
        start()
      }, wait)
  }

  return item => {
    if (queue.length >= waiting) return Promise.reject(busy('too many requests are waiting'))
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        entry.hasTimedOut = true
        reject(busy('the work took too long'))
      }
      const timeout = setTimeout(giveUp, patienceMs)
      const entry = { item, resolve, reject, timeout, hasTimedOut: false }
      queue.push(entry)
      start()
    })
  }
}

const busy = (message: string): Error => Object.assign(new Error(message), { status: 503 })

/**
 * Merges rows with the same key and counts them: Postgres cannot update a row twice in one statement. The rows are
 * sorted by key, because two statements that lock the same rows in different orders would wait for each other.
 */
export const dedupe = <Row>(
  rows: Row[],
  keyOf: (row: Row) => string,
): (Row & { deliveries: number })[] => {
  const counted = new Map<string, Row & { deliveries: number }>()
  for (const row of rows) {
    const key = keyOf(row)
    counted.set(key, { ...row, deliveries: (counted.get(key)?.deliveries ?? 0) + 1 })
  }
  return [...counted.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

/** Splits rows into batches of at most this many bytes. A larger row is a batch of its own. */
export const splitByBytes = <Row extends { bytes: number }>(
  rows: readonly Row[],
  most: number,
): Row[][] => {
  const batches: Row[][] = []
  let room = 0
  for (const row of rows) {
    if (row.bytes > room || batches.length === 0) {
      batches.push([])
      room = most
    }
    batches.at(-1)?.push(row)
    room -= row.bytes
  }
  return batches
}

/**
 * Many buffers as one statement parameter, with the start (from 1) and length of each. In an array parameter each
 * buffer would be escaped, or written in hex and escaped, at up to five times its size.
 */
export const concatBuffers = (buffers: (Buffer | null)[]) => {
  let next = 1
  const starts = buffers.map(buffer => (next += buffer?.length ?? 0) - (buffer?.length ?? 0))
  const [first = Buffer.alloc(0), ...others] = buffers.flatMap(buffer => buffer ?? [])
  return {
    // A single buffer may have megabytes and is not copied.
    bytes: others.length === 0 ? first : Buffer.concat([first, ...others]),
    starts,
    lengths: buffers.map(buffer => buffer?.length ?? null),
  }
}

/**
 * An array parameter of numbers, or of words that need no quotes. For an ordinary array node-postgres runs two regular
 * expressions over each element.
 */
export const plainArray = (values: readonly (number | string | null)[]): string =>
  `{${values.map(value => value ?? 'null').join()}}`
