import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, chown, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Place } from './place.ts'

const run = promisify(execFile)

/**
 * How the cluster is made. The builtin C.UTF-8 sorts by bytes like C, but knows upper and lower
 * case beyond ASCII, and is the same on every platform.
 */
const SETTINGS = [
  '--username=postgres',
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--set=timezone=UTC',
  '--set=log_timezone=UTC',
  '--set=listen_addresses=127.0.0.1',
  '--set=unix_socket_directories=',
]

/** Where a cluster keeps its password. Postgres ignores the file, and its folder is private. */
export const passwordFile = (data: string): string => join(data, 'password')

/**
 * Makes the cluster unless there is one. It is made aside, with its password, and appears whole
 * or not at all; of two made at the same moment the first to be renamed stays. So there is no
 * lock of ours that a power cut could leave behind.
 */
export const makeCluster = async ({ data, initdb, account }: Place): Promise<void> => {
  if (await isCluster(data)) return
  const aside = await mkdtemp(`${data}-`)
  const cluster = join(aside, 'data')
  const password = join(aside, 'password')
  try {
    await writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600 })
    if (account) {
      for (const path of [password, aside]) await chown(path, account.uid, account.gid)
    }
    await run(initdb, [`--pgdata=${cluster}`, `--pwfile=${password}`, ...SETTINGS], { ...account })
    await rename(password, passwordFile(cluster))
    await rename(cluster, data)
  } catch (error) {
    if (!(await isCluster(data))) throw error
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/**
 * What makers that were killed left behind. One may still be at work: it will find that there is
 * a cluster by now, and fighting it for the last file is not worth an error.
 */
export const removeUnfinished = async ({ data }: Place): Promise<void> => {
  const folder = dirname(data)
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(data)}-`)) continue
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => {})
  }
}

const isCluster = (data: string): Promise<boolean> =>
  access(passwordFile(data)).then(
    () => true,
    () => false,
  )
