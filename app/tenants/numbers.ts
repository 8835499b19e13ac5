import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from '../audit.ts'
import type { Trx } from '../db/kysely.ts'
import { notFound, userError } from '../errors.ts'
import { line, tenantId } from './schema.ts'
import { lockTenant } from './tenants.ts'

export const tenantNumber = z.object({ tenantId, phone: line })
type Wanted = z.infer<typeof tenantNumber>

/**
 * One more number that customers of a business dial. Calls to it that nobody could place are judged again by
 * a database trigger, whichever way the number comes (reclassify_unmatched in sql/0003_calls.sql).
 *
 * @returns whether it is new, and how many calls are judged again
 * @throws Mistake when the number is another business's
 */
export const addNumber = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, phone }: Wanted,
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
  await audit(trx, signIn, {
    tenantId,
    action: 'number.add',
    subject: `tenant_numbers ${phone}`,
    before: null,
    after: { phone },
  })
  return { phone, added: true, judgedAgain }
}

/**
 * Calls to this number are nobody's from now on; what follows from earlier ones goes on.
 *
 * @throws Mistake when it is not the business's, or the last one: no call would be known as its own any more
 */
export const removeNumber = async (
  trx: Trx,
  signIn: Actor,
  { tenantId, phone }: Wanted,
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
      `${phone} is the last number, without it no call would be this business's: add another first, or pause the business`,
      'phone',
    )
  await trx
    .deleteFrom('tenant_numbers')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .execute()
  await audit(trx, signIn, {
    tenantId,
    action: 'number.remove',
    subject: `tenant_numbers ${phone}`,
    before: { phone },
    after: null,
  })
}

const hasNumber = async (trx: Trx, { tenantId, phone }: Wanted): Promise<boolean> => {
  const row = await trx
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .where('phone', '=', phone)
    .executeTakeFirst()
  return row !== undefined
}

/** The calls that the trigger will queue. */
const countUnmatched = async (trx: Trx, { tenantId, phone }: Wanted): Promise<number> => {
  const { rows } = await sql<{ calls: number }>`
    select count(distinct call_id)::int as calls from raw_cdrs
    where (verdict = 'unmatched_number' or tenant_id is null) and business_phone = ${phone}
      and (token_tenant_id is null or token_tenant_id = ${tenantId})`.execute(trx)
  return rows[0]?.calls ?? 0
}
