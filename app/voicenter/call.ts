import { sql } from 'kysely'
import { db, type Trx } from '../db/kysely.ts'
import { personOf, readPhone } from '../outreach/phone.ts'
import { type Cdr, readCdr } from './cdr.ts'
import { isObject } from '../json.ts'
import { businessLine, inOrder, type Leg, legOf, namesOneOf } from './leg.ts'
import type { Settings, Verdict } from './verdict.ts'

/** What belongs together: all records of one tenant with one root id. Null = nobody's, as far as we know. */
export type Call = { tenantId: string | null; rootCallId: string }

/** A record of it that is stored. */
type StoredLeg = Leg & { id: string }

/**
 * The calls that have a record with this id; usually one. Records that came with an unbound token are
 * first given to the tenant whose line they name, or else to the one who has the rest of the call.
 */
export const callsWith = async (callId: string): Promise<Call[]> => {
  const roots = db.selectFrom('raw_cdrs').select('root_call_id').where('call_id', '=', callId)
  const nobodys = await db
    .selectFrom('raw_cdrs')
    .select(['id', 'payload'])
    .where('root_call_id', 'in', roots)
    .where('tenant_id', 'is', null)
    .execute()
  for (const { id, payload } of nobodys) {
    const line = payload && businessLine(read(payload))
    await sql`
      update raw_cdrs set tenant_id = coalesce(
        (select tenant_id from tenant_numbers where phone = ${line}),
        -- A number that several businesses write from tells nothing.
        (select min(tenant_id) from whatsapp_connections where display_phone_number = ${line} having count(distinct tenant_id) = 1))
      where id = ${id} and tenant_id is null`.execute(db)
  }
  // Only after all of them were looked at, for a transfer may come before the root that names the line.
  // And only among themselves: a call id that came with a bound token draws nobody else's records to it.
  if (nobodys.length > 0)
    await sql`
      update raw_cdrs r set tenant_id = (
        select min(o.tenant_id) from raw_cdrs o
        where o.root_call_id = r.root_call_id and o.token_tenant_id is null having count(distinct o.tenant_id) = 1)
      where r.root_call_id in (${roots}) and r.tenant_id is null`.execute(db)
  return db
    .selectFrom('raw_cdrs')
    .select(['tenant_id as tenantId', 'root_call_id as rootCallId'])
    .distinct()
    .where('call_id', '=', callId)
    .execute()
}

/** Whoever judges the same call waits here until this transaction ends. */
export const lockCall = async (trx: Trx, { tenantId, rootCallId }: Call): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`call ${tenantId} ${rootCallId}`}, 0))`.execute(
    trx,
  )
}

/**
 * Whoever records that one of these people was missed, or was talked with, waits here for each other. Their
 * leads would not do: until there is one, each would overlook what the other is about to write. Always in
 * the same order, so that no two wait for each other.
 */
export const lockPeople = async (
  trx: Trx,
  tenantId: string,
  numbers: (string | null | undefined)[],
): Promise<void> => {
  const people = numbers.flatMap(written => {
    const phone = readPhone(written)
    return phone.kind === 'number' ? [personOf(phone.e164)] : []
  })
  for (const phone of [...new Set(people)].toSorted())
    await sql`select pg_advisory_xact_lock(hashtextextended(${`person ${tenantId} ${phone}`}, 0))`.execute(
      trx,
    )
}

/** All records of the call, in the order of their start. Those that retention has emptied tell nothing more. */
export const readLegs = async (trx: Trx, { tenantId, rootCallId }: Call): Promise<StoredLeg[]> => {
  const rows = await trx
    .selectFrom('raw_cdrs')
    .select(['id', 'call_id', 'payload', 'received_at'])
    .where('root_call_id', '=', rootCallId)
    .where('tenant_id', 'is not distinct from', tenantId)
    .where('payload', 'is not', null)
    .orderBy('id')
    .execute()
  return inOrder(
    rows.map(({ id, payload, received_at }) => ({ ...legOf(read(payload), received_at), id })),
  )
}

/** What was let in once is a record for ever; a reader that has become stricter is a bug, and says so. */
const read = (payload: unknown): Cdr => {
  const result = isObject(payload) ? readCdr(payload) : { wrong: 'not an object' }
  if ('wrong' in result) throw new Error(`a stored record is not read any more: ${result.wrong}`)
  return result.cdr
}

/** How the tenant wants calls judged, and which lines are its own. */
export const settingsOf = async (trx: Trx, { tenantId }: Call): Promise<Settings<Leg>> => {
  if (!tenantId) return { missedStatuses: [], minRingSeconds: 0, isOurs: () => false }
  const tenant = await trx
    .selectFrom('tenants')
    .select(['missed_statuses', 'min_ring_seconds'])
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow()
  const lines = await trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .union(
      trx
        .selectFrom('whatsapp_connections')
        .select('display_phone_number as phone')
        .where('tenant_id', '=', tenantId),
    )
    .execute()
  return {
    missedStatuses: tenant.missed_statuses,
    minRingSeconds: tenant.min_ring_seconds,
    isOurs: namesOneOf(new Set(lines.map(({ phone }) => phone))),
  }
}

/** Every record of the call carries the verdict of the whole, and what was read from itself. */
export const writeVerdict = async (
  trx: Trx,
  legs: StoredLeg[],
  { verdict, reason }: Verdict<Leg>,
): Promise<void> => {
  await sql`
    update raw_cdrs r
    set verdict = ${verdict}, reason = ${reason}, called_at = leg.called_at, clock = leg.clock,
        business_phone = leg.business_phone, customer_phone = leg.customer_phone, reached_phone = leg.reached_phone
    from unnest(
      ${legs.map(leg => leg.id)}::bigint[],
      ${legs.map(leg => leg.calledAt)}::timestamptz[],
      ${legs.map(leg => leg.clock)}::text[],
      ${legs.map(leg => leg.businessPhone)}::text[],
      ${legs.map(leg => leg.customerPhone)}::text[],
      ${legs.map(leg => leg.reachedPhone)}::text[]
    ) as leg (id, called_at, clock, business_phone, customer_phone, reached_phone)
    where r.id = leg.id`.execute(trx)
}
