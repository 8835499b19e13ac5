/**
 * graphile-worker alone in a process, to show its defects. `node lone_worker.ts POOL`, where POOL is
 *
 *   retrying  our pool with the workaround (app/worker/retrying_pool.ts)
 *   plain     our pool without it
 *   internal  the pool that graphile-worker makes itself
 *
 * Its task runs until a line comes on standard input. The line `stop` stops the worker first.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from 'graphile-worker'
import { newPool } from '../../app/db/pool.ts'
import { retryingPool } from '../../app/worker/retrying_pool.ts'

const [kind] = process.argv.slice(2)
const input = createInterface(process.stdin)
const end = Promise.withResolvers<void>()
const pool = await newPool('worker', 3)
const runner = await run({
  ...(kind === 'internal'
    ? { connectionString: process.env['DATABASE_URL'] ?? '' }
    : { pgPool: kind === 'retrying' ? retryingPool(pool, async () => {}) : pool }),
  noHandleSignals: true,
  parsedCronItems: [],
  taskList: {
    held: async () => {
      console.log('started')
      await end.promise
    },
  },
})
const [line] = await once(input, 'line')
if (line === 'stop') {
  const stopped = runner.stop()
  await sleep(400)
  end.resolve()
  await stopped
  await sleep(1000)
  process.exit(0)
}
end.resolve()
