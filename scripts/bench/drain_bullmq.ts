/** The Redis design's side of the draining: its worker, with as many jobs at once as it is told. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { cdrs } from './cdr.ts'
import { count, expectAll, settled, timed } from './drain_clock.ts'
import { startRedis } from './peers/redis.ts'
import { runPeer, startPeerWorker } from './peers/run.ts'
import { type Database, HOME } from './postgres.ts'
import { cpuSeconds } from './proc.ts'
import { invalid, type Turn } from './rounds.ts'
import type { Stage } from './stage.ts'

const DATABASE = 'bench_drain_bullmq'
/** It makes its own tables. */
const EMPTY = 'template1'

export const bullmqDrains = (stage: Stage, calls: number, concurrency: number): Turn => ({
  name: `bullmq worker at ${concurrency}`,
  take: async () => {
    const { postgres } = stage
    const database = await postgres.newDatabase(DATABASE, EMPTY)
    const redis = await startRedis(await mkdtemp(join(HOME, 'redis-')))
    try {
      const env = {
        PATH: process.env['PATH'],
        NODE_ENV: postgres.env.NODE_ENV,
        DATABASE_URL: database.url,
        REDIS_URL: redis.url,
        CONCURRENCY: String(concurrency),
      }
      const next = cdrs()
      const records = Array.from({ length: calls }, () => `${next()}\n`).join('')
      await runPeer('bullmq_queue.mjs', ['fill'], env, records)
      let complaint = () => ''
      const figures = await timed({
        database,
        calls,
        start: async () => {
          const worker = await startPeerWorker('bullmq_worker.mjs', env)
          complaint = worker.complaint
          return worker
        },
        cpu: { postgres: postgres.cpuSeconds, redis: () => cpuSeconds(redis.pid ?? 0) },
        check: () => check(database, calls, env),
        signal: stage.signal,
      })
      if (complaint()) throw invalid(`the worker complained:\n${complaint()}`)
      return figures
    } finally {
      await redis.remove()
      await postgres.dropDatabase(DATABASE)
    }
  },
})

const jobs = z.record(z.string(), z.number())
const counted = z.object({ cdr: jobs, outreach: jobs })

/** Each call recorded and scheduled once, and nothing left to do. */
const check = async (database: Database, calls: number, env: NodeJS.ProcessEnv) => {
  const queues = async () =>
    counted.parse(JSON.parse(await runPeer('bullmq_queue.mjs', ['count'], env)))
  await settled(async () => Object.values((await queues()).cdr).every(n => n === 0))
  expectAll(calls, {
    'missed calls': await count(
      database,
      'select count(distinct call_id)::int as n from missed_calls',
    ),
    'jobs that wait': (await queues()).outreach['delayed'] ?? 0,
  })
}
