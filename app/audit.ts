import type { Trx } from './db/kysely.ts'

/** Who does it: a sign-in of /ops, or whoever may run commands on the machine. */
export type Actor = { as: 'operator' } | { as: 'tenant'; tenantId: string } | { as: 'command line' }

/** What was done by hand. Neither customers' numbers nor secrets belong into it: ids tell who is meant. */
export type AuditEntry = {
  /** Which business it concerns; null = none. */
  tenantId: string | null
  /** `<noun>.<verb>`: tenant.set, outreach.cancel, delivery.discard */
  action: `${string}.${string}`
  /** `<table> <id>`: missed_calls 12 */
  subject: string
  /** Only what changed. Null = there was nothing, or is nothing any more. */
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}

const actorName = (signIn: Actor): string =>
  signIn.as === 'tenant' ? `tenant ${signIn.tenantId}` : signIn.as

/** Writes down what was done, in the transaction that does it: neither is there without the other. */
export const audit = async (trx: Trx, signIn: Actor, deed: AuditEntry): Promise<void> => {
  const { tenantId, before, after, ...rest } = deed
  await trx
    .insertInto('audit_log')
    .values({
      ...rest,
      who: actorName(signIn),
      tenant_id: tenantId,
      before: before && JSON.stringify(before),
      after: after && JSON.stringify(after),
    })
    .execute()
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
