/** Who takes part in the ingest: each started afresh for its turn, on an empty database of its own. */
import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { type Contender, startRingback, startScript } from './contender.ts'
import { NO_REDIS, redisVersion, startRedis } from './peers/redis.ts'
import { NO_PEERS, peersAreInstalled } from './peers/run.ts'
import { type Database, HOME, ROOT } from './postgres.ts'
import { cpuSeconds } from './proc.ts'
import { envOf, type Stage } from './stage.ts'

const run = promisify(execFile)
const PEERS = 'scripts/bench/peers'

/** A contender at work. */
export type AtWork = {
  contender: Contender
  /** CPU seconds of whatever it stores in. */
  storeCpu: () => Promise<number | null>
  /** How many calls are stored, each with what makes sure that it is worked on; null = it stores nothing. */
  stored: () => Promise<number | null>
  /** How many have been worked on already; null where nobody does. */
  judged: () => Promise<number | null>
  end: () => Promise<void>
}
export type Entrant = { name: string; start: () => Promise<AtWork> }

/** Questions to its database, each answered by one number. */
type Questions = { stored?: string; judged?: string }
const CALLS = 'select count(*)::int as n from raw_cdrs'
const CALLS_WITH_JOB = `
  select least((select count(*) from raw_cdrs), (select count(*) from graphile_worker._private_jobs))::int as n`
const JUDGED = `${CALLS} where verdict is not null`
const PG_BOSS_JOBS = `select count(*)::int as n from pgboss.job where name = 'voicenter-cdr'`

/** @returns who takes part, and who cannot and why */
export const entrants = (stage: Stage): { entrants: Entrant[]; missing: string[] } => {
  type Start = (env: NodeJS.ProcessEnv) => Promise<Contender>
  const onPostgres = (name: string, start: Start, questions: Questions): Entrant => ({
    name,
    start: () => atWork(stage, start, questions),
  })
  const script = (file: string) => (env: NodeJS.ProcessEnv) => startScript(file, env)
  const peer = (file: string) => (env: NodeJS.ProcessEnv) =>
    startScript(`${PEERS}/${file}`, env, [])

  const list = [
    onPostgres('floor', script('scripts/bench/floor.ts'), {}),
    onPostgres('one by one', script('scripts/bench/one_by_one.ts'), { stored: CALLS_WITH_JOB }),
    onPostgres('ringback web', env => startRingback('web', env), { stored: CALLS_WITH_JOB }),
    // Its worker takes the jobs away as they come.
    onPostgres('ringback all', env => startRingback('all', env), { stored: CALLS, judged: JUDGED }),
  ]
  const missing: string[] = []
  if (!peersAreInstalled()) missing.push(NO_PEERS)
  else {
    list.push(onPostgres('pg-boss', peer('pg_boss_web.mjs'), { stored: PG_BOSS_JOBS }))
    const bullmq = { name: 'bullmq', start: () => onRedis(stage, peer('bullmq_web.mjs')) }
    if (redisVersion()) list.push(bullmq)
    else missing.push(NO_REDIS)
  }
  return { entrants: list, missing }
}

const atWork = async (
  stage: Stage,
  start: (env: NodeJS.ProcessEnv) => Promise<Contender>,
  { stored, judged }: Questions,
): Promise<AtWork> => {
  const database = await stage.postgres.newDatabase('contender')
  const contender = await start(envOf(stage, database.url))
  return {
    contender,
    storeCpu: stored ? stage.postgres.cpuSeconds : nothing,
    stored: stored ? () => number(database, stored) : nothing,
    judged: judged ? () => number(database, judged) : nothing,
    end: contender.stop,
  }
}

const nothing = () => Promise.resolve(null)

const number = async (database: Database, text: string): Promise<number | null> => {
  const { rows } = await database.query<{ n: number | null }>(text)
  return rows[0]?.n ?? null
}

const counted = z.object({ cdr: z.object({ waiting: z.number() }) })

const onRedis = async (
  { postgres }: Stage,
  start: (env: NodeJS.ProcessEnv) => Promise<Contender>,
): Promise<AtWork> => {
  const redis = await startRedis(await mkdtemp(join(HOME, 'redis-')))
  try {
    const env = { PATH: process.env['PATH'], NODE_ENV: postgres.env.NODE_ENV, REDIS_URL: redis.url }
    const contender = await start(env)
    return {
      contender,
      storeCpu: () => cpuSeconds(redis.pid ?? 0),
      stored: async () => {
        const { stdout } = await run(process.execPath, [`${PEERS}/bullmq_queue.mjs`, 'count'], {
          cwd: ROOT,
          env,
        })
        return counted.parse(JSON.parse(stdout)).cdr.waiting
      },
      judged: nothing,
      end: async () => {
        await contender.stop()
        await redis.remove()
      },
    }
  } catch (error) {
    await redis.remove()
    throw error
  }
}
