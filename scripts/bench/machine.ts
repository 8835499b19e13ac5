/** What the system reports: the machine, the versions in use, and the CPU time and memory of a process. */
import { spawnSync } from 'node:child_process'
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { median } from './results.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** The folder for the databases, temporary files and results of the benchmark. */
export const HOME = join(ROOT, '.data/bench')
export const PEERS = join(ROOT, 'scripts/bench/peers')

const TICKS_PER_SECOND = 100
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

/** The installed version of each package; null if it is not installed. */
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

/** The fields of /proc/<pid>/stat from field 3 on, after the name; null if there is no such process or no /proc. */
const stat = async (pid: number): Promise<string[] | null> => {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

const sum = (fields: string[], ...numbers: number[]): number =>
  numbers.reduce((sum, n) => sum + Number(fields[n - 3]), 0) / TICKS_PER_SECOND

/** CPU seconds of a process with all its threads. */
export const cpuSeconds = async (pid: number): Promise<number | null> => {
  const fields = await stat(pid)
  return fields && sum(fields, 14, 15)
}

/** CPU seconds of a process and its children, also of those that have ended: a Postgres server. */
export const familyCpuSeconds = async (pid: number): Promise<number | null> => {
  const parent = await stat(pid)
  if (!parent) return null
  let total = sum(parent, 14, 15, 16, 17)
  for (const name of await readdir('/proc')) {
    const fields = /^\d+$/.test(name) ? await stat(Number(name)) : null
    if (Number(fields?.[1]) === pid && fields) total += sum(fields, 14, 15, 16, 17)
  }
  return total
}

/** The resident memory of a process in MB. */
export const residentMb = async (pid: number): Promise<number | null> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]
  return kilobytes ? Number(kilobytes) / 1024 : null
}
