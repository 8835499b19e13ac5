import { mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { reaches, serverAccount } from './account.ts'
import type { Account } from './account.ts'
import { checkBinaries, installedBinaries } from './binaries.ts'
import type { Binaries } from './binaries.ts'
import { copyOf, temporaryFolder } from './temporary.ts'

/** Where a server lives and as whom it runs. `folder` holds url and log, `data` the cluster. */
export type Place = Binaries & { folder: string; data: string; account?: Account }

/** What the keeper is told. */
export type Order = Place & { database: string; flags: string[] }

/** Makes the folder and finds what it takes to run a server there. */
export const placeFor = async (folder: string): Promise<Place> => {
  try {
    await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw new Error(`${folder} cannot be made: make it writable or set DATABASE_URL`, { cause })
  }
  const installed = await installedBinaries()
  const account = await serverAccount()
  const place = account
    ? await placeForAccount(folder, installed, account)
    : { ...installed, folder, data: join(folder, 'data') }
  await checkOwner(place)
  await checkBinaries(place, account)
  return place
}

/** The checkout where the account can reach it, else the system's temporary folder. */
const placeForAccount = async (
  folder: string,
  installed: Binaries,
  account: Account,
): Promise<Place> => {
  const inside = await reaches(account, folder)
  const runnable = await reaches(account, installed.postgres)
  if (inside && runnable) return { ...installed, folder, data: join(folder, 'data'), account }

  const spare = await temporaryFolder(folder, account)
  const what = inside ? dirname(installed.postgres) : folder
  console.error(`The user that runs Postgres cannot reach ${what}: using ${spare}`)
  const binaries = runnable ? installed : await copyOf(installed, spare)
  return { ...binaries, folder, data: join(inside ? folder : spare, 'data'), account }
}

/** Data made as root cannot be used by a normal user, nor the other way round. */
const checkOwner = async ({ data, account }: Place): Promise<void> => {
  const wanted = account?.uid ?? process.getuid?.()
  const found = await stat(data).then(
    ({ uid }) => uid,
    () => wanted,
  )
  if (found === wanted) return
  throw new Error(
    `${data} belongs to another user: run as that user, remove it, or set DATABASE_URL`,
    { cause: { found, wanted } },
  )
}
