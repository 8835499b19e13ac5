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
import { addNumber, removeNumber, tenantNumber } from '../../app/tenants/numbers.ts'

const HELP = `Usage: npm run tenant -- number list --tenant ID
       npm run tenant -- number add --tenant ID --number NUMBER
       npm run tenant -- number remove --tenant ID --number NUMBER

The numbers that customers of a business dial. Calls to a number that nobody had told us of are judged again once it
is added. What follows from earlier calls to a number that is removed goes on. The last one cannot be removed: pause
the business instead.

  --tenant ID        the business
  --number NUMBER    the number, in any common form
  --json             the last line of stdout is one JSON object: tenantId and numbers; of add tenantId, phone, added
                     and judgedAgain (how many calls); of remove tenantId, phone
  --help             this text`

const FLAGS = { tenantId: '--tenant', phone: '--number' }

export const run = async (args: string[]): Promise<void> => {
  const [action, rest] = readAction(args, ['list', 'add', 'remove'])
  const flags = readFlags(rest, HELP, {
    tenant: { type: 'string' },
    number: { type: 'string' },
    json: { type: 'boolean' },
  })
  const tell = (text: string, answer: object) => {
    console.error(text)
    if (flags.json) console.log(JSON.stringify(answer))
  }
  if (action === 'list') {
    if (flags.number !== undefined) fail('number list: no --number')
    const { tenantId } = check(tenantNamed, { tenantId: flags.tenant ?? '' }, FLAGS)
    return withDatabase(
      trx => shown(trx, tenantId),
      ({ numbers }) =>
        flags.json ? console.log(JSON.stringify({ tenantId, numbers })) : console.table(numbers),
    )
  }
  const wanted = check(
    tenantNumber,
    { tenantId: flags.tenant ?? '', phone: flags.number ?? '' },
    FLAGS,
  )
  const { tenantId, phone } = wanted
  if (action === 'add')
    return withDatabase(
      trx => addNumber(trx, COMMAND_LINE, wanted),
      added => {
        const calls = added.judgedAgain === 1 ? '1 call is' : `${added.judgedAgain} calls are`
        tell(
          added.added
            ? `tenant ${tenantId} has ${phone}; ${calls} judged again`
            : `tenant ${tenantId} has ${phone} already`,
          { tenantId, ...added },
        )
      },
      FLAGS,
    )
  return withDatabase(
    trx => removeNumber(trx, COMMAND_LINE, wanted),
    () => tell(`tenant ${tenantId} no longer has ${phone}`, { tenantId, phone }),
    FLAGS,
  )
}
