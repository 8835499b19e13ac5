/** npm run tenant -- forget */
import { createInterface } from 'node:readline/promises'
import { erase, eraseInput, previewErase } from '../../app/privacy/erase.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  inTransaction,
  readFlags,
  STRING,
  type Terminal,
} from './terminal.ts'

const FORGET_HELP = `Usage: npm run tenant -- forget --tenant ID --number NUMBER [--dry-run | --yes]

Erases one person: it removes their number, name and texts from every row of the business, and cancels pending messages to
them. If they opted out, a keyed hash of the number stays. This cannot be undone (docs/privacy.md).

  --tenant ID      the business
  --number NUMBER  the person, in any common form
  --dry-run        only show how many rows contain data of the person
  --yes            do not ask for confirmation
  --json           the last line of stdout is one JSON object: tenantId, erased, dryRun
  --help           show this text`

const PROGRESS_MS = 2000

export const forget: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, FORGET_HELP, {
    tenant: STRING,
    number: STRING,
    'dry-run': BOOLEAN,
    yes: BOOLEAN,
    json: BOOLEAN,
  })
  const dryRun = flags['dry-run'] ?? false
  const person = check(eraseInput, { tenantId: flags.tenant ?? '', number: flags.number ?? '' })
  if (!dryRun && !flags.yes) await confirm(terminal)
  let toldAt = Date.now()
  const erased = await inTransaction(terminal, trx =>
    (dryRun ? previewErase : erase)(trx, COMMAND_LINE, person, (table, percent) => {
      if (Date.now() - toldAt < PROGRESS_MS) return
      toldAt = Date.now()
      console.error(`searching ${table}: ${percent} %`)
    }),
  )
  console.error(
    dryRun ? 'rows that would be erased; nothing was changed' : 'erased; rows per table:',
  )
  if (flags.json) console.log(JSON.stringify({ tenantId: person.tenantId, erased, dryRun }))
  else console.table(erased)
}

const confirm = async ({ stdin, stderr }: Terminal): Promise<void> => {
  if (!stdin.isTTY) fail('this cannot be undone: use --yes if you are sure, or --dry-run to see')
  const terminal = createInterface({ input: stdin, output: stderr })
  const answer = await terminal.question('Erase this person for good? Type yes: ')
  terminal.close()
  if (answer.trim() !== 'yes') fail('nothing was changed')
}
