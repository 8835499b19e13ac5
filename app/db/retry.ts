import { setTimeout as sleep } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'

/** Codes of network errors. */
const NETWORK =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)UNREACH|EAI_AGAIN|ENOTFOUND)$/
/**
 * Codes of Postgres: connection (08), conflict (40), resources (53), operator (57), system (58), lock timeout (55P03),
 * idle in transaction (25P03), read-only (25006).
 */
const POSTGRES = /^(08...|40...|53...|57...|58...|55P03|25P03|25006)$/
/** Those that concern only this statement: another one could succeed now. */
const THIS_STATEMENT = /^(40...|53200|57014|55P03)$/
/** Errors of node-postgres have no code. */
const WORDS =
  /Connection terminated|connection timeout|timeout exceeded when trying to connect|timeout expired|Query read timeout|not queryable/

/** Whether the same query may succeed later. */
export const isTransient = (error: unknown): boolean => {
  if (!isNativeError(error)) return false
  if ('code' in error && typeof error.code === 'string')
    return NETWORK.test(error.code) || POSTGRES.test(error.code)
  return WORDS.test(error.message)
}

/** Whether the database is unavailable, so that any other query would fail now too. */
export const isUnavailable = (error: unknown): boolean =>
  isTransient(error) &&
  !(error instanceof Error && 'code' in error && THIS_STATEMENT.test(String(error.code)))

/** Whether a table does not exist: the database was asked before its first migration. */
export const isBeforeMigration = (error: unknown): error is Error =>
  isNativeError(error) && 'code' in error && error.code === '42P01'

/** A deadlock, or a worker took a job at this moment. Nothing was written, and the next attempt succeeds. */
const CONFLICTS = ['40001', '40P01']
const TRIES = 5
/** Later no client waits for the result. */
const TRY_FOR_MS = 5000

/** The longest pause between two attempts. Random, so that the same transactions do not conflict again. */
const PAUSE_MS = 20

/** Repeats the work after a conflict with another transaction: a whole transaction, or a statement outside one. */
export const retryOnConflict = async <T>(work: () => Promise<T>): Promise<T> => {
  const until = performance.now() + TRY_FOR_MS
  for (let tries = 1; ; tries++)
    try {
      return await work()
    } catch (error) {
      const isConflict =
        error instanceof Error && 'code' in error && CONFLICTS.includes(String(error.code))
      if (!isConflict || tries === TRIES || performance.now() > until) throw error
      await sleep(Math.random() * PAUSE_MS)
    }
}

/** Repeats a statement. Inside a transaction it is not repeated: the conflict has aborted the transaction, which repeats as a whole. */
export const retryStatement = <T>(
  database: { isTransaction: boolean },
  run: () => Promise<T>,
): Promise<T> => (database.isTransaction ? run() : retryOnConflict(run))
