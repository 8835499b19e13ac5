import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { check, COMMAND_LINE, readFlags, withDatabase } from './terminal.ts'
import { db } from '../../app/db/kysely.ts'
import { testMessage, testMessageState } from '../../app/tenants/test_message.ts'
import { tenantNamed } from '../../app/tenants/schema.ts'

const HELP = `Usage: npm run tenant -- test-message --tenant ID [--wait SECONDS]

Sends the first message that customers get to the owner's own phone, through the business's own WhatsApp number: that
it arrives shows that number, token and template are right. Works in shadow and while paused, for it is how a
business is tried before it goes live. One try, at most one a minute; what goes wrong with it pauses nothing.

  --tenant ID       the business
  --wait SECONDS    how long to wait for what becomes of it, 0 to 60; default 20
  --json            the last line of stdout is one JSON object: tenantId, messageId, state, reason, code (WhatsApp's),
                    phoneNumberId (through which it went)
  --help            this text

Ends with 0 if WhatsApp has taken it or it is still queued, else with 1.`

const FLAGS = { tenantId: '--tenant', seconds: '--wait' }

const SECONDS = 'a whole number of seconds from 0 to 60'
const seconds = z.coerce.number(SECONDS).int(SECONDS).min(0, SECONDS).max(60, SECONDS).default(20)

/** Nothing is known yet, and the row will change. */
const OPEN = ['scheduled', 'sending']
const TAKEN = ['accepted', 'sent', 'delivered', 'read']

export const run = async (args: string[]): Promise<void> => {
  const flags = readFlags(args, HELP, {
    tenant: { type: 'string' },
    wait: { type: 'string' },
    json: { type: 'boolean' },
  })
  const wanted = check(
    tenantNamed.extend({ seconds }),
    { tenantId: flags.tenant ?? '', seconds: flags.wait },
    FLAGS,
  )
  const { tenantId } = wanted
  await withDatabase(
    trx => testMessage(trx, COMMAND_LINE, tenantId),
    async ({ messageId }) => {
      const look = () =>
        db.transaction().execute(trx => testMessageState(trx, { tenantId, messageId }))
      const until = performance.now() + wanted.seconds * 1000
      let message = await look()
      while (OPEN.includes(message.state) && performance.now() < until) {
        await sleep(250)
        message = await look()
      }
      console.error(`test message ${messageId}: ${inWords(message)}`)
      if (![...OPEN, ...TAKEN].includes(message.state)) process.exitCode = 1
      if (flags.json) console.log(JSON.stringify({ tenantId, ...message }))
    },
  )
}

const inWords = ({
  state,
  reason,
  code,
}: {
  state: string
  reason: string | null
  code: number | null
}) => {
  if (TAKEN.includes(state)) return `${state}; look at the owner's phone`
  if (state === 'scheduled') return 'still queued; is a worker running?'
  if (state === 'sending') return 'being sent'
  if (state === 'unknown') return `unknown (${reason}): it may have arrived, and is not sent again`
  return `${state} (${reason}${code === null ? '' : `, WhatsApp error ${code}`})`
}
