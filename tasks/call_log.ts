import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { checkCallLog } from '../app/voicenter/call_log/check.ts'

/** Every hour, and after an outage: looks in Voicenter's own log for calls whose webhook never came. */
const callLog: Task = async (payload, { abortSignal }) => {
  const { tenantId } = payloads.call_log.parse(payload)
  await checkCallLog(tenantId, abortSignal)
}

export default callLog
