/** The load generator: a process apart, wrk where it is installed, else autocannon. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { cdrParts } from './cdr.ts'

const run = promisify(execFile)
const SCRIPT = fileURLToPath(new URL('load.lua', import.meta.url))
const AUTOCANNON = fileURLToPath(
  new URL('peers/node_modules/autocannon/autocannon.js', import.meta.url),
)

/** Latencies in milliseconds. `wrong`: answers other than success; `failed`: none at all. */
export type Load = z.infer<typeof load>
const load = z.object({
  requests: z.number(),
  seconds: z.number(),
  p50: z.number(),
  p99: z.number(),
  max: z.number(),
  wrong: z.number(),
  failed: z.number(),
})

const wrkVersion = (): string | null => {
  const { stdout } = spawnSync('wrk', ['--version'], { encoding: 'utf8' })
  return /^wrk (\S+)/.exec(stdout ?? '')?.[1] ?? null
}

/** What there is on this machine, with its version; null when there is neither. */
export const loadGenerator = (): string | null => {
  const wrk = wrkVersion()
  if (wrk) return `wrk ${wrk}`
  return existsSync(AUTOCANNON) ? 'autocannon' : null
}

export const NO_WRK =
  'There is no wrk here (Debian and Ubuntu: apt-get install wrk), nor autocannon (npm ci --prefix scripts/bench/peers).'

/** As many requests as the other side answers, over so many connections that are kept open. */
export const drive = async (
  url: string,
  { connections, seconds, signal }: { connections: number; seconds: number; signal: AbortSignal },
): Promise<Load> => {
  const size = ['-c', String(connections), '-d', String(seconds)]
  const options = { signal, timeout: (seconds + 30) * 1000, maxBuffer: 2 ** 24 }
  if (!loadGenerator()?.startsWith('wrk')) return autocannon(url, size, options)
  const { first, middle, last, from } = cdrParts()
  const { stdout } = await run(
    'wrk',
    [
      '-t',
      '1',
      ...size,
      '--timeout',
      '10',
      '-s',
      SCRIPT,
      url,
      '--',
      first,
      middle,
      last,
      `${from}`,
    ],
    options,
  )
  return load.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''))
}

const report = z.object({
  duration: z.number(),
  latency: z.object({ p50: z.number(), p99: z.number(), max: z.number() }),
  '2xx': z.number(),
  non2xx: z.number(),
  errors: z.number(),
  timeouts: z.number(),
})

/** Its latencies are whole milliseconds, and all its calls are of one caller. */
const autocannon = async (url: string, size: string[], options: object): Promise<Load> => {
  const { first, middle, last } = cdrParts()
  const body = `${first}2345678${middle}[<id>]${last}`
  const request = ['-m', 'POST', '-H', 'content-type=application/json', '-b', body, '-I']
  const { stdout } = await run(
    process.execPath,
    [AUTOCANNON, ...size, ...request, '--json', '--no-progress', url],
    { ...options, encoding: 'utf8' },
  )
  const { duration, latency, ...got } = report.parse(JSON.parse(stdout))
  return {
    requests: got['2xx'] + got.non2xx,
    seconds: duration,
    ...latency,
    wrong: got.non2xx,
    failed: got.errors + got.timeouts,
  }
}
