import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claimFirstMessage } from '../app/messages/claim_first.ts'
import { sendMessage } from '../app/messages/send.ts'

/**
 * Two minutes after a missed call: looks again, and sends the caller one WhatsApp message.
 *
 * Safe to run twice: the second run finds the call claimed, and sends nothing.
 */
const leadOutreach: Task = async payload => {
  const { tenantId, missedCallId } = payloads.lead_outreach.parse(payload)
  await sendMessage('lead_outreach', trx => claimFirstMessage(trx, missedCallId), {
    tenantId,
    missedCallId,
  })
}

export default leadOutreach
