/** What every change to a business needs: its lock, and the changed fields for the audit log. */
import type { Trx } from '../db/kysely.ts'
import { notFound } from '../errors.ts'
import * as schema from './schema.ts'

/**
 * Locks a business until the end of the transaction, so that no other change comes between reading and writing.
 * Only changes by hand wait for this lock. Inserting a row that references the business does not.
 *
 * @throws UserError if there is no such business
 */
export const lockTenant = async (trx: Trx, tenantId: string) => {
  const tenant =
    schema.tenantId.safeParse(tenantId).success &&
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

/** The fields that differ, before and after. Null if none does. */
export const changedFields = (
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
