import { tellChanged } from './set.ts'
import { check, COMMAND_LINE, readFlags, withDatabase } from './terminal.ts'
import { resumeTenant } from '../../app/tenants/settings.ts'
import { tenantNamed } from '../../app/tenants/schema.ts'

const HELP = `Usage: npm run tenant -- resume --tenant ID

Lets a paused business go on in the mode it had before, live or shadow. Where that is not known (it was paused by SQL, or
added so), say it: set --mode live.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object: tenantId, and of what changed before, after
  --help         this text`

const FLAGS = { tenantId: '--tenant' }

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, { tenant: { type: 'string' }, json: { type: 'boolean' } })
  const { tenantId } = check(tenantNamed, { tenantId: flags.tenant ?? '' }, FLAGS)
  await withDatabase(
    trx => resumeTenant(trx, COMMAND_LINE, tenantId),
    changed => tellChanged(tenantId, changed, flags.json),
  )
}
