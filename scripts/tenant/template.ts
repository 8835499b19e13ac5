import { check, COMMAND_LINE, readFlags, shown, withDatabase } from './terminal.ts'
import { change, changeTemplate } from '../../app/tenants/templates.ts'

const HELP = `Usage: npm run tenant -- template --tenant ID [--kind KIND [options]]

Shows which WhatsApp templates a business uses, or sets the one of a kind of message for all its numbers.
The templates themselves are made and approved in Meta's WhatsApp Manager (docs/templates.md).

  --tenant ID        the business
  --kind KIND        initial, reminder_1, reminder_2 or owner_notice
  --name NAME        the template's name, as approved
  --language CODE    and its language, exactly as approved (he, en, en_US); default he
  --variables LIST   what {{1}}, {{2}} ... stand for, separated by commas:
                     business_name, caller_name, call_time, caller_phone, what_happened
  --resume           use it again after Meta had paused it
  --default          go back to Ringback's own
  --json             the last line of stdout is one JSON object: templates
  --help             this text`

const FLAGS = {
  tenantId: '--tenant',
  kind: '--kind',
  name: '--name',
  language: '--language',
  variables: '--variables',
}

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    kind: { type: 'string' },
    name: { type: 'string' },
    language: { type: 'string' },
    variables: { type: 'string' },
    resume: { type: 'boolean' },
    default: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const wanted = check(
    change,
    {
      tenantId: flags.tenant ?? '',
      kind: flags.kind,
      name: flags.name,
      language: flags.language,
      variables: flags.variables?.split(',').map(name => name.trim()),
      resume: flags.resume,
      backToDefault: flags.default,
    },
    FLAGS,
  )
  await withDatabase(
    async trx => {
      if (wanted.kind) await changeTemplate(trx, COMMAND_LINE, { ...wanted, kind: wanted.kind })
      return (await shown(trx, wanted.tenantId)).templates
    },
    templates => {
      if (flags.json) console.log(JSON.stringify({ templates }))
      else console.table(templates)
    },
  )
}
