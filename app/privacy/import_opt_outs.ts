import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { spellings } from '../phone.ts'
import { optOut } from '../replies/contacts.ts'

/** In `opt_outs.source`: the business knew it before us. */
const SOURCE = 'import'

/**
 * People who must not be written to by this business, as it knows from elsewhere. What is pending for them is
 * cancelled, as if they had asked themselves. Safe to run twice: the second time changes nothing.
 *
 * @param numbers E.164
 * @returns how many of them are news, and how many were known already
 */
export const addOptOuts = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, numbers }: { tenantId: string; numbers: readonly string[] },
): Promise<{ added: number; known: number }> => {
  const tenant = trx.selectFrom('tenants').select('id').where('id', '=', tenantId)
  if (!(await tenant.executeTakeFirst())) throw notFound(`tenant ${tenantId}`)
  const leads = await lockLeads(trx, tenantId, numbers)
  let added = 0
  for (const number of numbers) if (await optOut(trx, tenantId, number, SOURCE)) added++
  for (const { id, phone } of leads) {
    // She may have moved to the number in the list: her wish holds for both.
    await optOut(trx, tenantId, phone, SOURCE)
    await cancelPending(trx, id, 'opted_out')
  }
  const counts = { added, known: numbers.length - added }
  await audit(trx, signIn, {
    tenantId,
    action: 'opt_outs.add',
    subject: `tenants ${tenantId}`,
    before: null,
    after: counts,
  })
  return counts
}

/** Those who have one of these numbers, or are known to WhatsApp by it; in the order in which everybody locks. */
const lockLeads = async (trx: Trx, tenantId: string, numbers: readonly string[]) => {
  const phones = numbers.flatMap(spellings)
  const { rows } = await sql<{ id: string; phone: string }>`
    select id, phone from leads
    where tenant_id = ${tenantId} and (phone = any(${phones}::text[]) or id in (
      select lead_id from lead_identities
      where tenant_id = ${tenantId} and identity = any(${phones.map(phone => phone.slice(1))}::text[])))
    order by id for update`.execute(trx)
  return rows
}
