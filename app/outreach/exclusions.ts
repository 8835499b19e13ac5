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

export type ListedRow = { phone: string; optedOut: boolean; excluded: boolean }

/** Finds which of these numbers have opted out or are excluded, as isAbout does for one number. */
export const findListed = async (
  trx: Trx,
  tenantId: string,
  phones: readonly string[],
): Promise<Map<string, ListedRow>> => {
  const pairs = phones.flatMap(phone =>
    spellings(phone).map(spelling => ({ phone, spelling, hash: phoneHash(spelling) })),
  )
  const listed = (table: 'opt_outs' | 'excluded_numbers') => sql`exists (
    select from ${sql.table(table)} x
    where x.tenant_id = ${tenantId} and (x.phone = p.spelling or x.phone_hash = p.hash))`
  const { rows } = await sql<ListedRow>`
    select p.phone, bool_or(${listed('opt_outs')}) as "optedOut", bool_or(${listed('excluded_numbers')}) as excluded
    from unnest(${pairs.map(pair => pair.phone)}::text[], ${pairs.map(pair => pair.spelling)}::text[],
                ${pairs.map(pair => pair.hash)}::bytea[]) p (phone, spelling, hash)
    group by p.phone`.execute(trx)
  return new Map(rows.map(row => [row.phone, row]))
}

/** Whether the tenant has excluded this number. */
export const isExcluded = async (trx: Trx, tenantId: string, phone: string): Promise<boolean> => {
  const found = await trx
    .selectFrom('excluded_numbers')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where(isAbout(phone))
    .executeTakeFirst()
  return found !== undefined
}
