import { isAway } from './db/outage.ts'

type Limits<Ask> = {
  /** How many rounds may be under way at the same moment. */
  rounds: number
  /** The weight that one round takes on, at least one ask. */
  most: number
  /** What an ask weighs; default 1. */
  weigh?: (ask: Ask) => number
  /** How many may wait for their round. */
  waiting: number
  /** Whoever has waited so long for its round is gone by then, and is left out of it. */
  patienceMs: number
}

/**
 * Work that many ask for at the same moment is done in rounds: while one is under way the asks collect, and the next
 * round does them all. So the more there is to do, the cheaper each becomes, and a lone ask waits for nobody. There is
 * no timer: what is asked for within one turn of the event loop goes together.
 *
 * A round does everything or nothing. One that fails because of what it was asked is done again ask by ask, so that a
 * bad one fails alone.
 *
 * Not dataloader, which has no limit for what waits or weighs and would need a scheduler written around it; p-queue and
 * its like run asks side by side, never together.
 *
 * @param together does the asks of a round and answers them in their order; when it throws, nothing of them is done
 * @throws Error with status 503, from the function returned, when too many wait or the wait was too long
 */
export const combine = <Ask, Answer>(
  together: (asks: Ask[]) => Promise<Answer[]>,
  { rounds, most, weigh = () => 1, waiting, patienceMs }: Limits<Ask>,
): ((ask: Ask) => Promise<Answer>) => {
  type Waiting = PromiseWithResolvers<Answer> & { ask: Ask; until: number }
  const queue: Waiting[] = []
  let underWay = 0

  const nextRound = (): Waiting[] => {
    let weight = 0
    let count = 0
    for (const { ask } of queue) {
      weight += weigh(ask)
      if (count > 0 && weight > most) break
      count++
    }
    return queue.splice(0, count)
  }

  const answer = async (all: Waiting[]): Promise<void> => {
    const now = performance.now()
    const round = all.filter(({ until }) => until >= now)
    for (const { until, reject } of all) if (until < now) reject(busy('waited too long'))
    if (round.length === 0) return
    try {
      const answers = await together(round.map(({ ask }) => ask))
      for (const [i, { resolve, reject }] of round.entries()) {
        const given = answers[i]
        if (given === undefined) reject(new Error('a round left somebody without an answer'))
        else resolve(given)
      }
    } catch (error) {
      // Where the database is away one by one would fail as well, only later.
      if (round.length === 1 || isAway(error)) for (const { reject } of round) reject(error)
      else for (const one of round) await answer([one])
    }
  }

  const go = async (): Promise<void> => {
    underWay++
    // So that all who ask in this turn are in.
    await new Promise(setImmediate)
    while (queue.length > 0) await answer(nextRound())
    underWay--
  }

  return ask => {
    if (queue.length >= waiting) return Promise.reject(busy('too many wait'))
    const one = { ask, until: performance.now() + patienceMs, ...Promise.withResolvers<Answer>() }
    queue.push(one)
    if (underWay < rounds) void go()
    return one.promise
  }
}

const busy = (why: string): Error => Object.assign(new Error(why), { status: 503 })
