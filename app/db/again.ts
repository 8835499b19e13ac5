import { setTimeout as sleep } from 'node:timers/promises'

/** Deadlock, or a job taken by a worker at this very moment: nothing was written, and the next try does. */
const PASSING = ['40001', '40P01']
const TRIES = 5
/** After this nobody waits for the outcome any more. */
const TRY_FOR_MS = 5000

/** Up to which it pauses in between: so that those who have met do not meet again at once. */
const PAUSE_MS = 20

/** Runs a statement again where Postgres says that it only met another one. */
export const again = async <T>(work: () => Promise<T>): Promise<T> => {
  const until = performance.now() + TRY_FOR_MS
  for (let tries = 1; ; tries++)
    try {
      return await work()
    } catch (error) {
      const passing =
        error instanceof Error && 'code' in error && PASSING.includes(String(error.code))
      if (!passing || tries === TRIES || performance.now() > until) throw error
      await sleep(Math.random() * PAUSE_MS)
    }
}
