import { check, readFlags, shown, withDatabase } from './terminal.ts'
import { tenantNamed } from '../../app/tenants/schema.ts'

const HELP = `Usage: npm run tenant -- show --tenant ID [--json]

Everything about one business: what it has set, its numbers, its WhatsApp numbers and templates, its webhook tokens,
its call log. Never a token or a password.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object with all of it
  --help         this text`

const FLAGS = { tenantId: '--tenant' }

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, { tenant: { type: 'string' }, json: { type: 'boolean' } })
  const { tenantId } = check(tenantNamed, { tenantId: flags.tenant ?? '' }, FLAGS)
  await withDatabase(
    trx => shown(trx, tenantId),
    tenant => {
      if (flags.json) return console.log(JSON.stringify(tenant))
      const { numbers, connections, templates, webhookTokens, callLog, ...settings } = tenant
      for (const [name, value] of Object.entries(settings))
        console.log(`${name.padEnd(18)} ${said(value)}`)
      for (const [title, rows] of Object.entries({
        numbers,
        connections,
        templates,
        webhookTokens,
      })) {
        console.log(`\n${title}${rows.length ? '' : ': none'}`)
        if (rows.length) console.table(rows)
      }
      console.log(`\ncallLog${callLog ? '' : ': not compared'}`)
      if (callLog) console.table(callLog)
    },
  )
}

const said = (value: unknown): string => {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.join(', ') || 'none'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return typeof value === 'string' ? value : JSON.stringify(value ?? 'none').replaceAll('"', '')
}
