import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { claim } from '../app/messages/claim.ts'
import { reminder } from '../app/messages/kinds.ts'
import { record } from '../app/messages/record.ts'
import { send } from '../app/messages/send.ts'

/** Sends a reminder, 2 and 24 hours after the first message, if the person has not answered. Safe to run twice. */
const leadReminder: Task = async payload => {
  const { leadConversationId, reminderNumber } = payloads.lead_reminder.parse(payload)
  const message = await claim(reminder(leadConversationId, reminderNumber))
  if (message) await record(message, await send(message))
}

export default leadReminder
