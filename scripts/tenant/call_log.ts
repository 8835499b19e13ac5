import { check, COMMAND_LINE, fail, readFlags, readSecret, withDatabase } from './terminal.ts'
import {
  accessState,
  endAccess,
  grantAccess,
  grantAccessInput,
  callLogInput,
} from '../../app/tenants/call_log.ts'

const HELP = `Usage: npm run tenant -- call-log --tenant ID [--code-env NAME | --bearer-env NAME | --off]

Lets Ringback compare a business's calls with Voicenter's own Call Log, every hour and after an outage, and
take in those whose webhook never came. Without a credential it shows how that stands.

  --tenant ID        the business
  --code-env NAME    the environment variable that holds the organisation's API code; Voicenter takes it
                     only from addresses that are authorised in CPanel
  --code-stdin       or read the code from standard input
  --bearer-env NAME  the environment variable that holds a bearer token, where you have one instead
  --bearer-stdin     or read that from standard input
  --off              forget the credential, and compare no more
  --json             the last line of stdout is one JSON object: tenantId, callLog
  --help             this text`

const FLAGS = {
  tenantId: '--tenant',
  secret: '--code-env, --code-stdin, --bearer-env or --bearer-stdin',
}

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    'code-env': { type: 'string' },
    'code-stdin': { type: 'boolean' },
    'bearer-env': { type: 'string' },
    'bearer-stdin': { type: 'boolean' },
    off: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const isCode = Boolean(flags['code-env'] ?? flags['code-stdin'])
  const isBearer = Boolean(flags['bearer-env'] ?? flags['bearer-stdin'])
  if ([isCode, isBearer, flags.off].filter(Boolean).length > 1)
    fail('a code, a bearer token or --off, not several of them')
  const secret =
    (await readSecret('--code', flags['code-env'], flags['code-stdin'])) ??
    (await readSecret('--bearer', flags['bearer-env'], flags['bearer-stdin']))
  const { tenantId } = check(callLogInput, { tenantId: flags.tenant ?? '' }, FLAGS)
  const access =
    secret === undefined
      ? null
      : check(grantAccessInput, { tenantId, kind: isCode ? 'code' : 'bearer', secret }, FLAGS)
  await withDatabase(
    async trx => {
      if (access) await grantAccess(trx, COMMAND_LINE, access)
      if (flags.off) await endAccess(trx, COMMAND_LINE, tenantId)
      return accessState(trx, tenantId)
    },
    callLog => {
      if (access) console.error(`tenant ${tenantId}: its call log is compared from now on`)
      else if (!callLog) console.error(`tenant ${tenantId}: its call log is not compared`)
      if (flags.json) console.log(JSON.stringify({ tenantId, callLog }))
      else if (callLog) console.table(callLog)
    },
  )
}
