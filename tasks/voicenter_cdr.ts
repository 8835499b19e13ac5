import type { Task } from 'graphile-worker'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { log } from '../app/log.ts'
import { recordMissedCall } from '../app/outreach/missed_call.ts'
import { callWasNotMissed, personReached } from '../app/outreach/reached.ts'
import { joinClosed } from '../app/privacy/closed.ts'
import {
  type Call,
  callsWith,
  lockCall,
  lockPeople,
  readLegs,
  settingsOf,
  writeVerdict,
} from '../app/voicenter/call.ts'
import { pass } from '../app/points.ts'
import { judge, statusOf } from '../app/voicenter/verdict.ts'

/**
 * Judges the call that a record belongs to: all records that have come of it so far, together. If it was
 * missed, the missed call is recorded and the outreach scheduled; if a person talked with the customer,
 * whatever was pending for her is cancelled. Safe to run twice: the second time changes nothing.
 *
 * A job names only the CallID, and two tenants may have the same one. So it judges every call with that
 * id, each in a transaction of its own; one that fails keeps none of the others back.
 */
const voicenterCdr: Task = async payload => {
  const { callId } = payloads.voicenter_cdr.parse(payload)
  pass('voicenter_cdr:started')
  const results = await Promise.allSettled((await callsWith(callId)).map(judgeCall))
  pass('voicenter_cdr:committed')
  const failed = results.filter(result => result.status === 'rejected')
  if (failed.length)
    throw new AggregateError(
      failed.map(({ reason }) => reason),
      `${failed.length} of ${results.length} calls were not judged`,
    )
}

const judgeCall = (call: Call): Promise<void> =>
  db.transaction().execute(async trx => {
    await lockCall(trx, call)
    if (await joinClosed(trx, call)) return
    const legs = await readLegs(trx, call)
    const settings = await settingsOf(trx, call)
    pass('voicenter_cdr:read')
    const verdict = judge(legs, settings)
    await writeVerdict(trx, legs, verdict)
    pass('voicenter_cdr:judged')
    const { tenantId, rootCallId } = call
    if (!tenantId) return

    await lockPeople(trx, tenantId, [
      verdict.verdict === 'missed' ? verdict.missed.caller : null,
      ...legs.map(leg => leg.reachedPhone),
    ])
    if (verdict.verdict === 'missed') {
      const { caller = null, businessPhone, calledAt, ...leg } = verdict.missed
      const missedCall = {
        tenantId,
        callId: rootCallId,
        caller,
        businessPhone: businessPhone ?? '',
        status: statusOf(leg),
        calledAt,
      }
      const recorded = await recordMissedCall(trx, missedCall)
      pass('voicenter_cdr:recorded')
      if (recorded)
        log.info({ tenantId, missedCallId: recorded.id, ...recorded.decision }, 'missed call')
    } else await callWasNotMissed(trx, tenantId, rootCallId)
    for (const { reachedPhone, calledAt } of legs)
      if (reachedPhone) await personReached(trx, tenantId, reachedPhone, calledAt)
  })

export default voicenterCdr
