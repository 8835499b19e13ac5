import { check, COMMAND_LINE, readAccessToken, readFlags, withDatabase } from './terminal.ts'
import { webhookUrl } from '../../app/tenants/credentials.ts'
import { addTenant, newTenant } from '../../app/tenants/tenants.ts'

const HELP = `Usage: npm run tenant -- add --name NAME --number NUMBER [options]

Adds a business with a webhook token bound to it, and prints the URL to enter in Voicenter's CPanel
(Integrations, CDR Notification). The token is shown this once.

  --name NAME               the name customers read in the message
  --number NUMBER           a number customers dial, in any common form; repeat for more than one
  --whatsapp-number NUMBER  the number messages come from (default: the first --number)
  --phone-number-id ID      Meta's id of that number (WhatsApp Manager, API setup)
  --access-token-env NAME   the environment variable that holds the WhatsApp access token
  --access-token-stdin      or read the token from standard input
                            (without a token no connection is made, and nothing can be sent)
  --owner-phone NUMBER      whom to tell about warm leads
  --mode MODE               live, shadow (decides everything, sends nothing) or paused; default shadow
  --json                    the last line of stdout is one JSON object: tenantId, webhookToken, webhookUrl
  --help                    this text`

const FLAGS = {
  name: '--name',
  numbers: '--number',
  phone: '--number',
  whatsappNumber: '--whatsapp-number',
  phoneNumberId: '--phone-number-id',
  accessToken: '--access-token-env',
  ownerPhone: '--owner-phone',
  mode: '--mode',
}

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    name: { type: 'string' },
    number: { type: 'string', multiple: true },
    'whatsapp-number': { type: 'string' },
    'phone-number-id': { type: 'string' },
    'access-token-env': { type: 'string' },
    'access-token-stdin': { type: 'boolean' },
    'owner-phone': { type: 'string' },
    mode: { type: 'string' },
    json: { type: 'boolean' },
  })
  const accessToken = await readAccessToken(flags['access-token-env'], flags['access-token-stdin'])
  const tenant = check(
    newTenant,
    {
      name: flags.name ?? '',
      numbers: flags.number ?? [],
      whatsappNumber: flags['whatsapp-number'],
      phoneNumberId: flags['phone-number-id'],
      accessToken,
      ownerPhone: flags['owner-phone'],
      mode: flags.mode,
    },
    FLAGS,
  )
  await withDatabase(
    trx => addTenant(trx, COMMAND_LINE, tenant),
    ({ tenantId, webhookToken }) => {
      const url = webhookUrl(webhookToken)
      console.error(`added ${tenant.name} as tenant ${tenantId}, mode ${tenant.mode}`)
      if (!tenant.accessToken)
        console.error('no WhatsApp connection: nothing will be sent until one is added')
      if (flags.json) console.log(JSON.stringify({ tenantId, webhookToken, webhookUrl: url }))
      else console.log(`Webhook URL for Voicenter (shown this once):\n${url}`)
    },
    FLAGS,
  )
}
