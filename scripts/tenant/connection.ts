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
import { connectionState, setConnectionState } from '../../app/tenants/connections.ts'

const HELP = `Usage: npm run tenant -- connection list --tenant ID
       npm run tenant -- connection pause --tenant ID --phone-number-id ID
       npm run tenant -- connection resume --tenant ID --phone-number-id ID

The WhatsApp numbers a business writes from. While one is paused, what would go out through it is held
(scheduled / connection_paused) and looked at every minute; what is late by then is given up. If the business has
another active one, that is used instead. A number that WhatsApp made us pause goes on with resume, or with a new
token (npm run tenant -- connect).

  --tenant ID             the business
  --phone-number-id ID    Meta's id of the number
  --json                  the last line of stdout is one JSON object: tenantId and connections; of pause and resume
                          tenantId, phoneNumberId, state and changed
  --help                  this text`

const FLAGS = { tenantId: '--tenant', phoneNumberId: '--phone-number-id' }

export const run = async (args: string[]): Promise<void> => {
  const [action, rest] = readAction(args, ['list', 'pause', 'resume'])
  const flags = readFlags(rest, HELP, {
    tenant: { type: 'string' },
    'phone-number-id': { type: 'string' },
    json: { type: 'boolean' },
  })
  if (action === 'list') {
    if (flags['phone-number-id'] !== undefined) fail('connection list: no --phone-number-id')
    const { tenantId } = check(tenantNamed, { tenantId: flags.tenant ?? '' }, FLAGS)
    return withDatabase(
      trx => shown(trx, tenantId),
      ({ connections }) =>
        flags.json
          ? console.log(JSON.stringify({ tenantId, connections }))
          : console.table(connections),
    )
  }
  const wanted = check(
    connectionState,
    {
      tenantId: flags.tenant ?? '',
      phoneNumberId: flags['phone-number-id'] ?? '',
      state: action === 'pause' ? 'paused' : 'active',
    },
    FLAGS,
  )
  return withDatabase(
    trx => setConnectionState(trx, COMMAND_LINE, wanted),
    ({ changed }) => {
      const { phoneNumberId, state } = wanted
      console.error(`WhatsApp number ${phoneNumberId} ${changed ? 'is' : 'was already'} ${state}`)
      if (flags.json) console.log(JSON.stringify({ ...wanted, changed }))
    },
    FLAGS,
  )
}
