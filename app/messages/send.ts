import { failpoint } from '../failpoints.ts'
import { type Outcome, postMessage } from '../whatsapp/client.ts'
import { NOT_ACCEPTED } from '../whatsapp/errors.ts'
import type { Claimed } from './claim.ts'

/**
 * A process that was stopped for this long after its claim does not send: the claim may have expired, and the person may
 * have been answered. Together with the send itself, this stays within CLAIM_SECONDS.
 */
const STALE_AFTER_MS = 20_000
const NEVER_SENT: Outcome = { kind: 'refused', code: null, policy: NOT_ACCEPTED, why: 'never_sent' }

/** Sends a claimed message once. No transaction is open and no connection to the database is held. */
export const send = async (message: Claimed): Promise<Outcome> => {
  const isStale = performance.now() - message.claimedAt > STALE_AFTER_MS
  const answer = isStale ? Promise.resolve(NEVER_SENT) : postMessage(message)
  failpoint(`${message.task}:sending`)
  const outcome = await answer
  failpoint(`${message.task}:answered`)
  return outcome
}
