import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { secondsFromNow } from '../db/jobs.ts'
import { db, type Trx } from '../db/kysely.ts'
import { isTransient } from '../db/retry.ts'
import { moveMessage } from '../db/transitions.ts'
import { failpoint } from '../failpoints.ts'
import { log } from '../log.ts'
import { identitiesOf, rememberIdentities, writerOf } from '../replies/contacts.ts'
import { allows, knownState, MESSAGE_TRANSITIONS, type OutgoingState, reasonOf } from '../states.ts'
import type { Outcome } from '../whatsapp/client.ts'
import type { Claimed } from './claim.ts'
import {
  moveItsCall,
  onAccepted,
  onDeliveredAfterFailure,
  onFailed,
  pause,
  policyAfterRepeats,
} from './effects.ts'
import {
  afterLastReminder,
  holdMessage,
  lockMessage,
  LOOK_AGAIN_SECONDS,
  type Message,
} from './message.ts'

/**
 * How long to try to record an outcome while the database is unavailable. The claim may have expired by then. That the
 * message was accepted is still worth recording; any other outcome is ignored.
 */
const RECORD_WITHIN_MS = 10 * 60_000

/**
 * Records the outcome of a send, in one transaction. Only this process knows the outcome, so the transaction is tried
 * again while the database is unavailable. Otherwise the message would become `unknown`.
 */
export const record = async (message: Claimed, outcome: Outcome): Promise<void> => {
  const { task, messageId, attempt, ids } = message
  const until = performance.now() + RECORD_WITHIN_MS
  for (let wait = 100; ; wait = Math.min(2 * wait, 5000))
    try {
      await db.transaction().execute(async trx => {
        await recordOutcome(trx, messageId, outcome, attempt)
        failpoint(`${task}:recording`)
      })
      break
    } catch (err) {
      if (!isTransient(err) || performance.now() + wait > until) throw err
      log.warn({ err, messageId }, 'outcome not recorded yet')
      await sleep(wait)
    }
  failpoint(`${task}:recorded`)
  const code = outcome.kind === 'refused' ? outcome.code : undefined
  log.info({ task, ...ids, messageId, outcome: outcome.kind, code }, 'message')
}

/**
 * Records an outcome and what follows from it: reminders, another try, or a pause. A webhook may have come first; what
 * it reported stays.
 *
 * @param attempt the try that had this outcome: `messages.attempts` when it was claimed
 */
export const recordOutcome = async (
  trx: Trx,
  messageId: string,
  outcome: Outcome,
  attempt: number,
): Promise<void> => {
  const message = await lockMessage(trx, messageId)
  if (!message) return
  if (outcome.kind === 'accepted') return accepted(trx, message, outcome)
  // A report from WhatsApp came first, or the claim has expired. Or this outcome was recorded, the answer to the commit
  // was lost, and the next try has begun.
  if (message.state !== 'sending' || message.attempts !== attempt) return
  if (outcome.kind === 'unknown') {
    await moveMessage(trx, message, 'lose', outcome.why)
    await moveItsCall(trx, message, 'lose', 'no_answer')
    await afterLastReminder(trx, message)
    return
  }
  const { code, why } = outcome
  const policy = await policyAfterRepeats(trx, message, outcome.policy, code)
  // The person who tests the set-up sees the result, and can test again.
  if (message.isTest) return moveMessage(trx, message, 'refuse', why, code)
  if (policy.do === 'retry') {
    const wait = policy.after[message.attempts - 1]
    if (wait !== undefined) return retry(trx, message, wait, why, code)
  }
  // The message waits. When the pause ends it is sent, if that is not too late.
  if (policy.do === 'pause_connection' || policy.do === 'pause_template') {
    await pause(trx, message, policy, code)
    return retry(trx, message, LOOK_AGAIN_SECONDS, policy.do, code)
  }
  await moveMessage(trx, message, 'refuse', why, code)
  await onFailed(trx, message, policy, code)
}

const accepted = async (
  trx: Trx,
  message: Message,
  { wamid, waId, userIds = [] }: Outcome & { kind: 'accepted' },
): Promise<void> => {
  // A message without a connection belongs to a person who was erased during the send: either id would identify them.
  await sql`
    update messages set
      wamid = case when whatsapp_connection_id is not null then coalesce(wamid, ${wamid}) end,
      wa_id = case when whatsapp_connection_id is not null then coalesce(wa_id, ${waId}) end,
      accepted_at = coalesce(accepted_at, now())
    where id = ${message.id}`.execute(trx)
  // The person will write under this identifier. It is not always their number.
  if (message.leadId && message.kind !== 'owner_notice') {
    const identities = identitiesOf(writerOf(null, waId, ...userIds))
    await rememberIdentities(trx, message.tenantId, message.leadId, identities)
  }
  if (!allows<OutgoingState>(MESSAGE_TRANSITIONS.accept, knownState(message))) return
  await moveMessage(trx, message, 'accept')
  // An operator had marked it as failed, or as delivered. After "delivered" the reminders are scheduled already.
  if (message.state === 'failed') return onDeliveredAfterFailure(trx, message)
  if (message.state === 'delivered') return
  await onAccepted(trx, message, message.state === 'unknown' ? 'claim' : 'now')
}

/**
 * WhatsApp certainly did not accept the message, and it is tried again. Its job gets a time of its own, since
 * graphile-worker's pauses do not fit Meta's. The next claim decides whether it is too late.
 */
const retry = async (
  trx: Trx,
  message: Message,
  seconds: number,
  why: string,
  code: number | null,
): Promise<void> => {
  const { conversationState } = message
  if (conversationState && conversationState !== 'open') {
    const reason = message.conversationReason ?? conversationState
    await moveMessage(trx, message, 'drop', reason, code)
    if (message.kind === 'initial')
      await moveItsCall(trx, message, 'drop', reasonOf('cancelled', reason))
    return
  }
  await moveMessage(trx, message, 'retry', why, code)
  await moveItsCall(trx, message, 'retry', 'waiting')
  const isPaused = why.startsWith('pause_')
  await holdMessage(trx, message, secondsFromNow(seconds), isPaused ? 'connection_paused' : 'retry')
}
