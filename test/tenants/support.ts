/** Helpers for tests of actions by hand and their audit log. */
import type { Trx } from '../../app/db/kysely.ts'
import type { Actor } from '../../app/audit.ts'
import { isUserError } from '../../app/errors.ts'
import { db } from '../support/ringback.ts'

export const OPERATOR: Actor = { as: 'operator' }

/** Runs an action in its own transaction. */
export const act = <T>(action: (trx: Trx) => Promise<T>): Promise<T> =>
  db.transaction().execute(action)

/** The code and the field of the UserError that the action throws. Throws if the action succeeds. */
export const refusalOf = async (action: (trx: Trx) => Promise<unknown>) => {
  try {
    await act(action)
  } catch (error) {
    if (isUserError(error)) return [error.why, error.field]
    throw error
  }
  throw new Error('the action succeeded')
}

/** The audit log of a business, in order: [who, action, subject, before, after]. */
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

/** Reads the audit entries from now on. */
export const auditSince = async (tenantId: string) => {
  const { length } = await auditOf(tenantId)
  return async () => (await auditOf(tenantId)).slice(length)
}
