/** Outgoing events in the database: which delivery may begin, and what follows from an attempt. */
import { type RawBuilder, sql } from 'kysely'
import { decrypt, eventSecretOwner } from '../crypto.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { moveDeliveries } from '../db/transitions.ts'
import type { DeliveryState, EndpointReason, EndpointState, EventType } from '../states.ts'
import type { Outcome } from './post.ts'

const MINUTE = 60
const HOUR = 60 * MINUTE
/** How long to wait after each attempt that failed. When the attempt after the last of these fails, the delivery has failed. */
const RETRY_SECONDS = [
  5,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
export const MAX_DELIVERY_ATTEMPTS = RETRY_SECONDS.length + 1

/** So many attempts run at once for an endpoint, in all processes. */
export const DELIVERIES_AT_ONCE = 4
/** After so many failures in a row, only one at a time. */
const PROBE_AFTER = 5
/** If that attempt gets no answer in time, the next one waits, so that endpoints that hang do not hold all workers. */
const PAUSE_MS = 5 * MINUTE * 1000
/** An attempt takes 15 seconds at most. One that has not ended by then has lost its process. */
const EXPIRES_SECONDS = 30

/** How many attempts an endpoint may have at once. */
export const roomOf = ({ failures }: { failures: number }): number =>
  failures >= PROBE_AFTER ? 1 : DELIVERIES_AT_ONCE

type Standing = {
  state: DeliveryState
  dueAt: Date
  claimedAt: Date | null
  isTest: boolean
  endpoint: { state: EndpointState; failures: number; pausedUntil: Date | null }
  /** How many other attempts of the endpoint run. */
  running: number
  now: Date
}

/** The attempt that ends may not add the job of a test again. So the job of a test sets itself for this time. */
const TEST_CHECKS_AGAIN_MS = 5000

/**
 * Whether an attempt may begin now. A date = not before then. Never = there is nothing to do, or the attempts that run add
 * the job again when they end (wakeNext). After a pause, the sweep adds jobs too.
 */
export const mayBegin = (delivery: Standing): 'now' | 'never' | Date => {
  const { state, dueAt, claimedAt, isTest, endpoint, running, now } = delivery
  if (state === 'delivered' || state === 'failed') return 'never'
  if (state === 'sending' && claimedAt) {
    const expires = new Date(claimedAt.getTime() + EXPIRES_SECONDS * 1000)
    if (expires > now) return expires
  }
  const hasRoom = running < roomOf(endpoint)
  if (isTest) return hasRoom ? 'now' : new Date(now.getTime() + TEST_CHECKS_AGAIN_MS)
  if (endpoint.state === 'disabled') return 'never'
  if (state === 'pending' && dueAt > now) return dueAt
  const isPaused = endpoint.pausedUntil !== null && endpoint.pausedUntil > now
  return hasRoom && !isPaused ? 'now' : 'never'
}

type Next =
  | { do: 'deliver' }
  | { do: 'retry'; seconds: number }
  | { do: 'fail'; disable: EndpointReason | null }

/**
 * What follows from an attempt.
 *
 * @param attempts how many there were, with this one
 * @param isTest a test is not repeated, and says nothing about other events
 */
export const afterAttempt = (outcome: Outcome, attempts: number, isTest: boolean): Next => {
  const status = 'status' in outcome ? outcome.status : null
  if (status !== null && status >= 200 && status < 300) return { do: 'deliver' }
  if (status === 410) return { do: 'fail', disable: 'gone' }
  if (isTest) return { do: 'fail', disable: null }
  const seconds = RETRY_SECONDS[attempts - 1]
  return seconds === undefined ? { do: 'fail', disable: 'failing' } : { do: 'retry', seconds }
}

/** An attempt that has begun. */
export type Attempt = {
  deliveryId: string
  endpointId: string
  attempt: number
  isTest: boolean
  url: string
  /** The header webhook-id: the same for each attempt. */
  id: string
  at: Date
  body: string
  secrets: string[]
}

export type EndpointRow = {
  id: string
  tenantId: string
  url: string
  state: EndpointState
  failures: number
  pausedUntil: Date | null
  secret: string
  previousSecret: string | null
  now: Date
}

/**
 * Locks an endpoint, so that its attempts are counted one after the other. It does not wait for transactions that record
 * events, and they do not wait for it: their foreign keys only need the row to stay.
 *
 * @param which its id, or a subquery for it
 */
const lockEndpoint = async (
  trx: Trx,
  which: string | RawBuilder<unknown>,
): Promise<EndpointRow | null> => {
  const { rows } = await sql<EndpointRow>`
    select id, tenant_id as "tenantId", url, state, failures, paused_until as "pausedUntil", secret,
           case when previous_until > now() then previous_secret end as "previousSecret", now() as now
    from event_endpoints where id = ${which} for no key update`.execute(trx)
  return rows[0] ?? null
}

const EXPIRED_AT = sql`now() - make_interval(secs => ${EXPIRES_SECONDS})`
const IS_RUNNING = sql<boolean>`state = 'sending' and claimed_at > ${EXPIRED_AT}`

export type DeliveryRow = {
  state: DeliveryState
  attempts: number
  dueAt: Date
  claimedAt: Date | null
  running: number
  webhookId: string
  type: EventType
  data: unknown
  createdAt: Date
}

/** @returns null if no attempt may begin now. Then its job has been added again, or something else will add it */
export const claimDelivery = async (trx: Trx, deliveryId: string): Promise<Attempt | null> => {
  const endpoint = await lockEndpoint(
    trx,
    sql`(select event_endpoint_id from event_deliveries where id = ${deliveryId})`,
  )
  if (!endpoint) return null
  const { rows } = await sql<DeliveryRow>`
    select d.state, d.attempts, d.due_at as "dueAt", d.claimed_at as "claimedAt",
           (select count(*)::int from event_deliveries
            where event_endpoint_id = ${endpoint.id} and id <> ${deliveryId} and ${IS_RUNNING}) as running,
           e.webhook_id as "webhookId", e.type, e.data, e.created_at as "createdAt"
    from event_deliveries d join events e on e.id = d.event_id
    where d.id = ${deliveryId} for no key update of d`.execute(trx)
  const [delivery] = rows
  // Its person was erased.
  if (!delivery) return null
  const { type, data, createdAt, webhookId } = delivery
  const { tenantId, url, now } = endpoint
  const isTest = type === 'webhook.test'
  const begin = mayBegin({ ...delivery, isTest, endpoint, now })
  if (begin === 'never') return null
  if (begin !== 'now') {
    await addJob(trx, 'event_delivery', deliveryId, { deliveryId }, { tenantId, at: begin })
    return null
  }
  const attempt = delivery.attempts + 1
  await moveDeliveries(trx, 'claim')
    .set({ attempts: attempt, claimed_at: now, status: null, error: null })
    .where('id', '=', deliveryId)
    .execute()
  const secrets = [endpoint.secret, ...(endpoint.previousSecret ? [endpoint.previousSecret] : [])]
  return {
    deliveryId,
    endpointId: endpoint.id,
    attempt,
    isTest,
    url,
    id: webhookId,
    at: now,
    body: JSON.stringify({ type, timestamp: createdAt.toISOString(), data }),
    secrets: secrets.map(secret => decrypt(secret, eventSecretOwner(tenantId))),
  }
}

/** Records what came of an attempt, and adds the jobs of what may follow. */
export const recordAttempt = async (
  trx: Trx,
  { deliveryId, endpointId, attempt, isTest }: Attempt,
  outcome: Outcome,
): Promise<void> => {
  const endpoint = await lockEndpoint(trx, endpointId)
  if (!endpoint) return
  const { tenantId } = endpoint
  const next = afterAttempt(outcome, attempt, isTest)
  const dueAt =
    next.do === 'retry' ? sql<Date>`now() + make_interval(secs => ${next.seconds})` : null
  const { numUpdatedRows } = await moveDeliveries(trx, next.do)
    .set({
      status: 'status' in outcome ? outcome.status : null,
      error: 'error' in outcome ? outcome.error : null,
      ...(dueAt && { due_at: dueAt }),
    })
    .where('id', '=', deliveryId)
    .where('attempts', '=', attempt)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) {
    // It took so long that another attempt has begun, or the delivery was erased or abandoned. No other attempt may run.
    if (endpoint.state === 'active') await wakeNext(trx, endpoint)
    return
  }
  const failures = next.do === 'deliver' ? 0 : endpoint.failures + (isTest ? 0 : 1)
  const isHanging = 'error' in outcome && outcome.error === 'timeout' && failures >= PROBE_AFTER
  const pause = isHanging ? new Date(endpoint.now.getTime() + PAUSE_MS) : null
  const pausedUntil = isTest && next.do !== 'deliver' ? endpoint.pausedUntil : pause
  const disable = next.do === 'fail' ? next.disable : null
  const state = disable ? ({ state: 'disabled', state_reason: disable } as const) : {}
  if (failures !== endpoint.failures || disable)
    await trx
      .updateTable('event_endpoints')
      .set({ failures, paused_until: pausedUntil, ...state })
      .where('id', '=', endpointId)
      .execute()
  if (dueAt)
    await addJob(trx, 'event_delivery', deliveryId, { deliveryId }, { tenantId, at: dueAt })
  if (!disable && endpoint.state === 'active')
    await wakeNext(trx, { id: endpointId, tenantId, failures, pausedUntil })
}

/**
 * Adds the jobs of the next deliveries of an endpoint, the oldest events first, as many as may run now; also of attempts
 * that lost their process. The endpoint must be locked. While an endpoint fails, its oldest event keeps its times, and so
 * the endpoint is disabled in time.
 */
export const wakeNext = async (
  trx: Trx,
  endpoint: Pick<EndpointRow, 'id' | 'tenantId' | 'failures' | 'pausedUntil'>,
): Promise<void> => {
  const { id, tenantId, pausedUntil } = endpoint
  const { rows } = await sql<{ id: string }>`
    select id from event_deliveries
    where event_endpoint_id = ${id}
      and (state = 'pending' and due_at <= now() or state = 'sending' and claimed_at <= ${EXPIRED_AT})
    order by id
    limit greatest(0, ${roomOf(endpoint)} - (
      select count(*) from event_deliveries where event_endpoint_id = ${id} and ${IS_RUNNING}))`.execute(
    trx,
  )
  for (const { id: deliveryId } of rows)
    await addJob(trx, 'event_delivery', deliveryId, { deliveryId }, { tenantId, at: pausedUntil })
}

/**
 * Records that a lead wrote. All other events are recorded by triggers (sql/0007_events.sql).
 *
 * @param wamid of the message, which has been stored
 */
export const recordReply = async (trx: Trx, tenantId: string, wamid: string): Promise<void> => {
  await sql`
    select record_event(l.tenant_id, 'lead.replied', l.id, lead_event_fields(l) || jsonb_build_object('message_id', m.id::text))
    from messages m join leads l on l.id = m.lead_id
    where m.tenant_id = ${tenantId} and m.wamid = ${wamid} and m.direction = 'in'
      and exists (select from event_endpoints e where e.tenant_id = m.tenant_id)`.execute(trx)
}
