/** A turn of Postgres alone, beside those of the contenders. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { z } from 'zod'
import { ROOT } from './postgres.ts'
import type { Turn } from './rounds.ts'
import { envOf, type Stage } from './stage.ts'

const run = promisify(execFile)

const printed = z.object({
  requests: z.number(),
  seconds: z.number(),
  p50: z.number(),
  p99: z.number(),
})

/** Ringback's statement alone, from a process that only sends it. */
export const straight = (
  stage: Stage,
  name: string,
  { clients, records }: { clients: number; records: number },
): Turn => ({
  name,
  take: async () => {
    const database = await stage.postgres.newDatabase('contender')
    const { stdout } = await run(process.execPath, ['scripts/bench/straight.ts'], {
      cwd: ROOT,
      signal: stage.signal,
      env: {
        ...envOf(stage, database.url),
        CLIENTS: `${clients}`,
        RECORDS: `${records}`,
        SECONDS: `${stage.seconds}`,
      },
    })
    const { requests, seconds, p50, p99 } = printed.parse(
      JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''),
    )
    return { 'requests/s': requests / seconds, 'p50 ms': p50, 'p99 ms': p99 }
  },
})
