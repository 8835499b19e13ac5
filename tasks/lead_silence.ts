import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { closeUnresponsive } from '../app/outreach/cancel.ts'

/** A day after the last reminder: if she has not been heard of, the conversation ends. */
const leadSilence: Task = async payload => {
  const { leadConversationId } = payloads.lead_silence.parse(payload)
  await db.transaction().execute(trx => closeUnresponsive(trx, leadConversationId))
}

export default leadSilence
