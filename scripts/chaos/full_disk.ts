/**
 * The disk of Postgres is full while records come in: none is acknowledged that is not stored, and all goes on when
 * there is room again. On a cluster of its own in a small piece of memory, since a disk of ours must not be filled.
 */
import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { push } from '../demo/cdr.ts'
import { addBusinesses } from './businesses.ts'
import { runCopy } from './copy.ts'
import { freePort, removeDisk, smallDisk, startCluster } from './postgres.ts'
import { type Stage, migrateAt } from './stage.ts'
import type { Post } from './stories.ts'
import { newVendor } from './vendor.ts'

const MEGABYTE = 1024 * 1024
const DISK_MB = 192
const FULL_FOR_MS = 6000
const GO_ON_WITHIN_MS = 60_000
/** Large enough that some of them meet the end of the disk. */
const RECORD_BYTES = 20_000

type Result = { line: string; violations: string[] }

export const fullDisk = async (
  { folder, fake, env }: Pick<Stage, 'folder' | 'fake' | 'env'>,
  onCleanUp: (task: () => Promise<void>) => void,
): Promise<Result> => {
  const disk = join(folder, 'disk')
  const whyNot = await smallDisk(disk, DISK_MB)
  if (whyNot) return { line: `left out: ${whyNot}`, violations: [] }
  onCleanUp(() => removeDisk(disk))
  const cluster = await startCluster(join(disk, 'postgres'))
  onCleanUp(cluster.remove)
  const here = { ...env, DATABASE_URL: cluster.programUrl(cluster.port) }
  await migrateAt(here)
  const client = new Client({ connectionString: cluster.checkingUrl })
  await client.connect()
  const [business] = await addBusinesses(fake, client, here)
  await client.end()
  if (!business) throw new Error('no business')

  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const program = runCopy(
    { name: 'full disk', port, env: here, log: join(folder, 'full-disk.log') },
    { passed: () => {}, ended: () => {}, ready: () => {} },
  )
  onCleanUp(async () => program.killForGood())
  while (!program.isReady()) await sleep(50)

  const vendor = newVendor(url)
  const record = (n: number): Post => {
    const body = Buffer.from(
      JSON.stringify(push({ caller: 'anonymous', did: business.line, aiData: noise(n) })),
    )
    return {
      what: 'while the disk is full',
      business,
      body,
      contentType: 'application/json',
      parts: [{ bytes: body, kept: 'raw' }],
      fits: [200],
      atOnce: 1,
      afterMs: 0,
    }
  }
  let sent = 0
  const posts = [vendor.post(record(sent++))]
  await Promise.all(posts)
  const filler = join(disk, 'filler')
  await fill(filler)
  for (const until = Date.now() + FULL_FOR_MS; Date.now() < until; await sleep(50))
    posts.push(vendor.post(record(sent++)))
  const refused = vendor.answers().get('503') ?? 0
  await rm(filler)
  // It most likely went down, and comes back by itself as soon as it can write.
  await cluster.start()
  const goneOn = await Promise.race([
    Promise.all(posts).then(() => true),
    sleep(GO_ON_WITHIN_MS, false, { ref: false }),
  ])
  vendor.stop()

  const checking = new Client({ connectionString: cluster.checkingUrl })
  await checking.connect()
  const { rows } = await checking.query<{ hash: string }>(
    `select encode(sha256(body), 'hex') as hash from raw_cdrs`,
  )
  await checking.end()
  await program.halt()
  const stored = new Set(rows.map(({ hash }) => hash))
  const lost = vendor.promised().filter(({ hash }) => !stored.has(hash))
  return {
    line: `${refused} answers 503, ${lost.length} of ${vendor.promised().length} acknowledged records missing`,
    violations: [
      ...lost.map(({ hash }) => `disk full: acknowledged and not there: ${hash}`),
      ...(refused === 0 ? ['disk full: nothing was refused, so the disk was not full'] : []),
      ...(goneOn ? [] : ['disk full: not all records were acknowledged when there was room again']),
    ],
  }
}

/** Text that no compression makes smaller. */
const noise = (n: number): string =>
  Array.from({ length: RECORD_BYTES / 64 }, (_, i) =>
    createHash('sha256').update(`${n} ${i}`).digest('hex'),
  ).join('')

/** Writes until there is no room left. */
const fill = async (path: string): Promise<void> => {
  const file = await open(path, 'w')
  try {
    for (const size of [MEGABYTE, 4096])
      for (;;) {
        const { bytesWritten } = await file.write(Buffer.alloc(size))
        if (bytesWritten < size) break
      }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    await file.close()
  }
}
