/** How many calls per second Ringback and the other programs store, and how long one request takes. */
import { z } from 'zod'
import { NODE_FLAGS } from '../chaos/instance.ts'
import type { Environment } from './environment.ts'
import { burst, CONNECTIONS, type Target, timings } from './load.ts'
import * as processes from './processes.ts'
import { figureOf, interleave, ratios, type Section, type Turn } from './results.ts'

const DATABASE = 'bench_ingest'
/** One connection varies less, so it needs fewer rounds. */
const MAX_LATENCY_ROUNDS = 3

const BASELINES = [...NODE_FLAGS, 'scripts/bench/baselines.ts']
const PEER_WEBHOOKS = 'scripts/bench/peers/webhooks.mjs'

export const ingest = async (environment: Environment): Promise<Section> => {
  const { turns, missing } = webTurns(environment, CONNECTIONS)
  for (const line of missing) environment.say(`  ${line}`)
  turns.push(statement(environment, 'straight, one a statement', CONNECTIONS, 1))
  turns.push(statement(environment, 'straight, combined', 2, 128))
  const { rows, notes } = await interleave(turns, environment)
  const speed = (name: string) => figureOf(rows, name, 'requests/s')
  for (const { name, figures } of rows) {
    figures['x bullmq'] = ratios(speed(name), speed('bullmq'))
    figures['x one by one'] = ratios(speed(name), speed('one by one'))
    figures['share of floor'] = ratios(speed(name), speed('floor'))
  }
  return {
    title: `Ingest at ${CONNECTIONS} connections, every call on the disk before its 200`,
    rows,
    notes: [...missing, ...notes],
  }
}

export const latency = async (environment: Environment): Promise<Section> => {
  const { turns, missing } = webTurns(environment, 1)
  const measured = turns.filter(({ name }) => !['one by one', 'pg-boss'].includes(name))
  measured.push(statement(environment, 'statement', 1, 1))
  const { rows, notes } = await interleave(measured, environment, MAX_LATENCY_ROUNDS)
  const p50 = (name: string) => figureOf(rows, name, 'p50 ms')
  const parts = p50('floor').map((floor, round) => {
    const statement = p50('statement')[round] ?? null
    return floor === null || statement === null ? null : floor + statement
  })
  for (const { name, figures } of rows) figures['x (statement + floor)'] = ratios(p50(name), parts)
  return {
    title: 'Latency at one connection',
    rows: [...rows, { name: 'statement + floor', figures: { 'p50 ms': parts } }],
    notes: [
      ...missing,
      ...notes,
      'statement: the statement that Ringback sends for one call, alone, over one connection. The goal for ringback web is 1.3.',
    ],
  }
}

const CALLS = 'select count(*) as n from raw_cdrs'
const CLASSIFIED = `${CALLS} where verdict is not null`
const CALLS_WITH_JOB = `
  select least((select count(*) from raw_cdrs), (select count(*) from graphile_worker._private_jobs)) as n`
const PG_BOSS_JOBS = `select count(*) as n from pgboss.job where name = 'voicenter-cdr'`

/** @returns a turn for each webhook, and the reason why a peer is missing */
const webTurns = (environment: Environment, connections: number) => {
  const { postgres } = environment
  const turn = (name: string, start: () => Promise<Target>): Turn => ({
    name,
    take: () => burst(environment, connections, start),
  })
  /** Each turn starts the program anew, on an empty database. */
  const onPostgres = (
    name: string,
    start: (env: NodeJS.ProcessEnv) => Promise<processes.WebProgram>,
    stored?: string,
    classified?: string,
  ): Turn =>
    turn(name, async () => {
      const { url, number } = await postgres.newDatabase(DATABASE)
      return {
        ...(await start(postgres.envFor(url))),
        ...(stored && { storeCpu: postgres.cpuSeconds, stored: () => number(stored) }),
        ...(classified && { classified: () => number(classified) }),
      }
    })
  const { startRingback, startWeb } = processes
  const turns = [
    onPostgres('floor', env => startWeb([...BASELINES, 'floor'], env)),
    onPostgres('one by one', env => startWeb([...BASELINES, 'one_by_one'], env), CALLS_WITH_JOB),
    onPostgres('ringback web', env => startRingback('web', env), CALLS_WITH_JOB),
    // Its worker removes the jobs meanwhile.
    onPostgres('ringback all', env => startRingback('all', env), CALLS, CLASSIFIED),
  ]
  if (!processes.whyNoPeers())
    turns.push(
      onPostgres('pg-boss', env => startWeb([PEER_WEBHOOKS, 'pg-boss'], env), PG_BOSS_JOBS),
    )
  const missing = processes.whyNoBullmq()
  if (!missing) turns.push(turn('bullmq', () => startBullmq(environment)))
  return { turns, missing: missing ? [missing] : [] }
}

const counted = z.object({ cdr: z.object({ waiting: z.number() }) })

const startBullmq = async ({ postgres }: Environment): Promise<Target> => {
  const redis = await processes.startRedis()
  const env = { ...postgres.envFor(''), REDIS_URL: redis.url }
  const program = await processes.startWeb([PEER_WEBHOOKS, 'bullmq'], env)
  return {
    ...program,
    storeCpu: redis.cpuSeconds,
    stored: async () => {
      const output = await processes.run(['scripts/bench/peers/bullmq.mjs', 'count'], { env })
      return counted.parse(JSON.parse(output)).cdr.waiting
    },
    stop: async () => {
      await program.stop()
      await redis.stop()
    },
  }
}

/** Sends Ringback's statement alone, without HTTP and validation, from a process of its own. */
const statement = (
  { postgres, seconds, signal }: Environment,
  name: string,
  clients: number,
  callsPerTransaction: number,
): Turn => ({
  name,
  take: async () => {
    const { url } = await postgres.newDatabase(DATABASE)
    const args = [...BASELINES, 'statement', `${clients}`, `${callsPerTransaction}`, `${seconds}`]
    const output = await processes.run(args, { env: postgres.envFor(url), signal })
    const result = timings.parse(processes.parseLastLine(output))
    return {
      'requests/s': result.requests / result.seconds,
      'p50 ms': result.p50,
      'p99 ms': result.p99,
    }
  },
})
