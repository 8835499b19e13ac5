/** npm run tenant -- opt-out, opt-outs, exclusion */
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { Trx } from '../../app/db/kysely.ts'
import {
  addExclusion,
  addOptOut,
  exclusionInput,
  type Imported,
  importExclusions,
  importOptOuts,
  listExclusions,
  type TenantNumbers,
  optOutInput,
  removedExclusion,
  removeExclusion,
  removeOptOut,
} from '../../app/privacy/do_not_contact.ts'
import { readNumbers } from '../../app/privacy/inputs.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  inTransaction,
  readAction,
  readFlags,
  STRING,
  type Terminal,
} from './terminal.ts'

const OPT_OUTS_HELP = `Usage: npm run tenant -- opt-outs --tenant ID --file FILE

Imports a list of people who must not get messages. Each line has one number, in any common form, or the list is a CSV
with numbers in any columns, and all of them count. Safe to run twice.

  --tenant ID  the business
  --file FILE  the list; - reads it from standard input
  --json       the last line of stdout is one JSON object: tenantId, added, known, badLines
  --help       show this text

A line without a number is reported, and all other lines are imported. The exit code is then 1.`

export const optOuts: Command = (args, terminal) => {
  const flags = readFlags(args, OPT_OUTS_HELP, { tenant: STRING, file: STRING, json: BOOLEAN })
  return importList(flags, terminal, (trx, list) => importOptOuts(trx, COMMAND_LINE, list))
}

type ListFlags = {
  tenant?: string | undefined
  file?: string | undefined
  json?: boolean | undefined
}

/** @returns the exit code: 1 if a line has no number */
const importList = async (
  flags: ListFlags,
  terminal: Terminal,
  importNumbers: (trx: Trx, list: TenantNumbers) => Promise<Imported>,
): Promise<number> => {
  const { console } = terminal
  const bytes = await readList(flags.file, terminal)
  const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
  const { numbers, badLines } = readNumbers(bytes)
  const { added, known } = await inTransaction(terminal, trx =>
    importNumbers(trx, { tenantId, numbers }),
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

const OPT_OUT_HELP = `Usage: npm run tenant -- opt-out add --tenant ID --number NUMBER
       npm run tenant -- opt-out remove --tenant ID --number NUMBER

add opts out a person who asked for no messages, for example on the phone: what is pending for them is cancelled, and no later
call brings a message. They get no confirmation. remove takes back an opt-out that was set by hand. An opt-out that the person
sent ends only when they write START. Lists of numbers: opt-outs.

  --tenant ID      the business
  --number NUMBER  the person, in any common form
  --json           the last line of stdout is one JSON object. add: tenantId, phone, added; remove: tenantId, phone,
                   removed
  --help           show this text`

const asBefore = (isChanged: boolean): string => (isChanged ? '' : ', as before')

export const optOut: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['add', 'remove'])
  const flags = readFlags(rest, OPT_OUT_HELP, { tenant: STRING, number: STRING, json: BOOLEAN })
  const person = check(optOutInput, { tenantId: flags.tenant ?? '', number: flags.number ?? '' })
  const { tenantId, number } = person
  if (action === 'add') {
    const result = await inTransaction(terminal, trx => addOptOut(trx, COMMAND_LINE, person))
    console.error(`${number} gets no messages of tenant ${tenantId}${asBefore(result.added)}`)
    if (flags.json) console.log(JSON.stringify({ tenantId, ...result }))
    return
  }
  const result = await inTransaction(terminal, trx => removeOptOut(trx, COMMAND_LINE, person))
  console.error(`${number} may get messages of tenant ${tenantId}${asBefore(result.removed)}`)
  if (flags.json) console.log(JSON.stringify({ tenantId, ...result }))
}

const EXCLUSION_HELP = `Usage: npm run tenant -- exclusion list --tenant ID
       npm run tenant -- exclusion add --tenant ID --number NUMBER [--note NOTE]
       npm run tenant -- exclusion remove --tenant ID --number NUMBER
       npm run tenant -- exclusion import --tenant ID --file FILE [--note NOTE]

The numbers that a business never writes to: staff, suppliers. They are not listed as waiting for a call back, and cause no
notices. When a number is added, what is pending for it is cancelled. A file has one number in each line, or is a CSV with
numbers in any columns, and all of them count.

  --tenant ID      the business
  --number NUMBER  the number, in any common form, also a landline
  --note NOTE      who it is, at most 200 characters
  --file FILE      the list; - reads it from standard input
  --json           the last line of stdout is one JSON object. list: tenantId, exclusions (phone, note, createdAt); add:
                   tenantId, phone, added; remove: tenantId, phone, removed; import: tenantId, added, known, badLines
  --help           show this text`

const FLAGS_OF: Record<string, readonly string[]> = {
  list: [],
  add: ['number', 'note'],
  remove: ['number'],
  import: ['file', 'note'],
}

export const exclusion: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['list', 'add', 'remove', 'import'])
  const flags = readFlags(rest, EXCLUSION_HELP, {
    tenant: STRING,
    number: STRING,
    note: STRING,
    file: STRING,
    json: BOOLEAN,
  })
  const allowed = FLAGS_OF[action] ?? []
  for (const flag of ['number', 'note', 'file'] as const)
    if (flags[flag] !== undefined && !allowed.includes(flag))
      fail(`exclusion ${action}: no --${flag}`)
  const input = { tenantId: flags.tenant ?? '', number: flags.number ?? '', note: flags.note }
  if (action === 'import') {
    const { note } = check(exclusionInput.pick({ note: true }), input)
    return importList(flags, terminal, (trx, list) =>
      importExclusions(trx, COMMAND_LINE, { ...list, note }),
    )
  }
  if (action === 'list') {
    const { tenantId } = check(tenantOnly, input)
    const exclusions = await inTransaction(terminal, trx => listExclusions(trx, tenantId))
    if (flags.json) console.log(JSON.stringify({ tenantId, exclusions }))
    else if (exclusions.length > 0) console.table(exclusions)
    else console.error(`tenant ${tenantId} has excluded no number`)
    return
  }
  if (action === 'add') {
    const wanted = check(exclusionInput, input)
    const result = await inTransaction(terminal, trx => addExclusion(trx, COMMAND_LINE, wanted))
    const { tenantId, number } = wanted
    console.error(`tenant ${tenantId} excludes ${number}${asBefore(result.added)}`)
    if (flags.json) console.log(JSON.stringify({ tenantId, ...result }))
    return
  }
  const wanted = check(removedExclusion, input)
  const result = await inTransaction(terminal, trx => removeExclusion(trx, COMMAND_LINE, wanted))
  const { tenantId, number } = wanted
  console.error(
    `tenant ${tenantId} ${result.removed ? 'no longer excludes' : 'did not exclude'} ${number}`,
  )
  if (flags.json) console.log(JSON.stringify({ tenantId, ...result }))
}
