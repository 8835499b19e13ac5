/** Sends calls to a program under test: one burst of the load generator, or calls to be stored for later. */
import { spawnSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { z } from 'zod'
import { push } from '../demo/cdr.ts'
import { parseLastLine, run, startRingback, type WebProgram } from '../processes.ts'
import { DID, type Environment } from './environment.ts'
import { type Figures, InvalidTurn } from './results.ts'

/** The number of connections in all sections but latency, which uses one. */
export const CONNECTIONS = 64
const WARM_UP_SECONDS = 2
const CALLS_PER_POST = 100
/** The Israeli mobiles 052-2000000 to 052-9999999. */
const MOBILES = 8_000_000

/**
 * A missed call as Voicenter pushes it, in three parts. The last seven digits of the caller and the number of the call
 * stand between them. Each run has its own call ids.
 */
const bodyParts = () => {
  const cdr = push({ did: DID, caller: '052CALLER' })
  const callId = `${cdr.ivruniqueid.slice(0, 14)}${randomBytes(4).toString('hex')}NUMBER`
  const text = JSON.stringify({ ...cdr, ivruniqueid: callId })
  const [first = '', middle = '', last = ''] = text.split(/CALLER|NUMBER/)
  return { first, middle, last, firstCaller: randomInt(MOBILES) }
}

/** Makes bodies as load.lua does: every call is missed and has another caller. */
export const callBodies = (): (() => string) => {
  const { first, middle, last, firstCaller } = bodyParts()
  let n = 0
  return () => {
    n++
    const caller = 2_000_000 + ((firstCaller + n) % MOBILES)
    return `${first}${caller}${middle}${String(n).padStart(8, '0')}${last}`
  }
}

/** The version of the load generator; null if there is none. */
export const wrkVersion = (): string | null => {
  const { stdout } = spawnSync('wrk', ['--version'], { encoding: 'utf8' })
  return /^wrk (\S+)/.exec(stdout ?? '')?.[1] ?? null
}

export const timings = z.object({
  requests: z.number(),
  seconds: z.number(),
  p50: z.number(),
  p99: z.number(),
})
/** `failed`: requests without an answer, or with an error. */
const wrkResult = timings.extend({ failed: z.number() })

/** Sends as many requests as the program answers, over connections that stay open. */
export const drive = async (
  url: string,
  connections: number,
  seconds: number,
  signal: AbortSignal,
): Promise<z.infer<typeof wrkResult>> => {
  const options = { signal, timeout: (seconds + 30) * 1000 }
  const { first, middle, last, firstCaller } = bodyParts()
  const size = ['-c', `${connections}`, '-d', `${seconds}`]
  const flags = ['-t', '1', ...size, '--timeout', '10', '-s', 'scripts/bench/load.lua']
  const script = [first, middle, last, `${firstCaller}`]
  const output = await run([...flags, url, '--', ...script], options, { command: 'wrk' })
  return wrkResult.parse(parseLastLine(output))
}

const post = async (url: string, body: string, signal: AbortSignal): Promise<Response> => {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(url, { method: 'POST', headers, body, signal })
  await answer.arrayBuffer()
  return answer
}

type Counter = () => Promise<number | null>

/** Reads the counters now. The returned function tells by how much each has grown, multiplied by a factor. */
export const meter = async (counters: Record<string, Counter>) => {
  const read = () => Promise.all(Object.values(counters).map(counter => counter()))
  const before = await read()
  return async (factor: number): Promise<Figures> => {
    const after = await read()
    const growth = (n: number) => {
      const [from = null, to = null] = [before[n], after[n]]
      return from === null || to === null ? null : (to - from) * factor
    }
    return Object.fromEntries(Object.keys(counters).map((name, n) => [name, growth(n)]))
  }
}

/** A program under load, and how to find out what it did. */
export type Target = WebProgram & {
  /** CPU seconds of the database or Redis that it stores in. */
  storeCpu?: Counter
  /** The number of calls that are stored, each with the job that processes it. */
  stored?: Counter
  /** The number of calls that are classified. */
  classified?: Counter
}
const unknown: Counter = async () => null

/**
 * Measures one burst after a warm-up, then counts the calls that are really stored.
 *
 * @throws InvalidTurn if an answer was no success, or if more calls were acknowledged than stored
 */
export const burst = async (
  { postgres, seconds, signal }: Environment,
  connections: number,
  start: () => Promise<Target>,
): Promise<Figures> => {
  await using program = await start()
  const { storeCpu = unknown, stored = unknown, classified = unknown } = program
  const url = postgres.webhookUrl(program.url)
  // The load generator counts every answer below 400 as a success.
  const first = await post(url, callBodies()(), signal)
  if (first.status !== 200)
    throw new InvalidTurn(`the first answer was ${first.status}. Output:\n${program.output()}`)
  const warmUp = await drive(url, connections, WARM_UP_SECONDS, signal)
  await postgres.checkpoint()
  const cpu = await meter({ 'CPU ms/1,000': program.cpuSeconds, 'store CPU ms/1,000': storeCpu })
  const classifications = await meter({ 'classified/s': classified })
  const load = await drive(url, connections, seconds, signal)
  const figures = {
    'requests/s': load.requests / load.seconds,
    'p50 ms': load.p50,
    'p99 ms': load.p99,
    ...(await cpu(1e6 / load.requests)),
    ...(await classifications(1 / load.seconds)),
  }

  if (!program.isAlive())
    throw new Error(`the program ended under load. Output:\n${program.output()}`)
  const failed = warmUp.failed + load.failed
  if (failed) throw new InvalidTurn(`${failed} requests were not acknowledged`)
  const acknowledged = 1 + warmUp.requests + load.requests
  const found = (await stored()) ?? acknowledged
  if (found < acknowledged)
    throw new InvalidTurn(`${acknowledged} calls were acknowledged, but ${found} are stored`)
  return figures
}

/** Stores calls through the webhook, a hundred per request. A worker has to classify them. */
export const storeCalls = async (
  { postgres, signal }: Environment,
  databaseUrl: string,
  calls: number,
): Promise<void> => {
  await using web = await startRingback('web', postgres.envFor(databaseUrl))
  const next = callBodies()
  for (let stored = 0; stored < calls; stored += CALLS_PER_POST) {
    const bodies = Array.from({ length: CALLS_PER_POST }, next)
    const { status } = await post(postgres.webhookUrl(web.url), `[${bodies.join()}]`, signal)
    if (status !== 200) throw new Error(`the webhook answered ${status}`)
  }
}
