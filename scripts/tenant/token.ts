import {
  check,
  COMMAND_LINE,
  fail,
  readAction,
  readFlags,
  shown,
  withDatabase,
} from './terminal.ts'
import { tenantNamed } from '../../app/tenants/schema.ts'
import { addToken, revokeToken, tenantToken, webhookUrl } from '../../app/tenants/credentials.ts'

const HELP = `Usage: npm run tenant -- token list --tenant ID
       npm run tenant -- token add --tenant ID
       npm run tenant -- token revoke --tenant ID --id ID [--force]

The webhook tokens of a business. To replace one: add a new one, enter the new URL in Voicenter's CPanel, see a call
come in, and revoke the old one, which stays valid until then. A token is shown once, when it is added.

  --tenant ID    the business
  --id ID        the token's id, as the list shows it
  --force        revoke it even if it is the last valid one: Voicenter's calls are turned away from then on
  --json         the last line of stdout is one JSON object: tenantId and webhookTokens; of add tenantId, tokenId,
                 webhookToken and webhookUrl; of revoke tenantId, tokenId and revoked (false = it was already)
  --help         this text`

const FLAGS = { tenantId: '--tenant', tokenId: '--id' }

export const run = async (args: string[]): Promise<void> => {
  const [action, rest] = readAction(args, ['list', 'add', 'revoke'])
  const flags = readFlags(rest, HELP, {
    tenant: { type: 'string' },
    id: { type: 'string' },
    force: { type: 'boolean' },
    json: { type: 'boolean' },
  })
  if (action === 'revoke') {
    const wanted = check(
      tenantToken,
      { tenantId: flags.tenant ?? '', tokenId: flags.id ?? '', force: flags.force },
      FLAGS,
    )
    const { tenantId, tokenId } = wanted
    return withDatabase(
      trx => revokeToken(trx, COMMAND_LINE, wanted),
      ({ revoked }) => {
        console.error(`webhook token ${tokenId} ${revoked ? 'is' : 'was already'} revoked`)
        if (flags.json) console.log(JSON.stringify({ tenantId, tokenId, revoked }))
      },
      FLAGS,
    )
  }
  if (flags.id !== undefined || flags.force) fail(`token ${action}: no --id, no --force`)
  const { tenantId } = check(tenantNamed, { tenantId: flags.tenant ?? '' }, FLAGS)
  if (action === 'list')
    return withDatabase(
      trx => shown(trx, tenantId),
      ({ webhookTokens }) =>
        flags.json
          ? console.log(JSON.stringify({ tenantId, webhookTokens }))
          : console.table(webhookTokens),
    )
  return withDatabase(
    trx => addToken(trx, COMMAND_LINE, tenantId),
    added => {
      const url = webhookUrl(added.webhookToken)
      console.error('the tokens that this business has stay valid until they are revoked')
      if (flags.json) console.log(JSON.stringify({ tenantId, ...added, webhookUrl: url }))
      else
        console.log(`Webhook URL for Voicenter (token ${added.tokenId}, shown this once):\n${url}`)
    },
  )
}
