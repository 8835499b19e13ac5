/** npm run tenant -- forget, opt-outs */
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { buffer } from 'node:stream/consumers'
import { erase, eraseInput, previewErase } from '../../app/privacy/erase.ts'
import { addOptOuts } from '../../app/privacy/import_opt_outs.ts'
import { readNumbers } from '../../app/privacy/inputs.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
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
  const erased = await inTransaction(terminal, trx =>
    (dryRun ? previewErase : erase)(trx, COMMAND_LINE, person),
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

const OPT_OUTS_HELP = `Usage: npm run tenant -- opt-outs --tenant ID --file FILE

Imports a list of people who must not get messages. Each line has one number, in any common form, or the list is a CSV
with numbers in any columns, and all of them count. Safe to run twice.

  --tenant ID  the business
  --file FILE  the list; - reads it from standard input
  --json       the last line of stdout is one JSON object: tenantId, added, known, badLines
  --help       show this text

A line without a number is reported, and all other lines are imported. The exit code is then 1.`

export const optOuts: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, OPT_OUTS_HELP, { tenant: STRING, file: STRING, json: BOOLEAN })
  const bytes = await readList(flags.file, terminal)
  const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
  const { numbers, badLines } = readNumbers(bytes)
  const { added, known } = await inTransaction(terminal, trx =>
    addOptOuts(trx, COMMAND_LINE, { tenantId, numbers }),
  )
  console.error(`${added} people are new on the list of tenant ${tenantId}, ${known} were known`)
  // Without the text of the line, because it may contain a number after all.
  for (const line of badLines) console.error(`line ${line}: not a telephone number`)
  if (flags.json) console.log(JSON.stringify({ tenantId, added, known, badLines }))
  return badLines.length ? 1 : 0
}

const readList = async (file: string | undefined, { stdin }: Terminal): Promise<Buffer> => {
  if (!file) return fail('--file: expected the list, or - for standard input')
  if (file === '-') return buffer(stdin)
  return readFile(file).catch((error: unknown) =>
    fail(`--file: ${error instanceof Error ? error.message : String(error)}`),
  )
}
