/** How many calls per second Ringback and the other programs store, and how long one request takes. */
import { NODE_FLAGS, parseLastLine, run, startRingback } from '../processes.ts'
import { startWeb, type WebProgram } from '../processes.ts'
import type { Environment } from './environment.ts'
import { burst, CONNECTIONS, type Target, timings } from './load.ts'
import { countBullmqJobs, PEER_WEBHOOKS, startRedis, whyNoBullmq, whyNoPeers } from './peers.ts'
import { figureOf, interleave, ratios, type Section, type Turn } from './results.ts'

const BASELINES = [...NODE_FLAGS, 'scripts/bench/baselines.ts']
/** One connection varies less, so it needs fewer rounds. */
const MAX_LATENCY_ROUNDS = 3

export const ingest = async (environment: Environment): Promise<Section> => {
  const { rows, notes } = await interleave(
    [
      ...webhooks(environment, CONNECTIONS),
      statement(environment, 'straight, one a statement', CONNECTIONS, 1),
      statement(environment, 'straight, combined', 2, 128),
    ],
    environment,
  )
  const speed = (name: string) => figureOf(rows, name, 'requests/s')
  for (const { name, figures } of rows) {
    figures['x bullmq'] = ratios(speed(name), speed('bullmq'))
    figures['x one by one'] = ratios(speed(name), speed('one by one'))
    figures['share of floor'] = ratios(speed(name), speed('floor'))
  }
  const title = `Ingest at ${CONNECTIONS} connections, every call on the disk before its 200`
  return { title, rows, notes }
}

export const latency = async (environment: Environment): Promise<Section> => {
  const turns = webhooks(environment, 1).filter(
    ({ name }) => !['one by one', 'pg-boss'].includes(name),
  )
  turns.push(statement(environment, 'statement', 1, 1))
  const { rows, notes } = await interleave(turns, environment, MAX_LATENCY_ROUNDS)
  const p50 = (name: string) => figureOf(rows, name, 'p50 ms')
  const sum = p50('floor').map((floor, round) => {
    const statement = p50('statement')[round] ?? null
    return floor === null || statement === null ? null : floor + statement
  })
  for (const { name, figures } of rows) figures['x (statement + floor)'] = ratios(p50(name), sum)
  rows.push({ name: 'statement + floor', figures: { 'p50 ms': sum } })
  notes.push(
    'statement: the statement that Ringback sends for one call, alone, over one connection. The goal for ringback web is 1.3.',
  )
  return { title: 'Latency at one connection', rows, notes }
}

const CALLS = 'select count(*) as n from raw_cdrs'
const CLASSIFIED = `${CALLS} where verdict is not null`
const CALLS_WITH_JOB = `
  select least((select count(*) from raw_cdrs), (select count(*) from graphile_worker._private_jobs)) as n`
const PG_BOSS_JOBS = `select count(*) as n from pgboss.job where name = 'voicenter-cdr'`

/** One turn per webhook. Each turn starts the program anew, with an empty store. */
const webhooks = (environment: Environment, connections: number): Turn[] => {
  const { postgres } = environment
  const turn = (name: string, start: () => Promise<Target>): Turn => ({
    name,
    take: () => burst(environment, connections, start),
  })
  const onPostgres = (
    name: string,
    start: (env: NodeJS.ProcessEnv) => Promise<WebProgram>,
    stored?: string,
    classified?: string,
  ): Turn =>
    turn(name, async () => {
      const { url, number } = await postgres.newDatabase('bench_ingest')
      return {
        ...(await start(postgres.envFor(url))),
        ...(stored && { storeCpu: postgres.cpuSeconds, stored: () => number(stored) }),
        ...(classified && { classified: () => number(classified) }),
      }
    })
  const web = (args: string[]) => (env: NodeJS.ProcessEnv) => startWeb(args, env)
  const turns = [
    onPostgres('floor', web([...BASELINES, 'floor'])),
    onPostgres('one by one', web([...BASELINES, 'one_by_one']), CALLS_WITH_JOB),
    onPostgres('ringback web', env => startRingback('web', env), CALLS_WITH_JOB),
    // Its worker removes the jobs meanwhile.
    onPostgres('ringback all', env => startRingback('all', env), CALLS, CLASSIFIED),
  ]
  if (!whyNoPeers())
    turns.push(onPostgres('pg-boss', web([PEER_WEBHOOKS, 'pg-boss']), PG_BOSS_JOBS))
  if (!whyNoBullmq()) turns.push(turn('bullmq', () => startBullmq(postgres.envFor(''))))
  return turns
}

const startBullmq = async (productionEnv: NodeJS.ProcessEnv): Promise<Target> => {
  const redis = await startRedis()
  const env = { ...productionEnv, REDIS_URL: redis.url }
  const program = await startWeb([PEER_WEBHOOKS, 'bullmq'], env)
  return {
    ...program,
    storeCpu: redis.cpuSeconds,
    stored: async () => (await countBullmqJobs(env)).cdr['waiting'] ?? 0,
    [Symbol.asyncDispose]: async () => {
      await program.stop()
      await redis[Symbol.asyncDispose]()
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
    const { url } = await postgres.newDatabase('bench_ingest')
    const args = [...BASELINES, 'statement', `${clients}`, `${callsPerTransaction}`, `${seconds}`]
    const output = await run(args, { env: postgres.envFor(url), signal })
    const result = timings.parse(parseLastLine(output))
    const { p50, p99 } = result
    return { 'requests/s': result.requests / result.seconds, 'p50 ms': p50, 'p99 ms': p99 }
  },
})
