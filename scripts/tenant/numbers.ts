/** npm run tenant -- number */
import {
  addNumber,
  confirmNumber,
  removeNumber,
  tenantNumber,
  showTenant,
} from '../../app/tenants/tenants.ts'
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
} from './terminal.ts'

const HELP = `Usage: npm run tenant -- number list --tenant ID
       npm run tenant -- number add --tenant ID --number NUMBER
       npm run tenant -- number confirm --tenant ID --number NUMBER
       npm run tenant -- number remove --tenant ID --number NUMBER

The numbers that customers of a business dial. When a number is added, earlier calls to it are classified again. When a
number is removed, outreach for earlier calls to it continues. The last number cannot be removed: pause the business
instead. confirm says that customers dial the number, before a first call to it came (check).

  --tenant ID        the business
  --number NUMBER    the number, in any common form
  --json             the last line of stdout is one JSON object. list: tenantId, numbers; add: tenantId, phone, added,
                     reclassified (how many calls); confirm, remove: tenantId, phone
  --help             show this text`

export const number: Command = async (args, terminal) => {
  const { console } = terminal
  const [action, rest] = readAction(args, ['list', 'add', 'confirm', 'remove'])
  const flags = readFlags(rest, HELP, { tenant: STRING, number: STRING, json: BOOLEAN })
  if (action === 'list') {
    if (flags.number !== undefined) fail('number list: no --number')
    const { tenantId } = check(tenantOnly, { tenantId: flags.tenant ?? '' })
    const { numbers } = await inTransaction(terminal, trx => showTenant(trx, tenantId))
    if (flags.json) console.log(JSON.stringify({ tenantId, numbers }))
    else console.table(numbers)
    return
  }
  const wanted = check(tenantNumber, { tenantId: flags.tenant ?? '', phone: flags.number ?? '' })
  const { tenantId, phone } = wanted
  if (action === 'add') {
    const result = await inTransaction(terminal, trx => addNumber(trx, COMMAND_LINE, wanted))
    const calls = result.reclassified === 1 ? '1 call is' : `${result.reclassified} calls are`
    console.error(
      result.added
        ? `tenant ${tenantId} has ${phone}; ${calls} classified again`
        : `tenant ${tenantId} has ${phone} already`,
    )
    if (flags.json) console.log(JSON.stringify({ tenantId, ...result }))
    return
  }
  const change = action === 'confirm' ? confirmNumber : removeNumber
  await inTransaction(terminal, trx => change(trx, COMMAND_LINE, wanted))
  console.error(
    action === 'confirm'
      ? `tenant ${tenantId}: customers dial ${phone}`
      : `tenant ${tenantId} no longer has ${phone}`,
  )
  if (flags.json) console.log(JSON.stringify({ tenantId, phone }))
}
