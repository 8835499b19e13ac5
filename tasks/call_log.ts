import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { checkCallLog } from '../app/voicenter/call_log/check.ts'

/** Looks in Voicenter's call log for calls whose webhook never arrived. Runs every hour and after an outage. */
const callLog: Task = async (payload, { abortSignal }) => {
  const { tenantId } = payloads.call_log.parse(payload)
  await checkCallLog(tenantId, { signal: abortSignal })
}

export default callLog
