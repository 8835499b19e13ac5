/** The numbers that customers of a business dial. */
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { lockTenant } from './lock.ts'
import { dialledNumber, tenantId } from './schema.ts'

export const tenantNumber = z.object({ tenantId, phone: dialledNumber })
type TenantNumber = z.infer<typeof tenantNumber>

/**
 * Adds a number. A database trigger then queues the calls to it that matched no business, however the row was inserted
 * (reclassify_unmatched in sql/0003_calls.sql).
 *
 * @returns whether the number is new, and how many calls are classified again
 * @throws UserError if another business has the number
 */
export const addNumber = async (
  trx: Trx,
  actor: Actor,
  { tenantId, phone }: TenantNumber,
): Promise<{ phone: string; added: boolean; judgedAgain: number }> => {
  await lockTenant(trx, tenantId)
  const judgedAgain = await countUnmatched(trx, { tenantId, phone })
  const added = await trx
    .insertInto('tenant_numbers')
    .values({ tenant_id: tenantId, phone })
    .onConflict(conflict => conflict.doNothing())
    .returning('phone')
    .executeTakeFirst()
  if (!added) {
    if (await hasNumber(trx, { tenantId, phone })) return { phone, added: false, judgedAgain: 0 }
    throw userError('number_taken', `${phone} belongs to another business already`, 'phone')
  }
  await audit(trx, actor, {
    tenantId,
    action: 'number.add',
    subject: `tenant_numbers ${phone}`,
    before: null,
    after: { phone },
  })
  return { phone, added: true, judgedAgain }
}

/**
 * Removes a number. Later calls to it match no business. Outreach for earlier calls continues.
 *
 * @throws UserError if the business does not have the number, or if it is the last one, because then no call would
 * match the business
 */
export const removeNumber = async (
  trx: Trx,
  actor: Actor,
  { tenantId, phone }: TenantNumber,
): Promise<void> => {
  await lockTenant(trx, tenantId)
  if (!(await hasNumber(trx, { tenantId, phone })))
    throw notFound(`number ${phone} of tenant ${tenantId}`)
  const others = trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .where('phone', '<>', phone)
    .limit(1)
  if (!(await others.executeTakeFirst()))
    throw userError(
      'last_number',
      `${phone} is the last number: without it no call would match this business, so add another number first, or pause the business`,
      'phone',
    )
  await trx
    .deleteFrom('tenant_numbers')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .execute()
  await audit(trx, actor, {
    tenantId,
    action: 'number.remove',
    subject: `tenant_numbers ${phone}`,
    before: { phone },
    after: null,
  })
}

const hasNumber = async (trx: Trx, { tenantId, phone }: TenantNumber): Promise<boolean> => {
  const row = await trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .executeTakeFirst()
  return row !== undefined
}

/** How many calls the trigger will queue. */
const countUnmatched = async (trx: Trx, { tenantId, phone }: TenantNumber): Promise<number> => {
  const { rows } = await sql<{ calls: number }>`
    select count(distinct call_id)::int as calls from raw_cdrs
    where (verdict = 'unmatched_number' or tenant_id is null) and business_phone = ${phone}
      and (token_tenant_id is null or token_tenant_id = ${tenantId})`.execute(trx)
  return rows[0]?.calls ?? 0
}
