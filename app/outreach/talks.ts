/** When the tenant last talked with a person. Fragments of queries about a lead "l". */
import { type RawBuilder, sql } from 'kysely'

/** Palestinian mobiles have two spellings, +970 and +972 (phone.ts). */
const OTHER_SPELLING = sql`case when l.phone ~ '^[+]97[02]5[69]'
  then overlay(l.phone placing translate(substr(l.phone, 4, 1), '02', '20') from 4 for 1) end`
/** The number in all its spellings, after "in". */
export const THEIR_NUMBERS = sql`(l.phone, ${OTHER_SPELLING})`

/**
 * The end of the last talk, by telephone or on WhatsApp. Null = there was none.
 *
 * @param since earlier talks on WhatsApp do not matter: no index finds those of one person
 */
export const talkedAt = (
  since: RawBuilder<unknown>,
): RawBuilder<Date | null> => sql<Date | null>`greatest(
  (select max(r.reached_until) from raw_cdrs r
   where r.tenant_id = l.tenant_id and r.reached_phone in ${THEIR_NUMBERS}),
  (select max(to_timestamp((e.payload -> 'talk' ->> 'until')::float8)) from whatsapp_events e
   where e.tenant_id = l.tenant_id and e.outcome = 'reached' and e.received_at >= ${since}
     and e.payload -> 'talk' -> 'ids' ?| (
       array(select i.identity from lead_identities i where i.lead_id = l.id) || substr(l.phone, 2))))`
