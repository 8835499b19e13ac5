import { sql } from 'kysely'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { cancelPending } from '../outreach/cancel.ts'
import { spellings } from '../phone.ts'
import { optOut } from '../replies/contacts.ts'

/** In `opt_outs.source`: the business had this opt-out in a list of its own. */
const SOURCE = 'import'

/**
 * Opts out people from a list that the business has. It cancels their pending messages, as if they had written "stop".
 * A second run with the same list changes nothing.
 *
 * @param numbers E.164
 * @returns how many of them are new, and how many were known already
 */
export const addOptOuts = async (
  trx: Trx,
  actor: Actor,
  { tenantId, numbers }: { tenantId: string; numbers: readonly string[] },
): Promise<{ added: number; known: number }> => {
  const tenant = trx.selectFrom('tenants').select('id').where('id', '=', tenantId)
  if (!(await tenant.executeTakeFirst())) throw notFound(`tenant ${tenantId}`)
  const leads = await lockLeads(trx, tenantId, numbers)
  let added = 0
  for (const number of numbers) if (await optOut(trx, tenantId, number, SOURCE)) added++
  for (const { id, phone } of leads) {
    // The number in the list may be a new number of this person. The opt-out is for both numbers.
    await optOut(trx, tenantId, phone, SOURCE)
    await cancelPending(trx, id, 'opted_out')
  }
  const counts = { added, known: numbers.length - added }
  await audit(trx, actor, {
    tenantId,
    action: 'opt_outs.add',
    subject: `tenants ${tenantId}`,
    before: null,
    after: counts,
  })
  return counts
}

/** Locks the leads with one of these numbers or WhatsApp ids, in the order of all locks on leads. */
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
