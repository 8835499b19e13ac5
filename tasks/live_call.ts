import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { failpoint } from '../app/failpoints.ts'
import { applyLiveCalls } from '../app/messages/in_call.ts'

/** Holds or cancels the pending messages of a person who is on the line with the tenant. Safe to run twice. */
const liveCall: Task = async payload => {
  const lead = payloads.live_call.parse(payload)
  failpoint('live_call:started')
  await db.transaction().execute(async trx => {
    await applyLiveCalls(trx, lead)
    failpoint('live_call:applied')
  })
  failpoint('live_call:committed')
}

export default liveCall
