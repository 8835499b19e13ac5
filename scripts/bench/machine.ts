/** Where the figures were measured and with what, for whoever compares them with others. */
import { execFileSync } from 'node:child_process'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { loadGenerator } from './load.ts'
import { redisVersion } from './peers/redis.ts'
import { HOME, type Postgres, ROOT } from './postgres.ts'
import { median } from './result.ts'

const TIMES = 200
const PAGE = Buffer.alloc(8192, 1)

export const describeMachine = async (postgres: Postgres) => ({
  at: new Date().toISOString(),
  commit: git('rev-parse', 'HEAD'),
  changedFiles: git('status', '--porcelain').split('\n').filter(Boolean).length,
  machine: {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryMb: Math.round(totalmem() / 2 ** 20),
    system: `${type()} ${release()}`,
    loadBefore: loadavg()[0],
    fsyncMs: await fsyncMs(),
  },
  versions: {
    node: process.versions.node,
    postgres: postgres.version,
    redis: redisVersion(),
    loadGenerator: loadGenerator(),
    ...(await versionsIn(ROOT, ['express', 'graphile-worker', 'kysely', 'pg'])),
    ...(await versionsIn(join(ROOT, 'scripts/bench/peers'), ['bullmq', 'hono', 'pg-boss'])),
  },
})

const git = (...args: string[]): string => {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}

const manifest = z.object({ version: z.string() })

/** What is really installed; null = not installed. */
const versionsIn = async (folder: string, names: string[]) =>
  Object.fromEntries(
    await Promise.all(
      names.map(async name => {
        const file = join(folder, 'node_modules', name, 'package.json')
        const text = await readFile(file, 'utf8').catch(() => null)
        return [name, text && manifest.parse(JSON.parse(text)).version] as const
      }),
    ),
  )

/** What one durable write costs here, the least that a commit can: the middle of 200. */
const fsyncMs = async (): Promise<number | null> => {
  await mkdir(HOME, { recursive: true })
  const path = join(HOME, `fsync-${process.pid}`)
  const file = await open(path, 'w')
  const took: number[] = []
  for (let n = 0; n < TIMES; n++) {
    const from = performance.now()
    await file.write(PAGE, 0, PAGE.length, (n % 16) * PAGE.length)
    await file.datasync()
    took.push(performance.now() - from)
  }
  await file.close()
  await rm(path)
  return median(took)
}
