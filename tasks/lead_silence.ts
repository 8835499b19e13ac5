import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { closeUnresponsive } from '../app/outreach/silence.ts'

/** Ends a conversation a day after its last reminder, if the person has not answered. Safe to run twice. */
const leadSilence: Task = async payload => {
  const { leadConversationId } = payloads.lead_silence.parse(payload)
  await db.transaction().execute(trx => closeUnresponsive(trx, leadConversationId))
}

export default leadSilence
