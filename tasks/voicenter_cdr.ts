import type { Task } from 'graphile-worker'
import { batcher } from '../app/batcher.ts'
import { payloads } from '../app/db/jobs.ts'
import { db, useGenericPlan, type Trx } from '../app/db/kysely.ts'
import type { Call } from '../app/db/locks.ts'
import { retryOnConflict } from '../app/db/retry.ts'
import { failpoint } from '../app/failpoints.ts'
import { log } from '../app/log.ts'
import { classifyCalls } from '../app/voicenter/calls.ts'
import { claimQueued, findCalls } from '../app/voicenter/pending_calls.ts'

/** Classifies the call that a new record belongs to. Safe to run twice: the second time changes nothing. */
const voicenterCdr: Task = async payload => {
  const { callId } = payloads.voicenter_cdr.parse(payload)
  failpoint('voicenter_cdr:started')
  await classifyTogether(callId)
  failpoint('voicenter_cdr:committed')
}
export default voicenterCdr

/**
 * Does the work of one job. Two tenants may have a call with the same CallID: if one of the calls fails, the other is
 * still classified.
 */
const classifyOne = async (callId: string): Promise<void> => {
  const calls = await findCalls(db, [callId])
  const results = await Promise.allSettled(
    calls.map(call => classifyInTransaction(async () => [call])),
  )
  const failed = results.filter(result => result.status === 'rejected')
  if (failed.length > 0)
    throw new AggregateError(
      failed.map(({ reason }) => reason),
      `${failed.length} of ${results.length} calls were not classified`,
    )
}

/** Finds and classifies calls in one transaction, and logs the missed ones. */
const classifyInTransaction = async (find: (trx: Trx) => Promise<Call[]>): Promise<void> => {
  // Other transactions store records of these calls at the same time and may lock the rows in another order.
  const recorded = await retryOnConflict(() =>
    db.transaction().execute(async trx => {
      await useGenericPlan(trx)
      return classifyCalls(trx, await find(trx))
    }),
  )
  for (const { id, tenantId, decision } of recorded)
    log.info({ tenantId, missedCallId: id, ...decision }, 'missed call')
}

/**
 * Jobs that run at the same time share one transaction. This is only for speed: the task could call `classifyOne`
 * instead. If a batch fails, the batcher runs each of its jobs alone.
 */
const classifyTogether = batcher(
  async (callIds: string[]): Promise<true[]> => {
    const [callId, ...others] = callIds
    if (callId !== undefined && others.length === 0) await classifyOne(callId)
    else await classifyBatch(callIds)
    return callIds.map(() => true)
  },
  { most: 64, waiting: 10_000, patienceMs: 60_000, longMs: 200 },
)

/**
 * When several jobs run, more are probably waiting in the queue. The batch takes some of those along (claimQueued).
 * For ten seconds after a failed batch, it takes none. Otherwise a waiting call that cannot be classified would make each
 * batch fail until its own job has been tried.
 */
const classifyBatch = async (callIds: string[]): Promise<void> => {
  const claimsMore = performance.now() > claimMoreFrom
  try {
    await classifyInTransaction(async trx =>
      findCalls(trx, claimsMore ? [...callIds, ...(await claimQueued(trx))] : callIds),
    )
  } catch (error) {
    if (claimsMore) claimMoreFrom = performance.now() + PAUSE_MS
    throw error
  }
}
let claimMoreFrom = 0
const PAUSE_MS = 10_000
