/** npm run tenant -- token, api-token, password, sign-out */
import {
  addApiToken,
  addToken,
  apiTokenKey,
  apiTokensFilter,
  apiTokensOf,
  generatePassword,
  newToken,
  passwordChange,
  revokeApiToken,
  revokeToken,
  setPassword,
  tenantToken,
  webhookUrl,
} from '../../app/tenants/credentials.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import { signOutEverywhere } from '../../app/tenants/sessions.ts'
import { showTenant } from '../../app/tenants/tenants.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  inTransaction,
  readAction,
  readFlags,
  readSecret,
  STRING,
} from './terminal.ts'

const TOKEN_HELP = `Usage: npm run tenant -- token list --tenant ID
       npm run tenant -- token add --tenant ID [--kind cdr|popup]
       npm run tenant -- token revoke --tenant ID --id ID [--force]

The webhook tokens of a business. To replace a token: add a new one, enter the new URL in Voicenter's CPanel, wait for a
call, then revoke the old token, which stays valid until then. A token is shown only when it is added.

  --tenant ID    the business
  --kind KIND    what the new token opens: cdr (the default) for Voicenter's CDR Notification, popup for its Pop-Up Screen.
                 Agents' browsers know a popup token: it cannot report calls
  --id ID        the id of the token, from the list
  --force        revoke the token even if it is the last valid one: Voicenter's deliveries are then rejected
  --json         the last line of stdout is one JSON object. list: tenantId, webhookTokens; add: tenantId, tokenId,
                 webhookToken, webhookUrl; revoke: tenantId, tokenId, revoked (false = it was already revoked)
  --help         show this text`

export const token: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['list', 'add', 'revoke'])
  const flags = readFlags(rest, TOKEN_HELP, {
    tenant: STRING,
    id: STRING,
    kind: STRING,
    force: BOOLEAN,
    json: BOOLEAN,
  })
  if (flags.kind !== undefined && action !== 'add') fail(`token ${action}: no --kind`)
  if (action === 'revoke') {
    const { tenant = '', id = '', force } = flags
    const wanted = check(tenantToken, { tenantId: tenant, tokenId: id, force })
    const { revoked } = await inTransaction(terminal, trx => revokeToken(trx, COMMAND_LINE, wanted))
    const { tenantId, tokenId } = wanted
    console.error(`webhook token ${tokenId} ${revoked ? 'is' : 'was already'} revoked`)
    if (flags.json) console.log(JSON.stringify({ tenantId, tokenId, revoked }))
    return
  }
  if (flags.id !== undefined || flags.force) fail(`token ${action}: no --id, no --force`)
  const wanted = check(newToken, { tenantId: flags.tenant ?? '', kind: flags.kind })
  const { tenantId, kind } = wanted
  if (action === 'list') {
    const { webhookTokens } = await inTransaction(terminal, trx => showTenant(trx, tenantId))
    if (flags.json) console.log(JSON.stringify({ tenantId, webhookTokens }))
    else console.table(webhookTokens)
    return
  }
  const added = await inTransaction(terminal, trx => addToken(trx, COMMAND_LINE, tenantId, kind))
  const url = webhookUrl(added.webhookToken, kind)
  console.error('the other tokens of this business stay valid until you revoke them')
  if (flags.json) console.log(JSON.stringify({ tenantId, ...added, webhookUrl: url }))
  else console.log(`Webhook URL for Voicenter (token ${added.tokenId}, shown this once):\n${url}`)
}

const API_TOKEN_HELP = `Usage: npm run tenant -- api-token add --tenant ID
       npm run tenant -- api-token list [--tenant ID]
       npm run tenant -- api-token revoke --id ID [--tenant ID]

The tokens with which programs use the API of a business (docs/api.md). A token reads all calls and people of this business,
answers them, and opens nothing else. A token is shown only when it is added.

  --tenant ID    the business; without it, list shows the tokens of all
  --id ID        the id of the token, from the list
  --json         the last line of stdout is one JSON object. list: apiTokens; add: tenantId, tokenId, apiToken; revoke:
                 tenantId, tokenId, revoked (false = it was already revoked)
  --help         show this text`

export const apiToken: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['list', 'add', 'revoke'])
  const flags = readFlags(rest, API_TOKEN_HELP, { tenant: STRING, id: STRING, json: BOOLEAN })
  if (action === 'revoke') {
    const wanted = check(apiTokenKey, { tenantId: flags.tenant, tokenId: flags.id ?? '' })
    const revoked = await inTransaction(terminal, trx => revokeApiToken(trx, COMMAND_LINE, wanted))
    console.error(`API token ${revoked.tokenId} ${revoked.revoked ? 'is' : 'was already'} revoked`)
    if (flags.json) console.log(JSON.stringify(revoked))
    return
  }
  if (flags.id !== undefined) fail(`api-token ${action}: no --id`)
  if (action === 'list') {
    const wanted = check(apiTokensFilter, { tenantId: flags.tenant })
    const apiTokens = await inTransaction(terminal, trx => apiTokensOf(trx, wanted))
    if (flags.json) console.log(JSON.stringify({ apiTokens }))
    else console.table(apiTokens)
    return
  }
  const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
  const added = await inTransaction(terminal, trx => addApiToken(trx, COMMAND_LINE, tenantId))
  if (flags.json) console.log(JSON.stringify({ tenantId, ...added }))
  else console.log(`API token ${added.tokenId} (shown this once):\n${added.apiToken}`)
}

const PASSWORD_HELP = `Usage: npm run tenant -- password --tenant ID (--generate | --password-env NAME | --password-stdin | --clear)

Sets or clears the password with which a business signs in to /ops. There it sees and changes only its own data.

  --tenant ID           the business
  --generate            generate a password and show it once
  --password-env NAME   the environment variable that contains the password; at least 12 characters
  --password-stdin      or read the password from standard input
  --clear               the business can no longer sign in
  --json                the last line of stdout is one JSON object: tenantId, changed, password (if generated)
  --help                show this text`

export const password: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, PASSWORD_HELP, {
    tenant: STRING,
    generate: BOOLEAN,
    'password-env': STRING,
    'password-stdin': BOOLEAN,
    clear: BOOLEAN,
    json: BOOLEAN,
  })
  const isGiven = Boolean(flags['password-env'] ?? flags['password-stdin'])
  if ([flags.generate, isGiven, flags.clear].filter(Boolean).length !== 1)
    fail('one of --generate, --password-env, --password-stdin and --clear')
  const given = await readSecret(
    terminal,
    '--password',
    flags['password-env'],
    flags['password-stdin'],
  )
  const generated = flags.generate ? generatePassword() : undefined
  const wanted = check(passwordChange, {
    tenantId: flags.tenant ?? '',
    password: generated ?? given ?? null,
  })
  const { tenantId } = wanted
  const { changed } = await inTransaction(terminal, trx => setPassword(trx, COMMAND_LINE, wanted))
  const result = flags.clear ? (changed ? 'is cleared' : 'was not set') : 'is set'
  console.error(`tenant ${tenantId}: its password ${result}`)
  if (flags.json)
    console.log(JSON.stringify({ tenantId, changed, ...(generated && { password: generated }) }))
  else if (generated) console.log(`Password for /ops (shown this once):\n${generated}`)
}

const SIGN_OUT_HELP = `Usage: npm run tenant -- sign-out --tenant ID

Signs a business out of /ops on all devices and revokes all links that were sent to its owner. A new password does the
same.

  --tenant ID    the business
  --json         the last line of stdout is one JSON object: tenantId, sessions, links (how many were ended)
  --help         show this text`

export const signOut: Command = async (args, terminal) => {
  const { console } = terminal
  const flags = readFlags(args, SIGN_OUT_HELP, { tenant: STRING, json: BOOLEAN })
  const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
  const { sessions, links } = await inTransaction(terminal, trx =>
    signOutEverywhere(trx, COMMAND_LINE, tenantId),
  )
  console.error(`tenant ${tenantId}: ${sessions} sessions ended, ${links} links revoked`)
  if (flags.json) console.log(JSON.stringify({ tenantId, sessions, links }))
}
