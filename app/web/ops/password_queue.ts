/** Limits how often a password may be tried, without locking out the right one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { keyCounter } from '../addresses.ts'

/** After so many wrong passwords in a minute, the passwords of a client are slowed down. */
const WRONG_A_MINUTE = 10
/** Then one password a second is checked. */
const SPACING_MS = 1000
/** So many wait at most, because a proxy in front gives up after 20 s (docs/deploy.md). */
const MAX_WAITING = 16

/** The answer if too many wait already. */
export const FULL = Symbol('too many wait')

/** Runs at most `slots` at once. The others wait, in the order of their arrival. */
export const newQueue = (slots: number, mostWaiting: number) => {
  let running = 0
  const waiting: (() => void)[] = []
  return {
    isIdle: () => running === 0,
    run: async <Result>(work: () => Promise<Result>): Promise<Result | typeof FULL> => {
      if (running < slots) running += 1
      else if (waiting.length >= mostWaiting) return FULL
      // The one that ends hands its slot over, so `running` stays as it is.
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else running -= 1
      }
    },
  }
}

const wrong = keyCounter({ windowMs: 60_000 })
/** One queue for each client that tries a password at this moment. */
const queues = new Map<string, ReturnType<typeof newQueue>>()

/**
 * Checks the passwords of a client one after the other. So a client with many connections uses one check at a time, and
 * the right password among many wrong ones gets its turn: it is delayed, but not refused.
 *
 * @param client an address, or the devices of an account
 * @param isGone whether the client has hung up, so that nobody waits for its turn
 * @param check returns null if the password is wrong
 * @returns null if it is wrong; FULL if it is wrong after many others, or if too many wait
 */
export const inTurn = async <Result>(
  client: string,
  isGone: () => boolean,
  check: () => Promise<Result | null | typeof FULL>,
): Promise<Result | null | typeof FULL> => {
  const queue = queues.get(client) ?? newQueue(1, MAX_WAITING)
  queues.set(client, queue)
  try {
    return await queue.run(async () => {
      if (isGone()) return FULL
      const isSlow = wrong.count(client) >= WRONG_A_MINUTE
      // The process may end meanwhile.
      if (isSlow) await sleep(SPACING_MS, undefined, { ref: false })
      const result = await check()
      if (result !== null) return result
      wrong.add(client)
      return isSlow ? FULL : null
    })
  } finally {
    if (queue.isIdle()) queues.delete(client)
  }
}
