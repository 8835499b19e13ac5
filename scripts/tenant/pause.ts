import { tellChanged } from './set.ts'
import { check, COMMAND_LINE, readFlags, withDatabase } from './terminal.ts'
import { settings, setTenant } from '../../app/tenants/settings.ts'

const HELP = `Usage: npm run tenant -- pause --tenant ID

Short for set --mode paused: calls are recorded and judged, and nobody is written to. What comes due while a business
is paused is skipped (tenant_paused), and is not made up for later. To hold messages instead, pause its connection.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object: tenantId, and of what changed before, after
  --help         this text`

const FLAGS = { tenantId: '--tenant' }

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, { tenant: { type: 'string' }, json: { type: 'boolean' } })
  const wanted = check(settings, { tenantId: flags.tenant ?? '', mode: 'paused' }, FLAGS)
  await withDatabase(
    trx => setTenant(trx, COMMAND_LINE, wanted),
    changed => tellChanged(wanted.tenantId, changed, flags.json),
  )
}
