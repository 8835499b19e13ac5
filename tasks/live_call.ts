import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { applyLiveCalls } from '../app/messages/in_call.ts'

/** Holds or cancels the pending messages of a person who is on the line with the business. Safe to run twice. */
const liveCall: Task = async payload => {
  const lead = payloads.live_call.parse(payload)
  await db.transaction().execute(trx => applyLiveCalls(trx, lead))
}

export default liveCall
