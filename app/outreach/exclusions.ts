import { type RawBuilder, sql } from 'kysely'
import { phoneHash } from '../crypto.ts'
import type { Trx } from '../db/kysely.ts'
import { spellings } from '../phone.ts'

/**
 * Whether a row of `opt_outs` or `excluded_numbers` is about one of these numbers, in any spelling. After an erasure, only
 * the hash of the number is left.
 */
export const isAbout = (...phones: readonly string[]): RawBuilder<boolean> => {
  const all = [...new Set(phones.flatMap(spellings))]
  return sql<boolean>`(phone = any(${all}::text[]) or phone_hash = any(${all.map(phoneHash)}::bytea[]))`
}

/** Whether the business has excluded this number. */
export const isExcluded = async (trx: Trx, tenantId: string, phone: string): Promise<boolean> => {
  const found = await trx
    .selectFrom('excluded_numbers')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where(isAbout(phone))
    .executeTakeFirst()
  return found !== undefined
}
