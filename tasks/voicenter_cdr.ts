import type { Task } from 'graphile-worker'
import { batcher } from '../app/batcher.ts'
import { retryOnConflict } from '../app/db/retry.ts'
import { payloads } from '../app/db/jobs.ts'
import { db, useGenericPlan, type Trx } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { type MissedCall, recordMissedCalls, groupByPerson } from '../app/outreach/missed_calls.ts'
import { withdrawMissedCall, cancelForAllReached } from '../app/outreach/cancel.ts'
import { redactErasedCall } from '../app/privacy/erase.ts'
import {
  type Call,
  readCalls,
  readClassifyRules,
  writeVerdicts,
  lockCalls,
  lockPeople,
  peopleOf,
  claimQueued,
  findCalls,
} from '../app/voicenter/calls.ts'
import { type Leg, classify, statusOf } from '../app/voicenter/classify.ts'
import { failpoint } from '../app/failpoints.ts'
/**
 * Judges the call that a record belongs to: all records that have come of it so far, together. If it was
 * missed, the missed call is recorded and the outreach scheduled; if a person talked with the customer,
 * whatever was pending for her is cancelled. Safe to run twice: the second time changes nothing.
 *
 * A job names only the CallID, and two tenants may have the same one. So it judges every call with that
 * id; one that fails keeps none of the others back.
 */
const voicenterCdr: Task = async payload => {
  const { callId } = payloads.voicenter_cdr.parse(payload)
  failpoint('voicenter_cdr:started')
  await judgeWithOthers(callId)
  failpoint('voicenter_cdr:committed')
}

/** Jobs that run at the same moment share their statements and their commit. Each fails for itself. */
const judgeWithOthers = batcher(
  async (callIds: string[]): Promise<true[]> => {
    if (callIds.length > 1) await judgeBatch(callIds)
    else await judgeEach(await findCalls(db, callIds))
    return callIds.map(() => true)
  },
  { most: 64, waiting: 10_000, patienceMs: 60_000, longMs: 200 },
)

/**
 * Where several jobs run there may be more that wait: those are taken along. But for a while not after a batch has failed:
 * if something that waits cannot be judged, each would fail for it, until its own job has been tried.
 */
const judgeBatch = async (callIds: string[]): Promise<void> => {
  const taking = performance.now() > takingFrom
  try {
    await judgeAll(async trx =>
      findCalls(trx, taking ? [...callIds, ...(await claimQueued(trx))] : callIds),
    )
  } catch (error) {
    if (taking) takingFrom = performance.now() + PAUSE_MS
    throw error
  }
}
let takingFrom = 0
const PAUSE_MS = 10_000

const judgeAll = async (callsIn: (trx: Trx) => Promise<Call[]>): Promise<void> => {
  const judging = db.transaction()
  // Others store records of these calls meanwhile, and may lock them in another order.
  const recorded = await retryOnConflict(() =>
    judging.execute(async trx => {
      await useGenericPlan(trx)
      return judgeCalls(trx, await callsIn(trx))
    }),
  )
  for (const { id, tenantId, decision } of recorded)
    log.info({ tenantId, missedCallId: id, ...decision }, 'missed call')
}

/** Each for itself: what fails for one tenant keeps nothing back from another. */
const judgeEach = async (calls: Call[]): Promise<void> => {
  const results = await Promise.allSettled(
    calls.map(call => judgeAll(() => Promise.resolve([call]))),
  )
  const failed = results.filter(result => result.status === 'rejected')
  if (failed.length)
    throw new AggregateError(
      failed.map(({ reason }) => reason),
      `${failed.length} of ${results.length} calls were not judged`,
    )
}

const judgeCalls = async (trx: Trx, calls: Call[]) => {
  await lockCalls(trx, calls)
  const read = await readCalls(trx, calls)
  const settings = await readClassifyRules(trx, calls)
  failpoint('voicenter_cdr:read')
  for (const { call, isClosed } of read) if (isClosed) await redactErasedCall(trx, call)
  const judged = read
    .filter(({ isClosed }) => !isClosed)
    .map(({ call, legs, isRecorded }) => ({
      call,
      legs,
      isRecorded,
      verdict: classify(legs, settings(call)),
    }))
  await writeVerdicts(trx, judged)
  failpoint('voicenter_cdr:judged')

  // Of nobody's call nothing follows.
  const ours = judged.flatMap(
    ({ call: { tenantId, rootCallId: callId }, legs, isRecorded, verdict }) => {
      if (!tenantId) return []
      const missed =
        verdict.verdict === 'missed' ? missedCallOf(tenantId, callId, verdict.missed) : null
      const reached = legs.flatMap(({ reachedPhone: phone, calledAt: at }) =>
        phone ? { tenantId, phone, at } : [],
      )
      const people = peopleOf(tenantId, [missed?.caller, ...reached.map(({ phone }) => phone)])
      return { tenantId, callId, missed, isRecorded, reached, people }
    },
  )
  await lockPeople(
    trx,
    ours.flatMap(({ people }) => people),
  )
  const recorded = []
  for (const group of groupByPerson(ours, ({ people }) => people)) {
    const fresh = group.filter(({ isRecorded }) => !isRecorded)
    recorded.push(
      ...(await recordMissedCalls(
        trx,
        fresh.flatMap(({ missed }) => missed ?? []),
      )),
    )
    failpoint('voicenter_cdr:recorded')
    for (const call of group)
      if (!call.missed && call.isRecorded) await withdrawMissedCall(trx, call.tenantId, call.callId)
    await cancelForAllReached(
      trx,
      group.flatMap(({ reached }) => reached),
    )
  }
  return recorded
}

/** As the record tells it in which the call was missed. */
const missedCallOf = (
  tenantId: string,
  callId: string,
  { caller = null, businessPhone, calledAt, ...leg }: Leg,
): MissedCall => ({
  tenantId,
  callId,
  caller,
  businessPhone: businessPhone ?? '',
  status: statusOf(leg),
  calledAt,
})

export default voicenterCdr
