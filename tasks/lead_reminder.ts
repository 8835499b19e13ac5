import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'

/** A reminder is due. They are not sent yet: the row says so, and the conversation goes on without. */
const leadReminder: Task = async payload => {
  const { leadConversationId, reminderNumber } = payloads.lead_reminder.parse(payload)
  await db
    .updateTable('messages')
    .set({ state: 'skipped', reason: 'not_sent_by_this_version' })
    .where('lead_conversation_id', '=', leadConversationId)
    .where('kind', '=', `reminder_${reminderNumber}`)
    .where('state', '=', 'scheduled')
    .execute()
}

export default leadReminder
