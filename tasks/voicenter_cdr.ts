import { setTimeout as sleep } from 'node:timers/promises'
import type { Task } from 'graphile-worker'
import { batcher } from '../app/batcher.ts'
import { payloads } from '../app/db/jobs.ts'
import { db, useGenericPlan, type Trx } from '../app/db/kysely.ts'
import { retryOnConflict } from '../app/db/retry.ts'
import { failpoint } from '../app/failpoints.ts'
import { log } from '../app/log.ts'
import { classifyCalls, type RecordedCall } from '../app/voicenter/calls.ts'
import {
  takeJobsOfCall,
  takeQueued,
  findCalls,
  findUnclassified,
  type FoundCall,
  requeueUnclassified,
} from '../app/voicenter/pending_calls.ts'

/** Classifies the call that a new CDR belongs to. Safe to run twice: the second time changes nothing. */
const voicenterCdr: Task = async payload => {
  const { callId } = payloads.voicenter_cdr.parse(payload)
  failpoint('voicenter_cdr:started')
  const isFinished = await classifyTogether(callId)
  if (!isFinished) await queueLarge(() => classifyLarge(callId))
  failpoint('voicenter_cdr:committed')
}
export default voicenterCdr

/** Runs a transaction that classifies calls, and logs the missed ones. */
const inTransaction = async (classify: (trx: Trx) => Promise<RecordedCall[]>): Promise<void> => {
  // Other transactions store CDRs of these calls at the same time and may lock the rows in another order.
  const recorded = await retryOnConflict(() =>
    db.transaction().execute(async trx => {
      await useGenericPlan(trx)
      return classify(trx)
    }),
  )
  for (const { id, tenantId, decision } of recorded)
    log.info({ tenantId, missedCallId: id, ...decision }, 'missed call')
}

/**
 * Classifies each of these calls in a transaction of its own. Two tenants may have a call with the same CallID: if one of
 * the calls fails, the other is still classified.
 */
const classifyEach = async (
  calls: readonly FoundCall[],
  classify: (trx: Trx, call: FoundCall) => Promise<RecordedCall[]>,
): Promise<void> => {
  const failed: unknown[] = []
  for (const call of calls)
    await inTransaction(trx => classify(trx, call)).catch((error: unknown) => failed.push(error))
  if (failed.length > 0)
    throw new AggregateError(
      failed,
      `${failed.length} of ${calls.length} calls were not classified`,
    )
}

/** The CallIDs that are left for `classifyLarge`. */
const unfinishedOf = ({ calls, unfinished }: Awaited<ReturnType<typeof findCalls>>): Set<string> =>
  new Set([...unfinished, ...calls.flatMap(({ isLarge, callIds }) => (isLarge ? callIds : []))])

const classifyAlone = async (callId: string): Promise<boolean> => {
  const found = await findCalls(db, [callId])
  await classifyEach(
    found.calls.filter(({ isLarge }) => !isLarge),
    (trx, call) => classifyCalls(trx, [call]),
  )
  return !unfinishedOf(found).has(callId)
}

/**
 * Jobs that run at the same time share one transaction. This is only for speed: the task could call `classifyAlone`
 * instead. If a batch fails, the batcher runs each of its jobs alone. Returns whether all CDRs of the CallID are
 * classified.
 */
const classifyTogether = batcher(
  async (callIds: string[]): Promise<boolean[]> => {
    const [callId, ...others] = callIds
    return callId !== undefined && others.length === 0
      ? [await classifyAlone(callId)]
      : classifyBatch(callIds)
  },
  { most: 64, waiting: 10_000, patienceMs: 60_000, longMs: 200 },
)

/**
 * When several jobs run, more are probably waiting in the queue. The batch takes some of those along (takeQueued).
 * For ten seconds after a failed batch, it takes none. Otherwise a waiting call that cannot be classified would make each
 * batch fail until its own job has been tried.
 */
const classifyBatch = async (callIds: string[]): Promise<boolean[]> => {
  const takesMore = performance.now() > takeMoreFrom
  let unfinished = new Set<string>()
  try {
    await inTransaction(async trx => {
      const taken = takesMore ? await takeQueued(trx) : []
      if (callIds.length + taken.length === 0) return []
      const found = await findCalls(trx, [...callIds, ...taken])
      unfinished = unfinishedOf(found)
      const recorded = await classifyCalls(
        trx,
        found.calls.filter(({ isLarge }) => !isLarge),
      )
      await requeueUnclassified(
        trx,
        taken.filter(callId => unfinished.has(callId)),
      )
      return recorded
    })
  } catch (error) {
    if (takesMore) takeMoreFrom = performance.now() + PAUSE_MS
    throw error
  }
  return callIds.map(callId => !unfinished.has(callId))
}
let takeMoreFrom = 0
const PAUSE_MS = 10_000

/**
 * Classifies all CDRs of calls with many CDRs, some hundred in each transaction. It takes the jobs of these CDRs
 * along.
 */
const classifyLarge = async (callId: string): Promise<void> => {
  let { calls: left } = await findCalls(db, [callId])
  for (let part = 0; left.length > 0 && part < MAX_PARTS; part++) {
    const work = classifyEach(left, async (trx, call) => {
      const taken = await takeJobsOfCall(trx, call)
      const recorded = await classifyCalls(trx, [call])
      await requeueUnclassified(trx, taken)
      return recorded
    })
    await classifyOthersDuring(work)
    left = await findUnclassified(db, left)
    if (left.length === 0)
      left = (await findCalls(db, [callId])).calls.filter(({ isWaiting }) => isWaiting)
  }
}
/** A job that runs for five minutes counts as lost. CDRs that are left have jobs of their own. */
const MAX_PARTS = 200

/** Other jobs may wait until this one ends. So their calls are taken along, several times a second. */
const classifyOthersDuring = async (work: Promise<void>): Promise<void> => {
  const result = Promise.allSettled([work])
  for (let hasEnded = false; !hasEnded;) {
    hasEnded = await Promise.race([result.then(() => true), sleep(TURN_MS, false, { ref: false })])
    // If it fails, their jobs are still in the queue.
    await classifyBatch([]).catch((err: unknown) => {
      log.warn({ err }, 'calls that were taken along were not classified')
    })
  }
  await work
}
const TURN_MS = 250

/** One at a time, so that the jobs of large calls do not take the connections that other jobs need. */
const queueLarge = async (work: () => Promise<void>): Promise<void> => {
  const before = last
  const { promise, resolve } = Promise.withResolvers<void>()
  last = promise
  await before
  await work().finally(resolve)
}
let last = Promise.resolve()
