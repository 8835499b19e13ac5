import { sql } from 'kysely'
import type { Trx } from '../db/kysely.ts'
import type { MissedCall } from './missed_call.ts'
import { personOf, readPhone, spellings } from '../phone.ts'

/** Who called, and how often she has been missed in all. */
export type Lead = { id: string; calls: number }

/**
 * Counts each missed call with its caller's lead, which is made if she has none, and locks it.
 *
 * @returns each caller's lead; null of a withheld number, a word, a line of our own: they are nobody's
 */
export const countMissedCalls = async (
  trx: Trx,
  calls: readonly MissedCall[],
): Promise<(Lead | null)[]> => {
  const callers = calls.flatMap(({ tenantId, caller }) => {
    const phone = readPhone(caller)
    return phone.kind === 'number' ? { tenantId, phone: phone.e164 } : []
  })
  // Nobody else counts any of these people meanwhile: the caller holds their locks. In one order all the same.
  const sorted = callers.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const { rows } = await sql<Lead & { tenantId: string; phone: string }>`
    /* leads */
    insert into leads (tenant_id, phone, missed_call_count)
    select tenant_id, coalesce(
      (select l.phone from leads l where l.tenant_id = c.tenant_id and l.phone in (c.phone, c.other_spelling)
       -- Not by the index of ids, in which a plan that was made for few leads would look through all of them.
       order by l.id + 0 limit 1), c.phone), 1
    from unnest(
      ${sorted.map(({ tenantId }) => tenantId)}::bigint[],
      ${sorted.map(({ phone }) => phone)}::text[],
      ${sorted.map(({ phone }) => spellings(phone)[1] ?? phone)}::text[]
    ) as c (tenant_id, phone, other_spelling)
    where not exists (select from tenant_numbers n where n.tenant_id = c.tenant_id and n.phone = c.phone)
      and not exists (select from whatsapp_connections w where w.tenant_id = c.tenant_id and w.display_phone_number = c.phone)
    on conflict on constraint leads_one_per_person
      do update set missed_call_count = leads.missed_call_count + 1
    returning id, missed_call_count as calls, tenant_id as "tenantId", phone`.execute(trx)
  const leads = new Map(rows.map(lead => [nameOf(lead), lead]))
  return calls.map(({ tenantId, caller }) => {
    const phone = readPhone(caller)
    return phone.kind === 'number'
      ? (leads.get(nameOf({ tenantId, phone: phone.e164 })) ?? null)
      : null
  })
}

const nameOf = ({ tenantId, phone }: { tenantId: string; phone: string }): string =>
  `${tenantId} ${personOf(phone)}`
