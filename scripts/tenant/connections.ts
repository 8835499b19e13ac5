/** npm run tenant -- connect, connection, call-log: the connections of a tenant to WhatsApp and Voicenter */
import {
  accessState,
  callLogInput,
  endAccess,
  grantAccess,
  grantAccessInput,
} from '../../app/tenants/credentials.ts'
import {
  connect as connectNumber,
  type Connected,
  newConnection,
  connectionStateChange,
  setConnectionState,
} from '../../app/tenants/connections.ts'
import { askGraph } from '../../app/whatsapp/account.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import { showTenant } from '../../app/tenants/tenants.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  fieldsOf,
  inTransaction,
  readAction,
  readFlags,
  readSecret,
  STRING,
} from './terminal.ts'

const CONNECT_HELP = `Usage: npm run tenant -- connect --tenant ID --phone-number-id ID --access-token-env NAME [options]

Connects a WhatsApp number to a business, or stores a new access token for a connected number. A paused connection is
resumed: held messages are sent if they are not too late, otherwise they are skipped (too_late). Graph is asked about the
number first, 5 seconds at most. If it says no, nothing changes. If it cannot be reached, the number is connected and stays
unconfirmed. If the number had another id before, the connection with that id sends no more.

  --tenant ID               the business
  --phone-number-id ID      Meta's id of the number
  --whatsapp-number NUMBER  the number itself; required if the id is new and Graph does not tell the number
  --waba-id ID              Meta's id of the WhatsApp Business account, if Graph cannot tell it
  --access-token-env NAME   the environment variable that contains the access token
  --access-token-stdin      or read the access token from standard input
  --app-secret-env NAME     the environment variable that contains the secret of the number's own Meta app, if it is none
                            of WHATSAPP_APP_SECRET. Events with its signature may only be about this number or account
  --json                    the last line of stdout is one JSON object: connectionId, tenantId, confirmed, wabaId, retired
  --help                    show this text`

export const connect: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, CONNECT_HELP, {
    tenant: STRING,
    'phone-number-id': STRING,
    'whatsapp-number': STRING,
    'access-token-env': STRING,
    'access-token-stdin': BOOLEAN,
    'waba-id': STRING,
    'app-secret-env': STRING,
    json: BOOLEAN,
  })
  const accessToken = await readSecret(
    terminal,
    '--access-token',
    flags['access-token-env'],
    flags['access-token-stdin'],
  )
  const wanted = check(newConnection, {
    ...fieldsOf(flags),
    tenantId: flags.tenant ?? '',
    phoneNumberId: flags['phone-number-id'] ?? '',
    accessToken: accessToken ?? '',
    appSecret: await readSecret(terminal, '--app-secret', flags['app-secret-env'], false),
  })
  const { tenantId, phoneNumberId } = wanted
  const answer = await askGraph(wanted)
  const connected = await inTransaction(terminal, trx =>
    connectNumber(trx, COMMAND_LINE, wanted, answer),
  )
  console.error(`tenant ${tenantId} sends through WhatsApp number ${phoneNumberId}`)
  describeConnection(console, connected)
  const { connectionId, isConfirmed: confirmed, wabaId, retired } = connected
  if (flags.json)
    console.log(JSON.stringify({ connectionId, tenantId, confirmed, wabaId, retired }))
}

/** What Graph told, on stderr. */
export const describeConnection = (
  console: Pick<Console, 'error'>,
  { isConfirmed, wabaId, retired }: Connected,
): void => {
  console.error(
    isConfirmed ? 'WhatsApp confirmed the number' : 'not confirmed: WhatsApp could not be asked',
  )
  if (isConfirmed && !wabaId)
    console.error(
      'the account is not known yet: it comes with the first webhook, or with --waba-id',
    )
  for (const id of retired) console.error(`number id ${id} was replaced and sends no more`)
}

const CONNECTION_HELP = `Usage: npm run tenant -- connection list --tenant ID
       npm run tenant -- connection pause --tenant ID --phone-number-id ID
       npm run tenant -- connection resume --tenant ID --phone-number-id ID

The WhatsApp numbers of a business. While a number is paused, its messages are held (scheduled / connection_paused) and
checked every minute. A message that is too late by then is skipped. If the business has another active number, that one
is used. A number that was paused after a WhatsApp error continues with resume, or with a new access token (npm run
tenant -- connect).

  --tenant ID             the business
  --phone-number-id ID    Meta's id of the number
  --json                  the last line of stdout is one JSON object. list: tenantId, connections; pause and resume:
                          tenantId, phoneNumberId, state, changed
  --help                  show this text`

export const connection: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['list', 'pause', 'resume'])
  const flags = readFlags(rest, CONNECTION_HELP, {
    tenant: STRING,
    'phone-number-id': STRING,
    json: BOOLEAN,
  })
  if (action === 'list') {
    if (flags['phone-number-id'] !== undefined) fail('connection list: no --phone-number-id')
    const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
    const { connections } = await inTransaction(terminal, trx => showTenant(trx, tenantId))
    if (flags.json) console.log(JSON.stringify({ tenantId, connections }))
    else console.table(connections)
    return
  }
  const wanted = check(connectionStateChange, {
    tenantId: flags.tenant ?? '',
    phoneNumberId: flags['phone-number-id'] ?? '',
    state: action === 'pause' ? 'paused' : 'active',
  })
  const { changed } = await inTransaction(terminal, trx =>
    setConnectionState(trx, COMMAND_LINE, wanted),
  )
  const { phoneNumberId, state } = wanted
  console.error(`WhatsApp number ${phoneNumberId} ${changed ? 'is' : 'was already'} ${state}`)
  if (flags.json) console.log(JSON.stringify({ ...wanted, changed }))
}

const CALL_LOG_HELP = `Usage: npm run tenant -- call-log --tenant ID [--code-env NAME | --bearer-env NAME | --off]

Compares the calls of a business with Voicenter's Call Log, every hour and after an outage, and stores calls whose webhook
was lost. Without a credential this command shows the state.

  --tenant ID        the business
  --code-env NAME    the environment variable that contains the organisation's API code. Voicenter accepts it only from
                     addresses that are authorised in CPanel
  --code-stdin       or read the code from standard input
  --bearer-env NAME  the environment variable that contains a bearer token, if you have one instead
  --bearer-stdin     or read the bearer token from standard input
  --off              delete the credential and stop comparing
  --json             the last line of stdout is one JSON object: tenantId, callLog
  --help             show this text`

export const callLog: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, CALL_LOG_HELP, {
    tenant: STRING,
    'code-env': STRING,
    'code-stdin': BOOLEAN,
    'bearer-env': STRING,
    'bearer-stdin': BOOLEAN,
    off: BOOLEAN,
    json: BOOLEAN,
  })
  const isCode = Boolean(flags['code-env'] ?? flags['code-stdin'])
  const isBearer = Boolean(flags['bearer-env'] ?? flags['bearer-stdin'])
  if ([isCode, isBearer, flags.off].filter(Boolean).length > 1)
    fail('expected a code, a bearer token or --off, not several of them')
  const secret =
    (await readSecret(terminal, '--code', flags['code-env'], flags['code-stdin'])) ??
    (await readSecret(terminal, '--bearer', flags['bearer-env'], flags['bearer-stdin']))
  const { tenantId } = check(callLogInput, { tenantId: flags.tenant ?? '' })
  const kind = isCode ? 'code' : 'bearer'
  const access = secret === undefined ? null : check(grantAccessInput, { tenantId, kind, secret })
  const state = await inTransaction(terminal, async trx => {
    if (access) await grantAccess(trx, COMMAND_LINE, access)
    if (flags.off) await endAccess(trx, COMMAND_LINE, tenantId)
    return accessState(trx, tenantId)
  })
  if (access) console.error(`tenant ${tenantId}: its call log is compared from now on`)
  else if (!state) console.error(`tenant ${tenantId}: its call log is not compared`)
  if (flags.json) console.log(JSON.stringify({ tenantId, callLog: state }))
  else if (state) console.table(state)
}
