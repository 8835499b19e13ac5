import type { Task } from 'graphile-worker'
import { config } from '../app/config.ts'
import { payloads } from '../app/db/jobs.ts'
import { db } from '../app/db/kysely.ts'
import { retryOnConflict } from '../app/db/retry.ts'
import { post } from '../app/events/post.ts'
import { claimDelivery, recordAttempt } from '../app/events/outbox.ts'
import { signatureHeaders } from '../app/events/signing.ts'
import { log } from '../app/log.ts'

/**
 * Sends an event to an endpoint. If the process dies before the outcome is recorded, the event is sent again under the same
 * id: the receiver must ignore an id that it has.
 */
const eventDelivery: Task = async payload => {
  const { deliveryId } = payloads.event_delivery.parse(payload)
  const attempt = await retryOnConflict(() =>
    db.transaction().execute(trx => claimDelivery(trx, deliveryId)),
  )
  if (!attempt) return
  const { url, body, secrets } = attempt
  const outcome = await post({ url, body, headers: signatureHeaders(secrets, attempt) }, config())
  await retryOnConflict(() => db.transaction().execute(trx => recordAttempt(trx, attempt, outcome)))
  log.info({ deliveryId, attempt: attempt.attempt, ...outcome }, 'event')
}

export default eventDelivery
