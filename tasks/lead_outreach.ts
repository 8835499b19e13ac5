import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { claimFirstMessage } from '../app/outreach/claim.ts'
import { recordFirstMessage } from '../app/outreach/record.ts'
import { sendTemplate } from '../app/whatsapp/client.ts'

/**
 * Two minutes after a missed call: looks again, and sends the caller one WhatsApp message. The sending
 * stands alone between two transactions, and no connection is held meanwhile.
 *
 * Safe to run twice: the second run finds the call claimed, and sends nothing.
 */
const leadOutreach: Task = async payload => {
  const { tenantId, missedCallId } = payloads.lead_outreach.parse(payload)
  const message = await db.transaction().execute(trx => claimFirstMessage(trx, missedCallId))
  if (!message) return
  const outcome = await sendTemplate(message)
  await db.transaction().execute(trx => recordFirstMessage(trx, message.messageId, outcome))
  const { kind } = outcome
  log.info(
    {
      tenantId,
      missedCallId,
      messageId: message.messageId,
      outcome: kind,
      code: kind === 'refused' ? outcome.code : undefined,
    },
    'first message',
  )
}

export default leadOutreach
