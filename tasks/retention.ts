import type { Task } from 'graphile-worker'
import { addJob, payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { redactExpired } from '../app/privacy/retention.ts'

/** Empties CDRs and texts that are older than RETENTION_DAYS, every night. Safe to run twice. */
const retention: Task = async (payload, { abortSignal }) => {
  payloads.retention.parse(payload)
  const { emptied, more } = await redactExpired(abortSignal)
  log.info(emptied, 'retention: emptied rows older than RETENTION_DAYS')
  if (more)
    await db.transaction().execute(trx => addJob(trx, 'retention', 'old', {}, { tenantId: null }))
}

export default retention
