/** The table `opt_outs`: who said "stop", how, and what takes it back. */
import { sql } from 'kysely'
import { phoneHash } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { isAbout } from './exclusions.ts'

// In `opt_outs.source`:
/** The person moved the switch in WhatsApp's own settings. */
export const SWITCH = 'user_preferences'
/** The tenant set it, and the person has not said so. */
const BY_HAND = ['operator', 'import']
export const isByHand = (source: string): boolean => BY_HAND.includes(source)

/**
 * Stores that this tenant must not write to this person, without a time limit. What the person says outranks what the
 * tenant set, and words outrank a switch in WhatsApp.
 *
 * @param source typed, button, user_preferences, whatsapp_131050 ..., operator, import
 * @param eventId the event in which the person said so
 * @returns whether it is a new opt-out
 */
export const optOut = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  source: string,
  eventId: string | null = null,
): Promise<boolean> => {
  const known = await optedOutBy(trx, tenantId, phone)
  if (known === null) {
    const added = await trx
      .insertInto('opt_outs')
      .values({
        tenant_id: tenantId,
        phone,
        phone_hash: phoneHash(phone),
        source,
        whatsapp_event_id: eventId,
      })
      .onConflict(conflict => conflict.doNothing())
      .returning('id')
      .executeTakeFirst()
    return added !== undefined
  }
  const isBoth = isByHand(known) !== isByHand(source)
  const outranks = !isByHand(source) && source !== known && (isByHand(known) || known === SWITCH)
  await trx
    .updateTable('opt_outs')
    .set({
      // Not now(): a message that was stored while this transaction waited for the lock came before.
      repeated_at: sql<Date>`clock_timestamp()`,
      whatsapp_event_id: sql`(
        select e.id from whatsapp_events e where e.id in (whatsapp_event_id, ${eventId})
        order by happened_at(e) desc, e.id desc limit 1)`,
      ...(outranks && { source }),
      ...(isBoth && { also_by_hand: true }),
    })
    .where('tenant_id', '=', tenantId)
    .where(isAbout(phone))
    .execute()
  return false
}

/**
 * The person has another number too: an opt-out holds for both.
 *
 * @returns whether the other number was opted out
 */
export const copyOptOut = async (
  trx: Trx,
  tenantId: string,
  from: string,
  to: string,
): Promise<boolean> => {
  if ((await optedOutBy(trx, tenantId, to)) !== null) return false
  const { rows } = await sql`
    insert into opt_outs (tenant_id, phone, phone_hash, source, also_by_hand, created_at, repeated_at, whatsapp_event_id)
    select tenant_id, ${to}, ${phoneHash(to)}, source, also_by_hand, created_at, repeated_at, whatsapp_event_id
    from opt_outs where tenant_id = ${tenantId} and ${isAbout(from)} limit 1
    on conflict do nothing returning id`.execute(trx)
  return rows.length > 0
}

/** The source of a person's opt-out. Null = they have not opted out. */
export const optedOutBy = async (
  trx: Trx,
  tenantId: string,
  phone: string,
): Promise<string | null> => {
  const known = await trx
    .selectFrom('opt_outs')
    .select('source')
    .where('tenant_id', '=', tenantId)
    .where(isAbout(phone))
    .executeTakeFirst()
  return known?.source ?? null
}

/**
 * Whether the opt-out came before this event. Meta delivers in any order. An opt-out without an event has the time of our clock,
 * which may differ from Meta's.
 */
const saidBefore = (eventId: string) => sql<boolean>`not exists (
  select from whatsapp_events start left join whatsapp_events stop on stop.id = whatsapp_event_id
  where start.id = ${eventId} and case when stop.id is null then created_at > happened_at(start) + interval '1 minute'
                                       else ${isAfter('stop', 'start')} end)`

/** Whether one event happened after another. If both happened in the same second, the order of receipt decides. */
const isAfter = (one: string, other: string) =>
  sql.raw(`(happened_at(${one}), ${one}.id) > (happened_at(${other}), ${other}.id)`)

/** Whether the person wrote "start" after this "stop", or moved the switch back after they had moved it to "stop". */
export const isTakenBack = async (trx: Trx, eventId: string): Promise<boolean> => {
  const { rows } = await sql`
    select from whatsapp_events stop
    join whatsapp_events start on start.tenant_id = stop.tenant_id and start.person_ids && stop.person_ids
    where stop.id = ${eventId} and start.outcome in ('opt_in', 'resumed') and start.kind in ('message', stop.kind)
      and ${isAfter('start', 'stop')} limit 1`.execute(trx)
  return rows.length > 0
}

/** Whether the tenant has not repeated the opt-out by hand after this event. */
const notRepeatedByHand = (eventId: string) => sql<boolean>`not (also_by_hand and exists (
  select from whatsapp_events start
  where start.id = ${eventId} and repeated_at > happened_at(start) + interval '1 minute'))`

/**
 * Removes a person's opt-out, from whatever source: they wrote "start" in this event, and after it there was no "stop" and no
 * opt-out by hand.
 */
export const optIn = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  eventId: string,
): Promise<void> => {
  await trx
    .deleteFrom('opt_outs')
    .where('tenant_id', '=', tenantId)
    .where(isAbout(phone))
    .where(saidBefore(eventId))
    .where(notRepeatedByHand(eventId))
    .execute()
}

/**
 * Takes back what the person said by the switch in WhatsApp. What they wrote, and what the tenant set, stays.
 *
 * @returns whether the person may get messages again because of that
 */
export const resume = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  eventId: string,
): Promise<boolean> => {
  const switched = sql<boolean>`
    tenant_id = ${tenantId} and source = ${SWITCH} and ${isAbout(phone)} and ${saidBefore(eventId)}`
  await trx
    .updateTable('opt_outs')
    .set({ source: 'operator', also_by_hand: false })
    .where(switched)
    .where('also_by_hand', '=', true)
    .execute()
  const { numDeletedRows } = await trx.deleteFrom('opt_outs').where(switched).executeTakeFirst()
  return numDeletedRows > 0n
}
