/** npm run tenant -- list, show, add */
import { config } from '../../app/config.ts'
import { curlMissedCall, TRIAL_CALLER } from '../../app/development.ts'
import { webhookUrl } from '../../app/tenants/credentials.ts'
import { describeWarning, loadGoLiveWarnings } from '../../app/tenants/go_live.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import { templateTable } from './templates.ts'
import { addTenant, listTenants, newTenant, showTenant } from '../../app/tenants/tenants.ts'
import { askGraph } from '../../app/whatsapp/account.ts'
import { describeConnection } from './connections.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fieldsOf,
  inTransaction,
  readFlags,
  readSecret,
  STRING,
  STRINGS,
} from './terminal.ts'

const LIST_HELP = `Usage: npm run tenant -- list [--json]

Lists every business: its mode, its numbers, the state of its WhatsApp connection, the time of its last webhook, and
the number of pending first messages.

  --json    the last line of stdout is one JSON object: tenants
  --help    show this text`

export const list: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, LIST_HELP, { json: BOOLEAN })
  const tenants = await inTransaction(terminal, listTenants)
  if (flags.json) return console.log(JSON.stringify({ tenants }))
  if (tenants.length === 0)
    return console.error('there is no business yet: add one with npm run tenant -- add')
  console.table(
    tenants.map(({ numbers, connection, lastWebhookAt, ...rest }) => ({
      ...rest,
      numbers: numbers.join(' '),
      connection: connection ?? 'none',
      lastWebhookAt: lastWebhookAt?.toISOString() ?? 'never',
    })),
  )
}

const SHOW_HELP = `Usage: npm run tenant -- show --tenant ID [--json]

Shows everything about one business: its settings, numbers, WhatsApp numbers, templates, webhook tokens and Call Log
access. It never shows a token or a password.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object with all of this
  --help         show this text`

export const show: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, SHOW_HELP, { tenant: STRING, json: BOOLEAN })
  const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
  const tenant = await inTransaction(terminal, trx => showTenant(trx, tenantId))
  if (flags.json) return console.log(JSON.stringify(tenant))
  const { numbers, connections, templates, webhookTokens, callLog, ...settings } = tenant
  for (const [name, value] of Object.entries(settings))
    console.log(`${name.padEnd(18)} ${format(value)}`)
  const tables = { numbers, connections, templates: templateTable(templates), webhookTokens }
  for (const [title, rows] of Object.entries(tables)) {
    console.log(`\n${title}${rows.length ? '' : ': none'}`)
    if (rows.length) console.table(rows)
  }
  console.log(`\ncallLog${callLog ? '' : ': not compared'}`)
  if (callLog) console.table(callLog)
}

const format = (value: unknown): string => {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.join(', ') || 'none'
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return typeof value === 'string' ? value : JSON.stringify(value ?? 'none').replaceAll('"', '')
}

const ADD_HELP = `Usage: npm run tenant -- add --name NAME --number NUMBER [options]

Adds a business with a webhook token, and prints the URL to enter in Voicenter's CPanel (Integrations, CDR
Notification). The token cannot be shown again.

  --name NAME               the name that customers read in messages
  --number NUMBER           a number that customers dial, in any common form; repeat it for more numbers
  --whatsapp-number NUMBER  the number that messages come from (default: the first --number)
  --phone-number-id ID      Meta's id of that number (WhatsApp Manager, API setup)
  --access-token-env NAME   the environment variable that contains the WhatsApp access token
  --access-token-stdin      or read the access token from standard input
                            (without one, no WhatsApp connection is created and nothing can be sent)
                            Graph is asked about the number (5 seconds at most). If it says no, the business has no
                            connection
  --waba-id ID              Meta's id of the WhatsApp Business account, if Graph cannot tell it
  --app-secret-env NAME     the environment variable that contains the secret of the number's own Meta app
  --owner-phone NUMBER      the phone that gets notices about leads
  --mode MODE               live, shadow (decides everything, sends nothing) or paused; default shadow
  --json                    the last line of stdout is one JSON object: tenantId, webhookToken, webhookUrl
  --help                    show this text`

export const add: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, ADD_HELP, {
    name: STRING,
    number: STRINGS,
    'whatsapp-number': STRING,
    'phone-number-id': STRING,
    'access-token-env': STRING,
    'access-token-stdin': BOOLEAN,
    'waba-id': STRING,
    'app-secret-env': STRING,
    'owner-phone': STRING,
    mode: STRING,
    json: BOOLEAN,
  })
  const accessToken = await readSecret(
    terminal,
    '--access-token',
    flags['access-token-env'],
    flags['access-token-stdin'],
  )
  const tenant = check(newTenant, {
    ...fieldsOf(flags),
    name: flags.name ?? '',
    numbers: flags.number ?? [],
    accessToken,
    appSecret: await readSecret(terminal, '--app-secret', flags['app-secret-env'], false),
  })
  const { accessToken: token, phoneNumberId, wabaId } = tenant
  const answer =
    token && phoneNumberId
      ? await askGraph({ accessToken: token, phoneNumberId, wabaId })
      : undefined
  const { tenantId, webhookToken, connected, warnings } = await inTransaction(
    terminal,
    async trx => {
      const added = await addTenant(trx, COMMAND_LINE, tenant, answer)
      const isLive = tenant.mode === 'live'
      return { ...added, warnings: isLive ? await loadGoLiveWarnings(trx, added.tenantId) : [] }
    },
  )
  const url = webhookUrl(webhookToken)
  console.error(`added ${tenant.name} as tenant ${tenantId}, mode ${tenant.mode}`)
  for (const warning of warnings) console.error(`warning: ${describeWarning(warning)}`)
  if (answer?.kind === 'refused')
    console.error(`WhatsApp refuses the number or the token (${answer.code})`)
  if (connected) describeConnection(console, connected)
  else console.error('no WhatsApp connection: nothing is sent until you add one')
  if (flags.json) return console.log(JSON.stringify({ tenantId, webhookToken, webhookUrl: url }))
  if (!config().production) {
    const isHarmless = isLoopback(config().WHATSAPP_GRAPH_URL) || !connected
    const caller = isHarmless ? TRIAL_CALLER : 'YOUR_MOBILE'
    console.log('To post a missed call to the running program:')
    console.log(`  ${curlMissedCall(url, tenant.numbers[0] ?? '', caller)}`)
    console.log(`It is then on ${config().PUBLIC_URL}/ops/calls\n`)
  }
  console.log(`Webhook URL for Voicenter (shown this once):\n${url}`)
}

/** No message that is sent there reaches a real phone. */
const isLoopback = (url: string): boolean =>
  /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)
