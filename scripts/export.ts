/** Calls, leads or messages of a business as CSV: npm run export -- --tenant 1 --what calls --output calls.csv */
import { open } from 'node:fs/promises'
import { db } from '../app/db/kysely.ts'
import { exportCsv, exporting } from '../app/privacy/export.ts'
import { check, COMMAND_LINE, readFlags } from './tenant/terminal.ts'

const HELP = `Usage: npm run export -- --tenant ID --what calls|leads|messages [options]

Writes CSV that Excel opens, Hebrew and all. Times are on the business's own clock; its zone is the last column.
A cell that a spreadsheet would calculate, a number with its plus among them, begins with an apostrophe.

  --tenant ID    the business
  --what WHAT    calls, leads or messages
  --since WHEN   a day (2026-11-01) or a moment (2026-11-01T08:00), on the business's clock
  --until WHEN   the last day, or the moment before which it ends
  --output FILE  where to (default: standard output)
  --help         this text`

const FLAGS = { tenantId: '--tenant', what: '--what', since: '--since', until: '--until' }

const flags = readFlags(process.argv.slice(2), HELP, {
  tenant: { type: 'string' },
  what: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  output: { type: 'string' },
})
const wanted = check(
  exporting,
  {
    tenantId: flags.tenant ?? '',
    what: flags.what,
    since: flags.since,
    until: flags.until,
  },
  FLAGS,
)
try {
  // People's numbers and words: for nobody else on this machine.
  const file = flags.output ? await open(flags.output, 'w', 0o600) : null
  const out = file?.createWriteStream() ?? process.stdout
  const rows = await exportCsv(db, COMMAND_LINE, wanted, out)
  console.error(`${rows} ${wanted.what} of tenant ${wanted.tenantId}`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await db.destroy()
}
