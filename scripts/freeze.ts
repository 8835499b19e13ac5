/**
 * The migrations of the releases, in sql/released.json. Databases exist that were made from them, so they never change.
 *
 *   node scripts/freeze.ts           lists the migrations of the version in package.json
 *   node scripts/freeze.ts --check   fails if one of them was edited or is not listed
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { migrationNames } from '../app/db/migrate.ts'

const LIST = new URL('../sql/released.json', import.meta.url)

const released = z.strictObject({
  /** Null = nothing has been released. */
  version: z.string().nullable(),
  /** As in `kysely_migration`: the file, and a hash of its statements. */
  migrations: z.array(z.string()),
})
type Released = z.infer<typeof released>

/** @returns which released migration is no longer among those in sql/, and what to do */
export const editedMigration = (
  { version, migrations: frozen }: Released,
  migrations: readonly string[],
): string | null => {
  const edited = frozen.find(name => !migrations.includes(name))
  return edited === undefined
    ? null
    : `sql/${edited.replace(/ .*/, '')} belongs to release ${version} and was changed. Restore it, and make the change in a new file`
}

/** @returns what to do if the version in package.json is a release whose migrations are not listed */
export const unlistedRelease = ({ version: listed }: Released, version: string): string | null =>
  version.startsWith('0.') || version === listed
    ? null
    : `sql/released.json does not list release ${version}: run node scripts/freeze.ts`

if (process.argv[1] === import.meta.filename) {
  const list = released.parse(JSON.parse(readFileSync(LIST, 'utf8')))
  const packageFile = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(packageFile))
  const migrations = await migrationNames()
  const isCheck = process.argv.includes('--check')
  const problem = editedMigration(list, migrations) ?? (isCheck && unlistedRelease(list, version))
  if (problem) {
    console.error(problem)
    process.exitCode = 1
  } else if (!isCheck) writeFileSync(LIST, `${JSON.stringify({ version, migrations }, null, 2)}\n`)
}
