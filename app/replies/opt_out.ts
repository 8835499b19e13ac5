import type { ExpressionBuilder } from 'kysely'
import type { DB } from '../db/generated.ts'
import type { Trx } from '../db/kysely.ts'
import { phoneHash } from '../crypto.ts'
import { spellings } from '../phone.ts'

/** In any spelling of her number, or by its hash where the number itself was erased. */
const isHers = (phone: string) => (eb: ExpressionBuilder<DB, 'opt_outs'>) =>
  eb.or([
    eb('phone', 'in', spellings(phone)),
    eb('phone_hash', 'in', spellings(phone).map(phoneHash)),
  ])

/**
 * Remembers, for ever, that this person must not be written to by this tenant.
 *
 * @param source how we know: typed, button, user_preferences, whatsapp_131050 ..., operator
 * @returns whether that is news
 */
export const optOut = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  source: string,
): Promise<boolean> => {
  const known = await optedOutBy(trx, tenantId, phone)
  if (known === 'user_preferences' && source !== known)
    // What she says in her own words is not taken back by a switch in WhatsApp.
    await trx
      .updateTable('opt_outs')
      .set({ source })
      .where('tenant_id', '=', tenantId)
      .where(isHers(phone))
      .execute()
  if (known !== null) return false
  const added = await trx
    .insertInto('opt_outs')
    .values({ tenant_id: tenantId, phone, phone_hash: phoneHash(phone), source })
    .onConflict(conflict => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  return added !== undefined
}

/** How we know that this person must not be written to; null if she may be. */
export const optedOutBy = async (
  trx: Trx,
  tenantId: string,
  phone: string,
): Promise<string | null> => {
  const known = await trx
    .selectFrom('opt_outs')
    .select('source')
    .where('tenant_id', '=', tenantId)
    .where(isHers(phone))
    .executeTakeFirst()
  return known?.source ?? null
}

/**
 * She wants to be written to again.
 *
 * @param source only an opt-out that came this way; without it, any
 * @returns whether there was one
 */
export const optIn = async (
  trx: Trx,
  tenantId: string,
  phone: string,
  source?: string,
): Promise<boolean> => {
  let opted = trx.deleteFrom('opt_outs').where('tenant_id', '=', tenantId).where(isHers(phone))
  if (source !== undefined) opted = opted.where('source', '=', source)
  const { numDeletedRows } = await opted.executeTakeFirst()
  return numDeletedRows > 0n
}
