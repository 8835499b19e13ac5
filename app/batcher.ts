import { isUnavailable } from './db/retry.ts'

type Limits<Ask> = {
  /** The weight that one batch takes on, at least one ask. */
  most: number
  /** What an ask weighs; default 1. */
  weigh?: (ask: Ask) => number
  /** How many may wait for their batch. */
  waiting: number
  /** Within this everybody hears something, whatever a batch does. */
  patienceMs: number
  /**
   * A batch that takes longer than this waits for something itself, such as a lock; what has collected meanwhile need not
   * wait for it too, and one more batch may begin. Default 50.
   */
  longMs?: number
}

const BATCHES = 2

/**
 * Work that many ask for at the same moment is done in batches: while one is under way the asks collect, and the next
 * batch does them all. So the more there is to do, the cheaper each becomes, and a lone ask waits for nobody: what is
 * asked for within one turn of the event loop goes together, and no timer holds it back.
 *
 * A batch does everything or nothing. One that fails because of what it was asked is done again ask by ask, so that a
 * bad one fails alone.
 *
 * Not dataloader, which has no limit for what waits or weighs and would need a scheduler written beside it; p-queue and
 * its like run asks side by side, never together.
 *
 * @param together does the asks of a batch and answers them in their order; when it throws, nothing of them is done
 * @throws Error with status 503, from the function returned, when too many wait or it takes too long
 */
export const batcher = <Ask, Answer>(
  together: (asks: Ask[]) => Promise<Answer[]>,
  { most, weigh = () => 1, waiting, patienceMs, longMs = 50 }: Limits<Ask>,
): ((ask: Ask) => Promise<Answer>) => {
  type Asked = PromiseWithResolvers<Answer> & { ask: Ask; late?: NodeJS.Timeout; isGone: boolean }
  const queue: Asked[] = []
  /** The batches under way, and since when each is. */
  const underWay = new Set<{ since: number }>()
  let later: NodeJS.Timeout | undefined

  const nextBatch = (): Asked[] => {
    let weight = 0
    let count = 0
    for (const { ask } of queue) {
      weight += weigh(ask)
      if (count > 0 && weight > most) break
      count++
    }
    // Whoever has heard that it takes too long is gone, and will ask again.
    return queue.splice(0, count).filter(({ isGone }) => !isGone)
  }

  const answer = async (batch: Asked[]): Promise<void> => {
    if (batch.length === 0) return
    try {
      const answers = await together(batch.map(({ ask }) => ask))
      for (const [i, { resolve, reject }] of batch.entries()) {
        const given = answers[i]
        if (given === undefined) reject(new Error('a batch left somebody without an answer'))
        else resolve(given)
      }
    } catch (error) {
      // Where the database is away one by one would fail as well, only later.
      if (batch.length === 1 || isUnavailable(error)) for (const { reject } of batch) reject(error)
      else await oneByOne(batch)
    }
    for (const { late } of batch) clearTimeout(late)
  }

  /** Two at a time: the bad one may wait for a lock in vain, and the others must not wait for it again. */
  const oneByOne = async (batch: Asked[]): Promise<void> => {
    const left = [...batch]
    const goOn = async () => {
      for (let one = left.shift(); one; one = left.shift()) if (!one.isGone) await answer([one])
    }
    await Promise.all([goOn(), goOn()])
  }

  /** Batch after batch, until nobody waits any more. */
  const go = async (): Promise<void> => {
    const batch = { since: performance.now() }
    underWay.add(batch)
    // So that all who ask in this turn are in.
    await new Promise(setImmediate)
    while (queue.length > 0) {
      batch.since = performance.now()
      await answer(nextBatch())
    }
    underWay.delete(batch)
  }

  /** Begins a batch if one may begin, or looks again when one may. */
  const begin = (): void => {
    if (queue.length === 0 || underWay.size === BATCHES) return
    const last = Math.max(...[...underWay].map(({ since }) => since))
    const wait = underWay.size === 0 ? 0 : last + longMs - performance.now()
    if (wait <= 0) void go()
    else
      later ??= setTimeout(() => {
        later = undefined
        begin()
      }, wait)
  }

  return ask => {
    if (queue.length >= waiting) return Promise.reject(busy('too many wait'))
    const asked: Asked = { ask, isGone: false, ...Promise.withResolvers<Answer>() }
    asked.late = setTimeout(() => {
      asked.isGone = true
      asked.reject(busy('it took too long'))
    }, patienceMs)
    queue.push(asked)
    begin()
    return asked.promise
  }
}

const busy = (why: string): Error => Object.assign(new Error(why), { status: 503 })

/** Many rows as the parameters of one statement. */

/**
 * The same twice counts twice and is stored once, for Postgres cannot update a row twice in one statement. In
 * one order always, since two statements that lock the same rows in different orders would wait for each other.
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

/**
 * Many texts as one parameter, and where each begins, counted from 1. In an array each would be escaped, or written out
 * in hex and escaped, at up to five times its size.
 */
export const concatBuffers = (texts: (Buffer | null)[]) => {
  let next = 1
  const starts = texts.map(text => (next += text?.length ?? 0) - (text?.length ?? 0))
  const [first = Buffer.alloc(0), ...others] = texts.flatMap(text => text ?? [])
  return {
    // One alone may be megabytes, and is not copied.
    bytes: others.length === 0 ? first : Buffer.concat([first, ...others]),
    starts,
    lengths: texts.map(text => text?.length ?? null),
  }
}
