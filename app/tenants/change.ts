import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import { tenantId as id } from './fields.ts'

/**
 * Holds a business until the end of the transaction, so that what is read here and what is written belong
 * together. Only those who change it by hand wait: rows that merely name it do not need this lock.
 *
 * @throws Mistake when there is no such business
 */
export const lockTenant = async (trx: Trx, tenantId: string) => {
  const tenant =
    id.safeParse(tenantId).success &&
    (await trx
      .selectFrom('tenants')
      .select(['id', 'mode', 'owner_phone', 'ops_password'])
      .where('id', '=', tenantId)
      .forNoKeyUpdate()
      .executeTakeFirst())
  if (!tenant) throw notFound(`tenant ${tenantId}`)
  return tenant
}

type Values = Record<string, unknown>

/** Only what changed, as the audit wants it; null = nothing. */
export const difference = (
  before: Values,
  after: Values,
): { before: Values; after: Values } | null => {
  const changed = Object.keys(after).filter(
    name => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
  if (changed.length === 0) return null
  const only = (values: Values) => Object.fromEntries(changed.map(name => [name, values[name]]))
  return { before: only(before), after: only(after) }
}
