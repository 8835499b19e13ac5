import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claimReminder } from '../app/messages/claim_reminder.ts'
import { sendMessage } from '../app/messages/send.ts'

/** Two and twenty-four hours after the first message: looks again, and reminds her if she has been silent. */
const leadReminder: Task = async payload => {
  const { leadConversationId, reminderNumber } = payloads.lead_reminder.parse(payload)
  await sendMessage(
    'lead_reminder',
    trx => claimReminder(trx, leadConversationId, reminderNumber),
    {
      leadConversationId,
      reminderNumber,
    },
  )
}

export default leadReminder
