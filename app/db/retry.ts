import { setTimeout as sleep } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'

/** Of the network, before a server has said anything. */
const NETWORK =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)UNREACH|EAI_AGAIN|ENOTFOUND)$/
/**
 * Of Postgres (its "Error Codes" page): connection, rollback by another, no room, operator's intervention,
 * the system below; a lock not had in time, a transaction left open too long, a standby that is not yet the primary.
 */
const POSTGRES = /^(08...|40...|53...|57...|58...|55P03|25P03|25006)$/
/** Of those, what befell this very statement, and not another that is sent now. */
const THIS_STATEMENT = /^(40...|53200|57014|55P03)$/
/** node-postgres gives these no code. */
const WORDS =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|Query read timeout|not queryable/

/** Whether the database is away or cannot for the moment, so that the same may well succeed when asked again later. */
export const isTransient = (error: unknown): boolean => {
  if (!isNativeError(error)) return false
  if ('code' in error && typeof error.code === 'string')
    return NETWORK.test(error.code) || POSTGRES.test(error.code)
  return WORDS.test(error.message)
}

/** Whether the database is away for everybody: whatever else is asked of it now will fail in the same way. */
export const isUnavailable = (error: unknown): boolean =>
  isTransient(error) &&
  !(error instanceof Error && 'code' in error && THIS_STATEMENT.test(String(error.code)))

/** Deadlock, or a job taken by a worker at this very moment: nothing was written, and the next try does. */
const PASSING = ['40001', '40P01']
const TRIES = 5
/** After this nobody waits for the outcome any more. */
const TRY_FOR_MS = 5000

/** Up to which it pauses in between: so that those who have met do not meet again at once. */
const PAUSE_MS = 20

/** Runs a statement again where Postgres says that it only met another one. */
export const retryOnConflict = async <T>(work: () => Promise<T>): Promise<T> => {
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
