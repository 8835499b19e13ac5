/** The endpoints of a tenant: the addresses that get its events. The pages, the API and the command call these functions. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { config } from '../config.ts'
import { decrypt, encrypt, eventSecretOwner } from '../crypto.ts'
import { addJob } from '../db/jobs.ts'
import type { Trx } from '../db/kysely.ts'
import { lockTenant } from '../db/locks.ts'
import { moveDeliveries } from '../db/transitions.ts'
import { notFound, userError } from '../errors.ts'
import {
  type DeliveryError,
  type DeliveryState,
  type EndpointReason,
  type EndpointState,
  EVENT_TYPES,
  type EventType,
} from '../states.ts'
import { urlProblem } from './delivery.ts'
import { wakeNext } from './outbox.ts'
import { newSecret } from './signing.ts'

const id = z.string().regex(/^[1-9]\d{0,17}$/, 'an id such as 12')
const tenantId = z.string().regex(/^[1-9]\d{0,17}$/, 'the id of a business')

/** How many endpoints a tenant may have. Each event is written for each of them. */
export const MAX_ENDPOINTS = 10
/** So many deliveries that wait are counted. One more means that there are more. */
export const MAX_COUNTED = 10_000
/** How many deliveries one statement deletes or sends again, so that it ends in time. */
const BATCH = 20_000

const TOO_LONG = 'a URL of at most 2000 characters'
const TYPES = `one or more of ${EVENT_TYPES.join(', ')}`

export const newEndpoint = z.object({
  tenantId,
  /** Before this, `checkHost` looks its name up. It is stored as the program calls it. */
  url: z
    .string('an https URL')
    .max(2000, TOO_LONG)
    .superRefine((written, context) => {
      const problem = urlProblem(written, config())
      if (problem !== null)
        context.addIssue({
          code: 'custom',
          message: problem.expected,
          // The same code as that of a name with such an address.
          ...(problem.isForbidden && { params: { why: 'forbidden_address' } }),
        })
    })
    .transform(written => new URL(written).href)
    // Escaped characters are longer.
    .pipe(z.string().max(2000, TOO_LONG)),
  /** The types of events that it gets; by default all. */
  events: z
    .array(z.enum(EVENT_TYPES, TYPES), TYPES)
    .min(1, TYPES)
    .max(EVENT_TYPES.length, TYPES)
    .default([...EVENT_TYPES]),
})

export const endpointInput = z.object({ tenantId, endpointId: id })
type EndpointKey = z.infer<typeof endpointInput>
export const resendInput = endpointInput.extend({
  /** Absent = everything that was not delivered. */
  deliveryId: id.optional(),
})

const subjectOf = ({ endpointId }: EndpointKey): string => `event_endpoints ${endpointId}`

/**
 * Adds an endpoint. It gets what happens from now on.
 *
 * @returns the key of its signatures, which cannot be read again
 * @throws UserError if the tenant has too many
 */
export const addEndpoint = async (
  trx: Trx,
  actor: Actor,
  { tenantId, url, events }: z.infer<typeof newEndpoint>,
): Promise<{ endpointId: string; secret: string }> => {
  await lockTenant(trx, tenantId)
  const { count } = await trx
    .selectFrom('event_endpoints')
    .select(eb => eb.fn.countAll<string>().as('count'))
    .where('tenant_id', '=', tenantId)
    .executeTakeFirstOrThrow()
  if (Number(count) >= MAX_ENDPOINTS)
    throw userError(
      'too_many_endpoints',
      `a business has at most ${MAX_ENDPOINTS} endpoints: remove one first`,
    )
  const secret = newSecret()
  const types = [...new Set(events)]
  const { id: endpointId } = await trx
    .insertInto('event_endpoints')
    .values({
      tenant_id: tenantId,
      url,
      types,
      secret: encrypt(secret, eventSecretOwner(tenantId)),
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await audit(trx, actor, {
    tenantId,
    action: 'event_endpoint.add',
    subject: subjectOf({ tenantId, endpointId }),
    before: null,
    after: { types },
  })
  return { endpointId, secret }
}

export type Endpoint = {
  endpointId: string
  url: string
  events: string[]
  state: EndpointState
  stateReason: EndpointReason | null
  /** Events that are not delivered yet, at most MAX_COUNTED + 1. */
  waiting: number
  /** The time until which the key before the last rotation signs too; null = only one key signs. */
  rotatingUntil: Date | null
  createdAt: Date
}

/** The endpoints of a tenant, oldest first, without their keys. */
export const listEndpoints = async (trx: Trx, tenantId: string): Promise<Endpoint[]> => {
  const { rows } = await sql<Endpoint>`
    select e.id as "endpointId", e.url, e.types as events, e.state, e.state_reason as "stateReason",
           (select count(*)::int from (
              select from event_deliveries d
              where d.event_endpoint_id = e.id and d.state in ('pending', 'sending') limit ${MAX_COUNTED + 1}) w) as waiting,
           case when e.previous_until > now() then e.previous_until end as "rotatingUntil", e.created_at as "createdAt"
    from event_endpoints e where e.tenant_id = ${tenantId} order by e.id`.execute(trx)
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

/** @throws UserError if the tenant has no such endpoint */
const lockOwnEndpoint = async (trx: Trx, { tenantId, endpointId }: EndpointKey) => {
  const endpoint = await trx
    .selectFrom('event_endpoints')
    .select(['id', 'tenant_id as tenantId', 'state', 'state_reason', 'failures', 'secret'])
    .where('id', '=', endpointId)
    .where('tenant_id', '=', tenantId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!endpoint) throw notFound(`endpoint ${endpointId} of tenant ${tenantId}`)
  return endpoint
}

/**
 * Removes an endpoint and its deliveries. An attempt that runs at this moment may still arrive.
 *
 * @throws UserError as lockOwnEndpoint
 */
export const removeEndpoint = async (trx: Trx, actor: Actor, key: EndpointKey): Promise<void> => {
  const { state } = await lockOwnEndpoint(trx, key)
  // In batches: Postgres would cancel one statement that deletes a month of events. Meanwhile events can be recorded.
  let last: string | null = '0'
  while (last !== null) {
    const { rows } = await sql<{ last: string | null }>`
      with deleted as (
        delete from event_deliveries where id in (
          select id from event_deliveries where event_endpoint_id = ${key.endpointId} and id > ${last}
          order by id limit ${BATCH} for update)
        returning id)
      select max(id) as last from deleted`.execute(trx)
    last = rows[0]?.last ?? null
  }
  await trx.deleteFrom('event_endpoints').where('id', '=', key.endpointId).execute()
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'event_endpoint.remove',
    subject: subjectOf(key),
    before: { state },
    after: null,
  })
}

/**
 * Gives an endpoint a new key. For 24 hours the one before signs too, so that a receiver may change it at any time. Only
 * two keys sign: a second rotation within 24 hours ends the first key.
 *
 * @returns the new key, which cannot be read again
 * @throws UserError as lockOwnEndpoint
 */
export const rotateSecret = async (
  trx: Trx,
  actor: Actor,
  key: EndpointKey,
): Promise<{ secret: string }> => {
  const before = await lockOwnEndpoint(trx, key)
  const owner = eventSecretOwner(key.tenantId)
  const secret = newSecret()
  const keepsOld = canDecrypt(before.secret, owner)
  await trx
    .updateTable('event_endpoints')
    .set({
      secret: encrypt(secret, owner),
      previous_secret: keepsOld ? before.secret : null,
      previous_until: keepsOld ? sql<Date>`now() + interval '24 hours'` : null,
    })
    .where('id', '=', key.endpointId)
    .execute()
  await audit(trx, actor, {
    tenantId: key.tenantId,
    action: 'event_endpoint.rotate',
    subject: subjectOf(key),
    before: { secret: 'before' },
    after: { secret: 'new' },
  })
  return { secret }
}

/** If ENCRYPTION_KEY was lost, the old key cannot be decrypted. Then only the new one signs. */
const canDecrypt = (value: string, owner: string): boolean => {
  try {
    decrypt(value, owner)
    return true
  } catch {
    return false
  }
}

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
