import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claim } from '../app/messages/claim.ts'
import { firstMessage } from '../app/messages/kinds.ts'
import { record } from '../app/messages/record.ts'
import { send } from '../app/messages/send.ts'

/** Sends the first message for a missed call, two minutes after the call was recorded. Safe to run twice. */
const leadOutreach: Task = async payload => {
  const { tenantId, missedCallId } = payloads.lead_outreach.parse(payload)
  const message = await claim(firstMessage(missedCallId, tenantId)) // one transaction; null: nothing to send, or not yet
  if (!message) return
  const outcome = await send(message) // no transaction, and no connection held
  await record(message, outcome) // one transaction, tried again while the database is unavailable
}

export default leadOutreach
