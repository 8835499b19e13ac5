import { readFile } from 'node:fs/promises'
import { check, COMMAND_LINE, fail, readFlags, withDatabase } from './terminal.ts'
import * as schema from '../../app/tenants/schema.ts'
import { readNumbers } from '../../app/privacy/inputs.ts'
import { addOptOuts } from '../../app/privacy/import_opt_outs.ts'
import { z } from 'zod'

const HELP = `Usage: npm run tenant -- opt-outs --tenant ID --file FILE

Takes in a list of people who must not be written to. One number in each line, in any common form, or a CSV
with numbers in any columns, all of which count. Safe to run twice.

  --tenant ID  the business
  --file FILE  the list; - reads it from standard input
  --json       the last line of stdout is one JSON object: tenantId, added, known, badLines
  --help       this text

A line that is no number is named, and the others are taken in all the same; the exit code is then 1.`

const FLAGS = { tenantId: '--tenant' }

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    file: { type: 'string' },
    json: { type: 'boolean' },
  })
  const bytes = await readList(flags.file)
  const { tenantId } = check(
    z.object({ tenantId: schema.tenantId }),
    { tenantId: flags.tenant ?? '' },
    FLAGS,
  )
  const { numbers, badLines } = readNumbers(bytes)
  await withDatabase(
    trx => addOptOuts(trx, COMMAND_LINE, { tenantId, numbers }),
    ({ added, known }) => {
      console.error(
        `${added} people are new on the list of tenant ${tenantId}, ${known} were known`,
      )
      // By its line: what it says may be somebody's number after all.
      for (const line of badLines) console.error(`line ${line}: not a telephone number`)
      if (badLines.length) process.exitCode = 1
      if (flags.json) console.log(JSON.stringify({ tenantId, added, known, badLines }))
    },
  )
}

const readList = async (file: string | undefined): Promise<Buffer> => {
  if (!file) return fail('--file: expected the list, or - for standard input')
  if (file !== '-')
    return readFile(file).catch((error: unknown) =>
      fail(`--file: ${error instanceof Error ? error.message : String(error)}`),
    )
  const chunks: Uint8Array[] = []
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
