import type { Task } from 'graphile-worker'
import { addJob, payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { redactExpired } from '../app/privacy/retention.ts'

/** Every night: empties raw records and texts that have been kept for RETENTION_DAYS. Safe to run twice. */
const retention: Task = async (payload, { abortSignal }) => {
  payloads.retention.parse(payload)
  const { emptied, more } = await redactExpired(abortSignal)
  log.info(emptied, 'retention: emptied what is past its time')
  if (more) await db.transaction().execute(trx => addJob(trx, 'retention', 'old', {}))
}

export default retention
