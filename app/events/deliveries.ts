/** The deliveries to an endpoint: a test, what came of the last ones, and sending them again. */
import { sql } from 'kysely'
import type { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { moveDeliveries } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import type { DeliveryError, DeliveryState, EventType } from '../states.ts'
import { BATCH, endpointInput, type EndpointKey, lockOwnEndpoint, subjectOf } from './endpoints.ts'
import { wakeNext } from './outbox.ts'

export const resendInput = endpointInput.extend({
  /** Absent = everything that was not delivered. */
  deliveryId: endpointInput.shape.endpointId.optional(),
})

/**
 * Sends a `webhook.test` to an endpoint, also to a disabled one. It is not repeated if it fails.
 *
 * @returns the delivery, whose result deliveriesOf shows
 * @throws UserError as lockOwnEndpoint, and while another test is on its way
 */
export const testEndpoint = async (
  trx: Trx,
  actor: Actor,
  key: EndpointKey,
): Promise<{ deliveryId: string; webhookId: string }> => {
  await lockOwnEndpoint(trx, key)
  const { tenantId, endpointId } = key
  const { rows: running } = await sql`
    select from events e join event_deliveries d on d.event_id = e.id
    where e.tenant_id = ${tenantId} and e.type = 'webhook.test' and d.event_endpoint_id = ${endpointId}
      and d.state in ('pending', 'sending')
      -- A test that was lost blocks no other.
      and d.due_at > now() - interval '5 minutes'`.execute(trx)
  if (running.length > 0)
    throw userError('test_running', 'a test is on its way: look at its result first')
  const event = await trx
    .insertInto('events')
    .values({
      tenant_id: tenantId,
      type: 'webhook.test',
      data: JSON.stringify({ tenant_id: tenantId }),
    })
    .returning(['id', 'webhook_id'])
    .executeTakeFirstOrThrow()
  const { id: deliveryId } = await trx
    .insertInto('event_deliveries')
    .values({ tenant_id: tenantId, event_id: event.id, event_endpoint_id: endpointId })
    .returning('id')
    .executeTakeFirstOrThrow()
  await addJob(trx, 'event_delivery', deliveryId, { deliveryId }, { tenantId })
  await audit(trx, actor, {
    tenantId,
    action: 'event_endpoint.test',
    subject: subjectOf(key),
    before: null,
    after: { delivery: deliveryId },
  })
  return { deliveryId, webhookId: event.webhook_id }
}

/** One event on its way to an endpoint. */
export type ShownDelivery = {
  deliveryId: string
  webhookId: string
  type: EventType
  state: DeliveryState
  attempts: number
  status: number | null
  error: DeliveryError | null
  createdAt: Date
  attemptedAt: Date | null
  /** When the next attempt may begin; null = none follows. */
  dueAt: Date | null
}

/**
 * The last deliveries to an endpoint, newest first.
 *
 * @throws UserError if the tenant has no such endpoint
 */
export const deliveriesOf = async (
  trx: Trx,
  { tenantId, endpointId }: EndpointKey,
  limit: number,
): Promise<ShownDelivery[]> => {
  const endpoint = await trx
    .selectFrom('event_endpoints')
    .select('id')
    .where('id', '=', endpointId)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  if (!endpoint) throw notFound(`endpoint ${endpointId} of tenant ${tenantId}`)
  const { rows } = await sql<ShownDelivery>`
    select d.id as "deliveryId", e.webhook_id as "webhookId", e.type, d.state, d.attempts, d.status, d.error,
           e.created_at as "createdAt", d.claimed_at as "attemptedAt",
           case when d.state = 'pending' then d.due_at end as "dueAt"
    from event_deliveries d join events e on e.id = d.event_id
    where d.event_endpoint_id = ${endpointId} and d.tenant_id = ${tenantId}
    order by d.id desc limit ${limit}`.execute(trx)
  return rows
}

export type LastAttempt = Pick<ShownDelivery, 'webhookId' | 'type' | 'status' | 'error'> & {
  endpointId: string
  at: Date
}

/** The last attempt to deliver the newest event that was tried, for each endpoint of a tenant that has one. */
export const lastAttempts = async (trx: Trx, tenantId: string): Promise<LastAttempt[]> => {
  const { rows } = await sql<LastAttempt>`
    select e.id as "endpointId", last.*
    from event_endpoints e cross join lateral (
      select d.claimed_at as at, v.webhook_id as "webhookId", v.type, d.status, d.error
      from event_deliveries d join events v on v.id = d.event_id
      where d.event_endpoint_id = e.id and d.claimed_at is not null
      order by d.id desc limit 1) last
    where e.tenant_id = ${tenantId}`.execute(trx)
  return rows
}

/**
 * Sends one delivery again, or enables the endpoint and sends everything that was not delivered, without tests. The ids stay
 * the same, so a receiver that has an event ignores it. Deliveries that were tried begin anew, those that failed first: at
 * most BATCH. What waits beyond that keeps its times.
 *
 * @returns how many deliveries begin anew
 * @throws UserError if there is no such endpoint or delivery, if an attempt runs now, or if the endpoint is disabled and
 * only one delivery is wanted
 */
export const resend = async (
  trx: Trx,
  actor: Actor,
  { deliveryId, ...key }: z.infer<typeof resendInput>,
): Promise<{ count: number }> => {
  const { tenantId, endpointId } = key
  const endpoint = await lockOwnEndpoint(trx, key)
  if (deliveryId !== undefined && endpoint.state === 'disabled')
    throw userError(
      'endpoint_disabled',
      'this endpoint is disabled: send everything again, which enables it',
    )
  const again = moveDeliveries(trx, 'resend')
    .set({ attempts: 0, due_at: sql<Date>`now()` })
    .where('event_endpoint_id', '=', endpointId)
  const { numUpdatedRows } = await (
    deliveryId === undefined
      ? again
          // As the index event_deliveries_tried.
          .where(
            sql<boolean>`id in (
              select d.id from event_deliveries d
              where d.event_endpoint_id = ${endpointId} and (d.state = 'failed' or d.state = 'pending' and d.attempts > 0)
                and not exists (select from events e where e.id = d.event_id and e.type = 'webhook.test')
              order by d.state, d.id limit ${BATCH} for update of d)`,
          )
      : again.where('id', '=', deliveryId)
  ).executeTakeFirst()
  if (deliveryId !== undefined && numUpdatedRows === 0n) {
    const isRunning = await trx
      .selectFrom('event_deliveries')
      .select('id')
      .where('id', '=', deliveryId)
      .where('event_endpoint_id', '=', endpointId)
      .executeTakeFirst()
    if (!isRunning) throw notFound(`delivery ${deliveryId} of endpoint ${endpointId}`)
    throw userError('delivery_running', 'an attempt runs at this moment: look at its result first')
  }
  const failures = endpoint.state === 'disabled' ? 0 : endpoint.failures
  await trx
    .updateTable('event_endpoints')
    .set({ state: 'active', state_reason: null, failures, paused_until: null })
    .where('id', '=', endpointId)
    .execute()
  if (deliveryId === undefined)
    await wakeNext(trx, { id: endpointId, tenantId, failures, pausedUntil: null })
  else await addJob(trx, 'event_delivery', deliveryId, { deliveryId }, { tenantId })
  const count = Number(numUpdatedRows)
  await audit(trx, actor, {
    tenantId,
    action: 'event_endpoint.resend',
    subject: subjectOf(key),
    before: { state: endpoint.state },
    after: { state: 'active', deliveries: count, ...(deliveryId && { delivery: deliveryId }) },
  })
  return { count }
}
