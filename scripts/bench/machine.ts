/** The machine and the versions in use. */
import { spawnSync } from 'node:child_process'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { ROOT } from '../processes.ts'
import { median } from './results.ts'

/** The folder for the databases, temporary files and results of the benchmark. */
export const HOME = join(ROOT, '.data/bench')
export const PEERS = join(ROOT, 'scripts/bench/peers')

const FSYNCS = 200
const PAGE = Buffer.alloc(8192, 1)

/** @param tools versions that the caller knows */
export const describeMachine = async (tools: Record<string, string | null>) => ({
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
    ...tools,
    ...(await installed(ROOT, ['express', 'graphile-worker', 'kysely', 'pg'])),
    ...(await installed(PEERS, ['bullmq', 'hono', 'pg-boss'])),
  },
})

const git = (...args: string[]): string =>
  spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() ?? ''

const manifest = z.object({ version: z.string() })

const installed = async (folder: string, packages: string[]) => {
  const versions: Record<string, string | null> = {}
  for (const name of packages) {
    const file = join(folder, 'node_modules', name, 'package.json')
    const text = await readFile(file, 'utf8').catch(() => null)
    versions[name] = text && manifest.parse(JSON.parse(text)).version
  }
  return versions
}

/** The median time of a durable write. No commit can be faster. */
const fsyncMs = async (): Promise<number | null> => {
  await mkdir(HOME, { recursive: true })
  const path = join(HOME, `fsync-${process.pid}`)
  const file = await open(path, 'w')
  const times: number[] = []
  for (let n = 0; n < FSYNCS; n++) {
    const start = performance.now()
    await file.write(PAGE, 0, PAGE.length, (n % 16) * PAGE.length)
    await file.datasync()
    times.push(performance.now() - start)
  }
  await file.close()
  await rm(path)
  return median(times)
}
