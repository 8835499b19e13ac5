import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { isTransient } from '../db/retry.ts'

/** How long `connect` waits for an unavailable database. graphile-worker calls it a hundred times. */
const WAIT_MS = 60_000
const LONGEST_PAUSE_MS = 1000

/**
 * graphile-worker 0.18 deletes a finished job without awaiting the query, and retries it only for a few error codes. If
 * the database is unavailable at that moment, the process ends, and the job stays locked for four hours. So this pool
 * waits until the outage is over, and reports an interrupted query as a serialization failure. graphile-worker retries
 * that code within 5 s. (It also retries ETIMEDOUT, but only within two minutes.)
 *
 * Only for the worker: a webhook must fail fast.
 *
 * @param ready the pool waits for this before it connects
 * @param onInterrupted called when a query was interrupted and its result is not known
 */
export const retryingPool = (
  pool: pg.Pool,
  ready: () => Promise<unknown>,
  onInterrupted: () => void = () => {},
): pg.Pool => {
  const connect = async (): Promise<pg.PoolClient> => {
    await ready()
    const until = performance.now() + WAIT_MS
    for (let pause = 100; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS))
      try {
        return wrapClient(await pool.connect(), onInterrupted)
      } catch (error) {
        if (!isTransient(error) || pool.ending || performance.now() > until)
          throw asRetryable(error)
        await sleep(pause * (0.5 + Math.random()))
      }
  }
  return new Proxy(pool, {
    get: (target, name) =>
      name === 'connect'
        ? // The listener for new jobs passes a callback. It reconnects by itself.
          (callback?: Parameters<pg.Pool['connect']>[0]) =>
            callback ? target.connect(callback) : connect()
        : bound(target, name),
  })
}

/** The same client, whose interrupted queries graphile-worker retries. */
const wrapClient = (client: pg.PoolClient, onInterrupted: () => void): pg.PoolClient =>
  new Proxy(client, {
    get: (target, name) => {
      const method = bound(target, name)
      return name === 'query' && typeof method === 'function'
        ? (...args: unknown[]) => retryable(Reflect.apply(method, undefined, args), onInterrupted)
        : method
    },
  })

const bound = (target: object, name: string | symbol): unknown => {
  const value: unknown = Reflect.get(target, name)
  return typeof value === 'function' ? value.bind(target) : value
}

const retryable = (result: unknown, onInterrupted: () => void): unknown =>
  result instanceof Promise
    ? result.catch((error: unknown) => {
        if (isTransient(error)) onInterrupted()
        throw asRetryable(error)
      })
    : result

const SERIALIZATION_FAILURE = '40001'

const asRetryable = (error: unknown): unknown =>
  error instanceof Error && isTransient(error)
    ? Object.assign(new Error(error.message, { cause: error }), { code: SERIALIZATION_FAILURE })
    : error
