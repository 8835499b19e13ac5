/** npm run tenant -- webhook */
import { config } from '../../app/config.ts'
import { checkHost } from '../../app/events/post.ts'
import { deliveriesOf, resend, resendInput, testEndpoint } from '../../app/events/deliveries.ts'
import {
  addEndpoint,
  endpointInput,
  listEndpoints,
  newEndpoint,
  removeEndpoint,
  rotateSecret,
} from '../../app/events/endpoints.ts'
import { EVENT_TYPES } from '../../app/states.ts'
import { tenantOnly } from '../../app/tenants/schema.ts'
import {
  BOOLEAN,
  check,
  type Command,
  COMMAND_LINE,
  fail,
  inTransaction,
  readAction,
  readFlags,
  STRING,
  STRINGS,
} from './terminal.ts'

const WEBHOOK_HELP = `Usage: npm run tenant -- webhook [list] --tenant ID
       npm run tenant -- webhook add --tenant ID --url URL [--event TYPE]...
       npm run tenant -- webhook test|rotate|remove|deliveries --tenant ID --id ID
       npm run tenant -- webhook resend --tenant ID --id ID [--delivery ID]

The addresses of other programs that get the events of a business, by Standard Webhooks (docs/events.md). The secret with
which a receiver checks the signatures is shown once, by add and rotate.

test sends one event webhook.test. rotate makes a new secret; the one before signs too for 24 hours. remove drops what is
not delivered yet. deliveries shows the last 50. resend sends one delivery again; without --delivery it enables the address
and sends everything that was not delivered.

  --tenant ID    the business
  --id ID        the id of the address, from the list
  --url URL      where events are posted: https, with a public address. Outside production http on this machine too
  --event TYPE   a type of event that it gets, any number of times; by default all:
                 ${EVENT_TYPES.slice(0, 5).join(', ')},
                 ${EVENT_TYPES.slice(5).join(', ')}
  --delivery ID  one delivery, from deliveries
  --json         the last line of stdout is one JSON object. list: tenantId, endpoints; add, rotate: endpointId, secret;
                 test: deliveryId, webhookId; remove: endpointId; deliveries: deliveries;
                 resend: count, how many deliveries that were tried begin anew
  --help         show this text`

const SHOWN = 50
const ACTIONS = ['list', 'add', 'test', 'rotate', 'remove', 'deliveries', 'resend'] as const

export const webhook: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ACTIONS)
  const flags = readFlags(rest, WEBHOOK_HELP, {
    tenant: STRING,
    id: STRING,
    url: STRING,
    event: STRINGS,
    delivery: STRING,
    json: BOOLEAN,
  })
  const tenantId = flags.tenant ?? ''
  if (action !== 'add' && (flags.url !== undefined || flags.event !== undefined))
    fail(`webhook ${action}: no --url, no --event`)
  if (action !== 'resend' && flags.delivery !== undefined) fail(`webhook ${action}: no --delivery`)
  if ((action === 'list' || action === 'add') && flags.id !== undefined)
    fail(`webhook ${action}: no --id`)
  const answer = (json: object, text: string) =>
    console.log(flags.json ? JSON.stringify(json) : text)

  if (action === 'list') {
    const wanted = check(tenantOnly, { tenantId })
    const endpoints = await inTransaction(terminal, trx => listEndpoints(trx, wanted.tenantId))
    if (flags.json) console.log(JSON.stringify({ tenantId, endpoints }))
    else console.table(endpoints.map(one => ({ ...one, events: one.events.join(' ') })))
    return
  }
  if (action === 'add') {
    const wanted = check(newEndpoint, { tenantId, url: flags.url ?? '', events: flags.event })
    await checkHost(wanted.url, config())
    const added = await inTransaction(terminal, trx => addEndpoint(trx, COMMAND_LINE, wanted))
    answer(added, `webhook ${added.endpointId}. Its secret, shown this once:\n${added.secret}`)
    return
  }
  const key = check(endpointInput, { tenantId, endpointId: flags.id ?? '' })
  const { endpointId } = key
  if (action === 'test') {
    const sent = await inTransaction(terminal, trx => testEndpoint(trx, COMMAND_LINE, key))
    console.error('the running program sends it now: webhook deliveries shows the result')
    answer(sent, `delivery ${sent.deliveryId}, webhook-id ${sent.webhookId}`)
  } else if (action === 'rotate') {
    const { secret } = await inTransaction(terminal, trx => rotateSecret(trx, COMMAND_LINE, key))
    console.error('for 24 hours the secret before signs too')
    answer(
      { endpointId, secret },
      `New secret of webhook ${endpointId}, shown this once:\n${secret}`,
    )
  } else if (action === 'remove') {
    await inTransaction(terminal, trx => removeEndpoint(trx, COMMAND_LINE, key))
    answer({ endpointId }, `webhook ${endpointId} is removed`)
  } else if (action === 'deliveries') {
    const deliveries = await inTransaction(terminal, trx => deliveriesOf(trx, key, SHOWN))
    if (flags.json) console.log(JSON.stringify({ deliveries }))
    else console.table(deliveries)
  } else {
    const wanted = check(resendInput, { ...key, deliveryId: flags.delivery })
    const sent = await inTransaction(terminal, trx => resend(trx, COMMAND_LINE, wanted))
    answer(
      sent,
      wanted.deliveryId === undefined
        ? `webhook ${endpointId} is enabled and sends what was not delivered`
        : `delivery ${wanted.deliveryId} is sent again`,
    )
  }
}
