import type { Trx } from '../../app/db/kysely.ts'
import { listTenants } from '../../app/tenants/tenants.ts'
import { readFlags, withDatabase } from './terminal.ts'

const HELP = `Usage: npm run tenant -- list [--json]

Every business in a line: its mode, its numbers, whether it has an active WhatsApp number, when its last webhook
came, and how many first messages wait.

  --json    the last line of stdout is one JSON object: tenants
  --help    this text`

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, { json: { type: 'boolean' } })
  const list = (trx: Trx) => listTenants(trx)
  await withDatabase(list, tenants => {
    if (flags.json) return console.log(JSON.stringify({ tenants }))
    if (tenants.length === 0)
      return console.error('there is no business yet: npm run tenant -- add')
    console.table(
      tenants.map(({ numbers, connection, lastWebhookAt, ...rest }) => ({
        ...rest,
        numbers: numbers.join(' '),
        connection: connection ?? 'none',
        lastWebhookAt: lastWebhookAt?.toISOString() ?? 'never',
      })),
    )
  })
}
