import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { isTransient } from '../db/retry.ts'

/** How long one call waits for a database that is away; graphile-worker asks a hundred times. */
const WAIT_MS = 60_000
const LONGEST_PAUSE_MS = 1000

/**
 * graphile-worker 0.18 writes a job off without awaiting it, and retries only a handful of error codes: a
 * database that is away at that moment ends the whole process, and the job stays locked for four hours. So
 * its pool waits an outage out, and calls what breaks in the middle a serialization failure. That is on its list,
 * and unlike ETIMEDOUT, which is too, it is tried again within 5 s and not within two minutes.
 *
 * Only for the worker: a webhook must fail fast.
 *
 * @param gate nothing is asked of the database before this settles
 * @param onBroken called when a query broke off, and it is not known what became of it
 */
export const retryingPool = (
  pool: pg.Pool,
  gate: () => Promise<unknown>,
  onBroken: () => void = () => {},
): pg.Pool => {
  const connect = async (): Promise<pg.PoolClient> => {
    await gate()
    const until = performance.now() + WAIT_MS
    for (let pause = 100; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS))
      try {
        return tellingOutages(await pool.connect(), onBroken)
      } catch (error) {
        if (!isTransient(error) || pool.ending || performance.now() > until)
          throw asRetryable(error)
        await sleep(pause * (0.5 + Math.random()))
      }
  }
  return new Proxy(pool, {
    get: (target, name) =>
      name === 'connect'
        ? // With a callback it is the listener for new jobs, which has a patience of its own.
          (callback?: Parameters<pg.Pool['connect']>[0]) =>
            callback ? target.connect(callback) : connect()
        : bound(target, name),
  })
}

/** The same client; what breaks in one of its queries is told so that graphile-worker tries again. */
const tellingOutages = (client: pg.PoolClient, onBroken: () => void): pg.PoolClient =>
  new Proxy(client, {
    get: (target, name) => {
      const method = bound(target, name)
      return name === 'query' && typeof method === 'function'
        ? (...args: unknown[]) => retryable(Reflect.apply(method, undefined, args), onBroken)
        : method
    },
  })

const bound = (target: object, name: string | symbol): unknown => {
  const value: unknown = Reflect.get(target, name)
  return typeof value === 'function' ? value.bind(target) : value
}

const retryable = (result: unknown, onBroken: () => void): unknown =>
  result instanceof Promise
    ? result.catch((error: unknown) => {
        if (isTransient(error)) onBroken()
        throw asRetryable(error)
      })
    : result

const SERIALIZATION_FAILURE = '40001'

const asRetryable = (error: unknown): unknown =>
  error instanceof Error && isTransient(error)
    ? Object.assign(new Error(error.message, { cause: error }), { code: SERIALIZATION_FAILURE })
    : error
