import { check, COMMAND_LINE, readAccessToken, readFlags, withDatabase } from './terminal.ts'
import { connect, connection } from '../../app/tenants/connections.ts'

const HELP = `Usage: npm run tenant -- connect --tenant ID --phone-number-id ID --access-token-env NAME [options]

Gives a business a WhatsApp number to write from, or a number that it has a new access token. A paused
connection goes on: what is still timely goes out, the rest is too_late.

  --tenant ID               the business
  --phone-number-id ID      Meta's id of the number
  --whatsapp-number NUMBER  the number itself; needed for one that is new here
  --access-token-env NAME   the environment variable that holds the access token
  --access-token-stdin      or read the token from standard input
  --json                    the last line of stdout is one JSON object: connectionId, tenantId
  --help                    this text`

const FLAGS = {
  tenantId: '--tenant',
  phoneNumberId: '--phone-number-id',
  whatsappNumber: '--whatsapp-number',
  accessToken: '--access-token-env or --access-token-stdin',
}

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    'phone-number-id': { type: 'string' },
    'whatsapp-number': { type: 'string' },
    'access-token-env': { type: 'string' },
    'access-token-stdin': { type: 'boolean' },
    json: { type: 'boolean' },
  })
  const accessToken = await readAccessToken(flags['access-token-env'], flags['access-token-stdin'])
  const wanted = check(
    connection,
    {
      tenantId: flags.tenant ?? '',
      phoneNumberId: flags['phone-number-id'] ?? '',
      whatsappNumber: flags['whatsapp-number'],
      accessToken: accessToken ?? '',
    },
    FLAGS,
  )
  await withDatabase(
    trx => connect(trx, COMMAND_LINE, wanted),
    connectionId => {
      console.error(
        `tenant ${wanted.tenantId} writes through WhatsApp number ${wanted.phoneNumberId}`,
      )
      if (flags.json) console.log(JSON.stringify({ connectionId, tenantId: wanted.tenantId }))
    },
    FLAGS,
  )
}
