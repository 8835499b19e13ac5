/** npm run export: writes calls, leads, messages, live calls or excluded numbers of a tenant as CSV. */
import { open } from 'node:fs/promises'
import { userError } from '../app/errors.ts'
import { exportCsv, exportRequest } from '../app/privacy/export.ts'
import {
  check,
  COMMAND_LINE,
  fieldsOf,
  type Io,
  readFlags,
  runCommand,
  runProcess,
  STRING,
  type Terminal,
} from './tenant/terminal.ts'

const HELP = `Usage: npm run export -- --tenant ID --what calls|leads|messages|live_calls|exclusions|campaigns|events [options]

Writes CSV that Excel opens, including Hebrew. Times are in the time zone of the business, which is the last column. A
cell that a spreadsheet could read as a formula begins with an apostrophe, and so does a number with a plus.

  --tenant ID    the business
  --what WHAT    calls, leads, messages, live_calls, exclusions, campaigns or events
  --since WHEN   a day (2026-11-01) or a moment (2026-11-01T08:00), in the time zone of the business
  --until WHEN   the last day, or the moment at which the period ends
  --output FILE  the file to write (default: standard output)
  --help         show this text`

/** @returns the exit code: 0 = done, 1 = not possible, 2 = wrong arguments */
export const run = (args: string[], io: Io): Promise<number> =>
  runCommand('export', exportRows, args, io)

const exportRows = async (args: string[], terminal: Terminal): Promise<void> => {
  const { console, stdout, openDatabase } = terminal
  const flags = readFlags(args, HELP, {
    tenant: STRING,
    what: STRING,
    since: STRING,
    until: STRING,
    output: STRING,
  })
  const wanted = check(exportRequest, { ...fieldsOf(flags), tenantId: flags.tenant ?? '' })
  const database = await openDatabase()
  // Only this user may read the file, because it contains numbers and texts of people.
  const file = flags.output
    ? await open(flags.output, 'w', 0o600).catch((error: Error) => {
        throw userError('not_writable', `cannot be written (${error.message})`, 'output')
      })
    : null
  const out = file?.createWriteStream() ?? stdout
  const rows = await exportCsv(database, COMMAND_LINE, wanted, out)
  console.error(`${rows} ${wanted.what} of tenant ${wanted.tenantId}`)
}

if (import.meta.main) await runProcess(run)
