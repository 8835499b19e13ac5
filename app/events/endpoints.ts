/** The endpoints of a tenant: the addresses that get its events. The pages, the API and the command call these functions. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import { config } from '../config.ts'
import { decrypt, encrypt, eventSecretOwner } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { lockTenant } from '../db/locks.ts'
import { notFound, userError } from '../errors.ts'
import { type EndpointReason, type EndpointState, EVENT_TYPES } from '../states.ts'
import { urlProblem } from './post.ts'
import { newSecret } from './signing.ts'

const id = z.string().regex(/^[1-9]\d{0,17}$/, 'an id such as 12')
const tenantId = z.string().regex(/^[1-9]\d{0,17}$/, 'the id of a business')

/** How many endpoints a tenant may have. Each event is written for each of them. */
export const MAX_ENDPOINTS = 10
/** So many deliveries that wait are counted. One more means that there are more. */
export const MAX_COUNTED = 10_000
/** How many deliveries one statement deletes or sends again, so that it ends in time. */
export const BATCH = 20_000

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
export type EndpointKey = z.infer<typeof endpointInput>
export const subjectOf = ({ endpointId }: EndpointKey): string => `event_endpoints ${endpointId}`

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

/** @throws UserError if the tenant has no such endpoint */
export const lockOwnEndpoint = async (trx: Trx, { tenantId, endpointId }: EndpointKey) => {
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
