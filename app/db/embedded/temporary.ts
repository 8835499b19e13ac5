import { execFile } from 'node:child_process'
import { access, chmod, cp, lstat, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { reaches } from './account.ts'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { hash } from './names.ts'

const run = promisify(execFile)

const WRITABLE_BY_OTHERS = 0o022

/**
 * The folder that root uses for `home` where the account cannot reach it. The name can be
 * guessed, for later commands must find it; so one that somebody else has prepared is refused.
 */
export const temporaryFolder = async (home: string, account: Account): Promise<string> => {
  const path = join(tmpdir(), `ringback-postgres-${hash(home)}`)
  await mkdir(path, { mode: 0o755 }).catch(unlessThere)
  const found = await lstat(path)
  if (!found.isDirectory() || found.uid !== 0 || found.mode & WRITABLE_BY_OTHERS) {
    throw new Error(`${path} was not made by root: remove it or set DATABASE_URL`)
  }
  await chmod(path, 0o755) // whatever the umask was
  if (await reaches(account, path)) return path
  throw new Error(`The user that runs Postgres cannot reach ${path}: set TMPDIR or DATABASE_URL`)
}

/** A copy of the binaries and all they load. Its name holds the version, so an update is copied. */
export const copyOf = async ({ initdb, postgres }: Binaries, folder: string): Promise<Binaries> => {
  const native = dirname(dirname(postgres))
  const version = await readFile(join(dirname(native), 'package.json'), 'utf8')
  const copy = join(folder, `native-${hash(version)}`)
  const binaries = {
    initdb: join(copy, 'bin', basename(initdb)),
    postgres: join(copy, 'bin', basename(postgres)),
  }
  const there = await access(copy).then(
    () => true,
    () => false,
  )
  if (there) return binaries
  // Under another name until it is whole: a copy cut short would be taken for good for ever.
  const part = await mkdtemp(join(folder, 'part-'))
  try {
    await cp(native, part, { recursive: true, verbatimSymlinks: true })
    await run('chmod', ['-R', 'go+rX', part])
    await rename(part, copy).catch(unlessThere)
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return binaries
}

const unlessThere = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EEXIST' && error.code !== 'ENOTEMPTY') throw error
}
