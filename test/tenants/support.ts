/** What the tests of deeds by hand have in common. */
import type { Trx } from '../../app/db/kysely.ts'
import type { Actor } from '../../app/audit.ts'
import { isUserError } from '../../app/errors.ts'
import { db } from '../support/ringback.ts'

export const OPERATOR: Actor = { as: 'operator' }

/** In a transaction of its own. */
export const act = <T>(deed: (trx: Trx) => Promise<T>): Promise<T> => db.transaction().execute(deed)

/** The word and the field of the mistake that this deed is refused for; throws if it is done. */
export const refusalOf = async (deed: (trx: Trx) => Promise<unknown>) => {
  try {
    await act(deed)
  } catch (error) {
    if (isUserError(error)) return [error.why, error.field]
    throw error
  }
  throw new Error('it was done')
}

/** What was written of a business, in order: [who, action, subject, before, after]. */
export const auditOf = async (tenantId: string) => {
  const rows = await db
    .selectFrom('audit_log')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute()
  return rows.map(({ who, action, subject, before, after }) => [
    who,
    action,
    subject,
    before,
    after,
  ])
}

/** What is written from now on. */
export const auditSince = async (tenantId: string) => {
  const { length } = await auditOf(tenantId)
  return async () => (await auditOf(tenantId)).slice(length)
}
