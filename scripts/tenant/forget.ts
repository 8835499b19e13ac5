import { createInterface } from 'node:readline/promises'
import { check, COMMAND_LINE, fail, readFlags, withDatabase } from './terminal.ts'
import { erase, eraseInput, previewErase } from '../../app/privacy/erase.ts'

const HELP = `Usage: npm run tenant -- forget --tenant ID --number NUMBER [--dry-run | --yes]

Erases one person: her number, name and words go from every row of this business, what is pending for her is
cancelled, and only that she opted out, if she did, is still known. It cannot be undone (docs/privacy.md).

  --tenant ID      the business
  --number NUMBER  the person, in any common form
  --dry-run        only show how many rows hold something of hers
  --yes            do not ask
  --json           the last line of stdout is one JSON object: tenantId, erased, dryRun
  --help           this text`

const FLAGS = { tenantId: '--tenant', number: '--number' }

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    number: { type: 'string' },
    'dry-run': { type: 'boolean' },
    yes: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const dryRun = flags['dry-run'] ?? false
  const person = check(
    eraseInput,
    { tenantId: flags.tenant ?? '', number: flags.number ?? '' },
    FLAGS,
  )
  if (!dryRun && !flags.yes) await confirm()
  await withDatabase(
    trx => (dryRun ? previewErase : erase)(trx, COMMAND_LINE, person),
    erased => {
      console.error(
        dryRun ? 'this would be erased; nothing was changed' : 'erased, in so many rows',
      )
      if (flags.json) console.log(JSON.stringify({ tenantId: person.tenantId, erased, dryRun }))
      else console.table(erased)
    },
    FLAGS,
  )
}

const confirm = async (): Promise<void> => {
  if (!process.stdin.isTTY) fail('it cannot be undone: --yes if you are sure, or --dry-run to see')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question('Erase this person for good? Type yes: ')
  terminal.close()
  if (answer.trim() !== 'yes') fail('nothing was changed')
}
